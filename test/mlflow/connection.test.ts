// How a client reaches its server: who it says it is, whom it trusts, and through what it goes.
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Server } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import { generate } from "selfsigned";
import { afterEach, beforeEach, describe, expect, inject, it, onTestFinished, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { faultyServer, type Reaction } from "./faulty-server.js";

const RUN_ID = "abc";
const FOUND = '{"run":{"info":{"run_id":"abc","experiment_id":"7"},"data":{}}}';

let home: string;
beforeEach(async () => {
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0");
  home = await temporaryFolder();
  vi.stubEnv("HOME", home);
  vi.stubEnv("USERPROFILE", home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.doUnmock("undici");
});

async function failureOf(action: () => Promise<unknown>): Promise<mlflow.MlflowError> {
  const outcome = await action().then(
    (value) => new Error(`no error, but ${inspect(value)}`),
    (error: unknown) => error,
  );
  if (outcome instanceof mlflow.MlflowError) return outcome;
  throw outcome;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

/** The headers of one call that a client with these options makes. */
async function headersOf(options: mlflow.MlflowClientOptions = {}) {
  const server = await faultyServer(() => ({ status: 200, body: FOUND }));
  await new mlflow.MlflowClient({ trackingUri: server.uri, ...options }).getRun(RUN_ID);
  return server.requests[0]?.headers ?? {};
}

describe("a client says who it is", () => {
  it("as its options say, whatever the environment says", async () => {
    vi.stubEnv("MLFLOW_TRACKING_USERNAME", "eve");
    vi.stubEnv("MLFLOW_TRACKING_PASSWORD", "other");
    vi.stubEnv("MLFLOW_TRACKING_TOKEN", "third");
    const ada = { username: "ada", password: "pä:ss" };
    expect((await headersOf(ada)).authorization).toBe(basic("ada:pä:ss"));
    expect((await headersOf({ token: "mine" })).authorization).toBe("Bearer mine");
    expect((await headersOf()).authorization).toBe(basic("eve:other"));
    vi.stubEnv("MLFLOW_TRACKING_PASSWORD", "");
    expect((await headersOf()).authorization).toBe("Bearer third");
    vi.stubEnv("MLFLOW_TRACKING_TOKEN", "");
    expect(await headersOf()).not.toHaveProperty("authorization");
  });

  it("as the credentials file says, where nobody else does", async () => {
    await mkdir(join(home, ".mlflow"));
    const file = [
      "# mine",
      "[other]",
      "mlflow_tracking_username = nobody",
      "[mlflow]",
      "MLFLOW_TRACKING_USERNAME = ada",
      "mlflow_tracking_password = a=b#c;d ",
    ];
    await writeFile(join(home, ".mlflow/credentials"), file.join("\r\n"));
    expect((await headersOf()).authorization).toBe(basic("ada:a=b#c;d"));
    vi.stubEnv("MLFLOW_TRACKING_USERNAME", "eve");
    expect((await headersOf()).authorization).toBe(basic("eve:a=b#c;d"));
  });

  it("with a workspace", async () => {
    vi.stubEnv("MLFLOW_WORKSPACE", "team-a");
    expect(await headersOf()).toMatchObject({ "x-mlflow-workspace": "team-a" });
    const own = await headersOf({ workspace: "team-b" });
    expect(own).toMatchObject({ "x-mlflow-workspace": "team-b" });
  });

  it("with the workspace that the program has set, and its own experiments", async () => {
    onTestFinished(() => mlflow.setWorkspace(undefined));
    vi.stubEnv("MLFLOW_WORKSPACE", "team-a");
    mlflow.setWorkspace("team-c");
    expect(await headersOf()).toMatchObject({ "x-mlflow-workspace": "team-c" });
    const own = await headersOf({ workspace: "team-b" });
    expect(own).toMatchObject({ "x-mlflow-workspace": "team-b" });
    const server = await faultyServer(({ headers }) => ({
      status: 200,
      body: JSON.stringify({
        experiment: { experiment_id: headers["x-mlflow-workspace"], name: "shared" },
      }),
    }));
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    expect(await client.findOrCreateExperiment("shared")).toBe("team-c");
    mlflow.setWorkspace(undefined);
    expect(await client.findOrCreateExperiment("shared")).toBe("team-a");
    for (const name of ["A", "-a", "a", "api", "a_b", "a".repeat(64)]) {
      expect(() => mlflow.setWorkspace(name)).toThrow("Invalid value");
    }
  });

  it.runIf(requiresMlflow())("with a workspace that a real server has not", async () => {
    const trackingUri = inject("mlflowServerUri") as string;
    const client = new mlflow.MlflowClient({ trackingUri, workspace: "nowhere" });
    const error = await failureOf(() => client.searchExperiments());
    expect(error.code).toBe("FEATURE_DISABLED");
  });

  it("with headers of one's own, asked for anew for each call", async () => {
    let count = 0;
    const headers = async () => ({ "X-Count": String(++count), Authorization: "Custom" });
    const server = await faultyServer(() => ({ status: 200, body: FOUND }));
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, headers });
    await client.getRun(RUN_ID);
    await client.logParam(RUN_ID, "p", 1);
    expect(server.requests.map((request) => request.headers)).toMatchObject([
      { "x-count": "1", authorization: "Custom" },
      { "x-count": "2", authorization: "Custom", "content-type": "application/json" },
    ]);
    const named = { headers: { "x-cost-centre": "7" }, token: "t" };
    expect(await headersOf(named)).toMatchObject({
      "x-cost-centre": "7",
      authorization: "Bearer t",
    });
  });

  it("or says that it cannot find out", async () => {
    const server = await faultyServer(() => ({ status: 200, body: FOUND }));
    const withHeaders = (headers: () => never | mlflow.RequestHeaders) =>
      new mlflow.MlflowClient({ trackingUri: server.uri, headers }).getRun(RUN_ID);
    const cause = new Error("no token today");
    const failed = await failureOf(() =>
      withHeaders(() => {
        throw cause;
      }),
    );
    expect(failed).toMatchObject({ code: "INVALID_STATE", cause });
    const wrong = await failureOf(() => withHeaders(() => ({ "a b": "s3cret" })));
    expect(wrong.code).toBe("INVALID_PARAMETER_VALUE");
    expect(wrong.message).not.toContain("s3cret");
    expect(server.requests).toEqual([]);
  });

  it("through the fluent functions too, until the URI is set anew", async () => {
    const server = await faultyServer(() => ({ status: 200, body: FOUND }));
    mlflow.setTrackingUri(server.uri, { token: "first" });
    await mlflow.getRun(RUN_ID);
    mlflow.setTrackingUri(server.uri, { token: "second" });
    await mlflow.getRun(RUN_ID);
    await new mlflow.MlflowClient().getRun(RUN_ID);
    mlflow.setTrackingUri(server.uri);
    await mlflow.getRun(RUN_ID);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer first",
      "Bearer second",
      "Bearer second",
      undefined,
    ]);
  });
});

describe("options of a connection", () => {
  it.each([
    [{ timeoutSecond: 1 }, "did you mean 'timeoutSeconds'"],
    [{ timeoutSeconds: 0 }, "timeoutSeconds"],
    [{ timeoutSeconds: "5" }, "timeoutSeconds"],
    [{ maxRetries: 11 }, "from 0 to 10"],
    [{ maxRetries: 1.5 }, "whole number"],
    [{ backoffFactorSeconds: 121 }, "from 0 to 120"],
    [{ backoffJitterSeconds: Number.NaN }, "backoffJitterSeconds"],
    [{ respectRetryAfter: "yes" }, "respectRetryAfter"],
    [{ username: "" }, "username"],
    [{ username: "ada", token: "s3cret" }, "either a token"],
    [{ headers: ["a"] }, "headers"],
    [{ headers: { "a b": "c" } }, '"a b"'],
    [{ headers: { a: "s3cret\r\nb: c" } }, '"a"'],
    [{ insecureTls: true, serverCertPath: "/ca.pem" }, "serverCertPath"],
  ])("that cannot be are refused at once: %j", (options, advice) => {
    const given = options as mlflow.ConnectionOptions;
    const before = mlflow.getTrackingUri();
    for (const use of [
      () => new mlflow.MlflowClient({ trackingUri: "http://127.0.0.1:5000", ...given }),
      () => mlflow.setTrackingUri("http://127.0.0.1:5000", given),
      () => mlflow.setRegistryUri("http://127.0.0.1:5000", given),
    ]) {
      expect(use).toThrow(mlflow.MlflowError);
      expect(use).toThrow(advice);
      expect(use).not.toThrow("s3cret");
    }
    expect(mlflow.getTrackingUri()).toBe(before);
  });

  it("win over the environment", async () => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7");
    const hanging = await faultyServer(() => "hang");
    const client = new mlflow.MlflowClient({ trackingUri: hanging.uri, timeoutSeconds: 0.1 });
    expect((await failureOf(() => client.getRun(RUN_ID))).code).toBe("TIMEOUT");
    const failing = await faultyServer(() => ({ status: 503 }));
    const once = new mlflow.MlflowClient({ trackingUri: failing.uri, maxRetries: 1 });
    await failureOf(() => once.getRun(RUN_ID));
    expect(failing.requests).toHaveLength(2);
  });

  it("have limits that the environment moves, as in Python", async () => {
    vi.stubEnv("_MLFLOW_HTTP_REQUEST_MAX_RETRIES_LIMIT", "12");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "12");
    const { uri, requests } = await faultyServer(() => ({ status: 503 }));
    await failureOf(() => new mlflow.MlflowClient({ trackingUri: uri }).getRun(RUN_ID));
    expect(requests).toHaveLength(13);
  });
});

it("few connections carry calls that follow each other", async () => {
  const sockets = new Set<unknown>();
  const server = createServer((request, response) => {
    sockets.add(request.socket);
    request.resume().on("end", () => response.end(FOUND));
  });
  const port = await listening(server);
  const client = new mlflow.MlflowClient({ trackingUri: `http://127.0.0.1:${port}` });
  for (let call = 0; call < 20; call++) await client.logParam(RUN_ID, `p${call}`, call);
  // The next call may begin before the connection of the last one is free again.
  expect(sockets.size).toBeLessThanOrEqual(2);
});

describe("databricks", () => {
  async function aWorkspace() {
    const server = await faultyServer(() => ({ status: 200, body: FOUND }));
    const seen = async (trackingUri: string) => {
      const client = new mlflow.MlflowClient({ trackingUri });
      await client.getRun(RUN_ID);
      return [client.trackingUri, server.requests.at(-1)?.headers.authorization];
    };
    return { uri: server.uri, seen };
  }

  it("is found by the environment, and by a profile of its file", async () => {
    const { uri, seen } = await aWorkspace();
    const file = [
      ...["[DEFAULT]", `host = ${uri}/`, "token = of-default", ""],
      ...["[team]", `host = ${uri}`, "username = ada", "password = s=1"],
    ];
    await writeFile(join(home, ".databrickscfg"), file.join("\n"));
    expect(await seen("databricks")).toEqual([uri, "Bearer of-default"]);
    expect(await seen("databricks://team")).toEqual([uri, basic("ada:s=1")]);
    vi.stubEnv("DATABRICKS_HOST", uri);
    vi.stubEnv("DATABRICKS_TOKEN", "of-environment");
    vi.stubEnv("MLFLOW_TRACKING_USERNAME", "eve");
    vi.stubEnv("MLFLOW_TRACKING_PASSWORD", "other");
    expect(await seen("databricks")).toEqual([uri, "Bearer of-environment"]);
    expect(await seen("databricks://DEFAULT")).toEqual([uri, "Bearer of-default"]);
    // What lets one in at the environment's workspace is not sent to that of a profile.
    expect(await seen("databricks://team")).toEqual([uri, basic("ada:s=1")]);
    // What lets one in at the environment's workspace is not sent to that of a profile.
    expect(await seen("databricks://team")).toEqual([uri, basic("ada:s=1")]);
    vi.stubEnv("DATABRICKS_CONFIG_PROFILE", "DEFAULT");
    expect(await seen("databricks")).toEqual([uri, "Bearer of-default"]);
  });

  it("without host, credentials or profile says which", async () => {
    const open = (trackingUri: string) => () => new mlflow.MlflowClient({ trackingUri });
    expect(open("databricks")).toThrow("set DATABRICKS_HOST and DATABRICKS_TOKEN");
    expect(open("databricks://team")).toThrow("no profile 'team' in ~/.databrickscfg");
    expect(open("databricks:team")).toThrow("databricks://<profile>");
    expect(open("databricks://scope:prefix")).toThrow("databricks://<profile>");
    vi.stubEnv("DATABRICKS_HOST", "my.cloud.databricks.com");
    expect(open("databricks")).toThrow("no credentials for my.cloud.databricks.com");
    vi.stubEnv("DATABRICKS_TOKEN", "t");
    const client = new mlflow.MlflowClient({ trackingUri: "databricks" });
    expect(client.trackingUri).toBe("https://my.cloud.databricks.com");
  });
});

describe("a service principal of databricks", () => {
  const SECRET = "s3cr=t&ü";

  /** A workspace that gives `token-1`, `token-2` … to whoever knows the secret. */
  async function aWorkspace(react: (nth: number) => Reaction | undefined = () => undefined) {
    let given = 0;
    const server = await faultyServer(({ path, headers }) => {
      if (path !== "/oidc/v1/token") return { status: 200, body: FOUND };
      const own = react(++given);
      if (own !== undefined) return own;
      if (headers.authorization !== basic(`id:${SECRET}`)) {
        return { status: 401, body: '{"error":"invalid_client"}' };
      }
      const token = { access_token: `token-${given}`, token_type: "Bearer", expires_in: 3600 };
      return { status: 200, body: JSON.stringify(token) };
    });
    vi.stubEnv("DATABRICKS_HOST", `${server.uri}/`);
    vi.stubEnv("DATABRICKS_CLIENT_ID", "id");
    vi.stubEnv("DATABRICKS_CLIENT_SECRET", SECRET);
    const client = new mlflow.MlflowClient({ trackingUri: "databricks" });
    const seen = () =>
      server.requests
        .filter(({ path }) => path !== "/oidc/v1/token")
        .map(({ headers }) => headers.authorization);
    const asked = () => server.requests.length - seen().length;
    return { client, seen, asked };
  }

  it("asks for a token once, and again before it ends", async () => {
    const { client, seen, asked } = await aWorkspace();
    await Promise.all(Array.from({ length: 5 }, () => client.getRun(RUN_ID)));
    expect(seen()).toEqual(Array.from({ length: 5 }, () => "Bearer token-1"));
    const now = performance.now();
    const later = vi.spyOn(performance, "now").mockReturnValue(now + 3_530_000);
    await client.getRun(RUN_ID);
    later.mockReturnValue(now + 3_541_000);
    await Promise.all([client.getRun(RUN_ID), client.getRun(RUN_ID)]);
    later.mockRestore();
    expect(seen().slice(5)).toEqual(["Bearer token-1", "Bearer token-2", "Bearer token-2"]);
    expect(asked()).toBe(2);
  });

  it("comes from a profile too, and gives way to a token", async () => {
    const { client, seen, asked } = await aWorkspace();
    const host = client.trackingUri;
    vi.stubEnv("DATABRICKS_HOST", "");
    vi.stubEnv("DATABRICKS_CLIENT_ID", "");
    vi.stubEnv("DATABRICKS_CLIENT_SECRET", "");
    const profile = ["[team]", `host = ${host}`, "client_id = id", `client_secret = ${SECRET}`];
    await writeFile(join(home, ".databrickscfg"), profile.join("\n"));
    await new mlflow.MlflowClient({ trackingUri: "databricks://team" }).getRun(RUN_ID);
    const told = { trackingUri: "databricks://team", token: "own" };
    await new mlflow.MlflowClient(told).getRun(RUN_ID);
    vi.stubEnv("DATABRICKS_HOST", host);
    vi.stubEnv("DATABRICKS_TOKEN", "of-environment");
    await new mlflow.MlflowClient({ trackingUri: "databricks" }).getRun(RUN_ID);
    expect(seen()).toEqual(["Bearer token-1", "Bearer own", "Bearer of-environment"]);
    expect(asked()).toBe(1);
  });

  it("is told why it is refused, without its secret, and may ask again", async () => {
    const { client, seen } = await aWorkspace((nth) =>
      nth === 1 ? { status: 401, body: '{"error":"invalid_client"}' } : undefined,
    );
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect(error).toMatchObject({ code: "UNAUTHENTICATED", status: 401 });
    expect(error.message).toContain("service principal 'id'");
    expect(error.message).toContain("invalid_client");
    expect(inspect(error)).not.toContain(SECRET);
    expect(inspect(client, { depth: 9 })).not.toContain(SECRET);
    await client.getRun(RUN_ID);
    expect(seen()).toEqual(["Bearer token-2"]);
  });

  it("survives a token endpoint that stumbles, and names one that makes no sense", async () => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0");
    const stumbling = await aWorkspace((nth) => {
      if (nth === 1) return { status: 503 };
      return nth === 2 ? "reset" : undefined;
    });
    await stumbling.client.getRun(RUN_ID);
    expect(stumbling.seen()).toEqual(["Bearer token-3"]);
    const odd = await aWorkspace(() => ({ status: 200, body: "<html>" }));
    const error = await failureOf(() => odd.client.getRun(RUN_ID));
    expect(error.code).toBe("INVALID_RESPONSE");
    expect(odd.seen()).toEqual([]);
  });

  it("gives up a token endpoint as any other: silent, elsewhere, or never there", async () => {
    const silent = await aWorkspace(() => "hang");
    const hasty = new mlflow.MlflowClient({ trackingUri: "databricks", timeoutSeconds: 0.1 });
    const late = await failureOf(() => hasty.getRun(RUN_ID));
    expect(late.code).toBe("TIMEOUT");
    expect(late.message).toContain("/oidc/v1/token did not answer within 0.1 s");
    expect(silent.asked()).toBe(1);
    const moved = await aWorkspace(() => ({ status: 302, headers: { location: "/login" } }));
    const sent = await failureOf(() => moved.client.getRun(RUN_ID));
    expect(sent.code).toBe("INVALID_RESPONSE");
    expect(sent.message).toContain("DATABRICKS_HOST");
    expect(moved.asked()).toBe(1);
    const server = createServer();
    const port = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    vi.stubEnv("DATABRICKS_HOST", `http://127.0.0.1:${port}`);
    const fetched = vi.spyOn(globalThis, "fetch");
    const nobody = new mlflow.MlflowClient({ trackingUri: "databricks" });
    const error = await failureOf(() => nobody.getRun(RUN_ID));
    const times = fetched.mock.calls.length;
    fetched.mockRestore();
    expect(error.code).toBe("SERVER_UNREACHABLE");
    expect(error.message).toContain("ECONNREFUSED");
    expect(times).toBe(3);
  });

  it("waits by the token endpoint's own clock", async () => {
    const date = "Fri, 01 Jan 2100 00:00:00 GMT";
    const { client, seen } = await aWorkspace((nth) =>
      nth === 1 ? { status: 503, headers: { date, "retry-after": date } } : undefined,
    );
    await client.getRun(RUN_ID);
    expect(seen()).toEqual(["Bearer token-2"]);
  });

  it("has a token that is valid when its turn comes, however long that took", async () => {
    const { seen } = await aWorkspace();
    const client = new mlflow.MlflowClient({ trackingUri: "databricks", maxConcurrentRequests: 1 });
    await client.getRun(RUN_ID);
    const real = globalThis.fetch;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    vi.stubGlobal("fetch", async (...request: Parameters<typeof fetch>) => {
      await held;
      return real(...request);
    });
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    const first = client.getRun(RUN_ID);
    const second = client.getRun(RUN_ID);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const later = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 3_541_000);
    release();
    await Promise.all([first, second]);
    later.mockRestore();
    expect(seen()).toEqual(["Bearer token-1", "Bearer token-1", "Bearer token-2"]);
  });
});

function answer(_request: IncomingMessage, response: ServerResponse): void {
  response.end(FOUND);
}

describe("TLS", () => {
  const pems = generate([{ name: "commonName", value: "localhost" }], {
    keySize: 2048,
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });

  async function secureServer(options: object = {}) {
    const server = createTlsServer({ key: pems.private, cert: pems.cert, ...options }, answer);
    const uri = `https://127.0.0.1:${await listening(server)}`;
    const folder = await temporaryFolder();
    const authority = join(folder, "authority.pem");
    await writeFile(authority, pems.cert);
    const own = join(folder, "own.pem");
    await writeFile(own, `${pems.private}\n${pems.cert}`);
    const ask = (options: mlflow.ConnectionOptions = {}) =>
      new mlflow.MlflowClient({ trackingUri: uri, ...options }).getRun(RUN_ID);
    return { ask, authority, own };
  }

  it("trusts the authorities it is told, by option or environment, and no others", async () => {
    const { ask, authority } = await secureServer();
    const error = await failureOf(ask);
    expect(error.code).toBe("SERVER_UNREACHABLE");
    expect(error.message).toContain("MLFLOW_TRACKING_SERVER_CERT_PATH");
    expect((await ask({ serverCertPath: authority })).info.runId).toBe(RUN_ID);
    vi.stubEnv("MLFLOW_TRACKING_SERVER_CERT_PATH", authority);
    expect((await ask()).info.runId).toBe(RUN_ID);
  });

  it("trusts anybody when it is told so", async () => {
    const { ask } = await secureServer();
    expect((await ask({ insecureTls: true })).info.runId).toBe(RUN_ID);
    vi.stubEnv("MLFLOW_TRACKING_INSECURE_TLS", "true");
    expect((await ask()).info.runId).toBe(RUN_ID);
  });

  it("shows the client's certificate to a server that asks for one", async () => {
    const { ask, authority, own } = await secureServer({
      requestCert: true,
      rejectUnauthorized: true,
      ca: pems.cert,
    });
    const without = await failureOf(() => ask({ serverCertPath: authority }));
    expect(without.code).toBe("SERVER_UNREACHABLE");
    const both = { serverCertPath: authority, clientCertPath: own };
    expect((await ask(both)).info.runId).toBe(RUN_ID);
  });

  it("with a file that is not there says which", async () => {
    const { ask } = await secureServer();
    const error = await failureOf(() => ask({ serverCertPath: "/nowhere/ca.pem" }));
    expect(error.code).toBe("INVALID_STATE");
    expect(error.message).toContain("/nowhere/ca.pem");
  });

  it("without the package that it needs says how to get it", async () => {
    vi.doMock("undici", () => {
      throw new Error("Cannot find package 'undici'");
    });
    const { ask, authority } = await secureServer();
    const error = await failureOf(() => ask({ serverCertPath: authority }));
    expect(error.message).toContain("npm install undici");
  });
});

describe("a proxy of the environment", () => {
  /** A proxy that tunnels, and what it was asked for. */
  async function aProxy() {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(502).end();
    });
    proxy.on("connect", (request: IncomingMessage, client) => {
      asked.push(`CONNECT ${request.url}`);
      const [host, port] = (request.url ?? "").split(":");
      const upstream = connect(Number(port), host, () => {
        client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        upstream.pipe(client).pipe(upstream);
      });
      upstream.on("error", () => client.destroy());
      client.on("error", () => upstream.destroy());
    });
    return { uri: `http://127.0.0.1:${await listening(proxy)}`, asked };
  }

  it("is gone through, unless the server is excepted", async () => {
    const { uri, asked } = await aProxy();
    const server = await faultyServer(() => ({ status: 200, body: FOUND }));
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    vi.stubEnv("HTTP_PROXY", uri);
    await client.getRun(RUN_ID);
    expect(asked).toEqual([`CONNECT ${server.uri.replace("http://", "")}`]);
    vi.stubEnv("NO_PROXY", "127.0.0.1");
    await client.getRun(RUN_ID);
    expect(asked).toHaveLength(1);
    expect(server.requests).toHaveLength(2);
  });

  it("carries a file as it is read", async () => {
    const { uri, asked } = await aProxy();
    const bodies: number[] = [];
    const upload = createServer(async (request, response) => {
      let size = 0;
      for await (const chunk of request) size += chunk.length;
      if (request.method === "PUT") bodies.push(size, Number(request.headers["content-length"]));
      response.end(FOUND.replace('"7"', '"7","artifact_uri":"mlflow-artifacts:/7/abc/artifacts"'));
    });
    const trackingUri = `http://127.0.0.1:${await listening(upload)}`;
    vi.stubEnv("HTTP_PROXY", uri);
    const file = join(home, "weights.bin");
    await writeFile(file, new Uint8Array(300_000));
    await new mlflow.MlflowClient({ trackingUri }).logArtifact(RUN_ID, file);
    expect(bodies).toEqual([300_000, 300_000]);
    expect(asked.length).toBeGreaterThan(0);
  });

  it("that is no address is named", async () => {
    vi.stubEnv("HTTP_PROXY", "socks5://ada:s3cret@127.0.0.1:1");
    const client = new mlflow.MlflowClient({ trackingUri: "http://127.0.0.1:5000" });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect(error.message).toContain("HTTP_PROXY");
    expect(inspect(error, { depth: 9 })).not.toContain("s3cret");
  });

  it("without the package that it needs says how to get it, or how to do without", async () => {
    vi.doMock("undici", () => {
      throw new Error("Cannot find package 'undici'");
    });
    vi.stubEnv("HTTP_PROXY", "http://127.0.0.1:1");
    const server = await faultyServer(() => ({ status: 200, body: FOUND }));
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const error = await failureOf(() => client.getRun(RUN_ID));
    expect(error.message).toMatch(/npm install undici.*NO_PROXY/);
    expect(server.requests).toEqual([]);
  });
});
