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

/** Why there is no answer, for people. */
export function reasonOfNoAnswer(error: Error, silenceMs: number): string {
  return SILENCES.includes((error as { code?: unknown }).code)
    ? `the MLflow server was silent for ${silenceMs} ms`
    : error.message;
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
    this.#reject(new Error(reasonOfNoAnswer(error, ASK_MS), { cause: error }));
  }
}

export class Upstream {
  readonly url: URL;
  readonly #pool: Pool;
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
    this.#base = url.pathname.replace(/\/+$/, "");
  }

  /** Sends a request; all that becomes of it, `handler` is told. */
  send(request: UpstreamRequest, handler: Dispatcher.DispatchHandlers): void {
    const { method, target, headers, body = null, silenceMs } = request;
    this.#pool.dispatch(
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

  /** Asks MLflow something small with the caller's own credentials. @throws when there is no answer. */
  ask(
    method: string,
    target: string,
    authorization: string | undefined,
    message?: unknown,
  ): Promise<UpstreamAnswer> {
    const body = message === undefined ? undefined : Buffer.from(JSON.stringify(message));
    const headers = ["Host", this.url.host, "Accept", "application/json"];
    if (authorization !== undefined) headers.push("Authorization", authorization);
    if (body !== undefined) headers.push("Content-Type", "application/json");
    const path = `${this.#staticPrefix}${target}`;
    const asked = { method, target: path, headers, body, silenceMs: ASK_MS };
    return new Promise((resolve, reject) => this.send(asked, new Question(resolve, reject)));
  }

  close(): void {
    void this.#pool.destroy();
  }
}
