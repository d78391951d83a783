// What a store is, which one a URI means, and the way every call to one is made.
import { MlflowError } from "./errors.js";
import { type StoreCall, throughInterceptors } from "./interceptor.js";
import { RestStore } from "./rest-store.js";
import { type Endpoint, uploadArtifact } from "./spec.js";
import { locateStore, schemeOf, withoutCredentials } from "./store-uri.js";

/** The bytes of one artifact: in memory, or in a local file that is read as it is sent. */
export interface ArtifactContent {
  readonly sizeBytes: number;
  readonly contentType: string;
  readonly source: Uint8Array | { readonly localPath: string };
}

/** MLflow's REST interface, whatever is behind it. */
export interface Store {
  /** Without credentials. */
  readonly uri: string;
  /** Carries out a call and returns MLflow's response message. Throws MlflowError. */
  perform(call: StoreCall, endpoint: Endpoint<never, unknown>): Promise<unknown>;
}

/** Writes one file to where `call.upload.artifactUri` says. Throws MlflowError. */
export type ArtifactWriter = (call: StoreCall, content: ArtifactContent) => Promise<unknown>;

let createFileStore: ((uri: string) => Store) | undefined;
let writeLocalArtifact: ArtifactWriter | undefined;

/** Makes folders usable as stores and as artifact destinations, where the runtime has files. */
export function registerLocalStores(
  fileStore: (uri: string) => Store,
  artifactWriter: ArtifactWriter,
): void {
  createFileStore = fileStore;
  writeLocalArtifact = artifactWriter;
}

/** Opens the store a URI names. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function openStore(uri: string): Store {
  const location = locateStore(uri);
  if (location.kind === "rest") {
    return new RestStore(location.uri, location.username, location.password);
  }
  if (createFileStore === undefined) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `No file store is available for '${uri}'; use the URI of an MLflow server.`,
    );
  }
  return createFileStore(location.uri);
}

function definedFields(message: object): Readonly<Record<string, unknown>> {
  const entries = Object.entries(message);
  if (entries.every(([, value]) => value !== undefined)) return Object.fromEntries(entries);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
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
  return throughInterceptors(call, (inside) =>
    store.perform(inside, endpoint),
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

/** Writes one artifact, through the interceptors. */
export async function writeArtifact(
  store: Store,
  destination: ArtifactDestination,
  content: ArtifactContent,
): Promise<void> {
  const { runId, artifactPath } = destination;
  const artifactUri = joinUri(destination.rootUri, artifactPath);
  const { writer, path } = artifactRoute(store, destination, artifactUri);
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
    },
  };
  await throughInterceptors(call, (inside) => writer(inside, content));
}

/** Appends a relative path to a URI's path, before any query. */
export function joinUri(root: string, path: string): string {
  const [, base = "", rest = ""] = /^([^?#]*)(.*)$/.exec(root) ?? [];
  const encoded = schemeOf(root) === "file" ? encodePath(path) : path;
  return `${base.replace(/\/+$/, "")}/${encoded}${rest}`;
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

interface ArtifactRoute {
  readonly writer: ArtifactWriter;
  /** What fills `{path}`. */
  readonly path: string;
}

function artifactRoute(
  store: Store,
  destination: ArtifactDestination,
  artifactUri: string,
): ArtifactRoute {
  const scheme = schemeOf(artifactUri);
  if (scheme === undefined || scheme === "file") {
    if (writeLocalArtifact === undefined) {
      throw new MlflowError(
        "INVALID_STATE",
        `The run's artifacts are in local files ('${destination.rootUri}'), which this runtime cannot write. Start the server with --serve-artifacts.`,
      );
    }
    // The layout MLflow's own proxied route has, so that one route means the same everywhere.
    const { experimentId, runId, modelId, artifactPath } = destination;
    const owner = modelId === undefined ? runId : `models/${modelId}`;
    const path = encodePath(`${experimentId}/${owner}/artifacts/${artifactPath}`);
    return { writer: writeLocalArtifact, path };
  }
  if (store instanceof RestStore) {
    if (scheme === "mlflow-artifacts") {
      const { authority, path } = splitUri(artifactUri);
      const writer = authority === "" ? store : store.onHost(authority);
      return { writer: (call, content) => writer.upload(call, content), path: encodePath(path) };
    }
    const prefix = uploadArtifact.route.replace("{path}", "");
    const start = artifactUri.indexOf(prefix);
    if ((scheme === "http" || scheme === "https") && start > 0) {
      const server = openStore(artifactUri.slice(0, start)) as RestStore;
      const path = artifactUri.slice(start + prefix.length);
      return { writer: (call, content) => server.upload(call, content), path: encodePath(path) };
    }
  }
  throw new MlflowError(
    "NOT_IMPLEMENTED",
    `This client cannot write artifacts to '${withoutCredentials(destination.rootUri)}' directly. Start the server with --serve-artifacts and --artifacts-destination, so that it takes them.`,
  );
}

function splitUri(uri: string): { authority: string; path: string } {
  const [, authority = "", path = ""] = /^[^:]+:(?:\/\/([^/]*))?\/*(.*)$/.exec(uri) ?? [];
  return { authority, path };
}
