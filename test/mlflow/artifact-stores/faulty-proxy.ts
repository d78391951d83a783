// Stands in front of a real store and fails on purpose: in mid-body, with a status, or never answering.
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface PassingRequest {
  readonly method: string;
  /** Decoded, with its query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** From 1, of all requests that `matches` has taken. */
  readonly attempt: number;
}

export type Fault =
  | "forward"
  /** Closes the connection before anything is answered. */
  | "reset"
  /** Forwards this many bytes of the answer's body, then closes the connection. */
  | { readonly cutAfter: number }
  /** Forwards this many bytes of the body as if they were all: a well-formed, short answer. */
  | { readonly shortAt: number }
  /** Forwards this many bytes of the body, then nothing more. */
  | { readonly stallAfter: number }
  | { readonly status: number; readonly body?: string };

export interface FaultyProxy {
  readonly address: string;
  readonly passed: readonly PassingRequest[];
}

/** `react` decides about every request; closed after the test. */
export async function faultyProxy(
  target: string,
  matches: (method: string, url: string) => boolean,
  react: (request: PassingRequest) => Fault,
): Promise<FaultyProxy> {
  const passed: PassingRequest[] = [];
  const { hostname, port } = new URL(target);
  const server = createServer((request, response) => {
    const { method = "GET", url = "/", headers } = request;
    const shown = decodeURIComponent(url);
    let fault: Fault = "forward";
    if (matches(method, shown)) {
      const passing = { method, url: shown, headers, attempt: passed.length + 1 };
      passed.push(passing);
      fault = react(passing);
    }
    if (fault === "reset") {
      request.socket.destroy();
      return;
    }
    if (typeof fault === "object" && "status" in fault) {
      const { status, body = "" } = fault;
      request.resume().on("end", () => {
        response.writeHead(status, { "content-type": "text/plain" });
        response.end(body);
      });
      return;
    }
    const upstream = httpRequest({ hostname, port, method, path: url, headers }, (answer) => {
      const limits = typeof fault === "object" ? (fault as Record<string, number>) : {};
      const limit = limits.cutAfter ?? limits.shortAt ?? limits.stallAfter;
      const own = { ...answer.headers };
      if (limits.shortAt !== undefined) {
        delete own["content-length"];
        delete own["content-md5"];
      }
      response.writeHead(answer.statusCode ?? 502, own);
      if (limit === undefined) {
        answer.pipe(response);
        return;
      }
      let left = limit;
      const finish = () => {
        if (limits.cutAfter !== undefined) request.socket.destroy();
        else if (limits.shortAt !== undefined) response.end();
      };
      if (left === 0) finish();
      answer.on("data", (chunk: Buffer) => {
        if (left <= 0) return;
        const part = chunk.subarray(0, left);
        left -= part.byteLength;
        response.write(part, () => {
          if (left === 0) finish();
        });
      });
      answer.on("error", () => undefined);
    });
    upstream.on("error", () => request.socket.destroy());
    request.pipe(upstream);
    response.on("close", () => upstream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, passed };
}
