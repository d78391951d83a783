// The workspace of a call is the one in force when it was made, however long it waits for its request.
import { afterEach, describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { answerLikeMlflow, faultyServer } from "./faulty-server.js";

afterEach(() => mlflow.setWorkspace(undefined));

/** Each request's last name in its path, and its workspace. */
async function server() {
  const { uri, requests } = await faultyServer((request) => {
    const own = request.headers["x-mlflow-workspace"];
    return request.path.endsWith("/experiments/get-by-name")
      ? { status: 200, body: JSON.stringify({ experiment: { experiment_id: own, name: "e" } }) }
      : answerLikeMlflow(request);
  });
  const seen = () =>
    requests.map(({ path, headers }) => [
      path.split("/").at(-1),
      headers["x-mlflow-workspace"] ?? "none",
    ]);
  return { client: new mlflow.MlflowClient({ trackingUri: uri }), uri, seen };
}

describe("a workspace that is set anew before a call has left", () => {
  it("is not that of a call which does not wait for others", async () => {
    const { client, seen } = await server();
    const first = client.logMetric("abc", "m", 1);
    mlflow.setWorkspace("team-a");
    const second = client.setTerminated("abc");
    mlflow.setWorkspace("team-b");
    await Promise.all([first, second]);
    expect(seen().sort()).toEqual([
      ["log-metric", "none"],
      ["update", "team-a"],
    ]);
  });

  it("is not that of what was logged without waiting", async () => {
    const { client, seen } = await server();
    mlflow.setWorkspace("team-a");
    await client.logMetric("abc", "m", 1, { synchronous: false });
    await client.logMetric("abc", "m", 2, { synchronous: false });
    mlflow.setWorkspace("team-b");
    await client.logMetric("abc", "m", 3, { synchronous: false });
    mlflow.setWorkspace(undefined);
    await client.setTerminated("abc");
    expect(seen()).toEqual([
      ["log-batch", "team-a"],
      ["log-batch", "team-b"],
      ["update", "none"],
    ]);
  });

  it("is not that of a call to the active run", async () => {
    const { uri, seen } = await server();
    await mlflow.withRun({ trackingUri: uri, experimentId: "7" }, async () => {
      mlflow.setWorkspace("team-a");
      const logged = mlflow.logMetric("m", 1);
      mlflow.setWorkspace("team-b");
      await logged;
    });
    expect(seen()).toEqual([
      ["create", "none"],
      ["log-metric", "team-a"],
      ["update", "team-b"],
    ]);
  });

  it("has experiments of its own, whichever answer comes first", async () => {
    const { client } = await server();
    mlflow.setWorkspace("team-a");
    const first = client.findOrCreateExperiment("e");
    mlflow.setWorkspace("team-b");
    const second = client.findOrCreateExperiment("e");
    mlflow.setWorkspace("team-c");
    expect(await Promise.all([first, second])).toEqual(["team-a", "team-b"]);
    mlflow.setWorkspace("team-a");
    expect(await client.findOrCreateExperiment("e")).toBe("team-a");
    mlflow.setWorkspace("team-c");
    expect(await client.findOrCreateExperiment("e")).toBe("team-c");
  });
});
