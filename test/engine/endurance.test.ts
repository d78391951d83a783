// Every export a million times: neither the module's memory nor the JavaScript heap grows.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { bare } from "./bare.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const TIMES = 1_000_000;
/** Bytes that a heap may differ by for reasons of its own. */
const SLACK = 2 ** 20;

function heap(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

describe("every export", () => {
  it("called a million times leaves memory as large as it was", { timeout: 300_000 }, () => {
    const { exports, memoryBytes, openRun, write, give } = bare({ runs: 16, names: 80 });
    const run = openRun("run", "", "experiment", "team");
    const path = write("POST /api/2.0/mlflow/runs/log-metric");
    const { memory, ...functions } = exports;
    const named = functions as unknown as Record<string, (...values: number[]) => number>;
    const names = Object.keys(named);
    expect(names.length).toBeGreaterThan(45);
    const tickets = exports.reserve(run, 2, 0, 0);
    give(1n, 1n);
    /** What makes a call do its work; others get small numbers, which some refuse. */
    const values: Record<string, readonly number[]> = {
      record: [run, 2, 1, 100, 1],
      recordTimed: [run, 2, 1, 100, 1, 0.5],
      reserve: [run, 2, 0, 0],
      price: [2, 1, 100],
      classify: [exports.header(), path],
      tick: [1e12],
      setTimeToLive: [1],
      settle: [tickets, 0, 1, 5],
      charge: [tickets, 1, 5],
      extend: [tickets, 1, 5],
      finishRun: [run, 0],
      openScope: [0],
      intern: [path, 3],
      pin: [path, 3],
      setSamplingRate: [1, 0.5],
    };
    const size = memoryBytes();
    const before = heap();
    for (const name of names) {
      const call = named[name] as (...values: number[]) => number;
      const [a = 1, b = 1, c = 1, d = 1, e = 1] = values[name] ?? [];
      for (let i = 0; i < TIMES; i++) call(a, b, c, d, e);
    }
    expect(memoryBytes()).toBe(size);
    expect(memory.buffer.byteLength).toBe(size);
    expect(heap() - before).toBeLessThan(SLACK);
  });

  it("through the binding, with a million runs that come and go", { timeout: 120_000 }, () => {
    const engine = createEngine({ runs: 256, names: 4096 });
    engine.addBudget({ name: "b", limit: "1000000", period: "day", scope: { team: "team-1" } });
    const cycle = (from: number, to: number) => {
      for (let i = from; i < to; i++) {
        const run = engine.openRun({ runId: `run-${i}`, team: `team-${i % 7}` });
        const ticket = engine.reserve(run, "log_artifact", "storage.s3", i);
        if (typeof ticket === "number") engine.settle(ticket, "ok", i % 100);
        engine.record(run, "log_metric");
        engine.finishRun(run);
      }
    };
    cycle(0, 20_000);
    const memory = engine.memoryBytes;
    const before = heap();
    cycle(20_000, TIMES);
    expect(engine.memoryBytes).toBe(memory);
    expect(heap() - before).toBeLessThan(SLACK);
    expect(engine.summary().overflowed).toBe(0);
    expect(engine.operationCount()).toBe(2 * TIMES);
  });
});
