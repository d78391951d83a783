// The engine's one error: a stable code, the field, the value and what to do.

/** Codes of {@link EngineError}. */
export type EngineErrorCode =
  | "INVALID_HANDLE"
  | "UNKNOWN_OPERATION"
  | "UNKNOWN_METER"
  | "INVALID_QUANTITY"
  | "AMOUNT_TOO_LARGE"
  | "TOTAL_OVERFLOW"
  | "CAPACITY_EXCEEDED"
  | "ATTRIBUTION_IMMUTABLE"
  | "PARENT_CYCLE"
  | "CLOCK_JUMP"
  | "INVALID_NAME"
  | "TICKET_SETTLED"
  | "INVALID_PRICE"
  | "PAYER_MISMATCH"
  | "INVALID_OPTION"
  | "INCOMPATIBLE_MODULE";

/** Thrown by the engine's binding for what a caller can cause. Nothing was changed when it is thrown. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: EngineErrorCode;
  /** Argument or option at fault. */
  readonly field: string;
  /** The offending value as it was given. */
  readonly value: unknown;

  constructor(code: EngineErrorCode, field: string, value: unknown, message: string) {
    super(`${field}: ${message}`);
    this.code = code;
    this.field = field;
    this.value = value;
  }
}
