// A program of its own that uses the client, as a person would start it.
import { type ExecFileException, execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { temporaryFolder } from "../adapter/workplace.js";
import { neutralEnvironment } from "../support/python.js";

const ROOT = resolve(import.meta.dirname, "../..");

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program, which finds the client under the name `mlflow`. */
export async function runProgram(
  source: string,
  environment: Record<string, string> = {},
): Promise<Finished> {
  const file = join(await temporaryFolder(), "program.mjs");
  const client = resolve(ROOT, "src/mlflow/node.ts");
  const contents = `import * as mlflow from ${JSON.stringify(client)};\n${source}`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "es2022",
    external: ["undici"],
    alias: { yaml: resolve(ROOT, "node_modules/yaml/browser/index.js") },
    logLevel: "error",
  });
  await writeFile(file, outputFiles[0]?.text ?? "");
  const env = { ...neutralEnvironment(), ...environment };
  return new Promise((done) => {
    const finish = (error: ExecFileException | null, stdout: string, stderr: string) =>
      done({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    execFile(process.execPath, [file], { env, timeout: 60_000 }, finish);
  });
}
