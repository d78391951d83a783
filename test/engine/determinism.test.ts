// The same calls leave the same bytes of memory; nothing comes from outside.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { type Bare, bare, RANDOM } from "./bare.js";

/** A fixed walk through every export that writes. */
function walk({ exports, intern, openRun, give }: Bare): void {
  for (let id = 0; id < 16; id++) exports.setSamplingRate(id, 0.4);
  const meter = exports.addMeter(intern("tokens", 10), 0);
  give(25n, 7n);
  exports.setMeterRate(meter);
  const tickets: number[] = [];
  for (let i = 0; i < 3000; i++) {
    exports.tick(1e12 + (i % 7) * 40_000_000);
    const run = openRun(
      `run-${i % 90}`,
      i % 4 === 0 ? `run-${i % 11}` : "",
      `experiment-${i % 5}`,
      `team-${i % 3}`,
    );
    exports.record(run, i % 100, i % 2 ? meter : 0, i, i % 9);
    const ticket = exports.reserve(run, i % 50, meter, i);
    if (ticket > 0) tickets.push(ticket);
    if (i % 3 === 0) {
      const last = tickets.pop() ?? 0;
      exports.charge(last, meter, i * 2);
      if (i % 2) exports.settle(last, i % 5 === 0 ? 1 : 0, 1, i / 10);
      else exports.release(last);
    }
  }
  exports.rollUp(1, 1);
}

describe("memory", () => {
  it("is the same to the byte after the same calls", () => {
    const images = [1, 2].map(() => {
      const engine = bare({ seed: 7 });
      walk(engine);
      return engine.image();
    });
    expect(Buffer.compare(images[0] as Uint8Array, images[1] as Uint8Array)).toBe(0);
  });

  it("differs by the sampling state alone when the seed does", () => {
    const [one, two] = [7, 8].map((seed) => {
      const engine = bare({ seed });
      walk(engine);
      return engine;
    }) as [Bare, Bare];
    const cells = new DataView(one.exports.memory.buffer).getUint32(one.header + 688 + 6 * 4, true);
    const other = two.image();
    const changed = new Set<string>();
    one.image().forEach((byte, i) => {
      if (byte === other[i]) return;
      const ofCell = i >= cells && i < cells + 512 * 96 && (i - cells) % 96 >= 88;
      changed.add(ofCell ? "dropped" : `header ${(i - one.header) & ~7}`);
    });
    // Random state, and how many were dropped.
    expect([...changed].sort()).toEqual(["dropped", `header ${RANDOM}`]);
  });

  it("is untouched by a call that is refused", () => {
    const engine = bare();
    walk(engine);
    const { exports } = engine;
    const run = engine.openRun("last");
    const refused = (call: () => number, ...words: readonly [index: number, value: number][]) => {
      const form = new Uint32Array(exports.memory.buffer, exports.form(), 32);
      const before = form.slice();
      for (const [index, value] of words) form[index] = value;
      const status = call();
      form.set(before);
      return status;
    };
    const amounts = (first: bigint, second: bigint, call: () => number) => {
      engine.give(first, second);
      const status = call();
      engine.give(0n, 0n);
      return status;
    };
    engine.give(0n, 0n);
    const before = engine.image();
    const refusals = [
      exports.record(0, 2, 0, 0, 1),
      exports.record(run, 9999, 0, 0, 1),
      exports.record(run, -1, 0, 0, 1),
      exports.record(run, 2, 99, 0, 1),
      exports.record(run, 2, 0, -1, 1),
      exports.record(run, 2, 0, 0.5, 1),
      exports.record(run, 2, 0, 2 ** 53, 1),
      exports.record(run, 2, 0, Number.NaN, 1),
      exports.record(run, 2, 0, 0, -1),
      exports.reserve(run, 9999, 0, 0),
      exports.reserve(run, 2, 99, 0),
      exports.reserve(run, 2, 0, Infinity),
      exports.charge(run, 1, 1),
      exports.extend(12345, 1, 1),
      exports.settle(run, 0, 1, 1),
      exports.release(0),
      exports.assign(0, run),
      exports.finishRun(1, 0),
      exports.tick(-1),
      exports.tick(1e14),
      exports.setTimeToLive(0),
      exports.setSamplingRate(0, 1.5),
      exports.setSamplingRate(16, 0.5),
      amounts(1n, 1n, () => exports.setMeterRate(0)),
      amounts(1n, 0n, () => exports.setMeterRate(1)),
      amounts(1n << 75n, 1n, () => exports.setMeterRate(1)),
      amounts(1n, 0n, () => exports.setOperationPrice(9999)),
      amounts(1n << 96n, 0n, () => exports.setOperationPrice(2)),
      exports.addMeter(0, 0),
      exports.addOperation(0, 0, 0),
      exports.addOperation(257, 0, 0),
      exports.addOperation(3, 16, 0),
      exports.intern(5000, 2),
      exports.intern(1, 0),
      exports.intern(1, 1),
      exports.intern(1, 12),
      refused(() => exports.openRun(), [1, 0]),
      refused(() => exports.openRun(), [1, 5000]),
      refused(() => exports.openRun(), [2, 9999]),
      refused(() => exports.openScope(5)),
      refused(() => exports.addBudget(), [13, 8]),
      refused(() => exports.addBudget(), [12, 4]),
      refused(() => exports.addBudget(), [15, 1441]),
      refused(() => exports.addBudget(), [3, 9999]),
      exports.removeBudget(5),
      exports.setLimit(5, 0),
      exports.setAlert(5, 0, 1),
      exports.grant(5),
      exports.spend(5),
      exports.giveBack(5),
      exports.setSource(-1, 0),
      exports.setStaticPrefix(-1),
      exports.rollUp(0, 0),
      exports.rollUp(10, 0),
      exports.init(),
    ];
    expect(refusals.filter((status) => status >= 0)).toEqual([]);
    expect(Buffer.compare(engine.image(), before)).toBe(0);
  });
});

describe("sampling decisions", () => {
  const decisions = (seed: number) => {
    const engine = createEngine({ runs: 1, seed, samplingRate: 0.5 });
    const run = engine.openRun({ runId: "r" });
    return Array.from({ length: 200 }, () => engine.record(run, "log_metric") & 1).join("");
  };

  it("follow the seed", () => {
    expect(decisions(1)).toBe(decisions(1));
    expect(decisions(1)).not.toBe(decisions(2));
    expect(decisions(1)).not.toBe(decisions(1 + 2 ** 32));
  });
});
