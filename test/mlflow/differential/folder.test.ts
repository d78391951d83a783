// TypeScript and Python do the same in a folder, without a server.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, inject } from "vitest";
import { requiresMlflow } from "../../support/requires-mlflow.js";
import { playsWorkflows } from "./plays.js";

describe.runIf(requiresMlflow())("TypeScript and Python in a folder", () => {
  playsWorkflows({
    python: async () => inject("pythonPath") as string,
    async place() {
      const folder = await mkdtemp(join(tmpdir(), "genops-folder-"));
      return {
        // A path is a place of artifacts to Python as it is written, and a URI to TypeScript.
        uri: pathToFileURL(join(folder, "mlruns")).href,
        stop: () => rm(folder, { recursive: true, force: true }),
      };
    },
    store: { major: 3, isFolder: true },
    workflows: 10,
  });
});
