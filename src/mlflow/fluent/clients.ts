// One client per store, kept for what it learned.
import { MlflowClient } from "../client.js";
import { explicitRegistryUri } from "../store-uri.js";

/** Clients kept, by URI: each remembers what it learned. */
const MAX_CLIENTS = 32;

const clients = new Map<string, MlflowClient>();

export function clientFor(trackingUri: string): MlflowClient {
  const registryUri = explicitRegistryUri();
  const key = JSON.stringify([trackingUri, registryUri]);
  const known = clients.get(key);
  if (known !== undefined) return known;
  const client = new MlflowClient({ trackingUri });
  clients.set(key, client);
  for (const oldest of clients.keys()) {
    if (clients.size <= MAX_CLIENTS) break;
    clients.delete(oldest);
  }
  return client;
}
