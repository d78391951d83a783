// A real OpenTelemetry Collector on a free port, which writes what it takes as OTLP JSON lines.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./mlflow-server.js";
import { cacheFolder } from "./python.js";

const run = promisify(execFile);

/** Version of the receiver and the exporter in `collector/go.mod`. */
const COLLECTOR_VERSION = "0.165.0";
const SOURCE = join(import.meta.dirname, "collector");

async function hasGo(): Promise<boolean> {
  return run("go", ["version"]).then(
    () => true,
    () => false,
  );
}

/**
 * The Collector's program, built once and kept; undefined on a machine without Go.
 * Rejects when there is Go and it cannot be built, and with CI=true when there is none.
 */
export async function prepareCollector(): Promise<string | undefined> {
  const program = join(cacheFolder(), `collector-${COLLECTOR_VERSION}`);
  const built = await stat(program).catch(() => undefined);
  if (built !== undefined) return program;
  if (!(await hasGo())) {
    const notice = "No Go: nothing can be tested against a real OpenTelemetry Collector.";
    if (process.env.CI === "true") throw new Error(`${notice} With CI=true that is a failure.`);
    console.warn(`\n  ${notice}\n  Install Go 1.26 or later to run those suites.\n`);
    return undefined;
  }
  await mkdir(cacheFolder(), { recursive: true });
  console.log(`Building the OpenTelemetry Collector ${COLLECTOR_VERSION} (once, minutes)`);
  const folder = await mkdtemp(join(tmpdir(), "genops-collector-"));
  try {
    await cp(SOURCE, folder, { recursive: true });
    const output = join(cacheFolder(), `collector-${process.pid}.tmp`);
    await run("go", ["build", "-trimpath", "-ldflags=-s -w", "-o", output, "."], {
      cwd: folder,
      maxBuffer: 2 ** 26,
      timeout: 20 * 60_000,
    });
    // Whole or not at all, whoever else builds it meanwhile.
    await rename(output, program);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return program;
}

export interface Collector {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  /** Stops it, which makes it write what it holds, and answers all that it took. */
  stop(): Promise<string>;
}

async function listens(endpoint: string): Promise<boolean> {
  return fetch(endpoint, { signal: AbortSignal.timeout(2000) }).then(
    () => true,
    () => false,
  );
}

async function started(child: ChildProcess, endpoint: string): Promise<void> {
  let output = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  });
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`The Collector ended: ${output}`);
    if (await listens(endpoint)) return;
    await delay(100);
  }
  child.kill("SIGKILL");
  throw new Error(`The Collector does not listen: ${output}`);
}

export async function startCollector(program: string): Promise<Collector> {
  const folder = await mkdtemp(join(tmpdir(), "genops-collector-"));
  const port = await freePort();
  const file = join(folder, "telemetry.jsonl");
  const pipeline = { receivers: ["otlp"], exporters: ["file"] };
  const configuration = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: { file: { path: file } },
    service: { pipelines: { traces: pipeline, logs: pipeline, metrics: pipeline } },
  };
  // YAML takes JSON as it is.
  await writeFile(join(folder, "config.yaml"), JSON.stringify(configuration));
  const child = spawn(program, ["--config", "file:config.yaml"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const endpoint = `http://127.0.0.1:${port}`;
  await started(child, endpoint);
  return {
    endpoint,
    async stop() {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
      const content = await readFile(file, "utf8");
      await rm(folder, { recursive: true, force: true });
      return content;
    },
  };
}
