// `mlflow.artifacts`: list, download, read and remove artifacts by URI or by run, as in Python.
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { checkedTransfer, objectOf, textOf } from "./artifact-stores/download.js";
import {
  type ArtifactPlace,
  downloadPlace,
  listPlace,
  readBytes,
  readStream,
  removePlace,
  resolveArtifactUri,
  runPlace,
  statusOf,
} from "./artifact-stores/read.js";
import { MlflowClient } from "./client.js";
import type { ArtifactInfo } from "./entities.js";
import { invalidParameter } from "./errors.js";
import { currentClient } from "./fluent/frames.js";
import { checkOptions } from "./validation.js";

/** Which artifacts: those at a URI, or those of a run. */
export interface ArtifactSelection {
  /** Such as `runs:/<run id>/model`, `s3://bucket/path`, `mlflow-artifacts:/0/…` or a local path. */
  readonly artifactUri?: string | undefined;
  readonly runId?: string | undefined;
  /** With `runId`: a file or folder below the run's root; all artifacts when left out. */
  readonly artifactPath?: string | undefined;
  /** The store that knows the run, or whose server has the artifacts; the one in force when left out. */
  readonly trackingUri?: string | undefined;
}

export interface ListArtifactsOptions extends ArtifactSelection {
  readonly signal?: AbortSignal | undefined;
}

export interface ReadArtifactOptions extends ArtifactSelection, TransferOptions {}

export interface DownloadArtifactsOptions extends ReadArtifactOptions {
  /** Local folder, made where there is none; a temporary one when left out. */
  readonly dstPath?: string | undefined;
}

const SELECTION = ["artifactUri", "runId", "artifactPath", "trackingUri"];
const TRANSFER = ["onProgress", "signal"];

/** What a call is about, and how it goes there. */
interface Errand {
  readonly place: ArtifactPlace;
  readonly transfer: TransferOptions;
}

/** The place that options or a URI mean; checks both. */
async function errandOf(
  where: string,
  options: ArtifactSelection & TransferOptions,
  more: readonly string[],
): Promise<Errand> {
  checkOptions(where, options, [...SELECTION, ...more]);
  const { artifactUri, runId, artifactPath, trackingUri, onProgress, signal } = options;
  const transfer = checkedTransfer(where, { onProgress, signal });
  if ((artifactUri === undefined) === (runId === undefined)) {
    throw invalidParameter(where, options, "pass either artifactUri or runId.");
  }
  if (artifactUri !== undefined && artifactPath !== undefined) {
    const fix = "it goes with runId; with artifactUri, make it a part of that.";
    throw invalidParameter("artifactPath", artifactPath, fix);
  }
  const client = trackingUri === undefined ? currentClient() : new MlflowClient({ trackingUri });
  const context = client.artifactContext;
  const place =
    artifactUri === undefined
      ? await runPlace(context, runId as string, artifactPath)
      : await resolveArtifactUri(artifactUri, context);
  return { place, transfer };
}

/** Options, or the URI alone. */
type ArtifactQuestion = string | ReadArtifactOptions;

function questionOf(question: ArtifactQuestion): ReadArtifactOptions {
  return typeof question === "string" ? { artifactUri: question } : question;
}

/**
 * What lies directly below a folder; nothing when it is a file. Paths begin at the run's root, or, for
 * a URI, at the folder that holds what it names, as in Python. Rejects with MlflowError, as all here.
 */
export async function listArtifacts(options: ListArtifactsOptions): Promise<ArtifactInfo[]> {
  const { place } = await errandOf("listArtifacts", options, ["signal"]);
  return listPlace(place, place.path, options.signal);
}

/** What is at a place: file or folder, and its size. `RESOURCE_DOES_NOT_EXIST` when nothing is. */
export async function getArtifact(question: ArtifactQuestion): Promise<ArtifactInfo> {
  const options = questionOf(question);
  const { place } = await errandOf("getArtifact", options, ["signal"]);
  return statusOf(place, options.signal);
}

/**
 * Downloads a file, or a folder with all that is below it. Answers its local path: below `dstPath`, or
 * below a temporary folder, which is the caller's to remove; what is in local files already stays where
 * it is when no `dstPath` is given. A file appears whole and of the size that the store tells, or not at
 * all; a broken connection is taken up again, as often as `MLFLOW_HTTP_REQUEST_MAX_RETRIES` allows.
 */
export async function downloadArtifacts(options: DownloadArtifactsOptions): Promise<string> {
  const { place, transfer } = await errandOf("downloadArtifacts", options, [
    ...TRANSFER,
    "dstPath",
  ]);
  return downloadPlace(place, options.dstPath, transfer);
}

/** The bytes of one file. */
export async function downloadBytes(question: ArtifactQuestion): Promise<Uint8Array<ArrayBuffer>> {
  const options = questionOf(question);
  const { place, transfer } = await errandOf("downloadBytes", options, TRANSFER);
  return readBytes(place, transfer);
}

/** The bytes of one file as they are asked for, in constant memory. */
export async function openArtifact(
  question: ArtifactQuestion,
): Promise<ReadableStream<Uint8Array>> {
  const options = questionOf(question);
  const { place, transfer } = await errandOf("openArtifact", options, TRANSFER);
  return readStream(place, transfer);
}

function shownUri(question: ArtifactQuestion): string {
  const { artifactUri, runId, artifactPath } = questionOf(question);
  return artifactUri ?? `runs:/${runId}/${artifactPath ?? ""}`;
}

/** One file as text. `BAD_REQUEST` when it is not UTF-8. */
export async function loadText(question: ArtifactQuestion): Promise<string> {
  return textOf(await downloadBytes(question), shownUri(question));
}

/** One file as the object that its JSON says. `BAD_REQUEST` when it is none. */
export async function loadDict(question: ArtifactQuestion): Promise<Record<string, unknown>> {
  return objectOf(await loadText(question), shownUri(question));
}

/** The bytes of an image, as they were logged: what decodes them is the caller's choice. */
export async function loadImage(question: ArtifactQuestion): Promise<Uint8Array<ArrayBuffer>> {
  return downloadBytes(question);
}

/** Removes a file, or a folder with all that is in it; never a whole root, which must be meant by name. */
export async function deleteArtifacts(options: ListArtifactsOptions): Promise<void> {
  const { place } = await errandOf("deleteArtifacts", options, ["signal"]);
  if (place.path === "") {
    const fix = "name the file or folder to remove; a root is not removed.";
    throw invalidParameter("artifactPath", options.artifactPath ?? "", fix);
  }
  await removePlace(place, options.signal);
}
