// What somebody meets who uses the client for the first time: plain types, plain slips, many calls at once.
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { faultyServer } from "./faulty-server.js";

let folder: string;
beforeEach(async () => {
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0");
  folder = await temporaryFolder();
  mlflow.setTrackingUri(pathToFileURL(join(folder, "mlruns")));
});
afterEach(() => {
  vi.unstubAllEnvs();
  mlflow.setTrackingUri(folder);
});

async function failureOf(action: () => unknown): Promise<mlflow.MlflowError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof mlflow.MlflowError) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

interface Config {
  readonly rate: number;
  readonly depth: number;
}

describe("an object whose type is an interface", () => {
  const config: Config = { rate: 0.1, depth: 3 };

  it("is params, tags, metrics, rows of a table and rows of a dataset", async () => {
    const runId = await mlflow.withRun({}, async ({ info }) => {
      await mlflow.logParams(config);
      await mlflow.setTags(config);
      await mlflow.logMetrics(config);
      await mlflow.logTable([config], "table.json");
      await mlflow.logInput(await mlflow.data.fromRows([config]));
      return info.runId;
    });
    const { data, inputs } = await mlflow.getRun(runId);
    expect(data.params).toEqual({ rate: "0.1", depth: "3" });
    expect(data.tags).toMatchObject({ rate: "0.1", depth: "3" });
    expect(data.metrics).toEqual({ rate: 0.1, depth: 3 });
    expect(inputs.datasetInputs).toHaveLength(1);
  });
});

describe("bytes", () => {
  it("may be a stream of Node's, a buffer or any view of one", async () => {
    const local = join(folder, "local.bin");
    await writeFile(local, "from a file");
    const runId = await mlflow.withRun({}, async ({ info }) => {
      await mlflow.logBytes(createReadStream(local), "stream.bin");
      await mlflow.logBytes(new Uint8Array([1, 2]).buffer, "buffer.bin");
      await mlflow.logBytes(new Uint16Array([1, 2]), "view.bin");
      return info.runId;
    });
    const load = (artifactPath: string) => mlflow.artifacts.downloadBytes({ runId, artifactPath });
    expect(new TextDecoder().decode(await load("stream.bin"))).toBe("from a file");
    expect([...(await load("buffer.bin"))]).toEqual([1, 2]);
    expect([...(await load("view.bin"))]).toEqual([1, 0, 2, 0]);
  });
});

describe("a slip is told by its name", () => {
  it.each(["localhost:5000", "127.0.0.1:5987", "mlflow.example.org:443/base"])(
    "%s lacks its scheme",
    async (uri) => {
      const { message } = await failureOf(() => mlflow.setTrackingUri(uri));
      expect(message).toContain(`did you mean http://${uri}?`);
    },
  );

  it("a column of two types says which one it is", async () => {
    const { message } = await failureOf(() => mlflow.data.fromRows([{ a: 1 }, { a: "x" }]));
    expect(message).toContain("the column 'a' are of the types long and string");
  });

  it("a login page that redirects without end is no broken connection, and asked for once", async () => {
    const server = await faultyServer(() => ({ status: 302, headers: { location: "/login" } }));
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const error = await failureOf(() => client.getRun("abc"));
    expect(error.code).toBe("INVALID_RESPONSE");
    expect(error.message).toContain("redirected from one place to another without end");
    expect(server.requests.filter(({ path }) => path.endsWith("/runs/get"))).toHaveLength(1);
  });

  it("a question that got no answer has not been carried out", async () => {
    const server = await faultyServer(() => "reset");
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, maxRetries: 0 });
    const error = await failureOf(() => client.getRun("abc"));
    expect(error).not.toBeInstanceOf(mlflow.UnknownOutcomeError);
    expect(error.message).not.toContain("carried out");
  });
});

describe("many calls at once", () => {
  it.each([
    [undefined, undefined, 10],
    [3, undefined, 3],
    [undefined, "4", 4],
    [2, "4", 2],
  ])(
    "take turns: with maxConcurrentRequests %s, MLFLOW_HTTP_POOL_MAXSIZE %s, %d at a time",
    async (given, variable, most) => {
      vi.stubEnv("MLFLOW_HTTP_POOL_MAXSIZE", variable);
      let underway = 0;
      let atOnce = 0;
      vi.stubGlobal("fetch", async () => {
        atOnce = Math.max(atOnce, ++underway);
        await new Promise((resolve) => setTimeout(resolve, 5));
        underway--;
        return new Response('{"run":{"info":{"run_id":"abc","experiment_id":"7"},"data":{}}}');
      });
      try {
        const client = new mlflow.MlflowClient({
          trackingUri: `http://127.0.0.1:1/${most}`,
          maxConcurrentRequests: given,
        });
        await Promise.all(Array.from({ length: 50 }, () => client.getRun("abc")));
      } finally {
        vi.unstubAllGlobals();
      }
      expect(atOnce).toBe(most);
    },
  );

  it("give their turns back when they fail", async () => {
    const server = await faultyServer(({ attempt }) =>
      attempt <= 30
        ? { status: 400, body: "no" }
        : { status: 200, body: '{"run":{"info":{"run_id":"abc"}}}' },
    );
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    await Promise.allSettled(Array.from({ length: 30 }, () => client.getRun("abc")));
    expect((await client.getRun("abc")).info.runId).toBe("abc");
  });
});
