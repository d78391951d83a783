// What an engine can report, every amount exact.

/** Dimensions that a total can be asked for. */
export type Dimension =
  | "run"
  | "experiment"
  | "team"
  | "project"
  | "customer"
  | "environment"
  | "costCenter"
  | "context"
  | "model"
  | "operationType"
  | "meter";

/** Dimensions whose amounts are rolled up by name. */
export type RolledUp = Exclude<Dimension, "operationType" | "meter">;

/** Names and amounts one after the other, without an object for each: for those who need millions fast. */
export interface AmountCursor {
  /** Goes to the next name that holds an amount; false after the last. */
  next(): boolean;
  readonly name: string;
  /** Atto-USD. */
  readonly amount: bigint;
}

/** Key of what carries no value in a dimension. */
export const UNATTRIBUTED = "(unattributed)";
/** Runs that were folded and had no run above them. */
export const FOLDED = "(folded)";
/** What was booked although there was no room left for its name. */
export const OVERFLOW = "(overflow)";

/** One run and what it cost, in atto-USD. */
export interface RunTotal {
  readonly runId: string;
  /** Run above it, when it has one. */
  readonly parentRunId?: string;
  readonly experiment?: string;
  readonly team?: string;
  readonly project?: string;
  readonly customer?: string;
  readonly environment?: string;
  readonly costCenter?: string;
  /** What was booked on the run itself, on scopes below it, and on runs below it that were folded. */
  readonly own: bigint;
  /** The part of `own` that came from runs and scopes that were folded. */
  readonly folded: bigint;
  /** `own` and the same of every run below it. */
  readonly inclusive: bigint;
  /** Calls that succeeded and changed something, counted as `own` is. */
  readonly operations: number;
  readonly errors: number;
  readonly finished: boolean;
  /** How it ended; absent while it has not. */
  readonly status?: "FINISHED" | "FAILED" | "KILLED";
}

/** Upper edges of the buckets that hold these shares of all values. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** One operation of the table, as it was used. */
export interface OperationTotal {
  readonly class: string;
  /** Calls that succeeded. */
  readonly count: number;
  readonly errors: number;
  /** What the calls carried, for example the metrics of a batch. */
  readonly items: number;
  /** Atto-USD, storage included. */
  readonly cost: bigint;
  /** Operations whose telemetry was kept, and those it was not; together `count` and `errors`. */
  readonly kept: number;
  readonly dropped: number;
  /** Milliseconds, at most 12.5 % above the true values. Absent when none was noted. */
  readonly latency?: Percentiles;
  /** Bytes that single operations carried, at most 25 % above the true values. Absent when there were none. */
  readonly size?: Percentiles;
}

/** One meter: a quantity in its own unit and what it cost. */
export interface MeterTotal {
  readonly quantity: bigint;
  /** Number of quantities, for storage the number of files. */
  readonly count: number;
  readonly cost: bigint;
}

/** What was counted but could not be priced. */
export interface UnpricedTotal {
  readonly operation: string;
  /** Absent when the call's own price is unknown. */
  readonly meter?: string;
  readonly count: number;
  readonly quantity: bigint;
}

/** Everything, in atto-USD; each record of amounts sums to `total`. */
export interface EngineSummary {
  readonly total: bigint;
  /** Calls that succeeded and changed something. */
  readonly operationCount: number;
  readonly errorCount: number;
  readonly byRun: Readonly<Record<string, bigint>>;
  readonly byExperiment: Readonly<Record<string, bigint>>;
  readonly byTeam: Readonly<Record<string, bigint>>;
  readonly byProject: Readonly<Record<string, bigint>>;
  readonly byCustomer: Readonly<Record<string, bigint>>;
  readonly byEnvironment: Readonly<Record<string, bigint>>;
  readonly byCostCenter: Readonly<Record<string, bigint>>;
  readonly byContext: Readonly<Record<string, bigint>>;
  readonly byModel: Readonly<Record<string, bigint>>;
  readonly byOperationType: Readonly<Record<string, bigint>>;
  /** By meter; the price of calls themselves is under `(unattributed)`. */
  readonly byMeter: Readonly<Record<string, bigint>>;
  readonly runs: readonly RunTotal[];
  readonly operations: Readonly<Record<string, OperationTotal>>;
  readonly meters: Readonly<Record<string, MeterTotal>>;
  readonly unpriced: readonly UnpricedTotal[];
  readonly sampling: { readonly kept: number; readonly dropped: number };
  readonly reservations: {
    readonly open: number;
    /** Expired and not settled yet. */
    readonly expired: number;
    /** Settled after they had expired. */
    readonly late: number;
    /** Expired ones whose ticket was given up for lack of room. */
    readonly forgotten: number;
  };
  /** Calls that a budget or a rate limit refused. */
  readonly blocked: number;
  readonly rateLimited: number;
  /** Alerts that nobody took before what they spoke of was gone; see `takeAlerts`. */
  readonly missedAlerts: number;
  /** Operations booked to an overflow bucket because a capacity was used up. */
  readonly overflowed: number;
  /** Operations that were charged more than they had reserved. */
  readonly overruns: number;
}
