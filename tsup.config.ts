// Builds the package: one shared build per platform, the bare engine, and the command line.
import { copyFileSync } from "node:fs";
import { defineConfig, type Options } from "tsup";

const shared: Options = {
  format: ["esm"],
  target: "es2022",
  dts: true,
  clean: false,
  sourcemap: false,
  silent: true,
  // The engine's module travels inside the bundle as text, so no runtime has to find a file.
  loader: { ".wasm": "base64" },
};

export default defineConfig([
  {
    ...shared,
    entry: { index: "src/node.ts", mlflow: "src/mlflow/node.ts" },
    outDir: "dist/node",
    platform: "node",
    splitting: true,
  },
  {
    ...shared,
    entry: { index: "src/index.ts", mlflow: "src/mlflow/index.ts" },
    outDir: "dist/portable",
    platform: "browser",
    splitting: true,
  },
  {
    ...shared,
    entry: { index: "src/engine/index.ts" },
    outDir: "dist/engine",
    platform: "neutral",
    onSuccess: async () => copyFileSync("build/engine.wasm", "dist/engine.wasm"),
  },
  {
    ...shared,
    dts: false,
    entry: { main: "src/cli/main.ts" },
    outDir: "dist/cli",
    platform: "node",
    // commander is CommonJS and asks for Node's modules by require.
    banner: {
      js: '#!/usr/bin/env node\nimport { createRequire as createRequireForBundle } from "node:module";\nconst require = createRequireForBundle(import.meta.url);',
    },
  },
]);
