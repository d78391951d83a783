// The bench of clients: what it counts is right, whatever the times are.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const run = promisify(execFile);
const BENCH = join(import.meta.dirname, "../../bench/client/run.mjs");
const METRICS = 40;

interface Row {
  readonly name: string;
  readonly note?: string;
  readonly requests?: number;
  readonly stored?: number;
}

function bench(...args: string[]) {
  return run(process.execPath, [BENCH, ...args], { env: neutralEnvironment() });
}

describe("the bench of clients", () => {
  it.each([
    [["--metrics", "none"], '--metrics: "none" is not a whole number from 1'],
    [["--rounds", "0"], '--rounds: "0" is not a whole number from 1'],
    [["--metric", "1"], "--metric"],
    [["--only", "genops,none"], '--only: no client\'s name begins with "none"'],
  ])("is told how it is used wrongly: %j", async (args, reason) => {
    const failure = await bench(...args).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 2, stdout: "" });
    expect((failure as { stderr: string }).stderr).toContain(reason);
  });

  it.runIf(requiresMlflow())(
    "counts the requests of each, and what the server has of them",
    { timeout: 300_000 },
    async () => {
      const { stdout } = await bench("--metrics", String(METRICS), "--rounds", "1", "--json");
      const rows: readonly Row[] = JSON.parse(stdout).results;
      for (const { name, note, stored } of rows) {
        if (note === undefined) expect([name, stored]).toEqual([name, METRICS]);
      }
      const requests = Object.fromEntries(rows.map(({ name, requests }) => [name, requests]));
      expect(requests).toMatchObject({
        "genops-awaiting": METRICS,
        "genops-async": 1,
        "npm-mlflow": METRICS,
      });
      expect(requests["python-awaiting"]).toBeGreaterThanOrEqual(METRICS);
      expect(rows.find(({ name }) => name === "npm-mlflow-tracing")?.note).toBeTypeOf("string");
    },
  );
});
