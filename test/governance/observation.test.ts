// What observing a call costs where nobody listens: nothing is put together for it.
import { describe, expect, it, vi } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { configure } from "../../src/governance/configuration.js";
import { Notices } from "../../src/governance/notices.js";
import { Observation, type ObservedCall } from "../../src/governance/observation.js";
import type { Settlement } from "../../src/governance/settlement.js";

function observed() {
  const engine = createEngine({ runs: 16 });
  const runs = { get: vi.fn(), experimentName: () => undefined, runName: () => undefined };
  const notices = new Notices(undefined, 16);
  const observation = new Observation(engine, runs, configure({}), notices);
  const operationId = engine.operation("log_metric");
  const call: ObservedCall = {
    operation: { name: "log_metric", runId: "r", parentRunId: "above", items: 1 },
    operationId,
    attributes: {},
    quantity: 0,
    costContext: undefined,
    startMs: 1000,
    startMark: 0,
  };
  const settle = (outcome = {}) => observation.settled(call, undefined, 0, 5n, 20, outcome, false);
  return { observation, runs, settle, operationId, notices };
}

describe("an observation", () => {
  it("looks nothing up for a call that nobody listens to, and times it all the same", () => {
    const { observation, runs, settle, operationId } = observed();
    settle();
    expect(runs.get).not.toHaveBeenCalled();
    expect(observation.callSpans.spanMs(operationId)).toBe(20);
  });

  it("puts a call together once somebody listens, and contains what they throw", () => {
    const { observation, runs, settle, notices } = observed();
    const told: Settlement[] = [];
    observation.add({
      settled() {
        throw new Error("theirs");
      },
    });
    observation.add({ settled: (settlement) => told.push(settlement) });
    settle();
    expect(runs.get).toHaveBeenCalledWith("above");
    expect(told).toEqual([expect.objectContaining({ cost: 5n, elapsedMs: 20, failed: false })]);
    expect(notices.containedFailures).toBe(1);
  });
});
