// Calls of the MLflow client → operations, and what their replies teach. Route and body decide, nothing else.
import type { RunTag } from "../governance/attribution.js";
import type { GovernanceRefusal } from "../governance/errors.js";
import type { Governor } from "../governance/governor.js";
import {
  NOTHING_LEARNED,
  type Operation,
  type OperationDetails,
  type Outcome,
  type StartedRun,
  type Upload,
} from "../governance/operation.js";
import { knownExperimentName } from "../mlflow/experiment-names.js";
import type { Proceed, StoreCall } from "../mlflow/interceptor.js";
import { withoutCredentials } from "../mlflow/redaction.js";
import { getModelVersion, getRun, logBatch, uploadArtifact } from "../mlflow/spec.js";
import { placeOfArtifact } from "./wire/routes.js";

type Message = Readonly<Record<string, unknown>>;

/** What is read of a call, whoever makes it: our own client, or any other over HTTP. */
export interface DescribedCall {
  readonly method: string;
  /** MLflow's route template; a constant per endpoint. */
  readonly route: string;
  /** Request message as MLflow's JSON names it. */
  readonly body: Message;
  readonly storeUri: string;
  readonly upload?: (Upload & { readonly runId?: string | undefined }) | undefined;
}

const ARTIFACTS = uploadArtifact.route.replace("{path}", "");
/** Characters that any MLflow keeps of a tag's value. */
const TAG_LENGTH_MAX = 5000;
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

/** What is known of an operation: found out once. */
interface KnownOperation {
  readonly id: number;
  readonly name: string;
  readonly isRegistry: boolean;
  /** Has its body something that only policies ask for? */
  readonly hasDetails: boolean;
  /** Does it carry several things at once? */
  readonly isBatch: boolean;
}

const REGISTRY = ["registry-write", "registry-read"];
const BATCHES = ["log_batch", "log_inputs", "log_outputs"];

/** Reads what only policies ask for, by operation. */
const DETAILS: Readonly<Record<string, (body: Message) => OperationDetails>> = {
  create_run: (body) => {
    const tags = tagsOf(body.tags);
    const newParentRunId = tags.find(({ key }) => key === PARENT_RUN_TAG)?.value;
    return { newName: text(body.run_name), tags, newParentRunId };
  },
  update_run: (body) => ({ newName: text(body.run_name), status: text(body.status) }),
  set_tag: (body) => ({ tags: tagsOf([body]) }),
  log_batch: (body) => ({ tags: tagsOf(body.tags) }),
  delete_tag: (body) => ({ deletedTag: text(body.key) }),
  create_experiment: (body) => ({
    newName: text(body.name),
    artifactLocation: text(body.artifact_location),
  }),
  update_experiment: (body) => ({ newName: text(body.new_name) }),
  create_registered_model: (body) => ({ newName: text(body.name) }),
  rename_registered_model: (body) => ({ newName: text(body.new_name) }),
};

/** The operations of one ledger's table, as calls name them. */
class KnownCalls {
  readonly #governor: Governor;
  readonly #ids = new Map<number, KnownOperation | undefined>();
  /** Route → its operation by method. */
  readonly #routes = new Map<string, Map<string, KnownOperation | undefined>>();
  /** Most calls are made like the one before. */
  #lastMethod = "";
  #lastRoute = "";
  #last: KnownOperation | undefined;

  constructor(governor: Governor) {
    this.#governor = governor;
  }

  /** Undefined for an id that the table does not have. */
  ofId(id: number): KnownOperation | undefined {
    const known = this.#ids.get(id);
    if (known !== undefined || this.#ids.has(id)) return known;
    const entry = this.#governor.engine.operations[id];
    const found = entry && {
      id,
      name: entry.name,
      isRegistry: REGISTRY.includes(entry.class),
      hasDetails: this.#governor.judges(id) && Object.hasOwn(DETAILS, entry.name),
      isBatch: BATCHES.includes(entry.name),
    };
    this.#ids.set(id, found);
    return found;
  }

  /** Undefined for what is none of MLflow's; a template is classified once. */
  ofRoute(method: string, route: string): KnownOperation | undefined {
    if (route === this.#lastRoute && method === this.#lastMethod) return this.#last;
    let methods = this.#routes.get(route);
    if (methods === undefined) {
      methods = new Map();
      this.#routes.set(route, methods);
    }
    if (!methods.has(method)) {
      methods.set(method, this.ofId(this.#governor.engine.classify(method, route)));
    }
    const known = methods.get(method);
    this.#lastMethod = method;
    this.#lastRoute = route;
    this.#last = known;
    return known;
  }
}

const KNOWN_CALLS = new WeakMap<Governor, KnownCalls>();

function knownCalls(governor: Governor): KnownCalls {
  let known = KNOWN_CALLS.get(governor);
  if (known === undefined) {
    known = new KnownCalls(governor);
    KNOWN_CALLS.set(governor, known);
  }
  return known;
}

function modelSourceOf(body: Message): string | undefined {
  const modelId = text(body.model_id);
  return modelId === undefined ? text(body.source) : `models:/${modelId}`;
}

/** The experiment that a trace is sent to. */
function experimentOfTrace(body: Message): string | undefined {
  // Proto fields in both spellings, as the server reads them.
  const inside = (outer: unknown, name: string, other: string) =>
    message(outer)[name] ?? message(outer)[other];
  const info = inside(body.trace, "trace_info", "traceInfo");
  const location = inside(info, "trace_location", "traceLocation");
  const experiment = inside(location, "mlflow_experiment", "mlflowExperiment");
  return text(inside(experiment, "experiment_id", "experimentId"));
}

/** What a call is; undefined when it is none of MLflow's. */
export function describe(governor: Governor, call: StoreCall): Operation | undefined {
  const known = knownCalls(governor).ofRoute(call.method, call.route);
  if (known === undefined) return undefined;
  const operation = describeAs(known, call);
  if (operation.upload === undefined || operation.runId !== undefined) return operation;
  // A file that no run made is known by where it lies, as it is to whoever sees its request.
  const place = decodeURIComponent(call.path.slice(ARTIFACTS.length));
  return { ...operation, experimentId: placeOfArtifact(place).experimentId };
}

/** As {@link describe}, where the engine has classified the request already. */
export function describeOperation(
  governor: Governor,
  operationId: number,
  call: DescribedCall,
): Operation | undefined {
  const known = knownCalls(governor).ofId(operationId);
  return known && describeAs(known, call);
}

function describeAs(known: KnownOperation, call: DescribedCall): Operation {
  const { body, upload } = call;
  const { id, name, isRegistry } = known;
  const runId = upload?.runId ?? text(body.run_id) ?? text(body.run_uuid);
  return {
    name,
    id,
    // A registered model's version names the run that it came from; it is not written.
    runId: isRegistry ? undefined : runId,
    parentRunId: isRegistry ? runId : undefined,
    experimentId:
      text(body.experiment_id) ?? (name === "start_trace" ? experimentOfTrace(body) : undefined),
    modelName: isRegistry ? text(body.name) : undefined,
    modelVersion: isRegistry ? text(body.version) : undefined,
    modelStage: isRegistry ? text(body.stage) : undefined,
    modelSource: name === "create_model_version" ? modelSourceOf(body) : undefined,
    upload,
    details: known.hasDetails ? DETAILS[name]?.(body) : undefined,
    items: known.isBatch ? itemsOf(name, body) : 1,
  };
}

/** A run as replies have it; undefined for what is none. */
export function readStartedRun(run: unknown): StartedRun | undefined {
  const info = message(message(run).info);
  const runId = text(info.run_id) ?? text(info.run_uuid);
  if (runId === undefined) return undefined;
  const tags = tagsOf(message(message(run).data).tags);
  const tag = (key: string) => tags.find((entry) => entry.key === key)?.value;
  const artifactUri = text(info.artifact_uri);
  return {
    runId,
    runName: text(info.run_name) ?? tag(RUN_NAME_TAG),
    parentRunId: text(tag(PARENT_RUN_TAG)),
    experimentId: text(info.experiment_id),
    // Telemetry shows it, and a store's address may hold a password.
    artifactUri: artifactUri && withoutCredentials(artifactUri),
    tags,
  };
}

/**
 * Asks the store for what policies must know to judge a call: past everything that governs, and unbilled.
 * Rejects as the store does.
 */
export async function informed(
  governor: Governor,
  operation: Operation,
  call: StoreCall,
  proceed: Proceed,
): Promise<Operation> {
  const unknown = governor.unknownTo(operation);
  if (unknown === undefined) return operation;
  const { storeUri } = call;
  if (unknown === "run") {
    const { method, route } = getRun;
    const body = { run_id: operation.runId };
    const reply = await proceed({ method, route, path: route, body, storeUri }, getRun);
    const run = readStartedRun(message(reply).run);
    if (run) governor.learnRun(run);
    return operation;
  }
  const { method, route } = getModelVersion;
  const body = { name: operation.modelName, version: operation.modelVersion };
  const reply = await proceed({ method, route, path: route, body, storeUri }, getModelVersion);
  const currentStage = text(message(message(reply).model_version).current_stage);
  return { ...operation, details: { ...operation.details, currentStage } };
}

/** Tells a run why it may not end as it should, as tags; past everything that governs, and unbilled. */
export async function tagRefusal(
  { policy, reasonCode, message: reason }: GovernanceRefusal,
  runId: string,
  { storeUri }: StoreCall,
  proceed: Proceed,
): Promise<void> {
  const { method, route } = logBatch;
  const tags = [
    { key: "genops.policy.result", value: "BLOCKED" },
    { key: "genops.policy.reason_code", value: reasonCode },
    { key: "genops.policy.name", value: policy },
    { key: "genops.policy.reason", value: reason.slice(0, TAG_LENGTH_MAX) },
  ];
  const body = { run_id: runId, metrics: [], params: [], tags };
  await proceed({ method, route, path: route, body, storeUri }, logBatch);
}

/** Learns a name that the client knows already and does not ask for again. */
function learnKnownName(governor: Governor, call: DescribedCall, id: string | undefined): void {
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
  call: DescribedCall,
  reply: unknown,
): Outcome | undefined {
  const answer = message(reply);
  switch (operation.name) {
    // What is logged answers nothing.
    case "log_metric":
    case "log_param":
    case "log_batch":
    case "set_tag":
    case "log_artifact":
      return NOTHING_LEARNED;
    case "create_run":
    case "create_promptlab_run": {
      const run = readStartedRun(answer.run);
      // The request tells the parent even where a server's reply leaves its tags out.
      const asked = tagsOf(call.body.tags).find(({ key }) => key === PARENT_RUN_TAG)?.value;
      if (run === undefined) return undefined;
      learnKnownName(governor, call, run.experimentId);
      // A reply may leave tags out that the request has.
      const tags = [...tagsOf(call.body.tags), ...(run.tags ?? [])];
      return { startedRun: { ...run, parentRunId: run.parentRunId ?? asked, tags } };
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
      const run = readStartedRun(answer.run);
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
