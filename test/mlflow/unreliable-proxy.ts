// A proxy that fails on purpose, in front of a real server: before the server hears of a call, or after.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";

/** Faults of which the server never hears. */
export const FAULTS_BEFORE = ["reset before", "429", "503", "html 200 before"] as const;
/** Faults of a call that the server has carried out. */
export const FAULTS_AFTER = [
  "reset after",
  "truncated",
  "ends early",
  "html 200 after",
  "html 502 after",
] as const;
/** What a client need not notice. */
export const NUISANCES = ["none", "slow", "twice"] as const;

export type Fault =
  | (typeof FAULTS_BEFORE)[number]
  | (typeof FAULTS_AFTER)[number]
  | (typeof NUISANCES)[number]
  | "hang after";

export interface UnreliableProxy {
  readonly uri: string;
  /** What went wrong, as `reset after POST create`, in order. */
  readonly log: string[];
}

const HTML = "<html><body>Gateway</body></html>";

async function forward(upstream: string, request: IncomingMessage, body: Buffer) {
  const { method = "GET", url = "/", headers } = request;
  const answer = await fetch(upstream + url, {
    method,
    headers: { "content-type": headers["content-type"] ?? "application/json" },
    ...(method !== "GET" && { body: new Uint8Array(body) }),
  });
  return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) };
}

async function answerWith(
  fault: Fault,
  ask: () => Promise<{ status: number; body: Buffer }>,
  response: ServerResponse,
): Promise<void> {
  const json = { "content-type": "application/json" };
  switch (fault) {
    case "reset before":
      response.destroy();
      return;
    case "429":
      response.writeHead(429, { "retry-after": "0" }).end();
      return;
    case "503":
      response.writeHead(503).end(HTML);
      return;
    case "html 200 before":
      response.writeHead(200, { "content-type": "text/html" }).end(HTML);
      return;
  }
  const { status, body } = await ask();
  const half = body.subarray(0, Math.max(1, body.length >> 1));
  switch (fault) {
    case "reset after":
      response.destroy();
      return;
    case "truncated":
      response.writeHead(status, { ...json, "content-length": String(body.length + 1) });
      response.write(half, () => response.destroy());
      return;
    case "ends early":
      // No length is announced, so that the end looks like one.
      response.writeHead(status, { ...json, connection: "close" });
      response.end(half);
      return;
    case "html 200 after":
      response.writeHead(200, { "content-type": "text/html" }).end(HTML);
      return;
    case "html 502 after":
      response.writeHead(502, { "content-type": "text/html" }).end(HTML);
      return;
    case "hang after":
      return;
    case "slow":
      response.writeHead(status, json);
      for (const byte of body.subarray(0, 20)) {
        response.write(Buffer.of(byte));
        await delay(2);
      }
      response.end(body.subarray(20));
      return;
    case "twice":
      response.writeHead(status, json).end((await ask()).body);
      return;
    case "none":
      response.writeHead(status, json).end(body);
  }
}

/** Closed after the test. `choose` is asked with the last part of the path, such as `log-batch`. */
export async function unreliableProxy(
  upstream: string,
  choose: (operation: string) => Fault,
): Promise<UnreliableProxy> {
  const log: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const operation = (request.url ?? "").split("?")[0]?.split("/").at(-1) ?? "";
    const fault = choose(operation);
    log.push(`${fault} ${request.method} ${operation}`);
    await answerWith(fault, () => forward(upstream, request, Buffer.concat(chunks)), response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, log };
}
