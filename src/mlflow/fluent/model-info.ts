// What a model's `MLmodel` file says, whatever names the model.
import { nameOf } from "../artifact-stores/paths.js";
import { readBytes, resolveArtifactUri } from "../artifact-stores/read.js";
import type { ModelInfo } from "../client/model-logging.js";
import { MLMODEL_FILE } from "../models/mlmodel.js";
import { modelInfoOf } from "../models/model-info.js";
import { joinUri } from "../stores.js";
import { currentClient } from "./frames.js";

/**
 * What the `MLmodel` file of a model says: of `runs:/…`, `models:/…`, or the place of its folder.
 * Rejects with `BAD_REQUEST` when it cannot be read.
 */
export async function getModelInfo(modelUri: string): Promise<ModelInfo> {
  const client = currentClient();
  const { artifactUri, name, modelId, runId, version } = await client.resolveModelUri(modelUri);
  const file = joinUri(artifactUri, MLMODEL_FILE);
  const bytes = await readBytes(await resolveArtifactUri(file, client.artifactContext), {});
  const ownName = modelId === undefined ? undefined : (await client.getLoggedModel(modelId)).name;
  return modelInfoOf(bytes, {
    name: name ?? ownName ?? nameOf(artifactUri),
    modelUri,
    artifactUri,
    modelId,
    runId,
    registeredModelVersion: version,
  });
}
