// The guide's quick start, number by number, on a folder and on a real server.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { type GenOpsMlflowAdapter, instrumentMlflow } from "../../src/node.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { temporaryFolder, uniqueName } from "./workplace.js";

async function quickStart(adapter: GenOpsMlflowAdapter, experimentName: string): Promise<string> {
  const folder = await temporaryFolder();
  const file = join(folder, "model_summary.txt");
  await writeFile(file, "Training summary\n");
  return adapter.trackMlflowRun({ experimentName, runName: "run-001" }, async (run) => {
    await mlflow.logParam("learning_rate", 0.01);
    await mlflow.logParam("batch_size", 32);
    await mlflow.logMetric("train_accuracy", 0.92);
    await mlflow.logMetric("val_accuracy", 0.89);
    await mlflow.logArtifact(file);
    return run.info.runId;
  });
}

const identity = {
  team: "ml-team",
  project: "model-optimization",
  environment: "development",
  customerId: "customer-001",
};

function suite(storeUri: () => Promise<string>, storageBackends: Record<string, string>) {
  it("costs 0.0006 USD in a new experiment, and 0.0011 with a second run", async () => {
    const adapter = instrumentMlflow({
      trackingUri: await storeUri(),
      storageBackends,
      ...identity,
    });
    const experimentName = uniqueName("optimization-experiment");
    await quickStart(adapter, experimentName);
    expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0.0006");
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0006, operationCount: 7, runCount: 1 });

    await quickStart(adapter, experimentName);
    const summary = adapter.costAggregator.getSummary();
    expect(summary.totalCostExact).toBe("0.0011");
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0011, operationCount: 13, runCount: 2 });
    expect(summary).toMatchObject({
      totalCost: 0.0011,
      costByExperiment: { [experimentName]: 0.0011 },
      costByTeam: { "ml-team": 0.0011 },
      costByProject: { "model-optimization": 0.0011 },
      costByCustomer: { "customer-001": 0.0011 },
      costByEnvironment: { development: 0.0011 },
      costByCostCenter: { "(unattributed)": 0.0011 },
      unpriced: [],
    });
    expect(adapter.containedFailures).toBe(0);
  });

  it("shows the governance attributes as tags of the run, without a request of their own", async () => {
    const adapter = instrumentMlflow({
      trackingUri: await storeUri(),
      storageBackends,
      ...identity,
      costCenter: "ml-research",
    });
    const calls: string[] = [];
    const remove = mlflow.addInterceptor((call, proceed) => {
      calls.push(`${call.method} ${call.route.split("/").slice(-2).join("/")}`);
      return proceed(call);
    });
    const experimentName = uniqueName("tags");
    const runId = await quickStart(adapter, experimentName);
    remove();
    expect(calls.filter((call) => call.startsWith("POST") || call.startsWith("PUT"))).toEqual([
      "POST experiments/create",
      "POST runs/create",
      "POST runs/log-parameter",
      "POST runs/log-parameter",
      "POST runs/log-metric",
      "POST runs/log-metric",
      "PUT artifacts/{path}",
      "POST runs/update",
    ]);
    const run = await new mlflow.MlflowClient({ trackingUri: mlflow.getTrackingUri() }).getRun(
      runId,
    );
    expect(run.data.tags).toMatchObject({
      "genops.team": "ml-team",
      "genops.project": "model-optimization",
      "genops.customer_id": "customer-001",
      "genops.environment": "development",
      "genops.cost_center": "ml-research",
    });
    expect(run.info.status).toBe("FINISHED");
  });
}

describe("quick start on a folder", () => {
  suite(async () => join(await temporaryFolder(), "mlruns"), {});
});

describe.runIf(requiresMlflow())("quick start on a real server", () => {
  suite(async () => inject("mlflowServerUri") as string, { "mlflow-artifacts:": "local" });
});
