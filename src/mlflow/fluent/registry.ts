// The model registry of the store in force.
import type { RegisterModelOptions, ResolvedModel } from "../client/model-uris.js";
import type { RegistrySearchOptions } from "../client/registry-requests.js";
import type { ModelVersion, Page, RegisteredModel } from "../entities.js";
import type { LoggableValue } from "../validation.js";
import { currentClient } from "./frames.js";

/**
 * Makes a version of a model, and the model when there is none. `runs:/<run id>/<path>` means the model
 * that was logged there, `models:/…` one that is known; any other URI is taken as it is.
 */
export async function registerModel(
  modelUri: string,
  name: string,
  options?: RegisterModelOptions,
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

export async function setModelVersionTag(
  name: string,
  version: string | number,
  key: string,
  value: LoggableValue,
): Promise<void> {
  return currentClient().setModelVersionTag(name, version, key, value);
}

/** Gives a version an alias, taking it from the version that had it. */
export async function setRegisteredModelAlias(
  name: string,
  alias: string,
  version: string | number,
): Promise<void> {
  return currentClient().setRegisteredModelAlias(name, alias, version);
}

export async function searchRegisteredModels(
  options?: RegistrySearchOptions,
): Promise<Page<RegisteredModel>> {
  return currentClient().searchRegisteredModels(options);
}

export async function searchModelVersions(
  options?: RegistrySearchOptions,
): Promise<Page<ModelVersion>> {
  return currentClient().searchModelVersions(options);
}

/** Where the files of a model are: `runs:/…`, `models:/…`, or a place, which is answered as it is. */
export async function resolveModelUri(modelUri: string): Promise<ResolvedModel> {
  return currentClient().resolveModelUri(modelUri);
}
