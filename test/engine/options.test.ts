// Options: what nobody would read is refused by name, and what is refused leaves nothing behind.
import { describe, expect, it } from "vitest";
import { createEngine, FLAGS } from "../../src/engine/index.js";
import { refused } from "./refused.js";

const any = (value: unknown) => value as never;

describe("an option that nobody reads", () => {
  it.each([
    ["createEngine", () => createEngine(any({ runz: 5 })), 'did you mean "runs"?'],
    ["no options at all", () => createEngine(any(null)), "is no object of options"],
    ["prices", () => createEngine({ prices: any({ operation: {} }) }), '"operations"'],
    [
      "a rate",
      () => createEngine({ prices: { meters: { m: any({ price: 1, tims: 3 }) } } }),
      "times",
    ],
    [
      "an operation",
      () => createEngine({ operations: [any({ name: "a", klass: "other" })] }),
      "class",
    ],
    ["onFolded", () => createEngine({ onFolded: any(5) }), "is no function"],
    ["a run", () => createEngine().openRun(any({ runId: "r", customer: "c" })), "customerId"],
    ["a scope", () => createEngine().openScope(any({ modell: "m" })), '"model"'],
    ["nothing for a run", () => createEngine().openRun(any(null)), "is no object of options"],
    [
      "a budget",
      () => createEngine().addBudget(any({ name: "b", limit: 1, period: "day", alertsAt: [1] })),
      '"alertAt"',
    ],
    [
      "a rate limit",
      () => createEngine().addRateLimit(any({ name: "r", operation: 1 })),
      "operations",
    ],
  ])("is refused by name: %s", (_where, call, advice) => {
    const error = refused(call);
    expect(error.code).toBe("INVALID_OPTION");
    expect(error.message).toContain(advice);
  });

  it.each([
    ["a flag that is none", { name: "a", class: "other", startsRun: 1 }],
    ["a count that is none", { name: "a", class: "other", counted: "yes" }],
  ])("has a value that is one: %s", (_what, operation) => {
    expect(refused(() => createEngine({ operations: [any(operation)] })).code).toBe(
      "INVALID_OPTION",
    );
  });

  it("of a budget of runs is what was spent before", () => {
    const error = refused(() =>
      createEngine().addBudget({ name: "b", limit: 1, period: "run", spent: 1 }),
    );
    expect(error.message).toContain("spent");
  });
});

describe("a call that is refused", () => {
  it("makes no meter", () => {
    const engine = createEngine({ runs: 4 });
    const before = engine.meters;
    for (const call of [
      () => engine.record(0, "log_metric", "typo", 1),
      () => engine.reserve(0, "log_metric", "typo", 1),
      () => engine.charge(0, "typo", 1),
      () => engine.extend(0, "typo", 1),
    ]) {
      expect(refused(call).code).toBe("INVALID_HANDLE");
    }
    expect(engine.price("log_metric", "typo", 1)).toBeUndefined();
    expect(engine.meters).toEqual(before);
  });

  it("makes no names", () => {
    const engine = createEngine({ runs: 4, tuples: 16, names: 64, nameBytes: 4096 });
    for (let i = 0; i < 100; i++) {
      expect(refused(() => engine.openScope({ parent: 5, team: `t${i}` })).code).toBe(
        "INVALID_HANDLE",
      );
      expect(
        refused(() => engine.openRun({ runId: "r", team: `u${i}`, project: any(5) })).code,
      ).toBe("INVALID_NAME");
    }
    engine.record(engine.openRun({ runId: "real", team: "payer" }), "log_metric");
    expect(engine.total("team", "payer")).toBe(10n ** 14n);
  });
});

describe("a quantity", () => {
  it("needs a meter, or it would be lost", () => {
    const engine = createEngine({ runs: 4 });
    const run = engine.openRun({ runId: "r" });
    for (const call of [
      () => engine.record(run, "log_artifact", undefined, 10),
      () => engine.reserve(run, "log_artifact", undefined, 10),
    ]) {
      const error = refused(call);
      expect(error.code).toBe("UNKNOWN_METER");
      expect(error.message).toContain("a quantity needs one");
    }
    expect(engine.operationCount()).toBe(0);
  });
});

describe("an amount as bigint", () => {
  it("is in atto-USD wherever it goes in, as everywhere it comes out", () => {
    const engine = createEngine();
    const budget = engine.addBudget({ name: "b", limit: 50, period: "total", action: "block" });
    const { limit } = engine.budget(budget);
    engine.setLimit(budget, limit);
    expect(engine.budget(budget).limit).toBe(limit);
    expect(engine.grant(budget, limit / 10n)).toMatchObject({ amount: limit / 10n });
  });
});

describe("a budget", () => {
  it("that is removed gives its name back", () => {
    const engine = createEngine({ names: 64 });
    for (let i = 0; i < 500; i++) {
      engine.removeBudget(engine.addBudget({ name: `b${i}`, limit: 1, period: "day" }));
    }
    expect(engine.budgets()).toEqual([]);
  });

  it("that begins with more than an alert says so, once", () => {
    const engine = createEngine();
    engine.addBudget({
      ...{ name: "b", limit: 1, spent: 1, period: "month", action: "block", alertAt: [0.8, 1] },
    });
    expect(engine.takeAlerts().map(({ share }) => share)).toEqual([0.8, 1]);
    expect(engine.takeAlerts()).toEqual([]);
  });

  it("keeps where it began when the clock is set for the first time", () => {
    const engine = createEngine({ runs: 4 });
    const budget = engine.addBudget({ name: "b", limit: 1, spent: "0.5", period: "day" });
    engine.tick(Date.UTC(2026, 0, 15));
    expect(engine.budget(budget).spent).toBe(5n * 10n ** 17n);
    engine.tick(Date.UTC(2026, 0, 16));
    expect(engine.budget(budget)).toMatchObject({
      spent: 0n,
      previous: { spent: 5n * 10n ** 17n },
    });
  });

  it("of runs has a position for each that is live, as finished ones make room", () => {
    const engine = createEngine({ runs: 1000, positions: 8 });
    engine.addBudget({ name: "b", limit: 2, unit: "operations", period: "run", action: "block" });
    for (let i = 0; i < 100; i++) {
      const run = engine.openRun({ runId: `r${i}` });
      const ticket = engine.reserve(run, "log_metric");
      expect(ticket).toBeTypeOf("number");
      expect(engine.settle(ticket as number) & FLAGS.warned).toBe(0);
      engine.finishRun(run);
    }
  });
});

describe("a snapshot of another source, or another life of it", () => {
  it("is not restored, as what it counted would be counted twice", () => {
    const snapshot = createEngine({ source: 1, epoch: 1 }).snapshot();
    for (const other of [{ source: 2 }, { source: 1, epoch: 2 }]) {
      const error = refused(() => createEngine(other).restore(snapshot));
      expect(error.code).toBe("INCOMPATIBLE_SNAPSHOT");
    }
    createEngine({ source: 1, epoch: 1 }).restore(snapshot);
  });
});
