// The fluent functions: the active run follows the program's flow, and what is logged goes there.
import {
  asyncDispose,
  createAsyncContext,
  currentRuntime,
  environmentVariable,
  mainScript,
} from "../runtime/capabilities.js";
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import {
  activeIdOf,
  type CreateExperimentOptions,
  MlflowClient,
  type SearchOptions,
} from "./client.js";
import type { Experiment, Metric, ModelVersion, Page, Run, RunStatus } from "./entities.js";
import { hasCode, invalidParameter, MlflowError } from "./errors.js";
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
  tagMessages,
  tagRemoval,
  tagsWrite,
  tagWrite,
  textArtifact,
} from "./run-writes.js";
import { explicitRegistryUri, getTrackingUri } from "./store-uri.js";
import {
  checkExperimentId,
  checkExperimentName,
  checkOptions,
  checkRunId,
  checkRunName,
  checkTerminalStatus,
  type LoggableValue,
} from "./validation.js";

export { setRegistryUri, setTrackingUri } from "./store-uri.js";

const NOTE_TAG = "mlflow.note.content";
const DEFAULT_EXPERIMENT_ID = "0";
/** Clients kept, by URI: each remembers what it learned. */
const MAX_CLIENTS = 32;
const SEARCH_PAGE = 1000;
/** Most runs that a search answers unless told otherwise, as in Python. */
const MAX_FOUND_RUNS = 100_000;

/** A run that is open. It ends FINISHED at the end of an `await using` block. */
export interface ActiveRun extends Run, AsyncDisposable {}

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

// ── where things go ──────────────────────────────────────────────────────────────────────────────

const clients = new Map<string, MlflowClient>();

function clientFor(trackingUri: string): MlflowClient {
  const registryUri = explicitRegistryUri();
  const key = JSON.stringify([trackingUri, registryUri]);
  const known = clients.get(key);
  if (known !== undefined) return known;
  const client = new MlflowClient({ trackingUri });
  clients.set(key, client);
  for (const oldest of clients.keys()) {
    if (clients.size <= MAX_CLIENTS) break;
    clients.delete(oldest);
  }
  return client;
}

/** The store of the run around this call when that run was told one, else the one in force. */
export function currentClient(): MlflowClient {
  const frame = enclosingFrame();
  return frame?.hasOwnStore ? frame.client : clientFor(getTrackingUri());
}

// ── the active run ───────────────────────────────────────────────────────────────────────────────

/** A run in the flow of the program. */
class Frame {
  /** Undefined until the store has created it. */
  run: ActiveRun | undefined;
  ended = false;
  readonly started: Promise<ActiveRun>;

  constructor(
    readonly client: MlflowClient,
    /** The store was chosen for this run, or for one around it. */
    readonly hasOwnStore: boolean,
    /** It ends with a callback; a bare one is open until somebody ends it. */
    readonly hasCallback: boolean,
    readonly parent: Frame | undefined,
    create: () => Promise<Run>,
  ) {
    this.started = this.#start(create);
    // Whoever waits for it gets the error; nobody has to.
    this.started.catch(() => {});
  }

  async #start(create: () => Promise<Run>): Promise<ActiveRun> {
    try {
      const { info, data } = await create();
      const end = () => endWithInner(this, "FINISHED");
      this.run = { info, data, [asyncDispose]: end };
      latest = { client: this.client, runId: info.runId };
      return this.run;
    } catch (error) {
      this.ended = true;
      throw error;
    }
  }

  async end(status: RunStatus): Promise<void> {
    if (this.ended || this.run === undefined) return;
    this.ended = true;
    bareFrames.delete(this);
    await this.client.setTerminated(this.run.info.runId, status);
  }

  isInside(other: Frame): boolean {
    let frame = this.parent;
    while (frame !== undefined && frame !== other) frame = frame.parent;
    return frame === other;
  }
}

const frames = createAsyncContext<Frame>();
/** Runs opened with `startRun` and not ended yet. */
const bareFrames = new Set<Frame>();
let latest: { readonly client: MlflowClient; readonly runId: string } | undefined;
let endsBareRunsAtExit = false;
let resumedFromEnvironment: string | undefined;

/**
 * The frame around the current call. An ended one is over; one that is still being created belongs
 * to a branch that runs beside this one, whose parent is ours too.
 */
function enclosingFrame(): Frame | undefined {
  let frame = frames.get();
  while (frame !== undefined && (frame.ended || frame.run === undefined)) frame = frame.parent;
  return frame;
}

function pendingFrame(): Frame | undefined {
  let frame = frames.get();
  while (frame !== undefined && (frame.ended || frame.run !== undefined)) frame = frame.parent;
  return frame;
}

/** The frame that a log call means: around it, begun beside it, or the only open run there is. */
function targetFrame(): Frame | undefined {
  const frame = enclosingFrame() ?? pendingFrame();
  if (frame !== undefined) return frame;
  if (bareFrames.size > 1) {
    const ids = Array.from(bareFrames, ({ run }) => `'${run?.info.runId}'`).slice(0, 5);
    const more = bareFrames.size > ids.length ? " and others" : "";
    throw new MlflowError(
      "INVALID_STATE",
      `Several runs are open and none of them was started here: ${ids.join(", ")}${more}. Use withRun(), or MlflowClient with a run id.`,
    );
  }
  for (const only of bareFrames) return only;
  return undefined;
}

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
function openFrame(
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
function openBareFrame(options: StartRunOptions, before?: Promise<unknown>): Frame {
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

/** Ends a run and those that were left open inside it. */
async function endWithInner(frame: Frame, status: RunStatus): Promise<void> {
  const inner = Array.from(bareFrames).filter((open) => open.isInside(frame));
  const ends = await Promise.allSettled(inner.map((open) => open.end(status)));
  await frame.end(status);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
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
  const { info, data } = await client.getRun(runId);
  if (info.lifecycleStage === "deleted") {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Run '${runId}' cannot be resumed because it is deleted. Restore it with restoreRun() of MlflowClient.`,
    );
  }
  const changed = await client.updateRun(runId, { status: "RUNNING", runName });
  const added = { ...tags, ...(description !== undefined && { [NOTE_TAG]: description }) };
  await client.write(runId, tagsWrite(added));
  const written = tagMessages(added).map(({ key, value = "" }) => [key, value]);
  return {
    info: changed,
    data: { ...data, tags: { ...data.tags, ...Object.fromEntries(written) } },
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

function userName(): string | undefined {
  for (const name of ["MLFLOW_TRACKING_USERNAME", "LOGNAME", "USER", "LNAME", "USERNAME"]) {
    const value = environmentVariable(name);
    if (value !== undefined) return value;
  }
  return currentRuntime().userName?.();
}

function contextTags(): Record<string, string> {
  const user = userName();
  return {
    ...(user !== undefined && { "mlflow.user": user }),
    "mlflow.source.name": mainScript() ?? "<console>",
    "mlflow.source.type": "LOCAL",
  };
}

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
  } catch (error) {
    // The program's own error matters more than a store that cannot note it.
    await endWithInner(frame, "FAILED").catch(() => {});
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
function log(prepare: () => RunWrite | Promise<RunWrite>): Promise<void> {
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

async function writeTo(frame: Frame, write: RunWrite | Promise<RunWrite>): Promise<void> {
  const ready = await write;
  const { info } = frame.run ?? (await frame.started);
  await frame.client.write(info.runId, ready);
}

/** The last argument is the step, or `{ step, timestamp }`. NaN and the infinities are allowed. */
export function logMetric(
  key: string,
  value: number,
  options?: MetricOptions | number,
): Promise<void> {
  return log(() => metricWrite(key, value, options));
}

/** Several metrics of one moment, in as few requests as MLflow's limits allow. */
export function logMetrics(
  metrics: Readonly<Record<string, number>>,
  options?: MetricOptions | number,
): Promise<void> {
  return log(() => metricsWrite(metrics, options));
}

/** A param is written once: another value for the same name is refused. */
export function logParam(key: string, value: LoggableValue): Promise<void> {
  return log(() => paramWrite(key, value));
}

export function logParams(params: Readonly<Record<string, LoggableValue>>): Promise<void> {
  return log(() => paramsWrite(params));
}

export function setTag(key: string, value: LoggableValue): Promise<void> {
  return log(() => tagWrite(key, value));
}

export function setTags(tags: Readonly<Record<string, LoggableValue>>): Promise<void> {
  return log(() => tagsWrite(tags));
}

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

// ── experiments ──────────────────────────────────────────────────────────────────────────────────

/** By name where there is one, so that it means the same on whichever store is used next. */
let activeExperiment: Pick<Experiment, "name" | "experimentId"> | undefined;
let activeExperimentStore: string | undefined;

async function experimentFor(
  client: MlflowClient,
  options: StartRunOptions,
  parentExperimentId: string | undefined,
): Promise<string> {
  if (options.experimentId !== undefined) return options.experimentId;
  if (options.experimentName !== undefined) {
    return client.findOrCreateExperiment(options.experimentName);
  }
  return parentExperimentId ?? activeExperimentId(client);
}

async function activeExperimentId(client: MlflowClient): Promise<string> {
  if (activeExperiment !== undefined) {
    return activeExperimentStore === client.trackingUri
      ? activeExperiment.experimentId
      : client.findOrCreateExperiment(activeExperiment.name);
  }
  const id = environmentVariable("MLFLOW_EXPERIMENT_ID");
  const name = environmentVariable("MLFLOW_EXPERIMENT_NAME");
  if (name === undefined) return id ?? DEFAULT_EXPERIMENT_ID;
  const found = await client.findOrCreateExperiment(name);
  if (id !== undefined && id !== found) {
    const fix = `the experiment '${name}' that MLFLOW_EXPERIMENT_NAME names has the id '${found}'; unset one of the two.`;
    throw invalidParameter("MLFLOW_EXPERIMENT_ID", id, fix);
  }
  return found;
}

/**
 * Makes an experiment the active one of this process: by name, created when there is none, or by
 * `{ experimentId }`. Rejects with MlflowError for a deleted one.
 */
export async function setExperiment(
  experiment: string | { readonly experimentId: string },
): Promise<Experiment> {
  const client = currentClient();
  const found = await findExperiment(client, experiment);
  activeIdOf(found);
  activeExperiment = found;
  activeExperimentStore = client.trackingUri;
  return found;
}

async function findExperiment(
  client: MlflowClient,
  experiment: string | { readonly experimentId: string },
): Promise<Experiment> {
  if (typeof experiment !== "string") {
    checkOptions("setExperiment", experiment, ["experimentId"]);
    return client.getExperiment(experiment.experimentId);
  }
  const found = await client.getExperimentByName(experiment);
  if (found !== undefined) return found;
  try {
    return await client.getExperiment(await client.createExperiment(experiment));
  } catch (error) {
    if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
    // Another process was faster.
    const other = await client.getExperimentByName(experiment);
    if (other === undefined) throw error;
    return other;
  }
}

/** Answers the new experiment's id. */
export async function createExperiment(
  name: string,
  options?: CreateExperimentOptions,
): Promise<string> {
  return currentClient().createExperiment(name, options);
}

export async function getExperiment(experimentId: string): Promise<Experiment> {
  return currentClient().getExperiment(experimentId);
}

/** Undefined when there is none of this name. */
export async function getExperimentByName(name: string): Promise<Experiment | undefined> {
  return currentClient().getExperimentByName(name);
}

export async function searchExperiments(options?: SearchOptions): Promise<Page<Experiment>> {
  return currentClient().searchExperiments(options);
}

// ── runs ─────────────────────────────────────────────────────────────────────────────────────────

export async function getRun(runId: string): Promise<Run> {
  return currentClient().getRun(runId);
}

export interface SearchRunsOptions extends Omit<SearchOptions, "pageToken"> {
  /** The active experiment when neither ids nor names are given. */
  readonly experimentIds?: readonly string[] | undefined;
  readonly experimentNames?: readonly string[] | undefined;
}

/** All runs found, page after page; at most `maxResults`, 100000 when left out. */
export async function searchRuns(options: SearchRunsOptions = {}): Promise<Run[]> {
  const known = ["filterString", "orderBy", "maxResults", "viewType"];
  checkOptions("searchRuns", options, ["experimentIds", "experimentNames", ...known]);
  const { experimentIds, experimentNames, maxResults = MAX_FOUND_RUNS, ...search } = options;
  if (!Number.isSafeInteger(maxResults) || maxResults < 1) {
    throw invalidParameter("maxResults", maxResults, "pass a whole number from 1.");
  }
  const client = currentClient();
  const ids = await experimentIdsFor(client, experimentIds, experimentNames);
  const found: Run[] = [];
  if (ids.length === 0) return found;
  let pageToken: string | undefined;
  do {
    const wanted = Math.min(SEARCH_PAGE, maxResults - found.length);
    const page = await client.searchRuns(ids, { ...search, maxResults: wanted, pageToken });
    found.push(...page);
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined && found.length < maxResults);
  return found;
}

async function experimentIdsFor(
  client: MlflowClient,
  ids: readonly string[] | undefined,
  names: readonly string[] | undefined,
): Promise<readonly string[]> {
  if (ids !== undefined && names !== undefined) {
    const fix = "pass either experimentIds or experimentNames.";
    throw invalidParameter("experimentNames", names, fix);
  }
  if (ids !== undefined) return ids;
  if (names === undefined) return [await activeExperimentId(client)];
  if (!Array.isArray(names)) {
    throw invalidParameter("experimentNames", names, "pass an array of names.");
  }
  const found: string[] = [];
  for (const name of names) {
    const experiment = await client.getExperimentByName(name);
    if (experiment !== undefined) found.push(experiment.experimentId);
  }
  return found;
}

/** Every point of a metric; empty when there is none of this name. */
export async function getMetricHistory(runId: string, key: string): Promise<Metric[]> {
  return currentClient().getMetricHistory(runId, key);
}

/** Marks a run as deleted; no byte is freed. */
export async function deleteRun(runId: string): Promise<void> {
  return currentClient().deleteRun(runId);
}

// ── the model registry ───────────────────────────────────────────────────────────────────────────

/**
 * Makes a version of a model, and the model when there is none. `runs:/<run id>/<path>` means the
 * artifacts of that run; any other URI is taken as it is.
 */
export async function registerModel(
  modelUri: string,
  name: string,
  options?: { readonly tags?: Readonly<Record<string, LoggableValue>> | undefined },
): Promise<ModelVersion> {
  return currentClient().registerModel(modelUri, name, options);
}

export async function getModelVersion(
  name: string,
  version: string | number,
): Promise<ModelVersion> {
  return currentClient().getModelVersion(name, version);
}

/** `archiveExistingVersions` moves the versions that are in the stage to Archived. */
export async function transitionModelVersionStage(
  name: string,
  version: string | number,
  stage: string,
  options?: { readonly archiveExistingVersions?: boolean | undefined },
): Promise<ModelVersion> {
  return currentClient().transitionModelVersionStage(name, version, stage, options);
}
