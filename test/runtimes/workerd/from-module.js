// Plays the vectors in a worker, from the module that it imports; compiling from bytes is forbidden there.
import * as genops from "genops/engine";
import module from "genops/engine.wasm";
import { play } from "./play.js";
import vectors from "./vectors.json";

export default {
  fetch: async () => Response.json(await play(genops, vectors, module)),
};
