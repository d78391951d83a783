// @ts-check
// Hierarchical runs: a search over learning rates; the parent's cost includes all of its children's.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instrumentMlflow } from "genops";
import * as mlflow from "genops/mlflow";

const adapter = instrumentMlflow({
  trackingUri:
    process.env.MLFLOW_TRACKING_URI ?? (await mkdtemp(join(tmpdir(), "hierarchical-runs-"))),
  team: "ml-team",
  project: "hyperparameter-tuning",
  environment: "development",
});

/** Descends on (w - 3)² and answers how near it came, 1 being there. */
function trainModel(/** @type {number} */ learningRate) {
  let weight = 0;
  for (let step = 0; step < 10; step++) weight -= learningRate * 2 * (weight - 3);
  return 1 / (1 + (weight - 3) ** 2);
}

const best = await adapter.trackMlflowRun(
  { experimentName: "hp-search", runName: "search-parent" },
  async (parent) => {
    // At once, as far as MLflow is concerned: each run is its own.
    const accuracies = await Promise.all(
      [0.001, 0.01, 0.1].map((learningRate) =>
        adapter.trackMlflowRun(
          {
            experimentName: "hp-search",
            runName: `lr-${learningRate}`,
            parentRunId: parent.info.runId,
          },
          async () => {
            await mlflow.logParam("learning_rate", learningRate);
            const accuracy = trainModel(learningRate);
            await mlflow.logMetric("accuracy", accuracy);
            return accuracy;
          },
        ),
      ),
    );
    await mlflow.logMetric("best_accuracy", Math.max(...accuracies));
    return Math.max(...accuracies);
  },
);
console.log(`Best accuracy: ${best.toFixed(3)}`);

const { runs, totalCostExact } = adapter.costAggregator.getSummary();
const byName = [...runs].sort((one, other) =>
  (one.runName ?? "").localeCompare(other.runName ?? ""),
);
for (const { runName, ownCostExact, inclusiveCostExact } of byName) {
  console.log(`${runName}: own $${ownCostExact}, with children $${inclusiveCostExact}`);
}
console.log(`Total cost: $${totalCostExact}`);
