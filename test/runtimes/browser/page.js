// Plays the vectors in a page, or in the worker that it is run as, and sends the result home.
import * as genops from "./engine.js";
import { play } from "./play.js";
import { send } from "./send.js";
import vectors from "./vectors.json" with { type: "json" };

await send(async () => ({
  ...(await play(genops, vectors)),
  isPage: globalThis.document !== undefined,
}));
