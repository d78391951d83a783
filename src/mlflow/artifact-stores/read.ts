// Reading and removing artifacts by URI or run: every request through the interceptors, one per file.
import type { ArtifactInfo } from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import { type StoreCall, throughInterceptors } from "../interceptor.js";
import { checkCharacters } from "../plain-values.js";
import { withoutCredentials } from "../redaction.js";
import type { ArtifactRoot } from "../run-writes.js";
import { downloadProxiedArtifact, listProxiedArtifacts, removeProxiedArtifact } from "../spec.js";
import { schemeOf } from "../store-uri.js";
import type { Store } from "../stores.js";
import { checkArtifactPath, checkRunId } from "../validation.js";
import { type ArtifactStore, noSuchArtifact, type TransferOptions } from "./artifact-store.js";
import { type ArtifactSink, downloadBytes, downloadStream, downloadTo } from "./download.js";
import { openArtifactStore } from "./open-store.js";
import { joinPath } from "./paths.js";
import { encodePath } from "./proxied-store.js";

/** Who knows where the artifacts of runs are; MlflowClient does. */
export interface ArtifactContext {
  readonly store: Store;
  artifactRoot(runId: string): Promise<ArtifactRoot>;
  /** The root of the model that a `models:/` URI names, and the path below it. */
  placeOfModel(uri: string): Promise<{ readonly rootUri: string; readonly path: string }>;
}

/** A place in a store of artifacts. */
export interface ArtifactPlace {
  readonly artifacts: ArtifactStore;
  /** Below the store's root; empty for all of it. */
  readonly path: string;
  readonly context: Pick<ArtifactContext, "store">;
}

/** The artifacts of a run. `path` is checked. */
export async function runPlace(
  context: ArtifactContext,
  runId: string,
  path = "",
): Promise<ArtifactPlace> {
  checkRunId(runId);
  const folder = path.replace(/(?<=.)\/+$/, "");
  if (folder !== "") checkArtifactPath(folder);
  const { artifactUri } = await context.artifactRoot(runId);
  return { artifacts: openArtifactStore(artifactUri, context.store), path: folder, context };
}

/**
 * The place that an artifact URI means: `runs:/<run id>/<path>`, `models:/…`, or the URI or local
 * path of a file or folder. Rejects with MlflowError `INVALID_PARAMETER_VALUE` or `NOT_IMPLEMENTED`.
 */
export async function resolveArtifactUri(
  uri: string,
  context: ArtifactContext,
): Promise<ArtifactPlace> {
  if (typeof uri !== "string" || uri.trim() === "") {
    throw invalidParameter("artifactUri", uri, "pass a URI, such as runs:/<run id>/<path>.");
  }
  checkCharacters("artifactUri", uri);
  const scheme = schemeOf(uri);
  if (scheme === "runs") {
    const [, runId = "", path] = /^runs:\/+([^/]+)(?:\/(.*))?$/s.exec(uri) ?? [];
    if (runId === "") {
      throw invalidParameter("artifactUri", uri, "write runs:/<run id>/<path of the artifact>.");
    }
    return runPlace(context, runId, path);
  }
  if (scheme === "models") {
    const { rootUri, path } = await context.placeOfModel(uri);
    return { artifacts: openArtifactStore(rootUri, context.store), path, context };
  }
  const { root, name } = splitUri(uri);
  return { artifacts: openArtifactStore(root, context.store), path: name, context };
}

/** A URI as its folder and its last name, as in Python; a root has no name. */
function splitUri(uri: string): { root: string; name: string } {
  const trimmed = uri.replace(/(?<=[^/:])\/+$/, "");
  const [, start = "", path = ""] =
    /^([a-z][a-z0-9+.-]+:(?:\/\/[^/]*)?)?(.*)$/is.exec(trimmed) ?? [];
  const cut = path.lastIndexOf("/");
  if (start === "" && cut < 0) return { root: ".", name: path };
  const name = path.slice(cut + 1);
  if (name === "" || name === "." || name === "..") return { root: trimmed, name: "" };
  const root = start + (cut <= 0 ? path.slice(0, Math.max(0, cut + 1)) : path.slice(0, cut));
  return { root, name: start.startsWith("file:") ? decodeURIComponent(name) : name };
}

function callFor(
  { context, artifacts }: ArtifactPlace,
  { method, route }: Pick<StoreCall, "method" | "route">,
  path: string,
): StoreCall {
  const isList = !route.includes("{path}");
  return {
    method,
    route,
    path: route.replace("{path}", () => encodePath(path)),
    body: isList ? { path: joinPath(withoutCredentials(artifacts.uri), path) } : {},
    storeUri: context.store.uri,
  };
}

/** The path below the place's root that a call is about; rejects what an interceptor has sent out of it. */
function pathOf(made: StoreCall, { path }: StoreCall): string {
  const start = made.route.replace("{path}", "");
  const found = decodeURIComponent(path.slice(start.length));
  checkArtifactPath(path.startsWith(start) ? found : path);
  return found;
}

/** Makes a call about artifacts through the interceptors, which may ask the store something else meanwhile. */
async function performed(
  place: ArtifactPlace,
  endpoint: Pick<StoreCall, "method" | "route">,
  path: string,
  perform: (path: string) => Promise<unknown>,
): Promise<void> {
  const call = callFor(place, endpoint, path);
  await throughInterceptors(call, async (inside, other) => {
    if (other !== undefined) return place.context.store.perform(inside, other);
    return perform(inside.path === call.path ? path : pathOf(call, inside));
  });
}

/** What lies directly below `path`, through the interceptors. */
export async function listPlace(
  place: ArtifactPlace,
  path: string,
  signal?: AbortSignal,
): Promise<ArtifactInfo[]> {
  let found: ArtifactInfo[] = [];
  await performed(place, listProxiedArtifacts, path, async (folder) => {
    found = await place.artifacts.list(folder, signal);
    const files = found.map((entry) => ({
      path: entry.path,
      is_dir: entry.isDirectory,
      ...(entry.sizeBytes !== undefined && { file_size: entry.sizeBytes }),
    }));
    return { files };
  });
  return found;
}

/** What is at the place; rejects with `RESOURCE_DOES_NOT_EXIST` when nothing is. */
export async function statusOf(
  { artifacts, path }: ArtifactPlace,
  signal?: AbortSignal,
): Promise<ArtifactInfo> {
  const found = await artifacts.status(path, signal);
  if (found !== undefined) return found;
  // A run without artifacts has an empty folder, whether or not its store has made one.
  if (path === "") return { path, isDirectory: true, sizeBytes: undefined };
  throw noSuchArtifact(artifacts.uri, path);
}

async function fileAt(place: ArtifactPlace, signal?: AbortSignal): Promise<ArtifactInfo> {
  const found = await statusOf(place, signal);
  if (!found.isDirectory) return found;
  const what = joinPath(place.artifacts.uri, place.path);
  const fix = "it is a folder; name a file in it, or use downloadArtifacts().";
  throw invalidParameter("artifact path", what, fix);
}

/** `read` is given the size that is known of the file. */
async function reading<T>(
  place: ArtifactPlace,
  { path, sizeBytes }: Pick<ArtifactInfo, "path" | "sizeBytes">,
  read: (path: string, sizeBytes: number | undefined) => Promise<T>,
): Promise<T> {
  let result: { readonly value: T } | undefined;
  await performed(place, downloadProxiedArtifact, path, async (found) => {
    // Nothing is known of another file than the one that was looked at.
    result = { value: await read(found, found === path ? sizeBytes : undefined) };
    return {};
  });
  if (result !== undefined) return result.value;
  throw new MlflowError(
    "INVALID_STATE",
    `An interceptor answered for '${path}' without reading it.`,
  );
}

/** Reads one file into a sink, through the interceptors. */
export function readInto(
  place: ArtifactPlace,
  file: ArtifactInfo,
  sink: ArtifactSink,
  transfer: TransferOptions,
): Promise<number> {
  return reading(place, file, (path, sizeBytes) =>
    downloadTo(sink, place.artifacts, path, sizeBytes, transfer),
  );
}

/** The bytes of one file, in memory. */
export async function readBytes(
  place: ArtifactPlace,
  transfer: TransferOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await fileAt(place, transfer.signal);
  return reading(place, file, (path, sizeBytes) =>
    downloadBytes(place.artifacts, path, sizeBytes, transfer),
  );
}

/** The bytes of one file, as they are asked for. */
export async function readStream(
  place: ArtifactPlace,
  transfer: TransferOptions,
): Promise<ReadableStream<Uint8Array>> {
  const file = await fileAt(place, transfer.signal);
  return reading(place, file, async (path, sizeBytes) =>
    downloadStream(place.artifacts, path, sizeBytes, transfer),
  );
}

/** Removes a file, or a folder and all that is in it, through the interceptors. */
export async function removePlace(place: ArtifactPlace, signal?: AbortSignal): Promise<void> {
  await performed(place, removeProxiedArtifact, place.path, async (path) => {
    await place.artifacts.remove(path, signal);
    return {};
  });
}

/** Downloads what is at a place below a local folder. Answers the local path. */
export type LocalDownload = (
  place: ArtifactPlace,
  destination: string | undefined,
  transfer: TransferOptions,
) => Promise<string>;

let downloadLocally: LocalDownload | undefined;

/** Makes downloads to files possible, where the runtime has any. */
export function registerLocalDownloads(download: LocalDownload): void {
  downloadLocally = download;
}

/** Rejects with MlflowError `NOT_IMPLEMENTED` where there are no local files. */
export async function downloadPlace(
  place: ArtifactPlace,
  destination: string | undefined,
  transfer: TransferOptions,
): Promise<string> {
  if (destination !== undefined && (typeof destination !== "string" || destination === "")) {
    throw invalidParameter("dstPath", destination, "pass the path of a local folder.");
  }
  if (downloadLocally !== undefined) return downloadLocally(place, destination, transfer);
  throw new MlflowError(
    "NOT_IMPLEMENTED",
    "There are no local files in this runtime; use artifacts.downloadBytes() or artifacts.openArtifact().",
  );
}
