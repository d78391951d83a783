// The path of a request as MLflow's server understands it, whatever way it was written.

/** A path that means one thing, or why it does not. */
export type CanonicalPath = { readonly path: string } | { readonly refused: string };

export interface PathOptions {
  /** Path before MLflow's own, as in `mlflow server --static-prefix /mlflow`. */
  readonly staticPrefix?: string | undefined;
}

/** Backslashes, which some read as slashes, and what no file's name has. */
const DOUBTFUL = /[\\\p{Cc}]/u;

/** Percent-decodes once. Undefined for what is no UTF-8: MLflow would read it under another name. */
function decoded(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    // A lone percent sign stands for itself, as in Python.
    return decodeURIComponent(text.replace(/%(?![0-9a-fA-F]{2})/g, "%25"));
  } catch {
    return undefined;
  }
}

/**
 * What MLflow's server routes by: percent-decoded once (uvicorn and werkzeug decode before they look for
 * slashes), with single slashes (werkzeug redirects to that), without the static prefix. Refused is what
 * servers and proxies read differently: dot segments, backslashes, control characters, and what is no UTF-8.
 * `rawPath` has no query.
 */
export function canonicalPath(rawPath: string, { staticPrefix }: PathOptions = {}): CanonicalPath {
  const text = decoded(rawPath);
  if (text === undefined) return { refused: "has percent escapes that are no UTF-8" };
  if (!text.startsWith("/")) return { refused: "does not begin with a slash" };
  if (DOUBTFUL.test(text)) return { refused: "has a backslash or a control character" };
  const path = text.includes("//") ? text.replace(/\/{2,}/g, "/") : text;
  if (path.includes("/.") && /\/\.\.?(?:\/|$)/.test(path)) {
    return { refused: "has a segment '.' or '..'" };
  }
  const prefix = staticPrefix?.replace(/\/+$/, "") ?? "";
  return {
    path: prefix !== "" && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path,
  };
}

/** As often as MLflow decodes a name until it stays as it is. */
const DECODINGS = 10;

/**
 * The path of an artifact, from a path that was decoded once: MLflow goes on until nothing changes.
 * Undefined for what it refuses, and for what leads elsewhere then.
 */
export function artifactPathOf(path: string): string | undefined {
  let text = path;
  for (let turn = 0; turn < DECODINGS; turn++) {
    const next = decoded(text);
    if (next === undefined || DOUBTFUL.test(next) || next.includes("#")) return undefined;
    if (next === text) {
      const segments = text.split("/");
      return segments.some((segment) => segment === "." || segment === "..") ? undefined : text;
    }
    text = next;
  }
  return undefined;
}
