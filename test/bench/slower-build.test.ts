// The bench's proof against itself: a slower build is caught. It measures, so it runs when nothing else does.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BENCH, type Budget, benchIn, budgetFile, promisedBudgets, type Result } from "./bench.js";

/** A copy of the bench and of what it measures, its engine changed. Answers its folder. */
async function copied(name: string, change: (engine: string) => string): Promise<string> {
  // Within the tree, where packages are found from, and in a folder that git does not see.
  const root = join(BENCH, "..");
  const copy = join(root, "build", `bench-${name}-${process.pid}`);
  await mkdir(join(copy, "dist"), { recursive: true });
  await cp(BENCH, join(copy, "bench"), { recursive: true });
  for (const part of ["engine", "portable", "engine.wasm"]) {
    await cp(join(root, "dist", part), join(copy, "dist", part), { recursive: true });
  }
  const file = join(copy, "dist", "engine", "index.js");
  await writeFile(file, change(await readFile(file, "utf8")));
  return copy;
}

describe("a build whose record is slower", () => {
  /** Three of ten calls do the same work once more, on a node aside and with an operation that is free. */
  const slower = (engine: string) => {
    const call = /flags = this\.#exports\.record\(/;
    expect(engine).toMatch(call);
    return engine.replace(
      call,
      `if ((this.turn = ((this.turn ?? 0) + 3) % 10) < 3) {
         this.aside ??= this.openScope({});
         this.free ??= this.operation("get_run");
         this.#exports.record(this.aside, this.free, 0, 0, 1);
       }
       $&`,
    );
  };

  it.each([
    ["by 30 % is caught", "slow", slower, true],
    ["by nothing is not", "same", (engine: string) => engine, false],
  ])("%s", async (_what, name, change, caught) => {
    const copy = await copied(name, change);
    try {
      // On a busy machine all times stray; the identical build is given half of what has to be seen.
      const promised = await promisedBudgets();
      const own = promised.ratios.filter((budget) => budget.name === "typed-doubles");
      const bound = (budget: Budget) => (budget.atMost as number) * (caught ? 1 : 1.1);
      const loose = own.map((budget) => ({ ...budget, atMost: bound(budget) }));
      const file = await budgetFile(name, { ratios: loose, sizes: [] });
      const { code, stdout } = await benchIn(
        join(copy, "bench"),
        ...["--check", "--json", "--budgets", file, "--rounds", "60"],
      );
      const result: Result = JSON.parse(stdout);
      expect(result.disagreements).toEqual([]);
      expect(result.ratios.map(({ broken }) => broken)).toEqual([caught]);
      expect(code).toBe(caught ? 1 : 0);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
});
