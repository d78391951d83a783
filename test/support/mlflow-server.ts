// A real MLflow server on a free port of this machine, gone after the tests.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { neutralEnvironment } from "./python.js";

export interface MlflowServer {
  readonly uri: string;
  /** Holds `mlflow.db` and, unless they go elsewhere, `artifacts`; gone when it is stopped. */
  readonly folder: string;
  stop(): Promise<void>;
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

async function answers(uri: string): Promise<boolean> {
  try {
    const reply = await fetch(`${uri}/health`, { signal: AbortSignal.timeout(2000) });
    return reply.ok;
  } catch {
    return false;
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  const exited = once(child, "exit");
  // The server starts workers of its own: the whole group goes.
  process.kill(-child.pid, "SIGTERM");
  const timer = setTimeout(() => process.kill(-(child.pid as number), "SIGKILL"), 5000);
  await exited;
  clearTimeout(timer);
}

export interface MlflowServerOptions {
  /** Where it keeps artifacts; a folder of its own when left out. */
  readonly destination?: string;
  /** What it needs to get there. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Flags of `mlflow server` beside those of every server here. */
  readonly flags?: readonly string[];
}

/** Starts a server with a database and an artifact folder of its own, and waits until it answers. */
export async function startMlflowServer(
  python: string,
  { destination, environment = {}, flags = [] }: MlflowServerOptions = {},
): Promise<MlflowServer> {
  const folder = await mkdtemp(join(tmpdir(), "genops-mlflow-"));
  const port = await freePort();
  const uri = `http://127.0.0.1:${port}`;
  const child = spawn(
    python,
    [
      ...["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port)],
      ...["--backend-store-uri", `sqlite:///${join(folder, "mlflow.db")}`],
      ...["--artifacts-destination", destination ?? join(folder, "artifacts")],
      "--serve-artifacts",
      ...["--workers", "1"],
      ...flags,
    ],
    {
      cwd: folder,
      env: { ...neutralEnvironment(), ...environment },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const stop = async () => {
    await stopGroup(child);
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + 120_000;
  while (!(await answers(uri))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`The MLflow server did not start:\n${output}`);
    }
    await delay(200);
  }
  return { uri, folder, stop };
}
