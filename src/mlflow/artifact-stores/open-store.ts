// Which store of artifacts a URI means: by its scheme.
import { MlflowError } from "../errors.js";
import { withoutCredentials } from "../redaction.js";
import { RestStore } from "../rest-store.js";
import { locateStore, schemeOf } from "../store-uri.js";
import type { Store } from "../stores.js";
import type { ArtifactStore } from "./artifact-store.js";
import { ARTIFACTS_ROUTE, ProxiedStore } from "./proxied-store.js";

export type ArtifactStoreOpener = (rootUri: string) => ArtifactStore;

const openers = new Map<string, ArtifactStoreOpener>();

/** Makes URIs of a scheme usable as artifact stores; `file` also stands for plain paths. */
export function registerArtifactScheme(scheme: string, open: ArtifactStoreOpener): void {
  openers.set(scheme, open);
}

function splitProxied(uri: string): { authority: string; path: string } {
  const [, authority = "", path = ""] = /^[^:]+:(?:\/\/([^/]*))?\/*(.*)$/.exec(uri) ?? [];
  return { authority, path };
}

/** The interface of `tracking` under another authority: a host and port, and perhaps who one is there. */
function serverOn(authority: string, tracking: RestStore): RestStore {
  const { protocol, pathname } = new URL(tracking.uri);
  const location = locateStore(`${protocol}//${authority}${pathname}`);
  return location.kind === "rest" ? tracking.elsewhere(location) : tracking;
}

function proxied(rootUri: string, scheme: string, tracking: Store): ArtifactStore | undefined {
  if (scheme === "mlflow-artifacts" && tracking instanceof RestStore) {
    const { authority, path } = splitProxied(rootUri);
    const server = authority === "" ? tracking : serverOn(authority, tracking);
    return new ProxiedStore(server, path, withoutCredentials(rootUri));
  }
  const start = rootUri.indexOf(ARTIFACTS_ROUTE);
  if ((scheme !== "http" && scheme !== "https") || start <= 0) return undefined;
  const location = locateStore(rootUri.slice(0, start));
  if (location.kind !== "rest") return undefined;
  const server =
    tracking instanceof RestStore ? tracking.elsewhere(location) : new RestStore(location);
  const path = rootUri.slice(start + ARTIFACTS_ROUTE.length).replace(/^\/+/, "");
  return new ProxiedStore(server, path, withoutCredentials(rootUri));
}

/**
 * Opens the store that a root URI means; `tracking` is the server of `mlflow-artifacts:`.
 * Throws MlflowError `NOT_IMPLEMENTED` for what this runtime cannot reach.
 */
export function openArtifactStore(rootUri: string, tracking: Store): ArtifactStore {
  const scheme = schemeOf(rootUri) ?? "file";
  const found = proxied(rootUri, scheme, tracking) ?? openers.get(scheme)?.(rootUri);
  if (found !== undefined) return found;
  const shown = withoutCredentials(rootUri);
  if (scheme === "file") {
    throw new MlflowError(
      "INVALID_STATE",
      `The run's artifacts are in local files ('${shown}'), which this runtime cannot reach. Start the server with --serve-artifacts.`,
    );
  }
  throw new MlflowError(
    "NOT_IMPLEMENTED",
    scheme === "mlflow-artifacts"
      ? `The artifacts in '${shown}' are reached through an MLflow server, and the tracking URI '${tracking.uri}' is none. Set it to the server's address with setTrackingUri().`
      : `This client cannot reach artifacts in '${shown}' directly. Start the server with --serve-artifacts and --artifacts-destination, so that it takes them.`,
  );
}
