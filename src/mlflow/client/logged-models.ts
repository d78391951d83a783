// Calls about MLflow 3's logged models, and what ties them to runs.
import { loggingQueue } from "../async-logging.js";
import { messagesIn, type Page, pageOf } from "../entities.js";
import { invalidParameter } from "../errors.js";
import {
  type LoggedModel,
  type LoggedModelStatus,
  loggedModelFromMessage,
  statusToMessage,
} from "../logged-model.js";
import * as spec from "../spec.js";
import { callStore } from "../stores.js";
import {
  checkExperimentId,
  checkLoggedModelName,
  checkMaxResults,
  checkModelId,
  checkOptions,
  checkParamKey,
  checkRecord,
  checkRunId,
  checkTagKey,
  type LoggableValue,
  paramValue,
  tagValue,
} from "../validation.js";
import { checkText, eachOf, tagsWith } from "./requests.js";
import { RunClient } from "./runs.js";

export interface CreateLoggedModelOptions {
  /** Without `/`, `:`, `.`, `%` and quotes; the store invents one when left out. */
  readonly name?: string | undefined;
  readonly sourceRunId?: string | undefined;
  /** Such as `agent`. */
  readonly modelType?: string | undefined;
  readonly params?: Readonly<Record<string, LoggableValue>> | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

export interface SearchLoggedModelsOptions {
  /** Such as `name = 'model' and metrics.accuracy > 0.9`. */
  readonly filterString?: string | undefined;
  /** By `metrics.<name>` or an attribute; newest first when left out. */
  readonly orderBy?:
    | readonly { readonly fieldName: string; readonly ascending?: boolean | undefined }[]
    | undefined;
  /** Most results of one page, 1 to 50; 50 when left out. */
  readonly maxResults?: number | undefined;
  /** `nextPageToken` of the page before. */
  readonly pageToken?: string | undefined;
}

const FINAL_STATUSES: readonly string[] = ["READY", "UPLOAD_FAILED"];
/** More is refused by a server. */
const MAX_LOGGED_MODELS_PER_PAGE = 50;

function paramsWith(params: Readonly<Record<string, LoggableValue>> | undefined) {
  if (params === undefined) return undefined;
  checkRecord("params", params);
  return Object.entries(params).map(([key, value]) => {
    checkParamKey(key);
    return { key, value: paramValue(key, value) };
  });
}

function orderMessages(orderBy: SearchLoggedModelsOptions["orderBy"]) {
  if (orderBy === undefined) return undefined;
  if (!Array.isArray(orderBy)) {
    throw invalidParameter("orderBy", orderBy, 'pass an array, such as [{ fieldName: "name" }].');
  }
  return orderBy.map((order: { fieldName: string; ascending?: boolean | undefined }) => {
    checkOptions("orderBy", order, ["fieldName", "ascending"]);
    return { field_name: order.fieldName, ascending: order.ascending ?? true };
  });
}

export class LoggedModelClient extends RunClient {
  /** Creates a model that waits for its files; `finalizeLoggedModel` says that they are there. */
  async createLoggedModel(
    experimentId: string,
    options: CreateLoggedModelOptions = {},
  ): Promise<LoggedModel> {
    checkExperimentId(experimentId);
    const known = ["name", "sourceRunId", "modelType", "params", "tags"];
    checkOptions("createLoggedModel", options, known);
    const { name, sourceRunId, modelType, params, tags } = options;
    if (name !== undefined) checkLoggedModelName(name);
    if (sourceRunId !== undefined) checkRunId(sourceRunId, "sourceRunId");
    checkText("modelType", modelType);
    const { model } = await callStore(this.store, spec.createLoggedModel, {
      experiment_id: experimentId,
      name,
      model_type: modelType,
      source_run_id: sourceRunId,
      params: paramsWith(params),
      tags: tagsWith(tagValue, tags),
    });
    return loggedModelFromMessage(model);
  }

  async getLoggedModel(modelId: string): Promise<LoggedModel> {
    checkModelId(modelId);
    const { model } = await callStore(this.store, spec.getLoggedModel, { model_id: modelId });
    return loggedModelFromMessage(model);
  }

  async finalizeLoggedModel(
    modelId: string,
    status: Exclude<LoggedModelStatus, "PENDING"> = "READY",
  ): Promise<LoggedModel> {
    checkModelId(modelId);
    if (!FINAL_STATUSES.includes(status)) {
      throw invalidParameter("status", status, `use one of ${FINAL_STATUSES.join(", ")}.`);
    }
    const request = { model_id: modelId, status: statusToMessage(status) };
    const { model } = await callStore(this.store, spec.finalizeLoggedModel, request);
    return loggedModelFromMessage(model);
  }

  /** Marks a model as deleted; no byte is freed. */
  async deleteLoggedModel(modelId: string): Promise<void> {
    checkModelId(modelId);
    await callStore(this.store, spec.deleteLoggedModel, { model_id: modelId });
  }

  async searchLoggedModels(
    experimentIds: readonly string[],
    options: SearchLoggedModelsOptions = {},
  ): Promise<Page<LoggedModel>> {
    if (!Array.isArray(experimentIds)) {
      throw invalidParameter("experimentIds", experimentIds, "pass an array of experiment ids.");
    }
    experimentIds.forEach(checkExperimentId);
    const known = ["filterString", "orderBy", "maxResults", "pageToken"];
    checkOptions("searchLoggedModels", options, known);
    const { filterString, maxResults = MAX_LOGGED_MODELS_PER_PAGE, pageToken } = options;
    checkText("filterString", filterString);
    checkText("pageToken", pageToken);
    checkMaxResults(maxResults, MAX_LOGGED_MODELS_PER_PAGE);
    const { models, next_page_token } = await callStore(this.store, spec.searchLoggedModels, {
      experiment_ids: experimentIds,
      filter: filterString,
      max_results: maxResults,
      order_by: orderMessages(options.orderBy),
      page_token: pageToken,
    });
    return pageOf(messagesIn(models, "models").map(loggedModelFromMessage), next_page_token);
  }

  /** Every model found, one after the other; asks for a page when it is needed. */
  searchLoggedModelsIterator(
    experimentIds: readonly string[],
    options: SearchLoggedModelsOptions = {},
  ): AsyncGenerator<LoggedModel, void> {
    return eachOf(options, (page) => this.searchLoggedModels(experimentIds, page));
  }

  async setLoggedModelTags(
    modelId: string,
    tags: Readonly<Record<string, LoggableValue>>,
  ): Promise<void> {
    checkModelId(modelId);
    const request = { model_id: modelId, tags: tagsWith(tagValue, tags) ?? [] };
    await callStore(this.store, spec.setLoggedModelTags, request);
  }

  async deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
    checkModelId(modelId);
    checkTagKey(key);
    await callStore(this.store, spec.deleteLoggedModelTag, { model_id: modelId, tag_key: key });
  }

  async logModelParams(
    modelId: string,
    params: Readonly<Record<string, LoggableValue>>,
  ): Promise<void> {
    checkModelId(modelId);
    const request = { model_id: modelId, params: paramsWith(params) ?? [] };
    await callStore(this.store, spec.logLoggedModelParams, request);
  }

  /** Notes which models a run made, each at its step. */
  async logOutputs(
    runId: string,
    models: readonly { readonly modelId: string; readonly step?: number | undefined }[],
  ): Promise<void> {
    checkRunId(runId);
    if (!Array.isArray(models)) {
      throw invalidParameter("models", models, "pass an array of { modelId, step }.");
    }
    const messages = models.map(({ modelId, step = 0 }) => {
      checkModelId(modelId);
      return { model_id: modelId, step };
    });
    // What was logged before comes before.
    const { store } = this;
    await loggingQueue.drain(store, runId);
    await callStore(store, spec.logOutputs, { run_id: runId, models: messages });
  }
}
