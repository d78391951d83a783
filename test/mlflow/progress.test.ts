// An onProgress that throws: the transfer ends at once with what it threw, and is not tried again.
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { type FaultyServer, faultyServer } from "./faulty-server.js";

const RUN = `{"run":{"info":{"run_id":"abc","experiment_id":"7","artifact_uri":"mlflow-artifacts:/7/abc","lifecycle_stage":"active","status":"RUNNING","start_time":1},"data":{}}}`;
const FILE = /\/artifacts\/7\/abc\/.+/;
const BIG = "x".repeat(3_000_000);

class Bug extends Error {}
const bug = new Bug("a bug of the caller");
const failing: mlflow.TransferOptions = {
  onProgress() {
    throw bug;
  },
};

async function server(): Promise<FaultyServer & { readonly client: mlflow.MlflowClient }> {
  const behind = await faultyServer(({ method, path }) => {
    if (path.endsWith("/runs/get")) return { status: 200, body: RUN };
    if (path.endsWith("/server-info")) return { status: 404 };
    if (method === "PUT") return { status: 200, body: "{}" };
    if (FILE.test(path)) return { status: 200, body: BIG };
    const files = ["a.bin", "b.bin"].map((name) => ({ path: name, file_size: BIG.length }));
    return { status: 200, body: JSON.stringify({ files }) };
  });
  const client = new mlflow.MlflowClient({ trackingUri: behind.uri });
  return { ...behind, client };
}

const transfers = ({ requests }: FaultyServer) => requests.filter(({ path }) => FILE.test(path));

describe("an onProgress that throws, with a server", () => {
  it("ends the upload of a file", async () => {
    const { client, ...behind } = await server();
    const path = join(await temporaryFolder(), "a.bin");
    await writeFile(path, BIG);
    await expect(client.logArtifact("abc", path, undefined, failing)).rejects.toBe(bug);
    expect(transfers(behind).length).toBeLessThanOrEqual(1);
  });

  it("ends the upload of a folder before all files are begun", async () => {
    const { client, ...behind } = await server();
    const folder = await temporaryFolder();
    for (let index = 0; index < 12; index++) await writeFile(join(folder, `${index}.bin`), BIG);
    await expect(client.logArtifacts("abc", folder, undefined, failing)).rejects.toBe(bug);
    expect(transfers(behind).length).toBeLessThanOrEqual(4);
  });

  it("is heard of after the upload of what is in memory", async () => {
    const { client, ...behind } = await server();
    await expect(client.logText("abc", "text", "a.txt", failing)).rejects.toBe(bug);
    expect(transfers(behind)).toHaveLength(1);
  });

  it("ends a download, of which nothing is kept", async () => {
    const { client, ...behind } = await server();
    const folder = await temporaryFolder();
    await expect(client.downloadArtifacts("abc", "a.bin", folder, failing)).rejects.toBe(bug);
    expect(transfers(behind)).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it("ends a reading into memory, and a stream", async () => {
    const { client, ...behind } = await server();
    const at = { runId: "abc", artifactPath: "a.bin", trackingUri: client.trackingUri };
    await expect(mlflow.artifacts.loadText({ ...at, ...failing })).rejects.toBe(bug);
    expect(transfers(behind)).toHaveLength(1);
    const stream = await mlflow.artifacts.openArtifact({ ...at, ...failing });
    await expect(new Response(stream).text()).rejects.toBe(bug);
    expect(transfers(behind)).toHaveLength(2);
  });

  it("is not asked again once it has thrown", async () => {
    const { client } = await server();
    let calls = 0;
    const onProgress = () => {
      calls++;
      throw bug;
    };
    const folder = await temporaryFolder();
    await expect(client.downloadArtifacts("abc", "", folder, { onProgress })).rejects.toBe(bug);
    expect(calls).toBe(1);
  });
});

describe("an onProgress that throws, with a folder", () => {
  it("ends the upload and the download of a file", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const client = new mlflow.MlflowClient({ trackingUri });
    const { runId } = (await client.createRun("0")).info;
    const bytes = new TextEncoder().encode(BIG);
    await expect(client.logBytes(runId, bytes, "a.bin", failing)).rejects.toBe(bug);
    await client.logBytes(runId, bytes, "b.bin");
    const folder = await temporaryFolder();
    await expect(client.downloadArtifacts(runId, "b.bin", folder, failing)).rejects.toBe(bug);
    expect(await readdir(folder)).toEqual([]);
  });
});
