// A complete MLflow client for any runtime: the fluent functions and MlflowClient.

export * as artifacts from "./artifact-functions.js";
export type { TransferOptions, TransferProgress } from "./artifact-stores/artifact-store.js";
export {
  type CreateExperimentOptions,
  type CreateModelVersionOptions,
  type CreateRegisteredModelOptions,
  type CreateRunOptions,
  MlflowClient,
  type MlflowClientOptions,
  type SearchOptions,
  type ViewType,
} from "./client.js";
export type {
  ArtifactInfo,
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
  RunStatus,
} from "./entities.js";
export { MlflowError, type MlflowErrorDetails } from "./errors.js";
export {
  type ActiveRun,
  activeRun,
  createExperiment,
  deleteRun,
  deleteTag,
  endRun,
  getExperiment,
  getExperimentByName,
  getMetricHistory,
  getModelVersion,
  getRun,
  lastActiveRun,
  logArtifact,
  logArtifacts,
  logBytes,
  logDict,
  logMetric,
  logMetrics,
  logParam,
  logParams,
  logText,
  registerModel,
  type SearchRunsOptions,
  type StartRunOptions,
  searchExperiments,
  searchRuns,
  setExperiment,
  setTag,
  setTags,
  startRun,
  transitionModelVersionStage,
  withRun,
} from "./fluent.js";
export {
  type ArtifactUpload,
  addInterceptor,
  type Interceptor,
  interceptorCount,
  type StoreCall,
} from "./interceptor.js";
export type { ArtifactBytes, BatchOfWrites, MetricOptions, MetricPoint } from "./run-writes.js";
export type { HttpMethod } from "./spec.js";
export { getRegistryUri, getTrackingUri, setRegistryUri, setTrackingUri } from "./store-uri.js";
export type { LoggableValue } from "./validation.js";
