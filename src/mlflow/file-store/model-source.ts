// Where the files of a model version may come from, as a server decides it.
// Source: `_validate_source_run` in mlflow/server/handlers.py (3.17).
import { relative } from "node:path";
import { schemeOf } from "../store-uri.js";
import { localPathOf } from "./local-artifacts.js";
import { refused } from "./messages.js";
import type { MetaValue } from "./meta-file.js";

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for what is no source, or leads out of its place. */
export function checkSource(source: unknown): asserts source is string {
  if (typeof source !== "string" || source === "") {
    throw refused("Missing value for required parameter 'source'.");
  }
  if (source.split("/").includes("..") || source.includes("\0")) {
    throw refused(
      `Invalid model version source: '${source}'. Pass an absolute path or URI without '..'.`,
    );
  }
}

export function isLocal(source: string): boolean {
  const scheme = schemeOf(source);
  return scheme === undefined || scheme === "file";
}

/** Does a local source lie in a run's artifacts? */
export function isWithin(source: string, artifactUri: MetaValue | undefined): boolean {
  if (typeof artifactUri !== "string" || !isLocal(artifactUri)) return false;
  const path = relative(localPathOf(artifactUri), localPathOf(source));
  return path !== ".." && !path.startsWith("../") && !path.startsWith("/");
}
