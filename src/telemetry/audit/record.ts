// What the audit trail says of one decision: who, what, when, how much, and what came of it.

/** Who answers for an operation; what is not known is left out. */
export interface AuditSubject {
  readonly team?: string;
  readonly project?: string;
  readonly customerId?: string;
  readonly environment?: string;
  readonly costCenter?: string;
  /** Login name that the process runs as. */
  readonly user?: string;
}

/** What an operation touches; what it does not touch is left out. */
export interface AuditTarget {
  readonly runId?: string;
  readonly experimentId?: string;
  readonly modelName?: string;
  readonly modelVersion?: string;
  readonly modelStage?: string;
  readonly artifactUri?: string;
}

/** One governance decision, as it is kept. */
export interface AuditDecision {
  readonly kind: "decision";
  /** ISO 8601 in UTC, to the ms. */
  readonly time: string;
  /**
   * `after` the call, with its cost and outcome. Registry, deleting and permission changes are told
   * `before` too: a process that is killed in between still leaves who was about to change what. A call
   * that was refused is told `before` alone, as nothing came after.
   */
  readonly phase: "before" | "after";
  /** Ties the two phases of a call; counts up within a process. */
  readonly call: number;
  /** MLflow's operation, for example `delete_run`. */
  readonly operation: string;
  readonly operationClass: string;
  readonly who: AuditSubject;
  readonly target: AuditTarget;
  readonly decision: "ALLOWED" | "BLOCKED" | "WARNING" | "RATE_LIMITED";
  /** Null when ALLOWED. */
  readonly reasonCode: string | null;
  /** What decided, unless ALLOWED: a policy's name, or `budget.NAME` and `rateLimit.NAME`. */
  readonly policy?: string;
  /** Why, in words, unless ALLOWED. */
  readonly reason?: string;
  /** USD as an exact decimal: reserved before the call, charged after it. */
  readonly cost: string;
  readonly outcome?: "ok" | "error";
  /** Code or name of the error. */
  readonly error?: string;
}

/** What the file itself has to tell. */
export type AuditNote =
  | {
      readonly kind: "started";
      readonly time: string;
      readonly chain: string;
      readonly pid: number;
    }
  /** Another process, or this one anew, goes on with the chain. */
  | { readonly kind: "continued"; readonly time: string; readonly pid: number }
  /** The first record of the next file. */
  | { readonly kind: "rotated"; readonly time: string; readonly from: string }
  /** A line that was cut off in the middle was moved away. */
  | {
      readonly kind: "repaired";
      readonly time: string;
      readonly tornBytes: number;
      readonly tornSha256: string;
      readonly tornFile: string;
    }
  /** So many records could not be written before this one. */
  | { readonly kind: "gap"; readonly time: string; readonly lost: number };

export type AuditRecord = AuditDecision | AuditNote;

/** Takes the records of an adapter: a file, or a function of the program's own. */
export type AuditSink = (record: AuditDecision) => void;

/** Where the trail goes; `maxBytes` is the size at which a file is followed by the next, 64 MiB by default. */
export interface AuditLogOptions {
  readonly path: string;
  readonly maxBytes?: number | undefined;
}

export type AuditLog = string | AuditLogOptions | AuditSink;
