// The name under which a gateway is called, as its Host header tells it.
import { isIP } from "node:net";

/** Is this an address that only this machine reaches? */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** `[::1]:5001` → `::1`. */
function withoutPort(header: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(header) ?? [];
  return (bracketed ?? plain ?? "").toLowerCase();
}

/** Addresses are nobody's to give; names must be among these, or be this machine's own. */
export function isKnownHost(header: string, names: readonly string[]): boolean {
  const host = withoutPort(header);
  if (isIP(host) !== 0 || host === "localhost" || host.endsWith(".localhost")) return true;
  return names.some((name) => name.toLowerCase() === host);
}
