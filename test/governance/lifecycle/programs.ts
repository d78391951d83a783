// Builds and starts the programs of this folder, and reads what they left behind.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { onTestFinished } from "vitest";
import type { JournalStatus } from "../../../src/governance/journal/open.js";
import { type AdapterOptions, GenOpsMlflowAdapter } from "../../../src/node.js";
import { neutralEnvironment } from "../../support/python.js";
import type { SpanLine } from "./span-file.js";

const ROOT = resolve(import.meta.dirname, "../../..");
/** Nothing that is started here may hang: then it is killed, and has no exit code. */
const LONGEST_MS = 60_000;

/** Builds a file of the project with all that it needs, OpenTelemetry's SDK too; answers the program's path. */
export async function buildProgram(file: string, folder: string): Promise<string> {
  const outfile = join(folder, `${file.split("/").at(-1)?.replace(".ts", "")}.mjs`);
  await build({
    entryPoints: [join(ROOT, file)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    mainFields: ["module", "main"],
    external: ["undici", "@aws-sdk/*", "@azure/*", "@google-cloud/*", "@tensorflow/*"],
    alias: { yaml: join(ROOT, "node_modules/yaml/browser/index.js") },
    logLevel: "error",
  });
  return outfile;
}

export interface StartedProgram {
  readonly child: ChildProcess;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  output(): string;
  errors(): string;
}

export function startProgram(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): StartedProgram {
  const child = spawn(process.execPath, args, {
    // Where the packages are that the program asks for by itself.
    env: { ...neutralEnvironment(), NODE_PATH: join(ROOT, "node_modules"), ...environment },
    timeout: LONGEST_MS,
    killSignal: "SIGKILL",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors += chunk;
  });
  const ended = once(child, "close").then(([code, signal]) => signal ?? code);
  return { child, ended, output: () => output, errors: () => errors };
}

/** Spans that ended, in the order in which they did. */
export function readSpans(path: string): SpanLine[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** What a program of the same ledger finds that starts after all others, in operations at 0.0001 USD. */
export function found(options: AdapterOptions): {
  readonly dailyUsage: number;
  readonly known: number;
  readonly uncertain: number;
} {
  const adapter = new GenOpsMlflowAdapter({ ...options, logger: { debug() {}, warn() {} } });
  const { known, uncertain }: JournalStatus = adapter.journal;
  const operations = (usd: number | string) => Math.round(Number(usd) * 10_000);
  return {
    dailyUsage: operations(adapter.dailyUsage),
    known: operations(known),
    uncertain: operations(uncertain),
  };
}
