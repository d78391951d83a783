// What a model's `MLmodel` file says of it, whoever logged the model.
// Source: mlflow/models/model.py (3.17).
import { textOf } from "../artifact-stores/download.js";
import { parsedYaml } from "../artifacts.js";
import type { ModelInfo } from "../client/model-logging.js";
import { MlflowError, reasonOf } from "../errors.js";
import type { Flavors } from "./mlmodel.js";
import type { ModelSignature } from "./signature.js";

type Fields = Readonly<Record<string, unknown>>;

/** What the file itself does not know. */
export interface ModelPlaceFields
  extends Pick<
    ModelInfo,
    "name" | "modelUri" | "artifactUri" | "modelId" | "runId" | "registeredModelVersion"
  > {}

function text(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value);
}

/** Each part of a signature is a text of JSON in the file. */
function signatureOf(fields: unknown): ModelSignature | undefined {
  if (typeof fields !== "object" || fields === null) return undefined;
  const parts = Object.entries(fields as Fields).filter(([, part]) => typeof part === "string");
  return Object.fromEntries(parts.map(([name, part]) => [name, JSON.parse(part as string)]));
}

/** Throws MlflowError `BAD_REQUEST` for a file that is no `MLmodel` file. */
export function modelInfoOf(bytes: Uint8Array, place: ModelPlaceFields): ModelInfo {
  const { artifactUri } = place;
  try {
    const fields = parsedYaml(textOf(bytes, artifactUri)) as Fields;
    if (typeof fields.flavors !== "object") throw new Error("it names no flavours");
    const { metadata } = fields;
    return {
      ...place,
      modelId: place.modelId ?? text(fields.model_id),
      runId: place.runId ?? text(fields.run_id),
      modelUuid: text(fields.model_uuid) ?? "",
      flavors: (fields.flavors ?? {}) as Flavors,
      signature: signatureOf(fields.signature),
      metadata: (metadata ?? undefined) as ModelInfo["metadata"],
      mlflowVersion: text(fields.mlflow_version) ?? "",
      utcTimeCreated: text(fields.utc_time_created) ?? "",
      sizeBytes: Number(fields.model_size_bytes ?? 0),
    };
  } catch (error) {
    if (error instanceof MlflowError) throw error;
    throw new MlflowError(
      "BAD_REQUEST",
      `The MLmodel file in '${artifactUri}' cannot be read: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

/** The fields of a flavour that a model must have. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function flavorOf({ flavors, modelUri }: ModelInfo, name: string): Fields {
  const found = flavors[name];
  if (found !== undefined) return found;
  const known = Object.keys(flavors).join(", ") || "none";
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `The model '${modelUri}' has no flavour '${name}'; it has: ${known}.`,
  );
}
