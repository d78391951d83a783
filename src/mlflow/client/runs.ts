// Calls about runs: create, find, change, and the history of their metrics.
import { loggingQueue } from "../async-logging.js";
import {
  type Metric,
  messagesIn,
  metricFromMessage,
  type Page,
  pageOf,
  type Run,
  type RunInfo,
  type RunStatus,
  required,
  runFromMessage,
  runInfoFromMessage,
} from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import { type ArtifactRoot, tagMessages } from "../run-writes.js";
import * as spec from "../spec.js";
import { callStore, type Store } from "../stores.js";
import {
  checkExperimentId,
  checkMaxResults,
  checkMetricKey,
  checkOptions,
  checkRunId,
  checkRunName,
  checkRunStatus,
  checkTerminalStatus,
  checkTime,
  type LoggableValue,
} from "../validation.js";
import { ExperimentClient } from "./experiments.js";
import { remember } from "./memory.js";
import { eachOf, followingToken, type SearchOptions, searchRequest } from "./requests.js";

export interface CreateRunOptions {
  /** The store invents one when left out. */
  readonly runName?: string | undefined;
  /** Milliseconds since the epoch, now when left out. */
  readonly startTime?: number | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

/** As Python's client calls whoever no tag names: searches by `user_id` find the runs of both. */
const UNKNOWN_USER = "unknown";

export class RunClient extends ExperimentClient {
  readonly #runs = new Map<string, ArtifactRoot>();

  async createRun(experimentId: string, options: CreateRunOptions = {}): Promise<Run> {
    checkExperimentId(experimentId);
    checkOptions("createRun", options, ["runName", "startTime", "tags"]);
    const { runName, startTime = Date.now(), tags = {} } = options;
    if (runName !== undefined) checkRunName(runName);
    checkTime("startTime", startTime);
    const messages = tagMessages(tags);
    try {
      const { run } = await callStore(this.store, spec.createRun, {
        experiment_id: experimentId,
        user_id: messages.find(({ key }) => key === "mlflow.user")?.value ?? UNKNOWN_USER,
        run_name: runName,
        start_time: startTime,
        tags: messages,
      });
      return this.#learn(runFromMessage(run));
    } catch (error) {
      // It may have been deleted since it was remembered.
      this.forgetExperiment(experimentId);
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
    return this.#getRunFrom(this.store, runId);
  }

  async #getRunFrom(store: Store, runId: string): Promise<Run> {
    const { run } = await callStore(store, spec.getRun, { run_id: runId });
    return this.#learn(runFromMessage(run));
  }

  /** Where a run's artifacts go, and its experiment; asks the store only about a run never seen. */
  async artifactRoot(runId: string, store = this.store): Promise<ArtifactRoot> {
    checkRunId(runId);
    const known = this.#runs.get(runId);
    if (known !== undefined) return known;
    const { experimentId, artifactUri } = (await this.#getRunFrom(store, runId)).info;
    return { experimentId, artifactUri };
  }

  /** The experiment of a run that is to have a child; asks the store, where it may be deleted by now. */
  async experimentOfParent(runId: string): Promise<string> {
    const { experimentId, lifecycleStage } = (await this.getRun(runId)).info;
    if (lifecycleStage === "active") return experimentId;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Run '${runId}' cannot be a parent because it is deleted. Restore it with restoreRun().`,
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
    const { store } = this;
    await loggingQueue.drain(store, runId);
    const { run_info } = await callStore(store, spec.updateRun, {
      run_id: runId,
      status,
      run_name: runName,
    });
    return runInfoFromMessage(required(run_info, "run_info"));
  }

  /**
   * Sends what was logged asynchronously to a run and resolves when the store has it. Rejects with
   * AsyncLoggingError, which names what was lost and nobody was told of yet.
   */
  async flushAsyncLogging(runId: string): Promise<void> {
    checkRunId(runId);
    await loggingQueue.flush((id, storeUri) => id === runId && storeUri === this.trackingUri);
  }

  /**
   * Ends a run, now unless told otherwise, after what was logged to it asynchronously. Rejects with
   * AsyncLoggingError when some of that is lost; the run has ended all the same.
   */
  async setTerminated(
    runId: string,
    status: RunStatus = "FINISHED",
    endTime: number = Date.now(),
  ): Promise<void> {
    checkRunId(runId);
    checkTerminalStatus(status);
    checkTime("endTime", endTime);
    const { store } = this;
    const lost: unknown = await this.flushAsyncLogging(runId).catch((error: unknown) => error);
    await callStore(store, spec.updateRun, { run_id: runId, status, end_time: endTime });
    if (lost !== undefined) throw lost;
  }

  /** Marks a run as deleted; no byte is freed. */
  async deleteRun(runId: string): Promise<void> {
    checkRunId(runId);
    const { store } = this;
    await loggingQueue.drain(store, runId);
    this.#runs.delete(runId);
    await callStore(store, spec.deleteRun, { run_id: runId });
  }

  async restoreRun(runId: string): Promise<void> {
    checkRunId(runId);
    await callStore(this.store, spec.restoreRun, { run_id: runId });
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
    const { runs, next_page_token } = await callStore(this.store, spec.searchRuns, {
      ...request,
      experiment_ids: experimentIds,
      run_view_type: viewType,
    });
    return pageOf(messagesIn(runs, "runs").map(runFromMessage), next_page_token);
  }

  /**
   * Every run found, one after the other, of any number: asks for a page of `maxResults` runs when it
   * is needed, so that memory stays that of a page.
   */
  searchRunsIterator(
    experimentIds: readonly string[],
    options: SearchOptions = {},
  ): AsyncGenerator<Run, void> {
    return eachOf(options, (page) => this.searchRuns(experimentIds, page));
  }

  /** The run above a nested one; undefined for a run that has none. */
  async getParentRun(runId: string): Promise<Run | undefined> {
    const parentRunId = (await this.getRun(runId)).data.tags["mlflow.parentRunId"];
    return parentRunId === undefined ? undefined : this.getRun(parentRunId);
  }

  /** Every point of a metric, in memory; empty when there is none of this name. */
  async getMetricHistory(runId: string, key: string): Promise<Metric[]> {
    const points: Metric[] = [];
    for await (const point of this.getMetricHistoryIterator(runId, key)) points.push(point);
    return points;
  }

  /**
   * Every point of a metric, one after the other: asks for a page of `maxResults` points when it is
   * needed, 1 to 50000; as many as the store likes when left out.
   */
  async *getMetricHistoryIterator(
    runId: string,
    key: string,
    options: { readonly maxResults?: number | undefined } = {},
  ): AsyncGenerator<Metric, void> {
    checkRunId(runId);
    checkMetricKey(key);
    checkOptions("getMetricHistoryIterator", options, ["maxResults"]);
    const { maxResults } = options;
    if (maxResults !== undefined) checkMaxResults(maxResults);
    const { store } = this;
    let pageToken: string | undefined;
    do {
      const { metrics, next_page_token } = await callStore(store, spec.getMetricHistory, {
        run_id: runId,
        metric_key: key,
        max_results: maxResults,
        page_token: pageToken,
      });
      for (const message of messagesIn(metrics, "metrics")) yield metricFromMessage(message);
      pageToken = followingToken(next_page_token, pageToken);
    } while (pageToken !== undefined);
  }
}
