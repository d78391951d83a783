// The budgets and rate limits of one ledger: in the engine, with what is told of them.
import {
  attoToUsd,
  type BudgetPosition,
  type BudgetUnit,
  type Engine,
  EngineError,
  type Refusal,
} from "../engine/index.js";
import { nearestName } from "../nearest-name.js";
import { periodBounds } from "./calendar.js";
import type { BudgetFacts, Decision, GovernanceAlert } from "./decision.js";
import { ConfigurationError } from "./errors.js";
import type { LedgerJournal } from "./journal/open.js";
import type {
  BudgetOption,
  LimitAction,
  LimitOptions,
  LimitScope,
  RateLimitOption,
} from "./limit-options.js";
import type { Notices } from "./notices.js";

/** Where a budget stands. Amounts in its unit, USD as exact decimals. */
export interface BudgetStatus {
  readonly name: string;
  readonly unit: BudgetUnit;
  readonly period: BudgetOption["period"];
  readonly action: LimitAction;
  readonly limit: string;
  readonly spent: string;
  /** Held for calls that are under way. */
  readonly held: string;
  /** Limit less what is spent and held; below 0 when more was spent. */
  readonly remaining: string;
  /** Was more spent than the limit, or a call refused, in this period? */
  readonly isOver: boolean;
  /** ISO 8601, UTC; null for the periods `run` and `total`. */
  readonly periodStart: string | null;
  /** The first instant of the next period; null for the periods `run` and `total`. */
  readonly periodEnd: string | null;
}

/** Whose call it is: its run, and the nodes of that run and of those above it. */
export interface CallOwner {
  readonly runId: string | undefined;
  readonly nodes: readonly number[];
}

interface Limit {
  readonly handle: number;
  /** Another with the same terms takes its place when its amount is changed. */
  option: BudgetOption | RateLimitOption;
  /** Start of the period in which it last refused or passed a call above it; 0 where there is only one. */
  passedIn: number | undefined;
}

function isBudget(option: BudgetOption | RateLimitOption): option is BudgetOption {
  return "period" in option;
}

/** Amount in a unit as decimal text. */
function amountText(amount: bigint, unit: BudgetUnit): string {
  return unit === "usd" ? attoToUsd(amount) : amount.toString();
}

function unitText(unit: BudgetUnit): string {
  return unit === "usd" ? "USD" : unit;
}

function engineScope({ experimentId, runId, ...names }: LimitScope = {}) {
  return { ...names, experiment: experimentId, run: runId };
}

/** How a period is spoken of. */
function periodText(period: BudgetOption["period"]): string {
  return period === "total" ? "in total" : `this ${period}`;
}

/** What should be done about a budget that is used up. */
function remedyOf(option: BudgetOption): string {
  const bounds = periodBounds(option.period, Date.now());
  const wait = bounds && `, or wait until ${new Date(bounds.end).toISOString()}`;
  return `raise its limit${wait ?? ""}`;
}

/** Start of the period that a limit is in; 0 where there is only one. */
function startOf(option: BudgetOption | RateLimitOption): number {
  return isBudget(option) ? (periodBounds(option.period, Date.now())?.start ?? 0) : 0;
}

/** All of a limit but how much of a budget there is. */
function termsOf(option: BudgetOption | RateLimitOption): string {
  const { scope = {}, name, action } = option;
  const named = Object.entries(scope).filter(([, value]) => value !== undefined);
  const rest = isBudget(option)
    ? [option.period, option.unit ?? "usd", option.alertAt]
    : [option.operations, option.per];
  return JSON.stringify([name, action, named.sort(), ...rest]);
}

/** Under which name it is known that a limit was told to be passed. */
function overKey(option: BudgetOption, runId: string | undefined): string {
  return `over ${option.name} ${option.period === "run" ? runId : startOf(option)}`;
}

export class Limits {
  /** Are there none at all? Then nothing is ever asked here. */
  readonly isEmpty: boolean;
  /** Does any of them refuse calls? */
  readonly mayBlock: boolean;
  /** Does any that refuses calls count single runs? */
  readonly holdRuns: boolean;

  readonly #engine: Engine;
  readonly #notices: Notices;
  readonly #onAlert: ((alert: GovernanceAlert) => unknown) | undefined;
  readonly #limits = new Map<number, Limit>();

  /** @throws {ConfigurationError} for what the engine cannot hold. */
  constructor(
    engine: Engine,
    { budgets, rateLimits }: LimitOptions,
    notices: Notices,
    onAlert: ((alert: GovernanceAlert) => unknown) | undefined,
    journal?: LedgerJournal,
  ) {
    this.#engine = engine;
    this.#notices = notices;
    this.#onAlert = onAlert;
    for (const option of budgets) {
      const { name, limit, period, unit = "usd", action = "warn", alertAt = [] } = option;
      const scope = engineScope(option.scope);
      this.#add(option, () => {
        const spent = journal?.spentBefore(option);
        const before = spent === undefined ? {} : { spent };
        const budget = { name, limit, period, unit, action, alertAt, scope, ...before };
        const handle = engine.addBudget(budget);
        journal?.watch(option, handle);
        return handle;
      });
    }
    for (const option of rateLimits) {
      const { name, operations, per, action = "block" } = option;
      const scope = engineScope(option.scope);
      this.#add(option, () => engine.addRateLimit({ name, operations, per, action, scope }));
    }
    this.isEmpty = this.#limits.size === 0;
    this.holdRuns =
      budgets.some(
        ({ action, period, scope }) =>
          action === "block" && (period === "run" || scope?.runId !== undefined),
      ) || rateLimits.some(({ action, scope }) => action !== "warn" && scope?.runId !== undefined);
    this.mayBlock =
      budgets.some(({ action }) => action === "block") ||
      rateLimits.some(({ action }) => action !== "warn");
  }

  #add(option: BudgetOption | RateLimitOption, add: () => number): void {
    try {
      const handle = add();
      this.#limits.set(handle, { handle, option, passedIn: undefined });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const field = isBudget(option) ? "budgets" : "rateLimits";
      const at = `${field}.${option.name}`;
      throw new ConfigurationError("INVALID_OPTION", at, error.value, `${at}: ${error.message}`);
    }
  }

  // ── decisions ──────────────────────────────────────────────────────────────────────────────────

  /**
   * Why the engine refused a call. Undefined when it was for want of room alone, where no limit blocks
   * anything: the call may go on then.
   */
  refusal(refusal: Refusal, operation: string, owner: CallOwner): Decision | undefined {
    const limit = this.#limits.get(refusal.budget ?? 0);
    if (limit === undefined) {
      if (!this.mayBlock) return undefined;
      return {
        result: "BLOCKED",
        reasonCode: "BUDGET_RESERVATION_FAILED",
        policy: "budget",
        limit: "budgets",
        reason: `${operation} was not sent: too many calls are under way for another to be held against the budgets; wait for some of them`,
      };
    }
    const { option } = limit;
    limit.passedIn = startOf(option);
    if (!isBudget(option)) return { result: "RATE_LIMITED", ...this.#limited(option, operation) };
    const facts = this.#facts(limit.handle, option, owner.nodes);
    return {
      result: "BLOCKED",
      reasonCode: refusal.reasonCode,
      policy: `budget.${option.name}`,
      limit: option.name,
      reason: `${operation} was not sent: budget ${JSON.stringify(option.name)} has ${facts.remaining} of ${facts.allocated} ${unitText(facts.unit)} left ${periodText(option.period)}; ${remedyOf(option)}`,
      budget: facts,
    };
  }

  /** Which limit let a call pass with a warning. */
  warning(handle: number, operation: string, owner: CallOwner): Decision | undefined {
    const limit = this.#limits.get(handle);
    if (limit === undefined) return undefined;
    const { option } = limit;
    if (!isBudget(option)) {
      const limited = this.#limited(option, operation);
      const minute = Math.floor(Date.now() / 60_000);
      this.#notices.once(`rate ${option.name} ${minute}`, () => limited.reason);
      return { result: "WARNING", ...limited };
    }
    const facts = this.#facts(limit.handle, option, owner.nodes);
    const reason = `budget ${JSON.stringify(option.name)} is passed: ${facts.consumed} of ${facts.allocated} ${unitText(facts.unit)} are spent or held ${periodText(option.period)}; ${remedyOf(option)}`;
    // What many runs have spent cannot be asked for all at once, so it is noted.
    if (option.period === "run") limit.passedIn = 0;
    this.#notices.once(overKey(option, owner.runId), () => reason);
    return {
      result: "WARNING",
      reasonCode: "BUDGET_EXCEEDED",
      policy: `budget.${option.name}`,
      limit: option.name,
      reason,
      budget: facts,
    };
  }

  #limited(option: RateLimitOption, operation: string) {
    return {
      reasonCode: "RATE_LIMITED",
      policy: `rateLimit.${option.name}`,
      limit: option.name,
      reason: `${operation} is above rate limit ${JSON.stringify(option.name)} of ${option.operations} operations a ${option.per}; send fewer calls (a batch is one), or try again in a ${option.per}`,
    };
  }

  #facts(handle: number, option: BudgetOption, nodes: readonly number[]): BudgetFacts {
    const position = this.#position(handle, option, nodes);
    const { unit, limit, spent, held, remaining } = position;
    return {
      name: option.name,
      unit,
      period: option.period,
      allocated: amountText(limit, unit),
      consumed: amountText(spent + held, unit),
      remaining: amountText(remaining, unit),
    };
  }

  /** Of the run that has least left, for budgets of runs: one above may be what decides. */
  #position(handle: number, option: BudgetOption, nodes: readonly number[]): BudgetPosition {
    let least: BudgetPosition | undefined;
    for (const node of option.period === "run" ? nodes : []) {
      let position: BudgetPosition;
      try {
        position = this.#engine.budget(handle, node);
      } catch {
        continue; // Folded to make room; its position went with it.
      }
      if (least === undefined || position.remaining < least.remaining) least = position;
    }
    return least ?? this.#engine.budget(handle);
  }

  // ── alerts ─────────────────────────────────────────────────────────────────────────────────────

  /** The alerts that were fired since they were last taken; told to the logger and the user's hook. */
  takeAlerts(): readonly GovernanceAlert[] {
    return this.#engine.takeAlerts().flatMap(({ budget, share, spent, limit, run }) => {
      const option = this.#limits.get(budget)?.option;
      if (option === undefined || !isBudget(option)) return [];
      const { name, period, unit = "usd" } = option;
      const alert: GovernanceAlert = {
        budget: name,
        unit,
        period,
        share,
        spent: amountText(spent, unit),
        limit: amountText(limit, unit),
        ...(run !== undefined && { runId: run }),
      };
      this.#tell(option, alert);
      return [alert];
    });
  }

  #tell(option: BudgetOption, alert: GovernanceAlert): void {
    const { budget, unit, period, share, spent, limit, runId } = alert;
    const whose = runId === undefined ? "" : ` by run ${runId}`;
    // Who was told that it is passed knows that it came so far.
    if (share !== 1 || !this.#notices.wasTold(overKey(option, runId)))
      this.#notices.once(
        `alert ${budget} ${share} ${runId ?? startOf(option)}`,
        () =>
          `budget ${JSON.stringify(budget)} came to ${Number((share * 100).toFixed(4))} % of its limit: ${spent} of ${limit} ${unitText(unit)} are spent ${periodText(period)}${whose}`,
      );
    if (this.#onAlert !== undefined) this.#notices.callHook("onBudgetAlert", this.#onAlert, alert);
  }

  // ── changing ───────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes over the amounts of these budgets; what is spent stays spent. Answers the names of the limits that a ledger
   * at work cannot change: those that are not there yet or any more, and whose other terms differ.
   */
  adjust({ budgets, rateLimits }: LimitOptions): readonly string[] {
    const wanted = new Map([...budgets, ...rateLimits].map((option) => [termsOf(option), option]));
    const unchanged: string[] = [];
    for (const limit of this.#limits.values()) {
      const terms = termsOf(limit.option);
      const option = wanted.get(terms);
      wanted.delete(terms);
      if (option === undefined) unchanged.push(limit.option.name);
      else if (isBudget(option)) this.#setAmount(limit, option);
    }
    for (const { name } of wanted.values()) unchanged.push(name);
    return [...new Set(unchanged)];
  }

  #setAmount(limit: Limit, option: BudgetOption): void {
    const { limit: before } = this.#engine.budget(limit.handle);
    this.#engine.setLimit(limit.handle, option.limit);
    limit.option = option;
    // A call that it refused would pass it now, or will be refused again.
    if (this.#engine.budget(limit.handle).limit > before) limit.passedIn = undefined;
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────

  /** Where each budget stands; one with the period `run` without a run: what runs share for want of room. */
  statuses(): BudgetStatus[] {
    return [...this.#limits.values()].flatMap((limit) =>
      isBudget(limit.option) ? [this.#status(limit, limit.option, [])] : [],
    );
  }

  /** Where a budget stands for one run. @throws {ConfigurationError} for a name that is no budget's. */
  status(name: string, runNode?: number): BudgetStatus {
    const budgets = [...this.#limits.values()].filter(({ option }) => isBudget(option));
    const found = budgets.find(({ option }) => option.name === name);
    if (found !== undefined && isBudget(found.option)) {
      return this.#status(found, found.option, runNode === undefined ? [] : [runNode]);
    }
    const names = budgets.map(({ option }) => option.name);
    const suggestion = nearestName(String(name), names);
    const known = names.length === 0 ? "there is none" : `they are ${names.join(", ")}`;
    throw new ConfigurationError(
      "INVALID_OPTION",
      "name",
      name,
      `name: ${JSON.stringify(name)} is no budget; ${suggestion === undefined ? known : `did you mean ${JSON.stringify(suggestion)}?`}`,
      suggestion,
    );
  }

  #status(limit: Limit, option: BudgetOption, nodes: readonly number[]): BudgetStatus {
    const position = this.#position(limit.handle, option, nodes);
    const { unit, action, spent, held, remaining } = position;
    const bounds = periodBounds(option.period, Date.now());
    return {
      name: option.name,
      unit,
      period: option.period,
      action,
      limit: amountText(position.limit, unit),
      spent: amountText(spent, unit),
      held: amountText(held, unit),
      remaining: amountText(remaining, unit),
      isOver: spent > position.limit || limit.passedIn === startOf(option),
      periodStart: bounds === undefined ? null : new Date(bounds.start).toISOString(),
      periodEnd: bounds === undefined ? null : new Date(bounds.end).toISOString(),
    };
  }

  /** Is any budget passed, or used up so far that it refused a call, in its current period? */
  get isOver(): boolean {
    return this.statuses().some(({ isOver }) => isOver);
  }
}
