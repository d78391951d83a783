// Ten million random operations equal the twin, to the last unit, everywhere; and so do seeds that once did not.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { seedOfToday } from "./random.js";
import { walk } from "./walk.js";

const SEEDS = new URL("./seeds/", import.meta.url);
const WALKS = 10;
const OPERATIONS = 1_000_000;

/** Walks, and keeps the seed of a walk that went wrong, for it to be walked again from then on. */
function keepingSeed(seed: number, operations: number): void {
  try {
    walk(seed, operations);
  } catch (error) {
    mkdirSync(SEEDS, { recursive: true });
    writeFileSync(new URL(`${seed}.json`, SEEDS), `${JSON.stringify({ seed, operations })}\n`);
    throw new Error(`seed ${seed} is kept in test/engine/seeds`, { cause: error });
  }
}

const minutes = Number(process.env.GENOPS_TEST_SOAK_MINUTES ?? 0);

function soak(): void {
  it(`goes on for ${minutes} minutes`, { timeout: (minutes + 10) * 60_000 }, () => {
    const end = Date.now() + minutes * 60_000;
    let walked = 0;
    for (let seed = seedOfToday(); Date.now() < end; seed++) {
      keepingSeed(seed, OPERATIONS);
      walked += OPERATIONS;
      console.log(`${walked.toLocaleString("en")} operations, seed ${seed}`);
    }
    expect(walked).toBeGreaterThan(0);
  });
}

function walks(): void {
  const seed = seedOfToday();
  it.each(Array.from({ length: WALKS }, (_, index) => seed + index))(
    "of a million operations from seed %i equals the twin",
    { timeout: 300_000 },
    (start) => keepingSeed(start, OPERATIONS),
  );

  const kept = readdirSync(SEEDS).filter((name) => name.endsWith(".json"));
  it.each(kept)("that went wrong once does so no more: %s", { timeout: 300_000 }, (name) => {
    const { seed: again, operations } = JSON.parse(readFileSync(new URL(name, SEEDS), "utf8"));
    walk(again, operations);
  });
}

describe("a walk", minutes > 0 ? soak : walks);
