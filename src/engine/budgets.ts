// Budgets, rate limits and leases as a host speaks of them: names, decimals, alerts.
import { EngineError } from "./errors.js";
import { type Instance, numeric, refuse } from "./instance.js";
import {
  BUDGET,
  BUDGET_STRIDE,
  DIMENSION_ID,
  FORM,
  HEADER,
  LINK_STRIDE,
  NO_LIST,
  NODE,
  NODE_APART,
  NODE_HALF,
  nodeOffset,
  POSITION,
  POSITION_STRIDE,
} from "./layout.js";
import { ATTO_PER_USD, type Decimal, parseDecimal } from "./money.js";
import { checkOptionNames } from "./option-names.js";

/** What a budget counts. Amounts in `usd` are atto-USD; the others are whole numbers. */
export type BudgetUnit = "usd" | "operations" | "runs" | "bytes";
/**
 * How long a budget lasts before it begins anew; `run`: one for each run, with those below it that have the same payer,
 * from the time on when it was opened.
 */
export type BudgetPeriod = "hour" | "day" | "week" | "month" | "run" | "total";

/** Whom a limit applies to: all of what is named must hold. Empty is everybody. */
export interface BudgetScope {
  /** This run, and those below it that have the same payer. */
  readonly run?: string | undefined;
  readonly experiment?: string | undefined;
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly customerId?: string | undefined;
  readonly environment?: string | undefined;
  readonly costCenter?: string | undefined;
  readonly context?: string | undefined;
  readonly model?: string | undefined;
}

export interface BudgetOptions {
  readonly name: string;
  /** USD as number or decimal text for `usd` (a bigint is in atto-USD, as all amounts are), a whole number for the others. */
  readonly limit: Decimal | bigint;
  /** `usd` unless given. */
  readonly unit?: BudgetUnit;
  readonly period: BudgetPeriod;
  /** Minutes that are added to UTC before days are told apart, -1,440 to 1,440; weeks begin on Monday. */
  readonly offsetMinutes?: number;
  readonly scope?: BudgetScope;
  /** `warn` unless given. */
  readonly action?: "warn" | "block";
  /** Shares of the limit, at most eight, above 0 and at most 10, that are told once a period. */
  readonly alertAt?: readonly number[];
  /** What was spent in this period before the budget was added, as the limit is given. */
  readonly spent?: Decimal | bigint;
}

export interface RateLimitOptions {
  readonly name: string;
  /** Calls that change something, 1 to 10^9. */
  readonly operations: number;
  readonly per: "second" | "minute";
  /** How many may come at once, 1 to 10^9; as many as `operations` unless given. */
  readonly burst?: number;
  readonly scope?: BudgetScope;
  /** `block` unless given. */
  readonly action?: "warn" | "block";
}

/** Where a budget stands, in its unit: atto-USD or whole numbers. */
export interface BudgetPosition {
  readonly name: string;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly action: "warn" | "block";
  readonly limit: bigint;
  readonly spent: bigint;
  /** Held by reservations and leases. */
  readonly held: bigint;
  /** Limit less what is spent and held; below 0 when it was passed. */
  readonly remaining: bigint;
  /** The period before this one. */
  readonly previous: { readonly spent: bigint; readonly held: bigint };
  /** Shares whose alert was fired in this period. */
  readonly alerts: readonly number[];
}

/** A budget came to a share of its limit. */
export interface BudgetAlert {
  readonly budget: number;
  readonly name: string;
  readonly share: number;
  /** Number of the period: hours, days, weeks or months counted in their calendar; 0 for `run` and `total`. */
  readonly period: number;
  readonly spent: bigint;
  readonly limit: bigint;
  /** The run whose budget it is, for the period `run`. */
  readonly run?: string;
}

/** Why a call must not run. */
export interface Refusal {
  readonly refused: true;
  readonly decision: "BLOCKED" | "RATE_LIMITED";
  /** GenOps reason code; ours begin with `x_`. */
  readonly reasonCode: string;
  /** Handle of the budget or rate limit that decided; absent when it was none. */
  readonly budget?: number;
}

const BUDGET_OPTIONS: readonly (keyof BudgetOptions)[] = [
  "name",
  "limit",
  "period",
  "scope",
  "action",
  "unit",
  "alertAt",
  "offsetMinutes",
  "spent",
];
const RATE_OPTIONS: readonly (keyof RateLimitOptions)[] = [
  "name",
  "operations",
  "per",
  "burst",
  "scope",
  "action",
];
const UNITS: readonly BudgetUnit[] = ["usd", "operations", "runs", "bytes"];
const PERIODS: readonly BudgetPeriod[] = ["hour", "day", "week", "month", "run", "total"];
const ACTIONS = ["warn", "block"] as const;
const RATES = ["second", "minute"] as const;
const FIRST_RATE = 6;
const AMOUNT_MAX = 2n ** 126n - 1n;
const RATE_MAX = 1e9;

const SCOPE_DIMENSIONS = {
  run: "run",
  experiment: "experiment",
  team: "team",
  project: "project",
  customerId: "customer",
  environment: "environment",
  costCenter: "costCenter",
  context: "context",
  model: "model",
} as const;

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function wrong(field: string, value: unknown, text: string): EngineError {
  return new EngineError("INVALID_OPTION", field, value, `${show(value)} ${text}`);
}

function choice<T extends string>(
  field: string,
  value: T | undefined,
  fallback: T | undefined,
  choices: readonly T[],
): number {
  const index = choices.indexOf((value ?? fallback) as T);
  if (index < 0) throw wrong(field, value, `is none of ${choices.join(", ")}`);
  return index;
}

/** An amount in a unit, as a host writes it; a bigint is in atto-USD, as everywhere, or in whole units. */
function amountOf(field: string, value: Decimal | bigint, unit: BudgetUnit): bigint {
  let amount: bigint;
  if (unit === "usd" && typeof value !== "bigint") {
    const { numerator, denominator } = parseDecimal(value, field);
    amount = (numerator * ATTO_PER_USD) / denominator;
  } else if (
    typeof value === "bigint" ||
    (typeof value === "number" && Number.isSafeInteger(value)) ||
    (typeof value === "string" && /^\d{1,39}$/.test(value))
  ) {
    amount = BigInt(value);
  } else {
    throw wrong(field, value, `is not a whole number of ${unit}`);
  }
  if (amount < 0n || amount > AMOUNT_MAX) throw wrong(field, value, "is below 0 or above 2^126");
  return amount;
}

/** What a share of a limit comes to, rounded up to a whole unit. */
function thresholdOf(limit: bigint, share: number): bigint {
  const { numerator, denominator } = parseDecimal(share, "alertAt");
  return (limit * numerator + denominator - 1n) / denominator;
}

function checkAlerts(alertAt: readonly number[]): readonly number[] {
  if (!Array.isArray(alertAt) || alertAt.length > 8) {
    throw wrong("alertAt", alertAt, "is not a list of at most 8 shares");
  }
  for (const share of alertAt) {
    if (!(typeof share === "number" && share > 0 && share <= 10)) {
      throw wrong("alertAt", share, "is not a share above 0 and up to 10; write 0.8 for 80 %");
    }
    parseDecimal(share, "alertAt");
    if (alertAt.indexOf(share) !== alertAt.lastIndexOf(share)) {
      throw wrong("alertAt", share, "is there twice");
    }
  }
  return alertAt;
}

function isName(name: unknown): name is string {
  return typeof name === "string" && name !== "";
}

/** The budgets of one instance. */
export class BudgetBook {
  readonly #instance: Instance;
  readonly #base: number;

  constructor(instance: Instance) {
    this.#instance = instance;
    this.#base = instance.address("budgets");
  }

  add(options: BudgetOptions): number {
    checkOptionNames("addBudget", options, BUDGET_OPTIONS);
    const unit = options.unit ?? "usd";
    const choices = {
      unit: choice("unit", options.unit, "usd", UNITS),
      period: choice("period", options.period, undefined, PERIODS),
      action: choice("action", options.action, "warn", ACTIONS),
    };
    const limit = amountOf("limit", options.limit, unit);
    const spent = options.spent === undefined ? 0n : amountOf("spent", options.spent, unit);
    if (options.spent !== undefined && options.period === "run") {
      throw wrong(
        "spent",
        options.spent,
        "would be of no run; each begins its budget with nothing",
      );
    }
    const offset = options.offsetMinutes ?? 0;
    if (!Number.isInteger(offset) || Math.abs(offset) > 1440) {
      throw wrong("offsetMinutes", offset, "is not a whole number from -1440 to 1440");
    }
    const alertAt = checkAlerts(options.alertAt ?? []);
    const handle = this.#add(options, choices, offset, limit, spent);
    this.#setAlerts(handle, limit, alertAt);
    return handle;
  }

  addRate(options: RateLimitOptions): number {
    checkOptionNames("addRateLimit", options, RATE_OPTIONS);
    const choices = {
      unit: UNITS.indexOf("operations"),
      period: FIRST_RATE + choice("per", options.per, undefined, RATES),
      action: choice("action", options.action, "block", ACTIONS),
    };
    const burst = options.burst ?? options.operations;
    for (const [field, value] of [
      ["operations", options.operations],
      ["burst", burst],
    ] as const) {
      if (!Number.isInteger(value) || value < 1 || value > RATE_MAX) {
        throw wrong(field, value, `is not a whole number from 1 to ${RATE_MAX}`);
      }
    }
    return this.#add(options, choices, 0, BigInt(options.operations), BigInt(burst));
  }

  #add(
    options: { readonly name: string; readonly scope?: BudgetScope },
    choices: { readonly unit: number; readonly period: number; readonly action: number },
    offset: number,
    amount: bigint,
    second: bigint,
  ): number {
    const { exports, form } = this.#instance;
    if (!isName(options.name)) throw wrong("name", options.name, "is no name");
    const scope = Object.entries(options.scope ?? {}).filter(([, name]) => name !== undefined);
    for (const [key, name] of scope) {
      if (!Object.hasOwn(SCOPE_DIMENSIONS, key)) {
        const known = Object.keys(SCOPE_DIMENSIONS).join(", ");
        throw wrong(`scope.${key}`, name, `is no dimension of a scope; they are ${known}`);
      }
      if (!isName(name)) throw wrong(`scope.${key}`, name, "is no name");
    }
    const ids = scope.map(([key, name]) => {
      const dimension = SCOPE_DIMENSIONS[key as keyof typeof SCOPE_DIMENSIONS];
      const id = this.#instance.pin(dimension, name as string, `scope.${key}`);
      return [DIMENSION_ID[dimension], id] as const;
    });
    const name = this.#instance.pin("budget", options.name, "name");
    form.fill(0);
    for (const [dimension, id] of ids) form[dimension] = id;
    form[FORM.unit] = choices.unit;
    form[FORM.period] = choices.period;
    form[FORM.action] = choices.action;
    form[FORM.offset] = offset;
    form[FORM.budgetName] = name;
    this.#instance.setAmount(amount, second);
    const handle = exports.addBudget();
    if (handle < 0) refuse(handle, handle === -7 ? "budgets" : "name", options.name);
    return handle;
  }

  #setAlerts(handle: number, limit: bigint, shares: readonly number[]): void {
    const { exports } = this.#instance;
    this.#instance.setAmount(limit);
    exports.setLimit(handle, shares.length);
    for (const [index, share] of shares.entries()) {
      this.#instance.setAmount(thresholdOf(limit, share));
      exports.setAlert(handle, index, share);
    }
  }

  remove(handle: number): void {
    const status = this.#instance.exports.removeBudget(numeric(handle));
    if (status < 0) refuse(status, "budget", handle);
  }

  setLimit(handle: number, limit: Decimal | bigint): void {
    const at = this.#at(handle);
    const period = this.#word(at, BUDGET.period);
    if (period >= FIRST_RATE)
      throw wrong("budget", handle, "is a rate limit; remove it and add another");
    this.#setAlerts(handle, amountOf("limit", limit, this.#unit(at)), this.#shares(at));
  }

  handles(): number[] {
    const handles: number[] = [];
    for (let slot = 1; slot <= this.#instance.word(HEADER.budgets); slot++) {
      const live = this.#word(this.#base + slot * BUDGET_STRIDE, BUDGET.live);
      if (live !== 0) handles.push(this.#instance.exports.budgetHandle(slot));
    }
    return handles;
  }

  /** Those that a node counts on, save those of runs that have a position of their own. */
  ofNode(node: number): number[] | undefined {
    const at = this.#nodeOf("node", node);
    const handles: number[] = [];
    let link = this.#word(at, NODE.budgets);
    if (link === NO_LIST) return undefined;
    while (link !== 0) {
      const entry = this.#instance.address("links") + link * LINK_STRIDE;
      handles.push(this.#instance.exports.budgetHandle(this.#word(entry, 0)));
      link = this.#word(entry, 4);
    }
    return handles;
  }

  position(handle: number, run: number | undefined): BudgetPosition {
    const at = this.#at(handle);
    const period = PERIODS[this.#word(at, BUDGET.period)];
    if (period === undefined)
      throw wrong("budget", handle, "is a rate limit, which has no position");
    const position = run === undefined ? at : this.#ofRun(handle, run);
    const amount = (address: number) => this.#instance.amount(address);
    const limit = amount(at + BUDGET.limit);
    const spent = amount(position);
    const held = amount(position + POSITION.held);
    const fired = this.#instance.view.getUint16(position + POSITION.fired, true);
    const before = at + POSITION_STRIDE;
    const previous =
      position === at
        ? { spent: amount(before), held: amount(before + POSITION.held) }
        : { spent: 0n, held: 0n };
    return {
      name: this.nameOf(this.#word(at, BUDGET.name)),
      unit: this.#unit(at),
      period,
      action: ACTIONS[this.#word(at, BUDGET.action)] ?? "warn",
      limit,
      spent,
      held,
      remaining: limit - spent - held,
      previous,
      alerts: this.#shares(at).filter((_, index) => (fired >> index) & 1),
    };
  }

  takeAlerts(): BudgetAlert[] {
    const { exports, form } = this.#instance;
    const alerts: BudgetAlert[] = [];
    for (let budget = exports.takeAlert(); budget > 0; budget = exports.takeAlert()) {
      const at = this.#at(budget);
      const run = form[1] as number;
      alerts.push({
        budget,
        name: this.nameOf(this.#word(at, BUDGET.name)),
        share: this.#shares(at)[form[0] as number] ?? 0,
        period: form[2] as number,
        spent: this.#instance.amount(this.#instance.header + HEADER.amount),
        limit: this.#instance.amount(at + BUDGET.limit),
        ...(run !== 0 && { run: this.nameOf(run) }),
      });
    }
    return alerts;
  }

  /** Grants a slice. @throws {EngineError} `INVALID_HANDLE`, `INVALID_OPTION`, `CAPACITY_EXCEEDED`. */
  grant(
    handle: number,
    amount: Decimal | bigint,
  ): { readonly lease: number; readonly amount: bigint } | Refusal {
    const wanted = amountOf("amount", amount, this.#unit(this.#at(handle)));
    this.#instance.setAmount(wanted);
    const lease = this.#instance.exports.grant(handle);
    if (lease === -17) return this.refusal(lease);
    if (lease === -15)
      throw wrong("budget", handle, "is one that cannot be leased: of runs, or a rate limit");
    if (lease < 0) refuse(lease, lease === -7 ? "reservations" : "budget", handle);
    return { lease, amount: this.#instance.amount(this.#instance.header + HEADER.amount) };
  }

  /** Spends atto-USD or whole units of a lease. Answers flags. */
  spend(lease: number, amount: bigint): number {
    if (typeof amount !== "bigint" || amount < 0n || amount > AMOUNT_MAX) {
      throw wrong("amount", amount, "is no bigint from 0 to 2^126");
    }
    this.#instance.setAmount(amount);
    const flags = this.#instance.exports.spend(numeric(lease));
    if (flags < 0) refuse(flags, "lease", lease);
    return flags;
  }

  giveBack(lease: number): void {
    const flags = this.#instance.exports.giveBack(numeric(lease));
    if (flags < 0) refuse(flags, "lease", lease);
  }

  /** What a status of a refused call means. */
  refusal(status: number): Refusal {
    const slot = this.#instance.word(HEADER.decided);
    const limited = status === -18;
    return {
      refused: true,
      decision: limited ? "RATE_LIMITED" : "BLOCKED",
      reasonCode: limited ? "RATE_LIMITED" : "BUDGET_EXCEEDED",
      budget: this.#instance.exports.budgetHandle(slot),
    };
  }

  nameOf(id: number): string {
    const { view } = this.#instance;
    const at = this.#instance.address("names") + id * 16;
    const start = this.#instance.address("nameBytes") + view.getUint32(at, true);
    return this.#instance.text(start, view.getUint16(at + 4, true));
  }

  #at(handle: number): number {
    const slot = this.#instance.exports.budgetSlot(numeric(handle));
    if (slot === 0) refuse(-19, "budget", handle);
    return this.#base + slot * BUDGET_STRIDE;
  }

  #word(at: number, offset: number): number {
    return this.#instance.view.getUint32(at + offset, true);
  }

  #unit(at: number): BudgetUnit {
    return UNITS[this.#word(at, BUDGET.unit)] ?? "usd";
  }

  #shares(at: number): number[] {
    return Array.from({ length: this.#word(at, BUDGET.alerts) }, (_, index) =>
      this.#instance.view.getFloat64(at + BUDGET.shares + index * 8, true),
    );
  }

  /** Address of a live node. @throws {EngineError} `INVALID_HANDLE`. */
  #nodeOf(field: string, handle: number): number {
    const node = this.#instance.address("nodes") + nodeOffset(numeric(handle) % 2 ** 24);
    const known =
      Number.isSafeInteger(handle) &&
      handle > 0 &&
      handle % 2 ** 24 <= this.#instance.capacities.runs + this.#instance.capacities.tuples &&
      // As in assembly/handles.ts: the bit above the generation is set, and the kind of a node is 0.
      2 ** 26 + this.#word(node, NODE.generation) ===
        handle / 2 ** 26 - (handle % 2 ** 24) / 2 ** 26 &&
      this.#word(node, NODE.generation) !== 0;
    if (!known) refuse(-1, field, handle);
    return node;
  }

  /** Address of a run's own position in a budget of runs; of the shared one when it has none. */
  #ofRun(handle: number, run: number): number {
    const slot = this.#instance.exports.budgetSlot(handle);
    const node = this.#nodeOf("run", run);
    let index = this.#word(node, NODE_APART + NODE_HALF.positions);
    while (index !== 0) {
      const position = this.#instance.address("positions") + index * POSITION_STRIDE;
      if (this.#word(position, POSITION.budget) === slot) return position;
      index = this.#word(position, POSITION.next);
    }
    return this.#base + slot * BUDGET_STRIDE;
  }
}
