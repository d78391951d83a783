// Bytes as they are on the wire: a server that answers what a script says, and a client that sends what it is told.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** One request as it arrived. */
export interface RawRequest {
  /** Request line and headers. */
  readonly head: string;
  readonly body: Buffer;
}

/** What a server does with a request; nothing more is read of a connection that it has destroyed. */
export type Script = (request: RawRequest, socket: Socket) => void;

export interface RawServer {
  readonly uri: string;
  readonly requests: RawRequest[];
  readonly sockets: ReadonlySet<Socket>;
}

const HEAD_END = "\r\n\r\n";

function bodyLength(head: string): number | "chunked" {
  if (/^transfer-encoding: *chunked/im.test(head)) return "chunked";
  return Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
}

/** A server of one script a request. */
export async function rawServer(script: Script): Promise<RawServer> {
  const requests: RawRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let waiting = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      for (;;) {
        const at = waiting.indexOf(HEAD_END);
        if (at < 0) return;
        const head = waiting.subarray(0, at).toString("latin1");
        const length = bodyLength(head);
        const rest = waiting.subarray(at + HEAD_END.length);
        const end = length === "chunked" ? rest.indexOf("0\r\n\r\n") + 5 : length;
        if (end === 4 || rest.length < end) return;
        waiting = rest.subarray(end);
        const request = { head, body: Buffer.from(rest.subarray(0, end)) };
        requests.push(request);
        script(request, socket);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { uri: `http://127.0.0.1:${port}`, requests, sockets };
}

/** An answer of JSON. */
export function answer(status: number, body: unknown = {}): string {
  const text = JSON.stringify(body);
  return `HTTP/1.1 ${status} Whatever\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

/** A call that logs a metric, as bytes. */
export function logMetric(runId: string, headers = ""): string {
  return post("runs/log-metric", { run_id: runId, key: "m", value: 1, timestamp: 1 }, headers);
}

export function post(path: string, body: unknown, headers = ""): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return `POST /api/2.0/mlflow/${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

/** Sends bytes and answers all that comes back until the other side ends, or `enough` holds. */
export async function exchange(
  uri: string,
  bytes: string | Buffer,
  enough: (text: string) => boolean = () => false,
): Promise<string> {
  const { hostname, port } = new URL(uri);
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.on("error", () => undefined);
  socket.setTimeout(8000, () => socket.destroy());
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    if (enough(text)) socket.destroy();
  });
  socket.write(bytes);
  // Waiting for it with `once` would throw what the other side does.
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return text;
}
