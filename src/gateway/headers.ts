// Which headers go on, to the server behind and back: all but those that belong to one connection, or to the gateway.
import type { IncomingMessage } from "node:http";

/** Of one connection alone (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** Set anew for the server behind. */
const REPLACED = new Set([
  "host",
  "content-length",
  "expect",
  "x-forwarded-host",
  "x-forwarded-proto",
]);
/** Attributes in headers are for the gateway alone. */
const OWN_PREFIX = "x-genops-";

const NOTHING_NAMED: ReadonlySet<string> = new Set();

/** Headers that the sender of a message calls its connection's own. */
function namedByConnection(connection: string | undefined): ReadonlySet<string> {
  // Nearly always it names nothing.
  if (connection === undefined || /^(?:keep-alive|close)$/i.test(connection)) return NOTHING_NAMED;
  return new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
}

/** Names and values in turn, as they came, without those of the connection. */
function passed(
  rawHeaders: readonly string[],
  connection: string | undefined,
  drops: (name: string) => boolean,
): string[] {
  const named = namedByConnection(connection);
  const headers: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name, value] = [rawHeaders[index] as string, rawHeaders[index + 1] as string];
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || named.has(lower) || drops(lower)) continue;
    headers.push(name, value);
  }
  return headers;
}

/** What is changed in the headers of a request. */
export interface ForwardedRequest {
  readonly upstream: URL;
  /** Does the gateway itself speak HTTPS? */
  readonly isSecure: boolean;
  readonly hidesAuthorization: boolean;
  /** Bytes of the body; undefined when it flows by and nobody has said. */
  readonly contentLength: number | undefined;
  /** Must the answer be readable as it comes? */
  readonly readsReply: boolean;
}

/**
 * A page that was served through the gateway calls it its own origin, as the server behind must see its own: MLflow
 * refuses writes from other origins.
 */
function originFor(origin: string, { headers }: IncomingMessage, upstream: URL): string {
  const isOwn = URL.canParse(origin) && new URL(origin).host === headers.host;
  return isOwn ? upstream.origin : origin;
}

/** Headers for the server behind, names and values in turn. */
export function requestHeaders(request: IncomingMessage, to: ForwardedRequest): string[] {
  const { headers, rawHeaders, socket } = request;
  const drops = (name: string) =>
    REPLACED.has(name) ||
    name.startsWith(OWN_PREFIX) ||
    name === "x-forwarded-for" ||
    name === "origin" ||
    (name === "authorization" && to.hidesAuthorization) ||
    (name === "accept-encoding" && to.readsReply);
  const forwarded = passed(rawHeaders, headers.connection, drops);
  forwarded.push("Host", to.upstream.host);
  const before = headers["x-forwarded-for"];
  const from = socket.remoteAddress ?? "unknown";
  forwarded.push("X-Forwarded-For", before === undefined ? from : `${String(before)}, ${from}`);
  forwarded.push("X-Forwarded-Proto", to.isSecure ? "https" : "http");
  if (headers.host !== undefined) forwarded.push("X-Forwarded-Host", headers.host);
  if (headers.origin !== undefined) {
    forwarded.push("Origin", originFor(headers.origin, request, to.upstream));
  }
  if (to.contentLength !== undefined) forwarded.push("Content-Length", String(to.contentLength));
  return forwarded;
}

/** Headers of an answer for the caller, names and values in turn. */
export function replyHeaders(rawHeaders: readonly string[]): string[] {
  return passed(rawHeaders, headerIn(rawHeaders, "connection"), () => false);
}

/** The first value of a header, whose name is given in lower case; of names and values in turn. */
export function headerIn(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] as string;
    if (given.length === name.length && given.toLowerCase() === name) return rawHeaders[index + 1];
  }
  return undefined;
}

/** Headers that may say who is calling, each with all of its values: no client may say it twice. */
export function callerHeaders(rawHeaders: readonly string[]): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (name !== "host" && name !== "authorization" && !name.startsWith(OWN_PREFIX)) continue;
    const value = rawHeaders[index + 1] as string;
    const before = headers[name];
    if (before === undefined) headers[name] = [value];
    else before.push(value);
  }
  return headers;
}
