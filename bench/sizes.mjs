// How much a user downloads, in bytes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";

const dist = (file) => fileURLToPath(new URL(`../dist/${file}`, import.meta.url));

/** Minified as a web page would have it; OpenTelemetry's API is the host's own. */
async function bundle(file) {
  const { outputFiles } = await build({
    entryPoints: [dist(file)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    external: ["@opentelemetry/api"],
    logLevel: "error",
  });
  return outputFiles[0].contents;
}

/** Bytes of memory that room for one more run takes, its name and the index of names aside. */
async function bytesOfRun() {
  const { createEngine } = await import("../dist/engine/index.js");
  const memory = (runs) => createEngine({ runs, names: 4096 }).memoryBytes;
  const [few, many] = [2 ** 10, 2 ** 20];
  return (memory(many) - memory(few)) / (many - few);
}

/** Name → bytes, of everything that a budget can speak of. */
export const SIZES = {
  "engine.wasm": () => readFileSync(dist("engine.wasm")).length,
  "engine.wasm.br": () => brotliCompressSync(readFileSync(dist("engine.wasm"))).length,
  "live-run": bytesOfRun,
  "portable.js.br": async () => brotliCompressSync(await bundle("portable/index.js")).length,
};
