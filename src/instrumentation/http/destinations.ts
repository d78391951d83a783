// Which requests of a program go to its MLflow servers: those below the tracking and registry URIs.
import { explicitRegistryUri, getTrackingUri, locateStore } from "../../mlflow/store-uri.js";
import { governors } from "../scopes.js";

/** A request that goes to an MLflow server. */
export interface Destination {
  /** The server's URI, without credentials and trailing slash. */
  readonly storeUri: string;
  /** Path and query below it. */
  readonly target: string;
}

/** A server as requests name it. */
interface Server {
  readonly storeUri: string;
  readonly origin: string;
  /** Path before MLflow's own; empty for none. */
  readonly basePath: string;
}

/** What a URI names, found out once; undefined for a folder, and for what is no URI. */
const servers = new Map<string, Server | undefined>();
const SERVERS_MAX = 256;

function serverAt(uri: string): Server | undefined {
  try {
    const location = locateStore(uri);
    if (location.kind !== "rest") return undefined;
    const { origin, pathname } = new URL(location.uri);
    return { storeUri: location.uri, origin, basePath: pathname.replace(/\/+$/, "") };
  } catch {
    // Whoever uses it is told by the client.
    return undefined;
  }
}

function knownServer(uri: string): Server | undefined {
  if (!servers.has(uri)) {
    if (servers.size >= SERVERS_MAX) servers.clear();
    servers.set(uri, serverAt(uri));
  }
  return servers.get(uri);
}

function trackingUri(): string | undefined {
  try {
    return getTrackingUri();
  } catch {
    return undefined;
  }
}

/** URIs in force: of the client and the environment, and those that adapters were given. */
function* urisInForce(): Iterable<string> {
  const uris = [trackingUri(), explicitRegistryUri()];
  for (const { configuration } of governors()) {
    uris.push(configuration.trackingUri, configuration.registryUri);
  }
  for (const uri of uris) if (uri !== undefined) yield uri;
}

/** Where an absolute URL leads; undefined when that is no MLflow server of this program. */
export function destinationOf(url: URL): Destination | undefined {
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined;
  for (const uri of urisInForce()) {
    const server = knownServer(uri);
    if (server === undefined || server.origin !== url.origin) continue;
    const { storeUri, basePath } = server;
    const { pathname } = url;
    if (pathname !== basePath && !pathname.startsWith(`${basePath}/`)) continue;
    return { storeUri, target: (pathname.slice(basePath.length) || "/") + url.search };
  }
  return undefined;
}
