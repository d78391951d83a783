// What somebody who wrote a name wrong most likely meant.
import { closest, distance } from "fastest-levenshtein";

/** The nearest of the valid names, when a slip of the pen could lead there. */
export function nearestName(name: string, valid: readonly string[]): string | undefined {
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
