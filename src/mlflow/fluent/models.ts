// Logging models where the program is: to the active run, or to the active experiment without one.
import type { LogModelOptions, ModelInfo, ModelTarget } from "../client/model-logging.js";
import type { MlflowClient } from "../client.js";
import type { ModelSource } from "../models/model-files.js";
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
