// A server that fails on purpose, on its own or in front of a real one.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** From 1, per method and path. */
  readonly attempt: number;
}

export type Reaction =
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  /** Never answers. */
  | "hang"
  /** Takes the request and closes the connection. */
  | "reset"
  /** Sends the beginning of an answer and closes the connection. */
  | "cut"
  /** Sends the beginning of an answer and nothing more. */
  | "stall"
  /** Asks the real server. */
  | "forward";

export interface FaultyServer {
  readonly uri: string;
  readonly requests: SeenRequest[];
}

async function forward(
  upstream: string,
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
): Promise<void> {
  const { method = "GET", url = "/", headers } = request;
  const answer = await fetch(upstream + url, {
    method,
    headers: { "content-type": headers["content-type"] ?? "application/json" },
    ...(method !== "GET" && { body: new Uint8Array(body) }),
  });
  response.writeHead(answer.status, { "content-type": "application/json" });
  response.end(await answer.text());
}

/** Closed after the test. */
export async function faultyServer(
  react: (request: SeenRequest) => Reaction,
  upstream = "",
): Promise<FaultyServer> {
  const requests: SeenRequest[] = [];
  const server = createServer(async (request, response) => {
    const { method = "", url = "", headers } = request;
    const [path = ""] = url.split("?");
    const before = requests.filter((seen) => seen.method === method && seen.path === path);
    const seen = { method, path, headers, attempt: before.length + 1 };
    requests.push(seen);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const reaction = react(seen);
    if (reaction === "hang") return;
    if (reaction === "reset") {
      request.socket.destroy();
    } else if (reaction === "cut" || reaction === "stall") {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      response.write('{"run":', () => {
        if (reaction === "cut") request.socket.destroy();
      });
    } else if (reaction === "forward") {
      await forward(upstream, request, Buffer.concat(chunks), response);
    } else {
      response.writeHead(reaction.status, reaction.headers);
      response.end(reaction.body ?? "");
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { uri: `http://127.0.0.1:${port}`, requests };
}

/** MLflow's answers to a run that is created, and to everything else. */
export function answerLikeMlflow({ path }: SeenRequest): Reaction {
  if (path.endsWith("/experiments/get-by-name")) {
    return { status: 200, body: '{"experiment":{"experiment_id":"7","name":"e"}}' };
  }
  const info = '{"run_id":"abc","experiment_id":"7","artifact_uri":"mlflow-artifacts:/7/abc"}';
  if (path.endsWith("/runs/create")) {
    return { status: 200, body: `{"run":{"info":${info},"data":{}}}` };
  }
  return { status: 200, body: `{"run_info":${info}}` };
}
