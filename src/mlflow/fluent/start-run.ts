// How a run begins: its options, its parent, its experiment, and runs that are resumed.
import { currentRuntime, environmentVariable } from "../../runtime/capabilities.js";
import type { MlflowClient } from "../client.js";
import type { Run } from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import { tagMessages, tagsWrite } from "../run-writes.js";
import { getTrackingUri } from "../store-uri.js";
import {
  checkExperimentId,
  checkExperimentName,
  checkOptions,
  checkRunId,
  checkRunName,
  type LoggableValue,
} from "../validation.js";
import { experimentFor } from "./active-experiment.js";
import { clientFor } from "./clients.js";
import { contextTags } from "./context-tags.js";
import { bareFrames, enclosingFrame, Frame, frames } from "./frames.js";

const NOTE_TAG = "mlflow.note.content";

export interface StartRunOptions {
  /** Reopens this run instead of creating one. */
  readonly runId?: string | undefined;
  /** The store invents one when left out. */
  readonly runName?: string | undefined;
  /** Of the parent, else the active experiment, when neither id nor name is given. */
  readonly experimentId?: string | undefined;
  /** Created when there is none of this name. */
  readonly experimentName?: string | undefined;
  /** Allows a run inside the active one, as its child. */
  readonly nested?: boolean | undefined;
  /** The run above this one; the active run when left out. */
  readonly parentRunId?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
  /** What MLflow's page about the run says; Markdown. */
  readonly description?: string | undefined;
  /** The store of this run and of what is logged to it; the one in force when left out. */
  readonly trackingUri?: string | undefined;
}

const START_OPTIONS = [
  "runId",
  "runName",
  "experimentId",
  "experimentName",
  "nested",
  "parentRunId",
  "tags",
  "description",
  "trackingUri",
];

let endsBareRunsAtExit = false;
let resumedFromEnvironment: string | undefined;

function checkStartOptions(options: StartRunOptions): void {
  checkOptions("startRun", options, START_OPTIONS);
  const { runId, runName, experimentId, experimentName, nested, parentRunId, tags } = options;
  if (runId !== undefined) checkRunId(runId);
  if (runName !== undefined) checkRunName(runName);
  if (experimentId !== undefined) checkExperimentId(experimentId);
  if (experimentName !== undefined) checkExperimentName(experimentName);
  if (parentRunId !== undefined) checkRunId(parentRunId, "parentRunId");
  if (nested !== undefined && typeof nested !== "boolean") {
    throw invalidParameter("nested", nested, "pass true or false.");
  }
  if (experimentId !== undefined && experimentName !== undefined) {
    const fix = "pass either experimentId or experimentName.";
    throw invalidParameter("experimentName", experimentName, fix);
  }
  const place = ["experimentId", "experimentName", "parentRunId"] as const;
  const moved = place.find((name) => options[name] !== undefined);
  if (runId !== undefined && moved !== undefined) {
    throw invalidParameter(moved, options[moved], "a resumed run stays where it is; leave it out.");
  }
  const { description } = options;
  if (description !== undefined && typeof description !== "string") {
    throw invalidParameter("description", description, "pass a text, or leave it out.");
  }
  if (tags !== undefined) tagMessages(tags);
  if (description !== undefined && tags?.[NOTE_TAG] !== undefined) {
    const fix = `the tag '${NOTE_TAG}' already describes the run; pass one of the two.`;
    throw invalidParameter("description", description, fix);
  }
}

/** Begins a run: everything up to the first request happens before this returns. */
export function openFrame(
  options: StartRunOptions,
  hasCallback: boolean,
  before?: Promise<unknown>,
): Frame {
  checkStartOptions(options);
  const parent = enclosingFrame();
  const active = parent?.run?.info.runId;
  if (active !== undefined && options.nested !== true && options.parentRunId === undefined) {
    throw new MlflowError(
      "INVALID_STATE",
      `Run '${active}' is already active. End it with endRun() first, or pass nested: true to start a run inside it.`,
    );
  }
  const { trackingUri } = options;
  const client =
    trackingUri === undefined
      ? (parent?.client ?? clientFor(getTrackingUri()))
      : clientFor(trackingUri);
  const hasOwnStore = trackingUri !== undefined || parent?.hasOwnStore === true;
  return new Frame(client, hasOwnStore, hasCallback, parent, async () => {
    if (before !== undefined) await before;
    return createOrResume(client, parent, options);
  });
}

/** As `openFrame`, for the rest of the caller, and open until somebody ends it. */
export function openBareFrame(options: StartRunOptions, before?: Promise<unknown>): Frame {
  const frame = openFrame(options, false, before);
  frames.enter(frame);
  frame.started.then(
    () => {
      if (!frame.ended) bareFrames.add(frame);
    },
    () => {},
  );
  if (!endsBareRunsAtExit) {
    endsBareRunsAtExit = true;
    currentRuntime().beforeExit?.(async () => {
      await Promise.allSettled(Array.from(bareFrames, (open) => open.end("FINISHED")));
    });
  }
  return frame;
}

async function createOrResume(
  client: MlflowClient,
  parent: Frame | undefined,
  options: StartRunOptions,
): Promise<Run> {
  const resumed = options.runId ?? runIdFromEnvironment(parent, options);
  if (resumed !== undefined) return resume(client, resumed, options);
  const isSameStore = parent?.client.trackingUri === client.trackingUri;
  const outer = isSameStore ? parent?.run?.info : undefined;
  const { parentRunId = outer?.runId, runName, description } = options;
  // A parent that is not open here is looked up: a child of nothing would never be found again.
  const above =
    parentRunId === undefined || parentRunId === outer?.runId
      ? outer?.experimentId
      : await client.experimentOfParent(parentRunId);
  const experimentId = await experimentFor(client, options, above);
  return client.createRun(experimentId, {
    runName,
    tags: {
      ...contextTags(),
      ...options.tags,
      ...(description !== undefined && { [NOTE_TAG]: description }),
      ...(parentRunId !== undefined && { "mlflow.parentRunId": parentRunId }),
      ...(runName !== undefined && { "mlflow.runName": runName }),
    },
  });
}

async function resume(
  client: MlflowClient,
  runId: string,
  { runName, description, tags }: StartRunOptions,
): Promise<Run> {
  const { info, data, inputs, outputs } = await client.getRun(runId);
  if (info.lifecycleStage === "deleted") {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Run '${runId}' cannot be resumed because it is deleted. Restore it with restoreRun().`,
    );
  }
  const changed = await client.updateRun(runId, { status: "RUNNING", runName });
  const added = { ...tags, ...(description !== undefined && { [NOTE_TAG]: description }) };
  await client.write(runId, tagsWrite(added));
  const written = tagMessages(added).map(({ key, value = "" }) => [key, value]);
  return {
    info: changed,
    data: { ...data, tags: { ...data.tags, ...Object.fromEntries(written) } },
    inputs,
    outputs,
  };
}

/**
 * `MLFLOW_RUN_ID` names the first run of the process, as `mlflow run` sets it, unless that one is
 * asked for elsewhere.
 */
function runIdFromEnvironment(
  parent: Frame | undefined,
  { experimentId, experimentName, parentRunId }: StartRunOptions,
): string | undefined {
  const runId = environmentVariable("MLFLOW_RUN_ID");
  if (runId === undefined || runId === resumedFromEnvironment) return undefined;
  if ((experimentId ?? experimentName ?? parentRunId ?? parent) !== undefined) return undefined;
  resumedFromEnvironment = runId;
  checkRunId(runId, "MLFLOW_RUN_ID");
  return runId;
}
