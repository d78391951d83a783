// Logged models in a store's folder: `<experiment>/models/<model id>`, beside the experiment's runs.
// Source: mlflow/store/tracking/file_store.py (3.17).
import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { numberToMessage } from "../entities.js";
import { MlflowError } from "../errors.js";
import type { KeyValueMessage, LoggedModelMessage, MetricMessage } from "../spec.js";
import { joinUri } from "../stores.js";
import { checkLoggedModelName, checkModelId, checkParamKey, checkTagKey } from "../validation.js";
import type { Experiments, FoundExperiment } from "./experiments.js";
import { isErrno } from "./file-errors.js";
import type { Searchable, SearchSchema } from "./filter.js";
import type { Layout } from "./layout.js";
import { doesNotExist, listed, refused } from "./messages.js";
import { type Meta, numberField, textField, writeMeta } from "./meta-file.js";
import {
  formatLine,
  latestPoint,
  type ModelPoint,
  parseModelLines,
  pointOfMessage,
} from "./metric-lines.js";
import { randomRunName } from "./run-names.js";
import {
  appendLines,
  listFolders,
  listKeys,
  mapInParallel,
  readValue,
  readValues,
  replaceFile,
} from "./value-files.js";

/** By the number that stands for each in meta.yaml. */
const STATUSES = ["UNSPECIFIED", "PENDING", "READY", "UPLOAD_FAILED"].map(
  (status) => `LOGGED_MODEL_${status}`,
);

export const LOGGED_MODEL_SCHEMA: SearchSchema = {
  entities: {
    metric: "metric",
    metrics: "metric",
    param: "parameter",
    params: "parameter",
    tag: "tag",
    tags: "tag",
    attribute: "attribute",
    attributes: "attribute",
  },
  textAttributes: ["name", "model_id", "model_type", "status", "source_run_id"],
  numericAttributes: ["creation_timestamp", "last_updated_timestamp"],
  listAttributes: ["name", "model_id", "model_type", "status", "source_run_id"],
  aliases: {
    creation_time: "creation_timestamp",
    last_updated_time: "last_updated_timestamp",
  },
};

export interface NewLoggedModel {
  readonly experimentId: string;
  readonly name?: string | undefined;
  readonly modelType?: string | undefined;
  readonly sourceRunId?: string | undefined;
  readonly params: readonly KeyValueMessage[];
  readonly tags: readonly KeyValueMessage[];
}

interface FoundModel {
  readonly folder: string;
  readonly meta: Meta;
}

function isDeleted(meta: Meta): boolean {
  return textField(meta, "lifecycle_stage") === "deleted";
}

function metricMessage(key: string, point: ModelPoint, modelId: string): MetricMessage {
  const { value, timestamp, step, runId, dataset } = point;
  return {
    key,
    value: numberToMessage(value),
    timestamp,
    step,
    run_id: runId,
    model_id: modelId,
    ...(dataset !== undefined && {
      dataset_name: dataset.name,
      dataset_digest: dataset.digest,
    }),
  };
}

export class LoggedModels {
  readonly #layout: Layout;
  readonly #experiments: Experiments;

  constructor(layout: Layout, experiments: Experiments) {
    this.#layout = layout;
    this.#experiments = experiments;
  }

  async #find(modelId: string): Promise<FoundModel> {
    checkModelId(modelId);
    const experiments = await this.#experiments.list("ALL");
    const found = await mapInParallel(experiments, (experiment) => this.#in(experiment, modelId));
    const model = found.find((one) => one !== undefined);
    if (model === undefined || isDeleted(model.meta)) {
      throw doesNotExist(`Logged model with ID '${modelId}' not found.`);
    }
    return model;
  }

  async #in(experiment: FoundExperiment, modelId: string): Promise<FoundModel | undefined> {
    const folder = join(experiment.folder, "models", modelId);
    const meta = await this.#layout.metas.read(folder);
    if (meta === undefined) return undefined;
    if (textField(meta, "experiment_id") === experiment.experimentId) return { folder, meta };
    throw new MlflowError(
      "INVALID_STATE",
      `'${join(folder, "meta.yaml")}' is that of another experiment; repair or remove it.`,
    );
  }

  async #message({ folder, meta }: FoundModel): Promise<LoggedModelMessage> {
    const [tags, params, metrics] = await Promise.all([
      readValues(join(folder, "tags")),
      readValues(join(folder, "params")),
      this.#metrics(folder, textField(meta, "model_id") ?? ""),
    ]);
    const optional = (key: string) => {
      const text = textField(meta, key);
      return text === undefined ? {} : { [key]: text };
    };
    return {
      info: {
        model_id: textField(meta, "model_id") ?? "",
        experiment_id: textField(meta, "experiment_id") ?? "",
        name: textField(meta, "name") ?? "",
        creation_timestamp_ms: numberField(meta, "creation_timestamp") ?? 0,
        last_updated_timestamp_ms: numberField(meta, "last_updated_timestamp") ?? 0,
        artifact_uri: textField(meta, "artifact_location") ?? "",
        status: STATUSES[numberField(meta, "status") ?? 0] ?? "LOGGED_MODEL_UNSPECIFIED",
        ...optional("model_type"),
        ...optional("source_run_id"),
        ...optional("status_message"),
        ...listed("tags", tags),
      },
      data: { ...listed("params", params), ...listed("metrics", metrics) },
    };
  }

  /** The latest point of each metric, for each dataset. */
  async #metrics(folder: string, modelId: string): Promise<MetricMessage[]> {
    const metrics = join(folder, "metrics");
    const found = await mapInParallel(await listKeys(metrics), async (key) => {
      const path = join(metrics, key);
      const points = parseModelLines((await readValue(path)) ?? "", path);
      const groups = new Map<string, ModelPoint[]>();
      for (const point of points) {
        const dataset = JSON.stringify(point.dataset ?? null);
        groups.set(dataset, [...(groups.get(dataset) ?? []), point]);
      }
      return Array.from(groups.values()).flatMap((group) => {
        const latest = latestPoint(group);
        return latest === undefined ? [] : [metricMessage(key, latest, modelId)];
      });
    });
    return found.flat();
  }

  async get(modelId: string): Promise<LoggedModelMessage> {
    return this.#message(await this.#find(modelId));
  }

  async create(model: NewLoggedModel): Promise<LoggedModelMessage> {
    const { experimentId, name, params, tags } = model;
    if (name !== undefined) checkLoggedModelName(name);
    for (const { key } of params) checkParamKey(key);
    for (const { key } of tags) checkTagKey(key);
    const experiment = await this.#experiments.getActive(experimentId);
    const modelId = `m-${randomUUID().replaceAll("-", "")}`;
    const folder = join(experiment.folder, "models", modelId);
    const location = textField(experiment.meta, "artifact_location") ?? "";
    await mkdir(join(folder, "metrics"), { recursive: true });
    await mkdir(join(folder, "params"));
    for (const param of params) await this.#writeValue(folder, "params", param);
    for (const tag of tags) await this.#writeValue(folder, "tags", tag);
    const now = Date.now();
    // Last, so that nobody finds a model that is not complete.
    await writeMeta(folder, {
      artifact_location: joinUri(location, `models/${modelId}/artifacts`),
      creation_timestamp: now,
      experiment_id: experimentId,
      last_updated_timestamp: now,
      lifecycle_stage: "active",
      model_id: modelId,
      model_type: model.modelType ?? null,
      name: name ?? randomRunName(),
      source_run_id: model.sourceRunId ?? null,
      status: STATUSES.indexOf("LOGGED_MODEL_PENDING"),
      status_message: null,
    });
    return this.get(modelId);
  }

  #writeValue(folder: string, kind: string, { key, value = "" }: KeyValueMessage): Promise<void> {
    return replaceFile(join(folder, kind, key), value, folder);
  }

  async #change(modelId: string, changes: Meta): Promise<void> {
    const { folder } = await this.#find(modelId);
    await this.#layout.queues.run(folder, async () => {
      const { meta } = await this.#find(modelId);
      await writeMeta(folder, { ...meta, ...changes, last_updated_timestamp: Date.now() });
    });
  }

  async finalize(modelId: string, status: string): Promise<LoggedModelMessage> {
    const number = STATUSES.indexOf(status);
    if (number < 0) throw refused(`Invalid status '${status}' of a logged model.`);
    await this.#change(modelId, { status: number });
    return this.get(modelId);
  }

  async delete(modelId: string): Promise<void> {
    await this.#change(modelId, { lifecycle_stage: "deleted" });
  }

  async setTags(modelId: string, tags: readonly KeyValueMessage[]): Promise<LoggedModelMessage> {
    for (const { key } of tags) checkTagKey(key);
    const { folder } = await this.#find(modelId);
    for (const tag of tags) await this.#writeValue(folder, "tags", tag);
    return this.get(modelId);
  }

  async deleteTag(modelId: string, key: string): Promise<void> {
    checkTagKey(key);
    const { folder } = await this.#find(modelId);
    try {
      await rm(join(folder, "tags", key));
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "ERR_FS_EISDIR")) throw error;
      throw doesNotExist(`No tag with key '${key}' found for model with ID '${modelId}'.`);
    }
  }

  async logParams(modelId: string, params: readonly KeyValueMessage[]): Promise<void> {
    for (const { key } of params) checkParamKey(key);
    const { folder } = await this.#find(modelId);
    for (const param of params) await this.#writeValue(folder, "params", param);
  }

  /** A point of a run's metric that measures this model. */
  async appendMetric(modelId: string, runId: string, message: MetricMessage): Promise<void> {
    const { folder } = await this.#find(modelId);
    const line = formatLine({ ...pointOfMessage(message), runId });
    await appendLines(join(folder, "metrics", message.key), line);
  }

  async list(experimentIds: readonly string[]): Promise<LoggedModelMessage[]> {
    const messages: LoggedModelMessage[] = [];
    for (const experimentId of new Set(experimentIds)) {
      const experiment = await this.#experiments.find(experimentId);
      if (experiment === undefined) continue;
      const ids = await listFolders(join(experiment.folder, "models"));
      const found = await mapInParallel(ids, async (id) => {
        const model = await this.#in(experiment, id);
        return model === undefined || isDeleted(model.meta) ? undefined : this.#message(model);
      });
      messages.push(...found.filter((message) => message !== undefined));
    }
    return messages;
  }
}

/** What a search looks at, of a logged model. */
export function searchableModel({ info = {}, data = {} }: LoggedModelMessage): Searchable {
  const record = (messages: readonly KeyValueMessage[] = []) =>
    Object.fromEntries(messages.map(({ key, value = "" }) => [key, value])) as Record<
      string,
      string
    >;
  const metrics = (data.metrics ?? []).map(({ key, value }) => [key, Number(value)]);
  return {
    metrics: Object.fromEntries(metrics) as Record<string, number>,
    params: record(data.params),
    tags: record(info.tags),
    attributes: {
      name: info.name,
      model_id: info.model_id,
      model_type: info.model_type,
      status: info.status?.replace("LOGGED_MODEL_", ""),
      source_run_id: info.source_run_id,
      creation_timestamp: Number(info.creation_timestamp_ms),
      last_updated_timestamp: Number(info.last_updated_timestamp_ms),
    },
  };
}
