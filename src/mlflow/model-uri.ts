// What a model's URI says: `runs:/…`, `models:/…`, or the place of its files.
// Source: mlflow/store/artifact/utils/models.py (3.17).
import { invalidParameter } from "./errors.js";
import { checkArtifactPath, checkRunId } from "./validation.js";

/** A model's URI, understood. */
export type ModelReference =
  | { readonly kind: "run"; readonly runId: string; readonly path: string }
  | { readonly kind: "loggedModel"; readonly modelId: string }
  | { readonly kind: "version"; readonly name: string; readonly version: string }
  | { readonly kind: "alias"; readonly name: string; readonly alias: string }
  | { readonly kind: "stage"; readonly name: string; readonly stage: string }
  | { readonly kind: "latest"; readonly name: string }
  | { readonly kind: "place"; readonly uri: string };

/** The forms that a URI of the registry has. */
const MODEL_URI_FORMS =
  "write models:/<name>/<version>, models:/<name>@<alias>, models:/<name>/<stage>, models:/<name>/latest, or models:/<id of a logged model>.";

function runReference(uri: string): ModelReference {
  const [, runId, path] = /^runs:\/+([^/]+)\/(.+)$/.exec(uri) ?? [];
  if (runId === undefined || path === undefined) {
    throw invalidParameter("modelUri", uri, "write runs:/<run id>/<path of the model>.");
  }
  checkRunId(runId, "modelUri");
  const modelPath = path.replace(/\/+$/, "");
  checkArtifactPath(modelPath);
  return { kind: "run", runId, path: modelPath };
}

function registryReference(uri: string): ModelReference {
  const [first = "", suffix, ...rest] = uri.replace(/^models:\/+/, "").split("/");
  if (first.trim() === "" || rest.length > 0) {
    throw invalidParameter("modelUri", uri, MODEL_URI_FORMS);
  }
  if (suffix !== undefined) {
    if (suffix.trim() === "") throw invalidParameter("modelUri", uri, MODEL_URI_FORMS);
    if (/^\d+$/.test(suffix)) return { kind: "version", name: first, version: suffix };
    if (suffix.toLowerCase() === "latest") return { kind: "latest", name: first };
    return { kind: "stage", name: first, stage: suffix };
  }
  const at = first.lastIndexOf("@");
  if (at < 0) return { kind: "loggedModel", modelId: first };
  const [name, alias] = [first.slice(0, at), first.slice(at + 1)];
  if (name.trim() === "" || alias.trim() === "") {
    throw invalidParameter("modelUri", uri, MODEL_URI_FORMS);
  }
  return { kind: "alias", name, alias };
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for what is no URI of a model. */
export function parseModelUri(uri: string): ModelReference {
  if (typeof uri !== "string" || uri.trim() === "") {
    throw invalidParameter("modelUri", uri, "pass a URI, such as runs:/<run id>/<path>.");
  }
  if (uri.startsWith("runs:")) return runReference(uri);
  if (/^models:\/+/.test(uri)) return registryReference(uri);
  return { kind: "place", uri };
}

/** A model's URI, and the path of a file of the model that follows it. */
export function splitModelUri(uri: string): { readonly modelUri: string; readonly path: string } {
  const [first = "", ...rest] = uri.replace(/^models:\/+/, "").split("/");
  const isWhole = first.includes("@") || /^m-[0-9a-f]{32}$/.test(first);
  const own = isWhole ? [first] : [first, ...rest.slice(0, 1)];
  const path = rest.slice(own.length - 1).join("/");
  if (path !== "") checkArtifactPath(path);
  return { modelUri: `models:/${own.join("/")}`, path };
}
