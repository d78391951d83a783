// The last MLflow before version 3, in an environment of its own: servers of it are still in use.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { installOnce } from "./install-once.js";
import { neutralEnvironment } from "./python.js";

const run = promisify(execFile);

export const OLDER_MLFLOW_VERSION = "2.22.5";

// It imports from SQLAlchemy what later versions of that do not have.
const PACKAGES = [`mlflow==${OLDER_MLFLOW_VERSION}`, "sqlalchemy==2.0.58"];

/**
 * The interpreter of an environment that holds MLflow 2; made once, and kept.
 * `python`: one that has the module `venv`. Rejects when it cannot be installed.
 */
export async function prepareOlderPython(python: string): Promise<string> {
  const folder = await installOnce(`mlflow-${OLDER_MLFLOW_VERSION}`, async (environment) => {
    const env = neutralEnvironment();
    const own = join(environment, "bin/python");
    const quiet = ["--quiet", "--disable-pip-version-check"];
    // Sources of its dependencies would take a compiler, and longer than anybody waits.
    const install = ["-m", "pip", "install", ...quiet, "--only-binary=:all:", ...PACKAGES];
    try {
      await run(python, ["-m", "venv", environment], { env });
      await run(own, install, { env, maxBuffer: 2 ** 26, timeout: 15 * 60_000 });
      await run(own, ["-c", "import mlflow.server, mlflow.store.db.utils"], { env });
    } catch (error) {
      const { stdout: version } = await run(python, ["--version"], { env });
      const advice = "It needs Python 3.9 to 3.13, and PyPI.";
      throw new Error(
        `MLflow ${OLDER_MLFLOW_VERSION} cannot be installed with ${version.trim()}. ${advice}`,
        { cause: error },
      );
    }
  });
  return join(folder, "bin/python");
}
