// Reads the ledger out of the module's memory: exact totals, breakdowns, counts.
import { LATENCY_BITS, LATENCY_UNITS, percentiles, SIZE_BITS } from "./histogram.js";
import type { Instance } from "./instance.js";
import {
  AMOUNT_STRIDE,
  CALL_CELLS,
  CELL,
  CELL_STRIDE,
  CELLS,
  DIMENSION_ID,
  HEADER,
  LATENCY_BUCKETS,
  METER_STRIDE,
  NAME_STRIDE,
  NODE,
  NODE_STRIDE,
  SIZE_BUCKETS,
  STANDING_NAMES,
  STATE_FAILED,
  STATE_FINISHED,
  STATE_KILLED,
  STATE_RUN,
  STATE_SCOPE,
  STATE_STUB,
  TUPLE_NAMES,
  TUPLE_STRIDE,
} from "./layout.js";
import { type MergedLedger, readMerged } from "./merged.js";
import {
  type AmountCursor,
  type EngineSummary,
  type MeterTotal,
  type OperationTotal,
  OVERFLOW,
  type RolledUp,
  type RunTotal,
  UNATTRIBUTED,
  type UnpricedTotal,
} from "./summary.js";

/** Room for the names of one run and its parent, and for the nodes of both. */
const NAME_ROOM = 8192;

interface Cell {
  readonly operation: number;
  readonly meter: number;
  readonly cost: bigint;
  readonly quantity: bigint;
  readonly count: number;
  readonly items: number;
  readonly errors: number;
  readonly unpricedCount: number;
  readonly unpricedQuantity: bigint;
  readonly dropped: number;
}

/** An operation as far as reading needs it. */
interface ReadOperation {
  readonly name: string;
  readonly class: string;
  readonly counted: boolean;
}

function add(amounts: Map<string, bigint>, key: string, amount: bigint): void {
  amounts.set(key, (amounts.get(key) ?? 0n) + amount);
}

/** Reads one engine's memory; changes nothing but the scratch sums of a roll-up. */
export class LedgerReader {
  readonly #instance: Instance;
  readonly #view: DataView;
  readonly #header: number;
  #operations: readonly ReadOperation[] = [];

  constructor(instance: Instance) {
    this.#instance = instance;
    this.#view = instance.view;
    this.#header = instance.header;
  }

  /** Names the operations that are read. */
  use(operations: readonly ReadOperation[]): void {
    this.#operations = operations;
  }

  /** Everything booked, merged ledgers included. */
  total(): bigint {
    let total = this.#amount(this.#header);
    for (const ledger of this.#merged()) total += ledger.total;
    return total;
  }

  /** Atto-USD booked to the UTC day that the clock shows. */
  dayTotal(): bigint {
    if (this.#instance.word(HEADER.slot) !== 0) {
      return this.#amount(this.#header + HEADER.yesterday);
    }
    return this.#amount(this.#header) - this.#amount(this.#header + HEADER.dayBase);
  }

  /** Calls that succeeded and changed something. */
  operationCount(): number {
    let count = 0;
    for (const cell of this.#cells()) {
      if (cell.meter === 0 && this.#operations[cell.operation]?.counted) count += cell.count;
    }
    return count;
  }

  /** Is there little room left for another run? */
  isFull(): boolean {
    const { capacities } = this.#instance;
    const freeNames = this.#instance.word(HEADER.freeName) !== 0;
    const ofRuns = this.#instance.word(HEADER.runBudgets);
    const positions = this.#instance.word(HEADER.positions) + ofRuns;
    return (
      (ofRuns > 0 &&
        this.#instance.word(HEADER.freePosition) === 0 &&
        positions > capacities.positions) ||
      this.#instance.word(HEADER.liveNodes) + 2 > capacities.runs ||
      (!freeNames && this.#instance.word(HEADER.names) + 2 > capacities.names) ||
      (!freeNames && this.#instance.word(HEADER.nameBytes) + NAME_ROOM > capacities.nameBytes)
    );
  }

  /** Name → id of every meter. */
  meterIds(): Record<string, number> {
    const count = this.#instance.word(HEADER.meters);
    return Object.fromEntries(
      Array.from({ length: count - 1 }, (_, index) => [this.#meterName(index + 1), index + 1]),
    );
  }

  /** Every breakdown, exact. */
  summary(): EngineSummary {
    const byRun = this.byDimension("run", false);
    const inclusive = this.byDimension("run", true);
    const cells = this.#cells();
    const merged = this.#merged();
    const counter = (offset: number) =>
      merged.reduce((sum, ledger) => sum + ledger.counter(offset), this.#instance.counter(offset));
    const calls = cells.filter((cell) => cell.meter === 0);
    const dropped = calls.reduce((sum, cell) => sum + cell.dropped, 0);
    const decided = calls.reduce((sum, cell) => sum + cell.count + cell.errors, 0);
    return {
      total: this.total(),
      operationCount: this.operationCount(),
      errorCount: cells.reduce((sum, cell) => sum + cell.errors, 0),
      byRun: Object.fromEntries(byRun),
      byExperiment: Object.fromEntries(this.byDimension("experiment", false)),
      byTeam: Object.fromEntries(this.byDimension("team", false)),
      byProject: Object.fromEntries(this.byDimension("project", false)),
      byCustomer: Object.fromEntries(this.byDimension("customer", false)),
      byEnvironment: Object.fromEntries(this.byDimension("environment", false)),
      byCostCenter: Object.fromEntries(this.byDimension("costCenter", false)),
      byContext: Object.fromEntries(this.byDimension("context", false)),
      byModel: Object.fromEntries(this.byDimension("model", false)),
      byOperationType: Object.fromEntries(this.byOperation()),
      byMeter: Object.fromEntries(this.byMeter()),
      runs: this.#runs(byRun, inclusive, merged),
      operations: this.#operationTotals(cells, merged),
      meters: this.#meterTotals(cells),
      unpriced: this.#unpriced(cells),
      sampling: { kept: decided - dropped, dropped },
      reservations: {
        open: this.#instance.word(HEADER.open),
        expired: this.#instance.word(HEADER.expired),
        late: counter(HEADER.lateSettled),
        forgotten: counter(HEADER.forgotten),
      },
      blocked: counter(HEADER.blocked),
      rateLimited: counter(HEADER.rateLimited),
      missedAlerts: this.#instance.word(HEADER.missedAlerts),
      overflowed: counter(HEADER.overflowed),
      overruns: counter(HEADER.overruns),
    };
  }

  #merged(): MergedLedger[] {
    return readMerged(this.#instance);
  }

  #name(id: number): string {
    if (id === 0) return UNATTRIBUTED;
    const at = this.#instance.address("names") + id * NAME_STRIDE;
    const start = this.#instance.address("nameBytes") + this.#view.getUint32(at, true);
    return this.#instance.text(start, this.#view.getUint16(at + 4, true));
  }

  #amount(at: number): bigint {
    return this.#instance.amount(at);
  }

  /** Rolls up inside the module; names are made into text only when they are asked for. */
  rollUp(dimension: RolledUp, inclusive: boolean): AmountCursor {
    const id = DIMENSION_ID[dimension];
    this.#instance.exports.rollUp(id, inclusive ? 1 : 0);
    const { view } = this.#instance;
    const [names, sums] = [this.#instance.address("names"), this.#instance.address("sums")];
    const end = this.#instance.word(HEADER.names);
    const name = (at: number) => this.#name(at);
    const amount = (at: number) => this.#amount(sums + at * AMOUNT_STRIDE);
    let current = -1;
    return {
      next() {
        while (++current < end) {
          const at = sums + current * AMOUNT_STRIDE;
          if (current > 0 && view.getUint8(names + current * NAME_STRIDE + 6) !== id) continue;
          if (view.getBigUint64(at, true) !== 0n || view.getBigUint64(at + 8, true) !== 0n)
            return true;
        }
        return false;
      },
      get name() {
        return name(current);
      },
      get amount() {
        return amount(current);
      },
    };
  }

  byDimension(dimension: RolledUp, inclusive: boolean): Map<string, bigint> {
    const id = DIMENSION_ID[dimension];
    this.#instance.exports.rollUp(id, inclusive ? 1 : 0);
    const amounts = new Map<string, bigint>();
    const names = this.#instance.address("names");
    const sums = this.#instance.address("sums");
    const count = this.#instance.word(HEADER.names);
    for (let name = 0; name < count; name++) {
      const ofDimension = this.#view.getUint8(names + name * NAME_STRIDE + 6) === id;
      if (name !== 0 && !ofDimension) continue;
      const amount = this.#amount(sums + name * AMOUNT_STRIDE);
      // The standing names are shown when they hold something; real names always.
      if (amount !== 0n || name > STANDING_NAMES) add(amounts, this.#name(name), amount);
    }
    return amounts;
  }

  /** Cells in use, those of merged ledgers added to the engine's own. */
  #cells(): Cell[] {
    const cells = new Map<number, Cell>();
    const base = this.#instance.address("cells");
    for (let i = 0; i < CELLS; i++) this.#addCell(cells, i, base + i * CELL_STRIDE);
    for (const ledger of this.#merged()) {
      for (const [index, at] of ledger.rows("cells")) this.#addCell(cells, index, at);
    }
    return [...cells.values()];
  }

  #addCell(cells: Map<number, Cell>, index: number, at: number): void {
    const key = this.#view.getUint32(at + CELL.key, true);
    const count = (offset: number) => Number(this.#view.getBigUint64(at + offset, true));
    const ofCall = index < CALL_CELLS;
    if (ofCall ? count(CELL.count) + count(CELL.errors) === 0 : key === 0) return;
    const where = ofCall ? index * 2 ** 16 : key - 1;
    const before = cells.get(where);
    cells.set(where, {
      operation: ofCall ? index : (key - 1) >>> 16,
      meter: ofCall ? 0 : (key - 1) & 0xffff,
      cost: this.#amount(at) + (before?.cost ?? 0n),
      quantity: this.#amount(at + CELL.quantity) + (before?.quantity ?? 0n),
      count: count(CELL.count) + (before?.count ?? 0),
      items: count(CELL.items) + (before?.items ?? 0),
      errors: count(CELL.errors) + (before?.errors ?? 0),
      unpricedCount: count(CELL.unpricedCount) + (before?.unpricedCount ?? 0),
      unpricedQuantity: this.#amount(at + CELL.unpricedQuantity) + (before?.unpricedQuantity ?? 0n),
      dropped: count(CELL.dropped) + (before?.dropped ?? 0),
    });
  }

  #cellOperation(cell: Cell): string {
    return this.#operations[cell.operation]?.name ?? OVERFLOW;
  }

  #meterName(id: number): string {
    if (id >= this.#instance.word(HEADER.meters)) return OVERFLOW;
    return this.#name(
      this.#view.getUint32(this.#instance.address("meters") + id * METER_STRIDE + 24, true),
    );
  }

  byOperation(): Map<string, bigint> {
    const amounts = new Map<string, bigint>();
    for (const cell of this.#cells()) add(amounts, this.#cellOperation(cell), cell.cost);
    return amounts;
  }

  byMeter(): Map<string, bigint> {
    const amounts = new Map<string, bigint>();
    for (const cell of this.#cells()) {
      add(amounts, cell.meter === 0 ? UNATTRIBUTED : this.#meterName(cell.meter), cell.cost);
    }
    return amounts;
  }

  #operationTotals(
    cells: readonly Cell[],
    merged: readonly MergedLedger[],
  ): Record<string, OperationTotal> {
    const costs = new Map<string, bigint>();
    for (const cell of cells) add(costs, this.#cellOperation(cell), cell.cost);
    const totals = cells
      .filter((cell) => cell.meter === 0)
      .map((cell): [string, OperationTotal] => {
        const name = this.#cellOperation(cell);
        const { operation } = cell;
        const counts = (kind: "latencies" | "sizes", buckets: number) => {
          const base = this.#instance.address(kind) + operation * buckets * 4;
          const own = Array.from({ length: buckets }, (_, i) =>
            this.#view.getUint32(base + i * 4, true),
          );
          for (const ledger of merged) ledger.addMeasures(kind, operation, own);
          return own;
        };
        const latency = percentiles(
          counts("latencies", LATENCY_BUCKETS),
          LATENCY_BITS,
          LATENCY_UNITS,
        );
        const size = percentiles(counts("sizes", SIZE_BUCKETS), SIZE_BITS, 1);
        return [
          name,
          {
            class: this.#operations[operation]?.class ?? "other",
            count: cell.count,
            errors: cell.errors,
            items: cell.items,
            cost: costs.get(name) ?? 0n,
            kept: cell.count + cell.errors - cell.dropped,
            dropped: cell.dropped,
            ...(latency && { latency }),
            ...(size && { size }),
          },
        ];
      });
    return Object.fromEntries(totals);
  }

  #meterTotals(cells: readonly Cell[]): Record<string, MeterTotal> {
    const totals = new Map<string, MeterTotal>();
    for (const cell of cells) {
      if (cell.meter === 0) continue;
      const name = this.#meterName(cell.meter);
      const before = totals.get(name) ?? { quantity: 0n, count: 0, cost: 0n };
      totals.set(name, {
        quantity: before.quantity + cell.quantity,
        count: before.count + cell.count,
        cost: before.cost + cell.cost,
      });
    }
    return Object.fromEntries(totals);
  }

  #unpriced(cells: readonly Cell[]): UnpricedTotal[] {
    return cells
      .filter((cell) => cell.unpricedCount > 0)
      .map((cell) => ({
        operation: this.#cellOperation(cell),
        ...(cell.meter !== 0 && { meter: this.#meterName(cell.meter) }),
        count: cell.unpricedCount,
        quantity: cell.unpricedQuantity,
      }));
  }

  // ── runs ───────────────────────────────────────────────────────────────────────────────────────

  /** A run that nothing needs any more, as it is before it is folded; undefined for a scope or a stub. */
  runOfSlot(slot: number): RunTotal | undefined {
    const at = this.#instance.address("nodes") + slot * NODE_STRIDE;
    const state = this.#view.getUint32(at + NODE.state, true);
    if ((state & STATE_RUN) === 0 || (state & STATE_STUB) !== 0) return undefined;
    const name = this.#view.getUint32(at + NODE.name, true);
    const folded = this.#amount(this.#instance.address("folded") + name * AMOUNT_STRIDE);
    const own = this.#amount(at) + folded;
    return {
      ...this.#attributionOf(at, (parent) => this.#runAbove(parent)),
      own,
      folded,
      inclusive: own,
      operations: this.#view.getUint32(at + NODE.operations, true),
      errors: this.#view.getUint32(at + NODE.errors, true),
    };
  }

  /** Name of the nearest run at or above a slot; 0 is none. */
  #runAbove(slot: number): number {
    const nodes = this.#instance.address("nodes");
    let at = nodes + slot * NODE_STRIDE;
    let above = slot;
    while (above !== 0 && this.#view.getUint32(at + NODE.state, true) & STATE_SCOPE) {
      above = this.#view.getUint32(at + NODE.parent, true);
      at = nodes + above * NODE_STRIDE;
    }
    return above === 0 ? 0 : this.#view.getUint32(at + NODE.name, true);
  }

  #attributionOf(
    at: number,
    runAbove: (parent: number) => number,
    tuple = this.#instance.address("tuples") +
      this.#view.getUint32(at + NODE.tuple, true) * TUPLE_STRIDE,
  ) {
    const word = (offset: number) => this.#view.getUint32(at + offset, true);
    const payer = (index: number) => this.#view.getUint32(tuple + TUPLE_NAMES + index * 4, true);
    const named = (key: string, id: number) => (id === 0 ? {} : { [key]: this.#name(id) });
    const state = word(NODE.state);
    const parent = word(NODE.parent);
    return {
      runId: this.#name(word(NODE.name)),
      ...named("parentRunId", parent === 0 ? 0 : runAbove(parent)),
      ...named("experiment", word(NODE.experiment)),
      ...named("team", payer(0)),
      ...named("project", payer(1)),
      ...named("customer", payer(2)),
      ...named("environment", payer(3)),
      ...named("costCenter", payer(4)),
      finished: (state & STATE_FINISHED) !== 0,
      ...((state & STATE_FINISHED) !== 0 && {
        status:
          state & STATE_FAILED
            ? ("FAILED" as const)
            : state & STATE_KILLED
              ? ("KILLED" as const)
              : ("FINISHED" as const),
      }),
    };
  }

  #runs(
    own: ReadonlyMap<string, bigint>,
    inclusive: ReadonlyMap<string, bigint>,
    merged: readonly MergedLedger[],
  ): RunTotal[] {
    const nodes = this.#instance.address("nodes");
    const folded = this.#instance.address("folded");
    const count = this.#instance.word(HEADER.nodes);
    const runs = new Map<string, RunTotal>();
    const stubs = new Map<string, RunTotal>();
    const counts = new Map<string, { operations: number; errors: number }>();
    const countOn = (name: string, at: number) => {
      const before = counts.get(name) ?? { operations: 0, errors: 0 };
      counts.set(name, {
        operations: before.operations + this.#view.getUint32(at + NODE.operations, true),
        errors: before.errors + this.#view.getUint32(at + NODE.errors, true),
      });
    };
    const note = (at: number, run: RunTotal) => {
      const state = this.#view.getUint32(at + NODE.state, true);
      const known = state & STATE_STUB ? stubs : runs;
      const before = known.get(run.runId);
      // Ledgers may each have seen a part of a run: it is over when one of them saw its end.
      if (before === undefined || (run.finished && !before.finished)) known.set(run.runId, run);
    };
    const empty = { own: 0n, folded: 0n, inclusive: 0n, operations: 0, errors: 0 };
    const foldedOf = new Map<string, bigint>();
    for (let slot = 1; slot <= count; slot++) {
      const at = nodes + slot * NODE_STRIDE;
      const state = this.#view.getUint32(at + NODE.state, true);
      if (state === 0) continue;
      const above = this.#runAbove(slot);
      if (above !== 0) countOn(this.#name(above), at);
      if ((state & STATE_RUN) === 0) continue;
      const run = this.#attributionOf(at, (parent) => this.#runAbove(parent));
      note(at, { ...run, ...empty });
      const name = this.#view.getUint32(at + NODE.name, true);
      add(foldedOf, run.runId, this.#amount(folded + name * AMOUNT_STRIDE));
    }
    for (const ledger of merged) {
      for (const [, at] of ledger.rows("nodes")) {
        const above = ledger.runAbove(at);
        if (above !== 0) countOn(this.#name(above), at);
        if ((this.#view.getUint32(at + NODE.state, true) & STATE_RUN) === 0) continue;
        const tuple = ledger.tupleOf(at);
        note(at, {
          ...this.#attributionOf(at, () => ledger.parentRun(at), tuple),
          ...empty,
        });
      }
      for (const [name, at] of ledger.rows("folded"))
        add(foldedOf, this.#name(name), this.#amount(at));
    }
    for (const [runId, stub] of stubs) if (!runs.has(runId)) runs.set(runId, stub);
    return [...runs.values()].map((run) => ({
      ...run,
      own: own.get(run.runId) ?? 0n,
      folded: foldedOf.get(run.runId) ?? 0n,
      inclusive: inclusive.get(run.runId) ?? 0n,
      ...(counts.get(run.runId) ?? {}),
    }));
  }
}
