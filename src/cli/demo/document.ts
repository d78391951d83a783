// The demo's result for machines: one JSON document, money as exact decimal text.
import { attoToUsd } from "../../engine/index.js";
import { VERSION } from "../../version.js";
import type { Account, AccountDimension, RunAccount } from "./account.js";
import { monthDocument, projectMonth } from "./month.js";
import type { ReportInput } from "./report.js";
import type { SearchResult } from "./search.js";

function costs(account: Account, dimension: AccountDimension): Record<string, string> {
  return Object.fromEntries(
    account.parts[dimension].map(({ name, cost }) => [name, attoToUsd(cost)]),
  );
}

function runDocument({ run, own, inclusive, children }: RunAccount, results: TrialIndex): object {
  const trial = results.get(run.runId);
  return {
    runId: run.runId,
    runName: run.runName,
    experiment: run.experiment,
    team: run.team,
    project: run.project,
    customer: run.customer,
    operations: run.operationCount,
    ownCost: attoToUsd(own),
    inclusiveCost: attoToUsd(inclusive),
    ...(trial && {
      learningRate: trial.learningRate,
      epochs: trial.epochs,
      validationLoss: trial.validation.loss,
      validationAccuracy: trial.validation.accuracy,
    }),
    children: children.map((child) => runDocument(child, results)),
  };
}

type TrialIndex = ReadonlyMap<string, SearchResult["best"]>;

/** Everything that the report tells, and the exact amounts behind it. */
export function demoDocument({
  settings,
  summary,
  account,
  results,
  view,
}: Pick<ReportInput, "settings" | "summary" | "account" | "results" | "view">): object {
  const trials: TrialIndex = new Map(
    results.flatMap((result) => result.trials.map((trial) => [trial.runId, trial])),
  );
  return {
    command: "demo",
    version: VERSION,
    currency: "USD",
    trackingUri: settings.shownUri,
    view: view.map((line) => line.replace(/ \\$/, "").trim()).join(" "),
    seed: settings.seed,
    maxEpochs: settings.epochs,
    learningRates: settings.learningRates,
    artifactsPricedAs: settings.backend,
    totalCost: attoToUsd(account.total),
    operationCount: summary.operationCount,
    runCount: summary.runCount,
    costByCustomer: costs(account, "customer"),
    costByTeam: costs(account, "team"),
    costByProject: costs(account, "project"),
    costByExperiment: costs(account, "experiment"),
    costByOperationType: costs(account, "operationType"),
    costByStorageBackend: costs(account, "storageBackend"),
    costOutsideRuns: attoToUsd(account.outsideRuns),
    runs: account.roots.map((root) => runDocument(root, trials)),
    operations: Object.fromEntries(
      Object.entries(summary.operations).map(([name, { count, errorCount, items }]) => [
        name,
        { count, errorCount, items },
      ]),
    ),
    storage: summary.storage,
    models: results.map(({ customer, model, best, test, testFlowers }) => ({
      ...model,
      customer: customer.customerId,
      runId: best.runId,
      learningRate: best.learningRate,
      testLoss: test.loss,
      testAccuracy: test.accuracy,
      testFlowers,
    })),
    month: monthDocument(projectMonth(summary)),
  };
}
