// Errors of governance that a user can cause.

/** Codes of {@link ConfigurationError}. */
export type ConfigurationErrorCode = "UNKNOWN_OPTION" | "INVALID_OPTION";

/** A wrong option or argument. Thrown before anything is changed. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly code: ConfigurationErrorCode;
  /** Option or variable at fault, for example `samplingRate` or `GENOPS_SAMPLING_RATE`. */
  readonly field: string;
  readonly value: unknown;
  /** The nearest valid name, when one is near. */
  readonly suggestion?: string;

  constructor(
    code: ConfigurationErrorCode,
    field: string,
    value: unknown,
    message: string,
    suggestion?: string,
  ) {
    super(message);
    this.code = code;
    this.field = field;
    this.value = value;
    if (suggestion !== undefined) this.suggestion = suggestion;
  }
}
