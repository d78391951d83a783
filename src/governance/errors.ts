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

/** Why a call was refused; nothing of it was sent to MLflow. */
export interface RefusalDetails {
  /** A policy's name, or `budget.NAME` and `rateLimit.NAME`. */
  readonly policy: string;
  /** Code of the GenOps specification, or one of ours, which begin with `x_`. */
  readonly reasonCode: string;
  /** What was wrong: an attribute, a tag, an option's name. */
  readonly field: string;
}

/** A policy that is configured to block refused a call, which was not sent to MLflow. */
export class PolicyViolationError extends Error {
  override readonly name = "PolicyViolationError";
  readonly code = "POLICY_VIOLATION";
  readonly policy: string;
  readonly reasonCode: string;
  readonly field: string;

  constructor({ policy, reasonCode, field }: RefusalDetails, message: string) {
    super(message);
    this.policy = policy;
    this.reasonCode = reasonCode;
    this.field = field;
  }
}

/** A budget or rate limit that is configured to block refused a call, which was not sent to MLflow. */
export class BudgetExceededError extends Error {
  override readonly name = "BudgetExceededError";
  /** `RATE_LIMITED`: the same call may pass a little later. */
  readonly code: "BUDGET_EXCEEDED" | "RATE_LIMITED";
  readonly policy: string;
  readonly reasonCode: string;
  /** Name of the budget or rate limit. */
  readonly budget: string;

  constructor(
    code: "BUDGET_EXCEEDED" | "RATE_LIMITED",
    { policy, reasonCode, budget }: Omit<RefusalDetails, "field"> & { readonly budget: string },
    message: string,
  ) {
    super(message);
    this.code = code;
    this.policy = policy;
    this.reasonCode = reasonCode;
    this.budget = budget;
  }
}

/** What governance throws on purpose: every other failure of its own is contained. */
export type GovernanceRefusal = PolicyViolationError | BudgetExceededError;
