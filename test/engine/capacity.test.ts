// Bounded, never lossy: what does not fit is booked under "(overflow)", and every sum stays exact.
import { describe, expect, it } from "vitest";
import { createEngine, type Engine, FLAGS } from "../../src/engine/index.js";
import { bare } from "./bare.js";
import { refused } from "./refused.js";

const OVERFLOW = "(overflow)";
const PRICE = 10n ** 14n;

/** Every breakdown sums to the total. */
function expectConserved(engine: Engine): void {
  const summary = engine.summary();
  for (const [name, amounts] of Object.entries(summary)) {
    if (!name.startsWith("by")) continue;
    const sum = Object.values(amounts as Record<string, bigint>).reduce((a, b) => a + b, 0n);
    expect(sum, name).toBe(summary.total);
  }
}

describe("runs beyond the capacity", () => {
  it("share one node for each payer, flagged and counted", () => {
    const engine = createEngine({ runs: 4 });
    let flagged = 0;
    for (let i = 0; i < 100; i++) {
      const run = engine.openRun({ runId: `run-${i}`, team: `team-${i % 3}` });
      if (engine.record(run, "log_metric") & FLAGS.overflowed) flagged++;
    }
    const summary = engine.summary();
    expect(flagged).toBe(96);
    expect(summary).toMatchObject({ total: 100n * PRICE, operationCount: 100, overflowed: 96 });
    expect(summary.byRun).toMatchObject({ "run-0": PRICE, [OVERFLOW]: 96n * PRICE });
    expect(summary.byTeam).toEqual({
      "team-0": 34n * PRICE,
      "team-1": 33n * PRICE,
      "team-2": 33n * PRICE,
    });
    expectConserved(engine);
  });

  it("are found again when they fit, and not when they do not", () => {
    const engine = createEngine({ runs: 1 });
    const first = engine.openRun({ runId: "a" });
    const second = engine.openRun({ runId: "b" });
    expect(engine.openRun({ runId: "a" })).toBe(first);
    expect(engine.openRun({ runId: "b" })).toBe(second);
    expect(engine.openRun({ runId: "c" })).toBe(second);
    expect(second).not.toBe(first);
  });

  it("take their children with them", () => {
    const engine = createEngine({ runs: 2 });
    engine.openRun({ runId: "a", team: "t" });
    engine.openRun({ runId: "b", team: "t" });
    const child = engine.openRun({ runId: "d", parentRunId: "c", team: "t" });
    engine.record(child, "log_metric");
    expect(engine.total("team", "t")).toBe(PRICE);
    expect(engine.total("run", OVERFLOW)).toBe(PRICE);
    expectConserved(engine);
  });
});

describe("names beyond the capacity", () => {
  it.each([
    ["in number", { names: 64 }],
    ["in bytes", { nameBytes: 1024 }],
  ])("%s go under (overflow), dimension by dimension", (_, capacity) => {
    const engine = createEngine({ runs: 4096, tuples: 4096, ...capacity });
    for (let i = 0; i < 2000; i++) {
      const run = engine.openRun({
        runId: `run-${i}`,
        experiment: `experiment-${i}`,
        team: "team",
        customerId: `customer-${i}`,
      });
      engine.record(run, "log_metric");
    }
    const summary = engine.summary();
    expect(summary.total).toBe(2000n * PRICE);
    expect(summary.byTeam).toEqual({ team: 2000n * PRICE });
    for (const amounts of [summary.byRun, summary.byExperiment, summary.byCustomer]) {
      expect(Object.keys(amounts).length).toBeLessThan(64);
      expect(amounts[OVERFLOW]).toBeGreaterThan(1900n * PRICE);
    }
    expect(summary.overflowed).toBeGreaterThan(1900);
    expectConserved(engine);
  });
});

describe("payers beyond the capacity", () => {
  it("give up the customer first; team and project stay known", () => {
    const engine = createEngine({ runs: 256, tuples: 16 });
    let flagged = 0;
    for (let i = 0; i < 200; i++) {
      const run = engine.openRun({
        runId: `run-${i}`,
        team: "team",
        project: "project",
        customerId: `customer-${i}`,
      });
      if (engine.record(run, "log_metric") & FLAGS.overflowed) flagged++;
    }
    const { byTeam, byProject, byCustomer, byRun, overflowed } = engine.summary();
    expect(overflowed).toBe(flagged);
    expect(byCustomer[OVERFLOW]).toBe(BigInt(flagged) * PRICE);
    expect(byTeam).toEqual({ team: 200n * PRICE });
    expect(byProject).toEqual({ project: 200n * PRICE });
    expect(byCustomer["customer-0"]).toBe(PRICE);
    expect(byCustomer[OVERFLOW]).toBeGreaterThan(150n * PRICE);
    expect(byRun["run-199"]).toBe(PRICE);
    expectConserved(engine);
  });

  it("end in one tuple when even the teams are too many", () => {
    const engine = createEngine({ runs: 256, tuples: 16 });
    for (let i = 0; i < 200; i++) {
      engine.record(engine.openRun({ runId: `run-${i}`, team: `team-${i}` }), "log_metric");
    }
    const { byTeam, total } = engine.summary();
    expect(total).toBe(200n * PRICE);
    expect(byTeam["team-0"]).toBe(PRICE);
    expect(byTeam[OVERFLOW]).toBeGreaterThan(150n * PRICE);
    expectConserved(engine);
  });
});

describe("other tables", () => {
  it("put quantities that find no cell under (overflow), with their cost", () => {
    const meters = Object.fromEntries(
      Array.from({ length: 250 }, (_, i) => [`m${i}`, { price: "0.000001" }]),
    );
    const engine = createEngine({ runs: 1, prices: { meters } });
    const run = engine.openRun({ runId: "r" });
    const operations = Array.from({ length: 40 }, (_, id) => id);
    for (const operation of operations) {
      for (const meter of Object.keys(meters)) engine.record(run, operation, meter, 1);
    }
    const calls = operations.length * 250;
    const summary = engine.summary();
    const quantities = Object.values(summary.meters);
    expect(quantities.reduce((sum, { quantity }) => sum + quantity, 0n)).toBe(BigInt(calls));
    expect(quantities.reduce((sum, { cost }) => sum + cost, 0n)).toBe(BigInt(calls) * 10n ** 12n);
    expect(summary.byMeter[OVERFLOW]).toBeGreaterThan(0n);
    expectConserved(engine);
  });

  it("refuse a reservation too many as a decision, and take one again after a release", () => {
    const engine = createEngine({ runs: 1, reservations: 2 });
    const run = engine.openRun({ runId: "r" });
    const first = engine.reserve(run, "log_metric") as number;
    engine.reserve(run, "log_metric");
    expect(engine.reserve(run, "log_metric")).toEqual({
      refused: true,
      decision: "BLOCKED",
      reasonCode: "x_reservations_full",
    });
    engine.release(first);
    expect(engine.reserve(run, "log_metric")).toBeTypeOf("number");
    expect(engine.total()).toBe(0n);
  });

  it("refuse the meter too many by name", () => {
    const engine = createEngine({ runs: 1 });
    for (let i = 0; i < 251; i++) engine.meter(`m${i}`);
    expect(refused(() => engine.meter("one more"))).toMatchObject({
      code: "CAPACITY_EXCEEDED",
      field: "meter",
      value: "one more",
    });
    expect(engine.meter("m250")).toBe(255);
  });

  it("refuse the operation too many by name", () => {
    const operations = Array.from({ length: 512 }, (_, i) => ({
      name: `own_${i}`,
      class: "other",
    }));
    expect(refused(() => createEngine({ runs: 1, nameBytes: 2 ** 20, operations }))).toMatchObject({
      code: "CAPACITY_EXCEEDED",
      field: "operations.name",
    });
  });
});

describe("memory", () => {
  it("is sized once and never grows, however much goes through it", () => {
    const { exports, openRun, openScope, memoryBytes } = bare();
    const before = memoryBytes();
    const operation = 2;
    for (let i = 0; i < 5000; i++) {
      const run = openRun(`run-${i}`, "", "", `t-${i}`);
      expect(run).toBeGreaterThan(0);
      openScope(run, `experiment-${i}`);
      exports.record(run, operation, 0, 0, 1);
      const ticket = exports.reserve(run, operation, 0, 0);
      if (ticket > 0 && i % 2 === 0) exports.settle(ticket, 0, 1, 5);
      exports.tick(i * 3_600_000 + 1);
      exports.rollUp(1, 1);
    }
    expect(memoryBytes()).toBe(before);
  });

  it("has the size that its capacities ask for", () => {
    const small = bare({ runs: 1000 }).memoryBytes();
    const large = bare({ runs: 101_000 }).memoryBytes();
    expect(large - small).toBeGreaterThanOrEqual(100_000 * 64 - 65_536);
    expect(large - small).toBeLessThanOrEqual(100_000 * 64 + 65_536);
  });
});
