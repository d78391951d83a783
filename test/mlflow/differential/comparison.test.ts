// The comparison sees a client that does something else, and what is meant to differ does differ.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../adapter/workplace.js";
import { differenceIn } from "./comparison.js";
import { workflowOf } from "./generator.js";
import { CALL_NAMES, typescriptPlayer } from "./typescript-player.js";
import type { Outcome, Player, Step, Workflow } from "./workflow.js";

const FOLDER = { major: 3, isFolder: true };

const step = (call: string, values: Step["values"], makes: string[] = []): Step => ({
  call,
  values,
  makes,
  isWrong: false,
});

const WORKFLOW: Workflow = {
  seed: 1,
  steps: [
    step("createExperiment", { name: "@ one" }, ["$experiment0"]),
    step("createRun", { experimentId: "$experiment0", startTime: 1000 }, ["$run0"]),
    step("logMetric", { runId: "$run0", key: "loss", value: 1, timestamp: 5, step: 2 }),
    step("setTag", { runId: "$run0", key: "team", value: "search" }),
    step("logText", { runId: "$run0", text: "größe", artifactFile: "a/b.txt" }),
    step("createRegisteredModel", { name: "@ model" }),
    step("getRegisteredModel", { name: "@ nobody" }),
  ],
};

/** What comes of a workflow that this client plays in both parts, one of them with a fault. */
async function differenceWith(fault: (honest: Player) => Player["perform"]) {
  const uri = pathToFileURL(join(await temporaryFolder(), "mlruns")).href;
  const honest = typescriptPlayer(uri);
  const typescript: Player = { perform: fault(honest) };
  return differenceIn(WORKFLOW, { typescript, python: honest, store: FOLDER });
}

/** A player that performs one call otherwise. */
const instead =
  (fails: string, other: (honest: Player, values: Step["values"]) => Promise<Outcome>) =>
  (honest: Player): Player["perform"] =>
  (call, values) =>
    call === fails ? other(honest, values) : honest.perform(call, values);

describe("the comparison", () => {
  it("sees nothing where both do the same", async () => {
    expect(await differenceWith((honest) => honest.perform)).toBeUndefined();
  });

  it.each<[string, string, string, (honest: Player, values: Step["values"]) => Promise<Outcome>]>([
    [
      "a metric of another value",
      "what typescript wrote",
      "logMetric",
      (honest, values) => honest.perform("logMetric", { ...values, value: 1.0000000000000002 }),
    ],
    [
      "a metric of another step",
      "what typescript wrote",
      "logMetric",
      (honest, values) => honest.perform("logMetric", { ...values, step: 3 }),
    ],
    ["a tag that is not written", "what typescript wrote", "setTag", async () => ({ made: [] })],
    [
      "an artifact of other bytes",
      "what typescript wrote",
      "logText",
      (honest, values) => honest.perform("logText", { ...values, text: "grosse" }),
    ],
    [
      "another code",
      "step 6",
      "getRegisteredModel",
      async () => ({ error: "BAD_REQUEST", made: [] }),
    ],
    [
      "an answer for a refusal",
      "step 6",
      "getRegisteredModel",
      async () => ({ answer: {}, made: [] }),
    ],
    [
      "a run read otherwise",
      "read by both",
      "readAll",
      async (honest, values) => {
        const { answer, made } = await honest.perform("readAll", values);
        return { answer: JSON.parse(JSON.stringify(answer).replace('"step":2', '"step":4')), made };
      },
    ],
    [
      "a model that is missing",
      "what typescript wrote",
      "createRegisteredModel",
      async (honest, values) => {
        const answered = await honest.perform("createRegisteredModel", values);
        await honest.perform("deleteRegisteredModel", values);
        return answered;
      },
    ],
  ])("sees %s", async (_label, where, call, other) => {
    const difference = await differenceWith(instead(call, other));
    expect(difference?.where).toContain(where);
  });
});

describe("a random workflow", () => {
  it("is that of its seed", () => {
    const store = { major: 3, isFolder: false };
    expect(workflowOf(7, 30, store)).toEqual(workflowOf(7, 30, store));
    expect(workflowOf(7, 30, store)).not.toEqual(workflowOf(8, 30, store));
  });

  it("comes to every call in the end", () => {
    const calls = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      for (const { call } of workflowOf(seed, 30, { major: 3, isFolder: false }).steps) {
        calls.add(call);
      }
    }
    expect([...calls, "readAll"].sort()).toEqual([...CALL_NAMES].sort());
  });
});
