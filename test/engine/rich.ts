// A small engine with something of everything in it, and changed copies of its snapshots.
import { createEngine, type Engine, type EngineOptions } from "../../src/engine/index.js";
import type { Random } from "./random.js";

export const SMALL: EngineOptions = {
  runs: 24,
  tuples: 16,
  names: 96,
  nameBytes: 4096,
  reservations: 8,
  budgets: 6,
  positions: 12,
  sourceBytes: 2 ** 15,
  reservationTtlMs: 10_000,
};
export const NOW = Date.UTC(2026, 0, 1);

/** Runs below runs, folded ones, scopes, budgets of all kinds, tickets in every state, old prices, another's ledger. */
export function makeRich(source = 1): Engine {
  const engine = createEngine({ ...SMALL, source, samplingRate: 0.5 });
  engine.tick(NOW);
  engine.addBudget({
    name: "team",
    limit: "5",
    period: "month",
    scope: { team: "a" },
    alertAt: [0.00001, 0.5],
  });
  const leased = engine.addBudget({
    name: "leased",
    limit: 1000,
    unit: "operations",
    period: "day",
  });
  engine.addBudget({ name: "run", limit: "3", period: "run", action: "block" });
  engine.addRateLimit({ name: "rate", operations: 100, per: "second" });
  engine.removeBudget(engine.addBudget({ name: "gone", limit: 1, period: "total" }));
  const parent = engine.openRun({ runId: "parent", team: "a", experiment: "x" });
  const child = engine.openRun({ runId: "child", parentRunId: "parent", team: "a" });
  engine.openRun({ runId: "orphan", parentRunId: "unknown", customerId: "käse" });
  const scope = engine.openScope({ parent: child, model: "m", team: "b", environment: "dev" });
  const over = engine.openRun({ runId: "over", parentRunId: "parent", team: "a", project: "p" });
  for (const node of [parent, child, scope, over]) {
    engine.record(node, "log_metric");
    engine.record(node, "log_artifact", "storage.s3", 12_345_678, 3);
    engine.record(node, "log_param", "tokens", 12);
  }
  engine.finishRun(over, "FAILED");
  engine.drain();
  const tickets = Array.from(
    { length: 6 },
    (_, i) => engine.reserve(child, "log_artifact", "storage.s3", i * 1000) as number,
  ) as [number, number, number, number, number, number];
  engine.charge(tickets[0], "egress", 7);
  engine.extend(tickets[1], "storage.s3", 500);
  engine.settle(tickets[2], "ok", 12.5);
  engine.settle(tickets[3], "error", 1);
  engine.setPrices({ operations: { log_artifact: "0.002" } });
  engine.tick(NOW + 9000);
  engine.charge(tickets[0], "egress", 7);
  engine.tick(NOW + 12_000);
  const lease = engine.grant(leased, 10n);
  if ("lease" in lease) engine.spend(lease.lease, 3n);
  engine.finishRun(engine.openRun({ runId: "finished", team: "c" }));
  if (source < 1000) {
    const other = createEngine({ ...SMALL, source: source + 1000 });
    const run = other.openRun({ runId: "elsewhere", parentRunId: "parent", team: "z" });
    other.record(run, "log_artifact", "odd", 5);
    other.record(run, "log_artifact", "storage.gcs", 5_000_000);
    other.finishRun(run);
    other.drain();
    other.record(other.openRun({ runId: "parent", team: "a" }), "log_metric");
    engine.merge(other.snapshot());
  }
  return engine;
}

// What assembly/snapshot.ts says of the format.
const ROW_BYTES = [80, 592, 32, 24, 8, 40, 96, 32, 64, 64, 240, 448, 8, 64, 16, 16, 64, 24];
const END = 0xffffffff;
const MIX = 0x9e3779b97f4a7c15n;
const MASK = (1n << 64n) - 1n;

/** A snapshot's rows, without the last. */
export function rowsOf(snapshot: Uint8Array): Uint8Array[] {
  const view = new DataView(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength);
  const rows: Uint8Array[] = [];
  for (let at = 0; view.getUint32(at, true) !== END; ) {
    const length = 8 + (ROW_BYTES[view.getUint32(at, true)] ?? Number.NaN);
    rows.push(snapshot.slice(at, at + length));
    at += length;
  }
  return rows;
}

/** A snapshot of these rows, with the number and the checksum that belong to them. */
export function sealed(rows: readonly Uint8Array[]): Uint8Array {
  const length = rows.reduce((sum, row) => sum + row.length, 0);
  const snapshot = new Uint8Array(length + 16);
  let at = 0;
  for (const row of rows) {
    snapshot.set(row, at);
    at += row.length;
  }
  const words = new BigUint64Array(snapshot.buffer, 0, length / 8);
  let checksum = 0n;
  for (const word of words) {
    checksum = ((checksum ^ word) * MIX) & MASK;
    checksum ^= checksum >> 32n;
  }
  const view = new DataView(snapshot.buffer);
  view.setUint32(length, END, true);
  view.setUint32(length + 4, rows.length, true);
  view.setBigUint64(length + 8, checksum, true);
  return snapshot;
}

const TELLING = [
  0, 1, 2, 3, 7, 15, 16, 63, 64, 255, 4096, 65_535, 0x7fffffff, 0x80000000, 0xffffffff,
];

/** Rows of which some are changed: a word, a bit, two rows' places, one row more or less. */
export function mutated(rows: readonly Uint8Array[], { below, pick, next }: Random): Uint8Array[] {
  const changed = [...rows];
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const index = below(changed.length);
    const row = changed[index]?.slice();
    if (row === undefined) break;
    const view = new DataView(row.buffer);
    const word = 4 * below(row.length / 4);
    const old = view.getUint32(word, true);
    const dice = below(20);
    if (dice < 5) view.setUint32(word, pick(TELLING), true);
    else if (dice < 9) view.setUint32(word, old ^ (1 << below(32)), true);
    else if (dice < 13) view.setUint32(word, old + pick([1, -1, 2, -2, 16, -16]), true);
    else if (dice < 15) {
      // What another place says: ids, handles and amounts that exist.
      const other = pick(changed);
      const from = 4 * below(other.length / 4);
      view.setUint32(
        word,
        new DataView(other.buffer, other.byteOffset).getUint32(from, true),
        true,
      );
    } else if (dice < 16) view.setUint32(word, next(), true);
    if (dice < 16) {
      changed[index] = row;
      // A row is as long as its section says; another section is another row.
      if (row.length !== 8 + (ROW_BYTES[view.getUint32(0, true)] ?? -1)) changed.splice(index, 1);
    } else if (dice < 18) changed.splice(index, 1);
    else if (dice < 19) changed.splice(below(changed.length), 0, row);
    else {
      const other = below(changed.length);
      [changed[index], changed[other]] = [
        changed[other] as Uint8Array,
        changed[index] as Uint8Array,
      ];
    }
  }
  return changed;
}
