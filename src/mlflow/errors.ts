// The one error every MLflow call fails with.

/** What an `MlflowError` may carry besides its message. */
export interface MlflowErrorDetails {
  readonly status?: number | undefined;
  readonly errorCode?: string | undefined;
  readonly cause?: unknown;
}

/**
 * A failed MLflow call.
 *
 * `code` is stable and meant for programs: MLflow's own error code where there is one (such as
 * `RESOURCE_DOES_NOT_EXIST`, `RESOURCE_ALREADY_EXISTS`, `INVALID_PARAMETER_VALUE`,
 * `PERMISSION_DENIED`; the names are those of MLflow's `databricks.proto`), or one of this client:
 * `SERVER_UNREACHABLE`, `TIMEOUT`, `INVALID_RESPONSE`.
 */
export class MlflowError extends Error {
  override readonly name = "MlflowError";
  readonly code: string;
  /** HTTP status of the answer, when a server gave one. */
  readonly status: number | undefined;
  /** `error_code` exactly as the server sent it, when it sent one. */
  readonly errorCode: string | undefined;

  constructor(code: string, message: string, details: MlflowErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.errorCode = details.errorCode;
  }
}

/** Is this an MlflowError of this code? */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof MlflowError && error.code === code;
}

/** What a thrown value says; a frame and a test runner have an Error of their own. */
export function reasonOf(thrown: unknown): string {
  const { message } = (thrown ?? {}) as { message?: unknown };
  return typeof message === "string" ? message : String(thrown);
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
