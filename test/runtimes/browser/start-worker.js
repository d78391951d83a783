// Starts the page's program as a web worker.
import { send } from "./send.js";

const worker = new Worker("/page.js", { type: "module" });
worker.onerror = (event) =>
  send(() => {
    throw new Error(`the worker failed: ${event.message}`);
  });
