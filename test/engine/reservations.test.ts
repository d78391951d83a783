// Two phases: what is reserved is settled once or released once, with what the call really took.
import * as fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { createEngine, type Engine, FLAGS } from "../../src/engine/index.js";
import { refused } from "./refused.js";

const CALL = 10n ** 14n;
/** Atto-USD of one unit on the meter of these tests. */
const UNIT = 10n ** 12n;

let engine: Engine;
let run: number;

beforeEach(() => {
  engine = createEngine({ runs: 4, prices: { meters: { units: "0.000001" } } });
  run = engine.openRun({ runId: "r", team: "t" });
});

const reserve = (quantity: number) =>
  engine.reserve(run, "log_metric", "units", quantity) as number;

describe("a reservation", () => {
  it("holds its price and books nothing", () => {
    const before = engine.summary();
    reserve(5);
    expect(engine.lastReserved()).toBe(CALL + 5n * UNIT);
    expect(engine.summary()).toEqual({
      ...before,
      reservations: { open: 1, expired: 0, late: 0, forgotten: 0 },
    });
  });

  it("is settled as reserved when nothing was charged", () => {
    expect(engine.settle(reserve(5))).toBe(FLAGS.sampled);
    expect(engine.lastCost()).toBe(CALL + 5n * UNIT);
    expect(engine.total()).toBe(CALL + 5n * UNIT);
    expect(engine.summary().operations.log_metric).toMatchObject({ count: 1, errors: 0, items: 1 });
  });

  it("books what `record` would have booked", () => {
    const other = createEngine({ runs: 4, prices: { meters: { units: "0.000001" } } });
    other.record(other.openRun({ runId: "r", team: "t" }), "log_metric", "units", 5, 3);
    engine.settle(reserve(5), "ok", undefined, 3);
    expect(engine.summary()).toEqual(other.summary());
  });

  it("is settled with what was charged, more or less", () => {
    const less = reserve(5);
    engine.charge(less, "units", 2);
    expect(engine.settle(less)).toBe(FLAGS.sampled);
    expect(engine.lastCost()).toBe(CALL + 2n * UNIT);
    const more = reserve(5);
    engine.charge(more, "units", 4);
    engine.charge(more, "units", 4);
    expect(engine.settle(more)).toBe(FLAGS.sampled | FLAGS.overrun);
    expect(engine.lastCost()).toBe(CALL + 8n * UNIT);
    expect(engine.summary()).toMatchObject({ overruns: 1, total: 2n * CALL + 10n * UNIT });
  });

  it("overruns by one unit, not by none", () => {
    const exact = reserve(5);
    engine.charge(exact, "units", 5);
    expect(engine.settle(exact) & FLAGS.overrun).toBe(0);
    const one = reserve(5);
    engine.charge(one, "units", 6);
    expect(engine.settle(one) & FLAGS.overrun).toBe(FLAGS.overrun);
  });

  it("does not overrun what it was extended by", () => {
    const ticket = reserve(5);
    expect(engine.extend(ticket, "units", 5)).toBeUndefined();
    engine.charge(ticket, "units", 10);
    expect(engine.settle(ticket) & FLAGS.overrun).toBe(0);
    expect(engine.lastCost()).toBe(CALL + 10n * UNIT);
  });

  it("costs nothing when its call failed, whatever was charged", () => {
    const ticket = reserve(5);
    engine.charge(ticket, "units", 7);
    expect(engine.settle(ticket, "error")).toBe(FLAGS.sampled | FLAGS.error);
    expect(engine.lastCost()).toBe(0n);
    expect(engine.total()).toBe(0n);
    expect(engine.summary()).toMatchObject({ errorCount: 1, operationCount: 0, meters: {} });
    expect(engine.summary().runs[0]).toMatchObject({ operations: 0, errors: 1 });
  });

  it("leaves nothing when it is released", () => {
    const before = engine.summary();
    const ticket = reserve(5);
    engine.charge(ticket, "units", 7);
    engine.release(ticket);
    expect(engine.summary()).toEqual(before);
  });

  it.each([
    ["settled", () => (ticket: number) => engine.settle(ticket)],
    ["failed", () => (ticket: number) => engine.settle(ticket, "error")],
    ["released", () => (ticket: number) => engine.release(ticket)],
  ])("that was %s takes no further call", (_, ending) => {
    const ticket = reserve(5);
    ending()(ticket);
    const before = engine.summary();
    for (const call of [
      () => engine.settle(ticket),
      () => engine.settle(ticket, "error"),
      () => engine.release(ticket),
      () => engine.charge(ticket, "units", 1),
      () => engine.extend(ticket, "units", 1),
      () => engine.assign(ticket, run),
    ]) {
      expect(refused(call)).toMatchObject({
        code: "TICKET_SETTLED",
        field: "ticket",
        value: ticket,
      });
    }
    expect(engine.summary()).toEqual(before);
  });

  it("speaks of six meters and no more", () => {
    const ticket = reserve(0);
    for (let i = 0; i < 5; i++) engine.charge(ticket, `meter-${i}`, 1);
    engine.charge(ticket, "meter-0", 1);
    expect(refused(() => engine.charge(ticket, "meter-6", 1)).code).toBe("CAPACITY_EXCEEDED");
    engine.settle(ticket);
    expect(engine.total()).toBe(CALL);
    expect(engine.summary().meters["meter-0"]?.quantity).toBe(2n);
  });

  it("moves to a run of its own payer only", () => {
    const sibling = engine.openRun({ runId: "s", team: "t" });
    const stranger = engine.openRun({ runId: "x", team: "other" });
    const ticket = reserve(0);
    // Which of the two handles is wrong is told by its name.
    expect(refused(() => engine.assign(ticket, 5))).toMatchObject({
      code: "INVALID_HANDLE",
      field: "node",
      value: 5,
    });
    expect(refused(() => engine.assign(5, stranger))).toMatchObject({
      code: "INVALID_HANDLE",
      field: "ticket",
      value: 5,
    });
    expect(refused(() => engine.assign(ticket, stranger))).toMatchObject({
      code: "PAYER_MISMATCH",
      field: "node",
      value: stranger,
    });
    engine.assign(ticket, sibling);
    engine.settle(ticket);
    expect(engine.total("run", "s")).toBe(CALL);
    expect(engine.total("run", "r")).toBe(0n);
  });

  it("stays open when it cannot be settled", () => {
    const dear = createEngine({ runs: 1, prices: { meters: { huge: "37000" } } });
    const ticket = dear.reserve(dear.openRun({ runId: "r" }), "log_artifact") as number;
    dear.charge(ticket, "huge", 2 ** 40);
    expect(refused(() => dear.settle(ticket)).code).toBe("AMOUNT_TOO_LARGE");
    expect(dear.total()).toBe(0n);
    expect(dear.settle(ticket, "error")).toBe(FLAGS.sampled | FLAGS.error);
  });
});

describe("latencies", () => {
  it("are reported at most an eighth above the truth", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 1e6, noNaN: true }), (milliseconds) => {
        const fresh = createEngine({ runs: 1 });
        const ticket = fresh.reserve(fresh.openRun({ runId: "r" }), "log_metric") as number;
        fresh.settle(ticket, "ok", milliseconds);
        const { p50 } = fresh.summary().operations.log_metric?.latency ?? { p50: 0 };
        expect(p50).toBeGreaterThanOrEqual(milliseconds);
        expect(p50).toBeLessThanOrEqual(milliseconds * 1.125 + 0.001);
      }),
      { numRuns: 50 },
    );
  });

  it("are ranked, and count failed calls too", () => {
    for (let i = 1; i <= 100; i++) engine.settle(reserve(0), i % 10 ? "ok" : "error", i);
    const latency = engine.summary().operations.log_metric?.latency;
    for (const [reported, truth] of [
      [latency?.p50, 50],
      [latency?.p95, 95],
      [latency?.p99, 99],
    ] as const) {
      expect(reported).toBeGreaterThanOrEqual(truth);
      expect(reported).toBeLessThanOrEqual(truth * 1.125 + 0.001);
    }
  });

  it.each([undefined, -1, Number.NaN])("of %s are not noted", (latency) => {
    engine.settle(reserve(0), "ok", latency);
    expect(engine.summary().operations.log_metric).not.toHaveProperty("latency");
  });
});

describe("a call that is booked with its latency", () => {
  it("is told and counted as a reservation that was settled at once", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: -1, max: 1e5, noNaN: true }), fc.nat(9)), {
          minLength: 1,
          maxLength: 30,
        }),
        (calls) => {
          const [timed, settled] = [0, 1].map(() => createEngine({ runs: 1, seed: 7 }));
          if (timed === undefined || settled === undefined) throw new Error("two engines");
          const [here, there] = [timed, settled].map((one) => one.openRun({ runId: "r" }));
          const id = timed.operation("log_batch");
          for (const [latency, items] of calls) {
            const flags = timed.recordTimed(here as number, id, latency, items);
            const ticket = settled.reserve(there as number, id) as number;
            expect(flags).toBe(settled.settle(ticket, "ok", latency, items));
            expect(timed.lastCost()).toBe(settled.lastCost());
          }
          expect(timed.summary()).toEqual(settled.summary());
        },
      ),
      { numRuns: 40 },
    );
  });

  it("books nothing when it cannot be", () => {
    const id = engine.operation("log_metric");
    const before = engine.summary();
    expect(refused(() => engine.recordTimed(5, id, 1))).toMatchObject({
      code: "INVALID_HANDLE",
      field: "node",
    });
    expect(refused(() => engine.recordTimed(run, 1e9, 1)).code).toBe("UNKNOWN_OPERATION");
    expect(refused(() => engine.recordTimed(run, id, 1, -1)).field).toBe("items");
    expect(engine.summary()).toEqual(before);
  });
});

describe("a reservation that is refused", () => {
  it("costs no ticket that expired its late settlement", () => {
    const engine = createEngine({ runs: 4, reservations: 1, reservationTtlMs: 1000 });
    engine.tick(1_800_000_000_000);
    const run = engine.openRun({ runId: "r" });
    const late = engine.reserve(run, "log_metric") as number;
    engine.tick(1_800_000_010_000);
    engine.addBudget({ name: "b", limit: 0, period: "total", action: "block" });
    expect(engine.reserve(run, "log_metric")).toMatchObject({ decision: "BLOCKED" });
    expect(engine.settle(late) & FLAGS.late).toBe(FLAGS.late);
    expect(engine.total()).toBe(10n ** 14n);
  });
});
