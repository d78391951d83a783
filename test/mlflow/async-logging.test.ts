// Asynchronous logging: few requests, in order, and nothing is lost that nobody hears of.
import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, expectTypeOf, inject, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import type { LogBatchRequest } from "../../src/mlflow/spec.js";
import { createAsyncContext } from "../../src/runtime/capabilities.js";
import { uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { onEachStore } from "./each-store.js";
import { answerLikeMlflow, faultyServer, type Reaction } from "./faulty-server.js";
import { runProgram } from "./program.js";

const RUN_ID = "abc";

beforeEach(() => {
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0");
  mlflow.enableAsyncLogging({});
});
afterEach(async () => {
  await mlflow.flushAsyncLogging().catch(() => {});
  mlflow.enableAsyncLogging({});
  mlflow.enableAsyncLogging(false);
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

async function failureOf(action: Promise<unknown>): Promise<mlflow.AsyncLoggingError> {
  const outcome = await action.then(
    (value) => new Error(`no error, but ${inspect(value)}`),
    (error: unknown) => error,
  );
  if (outcome instanceof mlflow.AsyncLoggingError) return outcome;
  throw outcome;
}

/** A client of a server that reacts as told to log-batch, and the batches that it was sent. */
async function aServer(react: (batch: LogBatchRequest, nth: number) => Reaction = () => OK) {
  const batches: LogBatchRequest[] = [];
  const server = await faultyServer((request) =>
    request.path.endsWith("/log-batch")
      ? react(batches.at(-1) as LogBatchRequest, batches.length)
      : answerLikeMlflow(request),
  );
  const remove = mlflow.addInterceptor((call, proceed) => {
    if (call.route.endsWith("/log-batch") && call.storeUri === server.uri) {
      batches.push(call.body as unknown as LogBatchRequest);
    }
    return proceed(call);
  });
  removals.push(remove);
  const client = new mlflow.MlflowClient({ trackingUri: server.uri });
  const paths = () => server.requests.map(({ path }) => path.split("/").at(-1));
  return { client, server, batches, paths };
}
const removals: (() => void)[] = [];
afterEach(() => {
  for (const remove of removals.splice(0)) remove();
});

const OK: Reaction = { status: 200, body: "{}" };
const REFUSED: Reaction = {
  status: 400,
  body: '{"error_code":"INVALID_PARAMETER_VALUE","message":"no such run"}',
};

describe("many single calls", () => {
  it("share few requests: 10,000 metrics need ten, as many as MLflow's limits ask for", async () => {
    // However slow this machine is, nothing leaves before its request is full.
    mlflow.enableAsyncLogging({ bufferSeconds: 3600 });
    const { client, server, batches } = await aServer();
    for (let step = 0; step < 10_000; step++)
      await client.logMetric(RUN_ID, "loss", 1 / step, step);
    await client.flushAsyncLogging(RUN_ID);
    expect(server.requests).toHaveLength(10);
    const steps = batches.flatMap(({ metrics = [] }) => metrics.map(({ step }) => step));
    expect(steps).toEqual(Array.from({ length: 10_000 }, (_, step) => step));
  });

  it("leave after a while by themselves", async () => {
    mlflow.enableAsyncLogging({ bufferSeconds: 0.05 });
    const { client, batches } = await aServer();
    await client.logParam(RUN_ID, "p", 1);
    await client.setTag(RUN_ID, "t", 2);
    await client.logMetric(RUN_ID, "m", 3, { step: 4, timestamp: 5 });
    await vi.waitFor(() => expect(batches).toHaveLength(1));
    expect(batches).toEqual([
      {
        run_id: RUN_ID,
        metrics: [{ key: "m", value: 3, step: 4, timestamp: 5 }],
        params: [{ key: "p", value: "1" }],
        tags: [{ key: "t", value: "2" }],
      },
    ]);
  });

  it("of any kind and order arrive complete, per run in the order of the calls", async () => {
    const call = fc.record({
      run: fc.constantFrom("a", "b"),
      kind: fc.constantFrom("metric", "param", "tag"),
      key: fc.constantFrom("k1", "k2", "k3"),
      pause: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 300 }), async (calls) => {
        const { client, batches } = await aServer();
        let value = 0;
        for (const { run, kind, key, pause } of calls) {
          value++;
          if (kind === "metric") await client.logMetric(run, key, value);
          else if (kind === "param") await client.logParam(run, `${key}-${value}`, value);
          else await client.setTag(run, key, value);
          if (pause && value % 7 === 0) await client.flushAsyncLogging(run);
        }
        await mlflow.flushAsyncLogging();
        for (const run of ["a", "b"]) {
          const sent = batches.filter(({ run_id }) => run_id === run);
          const of = (kind: string) =>
            calls.flatMap((one, index) =>
              one.run === run && one.kind === kind ? [[one.key, index + 1] as const] : [],
            );
          const metrics = sent.flatMap((batch) => batch.metrics ?? []);
          expect(metrics.map((point) => [point.key, point.value])).toEqual(of("metric"));
          const params = sent.flatMap((batch) => batch.params ?? []);
          expect(params.map((param) => Number(param.value))).toEqual(
            of("param").map(([, number]) => number),
          );
          const tags = new Map(
            sent.flatMap((batch) => batch.tags ?? []).map((t) => [t.key, t.value]),
          );
          const last = new Map(of("tag").map(([key, number]) => [key, String(number)]));
          expect(Object.fromEntries(tags)).toEqual(Object.fromEntries(last));
        }
      }),
      { numRuns: 20 },
    );
  });

  it("of many runs are sent side by side, but not all at once", async () => {
    let underway = 0;
    let most = 0;
    const { client } = await aServer();
    const remove = mlflow.addInterceptor(async (call, proceed) => {
      most = Math.max(most, ++underway);
      await delay(5);
      underway--;
      return proceed(call);
    });
    removals.push(remove);
    for (let run = 0; run < 40; run++) await client.logMetric(`run-${run}`, "m", 1);
    await mlflow.flushAsyncLogging();
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(10);
  });
});

describe("a call says how it is made", () => {
  it("and gets a handle when it says that it does not wait", () => {
    const client = new mlflow.MlflowClient({ trackingUri: "http://127.0.0.1:5000" });
    const no = { synchronous: false } as const;
    expectTypeOf(() => mlflow.logMetric("m", 1)).returns.resolves.toEqualTypeOf<void>();
    expectTypeOf(() => mlflow.logMetric("m", 1, 2)).returns.resolves.toEqualTypeOf<void>();
    expectTypeOf(() =>
      mlflow.setTag("t", 1, { synchronous: true }),
    ).returns.resolves.toEqualTypeOf<void>();
    expectTypeOf(() =>
      mlflow.logParams({}, no),
    ).returns.resolves.toEqualTypeOf<mlflow.RunOperations>();
    expectTypeOf(() =>
      client.logMetric("r", "m", 1, { step: 1, synchronous: false }),
    ).returns.resolves.toEqualTypeOf<mlflow.RunOperations>();
  });

  it("for itself, whatever holds for all", async () => {
    const { client, paths } = await aServer();
    await client.logMetric(RUN_ID, "m", 1, { synchronous: true });
    await client.logParam(RUN_ID, "p", 1, { synchronous: true });
    await client.setTag(RUN_ID, "t", 1, { synchronous: true });
    expect(paths()).toEqual(["log-metric", "log-parameter", "set-tag"]);
    mlflow.enableAsyncLogging(false);
    const operation = await client.logBatch(RUN_ID, { tags: { a: 1 } }, { synchronous: false });
    expect(paths()).toHaveLength(3);
    await mlflow.flushAsyncLogging({ runId: RUN_ID });
    await operation.wait();
    expect(paths().slice(3)).toEqual(["log-batch"]);
    await client.logMetric(RUN_ID, "m", 1);
    expect(paths()).toHaveLength(5);
  });

  it("else the variable decides, unless the program has", async () => {
    vi.resetModules();
    const fresh: typeof mlflow = await import("../../src/mlflow/node.js");
    const server = await faultyServer(() => OK);
    const client = new fresh.MlflowClient({ trackingUri: server.uri });
    await client.setTag(RUN_ID, "t", 1);
    expect(server.requests).toHaveLength(1);
    vi.stubEnv("MLFLOW_ENABLE_ASYNC_LOGGING", "true");
    vi.stubEnv("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS", "0");
    await client.setTag(RUN_ID, "t", 2);
    await fresh.flushAsyncLogging();
    expect(server.requests.at(-1)?.path).toContain("log-batch");
    fresh.enableAsyncLogging(false);
    await client.setTag(RUN_ID, "t", 3);
    expect(server.requests.at(-1)?.path).toContain("set-tag");
    fresh.enableAsyncLogging();
    vi.stubEnv("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS", "soon");
    await expect(client.setTag(RUN_ID, "t", 4)).rejects.toThrow("BUFFERING_SECONDS");
  });

  it("and is refused when it says something else", async () => {
    const { client } = await aServer();
    const wrong = { synchron: true } as object;
    await expect(client.logParam(RUN_ID, "p", 1, wrong)).rejects.toThrow("'synchronous'");
    await expect(client.logMetric(RUN_ID, "m", 1, wrong)).rejects.toThrow("'synchronous'");
    const no = { synchronous: "no" } as unknown as mlflow.WriteOptions;
    await expect(client.setTag(RUN_ID, "t", 1, no)).rejects.toThrow("synchronous");
    for (const [options, field] of [
      [{ buffer: 1 }, "bufferSeconds"],
      [{ bufferSeconds: -1 }, "bufferSeconds"],
      [{ capacity: 0 }, "capacity"],
    ] as const) {
      expect(() => mlflow.enableAsyncLogging(options as object)).toThrow(field);
    }
    await expect(mlflow.flushAsyncLogging({ run: "x" } as object)).rejects.toThrow("runId");
  });

  it("comes after what was logged before it", async () => {
    const { client, batches, paths } = await aServer();
    await client.setTag(RUN_ID, "t", "first");
    await client.setTag(RUN_ID, "t", "second", { synchronous: true });
    await client.logMetric(RUN_ID, "m", 1);
    await client.deleteTag(RUN_ID, "t");
    await client.logMetric(RUN_ID, "m", 2);
    await client.updateRun(RUN_ID, { runName: "n" });
    expect(paths()).toEqual([
      "log-batch",
      "set-tag",
      "log-batch",
      "delete-tag",
      "log-batch",
      "update",
    ]);
    expect(batches[0]?.tags).toEqual([{ key: "t", value: "first" }]);
  });
});

it("nothing overtakes a request that is underway", async () => {
  const { client } = await aServer();
  const ended: string[] = [];
  removals.push(
    mlflow.addInterceptor(async (call, proceed) => {
      if (call.route.endsWith("/log-batch")) await delay(30);
      const answer = await proceed(call);
      ended.push(call.route.split("/").at(-1) ?? "");
      return answer;
    }),
  );
  for (const write of [
    () => client.setTag(RUN_ID, "t", "second", { synchronous: true }),
    () => client.deleteTag(RUN_ID, "t"),
    () => client.updateRun(RUN_ID, { runName: "n" }),
    () => client.deleteRun(RUN_ID),
    () => client.setTerminated(RUN_ID),
  ]) {
    await client.setTag(RUN_ID, "t", "first");
    await write();
  }
  const batch = "log-batch";
  expect(ended).toEqual(
    ["set-tag", "delete-tag", "update", "delete", "update"].flatMap((name) => [batch, name]),
  );
});

describe("a full queue", () => {
  it("makes its callers wait, and goes on when there is room", async () => {
    mlflow.enableAsyncLogging({ capacity: 50, bufferSeconds: 3600 });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { client } = await aServer();
    removals.push(
      mlflow.addInterceptor(async (call, proceed) => {
        await held;
        return proceed(call);
      }),
    );
    let accepted = 0;
    const logging = (async () => {
      for (let step = 0; step < 200; step++) {
        await client.logMetric(RUN_ID, "m", step, step);
        accepted++;
      }
    })();
    await delay(50);
    expect(accepted).toBe(50);
    release();
    await logging;
    expect(accepted).toBe(200);
    await mlflow.flushAsyncLogging();
  });
});

describe("what could not be sent", () => {
  it("is named to whoever waits for it, and to whoever flushes, once", async () => {
    const { client } = await aServer(() => REFUSED);
    const told = await client.logMetric(RUN_ID, "loss", 1, { synchronous: false });
    await client.logMetric(RUN_ID, "loss", 2);
    await client.logParam(RUN_ID, "rate", 3);
    const own = await failureOf(told.wait());
    expect(own).toMatchObject({
      name: "AsyncLoggingError",
      code: "INVALID_PARAMETER_VALUE",
      status: 400,
      lost: [{ runId: RUN_ID, metrics: 1, params: 0, tags: 0, keys: ["loss"] }],
    });
    const all = await failureOf(mlflow.flushAsyncLogging());
    expect(all.lost).toMatchObject([{ metrics: 1, params: 1, tags: 0, keys: ["rate", "loss"] }]);
    expect(all.message).toBe(
      "Not logged: 1 metric point, 1 param of run 'abc' (rate, loss). INVALID_PARAMETER_VALUE: no such run",
    );
    await mlflow.flushAsyncLogging();
  });

  it("takes nothing else along when a param has another value already", async () => {
    const conflict = (batch: LogBatchRequest): Reaction =>
      batch.params?.some(({ key }) => key === "p") ? REFUSED : OK;
    const { client, batches, server } = await aServer(conflict);
    vi.spyOn(server.requests, "push");
    const react = mlflow.addInterceptor(async (call, proceed) => {
      if (!call.route.endsWith("/runs/get")) return proceed(call);
      const params = [{ key: "p", value: "old" }];
      return { run: { info: { run_id: RUN_ID }, data: { params } } };
    });
    removals.push(react);
    const later = { synchronous: false } as const;
    const metric = await client.logMetric(RUN_ID, "m", 1, later);
    const other = await client.logParam(RUN_ID, "q", 1, later);
    const param = await client.logParam(RUN_ID, "p", "new", later);
    await failureOf(param.wait());
    await metric.wait();
    await other.wait();
    expect(batches.at(-1)).toMatchObject({
      metrics: [{ key: "m" }],
      params: [{ key: "q", value: "1" }],
    });
    await mlflow.flushAsyncLogging();
  });

  it("is counted without being kept, however much it is", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const { client, server } = await aServer();
    removals.push(
      mlflow.addInterceptor(() => {
        throw new mlflow.MlflowError("PERMISSION_DENIED", "not today");
      }),
    );
    const heap = () => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    const handles = [];
    for (let nth = 0; nth < 6000; nth++) {
      const handle = await client.setTag(RUN_ID, `t${nth}`, `${nth}`.padEnd(8000, "x"), {
        synchronous: false,
      });
      if (nth % 1000 === 0) handles.push(handle);
    }
    // Sent, and nobody is told.
    await client.updateRun(RUN_ID, { runName: "r" }).catch(() => undefined);
    expect((heap() - before) / 1e6).toBeLessThan(20);
    for (const handle of handles) {
      expect((await failureOf(handle.wait())).lost).toMatchObject([{ tags: 1 }]);
      await failureOf(handle.wait());
    }
    const { lost } = await failureOf(mlflow.flushAsyncLogging());
    expect(lost).toMatchObject([{ runId: RUN_ID, storeUri: server.uri, tags: 5994 }]);
    expect(lost[0]?.keys.length).toBeLessThanOrEqual(1000);
    expect(lost[0]?.keys.slice(0, 2)).toEqual(["t1", "t2"]);
    await mlflow.flushAsyncLogging();
  });

  it("is everything that waits behind it when the server is gone", async () => {
    mlflow.enableAsyncLogging({ bufferSeconds: 3600, capacity: 100_000 });
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1");
    const { client, batches } = await aServer(() => "reset");
    for (let step = 0; step < 5000; step++) void client.logMetric(RUN_ID, `m${step % 7}`, 1, step);
    const error = await failureOf(mlflow.flushAsyncLogging());
    expect(error.code).toBe("SERVER_UNREACHABLE");
    expect(error.lost[0]).toMatchObject({ metrics: 5000 });
    // The server may have heard of the first request.
    expect(error.message).toMatch(/^Perhaps not logged: /);
    expect(error.message).toContain(
      "5000 metric points of run 'abc' (m0, m1, m2, m3, m4, and 2 more)",
    );
    expect(batches).toHaveLength(1);
  });

  it("is the error of an interceptor that refuses", async () => {
    const { client } = await aServer();
    const refusal = new Error("over budget");
    removals.push(mlflow.addInterceptor(() => Promise.reject(refusal)));
    const operation = await client.setTag(RUN_ID, "t", 1, { synchronous: false });
    const error = await failureOf(operation.wait());
    expect(error).toMatchObject({ code: "ASYNC_LOGGING_FAILED", cause: refusal });
  });

  it("marks the run FAILED and is thrown at its end", async () => {
    const { server } = await aServer(() => REFUSED);
    mlflow.setTrackingUri(server.uri);
    const statuses: unknown[] = [];
    removals.push(
      mlflow.addInterceptor((call, proceed) => {
        if (call.route.endsWith("/runs/update")) statuses.push(call.body.status);
        return proceed(call);
      }),
    );
    const error = await failureOf(
      mlflow.withRun({ experimentId: "7" }, async () => {
        await mlflow.logMetric("m", 1);
      }),
    );
    expect(error.lost).toMatchObject([{ runId: RUN_ID, keys: ["m"] }]);
    expect(statuses).toEqual(["FAILED"]);
  });

  it("is said when the body's own error is thrown instead", async () => {
    const { server } = await aServer(() => REFUSED);
    mlflow.setTrackingUri(server.uri);
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    const thrown = new Error("diverged");
    const body = async () => {
      await mlflow.logMetric("m", 1);
      throw thrown;
    };
    await expect(mlflow.withRun({ experimentId: "7" }, body)).rejects.toBe(thrown);
    expect(said.mock.calls.flat().join()).toContain("1 metric point of run 'abc' (m)");
  });

  it("does not keep a run that somebody ends from ending", async () => {
    const { client, paths } = await aServer(() => REFUSED);
    await client.logMetric(RUN_ID, "m", 1);
    await failureOf(client.setTerminated(RUN_ID, "FINISHED"));
    expect(paths()).toEqual(["log-batch", "update"]);
  });
});

it("a request is made in the context of whoever logged first", async () => {
  const context = createAsyncContext<string>();
  const { client } = await aServer();
  const seen: unknown[] = [];
  removals.push(
    mlflow.addInterceptor((call, proceed) => {
      seen.push([call.body.run_id, context.get()]);
      return proceed(call);
    }),
  );
  await context.run("a", () => client.logMetric("run-a", "m", 1));
  await context.run("b", () => client.logMetric("run-b", "m", 1));
  await context.run("c", () => mlflow.flushAsyncLogging());
  expect(seen).toEqual([
    ["run-a", "a"],
    ["run-b", "b"],
  ]);
});

it("needs nothing of a runtime but fetch and timers", async () => {
  vi.resetModules();
  const portable = await import("../../src/mlflow/index.js");
  const server = await faultyServer((request) =>
    request.path.endsWith("/log-batch") ? OK : answerLikeMlflow(request),
  );
  portable.setTrackingUri(server.uri);
  portable.enableAsyncLogging({ bufferSeconds: 0.01 });
  await portable.withRun({ experimentId: "7" }, async () => {
    for (let step = 0; step < 1200; step++) await portable.logMetric("m", step, step);
    await vi.waitFor(() => expect(server.requests).toHaveLength(3));
    await portable.logParam("p", 1);
  });
  const paths = server.requests.map(({ path }) => path.split("/").at(-1));
  expect(paths).toEqual(["create", "log-batch", "log-batch", "log-batch", "update"]);
});

describe("a program that ends", () => {
  it("by itself has sent everything, and ended its run", async () => {
    const { server, batches } = await aServer();
    const sent: string[] = [];
    const { code, stderr } = await runProgram(
      `mlflow.enableAsyncLogging({ bufferSeconds: 60 });
       await mlflow.startRun({ experimentId: "7" });
       for (let step = 0; step < 2500; step++) mlflow.logMetric("m", step, step);`,
      { MLFLOW_TRACKING_URI: server.uri },
    );
    expect([code, stderr]).toEqual([0, ""]);
    for (const { path } of server.requests) sent.push(path.split("/").at(-1) ?? "");
    expect(sent).toEqual(["create", "log-batch", "log-batch", "log-batch", "update"]);
    expect(batches).toEqual([]);
  });

  it("in the midst says what it leaves behind", async () => {
    const { server } = await aServer();
    const { code, stderr } = await runProgram(
      `mlflow.enableAsyncLogging({ bufferSeconds: 60 });
       const client = new mlflow.MlflowClient();
       await client.logMetric("abc", "loss", 1);
       process.exit(3);`,
      { MLFLOW_TRACKING_URI: server.uri },
    );
    expect(code).toBe(3);
    expect(stderr).toContain("Not logged: 1 metric point of run 'abc' (loss). The process ended");
    expect(server.requests).toEqual([]);
  });

  it("in the midst tells what is on its way from what still waits", async () => {
    const { server } = await aServer(() => "hang");
    const { stderr } = await runProgram(
      `mlflow.enableAsyncLogging({ bufferSeconds: 60 });
       const client = new mlflow.MlflowClient();
       for (let step = 0; step < 2500; step++) void client.logMetric("abc", "loss", 1, step);
       setTimeout(() => process.exit(0), 1500);`,
      { MLFLOW_TRACKING_URI: server.uri },
    );
    const [underway, waiting] = stderr.split("\n");
    const of = "metric points of run 'abc' (loss). The process ended";
    expect(underway).toContain(`Perhaps not logged: 1000 ${of} while it was on its way`);
    expect(waiting).toContain(`Not logged: 1500 ${of} before it was sent`);
    expect(server.requests).toHaveLength(1);
  });

  it("in the midst says what its server would not take", async () => {
    const { server } = await aServer(() => REFUSED);
    const { stderr } = await runProgram(
      `mlflow.enableAsyncLogging({ bufferSeconds: 0 });
       const client = new mlflow.MlflowClient();
       await client.setTag("abc", "t", 1);
       await client.updateRun("abc", { runName: "sent" });
       process.exit(0);`,
      { MLFLOW_TRACKING_URI: server.uri },
    );
    expect(stderr).toContain("Not logged: 1 tag of run 'abc' (t). INVALID_PARAMETER_VALUE");
  });

  it("says what its server would not take", async () => {
    const { server } = await aServer(() => REFUSED);
    const { stderr } = await runProgram(
      `mlflow.enableAsyncLogging();
       await new mlflow.MlflowClient().setTag("abc", "t", 1);`,
      { MLFLOW_TRACKING_URI: server.uri },
    );
    expect(stderr).toContain("Not logged: 1 tag of run 'abc' (t)");
  });
});

onEachStore(() => {
  it("asynchronous logging leaves what synchronous logging leaves", async () => {
    const logged = async (isAsync: boolean) => {
      mlflow.enableAsyncLogging(isAsync);
      const run = await mlflow.withRun({ experimentName: uniqueName("async") }, async (active) => {
        for (let step = 0; step < 150; step++) void mlflow.logMetric("loss", 1 / (step + 1), step);
        for (let index = 0; index < 120; index++) await mlflow.logParam(`p${index}`, index);
        await mlflow.logMetrics({ a: 1, b: Number.NaN });
        await mlflow.setTag("t", "first");
        await mlflow.setTags({ t: "last", u: "x" });
        await mlflow.logParam("p7", 7);
        return active;
      });
      const { info, data } = await mlflow.getRun(run.info.runId);
      const history = await mlflow.getMetricHistory(run.info.runId, "loss");
      const { t, u } = data.tags;
      const points = history
        .map(({ step, value }) => [step, value])
        .sort(([a = 0], [b = 0]) => a - b);
      return { status: info.status, params: data.params, metrics: data.metrics, points, t, u };
    };
    expect(await logged(true)).toEqual(await logged(false));
  });
});

describe.runIf(requiresMlflow())("a real server", () => {
  it("takes the longest texts that it allows", async () => {
    mlflow.setTrackingUri(inject("mlflowServerUri") as string);
    const text = (length: number) => "日".repeat(length);
    const run = await mlflow.withRun({ experimentName: uniqueName("long") }, async (active) => {
      for (let index = 0; index < 110; index++) {
        await mlflow.logParam(`p${index}`, text(6000));
        await mlflow.setTag(`t${index}`, text(8000));
      }
      return active;
    });
    const { params, tags } = (await mlflow.getRun(run.info.runId)).data;
    expect(Object.keys(params)).toHaveLength(110);
    expect(Object.values(params).every((value) => value === text(6000))).toBe(true);
    expect(tags.t109).toBe(text(8000));
  });

  it("refuses a changed param alone", async () => {
    mlflow.setTrackingUri(inject("mlflowServerUri") as string);
    const client = new mlflow.MlflowClient();
    let runId = "";
    const error = await failureOf(
      mlflow.withRun({ experimentName: uniqueName("changed") }, async ({ info }) => {
        runId = info.runId;
        await mlflow.logParam("p", "old", { synchronous: true });
        await mlflow.logMetric("m", 1);
        await mlflow.logParam("q", 1);
        await mlflow.logParam("p", "new");
        await mlflow.setTag("t", "x");
      }),
    );
    expect(error.lost).toMatchObject([{ runId, metrics: 0, params: 1, tags: 0, keys: ["p"] }]);
    const { info, data } = await client.getRun(runId);
    expect(info.status).toBe("FAILED");
    expect(data).toMatchObject({
      metrics: { m: 1 },
      params: { p: "old", q: "1" },
      tags: { t: "x" },
    });
  });
});
