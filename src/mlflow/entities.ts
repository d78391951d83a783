// What MLflow's messages mean to a program: runs, experiments, model versions, metrics.
import { MlflowError } from "./errors.js";
import type {
  DatasetInputMessage,
  ExperimentMessage,
  FileInfoMessage,
  KeyValueMessage,
  MetricMessage,
  ModelVersionMessage,
  NumberMessage,
  RegisteredModelMessage,
  RunInfoMessage,
  RunMessage,
} from "./spec.js";

export type RunStatus = "RUNNING" | "SCHEDULED" | "FINISHED" | "FAILED" | "KILLED";
export type LifecycleStage = "active" | "deleted";
export type ModelVersionStage = "None" | "Staging" | "Production" | "Archived";

export interface RunInfo {
  readonly runId: string;
  readonly runName: string | undefined;
  readonly experimentId: string;
  readonly userId: string | undefined;
  readonly status: RunStatus;
  /** Milliseconds since the epoch. */
  readonly startTime: number;
  /** Milliseconds since the epoch; undefined while the run is open. */
  readonly endTime: number | undefined;
  /** Root of the run's artifacts, such as `mlflow-artifacts:/0/<run>/artifacts`. */
  readonly artifactUri: string;
  readonly lifecycleStage: LifecycleStage;
}

export interface RunData {
  /** Latest value per metric: the one with the greatest step, then timestamp, then value. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

/** A dataset as MLflow keeps it: where it is from, what it looks like, and which content it had. */
export interface Dataset {
  readonly name: string;
  /** Identifies the content. */
  readonly digest: string;
  /** `http`, `local`, `s3`, `code` and so on. */
  readonly sourceType: string;
  /** JSON, of a shape that `sourceType` says. */
  readonly source: string;
  /** JSON: MLflow's schema of columns or tensors. */
  readonly schema: string | undefined;
  /** JSON: numbers about the content, such as its rows. */
  readonly profile: string | undefined;
}

export interface DatasetInput {
  readonly dataset: Dataset;
  /** `mlflow.data.context` says what it was used for. */
  readonly tags: Readonly<Record<string, string>>;
}

export interface RunInputs {
  readonly datasetInputs: readonly DatasetInput[];
  readonly modelInputs: readonly { readonly modelId: string }[];
}

export interface RunOutputs {
  readonly modelOutputs: readonly { readonly modelId: string; readonly step: number }[];
}

export interface Run {
  readonly info: RunInfo;
  readonly data: RunData;
  /** Datasets and models that the run used. */
  readonly inputs: RunInputs;
  /** Models that the run made. */
  readonly outputs: RunOutputs;
}

/** One point of a metric. */
export interface Metric {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly step: number;
}

export interface Experiment {
  readonly experimentId: string;
  readonly name: string;
  readonly artifactLocation: string;
  readonly lifecycleStage: LifecycleStage;
  /** Milliseconds since the epoch. */
  readonly creationTime: number | undefined;
  readonly lastUpdateTime: number | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

export interface ModelVersion {
  readonly name: string;
  /** A whole number from 1, as text. */
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly creationTimestamp: number | undefined;
  readonly lastUpdatedTimestamp: number | undefined;
  readonly currentStage: string;
  readonly description: string;
  /** URI of the model's files. */
  readonly source: string;
  readonly runId: string | undefined;
  readonly modelId: string | undefined;
  /** `READY`, `PENDING_REGISTRATION` or `FAILED_REGISTRATION`. */
  readonly status: string;
  readonly statusMessage: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly aliases: readonly string[];
}

export interface RegisteredModel {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly creationTimestamp: number | undefined;
  readonly lastUpdatedTimestamp: number | undefined;
  readonly description: string;
  readonly latestVersions: readonly ModelVersion[];
  readonly tags: Readonly<Record<string, string>>;
  /** Alias to version. */
  readonly aliases: Readonly<Record<string, string>>;
}

export interface ArtifactInfo {
  /** `/`-separated path below the run's artifact root. */
  readonly path: string;
  readonly isDirectory: boolean;
  /** Undefined for a folder. */
  readonly sizeBytes: number | undefined;
}

/** A page of results; `nextPageToken` asks for the next one and is undefined on the last. */
export type Page<T> = readonly T[] & { readonly nextPageToken: string | undefined };

export function pageOf<T>(items: T[], nextPageToken: string | undefined): Page<T> {
  // Not enumerable, so that a page prints and compares like the array it is.
  Object.defineProperty(items, "nextPageToken", {
    value: nextPageToken === "" ? undefined : nextPageToken,
  });
  return items as unknown as Page<T>;
}

/** A number as MLflow's JSON carries it. */
export function numberToMessage(value: number): NumberMessage {
  return Number.isFinite(value) ? value : String(value);
}

/** The reverse: `"NaN"` and the infinities come as text, and so do 64-bit integers at times. */
export function numberFromMessage(value: NumberMessage | undefined): number {
  return value === undefined ? 0 : Number(value);
}

export function timeFromMessage(value: number | string | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

/**
 * The messages of a list, which may be left out. Throws MlflowError `INVALID_RESPONSE` for what is no list of messages.
 */
export function messagesIn<T>(list: readonly T[] | undefined, field: string): readonly T[] {
  if (list === undefined || list === null) return [];
  if (Array.isArray(list) && list.every((one) => typeof one === "object" && one !== null))
    return list;
  throw new MlflowError(
    "INVALID_RESPONSE",
    `MLflow's answer has no list in '${field}'. Is the tracking URI that of an MLflow server?`,
  );
}

export function recordOf(entries: readonly KeyValueMessage[] | undefined): Record<string, string> {
  // Object.fromEntries defines properties, so a key like "__proto__" stays a key.
  return Object.fromEntries(
    messagesIn(entries, "params or tags").map(({ key, value }) => [key, value ?? ""]),
  );
}

export function textOf(value: string | undefined): string | undefined {
  return value === undefined || value === "" ? undefined : value;
}

/** A field without which the answer makes no sense. Throws MlflowError `INVALID_RESPONSE`. */
export function required<T>(value: T | undefined, field: string): T {
  if (value === undefined || value === null) {
    throw new MlflowError(
      "INVALID_RESPONSE",
      `MLflow's answer lacks '${field}'. Is the tracking URI that of an MLflow server?`,
    );
  }
  return value;
}

export function runInfoFromMessage(message: RunInfoMessage): RunInfo {
  const runId = required(textOf(message.run_id) ?? textOf(message.run_uuid), "run.info.run_id");
  return {
    runId,
    runName: textOf(message.run_name),
    experimentId: message.experiment_id ?? "0",
    userId: textOf(message.user_id),
    status: (message.status ?? "RUNNING") as RunStatus,
    startTime: timeFromMessage(message.start_time) ?? 0,
    endTime: timeFromMessage(message.end_time),
    artifactUri: message.artifact_uri ?? "",
    lifecycleStage: message.lifecycle_stage === "deleted" ? "deleted" : "active",
  };
}

function datasetInputFromMessage({ dataset, tags }: DatasetInputMessage): DatasetInput {
  const found = required(dataset, "dataset_inputs.dataset");
  return {
    dataset: {
      name: found.name,
      digest: found.digest,
      sourceType: found.source_type ?? "",
      source: found.source ?? "",
      schema: textOf(found.schema),
      profile: textOf(found.profile),
    },
    tags: recordOf(tags),
  };
}

export function runFromMessage(message: RunMessage | undefined): Run {
  const run = required(message, "run");
  const metrics = messagesIn(run.data?.metrics, "run.metrics").map(({ key, value }) => [
    key,
    numberFromMessage(value),
  ]);
  return {
    info: runInfoFromMessage(required(run.info, "run.info")),
    data: {
      metrics: Object.fromEntries(metrics) as Record<string, number>,
      params: recordOf(run.data?.params),
      tags: recordOf(run.data?.tags),
    },
    inputs: {
      datasetInputs: messagesIn(run.inputs?.dataset_inputs, "run.dataset_inputs").map(
        datasetInputFromMessage,
      ),
      modelInputs: messagesIn(run.inputs?.model_inputs, "run.model_inputs").map(({ model_id }) => ({
        modelId: model_id,
      })),
    },
    outputs: {
      modelOutputs: messagesIn(run.outputs?.model_outputs, "run.model_outputs").map(
        ({ model_id, step }) => ({
          modelId: model_id,
          step: numberFromMessage(step),
        }),
      ),
    },
  };
}

export function artifactFromMessage(message: FileInfoMessage): ArtifactInfo {
  const isDirectory = message.is_dir === true;
  const sizeBytes = isDirectory ? undefined : numberFromMessage(message.file_size);
  return { path: message.path, isDirectory, sizeBytes };
}

export function metricFromMessage(message: MetricMessage): Metric {
  return {
    key: message.key,
    value: numberFromMessage(message.value),
    timestamp: numberFromMessage(message.timestamp),
    step: numberFromMessage(message.step),
  };
}

export function experimentFromMessage(message: ExperimentMessage | undefined): Experiment {
  const experiment = required(message, "experiment");
  return {
    experimentId: required(experiment.experiment_id, "experiment.experiment_id"),
    name: experiment.name ?? "",
    artifactLocation: experiment.artifact_location ?? "",
    lifecycleStage: experiment.lifecycle_stage === "deleted" ? "deleted" : "active",
    creationTime: timeFromMessage(experiment.creation_time),
    lastUpdateTime: timeFromMessage(experiment.last_update_time),
    tags: recordOf(experiment.tags),
  };
}

export function modelVersionFromMessage(message: ModelVersionMessage | undefined): ModelVersion {
  const version = required(message, "model_version");
  return {
    name: required(version.name, "model_version.name"),
    version: String(required(version.version, "model_version.version")),
    creationTimestamp: timeFromMessage(version.creation_timestamp),
    lastUpdatedTimestamp: timeFromMessage(version.last_updated_timestamp),
    currentStage: version.current_stage ?? "None",
    description: version.description ?? "",
    source: version.source ?? "",
    runId: textOf(version.run_id),
    modelId: textOf(version.model_id),
    status: version.status ?? "READY",
    statusMessage: textOf(version.status_message),
    tags: recordOf(version.tags),
    aliases: version.aliases ?? [],
  };
}

export function registeredModelFromMessage(
  message: RegisteredModelMessage | undefined,
): RegisteredModel {
  const model = required(message, "registered_model");
  return {
    name: required(model.name, "registered_model.name"),
    creationTimestamp: timeFromMessage(model.creation_timestamp),
    lastUpdatedTimestamp: timeFromMessage(model.last_updated_timestamp),
    description: model.description ?? "",
    latestVersions: messagesIn(model.latest_versions, "registered_model.latest_versions").map(
      modelVersionFromMessage,
    ),
    tags: recordOf(model.tags),
    aliases: Object.fromEntries(
      messagesIn(model.aliases, "registered_model.aliases").map(({ alias, version }) => [
        alias,
        String(version),
      ]),
    ),
  };
}
