// Calls about the versions of registered models.
import {
  type ModelVersion,
  type ModelVersionStage,
  messagesIn,
  modelVersionFromMessage,
  type Page,
  pageOf,
  required,
} from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import * as spec from "../spec.js";
import { callStore } from "../stores.js";
import {
  canonicalStage,
  checkKnownModelName,
  checkOptions,
  checkRunId,
  checkTagKey,
  type LoggableValue,
  STAGES,
} from "../validation.js";
import { type CreateRegisteredModelOptions, RegisteredModelClient } from "./registered-models.js";
import {
  descriptionRequest,
  type RegistrySearchOptions,
  registrySearchRequest,
  registryTag,
  registryTags,
  versionRequest,
} from "./registry-requests.js";
import { checkText, eachOf } from "./requests.js";

export interface CreateModelVersionOptions extends CreateRegisteredModelOptions {
  readonly runId?: string | undefined;
  readonly runLink?: string | undefined;
  readonly modelId?: string | undefined;
  /** Milliseconds to wait until the version is READY, 300000 when left out; 0 does not wait. */
  readonly awaitCreationForMs?: number | undefined;
}

/** Milliseconds that a version may take to become READY, as in Python. */
const DEFAULT_WAIT_MS = 300_000;
const FIRST_POLL_MS = 250;
const LAST_POLL_MS = 3000;

export function checkSource(source: unknown): asserts source is string {
  if (typeof source !== "string" || source.trim() === "") {
    throw invalidParameter("modelUri", source, "pass a URI, such as runs:/<run id>/<path>.");
  }
}

export function checkWait(milliseconds: unknown): asserts milliseconds is number {
  if (typeof milliseconds !== "number" || !(milliseconds >= 0)) {
    throw invalidParameter("awaitCreationForMs", milliseconds, "pass milliseconds from 0.");
  }
}

export class ModelVersionClient extends RegisteredModelClient {
  /**
   * A version of a model that exists; `registerModel` also creates the model. Answers when the version
   * is READY. Rejects with `TIMEOUT` when it takes too long, and with `INVALID_STATE` when it fails.
   */
  async createModelVersion(
    name: string,
    source: string,
    options: CreateModelVersionOptions = {},
  ): Promise<ModelVersion> {
    checkKnownModelName(name);
    checkSource(source);
    const known = ["runId", "runLink", "modelId", "description", "tags", "awaitCreationForMs"];
    checkOptions("createModelVersion", options, known);
    const { runId, runLink, modelId, description, tags } = options;
    const { awaitCreationForMs = DEFAULT_WAIT_MS } = options;
    if (runId !== undefined) checkRunId(runId);
    checkText("description", description);
    checkWait(awaitCreationForMs);
    const { model_version } = await callStore(this.registry, spec.createModelVersion, {
      name,
      source,
      run_id: runId,
      run_link: runLink,
      model_id: modelId,
      description,
      tags: registryTags(tags),
    });
    return this.#whenReady(modelVersionFromMessage(model_version), awaitCreationForMs);
  }

  async #whenReady(created: ModelVersion, waitMs: number): Promise<ModelVersion> {
    let found = created;
    const { name, version } = created;
    // A clock that is set while we wait makes it neither longer nor shorter.
    const deadline = performance.now() + waitMs;
    let pause = FIRST_POLL_MS;
    // Whoever does not want to wait takes it as it is.
    while (found.status === "PENDING_REGISTRATION" && waitMs > 0) {
      if (performance.now() >= deadline) {
        throw new MlflowError(
          "TIMEOUT",
          `Version ${version} of model '${name}' was not READY within ${waitMs} ms. It may become so: ask getModelVersion, or allow more with awaitCreationForMs.`,
        );
      }
      const wait = Math.min(pause, Math.max(0, deadline - performance.now()));
      await new Promise((resolve) => setTimeout(resolve, wait));
      pause = Math.min(pause * 2, LAST_POLL_MS);
      found = await this.getModelVersion(name, version);
    }
    if (found.status !== "FAILED_REGISTRATION") return found;
    throw new MlflowError(
      "INVALID_STATE",
      `Version ${version} of model '${name}' could not be registered: ${found.statusMessage ?? "the server gives no reason"}.`,
    );
  }

  /** URI of the folder that holds a version's files. */
  async getModelVersionDownloadUri(name: string, version: string | number): Promise<string> {
    const request = versionRequest(name, version);
    const { artifact_uri } = await callStore(
      this.registry,
      spec.getModelVersionDownloadUri,
      request,
    );
    return required(artifact_uri, "artifact_uri");
  }

  /** Such as `name = 'price model' and run_id = '…'`; newest changes first when not told otherwise. */
  async searchModelVersions(options: RegistrySearchOptions = {}): Promise<Page<ModelVersion>> {
    const {
      order_by = ["last_updated_timestamp DESC", "name ASC", "version_number DESC"],
      ...rest
    } = registrySearchRequest(options);
    const { model_versions, next_page_token } = await callStore(
      this.registry,
      spec.searchModelVersions,
      { ...rest, order_by },
    );
    return pageOf(
      messagesIn(model_versions, "model_versions").map(modelVersionFromMessage),
      next_page_token,
    );
  }

  /** Every version found, one after the other; asks for a page when it is needed. */
  searchModelVersionsIterator(
    options: RegistrySearchOptions = {},
  ): AsyncGenerator<ModelVersion, void> {
    return eachOf(options, (page) => this.searchModelVersions(page));
  }

  /** The stages that a version can be in. */
  getModelVersionStages(): readonly ModelVersionStage[] {
    return STAGES;
  }

  async getModelVersion(name: string, version: string | number): Promise<ModelVersion> {
    const request = versionRequest(name, version);
    const { model_version } = await callStore(this.registry, spec.getModelVersion, request);
    return modelVersionFromMessage(model_version);
  }

  async updateModelVersion(
    name: string,
    version: string | number,
    changes: { readonly description: string },
  ): Promise<ModelVersion> {
    const request = {
      ...versionRequest(name, version),
      ...descriptionRequest("updateModelVersion", changes),
    };
    const { model_version } = await callStore(this.registry, spec.updateModelVersion, request);
    return modelVersionFromMessage(model_version);
  }

  async deleteModelVersion(name: string, version: string | number): Promise<void> {
    const request = versionRequest(name, version);
    await callStore(this.registry, spec.deleteModelVersion, request);
  }

  /** `archiveExistingVersions` moves the versions that are in the stage to Archived. */
  async transitionModelVersionStage(
    name: string,
    version: string | number,
    stage: string,
    options: { readonly archiveExistingVersions?: boolean | undefined } = {},
  ): Promise<ModelVersion> {
    const request = versionRequest(name, version);
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
      ...request,
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
    const request = { ...versionRequest(name, version), ...registryTag(key, value) };
    await callStore(this.registry, spec.setModelVersionTag, request);
  }

  /** To delete a tag that is not there is no error. */
  async deleteModelVersionTag(name: string, version: string | number, key: string): Promise<void> {
    checkTagKey(key);
    const request = { ...versionRequest(name, version), key };
    await callStore(this.registry, spec.deleteModelVersionTag, request);
  }
}
