// @ts-check
// Basic tracking: one governed run with params, metrics and an artifact, and what it cost.
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instrumentMlflow } from "genops";
import * as mlflow from "genops/mlflow";

const folder = await mkdtemp(join(tmpdir(), "basic-tracking-"));

const adapter = instrumentMlflow({
  trackingUri: process.env.MLFLOW_TRACKING_URI ?? join(folder, "mlruns"),
  team: "ml-team",
  project: "basic-tracking",
  environment: "development",
  // What is behind the server's own artifact proxy, so that its bytes have a price.
  storageBackends: { "mlflow-artifacts:": "local" },
});

await adapter.trackMlflowRun(
  { experimentName: "basic-experiment", runName: "run-001" },
  async (run) => {
    await mlflow.logParam("learning_rate", 0.01);
    await mlflow.logParam("batch_size", 32);

    await mlflow.logMetric("train_loss", 0.45);
    await mlflow.logMetric("val_loss", 0.52);

    const summary = join(folder, "summary.txt");
    await writeFile(summary, "Training summary\n");
    await mlflow.logArtifact(summary);

    console.log(`Run: ${run.info.runId}`);
  },
);

const { dailyUsage, operationCount, runCount } = adapter.getMetrics();
console.log(`Total cost: $${dailyUsage.toFixed(6)}`);
console.log(`Operations tracked: ${operationCount} in ${runCount} run`);
