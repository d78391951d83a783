// A complete MLflow client for any runtime: the fluent functions and MlflowClient.

export * as artifacts from "./artifact-functions.js";
export type { TransferOptions, TransferProgress } from "./artifact-stores/artifact-store.js";
export {
  type AsyncLoggingOptions,
  enableAsyncLogging,
  flushAsyncLogging,
} from "./async-logging.js";
export type { MlflowClientOptions } from "./client/connection.js";
export type { CreateExperimentOptions } from "./client/experiments.js";
export type {
  CreateLoggedModelOptions,
  SearchLoggedModelsOptions,
} from "./client/logged-models.js";
export type {
  LogModelOptions,
  ModelInfo,
  ModelTarget,
} from "./client/model-logging.js";
export type { RegisterModelOptions, ResolvedModel } from "./client/model-uris.js";
export type { CreateModelVersionOptions } from "./client/model-versions.js";
export type { CreateRegisteredModelOptions } from "./client/registered-models.js";
export type { RegistrySearchOptions } from "./client/registry-requests.js";
export type { SearchOptions, ViewType } from "./client/requests.js";
export type { CreateRunOptions } from "./client/runs.js";
export { type LoadTableOptions, MlflowClient } from "./client.js";
export type { ConnectionOptions, RequestHeaders } from "./connection.js";
export * as data from "./datasets.js";
export type {
  ArtifactInfo,
  Dataset,
  DatasetInput,
  Experiment,
  LifecycleStage,
  Metric,
  ModelVersion,
  ModelVersionStage,
  Page,
  RegisteredModel,
  Run,
  RunData,
  RunInfo,
  RunInputs,
  RunOutputs,
  RunStatus,
} from "./entities.js";
export {
  AsyncLoggingError,
  type LostWrites,
  MlflowError,
  type MlflowErrorCode,
  type MlflowErrorDetails,
  UnknownOutcomeError,
} from "./errors.js";
export { setExperiment } from "./fluent/active-experiment.js";
export { clearActiveModel, getActiveModelId, setActiveModel } from "./fluent/active-model.js";
export {
  createExperiment,
  deleteExperiment,
  deleteExperimentTag,
  getExperiment,
  getExperimentByName,
  renameExperiment,
  restoreExperiment,
  searchExperiments,
  searchExperimentsIterator,
  setExperimentTag,
  setExperimentTags,
} from "./fluent/experiments.js";
export { getModelInfo } from "./fluent/model-info.js";
export {
  createExternalModel,
  deleteLoggedModelTag,
  finalizeLoggedModel,
  getLoggedModel,
  initializeLoggedModel,
  lastLoggedModel,
  lastLoggedModelId,
  logModel,
  logModelParams,
  logOutputs,
  searchLoggedModels,
  setLoggedModelTags,
} from "./fluent/models.js";
export {
  getModelVersion,
  registerModel,
  resolveModelUri,
  searchModelVersions,
  searchRegisteredModels,
  setModelVersionTag,
  setRegisteredModelAlias,
  transitionModelVersionStage,
} from "./fluent/registry.js";
export {
  deleteRun,
  getArtifactUri,
  getMetricHistory,
  getParentRun,
  getRun,
  loadTable,
  restoreRun,
  type SearchRunsOptions,
  searchRuns,
  searchRunsIterator,
} from "./fluent/runs.js";
export type { StartRunOptions } from "./fluent/start-run.js";
export {
  type ActiveRun,
  activeRun,
  deleteTag,
  endRun,
  lastActiveRun,
  logArtifact,
  logArtifacts,
  logBytes,
  logDict,
  logFigure,
  logImage,
  logInput,
  logInputs,
  logMetric,
  logMetrics,
  logParam,
  logParams,
  logTable,
  logText,
  setTag,
  setTags,
  startRun,
  withRun,
} from "./fluent.js";
export type { InputsOfRun, LogInputOptions } from "./input-writes.js";
export {
  type ArtifactUpload,
  addInterceptor,
  type Interceptor,
  interceptorCount,
  type StoreCall,
} from "./interceptor.js";
export type { LoggedModel, LoggedModelStatus, ModelMetric } from "./logged-model.js";
export type { RunOperations } from "./logging-queue.js";
export type { ModelFile, ModelSource } from "./models/model-files.js";
export * as onnx from "./models/onnx.js";
export type {
  ColumnSpec,
  ColumnType,
  ScalarType,
  Schema,
  TensorSpec,
} from "./models/schema.js";
export { inferSignature, type ModelSignature, type ParamSpec } from "./models/signature.js";
export type { TensorLike } from "./models/tensor.js";
export * as tfjs from "./models/tfjs.js";
export type { ImageOptions } from "./picture-writes.js";
export type {
  ArtifactBytes,
  BatchOfWrites,
  MetricOptions,
  MetricPoint,
  MetricTime,
  WriteOptions,
  Written,
} from "./run-writes.js";
export type { HttpMethod } from "./spec.js";
export {
  getRegistryUri,
  getTrackingUri,
  isTrackingUriSet,
  setRegistryUri,
  setTrackingUri,
} from "./store-uri.js";
export type { TableData } from "./tables.js";
export * as tensorflow from "./tensorflow/autolog.js";
export type { LoggableValue } from "./validation.js";
export { setWorkspace } from "./workspace.js";
