// @ts-check
// Auto-logging: TensorFlow.js trains as ever; params, metrics and the model are logged and governed by themselves.
// Needs: npm install @tensorflow/tfjs
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { instrumentMlflow } from "genops";
import * as mlflow from "genops/mlflow";

const adapter = instrumentMlflow({
  trackingUri: process.env.MLFLOW_TRACKING_URI ?? (await mkdtemp(join(tmpdir(), "auto-logging-"))),
  team: "ml-team",
  project: "auto-logging",
  environment: "development",
  storageBackends: { "mlflow-artifacts:": "local" },
});

mlflow.tensorflow.autolog(tf);

const run = await adapter.trackMlflowRun(
  { experimentName: "auto-exp", runName: "auto-run" },
  async ({ info }) => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] });
    model.compile({ optimizer: tf.train.sgd(0.1), loss: "meanSquaredError" });
    const xs = tf.tensor2d([-1, 0, 1, 2], [4, 1]);
    const ys = tf.tensor2d([-3, -1, 1, 3], [4, 1]);
    await model.fit(xs, ys, { epochs: 5, verbose: 0 });
    return mlflow.getRun(info.runId);
  },
);
console.log(`Params logged: ${Object.keys(run.data.params).length}`);
console.log(`Loss logged: ${"loss" in run.data.metrics}`);

const { operations, totalCostExact } = adapter.costAggregator.getSummary();
for (const [operation, { count }] of Object.entries(operations).sort()) {
  console.log(`${operation}: ${count}`);
}
console.log(`Total cost: $${totalCostExact}`);
