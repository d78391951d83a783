// Faults on either side of the gateway: no crash, no leak, nothing under a wrong name, and every total right at the end.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
import {
  answer,
  exchange,
  logMetric,
  post,
  type RawServer,
  rawServer,
  type Script,
} from "./raw.js";

const CALL = 10n ** 14n;
const RUN = { run: { info: { run_id: "abc", experiment_id: "7" }, data: {} } };

/** Answers who asks whose run it is, and leaves the rest to a script. */
const knowing =
  (script: Script): Script =>
  (request, socket) => {
    if (request.head.startsWith("GET /api/2.0/mlflow/runs/get?")) socket.write(answer(200, RUN));
    else script(request, socket);
  };

async function between(
  script: Script,
  options: Partial<GatewayOptions> = {},
): Promise<{ readonly gateway: Gateway; readonly server: RawServer }> {
  const server = await rawServer(knowing(script));
  const gateway = await createGateway({
    upstream: server.uri,
    port: 0,
    journal: false,
    limits: { headersTimeoutMs: 300, idleTimeoutMs: 2000, drainMs: 500 },
    defaults: { team: "t" },
    ...options,
  });
  return { gateway, server };
}

/** Everything is at rest, and so much was booked. */
async function settled({ governor }: Gateway, cost: bigint): Promise<void> {
  await vi.waitFor(() => {
    expect(governor.engine.summary().reservations.open).toBe(0);
    expect(governor.engine.total()).toBe(cost);
  });
}

const ok: Script = (_request, socket) => void socket.write(answer(200));
const status = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
const whole = (text: string) => text.includes("\r\n\r\n") && text.trimEnd().endsWith("}");

describe("a server that", () => {
  it.each<[string, Script, number, bigint]>([
    ["ends before its headers", (_r, socket) => void socket.destroy(), 502, 0n],
    ["answers garbage", (_r, socket) => void socket.end("nonsense\r\n\r\n"), 502, 0n],
    ["answers 500", (_r, socket) => void socket.write(answer(500)), 500, 0n],
    ["answers 201", (_r, socket) => void socket.write(answer(201)), 201, 0n],
    ["answers 302", (_r, socket) => void socket.write(answer(302)), 302, 0n],
    ["answers 404", (_r, socket) => void socket.write(answer(404)), 404, 0n],
    ["answers 200", ok, 200, CALL],
    [
      "ends in the middle of what it had to say, having done it",
      (_r, socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
      200,
      CALL,
    ],
    [
      "resets the connection in the middle of what it had to say",
      (_r, socket) => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{");
        setTimeout(() => socket.resetAndDestroy(), 30);
      },
      200,
      CALL,
    ],
    [
      "ends in the middle of a chunk",
      (_r, socket) =>
        void socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
      200,
      CALL,
    ],
  ])("%s", async (_name, script, expected, cost) => {
    const { gateway } = await between(script);
    await using _ = gateway;
    const text = await exchange(gateway.url, logMetric("abc"), whole);
    expect(status(text)).toBe(expected);
    await settled(gateway, cost);
    expect(status(await exchange(gateway.url, logMetric("abc"), whole))).toBe(expected);
  });

  it("is not there is told as an error of the server's", async () => {
    const { gateway } = await between(ok, { upstream: "http://127.0.0.1:9" });
    await using _ = gateway;
    const text = await exchange(gateway.url, logMetric("abc"), whole);
    expect(status(text)).toBe(502);
    expect(text).toContain("TEMPORARILY_UNAVAILABLE");
    await settled(gateway, 0n);
  });

  it("says nothing is given up after a while", async () => {
    const { gateway } = await between(() => undefined, { limits: { idleTimeoutMs: 300 } });
    await using _ = gateway;
    await exchange(gateway.url, logMetric("abc"), whole);
    await settled(gateway, 0n);
  });

  it("closes connections at rest does not lose calls", async () => {
    const { gateway } = await between((_r, socket) => {
      socket.write(answer(200));
      setTimeout(() => socket.destroy(), 20);
    });
    await using _ = gateway;
    for (let call = 1; call <= 5; call++) {
      expect(status(await exchange(gateway.url, logMetric("abc"), whole))).toBe(200);
      await delay(40);
    }
    await settled(gateway, 5n * CALL);
  });

  it("would close connections at rest finds them closed by the gateway before", async () => {
    const { gateway, server } = await between(ok);
    await using _ = gateway;
    const at = new URL(gateway.url);
    // A connection of the caller's own that stays, so that it is not its end that closes the other one.
    const caller = connect(Number(at.port), at.hostname);
    caller.write(logMetric("abc"));
    await once(caller, "data");
    expect(server.sockets.size).toBeGreaterThan(0);
    await vi.waitFor(() => expect(server.sockets.size).toBe(0), { timeout: 30_000, interval: 50 });
    caller.write(logMetric("abc"));
    expect(status(String(await once(caller, "data")))).toBe(200);
    caller.destroy();
    await settled(gateway, 2n * CALL);
  });
});

describe("a caller who", () => {
  it("goes away in the middle of an upload leaves nothing booked", async () => {
    const { gateway, server } = await between(ok);
    await using _ = gateway;
    const head =
      "PUT /api/2.0/mlflow-artifacts/artifacts/7/abc/artifacts/a HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    const { port } = new URL(gateway.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(`${head}Content-Length: 100000\r\n\r\n${"x".repeat(5000)}`);
    await delay(100);
    socket.destroy();
    await settled(gateway, 0n);
    expect(server.requests.every(({ head: sent }) => sent.startsWith("GET"))).toBe(true);
    expect(gateway.governor.containedFailures).toBe(0);
  });

  it("goes away before the answer has done what the server did", async () => {
    const { gateway } = await between((_r, socket) => {
      setTimeout(() => socket.write(answer(200)), 200);
    });
    await using _ = gateway;
    const { port } = new URL(gateway.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(logMetric("abc"));
    await delay(100);
    socket.destroy();
    await settled(gateway, CALL);
  });

  it("sends headers too slowly is sent away, and others go on", async () => {
    const { gateway } = await between(ok);
    await using _ = gateway;
    const slow = exchange(gateway.url, "POST /api/2.0/mlflow/runs/log-metric HTTP/1.1\r\nHos");
    expect(status(await exchange(gateway.url, logMetric("abc"), whole))).toBe(200);
    expect(status(await slow)).toBe(408);
    await settled(gateway, CALL);
  });

  it("sends several calls at once gets the answers in their order", async () => {
    const { gateway } = await between(ok);
    await using _ = gateway;
    const both = logMetric("abc") + logMetric("abc", "Connection: close\r\n");
    const text = await exchange(gateway.url, both);
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    await settled(gateway, 2n * CALL);
  });

  it.each<[string, string, number]>([
    ["two lengths", logMetric("abc", "Content-Length: 3\r\n"), 400],
    ["a length and chunks", logMetric("abc", "Transfer-Encoding: chunked\r\n"), 400],
    ["a header of a megabyte", logMetric("abc", `X-Long: ${"x".repeat(2 ** 20)}\r\n`), 431],
    ["a folded header", logMetric("abc", "X-A: b\r\n c\r\n"), 400],
    ["no HTTP", "\u0000\u0001nonsense\r\n\r\n", 400],
    ["a whole URL", logMetric("abc").replace(" /api", " http://elsewhere/api"), 400],
    ["half a JSON", post("runs/log-metric", '{"run_id":"abc"'), 400],
    ["no UTF-8", post("runs/log-metric", "xx{}").replace("xx", "\u00ff\u00fe"), 400],
    [
      "two runs",
      post("runs/log-metric", '{"run_id":"abc","run_id":"other","key":"m","value":1}'),
      400,
    ],
    ["two names of a run", post("runs/log-metric", '{"run_id":"abc","runUuid":"other"}'), 400],
    ["dot segments", logMetric("abc").replace("/runs/", "/runs/../runs/"), 400],
    [
      "a websocket",
      "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      501,
    ],
    ["a tunnel", "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n", 501],
  ])("sends %s is refused, and the server sees nothing", async (_name, bytes, expected) => {
    const { gateway, server } = await between(ok);
    await using _ = gateway;
    const text = await exchange(gateway.url, Buffer.from(bytes, "latin1"), whole);
    expect(status(text)).toBe(expected);
    expect(server.requests).toEqual([]);
    expect(gateway.governor.containedFailures).toBe(0);
    expect(status(await exchange(gateway.url, logMetric("abc"), whole))).toBe(200);
    await settled(gateway, CALL);
  });

  it("waits for 100 Continue gets it once, or the refusal instead", async () => {
    const { gateway, server } = await between(ok, { policies: { maxArtifactSizeMb: 1 } });
    await using _ = gateway;
    const head = (length: number) =>
      `PUT /api/2.0/mlflow-artifacts/artifacts/7/abc/artifacts/a HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
    const refused = await exchange(gateway.url, head(2 ** 22), whole);
    expect(status(refused)).toBe(403);
    expect(server.requests.filter(({ head: sent }) => sent.startsWith("PUT"))).toEqual([]);
    const text = await exchange(gateway.url, `${head(3)}abc`, whole);
    expect(text.match(/HTTP\/1\.1 100 Continue/g)).toHaveLength(1);
    expect(text).toContain("HTTP/1.1 200");
    expect(server.requests.at(-1)?.body.toString()).toBe("abc");
    await settled(gateway, 0n);
  });

  it("goes on sending what was refused is not listened to for long", async () => {
    const { gateway } = await between(ok, { policies: { maxArtifactSizeMb: 1 } });
    await using _ = gateway;
    const { port } = new URL(gateway.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.write(
      "PUT /api/2.0/mlflow-artifacts/artifacts/7/abc/artifacts/a HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    let sent = 0;
    while (!socket.destroyed && sent < 512) {
      if (!socket.write(chunk)) await delay(2);
      sent++;
    }
    await vi.waitFor(() => expect(socket.destroyed).toBe(true), { timeout: 5000 });
    expect(sent).toBeLessThan(512);
    expect(status(text)).toBe(403);
    await settled(gateway, 0n);
  });
});

describe("bytes", () => {
  it("go both ways untouched, but for the tags of a new run", async () => {
    const { gateway, server } = await between((_r, socket) => void socket.write(answer(200, RUN)));
    await using _ = gateway;
    const odd = '{ "run_id" : "abc",\n "key":"\\u00e4 }","value":1.50e1 , "timestamp":1}';
    await exchange(gateway.url, post("runs/log-metric", odd), whole);
    expect(server.requests.at(-1)?.body.toString()).toBe(odd);
    const create = '{"experiment_id":"7" , "tags": [ {"key":"a","value":"]"} ]}';
    await exchange(gateway.url, post("runs/create", create), whole);
    const sent = server.requests.at(-1)?.body.toString() ?? "";
    expect(sent).toMatch(/^\{"experiment_id":"7" , "tags": \[ \{"key":"a","value":"\]"\}.*\]\}$/);
    expect(JSON.parse(sent).tags).toContainEqual({ key: "genops.team", value: "t" });
    await exchange(gateway.url, post("runs/create-promptlab-run", '{"experiment_id":"7"}'), whole);
    // MLflow's route for its page fails with tags: its run is told afterwards.
    await vi.waitFor(() => expect(server.requests.at(-1)?.head).toContain("/runs/log-batch"));
    const [ofPage, told] = server.requests.slice(-2).map(({ body }) => body.toString());
    expect(ofPage).toBe('{"experiment_id":"7"}');
    expect(JSON.parse(told ?? "").run_id).toBe("abc");
    expect(JSON.parse(told ?? "").tags).toContainEqual({ key: "genops.team", value: "t" });
  });

  it("are never more in memory than a few, however slow either side is", async () => {
    const size = 64 * 2 ** 20;
    const { gateway } = await between((request, socket) => {
      if (!request.head.startsWith("GET")) return;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      const chunk = Buffer.alloc(2 ** 16);
      let left = size;
      const pump = () => {
        while (left > 0) {
          left -= chunk.length;
          if (!socket.write(chunk)) {
            socket.once("drain", pump);
            return;
          }
        }
      };
      pump();
    });
    await using _ = gateway;
    const { port } = new URL(gateway.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(
      "GET /api/2.0/mlflow-artifacts/artifacts/7/abc/artifacts/big HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    );
    await delay(300);
    const { arrayBuffers } = process.memoryUsage();
    // Both sides are in this process, and the reader has not begun.
    expect(arrayBuffers).toBeLessThan(size);
    let got = 0;
    for await (const chunk of socket) got += (chunk as Buffer).length;
    expect(got).toBeGreaterThan(size);
    await settled(gateway, 0n);
  });
});

describe("a file that is sent past the gateway", () => {
  it("in parts is one artifact of the size that the server lists", async () => {
    const { gateway } = await between(
      ({ head }, socket) => {
        const files = [{ path: "big.bin", is_dir: false, file_size: 1000 }];
        if (head.startsWith("GET /api/2.0/mlflow-artifacts/artifacts?path=")) {
          socket.write(answer(200, { files }));
        } else socket.write(answer(200, { upload_id: "u", credentials: [] }));
      },
      { storageBackends: { "mlflow-artifacts:": "s3" } },
    );
    await using _ = gateway;
    const send = (step: string, body: object) => {
      const path = `mlflow-artifacts/mpu/${step}/7/abc/artifacts`;
      const bytes = post("x", { path: "big.bin", ...body }).replace("mlflow/x", path);
      return exchange(gateway.url, bytes, whole);
    };
    expect(status(await send("create", { num_parts: 1 }))).toBe(200);
    const { engine } = gateway.governor;
    expect(engine.summary().reservations.open).toBe(1);
    expect(status(await send("complete", { upload_id: "u", parts: [] }))).toBe(200);
    await vi.waitFor(() => {
      const { operations, meters, reservations } = engine.summary();
      expect(reservations.open).toBe(0);
      expect(operations.log_artifact).toMatchObject({ count: 1, errors: 0 });
      expect(meters["storage.s3"]?.quantity).toBe(1000n);
    });
  });
});

describe("a fault of the gateway's own", () => {
  it("lets the call pass, and is counted", async () => {
    const { gateway } = await between(ok);
    await using _ = gateway;
    vi.spyOn(gateway.governor, "begin").mockImplementation(() => {
      throw new Error("a fault");
    });
    expect(status(await exchange(gateway.url, logMetric("abc"), whole))).toBe(200);
    expect(gateway.governor.containedFailures).toBe(1);
    await settled(gateway, 0n);
  });
});

describe("any mixture of answers and ends", () => {
  it("comes to what the server answered with 200", { timeout: 120_000 }, async () => {
    let paid = 0n;
    let script: Script = ok;
    const { gateway } = await between((request, socket) => script(request, socket));
    await using _ = gateway;
    const scripts: readonly (readonly [Script, bigint])[] = [
      [ok, CALL],
      [(_r, socket) => void socket.write(answer(503)), 0n],
      [(_r, socket) => void socket.destroy(), 0n],
      [(_r, socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), CALL],
      [(_r, socket) => setTimeout(() => socket.write(answer(200)), 5) && undefined, CALL],
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(scripts.length - 1), fc.boolean()), { maxLength: 12 }),
        async (calls) => {
          for (const [kind, leaves] of calls) {
            const [chosen, cost] = scripts[kind] as (typeof scripts)[number];
            script = chosen;
            paid += cost;
            const answered = exchange(gateway.url, logMetric("abc"), whole);
            // What costs nothing would not be waited for.
            if (!leaves || cost === 0n) await answered;
            else await settled(gateway, paid);
            await settled(gateway, paid);
          }
        },
      ),
      { numRuns: 12 },
    );
    expect(gateway.governor.containedFailures).toBe(0);
  });
});

describe("an end", () => {
  it("and a new configuration drop no request", async () => {
    const { gateway, server } = await between((_r, socket) => {
      setTimeout(() => socket.write(answer(200)), 300);
    });
    // A call that has not been read is nobody's yet.
    const arrived = (count: number) =>
      vi.waitFor(() => {
        const posts = server.requests.filter(({ head }) => head.startsWith("POST"));
        expect(posts).toHaveLength(count);
      });
    const calls = Array.from({ length: 20 }, () => exchange(gateway.url, logMetric("abc"), whole));
    await arrived(20);
    await gateway.reload({
      upstream: server.uri,
      port: Number(new URL(gateway.url).port),
      journal: false,
      defaults: { team: "t" },
      budgets: [{ name: "b", limit: 1, period: "day" }],
    });
    const later = Array.from({ length: 5 }, () => exchange(gateway.url, logMetric("abc"), whole));
    await arrived(25);
    await gateway.close();
    for (const text of await Promise.all([...calls, ...later])) expect(status(text)).toBe(200);
  });
});
