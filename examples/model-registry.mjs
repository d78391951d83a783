// @ts-check
// Model registry: a model is trained, logged, registered, given an alias and a stage, found and used again.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instrumentMlflow } from "genops";
import * as mlflow from "genops/mlflow";

const trackingUri =
  process.env.MLFLOW_TRACKING_URI ?? (await mkdtemp(join(tmpdir(), "model-registry-")));

const adapter = instrumentMlflow({
  trackingUri,
  registryUri: process.env.MLFLOW_REGISTRY_URI ?? trackingUri,
  team: "ml-team",
  project: "model-registry",
  environment: "development",
  storageBackends: { "mlflow-artifacts:": "local" },
});
// Work on the registry that belongs to no run is governed too.
adapter.instrumentFramework();

/** Fits y = slope × x + intercept by least squares. */
function leastSquares(/** @type {readonly (readonly [number, number])[]} */ points) {
  const mean = (/** @type {number[]} */ values) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const slope =
    mean(points.map(([x, y]) => (x - meanX) * (y - meanY))) /
    mean(points.map(([x]) => (x - meanX) ** 2));
  return { slope, intercept: meanY - slope * meanX };
}

const NAME = "line-fit";

const version = await adapter.trackMlflowRun(
  { experimentName: "model-training", runName: "least-squares" },
  async (run) => {
    const weights = leastSquares([
      [0, 1],
      [1, 3],
      [2, 5],
    ]);
    await mlflow.logMetric("training_error", 0);
    await mlflow.logModel({ "weights.json": JSON.stringify(weights) }, { name: "model" });
    return mlflow.registerModel(`runs:/${run.info.runId}/model`, NAME);
  },
);
await mlflow.setRegisteredModelAlias(NAME, "champion", version.version);
await mlflow.transitionModelVersionStage(NAME, version.version, "Production");
console.log(`Registered: ${NAME} version ${version.version}, champion, in Production`);

const { slope, intercept } = /** @type {ReturnType<typeof leastSquares>} */ (
  await mlflow.artifacts.loadDict(`models:/${NAME}@champion/weights.json`)
);
console.log(`Prediction for 10: ${slope * 10 + intercept}`);

const { exact, totalCostExact } = adapter.costAggregator.getSummary();
console.log(`Registry: $${exact.costByModel[NAME]}`);
console.log(`Total cost: $${totalCostExact}`);
