// A plain twin of the ledger in Maps and bigint: slow, unbounded, and simple enough to be believed.
import type {
  BudgetOptions,
  BudgetPosition,
  BudgetScope,
  EngineOperation,
  EngineSummary,
  RateLimitOptions,
} from "../../src/engine/index.js";

/** What a refused call throws; the code is the engine's own. */
export class Refused extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

export interface Payer {
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly customerId?: string | undefined;
  readonly environment?: string | undefined;
  readonly costCenter?: string | undefined;
  readonly context?: string | undefined;
}

/** An exact price of one unit, in atto-USD. */
export interface Rate {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

type Status = "FINISHED" | "FAILED" | "KILLED";

interface Node {
  readonly run: string | undefined;
  payer: Payer;
  parent: Node | undefined;
  experiment: string | undefined;
  model: string | undefined;
  stub: boolean;
  status: Status | undefined;
  /** It was folded: its handle is of no use any more. */
  gone: boolean;
  /** Live nodes below it, and tickets that are not settled. */
  needed: number;
  own: bigint;
  /** What was folded into it. */
  folded: bigint;
  /** Operations that change something. */
  counted: number;
  errors: number;
}

interface Entry {
  reserved: bigint;
  charged: bigint | undefined;
}

interface Ticket {
  node: Node;
  readonly operation: number;
  readonly entries: Map<number, Entry>;
  readonly version: number;
  readonly now: number;
  readonly latest: number;
  touched: number;
  number: number;
  held: bigint;
  bytes: bigint;
  state: "open" | "expired" | "done";
  warned: boolean;
  /** A rate limit had no call left for it. */
  tokenless: boolean;
}

interface Position {
  spent: bigint;
  held: bigint;
  fired: Set<number>;
}

interface Budget {
  readonly options: BudgetOptions | RateLimitOptions;
  readonly scope: BudgetScope;
  readonly unit: "usd" | "operations" | "runs" | "bytes";
  readonly period: string;
  readonly offset: number;
  readonly block: boolean;
  readonly alertAt: readonly number[];
  readonly born: number;
  limit: bigint;
  live: boolean;
  current: number;
  positions: Map<number, Position>;
  readonly ofRuns: Map<Node, Position>;
  /** Tokens in units of one by the period's ms, and when they were counted. */
  level: bigint;
  counted: number;
}

interface Lease {
  readonly budget: Budget;
  readonly now: number;
  readonly latest: number;
  readonly number: number;
  left: bigint;
  open: boolean;
}

interface Cell {
  cost: bigint;
  quantity: bigint;
  count: number;
  items: number;
  errors: number;
  unpricedCount: number;
  unpricedQuantity: bigint;
}

interface Used {
  readonly cost: bigint;
  readonly bytes: bigint;
  readonly counted: boolean;
  readonly startsRun: boolean;
}

interface Prices {
  readonly operations: readonly (bigint | undefined)[];
  readonly rates: (Rate | undefined)[];
}

/** Why a call may not run. */
export interface TwinRefusal {
  readonly refused: "BLOCKED" | "RATE_LIMITED";
}

const DAY = 86_400_000;
const QUANTITY_MAX = Number.MAX_SAFE_INTEGER;
const NOBODY = "(unattributed)";
const FOLDED = "(folded)";
const BYTES = /^(storage\..+|egress(\..+)?)$/;
const PAYER_KEYS = [
  "team",
  "project",
  "customerId",
  "environment",
  "costCenter",
  "context",
] as const;

/** Quotient rounded to the nearest whole number, ties to the even one. */
export function halfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  if (twice < denominator) return quotient;
  if (twice > denominator) return quotient + 1n;
  return quotient % 2n === 0n ? quotient : quotient + 1n;
}

/** Decimal USD text as atto-USD, for text that this test wrote itself. */
export function atto(usd: string): bigint {
  const [whole = "0", fraction = ""] = usd.split(".");
  return BigInt(whole) * 10n ** 18n + BigInt(fraction.padEnd(18, "0"));
}

function checkQuantity(quantity: number): bigint {
  if (!Number.isInteger(quantity) || quantity < 0 || quantity > QUANTITY_MAX) {
    throw new Refused("INVALID_QUANTITY");
  }
  return BigInt(quantity);
}

function samePayer(a: Payer, b: Payer): boolean {
  return PAYER_KEYS.every((key) => (a[key] ?? "") === (b[key] ?? ""));
}

function addTo(amounts: Record<string, bigint>, key: string, amount: bigint): void {
  // A plain assignment to "__proto__" would set the prototype instead.
  const before = Object.hasOwn(amounts, key) ? (amounts[key] ?? 0n) : 0n;
  Object.defineProperty(amounts, key, {
    value: before + amount,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** Number of the period that a time belongs to. */
export function periodOf(period: string, offsetMinutes: number, time: number): number {
  const date = new Date(Math.max(0, time + offsetMinutes * 60_000));
  const day = Math.floor(date.getTime() / DAY);
  if (period === "hour") return Math.floor(date.getTime() / 3_600_000);
  if (period === "day") return day;
  if (period === "week") return Math.floor((day + 3) / 7);
  if (period === "month") return date.getUTCFullYear() * 12 + date.getUTCMonth();
  return 0;
}

function fresh(): Position {
  return { spent: 0n, held: 0n, fired: new Set() };
}

/** The least whole amount that is this share of a limit. */
function threshold(limit: bigint, share: number): bigint {
  const scaled = BigInt(Math.round(share * 1e6));
  return (limit * scaled + 999_999n) / 1_000_000n;
}

export class Twin {
  readonly nodes: Node[] = [];
  readonly tickets: Ticket[] = [];
  readonly #runs = new Map<string, Node>();
  readonly #cells = new Map<number, Map<number, Cell>>();
  readonly #days = new Map<number, bigint>();
  readonly #meters: string[] = [];
  readonly #prices: Prices[];
  /** Finished nodes that nothing needs, in the order in which that came to be. */
  #queue: Node[] = [];
  /** Open tickets, the one left alone for longest first; and those that expired. */
  #open: Ticket[] = [];
  #expired: Ticket[] = [];
  readonly #budgets: Budget[] = [];
  readonly #ghosts: Node[] = [];
  readonly #foldedAway: Record<string, bigint> = {};
  #total = 0n;
  /** A clock that shows 0 was never set. */
  #now = 0;
  #latest = 0;
  #numbers = 0;
  #decisions = 0;
  #overruns = 0;
  #late = 0;
  #refused = 0;
  lastCost = 0n;
  lastReserved = 0n;

  constructor(
    readonly operations: readonly EngineOperation[],
    readonly timeToLive = 3_600_000,
  ) {
    this.#meters.push(NOBODY);
    this.#prices = [
      {
        operations: operations.map(({ price }) => (price === null ? undefined : atto(price))),
        rates: [{ numerator: 0n, denominator: 1n }],
      },
    ];
  }

  // ── prices ─────────────────────────────────────────────────────────────────────────────────────

  /** Adds a meter; its id is the number of meters before it. */
  addMeter(name: string, rate: Rate | undefined): number {
    for (const prices of this.#prices) prices.rates.push(undefined);
    const current = this.#prices.at(-1) as Prices;
    current.rates[this.#meters.length] = rate;
    return this.#meters.push(name) - 1;
  }

  setPrices(operations: Readonly<Record<number, string>>, rates: Readonly<Record<number, Rate>>) {
    const before = this.#prices.at(-1) as Prices;
    this.#prices.push({
      operations: before.operations.map((price, id) => {
        const given = operations[id];
        return given === undefined ? price : atto(given);
      }),
      rates: before.rates.map((rate, id) => rates[id] ?? rate),
    });
  }

  get #version(): number {
    return this.#prices.length - 1;
  }

  #price(operation: number, version = this.#version): bigint | undefined {
    return this.#prices[version]?.operations[operation];
  }

  /** Price of a quantity; undefined when its rate is unknown. */
  #metered(meter: number, quantity: bigint, version = this.#version): bigint | undefined {
    const rate = this.#prices[version]?.rates[meter];
    if (rate === undefined) return undefined;
    const amount = halfEven(quantity * rate.numerator, rate.denominator);
    if (amount >= 1n << 96n) throw new Refused("AMOUNT_TOO_LARGE");
    return amount;
  }

  #meter(id: number): string {
    const meter = this.#meters[id];
    if (meter === undefined) throw new Refused("UNKNOWN_METER");
    return meter;
  }

  #operation(id: number): EngineOperation {
    const operation = this.operations[id];
    if (operation === undefined) throw new Refused("UNKNOWN_OPERATION");
    return operation;
  }

  // ── nodes ──────────────────────────────────────────────────────────────────────────────────────

  #node(run: string | undefined, payer: Payer, parent: Node | undefined, stub: boolean): Node {
    const node: Node = {
      run,
      payer,
      parent,
      experiment: undefined,
      model: undefined,
      stub,
      status: undefined,
      gone: false,
      needed: 0,
      own: 0n,
      folded: 0n,
      counted: 0,
      errors: 0,
    };
    this.nodes.push(node);
    if (run !== undefined) this.#runs.set(run, node);
    return node;
  }

  #alive(node: Node | undefined): Node {
    if (node === undefined || node.gone) throw new Refused("INVALID_HANDLE");
    return node;
  }

  #need(node: Node | undefined): void {
    if (node === undefined) return;
    this.#queue = this.#queue.filter((other) => other !== node);
    node.needed++;
  }

  #unneed(node: Node | undefined): void {
    if (node === undefined) return;
    node.needed--;
    this.#queueWhenDone(node);
  }

  #queueWhenDone(node: Node): void {
    const done = node.stub || node.status !== undefined;
    if (done && node.needed === 0 && !this.#queue.includes(node)) this.#queue.push(node);
  }

  openRun(
    run: string,
    parentRun: string | undefined,
    experiment: string | undefined,
    payer: Payer,
  ) {
    if (run === parentRun) throw new Refused("PARENT_CYCLE");
    const existing = this.#runs.get(run);
    this.#need(existing);
    try {
      return this.#opened(existing, run, parentRun, experiment, payer);
    } finally {
      this.#unneed(existing);
    }
  }

  #opened(
    existing: Node | undefined,
    run: string,
    parentRun: string | undefined,
    experiment: string | undefined,
    payer: Payer,
  ): Node {
    if (existing !== undefined && !existing.stub) {
      const same =
        samePayer(existing.payer, payer) &&
        (existing.experiment ?? "") === (experiment ?? "") &&
        existing.parent?.run === (parentRun || undefined);
      if (!same) throw new Refused("ATTRIBUTION_IMMUTABLE");
      return existing;
    }
    const known = parentRun ? this.#runs.get(parentRun) : undefined;
    if (existing !== undefined) {
      for (let above = known; above !== undefined; above = above.parent) {
        if (above === existing) throw new Refused("PARENT_CYCLE");
      }
    }
    const parent = known ?? (parentRun ? this.#node(parentRun, {}, undefined, true) : undefined);
    this.#need(parent);
    const node = existing ?? this.#node(run, payer, parent, false);
    // What is open there or below comes under other budgets.
    const moved =
      existing === undefined ? [] : this.#open.filter((ticket) => this.#isBelow(ticket, existing));
    for (const ticket of moved) this.#hold(ticket, -1n);
    node.payer = payer;
    node.parent = parent;
    node.experiment = experiment;
    node.stub = false;
    this.#attach(node);
    for (const ticket of moved) this.#hold(ticket, 1n);
    return node;
  }

  #isBelow(ticket: Ticket, node: Node): boolean {
    for (let at: Node | undefined = ticket.node; at !== undefined; at = at.parent) {
      if (at === node) return true;
    }
    return false;
  }

  openScope(
    parent: Node | undefined,
    experiment: string | undefined,
    model: string | undefined,
    payer: Payer,
  ) {
    if (parent?.gone) throw new Refused("INVALID_HANDLE");
    const node = this.#node(undefined, payer, parent, false);
    this.#need(parent);
    node.experiment = experiment;
    node.model = model;
    return node;
  }

  finishRun(given: Node | undefined, status: Status = "FINISHED"): void {
    const node = this.#alive(given);
    if (node.status !== undefined) return;
    node.status = status;
    this.#queueWhenDone(node);
  }

  /** Folds up to `max` finished runs, and the scopes and stubs among them. Answers the runs' ids and costs. */
  drain(max: number): [string, bigint][] {
    const drained: [string, bigint][] = [];
    while (drained.length < max) {
      const node = this.#queue.shift();
      if (node === undefined) break;
      if (node.run !== undefined && !node.stub) drained.push([node.run, node.own + node.folded]);
      this.#fold(node);
    }
    return drained;
  }

  #fold(node: Node): void {
    let above = node.parent;
    while (above !== undefined && above.run === undefined) above = above.parent;
    const moved = node.own + node.folded;
    if (above !== undefined) {
      above.folded += moved;
      above.counted += node.counted;
      above.errors += node.errors;
    } else {
      addTo(this.#foldedAway, node.run === undefined ? NOBODY : FOLDED, moved);
    }
    node.gone = true;
    this.#ghosts.push(node);
    this.nodes.splice(this.nodes.indexOf(node), 1);
    if (node.run !== undefined) this.#runs.delete(node.run);
    for (const budget of this.#budgets) budget.ofRuns.delete(node);
    this.#unneed(node.parent);
  }

  // ── the clock ──────────────────────────────────────────────────────────────────────────────────

  tick(now: number): void {
    if (!(now >= 0 && now < 2.5e14)) throw new Refused("CLOCK_JUMP");
    if (this.#latest > 0 && now > this.#latest + 400 * DAY) throw new Refused("CLOCK_JUMP");
    this.#now = now;
    const first = this.#latest === 0;
    this.#latest = Math.max(this.#latest, now);
    for (const budget of this.#budgets) {
      const number = periodOf(budget.period, budget.offset, this.#latest);
      if (number <= budget.current) continue;
      if (first) {
        // It says which period it is; none begins.
        budget.positions = new Map([[number, budget.positions.get(budget.current) ?? fresh()]]);
        budget.current = number;
        continue;
      }
      const last = budget.positions.get(budget.current);
      budget.positions = new Map([[number, fresh()]]);
      if (last && number === budget.current + 1) budget.positions.set(budget.current, last);
      budget.current = number;
    }
    while (this.#open[0] && this.#latest - this.#open[0].touched >= this.timeToLive) {
      const ticket = this.#open.shift() as Ticket;
      this.#hold(ticket, -1n);
      ticket.state = "expired";
      this.#expired.push(ticket);
    }
  }

  /** The day that the clock shows, or the older of the two that are kept. */
  #bookingDay(time = this.#now): number {
    const latest = Math.floor(this.#latest / DAY);
    return Math.max(Math.floor(time / DAY), latest - 1);
  }

  dayTotal(): bigint {
    return this.#days.get(this.#bookingDay()) ?? 0n;
  }

  // ── budgets ────────────────────────────────────────────────────────────────────────────────────

  addBudget(options: BudgetOptions): Budget {
    const unit = options.unit ?? "usd";
    const amount = (value: unknown) =>
      unit === "usd" ? atto(String(value)) : BigInt(value as number);
    const current = periodOf(options.period, options.offsetMinutes ?? 0, this.#latest);
    const budget: Budget = {
      options,
      scope: options.scope ?? {},
      unit,
      period: options.period,
      offset: options.offsetMinutes ?? 0,
      block: options.action === "block",
      alertAt: options.alertAt ?? [],
      born: this.#numbers,
      limit: amount(options.limit),
      live: true,
      current,
      positions: new Map([[current, fresh()]]),
      ofRuns: new Map(),
      level: 0n,
      counted: 0,
    };
    const position = budget.positions.get(current) as Position;
    if (options.spent !== undefined && options.period !== "run") {
      position.spent = amount(options.spent);
    }
    this.#budgets.push(budget);
    this.#fireSpent(budget);
    for (const node of this.nodes) this.#attachTo(budget, node);
    return budget;
  }

  addRateLimit(options: RateLimitOptions): Budget {
    const periodMs = options.per === "second" ? 1000 : 60_000;
    const budget: Budget = {
      options,
      scope: options.scope ?? {},
      unit: "operations",
      period: options.per,
      offset: 0,
      block: options.action !== "warn",
      alertAt: [],
      born: this.#numbers,
      limit: BigInt(options.operations),
      live: true,
      current: 0,
      positions: new Map(),
      ofRuns: new Map(),
      level: BigInt(options.burst ?? options.operations) * BigInt(periodMs),
      counted: Math.floor(this.#latest),
    };
    this.#budgets.push(budget);
    return budget;
  }

  removeBudget(budget: Budget | undefined): void {
    if (!budget?.live) throw new Refused("INVALID_HANDLE");
    budget.live = false;
    this.#budgets.splice(this.#budgets.indexOf(budget), 1);
  }

  setLimit(budget: Budget | undefined, limit: string | number): void {
    if (!budget?.live) throw new Refused("INVALID_HANDLE");
    budget.limit = budget.unit === "usd" ? atto(String(limit)) : BigInt(limit);
    this.#fireSpent(budget);
  }

  /** What was spent already may have come to some alerts. */
  #fireSpent(budget: Budget): void {
    for (const position of [budget.positions.get(budget.current), ...budget.ofRuns.values()]) {
      if (position && position.spent !== 0n) this.#spend(budget, position, 0n);
    }
  }

  position(budget: Budget | undefined, run?: Node): Omit<BudgetPosition, "name"> {
    if (!budget?.live) throw new Refused("INVALID_HANDLE");
    const position =
      (run && budget.ofRuns.get(run)) ?? budget.positions.get(budget.current) ?? fresh();
    const previous =
      run && budget.ofRuns.has(run) ? undefined : budget.positions.get(budget.current - 1);
    return {
      unit: budget.unit,
      period: budget.period as BudgetPosition["period"],
      action: budget.block ? "block" : "warn",
      limit: budget.limit,
      spent: position.spent,
      held: position.held,
      remaining: budget.limit - position.spent - position.held,
      previous: { spent: previous?.spent ?? 0n, held: previous?.held ?? 0n },
      alerts: budget.alertAt.filter((share) => position.fired.has(share)),
    };
  }

  runPositions(budget: Budget): [Node, Position][] {
    return [...budget.ofRuns];
  }

  #isRate(budget: Budget): boolean {
    return budget.period === "second" || budget.period === "minute";
  }

  #above(node: Node): Node | undefined {
    const { parent } = node;
    return parent && samePayer(parent.payer, node.payer) ? parent : undefined;
  }

  #covers(budget: Budget, node: Node): boolean {
    const { run, experiment, model, ...payer } = budget.scope;
    if (experiment !== undefined && (node.experiment ?? "") !== experiment) return false;
    if (model !== undefined && (node.model ?? "") !== model) return false;
    for (const key of PAYER_KEYS) {
      if (payer[key] !== undefined && (node.payer[key] ?? "") !== payer[key]) return false;
    }
    if (run === undefined) return true;
    for (let at: Node | undefined = node; at !== undefined; at = this.#above(at)) {
      if (at.run === run) return true;
    }
    return false;
  }

  #attach(node: Node): void {
    for (const budget of this.#budgets) this.#attachTo(budget, node);
  }

  #attachTo(budget: Budget, node: Node): void {
    if (budget.period !== "run" || node.run === undefined || node.stub) return;
    if (!budget.ofRuns.has(node) && this.#covers(budget, node)) budget.ofRuns.set(node, fresh());
  }

  /** The position of a budget for a time; undefined when its period is kept no longer. */
  #placed(budget: Budget, now: number, latest: number): Position | undefined {
    const own = periodOf(budget.period, budget.offset, now);
    const then = periodOf(budget.period, budget.offset, latest);
    return this.#kept(budget, Math.max(own, then - 1));
  }

  #kept(budget: Budget, number: number): Position | undefined {
    const { positions, current } = budget;
    if (number >= current) return positions.get(current);
    if (number < current - 1) return undefined;
    const last = positions.get(number) ?? fresh();
    positions.set(number, last);
    return last;
  }

  #oldest(budget: Budget): Position {
    return this.#kept(budget, budget.current - 1) as Position;
  }

  /** Every budget that a node counts on, with a way to its position. */
  #budgetsOf(node: Node): { budget: Budget; ofRun: Position | undefined }[] {
    const found: { budget: Budget; ofRun: Position | undefined }[] = [];
    for (const budget of this.#budgets) {
      if (budget.period !== "run") {
        if (this.#covers(budget, node)) found.push({ budget, ofRun: undefined });
        continue;
      }
      for (let at: Node | undefined = node; at !== undefined; at = this.#above(at)) {
        const ofRun = budget.ofRuns.get(at);
        if (ofRun) found.push({ budget, ofRun });
      }
    }
    return found;
  }

  #needs(budget: Budget, used: Used): bigint {
    if (budget.unit === "usd") return used.cost;
    if (budget.unit === "operations") return used.counted ? 1n : 0n;
    if (budget.unit === "runs") return used.startsRun ? 1n : 0n;
    return used.bytes;
  }

  #refill(budget: Budget): bigint {
    const options = budget.options as RateLimitOptions;
    const periodMs = BigInt(options.per === "second" ? 1000 : 60_000);
    const passed = Math.floor(this.#latest) - budget.counted;
    if (passed > 0) {
      const full = BigInt(options.burst ?? options.operations) * periodMs;
      const level = budget.level + BigInt(passed) * budget.limit;
      budget.level = level > full ? full : level;
      budget.counted += passed;
    }
    return periodMs;
  }

  /** Adds to what is spent. Answers whether the budget is above its limit now. */
  #spend(budget: Budget, position: Position, amount: bigint): boolean {
    position.spent += amount;
    for (const share of budget.alertAt) {
      if (position.spent >= threshold(budget.limit, share) && !position.fired.has(share)) {
        position.fired.add(share);
        this.alerts.push(`${budget.options.name} ${share}`);
      }
    }
    return position.spent > budget.limit;
  }

  /** Alerts that were fired and not taken. */
  alerts: string[] = [];

  #used(operation: number, cost: bigint, bytes: bigint): Used {
    const { counted, startsRun } = this.#operation(operation);
    return { cost, bytes, counted, startsRun };
  }

  // ── booking ────────────────────────────────────────────────────────────────────────────────────

  #cell(operation: number, meter: number): Cell {
    const cells = this.#cells.get(operation) ?? new Map<number, Cell>();
    this.#cells.set(operation, cells);
    let cell = cells.get(meter);
    if (cell === undefined) {
      cell = {
        cost: 0n,
        quantity: 0n,
        count: 0,
        items: 0,
        errors: 0,
        unpricedCount: 0,
        unpricedQuantity: 0n,
      };
      cells.set(meter, cell);
    }
    return cell;
  }

  #bytes(quantities: readonly (readonly [meter: number, quantity: bigint])[]): bigint {
    return quantities.reduce(
      (sum, [meter, quantity]) => (BYTES.test(this.#meter(meter)) ? sum + quantity : sum),
      0n,
    );
  }

  #book(
    node: Node,
    operationId: number,
    quantities: readonly (readonly [meter: number, quantity: bigint])[],
    items: number,
    day: number,
    version: number,
    settled: boolean,
  ): bigint {
    const operation = this.#operation(operationId);
    const call = this.#price(operationId, version);
    const priced = quantities.map(
      ([meter, quantity]) => [meter, quantity, this.#metered(meter, quantity, version)] as const,
    );
    let cost = call ?? 0n;
    for (const [, , amount] of priced) cost += amount ?? 0n;
    if (settled && cost >= 1n << 96n) throw new Refused("AMOUNT_TOO_LARGE");
    if (this.#total + cost >= 1n << 127n) throw new Refused("TOTAL_OVERFLOW");

    for (const [meter, quantity, amount] of priced) {
      const cell = this.#cell(operationId, meter);
      cell.count++;
      cell.quantity += quantity;
      cell.cost += amount ?? 0n;
      if (amount === undefined) {
        cell.unpricedCount++;
        cell.unpricedQuantity += quantity;
      }
    }
    const cell = this.#cell(operationId, 0);
    cell.count++;
    cell.items += items;
    cell.cost += call ?? 0n;
    if (call === undefined) cell.unpricedCount++;
    node.own += cost;
    if (operation.counted) node.counted++;
    this.#decisions++;
    this.#total += cost;
    this.#days.set(day, (this.#days.get(day) ?? 0n) + cost);
    this.lastCost = cost;
    return cost;
  }

  /** Answers whether a budget is above its limit. */
  record(
    given: Node | undefined,
    operation: number,
    meter: number,
    quantity: number,
    items: number,
  ): boolean {
    const node = this.#alive(given);
    this.#operation(operation);
    this.#meter(meter);
    const exact = checkQuantity(quantity);
    if (meter === 0 && exact !== 0n) throw new Refused("UNKNOWN_METER");
    checkQuantity(items);
    const quantities = meter === 0 ? [] : [[meter, exact] as const];
    const day = this.#bookingDay();
    const cost = this.#book(node, operation, quantities, items, day, this.#version, false);
    const used = this.#used(operation, cost, this.#bytes(quantities));
    let warned = false;
    for (const { budget, ofRun } of this.#budgetsOf(node)) {
      if (this.#isRate(budget)) {
        if (!used.counted) continue;
        const token = this.#refill(budget);
        if (budget.level >= token) budget.level -= token;
        else warned = true;
        continue;
      }
      const need = this.#needs(budget, used);
      if (need === 0n) continue;
      const position = ofRun ?? (this.#placed(budget, this.#now, this.#latest) as Position);
      if (this.#spend(budget, position, need)) warned = true;
    }
    return warned;
  }

  #priceEntries(ticket: Ticket): bigint {
    let held = this.#price(ticket.operation, ticket.version) ?? 0n;
    for (const [meter, { reserved }] of ticket.entries) {
      held += this.#metered(meter, reserved, ticket.version) ?? 0n;
    }
    if (held >= 1n << 96n) throw new Refused("AMOUNT_TOO_LARGE");
    return held;
  }

  #reservedBytes(ticket: Ticket): bigint {
    return this.#bytes([...ticket.entries].map(([meter, { reserved }]) => [meter, reserved]));
  }

  /** Is there room for what is used? Throws nothing: answers a refusal, or whether a budget warns. */
  #check(ticket: Ticket, used: Used, rates: boolean): TwinRefusal | boolean {
    let warned = false;
    const refusals: TwinRefusal[] = [];
    for (const { budget, ofRun } of this.#budgetsOf(ticket.node)) {
      let over: boolean;
      if (this.#isRate(budget)) {
        if (!rates || !used.counted) continue;
        const token = this.#refill(budget);
        over = budget.level < token;
      } else {
        const need = this.#needs(budget, used);
        const position = ofRun ?? this.#placed(budget, ticket.now, ticket.latest);
        if (need === 0n || position === undefined || budget.born >= ticket.number) continue;
        over = position.spent + position.held + need > budget.limit;
      }
      if (!over) continue;
      if (budget.block)
        refusals.push({ refused: this.#isRate(budget) ? "RATE_LIMITED" : "BLOCKED" });
      else warned = true;
    }
    if (refusals.length === 0) return warned;
    this.#refused++;
    return refusals[0] as TwinRefusal;
  }

  /** Holds what a ticket holds, or frees it (-1n). */
  #hold(ticket: Ticket, sign: bigint, used = this.#heldBy(ticket)): void {
    for (const { budget, ofRun } of this.#budgetsOf(ticket.node)) {
      if (this.#isRate(budget) || budget.born >= ticket.number) continue;
      const position = ofRun ?? this.#placed(budget, ticket.now, ticket.latest);
      if (position) position.held += sign * this.#needs(budget, used);
    }
  }

  #heldBy(ticket: Ticket): Used {
    return this.#used(ticket.operation, ticket.held, ticket.bytes);
  }

  reserve(
    given: Node | undefined,
    operation: number,
    meter: number,
    quantity: number,
  ): Ticket | TwinRefusal {
    const node = this.#alive(given);
    this.#operation(operation);
    this.#meter(meter);
    const exact = checkQuantity(quantity);
    if (meter === 0 && exact !== 0n) throw new Refused("UNKNOWN_METER");
    const ticket: Ticket = {
      node,
      operation,
      entries: new Map(meter === 0 ? [] : [[meter, { reserved: exact, charged: undefined }]]),
      version: this.#version,
      now: this.#now,
      latest: this.#latest,
      touched: this.#latest,
      number: ++this.#numbers,
      held: 0n,
      bytes: 0n,
      state: "open",
      warned: false,
      tokenless: false,
    };
    ticket.held = this.#priceEntries(ticket);
    ticket.bytes = this.#reservedBytes(ticket);
    this.lastReserved = ticket.held;
    const used = this.#heldBy(ticket);
    const checked = this.#check(ticket, used, true);
    if (typeof checked !== "boolean") return checked;
    ticket.warned = checked;
    this.#hold(ticket, 1n);
    if (used.counted) {
      for (const { budget } of this.#budgetsOf(node)) {
        if (!this.#isRate(budget)) continue;
        const token = this.#refill(budget);
        if (budget.level >= token) budget.level -= token;
        else ticket.tokenless = true;
      }
    }
    this.#need(node);
    this.tickets.push(ticket);
    this.#open.push(ticket);
    return ticket;
  }

  #unsettled(ticket: Ticket | undefined): Ticket {
    if (ticket === undefined) throw new Refused("INVALID_HANDLE");
    if (ticket.state === "done") throw new Refused("TICKET_SETTLED");
    return ticket;
  }

  #entry(ticket: Ticket, meter: number): Entry {
    const known = ticket.entries.get(meter);
    if (known === undefined && ticket.entries.size >= 6) throw new Refused("CAPACITY_EXCEEDED");
    return known ?? { reserved: 0n, charged: undefined };
  }

  #touch(ticket: Ticket): void {
    if (ticket.state !== "open") return;
    ticket.touched = this.#latest;
    this.#open = this.#open.filter((other) => other !== ticket);
    this.#open.push(ticket);
  }

  charge(given: Ticket | undefined, meter: number, quantity: number): void {
    const ticket = this.#unsettled(given);
    if (meter === 0) throw new Refused("UNKNOWN_METER");
    this.#meter(meter);
    const exact = checkQuantity(quantity);
    const entry = this.#entry(ticket, meter);
    const sum = (entry.charged ?? 0n) + exact;
    if (sum > BigInt(QUANTITY_MAX)) throw new Refused("INVALID_QUANTITY");
    ticket.entries.set(meter, { ...entry, charged: sum });
    this.#touch(ticket);
  }

  extend(given: Ticket | undefined, meter: number, quantity: number): TwinRefusal | undefined {
    const ticket = this.#unsettled(given);
    if (meter === 0) throw new Refused("UNKNOWN_METER");
    this.#meter(meter);
    const exact = checkQuantity(quantity);
    const before = ticket.entries.get(meter);
    const entry = this.#entry(ticket, meter);
    const sum = entry.reserved + exact;
    if (sum > BigInt(QUANTITY_MAX)) throw new Refused("INVALID_QUANTITY");
    ticket.entries.set(meter, { ...entry, reserved: sum });
    const putBack = () => {
      if (before) ticket.entries.set(meter, before);
      else ticket.entries.delete(meter);
    };
    let held: bigint;
    try {
      held = this.#priceEntries(ticket);
    } catch (error) {
      putBack();
      throw error;
    }
    const bytes = this.#reservedBytes(ticket);
    if (ticket.state === "open") {
      const used: Used = {
        cost: held - ticket.held,
        bytes: bytes - ticket.bytes,
        counted: false,
        startsRun: false,
      };
      const checked = this.#check(ticket, used, false);
      if (typeof checked !== "boolean") {
        putBack();
        return checked;
      }
      if (checked) ticket.warned = true;
      this.#hold(ticket, 1n, used);
    }
    ticket.held = held;
    ticket.bytes = bytes;
    this.#touch(ticket);
    return undefined;
  }

  assign(given: Ticket | undefined, node: Node | undefined): void {
    const ticket = this.#unsettled(given);
    const to = this.#alive(node);
    if (!samePayer(ticket.node.payer, to.payer)) throw new Refused("PAYER_MISMATCH");
    const holds = ticket.state === "open";
    if (holds) this.#hold(ticket, -1n);
    this.#need(to);
    const before = ticket.node;
    ticket.node = to;
    ticket.number = ++this.#numbers;
    if (holds) this.#hold(ticket, 1n);
    this.#unneed(before);
  }

  #end(ticket: Ticket): void {
    if (ticket.state === "open") this.#hold(ticket, -1n);
    ticket.state = "done";
    this.#open = this.#open.filter((other) => other !== ticket);
    this.#expired = this.#expired.filter((other) => other !== ticket);
    this.#unneed(ticket.node);
  }

  release(given: Ticket | undefined): void {
    const ticket = this.#unsettled(given);
    if (this.#operation(ticket.operation).counted && !ticket.tokenless) {
      for (const { budget } of this.#budgetsOf(ticket.node)) {
        if (!this.#isRate(budget) || budget.born >= ticket.number) continue;
        const options = budget.options as RateLimitOptions;
        const token = this.#refill(budget);
        const full = BigInt(options.burst ?? options.operations) * token;
        budget.level = budget.level + token > full ? full : budget.level + token;
      }
    }
    this.#end(ticket);
  }

  /** Answers whether more was charged than held, and whether a budget is above its limit. */
  settle(
    given: Ticket | undefined,
    failed: boolean,
    items: number,
  ): { readonly overrun: boolean; readonly warned: boolean; readonly late: boolean } {
    const ticket = this.#unsettled(given);
    checkQuantity(items);
    const late = ticket.state === "expired";
    let overrun = false;
    let warned = false;
    if (failed) {
      this.#cell(ticket.operation, 0).errors++;
      ticket.node.errors++;
      this.#decisions++;
      this.lastCost = 0n;
    } else {
      const entries = [...ticket.entries];
      const charged = entries.some(([, entry]) => entry.charged !== undefined);
      const quantities = entries
        .filter(([, entry]) => !charged || entry.charged !== undefined)
        .map(
          ([meter, entry]) =>
            [meter, charged ? (entry.charged as bigint) : entry.reserved] as const,
        );
      const day = this.#bookingDay(ticket.now);
      const { node, operation, version } = ticket;
      const cost = this.#book(node, operation, quantities, items, day, version, true);
      overrun = cost > ticket.held;
      if (overrun) this.#overruns++;
      warned = ticket.warned;
      const used = this.#used(operation, cost, this.#bytes(quantities));
      for (const { budget, ofRun } of this.#budgetsOf(node)) {
        const need = this.#isRate(budget) ? 0n : this.#needs(budget, used);
        if (need === 0n) continue;
        const position =
          ofRun ?? this.#placed(budget, ticket.now, ticket.latest) ?? this.#oldest(budget);
        if (this.#spend(budget, position, need)) warned = true;
      }
    }
    if (late) this.#late++;
    this.#end(ticket);
    return { overrun, warned, late };
  }

  // ── leases ─────────────────────────────────────────────────────────────────────────────────────

  grant(budget: Budget | undefined, amount: string | number): Lease | TwinRefusal {
    if (!budget?.live) throw new Refused("INVALID_HANDLE");
    const wanted = budget.unit === "usd" ? atto(String(amount)) : BigInt(amount);
    if (budget.period === "run" || this.#isRate(budget)) throw new Refused("INVALID_OPTION");
    const position = this.#placed(budget, this.#now, this.#latest) as Position;
    const left = budget.limit - position.spent - position.held;
    const granted = budget.block && left < wanted ? left : wanted;
    if (granted <= 0n) return { refused: "BLOCKED" };
    position.held += granted;
    return {
      budget,
      now: this.#now,
      latest: this.#latest,
      number: ++this.#numbers,
      left: granted,
      open: true,
    };
  }

  spend(lease: Lease | undefined, amount: bigint): boolean {
    if (lease === undefined) throw new Refused("INVALID_HANDLE");
    if (!lease.open) throw new Refused("TICKET_SETTLED");
    if (!lease.budget.live) throw new Refused("INVALID_HANDLE");
    const position = this.#placed(lease.budget, lease.now, lease.latest);
    const overrun = amount > lease.left;
    const taken = overrun ? lease.left : amount;
    if (overrun) this.#overruns++;
    lease.left -= taken;
    if (position) position.held -= taken;
    this.#spend(lease.budget, position ?? this.#oldest(lease.budget), amount);
    return overrun;
  }

  giveBack(lease: Lease | undefined): void {
    if (lease === undefined) throw new Refused("INVALID_HANDLE");
    if (!lease.open) throw new Refused("TICKET_SETTLED");
    lease.open = false;
    if (!lease.budget.live) return;
    const position = this.#placed(lease.budget, lease.now, lease.latest);
    if (position) position.held -= lease.left;
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────

  get total(): bigint {
    return this.#total;
  }

  /** Calls that a budget or a rate limit refused. */
  get refused(): number {
    return this.#refused;
  }

  get reservations(): { open: number; expired: number; late: number; forgotten: number } {
    return {
      open: this.#open.length,
      expired: this.#expired.length,
      late: this.#late,
      forgotten: 0,
    };
  }

  operationCount(): number {
    let count = 0;
    for (const [operation, cells] of this.#cells) {
      if (this.operations[operation]?.counted) count += cells.get(0)?.count ?? 0;
    }
    return count;
  }

  /** A count over a run's own node and the scopes below it. */
  #sumOf(runId: string, count: (node: Node) => number): number {
    return this.nodes
      .filter((node) => this.#runOf(node) === runId)
      .reduce((sum, node) => sum + count(node), 0);
  }

  /** Calls that were booked or failed. */
  decisions(): number {
    return this.#decisions;
  }

  #by(names: Iterable<string>, keyOf: (node: Node) => string | undefined): Record<string, bigint> {
    const amounts: Record<string, bigint> = {};
    for (const name of names) addTo(amounts, name, 0n);
    for (const node of [...this.nodes, ...this.#ghosts]) {
      const key = keyOf(node) || NOBODY;
      if (key !== NOBODY || node.own !== 0n) addTo(amounts, key, node.own);
    }
    return amounts;
  }

  #byRun(): Record<string, bigint> {
    const amounts: Record<string, bigint> = { ...this.#foldedAway };
    for (const run of this.#runs.keys()) addTo(amounts, run, 0n);
    for (const node of this.nodes) {
      const key = this.#runOf(node) ?? NOBODY;
      const amount = node.own + node.folded;
      if (key !== NOBODY || amount !== 0n) addTo(amounts, key, amount);
    }
    return amounts;
  }

  #runOf(node: Node | undefined): string | undefined {
    for (let above = node; above !== undefined; above = above.parent) {
      if (above.run !== undefined) return above.run;
    }
    return undefined;
  }

  /** Runs with everything below them. */
  inclusive(): Record<string, bigint> {
    const amounts: Record<string, bigint> = {};
    for (const run of this.#runs.keys()) addTo(amounts, run, 0n);
    for (const node of this.nodes) {
      for (let above: Node | undefined = node; above !== undefined; above = above.parent) {
        if (above.run !== undefined) addTo(amounts, above.run, node.own + node.folded);
      }
    }
    return amounts;
  }

  summary(): Omit<
    EngineSummary,
    "sampling" | "overflowed" | "reservations" | "blocked" | "rateLimited" | "missedAlerts"
  > {
    const byOperationType: Record<string, bigint> = {};
    const byMeter: Record<string, bigint> = {};
    const operations: Record<string, EngineSummary["operations"][string]> = {};
    const meters = new Map<string, EngineSummary["meters"][string]>();
    const unpriced: EngineSummary["unpriced"][number][] = [];
    let errorCount = 0;
    for (const [id, cells] of this.#cells) {
      const operation = this.#operation(id);
      let cost = 0n;
      for (const [meterId, cell] of cells) {
        const name = this.#meter(meterId);
        cost += cell.cost;
        errorCount += cell.errors;
        addTo(byOperationType, operation.name, cell.cost);
        addTo(byMeter, name, cell.cost);
        if (cell.unpricedCount > 0) {
          unpriced.push({
            operation: operation.name,
            ...(meterId !== 0 && { meter: name }),
            count: cell.unpricedCount,
            quantity: cell.unpricedQuantity,
          });
        }
        if (meterId === 0) continue;
        const before = meters.get(name) ?? { quantity: 0n, count: 0, cost: 0n };
        meters.set(name, {
          quantity: before.quantity + cell.quantity,
          count: before.count + cell.count,
          cost: before.cost + cell.cost,
        });
      }
      const call = this.#cell(id, 0);
      operations[operation.name] = {
        class: operation.class,
        count: call.count,
        errors: call.errors,
        items: call.items,
        cost,
        kept: call.count + call.errors,
        dropped: 0,
      };
    }
    const byRun = this.#byRun();
    const inclusive = this.inclusive();
    const given = (key: string, value: string | undefined) => (value ? { [key]: value } : {});
    return {
      total: this.#total,
      operationCount: this.operationCount(),
      errorCount,
      byRun,
      byExperiment: this.#by([], (node) => node.experiment),
      byTeam: this.#by([], (node) => node.payer.team),
      byProject: this.#by([], (node) => node.payer.project),
      byCustomer: this.#by([], (node) => node.payer.customerId),
      byEnvironment: this.#by([], (node) => node.payer.environment),
      byCostCenter: this.#by([], (node) => node.payer.costCenter),
      byContext: this.#by([], (node) => node.payer.context),
      byModel: this.#by([], (node) => node.model),
      byOperationType,
      byMeter,
      runs: [...this.#runs].map(([runId, node]) => ({
        runId,
        ...given("parentRunId", node.parent?.run),
        ...given("experiment", node.experiment),
        ...given("team", node.payer.team),
        ...given("project", node.payer.project),
        ...given("customer", node.payer.customerId),
        ...given("environment", node.payer.environment),
        ...given("costCenter", node.payer.costCenter),
        own: byRun[runId] ?? 0n,
        folded: node.folded,
        inclusive: inclusive[runId] ?? 0n,
        operations: this.#sumOf(runId, (one) => one.counted),
        errors: this.#sumOf(runId, (one) => one.errors),
        finished: node.status !== undefined,
        ...given("status", node.status),
      })),
      operations,
      meters: Object.fromEntries(meters),
      unpriced,
      overruns: this.#overruns,
    };
  }
}
