// Which model a URI means: where its files are, and versions that are registered of it.
import type { ModelVersion, RunOutputs } from "../entities.js";
import { hasCode, invalidParameter, MlflowError } from "../errors.js";
import { type ModelReference, parseModelUri } from "../model-uri.js";
import { joinUri } from "../stores.js";
import { checkModelName, checkOptions } from "../validation.js";
import {
  type CreateModelVersionOptions,
  checkSource,
  checkWait,
  ModelVersionClient,
} from "./model-versions.js";
import { registryTags } from "./registry-requests.js";

export interface RegisterModelOptions
  extends Pick<CreateModelVersionOptions, "tags" | "awaitCreationForMs"> {}

/** Where a model's files are, and what they belong to. */
export interface ResolvedModel {
  readonly artifactUri: string;
  readonly runId?: string;
  readonly modelId?: string;
  /** Of the registered model, when the registry was asked. */
  readonly name?: string;
  readonly version?: string;
}

type RegistryReference = Extract<ModelReference, { readonly name: string }>;

/** On a logged model: the versions that were made of it, as JSON. */
const MODEL_VERSIONS_TAG = "mlflow.modelVersions";

/** The files of a model: where they are, and what they belong to. */
interface ModelOrigin {
  readonly source: string;
  readonly runId?: string;
  readonly modelId?: string;
}

/** A server's database keeps the logged model of a version as its source only. */
function loggedModelOf({ modelId, source }: ModelVersion): string | undefined {
  return modelId ?? /^models:\/+([^/@]+)$/.exec(source)?.[1];
}

export class ModelUriClient extends ModelVersionClient {
  /**
   * Makes a version of a model, and the model when there is none. `runs:/<run id>/<path>` means the
   * model that was logged there, `models:/…` one that is known; any other URI is taken as it is.
   */
  async registerModel(
    modelUri: string,
    name: string,
    options: RegisterModelOptions = {},
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkSource(modelUri);
    checkOptions("registerModel", options, ["tags", "awaitCreationForMs"]);
    registryTags(options.tags);
    if (options.awaitCreationForMs !== undefined) checkWait(options.awaitCreationForMs);
    const { source, ...origin } = await this.#modelOrigin(modelUri);
    try {
      await this.createRegisteredModel(name);
    } catch (error) {
      if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
    }
    const version = await this.createModelVersion(name, source, { ...origin, ...options });
    if (origin.modelId !== undefined) await this.#noteVersion(origin.modelId, version);
    return version;
  }

  async #modelOrigin(modelUri: string): Promise<ModelOrigin> {
    const reference = parseModelUri(modelUri);
    switch (reference.kind) {
      case "run": {
        const { runId, path } = reference;
        const { info, outputs } = await this.getRun(runId);
        const modelId = await this.#modelOfRun(outputs, path);
        if (modelId !== undefined) return { source: `models:/${modelId}`, runId, modelId };
        return { source: joinUri(info.artifactUri, path), runId };
      }
      case "loggedModel":
        return { source: modelUri, modelId: reference.modelId };
      case "place":
        return { source: modelUri };
      default: {
        // As the registry tells them: it refuses a copy that claims more.
        const { name, version, runId, modelId } = await this.#versionOf(reference);
        return {
          source: `models:/${name}/${version}`,
          ...(runId !== undefined && { runId }),
          ...(modelId !== undefined && { modelId }),
        };
      }
    }
  }

  /** Since MLflow 3 a run's model lies beside the run: the one of this name at the greatest step. */
  async #modelOfRun({ modelOutputs }: RunOutputs, name: string): Promise<string | undefined> {
    const newestFirst = modelOutputs.toSorted((one, other) => other.step - one.step);
    for (const { modelId } of newestFirst) {
      if ((await this.getLoggedModel(modelId)).name === name) return modelId;
    }
    return undefined;
  }

  async #noteVersion(modelId: string, { name, version }: ModelVersion): Promise<void> {
    try {
      const { tags } = await this.getLoggedModel(modelId);
      const known = JSON.parse(tags[MODEL_VERSIONS_TAG] ?? "[]") as ModelVersion[];
      // A server with a database notes it by itself.
      if (known.some((one) => one.name === name && String(one.version) === version)) return;
      const noted = JSON.stringify([...known, { name, version: Number(version) }]);
      await this.setLoggedModelTags(modelId, { [MODEL_VERSIONS_TAG]: noted });
    } catch (error) {
      // The registry may be another server, which has no such model.
      if (!hasCode(error, "RESOURCE_DOES_NOT_EXIST")) throw error;
    }
  }

  /** The version that a URI of the registry means. */
  async #versionOf(reference: RegistryReference): Promise<ModelVersion> {
    const { name } = reference;
    switch (reference.kind) {
      case "version":
        return this.getModelVersion(name, reference.version);
      case "alias":
        return this.getModelVersionByAlias(name, reference.alias);
      default: {
        const stages = reference.kind === "stage" ? [reference.stage] : undefined;
        const latest = await this.getLatestVersions(name, stages);
        const newest = latest.reduce<ModelVersion | undefined>(
          (best, one) => (Number(one.version) > Number(best?.version ?? 0) ? one : best),
          undefined,
        );
        if (newest !== undefined) return newest;
        const where = reference.kind === "stage" ? ` in stage '${reference.stage}'` : "";
        throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `Model '${name}' has no version${where}.`);
      }
    }
  }

  /**
   * Where the files of a model are, whatever names it: `runs:/…`, `models:/…`, or a place, which is
   * answered as it is. Says which run, logged model or version it found.
   */
  async resolveModelUri(modelUri: string): Promise<ResolvedModel> {
    const reference = parseModelUri(modelUri);
    switch (reference.kind) {
      case "place":
        return { artifactUri: reference.uri };
      case "loggedModel":
        return this.#placeOfLoggedModel(reference.modelId);
      case "run": {
        const { runId, path } = reference;
        const { info, outputs } = await this.getRun(runId);
        const modelId = await this.#modelOfRun(outputs, path);
        if (modelId !== undefined) return this.#placeOfLoggedModel(modelId);
        return { artifactUri: joinUri(info.artifactUri, path), runId };
      }
      default: {
        const found = await this.#versionOf(reference);
        const { name, version, runId } = found;
        const modelId = loggedModelOf(found);
        const place = await this.getModelVersionDownloadUri(name, version);
        // The registry may name a logged model instead of its place.
        const { artifactUri } = place.startsWith("models:")
          ? await this.resolveModelUri(place)
          : { artifactUri: place };
        return {
          artifactUri,
          name,
          version,
          ...(runId !== undefined && { runId }),
          ...(modelId !== undefined && { modelId }),
        };
      }
    }
  }

  async #placeOfLoggedModel(modelId: string): Promise<ResolvedModel> {
    const { artifactLocation, sourceRunId } = await this.getLoggedModel(modelId);
    return {
      artifactUri: artifactLocation,
      modelId,
      ...(sourceRunId !== undefined && { runId: sourceRunId }),
    };
  }

  /** Makes a version of another model, or of the same, from one that is registered. */
  async copyModelVersion(modelUri: string, newName: string): Promise<ModelVersion> {
    checkModelName(newName);
    const reference = parseModelUri(modelUri);
    if (!("name" in reference)) {
      const fix = "name a registered version: models:/<name>/<version>, or by alias or stage.";
      throw invalidParameter("modelUri", modelUri, fix);
    }
    const { name, version, runId, modelId, description, tags } = await this.#versionOf(reference);
    try {
      await this.createRegisteredModel(newName);
    } catch (error) {
      if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
    }
    return this.createModelVersion(newName, `models:/${name}/${version}`, {
      runId,
      modelId,
      description,
      tags,
    });
  }
}
