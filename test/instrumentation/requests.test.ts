// Requests of any client, through fetch and node:http: governed once, refused as MLflow would, and nothing left behind.
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { generate } from "selfsigned";
import { request as undiciRequest } from "undici";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { type AdapterOptions, GenOpsMlflowAdapter } from "../../src/node.js";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}

const RUN = "0123456789abcdef0123456789abcdef";
const MLFLOW = "/api/2.0/mlflow";
const FILE = `/api/2.0/mlflow-artifacts/artifacts/0/${RUN}/artifacts/a.bin`;

/** What answers in MLflow's place, and what it saw. */
let seen: Seen[];
let server: http.Server;
let uri: string;
let adapters: GenOpsMlflowAdapter[];

function answerTo(url: string): object {
  if (url.endsWith("/runs/create")) {
    return {
      run: { info: { run_id: RUN, experiment_id: "0", artifact_uri: "mlflow-artifacts:/0/r" } },
    };
  }
  if (url.includes("/mpu/create/")) return { upload_id: "u1", credentials: [] };
  if (url.includes("/presigned-upload-url")) return { presigned_url: `${uri}/bucket/a.bin?signed` };
  if (url.includes("/mlflow-artifacts/artifacts?")) {
    return { files: [{ path: "a.bin", is_dir: false, file_size: "5000" }] };
  }
  return {};
}

beforeEach(async () => {
  seen = [];
  adapters = [];
  server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "" } = request;
      seen.push({ method, url, body: Buffer.concat(chunks).toString() });
      response.statusCode = url.includes("missing") ? 404 : 200;
      response.end(JSON.stringify(answerTo(url)));
    });
    request.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  for (const adapter of adapters) {
    adapter.uninstrumentFramework();
    expect(adapter.containedFailures).toBe(0);
  }
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

function governed(options: AdapterOptions = {}): GenOpsMlflowAdapter {
  const adapter = new GenOpsMlflowAdapter({
    team: "ml-team",
    project: "search",
    trackingUri: uri,
    logger: { debug: () => {}, warn: () => {} },
    storageBackends: { "mlflow-artifacts:": "s3" },
    ...options,
  });
  adapters.push(adapter);
  adapter.instrumentFramework();
  return adapter;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly json: unknown;
}

type Way = (method: string, url: string, body?: string | Uint8Array) => Promise<Answer>;

const byFetch: Way = async (method, url, body) => {
  const init = { method, headers: { "content-type": "application/json" }, body: body as BodyInit };
  const response = await fetch(url, init);
  const headers = Object.fromEntries(response.headers);
  return { status: response.status, headers, json: await response.json() };
};

function send(method: string, url: string): http.ClientRequest {
  return http.request(url, { method, headers: { "content-type": "application/json" } });
}

async function answerOf(request: http.ClientRequest): Promise<Answer> {
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const { statusCode = 0, headers } = response;
  return { status: statusCode, headers, json: JSON.parse(Buffer.concat(chunks).toString()) };
}

const byHttp: Way = (method, url, body) => {
  const request = send(method, url);
  const answer = answerOf(request);
  request.end(body);
  return answer;
};

/** What a client has that was loaded before anybody governed. */
const captured = globalThis.fetch;
const byCapturedFetch: Way = async (method, url, body) => {
  const init = { method, headers: { "content-type": "application/json" }, body: body as BodyInit };
  const response = await captured(url, init);
  const headers = Object.fromEntries(response.headers);
  return { status: response.status, headers, json: await response.json() };
};

const byUndici: Way = async (method, url, body) => {
  const headers = { "content-type": "application/json" };
  const options = { method: method as "POST", headers, ...(body !== undefined && { body }) };
  const { statusCode, headers: told, body: answer } = await undiciRequest(url, options);
  return { status: statusCode, headers: told, json: await answer.json() };
};

const WAYS: [string, Way][] = [
  ["fetch", byFetch],
  ["a fetch that was taken along before", byCapturedFetch],
  ["undici", byUndici],
  ["node:http", byHttp],
];

const create = '{"experiment_id":"0","tags":[{"key":"a","value":"b"}]}';

describe.each(WAYS)("through %s", (_, way) => {
  it("a run is told who pays for it, and everything else stays as it is", async () => {
    const adapter = governed();
    expect(await way("POST", `${uri}${MLFLOW}/runs/create`, create)).toMatchObject({ status: 200 });
    const body =
      '{"experiment_id":"0","tags":[{"key":"a","value":"b"},{"key":"genops.team","value":"ml-team"},{"key":"genops.project","value":"search"}]}';
    expect(seen).toEqual([{ method: "POST", url: `${MLFLOW}/runs/create`, body }]);
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0001, operationCount: 1, runCount: 1 });
  });

  it("a call over a budget is answered as MLflow would, and nothing is sent", async () => {
    const adapter = governed({
      budgets: [{ name: "tiny", limit: "0.00015", period: "day", action: "block" }],
    });
    const url = `${uri}${MLFLOW}/runs/create`;
    await way("POST", url, create);
    const refused = await way("POST", url, create);
    expect(refused).toMatchObject({
      status: 403,
      headers: { "content-type": "application/json" },
      json: { error_code: "PERMISSION_DENIED", message: expect.stringContaining("tiny") },
    });
    expect(seen).toHaveLength(1);
    expect(adapter.getMetrics()).toMatchObject({ operationCount: 1, runCount: 1 });
  });

  it("a call that comes too fast is asked to come again", async () => {
    governed({ rateLimits: [{ name: "slow", operations: 1, per: "minute", action: "block" }] });
    const url = `${uri}${MLFLOW}/runs/set-tag`;
    const body = JSON.stringify({ run_id: RUN, key: "k", value: "v" });
    await way("POST", url, body);
    expect(await way("POST", url, body)).toMatchObject({
      status: 429,
      headers: { "retry-after": expect.stringMatching(/^\d+$/) },
      json: { error_code: "REQUEST_LIMIT_EXCEEDED" },
    });
    expect(seen).toHaveLength(1);
  });

  it("a file that is too large is refused before its bytes are sent", async () => {
    const adapter = governed({ policies: { maxArtifactSizeMb: 1 } });
    const refused = await way("PUT", uri + FILE, new Uint8Array(2 * 2 ** 20));
    expect(refused).toMatchObject({ status: 403, json: { error_code: "PERMISSION_DENIED" } });
    expect(seen).toEqual([]);
    expect(await way("PUT", uri + FILE, new Uint8Array(1000))).toMatchObject({ status: 200 });
    expect(adapter.costAggregator.getSummary().totalStorageBytes).toBe(1000);
  });

  it("a body under two names is refused", async () => {
    governed();
    const body = JSON.stringify({ run_id: "mine", run_uuid: "yours", key: "k", value: "v" });
    expect(await way("POST", `${uri}${MLFLOW}/runs/set-tag`, body)).toMatchObject({
      status: 400,
      json: { error_code: "INVALID_PARAMETER_VALUE", message: expect.stringContaining("run_id") },
    });
    expect(seen).toEqual([]);
  });

  it("a failure costs nothing and is counted", async () => {
    const adapter = governed();
    await way("POST", `${uri}${MLFLOW}/experiments/missing/create`, "{}");
    const body = JSON.stringify({ run_id: RUN, key: "k", value: "v" });
    server.removeAllListeners("request");
    server.on("request", (request, response) => {
      request.resume();
      response.writeHead(500, { "content-type": "application/json" });
      response.end('{"error_code":"INTERNAL_ERROR","message":"no"}');
    });
    await way("POST", `${uri}${MLFLOW}/runs/set-tag`, body);
    expect(adapter.costAggregator.getSummary()).toMatchObject({
      totalCostExact: "0",
      errorCount: 2,
      operations: { set_tag: { count: 0, errorCount: 1 } },
    });
  });

  it("what goes elsewhere is nobody's affair", async () => {
    const adapter = governed({ trackingUri: `${uri}/mlflow` });
    await way("POST", `${uri}${MLFLOW}/runs/create`, create);
    await way("POST", `${uri}/mlflow${MLFLOW}/runs/create`, create);
    expect(seen[0]?.body).toBe(create);
    expect(adapter.getMetrics().runCount).toBe(1);
  });

  it("a file in parts is one operation, whose size the server tells", async () => {
    const adapter = governed();
    const place = `0/${RUN}/artifacts`;
    const parts = "/api/2.0/mlflow-artifacts/mpu";
    const message = (more: object) => JSON.stringify({ path: "a.bin", ...more });
    await way("POST", `${uri}${parts}/create/${place}`, message({ num_parts: 2 }));
    expect(adapter.operationCount).toBe(0);
    await way("POST", `${uri}${parts}/complete/${place}`, message({ upload_id: "u1", parts: [] }));
    await expect.poll(() => adapter.operationCount).toBe(1);
    expect(adapter.costAggregator.getSummary()).toMatchObject({
      totalStorageBytes: 5000,
      operations: { log_artifact: { count: 1 } },
    });
  });

  it("a file in parts that is given up costs nothing", async () => {
    const adapter = governed();
    const place = `0/${RUN}/artifacts`;
    const parts = "/api/2.0/mlflow-artifacts/mpu";
    const message = (more: object) => JSON.stringify({ path: "a.bin", ...more });
    await way("POST", `${uri}${parts}/create/${place}`, message({ num_parts: 2 }));
    await way("POST", `${uri}${parts}/abort/${place}`, message({ upload_id: "u1" }));
    await expect.poll(() => adapter.costAggregator.getSummary().errorCount).toBe(1);
    expect(adapter.operationCount).toBe(0);
  });

  it("a file that goes past the server is booked when it has arrived", async () => {
    const adapter = governed();
    const body = JSON.stringify({ run_id: RUN, path: "a.bin" });
    const signed = await way("POST", `${uri}${MLFLOW}/artifacts/presigned-upload-url`, body);
    expect(adapter.operationCount).toBe(0);
    const { presigned_url: url } = signed.json as { presigned_url: string };
    await byFetch("PUT", url, new Uint8Array(300));
    expect(adapter.costAggregator.getSummary()).toMatchObject({
      operationCount: 1,
      totalStorageBytes: 300,
    });
  });
});

describe("a file of unknown length", () => {
  const chunks = () => Array.from({ length: 8 }, () => new Uint8Array(2 ** 18));

  it("is counted as it goes by", async () => {
    const adapter = governed();
    const body = Readable.toWeb(Readable.from(chunks())) as ReadableStream<Uint8Array>;
    const init = { method: "PUT", body, duplex: "half" } as RequestInit;
    expect((await fetch(uri + FILE, init)).status).toBe(200);
    const request = send("PUT", uri + FILE);
    const answer = answerOf(request);
    for (const chunk of chunks()) request.write(chunk);
    request.end();
    expect(await answer).toMatchObject({ status: 200 });
    expect(adapter.costAggregator.getSummary()).toMatchObject({
      operationCount: 2,
      totalStorageBytes: 4 * 2 ** 20,
    });
  });

  it("is cut off where there is no room for more", async () => {
    const adapter = governed({ policies: { maxArtifactSizeMb: 1 } });
    const body = Readable.toWeb(Readable.from(chunks())) as ReadableStream<Uint8Array>;
    const init = { method: "PUT", body, duplex: "half" } as RequestInit;
    expect((await fetch(uri + FILE, init)).status).toBe(403);
    const request = send("PUT", uri + FILE);
    const outcome = answerOf(request).then(
      ({ status }) => status,
      (error) => error.code,
    );
    for (const chunk of chunks()) request.write(chunk);
    request.end();
    expect([403, "POLICY_VIOLATION"]).toContain(await outcome);
    expect(seen).toEqual([]);
    expect(adapter.operationCount).toBe(0);
  });
});

describe("our own client", () => {
  it("is counted once", async () => {
    const adapter = governed();
    const client = new mlflow.MlflowClient({ trackingUri: uri });
    await client.createRun("0");
    await client.logMetric(RUN, "m", 1);
    expect(adapter.getMetrics()).toMatchObject({ operationCount: 2, runCount: 1 });
    expect(seen).toHaveLength(2);
  });

  it("bills the run's own payer whichever client writes to it", async () => {
    const adapter = governed();
    await adapter.trackMlflowRun({ customerId: "acme" }, async ({ info }) => {
      const body = JSON.stringify({ run_id: info.runId, key: "k", value: "v" });
      await byFetch("POST", `${uri}${MLFLOW}/runs/set-tag`, body);
      await byHttp("POST", `${uri}${MLFLOW}/runs/set-tag`, body);
    });
    expect(adapter.costAggregator.getSummary().exact.costByCustomer).toMatchObject({
      acme: "0.0003",
    });
  });
});

describe("HTTPS", () => {
  const byHttps: Way = (method, url, body) => {
    const request = https.request(url, { method, headers: { "content-type": "application/json" } });
    const answer = answerOf(request);
    request.end(body);
    return answer;
  };
  let secure: https.Server;
  let secureUri: string;

  beforeEach(async () => {
    const attributes = [{ name: "commonName", value: "127.0.0.1" }];
    const { cert, private: key } = generate(attributes, { keySize: 2048, algorithm: "sha256" });
    secure = https.createServer({ cert, key }, (request, response) => {
      const { method = "", url = "" } = request;
      seen.push({ method, url, body: "" });
      request.resume();
      request.on("end", () => response.end(JSON.stringify(answerTo(url))));
    });
    secure.listen(0, "127.0.0.1");
    await once(secure, "listening");
    secureUri = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    secure.closeAllConnections();
    secure.close();
    await once(secure, "close");
  });

  it.each<[string, Way]>([
    ["fetch", byFetch],
    ["undici", byUndici],
    ["node:https", byHttps],
  ])("is governed as HTTP is, by %s", async (_name, way) => {
    const adapter = governed({
      trackingUri: secureUri,
      budgets: [{ name: "all", limit: "0.0002", period: "day", action: "block" }],
    });
    expect((await way("POST", `${secureUri}${MLFLOW}/runs/create`, create)).status).toBe(200);
    const body = JSON.stringify({ run_id: RUN, key: "m", value: 1, timestamp: 1 });
    const log = () => way("POST", `${secureUri}${MLFLOW}/runs/log-metric`, body);
    expect((await log()).status).toBe(200);
    const sent = seen.length;
    const refused = await log();
    expect(refused.status).toBe(403);
    expect(refused.json).toMatchObject({ error_code: "PERMISSION_DENIED" });
    expect(seen).toHaveLength(sent);
    expect(adapter.costAggregator.getSummary().exact.costByTeam).toEqual({ "ml-team": "0.0002" });
  });
});

describe("a program", () => {
  const functions = () => [globalThis.fetch, http.request, http.get, https.request, https.get];

  it("has its own functions while nobody governs, and again afterwards", () => {
    const before = functions();
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, "fetch");
    const first = governed();
    const second = governed();
    expect(functions().some((one, index) => one === before[index])).toBe(false);
    first.uninstrumentFramework();
    expect(functions().some((one, index) => one === before[index])).toBe(false);
    second.uninstrumentFramework();
    second.uninstrumentFramework();
    expect(functions()).toEqual(before);
    expect(functions().every((one, index) => one === before[index])).toBe(true);
    expect(Object.getOwnPropertyDescriptor(globalThis, "fetch")).toEqual(descriptor);
  });

  it("keeps what others patched above, and ours below it only passes through", async () => {
    const before = globalThis.fetch;
    const adapter = governed();
    const ours = globalThis.fetch;
    let calls = 0;
    const theirs: typeof fetch = (input, init) => {
      calls++;
      return ours(input, init);
    };
    globalThis.fetch = theirs;
    try {
      await byFetch("POST", `${uri}${MLFLOW}/runs/create`, create);
      expect(adapter.getMetrics().runCount).toBe(1);
      adapter.uninstrumentFramework();
      expect(globalThis.fetch).toBe(theirs);
      await byFetch("POST", `${uri}${MLFLOW}/runs/create`, create);
      expect(seen.at(-1)?.body).toBe(create);
      expect(calls).toBe(2);
      // Governing again counts once.
      adapter.instrumentFramework();
      await byFetch("POST", `${uri}${MLFLOW}/runs/create`, create);
      expect(adapter.getMetrics().runCount).toBe(2);
      adapter.uninstrumentFramework();
      expect(globalThis.fetch).toBe(theirs);
    } finally {
      globalThis.fetch = before;
    }
  });

  it("gets node:http's own errors and events", async () => {
    governed({ trackingUri: "http://127.0.0.1:1" });
    const refused = http.request("http://127.0.0.1:1/api/2.0/mlflow/runs/get?run_id=r");
    refused.end();
    const [error] = await once(refused, "error");
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
    expect(() => http.request("not a url")).toThrow(/Invalid URL/);
    expect(() => http.request({ path: "/a b" })).toThrow();
    const [answer] = await once(http.get(`${uri}/health`), "response");
    answer.resume();
    await once(answer, "end");
  });
});
