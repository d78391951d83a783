// Snapshots: what comes back is what was there, and what is no snapshot changes nothing.
import { describe, expect, it } from "vitest";
import { createEngine, type Engine, EngineError, FLAGS } from "../../src/engine/index.js";
import { type Bare, bare } from "./bare.js";
import { random, seedOfToday } from "./random.js";
import { refused } from "./refused.js";
import { makeRich, mutated, NOW, rowsOf, SMALL, sealed } from "./rich.js";

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** The module's own answer to bytes: 0 when it took them. */
function read({ exports, window }: Bare, snapshot: Uint8Array, how: "verify" | "merge"): number {
  const memory = new Uint8Array(exports.memory.buffer);
  if (how === "merge") exports.mergeBegin();
  else exports.restoreBegin();
  for (let at = 0; at < snapshot.length; ) {
    const piece = snapshot.subarray(at, at + 65_536);
    memory.set(piece, window);
    const taken =
      how === "merge" ? exports.mergeChunk(piece.length) : exports.restoreChunk(piece.length, 0);
    if (taken <= 0) return taken || -20;
    at += taken;
  }
  return how === "merge" ? exports.mergeEnd() : exports.restoreEnd(0);
}

/** Uses a bit of everything; whatever it finds, it must not trap, and the account must add up. */
function exercise(engine: Engine): void {
  const attempt = (call: () => unknown) => {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof EngineError) || error.code === "ENGINE_POISONED") throw error;
      return undefined;
    }
  };
  const tickets: unknown[] = [];
  for (let i = 0; i < 40; i++) {
    const run = attempt(() =>
      engine.openRun({
        runId: `new-${i}`,
        parentRunId: i % 3 ? "parent" : undefined,
        team: `t${i}`,
      }),
    );
    if (typeof run !== "number") continue;
    attempt(() => engine.record(run, "log_artifact", "storage.s3", i * 1e6));
    tickets.push(attempt(() => engine.reserve(run, "log_model")));
    attempt(() => engine.openScope({ parent: run, model: "m" }));
    if (i % 2) attempt(() => engine.finishRun(run));
    attempt(() => engine.tick(NOW + i * 7000));
  }
  for (const ticket of tickets) {
    if (typeof ticket === "number") attempt(() => engine.settle(ticket, "ok", 5));
  }
  for (const budget of engine.budgets()) {
    attempt(() => engine.budget(budget));
    attempt(() => engine.grant(budget, 1n));
    attempt(() => engine.removeBudget(budget));
  }
  attempt(() => engine.takeAlerts());
  attempt(() => engine.drain());
  expectConserved(engine);
}

function expectConserved(engine: Engine): void {
  const summary = engine.summary();
  for (const [name, amounts] of Object.entries(summary)) {
    if (!name.startsWith("by")) continue;
    const sum = Object.values(amounts as Record<string, bigint>).reduce(
      (all, one) => all + one,
      0n,
    );
    expect(sum, name).toBe(summary.total);
  }
}

describe("a snapshot", () => {
  it("brings everything back, and everything goes on alike", () => {
    const engine = makeRich();
    const snapshot = engine.snapshot();
    const other = createEngine({ ...SMALL, source: 1 });
    other.restore(snapshot);
    expect(equal(other.snapshot(), snapshot)).toBe(true);
    expect(other.summary()).toEqual(engine.summary());
    for (const one of [engine, other]) exercise(one);
    expect(equal(other.snapshot(), engine.snapshot())).toBe(true);
    expect(other.summary()).toEqual(engine.summary());
  });

  it("is the same after the same calls", () => {
    expect(equal(makeRich().snapshot(), makeRich().snapshot())).toBe(true);
  });

  it("replaces what an engine knew", () => {
    const other = createEngine(SMALL);
    const gone = other.openRun({ runId: "gone", team: "gone" });
    other.record(gone, "log_metric", "gone.units", 4);
    other.restore(createEngine(SMALL).snapshot());
    expect(other.total()).toBe(0n);
    expect(other.findRun("gone")).toBeUndefined();
    expect(refused(() => other.record(gone, "log_metric")).code).toBe("INVALID_HANDLE");
    const run = other.openRun({ runId: "r", team: "new" });
    other.record(run, "log_metric", "other.units", 4);
    expect(other.summary().unpriced).toMatchObject([{ meter: "other.units", quantity: 4n }]);
  });

  it("keeps its meters through a merge", () => {
    const other = createEngine(SMALL);
    other.merge(makeRich().snapshot());
    const run = other.openRun({ runId: "r" });
    other.record(run, "log_metric", "tokens", 4);
    other.record(run, "log_metric", "odd", 4);
    expect(other.summary().meters.tokens?.quantity).toBe(52n);
    expect(other.summary().meters.odd?.quantity).toBe(9n);
    expectConserved(other);
  });

  it("of other capacities or operations is refused by name", () => {
    const snapshot = makeRich().snapshot();
    for (const options of [
      { ...SMALL, runs: 25 },
      { ...SMALL, budgets: 7 },
      { ...SMALL, operations: [{ name: "embed_text", class: "other" }] },
    ]) {
      const error = refused(() => createEngine(options).restore(snapshot));
      expect(error.code).toBe("INCOMPATIBLE_SNAPSHOT");
      expect(error.message).toContain("capacities");
    }
  });

  it.each([
    ["nothing", new Uint8Array()],
    ["text", new TextEncoder().encode("genops, but no snapshot at all, however long it may be")],
    ["a future format", Uint8Array.from(makeRich().snapshot(), (byte, i) => (i === 16 ? 5 : byte))],
    ["what is no bytes", "snapshot" as unknown as Uint8Array],
    ["undefined", undefined as unknown as Uint8Array],
  ])("cannot be %s", (_, given) => {
    const engine = makeRich();
    const before = engine.snapshot();
    for (const call of [() => engine.restore(given), () => engine.merge(given)]) {
      expect(refused(call).code).toMatch(/^(SNAPSHOT_CORRUPT|INCOMPATIBLE_SNAPSHOT)$/);
    }
    expect(equal(engine.snapshot(), before)).toBe(true);
  });

  it("is refused when it is cut anywhere", () => {
    const engine = makeRich();
    const snapshot = engine.snapshot();
    for (let length = 0; length < snapshot.length; length += 1 + (length % 13)) {
      expect(refused(() => engine.merge(snapshot.subarray(0, length))).code).toBe(
        "SNAPSHOT_CORRUPT",
      );
    }
    expect(equal(engine.snapshot(), snapshot)).toBe(true);
  });

  it("is refused when a single bit of it is another", () => {
    const snapshot = makeRich().snapshot();
    const reader = bare();
    const target = bareLike();
    expect(read(target, snapshot, "verify")).toBe(0);
    const copy = snapshot.slice();
    for (const [engine, how] of [
      [target, "verify"],
      [reader, "merge"],
    ] as const) {
      const before = stateOf(engine);
      for (let bit = 0; bit < snapshot.length * 8; bit++) {
        const at = bit >> 3;
        copy[at] = (copy[at] as number) ^ (1 << (bit & 7));
        const status = read(engine, copy, how);
        copy[at] = snapshot[at] as number;
        if (status >= 0) throw new Error(`bit ${bit}: ${how} answered ${status}`);
      }
      expect(equal(stateOf(engine), before), how).toBe(true);
    }
  });
});

/** A bare instance of the capacities of the rich engine. */
function bareLike(): Bare {
  const { runs, tuples, names, nameBytes, reservations } = SMALL as Required<typeof SMALL>;
  return bare({
    runs,
    tuples,
    names,
    nameBytes,
    reservations,
    budgets: 6,
    positions: 12,
    sourceBytes: 2 ** 15,
  });
}

/** The state of a bare instance. */
function stateOf({ exports, window }: Bare): Uint8Array {
  const pieces: Uint8Array[] = [];
  exports.snapshotBegin();
  for (let size = exports.snapshotChunk(); size > 0; size = exports.snapshotChunk()) {
    pieces.push(new Uint8Array(exports.memory.buffer.slice(window, window + size)));
  }
  return Buffer.concat(pieces);
}

describe("a changed snapshot whose checksum was made to fit", () => {
  const seed = seedOfToday();
  const hint = `GENOPS_TEST_SEED=${seed}`;
  const count = Number(process.env.GENOPS_TEST_FUZZ ?? 3000);

  it("is refused, or is a state that works and adds up", () => {
    const chance = random(seed);
    const rows = rowsOf(makeRich().snapshot());
    const engine = makeRich();
    let before = engine.snapshot();
    let taken = 0;
    for (let i = 0; i < count; i++) {
      const snapshot = sealed(mutated(rows, chance));
      try {
        engine.restore(snapshot);
      } catch (error) {
        if (!(error instanceof EngineError) || !/SNAPSHOT/.test(error.code))
          throw new Error(`${hint}: ${error}`, { cause: error });
        if (i % 50 === 0) expect(equal(engine.snapshot(), before), hint).toBe(true);
        continue;
      }
      taken++;
      const state = engine.snapshot();
      engine.restore(state);
      expect(equal(engine.snapshot(), state), hint).toBe(true);
      try {
        exercise(engine);
      } catch (error) {
        throw new Error(`${hint}, the ${i + 1}th: ${error}`, { cause: error });
      }
      engine.restore(sealed(rows));
      before = engine.snapshot();
    }
    // Most changes contradict something; those that do not must have been tried too.
    expect(taken, hint).toBeGreaterThan(count / 50);
    expect(taken, hint).toBeLessThan(count);
  });

  it("is merged whole, or not at all", () => {
    const chance = random(seed + 1);
    const rows = rowsOf(makeRich(2).snapshot());
    const engine = makeRich();
    const clean = engine.snapshot();
    let taken = 0;
    for (let i = 0; i < count * 2; i++) {
      const snapshot = sealed(mutated(rows, chance));
      try {
        engine.merge(snapshot);
      } catch (error) {
        if (!(error instanceof EngineError) || error.code === "ENGINE_POISONED") {
          throw new Error(`${hint}: ${error}`, { cause: error });
        }
        if (i % 50 === 0) expect(equal(engine.snapshot(), clean), hint).toBe(true);
        continue;
      }
      taken++;
      try {
        expectConserved(engine);
      } catch (error) {
        throw new Error(`${hint}, the ${i + 1}th: ${error}`, { cause: error });
      }
      if (taken % 10 === 0) exercise(engine);
      engine.restore(clean);
    }
    expect(taken, hint).toBeGreaterThan(count / 50);
  });
});

describe("what a snapshot does not bring", () => {
  it("stays: the static prefix and the names of added operations", () => {
    const options = {
      ...SMALL,
      operations: [{ name: "embed_text", class: "other" }],
    };
    const engine = createEngine({ ...options, staticPrefix: "/mlflow" });
    engine.restore(createEngine(options).snapshot());
    expect(engine.classify("POST", "/mlflow/api/2.0/mlflow/runs/create")).toBe(
      engine.operation("create_run"),
    );
    const run = engine.openRun({ runId: "r" });
    for (let i = 0; i < 50; i++) engine.meter(`m${i}`);
    engine.record(run, "embed_text");
    expect(engine.summary().unpriced).toMatchObject([{ operation: "embed_text" }]);
  });

  it("is worked out anew: where a budget has something to say", () => {
    const engine = createEngine(SMALL);
    const budget = engine.addBudget({
      name: "b",
      limit: "0.0002",
      period: "total",
      alertAt: [0.5],
    });
    const rows = rowsOf(engine.snapshot()).map((row) => {
      const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
      // The mark of the budget's position, as if nothing had to be said for a long time.
      if (view.getUint32(0, true) === 11) view.setBigUint64(8 + 40, 2n ** 40n, true);
      return row;
    });
    engine.restore(sealed(rows));
    const run = engine.openRun({ runId: "r" });
    expect(engine.record(run, "log_metric") & FLAGS.alert).toBe(FLAGS.alert);
    engine.record(run, "log_metric");
    expect(engine.record(run, "log_metric") & FLAGS.warned).toBe(FLAGS.warned);
    expect(engine.budget(budget).spent).toBe(3n * 10n ** 14n);
  });

  it("may be of runs far below each other", () => {
    const depth = 30_000;
    const engine = createEngine({ runs: depth });
    for (let i = 0; i < depth; i++) {
      engine.openRun({ runId: `${i}`, parentRunId: i === 0 ? undefined : `${i - 1}` });
    }
    const snapshot = engine.snapshot();
    engine.restore(snapshot);
    expect(equal(engine.snapshot(), snapshot)).toBe(true);
  });
});
