// The Python client as a player: one process that takes a call a line.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { neutralEnvironment } from "../../support/python.js";
import type { Outcome, Player } from "./workflow.js";

const SCRIPT = fileURLToPath(new URL("player.py", import.meta.url));
/** Characters kept of what Python prints besides its answers. */
const KEPT_OUTPUT = 4000;

export interface PythonPlayer extends Player, AsyncDisposable {}

/** Starts an interpreter that has MLflow, with the tracking URI of what it is to play on. */
export async function startPythonPlayer(python: string, uri: string): Promise<PythonPlayer> {
  // Some calls open a database where they stand, whatever the client was told.
  const cwd = await mkdtemp(join(tmpdir(), "genops-player-"));
  const child = spawn(python, [SCRIPT, uri], {
    cwd,
    env: {
      ...neutralEnvironment(),
      MLFLOW_ALLOW_FILE_STORE: "true",
      MLFLOW_DISABLE_TELEMETRY: "true",
      // An answer that is an error is an answer.
      MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0",
      PYTHONDONTWRITEBYTECODE: "1",
      PYTHONWARNINGS: "ignore",
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
  });
  const waiting: { take(outcome: Outcome): void; fail(error: Error): void }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    waiting.shift()?.take(JSON.parse(line) as Outcome);
  });
  const gone = once(child, "close").then(() => {
    for (const { fail } of waiting.splice(0)) fail(new Error(`Python has ended:\n${output}`));
  });
  return {
    perform: (call, values) =>
      new Promise((take, fail) => {
        if (child.exitCode !== null) fail(new Error(`Python has ended:\n${output}`));
        waiting.push({ take, fail });
        child.stdin.write(`${JSON.stringify({ call, values })}\n`);
      }),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await gone;
      await rm(cwd, { recursive: true, force: true });
    },
  };
}
