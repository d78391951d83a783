// What can be written to a run: checked first, then sent to whichever run it is meant for.
import { currentRuntime, type FileAccess } from "../runtime/capabilities.js";
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { byteStreamOf, checkUnlocked, chunksOf } from "./artifact-stores/content.js";
import { checkedTransfer } from "./artifact-stores/download.js";
import { eachOf } from "./artifact-stores/parts.js";
import { bytesContent, dictContent, fileContent, textContent } from "./artifacts.js";
import { type BatchContent, NO_CONTENT, splitIntoBatches } from "./batches.js";
import { numberToMessage } from "./entities.js";
import { invalidParameter, MlflowError } from "./errors.js";
import type { RunOperations } from "./logging-queue.js";
import type { KeyValueMessage, MetricMessage } from "./spec.js";
import * as spec from "./spec.js";
import { type ArtifactContent, callStore, type Store, writeArtifact } from "./stores.js";
import {
  checkArtifactPath,
  checkMetric,
  checkModelId,
  checkOptions,
  checkParamKey,
  checkRecord,
  checkTagKey,
  type LoggableValue,
  paramValue,
  tagValue,
} from "./validation.js";

/** Files of a folder on their way at a time. */
const FILES_AT_A_TIME = 4;

/** What `logBytes` takes. */
export type ArtifactBytes =
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

/** The run that a write goes to. */
export interface RunTarget {
  readonly store: Store;
  readonly runId: string;
  /** Where its artifacts go. */
  artifacts(): Promise<ArtifactRoot>;
}

export interface ArtifactRoot {
  readonly experimentId: string;
  readonly artifactUri: string;
}

/** A checked write that lacks nothing but its run. */
export interface RunWrite {
  (target: RunTarget): Promise<unknown>;
  /** What it writes, when that can share a request with others. */
  readonly content?: BatchContent;
  /** What the call said about waiting for the store. */
  readonly synchronous?: boolean | undefined;
}

/** How metrics, params and tags are written. */
export interface WriteOptions {
  /** `false` does not wait for the store; see `enableAsyncLogging`, which decides when left out. */
  readonly synchronous?: boolean | undefined;
}

/** What a write resolves to: a handle where the call says that it does not wait for the store. */
export type Written<Options extends WriteOptions> = Options extends { readonly synchronous: false }
  ? RunOperations
  : // biome-ignore lint/suspicious/noConfusingVoidType: it stands in a Promise, as what nobody reads.
    void;

/** When a metric was measured. */
export interface MetricTime {
  /** Whole number, 0 when left out. */
  readonly step?: number | undefined;
  /** Milliseconds since the epoch, now when left out. */
  readonly timestamp?: number | undefined;
  /** The logged model that was measured, besides the run. */
  readonly modelId?: string | undefined;
  /** What it was measured on; `logInput` tells the run about it. */
  readonly dataset?: { readonly name: string; readonly digest: string } | undefined;
}

const METRIC_TIME = ["step", "timestamp", "modelId", "dataset"];

export interface MetricOptions extends MetricTime, WriteOptions {}

/** One point of a metric, to be logged in a batch. */
export interface MetricPoint extends MetricTime {
  readonly key: string;
  readonly value: number;
}

/** What `logBatch` writes together. */
export interface BatchOfWrites {
  readonly metrics?: readonly MetricPoint[] | undefined;
  readonly params?: Readonly<Record<string, LoggableValue | undefined>> | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue | undefined>> | undefined;
}

function metricMessage(point: MetricPoint, now: number) {
  const { key, value, step = 0, timestamp = now, modelId, dataset } = point;
  checkMetric(key, value, timestamp, step);
  const message = { key, value: numberToMessage(value), timestamp, step };
  if (modelId === undefined && dataset === undefined) return message;
  if (modelId !== undefined) checkModelId(modelId);
  if (dataset !== undefined) checkDatasetReference(key, dataset);
  return {
    ...message,
    ...(modelId !== undefined && { model_id: modelId }),
    ...(dataset !== undefined && { dataset_name: dataset.name, dataset_digest: dataset.digest }),
  };
}

function checkDatasetReference(key: string, dataset: { name: unknown; digest: unknown }): void {
  const { name, digest } = dataset;
  if (typeof name !== "string" || typeof digest !== "string" || name === "" || digest === "") {
    throw invalidParameter(`dataset of metric '${key}'`, dataset, "pass { name, digest }.");
  }
}

function metricOptions(options: MetricOptions | number | undefined): MetricOptions {
  if (options === undefined) return {};
  if (typeof options === "number") return { step: options };
  checkOptions("metric options", options, [...METRIC_TIME, "synchronous"]);
  checkSynchronous(options);
  return options;
}

function checkSynchronous({ synchronous }: WriteOptions): void {
  if (synchronous !== undefined && typeof synchronous !== "boolean") {
    throw invalidParameter("synchronous", synchronous, "pass true or false.");
  }
}

function synchronousOf(options: WriteOptions | undefined): boolean | undefined {
  if (options === undefined) return undefined;
  checkOptions("write options", options, ["synchronous"]);
  checkSynchronous(options);
  return options.synchronous;
}

function queueable(
  content: Partial<BatchContent>,
  synchronous: boolean | undefined,
  write: (target: RunTarget) => Promise<unknown>,
): RunWrite {
  return Object.assign(write, { content: { ...NO_CONTENT, ...content }, synchronous });
}

/** Without those that are undefined, as options are. */
function givenIn(values: Readonly<Record<string, LoggableValue | undefined>>) {
  return Object.entries(values).filter(([, value]) => value !== undefined);
}

function paramMessages(
  params: Readonly<Record<string, LoggableValue | undefined>>,
): KeyValueMessage[] {
  checkRecord("params", params);
  return givenIn(params).map(([key, value]) => {
    checkParamKey(key);
    return { key, value: paramValue(key, value) };
  });
}

/** Tags of a run as a request carries them, checked. */
export function tagMessages(
  tags: Readonly<Record<string, LoggableValue | undefined>>,
): KeyValueMessage[] {
  checkRecord("tags", tags);
  return givenIn(tags).map(([key, value]) => {
    checkTagKey(key);
    return { key, value: tagValue(key, value) };
  });
}

export function metricWrite(
  key: string,
  value: number,
  options?: MetricOptions | number,
): RunWrite {
  const { synchronous, ...when } = metricOptions(options);
  const message = metricMessage({ key, value, ...when }, Date.now());
  return queueable({ metrics: [message] }, synchronous, ({ store, runId }) =>
    callStore(store, spec.logMetric, { run_id: runId, ...message }),
  );
}

export function paramWrite(key: string, value: LoggableValue, options?: WriteOptions): RunWrite {
  checkParamKey(key);
  const message = { key, value: paramValue(key, value) };
  return queueable({ params: [message] }, synchronousOf(options), ({ store, runId }) =>
    callStore(store, spec.logParam, { run_id: runId, ...message }),
  );
}

export function tagWrite(key: string, value: LoggableValue, options?: WriteOptions): RunWrite {
  checkTagKey(key);
  const message = { key, value: tagValue(key, value) };
  return queueable({ tags: [message] }, synchronousOf(options), ({ store, runId }) =>
    callStore(store, spec.setTag, { run_id: runId, ...message }),
  );
}

export function tagRemoval(key: string): RunWrite {
  checkTagKey(key);
  return ({ store, runId }) => callStore(store, spec.deleteTag, { run_id: runId, key });
}

function messagesWrite(
  metrics: readonly MetricMessage[],
  params: readonly KeyValueMessage[],
  tags: readonly KeyValueMessage[],
  synchronous: boolean | undefined,
): RunWrite {
  const content = { metrics, params, tags };
  return queueable(content, synchronous, async ({ store, runId }) => {
    for (const request of splitIntoBatches(runId, content)) {
      await callStore(store, spec.logBatch, request);
    }
  });
}

export function batchWrite(batch: BatchOfWrites, options?: WriteOptions): RunWrite {
  checkOptions("logBatch", batch, ["metrics", "params", "tags"]);
  const { metrics = [], params = {}, tags = {} } = batch;
  if (!Array.isArray(metrics)) {
    throw invalidParameter("metrics", metrics, "pass an array of { key, value, step, timestamp }.");
  }
  const now = Date.now();
  const points = metrics.map((point: MetricPoint) => {
    checkOptions("metrics", point, ["key", "value", ...METRIC_TIME]);
    return metricMessage(point, now);
  });
  const synchronous = synchronousOf(options);
  return messagesWrite(points, paramMessages(params), tagMessages(tags), synchronous);
}

export function metricsWrite(
  metrics: Readonly<Record<string, number>>,
  options?: MetricOptions | number,
): RunWrite {
  checkRecord("metrics", metrics);
  const { synchronous, ...when } = metricOptions(options);
  const now = Date.now();
  const points = Object.entries(metrics).map(([key, value]) =>
    metricMessage({ key, value, ...when }, now),
  );
  return messagesWrite(points, [], [], synchronous);
}

export function paramsWrite(
  params: Readonly<Record<string, LoggableValue | undefined>>,
  options?: WriteOptions,
): RunWrite {
  return messagesWrite([], paramMessages(params), [], synchronousOf(options));
}

export function tagsWrite(
  tags: Readonly<Record<string, LoggableValue | undefined>>,
  options?: WriteOptions,
): RunWrite {
  return messagesWrite([], [], tagMessages(tags), synchronousOf(options));
}

function artifactWrite(
  artifactPath: string,
  content: ArtifactContent,
  options: TransferOptions = {},
): RunWrite {
  const transfer = checkedTransfer("artifact options", options);
  return async ({ store, runId, artifacts }) => {
    const { experimentId, artifactUri: rootUri } = await artifacts();
    await writeArtifact(store, { runId, experimentId, rootUri, artifactPath }, content, transfer);
  };
}

export function textArtifact(
  text: string,
  artifactFile: string,
  transfer?: TransferOptions,
): RunWrite {
  checkArtifactPath(artifactFile);
  return artifactWrite(artifactFile, textContent(text, artifactFile), transfer);
}

export function dictArtifact(
  dictionary: object,
  artifactFile: string,
  transfer?: TransferOptions,
): RunWrite {
  checkArtifactPath(artifactFile);
  return artifactWrite(artifactFile, dictContent(dictionary, artifactFile), transfer);
}

/** A stream is kept first: its size is known before a byte is sent, and it can be sent again. */
export function bytesArtifact(
  bytes: ArtifactBytes,
  artifactFile: string,
  options?: TransferOptions,
): RunWrite {
  checkArtifactPath(artifactFile);
  const stream = byteStreamOf(bytes);
  if (stream === undefined) {
    return artifactWrite(artifactFile, bytesContent(bytes, artifactFile), options);
  }
  const transfer = checkedTransfer("artifact options", options ?? {});
  checkUnlocked(stream);
  return async (target) => {
    const { files } = currentRuntime();
    const chunks = chunksOf(stream, transfer.signal);
    if (files === undefined) {
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for await (const chunk of chunks) parts.push(chunk);
      const blob = new Blob(parts);
      return artifactWrite(artifactFile, bytesContent(blob, artifactFile), transfer)(target);
    }
    const kept = await files.keepTemporarily(chunks);
    try {
      const content = fileContent(kept.path, kept.sizeBytes, artifactFile);
      await artifactWrite(artifactFile, content, transfer)(target);
    } finally {
      await kept.remove();
    }
  };
}

function localFiles(): FileAccess {
  const { files } = currentRuntime();
  if (files === undefined) {
    throw new MlflowError(
      "NOT_IMPLEMENTED",
      "There are no local files in this runtime; use logText, logDict or logBytes.",
    );
  }
  return files;
}

function checkLocalPath(field: string, path: unknown): asserts path is string {
  if (typeof path !== "string" || path === "") {
    throw invalidParameter(field, path, "pass the path of a local file or folder.");
  }
}

function destination(folder: string | undefined, name: string): string {
  if (folder !== undefined) checkArtifactPath(folder);
  const path = folder === undefined ? name : `${folder}/${name}`;
  checkArtifactPath(path);
  return path;
}

async function fileArtifact(
  files: FileAccess,
  path: string,
  name: string,
  transfer: TransferOptions,
): Promise<RunWrite> {
  const status = await files.status(path);
  if (status?.kind !== "file") {
    const problem = status === undefined ? "there is nothing at this path" : "it is not a file";
    throw invalidParameter("local path", path, `${problem}; pass the path of a readable file.`);
  }
  return artifactWrite(name, fileContent(path, status.sizeBytes, name), transfer);
}

async function folderArtifacts(
  files: FileAccess,
  folder: string,
  nameOf: (relativePath: string) => string,
  transfer: TransferOptions,
): Promise<RunWrite> {
  const writes: RunWrite[] = [];
  for (const relativePath of await files.listFiles(folder)) {
    const path = files.resolve(folder, relativePath);
    writes.push(await fileArtifact(files, path, nameOf(relativePath), transfer));
  }
  return async (target) => {
    await eachOf(writes, FILES_AT_A_TIME, async (write) => {
      await write(target);
    });
  };
}

/** A local file, below `artifactPath`; a folder goes there with its name, as in Python. */
export async function localArtifact(
  localPath: string,
  artifactPath?: string,
  options?: TransferOptions,
): Promise<RunWrite> {
  const files = localFiles();
  const transfer = checkedTransfer("logArtifact", options ?? {});
  checkLocalPath("localPath", localPath);
  const name = destination(artifactPath, files.baseName(localPath));
  const status = await files.status(localPath);
  return status?.kind === "directory"
    ? folderArtifacts(files, localPath, (path) => destination(name, path), transfer)
    : fileArtifact(files, localPath, name, transfer);
}

/** Every file in a local folder, below `artifactPath`. */
export async function localArtifacts(
  localDirectory: string,
  artifactPath?: string,
  options?: TransferOptions,
): Promise<RunWrite> {
  const files = localFiles();
  const transfer = checkedTransfer("logArtifacts", options ?? {});
  checkLocalPath("localDirectory", localDirectory);
  if (artifactPath !== undefined) checkArtifactPath(artifactPath);
  const status = await files.status(localDirectory);
  if (status?.kind !== "directory") {
    const problem = status === undefined ? "there is nothing at this path" : "it is not a folder";
    throw invalidParameter("localDirectory", localDirectory, `${problem}; pass a folder's path.`);
  }
  const nameOf = (path: string) => destination(artifactPath, path);
  return folderArtifacts(files, localDirectory, nameOf, transfer);
}
