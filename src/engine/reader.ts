// Reads the ledger out of the module's memory: exact totals, breakdowns, counts.
import {
  CALL_CELLS,
  CELL,
  CELL_STRIDE,
  CELLS,
  DIMENSION_ID,
  HEADER,
  LATENCY_BUCKETS,
  LATENCY_STRIDE,
  METER_STRIDE,
  type NamedDimension,
  NODE,
  NODE_STRIDE,
  STATE_FINISHED,
  STATE_RUN,
  TUPLE_NAMES,
  TUPLE_STRIDE,
} from "./layout.js";
import type { EngineExports } from "./module.js";
import {
  type EngineSummary,
  type MeterTotal,
  type OperationTotal,
  OVERFLOW,
  type RunTotal,
  UNATTRIBUTED,
  type UnpricedTotal,
} from "./summary.js";

// A name may begin with a byte order mark; it belongs to the name.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

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
}

function add(amounts: Map<string, bigint>, key: string, amount: bigint): void {
  amounts.set(key, (amounts.get(key) ?? 0n) + amount);
}

/** The upper edge, in ms, of a latency bucket. */
function bucketEdge(bucket: number): number {
  if (bucket < 8) return (bucket + 1) / 1000;
  const octave = Math.floor(bucket / 8) + 2;
  return (2 ** (octave - 3) * (8 + (bucket % 8) + 1)) / 1000;
}

/** An operation as far as reading needs it. */
interface ReadOperation {
  readonly name: string;
  readonly class: string;
  readonly counted: boolean;
}

/** Reads one engine's memory; changes nothing but the scratch totals of a roll-up. */
export class LedgerReader {
  readonly #exports: EngineExports;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #header: number;
  readonly #operations: readonly ReadOperation[];

  constructor(exports: EngineExports, operations: readonly ReadOperation[]) {
    this.#exports = exports;
    this.#view = new DataView(exports.memory.buffer);
    this.#bytes = new Uint8Array(exports.memory.buffer);
    this.#header = exports.headerAddress();
    this.#operations = operations;
  }

  /** Atto-USD booked to the UTC day that the clock shows. */
  dayTotal(): bigint {
    const stepsBack = this.#view.getUint32(this.#header + HEADER.slot, true);
    return this.#amount(this.#header + (stepsBack === 0 ? HEADER.today : HEADER.yesterday));
  }

  /** Calls that succeeded and changed something. */
  operationCount(): number {
    let count = 0;
    for (const cell of this.#cells()) {
      if (cell.meter === 0 && this.#operations[cell.operation]?.counted) count += cell.count;
    }
    return count;
  }

  /** Every breakdown, exact. */
  summary(): EngineSummary {
    const inclusive = this.inclusiveByRun();
    const byRun = this.byDimension("run", false);
    const cells = [...this.#cells()];
    return {
      total: this.#amount(this.#header),
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
      runs: this.#runs(byRun, inclusive),
      operations: this.#operationTotals(cells),
      meters: this.#meterTotals(cells),
      unpriced: this.#unpriced(cells),
      sampling: { kept: this.#counter(HEADER.kept), dropped: this.#counter(HEADER.dropped) },
      overflowed: this.#counter(HEADER.overflowed),
      overruns: this.#counter(HEADER.overruns),
    };
  }

  #name(id: number): string {
    if (id === 0) return UNATTRIBUTED;
    const at = this.#exports.nameAddress() + id * 16;
    const start = this.#exports.nameByteAddress() + this.#view.getUint32(at, true);
    return decoder.decode(this.#bytes.subarray(start, start + this.#view.getUint16(at + 4, true)));
  }

  #amount(at: number): bigint {
    return (this.#view.getBigInt64(at + 8, true) << 64n) | this.#view.getBigUint64(at, true);
  }

  #counter(offset: number): number {
    return Number(this.#view.getBigUint64(this.#header + offset, true));
  }

  inclusiveByRun(): Map<string, bigint> {
    return this.byDimension("run", true);
  }

  byDimension(
    dimension: Exclude<NamedDimension, "meter">,
    inclusive: boolean,
  ): Map<string, bigint> {
    const id = DIMENSION_ID[dimension];
    this.#exports.rollUp(id, inclusive ? 1 : 0);
    const amounts = new Map<string, bigint>();
    const names = this.#exports.nameAddress();
    const totals = this.#exports.nameTotalAddress();
    const count = this.#view.getUint32(this.#header + HEADER.names, true);
    for (let name = 0; name < count; name++) {
      const ofDimension = this.#view.getUint16(names + name * 16 + 6, true) === id;
      const amount = name === 0 || ofDimension ? this.#amount(totals + name * 16) : 0n;
      // The two standing names are shown when they hold something; real names always.
      if (amount !== 0n || (ofDimension && name > 10)) add(amounts, this.#name(name), amount);
    }
    return amounts;
  }

  *#cells(): Generator<Cell> {
    const base = this.#exports.cellAddress();
    for (let i = 0; i < CELLS; i++) {
      const at = base + i * CELL_STRIDE;
      const key = this.#view.getUint32(at + CELL.key, true);
      const count = (offset: number) => Number(this.#view.getBigUint64(at + offset, true));
      const ofCall = i < CALL_CELLS;
      if (ofCall ? count(CELL.count) + count(CELL.errors) === 0 : key === 0) continue;
      yield {
        operation: ofCall ? i : (key - 1) >>> 16,
        meter: ofCall ? 0 : (key - 1) & 0xffff,
        cost: this.#amount(at),
        quantity: this.#amount(at + CELL.quantity),
        count: count(CELL.count),
        items: count(CELL.items),
        errors: count(CELL.errors),
        unpricedCount: count(CELL.unpricedCount),
        unpricedQuantity: this.#amount(at + CELL.unpricedQuantity),
      };
    }
  }

  #cellOperation(cell: Cell): string {
    return this.#operations[cell.operation]?.name ?? OVERFLOW;
  }

  #meterName(id: number): string {
    const meters = this.#view.getUint32(this.#header + HEADER.meters, true);
    if (id >= meters) return OVERFLOW;
    return this.#name(
      this.#view.getUint32(this.#exports.meterAddress() + id * METER_STRIDE + 24, true),
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

  #operationTotals(cells: readonly Cell[]): Record<string, OperationTotal> {
    const costs = this.byOperation();
    const totals = cells
      .filter((cell) => cell.meter === 0)
      .map((cell): [string, OperationTotal] => {
        const name = this.#cellOperation(cell);
        const latency = this.#latency(cell.operation);
        return [
          name,
          {
            class: this.#operations[cell.operation]?.class ?? "other",
            count: cell.count,
            errors: cell.errors,
            items: cell.items,
            cost: costs.get(name) ?? 0n,
            ...(latency && { latency }),
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

  #latency(operation: number): OperationTotal["latency"] {
    const base = this.#exports.latencyAddress() + operation * LATENCY_STRIDE;
    const counts = Array.from({ length: LATENCY_BUCKETS }, (_, i) =>
      this.#view.getUint32(base + i * 4, true),
    );
    const all = counts.reduce((sum, count) => sum + count, 0);
    if (all === 0) return undefined;
    const percentile = (share: number) => {
      let seen = 0;
      const bucket = counts.findIndex((count) => {
        seen += count;
        return seen >= share * all;
      });
      return bucketEdge(bucket);
    };
    return { p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) };
  }

  #runs(own: ReadonlyMap<string, bigint>, inclusive: ReadonlyMap<string, bigint>): RunTotal[] {
    const nodes = this.#exports.nodeAddress();
    const tuples = this.#exports.tupleAddress();
    const count = this.#view.getUint32(this.#header + HEADER.nodes, true);
    const runs: RunTotal[] = [];
    const { operations, errors } = this.#countsByRun(nodes, count);
    const named = (key: string, id: number) => (id === 0 ? {} : { [key]: this.#name(id) });
    for (let slot = 1; slot <= count; slot++) {
      const at = nodes + slot * NODE_STRIDE;
      const state = this.#view.getUint32(at + NODE.state, true);
      if ((state & STATE_RUN) === 0) continue;
      const word = (offset: number) => this.#view.getUint32(at + offset, true);
      const payer = tuples + word(NODE.tuple) * TUPLE_STRIDE + TUPLE_NAMES;
      const payerName = (index: number) => this.#view.getUint32(payer + index * 4, true);
      const runId = this.#name(word(NODE.name));
      const parent = word(NODE.parent);
      const parentName =
        parent === 0 ? 0 : this.#view.getUint32(nodes + parent * NODE_STRIDE + NODE.name, true);
      runs.push({
        runId,
        ...named("parentRunId", parentName),
        ...named("experiment", word(NODE.experiment)),
        ...named("team", payerName(0)),
        ...named("project", payerName(1)),
        ...named("customer", payerName(2)),
        ...named("environment", payerName(3)),
        ...named("costCenter", payerName(4)),
        own: own.get(runId) ?? 0n,
        inclusive: inclusive.get(runId) ?? 0n,
        operations: operations[slot] ?? 0,
        errors: errors[slot] ?? 0,
        finished: (state & STATE_FINISHED) !== 0,
      });
    }
    return runs;
  }

  /** By slot of a run: what was counted on it and on the scopes below it, as its own cost is. */
  #countsByRun(nodes: number, count: number) {
    const operations = new Float64Array(count + 1);
    const errors = new Float64Array(count + 1);
    const word = (slot: number, offset: number) =>
      this.#view.getUint32(nodes + slot * NODE_STRIDE + offset, true);
    for (let slot = 1; slot <= count; slot++) {
      let run = slot;
      while (run !== 0 && run <= count && word(run, NODE.name) === 0) run = word(run, NODE.parent);
      if (run === 0 || run > count) continue;
      operations[run] = (operations[run] ?? 0) + word(slot, NODE.operations);
      errors[run] = (errors[run] ?? 0) + word(slot, NODE.errors);
    }
    return { operations, errors };
  }
}
