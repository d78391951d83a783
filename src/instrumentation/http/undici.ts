// Governs MLflow requests that go through undici: those of the package of that name, and of whoever took the global
// `fetch` along before it was governed. Both end at the dispatcher that Node and the package share.
import { patch } from "../patch.js";
import { type Seam, ungoverned } from "../scopes.js";
import type { RefusalAnswer } from "../wire/refusal.js";
import { destinationOf } from "./destinations.js";
import { type Ask, admit, type Exchange, needsBody } from "./exchange.js";
import { isBelowGoverned, whileGoverned } from "./nesting.js";

type Headers = Readonly<Record<string, unknown>> | readonly unknown[] | null | undefined;

interface DispatchOptions {
  readonly origin?: string | URL;
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly headers?: Headers;
  readonly body?: unknown;
}

type Callback = (...given: unknown[]) => unknown;
type Handler = Readonly<Record<string, unknown>>;
type Dispatch = (this: unknown, options: DispatchOptions, handler: Handler) => boolean;
interface Dispatcher {
  dispatch: Dispatch;
}

const GLOBAL_DISPATCHER = Symbol.for("undici.globalDispatcher.1");
/** Of undici's handlers, those before version 7 and those since. */
const EVENTS = [
  ..."onConnect onUpgrade onHeaders onData onComplete onError onBodySent onRequestSent".split(" "),
  ..."onResponseStarted onRequestStart onRequestUpgrade onResponseStart".split(" "),
  ..."onResponseData onResponseEnd onResponseError".split(" "),
];
const CREDENTIALS = ["authorization", "cookie", "x-mlflow-workspace"];
const ENCODER = new TextEncoder();

/** Headers as pairs, whichever way they were given. */
function pairsOf(headers: Headers): [string, string][] {
  if (headers == null) return [];
  if (!Array.isArray(headers) && !(Symbol.iterator in headers)) {
    return Object.entries(headers).map(([name, value]) => [name, String(value)]);
  }
  const list = [...(headers as Iterable<unknown>)];
  if (list.every((entry) => Array.isArray(entry))) {
    return list.map(([name, value]) => [String(name), String(value)]);
  }
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < list.length; at += 2) {
    pairs.push([String(list[at]), String(list[at + 1])]);
  }
  return pairs;
}

async function bytesOf(body: unknown): Promise<Uint8Array | undefined> {
  if (body == null) return undefined;
  if (typeof body === "string") return ENCODER.encode(body);
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  }
  if (typeof body === "object" && Symbol.asyncIterator in body) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body as AsyncIterable<Uint8Array | string>) {
      chunks.push(typeof chunk === "string" ? ENCODER.encode(chunk) : chunk);
    }
    return Buffer.concat(chunks);
  }
  return new Uint8Array(await new Response(body as BodyInit).arrayBuffer());
}

function lengthOf(body: unknown, told: string | undefined): number | undefined {
  if (typeof body === "string") return ENCODER.encode(body).length;
  if (ArrayBuffer.isView(body)) return body.byteLength;
  return told !== undefined && /^\d+$/.test(told) ? Number(told) : undefined;
}

/** Asks as the governed request would, with its credentials, past everything that governs. */
function askBy(storeUri: string, header: (name: string) => string | undefined): Ask {
  return async (method, target, message) => {
    const headers: Record<string, string> = {};
    for (const name of CREDENTIALS) {
      const value = header(name);
      if (value !== undefined) headers[name] = value;
    }
    if (message !== undefined) headers["content-type"] = "application/json";
    const body = message === undefined ? null : JSON.stringify(message);
    const response = await ungoverned(() =>
      whileGoverned(() => globalThis.fetch(storeUri + target, { method, headers, body })),
    );
    if (response.status !== 200) throw new Error(`${target} was answered ${response.status}.`);
    return response.json();
  };
}

/** Answers in the place of a server. */
function refuse(handler: Handler, { status, headers, body }: RefusalAnswer): void {
  const call = (name: string, ...given: unknown[]) => (handler[name] as Callback)?.(...given);
  const bytes = Buffer.from(body);
  const nothing = () => {};
  if (typeof handler.onRequestStart === "function") {
    const controller = {
      aborted: false,
      paused: false,
      reason: null,
      abort: nothing,
      pause: nothing,
      resume: nothing,
    };
    call("onRequestStart", controller, {});
    call("onResponseStart", controller, status, { ...headers }, "");
    call("onResponseData", controller, bytes);
    call("onResponseEnd", controller, {});
    return;
  }
  const raw = Object.entries(headers)
    .flat()
    .map((text) => Buffer.from(text));
  call("onConnect", nothing, {});
  call("onHeaders", status, raw, nothing, "");
  call("onData", bytes);
  call("onComplete", []);
}

/** A handler that sees what comes of the request, and takes nothing away from the other. */
function watching(handler: Handler, exchange: Exchange): Handler {
  let status = 0;
  const chunks: Uint8Array[] = [];
  const begin = (answered: unknown) => {
    status = Number(answered);
    if (status === 200 && !exchange.wantsReply) void exchange.answered({ status });
  };
  const keep = (chunk: unknown) => {
    if (status !== 200 || exchange.wantsReply) chunks.push(Buffer.from(chunk as Uint8Array));
  };
  const end = () => void exchange.answered({ status, body: Buffer.concat(chunks) });
  const seen: Record<string, Callback> = {
    // 1xx come before the answer itself.
    onHeaders: (answered) => Number(answered) >= 200 && begin(answered),
    onResponseStart: (_, answered) => Number(answered) >= 200 && begin(answered),
    onData: keep,
    onResponseData: (_, chunk) => keep(chunk),
    onComplete: end,
    onResponseEnd: end,
    onError: (error) => exchange.failed(error),
    onResponseError: (_, error) => exchange.failed(error),
  };
  const watcher: Record<string, Callback> = {};
  for (const name of EVENTS) {
    if (typeof handler[name] !== "function") continue;
    watcher[name] = (...given) => {
      seen[name]?.(...given);
      return (handler[name] as Callback)(...given);
    };
  }
  return watcher;
}

/** Counts what goes by, and ends it when there is no room for more. */
async function* counted(body: AsyncIterable<Uint8Array>, exchange: Exchange) {
  let total = 0;
  for await (const chunk of body) {
    total += chunk.length;
    const refusal = exchange.grow(total);
    if (refusal !== undefined) throw refusal;
    yield chunk;
  }
}

async function governed(
  dispatch: (options: DispatchOptions, handler: Handler) => boolean,
  options: DispatchOptions,
  handler: Handler,
  url: URL,
): Promise<void> {
  const destination = destinationOf(url);
  const { method = "GET", body } = options;
  if (destination === undefined) {
    dispatch(options, handler);
    return;
  }
  const pairs = pairsOf(options.headers);
  const header = (name: string) => pairs.find(([key]) => key.toLowerCase() === name)?.[1];
  const bytes = needsBody(method, destination) ? await bytesOf(body) : undefined;
  const admission = await admit({
    method,
    destination,
    body: bytes,
    contentLength: lengthOf(body, header("content-length")),
    contentEncoding: header("content-encoding"),
    experimentId: header("x-mlflow-experiment-id"),
    ask: askBy(destination.storeUri, header),
  });
  if (admission.kind === "refused") return refuse(handler, admission.answer);
  const exchange = admission.kind === "governed" ? admission.exchange : undefined;
  // What was read once cannot be read again.
  let sent: unknown = exchange?.body ?? bytes ?? body;
  if (exchange?.isOpen && typeof body === "object" && body && Symbol.asyncIterator in body) {
    sent = counted(body as AsyncIterable<Uint8Array>, exchange);
  }
  const headers =
    exchange?.body === undefined
      ? options.headers
      : pairs.filter(([name]) => name.toLowerCase() !== "content-length").flat();
  const watched = exchange === undefined ? handler : watching(handler, exchange);
  dispatch({ ...options, headers, body: sent }, watched);
}

/** Where all dispatchers of a copy of undici have their `dispatch`. */
function sharedPrototype(): Dispatcher | undefined {
  // Node loads its own undici when one of its classes is first asked for.
  void globalThis.Response;
  let found = (globalThis as Record<symbol, unknown>)[GLOBAL_DISPATCHER] as object | undefined;
  while (found != null && !Object.hasOwn(found, "dispatch")) found = Object.getPrototypeOf(found);
  return (found ?? undefined) as Dispatcher | undefined;
}

function urlOf({ origin, path, query }: DispatchOptions): URL | undefined {
  try {
    const url = new URL(path ?? "/", origin);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.append(name, value);
    return url;
  } catch {
    return undefined;
  }
}

/** undici's dispatchers, while an adapter governs the process. */
export const undiciSeam: Seam = {
  isWanted: ({ installed }) => installed > 0,
  attach() {
    const prototype = sharedPrototype();
    if (prototype === undefined) return () => {};
    return patch(prototype, "dispatch", (original, isActive) => {
      return function dispatch(this: unknown, options: DispatchOptions, handler: Handler): boolean {
        const url = !isActive() || isBelowGoverned() ? undefined : urlOf(options);
        if (url === undefined || destinationOf(url) === undefined) {
          return original.call(this, options, handler);
        }
        // An agent passes requests on to its pools, and those to their clients.
        const inner = (other: DispatchOptions, watcher: Handler) =>
          whileGoverned(() => original.call(this, other, watcher));
        governed(inner, options, handler, url).catch((error: unknown) => {
          const onError = handler.onError ?? handler.onResponseError;
          if (typeof onError !== "function") return;
          if (handler.onError === undefined) onError.call(handler, {}, error);
          else onError.call(handler, error);
        });
        return true;
      };
    });
  },
};
