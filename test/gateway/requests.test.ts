// Requests of every kind that HTTP has, and connections that end while they rest: read as MLflow reads them, or refused.
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
import { answer, exchange, logMetric, type RawServer, rawServer, type Script } from "./raw.js";

const RUN = { run: { info: { run_id: "abc", experiment_id: "7" }, data: {} } };
const METRIC = { run_id: "abc", key: "m", value: 1, timestamp: 1 };
const LOG_METRIC = "/api/2.0/mlflow/runs/log-metric";
const ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/7/abc/artifacts/a.bin";

const ok: Script = ({ head }, socket) => {
  socket.write(answer(200, head.startsWith("GET /api/2.0/mlflow/runs/get?") ? RUN : {}));
};

async function between(
  script: Script,
  options: Partial<GatewayOptions> = {},
): Promise<{ readonly gateway: Gateway; readonly server: RawServer }> {
  const server = await rawServer(script);
  const gateway = await createGateway({
    upstream: server.uri,
    port: 0,
    journal: false,
    defaults: { team: "t" },
    ...options,
  });
  return { gateway, server };
}

const json = { "content-type": "application/json" };
const methodsOf = ({ requests }: RawServer) => requests.map(({ head }) => head.split(" ")[0]);
const whole = (text: string) => text.includes("\r\n\r\n") && text.trimEnd().endsWith("}");

async function settled({ governor }: Gateway, cost: bigint): Promise<void> {
  await vi.waitFor(() => {
    expect(governor.engine.summary().reservations.open).toBe(0);
    expect(governor.engine.total()).toBe(cost);
  });
}

describe("a body that is compressed", () => {
  it("is refused where MLflow would read it as something else, and the server sees nothing", async () => {
    const { gateway, server } = await between(ok);
    await using _ = gateway;
    for (const encoding of ["gzip", "GZIP", "deflate", "br", "gzip, identity", "x-gzip"]) {
      const reply = await fetch(`${gateway.url}${LOG_METRIC}`, {
        method: "POST",
        headers: { ...json, "content-encoding": encoding },
        body: gzipSync(JSON.stringify(METRIC)),
      });
      expect(reply.status).toBe(400);
      const { error_code: code, message } = (await reply.json()) as Record<string, string>;
      expect(code).toBe("INVALID_PARAMETER_VALUE");
      expect(message).toContain("content-encoding");
    }
    expect(server.requests).toEqual([]);
    await settled(gateway, 0n);
  });

  it("is a file as it is, of as many bytes as were sent", async () => {
    const { gateway, server } = await between(ok, {
      storageBackends: { "mlflow-artifacts:": "s3" },
    });
    await using _ = gateway;
    const body = gzipSync(Buffer.alloc(100_000, "x"));
    const headers = { "content-encoding": "gzip" };
    const reply = await fetch(`${gateway.url}${ARTIFACT}`, { method: "PUT", headers, body });
    expect(reply.status).toBe(200);
    const sent = server.requests.at(-1);
    expect(sent?.head).toMatch(/content-encoding: gzip/i);
    expect(sent?.body.equals(body)).toBe(true);
    const { meters } = gateway.governor.engine.summary();
    expect(meters["storage.s3"]?.quantity).toBe(BigInt(body.length));
  });
});

describe("requests without an answer's body", () => {
  /** Answers as a server does: with the length that a GET would have. */
  const bodiless: Script = ({ head }, socket) => {
    socket.write(
      head.startsWith("HEAD ")
        ? "HTTP/1.1 200 OK\r\nContent-Length: 123456\r\nX-Own: yes\r\n\r\n"
        : "HTTP/1.1 204 No Content\r\nAllow: GET, PUT\r\n\r\n",
    );
  };

  it.each(["HEAD", "OPTIONS"])("%s go there and back, and cost nothing", async (method) => {
    const { gateway, server } = await between(bodiless);
    await using _ = gateway;
    for (const path of [ARTIFACT, LOG_METRIC, "/", "/elsewhere"]) {
      // The same connection takes the next one: nobody waits for a body.
      const reply = await fetch(`${gateway.url}${path}`, { method });
      expect(reply.status).toBe(method === "HEAD" ? 200 : 204);
      expect(await reply.text()).toBe("");
      if (method === "HEAD") {
        expect(reply.headers.get("content-length")).toBe("123456");
        expect(reply.headers.get("x-own")).toBe("yes");
      } else expect(reply.headers.get("allow")).toBe("GET, PUT");
    }
    expect(methodsOf(server)).toEqual([method, method, method, method]);
    expect(gateway.governor.containedFailures).toBe(0);
    await settled(gateway, 0n);
  });

  it("ask for credentials like all others", async () => {
    const { gateway, server } = await between(bodiless, { tokens: { t: { team: "t" } } });
    await using _ = gateway;
    for (const method of ["HEAD", "OPTIONS"]) {
      expect((await fetch(`${gateway.url}${LOG_METRIC}`, { method })).status).toBe(401);
    }
    expect(server.requests).toEqual([]);
  });

  it("with a body of their own pass it on, and no write hides behind them", async () => {
    const { gateway, server } = await between((_request, socket) => socket.write(answer(200)));
    await using _ = gateway;
    const { port } = new URL(gateway.url);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const text = JSON.stringify(METRIC);
      const override = { "X-HTTP-Method-Override": "POST" };
      const headers = { ...json, ...override, "Content-Length": text.length };
      const options = { port, method: "OPTIONS", path: LOG_METRIC, headers };
      const sent = request(options, (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      });
      sent.once("error", reject);
      sent.end(text);
    });
    expect(status).toBe(200);
    expect(server.requests.at(-1)?.body.toString()).toBe(JSON.stringify(METRIC));
    expect(methodsOf(server)).toEqual(["OPTIONS"]);
    await settled(gateway, 0n);
  });
});

describe("a connection that the server resets while it rests", () => {
  /** Answers the first request of each connection, and resets it at the second, as if it had ended before. */
  function forgetful(): { readonly script: Script; readonly lost: string[] } {
    const used = new WeakSet<object>();
    const lost: string[] = [];
    const script: Script = (request, socket) => {
      if (used.has(socket)) {
        lost.push(request.head.split(" ")[0] ?? "");
        socket.resetAndDestroy();
        return;
      }
      used.add(socket);
      ok(request, socket);
    };
    return { script, lost };
  }

  it("costs nobody who only reads an answer", async () => {
    const { script, lost } = forgetful();
    const { gateway } = await between(script);
    await using _ = gateway;
    const read = () => fetch(`${gateway.url}/api/2.0/mlflow/runs/get?run_id=abc`);
    for (let call = 0; call < 4; call++) {
      const reply = await read();
      expect(reply.status).toBe(200);
      expect(await reply.json()).toEqual(RUN);
      await delay(10);
    }
    expect(lost.length).toBeGreaterThan(0);
    const { operations } = gateway.governor.engine.summary();
    expect(operations.get_run).toMatchObject({ count: 4, errors: 0 });
    await settled(gateway, 0n);
  });

  it("has no write sent twice: nobody knows whether it was done", async () => {
    const { script, lost } = forgetful();
    const { gateway, server } = await between(script);
    await using _ = gateway;
    const answers: string[] = [];
    // Until one meets a connection that a look-up or a call before it has used.
    while (lost.length === 0 && answers.length < 9) {
      answers.push(await exchange(gateway.url, logMetric("abc"), whole));
    }
    expect(lost).toEqual(["POST"]);
    const last = answers.at(-1) ?? "";
    expect(last).toContain("HTTP/1.1 502");
    expect(last).toContain("TEMPORARILY_UNAVAILABLE");
    const posts = methodsOf(server).filter((method) => method === "POST");
    expect(posts).toHaveLength(answers.length);
    const { operations, reservations } = gateway.governor.engine.summary();
    expect(operations.log_metric).toMatchObject({ count: answers.length - 1 });
    expect(reservations.open).toBe(0);
  });

  it("is asked once more only: a server that always resets is away", async () => {
    let asked = 0;
    const { gateway } = await between((_request, socket) => {
      asked++;
      socket.resetAndDestroy();
    });
    await using _ = gateway;
    const reply = await fetch(`${gateway.url}/api/2.0/mlflow/runs/get?run_id=abc`);
    expect(reply.status).toBe(502);
    expect(asked).toBe(2);
    await settled(gateway, 0n);
  });
});
