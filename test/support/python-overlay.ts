// A Python environment on top of another one: what that has is found there, and not installed again.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { installOnce } from "./install-once.js";
import { neutralEnvironment } from "./python.js";

const run = promisify(execFile);

export interface PythonOverlay {
  /** Folder of the cache that holds it; another one for other packages. */
  readonly name: string;
  /** Python of the environment below. */
  readonly python: string;
  /** What pip installs on top, with versions. */
  readonly packages: readonly string[];
  /** Modules that must then be there. */
  readonly modules: readonly string[];
}

/** The interpreter of the environment; made once, and kept. Rejects when it cannot be installed. */
export async function preparePythonOverlay({
  name,
  python,
  packages,
  modules,
}: PythonOverlay): Promise<string> {
  const folder = await installOnce(name, async (environment) => {
    const env = neutralEnvironment();
    const site = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
    await run(python, ["-m", "venv", environment], { env });
    const own = join(environment, "bin/python");
    const { stdout: base } = await run(python, ["-c", site], { env });
    const { stdout: target } = await run(own, ["-c", site], { env });
    await writeFile(join(target.trim(), "environment-below.pth"), base);
    const quiet = ["--quiet", "--disable-pip-version-check"];
    const options = { env, maxBuffer: 2 ** 26, timeout: 10 * 60_000 };
    await run(own, ["-m", "pip", "install", ...quiet, ...packages], options);
    await run(own, ["-c", `import ${modules.join(", ")}`], { env });
  });
  return join(folder, "bin/python");
}
