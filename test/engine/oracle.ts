// A plain twin of the ledger in Maps and bigint: slow, unbounded, and simple enough to be believed.
import type { EngineOperation, EngineSummary } from "../../src/engine/index.js";

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

interface Node {
  readonly run: string | undefined;
  payer: Payer;
  parent: Node | undefined;
  experiment: string | undefined;
  model: string | undefined;
  stub: boolean;
  finished: boolean;
  own: bigint;
  operations: number;
  /** Those operations that change something. */
  counted: number;
  errors: number;
}

interface Ticket {
  node: Node;
  readonly operation: number;
  readonly reserved: readonly [meter: number, quantity: bigint];
  readonly charges: Map<number, bigint>;
  readonly day: number;
  held: bigint;
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

const DAY = 86_400_000;
const QUANTITY_MAX = Number.MAX_SAFE_INTEGER;
const NOBODY = "(unattributed)";

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
  const keys = ["team", "project", "customerId", "environment", "costCenter", "context"] as const;
  return keys.every((key) => (a[key] ?? "") === (b[key] ?? ""));
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

export class Twin {
  readonly nodes: Node[] = [];
  readonly tickets: Ticket[] = [];
  readonly #runs = new Map<string, Node>();
  readonly #cells = new Map<number, Map<number, Cell>>();
  readonly #days = new Map<number, bigint>();
  readonly #meters: { readonly name: string; readonly rate: Rate | undefined }[] = [];
  #total = 0n;
  /** A clock that shows 0 was never set. */
  #now = 0;
  #latestDay = 0;
  #overruns = 0;
  lastCost = 0n;
  lastReserved = 0n;

  constructor(readonly operations: readonly EngineOperation[]) {
    this.#meters.push({ name: NOBODY, rate: { numerator: 0n, denominator: 1n } });
  }

  /** Adds a meter; its id is the number of meters before it. */
  addMeter(name: string, rate: Rate | undefined): number {
    return this.#meters.push({ name, rate }) - 1;
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
      finished: false,
      own: 0n,
      operations: 0,
      counted: 0,
      errors: 0,
    };
    this.nodes.push(node);
    if (run !== undefined) this.#runs.set(run, node);
    return node;
  }

  openRun(
    run: string,
    parentRun: string | undefined,
    experiment: string | undefined,
    payer: Payer,
  ) {
    if (run === parentRun) throw new Refused("PARENT_CYCLE");
    const existing = this.#runs.get(run);
    if (existing !== undefined && !existing.stub) {
      const same =
        samePayer(existing.payer, payer) &&
        (existing.experiment ?? "") === (experiment ?? "") &&
        existing.parent?.run === (parentRun || undefined);
      if (!same) throw new Refused("ATTRIBUTION_IMMUTABLE");
      return existing;
    }
    const parent = parentRun
      ? (this.#runs.get(parentRun) ?? this.#node(parentRun, {}, undefined, true))
      : undefined;
    if (existing !== undefined) {
      for (let above = parent; above !== undefined; above = above.parent) {
        if (above === existing) throw new Refused("PARENT_CYCLE");
      }
    }
    const node = existing ?? this.#node(run, payer, parent, false);
    node.payer = payer;
    node.parent = parent;
    node.experiment = experiment;
    node.stub = false;
    return node;
  }

  openScope(
    parent: Node | undefined,
    experiment: string | undefined,
    model: string | undefined,
    payer: Payer,
  ) {
    const node = this.#node(undefined, payer, parent, false);
    node.experiment = experiment;
    node.model = model;
    return node;
  }

  finishRun(node: Node | undefined): void {
    if (node === undefined) throw new Refused("INVALID_HANDLE");
    node.finished = true;
  }

  // ── the clock ──────────────────────────────────────────────────────────────────────────────────

  tick(now: number): void {
    if (!(now >= 0 && now < 1e15)) throw new Refused("CLOCK_JUMP");
    const latest = Math.max(this.#now, this.#latestDay * DAY);
    if (latest > 0 && now > latest + 400 * DAY) throw new Refused("CLOCK_JUMP");
    this.#now = now;
    this.#latestDay = Math.max(this.#latestDay, Math.floor(now / DAY));
  }

  /** The day that the clock shows, or the older of the two that are kept. */
  #bookingDay(): number {
    const day = Math.floor(this.#now / DAY);
    return day === this.#latestDay ? day : this.#latestDay - 1;
  }

  dayTotal(): bigint {
    return this.#days.get(this.#bookingDay()) ?? 0n;
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

  #operation(id: number): EngineOperation {
    const operation = this.operations[id];
    if (operation === undefined) throw new Refused("UNKNOWN_OPERATION");
    return operation;
  }

  /** Price of a quantity; undefined when its rate is unknown. */
  #metered(meter: number, quantity: bigint): bigint | undefined {
    const { rate } = this.#meter(meter);
    if (rate === undefined) return undefined;
    const amount = halfEven(quantity * rate.numerator, rate.denominator);
    if (amount >= 1n << 96n) throw new Refused("AMOUNT_TOO_LARGE");
    return amount;
  }

  #meter(id: number) {
    const meter = this.#meters[id];
    if (meter === undefined) throw new Refused("UNKNOWN_METER");
    return meter;
  }

  #book(
    node: Node,
    operationId: number,
    quantities: Iterable<readonly [meter: number, quantity: bigint]>,
    items: number,
    day: number,
  ): bigint {
    const operation = this.#operation(operationId);
    const call = operation.price === null ? undefined : atto(operation.price);
    const priced = [...quantities].map(
      ([meter, quantity]) => [meter, quantity, this.#metered(meter, quantity)] as const,
    );
    let cost = call ?? 0n;
    for (const [, , amount] of priced) cost += amount ?? 0n;
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
    node.operations++;
    if (operation.counted) node.counted++;
    this.#total += cost;
    this.#days.set(day, (this.#days.get(day) ?? 0n) + cost);
    this.lastCost = cost;
    return cost;
  }

  record(
    node: Node | undefined,
    operation: number,
    meter: number,
    quantity: number,
    items: number,
  ) {
    if (node === undefined) throw new Refused("INVALID_HANDLE");
    this.#operation(operation);
    this.#meter(meter);
    const exact = checkQuantity(quantity);
    checkQuantity(items);
    this.#book(node, operation, meter === 0 ? [] : [[meter, exact]], items, this.#bookingDay());
  }

  reserve(node: Node | undefined, operation: number, meter: number, quantity: number): Ticket {
    if (node === undefined) throw new Refused("INVALID_HANDLE");
    const { price } = this.#operation(operation);
    this.#meter(meter);
    const exact = checkQuantity(quantity);
    const held =
      (price === null ? 0n : atto(price)) +
      (meter === 0 ? 0n : (this.#metered(meter, exact) ?? 0n));
    const ticket: Ticket = {
      node,
      operation,
      reserved: [meter, exact],
      charges: new Map(),
      day: this.#bookingDay(),
      held,
      open: true,
    };
    this.tickets.push(ticket);
    this.lastReserved = held;
    return ticket;
  }

  #open(ticket: Ticket | undefined): Ticket {
    if (ticket === undefined) throw new Refused("INVALID_HANDLE");
    if (!ticket.open) throw new Refused("TICKET_SETTLED");
    return ticket;
  }

  charge(ticket: Ticket | undefined, meter: number, quantity: number): void {
    const { charges } = this.#open(ticket);
    if (meter === 0) throw new Refused("UNKNOWN_METER");
    this.#meter(meter);
    const sum = (charges.get(meter) ?? 0n) + checkQuantity(quantity);
    if (sum > BigInt(QUANTITY_MAX)) throw new Refused("INVALID_QUANTITY");
    if (!charges.has(meter) && charges.size >= 6) throw new Refused("CAPACITY_EXCEEDED");
    charges.set(meter, sum);
  }

  extend(ticket: Ticket | undefined, meter: number, quantity: number): void {
    const open = this.#open(ticket);
    if (meter === 0) throw new Refused("UNKNOWN_METER");
    this.#meter(meter);
    const held = open.held + (this.#metered(meter, checkQuantity(quantity)) ?? 0n);
    if (held >= 1n << 96n) throw new Refused("AMOUNT_TOO_LARGE");
    open.held = held;
  }

  assign(ticket: Ticket | undefined, node: Node | undefined): void {
    const open = this.#open(ticket);
    if (node === undefined) throw new Refused("INVALID_HANDLE");
    if (!samePayer(open.node.payer, node.payer)) throw new Refused("PAYER_MISMATCH");
    open.node = node;
  }

  release(ticket: Ticket | undefined): void {
    this.#open(ticket).open = false;
  }

  /** Answers whether more was charged than held. */
  settle(ticket: Ticket | undefined, failed: boolean, items: number): boolean {
    const open = this.#open(ticket);
    checkQuantity(items);
    if (failed) {
      this.#cell(open.operation, 0).errors++;
      open.node.errors++;
      open.open = false;
      this.lastCost = 0n;
      return false;
    }
    const asReserved = open.charges.size === 0 && open.reserved[0] !== 0;
    const quantities = asReserved ? [open.reserved] : open.charges;
    const cost = this.#book(open.node, open.operation, quantities, items, open.day);
    open.open = false;
    if (cost > open.held) this.#overruns++;
    return cost > open.held;
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────

  get total(): bigint {
    return this.#total;
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
    return this.nodes.reduce((sum, node) => sum + node.operations + node.errors, 0);
  }

  #by(names: Iterable<string>, keyOf: (node: Node) => string | undefined): Record<string, bigint> {
    const amounts: Record<string, bigint> = {};
    for (const name of names) addTo(amounts, name, 0n);
    for (const node of this.nodes) {
      const key = keyOf(node) || NOBODY;
      if (key !== NOBODY || node.own !== 0n) addTo(amounts, key, node.own);
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
        if (above.run !== undefined) addTo(amounts, above.run, node.own);
      }
    }
    return amounts;
  }

  summary(): Omit<EngineSummary, "sampling" | "overflowed"> {
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
        const { name } = this.#meter(meterId);
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
      };
    }
    const byRun = this.#by(this.#runs.keys(), (node) => this.#runOf(node));
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
        inclusive: inclusive[runId] ?? 0n,
        operations: this.#sumOf(runId, (one) => one.counted),
        errors: this.#sumOf(runId, (one) => one.errors),
        finished: node.finished,
      })),
      operations,
      meters: Object.fromEntries(meters),
      unpriced,
      overruns: this.#overruns,
    };
  }
}
