// The `MLmodel` file: what a model is, and how it can be loaded.
// Source: mlflow/models/model.py (3.17).
import { yamlText } from "../artifacts.js";
import type { InputExample } from "./input-example.js";
import { type ModelSignature, signatureFields } from "./signature.js";

/** The name of the file that makes a folder a model. */
export const MLMODEL_FILE = "MLmodel";
/** The release of MLflow whose format these files have. */
export const MLFLOW_VERSION = "3.17.2";

/** What can load a model, by the name of a flavour. */
export type Flavors = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface ModelDescription {
  readonly artifactPath: string;
  readonly modelUuid: string;
  /** Undefined on a server that knows no logged models. */
  readonly modelId: string | undefined;
  readonly runId: string | undefined;
  readonly utcTimeCreated: string;
  readonly flavors: Flavors;
  readonly signature: ModelSignature | undefined;
  readonly inputExample: InputExample | undefined;
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
  /** Bytes of all files but the `MLmodel` file itself. */
  readonly sizeBytes: number;
}

/** As Python prints a moment: `2026-01-31 09:05:07.123000`. */
export function utcText(moment: Date): string {
  return `${moment.toISOString().slice(0, -1).replace("T", " ")}000`;
}

/** The fields of an `MLmodel` file, sorted by name as Python writes them. */
export function mlmodelFields(model: ModelDescription): Readonly<Record<string, unknown>> {
  const { modelId, runId, signature, inputExample, metadata } = model;
  return {
    artifact_path: model.artifactPath,
    flavors: model.flavors,
    ...(signature !== undefined && { is_signature_from_type_hint: false }),
    ...(metadata !== undefined && { metadata }),
    mlflow_version: MLFLOW_VERSION,
    ...(modelId !== undefined && { model_id: modelId }),
    model_size_bytes: model.sizeBytes,
    model_uuid: model.modelUuid,
    prompts: null,
    ...(runId !== undefined && { run_id: runId }),
    ...(inputExample !== undefined && { saved_input_example_info: inputExample.info }),
    ...(signature !== undefined && {
      signature: signatureFields(signature),
      type_hint_from_example: false,
    }),
    utc_time_created: model.utcTimeCreated,
  };
}

/** The content of an `MLmodel` file. */
export function mlmodelText(fields: Readonly<Record<string, unknown>>): string {
  return yamlText(fields);
}
