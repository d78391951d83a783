// A folder in MLflow's layout as a store: answers every endpoint with the messages a server gives.
import { MlflowError } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import * as spec from "../spec.js";
import { schemeOf } from "../store-uri.js";
import type { Store } from "../stores.js";
import { checkArtifactPath, checkMaxResults } from "../validation.js";
import { Experiments, type LifecycleView } from "./experiments.js";
import { fileError } from "./file-errors.js";
import { EXPERIMENT_SCHEMA, filterOf, RUN_SCHEMA, type Searchable } from "./filter.js";
import { Layout } from "./layout.js";
import { listLocalArtifacts } from "./local-artifacts.js";
import { listed, refused } from "./messages.js";
import { checkSource, isLocal, isWithin } from "./model-source.js";
import { EXPERIMENT_ORDER, orderOf, pageFrom, RUN_ORDER } from "./ordering.js";
import { type NewVersion, Registry } from "./registry.js";
import { Runs } from "./runs.js";

const DEFAULT_PAGE = 1000;
const VIEWS = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

type Handler = (request: never) => Promise<unknown>;

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

function searchableRun({ info = {}, data = {} }: spec.RunMessage): Searchable {
  const metrics = (data.metrics ?? []).map(({ key, value }) => [key, Number(value)]);
  const attributes = { ...info, tags: undefined } as unknown as Searchable["attributes"];
  return {
    metrics: Object.fromEntries(metrics) as Record<string, number>,
    params: recordOf(data.params),
    tags: recordOf(data.tags),
    attributes,
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
  readonly #registry: Registry;
  readonly #handlers = new Map<string, Handler>();

  constructor(uri: string) {
    this.uri = uri;
    this.#layout = new Layout(uri);
    this.#experiments = new Experiments(this.#layout);
    this.#runs = new Runs(this.#layout, this.#experiments);
    this.#registry = new Registry(this.#layout);
    this.#answerExperiments();
    this.#answerRuns();
    this.#answerLogging();
    this.#answerModels();
    this.#answerVersions();
  }

  async perform(call: StoreCall, endpoint: spec.Endpoint<never, unknown>): Promise<unknown> {
    const handler = this.#handlers.get(`${endpoint.method} ${endpoint.route}`);
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

  #on<Request extends object, Response>(
    { method, route }: spec.Endpoint<Request, Response>,
    handler: (request: Request) => Promise<Response>,
  ): void {
    this.#handlers.set(`${method} ${route}`, handler as Handler);
  }

  /** For calls that answer with an empty message. */
  #onWrite<Request extends object>(
    endpoint: spec.Endpoint<Request, spec.Empty>,
    handler: (request: Request) => Promise<void>,
  ): void {
    this.#on(endpoint, async (request) => {
      await handler(request);
      return {};
    });
  }

  #answerExperiments(): void {
    const experiments = this.#experiments;
    this.#on(spec.createExperiment, async ({ name, artifact_location, tags = [] }) => ({
      experiment_id: await experiments.create(name, artifact_location, tags),
    }));
    this.#on(spec.getExperiment, async ({ experiment_id }) => ({
      experiment: await experiments.message(await experiments.get(experiment_id)),
    }));
    this.#on(spec.getExperimentByName, async ({ experiment_name }) => {
      const found = await experiments.findByName(experiment_name);
      if (found !== undefined) return { experiment: await experiments.message(found) };
      throw new MlflowError(
        "RESOURCE_DOES_NOT_EXIST",
        `RESOURCE_DOES_NOT_EXIST: Could not find experiment with name '${experiment_name}'`,
        { errorCode: "RESOURCE_DOES_NOT_EXIST" },
      );
    });
    this.#on(spec.searchExperiments, async (request) => {
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
    this.#onWrite(spec.deleteExperiment, async ({ experiment_id }) => {
      experiments.checkDeletable(experiment_id);
      const found = await experiments.getToDelete(experiment_id);
      for (const run of await this.#runs.list(found, "ACTIVE_ONLY")) {
        await this.#runs.setStage(run, "deleted");
      }
      await experiments.setStage(found, "deleted");
      await experiments.moveToTrash(found);
    });
    this.#onWrite(spec.restoreExperiment, async ({ experiment_id }) => {
      const found = await experiments.getDeleted(experiment_id);
      const restored = await experiments.moveFromTrash(found);
      for (const run of await this.#runs.list(restored, "DELETED_ONLY")) {
        await this.#runs.setStage(run, "active");
      }
      await experiments.setStage(restored, "active");
    });
    this.#onWrite(spec.setExperimentTag, ({ experiment_id, key, value }) =>
      experiments.setTag(experiment_id, key, value),
    );
  }

  #answerRuns(): void {
    const runs = this.#runs;
    this.#on(spec.createRun, async (request) => {
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
    this.#on(spec.getRun, async ({ run_id }) => ({
      run: await runs.message(await runs.get(run_id)),
    }));
    this.#on(spec.updateRun, async ({ run_id, status, end_time, run_name }) => ({
      run_info: await runs.update(run_id, { status, endTime: end_time, runName: run_name }),
    }));
    this.#onWrite(spec.deleteRun, async ({ run_id }) =>
      runs.setStage(await runs.get(run_id), "deleted"),
    );
    this.#onWrite(spec.restoreRun, async ({ run_id }) =>
      runs.setStage(await runs.get(run_id), "active"),
    );
    this.#on(spec.searchRuns, async (request) => {
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
    this.#on(spec.listArtifacts, async (request) => {
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

  #answerLogging(): void {
    const runs = this.#runs;
    this.#onWrite(spec.logMetric, ({ run_id, ...metric }) =>
      runs.logBatch(run_id, { metrics: [metric], params: [], tags: [] }),
    );
    this.#onWrite(spec.logParam, ({ run_id, ...param }) =>
      runs.logBatch(run_id, { metrics: [], params: [param], tags: [] }),
    );
    this.#onWrite(spec.setTag, ({ run_id, ...tag }) =>
      runs.logBatch(run_id, { metrics: [], params: [], tags: [tag] }),
    );
    this.#onWrite(spec.logBatch, ({ run_id, metrics = [], params = [], tags = [] }) =>
      runs.logBatch(run_id, { metrics, params, tags }),
    );
    this.#onWrite(spec.deleteTag, ({ run_id, key }) => runs.deleteTag(run_id, key));
    this.#on(spec.getMetricHistory, async ({ run_id, metric_key, max_results, page_token }) => {
      if (max_results !== undefined) checkMaxResults(max_results);
      const points = await runs.metricHistory(run_id, metric_key);
      const { page, next } = pageFrom(points, max_results ?? points.length, page_token);
      return { ...listed("metrics", page), ...next };
    });
  }

  #answerModels(): void {
    const registry = this.#registry;
    this.#on(spec.createRegisteredModel, async ({ name, tags = [], description }) => ({
      registered_model: await registry.createModel(name, description, tags),
    }));
    this.#on(spec.getRegisteredModel, async ({ name }) => ({
      registered_model: await registry.getModel(name),
    }));
    this.#onWrite(spec.deleteRegisteredModel, ({ name }) => registry.deleteModel(name));
    this.#on(spec.getLatestVersions, async ({ name, stages = [] }) =>
      listed("model_versions", await registry.latestVersions(name, stages)),
    );
    this.#onWrite(spec.setRegisteredModelTag, ({ name, ...tag }) =>
      registry.setModelTag(name, tag),
    );
    this.#onWrite(spec.setRegisteredModelAlias, ({ name, alias, version }) =>
      registry.setAlias(name, alias, version),
    );
    this.#onWrite(spec.deleteRegisteredModelAlias, ({ name, alias }) =>
      registry.deleteAlias(name, alias),
    );
    this.#on(spec.getModelVersionByAlias, async ({ name, alias }) => ({
      model_version: await registry.getVersionByAlias(name, alias),
    }));
  }

  /** Files of this machine may be a model's only where they are artifacts of the run it names. */
  async #createVersion(version: NewVersion): Promise<spec.ModelVersionMessage> {
    const { source, runId } = version;
    checkSource(source);
    if (isLocal(source)) {
      const root =
        runId === undefined ? undefined : (await this.#runs.get(runId)).meta.artifact_uri;
      if (!isWithin(source, root)) {
        throw refused(
          `Invalid model version source: '${source}'. To use a local path as a model version source, the run_id request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the run_id.`,
        );
      }
    }
    return this.#registry.createVersion(version);
  }

  #answerVersions(): void {
    const registry = this.#registry;
    this.#on(spec.createModelVersion, async (request) => ({
      model_version: await this.#createVersion({
        name: request.name,
        source: request.source,
        runId: request.run_id,
        runLink: request.run_link,
        modelId: request.model_id,
        description: request.description,
        tags: request.tags ?? [],
      }),
    }));
    this.#on(spec.getModelVersion, async ({ name, version }) => ({
      model_version: await registry.getVersion(name, version),
    }));
    this.#on(spec.updateModelVersion, async ({ name, version, description }) => ({
      model_version: await registry.updateVersion(name, version, description),
    }));
    this.#onWrite(spec.deleteModelVersion, ({ name, version }) =>
      registry.deleteVersion(name, version),
    );
    this.#on(spec.transitionModelVersionStage, async (request) => {
      const { name, version, stage, archive_existing_versions } = request;
      return {
        model_version: await registry.transition(name, version, stage, archive_existing_versions),
      };
    });
    this.#onWrite(spec.setModelVersionTag, ({ name, version, ...tag }) =>
      registry.setVersionTag(name, version, tag),
    );
  }
}

/** Opens the folder that a `file:` URI means; nothing is touched before the first call. */
export function createFileStore(uri: string): Store {
  return new FileStore(uri);
}
