// The same calls leave the same bytes of memory; nothing comes from outside.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { type Bare, bare } from "./bare.js";

/** A fixed walk through every export that writes. */
function walk({ exports, intern }: Bare): void {
  exports.setSamplingRate(0.4);
  const meter = exports.addMeter(intern("tokens", 10));
  exports.setMeterRate(meter, 25, 0, 0, 7, 0);
  const tickets: number[] = [];
  for (let i = 0; i < 3000; i++) {
    exports.tick(1e12 + (i % 7) * 40_000_000);
    const run = exports.openRun(
      intern(`run-${i % 90}`, 1),
      i % 4 === 0 ? intern(`run-${i % 11}`, 1) : 0,
      intern(`experiment-${i % 5}`, 2),
      intern(`team-${i % 3}`, 3),
      0,
      0,
      0,
      0,
      0,
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
    const changed = new Set<number>();
    const [one, two] = [7, 8].map((seed) => {
      const engine = bare({ seed });
      walk(engine);
      return { image: engine.image(), header: engine.exports.headerAddress() };
    }) as [{ image: Uint8Array; header: number }, { image: Uint8Array; header: number }];
    one.image.forEach((byte, i) => {
      if (byte !== two.image[i]) changed.add((i - one.header) & ~7);
    });
    // Random state, and how many were kept and dropped.
    expect([...changed].every((offset) => [80, 96, 104].includes(offset))).toBe(true);
    expect(changed.has(80)).toBe(true);
  });

  it("is untouched by a call that is refused", () => {
    const engine = bare();
    walk(engine);
    const { exports } = engine;
    const run = exports.openRun(engine.intern("last", 1), 0, 0, 0, 0, 0, 0, 0, 0);
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
      exports.finishRun(1),
      exports.tick(-1),
      exports.tick(1e14),
      exports.setSamplingRate(1.5),
      exports.setMeterRate(0, 1, 0, 0, 1, 0),
      exports.setMeterRate(1, 1, 0, 0, 0, 0),
      exports.setMeterRate(1, 0, 0, 1 << 11, 1, 0),
      exports.setOperationPrice(9999, 1, 0, 0),
      exports.addMeter(0),
      exports.addOperation(0, 0, 0),
      exports.addOperation(257, 0, 0),
      exports.intern(5000, 1),
      exports.intern(1, 0),
      exports.intern(1, 11),
      exports.openRun(9999, 0, 0, 0, 0, 0, 0, 0, 0),
      exports.openScope(5, 0, 0, 0, 0, 0, 0, 0, 0),
      exports.setStaticPrefix(-1),
      exports.init(64, 16, 128, 4096, 16, 0, 0),
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
