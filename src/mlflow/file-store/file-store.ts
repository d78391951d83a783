// A folder in MLflow's layout as a store: answers every endpoint with the messages a server gives.
import { MlflowError } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import * as spec from "../spec.js";
import { schemeOf } from "../store-uri.js";
import type { Store } from "../stores.js";
import { checkArtifactPath, checkMaxResults } from "../validation.js";
import { Answers } from "./answers.js";
import { Experiments, type LifecycleView } from "./experiments.js";
import { fileError } from "./file-errors.js";
import { EXPERIMENT_SCHEMA, filterOf, RUN_SCHEMA, type Searchable } from "./filter.js";
import { Layout } from "./layout.js";
import { listLocalArtifacts } from "./local-artifacts.js";
import { answerLoggedModels } from "./logged-model-answers.js";
import { LoggedModels } from "./logged-models.js";
import { listed, refused } from "./messages.js";
import { EXPERIMENT_ORDER, orderOf, pageFrom, RUN_ORDER } from "./ordering.js";
import { Registry } from "./registry.js";
import { answerRegistry } from "./registry-answers.js";
import { writeInputs, writeOutputs } from "./run-links.js";
import { type Batch, Runs } from "./runs.js";

const DEFAULT_PAGE = 1000;
const VIEWS = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

function viewOf(view: string | undefined): LifecycleView {
  if (view === undefined) return "ACTIVE_ONLY";
  if (!VIEWS.includes(view)) throw refused(`Invalid view type '${view}'.`);
  return view as LifecycleView;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function recordOf(messages: readonly spec.KeyValueMessage[] = []): Record<string, string> {
  return Object.fromEntries(messages.map(({ key, value }) => [key, value ?? ""]));
}

function searchableRun({ info = {}, data = {}, inputs = {} }: spec.RunMessage): Searchable {
  const metrics = (data.metrics ?? []).map(({ key, value }) => [key, Number(value)]);
  const attributes = { ...info, tags: undefined } as unknown as Searchable["attributes"];
  return {
    metrics: Object.fromEntries(metrics) as Record<string, number>,
    params: recordOf(data.params),
    tags: recordOf(data.tags),
    attributes,
    datasets: (inputs.dataset_inputs ?? []).map(({ dataset, tags }) => ({
      name: dataset?.name,
      digest: dataset?.digest,
      context: tags?.find(({ key }) => key === "mlflow.data.context")?.value,
    })),
  };
}

function searchableExperiment(experiment: spec.ExperimentMessage): Searchable {
  const attributes = { ...experiment, tags: undefined } as unknown as Searchable["attributes"];
  return { metrics: {}, params: {}, tags: recordOf(experiment.tags), attributes };
}

/** MLflow's REST interface over a folder. */
class FileStore implements Store {
  readonly uri: string;
  readonly #layout: Layout;
  readonly #experiments: Experiments;
  readonly #runs: Runs;
  readonly #models: LoggedModels;
  readonly #answers = new Answers();

  constructor(uri: string) {
    this.uri = uri;
    this.#layout = new Layout(uri);
    this.#experiments = new Experiments(this.#layout);
    this.#runs = new Runs(this.#layout, this.#experiments);
    this.#models = new LoggedModels(this.#layout, this.#experiments);
    this.#answerExperiments();
    this.#answerRuns();
    this.#answerLogging();
    answerLoggedModels(this.#answers, this.#models);
    answerRegistry(this.#answers, new Registry(this.#layout), this.#runs, this.#models);
  }

  async perform(call: StoreCall, endpoint: spec.Endpoint<never, unknown>): Promise<unknown> {
    const handler = this.#answers.handlerOf(endpoint);
    if (handler === undefined) {
      throw new MlflowError(
        "NOT_IMPLEMENTED",
        `A folder cannot answer ${endpoint.method} ${endpoint.route}; use an MLflow server.`,
      );
    }
    try {
      await this.#layout.prepare();
      return await handler(call.body as never);
    } catch (error) {
      throw fileError(error, this.#layout.root);
    }
  }

  #answerExperiments(): void {
    const experiments = this.#experiments;
    this.#answers.on(spec.createExperiment, async ({ name, artifact_location, tags = [] }) => ({
      experiment_id: await experiments.create(name, artifact_location, tags),
    }));
    this.#answers.on(spec.getExperiment, async ({ experiment_id }) => ({
      experiment: await experiments.message(await experiments.get(experiment_id)),
    }));
    this.#answers.on(spec.getExperimentByName, async ({ experiment_name }) => {
      const found = await experiments.findByName(experiment_name);
      if (found !== undefined) return { experiment: await experiments.message(found) };
      throw new MlflowError(
        "RESOURCE_DOES_NOT_EXIST",
        `RESOURCE_DOES_NOT_EXIST: Could not find experiment with name '${experiment_name}'`,
        { errorCode: "RESOURCE_DOES_NOT_EXIST" },
      );
    });
    this.#answers.on(spec.searchExperiments, async (request) => {
      const { max_results, page_token } = request;
      checkMaxResults(max_results);
      const accepts = filterOf(request.filter, EXPERIMENT_SCHEMA);
      const natural =
        request.order_by?.length === 0 || request.order_by === undefined
          ? ["creation_time DESC", "experiment_id ASC"]
          : ["experiment_id DESC"];
      const compare = orderOf(request.order_by, EXPERIMENT_ORDER, natural);
      const found = await experiments.list(viewOf(request.view_type));
      const messages = await Promise.all(found.map((one) => experiments.message(one)));
      const matching = messages
        .map((message) => ({ message, searchable: searchableExperiment(message) }))
        .filter(({ searchable }) => accepts(searchable))
        .sort((one, other) => compare(one.searchable, other.searchable))
        .map(({ message }) => message);
      const { page, next } = pageFrom(matching, max_results, page_token);
      return { ...listed("experiments", page), ...next };
    });
    this.#answers.onWrite(spec.deleteExperiment, async ({ experiment_id }) => {
      experiments.checkDeletable(experiment_id);
      const found = await experiments.getToDelete(experiment_id);
      for (const run of await this.#runs.list(found, "ACTIVE_ONLY")) {
        await this.#runs.setStage(run, "deleted");
      }
      await experiments.setStage(found, "deleted");
      await experiments.moveToTrash(found);
    });
    this.#answers.onWrite(spec.restoreExperiment, async ({ experiment_id }) => {
      const found = await experiments.getDeleted(experiment_id);
      const restored = await experiments.moveFromTrash(found);
      for (const run of await this.#runs.list(restored, "DELETED_ONLY")) {
        await this.#runs.setStage(run, "active");
      }
      await experiments.setStage(restored, "active");
    });
    this.#answers.onWrite(spec.updateExperiment, ({ experiment_id, new_name }) =>
      experiments.rename(experiment_id, new_name),
    );
    this.#answers.onWrite(spec.deleteExperimentTag, ({ experiment_id, key }) =>
      experiments.deleteTag(experiment_id, key),
    );
    this.#answers.onWrite(spec.setExperimentTag, ({ experiment_id, key, value }) =>
      experiments.setTag(experiment_id, key, value),
    );
  }

  #answerRuns(): void {
    const runs = this.#runs;
    this.#answers.on(spec.createRun, async (request) => {
      const { experiment_id, user_id = "", run_name, tags = [] } = request;
      const created = await runs.create({
        experimentId: experiment_id,
        userId: user_id,
        runName: run_name,
        startTime: request.start_time ?? 0,
        tags,
      });
      return { run: await runs.message(created) };
    });
    this.#answers.on(spec.getRun, async ({ run_id }) => ({
      run: await runs.message(await runs.get(run_id)),
    }));
    this.#answers.on(spec.updateRun, async ({ run_id, status, end_time, run_name }) => ({
      run_info: await runs.update(run_id, { status, endTime: end_time, runName: run_name }),
    }));
    this.#answers.onWrite(spec.deleteRun, async ({ run_id }) =>
      runs.setStage(await runs.get(run_id), "deleted"),
    );
    this.#answers.onWrite(spec.restoreRun, async ({ run_id }) =>
      runs.setStage(await runs.get(run_id), "active"),
    );
    this.#answers.on(spec.searchRuns, async (request) => {
      const { max_results = DEFAULT_PAGE, page_token } = request;
      checkMaxResults(max_results);
      const accepts = filterOf(request.filter, RUN_SCHEMA);
      const compare = orderOf(request.order_by, RUN_ORDER, ["start_time DESC", "run_id ASC"]);
      const messages = await this.#runMessages(
        request.experiment_ids,
        viewOf(request.run_view_type),
      );
      const matching = messages
        .map((message) => ({ message, searchable: searchableRun(message) }))
        .filter(({ searchable }) => accepts(searchable))
        .sort((one, other) => compare(one.searchable, other.searchable))
        .map(({ message }) => message);
      const { page, next } = pageFrom(matching, max_results, page_token);
      return { ...listed("runs", page), ...next };
    });
    this.#answers.on(spec.listArtifacts, async (request) => {
      const { run_id } = request;
      const path = request.path?.replace(/\/+$/, "");
      if (path !== undefined && request.path !== "") {
        checkArtifactPath(path);
        // A server decodes a path until nothing is left to decode.
        checkArtifactPath(decoded(path));
      }
      const { info = {} } = await runs.message(await runs.get(run_id));
      const rootUri = info.artifact_uri ?? "";
      const scheme = schemeOf(rootUri);
      if (scheme !== undefined && scheme !== "file") {
        throw new MlflowError(
          "NOT_IMPLEMENTED",
          `This client cannot list artifacts in '${rootUri}'; use an MLflow server with --serve-artifacts.`,
        );
      }
      return { root_uri: rootUri, ...listed("files", await listLocalArtifacts(rootUri, path)) };
    });
  }

  async #runMessages(
    experimentIds: readonly string[],
    view: LifecycleView,
  ): Promise<spec.RunMessage[]> {
    const messages: spec.RunMessage[] = [];
    for (const experimentId of new Set(experimentIds)) {
      const experiment = await this.#experiments.find(experimentId);
      if (experiment === undefined) continue;
      messages.push(...(await this.#runs.messages(await this.#runs.list(experiment, view))));
    }
    return messages;
  }

  async #log(runId: string, batch: Batch): Promise<void> {
    await this.#runs.logBatch(runId, batch);
    for (const message of batch.metrics) {
      if (message.model_id === undefined) continue;
      await this.#models.appendMetric(message.model_id, runId, message);
    }
  }

  #answerLogging(): void {
    const runs = this.#runs;
    this.#answers.onWrite(spec.logMetric, ({ run_id, ...metric }) =>
      this.#log(run_id, { metrics: [metric], params: [], tags: [] }),
    );
    this.#answers.onWrite(spec.logParam, ({ run_id, ...param }) =>
      runs.logBatch(run_id, { metrics: [], params: [param], tags: [] }),
    );
    this.#answers.onWrite(spec.setTag, ({ run_id, ...tag }) =>
      runs.logBatch(run_id, { metrics: [], params: [], tags: [tag] }),
    );
    this.#answers.onWrite(spec.logBatch, ({ run_id, metrics = [], params = [], tags = [] }) =>
      this.#log(run_id, { metrics, params, tags }),
    );
    this.#answers.onWrite(spec.deleteTag, ({ run_id, key }) => runs.deleteTag(run_id, key));
    this.#answers.onWrite(spec.logInputs, async ({ run_id, datasets = [], models = [] }) => {
      const { folder } = await runs.getActive(run_id);
      await writeInputs(folder, run_id, datasets, models);
    });
    this.#answers.onWrite(spec.logOutputs, async ({ run_id, models }) => {
      const { folder } = await runs.getActive(run_id);
      await writeOutputs(folder, models);
    });
    this.#answers.on(
      spec.getMetricHistory,
      async ({ run_id, metric_key, max_results, page_token }) => {
        if (max_results !== undefined) checkMaxResults(max_results);
        const points = await runs.metricHistory(run_id, metric_key);
        const { page, next } = pageFrom(points, max_results ?? points.length, page_token);
        return { ...listed("metrics", page), ...next };
      },
    );
  }
}

/** Opens the folder that a `file:` URI means; nothing is touched before the first call. */
export function createFileStore(uri: string): Store {
  return new FileStore(uri);
}
