// Plays the vectors with `createEngine` alone: the file for workerd imports its module itself.
import * as genops from "genops/engine";
import { play } from "./play.js";
import vectors from "./vectors.json";

export default {
  fetch: async () => Response.json(await play(genops, vectors)),
};
