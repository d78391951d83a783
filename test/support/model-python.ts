// The Python that also runs models: an environment on top of MLflow's own, with ONNX.
import { execFile } from "node:child_process";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { cacheFolder, MLFLOW_VERSION, neutralEnvironment } from "./python.js";

const run = promisify(execFile);

const PACKAGES = ["onnx==1.23.2", "onnxruntime==1.32.0"];
/** Milliseconds after which an unfinished environment counts as left behind. */
const ABANDONED_AFTER_MS = 10 * 60_000;

function missing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    () => true,
  );
}

/** True when this process is the one that makes the environment. */
async function claimed(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch {
    return false;
  }
}

/** The interpreter of an environment with MLflow, ONNX and its runtime. Made once, and kept. */
export async function prepareModelPython(mlflowPython: string): Promise<string> {
  const folder = join(cacheFolder(), `models-mlflow-${MLFLOW_VERSION}-onnx-1.23.2`);
  const python = join(folder, "bin", "python");
  const complete = join(folder, "complete");
  while (await missing(complete)) {
    if (await claimed(folder)) {
      await make(folder, python, mlflowPython);
      await writeFile(complete, "");
      break;
    }
    // Another process is at it, or died at it.
    const { mtimeMs } = await stat(folder);
    if (Date.now() - mtimeMs > ABANDONED_AFTER_MS) await rename(folder, `${folder}.${process.pid}`);
    await delay(500);
  }
  return python;
}

async function make(folder: string, python: string, mlflowPython: string): Promise<void> {
  const env = neutralEnvironment();
  const site = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
  try {
    await run(mlflowPython, ["-m", "venv", folder], { env });
    const { stdout: base } = await run(mlflowPython, ["-c", site], { env });
    const { stdout: own } = await run(python, ["-c", site], { env });
    // What MLflow brought is found there, and not installed again.
    await writeFile(join(own.trim(), "mlflow-environment.pth"), base);
    await run(
      python,
      ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES],
      { env, maxBuffer: 2 ** 26, timeout: 9 * 60_000 },
    );
    await run(python, ["-c", "import onnx, onnxruntime, mlflow"], { env });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
