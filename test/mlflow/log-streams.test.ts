// Streams that fail, are taken, or bring no bytes: an MlflowError each, nothing written, nothing left.
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { answerLikeMlflow, faultyServer } from "./faulty-server.js";

const RUN = `{"run":{"info":{"run_id":"abc","experiment_id":"7","artifact_uri":"mlflow-artifacts:/7/abc","lifecycle_stage":"active","status":"RUNNING","start_time":1},"data":{}}}`;

interface Place {
  readonly client: mlflow.MlflowClient;
  readonly runId: string;
  /** What was written. */
  written(): Promise<readonly unknown[]>;
}

async function folder(): Promise<Place> {
  const client = new mlflow.MlflowClient({ trackingUri: join(await temporaryFolder(), "mlruns") });
  const { runId } = (await client.createRun("0")).info;
  return { client, runId, written: () => client.listArtifacts(runId) };
}

async function server(): Promise<Place> {
  const { uri, requests } = await faultyServer((request) =>
    request.path.endsWith("/runs/get") ? { status: 200, body: RUN } : answerLikeMlflow(request),
  );
  const client = new mlflow.MlflowClient({ trackingUri: uri });
  const written = async () => requests.filter(({ method }) => method === "PUT");
  return { client, runId: "abc", written };
}

const streams: readonly (readonly [string, () => ReadableStream<unknown>, object])[] = [
  [
    "has failed",
    () => new ReadableStream({ start: (controller) => controller.error(new Error("bad")) }),
    { code: "INVALID_STATE", message: expect.stringContaining("bad") },
  ],
  [
    "fails in the middle",
    () => {
      let count = 0;
      return new ReadableStream({
        pull(controller) {
          if (count++ < 3) controller.enqueue(new Uint8Array(1000));
          else controller.error(new Error("bad"));
        },
      });
    },
    { code: "INVALID_STATE", cause: expect.objectContaining({ message: "bad" }) },
  ],
  [
    "brings objects",
    () =>
      new ReadableStream({
        start(controller) {
          controller.enqueue({ a: 1 });
          controller.close();
        },
      }),
    { code: "INVALID_PARAMETER_VALUE", message: expect.stringContaining("bytes") },
  ],
  [
    "brings texts",
    () =>
      new ReadableStream({
        start(controller) {
          controller.enqueue("text");
          controller.close();
        },
      }),
    { code: "INVALID_PARAMETER_VALUE", message: expect.stringContaining("TextEncoderStream") },
  ],
  [
    "has a reader",
    () => {
      const stream = new ReadableStream();
      stream.getReader();
      return stream;
    },
    { code: "INVALID_PARAMETER_VALUE", message: expect.stringContaining("locked") },
  ],
];

const kept = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith("mlflow-stream-"));

describe.each([
  ["a folder", folder],
  ["a server", server],
] as const)("logBytes to %s", (_name, open) => {
  it.each(streams)("rejects for a stream that %s", async (_label, make, expected) => {
    const { client, runId, written } = await open();
    const before = await kept();
    const stream = make() as ReadableStream<Uint8Array>;
    const logged = client.logBytes(runId, stream, "a.bin");
    await expect(logged).rejects.toMatchObject({ name: "MlflowError", ...expected });
    expect(await written()).toEqual([]);
    const left = (await kept()).filter((name) => !before.includes(name));
    expect(left).toEqual([]);
  });

  it("stops reading a stream that is given up", async () => {
    const { client, runId, written } = await open();
    const controller = new AbortController();
    const reason = new Error("given up");
    let cancelled: unknown;
    const endless = new ReadableStream<Uint8Array>({
      pull: () => controller.abort(reason),
      cancel(why) {
        cancelled = why;
      },
    });
    const { signal } = controller;
    await expect(client.logBytes(runId, endless, "a.bin", { signal })).rejects.toBe(reason);
    expect(cancelled).toBe(reason);
    expect(await written()).toEqual([]);
  });
});
