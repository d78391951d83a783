// A program with a run open and calls under way, which ends as it is told to.
import * as mlflow from "../../../src/mlflow/node.js";
import { type AdapterOptions, instrumentMlflow } from "../../../src/node.js";
import { spansInto } from "./span-file.js";

export interface EndingProgram {
  readonly options: AdapterOptions;
  /** File of the spans that ended. */
  readonly spans: string;
  /** Metrics, each waited for. */
  readonly metrics: number;
  /** Parameters, which are not waited for. */
  readonly parameters: number;
  /** `stays` waits to be killed. */
  readonly ending: "returns" | "exits" | "throws" | "rejects" | "stays" | "handles SIGTERM";
}

const { options, spans, metrics, parameters, ending } = JSON.parse(
  process.argv[2] ?? "{}",
) as EndingProgram;
const adapter = instrumentMlflow({ ...options, tracerProvider: spansInto(spans) });
adapter.instrumentFramework();
await mlflow.startRun({ experimentId: "7" });
for (let step = 0; step < metrics; step++) await mlflow.logMetric("m", step, step);
for (let index = 0; index < parameters; index++) void mlflow.logParam(`p${index}`, index);
if (ending === "handles SIGTERM") {
  process.once("SIGTERM", async () => {
    await adapter.flush();
    process.exit(0);
  });
}
process.stdout.write("ready\n");
await new Promise((told) => process.stdin.once("data", told));
if (ending === "exits") process.exit(3);
if (ending === "throws") {
  setImmediate(() => {
    throw new RangeError("diverged");
  });
}
if (ending === "rejects") void Promise.reject(new RangeError("diverged"));
if (ending === "returns") {
  process.exitCode = 7;
  process.stdin.destroy();
}
