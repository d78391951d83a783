// `x-genops-team` and its like: attributes that a proxy in front sets, for calls from its address alone.
import type { IncomingMessage } from "node:http";
import type { BlockList } from "node:net";
import { checkAttribute, type GovernanceAttributes } from "../../governance/attribution.js";
import { ConfigurationError } from "../../governance/errors.js";
import { type AttributeName, attributeOfName } from "../attribute-pairs.js";

const PREFIX = "x-genops-";

/** Is this the address of somebody whose headers are believed? IPv4 within IPv6 is IPv4. */
export function isTrustedAddress(addresses: BlockList, address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  return addresses.check(plain, plain.includes(":") ? "ipv6" : "ipv4");
}

/** @throws {ConfigurationError} for unknown names, a header that is there twice, and values that are none. */
export function attributesOfHeaders(
  headers: IncomingMessage["headersDistinct"],
): GovernanceAttributes {
  const attributes: Partial<Record<AttributeName, string>> = {};
  for (const [header, values = []] of Object.entries(headers)) {
    if (!header.startsWith(PREFIX)) continue;
    const attribute = attributeOfName("headers", header.slice(PREFIX.length).replace(/-/g, "_"));
    const [value = "", surplus] = values;
    // A proxy that adds its header to the caller's own must not have the caller's believed.
    if (surplus !== undefined || attributes[attribute] !== undefined) {
      throw new ConfigurationError(
        "INVALID_OPTION",
        header,
        "(hidden)",
        `${header} is there twice; have the proxy replace it, not add to it`,
      );
    }
    // Headers are bytes, which Node shows as Latin-1.
    attributes[attribute] = checkAttribute(header, Buffer.from(value, "latin1").toString("utf8"));
  }
  return attributes;
}
