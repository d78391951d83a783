// What the clouds have in common: keys below a prefix, looked at as folders and files.
import type { ArtifactInfo } from "../entities.js";
import { MlflowError, reasonOf } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import { withoutCredentials } from "../redaction.js";
import { schemeOf } from "../store-uri.js";
import { byPath } from "./artifact-store.js";
import { joinPath } from "./paths.js";

/** A bucket (container) and the key below which a store's artifacts are. */
export interface BucketPlace {
  /** What stands between `//` and the first slash. */
  readonly authority: string;
  /** Without slashes at either end. */
  readonly prefix: string;
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for a URI that names no bucket. */
export function bucketPlace(uri: string): BucketPlace {
  const [, authority = "", path = ""] = /^[^:]+:\/\/([^/]*)(?:\/(.*))?$/s.exec(uri) ?? [];
  if (authority !== "") return { authority, prefix: path.replace(/^\/+|\/+$/g, "") };
  const scheme = schemeOf(uri);
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `Invalid artifact URI '${withoutCredentials(uri)}': it names no bucket; write ${scheme}://<bucket>/<path>.`,
  );
}

/** The key that a write goes to: whatever its URI says below the authority. */
export function keyOf(call: StoreCall): string {
  return bucketPlace(call.upload?.artifactUri ?? "").prefix;
}

/** What begins every key in a folder; empty for a whole bucket. */
export function folderPrefix(key: string): string {
  return key === "" ? "" : `${key}/`;
}

/** One answer of a list with delimiter `/`. */
export interface ListedKeys {
  readonly folders: readonly string[];
  readonly files: readonly { readonly key: string; readonly sizeBytes: number }[];
}

/** Files and folders directly below `path`, from what a bucket lists below its key. */
export function entriesOf(keys: ListedKeys, path: string, prefix: string): ArtifactInfo[] {
  const nameIn = (key: string): string => key.slice(prefix.length).replace(/\/$/, "");
  const folders = new Set(keys.folders.map(nameIn).filter((name) => name !== ""));
  const entries: ArtifactInfo[] = [];
  for (const name of folders) {
    entries.push({ path: joinPath(path, name), isDirectory: true, sizeBytes: undefined });
  }
  for (const { key, sizeBytes } of keys.files) {
    const name = key.slice(prefix.length);
    // An empty object may stand for the folder itself, or for one inside it.
    if (name === "" || name.endsWith("/")) continue;
    if (sizeBytes === 0 && folders.has(name)) continue;
    entries.push({ path: joinPath(path, name), isDirectory: false, sizeBytes });
  }
  return entries.sort(byPath);
}

/** MLflow's names for what clouds answer. */
const CODE_OF_STATUS: Readonly<Record<number, string>> = {
  400: "BAD_REQUEST",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "RESOURCE_DOES_NOT_EXIST",
  409: "RESOURCE_CONFLICT",
  429: "REQUEST_LIMIT_EXCEEDED",
  503: "TEMPORARILY_UNAVAILABLE",
};

/** Errors that say that nobody answered. */
const UNREACHABLE =
  /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EPIPE|TimeoutError|socket hang up/;

/** An SDK's error as MlflowError; `advice` says where credentials come from. */
export function cloudError(
  error: unknown,
  {
    uri,
    path,
    status,
    advice,
  }: {
    readonly uri: string;
    readonly path: string;
    readonly status: number | undefined;
    readonly advice: string;
  },
): MlflowError {
  if (error instanceof MlflowError) return error;
  const { name = "", code = "" } = (error ?? {}) as { name?: string; code?: unknown };
  const words = `${name} ${String(code)} ${reasonOf(error)}`;
  const what = `'${path}' in '${withoutCredentials(uri)}'`;
  const details = { cause: error, status };
  if (status === undefined && UNREACHABLE.test(words)) {
    const reason = reasonOf(error) || String(code);
    return new MlflowError(
      "SERVER_UNREACHABLE",
      `The artifact store of ${what} cannot be reached: ${reason}.`,
      details,
    );
  }
  if (status === 404) {
    return new MlflowError(
      "RESOURCE_DOES_NOT_EXIST",
      `There is no artifact ${what}: ${reasonOf(error)}`,
      details,
    );
  }
  const hint = status === 401 || status === 403 || /credential/i.test(words) ? ` ${advice}` : "";
  const known = status === undefined ? undefined : CODE_OF_STATUS[status];
  const byDefault = /credential/i.test(words) ? "UNAUTHENTICATED" : "INTERNAL_ERROR";
  return new MlflowError(
    known ?? byDefault,
    `The artifact store refused ${what}: ${reasonOf(error)}.${hint}`,
    details,
  );
}

/** How the SDKs of Amazon and Microsoft are told that a request may be given up. */
export function ending(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
