// Handles: what was never given out, or was used up, is refused with a code and changes nothing.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { refused } from "./refused.js";

const SLOT = 1;
const KIND = 2 ** 24;
const GENERATION = 2 ** 26;

function setUp() {
  const engine = createEngine({ runs: 4, reservations: 4 });
  const run = engine.openRun({ runId: "r", team: "t" });
  const ticket = engine.reserve(run, "log_metric") as number;
  return { engine, run, ticket };
}

describe("a node handle", () => {
  it("is a whole number below 2^53, the same for the same run", () => {
    const { engine, run } = setUp();
    expect(Number.isSafeInteger(run) && run > 0).toBe(true);
    expect(engine.openRun({ runId: "r", team: "t" })).toBe(run);
  });

  it.each([
    ["zero", () => 0],
    ["below zero", (run: number) => -run],
    ["another slot", (run: number) => run + SLOT],
    ["another kind", (run: number) => run + KIND],
    ["another generation", (run: number) => run + GENERATION],
    ["an earlier generation", (run: number) => run - GENERATION],
    ["a fraction", (run: number) => run / 2 + 0.5],
    ["of a slot that was never used", (run: number) => run - GENERATION + SLOT],
    ["that slot's, below all handles", () => 2 ** 26 + 2 * SLOT],
    ["beyond 2^53", () => 2 ** 53],
    ["the largest", () => 2 ** 53 - 1],
    ["NaN", () => Number.NaN],
    ["Infinity", () => Infinity],
    ["a ticket", (_: number, ticket: number) => ticket],
    ["text", (run: number) => String(run)],
    ["a bigint", (run: number) => BigInt(run)],
    ["null", () => null],
    ["undefined", () => undefined],
    ["an object", () => ({})],
    ["true", () => true],
  ])("that is %s is refused everywhere", (_, make) => {
    const { engine, run, ticket } = setUp();
    const wrong = make(run, ticket) as number;
    const before = engine.summary();
    for (const call of [
      () => engine.record(wrong, "log_metric"),
      () => engine.record(wrong, "log_artifact", "storage.s3", 10),
      () => engine.reserve(wrong, "log_metric"),
      () => engine.finishRun(wrong),
      () => engine.assign(ticket, wrong),
    ]) {
      expect(refused(call).code).toBe("INVALID_HANDLE");
    }
    // No parent at all is given by leaving it out.
    if (wrong !== undefined && wrong !== 0) {
      expect(refused(() => engine.openScope({ parent: wrong })).code).toBe("INVALID_HANDLE");
    }
    expect(engine.summary()).toEqual(before);
  });

  it("names the argument and the value in its refusal", () => {
    const { engine } = setUp();
    expect(refused(() => engine.record(7, "log_metric"))).toMatchObject({
      name: "EngineError",
      code: "INVALID_HANDLE",
      field: "node",
      value: 7,
      message: expect.stringMatching(/^node: 7 is no handle of this engine/),
    });
  });
});

/** The double whose bits are what a free slot keeps, where a handle has its generation. */
function freeMark(slot: number, next: number): number {
  const view = new DataView(new ArrayBuffer(8));
  const generation = 0x433n * 2n ** 26n + (0x80000000n | BigInt(next));
  view.setBigUint64(0, (generation << 26n) | BigInt(slot));
  return view.getFloat64(0);
}

describe("a slot that was given up", () => {
  it("is not reached by the mark that it keeps meanwhile", () => {
    const engine = createEngine({ runs: 4 });
    engine.finishRun(engine.openRun({ runId: "gone" }));
    engine.drain();
    for (const next of [0, 1, 2, 3]) {
      const wrong = freeMark(1, next);
      expect(refused(() => engine.record(wrong, "log_metric")).code).toBe("INVALID_HANDLE");
      expect(refused(() => engine.reserve(wrong, "log_metric")).code).toBe("INVALID_HANDLE");
    }
    expect(engine.total()).toBe(0n);
  });

  it("has no position in a budget of runs", () => {
    const engine = createEngine({ runs: 4 });
    const budget = engine.addBudget({ name: "b", limit: 1, period: "run" });
    expect(refused(() => engine.budget(budget, 2 ** 52 + 3)).code).toBe("INVALID_HANDLE");
  });
});

describe("a ticket", () => {
  it.each([
    ["zero", () => 0],
    ["another slot", (ticket: number) => ticket + SLOT],
    ["another kind", (ticket: number) => ticket - KIND],
    ["a later generation", (ticket: number) => ticket + GENERATION],
    ["a fraction", (ticket: number) => ticket / 2 + 0.5],
    ["NaN", () => Number.NaN],
    ["a node", (_: number, run: number) => run],
    ["text", (ticket: number) => String(ticket)],
    ["null", () => null],
    ["undefined", () => undefined],
  ])("that is %s is refused everywhere", (_, make) => {
    const { engine, run, ticket } = setUp();
    const wrong = make(ticket, run) as number;
    const before = engine.summary();
    for (const call of [
      () => engine.charge(wrong, "storage.s3", 1),
      () => engine.extend(wrong, "storage.s3", 1),
      () => engine.assign(wrong, run),
      () => engine.settle(wrong),
      () => engine.release(wrong),
    ]) {
      expect(refused(call)).toMatchObject({ code: "INVALID_HANDLE", field: "ticket" });
    }
    expect(engine.summary()).toEqual(before);
  });

  it("stays refused when its slot is used again", () => {
    const { engine, run, ticket } = setUp();
    engine.release(ticket);
    for (let i = 0; i < 1000; i++) {
      const next = engine.reserve(run, "log_metric") as number;
      expect(next).not.toBe(ticket);
      expect(refused(() => engine.settle(ticket)).code).toBe("TICKET_SETTLED");
      engine.settle(next);
    }
    expect(engine.operationCount()).toBe(1000);
  });
});
