// A request to MLflow's HTTP interface → the operation that our own client would have made of it.
import type { EngineOperation } from "../../engine/index.js";
import type { Governor } from "../../governance/governor.js";
import type { Operation } from "../../governance/operation.js";
import { type DescribedCall, describeOperation } from "../mlflow-calls.js";
import {
  type Doubt,
  doubtOfNewRun,
  type ReadBody,
  readBody,
  readQuery,
  type WireMessage,
} from "./body.js";
import { artifactPathOf, canonicalPath } from "./path.js";
import { type ArtifactPlace, ownerOfFolder, placeOfArtifact, routeOf } from "./routes.js";

/** A request as it came, of which nothing has been interpreted. */
export interface WireRequest {
  /** In capitals, as HTTP has it. */
  readonly method: string;
  /** Path and query, percent-encoded as it came, beginning with a slash. */
  readonly target: string;
  readonly contentEncoding?: string | undefined;
  /** Bytes of the body as declared; undefined when nobody has said. */
  readonly contentLength?: number | undefined;
  /** Header `x-mlflow-experiment-id`: where spans that are sent to `/v1/traces` belong. */
  readonly experimentId?: string | undefined;
  /** All of it where {@link wantsBody} says so; not looked at elsewhere. */
  readonly body?: Uint8Array | undefined;
}

export interface WireOptions {
  /** Path before MLflow's own, as in `mlflow server --static-prefix /mlflow`. */
  readonly staticPrefix?: string | undefined;
  /** Where the request goes: the store's URI without credentials. */
  readonly storeUri: string;
}

/** A request as MLflow's message. */
export interface WireCall extends DescribedCall {
  /** Decoded, without query and static prefix. */
  readonly path: string;
}

/** A file that takes more than one request: its operation is one, and ends with the last of them. */
export interface Transfer {
  /**
   * `create` begins an upload in parts, which {@link transferKey} of the reply names; `complete` and `abort`
   * end it. `presign` asks for a URL that the file is then sent to, past the server.
   */
  readonly step: "create" | "complete" | "abort" | "presign";
  /** Which upload is ended; undefined when it begins. */
  readonly key: string | undefined;
  /** On the server, below its artifact root; undefined where only the run or model is known. */
  readonly path: string | undefined;
  /** The logged model whose file it is, where that is known by the model alone. */
  readonly modelId?: string | undefined;
}

export type WireReading =
  | {
      readonly kind: "operation";
      readonly operation: Operation;
      readonly call: WireCall;
      readonly transfer?: Transfer | undefined;
      /** The logged model that is written, or whose file is; whose it is, its run tells. */
      readonly modelId?: string | undefined;
      /** Where on the server's artifact root something is put or deleted. */
      readonly folder?: string | undefined;
    }
  /** None of MLflow's requests. */
  | { readonly kind: "foreign" }
  /** Not to be sent: others might read it otherwise than MLflow does. */
  | {
      readonly kind: "refused";
      readonly status: 400;
      readonly message: string;
      readonly field: string;
    };

const FOREIGN: WireReading = Object.freeze({ kind: "foreign" });

/** Classes whose requests say in their body whose they are. */
const READ_BODIES: readonly string[] = [
  "run-lifecycle",
  "tracking-write",
  "tracking-read",
  "experiment-write",
  "model-log",
  "registry-write",
  "registry-read",
  "artifact-write",
  "trace-write",
  "trace-read",
];
/** Operations of those classes whose body is no message. */
const OTHER_BODIES: readonly string[] = [
  "log_artifact",
  "delete_artifact",
  "export_spans",
  "query_graphql",
  "write_mcp_server",
];
const STEPS: Readonly<Record<string, Transfer["step"]>> = {
  create_multipart_upload: "create",
  complete_multipart_upload: "complete",
  abort_multipart_upload: "abort",
  presign_upload: "presign",
};

function refused({ field, message }: Doubt): WireReading {
  return { kind: "refused", status: 400, field, message };
}

interface Target {
  readonly path: string;
  readonly query: string;
  readonly id: number;
  readonly entry: EngineOperation | undefined;
  /** Is its body a message that says whose it is? */
  readonly hasMessage: boolean;
  readonly route: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Targets of each engine that were found out already: most calls are made to the same few, without a query. */
const LOCATED = new WeakMap<object, Map<string, Target | Doubt>>();
const LOCATED_MAX = 256;
const LOCATED_LENGTH_MAX = 200;

function locate(
  method: string,
  target: string,
  governor: Pick<Governor, "engine">,
  options: Pick<WireOptions, "staticPrefix">,
): Target | Doubt {
  if (target.length > LOCATED_LENGTH_MAX) return located(method, target, governor, options);
  let known = LOCATED.get(governor.engine);
  if (known === undefined) {
    known = new Map();
    LOCATED.set(governor.engine, known);
  }
  const key = `${method} ${options.staticPrefix ?? ""} ${target}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const found = located(method, target, governor, options);
  if (known.size >= LOCATED_MAX) known.clear();
  known.set(key, found);
  return found;
}

function located(
  method: string,
  target: string,
  { engine }: Pick<Governor, "engine">,
  options: Pick<WireOptions, "staticPrefix">,
): Target | Doubt {
  const mark = target.indexOf("?");
  const found = canonicalPath(mark < 0 ? target : target.slice(0, mark), options);
  if ("refused" in found) return { field: "path", message: `path: ${found.refused}` };
  const { path } = found;
  // What was encoded is part of the path, not the begin of a query.
  const id = engine.classify(method, path.replace(/[?#]/g, "_"));
  const entry = engine.operations[id];
  return {
    path,
    query: mark < 0 ? "" : target.slice(mark + 1),
    id,
    entry,
    hasMessage: entry !== undefined && bodyMatters(method, entry),
    ...routeOf(path),
  };
}

function bodyMatters(method: string, { class: kind, name }: EngineOperation): boolean {
  return method !== "GET" && READ_BODIES.includes(kind) && !OTHER_BODIES.includes(name);
}

/** Must the body of such a request be read before it is sent on? Files and what is nobody's flow by. */
export function wantsBody(
  method: string,
  target: string,
  governor: Pick<Governor, "engine">,
  options: Pick<WireOptions, "staticPrefix"> = {},
): boolean {
  const found = locate(method, target, governor, options);
  return !("field" in found) && found.hasMessage;
}

/** By which an upload in parts is known: its id, and which file it makes. */
export function transferKey(uploadId: string, path: string): string {
  return `${uploadId} ${path}`;
}

function textIn(message: WireMessage, name: string): string | undefined {
  const value = message[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Statuses of a run by their numbers in MLflow's protocol, which it takes as well. */
const STATUSES: readonly string[] = ["", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

function withStatusName(message: WireMessage): WireMessage {
  const { status } = message;
  const named = typeof status === "number" || typeof status === "string" ? Number(status) : -1;
  const name = status === "" ? undefined : STATUSES[named];
  return name === undefined ? message : { ...message, status: name };
}

/** The URI of an artifact that is known by its run. */
function uriBelow(governor: Governor, runId: string | undefined, artifactPath: string): string {
  const root = runId === undefined ? undefined : governor.runs.get(runId)?.started.artifactUri;
  const base = root ?? `mlflow-artifacts:/${runId ?? ""}/artifacts`;
  return `${base.replace(/\/+$/, "")}/${artifactPath}`;
}

/** Where a file goes that a request carries, or begins. */
interface Destination extends ArtifactPlace {
  readonly artifactUri: string;
  readonly path: string | undefined;
}

function destinationOf(
  governor: Governor,
  name: string,
  parameter: string | undefined,
  message: WireMessage,
): Destination | undefined {
  if (parameter !== undefined) {
    const whole = artifactPathOf(parameter);
    // In parts: the path is the folder, the message has the file; Python's client says where it lies on its own disk.
    const file = (textIn(message, "path") ?? "").split("/").at(-1) ?? "";
    const isInParts = name !== "log_artifact";
    if (whole === undefined || (isInParts && ["", ".", ".."].includes(file))) return undefined;
    const path = isInParts ? `${whole}/${file}` : whole;
    return { ...placeOfArtifact(path), artifactUri: `mlflow-artifacts:/${path}`, path };
  }
  const given = artifactPathOf(textIn(message, "path") ?? "");
  if (given === undefined) return undefined;
  const runId = textIn(message, "run_id") ?? textIn(message, "run_uuid");
  const modelId = textIn(message, "model_id");
  const artifactUri = uriBelow(governor, runId, given);
  return { runId, modelId, artifactPath: given, artifactUri, path: undefined };
}

function readFile(
  governor: Governor,
  entry: EngineOperation,
  call: WireCall,
  parameter: string | undefined,
  sizeBytes: number | undefined,
): WireReading {
  const to = destinationOf(governor, entry.name, parameter, call.body);
  if (to === undefined) {
    return refused({ field: "path", message: "path: names no file below the artifact root" });
  }
  const { artifactUri, artifactPath, experimentId, path } = to;
  const step = STEPS[entry.name];
  // Also where a run's folder holds no artifacts: whoever puts a file there is in its way.
  const isPlaced = path === undefined || (to.runId ?? to.modelId) !== undefined;
  const owner = isPlaced ? to : ownerOfFolder(path);
  const modelId = to.modelId ?? owner.modelId;
  const runId = to.runId ?? owner.runId ?? runOfModel(governor, modelId);
  const upload = { runId, artifactPath, artifactUri, sizeBytes };
  const ofFile = { ...call, upload };
  const fileOperation = governor.engine.operation("log_artifact");
  const operation = describeOperation(governor, fileOperation, ofFile);
  if (operation === undefined) return FOREIGN;
  const named = operation.experimentId === undefined ? { ...operation, experimentId } : operation;
  const owned = { modelId, folder: path };
  if (step === undefined) return { kind: "operation", operation: named, call: ofFile, ...owned };
  const uploadId = textIn(call.body, "upload_id");
  const key = uploadId === undefined ? undefined : transferKey(uploadId, path ?? artifactPath);
  const transfer = { step, key, path, modelId: path === undefined ? modelId : undefined };
  return { kind: "operation", operation: named, call: ofFile, transfer, ...owned };
}

/** Runs that logged models were made by, as replies told, for one ledger. */
const MODELS = new WeakMap<Governor, Map<string, string>>();
const MODELS_MAX = 4096;

/** Learns which run a logged model was made by, so that its files are that run's. */
export function learnModel(governor: Governor, modelId: string, runId: string): void {
  const known = MODELS.get(governor) ?? new Map<string, string>();
  if (known.size >= MODELS_MAX) known.clear();
  MODELS.set(governor, known.set(modelId, runId));
}

/** The run that made a logged model, as far as replies have told. */
export function runOfModel(governor: Governor, modelId: string | undefined): string | undefined {
  return modelId === undefined ? undefined : MODELS.get(governor)?.get(modelId);
}

/**
 * Reads a request as MLflow's server would: its families below `/api` and `/ajax-api`, the routes of its web
 * page, and the artifact proxy. What it says is taken from route and body alone.
 */
export function readRequest(
  request: WireRequest,
  governor: Governor,
  options: WireOptions,
): WireReading {
  const { method, target, contentEncoding, contentLength, body } = request;
  const found = locate(method, target, governor, options);
  if ("field" in found) return refused(found);
  const { path, query, id, entry, route, parameters } = found;
  if (entry === undefined) return FOREIGN;
  const read: ReadBody = found.hasMessage
    ? readBody(body, contentEncoding)
    : { message: method === "GET" || entry.name === "log_artifact" ? readQuery(query) : {} };
  const isRead = entry.class.endsWith("-read");
  if ("doubt" in read && !isRead) return refused(read.doubt);
  const { path: parameter, ...ids } = parameters;
  let message: WireMessage = { ...("doubt" in read ? {} : read.message), ...ids };
  if (entry.startsRun) {
    const doubt = doubtOfNewRun(message);
    if (doubt !== undefined) return refused(doubt);
  }
  if (entry.name === "update_run") message = withStatusName(message);
  if (entry.name === "export_spans" && request.experimentId !== undefined) {
    message = { experiment_id: request.experimentId };
  }
  if (entry.name === "delete_artifact" && parameter !== undefined) {
    // Whose files these are matters to whoever asks who may delete them.
    const artifact = artifactPathOf(parameter);
    if (artifact === undefined) {
      return refused({ field: "path", message: "path: names no file below the artifact root" });
    }
    const { runId, modelId } = ownerOfFolder(artifact);
    const { storeUri } = options;
    const call = { method, route, path, body: { run_id: runId }, storeUri };
    const operation = describeOperation(governor, id, call);
    if (operation === undefined) return FOREIGN;
    return { kind: "operation", operation, call, modelId, folder: artifact };
  }
  const call = { method, route, path, body: message, storeUri: options.storeUri };
  if (entry.name === "log_artifact" || Object.hasOwn(STEPS, entry.name)) {
    const size = entry.name === "log_artifact" ? contentLength : undefined;
    return readFile(governor, entry, call, parameter, size);
  }
  const operation = describeOperation(governor, id, call);
  if (operation === undefined) return FOREIGN;
  return { kind: "operation", operation, call, modelId: textIn(message, "model_id") };
}
