// Calls of the MLflow client → operations, and what their replies teach. Route and body decide, nothing else.
import type { RunTag } from "../governance/attribution.js";
import type { Governor } from "../governance/governor.js";
import type { Operation, Outcome, StartedRun } from "../governance/operation.js";
import { knownExperimentName } from "../mlflow/experiment-names.js";
import type { StoreCall } from "../mlflow/interceptor.js";

type Message = Readonly<Record<string, unknown>>;

const PARENT_RUN_TAG = "mlflow.parentRunId";
const RUN_NAME_TAG = "mlflow.runName";

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function message(value: unknown): Message {
  return typeof value === "object" && value !== null ? (value as Message) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Tags of a message, in MLflow's list form. */
export function tagsOf(value: unknown): RunTag[] {
  return list(value).flatMap((entry) => {
    const { key, value: content } = message(entry);
    return typeof key === "string" && typeof content === "string" ? [{ key, value: content }] : [];
  });
}

function itemsOf(name: string, body: Message): number {
  if (name === "log_batch") {
    return list(body.metrics).length + list(body.params).length + list(body.tags).length;
  }
  if (name === "log_inputs") return list(body.datasets).length + list(body.models).length;
  if (name === "log_outputs") return list(body.models).length;
  return 1;
}

const REGISTRY = ["registry-write", "registry-read"];

/** Operation ids by route, for one engine's table; a route is classified once. */
const OPERATIONS = new WeakMap<Governor, Map<string, number>>();

function classify(governor: Governor, call: StoreCall): number {
  let known = OPERATIONS.get(governor);
  if (known === undefined) {
    known = new Map();
    OPERATIONS.set(governor, known);
  }
  const key = `${call.method} ${call.route}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const id = governor.engine.classify(call.method, call.route);
  known.set(key, id);
  return id;
}

function modelSourceOf(body: Message): string | undefined {
  const modelId = text(body.model_id);
  return modelId === undefined ? text(body.source) : `models:/${modelId}`;
}

/** What a call is; undefined when it is none of MLflow's. */
export function describe(governor: Governor, call: StoreCall): Operation | undefined {
  const known = governor.engine.operations[classify(governor, call)];
  if (known === undefined) return undefined;
  const { body } = call;
  const registry = REGISTRY.includes(known.class);
  const runId = call.upload?.runId ?? text(body.run_id) ?? text(body.run_uuid);
  return {
    name: known.name,
    // A registered model's version names the run that it came from; it is not written.
    ...(registry ? { parentRunId: runId } : { runId }),
    experimentId: text(body.experiment_id),
    ...(registry && {
      modelName: text(body.name),
      modelVersion: text(body.version),
      modelStage: text(body.stage),
    }),
    ...(known.name === "create_model_version" && { modelSource: modelSourceOf(body) }),
    ...(call.upload && {
      upload: {
        artifactUri: call.upload.artifactUri,
        artifactPath: call.upload.artifactPath,
        sizeBytes: call.upload.sizeBytes,
      },
    }),
    items: itemsOf(known.name, body),
  };
}

function startedRun(run: unknown): StartedRun | undefined {
  const info = message(message(run).info);
  const runId = text(info.run_id) ?? text(info.run_uuid);
  if (runId === undefined) return undefined;
  const tags = tagsOf(message(message(run).data).tags);
  const tag = (key: string) => tags.find((entry) => entry.key === key)?.value;
  return {
    runId,
    runName: text(info.run_name) ?? tag(RUN_NAME_TAG),
    parentRunId: text(tag(PARENT_RUN_TAG)),
    experimentId: text(info.experiment_id),
    artifactUri: text(info.artifact_uri),
  };
}

/** Learns a name that the client knows already and does not ask for again. */
function learnKnownName(governor: Governor, call: StoreCall, id: string | undefined): void {
  if (id === undefined || governor.experimentName(id) !== undefined) return;
  const name = knownExperimentName(call.storeUri, id);
  if (name !== undefined) governor.learnExperiment(id, name);
}

function learnExperiment(governor: Governor, experiment: unknown): void {
  const { experiment_id: id, name } = message(experiment);
  if (typeof id === "string" && typeof name === "string") governor.learnExperiment(id, name);
}

/**
 * Reads a reply: what it created, and the names that pass by in it. Undefined when it lacks what it was
 * to create: whoever answered so was no MLflow, and the client tells its caller.
 */
export function outcomeOf(
  governor: Governor,
  operation: Operation,
  call: StoreCall,
  reply: unknown,
): Outcome | undefined {
  const answer = message(reply);
  switch (operation.name) {
    case "create_run": {
      const run = startedRun(answer.run);
      // The request tells the parent even where a server's reply leaves its tags out.
      const asked = tagsOf(call.body.tags).find(({ key }) => key === PARENT_RUN_TAG)?.value;
      if (run === undefined) return undefined;
      learnKnownName(governor, call, run.experimentId);
      return { startedRun: { ...run, parentRunId: run.parentRunId ?? asked } };
    }
    case "create_experiment": {
      const id = text(answer.experiment_id);
      const name = text(call.body.name);
      if (id === undefined) return undefined;
      if (name !== undefined) governor.learnExperiment(id, name);
      return { createdExperimentId: id };
    }
    case "update_run": {
      const status = text(call.body.status);
      if (status === undefined || operation.runId === undefined) return {};
      return { endedRun: { runId: operation.runId, status } };
    }
    case "get_run": {
      const run = startedRun(answer.run);
      if (run) governor.learnRun(run);
      learnKnownName(governor, call, run?.experimentId);
      return {};
    }
    case "get_experiment":
    case "get_experiment_by_name":
      learnExperiment(governor, answer.experiment);
      return {};
    case "search_experiments":
      for (const experiment of list(answer.experiments)) learnExperiment(governor, experiment);
      return {};
    default: {
      const version = message(answer.model_version);
      return { modelVersion: text(version.version), modelStage: text(version.current_stage) };
    }
  }
}
