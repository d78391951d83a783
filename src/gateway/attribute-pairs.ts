// Governance attributes as `team=ml-team,project=search`: in a tracking URI's path, and in one variable or flag.
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  checkAttribute,
  type GovernanceAttributes,
} from "../governance/attribution.js";
import { ConfigurationError } from "../governance/errors.js";
import { nearestName } from "../nearest-name.js";

export type AttributeName = keyof GovernanceAttributes;

/** Name as it is written outside of programs → attribute. A customer may be called either way. */
const WRITTEN: ReadonlyMap<string, AttributeName> = new Map([
  ...ATTRIBUTES.map((attribute) => [ATTRIBUTE_NAMES[attribute], attribute] as const),
  ["customer", "customerId"] as const,
]);

/** The names that are shown to people. */
const SHOWN: readonly string[] = [...WRITTEN.keys()].filter((name) => name !== "customer_id");

/** The attribute of a written name: `cost_center` → `costCenter`. @throws {ConfigurationError} naming the nearest. */
export function attributeOfName(field: string, name: string): AttributeName {
  const attribute = WRITTEN.get(name);
  if (attribute !== undefined) return attribute;
  const suggestion = nearestName(name, SHOWN);
  throw new ConfigurationError(
    "UNKNOWN_OPTION",
    name,
    undefined,
    `${field}: unknown attribute ${JSON.stringify(name.slice(0, 40))}; ${
      suggestion === undefined
        ? `valid are ${SHOWN.join(", ")}`
        : `did you mean ${JSON.stringify(suggestion)}?`
    }`,
    suggestion,
  );
}

function invalid(field: string, value: string, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

/** A value without its percent-encoding. */
function decoded(field: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw invalid(
      field,
      value,
      `${JSON.stringify(value.slice(0, 40))} is not percent-encoded UTF-8; write %25 for a percent sign`,
    );
  }
}

/**
 * Reads `name=value,name=value`, each percent-encoded.
 * @throws {ConfigurationError} for an unknown name, one that is there twice, and a value that is none.
 */
export function attributesOfPairs(field: string, text: string): GovernanceAttributes {
  const attributes: Partial<Record<AttributeName, string>> = {};
  for (const pair of text.split(",")) {
    const at = pair.indexOf("=");
    if (at <= 0) {
      throw invalid(
        field,
        text,
        `${JSON.stringify(pair.slice(0, 40))} is not name=value; write for example team=ml-team,project=search`,
      );
    }
    const name = decoded(field, pair.slice(0, at)).trim();
    const attribute = attributeOfName(field, name);
    if (attributes[attribute] !== undefined) {
      throw invalid(field, text, `${name} is there twice; name it once`);
    }
    attributes[attribute] = checkAttribute(
      `${field}: ${name}`,
      decoded(field, pair.slice(at + 1)).trim(),
    );
  }
  return attributes;
}
