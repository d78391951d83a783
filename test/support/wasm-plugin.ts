// Lets tests import the compiled engine as the package build does: a base64 string.
import { readFileSync } from "node:fs";
import type { Plugin } from "vitest/config";

export function wasmAsBase64(): Plugin {
  return {
    name: "wasm-as-base64",
    enforce: "pre",
    load(id) {
      if (!id.endsWith(".wasm")) return undefined;
      return `export default ${JSON.stringify(readFileSync(id).toString("base64"))};`;
    },
  };
}
