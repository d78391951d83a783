// Bodies that are sent on: whole, whatever either side's pace, and out of memory as soon as they were sent.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { createGateway } from "../../src/gateway/index.js";
import { PassingBody } from "../../src/gateway/passing-body.js";
import { answerDigest, digestOf } from "./digests.js";

/** A body as a server gets it: pieces that have memory of their own. */
function incoming(): PassThrough & IncomingMessage {
  return Object.assign(new PassThrough(), { complete: true }) as PassThrough & IncomingMessage;
}

/** Memory of its own, as what comes from a socket has. */
const piece = () => Buffer.alloc(2 ** 16, "x");

describe("a piece of a body", () => {
  it("keeps its memory until whoever sends it has sent all, and loses it then", async () => {
    const request = incoming();
    const body = new PassingBody(request, undefined);
    const given: Buffer[] = [];
    body.on("data", (chunk: Buffer) => {
      given.push(chunk);
      if (given.length === 2) body.pause();
    });
    body.resume();
    for (let pieces = 0; pieces < 3; pieces++) request.write(piece());
    await delay(10);
    expect(given.map(({ length }) => length)).toEqual([2 ** 16, 2 ** 16]);
    body.resume();
    expect(given.map(({ length }) => length)).toEqual([0, 0]);
    await delay(10);
    expect(given.map(({ length }) => length)).toEqual([0, 0, 2 ** 16]);
    request.end();
    await once(body, "close");
    expect(given[2]?.toString()).toBe(piece().toString());
  });

  it("that shares its memory keeps it", async () => {
    const request = incoming();
    const body = new PassingBody(request, undefined);
    const given: Buffer[] = [];
    body.on("data", (chunk: Buffer) => given.push(chunk));
    const whole = Buffer.alloc(3000, "y");
    request.write(whole.subarray(0, 1000));
    body.resume();
    await delay(10);
    body.resume();
    expect(whole.toString()).toBe("y".repeat(3000));
    expect(given[0]).toHaveLength(1000);
    body.destroy();
  });

  it("keeps it when the body is given up, as it may still be on its way", async () => {
    const request = incoming();
    const body = new PassingBody(request, undefined);
    const given: Buffer[] = [];
    body.on("data", (chunk: Buffer) => given.push(chunk));
    request.write(piece());
    body.resume();
    await delay(10);
    body.destroy();
    await once(body, "close");
    body.resume();
    expect(given[0]?.toString()).toBe(piece().toString());
  });
});

/** A server that reads at an uneven pace and answers the digest of what it got, or dies when it is told to. */
async function digesting(): Promise<string> {
  const server = createServer((request, response) => {
    if (request.headers["x-dies"] === undefined) return void answerDigest(request, response);
    let got = 0;
    request.on("data", (chunk: Buffer) => {
      got += chunk.length;
      if (got > 2 ** 20) request.socket.resetAndDestroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Uploads bytes in pieces of all sizes, and answers what comes back. */
async function upload(
  uri: string,
  bytes: Buffer,
  headers: Readonly<Record<string, string | number>>,
): Promise<string> {
  const path = "/api/2.0/mlflow-artifacts/artifacts/0/abc/artifacts/large.bin";
  const outgoing = send(`${uri}${path}`, { method: "PUT", headers });
  const replied = once(outgoing, "response");
  let at = 0;
  while (at < bytes.length) {
    const size = 1 + Math.floor(2 ** (Math.random() * 19));
    if (!outgoing.write(bytes.subarray(at, at + size))) await once(outgoing, "drain");
    at += size;
  }
  outgoing.end();
  const [reply] = (await replied) as [IncomingMessage];
  return (await buffer(reply)).toString();
}

describe("bodies that are sent on", () => {
  it("arrive whole at any pace, many at once, also beside some that break off", async () => {
    await using gateway = await createGateway({
      upstream: await digesting(),
      port: 0,
      journal: false,
    });
    const uploads = Array.from({ length: 12 }, async (_, index) => {
      const bytes = randomBytes(4 * 2 ** 20 + index);
      const isDeclared = index % 2 === 0;
      const length = isDeclared ? { "content-length": bytes.length } : {};
      if (index % 4 === 3) {
        await upload(gateway.url, bytes, { "x-dies": "1", ...length }).catch(() => undefined);
        return;
      }
      expect(await upload(gateway.url, bytes, length)).toBe(digestOf(bytes));
    });
    await Promise.all(uploads);
    const last = randomBytes(2 ** 20);
    expect(await upload(gateway.url, last, {})).toBe(digestOf(last));
  });
});
