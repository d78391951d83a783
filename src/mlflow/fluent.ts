// The fluent functions: the active run follows the program's flow, and what is logged goes there.
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { reportLoss } from "./async-logging.js";
import type { Dataset, Run, RunStatus } from "./entities.js";
import { AsyncLoggingError, invalidParameter, MlflowError } from "./errors.js";
import { aboutActiveModel } from "./fluent/active-model.js";
import {
  type ActiveRun,
  bareFrames,
  enclosingFrame,
  endWithInner,
  type Frame,
  frames,
  latestRun,
  targetFrame,
} from "./fluent/frames.js";
import { openBareFrame, openFrame, type StartRunOptions } from "./fluent/start-run.js";
import { type InputsOfRun, inputsWrite, type LogInputOptions } from "./input-writes.js";
import { figureWrite, type ImageOptions, imageWrite } from "./picture-writes.js";
import {
  type ArtifactBytes,
  bytesArtifact,
  dictArtifact,
  localArtifact,
  localArtifacts,
  type MetricOptions,
  metricsWrite,
  metricWrite,
  paramsWrite,
  paramWrite,
  type RunWrite,
  tagRemoval,
  tagsWrite,
  tagWrite,
  textArtifact,
  type WriteOptions,
  type Written,
} from "./run-writes.js";
import { type TableData, tableWrite } from "./tables.js";
import { checkTerminalStatus, type LoggableValue, type ObjectOf } from "./validation.js";

export type { ActiveRun } from "./fluent/frames.js";
export { setRegistryUri, setTrackingUri } from "./store-uri.js";

/**
 * Starts a run and makes it the active one for the rest of the calling function and all that it
 * calls. Inside an active run pass `nested` (or `parentRunId`). Rejects with MlflowError.
 */
export function startRun(options: StartRunOptions = {}): Promise<ActiveRun> {
  // Not an async function: the frame must be entered while the caller still runs, or the rest of
  // the caller would not be inside it.
  try {
    return openBareFrame(options).started.then((run) => run);
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Runs `callback` with a new run as the active one, and answers its value. The run ends FINISHED, or
 * FAILED when the callback throws, whose error comes through as it is.
 */
export async function withRun<T>(
  options: StartRunOptions,
  callback: (run: ActiveRun) => Promise<T> | T,
): Promise<T> {
  if (typeof callback !== "function") {
    throw invalidParameter(
      "callback",
      callback,
      "pass the function to run: withRun({}, callback).",
    );
  }
  const frame = openFrame(options, true);
  const run = await frame.started;
  let result: T;
  try {
    result = await frames.run(frame, () => callback(run));
    // What the body logged without waiting is part of what it did.
    await frame.client.flushAsyncLogging(run.info.runId);
  } catch (error) {
    // The program's own error matters more than a store that cannot note it.
    await endWithInner(frame, "FAILED").catch((failure: unknown) => {
      if (failure instanceof AsyncLoggingError) reportLoss(failure);
    });
    throw error;
  }
  await endWithInner(frame, "FINISHED");
  return result;
}

/** Ends the active run; nothing happens when there is none. */
export async function endRun(status: RunStatus = "FINISHED"): Promise<void> {
  checkTerminalStatus(status);
  const frame = targetFrame();
  if (frame === undefined) return;
  await frame.started;
  await frame.end(status);
}

/** The run that a log call made here would write to; undefined when there is none, or no single one. */
export function activeRun(): ActiveRun | undefined {
  const frame = enclosingFrame();
  if (frame !== undefined) return frame.run;
  if (bareFrames.size !== 1) return undefined;
  for (const only of bareFrames) return only.run;
  return undefined;
}

/** The active run, else the one that was started last in this process, as the store has it now. */
export async function lastActiveRun(): Promise<Run | undefined> {
  const run = activeRun();
  if (run !== undefined) return run;
  const latest = latestRun();
  return latest?.client.getRun(latest.runId);
}

// ── what is logged ───────────────────────────────────────────────────────────────────────────────

/** What comes after the run it was meant for must not begin one of its own, which nobody would find. */
function refuseAfterCallback(): void {
  let frame = frames.get();
  while (frame !== undefined && !(frame.ended && frame.hasCallback)) frame = frame.parent;
  if (frame === undefined) return;
  throw new MlflowError(
    "INVALID_STATE",
    `Run '${frame.run?.info.runId}' has ended. Await every call that is made in a run before its callback returns.`,
  );
}

/** Checks, then writes to the active run; starts one when there is none, as Python does. */
function log<Options extends WriteOptions>(
  prepare: () => RunWrite | Promise<RunWrite>,
): Promise<Written<Options>> {
  // Not an async function, for the same reason as `startRun`.
  try {
    const write = prepare();
    const frame = targetFrame();
    if (frame !== undefined) return writeTo(frame, write);
    refuseAfterCallback();
    return writeTo(openBareFrame({}, write instanceof Promise ? write : undefined), write);
  } catch (error) {
    return Promise.reject(error);
  }
}

async function writeTo<Options extends WriteOptions>(
  frame: Frame,
  write: RunWrite | Promise<RunWrite>,
): Promise<Written<Options>> {
  const send = frame.client.writer();
  const ready = await write;
  const { info } = frame.run ?? (await frame.started);
  return send(info.runId, ready);
}

/** The last argument is the step, or `{ step, timestamp }`. NaN and the infinities are allowed. */
export function logMetric<const Options extends MetricOptions>(
  key: string,
  value: number,
  options?: Options | number,
): Promise<Written<Options>> {
  return log(() => metricWrite(key, value, aboutActiveModel(options)));
}

/** Several metrics of one moment, in as few requests as MLflow's limits allow. */
export function logMetrics<
  Metrics extends ObjectOf<Metrics, number>,
  const Options extends MetricOptions,
>(metrics: Metrics, options?: Options | number): Promise<Written<Options>> {
  return log(() => metricsWrite(metrics, aboutActiveModel(options)));
}

/** A param is written once: another value for the same name is refused. */
export function logParam<const Options extends WriteOptions>(
  key: string,
  value: LoggableValue,
  options?: Options,
): Promise<Written<Options>> {
  return log(() => paramWrite(key, value, options));
}

/** Several params, in as few requests as MLflow's limits allow. */
export function logParams<
  Params extends ObjectOf<Params, LoggableValue | undefined>,
  const Options extends WriteOptions,
>(params: Params, options?: Options): Promise<Written<Options>> {
  return log(() =>
    paramsWrite(params as Readonly<Record<string, LoggableValue | undefined>>, options),
  );
}

/** Sets a tag of the run; one that it has already is given another value. */
export function setTag<const Options extends WriteOptions>(
  key: string,
  value: LoggableValue,
  options?: Options,
): Promise<Written<Options>> {
  return log(() => tagWrite(key, value, options));
}

/** Sets several tags, in as few requests as MLflow's limits allow. */
export function setTags<
  Tags extends ObjectOf<Tags, LoggableValue | undefined>,
  const Options extends WriteOptions,
>(tags: Tags, options?: Options): Promise<Written<Options>> {
  return log(() => tagsWrite(tags as Readonly<Record<string, LoggableValue | undefined>>, options));
}

/** Takes a tag from the run. Rejects with `RESOURCE_DOES_NOT_EXIST` when it has none of that name. */
export function deleteTag(key: string): Promise<void> {
  return log(() => tagRemoval(key));
}

/** A local file, below `artifactPath`; a folder goes there with its name. */
export function logArtifact(
  localPath: string,
  artifactPath?: string,
  options?: TransferOptions,
): Promise<void> {
  return log(() => localArtifact(localPath, artifactPath, options));
}

/** Every file in a local folder, below `artifactPath`. */
export function logArtifacts(
  localDirectory: string,
  artifactPath?: string,
  options?: TransferOptions,
): Promise<void> {
  return log(() => localArtifacts(localDirectory, artifactPath, options));
}

/** A text, in UTF-8, as a file of the run's artifacts. */
export function logText(
  text: string,
  artifactFile: string,
  options?: TransferOptions,
): Promise<void> {
  return log(() => textArtifact(text, artifactFile, options));
}

/** As YAML when the name ends in `.yaml` or `.yml`, else as JSON. */
export function logDict(
  dictionary: object,
  artifactFile: string,
  options?: TransferOptions,
): Promise<void> {
  return log(() => dictArtifact(dictionary, artifactFile, options));
}

/** From memory, from a Blob (a file that a page was given), or from a stream, which is kept first. */
export function logBytes(
  bytes: ArtifactBytes,
  artifactFile: string,
  options?: TransferOptions,
): Promise<void> {
  return log(() => bytesArtifact(bytes, artifactFile, options));
}

/** Notes a dataset that the run uses, and what for. */
export function logInput(dataset: Dataset, options: LogInputOptions = {}): Promise<void> {
  return log(() => inputsWrite({ datasets: [{ ...options, dataset }] }));
}

/** Notes the datasets and the logged models that the run uses. */
export function logInputs(inputs: InputsOfRun): Promise<void> {
  return log(() => inputsWrite(inputs));
}

/** A picture: as an artifact of a name, or as PNG of a series that MLflow shows step by step. */
export function logImage(image: Uint8Array, place: string | ImageOptions): Promise<void> {
  return log(() => imageWrite(image, place));
}

/** A figure: SVG or HTML as text, or the bytes of any picture. */
export function logFigure(figure: string | Uint8Array, artifactFile: string): Promise<void> {
  return log(() => figureWrite(figure, artifactFile));
}

/**
 * Adds rows to a table of the run, which is made when there is none; MLflow's pages compare tables of
 * one name between runs. What two processes write at once to one table is not joined.
 */
export function logTable(data: TableData, artifactFile: string): Promise<void> {
  return log(() => tableWrite(data, artifactFile));
}
