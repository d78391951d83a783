// The ledgers of other engines that were merged in: rows as assembly/snapshot.ts describes them.
import type { Instance } from "./instance.js";
import {
  CALL_CELLS,
  HEADER,
  LATENCY_BUCKETS,
  NODE,
  NODE_APART_IN_ROW,
  NODE_HALF,
  SIZE_BUCKETS,
  STATE_SCOPE,
} from "./layout.js";

const SECTION = { header: 1, cells: 6, measures: 7, nodes: 8, tuples: 9, folded: 15, ledger: 17 };
const ROW_BYTES: Readonly<Record<number, number>> = {
  [SECTION.header]: 592,
  [SECTION.cells]: 96,
  [SECTION.measures]: 32,
  [SECTION.nodes]: 64,
  [SECTION.tuples]: 64,
  [SECTION.folded]: 16,
  [SECTION.ledger]: 24,
};
/** Counts in one row of measures. */
const PIECE = 8;

/** One merged ledger. Rows are given as number and address; their ids are those of the engine's own names. */
export class MergedLedger {
  readonly #instance: Instance;
  readonly #from: number;
  readonly #to: number;
  readonly #rows = new Map<number, Map<number, number>>();

  constructor(instance: Instance, from: number, to: number) {
    this.#instance = instance;
    this.#from = from;
    this.#to = to;
    const { view } = instance;
    for (let at = from; at < to; ) {
      const section = view.getUint32(at, true);
      const rows = this.#rows.get(section) ?? new Map<number, number>();
      this.#rows.set(section, rows);
      rows.set(view.getUint32(at + 4, true), at + 8);
      at += 8 + (ROW_BYTES[section] ?? 0);
    }
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.#to - this.#from;
  }

  /** Everything booked in it. */
  get total(): bigint {
    return this.#instance.amount(this.#header());
  }

  /** A counter of its header. */
  counter(offset: number): number {
    return Number(this.#instance.view.getBigUint64(this.#header() + offset, true));
  }

  rows(section: "cells" | "nodes" | "folded"): ReadonlyMap<number, number> {
    return this.#section(SECTION[section]);
  }

  /** Adds its counts of an operation's histogram to others. */
  addMeasures(kind: "latencies" | "sizes", operation: number, counts: number[]): void {
    const first =
      kind === "latencies"
        ? (operation * LATENCY_BUCKETS) / PIECE
        : (CALL_CELLS * LATENCY_BUCKETS + operation * SIZE_BUCKETS) / PIECE;
    const rows = this.#section(SECTION.measures);
    for (let piece = 0; piece < counts.length / PIECE; piece++) {
      const at = rows.get(first + piece);
      if (at === undefined) continue;
      for (let i = 0; i < PIECE; i++) {
        const bucket = piece * PIECE + i;
        const count = this.#instance.view.getUint32(at + i * 4, true);
        counts[bucket] = (counts[bucket] ?? 0) + count;
      }
    }
  }

  /** Name of the run that a node is booked to; 0 is none. */
  runAbove(node: number): number {
    const scope = (this.#word(node + NODE.state) & STATE_SCOPE) !== 0;
    return scope ? this.parentRun(node) : this.#half(node, NODE_HALF.name);
  }

  /** Name of the nearest run above a node; 0 is none. */
  parentRun(node: number): number {
    const nodes = this.#section(SECTION.nodes);
    let above = nodes.get(this.#half(node, NODE_HALF.parent));
    while (above !== undefined && (this.#word(above + NODE.state) & STATE_SCOPE) !== 0) {
      above = nodes.get(this.#half(above, NODE_HALF.parent));
    }
    return above === undefined ? 0 : this.#half(above, NODE_HALF.name);
  }

  /** Address of a node's tuple. */
  tupleOf(node: number): number {
    return this.#section(SECTION.tuples).get(this.#half(node, NODE_HALF.tuple)) ?? 0;
  }

  #header(): number {
    return this.#section(SECTION.header).get(0) as number;
  }

  #section(section: number): ReadonlyMap<number, number> {
    return this.#rows.get(section) ?? new Map();
  }

  #half(node: number, field: number): number {
    return this.#word(node + NODE_APART_IN_ROW + field);
  }

  #word(at: number): number {
    return this.#instance.view.getUint32(at, true);
  }
}

/** All merged ledgers of an instance. */
export function readMerged(instance: Instance): MergedLedger[] {
  const ledgers: MergedLedger[] = [];
  const start = instance.address("sources");
  const end = start + instance.word(HEADER.sourceBytes);
  for (let at = start; at < end; ) {
    const to = at + instance.view.getUint32(at + 4, true);
    ledgers.push(new MergedLedger(instance, at, to));
    at = to;
  }
  return ledgers;
}
