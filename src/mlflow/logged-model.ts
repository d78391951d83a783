// MLflow 3's logged models as a program sees them.
import {
  type Metric,
  messagesIn,
  metricFromMessage,
  recordOf,
  required,
  textOf,
  timeFromMessage,
} from "./entities.js";
import type { LoggedModelMessage } from "./spec.js";

export type LoggedModelStatus = "PENDING" | "READY" | "UPLOAD_FAILED";

/** A metric of a model: of which run, and on which dataset. */
export interface ModelMetric extends Metric {
  readonly runId: string | undefined;
  readonly datasetName: string | undefined;
  readonly datasetDigest: string | undefined;
}

/** A model that was logged: an entity beside runs, since MLflow 3. */
export interface LoggedModel {
  /** Such as `m-0123…`; `models:/<model id>` means this model. */
  readonly modelId: string;
  readonly experimentId: string;
  readonly name: string;
  /** URI of the folder that holds the `MLmodel` file. */
  readonly artifactLocation: string;
  /** Milliseconds since the epoch. */
  readonly creationTimestamp: number | undefined;
  readonly lastUpdatedTimestamp: number | undefined;
  readonly sourceRunId: string | undefined;
  readonly status: LoggedModelStatus;
  readonly statusMessage: string | undefined;
  readonly modelType: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, string>>;
  readonly metrics: readonly ModelMetric[];
  readonly modelUri: string;
}

const STATUS_PREFIX = "LOGGED_MODEL_";

function statusFromMessage(status: string | undefined): LoggedModelStatus {
  return (status ?? "").replace(STATUS_PREFIX, "") as LoggedModelStatus;
}

/** As MLflow's messages name it. */
export function statusToMessage(status: LoggedModelStatus): string {
  return STATUS_PREFIX + status;
}

export function loggedModelFromMessage(message: LoggedModelMessage | undefined): LoggedModel {
  const { info, data } = required(message, "model");
  const found = required(info, "model.info");
  const modelId = required(textOf(found.model_id), "model.info.model_id");
  return {
    modelId,
    experimentId: found.experiment_id ?? "0",
    name: found.name ?? "",
    artifactLocation: found.artifact_uri ?? "",
    creationTimestamp: timeFromMessage(found.creation_timestamp_ms),
    lastUpdatedTimestamp: timeFromMessage(found.last_updated_timestamp_ms),
    sourceRunId: textOf(found.source_run_id),
    status: statusFromMessage(found.status),
    statusMessage: textOf(found.status_message),
    modelType: textOf(found.model_type),
    tags: recordOf(found.tags),
    params: recordOf(data?.params),
    metrics: messagesIn(data?.metrics, "model.data.metrics").map((metric) => ({
      ...metricFromMessage(metric),
      runId: textOf(metric.run_id),
      datasetName: textOf(metric.dataset_name),
      datasetDigest: textOf(metric.dataset_digest),
    })),
    modelUri: `models:/${modelId}`,
  };
}
