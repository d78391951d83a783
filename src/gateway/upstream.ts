// The server behind the gateway: connections that are kept, and small questions of the gateway's own.
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Socket } from "node:net";

/** A connection at rest is closed before the server does it (uvicorn: after 5 s), so that no call meets a closed one. */
const REST_MS = 3000;
/** Milliseconds that a question of the gateway's own may take, and bytes that its answer may have. */
const ASK_MS = 10_000;
const ANSWER_BYTES_MAX = 16 * 2 ** 20;

/** In whose name the server is asked: what the request of a caller says of it. */
export interface Asker {
  readonly authorization: string | undefined;
  /** Headers that say in which of MLflow's workspaces things are, as they came. */
  readonly workspaces: readonly string[];
}

export const WORKSPACE_HEADER = "x-mlflow-workspace";

export interface UpstreamAnswer {
  readonly status: number;
  /** Parsed; undefined for what is no JSON. */
  readonly body: unknown;
}

/** Collects a body of bounded size. Rejects with a RangeError for one that is larger, and when it is cut off. */
export function collect(message: IncomingMessage, most: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    // Not by iteration, which costs a small call as much as all that is decided of it.
    message.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= most) chunks.push(chunk);
      else reject(new RangeError(`more than ${most} bytes`));
    });
    message.once("end", () => {
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size));
    });
    message.once("close", () => {
      if (!message.complete) reject(new Error("the connection ended before the body did"));
    });
    message.once("error", reject);
  });
}

/** The connection had ended while it rested, before the request came to it. */
class EndedAtRestError extends Error {}

/** Did a request meet a connection that had ended while it rested? What only reads may then be sent again. */
export function endedAtRest(request: ClientRequest, error: NodeJS.ErrnoException): boolean {
  return request.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

/** Codes of Node for a certificate whose authority is not known. */
const UNKNOWN_AUTHORITY: readonly (string | undefined)[] = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
];

/** Why a server gave no answer, for a person; with what to do where it is the gateway that does not believe it. */
export function reasonOf({ message, code }: NodeJS.ErrnoException): string {
  if (!UNKNOWN_AUTHORITY.includes(code)) return message;
  return `${message}; start the gateway with NODE_EXTRA_CA_CERTS=/path/of/ca.pem for it to believe this authority`;
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

/** Keeps connections at rest for a while that is shorter than the server's. */
function restingBriefly<A extends HttpAgent>(agent: A): A {
  const keep = agent.keepSocketAlive.bind(agent);
  agent.keepSocketAlive = (socket) => {
    (socket as Socket).setTimeout(REST_MS);
    return keep(socket);
  };
  const reuse = agent.reuseSocket.bind(agent);
  agent.reuseSocket = (socket, request) => {
    (socket as Socket).setTimeout(0);
    reuse(socket, request);
  };
  return agent;
}

export class Upstream {
  readonly url: URL;
  readonly #isSecure: boolean;
  readonly #agent: HttpAgent;
  /** Before every path; the server may live below one. */
  readonly #base: string;
  /** What MLflow was given as `--static-prefix`: its whole interface is behind it. */
  readonly #staticPrefix: string;

  constructor(url: URL, staticPrefix: string) {
    this.url = url;
    this.#staticPrefix = staticPrefix;
    this.#isSecure = url.protocol === "https:";
    const options = { keepAlive: true, maxFreeSockets: 256, scheduling: "lifo" as const };
    this.#agent = restingBriefly(this.#isSecure ? new HttpsAgent(options) : new HttpAgent(options));
    this.#base = url.pathname.replace(/\/+$/, "");
  }

  /** Begins a request; headers are names and values in turn. `isFresh`: on a connection of its own. */
  send(method: string, target: string, headers: readonly string[], isFresh = false): ClientRequest {
    const make = this.#isSecure ? httpsRequest : httpRequest;
    return make({
      protocol: this.url.protocol,
      hostname: this.url.hostname.replace(/^\[|\]$/g, ""),
      port: this.url.port === "" ? undefined : this.url.port,
      method,
      path: `${this.#base}${target}`,
      headers: headers as string[],
      agent: isFresh ? false : this.#agent,
    });
  }

  /** Asks MLflow something small in the caller's name. @throws when there is no answer. */
  ask(
    method: string,
    target: string,
    { authorization, workspaces }: Asker,
    body?: unknown,
  ): Promise<UpstreamAnswer> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = [
      "Host",
      this.url.host,
      "Accept",
      "application/json",
      "Connection",
      "keep-alive",
    ];
    if (authorization !== undefined) headers.push("Authorization", authorization);
    for (const workspace of workspaces) headers.push(WORKSPACE_HEADER, workspace);
    if (bytes !== undefined) {
      headers.push("Content-Type", "application/json", "Content-Length", String(bytes.length));
    }
    const path = `${this.#staticPrefix}${target}`;
    return this.#answerOf(method, path, headers, bytes, false).catch((error: unknown) => {
      if (method !== "GET" || !(error instanceof EndedAtRestError)) throw error;
      return this.#answerOf(method, path, headers, bytes, true);
    });
  }

  #answerOf(
    method: string,
    path: string,
    headers: readonly string[],
    bytes: Buffer | undefined,
    isFresh: boolean,
  ): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      const request = this.send(method, path, headers, isFresh);
      request.setTimeout(ASK_MS, () =>
        request.destroy(new Error(`the MLflow server did not answer within ${ASK_MS} ms`)),
      );
      request.once("error", (error) =>
        reject(endedAtRest(request, error) ? new EndedAtRestError(error.message) : error),
      );
      request.once("response", (reply) => {
        collect(reply, ANSWER_BYTES_MAX).then(
          (answer) => resolve({ status: reply.statusCode ?? 0, body: jsonOf(answer) }),
          reject,
        );
      });
      request.end(bytes);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
