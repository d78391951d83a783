// The cost summary a person or program reads, made from the engine's exact totals.
import { attoToUsd, type RunTotal, UNATTRIBUTED } from "../engine/index.js";
import type { ArtifactUsage } from "./artifact-usage.js";
import { type Recommendation, recommend } from "./recommendations.js";
import type { LedgerTotals, SummaryNames } from "./totals.js";

/** How one type of operation was used. Latencies in ms, at most 12.5 % too high; absent when none was measured. */
export interface OperationUsage {
  readonly count: number;
  readonly errorCount: number;
  /** What the calls carried: metrics, params and tags of a batch. */
  readonly items: number;
  readonly latencyP50?: number;
  readonly latencyP95?: number;
  readonly latencyP99?: number;
  /**
   * Calls a second, failed ones included, between the start of the first and the end of the last. Absent
   * when they were not timed, or took no time.
   */
  readonly throughput?: number;
}

/** One run with its place in the hierarchy. Amounts are USD, the exact ones decimal text. */
export interface RunCost {
  readonly runId: string;
  readonly runName?: string;
  readonly parentRunId?: string;
  readonly experiment?: string;
  readonly team?: string;
  readonly project?: string;
  readonly customer?: string;
  /** Booked on this run itself. */
  readonly ownCost: number;
  readonly ownCostExact: string;
  /** Its own and its children's. */
  readonly inclusiveCost: number;
  readonly inclusiveCostExact: string;
  /** Calls that succeeded and changed something, of the run itself. */
  readonly operationCount: number;
  readonly errorCount: number;
}

/** Something counted whose price is unknown: it is in no total, and not taken for 0. */
export interface UnpricedUsage {
  readonly operation: string;
  /** Meter without a rate; absent when the call itself has no price. */
  readonly meter?: string;
  readonly count: number;
  /** In the meter's unit, bytes for storage. */
  readonly quantity: number;
}

/** USD by name. */
export type CostRecord = Readonly<Record<string, number>>;

/** USD by name as exact decimal text. */
export type ExactCostRecord = Readonly<Record<string, string>>;

/** The ways to divide the total. Each sums to it: what has no value is under `"(unattributed)"`. */
export interface CostBreakdowns<R> {
  readonly costByExperiment: R;
  readonly costByTeam: R;
  readonly costByProject: R;
  readonly costByCustomer: R;
  readonly costByEnvironment: R;
  readonly costByCostCenter: R;
  readonly costByOperationType: R;
  /** Storage by backend; what is no storage is under `"(unattributed)"`. */
  readonly costByStorageBackend: R;
  /** Each run's own cost, by run id; parents with their children are in `runs`. */
  readonly costByRun: R;
  readonly costByModel: R;
}

/**
 * Who spent what. Numbers are USD for display: a double cannot hold 18 decimals. `totalCostExact` and
 * `exact` hold every digit, and add up to the last one.
 */
export interface MlflowCostSummary extends CostBreakdowns<CostRecord> {
  readonly totalCost: number;
  readonly totalCostExact: string;
  readonly exact: CostBreakdowns<ExactCostRecord>;
  /** Calls that succeeded and changed something; a batch is one. */
  readonly operationCount: number;
  /** Runs started. */
  readonly runCount: number;
  readonly errorCount: number;
  readonly totalStorageBytes: number;
  readonly runs: readonly RunCost[];
  readonly operations: Readonly<Record<string, OperationUsage>>;
  readonly storage: Readonly<Record<string, { readonly bytes: number; readonly files: number }>>;
  readonly unpriced: readonly UnpricedUsage[];
  /** What would cost less, by how much, and why; what saves most first. */
  readonly recommendations: readonly Recommendation[];
  /** Operations that were booked although there was no room for their run or payer: under `"(overflow)"`. */
  readonly overflowedOperations: number;
}

const STORAGE = "storage.";

/** Atto-USD as a number for display, by way of exact text. */
export function usdNumber(atto: bigint): number {
  return Number(attoToUsd(atto));
}

/** Amounts by name; of two keys with one name the sum. */
function renamed(
  amounts: Readonly<Record<string, bigint>>,
  rename: (key: string) => string,
): Readonly<Record<string, bigint>> {
  const sums = new Map<string, bigint>();
  for (const [key, amount] of Object.entries(amounts)) {
    const name = rename(key);
    sums.set(name, (sums.get(name) ?? 0n) + amount);
  }
  return Object.fromEntries(sums);
}

function breakdowns<T>(
  engine: LedgerTotals,
  names: SummaryNames,
  convert: (atto: bigint) => T,
): CostBreakdowns<Readonly<Record<string, T>>> {
  const record = (amounts: Readonly<Record<string, bigint>>) =>
    Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, convert(amount)]));
  const experimentName = (id: string) => names.experimentName(id) ?? id;
  return {
    costByExperiment: record(renamed(engine.byExperiment, experimentName)),
    costByTeam: record(engine.byTeam),
    costByProject: record(engine.byProject),
    costByCustomer: record(engine.byCustomer),
    costByEnvironment: record(engine.byEnvironment),
    costByCostCenter: record(engine.byCostCenter),
    costByOperationType: record(engine.byOperationType),
    costByStorageBackend: record(renamed(engine.byMeter, backendOf)),
    costByRun: record(engine.byRun),
    costByModel: record(engine.byModel),
  };
}

function backendOf(meter: string): string {
  return meter.startsWith(STORAGE) ? meter.slice(STORAGE.length) : UNATTRIBUTED;
}

function runCost(run: RunTotal, names: SummaryNames): RunCost {
  const runName = names.runName(run.runId);
  const experiment = run.experiment && (names.experimentName(run.experiment) ?? run.experiment);
  return {
    runId: run.runId,
    ...(runName !== undefined && { runName }),
    ...(run.parentRunId !== undefined && { parentRunId: run.parentRunId }),
    ...(experiment !== undefined && { experiment }),
    ...(run.team !== undefined && { team: run.team }),
    ...(run.project !== undefined && { project: run.project }),
    ...(run.customer !== undefined && { customer: run.customer }),
    ownCost: usdNumber(run.own),
    ownCostExact: attoToUsd(run.own),
    inclusiveCost: usdNumber(run.inclusive),
    inclusiveCostExact: attoToUsd(run.inclusive),
    operationCount: run.operations,
    errorCount: run.errors,
  };
}

/** Turns a ledger's exact totals into the summary of the guide. */
export function toCostSummary(
  engine: LedgerTotals,
  names: SummaryNames,
  artifacts: ArtifactUsage,
): MlflowCostSummary {
  const storage = Object.entries(engine.meters)
    .filter(([meter]) => meter.startsWith(STORAGE))
    .map(([meter, { quantity, count }]) => [
      backendOf(meter),
      { bytes: Number(quantity), files: count },
    ]);
  const operations = Object.entries(engine.operations).map(([name, usage]) => [
    name,
    {
      count: usage.count,
      errorCount: usage.errors,
      items: usage.items,
      ...(usage.latency && {
        latencyP50: usage.latency.p50,
        latencyP95: usage.latency.p95,
        latencyP99: usage.latency.p99,
      }),
      ...(usage.spanMs !== undefined &&
        usage.spanMs > 0 && {
          throughput: (usage.count + usage.errors) / (usage.spanMs / 1000),
        }),
    },
  ]);
  const bytes = Object.entries(engine.meters).reduce(
    (sum, [meter, { quantity }]) => (meter.startsWith(STORAGE) ? sum + quantity : sum),
    0n,
  );
  return {
    totalCost: usdNumber(engine.total),
    totalCostExact: attoToUsd(engine.total),
    operationCount: engine.operationCount,
    runCount: engine.operations.create_run?.count ?? 0,
    errorCount: engine.errorCount,
    totalStorageBytes: Number(bytes),
    ...breakdowns(engine, names, usdNumber),
    exact: breakdowns(engine, names, attoToUsd),
    runs: engine.runs.map((run) => runCost(run, names)),
    operations: Object.fromEntries(operations),
    storage: Object.fromEntries(storage),
    overflowedOperations: engine.overflowed,
    unpriced: engine.unpriced.map((usage) => ({ ...usage, quantity: Number(usage.quantity) })),
    recommendations: recommend(engine, artifacts),
  };
}
