// Runs the bench as its users do, against budgets of a test's own.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";

export interface Budget {
  readonly name: string;
  readonly measure: string;
  readonly against?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly because: string;
}

export interface Budgets {
  readonly ratios: readonly Budget[];
  readonly sizes: readonly Budget[];
}

interface Judged extends Budget {
  readonly value: number;
  readonly broken: boolean;
}

export interface Result {
  readonly attempts: number;
  readonly ratios: readonly Judged[];
  readonly sizes: readonly Judged[];
  readonly disagreements: readonly string[];
}

export const BENCH = join(import.meta.dirname, "../../bench");

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "genops-bench-"));
});
afterAll(() => rm(folder, { recursive: true }));

export async function promisedBudgets(): Promise<Budgets> {
  return JSON.parse(await readFile(join(BENCH, "budgets.json"), "utf8"));
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function benchIn(room: string, ...options: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(room, "run.mjs"), ...options], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

export async function budgetFile(name: string, budgets: unknown): Promise<string> {
  const file = join(folder, `${name}.json`);
  await writeFile(file, typeof budgets === "string" ? budgets : JSON.stringify(budgets));
  return file;
}
