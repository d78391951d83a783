// Calls about registered models and their aliases.
import {
  type ModelVersion,
  messagesIn,
  modelVersionFromMessage,
  type Page,
  pageOf,
  type RegisteredModel,
  registeredModelFromMessage,
} from "../entities.js";
import * as spec from "../spec.js";
import { callStore } from "../stores.js";
import {
  canonicalStage,
  checkAlias,
  checkKnownModelName,
  checkModelName,
  checkNewAlias,
  checkOptions,
  checkTagKey,
  type LoggableValue,
} from "../validation.js";
import { LoggedModelClient } from "./logged-models.js";
import {
  descriptionRequest,
  type RegistrySearchOptions,
  registrySearchRequest,
  registryTag,
  registryTags,
  versionRequest,
} from "./registry-requests.js";
import { checkText, eachOf } from "./requests.js";

export interface CreateRegisteredModelOptions {
  readonly description?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

export class RegisteredModelClient extends LoggedModelClient {
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
      tags: registryTags(options.tags),
    });
    return registeredModelFromMessage(registered_model);
  }

  async getRegisteredModel(name: string): Promise<RegisteredModel> {
    checkKnownModelName(name);
    const { registered_model } = await callStore(this.registry, spec.getRegisteredModel, { name });
    return registeredModelFromMessage(registered_model);
  }

  /** The versions, tags and aliases come along. Rejects when the other name is taken. */
  async renameRegisteredModel(name: string, newName: string): Promise<RegisteredModel> {
    checkKnownModelName(name);
    checkModelName(newName);
    const request = { name, new_name: newName };
    const { registered_model } = await callStore(
      this.registry,
      spec.renameRegisteredModel,
      request,
    );
    return registeredModelFromMessage(registered_model);
  }

  async updateRegisteredModel(
    name: string,
    changes: { readonly description: string },
  ): Promise<RegisteredModel> {
    checkKnownModelName(name);
    const request = { name, ...descriptionRequest("updateRegisteredModel", changes) };
    const { registered_model } = await callStore(
      this.registry,
      spec.updateRegisteredModel,
      request,
    );
    return registeredModelFromMessage(registered_model);
  }

  /** Such as `name LIKE 'price%' and tags.team = 'search'`; by name when not told otherwise. */
  async searchRegisteredModels(
    options: RegistrySearchOptions = {},
  ): Promise<Page<RegisteredModel>> {
    const request = registrySearchRequest(options);
    const { registered_models, next_page_token } = await callStore(
      this.registry,
      spec.searchRegisteredModels,
      request,
    );
    return pageOf(
      messagesIn(registered_models, "registered_models").map(registeredModelFromMessage),
      next_page_token,
    );
  }

  /** Every model found, one after the other; asks for a page when it is needed. */
  searchRegisteredModelsIterator(
    options: RegistrySearchOptions = {},
  ): AsyncGenerator<RegisteredModel, void> {
    return eachOf(options, (page) => this.searchRegisteredModels(page));
  }

  /** To delete a tag that is not there is no error. */
  async deleteRegisteredModelTag(name: string, key: string): Promise<void> {
    checkKnownModelName(name);
    checkTagKey(key);
    await callStore(this.registry, spec.deleteRegisteredModelTag, { name, key });
  }

  /** With all its versions. */
  async deleteRegisteredModel(name: string): Promise<void> {
    checkKnownModelName(name);
    await callStore(this.registry, spec.deleteRegisteredModel, { name });
  }

  /** The newest version of each stage, or of the stages given. */
  async getLatestVersions(name: string, stages?: readonly string[]): Promise<ModelVersion[]> {
    checkKnownModelName(name);
    const { model_versions } = await callStore(this.registry, spec.getLatestVersions, {
      name,
      stages: stages?.map(canonicalStage),
    });
    return messagesIn(model_versions, "model_versions").map(modelVersionFromMessage);
  }

  async setRegisteredModelTag(name: string, key: string, value: LoggableValue): Promise<void> {
    checkKnownModelName(name);
    const request = { name, ...registryTag(key, value) };
    await callStore(this.registry, spec.setRegisteredModelTag, request);
  }

  /** Gives a version an alias, taking it from the version that had it. */
  async setRegisteredModelAlias(
    name: string,
    alias: string,
    version: string | number,
  ): Promise<void> {
    const request = { ...versionRequest(name, version), alias };
    checkNewAlias(alias);
    await callStore(this.registry, spec.setRegisteredModelAlias, request);
  }

  async deleteRegisteredModelAlias(name: string, alias: string): Promise<void> {
    checkKnownModelName(name);
    checkAlias(alias);
    await callStore(this.registry, spec.deleteRegisteredModelAlias, { name, alias });
  }

  async getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion> {
    checkKnownModelName(name);
    checkAlias(alias);
    const request = { name, alias };
    const { model_version } = await callStore(this.registry, spec.getModelVersionByAlias, request);
    return modelVersionFromMessage(model_version);
  }
}
