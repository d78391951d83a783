// The exact account of one search, from a cost summary, with proof that every part adds up.
import type { ExactCostRecord, MlflowCostSummary, RunCost } from "../../costs/summary.js";
import { attoOf } from "../../costs/usd-text.js";

/** One part of the total, in atto-USD. */
export interface Part {
  readonly name: string;
  readonly cost: bigint;
}

/** One run, in atto-USD. */
export interface RunAccount {
  readonly run: RunCost;
  /** Booked on the run itself. */
  readonly own: bigint;
  /** Its own and its children's. */
  readonly inclusive: bigint;
  readonly children: readonly RunAccount[];
}

/** The ways to divide the total. */
export const DIMENSIONS = [
  "customer",
  "team",
  "project",
  "experiment",
  "operationType",
  "storageBackend",
] as const;

export type AccountDimension = (typeof DIMENSIONS)[number];

/** Everything that was booked, in atto-USD. */
export interface Account {
  readonly total: bigint;
  /** Each sums to the total; the largest part comes first. */
  readonly parts: Readonly<Record<AccountDimension, readonly Part[]>>;
  /** Runs that have no run above them. */
  readonly roots: readonly RunAccount[];
  /** What belongs to no run: making an experiment, moving a model to its stage. */
  readonly outsideRuns: bigint;
}

export function sumOf(amounts: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const amount of amounts) sum += amount;
  return sum;
}

function largestFirst(amounts: ExactCostRecord): Part[] {
  return Object.entries(amounts)
    .map(([name, usd]) => ({ name, cost: attoOf(usd) }))
    .sort((a, b) => (a.cost === b.cost ? (a.name < b.name ? -1 : 1) : a.cost < b.cost ? 1 : -1));
}

function runTree(runs: readonly RunCost[]): RunAccount[] {
  const known = new Set(runs.map(({ runId }) => runId));
  const below = (parentRunId: string | undefined): RunAccount[] =>
    runs
      .filter((run) =>
        parentRunId === undefined
          ? run.parentRunId === undefined || !known.has(run.parentRunId)
          : run.parentRunId === parentRunId,
      )
      .map((run) => ({
        run,
        own: attoOf(run.ownCostExact),
        inclusive: attoOf(run.inclusiveCostExact),
        children: below(run.runId),
      }));
  return below(undefined);
}

/** @throws {Error} when any part of the summary does not add up; nothing is to be reported then. */
export function accountOf(summary: MlflowCostSummary): Account {
  const total = attoOf(summary.totalCostExact);
  const { runs } = summary;
  const account: Account = {
    total,
    parts: {
      customer: largestFirst(summary.exact.costByCustomer),
      team: largestFirst(summary.exact.costByTeam),
      project: largestFirst(summary.exact.costByProject),
      experiment: largestFirst(summary.exact.costByExperiment),
      operationType: largestFirst(summary.exact.costByOperationType),
      storageBackend: largestFirst(summary.exact.costByStorageBackend),
    },
    roots: runTree(runs),
    outsideRuns: total - sumOf(runs.map((run) => attoOf(run.ownCostExact))),
  };
  prove(account, summary);
  return account;
}

/** The laws that the report promises, checked on the very amounts that it shows. */
function prove(account: Account, summary: MlflowCostSummary): void {
  const differ = (what: string, sum: bigint, whole: bigint) => {
    if (sum === whole) return;
    throw new Error(`The ledger does not add up: ${what} is ${sum}, not ${whole} atto-USD.`);
  };
  for (const dimension of DIMENSIONS) {
    const parts = account.parts[dimension];
    differ(`the sum by ${dimension}`, sumOf(parts.map(({ cost }) => cost)), account.total);
  }
  const proveRun = ({ run, own, inclusive, children }: RunAccount) => {
    const below = sumOf(children.map((child) => child.inclusive));
    differ(`run ${run.runId} with its children`, own + below, inclusive);
    for (const child of children) proveRun(child);
  };
  for (const root of account.roots) proveRun(root);
  const inRuns = sumOf(account.roots.map(({ inclusive }) => inclusive));
  differ("the sum over runs", inRuns + account.outsideRuns, account.total);
  if (summary.unpriced.length > 0) {
    const names = summary.unpriced.map(({ meter, operation }) => meter ?? operation).join(", ");
    throw new Error(`The price of some operations is unknown: ${names}.`);
  }
}
