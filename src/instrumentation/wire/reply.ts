// The answer of an MLflow server → what became of the operation, and what it teaches.
import type { Governor } from "../../governance/governor.js";
import type { Operation, Outcome } from "../../governance/operation.js";
import { MlflowError } from "../../mlflow/errors.js";
import { outcomeOf } from "../mlflow-calls.js";
import { parseJson, utf8Of } from "./json.js";
import { learnModel, type Transfer, transferKey, type WireCall } from "./request.js";

export interface WireReply {
  readonly status: number;
  /** All of it where {@link wantsReply} says so, and of answers other than 200 as far as it is there. */
  readonly body?: Uint8Array | undefined;
}

export type ReplyReading =
  | {
      readonly kind: "succeeded";
      readonly outcome: Outcome;
      /** By which an upload in parts that has begun is known when it ends. */
      readonly transferKey?: string | undefined;
      /** Where a file is to be sent, past the server. A key to the store: never log it. */
      readonly presignedUrl?: string | undefined;
    }
  | { readonly kind: "failed"; readonly error: MlflowError };

/** Operations whose answers teach something. */
const TEACHING: readonly string[] = [
  "create_run",
  "create_promptlab_run",
  "create_experiment",
  "create_logged_model",
  "create_model_version",
  "update_model_version",
  "transition_model_version_stage",
  "get_run",
  "get_experiment",
  "get_experiment_by_name",
  "search_experiments",
];

/** Must the body of an answer with status 200 be read? All others flow by. */
export function wantsReply({ name }: Operation, transfer?: Transfer): boolean {
  return TEACHING.includes(name) || transfer?.step === "create" || transfer?.step === "presign";
}

type Message = Readonly<Record<string, unknown>>;

function messageOf(body: Uint8Array | undefined): Message | undefined {
  const text = body && utf8Of(body);
  if (text === undefined) return undefined;
  try {
    const parsed = parseJson(text);
    return typeof parsed === "object" && parsed !== null ? (parsed as Message) : undefined;
  } catch {
    return undefined;
  }
}

function textIn(message: unknown, name: string): string | undefined {
  const value = (message as Message | undefined)?.[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function errorOf({ status }: WireReply, message: Message | undefined): MlflowError {
  const errorCode = textIn(message, "error_code");
  const reason = textIn(message, "message") ?? `The server answered with status ${status}.`;
  return new MlflowError(errorCode ?? "INVALID_RESPONSE", reason, { status, errorCode });
}

function learnLoggedModel(governor: Governor, message: Message): void {
  const info = (message.model as Message | undefined)?.info;
  const modelId = textIn(info, "model_id");
  const runId = textIn(info, "source_run_id");
  if (modelId !== undefined && runId !== undefined) learnModel(governor, modelId, runId);
}

/**
 * Reads an answer. Exactly status 200 is success, as MLflow's clients have it; a read that was answered
 * "there is none" was answered.
 */
export function readReply(
  governor: Governor,
  operation: Operation,
  call: WireCall,
  reply: WireReply,
  transfer?: Transfer,
): ReplyReading {
  if (reply.status !== 200) {
    const error = errorOf(reply, messageOf(reply.body));
    const id = governor.engine.operation(operation.name);
    const isRead = governor.engine.operations[id]?.class.endsWith("-read") === true;
    const isAnswer = isRead && error.code === "RESOURCE_DOES_NOT_EXIST";
    return isAnswer ? { kind: "succeeded", outcome: {} } : { kind: "failed", error };
  }
  const message = wantsReply(operation, transfer) ? messageOf(reply.body) : {};
  const outcome = message && outcomeOf(governor, operation, call, message);
  if (message === undefined || outcome === undefined) {
    const error = new MlflowError(
      "INVALID_RESPONSE",
      "The answer lacks what was to be created.",
      reply,
    );
    return { kind: "failed", error };
  }
  if (operation.name === "create_logged_model") learnLoggedModel(governor, message);
  const uploadId = textIn(message, "upload_id");
  if (transfer?.step === "create" && uploadId !== undefined) {
    const key = transferKey(uploadId, transfer.path ?? operation.upload?.artifactPath ?? "");
    return { kind: "succeeded", outcome, transferKey: key };
  }
  const presignedUrl = textIn(message, "presigned_url");
  if (transfer?.step === "presign" && presignedUrl !== undefined) {
    return { kind: "succeeded", outcome, presignedUrl };
  }
  return { kind: "succeeded", outcome };
}
