// A folder with the packed package, the vectors, and the programs that play them.
import { cp, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { build, type Plugin } from "esbuild";
import { expect, type TestContext } from "vitest";
import { type Consumer, installPackage } from "../package/consumer.js";
import { programOf, Unavailable } from "./install.js";
import type { Pin } from "./pins.js";
import { writeVectors } from "./vectors.js";

const HERE = import.meta.dirname;

/** A first run downloads what it needs. */
export const PATIENCE = 10 * 60_000;

/** What play.js answers. */
export interface Result {
  readonly mismatches: readonly string[];
  readonly calls: number;
  /** SHA-256 of every snapshot, and of every answer. */
  readonly hash: string;
  readonly transcript: string;
  /** What the runtime calls itself. */
  readonly agent: string;
}

export interface Player {
  readonly consumer: Consumer;
  readonly folder: string;
  /** Calls in the vectors. */
  readonly calls: number;
}

export async function makePlayer(): Promise<Player> {
  const vectors = writeVectors();
  const { suites } = JSON.parse(vectors) as { suites: { calls: unknown[] }[] };
  const calls = suites.reduce((sum, suite) => sum + suite.calls.length, 0);
  const consumer = await installPackage();
  const { folder } = consumer;
  for (const script of ["play.js", "command-line.js"]) {
    await cp(join(HERE, script), join(folder, script));
  }
  for (const room of ["browser", "workerd"]) {
    await cp(join(HERE, room), folder, { recursive: true });
  }
  await writeFile(join(folder, "vectors.json"), vectors);
  const description = { name: "player", type: "module", dependencies: { genops: "*" } };
  await writeFile(join(folder, "package.json"), JSON.stringify(description));
  return { consumer, folder, calls };
}

/** The program of a runtime. Without it a test fails in CI and is skipped elsewhere. */
export async function need(context: TestContext, pin: Pin): Promise<string> {
  try {
    return await programOf(pin);
  } catch (error) {
    if (!(error instanceof Unavailable) || process.env.CI === "true") throw error;
    // The runner's short report keeps the reason to itself.
    process.stderr.write(`Skipped: ${error.message}\n`);
    return context.skip(error.message);
  }
}

/** What a file of the package imports is of no interest. */
const NOTHING_INSIDE: Plugin = {
  name: "nothing-inside",
  setup: ({ onLoad }) => onLoad({ filter: /[\\/]genops[\\/]dist[\\/]/ }, () => ({ contents: "" })),
};

/** File of the package that an import comes to, as a bundler with these conditions finds it. */
export async function exported(
  { folder }: Player,
  specifier: string,
  conditions: readonly string[],
): Promise<string> {
  const { metafile } = await build({
    stdin: { contents: `export * from "${specifier}"`, resolveDir: folder, sourcefile: "importer" },
    absWorkingDir: folder,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    // This platform has no conditions of its own.
    platform: "neutral",
    conditions: [...conditions],
    plugins: [NOTHING_INSIDE],
    logLevel: "silent",
  });
  const [found] = metafile.inputs.importer?.imports ?? [];
  if (found === undefined) throw new Error(`${specifier} comes to nothing`);
  return relative("node_modules/genops", found.path);
}

/** Is a result whole and without mismatches, and from the runtime that it should be from? */
export function expectSound(result: unknown, player: Player, agent: RegExp): Result {
  expect(result).not.toHaveProperty("failed");
  const { mismatches, calls, agent: actual } = result as Result;
  expect(mismatches).toEqual([]);
  expect(calls).toBe(player.calls);
  expect(actual).toMatch(agent);
  return result as Result;
}
