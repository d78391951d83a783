// TypeScript and Python do the same on a server of the last MLflow before version 3.
import { describe, inject } from "vitest";
import { startMlflowServer } from "../../support/mlflow-server.js";
import { prepareOlderPython } from "../../support/older-python.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";
import { playsWorkflows } from "./plays.js";

describe.runIf(requiresMlflow())("TypeScript and Python on a server of MLflow 2", () => {
  playsWorkflows({
    python: () => prepareOlderPython(inject("pythonPath") as string),
    place: (python) => startMlflowServer(python),
    store: { major: 2, isFolder: false },
    workflows: 16,
  });
});
