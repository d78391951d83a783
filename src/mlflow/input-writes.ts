// What a run used, as a write: datasets with what they were for, and logged models.
import type { Dataset } from "./entities.js";
import { invalidParameter } from "./errors.js";
import { type RunWrite, tagMessages } from "./run-writes.js";
import * as spec from "./spec.js";
import { callStore } from "./stores.js";
import { checkModelId, checkOptions, type LoggableValue } from "./validation.js";

const CONTEXT_TAG = "mlflow.data.context";

export interface LogInputOptions {
  /** What the dataset is for, such as `training`. */
  readonly context?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

/** What a run used: each dataset with what it was for, and models by their ids. */
export interface InputsOfRun {
  readonly datasets?: readonly (LogInputOptions & { readonly dataset: Dataset })[] | undefined;
  readonly modelIds?: readonly string[] | undefined;
}

function checkDataset(dataset: Dataset): void {
  for (const field of ["name", "digest", "sourceType", "source"] as const) {
    if (typeof dataset?.[field] !== "string" || dataset[field] === "") {
      const fix = "make datasets with mlflow.data, or pass { name, digest, sourceType, source }.";
      throw invalidParameter(`dataset.${field}`, dataset?.[field], fix);
    }
  }
}

function inputMessage(input: LogInputOptions & { readonly dataset: Dataset }) {
  checkOptions("logInputs", input, ["dataset", "context", "tags"]);
  const { dataset, context, tags } = input;
  checkDataset(dataset);
  if (context !== undefined && (typeof context !== "string" || context === "")) {
    throw invalidParameter("context", context, "pass a text such as training, or leave it out.");
  }
  const { name, digest, sourceType, source, schema, profile } = dataset;
  return {
    tags: tagMessages({ ...tags, ...(context !== undefined && { [CONTEXT_TAG]: context }) }),
    dataset: {
      name,
      digest,
      source_type: sourceType,
      source,
      ...(schema !== undefined && { schema }),
      ...(profile !== undefined && { profile }),
    },
  };
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for what is no input. */
export function inputsWrite(inputs: InputsOfRun): RunWrite {
  checkOptions("logInputs", inputs, ["datasets", "modelIds"]);
  const { datasets = [], modelIds = [] } = inputs;
  if (!Array.isArray(datasets) || !Array.isArray(modelIds)) {
    throw invalidParameter("inputs", inputs, "pass { datasets: […], modelIds: […] }.");
  }
  modelIds.forEach(checkModelId);
  const messages = datasets.map(inputMessage);
  const models = modelIds.map((model_id: string) => ({ model_id }));
  return async ({ store, runId }) => {
    if (messages.length === 0 && models.length === 0) return;
    const request = { run_id: runId, datasets: messages, models };
    await callStore(store, spec.logInputs, request);
  };
}
