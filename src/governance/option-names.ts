// Rejects options that nobody reads, by name and with the nearest one that exists.
import { nearestName } from "../nearest-name.js";
import { ConfigurationError } from "./errors.js";

/** An object of names and values: no list, no map, no instance of something else. */
export function isRecord(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** @throws {ConfigurationError} `UNKNOWN_OPTION` for the first key that is not valid. */
export function rejectUnknown(given: object, valid: readonly string[], where: string): void {
  for (const key of Object.keys(given)) {
    if (valid.includes(key)) continue;
    const suggestion = nearestName(key, valid);
    throw new ConfigurationError(
      "UNKNOWN_OPTION",
      key,
      (given as Record<string, unknown>)[key],
      `${where}: unknown option ${JSON.stringify(key)}; ${
        suggestion ? `did you mean ${JSON.stringify(suggestion)}?` : `valid are ${valid.join(", ")}`
      }`,
      suggestion,
    );
  }
}
