// Once before all suites: MLflow in an environment of its own, and a real server.
import type { TestProject } from "vitest/node";
import { startMlflowServer } from "./mlflow-server.js";
import { preparePython } from "./python.js";

declare module "vitest" {
  export interface ProvidedContext {
    /** URI of the real MLflow server; undefined on a machine without Python. */
    mlflowServerUri: string | undefined;
    /** The Python that has MLflow. */
    pythonPath: string | undefined;
  }
}

const CI = process.env.CI === "true";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const python = await preparePython();
  if (python === undefined) {
    const notice =
      "No Python 3.10 or later with venv: nothing can be tested against a real MLflow.";
    if (CI) throw new Error(`${notice} With CI=true that is a failure.`);
    console.warn(`\n  ${notice}\n  Those suites are skipped; install Python to run them.\n`);
  }
  const server = python === undefined ? undefined : await startMlflowServer(python);
  project.provide("mlflowServerUri", server?.uri);
  project.provide("pythonPath", python);
  return async () => {
    await server?.stop();
  };
}
