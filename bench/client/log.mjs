// Logs metrics with one of the JavaScript clients, in a process of its own; tells how long it took.
import { createRequire } from "node:module";
import { join } from "node:path";

const { CLIENT, FOLDER, MLFLOW_TRACKING_URI: uri, RUN, COUNT } = process.env;
const count = Number(COUNT);

/** Name → a function that logs `count` metrics and resolves when the server has them. */
const CLIENTS = {
  async "genops-awaiting"() {
    const { MlflowClient } = await import("../../dist/node/mlflow.js");
    const client = new MlflowClient({ trackingUri: uri });
    return async () => {
      for (let step = 0; step < count; step++)
        await client.logMetric(RUN, "loss", 1 / (step + 1), step);
    };
  },
  async "genops-async"() {
    const { enableAsyncLogging, MlflowClient } = await import("../../dist/node/mlflow.js");
    enableAsyncLogging();
    const client = new MlflowClient({ trackingUri: uri });
    return async () => {
      for (let step = 0; step < count; step++)
        await client.logMetric(RUN, "loss", 1 / (step + 1), step);
      await client.flushAsyncLogging(RUN);
    };
  },
  async "npm-mlflow"() {
    const MLflow = createRequire(join(FOLDER, "package.json"))("mlflow");
    const { Runs } = new MLflow({ endpoint: uri });
    // It prints every body that it sends.
    console.log = () => {};
    return async () => {
      for (let step = 0; step < count; step++) {
        const metric = { key: "loss", value: 1 / (step + 1), timestamp: Date.now(), step };
        await Runs.logMetric({ run_id: RUN, ...metric });
      }
    };
  },
};

const log = await CLIENTS[CLIENT]();
const started = performance.now();
await log();
process.stdout.write(`\n${JSON.stringify({ milliseconds: performance.now() - started })}\n`);
