// What a summary is made of: a ledger's totals, and names for the ids that it is kept by.
import type { EngineSummary, OperationTotal } from "../engine/index.js";

/** One type of operation as a ledger counts it. */
export type OperationSums = Pick<
  OperationTotal,
  "class" | "count" | "errors" | "items" | "cost" | "latency"
> & {
  /** Milliseconds between the start of the first call and the end of the last, where they were timed. */
  readonly spanMs?: number | undefined;
};

/** What a summary is made of: amounts in atto-USD, each record of which sums to `total`. */
export type LedgerTotals = Pick<
  EngineSummary,
  | "total"
  | "operationCount"
  | "errorCount"
  | "byRun"
  | "byExperiment"
  | "byTeam"
  | "byProject"
  | "byCustomer"
  | "byEnvironment"
  | "byCostCenter"
  | "byModel"
  | "byOperationType"
  | "byMeter"
  | "runs"
  | "meters"
  | "unpriced"
  | "overflowed"
> & { readonly operations: Readonly<Record<string, OperationSums>> };

/** What only the host knows: names for the ids that the ledger is kept by. */
export interface SummaryNames {
  experimentName(experimentId: string): string | undefined;
  runName(runId: string): string | undefined;
}
