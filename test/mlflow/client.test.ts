// The client's seam, and what it refuses before anything is sent.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { callsOf, onEachStore } from "./each-store.js";
import { answerLikeMlflow, faultyServer } from "./faulty-server.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Installed until the test ends, however it ends. */
function intercept(interceptor: mlflow.Interceptor): () => void {
  const remove = mlflow.addInterceptor(interceptor);
  removals.push(remove);
  return remove;
}
const removals: (() => void)[] = [];
afterEach(() => {
  for (const remove of removals.splice(0)) remove();
});

const RUNS = "/api/2.0/mlflow/runs";

describe("the seam", () => {
  async function aServer() {
    const server = await faultyServer(answerLikeMlflow);
    return { server, client: new mlflow.MlflowClient({ trackingUri: server.uri }) };
  }

  it("sees a call once, although the transport makes it again", async () => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.01");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0.01");
    const server = await faultyServer((request) =>
      request.attempt === 1 ? { status: 503 } : answerLikeMlflow(request),
    );
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const calls = await callsOf(() => client.createRun("7"));
    expect(calls).toEqual(["POST runs/create"]);
    expect(server.requests).toHaveLength(2);
  });

  it("sees a call that fails in the end once", async () => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.01");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0.01");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2");
    const server = await faultyServer(() => ({ status: 503 }));
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const failures: unknown[] = [];
    intercept(async (call, proceed) => {
      try {
        return await proceed(call);
      } catch (error) {
        failures.push(error);
        throw error;
      }
    });
    const failure: unknown = await client.createRun("7").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE", status: 503 });
    expect(failures).toHaveLength(1);
    expect(failures[0]).toBe(failure);
    expect(server.requests).toHaveLength(3);
  });

  it("sees the call as it is made", async () => {
    const { server, client } = await aServer();
    const calls: mlflow.StoreCall[] = [];
    intercept((call, proceed) => {
      calls.push(call);
      return proceed(call);
    });
    await client.createRun("7", { runName: "r", startTime: 5, tags: { a: 1 } });
    await client.logMetric("abc", "m", Number.NaN, { step: 2, timestamp: 9 });
    await client.logBytes("abc", new Uint8Array(3), "dir/ü b.bin");
    expect(calls).toEqual([
      {
        method: "POST",
        route: `${RUNS}/create`,
        path: `${RUNS}/create`,
        body: {
          experiment_id: "7",
          user_id: "unknown",
          run_name: "r",
          start_time: 5,
          tags: [{ key: "a", value: "1" }],
        },
        storeUri: server.uri,
      },
      {
        method: "POST",
        route: `${RUNS}/log-metric`,
        path: `${RUNS}/log-metric`,
        body: { run_id: "abc", key: "m", value: "NaN", timestamp: 9, step: 2 },
        storeUri: server.uri,
      },
      {
        method: "PUT",
        route: "/api/2.0/mlflow-artifacts/artifacts/{path}",
        path: "/api/2.0/mlflow-artifacts/artifacts/7/abc/dir/%C3%BC%20b.bin",
        body: {},
        storeUri: server.uri,
        upload: {
          runId: "abc",
          artifactPath: "dir/ü b.bin",
          artifactUri: "mlflow-artifacts:/7/abc/dir/ü b.bin",
          sizeBytes: 3,
          digest: expect.any(Function),
        },
      },
    ]);
    expect(server.requests.map(({ path }) => path)).toEqual(calls.map(({ path }) => path));
  });

  it("lets an interceptor change a call, and its answer", async () => {
    const { client } = await aServer();
    const bodies: unknown[] = [];
    intercept((call, proceed) => {
      bodies.push(call.body.run_name);
      return proceed(call);
    });
    intercept(async (call, proceed) => {
      const body = { ...call.body, run_name: "changed" };
      const answer = (await proceed({ ...call, body })) as { run: { info: object } };
      return { run: { ...answer.run, info: { ...answer.run.info, user_id: "somebody" } } };
    });
    const { info } = await client.createRun("7", { runName: "r" });
    // The newest is outermost.
    expect(bodies).toEqual(["changed"]);
    expect(info.userId).toBe("somebody");
  });

  it("sees the user that a tag names, and as Python calls nobody", async () => {
    const { client } = await aServer();
    const users: unknown[] = [];
    intercept((call, proceed) => {
      users.push(call.body.user_id);
      return proceed(call);
    });
    await client.createRun("7", { tags: { "mlflow.user": "ada" } });
    await client.createRun("7");
    expect(users).toEqual(["ada", "unknown"]);
  });

  it("sees a question about a model whose name MLflow 2 allowed", async () => {
    const { client } = await aServer();
    const ask = () => client.getModelVersion("team/model:a", 1).catch(() => undefined);
    expect(await callsOf(ask)).toEqual(["GET model-versions/get"]);
  });

  it("keeps from the store what an interceptor refuses", async () => {
    const { server, client } = await aServer();
    const refusal = new Error("not today");
    const remove = intercept(() => {
      throw refusal;
    });
    await expect(client.createRun("7")).rejects.toBe(refusal);
    await expect(client.logParam("abc", "p", 1)).rejects.toBe(refusal);
    await expect(client.getRun("abc")).rejects.toBe(refusal);
    expect(server.requests).toEqual([]);
    remove();
    await client.createRun("7");
    expect(server.requests).toHaveLength(1);
  });

  it("is as before when an interceptor is removed, however often", async () => {
    const { client } = await aServer();
    const before = mlflow.interceptorCount();
    const seen: string[] = [];
    const named =
      (name: string): mlflow.Interceptor =>
      (call, proceed) => {
        seen.push(name);
        return proceed(call);
      };
    const same = named("same");
    const [first, , third] = [intercept(same), intercept(same), intercept(named("third"))];
    expect(mlflow.interceptorCount()).toBe(before + 3);
    await client.createRun("7");
    first?.();
    first?.();
    expect(mlflow.interceptorCount()).toBe(before + 2);
    await client.createRun("7");
    third?.();
    await client.createRun("7");
    expect(seen).toEqual(["third", "same", "same", "third", "same", "same"]);
  });

  it("shows a call under way to those who were there when it began", async () => {
    const { client } = await aServer();
    const seen: string[] = [];
    const remove = intercept(async (call, proceed) => {
      remove();
      seen.push("removed inside");
      return proceed(call);
    });
    await client.createRun("7");
    await client.createRun("7");
    expect(seen).toEqual(["removed inside"]);
  });
});

onEachStore(() => {
  describe("batches", () => {
    const many = (count: number, value: (index: number) => unknown = String) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, value(index)]));

    async function aRun() {
      const client = new mlflow.MlflowClient();
      const experimentId = await client.createExperiment(uniqueName("batches"));
      const { runId } = (await client.createRun(experimentId)).info;
      return { client, runId };
    }

    async function bodiesOf(action: () => Promise<unknown>) {
      const sizes: number[][] = [];
      intercept((call, proceed) => {
        const { params = [], tags = [], metrics = [] } = call.body as Record<string, unknown[]>;
        sizes.push([params.length, tags.length, metrics.length]);
        return proceed(call);
      });
      await action();
      for (const remove of removals.splice(0)) remove();
      return sizes;
    }

    it("of 250 params are three calls", async () => {
      const { client, runId } = await aRun();
      const params = many(250) as Record<string, string>;
      const calls = await callsOf(() => client.logBatch(runId, { params }));
      expect(calls).toEqual(Array(3).fill("POST runs/log-batch"));
      expect((await client.getRun(runId)).data.params).toEqual(params);
    });

    it("are as few as MLflow's limits allow, and in order", async () => {
      const { client, runId } = await aRun();
      const metrics = Array.from({ length: 2000 }, (_, step) => ({
        key: "m",
        value: step,
        step,
        timestamp: 1000 + step,
      }));
      const batch = {
        metrics,
        params: many(101) as Record<string, string>,
        tags: many(100) as Record<string, string>,
      };
      expect(await bodiesOf(() => client.logBatch(runId, batch))).toEqual([
        [100, 100, 800],
        [1, 0, 999],
        [0, 0, 201],
      ]);
      const history = await client.getMetricHistory(runId, "m");
      expect(history.map(({ value }) => value)).toEqual(metrics.map(({ value }) => value));
    });

    it("of nothing are no call", async () => {
      const { client, runId } = await aRun();
      expect(await bodiesOf(() => client.logBatch(runId, {}))).toEqual([]);
    });

    it("stop at the call that is refused", async () => {
      const { client, runId } = await aRun();
      await client.logParam(runId, "k150", "other");
      const calls = await callsOf(async () => {
        const logged = client.logBatch(runId, { params: many(250) as Record<string, string> });
        await expect(logged).rejects.toMatchObject({ code: "INVALID_PARAMETER_VALUE" });
      });
      expect(calls).toHaveLength(2);
      const { params } = (await client.getRun(runId)).data;
      expect(Object.keys(params)).toHaveLength(101);
    });
  });

  describe("a registered model", () => {
    it("comes from a run's artifacts, and is made once", async () => {
      const client = new mlflow.MlflowClient();
      const name = uniqueName("model");
      const run = await mlflow.withRun({ experimentName: uniqueName("model") }, async (active) => {
        await mlflow.logText("weights", "model/weights.txt");
        return active;
      });
      const uri = `runs:/${run.info.runId}/model`;
      const calls = await callsOf(async () => {
        const first = await client.registerModel(uri, name, { tags: { a: 1 } });
        expect(first).toMatchObject({
          name,
          version: "1",
          source: `${run.info.artifactUri}/model`,
          runId: run.info.runId,
          tags: { a: "1" },
        });
        expect((await client.registerModel(uri, name)).version).toBe("2");
      });
      expect(calls).toEqual([
        "GET runs/get",
        "POST registered-models/create",
        "POST model-versions/create",
        // What the run made may have changed meanwhile.
        "GET runs/get",
        "POST registered-models/create",
        "POST model-versions/create",
      ]);
      const { latestVersions } = await client.getRegisteredModel(name);
      expect(latestVersions.map(({ version }) => version)).toEqual(["2"]);
    });
  });
});

describe("what MLflow forbids", () => {
  type Case = readonly [label: string, named: string, call: (c: mlflow.MlflowClient) => unknown];
  const long = (length: number) => "x".repeat(length);
  // Programs without types can pass anything.
  const loosely = (client: mlflow.MlflowClient) =>
    client as unknown as Record<string, (...values: unknown[]) => Promise<unknown>>;
  const id = "abc";

  const badKeys = [
    "",
    "a//b",
    "/a",
    "a/",
    "../a",
    "..",
    ".",
    "a#b",
    "a\nb",
    "a,b",
    long(251),
    7,
    null,
  ];
  const keys: Case[] = badKeys.flatMap((key): Case[] => [
    [
      `metric key ${String(key).slice(0, 9)}`,
      "metric key",
      (c) => loosely(c).logMetric?.(id, key, 1),
    ],
    [`param key ${String(key).slice(0, 9)}`, "param key", (c) => loosely(c).logParam?.(id, key, 1)],
    [`tag key ${String(key).slice(0, 9)}`, "tag key", (c) => loosely(c).setTag?.(id, key, 1)],
  ]);
  const badRunIds = ["", "a/b", "../x", "a b", "-a", "a.b", long(257), 7, undefined, null];
  const runIds: Case[] = badRunIds.flatMap((bad): Case[] =>
    ["getRun", "deleteRun", "restoreRun", "setTerminated", "listArtifacts"].map(
      (method): Case => [
        `${method} ${String(bad).slice(0, 9)}`,
        "runId",
        (c) => loosely(c)[method]?.(bad),
      ],
    ),
  );
  const badPaths = [
    "",
    "/a",
    "../a",
    "a/../b",
    "a//b",
    "a/",
    ".",
    "..",
    "a\\b",
    "a#b",
    "a%20b",
    "a\nb",
    7,
  ];
  const paths: Case[] = badPaths.map((path) => [
    `artifact path ${path}`,
    "artifact path",
    (c) => loosely(c).logText?.(id, "text", path),
  ]);

  const cases: Case[] = [
    ...keys,
    ...runIds,
    ...paths,
    ["a metric that is a text", "metric 'm'", (c) => loosely(c).logMetric?.(id, "m", "1")],
    ["a metric that is nothing", "metric 'm'", (c) => loosely(c).logMetric?.(id, "m", undefined)],
    ["a metric that is big", "metric 'm'", (c) => loosely(c).logMetric?.(id, "m", 1n)],
    ["step NaN", "step of metric 'm'", (c) => c.logMetric(id, "m", 1, Number.NaN)],
    ["step 1.5", "step of metric 'm'", (c) => c.logMetric(id, "m", 1, { step: 1.5 })],
    ["step 2^53", "step of metric 'm'", (c) => c.logMetric(id, "m", 1, { step: 2 ** 53 })],
    ["time NaN", "timestamp", (c) => c.logMetric(id, "m", 1, { timestamp: Number.NaN })],
    ["time -1", "timestamp", (c) => c.logMetric(id, "m", 1, { timestamp: -1 })],
    ["a metric's option", "stepp", (c) => loosely(c).logMetric?.(id, "m", 1, { stepp: 1 })],
    ["a param that is nothing", "param 'p'", (c) => loosely(c).logParam?.(id, "p", undefined)],
    ["a param that is a function", "param 'p'", (c) => loosely(c).logParam?.(id, "p", () => 1)],
    ["a tag that is nothing", "tag 't'", (c) => loosely(c).setTag?.(id, "t", undefined)],
    ["a batch's part", "metricss", (c) => loosely(c).logBatch?.(id, { metricss: [] })],
    ["a batch's metrics", "metrics", (c) => loosely(c).logBatch?.(id, { metrics: { m: 1 } })],
    ["a batch's params", "params", (c) => loosely(c).logBatch?.(id, { params: ["p"] })],
    [
      "one bad metric of many",
      "step",
      (c) =>
        c.logBatch(id, {
          params: { a: 1 },
          metrics: [
            { key: "m", value: 1 },
            { key: "m", value: 1, step: Number.NaN },
          ],
        }),
    ],
    ["one bad tag of many", "tag key", (c) => c.logBatch(id, { tags: { ok: 1, "a//b": 1 } })],
    ["an experiment without a name", "experiment name", (c) => c.createExperiment("")],
    ["an experiment's long name", "experiment name", (c) => c.createExperiment(long(501))],
    ["an experiment's option", "tag", (c) => loosely(c).createExperiment?.("e", { tag: {} })],
    ["an experiment's id", "experimentId", (c) => c.getExperiment("a/b")],
    ["an experiment's id as number", "experimentId", (c) => loosely(c).getExperiment?.(7)],
    ["an experiment's tag", "tag 't'", (c) => c.setExperimentTag("7", "t", long(20_001))],
    ["a run's option", "name", (c) => loosely(c).createRun?.("7", { name: "r" })],
    ["a run's empty name", "runName", (c) => c.createRun("7", { runName: " " })],
    ["a run's start", "startTime", (c) => c.createRun("7", { startTime: Number.NaN })],
    ["a run's tag", "tag key", (c) => c.createRun("7", { tags: { "a//b": 1 } })],
    ["a run's status", "status", (c) => loosely(c).updateRun?.(id, { status: "DONE" })],
    ["a run's end that is none", "status", (c) => c.setTerminated(id, "RUNNING")],
    ["a run's end time", "endTime", (c) => c.setTerminated(id, "FINISHED", Number.NaN)],
    ["a long run name", "runName", (c) => c.createRun("7", { runName: long(8001) })],
    ["a search's page of 0", "maxResults", (c) => c.searchRuns(["7"], { maxResults: 0 })],
    [
      "a search's page of NaN",
      "maxResults",
      (c) => c.searchRuns(["7"], { maxResults: Number.NaN }),
    ],
    ["a search's large page", "maxResults", (c) => c.searchRuns(["7"], { maxResults: 50_001 })],
    ["a search's view", "viewType", (c) => loosely(c).searchRuns?.(["7"], { viewType: "NONE" })],
    ["a search's order", "orderBy", (c) => loosely(c).searchRuns?.(["7"], { orderBy: "a" })],
    ["a search's option", "filter", (c) => loosely(c).searchRuns?.(["7"], { filter: "a" })],
    ["a search's experiments", "experimentIds", (c) => loosely(c).searchRuns?.("7")],
    ["a model without a name", "model name", (c) => c.createRegisteredModel(" ")],
    ["a model's slash", "model name", (c) => c.createRegisteredModel("a/b")],
    ["a model's colon", "model name", (c) => c.renameRegisteredModel("m", "a:b")],
    ["a model's dots", "model name", (c) => c.createRegisteredModel("..a")],
    ["a version", "version", (c) => c.getModelVersion("m", "one")],
    ["a version 1.5", "version", (c) => c.deleteModelVersion("m", 1.5)],
    ["a stage", "stage", (c) => c.transitionModelVersionStage("m", 1, "Live")],
    [
      "a stage that nothing can be archived from",
      "archiveExistingVersions",
      (c) => c.transitionModelVersionStage("m", 1, "none", { archiveExistingVersions: true }),
    ],
    ["an alias", "alias", (c) => c.setRegisteredModelAlias("m", "a b", 1)],
    ["a long alias", "alias", (c) => c.setRegisteredModelAlias("m", long(256), 1)],
    ["the alias latest", "alias", (c) => c.setRegisteredModelAlias("m", "Latest", 1)],
    ["the alias v1", "alias", (c) => c.setRegisteredModelAlias("m", "v1", 1)],
    ["a model's source", "modelUri", (c) => c.createModelVersion("m", "")],
    ["a model of no run", "modelUri", (c) => c.registerModel("runs:/", "m")],
    ["a model's tag", "tag 't'", (c) => c.setRegisteredModelTag("m", "t", long(100_001))],
    ["bytes that are none", "bytes", (c) => loosely(c).logBytes?.(id, [1, 2], "a.bin")],
    ["a text that is none", "text", (c) => loosely(c).logText?.(id, 7, "a.txt")],
    ["a dictionary that is none", "dictionary", (c) => loosely(c).logDict?.(id, "{}", "a.json")],
    ["a file that is not there", "no-such-file", (c) => c.logArtifact(id, "/no-such-file")],
    ["a folder that is not there", "localDirectory", (c) => c.logArtifacts(id, "/no-such-folder")],
  ];

  it.each(cases)("is refused before anything is sent: %s", async (_label, named, call) => {
    const server = await faultyServer(answerLikeMlflow);
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    let refusal: unknown;
    const calls = await callsOf(async () => {
      refusal = await Promise.resolve(call(client)).catch((error: unknown) => error);
    });
    expect(refusal).toBeInstanceOf(mlflow.MlflowError);
    expect(refusal).toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
      message: expect.stringContaining(named),
    });
    expect([calls, server.requests]).toEqual([[], []]);
  });

  it("is an option that nobody knows, answered with the nearest one there is", async () => {
    await expect(mlflow.startRun({ run_name: "x" } as object)).rejects.toThrow(
      "Unknown option 'run_name' of startRun; did you mean 'runName'?",
    );
    await expect(mlflow.startRun({ colour: "x" } as object)).rejects.toThrow(
      /Unknown option 'colour' of startRun; the options are runId, /,
    );
  });

  it("is a key that is one character too long, and no shorter one", async () => {
    const server = await faultyServer(answerLikeMlflow);
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    await client.setTag(id, long(250), "v");
    // MLflow counts characters, not UTF-16 units.
    await client.setTag(id, "𐐀".repeat(250), "v");
    await expect(client.setTag(id, "𐐀".repeat(251), "v")).rejects.toThrow("250");
    expect(server.requests).toHaveLength(2);
  });

  it("is cut when it is only too long a value, unless told otherwise", async () => {
    const server = await faultyServer(answerLikeMlflow);
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const values: unknown[] = [];
    intercept((call, proceed) => {
      values.push(call.body.value);
      return proceed(call);
    });
    await client.logParam(id, "p", long(6001));
    await client.setTag(id, "t", long(8001));
    expect(values).toEqual([long(6000), long(8000)]);
    expect(warn).toHaveBeenCalledTimes(2);
    expect(warn.mock.calls[0]?.[0]).toMatch(/'p'.*6001.*6000/);
    vi.stubEnv("MLFLOW_TRUNCATE_LONG_VALUES", "false");
    await expect(client.logParam(id, "p", long(6001))).rejects.toThrow("6000");
    expect(server.requests).toHaveLength(2);
  });

  it("is a folder with a file that it cannot name", async () => {
    const server = await faultyServer(answerLikeMlflow);
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const folder = await temporaryFolder();
    await writeFile(join(folder, "a.txt"), "a");
    await writeFile(join(folder, "b#.txt"), "b");
    await expect(client.logArtifacts(id, folder)).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
      message: expect.stringContaining("b#.txt"),
    });
    expect(server.requests).toEqual([]);
  });

  it("is a store that this client cannot use", () => {
    const uris: (readonly [string, string])[] = [
      ["sqlite:///mlflow.db", "mlflow server --backend-store-uri"],
      ["postgresql://host/db", "mlflow server --backend-store-uri"],
      ["databricks-uc", "Unity Catalog"],
      ["s3://bucket", "http://"],
      ["http://", "valid URL"],
      ["file://host/path", "file:///"],
      ["", "folder"],
    ];
    for (const [trackingUri, advice] of uris) {
      const open = () => new mlflow.MlflowClient({ trackingUri });
      expect(open).toThrow(mlflow.MlflowError);
      expect(open).toThrow(advice);
      expect(() => mlflow.setTrackingUri(trackingUri)).toThrow(advice);
    }
    const misspelt = { trackingURI: "http://localhost" } as unknown as mlflow.MlflowClientOptions;
    expect(() => new mlflow.MlflowClient(misspelt)).toThrow("'trackingURI'");
  });
});
