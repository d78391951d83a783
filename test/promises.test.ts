// The README's table of promises: 37 and more, each with a test of that title in that file.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

interface Row {
  readonly number: string;
  readonly title: string;
  readonly file: string;
}

async function promises(): Promise<Row[]> {
  const readme = await readFile(resolve(ROOT, "README.md"), "utf8");
  const [, section = ""] =
    /^## Promises, and the tests that keep them\n(.*?)^## /ms.exec(readme) ?? [];
  const rows = section.matchAll(/^\| (\d*) ?\| .+? \| \[(.+)\]\((\S+)\) \|$/gm);
  return [...rows].map(([, number = "", title = "", file = ""]) => ({ number, title, file }));
}

it("has the 37 promises in order, and no row that cannot be read", async () => {
  const all = await promises();
  const numbered = all.filter(({ number }) => number !== "").map(({ number }) => Number(number));
  expect(numbered).toEqual(Array.from({ length: 37 }, (_, index) => index + 1));
  const readme = await readFile(resolve(ROOT, "README.md"), "utf8");
  expect(readme.match(/^\|.*\]\(test\/.*\) \|$/gm)).toHaveLength(all.length);
});

/** Is there a test, or a group of them, of this title that is not left out? */
function hasTest(source: string, title: string): boolean {
  const [before, after] = source.split(`"${title}",`);
  if (before === undefined || after === undefined) return false;
  const call = before.trimEnd().split("\n").at(-1) ?? "";
  return call.endsWith("(") && !/\.(skip|todo|only)\b/.test(call);
}

it("names a test that is there for each", async () => {
  const all = await promises();
  const missing: string[] = [];
  for (const { title, file } of all) {
    const source = await readFile(resolve(ROOT, file), "utf8").catch(() => "");
    if (!hasTest(source, title)) missing.push(`${file}: ${title}`);
  }
  expect(missing).toEqual([]);
});

it("would notice a test that is gone, renamed or left out", () => {
  expect(hasTest('it("keeps it", () => {});', "keeps it")).toBe(true);
  expect(hasTest('it.each([1])(\n  "keeps it",\n  () => {});', "keeps it")).toBe(true);
  expect(hasTest('it.skip("keeps it", () => {});', "keeps it")).toBe(false);
  expect(hasTest('it("keeps it all", () => {});', "keeps it")).toBe(false);
  expect(hasTest("", "keeps it")).toBe(false);
});
