// MLflow's REST interface as constants: per endpoint its method, route, and message types.
// Source: MLflow's service.proto, model_registry.proto and mlflow_artifacts.proto (3.17).

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/**
 * May a call be sent again when its first outcome is unknown? `true`: twice leaves the store as once.
 * `"by name"`: it creates something of a unique name, so that the second is refused. `false`: twice
 * makes two.
 */
export type Repeatable = boolean | "by name";

/** One REST endpoint; the type parameters are its request and response messages. */
export interface Endpoint<Request extends object, Response> {
  readonly method: HttpMethod;
  readonly route: string;
  readonly repeatable: Repeatable;
  /** Ties the message types to the constant; never present at run time. */
  readonly messages?: (request: Request) => Response;
}

function endpoint<Request extends object, Response = Empty>(
  method: HttpMethod,
  route: string,
  repeatable: Repeatable = true,
): Endpoint<Request, Response> {
  return { method, route, repeatable };
}

export type Empty = Record<never, never>;

/** MLflow's JSON writes the numbers that JSON lacks as the strings "NaN", "Infinity", "-Infinity". */
export type NumberMessage = number | string;

export type KeyValueMessage = { readonly key: string; readonly value?: string };
export type MetricMessage = {
  readonly key: string;
  readonly value?: NumberMessage;
  /** Milliseconds since the epoch. */
  readonly timestamp?: number | string;
  readonly step?: number | string;
  /** The logged model that was measured, and on which dataset. */
  readonly model_id?: string;
  readonly dataset_name?: string;
  readonly dataset_digest?: string;
  readonly run_id?: string;
};

export type ExperimentMessage = {
  readonly experiment_id: string;
  readonly name?: string;
  readonly artifact_location?: string;
  readonly lifecycle_stage?: string;
  readonly creation_time?: number | string;
  readonly last_update_time?: number | string;
  readonly tags?: readonly KeyValueMessage[];
};

export type RunInfoMessage = {
  readonly run_id?: string;
  readonly run_uuid?: string;
  readonly run_name?: string;
  readonly experiment_id?: string;
  readonly user_id?: string;
  readonly status?: string;
  readonly start_time?: number | string;
  readonly end_time?: number | string;
  readonly artifact_uri?: string;
  readonly lifecycle_stage?: string;
};
export type RunDataMessage = {
  readonly metrics?: readonly MetricMessage[];
  readonly params?: readonly KeyValueMessage[];
  readonly tags?: readonly KeyValueMessage[];
};
export type DatasetMessage = {
  readonly name: string;
  readonly digest: string;
  /** `http`, `local`, `s3`, `code` and so on. */
  readonly source_type?: string;
  /** JSON. */
  readonly source?: string;
  readonly schema?: string;
  readonly profile?: string;
};
export type DatasetInputMessage = {
  readonly tags?: readonly KeyValueMessage[];
  readonly dataset?: DatasetMessage;
};
export type ModelInputMessage = { readonly model_id: string };
export type ModelOutputMessage = { readonly model_id: string; readonly step?: number | string };
export type RunMessage = {
  readonly info?: RunInfoMessage;
  readonly data?: RunDataMessage;
  readonly inputs?: {
    readonly dataset_inputs?: readonly DatasetInputMessage[];
    readonly model_inputs?: readonly ModelInputMessage[];
  };
  readonly outputs?: { readonly model_outputs?: readonly ModelOutputMessage[] };
};

export type LoggedModelMessage = {
  readonly info?: {
    readonly model_id?: string;
    readonly experiment_id?: string;
    readonly name?: string;
    readonly creation_timestamp_ms?: number | string;
    readonly last_updated_timestamp_ms?: number | string;
    readonly artifact_uri?: string;
    /** `LOGGED_MODEL_PENDING`, `LOGGED_MODEL_READY` or `LOGGED_MODEL_UPLOAD_FAILED`. */
    readonly status?: string;
    readonly status_message?: string;
    readonly model_type?: string;
    readonly source_run_id?: string;
    readonly tags?: readonly KeyValueMessage[];
  };
  readonly data?: {
    readonly params?: readonly KeyValueMessage[];
    readonly metrics?: readonly MetricMessage[];
  };
};

export type ModelVersionMessage = {
  readonly name: string;
  readonly version: string;
  readonly creation_timestamp?: number | string;
  readonly last_updated_timestamp?: number | string;
  readonly current_stage?: string;
  readonly description?: string;
  readonly source?: string;
  readonly run_id?: string;
  readonly run_link?: string;
  readonly user_id?: string;
  readonly model_id?: string;
  readonly status?: string;
  readonly status_message?: string;
  readonly tags?: readonly KeyValueMessage[];
  readonly aliases?: readonly string[];
};
export type RegisteredModelMessage = {
  readonly name: string;
  readonly creation_timestamp?: number | string;
  readonly last_updated_timestamp?: number | string;
  readonly description?: string;
  readonly latest_versions?: readonly ModelVersionMessage[];
  readonly tags?: readonly KeyValueMessage[];
  readonly aliases?: readonly { readonly alias: string; readonly version: string }[];
};
export type FileInfoMessage = {
  readonly path: string;
  readonly is_dir?: boolean;
  readonly file_size?: number | string;
};

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };
type RunId = { readonly run_id: string };
type ExperimentId = { readonly experiment_id: string };
type ModelName = { readonly name: string };
type ModelNameVersion = { readonly name: string; readonly version: string };
type KeyValue = { readonly key: string; readonly value: string };
type Page = Optional<{ filter: string; max_results: number; page_token: string }>;
type Next = { readonly next_page_token?: string };
type VersionResponse = { readonly model_version?: ModelVersionMessage };
type ModelResponse = { readonly registered_model?: RegisteredModelMessage };

const TRACKING = "/api/2.0/mlflow";

export const createExperiment = endpoint<
  { readonly name: string } & Optional<{
    artifact_location: string;
    tags: readonly KeyValueMessage[];
  }>,
  { readonly experiment_id?: string }
>("POST", `${TRACKING}/experiments/create`, "by name");
export const getExperiment = endpoint<ExperimentId, { readonly experiment?: ExperimentMessage }>(
  "GET",
  `${TRACKING}/experiments/get`,
);
export const getExperimentByName = endpoint<
  { readonly experiment_name: string },
  { readonly experiment?: ExperimentMessage }
>("GET", `${TRACKING}/experiments/get-by-name`);
export const searchExperiments = endpoint<
  Page & Optional<{ order_by: readonly string[]; view_type: string }>,
  { readonly experiments?: readonly ExperimentMessage[] } & Next
>("POST", `${TRACKING}/experiments/search`);
export const deleteExperiment = endpoint<ExperimentId>("POST", `${TRACKING}/experiments/delete`);
export const restoreExperiment = endpoint<ExperimentId>("POST", `${TRACKING}/experiments/restore`);
export const updateExperiment = endpoint<ExperimentId & { readonly new_name: string }>(
  "POST",
  `${TRACKING}/experiments/update`,
);
export const deleteExperimentTag = endpoint<ExperimentId & { readonly key: string }>(
  "POST",
  `${TRACKING}/experiments/delete-experiment-tag`,
);
export const setExperimentTag = endpoint<ExperimentId & KeyValue>(
  "POST",
  `${TRACKING}/experiments/set-experiment-tag`,
);

export const createRun = endpoint<
  ExperimentId &
    Optional<{
      user_id: string;
      run_name: string;
      start_time: number;
      tags: readonly KeyValueMessage[];
    }>,
  { readonly run?: RunMessage }
>("POST", `${TRACKING}/runs/create`, false);
export const getRun = endpoint<RunId, { readonly run?: RunMessage }>("GET", `${TRACKING}/runs/get`);
export const updateRun = endpoint<
  RunId & Optional<{ status: string; end_time: number; run_name: string }>,
  { readonly run_info?: RunInfoMessage }
>("POST", `${TRACKING}/runs/update`);
export const deleteRun = endpoint<RunId>("POST", `${TRACKING}/runs/delete`);
export const restoreRun = endpoint<RunId>("POST", `${TRACKING}/runs/restore`);
export const searchRuns = endpoint<
  Page & {
    readonly experiment_ids: readonly string[];
  } & Optional<{ order_by: readonly string[]; run_view_type: string }>,
  { readonly runs?: readonly RunMessage[] } & Next
>("POST", `${TRACKING}/runs/search`);

export type LogMetricRequest = RunId & {
  readonly key: string;
  readonly value: NumberMessage;
  readonly timestamp: number;
  readonly step: number;
  readonly model_id?: string;
  readonly dataset_name?: string;
  readonly dataset_digest?: string;
};
export const logMetric = endpoint<LogMetricRequest>("POST", `${TRACKING}/runs/log-metric`);
export const logParam = endpoint<RunId & KeyValue>("POST", `${TRACKING}/runs/log-parameter`);
export const setTag = endpoint<RunId & KeyValue>("POST", `${TRACKING}/runs/set-tag`);
export const deleteTag = endpoint<RunId & { readonly key: string }>(
  "POST",
  `${TRACKING}/runs/delete-tag`,
);
export type LogBatchRequest = RunId &
  Optional<{
    metrics: readonly MetricMessage[];
    params: readonly KeyValueMessage[];
    tags: readonly KeyValueMessage[];
  }>;
export const logBatch = endpoint<LogBatchRequest>("POST", `${TRACKING}/runs/log-batch`);
export const logInputs = endpoint<
  RunId &
    Optional<{
      datasets: readonly DatasetInputMessage[];
      models: readonly ModelInputMessage[];
    }>
>("POST", `${TRACKING}/runs/log-inputs`);
export const logOutputs = endpoint<RunId & { readonly models: readonly ModelOutputMessage[] }>(
  "POST",
  `${TRACKING}/runs/outputs`,
);
/** `model_json` is the content of an `MLmodel` file as JSON: how servers before 3.0 know of a model. */
export const recordLoggedModel = endpoint<RunId & { readonly model_json: string }>(
  "POST",
  `${TRACKING}/runs/log-model`,
);
export const getMetricHistory = endpoint<
  RunId & { readonly metric_key: string } & Optional<{ max_results: number; page_token: string }>,
  { readonly metrics?: readonly MetricMessage[] } & Next
>("GET", `${TRACKING}/metrics/get-history`);
export const listArtifacts = endpoint<
  RunId & Optional<{ path: string; page_token: string }>,
  { readonly root_uri?: string; readonly files?: readonly FileInfoMessage[] } & Next
>("GET", `${TRACKING}/artifacts/list`);
/** `{path}` is the destination inside the server's artifact root; the file is the request's body. */
export const uploadArtifact = endpoint<Empty>("PUT", "/api/2.0/mlflow-artifacts/artifacts/{path}");

const PROXY = "/api/2.0/mlflow-artifacts";

export const listProxiedArtifacts = endpoint<
  Optional<{ path: string }>,
  { readonly files?: readonly FileInfoMessage[] }
>("GET", `${PROXY}/artifacts`);
export const downloadProxiedArtifact = endpoint<Empty>("GET", `${PROXY}/artifacts/{path}`);
export const removeProxiedArtifact = endpoint<Empty>("DELETE", `${PROXY}/artifacts/{path}`);
/** `{path}` is the destination's folder; `path` in the message is the file's name. */
export const createMultipart = endpoint<{ readonly path: string; readonly num_parts: number }>(
  "POST",
  `${PROXY}/mpu/create/{path}`,
  // Twice would be two uploads, of which one is never completed.
  false,
);
export const completeMultipart = endpoint<{ readonly path: string; readonly upload_id: string }>(
  "POST",
  `${PROXY}/mpu/complete/{path}`,
  false,
);
export const abortMultipart = endpoint<{ readonly path: string; readonly upload_id: string }>(
  "POST",
  `${PROXY}/mpu/abort/{path}`,
);
export const serverInfo = endpoint<Empty>("GET", "/api/3.0/mlflow/server-info");

type ModelId = { readonly model_id: string };
type LoggedModelResponse = { readonly model?: LoggedModelMessage };

export const createLoggedModel = endpoint<
  ExperimentId &
    Optional<{
      name: string;
      model_type: string;
      source_run_id: string;
      params: readonly KeyValueMessage[];
      tags: readonly KeyValueMessage[];
    }>,
  LoggedModelResponse
>("POST", `${TRACKING}/logged-models`, false);
export const getLoggedModel = endpoint<ModelId, LoggedModelResponse>(
  "GET",
  `${TRACKING}/logged-models/{model_id}`,
);
export const finalizeLoggedModel = endpoint<
  ModelId & { readonly status: string },
  LoggedModelResponse
>("PATCH", `${TRACKING}/logged-models/{model_id}`);
export const deleteLoggedModel = endpoint<ModelId>(
  "DELETE",
  `${TRACKING}/logged-models/{model_id}`,
);
export const searchLoggedModels = endpoint<
  Page & { readonly experiment_ids: readonly string[] } & Optional<{
      order_by: readonly { readonly field_name: string; readonly ascending: boolean }[];
    }>,
  { readonly models?: readonly LoggedModelMessage[] } & Next
>("POST", `${TRACKING}/logged-models/search`);
export const setLoggedModelTags = endpoint<
  ModelId & { readonly tags: readonly KeyValueMessage[] },
  LoggedModelResponse
>("PATCH", `${TRACKING}/logged-models/{model_id}/tags`);
export const deleteLoggedModelTag = endpoint<ModelId & { readonly tag_key: string }>(
  "DELETE",
  `${TRACKING}/logged-models/{model_id}/tags/{tag_key}`,
);
export const logLoggedModelParams = endpoint<
  ModelId & { readonly params: readonly KeyValueMessage[] }
>("POST", `${TRACKING}/logged-models/{model_id}/params`);

export const createRegisteredModel = endpoint<
  ModelName & Optional<{ tags: readonly KeyValueMessage[]; description: string }>,
  ModelResponse
>("POST", `${TRACKING}/registered-models/create`, "by name");
export const getRegisteredModel = endpoint<ModelName, ModelResponse>(
  "GET",
  `${TRACKING}/registered-models/get`,
);
export const renameRegisteredModel = endpoint<
  ModelName & { readonly new_name: string },
  ModelResponse
>("POST", `${TRACKING}/registered-models/rename`, false);
export const updateRegisteredModel = endpoint<
  ModelName & { readonly description: string },
  ModelResponse
>("PATCH", `${TRACKING}/registered-models/update`);
export const searchRegisteredModels = endpoint<
  Page & Optional<{ order_by: readonly string[] }>,
  { readonly registered_models?: readonly RegisteredModelMessage[] } & Next
>("GET", `${TRACKING}/registered-models/search`);
export const deleteRegisteredModelTag = endpoint<ModelName & { readonly key: string }>(
  "DELETE",
  `${TRACKING}/registered-models/delete-tag`,
);
export const deleteRegisteredModel = endpoint<ModelName>(
  "DELETE",
  `${TRACKING}/registered-models/delete`,
);
export const getLatestVersions = endpoint<
  ModelName & Optional<{ stages: readonly string[] }>,
  { readonly model_versions?: readonly ModelVersionMessage[] }
>("POST", `${TRACKING}/registered-models/get-latest-versions`);
export const setRegisteredModelTag = endpoint<ModelName & KeyValue>(
  "POST",
  `${TRACKING}/registered-models/set-tag`,
);
export const setRegisteredModelAlias = endpoint<ModelNameVersion & { readonly alias: string }>(
  "POST",
  `${TRACKING}/registered-models/alias`,
);
export const deleteRegisteredModelAlias = endpoint<ModelName & { readonly alias: string }>(
  "DELETE",
  `${TRACKING}/registered-models/alias`,
);
export const getModelVersionByAlias = endpoint<
  ModelName & { readonly alias: string },
  VersionResponse
>("GET", `${TRACKING}/registered-models/alias`);

export const createModelVersion = endpoint<
  { readonly name: string; readonly source: string } & Optional<{
    run_id: string;
    run_link: string;
    model_id: string;
    description: string;
    tags: readonly KeyValueMessage[];
  }>,
  VersionResponse
>("POST", `${TRACKING}/model-versions/create`, false);
export const getModelVersion = endpoint<ModelNameVersion, VersionResponse>(
  "GET",
  `${TRACKING}/model-versions/get`,
);
export const updateModelVersion = endpoint<
  ModelNameVersion & { readonly description: string },
  VersionResponse
>("PATCH", `${TRACKING}/model-versions/update`);
export const deleteModelVersion = endpoint<ModelNameVersion>(
  "DELETE",
  `${TRACKING}/model-versions/delete`,
);
export const transitionModelVersionStage = endpoint<
  ModelNameVersion & { readonly stage: string; readonly archive_existing_versions: boolean },
  VersionResponse
>("POST", `${TRACKING}/model-versions/transition-stage`);
export const setModelVersionTag = endpoint<ModelNameVersion & KeyValue>(
  "POST",
  `${TRACKING}/model-versions/set-tag`,
);
export const deleteModelVersionTag = endpoint<ModelNameVersion & { readonly key: string }>(
  "DELETE",
  `${TRACKING}/model-versions/delete-tag`,
);
export const searchModelVersions = endpoint<
  Page & Optional<{ order_by: readonly string[] }>,
  { readonly model_versions?: readonly ModelVersionMessage[] } & Next
>("GET", `${TRACKING}/model-versions/search`);
export const getModelVersionDownloadUri = endpoint<
  ModelNameVersion,
  { readonly artifact_uri?: string }
>("GET", `${TRACKING}/model-versions/get-download-uri`);
