// What the bench of clients needs: a real server, Python's client, and clients from npm.
import { execFile } from "node:child_process";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

const run = promisify(execFile);
const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The set-up of the tests, which knows how to start MLflow. */
export async function testSupport() {
  const { outputFiles } = await build({
    stdin: {
      contents: `export * from "./mlflow-server.js"; export * from "./python.js";`,
      resolveDir: file("test/support"),
      loader: "ts",
    },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    logLevel: "error",
  });
  const source = Buffer.from(outputFiles[0].contents).toString("base64");
  return import(`data:text/javascript;base64,${source}`);
}

/**
 * Installs a package once, outside the tree. Answers the folder that has it in its node_modules, or why
 * there is none.
 */
export async function installed(cache, name, version) {
  const folder = join(cache, `bench-${name.replace(/\W+/g, "-")}-${version}`);
  const manifest = join(folder, "node_modules", name, "package.json");
  const isThere = await stat(manifest).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), '{"private":true}');
    const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"];
    try {
      await run("npm", ["install", ...options, `${name}@${version}`], { cwd: folder });
    } catch (error) {
      const [, code = "npm failed"] = /code (E\w+)/.exec(error.stderr ?? "") ?? [];
      return { missing: `could not be installed (${code})` };
    }
  }
  return { folder, version: JSON.parse(await readFile(manifest, "utf8")).version };
}
