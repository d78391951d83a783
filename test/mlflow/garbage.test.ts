// Servers whose answers are JSON and nonsense all the same.
import { describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { faultyServer } from "./faulty-server.js";

async function clientOf(answer: object): Promise<mlflow.MlflowClient> {
  const { uri } = await faultyServer(({ attempt }) =>
    // Whoever goes in circles is stopped.
    attempt > 20 ? { status: 418 } : { status: 200, body: JSON.stringify(answer) },
  );
  return new mlflow.MlflowClient({ trackingUri: uri });
}

const INVALID = { code: "INVALID_RESPONSE" };

describe("an answer that names itself as the page that follows", () => {
  async function countOf(results: AsyncIterable<unknown>): Promise<number> {
    let count = 0;
    for await (const _ of results) count++;
    return count;
  }

  it.each<[string, (client: mlflow.MlflowClient) => Promise<unknown>]>([
    ["runs", (client) => countOf(client.searchRunsIterator(["0"]))],
    ["experiments", (client) => countOf(client.searchExperimentsIterator())],
    ["artifacts", (client) => client.listArtifacts("abc")],
    ["a metric's history", (client) => client.getMetricHistory("abc", "m")],
    [
      "runs, by the fluent function",
      (client) =>
        mlflow.withRun({ trackingUri: client.trackingUri, runId: "abc" }, () =>
          mlflow.searchRuns(),
        ),
    ],
  ])("ends the list of %s", async (_, list) => {
    const run = { info: { run_id: "abc" }, data: {} };
    const client = await clientOf({ next_page_token: "t", run, run_info: run.info });
    await expect(list(client)).rejects.toMatchObject(INVALID);
  });
});

describe("an answer whose lists are none", () => {
  const run = { info: { run_id: "abc" }, data: {} };

  it.each<[string, object, (client: mlflow.MlflowClient) => Promise<unknown>]>([
    ["params", { run: { ...run, data: { params: {} } } }, (client) => client.getRun("abc")],
    ["tags", { run: { ...run, data: { tags: [null] } } }, (client) => client.getRun("abc")],
    ["metrics", { run: { ...run, data: { metrics: 7 } } }, (client) => client.getRun("abc")],
    ["runs", { runs: "none" }, (client) => client.searchRuns(["0"])],
    ["experiments", { experiments: [7] }, (client) => client.searchExperiments()],
    ["artifacts", { files: {} }, (client) => client.listArtifacts("abc")],
    ["points", { metrics: {} }, (client) => client.getMetricHistory("abc", "m")],
    ["versions", { model_versions: {} }, (client) => client.searchModelVersions()],
  ])("is refused: %s", async (_, answer, ask) => {
    await expect(ask(await clientOf(answer))).rejects.toMatchObject(INVALID);
  });
});
