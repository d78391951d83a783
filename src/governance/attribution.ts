// Who pays for an operation: the governance attributes, and the tags that carry them on a run.
import { OVERFLOW, UNATTRIBUTED } from "../engine/index.js";
import { ConfigurationError } from "./errors.js";

/** Governance attributes. `feature` is told in telemetry; the others are dimensions of every summary. */
export interface GovernanceAttributes {
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly customerId?: string | undefined;
  readonly environment?: string | undefined;
  readonly costCenter?: string | undefined;
  readonly feature?: string | undefined;
}

/** Attribute → name after `genops.`, on tags and in telemetry alike. */
export const ATTRIBUTE_NAMES: Readonly<Record<keyof GovernanceAttributes, string>> = {
  team: "team",
  project: "project",
  customerId: "customer_id",
  environment: "environment",
  costCenter: "cost_center",
  feature: "feature",
};

export const ATTRIBUTES = Object.keys(ATTRIBUTE_NAMES) as (keyof GovernanceAttributes)[];

/** Are two the same in all by which the ledger keeps payers? A feature is not among it. */
export function isSamePayer(one: GovernanceAttributes, other: GovernanceAttributes): boolean {
  return ATTRIBUTES.every((name) => name === "feature" || one[name] === other[name]);
}

/** Longest attribute value, in characters: MLflow keeps at most 5,000 in a tag, the engine 4,096 bytes. */
const VALUE_LENGTH_MAX = 250;

/** Names that breakdowns use for what has no name, or no room for one. */
const RESERVED: readonly string[] = [UNATTRIBUTED, OVERFLOW];

/** Control characters and halves of characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/**
 * @throws {ConfigurationError} `INVALID_OPTION` unless the value is text of 1 to 250 characters, without
 *   control characters, and none of the names that breakdowns use themselves.
 */
export function checkAttribute(field: string, value: unknown): string {
  if (typeof value === "string" && RESERVED.includes(value)) {
    throw new ConfigurationError(
      "INVALID_OPTION",
      field,
      value,
      `${field}: ${JSON.stringify(value)} is what breakdowns call costs without a name; choose another`,
    );
  }
  if (
    typeof value !== "string" ||
    value.trim() === "" ||
    value.length > VALUE_LENGTH_MAX ||
    UNPRINTABLE.test(value)
  ) {
    const shown =
      typeof value === "string"
        ? JSON.stringify(value.slice(0, 40))
        : typeof value === "object" && value !== null
          ? "(an object)"
          : String(value);
    throw new ConfigurationError(
      "INVALID_OPTION",
      field,
      value,
      `${field}: ${shown} is not a name of 1 to ${VALUE_LENGTH_MAX} printable characters; leave the option out when there is none`,
    );
  }
  return value;
}

/** Takes the attributes out of an options object, checked. */
export function attributesOf(options: object): GovernanceAttributes {
  const attributes: Partial<Record<keyof GovernanceAttributes, string>> = {};
  for (const name of ATTRIBUTES) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined) attributes[name] = checkAttribute(name, value);
  }
  return attributes;
}

/** An MLflow tag as it stands in a request. */
export interface RunTag {
  readonly key: string;
  readonly value: string;
}

/** The tags that tell MLflow's own users who pays. */
export function governanceTags(attributes: GovernanceAttributes): RunTag[] {
  return ATTRIBUTES.flatMap((name) => {
    const value = attributes[name];
    return value === undefined ? [] : [{ key: `genops.${ATTRIBUTE_NAMES[name]}`, value }];
  });
}

/** The attributes that tags carry; the program that writes its own tags is trusted with them. */
export function attributesOfTags(tags: readonly RunTag[]): GovernanceAttributes {
  const attributes: Partial<Record<keyof GovernanceAttributes, string>> = {};
  for (const name of ATTRIBUTES) {
    const tag = tags.find(({ key }) => key === `genops.${ATTRIBUTE_NAMES[name]}`);
    if (tag?.value && !RESERVED.includes(tag.value))
      attributes[name] = tag.value.slice(0, VALUE_LENGTH_MAX);
  }
  return attributes;
}
