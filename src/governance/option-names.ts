// Rejects options that nobody reads, by name and with the nearest one that exists.
import { closest, distance } from "fastest-levenshtein";
import { ConfigurationError } from "./errors.js";

/** The nearest of the valid names, when a slip of the pen could lead there. */
export function nearest(name: string, valid: readonly string[]): string | undefined {
  if (valid.length === 0) return undefined;
  // Names written in another convention (team_name, TeamName) are near too.
  const plain = (text: string) => text.replace(/[-_]/g, "").toLowerCase();
  const same = valid.find((candidate) => plain(candidate) === plain(name));
  if (same !== undefined) return same;
  const candidate = closest(name, [...valid]);
  return distance(name, candidate) <= Math.max(2, Math.floor(candidate.length / 3))
    ? candidate
    : undefined;
}

/** @throws {ConfigurationError} `UNKNOWN_OPTION` for the first key that is not valid. */
export function rejectUnknown(given: object, valid: readonly string[], where: string): void {
  for (const key of Object.keys(given)) {
    if (valid.includes(key)) continue;
    const suggestion = nearest(key, valid);
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
