// Asks the file for all other runtimes for engines, which has only bytes to compile.
import { createEngine, EngineError, loadEngine } from "genops/default";
import module from "genops/engine.wasm";

const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

async function attempt(make) {
  try {
    return { memoryBytes: (await make()).memoryBytes };
  } catch (error) {
    const { code, message } = error;
    return { isTyped: error instanceof EngineError, code, message };
  }
}

export default {
  async fetch() {
    return Response.json({
      created: await attempt(() => createEngine({ runs: 64 })),
      fromModule: await attempt(() => loadEngine({ runs: 64 }, module)),
      fromBytes: await attempt(() => loadEngine({ runs: 64 }, EMPTY)),
    });
  },
};
