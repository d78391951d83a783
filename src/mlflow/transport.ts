// What fetches from an address: the global `fetch`, unless certificates or a proxy need another.
import { currentRuntime, type TransportSettings } from "../runtime/capabilities.js";
import { MlflowError, reasonOf } from "./errors.js";

const PLAIN: TransportSettings = {
  insecureTls: false,
  serverCertPath: undefined,
  clientCertPath: undefined,
};

let underway = false;

/**
 * Is the global `fetch` being called by this client at this moment? Whoever has patched it can tell by that
 * a request that has passed the interceptors from all others.
 */
export function isOwnRequest(): boolean {
  return underway;
}

const fetchPlainly: typeof fetch = (input, init) => {
  underway = true;
  try {
    return globalThis.fetch(input, init);
  } finally {
    underway = false;
  }
};

/**
 * What fetches from `url`. Without settings nothing is known of whoever is there but the address: a
 * cloud that a server names has other certificates than the server.
 * Rejects with MlflowError when something is missing for it.
 */
export async function transportTo(
  url: string,
  settings: TransportSettings = PLAIN,
): Promise<typeof fetch> {
  const { openTransport } = currentRuntime();
  const { insecureTls, serverCertPath, clientCertPath } = settings;
  const ownTls = insecureTls || serverCertPath !== undefined || clientCertPath !== undefined;
  if (openTransport === undefined && ownTls) {
    throw new MlflowError(
      "NOT_IMPLEMENTED",
      "In this runtime fetch decides about certificates by itself; leave out insecureTls, serverCertPath and clientCertPath.",
    );
  }
  try {
    const own = await openTransport?.(url, { insecureTls, serverCertPath, clientCertPath });
    // Looked up at each call, so that instrumentation of the global fetch sees this client too.
    return own ?? fetchPlainly;
  } catch (error) {
    throw new MlflowError("INVALID_STATE", reasonOf(error), { cause: error });
  }
}
