// HTTPS on both sides of the gateway: before it with its own certificate, behind it with one that has to be believed.
import { execFile } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { createServer as createHttpsServer, request as send } from "node:https";
import { type AddressInfo, connect as connectPlain, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { connect, createServer as createTlsServer, type PeerCertificate } from "node:tls";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { generate } from "selfsigned";
import { beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { createGateway, type GatewayOptions } from "../../src/gateway/index.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { useCommandLine } from "../cli/command-line.js";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { answerDigest, digestOf } from "./digests.js";
import { useGatewayProcess } from "./gateway-process.js";
import { logMetric, rawServer } from "./raw.js";

const execute = promisify(execFile);
const running = useGatewayProcess(useCommandLine());

interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate that signs itself, in files of the test's own. */
async function certificate(folder: string, name: string): Promise<Certificate> {
  const options = {
    keyPair: generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    }),
    algorithm: "sha256",
    days: 2,
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] },
    ],
  };
  const pem = generate([{ name: "commonName", value: name }], options);
  const [certFile, keyFile] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  await writeFile(certFile, pem.cert);
  await writeFile(keyFile, pem.private);
  return { cert: pem.cert, key: pem.private, certFile, keyFile };
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** HTTPS in front of a server that has none, byte by byte. */
async function terminating({ cert, key }: Certificate, behind: string): Promise<string> {
  const { hostname, port } = new URL(behind);
  const server = createTlsServer({ cert, key }, (socket) => {
    const onward = connectPlain(Number(port), hostname);
    for (const each of [socket, onward]) {
      each.on("error", () => undefined);
      each.on("close", () => {
        socket.destroy();
        onward.destroy();
      });
    }
    socket.pipe(onward).pipe(socket);
  });
  return `https://127.0.0.1:${await portOf(server)}`;
}

let front: Certificate;
let back: Certificate;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "genops-certificates-"));
  front = await certificate(folder, "front");
  back = await certificate(folder, "back");
  return () => rm(folder, { recursive: true, force: true });
});

/** The certificate that a server shows. */
async function shown(url: string): Promise<PeerCertificate> {
  const socket = connect({ port: Number(new URL(url).port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const peer = socket.getPeerCertificate();
  socket.destroy();
  return peer;
}

it("passes the bytes of a large file on as they were, in HTTPS on both sides", async () => {
  const server = createHttpsServer({ cert: back.cert, key: back.key }, (request, response) => {
    void answerDigest(request, response);
  });
  const settings = {
    GENOPS_GATEWAY_UPSTREAM: `https://127.0.0.1:${await portOf(server)}`,
    GENOPS_GATEWAY_TLS: JSON.stringify({ certFile: front.certFile, keyFile: front.keyFile }),
    NODE_EXTRA_CA_CERTS: back.certFile,
    GENOPS_JOURNAL: "off",
  };
  const gateway = await running([], settings, await temporaryFolder());
  const file = randomBytes(16 * 2 ** 20);
  const outgoing = send(
    `${gateway.uri}/api/2.0/mlflow-artifacts/artifacts/0/abc/artifacts/large.bin`,
    { method: "PUT", ca: front.cert, headers: { "content-length": file.length } },
  );
  outgoing.end(file);
  const [reply] = (await once(outgoing, "response")) as [IncomingMessage];
  expect((await buffer(reply)).toString()).toBe(digestOf(file));
});

describe.skipIf(!requiresMlflow())("HTTPS on both sides", () => {
  it("takes the Python client through, which believes the gateway's certificate alone", async () => {
    const folder = await temporaryFolder();
    const upstream = await terminating(back, inject("mlflowServerUri") as string);
    const settings = {
      GENOPS_GATEWAY_UPSTREAM: upstream,
      GENOPS_GATEWAY_TLS: JSON.stringify({ certFile: front.certFile, keyFile: front.keyFile }),
      NODE_EXTRA_CA_CERTS: back.certFile,
      GENOPS_JOURNAL: "off",
    };
    const gateway = await running([], settings, folder);
    expect(gateway.uri).toMatch(/^https:/);
    const script = fileURLToPath(new URL("python/workflow.py", import.meta.url));
    const uri = `${gateway.uri}/g/team=ml-team`;
    const { stdout } = await execute(
      inject("pythonPath") as string,
      [script, uri, uniqueName("tls")],
      {
        env: {
          ...neutralEnvironment(),
          PYTHONDONTWRITEBYTECODE: "1",
          MLFLOW_TRACKING_SERVER_CERT_PATH: front.certFile,
        },
        cwd: folder,
      },
    );
    const read = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
    expect(read).toMatchObject({ status: "FINISHED", text: "hello", version: "1" });
    expect(read.tags).toMatchObject({ "genops.team": "ml-team" });
  });
});

describe("a server behind that cannot be believed", () => {
  it.each<[string, Partial<GatewayOptions>]>([
    ["a gateway that knows nobody", {}],
    ["one that asks it who users are", { users: { ada: {} } }],
    ["one that asks it whose runs are", { tokens: { t: {} } }],
  ])("is told as such by %s, with what to do, and nothing is booked", async (_name, options) => {
    const seen: string[] = [];
    const server = createHttpsServer({ cert: back.cert, key: back.key }, (request, response) => {
      seen.push(request.url ?? "");
      response.end("{}");
    });
    server.on("tlsClientError", () => undefined);
    const upstream = `https://127.0.0.1:${await portOf(server)}`;
    await using gateway = await createGateway({ upstream, port: 0, journal: false, ...options });
    const secret = options.tokens === undefined ? "Basic YWRhOnBhc3N3b3Jk" : "Bearer t";
    for (const path of ["log-metric", "create"]) {
      const reply = await fetch(`${gateway.url}/api/2.0/mlflow/runs/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: secret },
        body: JSON.stringify({ run_id: "abc", experiment_id: "7", key: "m", value: 1 }),
      });
      expect(reply.status).toBe(502);
      const told = (await reply.json()) as Record<string, string>;
      expect(told.error_code).toBe("TEMPORARILY_UNAVAILABLE");
      expect(told.message).toMatch(/self-signed certificate/);
      expect(told.message).toContain("NODE_EXTRA_CA_CERTS");
    }
    expect(seen).toEqual([]);
    const { engine } = gateway.governor;
    expect(engine.total()).toBe(0n);
    expect(engine.summary().reservations.open).toBe(0);
  });

  it("as it speaks no HTTPS at all, is no answer", async () => {
    const server = createHttpServer((_request, response) => response.end("{}"));
    const upstream = `https://127.0.0.1:${await portOf(server)}`;
    await using gateway = await createGateway({ upstream, port: 0, journal: false });
    const reply = await fetch(`${gateway.url}/api/2.0/mlflow/experiments/search?max_results=1`);
    expect(reply.status).toBe(502);
    expect(await reply.text()).toContain("TEMPORARILY_UNAVAILABLE");
  });
});

describe("a gateway that speaks HTTPS", () => {
  it("survives who does not, and says so to the server behind", async () => {
    const { certFile, keyFile } = front;
    const server = await rawServer((_request, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    });
    const options = { upstream: server.uri, port: 0, journal: false, tls: { certFile, keyFile } };
    await using gateway = await createGateway(options as GatewayOptions);
    const { port } = new URL(gateway.url);
    const plain = connectPlain(Number(port), "127.0.0.1");
    plain.on("error", () => undefined);
    plain.write(logMetric("abc"));
    await once(plain, "close");
    const socket = connect({ port: Number(port), rejectUnauthorized: false });
    await once(socket, "secureConnect");
    socket.write("GET /api/2.0/mlflow/experiments/search HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    const [data] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    expect(data.toString()).toMatch(/^HTTP\/1\.1 200/);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.head).toMatch(/^x-forwarded-proto: https$/im);
    expect(gateway.governor.containedFailures).toBe(0);
  });

  it("shows another certificate after it was told to read its configuration anew", async () => {
    const options = ({ certFile, keyFile }: Certificate): GatewayOptions => ({
      upstream: "http://127.0.0.1:9",
      port: 0,
      journal: false,
      tls: { certFile, keyFile },
    });
    await using gateway = await createGateway(options(front));
    const before = await shown(gateway.url);
    await gateway.reload(options(back));
    const after = await shown(gateway.url);
    expect(after.fingerprint256).not.toBe(before.fingerprint256);
    // One that does not fit its key changes nothing.
    const mixed = { ...back, keyFile: front.keyFile };
    await expect(gateway.reload(options(mixed))).rejects.toMatchObject({ code: "INVALID_OPTION" });
    expect((await shown(gateway.url)).fingerprint256).toBe(after.fingerprint256);
  });
});
