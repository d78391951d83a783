// Fetching where Node's own fetch cannot: through a proxy, or with certificates of one's own.
import { readFileSync } from "node:fs";
import { getProxyForUrl } from "proxy-from-env";
import type { TransportSettings } from "./capabilities.js";

type Fetch = typeof fetch;

/** Deno and Bun heed the environment's proxies by themselves. */
const HEEDS_PROXIES = "deno" in process.versions || "bun" in process.versions;

/** Connections are kept alive per transport, so each kind of it is opened once. */
const opened = new Map<string, Promise<Fetch>>();

export function openTransport(
  url: string,
  settings: TransportSettings,
): Promise<Fetch> | undefined {
  const { insecureTls, serverCertPath, clientCertPath } = settings;
  const proxy = HEEDS_PROXIES ? "" : getProxyForUrl(url);
  const isPlain = !insecureTls && serverCertPath === undefined && clientCertPath === undefined;
  if (proxy === "" && isPlain) return undefined;
  const key = JSON.stringify([proxy, insecureTls, serverCertPath, clientCertPath]);
  let transport = opened.get(key);
  if (transport === undefined) {
    transport = open(proxy, settings);
    opened.set(key, transport);
    // What was missing may be there the next time.
    transport.catch(() => opened.delete(key));
  }
  return transport;
}

function readCertificate(path: string | undefined, what: string): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`The ${what} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

async function open(proxy: string, settings: TransportSettings): Promise<Fetch> {
  const own = readCertificate(settings.clientCertPath, "client certificate");
  const tls = {
    rejectUnauthorized: !settings.insecureTls,
    ca: readCertificate(settings.serverCertPath, "server certificate"),
    cert: own,
    key: own,
  };
  const { Agent, ProxyAgent, fetch: fetchThrough } = await loadUndici(proxy);
  // The client keeps the time itself.
  const timeouts = { headersTimeout: 0, bodyTimeout: 0 };
  const dispatcher =
    proxy === ""
      ? new Agent({ ...timeouts, connect: tls })
      : new ProxyAgent({ ...timeouts, uri: proxyAddress(proxy), requestTls: tls });
  // undici's own fetch: the one built into Node may not fit a dispatcher of another version.
  const fetchHere = (input: unknown, init?: object) =>
    fetchThrough(input as string, { ...init, dispatcher });
  return fetchHere as unknown as Fetch;
}

function proxyAddress(proxy: string): string {
  if (URL.canParse(proxy) && /^https?:$/.test(new URL(proxy).protocol)) return proxy;
  throw new Error(
    "The environment's proxy for this server (HTTP_PROXY or HTTPS_PROXY) is no URL that begins with http:// or https://.",
  );
}

async function loadUndici(proxy: string): Promise<typeof import("undici")> {
  try {
    return await import("undici");
  } catch (error) {
    const reason =
      proxy === ""
        ? "Certificates of one's own need the package 'undici'"
        : "The environment names a proxy for this server (HTTP_PROXY or HTTPS_PROXY), which needs the package 'undici'";
    const direct = proxy === "" ? "" : " Or list the server's host in NO_PROXY.";
    throw new Error(`${reason}: npm install undici.${direct}`, { cause: error });
  }
}
