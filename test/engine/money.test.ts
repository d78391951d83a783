// Amounts: decimal text in and out without loss, products rounded once, half to even.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attoToUsd, createEngine, usdToAtto } from "../../src/engine/index.js";
import { bare, LAST_COST } from "./bare.js";
import { halfEven } from "./oracle.js";
import { refused } from "./refused.js";

describe("decimal text", () => {
  it("comes back as the amount it was printed from", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 40n), (amount) => {
        expect(usdToAtto(attoToUsd(amount), "price")).toBe(amount);
      }),
    );
  });

  it("prints without trailing zeros, with a sign below zero", () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 40n), 10n ** 40n), (amount) => {
        const text = attoToUsd(amount);
        expect(text).toMatch(/^-?(0|[1-9]\d*)(\.\d{0,17}[1-9])?$/);
        expect(text.startsWith("-")).toBe(amount < 0n);
        expect(attoToUsd(-amount)).toBe(amount > 0n ? `-${text}` : text.replace("-", ""));
      }),
    );
  });

  it.each([
    [0, 0n],
    ["0", 0n],
    [1, 10n ** 18n],
    [0.1, 10n ** 17n],
    ["0.0001", 10n ** 14n],
    ["0.000000000000000001", 1n],
    [1e-18, 1n],
    ["2.5e-6", 25n * 10n ** 11n],
    ["2E3", 2000n * 10n ** 18n],
    [1e21, 10n ** 39n],
    ["1.000000000000000000000", 10n ** 18n],
    [" 7 ", 7n * 10n ** 18n],
    ["0012.50", 125n * 10n ** 17n],
  ])("reads %j exactly", (text, amount) => {
    expect(usdToAtto(text, "price")).toBe(amount);
  });

  it.each([
    "",
    " ",
    "abc",
    "-1",
    "+1",
    "1,5",
    "1.",
    ".5",
    "1.2.3",
    "0x10",
    "1e",
    "1e100",
    "1 2",
    "٣",
    "Infinity",
    "NaN",
    "1n",
    "$1",
    -1,
    -0.5,
    Number.NaN,
    Infinity,
    "0.0000000000000000001",
    1e-19,
  ])("refuses %j, naming the field", (text) => {
    expect(refused(() => usdToAtto(text, "prices.operations.log_metric"))).toMatchObject({
      code: "INVALID_PRICE",
      field: "prices.operations.log_metric",
      value: text,
      message: expect.stringContaining("prices.operations.log_metric: "),
    });
  });

  it.each([null, undefined, true, {}, [], 1n])("refuses %s, which is no text", (value) => {
    const error = refused(() => usdToAtto(value as never, "price"));
    expect(error).toMatchObject({ code: "INVALID_PRICE", field: "price", value });
  });
});

describe("products", () => {
  it("make 10 MiB on S3 cost what exact arithmetic says", () => {
    const bytes = 10 * 2 ** 20;
    const engine = createEngine({ runs: 1 });
    const run = engine.openRun({ runId: "r" });
    engine.record(run, "log_artifact", "storage.s3", bytes);
    // 0.023 USD a GiB-month of 30 days, for one day.
    const expected = halfEven(BigInt(bytes) * 23n * 10n ** 15n, 2n ** 30n * 30n);
    expect(expected).toBe(7486979166667n);
    expect(engine.total()).toBe(expected);
    expect(attoToUsd(engine.total())).toBe("0.000007486979166667");
  });

  it.each([
    [0, 0n],
    [1, 0n],
    [2, 1n],
    [3, 2n],
    [4, 2n],
    [5, 2n],
    [6, 3n],
    [7, 4n],
    [2 ** 53 - 1, 2n ** 52n],
    [2 ** 53 - 3, 2n ** 52n - 2n],
  ])("round %d halves to %s, ties to even", (halves, amount) => {
    const engine = createEngine({
      runs: 1,
      prices: { meters: { halves: { price: "0.000000000000000001", per: 2 } } },
    });
    expect(engine.price("log_artifact", "halves", halves)).toBe(amount);
  });

  it("equal exact arithmetic for any rate that fits", () => {
    const { exports, intern, amount, give } = bare();
    const meter = exports.addMeter(intern("any", 10), 0);
    const free = 1; // unknown_read, which costs nothing
    const divisor = fc.oneof(
      fc.bigInt(1n, 2n ** 64n - 1n),
      fc.bigInt(2n ** 64n - 4n, 2n ** 64n - 1n),
      fc.bigInt(1n, 2n ** 33n),
      fc.integer({ min: 0, max: 63 }).map((bit) => 1n << BigInt(bit)),
    );
    const numerator = fc.oneof(
      fc.bigInt(0n, 2n ** 75n - 1n),
      fc.bigInt(2n ** 75n - 4n, 2n ** 75n - 1n),
      fc.bigInt(0n, 2n ** 20n),
    );
    const quantity = fc.oneof(
      fc.maxSafeNat(),
      fc.integer({ min: 0, max: 9 }).map((less) => Number.MAX_SAFE_INTEGER - less),
      fc.nat(100),
    );
    fc.assert(
      fc.property(numerator, divisor, quantity, (n, d, q) => {
        give(n, d);
        expect(exports.setMeterRate(meter)).toBe(0);
        const expected = halfEven(BigInt(q) * n, d);
        const status = exports.price(free, meter, q);
        if (expected >= 1n << 96n) expect(status).toBe(-5);
        else expect([status, amount(LAST_COST)]).toEqual([0, expected]);
      }),
      { numRuns: 20_000 },
    );
  });

  it("keep a small amount that is added to a huge one", () => {
    const engine = createEngine({
      runs: 1,
      prices: { meters: { huge: "37000", tiny: { price: "0.000000000000000001" } } },
    });
    const run = engine.openRun({ runId: "r" });
    engine.record(run, "log_artifact", "huge", 2_000_000);
    const before = engine.total();
    for (let i = 0; i < 1000; i++) engine.record(run, "log_artifact", "tiny", 1);
    expect(engine.total() - before).toBe(1000n);
    expect(before).toBe(74n * 10n ** 27n);
  });

  it("refuse an operation of 2^96 atto-USD and more, and book nothing of it", () => {
    const engine = createEngine({ runs: 1, prices: { meters: { huge: "37000" } } });
    const run = engine.openRun({ runId: "r" });
    expect(engine.price("log_artifact", "huge", 2_141_301)).toBe(79_228_137_000n * 10n ** 18n);
    expect(refused(() => engine.record(run, "log_artifact", "huge", 2_141_302))).toMatchObject({
      code: "AMOUNT_TOO_LARGE",
      field: "quantity",
      value: 2_141_302,
    });
    expect(engine.total()).toBe(0n);
    expect(engine.operationCount()).toBe(0);
  });
});
