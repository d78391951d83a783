// Governs MLflow requests that a program makes through the global `fetch`, whichever client makes them.
import { isOwnRequest } from "../../mlflow/transport.js";
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
import { whileGoverned } from "./nesting.js";

type Fetch = typeof fetch;
type Input = Parameters<Fetch>[0];
type Init = RequestInit & { duplex?: "half" };

/** Methods that fetch writes in capitals however they are given. */
const NORMALIZED = /^(?:delete|get|head|options|post|put)$/i;
const ENCODER = new TextEncoder();
/** Headers that a question of our own takes along: who asks, and where. */
const CREDENTIALS = ["authorization", "cookie", "x-mlflow-workspace"];

function urlOf(input: Input): URL | undefined {
  try {
    if (input instanceof URL) return input;
    const text = typeof input === "string" ? input : input.url;
    return new URL(text, (globalThis as { location?: { href?: string } }).location?.href);
  } catch {
    return undefined;
  }
}

function requestOf(input: Input): Request | undefined {
  return typeof input === "string" || input instanceof URL ? undefined : input;
}

function methodOf(input: Input, init: Init | undefined): string {
  const method = init?.method ?? requestOf(input)?.method ?? "GET";
  return NORMALIZED.test(method) ? method.toUpperCase() : method;
}

function headersOf(input: Input, init: Init | undefined): Headers {
  return new Headers(init?.headers ?? requestOf(input)?.headers);
}

async function bytesOf(input: Input, init: Init | undefined): Promise<Uint8Array | undefined> {
  const body = init?.body;
  if (typeof body === "string") return ENCODER.encode(body);
  if (body != null) return new Uint8Array(await new Response(body).arrayBuffer());
  const request = requestOf(input);
  return request?.body == null ? undefined : new Uint8Array(await request.clone().arrayBuffer());
}

function isStream(body: unknown): boolean {
  return typeof (body as { getReader?: unknown } | null | undefined)?.getReader === "function";
}

/** Bytes that a request will have; undefined when nobody has told. */
function lengthOf(init: Init | undefined, headers: Headers): number | undefined {
  const body = init?.body as unknown;
  if (typeof body === "string") return ENCODER.encode(body).length;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return body.byteLength;
  if (body instanceof Blob) return body.size;
  const told = headers.get("content-length");
  return told !== null && /^\d+$/.test(told) ? Number(told) : undefined;
}

function responseOf({ status, headers, body }: RefusalAnswer): Response {
  return new Response(body, { status, headers });
}

function askBy(original: Fetch, { storeUri }: Destination, headers: Headers): Ask {
  return async (method, target, message) => {
    const own = new Headers();
    for (const name of CREDENTIALS) {
      const value = headers.get(name);
      if (value !== null) own.set(name, value);
    }
    if (message !== undefined) own.set("content-type", "application/json");
    const body = message === undefined ? null : JSON.stringify(message);
    const response = await original(storeUri + target, { method, headers: own, body });
    if (response.status !== 200) throw new Error(`${target} was answered ${response.status}.`);
    return response.json();
  };
}

/** A request with another body. */
function withBody(input: Input, init: Init | undefined, body: BodyInit): readonly [Input, Init] {
  const headers = headersOf(input, init);
  // What was said of the former body; fetch counts anew.
  headers.delete("content-length");
  const changed: Init = { ...init, headers, body, ...(isStream(body) && { duplex: "half" }) };
  return [input, changed];
}

/** Counts what goes by, and ends it when there is no room for more. */
function counted(
  body: ReadableStream<Uint8Array>,
  exchange: Exchange,
  onCut: (answer: RefusalAnswer) => void,
): ReadableStream<Uint8Array> {
  let total = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      total += chunk.byteLength;
      const refusal = exchange.grow(total);
      if (refusal === undefined) {
        controller.enqueue(chunk);
        return;
      }
      onCut(answerTo(refusal));
      controller.error(refusal);
    },
  });
  return body.pipeThrough(counter);
}

async function governed(
  original: Fetch,
  input: Input,
  init: Init | undefined,
  destination: Destination,
): Promise<Response> {
  const method = methodOf(input, init);
  const headers = headersOf(input, init);
  const body = needsBody(method, destination) ? await bytesOf(input, init) : undefined;
  const admission = await admit({
    method,
    destination,
    body,
    contentLength: lengthOf(init, headers),
    contentEncoding: headers.get("content-encoding") ?? undefined,
    experimentId: headers.get("x-mlflow-experiment-id") ?? undefined,
    ask: askBy(original, destination, headers),
  });
  if (admission.kind === "refused") return responseOf(admission.answer);
  // A stream that was read is sent as what was read.
  const consumed = body !== undefined && isStream(init?.body);
  if (admission.kind === "ungoverned") {
    return consumed ? original(...withBody(input, init, body as BodyInit)) : original(input, init);
  }
  const { exchange } = admission;
  const replaced = exchange.body ?? (consumed ? body : undefined);
  let sent: readonly [Input, Init | undefined] = [input, init];
  let cut: RefusalAnswer | undefined;
  if (replaced !== undefined) {
    sent = withBody(input, init, replaced as BodyInit);
  } else if (exchange.isOpen) {
    const stream = isStream(init?.body) ? init?.body : requestOf(input)?.body;
    if (stream != null) {
      const onCut = (answer: RefusalAnswer) => {
        cut = answer;
      };
      sent = withBody(input, init, counted(stream as ReadableStream<Uint8Array>, exchange, onCut));
    }
  }
  let response: Response;
  try {
    response = await original(...sent);
  } catch (error) {
    if (cut !== undefined) return responseOf(cut);
    exchange.failed(error);
    throw error;
  }
  await settle(exchange, response);
  return response;
}

/** Books the answer, of which the caller reads its own copy. */
async function settle(exchange: Exchange, response: Response): Promise<void> {
  const { status } = response;
  try {
    const isRead = exchange.wantsReply || status !== 200;
    const body = isRead ? new Uint8Array(await response.clone().arrayBuffer()) : undefined;
    await exchange.answered({ status, body });
  } catch (error) {
    exchange.failed(error);
  }
}

async function sendPresigned(
  original: Fetch,
  input: Input,
  init: Init | undefined,
  url: string,
): Promise<Response> {
  const admitted = admitPresigned(url, lengthOf(init, headersOf(input, init)));
  if (typeof admitted !== "function") return responseOf(admitted);
  const response = await original(input, init);
  admitted(response.status);
  return response;
}

/** The global `fetch`, while an adapter governs the process. */
export const fetchSeam: Seam = {
  isWanted: ({ installed }) => installed > 0,
  attach: () =>
    patch(globalThis, "fetch", (original, isActive) => {
      function fetch(this: unknown, input: Input, init?: Init): Promise<Response> {
        // Asked before anything is awaited: our own client says so only while it calls.
        if (!isActive()) return original.call(this, input, init);
        if (isOwnRequest()) return whileGoverned(() => original.call(this, input, init));
        const url = urlOf(input);
        if (url === undefined) return original.call(this, input, init);
        const plainly: Fetch = (other, options) =>
          whileGoverned(() => original.call(this, other, options));
        if (isPresigned(url.href)) return sendPresigned(plainly, input, init, url.href);
        const destination = destinationOf(url);
        if (destination === undefined) return original.call(this, input, init);
        return governed(plainly, input, init, destination);
      }
      return fetch as Fetch;
    }),
};
