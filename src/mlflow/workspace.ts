// The workspace of a server that calls go to, where a connection names none itself.
// Source of the rules: mlflow/store/workspace/abstract_store.py (3.17).
import { environmentVariable } from "../runtime/capabilities.js";
import { invalidParameter } from "./errors.js";

const NAME = /^[a-z0-9][-a-z0-9]{0,61}[a-z0-9]$/;
const RESERVED: readonly string[] = ["workspaces", "api", "ajax-api", "static-files"];

let chosen: string | undefined;

/**
 * Sets the workspace of this process, which wins over `MLFLOW_WORKSPACE`; undefined gives the choice
 * back to the variable. Throws MlflowError `INVALID_PARAMETER_VALUE`.
 */
export function setWorkspace(name: string | undefined): void {
  const isName = typeof name === "string" && NAME.test(name) && !RESERVED.includes(name);
  if (name !== undefined && !isName) {
    const fix = "use 2 to 63 lower-case letters and digits, with dashes inside; some are reserved.";
    throw invalidParameter("workspace", name, fix);
  }
  chosen = name;
}

/** The one set, else `MLFLOW_WORKSPACE`; undefined for the server's own default. */
export function workspaceInForce(): string | undefined {
  return chosen ?? environmentVariable("MLFLOW_WORKSPACE");
}
