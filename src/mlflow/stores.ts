// What a store is, which one a URI means, and the way every call to one is made.
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { contentDigest } from "./artifact-stores/content-digest.js";
import { openArtifactStore } from "./artifact-stores/open-store.js";
import { encodePath, ProxiedStore } from "./artifact-stores/proxied-store.js";
import type { ConnectionOptions } from "./connection.js";
import { MlflowError } from "./errors.js";
import { type StoreCall, throughInterceptors } from "./interceptor.js";
import { withoutCredentials } from "./redaction.js";
import { RestStore } from "./rest-store.js";
import { type Endpoint, uploadArtifact } from "./spec.js";
import { connectionTo, locateStore, schemeOf } from "./store-uri.js";

/** The bytes of one artifact: in memory, in a Blob, or in a local file that is read as it is sent. */
export interface ArtifactContent {
  readonly sizeBytes: number;
  readonly contentType: string;
  readonly source: Uint8Array | Blob | { readonly localPath: string };
}

/** MLflow's REST interface, whatever is behind it. */
export interface Store {
  /** Without credentials. */
  readonly uri: string;
  /**
   * The store as it is at this moment, in the workspace that is in force: for a call that may have to wait before it
   * leaves. The same object for the same workspace. A store without workspaces has none.
   */
  atThisMoment?(): Store;
  /** Carries out a call and returns MLflow's response message. Throws MlflowError. */
  perform(call: StoreCall, endpoint: Endpoint<never, unknown>): Promise<unknown>;
}

let createFileStore: ((uri: string) => Store) | undefined;

/** Makes folders usable as stores, where the runtime has files. */
export function registerLocalStores(fileStore: (uri: string) => Store): void {
  createFileStore = fileStore;
}

/**
 * Opens the store a URI names, reached as told, else as was told when the URI was set.
 * Throws MlflowError `INVALID_PARAMETER_VALUE`.
 */
export function openStore(uri: string, connection?: ConnectionOptions): Store {
  const location = locateStore(uri);
  if (location.kind === "rest") return new RestStore(location, connection ?? connectionTo(uri));
  if (createFileStore === undefined) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `No file store is available for '${uri}'; use the URI of an MLflow server.`,
    );
  }
  return createFileStore(location.uri);
}

/** A copy without what is undefined; nearly no request has such a field, and a plain copy is much the fastest. */
function definedFields(message: object): Readonly<Record<string, unknown>> {
  const copy: Record<string, unknown> = { ...message };
  for (const name of Object.keys(copy)) if (copy[name] === undefined) delete copy[name];
  return copy;
}

/** A route with its parameters filled in from the request, percent-encoded. */
function pathOf(route: string, request: object): string {
  if (!route.includes("{")) return route;
  const values = request as Readonly<Record<string, unknown>>;
  return route.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(values[name])));
}

/** Makes one call to a store, through the interceptors. */
export function callStore<Request extends object, Response>(
  store: Store,
  endpoint: Endpoint<Request, Response>,
  request: Request,
): Promise<Response> {
  const call: StoreCall = {
    method: endpoint.method,
    route: endpoint.route,
    path: pathOf(endpoint.route, request),
    body: definedFields(request),
    storeUri: store.uri,
  };
  return throughInterceptors(call, (inside, other) =>
    store.perform(inside, other ?? endpoint),
  ) as Promise<Response>;
}

/** Where an artifact goes. */
export interface ArtifactDestination {
  /** Who made it; undefined for a model that no run made. */
  readonly runId: string | undefined;
  /** The logged model that the file belongs to; undefined for a file of the run. */
  readonly modelId?: string | undefined;
  readonly experimentId: string;
  /** The artifact root of the run, or of the model. */
  readonly rootUri: string;
  /** `/`-separated, file name included. */
  readonly artifactPath: string;
}

/** Writes one artifact, through the interceptors: one call, however many parts carry it. */
export async function writeArtifact(
  store: Store,
  destination: ArtifactDestination,
  content: ArtifactContent,
  transfer: TransferOptions = {},
): Promise<void> {
  const { runId, modelId, experimentId, rootUri, artifactPath } = destination;
  const owner = modelId === undefined ? runId : `models/${modelId}`;
  const artifacts = openArtifactStore(rootUri, store);
  // The layout MLflow's own proxied route has, so that one route means the same everywhere.
  const path =
    artifacts instanceof ProxiedStore
      ? artifacts.placeOf(artifactPath)
      : encodePath(`${experimentId}/${owner}/artifacts/${artifactPath}`);
  const artifactUri = joinUri(withoutCredentials(rootUri), artifactPath);
  const call: StoreCall = {
    method: uploadArtifact.method,
    route: uploadArtifact.route,
    path: uploadArtifact.route.replace("{path}", () => path),
    body: {},
    storeUri: store.uri,
    upload: {
      ...(runId !== undefined && { runId }),
      artifactPath,
      artifactUri,
      sizeBytes: content.sizeBytes,
      digest: () => contentDigest(content),
    },
  };
  await throughInterceptors(call, async (inside, other) => {
    if (other !== undefined) return store.perform(inside, other);
    await artifacts.write(inside, content, transfer);
    return {};
  });
}

/** Appends a relative path to a URI's path, before any query. */
export function joinUri(root: string, path: string): string {
  const [, base = "", rest = ""] = /^([^?#]*)(.*)$/.exec(root) ?? [];
  const encoded = schemeOf(root) === "file" ? encodePath(path) : path;
  return `${base.replace(/\/+$/, "")}/${encoded}${rest}`;
}
