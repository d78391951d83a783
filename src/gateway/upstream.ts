// The server behind the gateway: connections that are kept, and small questions of the gateway's own.
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type { Dispatcher, Pool } from "undici";
// Alone, as the rest of it is not needed and would travel along.
import UndiciPool from "undici/lib/dispatcher/pool.js";

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

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query below the server's own. */
  readonly target: string;
  /** Names and values in turn; none of them belongs to the connection. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | Readable | undefined;
  /** Milliseconds that the server may be silent, before its answer and in it. */
  readonly silenceMs: number;
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

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

const SILENCES: readonly unknown[] = ["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"];
/** What a connection that was kept may end with, just as it is used again. */
const RESETS: readonly unknown[] = ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"];
/** Codes of Node for a certificate whose authority is not known. */
const UNKNOWN_AUTHORITY: readonly unknown[] = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
];

/** Did the connection end without an answer? What changes nothing may then be sent once more. */
export function isReset({ code }: NodeJS.ErrnoException): boolean {
  return RESETS.includes(code);
}

/** Why there is no answer, for people; with what to do where it is the gateway that does not believe the server. */
export function reasonOfNoAnswer(
  { message, code }: NodeJS.ErrnoException,
  silenceMs: number,
): string {
  if (SILENCES.includes(code)) return `the MLflow server was silent for ${silenceMs} ms`;
  return UNKNOWN_AUTHORITY.includes(code)
    ? `${message}; start the gateway with NODE_EXTRA_CA_CERTS=/path/of/ca.pem for it to believe this authority`
    : message;
}

/** Takes a small answer whole. */
class Question implements Dispatcher.DispatchHandlers {
  readonly #chunks: Buffer[] = [];
  readonly #resolve: (answer: UpstreamAnswer) => void;
  readonly #reject: (error: Error) => void;
  #status = 0;
  #size = 0;
  #abort: (error?: Error) => void = () => {};

  constructor(resolve: (answer: UpstreamAnswer) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort;
  }

  onHeaders(status: number): boolean {
    this.#status = status;
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.#size += chunk.length;
    if (this.#size <= ANSWER_BYTES_MAX) this.#chunks.push(chunk);
    else this.#abort(new RangeError(`more than ${ANSWER_BYTES_MAX} bytes`));
    return true;
  }

  onComplete(): void {
    this.#resolve({ status: this.#status, body: jsonOf(Buffer.concat(this.#chunks)) });
  }

  onError(error: Error): void {
    this.#reject(error);
  }
}

export class Upstream {
  readonly url: URL;
  readonly #pool: Pool;
  /** Keeps no connection: when one has ended while it rested, the others may have, too. */
  readonly #fresh: Pool;
  /** Before every path; the server may live below one. */
  readonly #base: string;
  /** What MLflow was given as `--static-prefix`: its whole interface is behind it. */
  readonly #staticPrefix: string;

  constructor(url: URL, staticPrefix: string) {
    this.url = url;
    this.#staticPrefix = staticPrefix;
    this.#pool = new UndiciPool(url.origin, {
      keepAliveTimeout: REST_MS,
      keepAliveMaxTimeout: REST_MS,
      pipelining: 1,
    });
    this.#fresh = new UndiciPool(url.origin, { pipelining: 0 });
    this.#base = url.pathname.replace(/\/+$/, "");
  }

  /** Sends a request; all that becomes of it, `handler` is told. `isRepeated`: on a connection of its own. */
  send(request: UpstreamRequest, handler: Dispatcher.DispatchHandlers, isRepeated = false): void {
    const { method, target, headers, body = null, silenceMs } = request;
    (isRepeated ? this.#fresh : this.#pool).dispatch(
      {
        method: method as Dispatcher.HttpMethod,
        path: `${this.#base}${target}`,
        headers: headers as string[],
        body,
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
      },
      handler,
    );
  }

  /** Asks MLflow something small in the caller's name. @throws when there is no answer, with the reason. */
  async ask(
    method: string,
    target: string,
    { authorization, workspaces }: Asker,
    message?: unknown,
  ): Promise<UpstreamAnswer> {
    const body = message === undefined ? undefined : Buffer.from(JSON.stringify(message));
    const headers = ["Host", this.url.host, "Accept", "application/json"];
    if (authorization !== undefined) headers.push("Authorization", authorization);
    for (const workspace of workspaces) headers.push(WORKSPACE_HEADER, workspace);
    if (body !== undefined) headers.push("Content-Type", "application/json");
    const path = `${this.#staticPrefix}${target}`;
    const asked = { method, target: path, headers, body, silenceMs: ASK_MS };
    const answer = (isRepeated: boolean) =>
      new Promise<UpstreamAnswer>((resolve, reject) =>
        this.send(asked, new Question(resolve, reject), isRepeated),
      );
    try {
      return await answer(false).catch((error: Error) => {
        if (method === "GET" && isReset(error)) return answer(true);
        throw error;
      });
    } catch (error) {
      throw new Error(reasonOfNoAnswer(error as Error, ASK_MS), { cause: error });
    }
  }

  close(): void {
    void this.#pool.destroy();
    void this.#fresh.destroy();
  }
}
