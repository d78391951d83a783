// Plays the vectors in a runtime with a command line; its only output is the result.
import * as genops from "genops/engine";
import { play } from "./play.js";
import vectors from "./vectors.json" with { type: "json" };

const result = await play(genops, vectors);
console.log(JSON.stringify({ ...result, file: import.meta.resolve("genops/engine") }));
