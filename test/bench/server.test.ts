// The bench against a real server: what it judges by, and wrong use told by name.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");

function bench(...options: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const file = join(ROOT, "bench/server/run.mjs");
    execFile(process.execPath, [file, ...options], (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

it("is a part of what CI checks, and has a longer script of its own", async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  expect(scripts["bench:check"]).toContain("bench/server/run.mjs --check");
  expect(scripts["bench:server"]).toContain("bench/server/run.mjs");
  const help = await bench("--help");
  expect(help.code).toBe(0);
  expect(help.stdout).toContain("1.02 times");
});

it.each([
  [["--chek"], "Unknown option '--chek'"],
  [["--rounds", "0"], '--rounds: "0" is not a whole number from 1 to 100000'],
  [["--at-most", "none"], '--at-most: "none" is no number above 0'],
])("wrong use ends with 2: %j", async (options, message) => {
  const { code, stdout, stderr } = await bench(...options);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(message);
});
