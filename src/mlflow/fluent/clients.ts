// One client per store and workspace, kept for what it learned.
import { MlflowClient } from "../client.js";
import type { ConnectionOptions } from "../connection.js";
import { connectionTo, explicitRegistryUri } from "../store-uri.js";
import { workspaceInForce } from "../workspace.js";

/** Clients kept, by URI: each remembers what it learned. */
const MAX_CLIENTS = 32;

interface KnownClient {
  readonly client: MlflowClient;
  /** How its stores are reached, as it was said when their URIs were set. */
  readonly connections: readonly ConnectionOptions[];
}

const clients = new Map<string, KnownClient>();

export function clientFor(trackingUri: string): MlflowClient {
  const registryUri = explicitRegistryUri();
  const key = JSON.stringify([trackingUri, registryUri, workspaceInForce()]);
  const connections = [trackingUri, registryUri ?? trackingUri].map(connectionTo);
  const known = clients.get(key);
  if (known?.connections.every((own, index) => own === connections[index])) return known.client;
  const client = new MlflowClient({ trackingUri });
  clients.set(key, { client, connections });
  for (const oldest of clients.keys()) {
    if (clients.size <= MAX_CLIENTS) break;
    clients.delete(oldest);
  }
  return client;
}
