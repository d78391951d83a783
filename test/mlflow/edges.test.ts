// What happens at the edges: links in folders, odd names, clocks that are set, sockets that go away.
import { once } from "node:events";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { onEachStore } from "./each-store.js";
import { answerLikeMlflow, faultyServer } from "./faulty-server.js";

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

async function aRun(): Promise<{ client: mlflow.MlflowClient; runId: string }> {
  const client = new mlflow.MlflowClient();
  const { info } = await client.createRun(await client.createExperiment(uniqueName("edges")));
  return { client, runId: info.runId };
}

/** Paths of all files below a folder of a run's artifacts. */
async function filesOf(client: mlflow.MlflowClient, runId: string, path?: string) {
  const found: string[] = [];
  for (const entry of await client.listArtifacts(runId, path)) {
    if (entry.isDirectory) found.push(...(await filesOf(client, runId, entry.path)));
    else found.push(entry.path);
  }
  return found.sort();
}

onEachStore(() => {
  describe("a folder that is logged", () => {
    it("brings what its links lead to, once, and ends where they lead in a circle", async () => {
      const { client, runId } = await aRun();
      const parent = await temporaryFolder();
      const folder = join(parent, "data");
      await mkdir(join(folder, "inner"), { recursive: true });
      await mkdir(join(parent, "elsewhere"));
      await writeFile(join(folder, "inner", "a.txt"), "a");
      await writeFile(join(parent, "elsewhere", "b.txt"), "b");
      await symlink(join(parent, "elsewhere"), join(folder, "linked"));
      await symlink(join(parent, "elsewhere", "b.txt"), join(folder, "b.txt"));
      await symlink(folder, join(folder, "inner", "circle"));
      await client.logArtifacts(runId, folder, "put");
      const files = ["put/b.txt", "put/inner/a.txt", "put/linked/b.txt"];
      expect(await filesOf(client, runId)).toEqual(files);
      const local = await client.downloadArtifacts(runId, "put", await temporaryFolder());
      expect(await readFile(join(local, "linked", "b.txt"), "utf8")).toBe("b");
    });

    it("may be empty, or hold empty files and folders", async () => {
      const { client, runId } = await aRun();
      const folder = await temporaryFolder();
      await client.logArtifacts(runId, folder);
      expect(await client.listArtifacts(runId)).toEqual([]);
      await mkdir(join(folder, "empty"));
      await writeFile(join(folder, "empty.txt"), "");
      await client.logArtifacts(runId, folder);
      expect(await client.listArtifacts(runId)).toEqual([
        { path: "empty.txt", isDirectory: false, sizeBytes: 0 },
      ]);
      const local = await client.downloadArtifacts(runId, "empty.txt", await temporaryFolder());
      expect(await readFile(local, "utf8")).toBe("");
    });
  });

  it("odd names and large values come back as they were", async () => {
    const name = uniqueName("größe & 日本 50 % = ? #1");
    const client = new mlflow.MlflowClient();
    const experimentId = await client.createExperiment(name, { tags: { "t ü": "%20?#&" } });
    expect(await client.getExperimentByName(name)).toMatchObject({
      experimentId,
      tags: { "t ü": "%20?#&" },
    });
    const { info } = await client.createRun(experimentId, { runName: "run 😀 / ? # %41" });
    // As many characters as MLflow allows, each of two units in memory and four bytes on the wire.
    const param = "😀".repeat(6000);
    const tag = "😀".repeat(8000);
    await client.logBatch(info.runId, {
      params: { "p ü/日本": param },
      tags: { "t.ü-日本: x": tag },
      metrics: [{ key: "m ü/日本", value: 1.5 }],
    });
    const run = await client.getRun(info.runId);
    expect(run.info.runName).toBe("run 😀 / ? # %41");
    expect(run.data.params).toEqual({ "p ü/日本": param });
    expect(run.data.tags["t.ü-日本: x"]).toBe(tag);
    expect(run.data.metrics).toEqual({ "m ü/日本": 1.5 });
    expect(await client.getMetricHistory(info.runId, "m ü/日本")).toHaveLength(1);
    const model = uniqueName("model ü 50 ? #1");
    await client.createRegisteredModel(model, { tags: { big: "x".repeat(5000) } });
    expect((await client.getRegisteredModel(model)).tags.big).toHaveLength(5000);
    await client.deleteRegisteredModel(model);
  });
});

describe("a clock that is set", () => {
  it("does not end the wait for a version, and does not prolong it", async () => {
    let asked = 0;
    const version = (status: string) =>
      JSON.stringify({ model_version: { name: "m", version: "1", status } });
    const server = await faultyServer(({ path }) => {
      if (path.endsWith("/create")) return { status: 200, body: version("PENDING_REGISTRATION") };
      // An hour later by the wall, at once by any watch.
      const now = Date.now();
      vi.spyOn(Date, "now").mockReturnValue(now + 3_600_000);
      return { status: 200, body: version(++asked < 2 ? "PENDING_REGISTRATION" : "READY") };
    });
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const made = await client.createModelVersion("m", "s3://b/m", { awaitCreationForMs: 60_000 });
    expect(made.status).toBe("READY");
    expect(asked).toBe(2);
  });
});

describe("a connection that is kept alive", () => {
  it("and closed by the server while nobody used it, is not missed", async () => {
    let connections = 0;
    const server = createServer((request, response) => {
      const reaction = answerLikeMlflow({
        method: request.method ?? "",
        path: request.url ?? "",
        headers: {},
        attempt: 1,
      });
      request.resume();
      // It says nothing of the end that it makes soon.
      response.setHeader("connection", "keep-alive");
      response.setHeader("keep-alive", "timeout=600");
      response.once("finish", () => setTimeout(() => request.socket.destroy(), 5));
      response.end((reaction as { readonly body: string }).body);
    });
    server.on("connection", () => connections++);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    // What must not be made twice shows whether any attempt was in doubt.
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    const { port } = server.address() as AddressInfo;
    const client = new mlflow.MlflowClient({ trackingUri: `http://127.0.0.1:${port}` });
    for (let call = 0; call < 4; call++) {
      expect((await client.createRun("7")).info.runId).toBe("abc");
      await delay(60);
    }
    expect(connections).toBe(4);
  });
});
