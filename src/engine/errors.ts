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
  | "INCOMPATIBLE_MODULE"
  /** The runtime does not let WebAssembly be compiled. */
  | "INCOMPATIBLE_RUNTIME"
  /** Bytes that are no snapshot, not all of one, or that contradict themselves. */
  | "SNAPSHOT_CORRUPT"
  /** A snapshot of an engine with other capacities, operations or another format. */
  | "INCOMPATIBLE_SNAPSHOT"
  /** Only the ledger of an engine with a `source` can be merged. */
  | "UNNAMED_SOURCE"
  /** A fault of the engine itself stopped it; it can be restored from a snapshot. */
  | "ENGINE_POISONED";

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
