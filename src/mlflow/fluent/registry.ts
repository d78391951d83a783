// The model registry of the store in force.
import type { ModelVersion } from "../entities.js";
import type { LoggableValue } from "../validation.js";
import { currentClient } from "./frames.js";

/**
 * Makes a version of a model, and the model when there is none. `runs:/<run id>/<path>` means the
 * artifacts of that run; any other URI is taken as it is.
 */
export async function registerModel(
  modelUri: string,
  name: string,
  options?: { readonly tags?: Readonly<Record<string, LoggableValue>> | undefined },
): Promise<ModelVersion> {
  return currentClient().registerModel(modelUri, name, options);
}

export async function getModelVersion(
  name: string,
  version: string | number,
): Promise<ModelVersion> {
  return currentClient().getModelVersion(name, version);
}

/** `archiveExistingVersions` moves the versions that are in the stage to Archived. */
export async function transitionModelVersionStage(
  name: string,
  version: string | number,
  stage: string,
  options?: { readonly archiveExistingVersions?: boolean | undefined },
): Promise<ModelVersion> {
  return currentClient().transitionModelVersionStage(name, version, stage, options);
}
