// What would cost less, by how much, and why: made from what a ledger counted, when it is asked for.
import { attoToUsd, UNATTRIBUTED } from "../engine/index.js";
import type { ArtifactUsage, FileSums } from "./artifact-usage.js";
import type { LedgerTotals } from "./totals.js";

export type RecommendationKind =
  | "batch_single_calls"
  | "duplicate_artifacts"
  | "failed_run_artifacts"
  | "unregistered_models"
  | "unattributed_cost";

/** One thing of those that a recommendation is about. */
export interface RecommendationExample {
  /** An operation, an artifact URI, a run, a model's folder, an attribute. */
  readonly name: string;
  /** Calls or files. */
  readonly count: number;
  readonly bytes: number;
  /** USD. */
  readonly saving: number;
  /** USD as exact decimal text. */
  readonly savingExact: string;
}

/** Advice with its price. */
export interface Recommendation {
  readonly kind: RecommendationKind;
  /** What to do. */
  readonly title: string;
  /** What was seen. */
  readonly why: string;
  /**
   * USD of what was booked that would not have been; of cost without an owner, what could be charged to
   * one.
   */
  readonly saving: number;
  /** The same as exact decimal text. */
  readonly savingExact: string;
  /** Calls or files that it is about; of cost without an owner, the attributes that are missing. */
  readonly count: number;
  /** Bytes that need not be kept; 0 where it is about none. */
  readonly bytes: number;
  /** The costliest, at most five. */
  readonly examples: readonly RecommendationExample[];
  /** How many more there are. */
  readonly more: number;
}

/** Most that MLflow takes in one batch, by what single calls carry. */
const BATCH_ROOM: Readonly<Record<string, number>> = {
  log_metric: 1000,
  log_param: 100,
  set_tag: 100,
};

const EXAMPLES = 5;

interface Advice {
  readonly kind: RecommendationKind;
  readonly title: string;
  readonly why: string;
  readonly saving: bigint;
  readonly count: number;
  readonly all: readonly FileSums[];
}

function toRecommendation({ all, saving, ...advice }: Advice): Recommendation {
  const examples = [...all]
    .sort((a, b) => (a.cost === b.cost ? b.bytes - a.bytes : a.cost < b.cost ? 1 : -1))
    .slice(0, EXAMPLES)
    .map(({ name, files, bytes, cost }) => ({
      name,
      count: files,
      bytes,
      saving: Number(attoToUsd(cost)),
      savingExact: attoToUsd(cost),
    }));
  return {
    ...advice,
    saving: Number(attoToUsd(saving)),
    savingExact: attoToUsd(saving),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    examples,
    more: all.length - examples.length,
  };
}

/** Each run needs one batch at least, and another whenever one is full. */
function batches(totals: LedgerTotals): Advice[] {
  const all = Object.keys(BATCH_ROOM).flatMap((name): FileSums[] => {
    const usage = totals.operations[name];
    if (usage === undefined || usage.count === 0) return [];
    return [{ name, files: usage.count, bytes: 0, cost: usage.cost }];
  });
  const calls = all.reduce((sum, { files }) => sum + files, 0);
  const cost = all.reduce((sum, each) => sum + each.cost, 0n);
  const runs = Math.max(totals.runs.length, totals.operations.create_run?.count ?? 0);
  const full = all.reduce(
    (sum, { name, files }) => sum + Math.floor(files / (BATCH_ROOM[name] as number)),
    0,
  );
  const spared = calls - runs - full;
  if (spared <= 0 || cost === 0n) return [];
  return [
    {
      kind: "batch_single_calls",
      title: "Log in batches: logMetrics, logParams, setTags, or enableAsyncLogging()",
      why: `${calls} single calls could have been ${calls - spared} batches; a batch costs what a single call costs`,
      // Each of them cost the same, or nearly: what is spared is its share, rounded down.
      saving: (cost * BigInt(spared)) / BigInt(calls),
      count: spared,
      all: all.map((each) => ({
        ...each,
        cost: (each.cost * BigInt(spared)) / BigInt(calls),
      })),
    },
  ];
}

function files(
  all: readonly FileSums[],
  kind: RecommendationKind,
  title: string,
  why: (count: number) => string,
): Advice[] {
  if (all.length === 0) return [];
  const count = all.reduce((sum, each) => sum + each.files, 0);
  const saving = all.reduce((sum, { cost }) => sum + cost, 0n);
  return [{ kind, title, why: why(count), saving, count, all }];
}

function unattributed(totals: LedgerTotals): Advice[] {
  const amounts = { team: totals.byTeam, project: totals.byProject };
  const all = Object.entries(amounts).flatMap(([name, byName]): FileSums[] => {
    const cost = byName[UNATTRIBUTED] ?? 0n;
    return cost > 0n ? [{ name, files: 0, bytes: 0, cost }] : [];
  });
  if (all.length === 0) return [];
  // What lacks both is in each of the two, so the larger one is the least that it can be.
  const [{ cost: saving } = { cost: 0n }] = [...all].sort((a, b) => (a.cost < b.cost ? 1 : -1));
  return [
    {
      kind: "unattributed_cost",
      title: "Set team and project (GENOPS_TEAM, GENOPS_PROJECT), so that whoever spends it pays",
      why: `${attoToUsd(saving)} USD have no ${all.map(({ name }) => name).join(" and no ")}`,
      saving,
      count: all.length,
      all,
    },
  ];
}

/** The advice that a ledger gives, what saves most first. */
export function recommend(totals: LedgerTotals, artifacts: ArtifactUsage): Recommendation[] {
  const models = artifacts.unregisteredModels();
  const failed = artifacts.failedRuns();
  const advice = [
    ...batches(totals),
    ...files(
      artifacts.copies(),
      "duplicate_artifacts",
      "Keep one copy, and refer to it by its URI",
      (count) => `${count} artifacts have the content of one that was there already`,
    ),
    ...files(
      failed,
      "failed_run_artifacts",
      "Delete the artifacts of runs that failed, or write them last",
      (count) => `${failed.length} failed or killed runs keep ${count} artifacts`,
    ),
    ...files(
      models,
      "unregistered_models",
      "Register the models that are needed, and delete the others",
      (count) => `${models.length} models (${count} files) were logged and never registered`,
    ),
    ...unattributed(totals),
  ].map(toRecommendation);
  return advice.sort((a, b) => b.saving - a.saving || b.bytes - a.bytes);
}
