// Telemetry is thinned one operation at a time; money and counts never are.
import { describe, expect, it } from "vitest";
import { createEngine, FLAGS } from "../../src/engine/index.js";
import { bare, THRESHOLDS } from "./bare.js";
import { refused } from "./refused.js";

const OPERATIONS = 100_000;

function recordMany(samplingRate: number, seed = 1) {
  const engine = createEngine({ runs: 1, samplingRate, seed });
  const run = engine.openRun({ runId: "r" });
  let kept = 0;
  for (let i = 0; i < OPERATIONS; i++) {
    kept += engine.record(run, "log_artifact", "storage.s3", i) & FLAGS.sampled;
  }
  return { engine, kept };
}

describe("a sampling rate", () => {
  it.each([0, 1])("of %d is exact", (rate) => {
    const { engine, kept } = recordMany(rate);
    expect(kept).toBe(rate * OPERATIONS);
    expect(engine.summary().sampling).toEqual({ kept, dropped: OPERATIONS - kept });
  });

  it.each([0.001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.999])("of %d is kept on the whole", (rate) => {
    const fiveSigma = 5 * Math.sqrt(OPERATIONS * rate * (1 - rate));
    for (const seed of [1, 2, 3]) {
      const { engine, kept } = recordMany(rate, seed);
      expect(Math.abs(kept - OPERATIONS * rate)).toBeLessThan(fiveSigma);
      expect(engine.summary().sampling).toEqual({ kept, dropped: OPERATIONS - kept });
    }
  });

  it.each([
    [1, 0n],
    [0.75, 2n ** 50n],
    [0.5, 2n ** 51n],
    [2 ** -52, 2n ** 52n - 1n],
    [0, 2n ** 52n],
  ])("of %d is the rejection threshold that OpenTelemetry gives it", (rate, threshold) => {
    const { exports, header } = bare();
    expect(exports.setSamplingRate(2, rate)).toBe(0);
    const view = new DataView(exports.memory.buffer);
    expect(view.getBigUint64(header + THRESHOLDS + 16, true)).toBe(threshold);
  });

  it("keeps a subset of what a higher rate keeps", () => {
    const flags = (samplingRate: number) => {
      const engine = createEngine({ runs: 1, samplingRate, seed: 3 });
      const run = engine.openRun({ runId: "r" });
      return Array.from({ length: 5000 }, () => engine.record(run, "log_metric") & FLAGS.sampled);
    };
    const [few, many] = [flags(0.2), flags(0.6)];
    expect(few.every((kept, i) => !kept || many[i])).toBe(true);
    expect(few.some((kept, i) => !kept && many[i])).toBe(true);
  });

  it("changes no amount and no count", () => {
    const [all, ...thinned] = [1, 0.5, 0.01, 0].map((rate) => {
      const { sampling: _, operations, ...rest } = recordMany(rate).engine.summary();
      const counts = Object.entries(operations).map(([name, total]) => {
        const { kept, dropped, ...others } = total;
        expect(kept + dropped).toBe(total.count + total.errors);
        return [name, others];
      });
      return { ...rest, counts };
    });
    for (const rest of thinned) expect(rest).toEqual(all);
  });

  it("does not touch errors and overruns, which are always kept", () => {
    const engine = createEngine({ runs: 1, samplingRate: 0 });
    const run = engine.openRun({ runId: "r" });
    const failed = engine.reserve(run, "log_metric") as number;
    expect(engine.settle(failed, "error")).toBe(FLAGS.error | FLAGS.sampled);
    const overrun = engine.reserve(run, "log_artifact", "storage.s3", 1000) as number;
    engine.charge(overrun, "storage.s3", 10_000_000);
    expect(engine.settle(overrun)).toBe(FLAGS.overrun | FLAGS.sampled);
    expect(engine.summary().sampling).toEqual({ kept: 2, dropped: 0 });
  });

  it.each([-0.1, 1.1, Number.NaN, Infinity, "0.5", null, true])("of %s is refused", (rate) => {
    const wrong = rate as number;
    const engine = createEngine({ runs: 1, samplingRate: 0 });
    const expected = { code: "INVALID_OPTION", field: "samplingRate", value: rate };
    expect(refused(() => engine.setSamplingRate(wrong))).toMatchObject(expected);
    expect(refused(() => createEngine({ samplingRate: wrong }))).toMatchObject(expected);
    expect(engine.record(engine.openRun({ runId: "r" }), "log_metric")).toBe(0);
  });
});

describe("what is kept, weighted", () => {
  it("stands for all there was, without bias", () => {
    const rates = { "tracking-write": 0.1, "registry-write": 0.37 };
    const times = 2000;
    const seeds = 200;
    for (const operation of ["log_metric", "create_model_version"]) {
      let sum = 0;
      let weight = 0;
      for (let seed = 0; seed < seeds; seed++) {
        const engine = createEngine({ runs: 1, samplingRates: rates, seed });
        const run = engine.openRun({ runId: "r" });
        for (let i = 0; i < times; i++) {
          const flags = engine.record(run, operation);
          if (flags & 1) sum += engine.sampleWeight(operation, flags);
        }
        weight = engine.sampling(operation).weight;
      }
      // Each estimate is a sum of `times` draws that are `weight` or nothing.
      const total = times * seeds;
      const deviation = Math.sqrt(total * (weight - 1));
      expect(weight, operation).toBeGreaterThan(2);
      expect(Math.abs(sum - total) / deviation, operation).toBeLessThan(4);
    }
  });
});
