// Runs the command line as a person gets it: bundled, in a process of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll } from "vitest";
import config from "../../tsup.config.js";
import { neutralEnvironment } from "../support/python.js";

export interface Finished {
  /** Null when a signal has ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
}

export interface CommandLine {
  /** Starts `genops` with these arguments; the environment has no settings but these. */
  start(args: readonly string[], cwd: string, env?: NodeJS.ProcessEnv): Started;
  run(args: readonly string[], cwd: string, env?: NodeJS.ProcessEnv): Promise<Finished>;
}

function bannerOfPackage(): string {
  const builds = Array.isArray(config) ? config : [];
  const ours = builds.find(({ outDir }) => outDir === "dist/cli");
  if (typeof ours?.banner !== "object") throw new Error("tsup.config.ts builds no command line");
  return ours.banner.js ?? "";
}

async function bundle(file: string): Promise<void> {
  await build({
    entryPoints: ["src/cli/main.ts"],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2022",
    // Asked for when they are first used, and not there beside this file.
    external: ["@aws-sdk/*", "@azure/*", "@google-cloud/*"],
    banner: { js: bannerOfPackage() },
    logLevel: "error",
  });
}

function start(file: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv) {
  const { NO_COLOR: _, FORCE_COLOR: __, ...neutral } = neutralEnvironment();
  const process_ = spawn(process.execPath, [file, ...args], { cwd, env: { ...neutral, ...env } });
  const finished = new Promise<Finished>((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    process_.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    process_.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    process_.on("error", reject);
    process_.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { process: process_, finished };
}

/** Bundles before the suite. */
export function useCommandLine(): CommandLine {
  let folder = "";
  const file = () => join(folder, "main.mjs");
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "genops-cli-"));
    await bundle(file());
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return {
    start: (args, cwd, env = {}) => start(file(), args, cwd, env),
    run: (args, cwd, env = {}) => start(file(), args, cwd, env).finished,
  };
}
