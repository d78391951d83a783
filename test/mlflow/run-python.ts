// Running the suites' Python scripts, which print JSON.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inject } from "vitest";
import { temporaryFolder } from "../adapter/workplace.js";
import { neutralEnvironment } from "../support/python.js";

const execute = promisify(execFile);
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** The JSON that a script prints, run by an interpreter; MLflow's own when left out. */
export async function pythonOf(
  interpreter: string | undefined,
  script: string,
  ...values: string[]
): Promise<Json> {
  const path = fileURLToPath(new URL(`python/${script}`, import.meta.url));
  const env = {
    ...neutralEnvironment(),
    MLFLOW_ALLOW_FILE_STORE: "true",
    PYTHONDONTWRITEBYTECODE: "1",
  };
  // Some calls open a database where they stand, whatever the client was told.
  const cwd = await temporaryFolder();
  const options = { env, cwd, maxBuffer: 2 ** 26 };
  const command = interpreter ?? (inject("pythonPath") as string);
  const { stdout } = await execute(command, [path, ...values], options);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Json;
}

/** The JSON that a script prints. */
export function python(script: string, ...values: string[]): Promise<Json> {
  return pythonOf(undefined, script, ...values);
}
