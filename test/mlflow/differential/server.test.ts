// TypeScript and Python do the same on a server of the MLflow that this package is made for.
import { describe, inject } from "vitest";
import { requiresMlflow } from "../../support/requires-mlflow.js";
import { playsWorkflows } from "./plays.js";

describe.runIf(requiresMlflow())("TypeScript and Python on a server of MLflow 3", () => {
  playsWorkflows({
    python: async () => inject("pythonPath") as string,
    place: async () => ({ uri: inject("mlflowServerUri") as string }),
    store: { major: 3, isFolder: false },
    workflows: 14,
  });
});
