// The whole account as JSON: the names of the cost summary with exact decimal texts, and how things stand at the moment.
import { MlflowCostAggregator } from "../../costs/aggregator.js";
import type { ExactCostRecord, MlflowCostSummary, RunCost } from "../../costs/summary.js";
import type { Governor } from "../../governance/governor.js";
import { VERSION } from "../../version.js";
import type { OperatorSnapshot } from "./snapshot.js";

/** What `/genops/summary` answers. Amounts are USD as exact decimal text; since the start, `today` excepted. */
export interface OperatorSummary extends OperatorSnapshot {
  readonly version: string;
  readonly totalCost: string;
  readonly totalCostExact: string;
  readonly operationCount: number;
  readonly runCount: number;
  readonly errorCount: number;
  readonly totalStorageBytes: number;
  readonly costByExperiment: ExactCostRecord;
  readonly costByTeam: ExactCostRecord;
  readonly costByProject: ExactCostRecord;
  readonly costByCustomer: ExactCostRecord;
  readonly costByEnvironment: ExactCostRecord;
  readonly costByCostCenter: ExactCostRecord;
  readonly costByOperationType: ExactCostRecord;
  readonly costByStorageBackend: ExactCostRecord;
  readonly costByModel: ExactCostRecord;
  /** Calls and what they carried, by operation; bytes and files kept, by storage backend. */
  readonly operations: MlflowCostSummary["operations"];
  readonly storage: MlflowCostSummary["storage"];
  /** Only when asked for with `runs=true`: a ledger tells many runs apart. */
  readonly costByRun?: ExactCostRecord;
  /** The tree of runs: each with its own cost, and the cost with its children's. As seldom. */
  readonly runs?: readonly RunCost[];
}

export function summaryOf(
  governor: Governor,
  snapshot: OperatorSnapshot,
  { withRuns }: { readonly withRuns: boolean },
): OperatorSummary {
  const { engine, runs, observation } = governor;
  const summary = new MlflowCostAggregator(engine, runs, observation).getSummary();
  const { costByRun, ...breakdowns } = summary.exact;
  return {
    version: VERSION,
    ...snapshot,
    totalCost: summary.totalCostExact,
    totalCostExact: summary.totalCostExact,
    operationCount: summary.operationCount,
    runCount: summary.runCount,
    errorCount: summary.errorCount,
    totalStorageBytes: summary.totalStorageBytes,
    ...breakdowns,
    operations: summary.operations,
    storage: summary.storage,
    ...(withRuns && { costByRun, runs: summary.runs }),
  };
}
