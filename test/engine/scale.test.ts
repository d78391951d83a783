// Large numbers: of records, of reservations at once, of customers.
import { describe, expect, it } from "vitest";
import { createEngine, OVERFLOW } from "../../src/engine/index.js";
import { bare } from "./bare.js";

describe("two thousand million operations of 0.0001 USD", () => {
  it("cost exactly the product, where doubles drift", { timeout: 300_000 }, () => {
    const times = 2_000_000_000;
    const { exports, openRun, amount, write, window } = bare();
    const run = openRun("run", "", "experiment", "team");
    // Sampling is off, as it is for most operations of a busy host.
    for (let id = 0; id < 16; id++) exports.setSamplingRate(id, 0);
    exports.tick(Date.UTC(2026, 0, 1));
    const metric = exports.classify(window, write("POST /api/2.0/mlflow/runs/log-metric"));
    const { record } = exports;
    let double = 0;
    for (let i = 0; i < times; i++) {
      record(run, metric, 0, 0, 1);
      double += 0.0001;
    }
    const product = BigInt(times) * 10n ** 14n;
    expect(amount(0)).toBe(product);
    const drift = double - 200_000;
    console.log(
      `2,000,000,000 × 0.0001 USD: the engine ${amount(0)} atto-USD, off by ${amount(0) - product}; a double ${double} USD, off by ${drift}`,
    );
    expect(drift).not.toBe(0);
  });
});

describe("ten thousand reservations", () => {
  it("race for room for one, and one passes", async () => {
    const engine = createEngine({ runs: 64, reservations: 20_000 });
    engine.addBudget({
      name: "one",
      limit: "0.0001",
      period: "total",
      action: "block",
      scope: { team: "a" },
    });
    const answers = await Promise.all(
      Array.from({ length: 10_000 }, async (_, i) => {
        // They come in another order than they were made, from several turns of the event loop.
        if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        if (i % 2 === 0) await null;
        const run = engine.openRun({ runId: `run-${i % 64}`, team: "a" });
        const ticket = engine.reserve(run, "log_metric");
        await null;
        if (typeof ticket !== "number") return ticket.reasonCode;
        engine.settle(ticket);
        return "passed";
      }),
    );
    expect(answers.filter((answer) => answer === "passed")).toHaveLength(1);
    expect(answers.filter((answer) => answer === "BUDGET_EXCEEDED")).toHaveLength(9999);
    expect(engine.total()).toBe(10n ** 14n);
    expect(engine.summary().blocked).toBe(9999);
  });
});

describe("a million customers", () => {
  it("on 4,096 tuples: memory stays, the total is exact, and a budget among them holds", {
    timeout: 120_000,
  }, () => {
    const engine = createEngine({ runs: 4096, tuples: 4096, names: 20_000, nameBytes: 2 ** 20 });
    const memory = engine.memoryBytes;
    const budget = engine.addBudget({
      name: "watched",
      limit: 100,
      unit: "operations",
      period: "total",
      action: "block",
      scope: { customerId: "customer-watched" },
    });
    let blocked = 0;
    let booked = 0n;
    const book = (customerId: string) => {
      const scope = engine.openScope({ customerId });
      const ticket = engine.reserve(scope, "log_metric");
      if (typeof ticket === "number") {
        engine.settle(ticket);
        booked++;
      } else {
        expect(ticket.budget).toBe(budget);
        blocked++;
      }
      engine.finishRun(scope);
    };
    for (let i = 0; i < 1_000_000; i++) {
      book(`customer-${i}`);
      if (i % 1000 === 999) book("customer-watched");
    }
    expect(engine.memoryBytes).toBe(memory);
    expect(engine.total()).toBe(booked * 10n ** 14n);
    expect([booked, blocked]).toEqual([1_000_100n, 900]);
    expect(engine.budget(budget).spent).toBe(100n);
    const summary = engine.summary();
    expect(summary.byCustomer["customer-watched"]).toBe(100n * 10n ** 14n);
    const sum = Object.values(summary.byCustomer).reduce((all, one) => all + one, 0n);
    expect(sum).toBe(engine.total());
    // What has no name of its own any more says so, and how much it is.
    const named = BigInt(Object.keys(summary.byCustomer).length - 1) - 1n;
    expect(summary.byCustomer[OVERFLOW]).toBe((1_000_000n - named) * 10n ** 14n);
    expect(BigInt(summary.overflowed)).toBe(1_000_000n - named);
  });
});
