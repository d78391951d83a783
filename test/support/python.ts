// Makes the Python environment that the suites need, once, and keeps it outside the tree.
import { execFile } from "node:child_process";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { noJournal } from "./no-journal.js";

const run = promisify(execFile);

/** The MLflow that every promise is tested against. */
export const MLFLOW_VERSION = "3.17.2";

/** Where downloads are kept between runs. */
export function cacheFolder(): string {
  const { GENOPS_TEST_CACHE, XDG_CACHE_HOME } = process.env;
  return GENOPS_TEST_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "genops");
}

/** The environment without anybody's own tracking or telemetry settings. */
export function neutralEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(MLFLOW_|GENOPS_|OTEL_|PYTHONPATH$|PYTHONHOME$|VIRTUAL_ENV$)/;
  const own = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return { ...Object.fromEntries(own), ...noJournal };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function findPython(): Promise<string | undefined> {
  for (const candidate of ["python3", "python"]) {
    try {
      await run(candidate, [
        "-c",
        "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))",
      ]);
      return candidate;
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

/**
 * The interpreter of an environment that holds MLflow; undefined where there is no usable Python.
 * Rejects when there is one and MLflow cannot be installed.
 */
export async function preparePython(): Promise<string | undefined> {
  const cache = cacheFolder();
  const folder = join(cache, `mlflow-${MLFLOW_VERSION}`);
  const python = join(folder, "bin", "python");
  const complete = join(folder, "complete");
  if (await exists(complete)) return python;
  const system = await findPython();
  if (system === undefined) return undefined;
  await mkdir(cache, { recursive: true });
  // Scripts of an environment name its folder, so it is made where it stays; the marker comes last.
  if (await exists(folder)) await rename(folder, `${folder}.broken-${process.pid}`);
  console.log(`Installing MLflow ${MLFLOW_VERSION} into ${folder} (once, about a minute)`);
  const env = neutralEnvironment();
  try {
    await run(system, ["-m", "venv", folder], { env });
    await run(
      python,
      [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        `mlflow==${MLFLOW_VERSION}`,
      ],
      { env, maxBuffer: 2 ** 26, timeout: 15 * 60_000 },
    );
    await run(python, ["-c", "import mlflow.server"], { env });
    await writeFile(complete, "");
  } finally {
    await rm(`${folder}.broken-${process.pid}`, { recursive: true, force: true });
  }
  return python;
}
