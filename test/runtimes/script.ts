// Writes calls down, and what the plain twin answers to them. The engine has no part in it.
import type { BudgetOptions, EngineOptions, RateLimitOptions } from "../../src/engine/index.js";
import { type Payer, Refused, Twin, type TwinRefusal } from "../engine/oracle.js";
import { ATTO, METERS, OPERATIONS, OPTIONS } from "./catalogue.js";

type Decision = TwinRefusal["refused"];

/** What a call has to answer. Bigints are written as their digits and an `n`. */
type Expected =
  | { readonly error: string }
  /** For one of these reasons. */
  | { readonly refused: readonly Decision[] }
  | { readonly handle: true; readonly amount?: bigint }
  | { readonly flags: number; readonly mask: number }
  | { readonly value: unknown };

interface Suite {
  readonly name: string;
  readonly options: EngineOptions;
  readonly calls: {
    readonly call: readonly [method: string, ...given: unknown[]];
    readonly expected: Expected;
  }[];
}

/** Something that an earlier call answered. The play puts the engine's own handle in its place. */
export interface Known<T> {
  readonly handleOf: number;
  readonly twin: T;
}

type Node = Twin["nodes"][number];
type Ticket = Twin["tickets"][number];
export type Budget = ReturnType<Twin["addBudget"]>;
type Lease = Exclude<ReturnType<Twin["grant"]>, { refused: unknown }>;

const FLAG = {
  sampled: 1,
  unpriced: 2,
  overflowed: 4,
  error: 8,
  overrun: 16,
  warned: 32,
  alert: 64,
  late: 128,
};

/** A name as UTF-8 keeps it: lone surrogates become the replacement character. */
function stored(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(name));
}

function storedPayer(payer: Payer): Payer {
  return Object.fromEntries(Object.entries(payer).map(([key, name]) => [key, stored(name)]));
}

/** Writes the calls of one suite down as the twin answers them. */
export class Script {
  readonly suite: Suite;
  readonly twin = new Twin(OPERATIONS, OPTIONS.reservationTtlMs);
  readonly nodes: Known<Node>[] = [];
  readonly tickets: Known<Ticket>[] = [];
  readonly budgets: Known<Budget>[] = [];
  readonly leases: Known<Lease>[] = [];
  readonly #meters = new Map<string, number>();
  /** Operations and meters without a price. */
  readonly #unpriced: Set<string>;

  constructor(name: string, options: EngineOptions) {
    this.suite = { name, options: { ...OPTIONS, ...options }, calls: [] };
    for (const { name: meter, rate } of METERS) {
      this.#meters.set(meter, this.twin.addMeter(meter, rate));
    }
    this.#unpriced = new Set([
      ...OPERATIONS.filter(({ price }) => price === null).map((one) => one.name),
      ...METERS.filter(({ rate }) => rate === undefined).map((one) => one.name),
    ]);
  }

  /** Asks the twin, and writes down what it answers. */
  #write<T>(
    call: readonly [method: string, ...given: unknown[]],
    ask: () => T,
    expect: (answer: T) => Expected,
  ): T | undefined {
    let answer: T;
    try {
      answer = ask();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.suite.calls.push({ call, expected: { error: error.code } });
      return undefined;
    }
    this.suite.calls.push({ call, expected: expect(answer) });
    return answer;
  }

  /** As {@link Script.#write}; the answer is a handle for later calls. */
  #open<T extends object>(
    call: readonly [method: string, ...given: unknown[]],
    ask: () => T,
  ): Known<T> | undefined {
    const twin = this.#write(call, ask, () => ({ handle: true }));
    return twin === undefined ? undefined : { handleOf: this.suite.calls.length - 1, twin };
  }

  #operation(name: string): number {
    return OPERATIONS.findIndex((one) => one.name === name);
  }

  #meter(name: string | 0): number {
    return name === 0 ? 0 : (this.#meters.get(name) as number);
  }

  openRun(runId: string, parentRunId?: string, experiment?: string, payer: Payer = {}) {
    const opened = this.#open(["openRun", { runId, parentRunId, experiment, ...payer }], () =>
      this.twin.openRun(
        stored(runId) as string,
        stored(parentRunId),
        stored(experiment),
        storedPayer(payer),
      ),
    );
    return keep(this.nodes, opened);
  }

  openScope(parent?: Known<Node>, experiment?: string, model?: string, payer: Payer = {}) {
    const given = { parent: reference(parent), experiment, model, ...payer };
    const opened = this.#open(["openScope", given], () =>
      this.twin.openScope(parent?.twin, stored(experiment), stored(model), storedPayer(payer)),
    );
    return keep(this.nodes, opened);
  }

  finishRun(node: Known<Node> | undefined, status: "FINISHED" | "FAILED" | "KILLED"): void {
    this.#write(
      ["finishRun", reference(node) ?? 0, status],
      () => this.twin.finishRun(node?.twin, status),
      nothing,
    );
  }

  drain(max: number): void {
    this.#write(
      ["drain", max],
      () => this.twin.drain(max),
      (drained) => ({ value: drained.map(([runId, own]) => ({ runId, own })) }),
    );
  }

  tick(now: number): void {
    // Alerts are kept for the periods that are kept.
    this.takeAlerts();
    this.#write(["tick", now], () => this.twin.tick(now), nothing);
  }

  record(
    node: Known<Node> | undefined,
    name: string,
    meter: string | 0 = 0,
    quantity = 0,
    items = 1,
  ) {
    const alerts = this.twin.alerts.length;
    const unpriced = this.#unpriced.has(name) || (meter !== 0 && this.#unpriced.has(meter));
    this.#write(
      ["record", reference(node) ?? 0, name, meter, quantity, items],
      () =>
        this.twin.record(node?.twin, this.#operation(name), this.#meter(meter), quantity, items),
      (warned) =>
        flags({
          sampled: this.#sampled(name, warned),
          unpriced,
          overflowed: false,
          error: false,
          overrun: false,
          warned,
          alert: this.twin.alerts.length > alerts,
          late: false,
        }),
    );
    this.#lastCost();
  }

  /** Is the telemetry kept? Undefined where chance decides. */
  #sampled(name: string, always: boolean): boolean | undefined {
    const { samplingRate = 1, samplingRates = {} } = this.suite.options;
    const rate = samplingRates[OPERATIONS[this.#operation(name)]?.class ?? ""] ?? samplingRate;
    if (always || rate === 1) return true;
    return rate === 0 ? false : undefined;
  }

  #lastCost(): void {
    if (this.suite.calls.length % 5 !== 0 || "error" in (this.suite.calls.at(-1)?.expected ?? {})) {
      return;
    }
    this.#write(["lastCost"], () => this.twin.lastCost, value);
  }

  reserve(node: Known<Node> | undefined, name: string, meter: string | 0 = 0, quantity = 0) {
    const answer = this.#write(
      ["reserve", reference(node) ?? 0, name, meter, quantity],
      () => this.twin.reserve(node?.twin, this.#operation(name), this.#meter(meter), quantity),
      (ticket) => ("refused" in ticket ? { refused: this.#reasons(ticket) } : { handle: true }),
    );
    if (answer === undefined || "refused" in answer) return undefined;
    const handleOf = this.suite.calls.length - 1;
    this.#write(["lastReserved"], () => this.twin.lastReserved, value);
    return keep(this.tickets, { handleOf, twin: answer });
  }

  /** Where budgets and rate limits can block at once, it is open which of them is named. */
  #reasons({ refused }: TwinRefusal): readonly Decision[] {
    const blocking = this.budgets.filter(({ twin }) => twin.live && twin.block);
    const rates = blocking.filter(({ twin }) => isRate(twin));
    const both = rates.length > 0 && rates.length < blocking.length;
    return both ? ["BLOCKED", "RATE_LIMITED"] : [refused];
  }

  extend(ticket: Known<Ticket> | undefined, meter: string, quantity: number): void {
    this.#write(
      ["extend", reference(ticket) ?? 0, meter, quantity],
      () => this.twin.extend(ticket?.twin, this.#meter(meter), quantity),
      (refusal) => (refusal ? { refused: [refusal.refused] } : { value: null }),
    );
  }

  charge(ticket: Known<Ticket> | undefined, meter: string, quantity: number): void {
    this.#write(
      ["charge", reference(ticket) ?? 0, meter, quantity],
      () => this.twin.charge(ticket?.twin, this.#meter(meter), quantity),
      nothing,
    );
  }

  settle(
    ticket: Known<Ticket> | undefined,
    outcome: "ok" | "error",
    latencyMs = 1,
    items = 1,
  ): void {
    const alerts = this.twin.alerts.length;
    this.#write(
      ["settle", reference(ticket) ?? 0, outcome, latencyMs, items],
      () => this.twin.settle(ticket?.twin, outcome === "error", items),
      ({ overrun, warned, late }) =>
        flags({
          sampled: this.#sampled(
            OPERATIONS[(ticket as Known<Ticket>).twin.operation]?.name ?? "",
            outcome === "error" || overrun || warned || late,
          ),
          overflowed: false,
          error: outcome === "error",
          overrun,
          warned,
          alert: this.twin.alerts.length > alerts,
          late,
        }),
    );
    this.#lastCost();
  }

  release(ticket: Known<Ticket> | undefined): void {
    this.#write(
      ["release", reference(ticket) ?? 0],
      () => this.twin.release(ticket?.twin),
      nothing,
    );
  }

  assign(ticket: Known<Ticket> | undefined, node: Known<Node> | undefined): void {
    this.#write(
      ["assign", reference(ticket) ?? 0, reference(node) ?? 0],
      () => this.twin.assign(ticket?.twin, node?.twin),
      nothing,
    );
  }

  addBudget(options: BudgetOptions) {
    return keep(
      this.budgets,
      this.#open(["addBudget", options], () => this.twin.addBudget(options)),
    );
  }

  addRateLimit(options: RateLimitOptions) {
    return keep(
      this.budgets,
      this.#open(["addRateLimit", options], () => this.twin.addRateLimit(options)),
    );
  }

  removeBudget(budget: Known<Budget>): void {
    this.takeAlerts();
    this.#write(
      ["removeBudget", reference(budget)],
      () => this.twin.removeBudget(budget.twin),
      nothing,
    );
  }

  setLimit(budget: Known<Budget>, limit: string | number): void {
    this.#write(
      ["setLimit", reference(budget), limit],
      () => this.twin.setLimit(budget.twin, limit),
      nothing,
    );
  }

  grant(budget: Known<Budget>, amount: string | number): void {
    const lease = this.#write(
      ["grant", reference(budget), amount],
      () => this.twin.grant(budget.twin, amount),
      (granted) =>
        "refused" in granted
          ? { refused: [granted.refused] }
          : { handle: true, amount: granted.left },
    );
    if (lease === undefined || "refused" in lease) return;
    this.leases.push({ handleOf: this.suite.calls.length - 1, twin: lease });
  }

  spend(lease: Known<Lease>, amount: bigint): void {
    const alerts = this.twin.alerts.length;
    this.#write(
      ["spend", reference(lease), amount],
      () => this.twin.spend(lease.twin, amount),
      (overrun) => flags({ overrun, alert: this.twin.alerts.length > alerts }),
    );
  }

  giveBack(lease: Known<Lease>): void {
    this.#write(["giveBack", reference(lease)], () => this.twin.giveBack(lease.twin), nothing);
  }

  /** New prices for some operations and meters, decimal USD each. */
  setPrices(
    operations: Readonly<Record<string, string>>,
    meters: Readonly<Record<string, number>>,
  ) {
    const ids = Object.entries(operations).map(([name, price]) => [this.#operation(name), price]);
    const rates = Object.entries(meters).map(([name, usd]) => [
      this.#meter(name),
      { numerator: BigInt(usd) * ATTO, denominator: 1n },
    ]);
    this.#write(
      ["setPrices", { operations, meters }],
      () => this.twin.setPrices(Object.fromEntries(ids), Object.fromEntries(rates)),
      nothing,
    );
    for (const name of [...Object.keys(operations), ...Object.keys(meters)]) {
      this.#unpriced.delete(name);
    }
  }

  takeAlerts(): void {
    const alerts = [...this.twin.alerts].sort();
    this.twin.alerts = [];
    this.suite.calls.push({ call: ["takeAlerts"], expected: { value: alerts } });
  }

  /** A call whose answer follows from the options or from a rule, not from the ledger. */
  state(call: readonly [method: string, ...given: unknown[]], expected: Expected): void {
    this.suite.calls.push({ call, expected });
  }

  /** Asks for where every budget stands. */
  readBudgets(): void {
    const live = this.budgets.filter(({ twin }) => twin.live);
    this.state(["budgets"], { value: live.length });
    for (const budget of live) {
      const { name } = budget.twin.options;
      if (isRate(budget.twin)) continue;
      if (budget.twin.period !== "run") {
        const position = this.twin.position(budget.twin);
        this.state(["budget", reference(budget)], { value: { name, ...position } });
        continue;
      }
      for (const [run] of this.twin.runPositions(budget.twin)) {
        const node = this.nodes.find(({ twin }) => twin === run);
        if (node === undefined) continue;
        const position = this.twin.position(budget.twin, run);
        const call = ["budget", reference(budget), reference(node)] as const;
        this.state(call, { value: { name, ...position } });
      }
    }
  }

  /** Asks for everything that the ledger reports. */
  read(): void {
    const { twin } = this;
    this.state(["total"], value(twin.total));
    this.state(["dayTotal"], value(twin.dayTotal()));
    this.state(["operationCount"], value(twin.operationCount()));
    this.state(["summary"], value(viewOf(twin)));
    for (const [run, amount] of Object.entries(twin.inclusive())) {
      this.state(["total", "run", run], value(amount));
    }
    for (const [team, amount] of Object.entries(twin.summary().byTeam)) {
      this.state(["total", "team", team], value(amount));
    }
    this.readBudgets();
  }
}

/** A rate limit has a bucket in place of positions. */
export function isRate({ period }: Budget): boolean {
  return period === "second" || period === "minute";
}

function keep<T>(list: Known<T>[], known: Known<T> | undefined): Known<T> | undefined {
  if (known !== undefined) list.push(known);
  return known;
}

function reference(known: Known<unknown> | undefined): { handleOf: number } | undefined {
  return known === undefined ? undefined : { handleOf: known.handleOf };
}

function nothing(): Expected {
  return { value: null };
}

function value(expected: unknown): Expected {
  return { value: expected };
}

function flags(expected: Partial<Record<keyof typeof FLAG, boolean | undefined>>): Expected {
  let set = 0;
  let mask = 0;
  for (const [name, isSet] of Object.entries(expected)) {
    if (isSet === undefined) continue;
    const bit = FLAG[name as keyof typeof FLAG];
    mask |= bit;
    if (isSet) set |= bit;
  }
  return { flags: set, mask };
}

/** The twin's summary in the form that play.js brings the engine's into. */
function viewOf(twin: Twin): Record<string, unknown> {
  const summary = twin.summary();
  const view: Record<string, unknown> = { ...summary };
  for (const [key, amounts] of Object.entries(summary)) {
    if (!key.startsWith("by")) continue;
    const entries = Object.entries(amounts as Record<string, bigint>);
    view[key] = Object.fromEntries(entries.filter(([, amount]) => amount !== 0n));
  }
  const unpricedKey = (one: { operation: string; meter?: string }) =>
    `${one.operation}/${one.meter ?? ""}`;
  return {
    ...view,
    runs: [...summary.runs].sort((a, b) => (a.runId < b.runId ? -1 : 1)),
    unpriced: [...summary.unpriced].sort((a, b) => (unpricedKey(a) < unpricedKey(b) ? -1 : 1)),
    operations: Object.fromEntries(
      Object.entries(summary.operations).map(([name, total]) => {
        const { kept, dropped, ...rest } = total;
        return [name, { ...rest, decided: kept + dropped }];
      }),
    ),
    sampling: twin.decisions(),
    reservations: twin.reservations,
    refused: twin.refused,
    overflowed: 0,
    missedAlerts: 0,
  };
}
