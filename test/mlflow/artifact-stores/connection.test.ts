// How the artifacts of a server are reached: as the client reaches the server itself.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { generate } from "selfsigned";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import { type FaultyServer, faultyServer, type Reaction } from "../faulty-server.js";

const RUN_ID = "abc";
const ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts";
const FILES = '{"files":[{"path":"a.txt","is_dir":false,"file_size":3}]}';
const IDENTITY = {
  token: "s3cret",
  headers: { "x-own": "mine" },
  workspace: "team",
} as const;

beforeEach(() => {
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0");
  return () => vi.unstubAllEnvs();
});

/** What a server answers that has one run, whose artifacts are one file. */
function answerTo(path: string, artifactUri: string): { status: number; body: string } {
  if (path.endsWith("/runs/get")) {
    const info = `{"run_id":"abc","experiment_id":"7","artifact_uri":"${artifactUri}"}`;
    return { status: 200, body: `{"run":{"info":${info},"data":{}}}` };
  }
  if (path.endsWith("/a.txt")) return { status: 200, body: "abc" };
  return { status: 200, body: path === ARTIFACTS ? FILES : "{}" };
}

const aServer = (artifactUri = "mlflow-artifacts:/7/abc") =>
  faultyServer(({ path }) => answerTo(path, artifactUri));

async function fileOf(client: mlflow.MlflowClient): Promise<string> {
  const folder = await temporaryFolder();
  return readFile(await client.downloadArtifacts(RUN_ID, "a.txt", folder), "utf8");
}

/** Each header of these with the values that came for it. */
function headersOf({ requests }: FaultyServer): Record<string, unknown[]> {
  const names = ["authorization", "x-own", "x-mlflow-workspace"];
  const values = (name: string) => [...new Set(requests.map(({ headers }) => headers[name]))];
  return Object.fromEntries(names.map((name) => [name, values(name)]));
}

const SHOWN = {
  authorization: ["Bearer s3cret"],
  "x-own": ["mine"],
  "x-mlflow-workspace": ["team"],
};

describe("artifacts", () => {
  it("are listed, read and written as whoever the client says it is", async () => {
    const server = await aServer();
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, ...IDENTITY });
    expect(await fileOf(client)).toBe("abc");
    await client.logText(RUN_ID, "x", "b.txt");
    expect(server.requests.map(({ method }) => method)).toContain("PUT");
    expect(headersOf(server)).toEqual(SHOWN);
  });

  const roots: [string, (uri: string) => string][] = [
    ["mlflow-artifacts:", (uri) => `${uri.replace("http:", "mlflow-artifacts:")}/7/abc`],
    ["http:", (uri) => `${uri}${ARTIFACTS}/7/abc`],
  ];
  it.each(roots)("at another port of the server are so, too: %s", async (_scheme, rootOf) => {
    const other = await aServer();
    const server = await aServer(rootOf(other.uri));
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, ...IDENTITY });
    expect(await fileOf(client)).toBe("abc");
    await client.logText(RUN_ID, "x", "b.txt");
    expect(other.requests.map(({ method }) => method)).toContain("PUT");
    expect(headersOf(other)).toEqual(SHOWN);
  });

  it("on a host of another name are not told the server's secrets", async () => {
    const other = await aServer();
    const root = `${other.uri.replace("127.0.0.1", "ada:own@localhost")}${ARTIFACTS}/7/abc`;
    const server = await aServer(root);
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, ...IDENTITY });
    expect(await fileOf(client)).toBe("abc");
    expect(headersOf(other)).toEqual({
      authorization: [`Basic ${btoa("ada:own")}`],
      "x-own": [undefined],
      "x-mlflow-workspace": ["team"],
    });
  });

  it("are asked for as often as the client's patience allows", async () => {
    const { uri, requests } = await faultyServer(({ path }): Reaction => {
      if (path.endsWith("/a.txt")) return { status: 503 };
      return answerTo(path, "mlflow-artifacts:/7/abc");
    });
    const client = new mlflow.MlflowClient({ trackingUri: uri, maxRetries: 1 });
    await expect(fileOf(client)).rejects.toBeInstanceOf(mlflow.MlflowError);
    expect(requests.filter(({ path }) => path.endsWith("/a.txt"))).toHaveLength(2);
  });

  it("go in parts for whoever may, also after somebody who may not", async () => {
    vi.stubEnv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "1");
    const server = await faultyServer(({ path, headers }): Reaction => {
      const isTold = headers.authorization === "Bearer s3cret";
      if (path.endsWith("/runs/get")) return answerTo(path, "mlflow-artifacts:/7/abc");
      if (!isTold) return { status: 401 };
      if (path.endsWith("/server-info")) {
        return { status: 200, body: '{"multipart_uploads_enabled":true}' };
      }
      return { status: 403 };
    });
    const wrote = (options: mlflow.ConnectionOptions) => {
      const client = new mlflow.MlflowClient({ trackingUri: server.uri, ...options });
      return expect(client.logText(RUN_ID, "x", "b.txt")).rejects.toBeInstanceOf(
        mlflow.MlflowError,
      );
    };
    await wrote({ token: "wrong" });
    expect(server.requests.at(-1)?.method).toBe("PUT");
    await wrote({ token: "s3cret" });
    expect(server.requests.at(-1)?.path).toContain("/mpu/create/");
  });

  it("go in parts once a server that stumbled says what it can", async () => {
    vi.stubEnv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "1");
    let asked = 0;
    const server = await faultyServer(({ path, method }): Reaction => {
      if (path.endsWith("/runs/get")) return answerTo(path, "mlflow-artifacts:/7/abc");
      if (path.endsWith("/server-info")) {
        asked++;
        if (asked === 1) return { status: 500 };
        return { status: 200, body: '{"multipart_uploads_enabled":true}' };
      }
      return method === "PUT" ? { status: 200, body: "{}" } : { status: 403 };
    });
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, maxRetries: 0 });
    await client.logText(RUN_ID, "x", "b.txt");
    expect(server.requests.at(-1)?.method).toBe("PUT");
    await expect(client.logText(RUN_ID, "x", "b.txt")).rejects.toBeInstanceOf(mlflow.MlflowError);
    expect(server.requests.at(-1)?.path).toContain("/mpu/create/");
  });

  it("of another host are not shown who reaches this one", async () => {
    const other = await aServer();
    const { host } = new URL(other.uri);
    // Another name, though the same machine.
    const elsewhere = host.replace("127.0.0.1", "localhost");
    const server = await aServer(`mlflow-artifacts://${elsewhere}/7/abc`);
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, ...IDENTITY });
    expect(await fileOf(client)).toBe("abc");
    expect(headersOf(server).authorization).toEqual(SHOWN.authorization);
    expect(other.requests.length).toBeGreaterThan(0);
    expect(headersOf(other).authorization).toEqual([undefined]);
  });

  it("come over TLS with the client's own settings", async () => {
    const pems = generate([{ name: "commonName", value: "localhost" }], { keySize: 2048 });
    const server = createTlsServer({ key: pems.private, cert: pems.cert }, (request, response) => {
      const path = (request.url ?? "").split("?")[0] ?? "";
      response.end(answerTo(path, "mlflow-artifacts:/7/abc").body);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const trackingUri = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new mlflow.MlflowClient({ trackingUri, insecureTls: true });
    expect(await fileOf(client)).toBe("abc");
  });

  it("come through the environment's proxy, and so do addresses that the server signs", async () => {
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on("connect", (request: IncomingMessage, client) => {
      asked.push(request.url ?? "");
      const [host, port] = (request.url ?? "").split(":");
      const upstream = connect(Number(port), host, () => {
        client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        upstream.pipe(client).pipe(upstream);
      });
      upstream.on("error", () => client.destroy());
      client.on("error", () => upstream.destroy());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    onTestFinished(() => void proxy.close());
    const cloud = await aServer();
    const server = await faultyServer(({ path }) =>
      path.includes("/presigned/")
        ? { status: 200, body: `{"url":"${cloud.uri}/signed/a.txt"}` }
        : answerTo(path, "mlflow-artifacts:/7/abc"),
    );
    vi.stubEnv("HTTP_PROXY", `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    const client = new mlflow.MlflowClient({ trackingUri: server.uri, ...IDENTITY });
    expect(await fileOf(client)).toBe("abc");
    expect(new Set(asked)).toEqual(new Set([new URL(server.uri).host]));
    vi.stubEnv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "true");
    expect(await fileOf(client)).toBe("abc");
    expect(asked).toContain(new URL(cloud.uri).host);
    expect(cloud.requests.map(({ path }) => path)).toEqual(["/signed/a.txt"]);
    expect(headersOf(cloud).authorization).toEqual([undefined]);
  });
});
