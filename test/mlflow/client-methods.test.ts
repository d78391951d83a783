// A client's methods can be taken from it and passed on, as Python's can.
import { join } from "node:path";
import { inspect } from "node:util";
import { expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";

it("a method that is taken from its client is still the client's", async () => {
  const trackingUri = join(await temporaryFolder(), "mlruns");
  const client = new mlflow.MlflowClient({ trackingUri });
  const { createExperiment, createRun, logMetric, setTerminated, searchRunsIterator } = client;
  const experimentId = await createExperiment("e");
  const { runId } = (await createRun(experimentId)).info;
  await Promise.all([0, 1, 2].map((value) => logMetric(runId, `m${value}`, value)));
  await setTerminated(runId);
  const found = [];
  for await (const run of searchRunsIterator([experimentId])) found.push(run);
  expect(found).toMatchObject([
    { info: { runId, status: "FINISHED" }, data: { metrics: { m0: 0, m1: 1, m2: 2 } } },
  ]);
});

it("a class of the program's own may have methods of its own", async () => {
  const trackingUri = join(await temporaryFolder(), "mlruns");
  class Mine extends mlflow.MlflowClient {
    readonly created: string[] = [];
    override async createExperiment(name: string): Promise<string> {
      this.created.push(name);
      return super.createExperiment(`mine-${name}`);
    }
  }
  const client = new Mine({ trackingUri });
  const { createExperiment } = client;
  const id = await createExperiment("e");
  expect((await client.getExperiment(id)).name).toBe("mine-e");
  expect(client.created).toEqual(["e"]);
});

it("a client that is printed shows no methods", () => {
  const client = new mlflow.MlflowClient({ trackingUri: "http://ada:secret@host:5000" });
  expect(inspect(client, { depth: 5 })).toBe("MlflowClient {}");
});
