// Builds the package: one shared build per platform, the bare engine, the conformance checker, and the command line.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig, type Options } from "tsup";

/** What travels inside the bundles; everything else is asked for at run time. */
const BUNDLED = [
  "@assemblyscript/loader",
  "commander",
  "compare-versions",
  "fastest-levenshtein",
  "js-ini",
  "picocolors",
  "proxy-from-env",
  "undici",
  "yaml",
];

/** These are CommonJS, and ask for Node's modules by require, which no module has. */
const REQUIRE =
  'import { createRequire as createRequireForBundle } from "node:module";\nconst require = createRequireForBundle(import.meta.url);';

/** Their licences ask to travel along. */
function writeNotices(): void {
  const notices = BUNDLED.map((name) => {
    const folder = resolve("node_modules", name);
    const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    const text = name === "@assemblyscript/loader" ? "See LICENSE." : licenceText(folder);
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  writeFileSync("dist/THIRD-PARTY-NOTICES.txt", notices.join(`\n${"-".repeat(80)}\n\n`));
}

function licenceText(folder: string): string {
  for (const name of ["LICENSE", "LICENSE.md", "LICENSE.txt"]) {
    try {
      return readFileSync(`${folder}/${name}`, "utf8");
    } catch {
      // Named otherwise.
    }
  }
  throw new Error(`No licence found in ${folder}.`);
}

const shared: Options = {
  format: ["esm"],
  target: "es2022",
  // `await using` needs a library that a user's own TypeScript settings may not name.
  dts: { banner: '/// <reference lib="esnext.disposable" />' },
  // Chunks are named by their content, so old ones would pile up.
  clean: true,
  sourcemap: false,
  silent: true,
  esbuildOptions(options) {
    // Its build for Node is CommonJS, which asks for modules in a way that no bundle can answer.
    options.alias = { yaml: resolve("node_modules/yaml/browser/index.js") };
  },
};

/** Cloudflare's runtime compiles no bytes, but takes modules that are deployed beside the code. */
const engineBeside: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "engine-beside",
  setup({ onResolve }) {
    onResolve({ filter: /\/engine-text\.js$/ }, () => ({ path: "../engine.wasm", external: true }));
  },
};

export default defineConfig([
  {
    ...shared,
    entry: {
      index: "src/node.ts",
      mlflow: "src/mlflow/node.ts",
      instrumentation: "src/instrumentation/node.ts",
      register: "src/instrumentation/register.ts",
      gateway: "src/gateway/index.ts",
    },
    outDir: "dist/node",
    platform: "node",
    splitting: true,
    // One part of it serves the gateway; a program's own is asked for at run time.
    noExternal: [/^undici\/lib\//],
    banner: { js: REQUIRE },
  },
  {
    ...shared,
    entry: {
      index: "src/index.ts",
      mlflow: "src/mlflow/index.ts",
      instrumentation: "src/instrumentation/index.ts",
    },
    outDir: "dist/portable",
    platform: "browser",
    splitting: true,
  },
  {
    ...shared,
    entry: { index: "src/engine/index.ts" },
    outDir: "dist/engine",
    platform: "neutral",
    onSuccess: async () => {
      copyFileSync("build/engine.wasm", "dist/engine.wasm");
      writeNotices();
    },
  },
  {
    ...shared,
    entry: { index: "src/conformance/index.ts" },
    outDir: "dist/conformance",
    platform: "neutral",
  },
  {
    ...shared,
    // Types are those of the portable files.
    dts: false,
    entry: {
      index: "src/index.ts",
      mlflow: "src/mlflow/index.ts",
      instrumentation: "src/instrumentation/index.ts",
      engine: "src/engine/index.ts",
    },
    outDir: "dist/workerd",
    platform: "browser",
    splitting: true,
    esbuildPlugins: [engineBeside],
  },
  {
    ...shared,
    dts: false,
    entry: { main: "src/cli/main.ts" },
    outDir: "dist/cli",
    platform: "node",
    noExternal: [/^undici\/lib\//],
    banner: { js: `#!/usr/bin/env node\n${REQUIRE}` },
  },
]);
