// What can go wrong between the client and a server: each a clear error, soon, and nothing done twice.
import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { isErrno } from "../../src/mlflow/file-store/file-errors.js";
import * as mlflow from "../../src/mlflow/node.js";
import { closedServer, uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { answerLikeMlflow, faultyServer, type Reaction } from "./faulty-server.js";

const RUN_ID = "abc";

beforeEach(() => {
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.01");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0.01");
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function clientOf(trackingUri: string): mlflow.MlflowClient {
  return new mlflow.MlflowClient({ trackingUri });
}

async function failureOf(action: () => Promise<unknown>): Promise<mlflow.MlflowError> {
  const outcome = await action().then(
    (value) => new Error(`no error, but ${inspect(value)}`),
    (error: unknown) => error,
  );
  if (outcome instanceof mlflow.MlflowError) return outcome;
  throw outcome;
}

it("says so when a server does not speak TLS", async () => {
  const server = await faultyServer(answerLikeMlflow);
  const secure = server.uri.replace("http:", "https:");
  const failure = await failureOf(() => clientOf(secure).createRun("7"));
  expect(failure.code).toBe("SERVER_UNREACHABLE");
  expect(failure.message).toContain("try http:// instead of https://");
  expect(server.requests).toEqual([]);
});

describe("an error of another realm", () => {
  // Test runners and frames have an Error of their own.
  const foreign = (source: string): Error =>
    runInNewContext(`Object.assign(new Error("x"), ${source})`);

  it("is known by its code, over the network", async () => {
    const cause = foreign('{ code: "ECONNREFUSED" }');
    vi.spyOn(globalThis, "fetch").mockRejectedValue(Object.assign(foreign("{}"), { cause }));
    const failure = await failureOf(() => clientOf("http://127.0.0.1:5000").getRun(RUN_ID));
    expect(failure.message).toContain("No MLflow server answers");
  });

  it("is known by its code, in a folder", () => {
    expect(isErrno(foreign('{ code: "ENOENT" }'), "ENOENT")).toBe(true);
    expect(isErrno(foreign('{ code: "EACCES" }'), "ENOENT")).toBe(false);
    for (const nothing of [undefined, null, "ENOENT", 5])
      expect(isErrno(nothing, "ENOENT")).toBe(false);
  });
});

/** A client of a server that reacts as told, and what that server has seen, as `POST runs/create`. */
async function against(react: Reaction | ((attempt: number) => Reaction)) {
  const server = await faultyServer(({ attempt }) =>
    typeof react === "function" ? react(attempt) : react,
  );
  const seen = () =>
    server.requests.map(
      ({ method, path }) => `${method} ${path.replace(/^\/api\/2\.0\/mlflow(-artifacts)?\//, "")}`,
    );
  return { client: clientOf(server.uri), server, seen };
}

const FOUND: Reaction = {
  status: 200,
  body: '{"run":{"info":{"run_id":"abc","experiment_id":"7"},"data":{}}}',
};

describe("a server that is not there", () => {
  it("is reported soon", async () => {
    const uri = await closedServer();
    const start = performance.now();
    const error = await failureOf(() => clientOf(uri).getRun(RUN_ID));
    expect(performance.now() - start).toBeLessThan(3000);
    expect(error.code).toBe("SERVER_UNREACHABLE");
    expect(error.status).toBeUndefined();
    expect(error.message).toContain(uri);
    expect(error.message).toContain("ECONNREFUSED");
    expect(error.message).toContain("mlflow server");
  });

  it("on a port that fetch refuses is reported at once", async () => {
    const fetch = vi.spyOn(globalThis, "fetch");
    const error = await failureOf(() => clientOf("http://127.0.0.1:9").getRun(RUN_ID));
    expect(error.code).toBe("SERVER_UNREACHABLE");
    expect(error.message).toMatch(/127\.0\.0\.1:9.*bad port.*another/);
    expect(error.message).not.toContain("may have been carried out");
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("does not begin a run", async () => {
    mlflow.setTrackingUri(await closedServer());
    const body = vi.fn();
    const error = await failureOf(() => mlflow.withRun({}, body));
    expect(error.code).toBe("SERVER_UNREACHABLE");
    expect(body).not.toHaveBeenCalled();
    expect(mlflow.activeRun()).toBeUndefined();
  });
});

describe("a server that hangs", () => {
  it.each(["hang", "stall"] as const)("is given up after the time set: %s", async (reaction) => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.2");
    const { client, seen } = await against(reaction);
    const start = performance.now();
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect(performance.now() - start).toBeLessThan(2000);
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toMatch(/GET .*runs\/get within 0\.2 s.*MLFLOW_HTTP_REQUEST_TIMEOUT/);
    expect(seen()).toEqual(["GET runs/get"]);
  });

  it("is not even asked with a time that is none", async () => {
    const { client, seen } = await against(FOUND);
    for (const [name, value] of [
      ["MLFLOW_HTTP_REQUEST_TIMEOUT", "soon"],
      ["MLFLOW_HTTP_REQUEST_TIMEOUT", "0"],
      ["MLFLOW_HTTP_REQUEST_MAX_RETRIES", "11"],
      ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "-1"],
      ["MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "-1"],
      ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "yes"],
      ["MLFLOW_TRACKING_INSECURE_TLS", "on"],
    ] as const) {
      vi.stubEnv(name, value);
      const error = await failureOf(() => client.getRun(RUN_ID));
      expect(error.code).toBe("INVALID_PARAMETER_VALUE");
      expect(error.message).toContain(name);
      expect(error.message).toContain(`'${value}'`);
      vi.stubEnv(name, "");
    }
    expect(seen()).toEqual([]);
  });
});

describe("an answer that is not MLflow's", () => {
  it.each([
    ["broken JSON", '{"run":'],
    ["HTML", "<html><body>Welcome to the portal</body></html>"],
    ["nothing", ""],
    ["null", "null"],
    ["an array", "[]"],
    ["a text", '"ok"'],
  ])("is named: %s", async (_label, body) => {
    const { client, server, seen } = await against({ status: 200, body });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect(error.code).toBe("INVALID_RESPONSE");
    expect(error.status).toBe(200);
    expect(error.message).toContain(server.uri);
    if (body.includes("portal")) expect(error.message).toContain("Welcome to the portal");
    expect(seen()).toHaveLength(1);
  });

  it.each([
    ["createRun", "run", (client: mlflow.MlflowClient) => client.createRun("7")],
    [
      "createExperiment",
      "experiment_id",
      (client: mlflow.MlflowClient) => client.createExperiment("e"),
    ],
    [
      "getModelVersion",
      "model_version",
      (client: mlflow.MlflowClient) => client.getModelVersion("m", 1),
    ],
  ] as const)("is named when it lacks what matters: %s", async (_name, field, call) => {
    const { client } = await against({ status: 200, body: "{}" });
    const error = await failureOf(() => call(client));
    expect(error.code).toBe("INVALID_RESPONSE");
    expect(error.message).toContain(`'${field}'`);
  });

  it("may be as long as it likes, and is quoted in part", async () => {
    const { client } = await against({ status: 200, body: "x".repeat(100_000) });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect(error.message.length).toBeLessThan(1000);
  });

  it.each([201, 204])("is one of status %i", async (status) => {
    const { client } = await against({ status });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect([error.code, error.status]).toEqual(["INVALID_RESPONSE", status]);
  });
});

describe("a refusal", () => {
  it.each([
    [400, "BAD_REQUEST", ""],
    [401, "UNAUTHENTICATED", "MLFLOW_TRACKING_USERNAME"],
    [403, "PERMISSION_DENIED", "--allowed-hosts"],
    [404, "ENDPOINT_NOT_FOUND", "path prefix"],
    [409, "RESOURCE_CONFLICT", ""],
    [418, "BAD_REQUEST", ""],
    [501, "NOT_IMPLEMENTED", ""],
    [599, "INTERNAL_ERROR", ""],
  ])("of status %i is %s, and final", async (status, code, advice) => {
    const { client, server, seen } = await against({ status, body: "<h1>No</h1>" });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect([error.code, error.status, error.errorCode]).toEqual([code, status, undefined]);
    expect(error.message).toContain(`${server.uri}/api/2.0/mlflow/runs/get`);
    expect(error.message).toContain("<h1>No</h1>");
    expect(error.message).toContain(advice);
    expect(seen()).toHaveLength(1);
  });

  it("in MLflow's words keeps them", async () => {
    const body = '{"error_code":"PERMISSION_DENIED","message":"not yours"}';
    const { client } = await against({ status: 403, body });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect(error).toMatchObject({
      name: "MlflowError",
      code: "PERMISSION_DENIED",
      errorCode: "PERMISSION_DENIED",
      status: 403,
      message: "PERMISSION_DENIED: not yours",
    });
  });

  it("for a while is waited for, as long as the server asks", async () => {
    const { client, seen } = await against((attempt) =>
      attempt === 1 ? { status: 429, headers: { "retry-after": "1" } } : FOUND,
    );
    const start = performance.now();
    await client.createRun("7");
    expect(performance.now() - start).toBeGreaterThanOrEqual(990);
    expect(seen()).toEqual(["POST runs/create", "POST runs/create"]);
  });

  it("until a date is waited for", async () => {
    const start = Date.now();
    // HTTP dates have whole seconds.
    const date = new Date(start + 2000).toUTCString();
    const { client, seen } = await against((attempt) =>
      attempt === 1 ? { status: 503, headers: { "retry-after": date } } : FOUND,
    );
    await client.getRun(RUN_ID);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(date) - 10);
    expect(seen()).toHaveLength(2);
  });

  it("is not waited for as long as it asks when it is not to be respected", async () => {
    vi.stubEnv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false");
    const { client, seen } = await against((attempt) =>
      attempt === 1 ? { status: 429, headers: { "retry-after": "301" } } : FOUND,
    );
    await client.createRun("7");
    expect(seen()).toHaveLength(2);
  });

  it("for longer than anybody waits is final", async () => {
    const { client, seen } = await against({ status: 429, headers: { "retry-after": "301" } });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect([error.code, error.status]).toEqual(["REQUEST_LIMIT_EXCEEDED", 429]);
    expect(seen()).toHaveLength(1);
  });

  it("again and again is final after the retries set", async () => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3");
    const { client, seen } = await against({ status: 503 });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect([error.code, error.status]).toEqual(["TEMPORARILY_UNAVAILABLE", 503]);
    expect(seen()).toHaveLength(4);
  });
});

describe("a call that may have been carried out", () => {
  const FAULTS: readonly Reaction[] = ["reset", "cut", { status: 500 }, { status: 502 }];
  const nameOf = (fault: Reaction) => (typeof fault === "object" ? `${fault.status}` : fault);

  it.each(FAULTS.map((fault) => [nameOf(fault), fault] as const))(
    "is made again when twice is as good as once: %s",
    async (_name, fault) => {
      const once = (attempt: number): Reaction =>
        attempt === 1 ? fault : { status: 200, body: FOUND.body ?? "" };
      const { client, seen } = await against(once);
      await client.getRun(RUN_ID);
      await client.logParam(RUN_ID, "p", 1);
      await client.logBatch(RUN_ID, { tags: { a: 1 } });
      expect(seen()).toEqual([
        "GET runs/get",
        "GET runs/get",
        "POST runs/log-parameter",
        "POST runs/log-parameter",
        "POST runs/log-batch",
        "POST runs/log-batch",
      ]);
    },
  );

  it.each(FAULTS.map((fault) => [nameOf(fault), fault] as const))(
    "is not made again when it might create a second one, and says so: %s",
    async (name, fault) => {
      const { client, seen } = await against(fault);
      const code = name === "reset" || name === "cut" ? "SERVER_UNREACHABLE" : "INTERNAL_ERROR";
      const creations = [
        () => client.createRun("7"),
        () => client.createModelVersion("m", "s3://bucket/model"),
      ];
      for (const create of creations) {
        const error = await failureOf(create);
        expect(error).toBeInstanceOf(mlflow.UnknownOutcomeError);
        expect(error).toMatchObject({ code, name: "UnknownOutcomeError" });
        expect(error.message).toContain("may have been carried out");
      }
      expect(seen()).toEqual(["POST runs/create", "POST model-versions/create"]);
    },
  );

  it.each(FAULTS.map((fault) => [nameOf(fault), fault] as const))(
    "is made again when its name can be there only once: %s",
    async (_name, fault) => {
      const { client, seen } = await against((attempt) =>
        attempt === 1 ? fault : { status: 200, body: '{"experiment_id":"7"}' },
      );
      expect(await client.createExperiment("e")).toBe("7");
      expect(seen()).toEqual(["POST experiments/create", "POST experiments/create"]);
    },
  );

  it("says that its first attempt may be what the second one met", async () => {
    const body = '{"error_code":"RESOURCE_ALREADY_EXISTS","message":"e exists"}';
    const { client } = await against((attempt) =>
      attempt === 1 ? "reset" : { status: 400, body },
    );
    const error = await failureOf(() => client.createExperiment("e"));
    expect(error).toBeInstanceOf(mlflow.UnknownOutcomeError);
    expect(error).toMatchObject({ code: "RESOURCE_ALREADY_EXISTS", status: 400 });
    expect(error.message).toMatch(/^RESOURCE_ALREADY_EXISTS: e exists.*earlier attempt/);
    const refused = await against({ status: 400, body });
    const plain = await failureOf(() => refused.client.createExperiment("e"));
    expect(plain).not.toBeInstanceOf(mlflow.UnknownOutcomeError);
    expect(plain.message).toBe("RESOURCE_ALREADY_EXISTS: e exists");
  });

  it.each([
    ["hang", "hang", "TIMEOUT"],
    ["a page of HTML", { status: 200, body: "<html>" }, "INVALID_RESPONSE"],
    ["broken JSON", { status: 200, body: '{"run":{"info"' }, "INVALID_RESPONSE"],
    ["an empty success", { status: 204 }, "INVALID_RESPONSE"],
    ["a redirect", { status: 302 }, undefined],
    ["a refusal", { status: 403 }, undefined],
  ] as const)("is told from one that was not: %s", async (_name, reaction, code) => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.2");
    const { client } = await against(reaction);
    const error = await failureOf(() => client.createRun("7"));
    expect(error instanceof mlflow.UnknownOutcomeError).toBe(code !== undefined);
    if (code !== undefined) expect(error.code).toBe(code);
    // Whoever only asks needs not care.
    const read = await failureOf(() => client.searchRuns(["7"]));
    expect(read).not.toBeInstanceOf(mlflow.UnknownOutcomeError);
  });
});

describe("a redirect", () => {
  it("of a read is followed, without the password when it leads elsewhere", async () => {
    const target = await faultyServer(() => FOUND);
    const { server } = await against({
      status: 302,
      headers: { location: `${target.uri}/api/2.0/mlflow/runs/get?run_id=abc` },
    });
    const client = clientOf(server.uri.replace("//", "//ada:s3cret@"));
    expect((await client.getRun(RUN_ID)).info.runId).toBe(RUN_ID);
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${btoa("ada:s3cret")}`);
    expect(target.requests).toHaveLength(1);
    expect(target.requests[0]?.headers).not.toHaveProperty("authorization");
  });

  it.each([301, 302, 307])("of a write is reported, not followed: %i", async (status) => {
    const target = await faultyServer(() => FOUND);
    const location = target.uri.replace("//", "//eve:hidden@");
    const { client, seen } = await against({ status, headers: { location } });
    const error = await failureOf(() => client.createRun("7"));
    expect([error.code, error.status]).toEqual(["INVALID_RESPONSE", status]);
    expect(error.message).toContain(`redirect to ${target.uri}`);
    expect(error.message).not.toContain("hidden");
    expect(target.requests).toEqual([]);
    expect(seen()).toHaveLength(1);
  });
});

describe("a password in the URI", () => {
  const SECRET = "s3cret";

  it.each([
    ["unreachable", undefined],
    ["401", { status: 401, body: "who?" }],
    ["broken JSON", { status: 200, body: "{" }],
    ["redirect", { status: 302, headers: { location: "http://127.0.0.1:9/" } }],
    ["reset", "reset"],
    ["hang", "hang"],
    ["bad port", "bad port"],
  ] as const)("is in no error, no call and no URI that is shown: %s", async (_name, reaction) => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.2");
    let uri: string;
    if (reaction === undefined) uri = await closedServer();
    else if (reaction === "bad port") uri = "http://127.0.0.1:9";
    else uri = (await faultyServer(() => reaction)).uri;
    const client = clientOf(uri.replace("//", `//ada:${SECRET}@`));
    expect(client.trackingUri).toBe(uri);
    const calls: mlflow.StoreCall[] = [];
    const remove = mlflow.addInterceptor((call, proceed) => {
      calls.push(call);
      return proceed(call);
    });
    const error = await failureOf(() => client.createRun("7"));
    remove();
    const shown = inspect({ error, stack: error.stack, calls, client }, { depth: 10 });
    expect(calls[0]?.storeUri).toBe(uri);
    expect(shown).not.toContain(SECRET);
    expect(shown).not.toContain(btoa(`ada:${SECRET}`));
  });

  it.each([
    "http://ada:s3cret@no host:5000",
    "http://ada:x/s3cret@host:5000",
    "http://ada:x?s3cret@y@host:5000",
    "http://ada:s3cret%@host:5000",
    "postgresql://ada:s3cret@host/db",
    "postgresql://ada:x#s3cret@host/db",
    "ftp://ada:s3cret@host",
  ])("is not in the error of a URI that cannot be used: %s", async (trackingUri) => {
    const error = await failureOf(async () => clientOf(trackingUri));
    expect(error.code).toBe("INVALID_PARAMETER_VALUE");
    expect(inspect(error, { depth: 10 })).not.toContain(SECRET);
    expect(error.message).toContain("//");
  });

  it("is sent, whatever the environment says, and decoded", async () => {
    vi.stubEnv("MLFLOW_TRACKING_USERNAME", "eve");
    vi.stubEnv("MLFLOW_TRACKING_PASSWORD", "other");
    const { server } = await against(FOUND);
    await clientOf(server.uri.replace("//", "//ada%40x:s%2Fü@")).getRun(RUN_ID);
    await clientOf(server.uri).getRun(RUN_ID);
    vi.stubEnv("MLFLOW_TRACKING_PASSWORD", "");
    vi.stubEnv("MLFLOW_TRACKING_TOKEN", "token");
    await clientOf(server.uri).getRun(RUN_ID);
    const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      basic("ada@x:s/ü"),
      basic("eve:other"),
      "Bearer token",
    ]);
  });
});

describe("a run whose body fails", () => {
  /** What the run's end said, of runs against a server that reacts as told to log-batch. */
  async function endOf(logBatch: Reaction, end: Reaction, body: () => Promise<unknown>) {
    const server = await faultyServer((request) => {
      if (request.path.endsWith("/log-batch")) return logBatch;
      return request.path.endsWith("/runs/update") ? end : answerLikeMlflow(request);
    });
    mlflow.setTrackingUri(server.uri);
    const statuses: unknown[] = [];
    const remove = mlflow.addInterceptor((call, proceed) => {
      if (call.route.endsWith("/runs/update")) statuses.push(call.body.status);
      return proceed(call);
    });
    const failure: unknown = await mlflow
      .withRun({ experimentName: "e" }, body)
      .then(() => "no error")
      .catch((error: unknown) => error);
    remove();
    return { statuses, failure };
  }
  const ok: Reaction = { status: 200, body: '{"run_info":{"run_id":"abc"}}' };

  it("ends FAILED, with the error of the body", async () => {
    const thrown = new Error("diverged");
    const { statuses, failure } = await endOf(ok, ok, async () => {
      await mlflow.logParams({ a: 1 });
      throw thrown;
    });
    expect(failure).toBe(thrown);
    expect(statuses).toEqual(["FAILED"]);
  });

  it("ends FAILED when the store refuses what it logs", async () => {
    const refused: Reaction = {
      status: 400,
      body: '{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}',
    };
    const { statuses, failure } = await endOf(refused, ok, () => mlflow.logParams({ a: 1 }));
    expect(failure).toMatchObject({ code: "INVALID_PARAMETER_VALUE", status: 400 });
    expect(statuses).toEqual(["FAILED"]);
  });

  it("throws the error of the body even if its end cannot be noted", async () => {
    const thrown = new Error("diverged");
    const { statuses, failure } = await endOf(ok, { status: 400 }, async () => {
      throw thrown;
    });
    expect(failure).toBe(thrown);
    expect(statuses).toEqual(["FAILED"]);
  });

  it("that itself did well throws when its end cannot be noted", async () => {
    const { failure } = await endOf(ok, { status: 400 }, async () => {});
    expect(failure).toMatchObject({ code: "BAD_REQUEST" });
  });
});

describe.runIf(requiresMlflow())("a real server that stumbles", () => {
  it("holds everything once, and each call is seen once", async () => {
    const upstream = inject("mlflowServerUri") as string;
    const stumbling = await faultyServer(
      ({ attempt }) => (attempt === 1 ? { status: 503 } : "forward"),
      upstream,
    );
    const calls: string[] = [];
    const remove = mlflow.addInterceptor((call, proceed) => {
      calls.push(call.route.split("/").at(-1) ?? "");
      return proceed(call);
    });
    mlflow.setTrackingUri(stumbling.uri);
    const run = await mlflow.withRun(
      { experimentName: uniqueName("stumbling") },
      async (active) => {
        await mlflow.logParam("p", 1);
        await mlflow.logMetric("m", 0.5);
        await mlflow.logText("hello", "a.txt");
        return active;
      },
    );
    remove();
    expect(calls).toEqual([
      "get-by-name",
      "create",
      "create",
      "log-parameter",
      "log-metric",
      "{path}",
      "update",
    ]);
    expect(stumbling.requests).toHaveLength(2 * calls.length);
    const direct = clientOf(upstream);
    const { info, data } = await direct.getRun(run.info.runId);
    expect([info.status, data.params, data.metrics]).toEqual(["FINISHED", { p: "1" }, { m: 0.5 }]);
    expect(await direct.getMetricHistory(run.info.runId, "m")).toHaveLength(1);
    expect(await direct.listArtifacts(run.info.runId)).toHaveLength(1);
    expect(await direct.searchRuns([run.info.experimentId])).toHaveLength(1);
  });
});
