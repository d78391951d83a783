// Calls about the versions of registered models.
import { type ModelVersion, modelVersionFromMessage } from "../entities.js";
import { hasCode, invalidParameter } from "../errors.js";
import * as spec from "../spec.js";
import { callStore, joinUri } from "../stores.js";
import {
  canonicalStage,
  checkArtifactPath,
  checkModelName,
  checkOptions,
  checkRunId,
  checkTagKey,
  type LoggableValue,
  modelVersionNumber,
  registryTagValue,
} from "../validation.js";
import { type CreateRegisteredModelOptions, RegisteredModelClient } from "./registered-models.js";
import { checkText, tagsWith } from "./requests.js";

export interface CreateModelVersionOptions extends CreateRegisteredModelOptions {
  readonly runId?: string | undefined;
  readonly runLink?: string | undefined;
  readonly modelId?: string | undefined;
}

function checkSource(source: unknown): asserts source is string {
  if (typeof source !== "string" || source.trim() === "") {
    throw invalidParameter("modelUri", source, "pass a URI, such as runs:/<run id>/<path>.");
  }
}

export class ModelVersionClient extends RegisteredModelClient {
  /** A version of a model that exists; `registerModel` also creates the model. */
  async createModelVersion(
    name: string,
    source: string,
    options: CreateModelVersionOptions = {},
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkSource(source);
    const known = ["runId", "runLink", "modelId", "description", "tags"];
    checkOptions("createModelVersion", options, known);
    const { runId, runLink, modelId, description, tags } = options;
    if (runId !== undefined) checkRunId(runId);
    checkText("description", description);
    const { model_version } = await callStore(this.registry, spec.createModelVersion, {
      name,
      source,
      run_id: runId,
      run_link: runLink,
      model_id: modelId,
      description,
      tags: tagsWith(registryTagValue, tags),
    });
    return modelVersionFromMessage(model_version);
  }

  /**
   * Makes a version of a model, and the model when there is none. `runs:/<run id>/<path>` means the
   * artifacts of that run; any other URI is taken as it is.
   */
  async registerModel(
    modelUri: string,
    name: string,
    options: { readonly tags?: Readonly<Record<string, LoggableValue>> | undefined } = {},
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkSource(modelUri);
    checkOptions("registerModel", options, ["tags"]);
    tagsWith(registryTagValue, options.tags);
    const origin = await this.#modelOrigin(modelUri);
    try {
      await this.createRegisteredModel(name);
    } catch (error) {
      if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
    }
    const { source, ...rest } = origin;
    return this.createModelVersion(name, source, { ...rest, tags: options.tags });
  }

  async #modelOrigin(
    modelUri: string,
  ): Promise<{ source: string; runId?: string; modelId?: string }> {
    if (modelUri.startsWith("runs:")) {
      const [, runId, path] = /^runs:\/+([^/]+)\/(.+)$/.exec(modelUri) ?? [];
      if (runId === undefined || path === undefined) {
        throw invalidParameter("modelUri", modelUri, "write runs:/<run id>/<path of the model>.");
      }
      checkRunId(runId, "modelUri");
      const modelPath = path.replace(/\/+$/, "");
      checkArtifactPath(modelPath);
      const { artifactUri } = await this.artifactRoot(runId);
      return { source: joinUri(artifactUri, modelPath), runId };
    }
    const modelId = /^models:\/+([^/]+)$/.exec(modelUri)?.[1];
    return modelId === undefined ? { source: modelUri } : { source: modelUri, modelId };
  }

  async getModelVersion(name: string, version: string | number): Promise<ModelVersion> {
    checkModelName(name);
    const request = { name, version: modelVersionNumber(version) };
    const { model_version } = await callStore(this.registry, spec.getModelVersion, request);
    return modelVersionFromMessage(model_version);
  }

  async updateModelVersion(
    name: string,
    version: string | number,
    changes: { readonly description: string },
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkOptions("updateModelVersion", changes, ["description"]);
    const { description } = changes;
    if (typeof description !== "string") {
      throw invalidParameter("description", description, "pass a text.");
    }
    const request = { name, version: modelVersionNumber(version), description };
    const { model_version } = await callStore(this.registry, spec.updateModelVersion, request);
    return modelVersionFromMessage(model_version);
  }

  async deleteModelVersion(name: string, version: string | number): Promise<void> {
    checkModelName(name);
    const request = { name, version: modelVersionNumber(version) };
    await callStore(this.registry, spec.deleteModelVersion, request);
  }

  /** `archiveExistingVersions` moves the versions that are in the stage to Archived. */
  async transitionModelVersionStage(
    name: string,
    version: string | number,
    stage: string,
    options: { readonly archiveExistingVersions?: boolean | undefined } = {},
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkOptions("transitionModelVersionStage", options, ["archiveExistingVersions"]);
    const { archiveExistingVersions = false } = options;
    if (typeof archiveExistingVersions !== "boolean") {
      const field = "archiveExistingVersions";
      throw invalidParameter(field, archiveExistingVersions, "pass true or false.");
    }
    const canonical = canonicalStage(stage);
    if (archiveExistingVersions && (canonical === "None" || canonical === "Archived")) {
      throw invalidParameter(
        "archiveExistingVersions",
        archiveExistingVersions,
        `only Staging and Production can be emptied; leave it out for the stage '${canonical}'.`,
      );
    }
    const { model_version } = await callStore(this.registry, spec.transitionModelVersionStage, {
      name,
      version: modelVersionNumber(version),
      stage: canonical,
      archive_existing_versions: archiveExistingVersions,
    });
    return modelVersionFromMessage(model_version);
  }

  async setModelVersionTag(
    name: string,
    version: string | number,
    key: string,
    value: LoggableValue,
  ): Promise<void> {
    checkModelName(name);
    checkTagKey(key);
    const number = modelVersionNumber(version);
    const request = { name, version: number, key, value: registryTagValue(key, value) };
    await callStore(this.registry, spec.setModelVersionTag, request);
  }
}
