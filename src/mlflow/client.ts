// Every MLflow call by explicit id: experiments, runs, artifacts, the model registry.
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { checkTransfer } from "./artifact-stores/download.js";
import { type ArtifactContext, downloadPlace, runPlace } from "./artifact-stores/read.js";
import {
  type ArtifactInfo,
  type Experiment,
  experimentFromMessage,
  type Metric,
  type ModelVersion,
  metricFromMessage,
  modelVersionFromMessage,
  numberFromMessage,
  type Page,
  pageOf,
  type RegisteredModel,
  type Run,
  type RunInfo,
  type RunStatus,
  registeredModelFromMessage,
  required,
  runFromMessage,
  runInfoFromMessage,
} from "./entities.js";
import { hasCode, invalidParameter, MlflowError } from "./errors.js";
import { rememberExperimentName } from "./experiment-names.js";
import {
  type ArtifactBytes,
  type ArtifactRoot,
  type BatchOfWrites,
  batchWrite,
  bytesArtifact,
  dictArtifact,
  localArtifact,
  localArtifacts,
  type MetricOptions,
  metricWrite,
  paramWrite,
  type RunWrite,
  tagMessages,
  tagRemoval,
  tagWrite,
  textArtifact,
} from "./run-writes.js";
import type { KeyValueMessage } from "./spec.js";
import * as spec from "./spec.js";
import { explicitRegistryUri, getTrackingUri, locateStore } from "./store-uri.js";
import { callStore, joinUri, openStore, type Store } from "./stores.js";
import {
  canonicalStage,
  checkAlias,
  checkArtifactPath,
  checkExperimentId,
  checkExperimentName,
  checkMaxResults,
  checkMetricKey,
  checkModelName,
  checkNewAlias,
  checkOptions,
  checkRecord,
  checkRunId,
  checkRunName,
  checkRunStatus,
  checkTagKey,
  checkTerminalStatus,
  checkTime,
  experimentTagValue,
  type LoggableValue,
  modelVersionNumber,
  registryTagValue,
} from "./validation.js";

/** Runs whose artifact root is remembered, and experiment names whose id is; as many as Python. */
const MAX_REMEMBERED = 1024;
const DEFAULT_PAGE = 1000;

export type ViewType = "ACTIVE_ONLY" | "DELETED_ONLY" | "ALL";
const VIEW_TYPES: readonly string[] = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

export interface MlflowClientOptions {
  readonly trackingUri?: string | undefined;
  /** The tracking URI when left out, unless `setRegistryUri` or `MLFLOW_REGISTRY_URI` name another. */
  readonly registryUri?: string | undefined;
}

export interface SearchOptions {
  /** Such as `metrics.accuracy > 0.9 and tags.team = 'search'`. */
  readonly filterString?: string | undefined;
  /** Such as `["metrics.accuracy DESC"]`. */
  readonly orderBy?: readonly string[] | undefined;
  /** Most results of one page, 1 to 50000; 1000 when left out. */
  readonly maxResults?: number | undefined;
  readonly viewType?: ViewType | undefined;
  /** `nextPageToken` of the page before. */
  readonly pageToken?: string | undefined;
}

export interface CreateExperimentOptions {
  readonly artifactLocation?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

export interface CreateRunOptions {
  /** The store invents one when left out. */
  readonly runName?: string | undefined;
  /** Milliseconds since the epoch, now when left out. */
  readonly startTime?: number | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

export interface CreateRegisteredModelOptions {
  readonly description?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

export interface CreateModelVersionOptions extends CreateRegisteredModelOptions {
  readonly runId?: string | undefined;
  readonly runLink?: string | undefined;
  readonly modelId?: string | undefined;
}

const SEARCH_OPTIONS = ["filterString", "orderBy", "maxResults", "viewType", "pageToken"];

function searchRequest(options: SearchOptions) {
  checkOptions("search options", options, SEARCH_OPTIONS);
  const { filterString, orderBy, maxResults = DEFAULT_PAGE, viewType, pageToken } = options;
  checkMaxResults(maxResults);
  if (viewType !== undefined && !VIEW_TYPES.includes(viewType)) {
    throw invalidParameter("viewType", viewType, `use one of ${VIEW_TYPES.join(", ")}.`);
  }
  if (orderBy !== undefined && !Array.isArray(orderBy)) {
    throw invalidParameter("orderBy", orderBy, 'pass an array, such as ["start_time DESC"].');
  }
  checkText("filterString", filterString);
  checkText("pageToken", pageToken);
  const request = { max_results: maxResults, page_token: pageToken, order_by: orderBy };
  return { request: { ...request, filter: filterString }, viewType };
}

function checkText(field: string, value: unknown): void {
  if (value !== undefined && typeof value !== "string") {
    throw invalidParameter(field, value, "pass a text, or leave it out.");
  }
}

function tagsWith(
  write: (key: string, value: unknown) => string,
  tags: Readonly<Record<string, LoggableValue>> | undefined,
): KeyValueMessage[] | undefined {
  if (tags === undefined) return undefined;
  checkRecord("tags", tags);
  return Object.entries(tags).map(([key, value]) => {
    checkTagKey(key);
    return { key, value: write(key, value) };
  });
}

function remember<V>(memory: Map<string, V>, key: string, value: V): void {
  memory.delete(key);
  memory.set(key, value);
  if (memory.size > MAX_REMEMBERED) {
    for (const oldest of memory.keys()) {
      memory.delete(oldest);
      break;
    }
  }
}

/**
 * An MLflow server, or a folder in MLflow's layout. Every method rejects with MlflowError; what MLflow
 * forbids is refused before anything is sent.
 */
export class MlflowClient {
  readonly #store: Store;
  readonly #registryUri: string;
  #registryStore: Store | undefined;
  readonly #experimentIds = new Map<string, string>();
  readonly #experimentsUnderway = new Map<string, Promise<string | undefined>>();
  readonly #runs = new Map<string, ArtifactRoot>();

  /** Throws MlflowError `INVALID_PARAMETER_VALUE` for a URI that this client cannot use. */
  constructor(options: MlflowClientOptions = {}) {
    checkOptions("MlflowClient", options, ["trackingUri", "registryUri"]);
    const trackingUri = options.trackingUri ?? getTrackingUri();
    if (options.registryUri !== undefined) locateStore(options.registryUri);
    this.#store = openStore(trackingUri);
    this.#registryUri = options.registryUri ?? explicitRegistryUri() ?? trackingUri;
    if (this.#registryUri === trackingUri) this.#registryStore = this.#store;
  }

  /** Without credentials. */
  get trackingUri(): string {
    return this.#store.uri;
  }

  /** Opened when first used, so that an unusable registry does not stop the tracking. */
  get #registry(): Store {
    this.#registryStore ??= openStore(this.#registryUri);
    return this.#registryStore;
  }

  // ── experiments ────────────────────────────────────────────────────────────────────────────────

  /** Answers the new experiment's id. */
  async createExperiment(name: string, options: CreateExperimentOptions = {}): Promise<string> {
    checkExperimentName(name);
    checkOptions("createExperiment", options, ["artifactLocation", "tags"]);
    checkText("artifactLocation", options.artifactLocation);
    const { experiment_id } = await callStore(this.#store, spec.createExperiment, {
      name,
      artifact_location: options.artifactLocation,
      tags: tagsWith(experimentTagValue, options.tags),
    });
    const experimentId = required(experiment_id, "experiment_id");
    this.#remember(name, experimentId);
    return experimentId;
  }

  async getExperiment(experimentId: string): Promise<Experiment> {
    checkExperimentId(experimentId);
    const request = { experiment_id: experimentId };
    const { experiment } = await callStore(this.#store, spec.getExperiment, request);
    const found = experimentFromMessage(experiment);
    rememberExperimentName(this.#store.uri, found.experimentId, found.name);
    return found;
  }

  /** Undefined when there is none of this name; a deleted experiment is found too. */
  async getExperimentByName(name: string): Promise<Experiment | undefined> {
    checkExperimentName(name);
    try {
      const request = { experiment_name: name };
      const { experiment } = await callStore(this.#store, spec.getExperimentByName, request);
      const found = experimentFromMessage(experiment);
      if (found.lifecycleStage === "active") this.#remember(name, found.experimentId);
      return found;
    } catch (error) {
      if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
      throw error;
    }
  }

  /**
   * The id of the active experiment of this name, which is created when there is none. Remembered:
   * only the first use of a name asks the store.
   */
  async findOrCreateExperiment(name: string): Promise<string> {
    const known = this.#experimentIds.get(name);
    if (known !== undefined) return known;
    // Whoever comes second waits, so that the experiment is created once. A failure is the first
    // one's own: it may have been refused for a reason that does not hold for others.
    const underway = this.#experimentsUnderway.get(name);
    if (underway !== undefined) {
      const found = await underway;
      if (found !== undefined) return found;
    }
    const own = this.#findOrCreate(name);
    const watched = own.catch(() => undefined);
    this.#experimentsUnderway.set(name, watched);
    try {
      return await own;
    } finally {
      if (this.#experimentsUnderway.get(name) === watched) this.#experimentsUnderway.delete(name);
    }
  }

  async #findOrCreate(name: string): Promise<string> {
    const experiment = await this.getExperimentByName(name);
    if (experiment !== undefined) return activeIdOf(experiment);
    try {
      return await this.createExperiment(name);
    } catch (error) {
      // Another process was faster.
      if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
      const other = await this.getExperimentByName(name);
      if (other === undefined) throw error;
      return activeIdOf(other);
    }
  }

  #remember(name: string, experimentId: string): void {
    rememberExperimentName(this.#store.uri, experimentId, name);
    remember(this.#experimentIds, name, experimentId);
  }

  #forgetExperiment(experimentId: string): void {
    for (const [name, id] of this.#experimentIds) {
      if (id === experimentId) this.#experimentIds.delete(name);
    }
  }

  async searchExperiments(options: SearchOptions = {}): Promise<Page<Experiment>> {
    const { request, viewType } = searchRequest(options);
    const { experiments = [], next_page_token } = await callStore(
      this.#store,
      spec.searchExperiments,
      { ...request, view_type: viewType },
    );
    return pageOf(experiments.map(experimentFromMessage), next_page_token);
  }

  /** Marks an experiment and its runs as deleted; no byte is freed. */
  async deleteExperiment(experimentId: string): Promise<void> {
    checkExperimentId(experimentId);
    this.#forgetExperiment(experimentId);
    await callStore(this.#store, spec.deleteExperiment, { experiment_id: experimentId });
  }

  async restoreExperiment(experimentId: string): Promise<void> {
    checkExperimentId(experimentId);
    await callStore(this.#store, spec.restoreExperiment, { experiment_id: experimentId });
  }

  async setExperimentTag(experimentId: string, key: string, value: LoggableValue): Promise<void> {
    checkExperimentId(experimentId);
    checkTagKey(key);
    const text = experimentTagValue(key, value);
    const request = { experiment_id: experimentId, key, value: text };
    await callStore(this.#store, spec.setExperimentTag, request);
  }

  // ── runs ───────────────────────────────────────────────────────────────────────────────────────

  async createRun(experimentId: string, options: CreateRunOptions = {}): Promise<Run> {
    checkExperimentId(experimentId);
    checkOptions("createRun", options, ["runName", "startTime", "tags"]);
    const { runName, startTime = Date.now(), tags = {} } = options;
    if (runName !== undefined) checkRunName(runName);
    checkTime("startTime", startTime);
    const messages = tagMessages(tags);
    try {
      const { run } = await callStore(this.#store, spec.createRun, {
        experiment_id: experimentId,
        user_id: messages.find(({ key }) => key === "mlflow.user")?.value,
        run_name: runName,
        start_time: startTime,
        tags: messages,
      });
      return this.#learn(runFromMessage(run));
    } catch (error) {
      // It may have been deleted since it was remembered.
      this.#forgetExperiment(experimentId);
      throw error;
    }
  }

  #learn(run: Run): Run {
    const { runId, experimentId, artifactUri, lifecycleStage } = run.info;
    if (lifecycleStage === "active") remember(this.#runs, runId, { experimentId, artifactUri });
    return run;
  }

  async getRun(runId: string): Promise<Run> {
    checkRunId(runId);
    const { run } = await callStore(this.#store, spec.getRun, { run_id: runId });
    return this.#learn(runFromMessage(run));
  }

  /** Where a run's artifacts go, and its experiment; asks the store only about a run never seen. */
  async artifactRoot(runId: string): Promise<ArtifactRoot> {
    const known = this.#runs.get(runId);
    if (known !== undefined) return known;
    const { experimentId, artifactUri } = (await this.getRun(runId)).info;
    return { experimentId, artifactUri };
  }

  /** The experiment of a run that is to have a child; asks the store only about a run never seen. */
  async experimentOfParent(runId: string): Promise<string> {
    const known = this.#runs.get(runId);
    if (known !== undefined) return known.experimentId;
    const { experimentId, lifecycleStage } = (await this.getRun(runId)).info;
    if (lifecycleStage === "active") return experimentId;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Run '${runId}' cannot be a parent because it is deleted. Restore it with restoreRun() of MlflowClient.`,
    );
  }

  /** Changes status or name, nothing else: to end a run with its time, use `setTerminated`. */
  async updateRun(
    runId: string,
    changes: { readonly status?: RunStatus | undefined; readonly runName?: string | undefined },
  ): Promise<RunInfo> {
    checkRunId(runId);
    checkOptions("updateRun", changes, ["status", "runName"]);
    const { status, runName } = changes;
    if (status !== undefined) checkRunStatus(status);
    if (runName !== undefined) checkRunName(runName);
    const { run_info } = await callStore(this.#store, spec.updateRun, {
      run_id: runId,
      status,
      run_name: runName,
    });
    return runInfoFromMessage(required(run_info, "run_info"));
  }

  /** Ends a run, now unless told otherwise. */
  async setTerminated(
    runId: string,
    status: RunStatus = "FINISHED",
    endTime: number = Date.now(),
  ): Promise<void> {
    checkRunId(runId);
    checkTerminalStatus(status);
    checkTime("endTime", endTime);
    await callStore(this.#store, spec.updateRun, { run_id: runId, status, end_time: endTime });
  }

  /** Marks a run as deleted; no byte is freed. */
  async deleteRun(runId: string): Promise<void> {
    checkRunId(runId);
    this.#runs.delete(runId);
    await callStore(this.#store, spec.deleteRun, { run_id: runId });
  }

  async restoreRun(runId: string): Promise<void> {
    checkRunId(runId);
    await callStore(this.#store, spec.restoreRun, { run_id: runId });
  }

  async searchRuns(
    experimentIds: readonly string[],
    options: SearchOptions = {},
  ): Promise<Page<Run>> {
    if (!Array.isArray(experimentIds)) {
      throw invalidParameter("experimentIds", experimentIds, "pass an array of experiment ids.");
    }
    experimentIds.forEach(checkExperimentId);
    const { request, viewType } = searchRequest(options);
    const { runs = [], next_page_token } = await callStore(this.#store, spec.searchRuns, {
      ...request,
      experiment_ids: experimentIds,
      run_view_type: viewType,
    });
    return pageOf(runs.map(runFromMessage), next_page_token);
  }

  /** Every point of a metric; empty when there is none of this name. */
  async getMetricHistory(runId: string, key: string): Promise<Metric[]> {
    checkRunId(runId);
    checkMetricKey(key);
    const points: Metric[] = [];
    let pageToken: string | undefined;
    do {
      const { metrics = [], next_page_token } = await callStore(
        this.#store,
        spec.getMetricHistory,
        { run_id: runId, metric_key: key, page_token: pageToken },
      );
      for (const message of metrics) points.push(metricFromMessage(message));
      pageToken = next_page_token === "" ? undefined : next_page_token;
    } while (pageToken !== undefined);
    return points;
  }

  // ── what is written to a run ───────────────────────────────────────────────────────────────────

  /** Sends a checked write to a run. */
  async write(runId: string, write: RunWrite): Promise<void> {
    checkRunId(runId);
    await write({ store: this.#store, runId, artifacts: () => this.artifactRoot(runId) });
  }

  async logMetric(
    runId: string,
    key: string,
    value: number,
    options?: MetricOptions | number,
  ): Promise<void> {
    await this.write(runId, metricWrite(key, value, options));
  }

  /** A param is written once: another value for the same name is refused. */
  async logParam(runId: string, key: string, value: LoggableValue): Promise<void> {
    await this.write(runId, paramWrite(key, value));
  }

  async setTag(runId: string, key: string, value: LoggableValue): Promise<void> {
    await this.write(runId, tagWrite(key, value));
  }

  async deleteTag(runId: string, key: string): Promise<void> {
    await this.write(runId, tagRemoval(key));
  }

  /** Together, in as few requests as MLflow's limits allow; none when there is nothing. */
  async logBatch(runId: string, batch: BatchOfWrites): Promise<void> {
    await this.write(runId, batchWrite(batch));
  }

  /** A local file, below `artifactPath`; a folder goes there with its name. */
  async logArtifact(
    runId: string,
    localPath: string,
    artifactPath?: string,
    options?: TransferOptions,
  ): Promise<void> {
    checkRunId(runId);
    await this.write(runId, await localArtifact(localPath, artifactPath, options));
  }

  /** Every file in a local folder, below `artifactPath`. */
  async logArtifacts(
    runId: string,
    localDirectory: string,
    artifactPath?: string,
    options?: TransferOptions,
  ): Promise<void> {
    checkRunId(runId);
    await this.write(runId, await localArtifacts(localDirectory, artifactPath, options));
  }

  async logText(
    runId: string,
    text: string,
    artifactFile: string,
    options?: TransferOptions,
  ): Promise<void> {
    await this.write(runId, textArtifact(text, artifactFile, options));
  }

  /** As YAML when the name ends in `.yaml` or `.yml`, else as JSON. */
  async logDict(
    runId: string,
    dictionary: object,
    artifactFile: string,
    options?: TransferOptions,
  ): Promise<void> {
    await this.write(runId, dictArtifact(dictionary, artifactFile, options));
  }

  /** From memory, from a Blob, or from a stream, which is kept first. */
  async logBytes(
    runId: string,
    bytes: ArtifactBytes,
    artifactFile: string,
    options?: TransferOptions,
  ): Promise<void> {
    await this.write(runId, bytesArtifact(bytes, artifactFile, options));
  }

  /** Where this client finds artifacts, for whatever reads them. */
  get artifactContext(): ArtifactContext {
    return { store: this.#store, artifactRoot: (runId) => this.artifactRoot(runId) };
  }

  /**
   * Downloads a file or folder of a run's artifacts (all of them when `path` is empty) under its path
   * in the local folder `dstPath`: a temporary one when left out, except that what is in local files
   * stays where it is. Answers the local path. Each file is written whole or not at all.
   */
  async downloadArtifacts(
    runId: string,
    path = "",
    dstPath?: string,
    options: TransferOptions = {},
  ): Promise<string> {
    checkTransfer("downloadArtifacts", options);
    return downloadPlace(await runPlace(this.artifactContext, runId, path), dstPath, options);
  }

  /** What is directly below `path` in a run's artifacts. */
  async listArtifacts(runId: string, path?: string): Promise<ArtifactInfo[]> {
    checkRunId(runId);
    if (path !== undefined) checkArtifactPath(path);
    const found: ArtifactInfo[] = [];
    let pageToken: string | undefined;
    do {
      const { files = [], next_page_token } = await callStore(this.#store, spec.listArtifacts, {
        run_id: runId,
        path,
        page_token: pageToken,
      });
      for (const file of files) {
        const isDirectory = file.is_dir === true;
        const sizeBytes = isDirectory ? undefined : numberFromMessage(file.file_size);
        found.push({ path: file.path, isDirectory, sizeBytes });
      }
      pageToken = next_page_token === "" ? undefined : next_page_token;
    } while (pageToken !== undefined);
    return found;
  }

  // ── the model registry ─────────────────────────────────────────────────────────────────────────

  async createRegisteredModel(
    name: string,
    options: CreateRegisteredModelOptions = {},
  ): Promise<RegisteredModel> {
    checkModelName(name);
    checkOptions("createRegisteredModel", options, ["description", "tags"]);
    checkText("description", options.description);
    const { registered_model } = await callStore(this.#registry, spec.createRegisteredModel, {
      name,
      description: options.description,
      tags: tagsWith(registryTagValue, options.tags),
    });
    return registeredModelFromMessage(registered_model);
  }

  async getRegisteredModel(name: string): Promise<RegisteredModel> {
    checkModelName(name);
    const { registered_model } = await callStore(this.#registry, spec.getRegisteredModel, { name });
    return registeredModelFromMessage(registered_model);
  }

  /** With all its versions. */
  async deleteRegisteredModel(name: string): Promise<void> {
    checkModelName(name);
    await callStore(this.#registry, spec.deleteRegisteredModel, { name });
  }

  /** The newest version of each stage, or of the stages given. */
  async getLatestVersions(name: string, stages?: readonly string[]): Promise<ModelVersion[]> {
    checkModelName(name);
    const { model_versions = [] } = await callStore(this.#registry, spec.getLatestVersions, {
      name,
      stages: stages?.map(canonicalStage),
    });
    return model_versions.map(modelVersionFromMessage);
  }

  async setRegisteredModelTag(name: string, key: string, value: LoggableValue): Promise<void> {
    checkModelName(name);
    checkTagKey(key);
    const request = { name, key, value: registryTagValue(key, value) };
    await callStore(this.#registry, spec.setRegisteredModelTag, request);
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
    await callStore(this.#registry, spec.setRegisteredModelAlias, request);
  }

  async deleteRegisteredModelAlias(name: string, alias: string): Promise<void> {
    checkModelName(name);
    checkAlias(alias);
    await callStore(this.#registry, spec.deleteRegisteredModelAlias, { name, alias });
  }

  async getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion> {
    checkModelName(name);
    checkAlias(alias);
    const request = { name, alias };
    const { model_version } = await callStore(this.#registry, spec.getModelVersionByAlias, request);
    return modelVersionFromMessage(model_version);
  }

  /** A version of a model that exists; `registerModel` also creates the model. */
  async createModelVersion(
    name: string,
    source: string,
    options: CreateModelVersionOptions = {},
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkSource(source);
    const known = ["runId", "runLink", "modelId", "description", "tags"];
    checkOptions("createModelVersion", options, known);
    const { runId, runLink, modelId, description, tags } = options;
    if (runId !== undefined) checkRunId(runId);
    checkText("description", description);
    const { model_version } = await callStore(this.#registry, spec.createModelVersion, {
      name,
      source,
      run_id: runId,
      run_link: runLink,
      model_id: modelId,
      description,
      tags: tagsWith(registryTagValue, tags),
    });
    return modelVersionFromMessage(model_version);
  }

  /**
   * Makes a version of a model, and the model when there is none. `runs:/<run id>/<path>` means the
   * artifacts of that run; any other URI is taken as it is.
   */
  async registerModel(
    modelUri: string,
    name: string,
    options: { readonly tags?: Readonly<Record<string, LoggableValue>> | undefined } = {},
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkSource(modelUri);
    checkOptions("registerModel", options, ["tags"]);
    tagsWith(registryTagValue, options.tags);
    const origin = await this.#modelOrigin(modelUri);
    try {
      await this.createRegisteredModel(name);
    } catch (error) {
      if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
    }
    const { source, ...rest } = origin;
    return this.createModelVersion(name, source, { ...rest, tags: options.tags });
  }

  async #modelOrigin(
    modelUri: string,
  ): Promise<{ source: string; runId?: string; modelId?: string }> {
    if (modelUri.startsWith("runs:")) {
      const [, runId, path] = /^runs:\/+([^/]+)\/(.+)$/.exec(modelUri) ?? [];
      if (runId === undefined || path === undefined) {
        throw invalidParameter("modelUri", modelUri, "write runs:/<run id>/<path of the model>.");
      }
      checkRunId(runId, "modelUri");
      const modelPath = path.replace(/\/+$/, "");
      checkArtifactPath(modelPath);
      const { artifactUri } = await this.artifactRoot(runId);
      return { source: joinUri(artifactUri, modelPath), runId };
    }
    const modelId = /^models:\/+([^/]+)$/.exec(modelUri)?.[1];
    return modelId === undefined ? { source: modelUri } : { source: modelUri, modelId };
  }

  async getModelVersion(name: string, version: string | number): Promise<ModelVersion> {
    checkModelName(name);
    const request = { name, version: modelVersionNumber(version) };
    const { model_version } = await callStore(this.#registry, spec.getModelVersion, request);
    return modelVersionFromMessage(model_version);
  }

  async updateModelVersion(
    name: string,
    version: string | number,
    changes: { readonly description: string },
  ): Promise<ModelVersion> {
    checkModelName(name);
    checkOptions("updateModelVersion", changes, ["description"]);
    const { description } = changes;
    if (typeof description !== "string") {
      throw invalidParameter("description", description, "pass a text.");
    }
    const request = { name, version: modelVersionNumber(version), description };
    const { model_version } = await callStore(this.#registry, spec.updateModelVersion, request);
    return modelVersionFromMessage(model_version);
  }

  async deleteModelVersion(name: string, version: string | number): Promise<void> {
    checkModelName(name);
    const request = { name, version: modelVersionNumber(version) };
    await callStore(this.#registry, spec.deleteModelVersion, request);
  }

  /** `archiveExistingVersions` moves the versions that are in the stage to Archived. */
  async transitionModelVersionStage(
    name: string,
    version: string | number,
    stage: string,
    options: { readonly archiveExistingVersions?: boolean | undefined } = {},
  ): Promise<ModelVersion> {
    checkModelName(name);
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
    const { model_version } = await callStore(this.#registry, spec.transitionModelVersionStage, {
      name,
      version: modelVersionNumber(version),
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
    checkModelName(name);
    checkTagKey(key);
    const number = modelVersionNumber(version);
    const request = { name, version: number, key, value: registryTagValue(key, value) };
    await callStore(this.#registry, spec.setModelVersionTag, request);
  }
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for an experiment that is marked as deleted. */
export function activeIdOf({ name, experimentId, lifecycleStage }: Experiment): string {
  if (lifecycleStage === "active") return experimentId;
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `The experiment '${name}' is deleted. Restore it with restoreExperiment("${experimentId}") of MlflowClient, or use another name.`,
  );
}

function checkSource(source: unknown): asserts source is string {
  if (typeof source !== "string" || source.trim() === "") {
    throw invalidParameter("modelUri", source, "pass a URI, such as runs:/<run id>/<path>.");
  }
}
