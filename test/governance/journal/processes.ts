// Starts programs that keep a journal, and reads what they say until they end or are killed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { onTestFinished } from "vitest";
import { neutralEnvironment } from "../../support/python.js";
import type { WorkerLine, Workload } from "./worker.js";

const ROOT = resolve(import.meta.dirname, "../../..");

/** Builds a program of this folder; answers its path. */
export async function buildProgram(name: string, folder: string): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    entryPoints: [join(import.meta.dirname, `${name}.ts`)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    // What is loaded on demand, and never is here.
    external: [
      "undici",
      "@aws-sdk/*",
      "@azure/*",
      "@google-cloud/*",
      "@tensorflow/*",
      "@opentelemetry/exporter-*",
      "@opentelemetry/sdk-*",
      "@opentelemetry/resources",
    ],
    alias: { yaml: join(ROOT, "node_modules/yaml/browser/index.js") },
    logLevel: "error",
  });
  return outfile;
}

export class Worker {
  readonly lines: WorkerLine[] = [];
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  errors = "";
  /** Is called when a line came, or the end. */
  #told: () => void = () => {};

  constructor(program: string, workload: Workload, journal: string) {
    this.child = spawn(process.execPath, [program, JSON.stringify(workload)], {
      env: { ...neutralEnvironment(), GENOPS_JOURNAL: journal },
      cwd: ROOT,
    });
    let rest = "";
    this.child.stdout?.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.lines.push(JSON.parse(line));
      this.#told();
    });
    this.child.stderr?.on("data", (chunk) => {
      this.errors += chunk;
    });
    this.ended = once(this.child, "close").then(() => this.#told());
    onTestFinished(() => void this.child.kill("SIGKILL"));
  }

  /** Lines of a kind. */
  of<K extends WorkerLine["kind"]>(kind: K): Extract<WorkerLine, { kind: K }>[] {
    return this.lines.filter((line) => line.kind === kind) as Extract<WorkerLine, { kind: K }>[];
  }

  get acknowledged(): number {
    return this.of("acknowledged").length;
  }

  go(): void {
    this.child.stdin?.write("go\n");
  }

  /** Kills it as soon as it has acknowledged so much, and waits until it is gone. */
  async killAfter(acknowledged: number): Promise<void> {
    while (
      this.acknowledged < acknowledged &&
      this.child.exitCode === null &&
      this.child.signalCode === null
    ) {
      await new Promise<void>((told) => {
        this.#told = told;
      });
    }
    this.child.kill("SIGKILL");
    await this.ended;
  }
}
