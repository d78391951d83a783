// Names: their hashes spread them over the index, whatever they have in common.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { rowsOf } from "./rich.js";

const NAMES = 14;
const COUNT = 4096;

/** In how many places of an index of twice as many the names of runs begin to be looked for. */
function placesTaken(nameOf: (index: number) => string): number {
  const engine = createEngine({ runs: COUNT, names: 2 * COUNT, nameBytes: 2 ** 19 });
  for (let index = 0; index < COUNT; index++) engine.openRun({ runId: nameOf(index) });
  const hashes = rowsOf(engine.snapshot())
    .map((row) => new DataView(row.buffer, row.byteOffset))
    .filter((row) => row.getUint32(0, true) === NAMES)
    .map((row) => row.getUint32(8 + 8, true));
  return new Set(hashes.map((hash) => hash % (2 * COUNT))).size;
}

describe("names that differ in little", () => {
  it.each([
    ["32 digits, counting up in the last", (index: number) => index.toString(16).padStart(32, "0")],
    ["32 digits, counting up in the first", (i: number) => i.toString(16).padEnd(32, "0")],
    ["8 characters", (index: number) => index.toString(36).padStart(8, "z")],
    ["13 characters", (index: number) => `run-${String(index).padStart(9, "0")}`],
    ["3 characters", (index: number) => index.toString(36).padStart(3, "0")],
  ])("are spread as evenly as chance would: %s", (_what, nameOf) => {
    // Chance takes 2 × COUNT × (1 - e^-½) = 3,223 places, with a deviation of less than 30.
    expect(placesTaken(nameOf)).toBeGreaterThan(3000);
  });
});
