// What a validation found: every check with its outcome, and every issue with the line that mends it.

/** `error`: something that was asked for does not work. `warning`: it works, and not as one would want. */
export type Severity = "error" | "warning" | "info";

export type Area = "dependencies" | "configuration" | "connectivity" | "governance" | "telemetry";

export type CheckStatus = "passed" | "warned" | "failed" | "skipped";

export type CheckName =
  | "runtime"
  | "packages"
  | "options"
  | "environment"
  | "attributes"
  | "keptFiles"
  | "trackingServer"
  | "artifactStore"
  | "registry"
  | "accounting"
  | "limits"
  | "sampling"
  | "conformance"
  | "export"
  | "logRecords";

/** One thing to mend. No text of it holds a secret. */
export interface ValidationIssue {
  /** Stable, for programs, for example `TRACKING_SERVER_DOWN`. */
  readonly code: string;
  readonly severity: Severity;
  readonly area: Area;
  readonly check: CheckName;
  /** What is wrong, in a sentence. */
  readonly message: string;
  /** What was seen that says so. */
  readonly cause: string;
  /** The command or the line that mends it. */
  readonly fix: string;
}

export interface CheckResult {
  readonly name: CheckName;
  readonly area: Area;
  readonly status: CheckStatus;
  /** What was found, or why the check was left out. */
  readonly detail: string;
  /** Milliseconds. */
  readonly durationMs: number;
}

/** A package that is installed by those who need it. */
export interface DependencyState {
  /** Undefined when it is not installed. */
  readonly version?: string;
  /** Versions that genops works with, as in its package.json. */
  readonly supported: string;
  /** Does this configuration need it? */
  readonly needed: boolean;
}

export interface ValidationResult {
  /** True unless an issue is an error. */
  readonly passed: boolean;
  /** The same as `passed`. */
  readonly isValid: boolean;
  /** Errors first, then warnings, then notes. */
  readonly issues: readonly ValidationIssue[];
  /** In the order in which they were made. */
  readonly checks: readonly CheckResult[];
  /** By name: `node`, and every optional package. */
  readonly dependencies: Readonly<Record<string, DependencyState>>;
  /** What is in force, by name; secrets are left out. */
  readonly configuration: Readonly<Record<string, string>>;
  readonly connectivity: Readonly<
    Record<"trackingServer" | "artifactStore" | "registry", CheckStatus>
  >;
}

const RANK: Readonly<Record<Severity, number>> = { error: 0, warning: 1, info: 2 };

/** Sorted by severity; within one, in the order in which they were found. */
export function bySeverity(issues: readonly ValidationIssue[]): ValidationIssue[] {
  return [...issues].sort((one, other) => RANK[one.severity] - RANK[other.severity]);
}

export function countOf(issues: readonly ValidationIssue[], severity: Severity): number {
  return issues.filter((issue) => issue.severity === severity).length;
}
