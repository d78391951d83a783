// Models on a server that knows no logged models, as before MLflow 3; and versions that take their time.
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { bytesAt } from "./artifact-bytes.js";
import { faultyServer } from "./faulty-server.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe.runIf(requiresMlflow())("a server before MLflow 3", () => {
  async function olderServer(answersRecord = true) {
    const missing = { status: 404, body: "<!doctype html><title>404 Not Found</title>" };
    const unknown = answersRecord
      ? /\/(logged-models|runs\/outputs)/
      : /\/(logged-models|log-model)/;
    const { uri, requests } = await faultyServer(
      ({ path }) => (unknown.test(path) ? missing : "forward"),
      inject("mlflowServerUri"),
    );
    return { client: new mlflow.MlflowClient({ trackingUri: uri }), requests };
  }

  it("keeps a model in its run, and tells the run about it", async () => {
    const { client } = await olderServer();
    const experimentId = await client.createExperiment(uniqueName("older"));
    const { runId, artifactUri } = (await client.createRun(experimentId)).info;
    const name = uniqueName("registered");
    const info = await client.logModel(
      { runId },
      { "w.txt": "abc" },
      {
        name: "net",
        flavors: { custom: {} },
        registeredModelName: name,
      },
    );
    expect(info).toMatchObject({
      modelId: undefined,
      modelUri: `runs:/${runId}/net`,
      artifactUri: `${artifactUri}/net`,
      registeredModelVersion: "1",
      modelUuid: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const mlmodel = new TextDecoder().decode(await bytesAt(info.artifactUri, "MLmodel"));
    expect(mlmodel).toContain("artifact_path: net\n");
    expect(mlmodel).not.toContain("model_id");
    const history = (await client.getRun(runId)).data.tags["mlflow.log-model.history"];
    expect(JSON.parse(history as string)).toMatchObject([
      { artifact_path: "net", run_id: runId, model_uuid: info.modelUuid },
    ]);
    const version = await client.getModelVersion(name, 1);
    expect(version).toMatchObject({ source: `${artifactUri}/net`, runId });
    expect(await client.resolveModelUri(info.modelUri)).toEqual({
      artifactUri: `${artifactUri}/net`,
      runId,
    });
  });

  it("needs a run for a model", async () => {
    const { client } = await olderServer();
    const logged = client.logModel({ experimentId: "0" }, { "w.txt": "abc" });
    await expect(logged).rejects.toMatchObject({
      code: "INVALID_STATE",
      message: expect.stringContaining("startRun()"),
    });
  });

  it("has the model although the run cannot be told", async () => {
    const { client } = await olderServer(false);
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const experimentId = await client.createExperiment(uniqueName("older"));
    const { runId } = (await client.createRun(experimentId)).info;
    const info = await client.logModel({ runId }, { "w.txt": "abc" });
    expect(String(warned.mock.calls)).toContain("will not show the model");
    expect(await bytesAt(info.artifactUri, "w.txt")).toHaveLength(3);
  });
});

describe("a version that takes its time", () => {
  async function slowRegistry(statusAt: (reads: number) => string) {
    let reads = 0;
    const version = (status: string) =>
      JSON.stringify({ model_version: { name: "m", version: "1", status, status_message: "why" } });
    const { uri } = await faultyServer(({ path }) => {
      if (path.endsWith("/model-versions/create")) {
        return { status: 200, body: version("PENDING_REGISTRATION") };
      }
      reads++;
      return { status: 200, body: version(statusAt(reads)) };
    });
    const client = new mlflow.MlflowClient({ trackingUri: uri });
    return { client, reads: () => reads };
  }

  it("is waited for until it is READY", async () => {
    const { client, reads } = await slowRegistry((read) =>
      read < 2 ? "PENDING_REGISTRATION" : "READY",
    );
    expect((await client.createModelVersion("m", "s3://b/m")).status).toBe("READY");
    expect(reads()).toBe(2);
  });

  it("is waited for no longer than asked", async () => {
    const { client, reads } = await slowRegistry(() => "PENDING_REGISTRATION");
    const late = client.createModelVersion("m", "s3://b/m", { awaitCreationForMs: 20 });
    await expect(late).rejects.toMatchObject({ code: "TIMEOUT" });
    const before = reads();
    const unwaited = await client.createModelVersion("m", "s3://b/m", { awaitCreationForMs: 0 });
    expect(unwaited.status).toBe("PENDING_REGISTRATION");
    expect(reads()).toBe(before);
    const wrong = client.createModelVersion("m", "s3://b/m", { awaitCreationForMs: -1 });
    await expect(wrong).rejects.toMatchObject({ code: "INVALID_PARAMETER_VALUE" });
  });

  it("that fails says why", async () => {
    const { client } = await slowRegistry(() => "FAILED_REGISTRATION");
    await expect(client.createModelVersion("m", "s3://b/m")).rejects.toMatchObject({
      code: "INVALID_STATE",
      message: expect.stringContaining("why"),
    });
  });
});
