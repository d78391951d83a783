// Governs MLflow requests that a program makes through node:http and node:https, as axios and node-fetch do.
//
// A request is made at once, as its caller expects, but gets a connection only when it has been decided about: its agent
// holds it back until then. One that is refused gets a connection to nobody, which answers as MLflow would.

import type * as Http from "node:http";
import type * as Https from "node:https";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { patch } from "../patch.js";
import type { Seam } from "../scopes.js";
import { answerTo, type RefusalAnswer } from "../wire/refusal.js";
import { type Destination, destinationOf } from "./destinations.js";
import {
  type Ask,
  admit,
  admitPresigned,
  type Exchange,
  isPresigned,
  needsBody,
} from "./exchange.js";
import { type ConnectionOptions, type ParsedRequest, parseRequest } from "./node-arguments.js";
import { RefusingSocket } from "./refusing-socket.js";

type ClientRequest = Http.ClientRequest;
type Arguments = readonly unknown[];
type RequestFunction = typeof Http.request;
type Chunk = string | Uint8Array;

const CREDENTIALS = ["authorization", "cookie", "x-mlflow-workspace"];

interface Protocol {
  readonly scheme: "http:" | "https:";
  readonly module: typeof Http | typeof Https;
}

// ── one request ──────────────────────────────────────────────────────────────────────────────────

type Agent = Http.Agent & {
  addRequest(request: ClientRequest, options: unknown): void;
};
type Internals = ClientRequest & { agent: Agent; onSocket(socket: unknown): void };

/** An agent like this one, which holds its request back. */
function holding(agent: Agent): { readonly agent: Agent; release(request: Internals): void } {
  let held: unknown;
  const waiting = Object.create(agent, {
    addRequest: {
      value(_request: ClientRequest, options: unknown) {
        held = options;
      },
    },
  }) as Agent;
  return {
    agent: waiting,
    release(request) {
      request.agent = agent;
      agent.addRequest(request, held);
    },
  };
}

function bufferOf(chunk: unknown, encoding: unknown): Buffer {
  if (typeof chunk === "string") {
    return Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
  }
  const bytes = chunk as Uint8Array;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function headerOf(request: ClientRequest, name: string): string | undefined {
  const value = request.getHeader(name);
  return value === undefined ? undefined : String(value);
}

function lengthOf(request: ClientRequest): number | undefined {
  const told = headerOf(request, "content-length");
  return told !== undefined && /^\d+$/.test(told) ? Number(told) : undefined;
}

/** The answer's body as it reads, without the encoding that it travelled in. */
function decodedBody(bytes: Buffer, encoding: string | undefined): Uint8Array | undefined {
  try {
    if (encoding === undefined || encoding === "identity") return bytes;
    if (encoding === "gzip") return gunzipSync(bytes);
    if (encoding === "deflate") return inflateSync(bytes);
    return encoding === "br" ? brotliDecompressSync(bytes) : undefined;
  } catch {
    return undefined;
  }
}

/** Sees what comes of a request, and takes nothing away from its caller. */
function watch(request: ClientRequest, exchange: Exchange): void {
  const emit = request.emit;
  request.emit = function (this: ClientRequest, event: string | symbol, ...given: unknown[]) {
    if (event === "response") watchAnswer(given[0] as Http.IncomingMessage, exchange);
    else if (event === "error") exchange.failed(given[0]);
    // After an answer that changes nothing.
    else if (event === "close") queueMicrotask(() => isAnswered(request) || fail(exchange));
    return emit.call(this, event, ...given);
  } as ClientRequest["emit"];
}

function isAnswered(request: ClientRequest): boolean {
  return (request as { res?: unknown }).res != null;
}

function fail(exchange: Exchange): void {
  exchange.failed(new Error("The request was given up before it was answered."));
}

function watchAnswer(answer: Http.IncomingMessage, exchange: Exchange): void {
  const status = answer.statusCode ?? 0;
  if (status === 200 && !exchange.wantsReply) {
    void exchange.answered({ status });
    return;
  }
  const chunks: Buffer[] = [];
  const push = answer.push;
  answer.push = function (this: Http.IncomingMessage, chunk: unknown, encoding?: BufferEncoding) {
    if (chunk !== null) {
      chunks.push(Buffer.from(bufferOf(chunk, encoding)));
    } else {
      const body = decodedBody(Buffer.concat(chunks), answer.headers["content-encoding"]);
      void exchange.answered({ status, body });
    }
    return push.call(this, chunk, encoding);
  };
  // Of an answer that nobody reads the status is known all the same.
  answer.once("close", () => void exchange.answered({ status }));
}

type Write = (chunk: Chunk, encoding?: unknown, done?: unknown) => boolean;
type End = (chunk?: unknown, encoding?: unknown, done?: unknown) => ClientRequest;

class HeldRequest {
  readonly #request: Internals;
  readonly #destination: Destination;
  readonly #ask: (request: ClientRequest) => Ask;
  readonly #release: (request: Internals) => void;
  readonly #write: Write;
  readonly #end: End;
  readonly #flushHeaders: () => void;

  constructor(
    request: ClientRequest,
    destination: Destination,
    release: (request: Internals) => void,
    ask: (request: ClientRequest) => Ask,
  ) {
    this.#request = request as Internals;
    this.#destination = destination;
    this.#release = release;
    this.#ask = ask;
    this.#write = request.write.bind(request) as Write;
    this.#end = request.end.bind(request) as End;
    this.#flushHeaders = request.flushHeaders.bind(request);
  }

  begin(): void {
    if (needsBody(this.#request.method, this.#destination)) this.#collect();
    else this.#stream();
  }

  #restore(): void {
    const request = this.#request as Partial<ClientRequest>;
    delete request.write;
    delete request.end;
    delete request.flushHeaders;
  }

  /** Waits for the whole body, which says what the request is. */
  #collect(): void {
    const request = this.#request;
    const chunks: Buffer[] = [];
    const done: (() => void)[] = [];
    const keep = (chunk: unknown, encoding: unknown, callback: unknown) => {
      if (chunk != null && typeof chunk !== "function") chunks.push(bufferOf(chunk, encoding));
      const last = [chunk, encoding, callback].find((each) => typeof each === "function");
      if (last !== undefined) done.push(last as () => void);
    };
    request.flushHeaders = () => {};
    request.write = ((chunk: unknown, encoding?: unknown, callback?: unknown) => {
      keep(chunk, encoding, callback);
      return true;
    }) as Internals["write"];
    request.end = ((chunk?: unknown, encoding?: unknown, callback?: unknown) => {
      keep(chunk, encoding, callback);
      this.#restore();
      const body = Buffer.concat(chunks);
      void this.#decide(body, (replaced) => {
        if (replaced !== undefined && request.hasHeader("content-length")) {
          request.setHeader("content-length", replaced.length);
        }
        for (const callback of done) request.once("finish", callback);
        const bytes = replaced ?? body;
        this.#end(bytes.length === 0 ? undefined : bytes);
      });
      return request;
    }) as Internals["end"];
  }

  /** Decides at once; what is written meanwhile waits where Node keeps it. */
  #stream(): void {
    const request = this.#request;
    let total = 0;
    let exchange: Exchange | undefined;
    const count = (chunk: unknown, encoding: unknown): boolean => {
      if (chunk == null || typeof chunk === "function") return true;
      total += bufferOf(chunk, encoding).length;
      const refusal = exchange?.isOpen === true ? exchange.grow(total) : undefined;
      if (refusal !== undefined) request.destroy(refusal);
      return refusal === undefined;
    };
    request.write = ((chunk: Chunk, encoding?: unknown, done?: unknown) =>
      count(chunk, encoding) && this.#write(chunk, encoding, done)) as Internals["write"];
    request.end = ((chunk?: unknown, encoding?: unknown, done?: unknown) =>
      count(chunk, encoding) ? this.#end(chunk, encoding, done) : request) as Internals["end"];
    // Headers may still be set, and say how long the file is.
    queueMicrotask(() => {
      void this.#decide(undefined, (_, admitted) => {
        exchange = admitted;
        if (admitted?.isOpen === true && total > 0) {
          const refusal = admitted.grow(total);
          if (refusal !== undefined) this.#refuse(answerTo(refusal));
        }
      });
    });
  }

  async #decide(
    body: Uint8Array | undefined,
    go: (replaced: Uint8Array | undefined, exchange: Exchange | undefined) => void,
  ): Promise<void> {
    const request = this.#request;
    const admission = await admit({
      method: request.method,
      destination: this.#destination,
      body,
      contentLength: lengthOf(request),
      contentEncoding: headerOf(request, "content-encoding"),
      experimentId: headerOf(request, "x-mlflow-experiment-id"),
      ask: this.#ask(request),
    });
    if (admission.kind === "refused") {
      go(undefined, undefined);
      this.#refuse(admission.answer);
      return;
    }
    const exchange = admission.kind === "governed" ? admission.exchange : undefined;
    if (exchange !== undefined) watch(request, exchange);
    this.#hasSocket = false;
    go(exchange?.body, exchange);
    if (!this.#hasSocket) this.#release(request);
  }

  #hasSocket = false;

  #refuse(answer: RefusalAnswer): void {
    this.#hasSocket = true;
    const socket = new RefusingSocket(answer);
    this.#request.shouldKeepAlive = false;
    this.#request.onSocket(socket);
    // A file that is still being read need not be read to its end.
    if (!this.#request.writableEnded) socket.answer();
  }
}

// ── the modules ──────────────────────────────────────────────────────────────────────────────────

const require = createRequire(import.meta.url);

function agentOf({ module }: Protocol, options: ConnectionOptions): Agent | undefined {
  const { agent } = options;
  if (agent === false) return new module.Agent() as Agent;
  if (agent != null) return agent as Agent;
  // Connections that the caller makes itself are its own affair.
  return options.createConnection === undefined ? (module.globalAgent as Agent) : undefined;
}

/** Asks by the same way, with the same agent. */
function askBy(original: RequestFunction, agent: Agent, storeUri: string) {
  return (governed: ClientRequest): Ask =>
    (method, target, message) =>
      new Promise((resolve, reject) => {
        const headers: Record<string, string> = {};
        for (const name of CREDENTIALS) {
          const value = headerOf(governed, name);
          if (value !== undefined) headers[name] = value;
        }
        const body = message === undefined ? undefined : JSON.stringify(message);
        if (body !== undefined) {
          headers["content-type"] = "application/json";
          headers["content-length"] = String(Buffer.byteLength(body));
        }
        const request = original(
          new URL(storeUri + target),
          { method, headers, agent },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on("data", (chunk: Buffer) => chunks.push(chunk));
            answer.once("error", reject);
            answer.once("end", () => {
              if (answer.statusCode !== 200) {
                reject(new Error(`${target} was answered ${answer.statusCode}.`));
                return;
              }
              try {
                resolve(JSON.parse(Buffer.concat(chunks).toString()));
              } catch (error) {
                reject(error);
              }
            });
          },
        );
        request.once("error", reject);
        request.end(body);
      });
}

function sendPresigned(
  protocol: Protocol,
  original: RequestFunction,
  url: string,
  { options, callback }: ParsedRequest,
): ClientRequest | undefined {
  const agent = agentOf(protocol, options);
  if (agent === undefined) return undefined;
  const { agent: waiting, release } = holding(agent);
  const request = original({ ...options, agent: waiting }, callback as never) as Internals;
  queueMicrotask(() => {
    const admitted = admitPresigned(url, lengthOf(request));
    if (typeof admitted !== "function") {
      request.onSocket(new RefusingSocket(admitted));
      return;
    }
    request.prependOnceListener("response", ({ statusCode = 0 }) => admitted(statusCode));
    release(request);
  });
  return request;
}

function governedRequest(
  protocol: Protocol,
  original: RequestFunction,
  given: Arguments,
): ClientRequest | undefined {
  const parsed = parseRequest(protocol.scheme, given);
  if (parsed === undefined) return undefined;
  const { options, url, callback } = parsed;
  if (isPresigned(url.href)) return sendPresigned(protocol, original, url.href, parsed);
  const destination = destinationOf(url);
  if (destination === undefined) return undefined;
  const agent = agentOf(protocol, options);
  if (agent === undefined) return undefined;
  const { agent: waiting, release } = holding(agent);
  const request = original({ ...options, agent: waiting }, callback as never);
  const ask = askBy(original, agent, destination.storeUri);
  new HeldRequest(request, destination, release, ask).begin();
  return request;
}

function patchModule(protocol: Protocol): (() => void)[] {
  const module = protocol.module as typeof Http;
  const restoreRequest = patch(module, "request", (original, isActive) => {
    function request(this: unknown, ...given: Arguments): ClientRequest {
      const governed = isActive() ? governedRequest(protocol, original, given) : undefined;
      return governed ?? Reflect.apply(original, this, given);
    }
    return request as RequestFunction;
  });
  const restoreGet = patch(module, "get", (original, isActive) => {
    function get(this: unknown, ...given: Arguments): ClientRequest {
      // Node's own calls its request by itself, past what stands in its place.
      if (!isActive()) return Reflect.apply(original, this, given);
      const request = Reflect.apply(module.request, module, given);
      request.end();
      return request;
    }
    return get as typeof module.get;
  });
  return [restoreGet, restoreRequest];
}

/** `node:http` and `node:https`, while an adapter governs the process. */
export const nodeHttpSeam: Seam = {
  isWanted: ({ installed }) => installed > 0,
  attach() {
    const restores = [
      ...patchModule({ scheme: "http:", module: require("node:http") }),
      ...patchModule({ scheme: "https:", module: require("node:https") }),
    ];
    // Names that were imported one by one follow.
    syncBuiltinESMExports();
    return () => {
      for (const restore of restores) restore();
      syncBuiltinESMExports();
    };
  },
};
