// The one error every MLflow call fails with, and what is told apart by its class.
import { withoutSecrets } from "./redaction.js";

/**
 * Error codes that programs tell apart. MLflow's own (mlflow/protos/databricks.proto), and those of
 * this client: `SERVER_UNREACHABLE`, `TIMEOUT`, `INVALID_RESPONSE`, `ASYNC_LOGGING_FAILED`. A server
 * may send others.
 */
export type MlflowErrorCode =
  | "BAD_REQUEST"
  | "DEADLINE_EXCEEDED"
  | "ENDPOINT_NOT_FOUND"
  | "FEATURE_DISABLED"
  | "INTERNAL_ERROR"
  | "INVALID_PARAMETER_VALUE"
  | "INVALID_STATE"
  | "NOT_IMPLEMENTED"
  | "PERMISSION_DENIED"
  | "REQUEST_LIMIT_EXCEEDED"
  | "RESOURCE_ALREADY_EXISTS"
  | "RESOURCE_CONFLICT"
  | "RESOURCE_DOES_NOT_EXIST"
  | "TEMPORARILY_UNAVAILABLE"
  | "UNAUTHENTICATED"
  | "SERVER_UNREACHABLE"
  | "TIMEOUT"
  | "INVALID_RESPONSE"
  | "ASYNC_LOGGING_FAILED"
  | (string & {});

/** What an `MlflowError` may carry besides its message. */
export interface MlflowErrorDetails {
  readonly status?: number | undefined;
  readonly errorCode?: string | undefined;
  readonly cause?: unknown;
}

/**
 * A failed MLflow call.
 *
 * `code` is stable and meant for programs: MLflow's own where there is one, or one of this client.
 */
export class MlflowError extends Error {
  override readonly name: string = "MlflowError";
  readonly code: MlflowErrorCode;
  /** HTTP status of the answer, when a server gave one. */
  readonly status: number | undefined;
  /** `error_code` exactly as the server sent it, when it sent one. */
  readonly errorCode: string | undefined;

  constructor(code: MlflowErrorCode, message: string, details: MlflowErrorDetails = {}) {
    // Here and not where messages are made: texts of servers and SDKs repeat the URIs that they were given.
    const { cause } = details;
    super(withoutSecrets(message), cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = details.status;
    this.errorCode = details.errorCode;
  }
}

/**
 * A write that may or may not have been carried out: its answer was lost, or is none of MLflow's.
 * Whoever repeats a creation should look first, or there may be two. `code` says what was seen.
 */
export class UnknownOutcomeError extends MlflowError {
  override readonly name = "UnknownOutcomeError";
}

/** What was logged asynchronously to one run and is not in the store, as far as anybody knows. */
export interface LostWrites {
  readonly runId: string;
  /** Of the run's store, without credentials. */
  readonly storeUri: string;
  /** Points of metrics, params, and tags that are missing. */
  readonly metrics: number;
  readonly params: number;
  readonly tags: number;
  /** Their names, each once; the first 1,000 of them. */
  readonly keys: readonly string[];
}

/** Asynchronous logging could not send everything; `cause` is why, `lost` is what. */
export class AsyncLoggingError extends MlflowError {
  override readonly name = "AsyncLoggingError";
  readonly lost: readonly LostWrites[];

  constructor(lost: readonly LostWrites[], cause: unknown) {
    const { code, status, errorCode }: Partial<MlflowError> =
      cause instanceof MlflowError ? cause : { code: "ASYNC_LOGGING_FAILED" };
    const what = lost.map(describeLoss).join("; ");
    const verdict = cause instanceof UnknownOutcomeError ? "Perhaps not logged" : "Not logged";
    super(code ?? "ASYNC_LOGGING_FAILED", `${verdict}: ${what}. ${reasonOf(cause)}`, {
      status,
      errorCode,
      cause,
    });
    this.lost = lost;
  }
}

/** Names shown of what was lost. */
const MAX_SHOWN_KEYS = 5;

function describeLoss({ runId, metrics, params, tags, keys }: LostWrites): string {
  const counted = ([count, noun]: readonly [number, string]) =>
    count === 0 ? [] : [`${count} ${noun}${count === 1 ? "" : "s"}`];
  const kinds: readonly (readonly [number, string])[] = [
    [metrics, "metric point"],
    [params, "param"],
    [tags, "tag"],
  ];
  const shown = keys.slice(0, MAX_SHOWN_KEYS).join(", ");
  const more = keys.length > MAX_SHOWN_KEYS ? `, and ${keys.length - MAX_SHOWN_KEYS} more` : "";
  return `${kinds.flatMap(counted).join(", ")} of run '${runId}' (${shown}${more})`;
}

/** Is this an MlflowError of this code? */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof MlflowError && error.code === code;
}

/** What a thrown value says, as it may be shown; a frame and a test runner have an Error of their own. */
export function reasonOf(thrown: unknown): string {
  const { message } = (thrown ?? {}) as { message?: unknown };
  return withoutSecrets(typeof message === "string" ? message : String(thrown));
}

/** The error of a value that MLflow would refuse: names the field, the value and the fix. */
export function invalidParameter(field: string, value: unknown, fix: string): MlflowError {
  return new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `Invalid value ${describe(value)} for '${field}': ${fix}`,
  );
}

function describe(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 120 ? `${value.slice(0, 117)}...` : value);
  }
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? "(an array)" : "(an object)";
  }
  return String(value);
}
