// Options that nobody reads: refused by name, with the nearest one that exists.
import { nearestName } from "../nearest-name.js";
import { EngineError } from "./errors.js";

/**
 * Checks that options are an object whose every key is known.
 * @throws {EngineError} `INVALID_OPTION`, naming the first key that is not.
 */
export function checkOptionNames(where: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new EngineError(
      "INVALID_OPTION",
      where,
      given,
      `${where}: ${String(given)} is no object of options; they are ${known.join(", ")}`,
    );
  }
  for (const key in given) {
    // What is undefined is as good as left out.
    if (known.includes(key) || (given as Record<string, unknown>)[key] === undefined) continue;
    const near = nearestName(key, known);
    const advice = near === undefined ? `valid are ${known.join(", ")}` : `did you mean "${near}"?`;
    throw new EngineError(
      "INVALID_OPTION",
      key,
      (given as Record<string, unknown>)[key],
      `${where}: unknown option "${key}"; ${advice}`,
    );
  }
}
