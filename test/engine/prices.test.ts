// Prices: the defaults, what a host sets, and what is unknown, which is never taken for nothing.
import { describe, expect, it } from "vitest";
import { attoToUsd, createEngine, FLAGS, GIB_MONTH } from "../../src/engine/index.js";
import { refused } from "./refused.js";

describe("the defaults", () => {
  const engine = createEngine({ runs: 1 });

  it.each([
    ["storage.local", "0"],
    ["storage.s3", "0.023"],
    ["storage.azure", "0.02"],
    ["storage.gcs", "0.02"],
  ])("keep a GiB for a month on %s for %s USD", (meter, usd) => {
    // A byte-day each, so that one quantity is a whole GiB-month.
    expect(attoToUsd(engine.price("log_artifact", meter, GIB_MONTH) ?? -1n)).toBe(usd);
  });

  it("are the four meters of storage", () => {
    expect(engine.meters).toEqual({
      "storage.local": 1,
      "storage.s3": 2,
      "storage.azure": 3,
      "storage.gcs": 4,
    });
  });

  it("are left alone by a price for something else", () => {
    const other = createEngine({ runs: 1, prices: { operations: { log_metric: "7" } } });
    expect(other.price("log_metric")).toBe(7n * 10n ** 18n);
    expect(other.price("log_param")).toBe(engine.price("log_param"));
    expect(other.price("log_artifact", "storage.s3", 12345)).toBe(
      engine.price("log_artifact", "storage.s3", 12345),
    );
    expect(other.operations[other.operation("log_metric")]?.price).toBe("7");
  });
});

describe("a price of the host's own", () => {
  it("holds for an operation, a meter, and a new one of each", () => {
    const engine = createEngine({
      runs: 1,
      operations: [
        { name: "embed_text", class: "other", price: "0.25" },
        { name: "look_on", class: "other", price: 0, counted: false },
      ],
      prices: {
        operations: { log_metric: 0, embed_text: "0.5" },
        meters: {
          "storage.s3": { price: "1", per: 4, times: 2 },
          tokens: { price: "2.5", per: 1_000_000 },
        },
      },
    });
    const run = engine.openRun({ runId: "r" });
    expect(engine.price("log_metric")).toBe(0n);
    expect(engine.price("log_artifact", "storage.s3", 2)).toBe(10n ** 18n);
    engine.record(run, "embed_text", "tokens", 1000);
    engine.record(run, "look_on");
    expect(attoToUsd(engine.total())).toBe("0.5025");
    expect(engine.operationCount()).toBe(1);
    expect(engine.summary().operations.embed_text).toMatchObject({ class: "other", count: 1 });
  });
});

describe("an unknown price", () => {
  it("of a meter is kept apart: the call is priced, the quantity is not", () => {
    const engine = createEngine({ runs: 1 });
    const run = engine.openRun({ runId: "r" });
    expect(engine.price("log_metric", "tokens", 5)).toBeUndefined();
    expect(engine.record(run, "log_metric", "tokens", 5)).toBe(FLAGS.sampled | FLAGS.unpriced);
    expect(engine.record(run, "log_metric", "tokens", 6) & FLAGS.unpriced).toBe(FLAGS.unpriced);
    const { total, unpriced, meters } = engine.summary();
    expect(attoToUsd(total)).toBe("0.0002");
    expect(unpriced).toEqual([
      { operation: "log_metric", meter: "tokens", count: 2, quantity: 11n },
    ]);
    expect(meters.tokens).toEqual({ quantity: 11n, count: 2, cost: 0n });
  });

  it("of an operation is kept apart: the quantity is priced, the call is not", () => {
    const engine = createEngine({ runs: 1 });
    const run = engine.openRun({ runId: "r" });
    expect(engine.operations[engine.operation("unknown_write")]?.price).toBeNull();
    expect(engine.price("unknown_write")).toBeUndefined();
    const flags = engine.record(run, "unknown_write", "storage.s3", GIB_MONTH);
    expect(flags & FLAGS.unpriced).toBe(FLAGS.unpriced);
    expect(attoToUsd(engine.total())).toBe("0.023");
    expect(engine.summary().unpriced).toEqual([
      { operation: "unknown_write", count: 1, quantity: 0n },
    ]);
  });

  it("is not what a price of nothing is", () => {
    const engine = createEngine({
      runs: 1,
      prices: { operations: { unknown_write: 0 }, meters: { tokens: 0 } },
    });
    const run = engine.openRun({ runId: "r" });
    expect(engine.record(run, "unknown_write", "tokens", 5)).toBe(FLAGS.sampled);
    expect(engine.price("unknown_write", "tokens", 5)).toBe(0n);
    expect(engine.summary().unpriced).toEqual([]);
  });

  it("stays unknown through a reservation", () => {
    const engine = createEngine({ runs: 1 });
    const run = engine.openRun({ runId: "r" });
    const ticket = engine.reserve(run, "unknown_write", "tokens", 5) as number;
    expect(engine.lastReserved()).toBe(0n);
    expect(engine.settle(ticket)).toBe(FLAGS.sampled | FLAGS.unpriced);
    expect(engine.summary().unpriced).toEqual([
      { operation: "unknown_write", count: 1, quantity: 0n },
      { operation: "unknown_write", meter: "tokens", count: 1, quantity: 5n },
    ]);
  });
});

describe("a price that is none", () => {
  const wrong = ["", "free", "-1", -1, Number.NaN, Infinity, 1e-19, null, true, [], "1,0"];

  it.each(wrong)("%j is refused, naming where it stands", (price) => {
    const value = price as string;
    expect(
      refused(() => createEngine({ prices: { operations: { log_metric: value } } })),
    ).toMatchObject({
      code: "INVALID_PRICE",
      field: "prices.operations.log_metric",
      value: price,
    });
    expect(refused(() => createEngine({ prices: { meters: { tokens: value } } }))).toMatchObject({
      code: "INVALID_PRICE",
      field: "prices.meters.tokens",
    });
    expect(
      refused(() => createEngine({ operations: [{ name: "own", class: "other", price: value }] })),
    ).toMatchObject({ code: "INVALID_PRICE", field: "operations.own", value: price });
  });

  it.each([0, -1, 0.5, Number.NaN, Infinity, 2 ** 53, "7"])("is one per %s units", (per) => {
    const rate = { price: "1", per: per as number };
    expect(refused(() => createEngine({ prices: { meters: { tokens: rate } } }))).toMatchObject({
      code: "INVALID_PRICE",
      field: "prices.meters.tokens.per",
      value: per,
    });
  });

  it.each(["-1", "often", Number.NaN])("is one due %s times", (times) => {
    const rate = { price: "1", times };
    expect(refused(() => createEngine({ prices: { meters: { tokens: rate } } }))).toMatchObject({
      code: "INVALID_PRICE",
      field: "prices.meters.tokens.times",
      value: times,
    });
  });

  it("is one beyond the bounds, of a call and of a rate", () => {
    const call = (price: string) => createEngine({ prices: { operations: { log_metric: price } } });
    expect(call("1000000000").price("log_metric")).toBe(10n ** 27n);
    expect(refused(() => call("1000000000.01")).code).toBe("INVALID_PRICE");
    const rate = (price: string) => createEngine({ prices: { meters: { tokens: price } } });
    expect(rate("37778").price("log_artifact", "tokens", 1)).toBe(37_778n * 10n ** 18n);
    expect(refused(() => rate("37779")).code).toBe("INVALID_PRICE");
  });

  it("is one for an operation that does not exist", () => {
    const operations = { log_metrics: 1 };
    expect(refused(() => createEngine({ prices: { operations } }))).toMatchObject({
      code: "UNKNOWN_OPERATION",
      field: "prices.operations.log_metrics",
      value: "log_metrics",
    });
  });
});
