// Calls about registered models and their aliases.
import {
  type ModelVersion,
  modelVersionFromMessage,
  type RegisteredModel,
  registeredModelFromMessage,
} from "../entities.js";
import * as spec from "../spec.js";
import { callStore } from "../stores.js";
import {
  canonicalStage,
  checkAlias,
  checkModelName,
  checkNewAlias,
  checkOptions,
  checkTagKey,
  type LoggableValue,
  modelVersionNumber,
  registryTagValue,
} from "../validation.js";
import { checkText, tagsWith } from "./requests.js";
import { RunClient } from "./runs.js";

export interface CreateRegisteredModelOptions {
  readonly description?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

export class RegisteredModelClient extends RunClient {
  async createRegisteredModel(
    name: string,
    options: CreateRegisteredModelOptions = {},
  ): Promise<RegisteredModel> {
    checkModelName(name);
    checkOptions("createRegisteredModel", options, ["description", "tags"]);
    checkText("description", options.description);
    const { registered_model } = await callStore(this.registry, spec.createRegisteredModel, {
      name,
      description: options.description,
      tags: tagsWith(registryTagValue, options.tags),
    });
    return registeredModelFromMessage(registered_model);
  }

  async getRegisteredModel(name: string): Promise<RegisteredModel> {
    checkModelName(name);
    const { registered_model } = await callStore(this.registry, spec.getRegisteredModel, { name });
    return registeredModelFromMessage(registered_model);
  }

  /** With all its versions. */
  async deleteRegisteredModel(name: string): Promise<void> {
    checkModelName(name);
    await callStore(this.registry, spec.deleteRegisteredModel, { name });
  }

  /** The newest version of each stage, or of the stages given. */
  async getLatestVersions(name: string, stages?: readonly string[]): Promise<ModelVersion[]> {
    checkModelName(name);
    const { model_versions = [] } = await callStore(this.registry, spec.getLatestVersions, {
      name,
      stages: stages?.map(canonicalStage),
    });
    return model_versions.map(modelVersionFromMessage);
  }

  async setRegisteredModelTag(name: string, key: string, value: LoggableValue): Promise<void> {
    checkModelName(name);
    checkTagKey(key);
    const request = { name, key, value: registryTagValue(key, value) };
    await callStore(this.registry, spec.setRegisteredModelTag, request);
  }

  /** Gives a version an alias, taking it from the version that had it. */
  async setRegisteredModelAlias(
    name: string,
    alias: string,
    version: string | number,
  ): Promise<void> {
    checkModelName(name);
    checkNewAlias(alias);
    const request = { name, alias, version: modelVersionNumber(version) };
    await callStore(this.registry, spec.setRegisteredModelAlias, request);
  }

  async deleteRegisteredModelAlias(name: string, alias: string): Promise<void> {
    checkModelName(name);
    checkAlias(alias);
    await callStore(this.registry, spec.deleteRegisteredModelAlias, { name, alias });
  }

  async getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion> {
    checkModelName(name);
    checkAlias(alias);
    const request = { name, alias };
    const { model_version } = await callStore(this.registry, spec.getModelVersionByAlias, request);
    return modelVersionFromMessage(model_version);
  }
}
