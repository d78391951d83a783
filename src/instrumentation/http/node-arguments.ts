// The arguments of `http.request`, in all their forms → where the request goes.
import type { RequestOptions } from "node:http";
import type { RequestOptions as SecureRequestOptions } from "node:https";

export type ConnectionOptions = RequestOptions & SecureRequestOptions;

/** Options of a call, its URL among them, and its callback. */
export interface ParsedRequest {
  readonly options: ConnectionOptions;
  readonly url: URL;
  readonly callback: unknown;
}

function optionsOf(url: URL): ConnectionOptions {
  const { protocol, hostname, pathname, search, port, username, password } = url;
  return {
    protocol,
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    path: `${pathname}${search}`,
    ...(port !== "" && { port: Number(port) }),
    ...((username !== "" || password !== "") && {
      auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}`,
    }),
  };
}

/** Reads the arguments of `http.request`; undefined for what it will itself complain of. */
export function parseRequest(scheme: string, given: readonly unknown[]): ParsedRequest | undefined {
  try {
    const rest = [...given];
    const first = rest[0];
    const isUrl = typeof first === "string" || first instanceof URL;
    const fromUrl = isUrl ? optionsOf(new URL(rest.shift() as string | URL)) : {};
    const own = typeof rest[0] === "object" && rest[0] !== null ? rest.shift() : {};
    const options: ConnectionOptions = { ...fromUrl, ...(own as ConnectionOptions) };
    if (options.socketPath != null) return undefined;
    const host = options.hostname ?? options.host ?? "localhost";
    const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
    const protocol = options.protocol ?? scheme;
    const port = options.port == null ? "" : `:${options.port}`;
    const url = new URL(`${protocol}//${name}${port}${options.path ?? "/"}`);
    return { options, url, callback: rest[0] };
  } catch {
    return undefined;
  }
}
