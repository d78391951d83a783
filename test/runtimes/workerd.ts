// Bundles a worker as Cloudflare's own tools do, and asks a real workerd for its answer.
import { spawn } from "node:child_process";
import { copyFile, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { neutralEnvironment } from "../support/python.js";

/** What Cloudflare's tools resolve with. */
export const CONDITIONS = ["workerd", "worker", "browser"];

/** WebAssembly is no text in a bundle but a module beside it. */
function modulesBeside(folder: string): Plugin {
  return {
    name: "modules-beside",
    setup({ onResolve, resolve }) {
      onResolve({ filter: /\.wasm$/ }, async ({ path, kind, resolveDir, pluginData }) => {
        if (pluginData === "asked") return undefined;
        const found = await resolve(path, { kind, resolveDir, pluginData: "asked" });
        if (found.errors.length > 0) return found;
        await copyFile(found.path, join(folder, "engine.wasm"));
        return { path: "./engine.wasm", external: true };
      });
    },
  };
}

const CONFIGURATION = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(
    name = "main",
    worker = (
      modules = [
        (name = "worker.js", esModule = embed "worker.js"),
        (name = "engine.wasm", wasm = embed "engine.wasm"),
      ],
      compatibilityDate = "2026-01-01",
    ),
  )],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;

/** Answers what a worker responds with. `program` lies in a folder with the package in its node_modules. */
export async function askWorker(
  workerd: string,
  folder: string,
  program: string,
  options: Pick<BuildOptions, "alias"> = {},
): Promise<unknown> {
  const output = await mkdtemp(join(folder, "worker-"));
  await build({
    ...options,
    entryPoints: [join(folder, program)],
    outfile: join(output, "worker.js"),
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: CONDITIONS,
    plugins: [modulesBeside(output)],
    logLevel: "silent",
  });
  await writeFile(join(output, "config.capnp"), CONFIGURATION);
  const server = spawn(workerd, ["serve", "config.capnp", "--control-fd=3"], {
    cwd: output,
    env: neutralEnvironment(),
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  let noise = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream?.on("data", (text) => {
      noise = `${noise}${text}`.slice(-4000);
    });
  }
  const ended = new Promise<void>((resolve) => server.on("close", () => resolve()));
  try {
    const port = await new Promise<number>((resolve, reject) => {
      let told = "";
      server.on("error", reject);
      server.on("close", (code) => reject(new Error(`workerd ended with ${code}:\n${noise}`)));
      server.stdio[3]?.on("data", (text) => {
        told += text;
        const listening = /"event":"listen","socket":"http","port":(\d+)/.exec(told);
        if (listening) resolve(Number(listening[1]));
      });
    });
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      signal: AbortSignal.timeout(45_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the worker answered ${response.status} ${text}\n${noise}`);
    return JSON.parse(text);
  } finally {
    server.kill("SIGKILL");
    await ended;
  }
}

/** What became of engines that the file for all other runtimes was asked for, each made in another way. */
export async function askDefaultFile(
  workerd: string,
  folder: string,
): Promise<Record<"created" | "fromModule" | "fromBytes", unknown>> {
  const file = join(folder, "node_modules/genops/dist/engine/index.js");
  const options = { alias: { "genops/default": file } };
  const answer = await askWorker(workerd, folder, "default-file.js", options);
  return answer as Awaited<ReturnType<typeof askDefaultFile>>;
}
