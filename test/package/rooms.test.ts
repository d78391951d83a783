// The rooms of the house: data and knowledge flow one way between them.
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";

const SOURCE = resolve(import.meta.dirname, "../../src");

/** Files of the source, and what each imports, as paths from the source's folder. */
async function imports(): Promise<(readonly [file: string, imported: string])[]> {
  const files = await readdir(SOURCE, { recursive: true });
  const found: (readonly [string, string])[] = [];
  for (const file of files.filter((name) => name.endsWith(".ts"))) {
    const text = await readFile(join(SOURCE, file), "utf8");
    for (const [, path = ""] of text.matchAll(/from "(\.[^"]*)"/g)) {
      found.push([file, join(file, "..", path)]);
    }
  }
  return found;
}

it.each([
  ["the command line is nobody's library", /^(?!cli\/)/, /^cli\//],
  ["the MLflow client knows nothing of governance", /^mlflow\//, /^(governance|costs|telemetry)\//],
  ["the engine knows nothing of MLflow", /^engine\//, /^(mlflow|governance|providers)\//],
])("%s", async (_, from, to) => {
  const all = await imports();
  expect(all.length).toBeGreaterThan(300);
  expect(all.filter(([file, imported]) => from.test(file) && to.test(imported))).toEqual([]);
});
