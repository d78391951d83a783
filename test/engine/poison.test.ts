// A fault inside the engine stops it at once and for good; a snapshot brings it back.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { refused } from "./refused.js";

describe("an engine whose memory was ruined", () => {
  it("says so to every call, and is brought back by a snapshot", () => {
    const engine = createEngine({ runs: 8, names: 64 });
    engine.addBudget({ name: "b", limit: "1", period: "total", scope: { team: "a" } });
    const run = engine.openRun({ runId: "r", team: "a" });
    engine.record(run, "log_metric");
    const snapshot = engine.snapshot();
    expect(engine.poisoned).toBe(false);
    // No caller can do this through the engine's own calls: every link to budgets leads out of memory.
    new Uint8Array(engine.buffer.buffer).fill(0xee, engine.buffer.byteOffset - 600_000);
    let error: unknown;
    for (let i = 0; i < 100 && !engine.poisoned; i++) {
      try {
        engine.record(run, "log_metric");
        engine.openRun({ runId: `r${i}`, team: "a" });
        engine.drain();
        engine.summary();
        engine.snapshot();
      } catch (thrown) {
        error = thrown;
      }
    }
    expect(error).toMatchObject({ code: "ENGINE_POISONED" });
    expect(engine.poisoned).toBe(true);
    for (const call of [
      () => engine.record(run, "log_metric"),
      () => engine.reserve(run, "log_metric"),
      () => engine.openRun({ runId: "other" }),
      () => engine.tick(1),
      () => engine.total(),
      () => engine.summary(),
      () => engine.dayTotal(),
      () => engine.snapshot(),
    ]) {
      expect(refused(call).code).toBe("ENGINE_POISONED");
    }
    engine.restore(snapshot);
    expect(engine.poisoned).toBe(false);
    expect(engine.total()).toBe(10n ** 14n);
    engine.record(run, "log_metric");
    expect(engine.total()).toBe(2n * 10n ** 14n);
    expect(engine.summary().byTeam).toEqual({ a: 2n * 10n ** 14n });
  });
});
