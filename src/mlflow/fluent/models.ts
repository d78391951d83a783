// Logging models where the program is: to the active run, or to the active experiment without one.
import type {
  CreateLoggedModelOptions,
  SearchLoggedModelsOptions,
} from "../client/logged-models.js";
import type { LogModelOptions, ModelInfo, ModelTarget } from "../client/model-logging.js";
import type { MlflowClient } from "../client.js";
import type { Page } from "../entities.js";
import { MlflowError } from "../errors.js";
import type { LoggedModel } from "../logged-model.js";
import { MLMODEL_FILE, mlmodelFields, mlmodelText, utcText } from "../models/mlmodel.js";
import type { ModelSource } from "../models/model-files.js";
import type { LoggableValue } from "../validation.js";
import { activeExperimentId } from "./active-experiment.js";
import { currentClient, targetFrame } from "./frames.js";

async function targetOfModel(): Promise<{ client: MlflowClient; target: ModelTarget }> {
  const frame = targetFrame();
  if (frame === undefined) {
    const client = currentClient();
    return { client, target: { experimentId: await activeExperimentId(client) } };
  }
  const { info } = frame.run ?? (await frame.started);
  return { client: frame.client, target: { runId: info.runId } };
}

/** On a model whose files are elsewhere, and in its `MLmodel` file. */
const EXTERNAL_TAG = "mlflow.model.isExternal";

let latestModel: string | undefined;

/**
 * Logs a model with its `MLmodel` file: the path of a file or folder, the bytes of one file, or every
 * file by its path. It belongs to the active run; without one it is logged to the active experiment,
 * which a server of MLflow 3 allows.
 */
export async function logModel(model: ModelSource, options?: LogModelOptions): Promise<ModelInfo> {
  const { client, target } = await targetOfModel();
  const info = await client.logModel(target, model, options);
  latestModel = info.modelId ?? latestModel;
  return info;
}

/** Id of the logged model that this process made last. */
export function lastLoggedModelId(): string | undefined {
  return latestModel;
}

/** The logged model that this process made last, as the store has it; undefined before the first. */
export async function lastLoggedModel(): Promise<LoggedModel | undefined> {
  return latestModel === undefined ? undefined : currentClient().getLoggedModel(latestModel);
}

/** A model that waits for its files, in the experiment of the active run, else in the active one. */
export async function initializeLoggedModel(
  options: CreateLoggedModelOptions = {},
): Promise<LoggedModel> {
  const { client, target } = await targetOfModel();
  if ("experimentId" in target) return client.createLoggedModel(target.experimentId, options);
  const { experimentId } = (await client.getRun(target.runId)).info;
  return client.createLoggedModel(experimentId, { sourceRunId: target.runId, ...options });
}

/** A READY model whose files are elsewhere, of the active run, else in the active experiment. */
export async function createExternalModel(
  options: CreateLoggedModelOptions = {},
): Promise<LoggedModel> {
  const { client, target } = await targetOfModel();
  const isOfRun = "runId" in target;
  const experimentId = isOfRun
    ? (await client.artifactRoot(target.runId)).experimentId
    : target.experimentId;
  const model = await client.createLoggedModel(experimentId, {
    ...(isOfRun && { sourceRunId: target.runId }),
    ...options,
    tags: { ...options.tags, [EXTERNAL_TAG]: "true" },
  });
  const { modelId } = model;
  try {
    await client.logModelArtifact(modelId, externalModelText(model), MLMODEL_FILE);
  } catch (error) {
    await client.finalizeLoggedModel(modelId, "UPLOAD_FAILED").catch(() => undefined);
    throw error;
  }
  latestModel = modelId;
  return client.finalizeLoggedModel(modelId, "READY");
}

/** Its file says that there is nothing to load, and lets the model be registered. */
function externalModelText({ modelId, sourceRunId, artifactLocation }: LoggedModel): string {
  return mlmodelText(
    mlmodelFields({
      artifactPath: artifactLocation,
      modelUuid: modelId,
      modelId,
      runId: sourceRunId,
      utcTimeCreated: utcText(new Date()),
      flavors: {},
      // Some registries take no model without a signature.
      signature: { inputs: [{ type: "boolean" }], outputs: [{ type: "boolean" }] },
      inputExample: undefined,
      metadata: { [EXTERNAL_TAG]: true },
      sizeBytes: 0,
    }),
  );
}

export async function finalizeLoggedModel(
  modelId: string,
  status?: "READY" | "UPLOAD_FAILED",
): Promise<LoggedModel> {
  return currentClient().finalizeLoggedModel(modelId, status);
}

export async function getLoggedModel(modelId: string): Promise<LoggedModel> {
  return currentClient().getLoggedModel(modelId);
}

/** In these experiments, the active one when left out. */
export async function searchLoggedModels(
  options: SearchLoggedModelsOptions & { readonly experimentIds?: readonly string[] } = {},
): Promise<Page<LoggedModel>> {
  const { experimentIds, ...search } = options;
  const client = currentClient();
  const ids = experimentIds ?? [await activeExperimentId(client)];
  return client.searchLoggedModels(ids, search);
}

export async function setLoggedModelTags(
  modelId: string,
  tags: Readonly<Record<string, LoggableValue>>,
): Promise<void> {
  return currentClient().setLoggedModelTags(modelId, tags);
}

export async function deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
  return currentClient().deleteLoggedModelTag(modelId, key);
}

export async function logModelParams(
  modelId: string,
  params: Readonly<Record<string, LoggableValue>>,
): Promise<void> {
  return currentClient().logModelParams(modelId, params);
}

/** Notes which models the active run made. Rejects with `INVALID_STATE` without a run. */
export async function logOutputs(
  models: readonly { readonly modelId: string; readonly step?: number | undefined }[],
): Promise<void> {
  const { client, target } = await targetOfModel();
  if ("runId" in target) return client.logOutputs(target.runId, models);
  throw new MlflowError("INVALID_STATE", "No run is active. Start one with startRun().");
}
