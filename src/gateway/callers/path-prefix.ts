// `/g/team=ml-team,project=search/…`: attributes in a tracking URI, for clients that can set nothing else.
import type { GovernanceAttributes } from "../../governance/attribution.js";
import { ConfigurationError } from "../../governance/errors.js";
import { attributesOfPairs } from "../attribute-pairs.js";

const PREFIX = /^\/g\/([^/]*)(\/.*)?$/;

export interface PrefixedPath {
  /** What the prefix names; nothing when there is none. */
  readonly attributes: GovernanceAttributes;
  /** Without the prefix. */
  readonly path: string;
}

/** Some clients encode the signs between the names as well. */
function pairsOf(segment: string): string {
  if (segment.includes("=")) return segment;
  return /%3d/i.test(segment) ? decodeURIComponent(segment) : segment;
}

/**
 * Takes the prefix off a path, as it stands in the request, without its query. `staticPrefix` may come before it.
 * @throws {ConfigurationError} for names and values that are none.
 */
export function withoutPrefix(path: string, staticPrefix: string): PrefixedPath {
  const before = staticPrefix !== "" && path.startsWith(`${staticPrefix}/g/`) ? staticPrefix : "";
  const match = PREFIX.exec(path.slice(before.length));
  if (match === null) return { attributes: {}, path };
  const [, segment = "", rest = "/"] = match;
  let pairs: string;
  try {
    pairs = pairsOf(segment);
  } catch {
    const text = "the tracking URI's path: it is not percent-encoded UTF-8";
    throw new ConfigurationError("INVALID_OPTION", "path", segment, text);
  }
  const attributes = attributesOfPairs("the tracking URI's path", pairs);
  return { attributes, path: `${before}${rest}` };
}
