// Asks for an engine where the page's policy does not let WebAssembly be compiled.
import { createEngine, EngineError } from "./engine.js";
import { send } from "./send.js";

await send(() => {
  try {
    createEngine({ runs: 64 });
    return { made: true };
  } catch (error) {
    return { isTyped: error instanceof EngineError, code: error.code, message: error.message };
  }
});
