// Budgets by example: periods, alerts, slices for others, rates, and runs with their children.
import { describe, expect, it } from "vitest";
import { createEngine, type Engine, FLAGS } from "../../src/engine/index.js";

const PRICE = 10n ** 14n;

function spend(engine: Engine, run: number, times: number): number {
  let flags = 0;
  for (let i = 0; i < times; i++) flags |= engine.record(run, "log_metric");
  return flags;
}

describe("a period", () => {
  it.each([
    ["hour", 0, "2026-03-01T10:59:59.999Z", "2026-03-01T11:00:00Z"],
    ["day", 0, "2026-02-28T23:59:59.999Z", "2026-03-01T00:00:00Z"],
    ["day", 330, "2026-02-28T18:29:59.999Z", "2026-02-28T18:30:00Z"],
    ["week", 0, "2026-03-01T23:59:59.999Z", "2026-03-02T00:00:00Z"],
    ["month", 0, "2028-02-29T23:59:59.999Z", "2028-03-01T00:00:00Z"],
    ["month", -480, "2027-01-01T07:59:59.999Z", "2027-01-01T08:00:00Z"],
  ] as const)(
    "of a %s at %i minutes ends where the calendar says",
    (period, offset, last, first) => {
      const engine = createEngine({ runs: 4 });
      engine.tick(Date.parse(last));
      const run = engine.openRun({ runId: "r" });
      const budget = engine.addBudget({ name: "b", limit: "1", period, offsetMinutes: offset });
      spend(engine, run, 3);
      expect(engine.budget(budget)).toMatchObject({ spent: 3n * PRICE });
      engine.tick(Date.parse(first));
      spend(engine, run, 1);
      expect(engine.budget(budget)).toMatchObject({
        spent: PRICE,
        previous: { spent: 3n * PRICE },
      });
    },
  );
});

describe("a budget", () => {
  it("fires each alert once a period, and says which", () => {
    const engine = createEngine({ runs: 4 });
    engine.tick(Date.UTC(2026, 0, 1));
    const run = engine.openRun({ runId: "r", team: "a" });
    engine.addBudget({
      name: "daily",
      limit: 10,
      unit: "operations",
      period: "day",
      scope: { team: "a" },
      alertAt: [0.5, 1],
      spent: 2,
    });
    expect(spend(engine, run, 2) & FLAGS.alert).toBe(0);
    expect(spend(engine, run, 1) & FLAGS.alert).toBe(FLAGS.alert);
    expect(spend(engine, run, 6) & FLAGS.warned).toBe(FLAGS.warned);
    expect(engine.takeAlerts().map(({ name, share }) => [name, share])).toEqual([
      ["daily", 0.5],
      ["daily", 1],
    ]);
    expect(engine.takeAlerts()).toEqual([]);
    engine.tick(Date.UTC(2026, 0, 2));
    spend(engine, run, 5);
    expect(engine.takeAlerts().map(({ share }) => share)).toEqual([0.5]);
    expect(engine.summary().missedAlerts).toBe(0);
  });

  it("holds for all that apply, or for none", () => {
    const engine = createEngine({ runs: 4 });
    const team = engine.addBudget({
      name: "team",
      limit: "1",
      period: "total",
      scope: { team: "a" },
    });
    const both = engine.addBudget({
      name: "team and customer",
      limit: "0.0001",
      period: "total",
      action: "block",
      scope: { team: "a", customerId: "c" },
    });
    const run = engine.openRun({ runId: "r", team: "a", customerId: "c" });
    expect(typeof engine.reserve(run, "log_metric")).toBe("number");
    expect(engine.reserve(run, "log_metric")).toMatchObject({ refused: true, budget: both });
    expect(engine.budget(team).held).toBe(PRICE);
    const other = engine.openRun({ runId: "o", team: "a", customerId: "d" });
    expect(typeof engine.reserve(other, "log_metric")).toBe("number");
  });

  it("of runs counts a run with its children, each run apart", () => {
    const engine = createEngine({ runs: 8 });
    const budget = engine.addBudget({
      name: "run",
      limit: 3,
      unit: "operations",
      period: "run",
      action: "block",
    });
    const parent = engine.openRun({ runId: "parent" });
    const child = engine.openRun({ runId: "child", parentRunId: "parent" });
    const other = engine.openRun({ runId: "other" });
    spend(engine, parent, 1);
    spend(engine, child, 2);
    spend(engine, other, 2);
    const spent = (run: number) => engine.budget(budget, run).spent;
    expect([spent(parent), spent(child), spent(other)]).toEqual([3n, 2n, 2n]);
    expect(engine.reserve(child, "log_metric")).toMatchObject({ reasonCode: "BUDGET_EXCEEDED" });
    expect(typeof engine.reserve(other, "log_metric")).toBe("number");
  });

  it("gives slices to others, and takes back what they left", () => {
    const engine = createEngine({ runs: 4 });
    const budget = engine.addBudget({
      name: "b",
      limit: 10,
      unit: "operations",
      period: "total",
      action: "block",
    });
    const slice = engine.grant(budget, 8n);
    if (!("lease" in slice)) throw new Error("refused");
    expect(engine.grant(budget, 8n)).toMatchObject({ amount: 2n });
    expect(engine.grant(budget, 1n)).toMatchObject({ refused: true });
    engine.spend(slice.lease, 3n);
    engine.giveBack(slice.lease);
    expect(engine.budget(budget)).toMatchObject({ spent: 3n, held: 2n, remaining: 5n });
  });

  it("books what came late, once its reservation had expired", () => {
    const engine = createEngine({ runs: 4, reservationTtlMs: 1000 });
    engine.tick(1e12);
    const budget = engine.addBudget({ name: "b", limit: "1", period: "total" });
    const ticket = engine.reserve(engine.openRun({ runId: "r" }), "log_metric") as number;
    engine.tick(1e12 + 1000);
    expect(engine.budget(budget)).toMatchObject({ spent: 0n, held: 0n });
    expect(engine.settle(ticket) & FLAGS.late).toBe(FLAGS.late);
    expect(engine.budget(budget)).toMatchObject({ spent: PRICE, held: 0n });
    expect(engine.summary().reservations).toMatchObject({ open: 0, expired: 0, late: 1 });
  });
});

describe("a rate limit", () => {
  it("lets a burst through, and then as many as time brings", () => {
    const engine = createEngine({ runs: 4 });
    engine.tick(1e12);
    engine.addRateLimit({ name: "rate", operations: 2, per: "second", burst: 3 });
    const run = engine.openRun({ runId: "r" });
    const passed = (calls: number) =>
      Array.from({ length: calls }, () => engine.reserve(run, "log_metric")).filter(
        (answer) => typeof answer === "number",
      ).length;
    expect(passed(5)).toBe(3);
    expect(engine.reserve(run, "log_metric")).toMatchObject({ decision: "RATE_LIMITED" });
    engine.tick(1e12 + 499);
    expect(passed(5)).toBe(0);
    engine.tick(1e12 + 1500);
    expect(passed(5)).toBe(3);
    expect(engine.summary().rateLimited).toBe(5 - 3 + 1 + 5 + 5 - 3);
  });
});

describe("finished runs", () => {
  it("are told of before they are folded for lack of room", () => {
    const told: string[] = [];
    const engine = createEngine({
      runs: 100,
      onFolded: (runs) => told.push(...runs.map(({ runId, own }) => `${runId} ${own}`)),
    });
    for (let i = 0; i < 500; i++) {
      const run = engine.openRun({ runId: `run-${i}` });
      spend(engine, run, 1);
      engine.finishRun(run);
    }
    const left = engine.drain().map(({ runId, own }) => `${runId} ${own}`);
    expect([...told, ...left]).toEqual(Array.from({ length: 500 }, (_, i) => `run-${i} ${PRICE}`));
    expect(told.length).toBeGreaterThan(300);
    expect(engine.total()).toBe(500n * PRICE);
    expect(engine.summary().overflowed).toBe(0);
  });
});

describe("a cursor", () => {
  it("goes over what a breakdown says, run by run", () => {
    const engine = createEngine({ runs: 8 });
    spend(engine, engine.openRun({ runId: "parent", team: "a" }), 1);
    spend(engine, engine.openRun({ runId: "child", parentRunId: "parent" }), 2);
    const read = (...query: Parameters<Engine["rollUp"]>) => {
      const cursor = engine.rollUp(...query);
      const found: Record<string, bigint> = {};
      while (cursor.next()) found[cursor.name] = cursor.amount;
      return found;
    };
    expect(read("run")).toEqual({ parent: PRICE, child: 2n * PRICE });
    expect(read("run", true)).toEqual({ parent: 3n * PRICE, child: 2n * PRICE });
    expect(read("team")).toEqual({ a: PRICE, "(unattributed)": 2n * PRICE });
    expect(() => engine.rollUp("meter" as "run")).toThrowError(/dimension/);
  });
});

describe("a reservation whose run turns out to be another's", () => {
  it.each([
    ["the run itself", undefined],
    ["a run below it", "child"],
  ])("frees what it held, and no more: on %s", (_what, child) => {
    const engine = createEngine({ runs: 8 });
    const byTeam = engine.addBudget({ name: "t", limit: 1, period: "total", scope: { team: "a" } });
    const ofRun = engine.addBudget({ name: "r", limit: 1, period: "run" });
    const below = engine.openRun({ runId: "child", parentRunId: "late", team: "a" });
    const stub = engine.findRun("late") as number;
    const ticket = engine.reserve(child === undefined ? stub : below, "log_metric") as number;
    const run = engine.openRun({ runId: "late", team: "a" });
    const held = (budget: number, of?: number) => engine.budget(budget, of).held;
    expect(held(byTeam)).toBe(engine.lastReserved());
    expect(held(ofRun, run)).toBe(engine.lastReserved());
    engine.release(ticket);
    expect([held(byTeam), held(ofRun, run), held(ofRun, below)]).toEqual([0n, 0n, 0n]);
  });
});

describe("runs that share a budget's own position for want of room", () => {
  it("still do when another budget is removed, or a run finds its place", () => {
    const engine = createEngine({ runs: 16, positions: 1 });
    const other = engine.addBudget({ name: "o", limit: 1, period: "total" });
    const budget = engine.addBudget({
      ...{ name: "r", limit: 2, unit: "operations", period: "run", action: "block" },
    });
    engine.openRun({ runId: "first" });
    const shared = engine.openRun({ runId: "second", parentRunId: "above" });
    engine.record(shared, "log_metric");
    engine.removeBudget(other);
    engine.openRun({ runId: "above" });
    engine.record(shared, "log_metric");
    expect(engine.budget(budget, shared).spent).toBe(2n);
    expect(engine.reserve(shared, "log_metric")).toMatchObject({ decision: "BLOCKED" });
  });
});

describe("a budget that is younger than a reservation", () => {
  it("has no say in how that goes on, and counts what it comes to", () => {
    const engine = createEngine({ runs: 4 });
    const run = engine.openRun({ runId: "r" });
    const ticket = engine.reserve(run, "log_artifact", "storage.s3", 10) as number;
    const young = engine.addBudget({
      ...{ name: "b", limit: 1000, unit: "bytes", period: "total", action: "block" },
    });
    for (let i = 0; i < 5; i++) expect(engine.extend(ticket, "storage.s3", 900)).toBeUndefined();
    expect(engine.budget(young).held).toBe(0n);
    engine.settle(ticket);
    expect(engine.budget(young).spent).toBe(4510n);
  });
});

describe("a call that a limit only warned of", () => {
  it("gives back no token that it did not take", () => {
    const engine = createEngine({ runs: 4 });
    engine.tick(1_800_000_000_000);
    engine.addRateLimit({ name: "l", operations: 1, burst: 2, per: "minute", action: "warn" });
    const run = engine.openRun({ runId: "r" });
    const tickets = [0, 1, 2, 3].map(() => engine.reserve(run, "log_metric") as number);
    engine.release(tickets[2] as number);
    engine.release(tickets[3] as number);
    expect(engine.record(run, "log_metric") & FLAGS.warned).toBe(FLAGS.warned);
  });
});
