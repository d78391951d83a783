// Whoever knows Python's client finds its names here, or the reason why one is missing.
import { describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { MLFLOW_VERSION } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { COUNTERPARTS, type Counterpart } from "./python-names.js";
import { python } from "./run-python.js";

/** Where a module's functions are here. */
const PLACES: Readonly<Record<string, object>> = {
  mlflow,
  MlflowClient: mlflow.MlflowClient.prototype,
  "mlflow.artifacts": mlflow.artifacts,
  "mlflow.data": mlflow.data,
  "mlflow.config": mlflow,
};

function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function counterpart(module: string, name: string): Counterpart {
  return COUNTERPARTS[module]?.[name] ?? { ours: camelCase(name) };
}

/** Names may be of a group of functions, such as `tensorflow.autolog`. */
function isThere(module: string, name: string): boolean {
  const place = name.includes(".") ? mlflow : PLACES[module];
  let found: unknown = place;
  for (const part of name.split(".")) {
    // A getter of a prototype has no object to work on.
    if (part === name) return part in (found as object);
    found = (found as Readonly<Record<string, unknown>> | undefined)?.[part];
  }
  return found !== undefined;
}

describe.runIf(requiresMlflow())(`every name of Python's MLflow ${MLFLOW_VERSION}`, () => {
  it("is here, or has a reason not to be, and no other has", async () => {
    const names = (await python("names.py")) as Readonly<Record<string, readonly string[]>>;
    expect(Object.keys(names).sort()).toEqual(Object.keys(COUNTERPARTS).sort());
    const missing: string[] = [];
    const superfluous: string[] = [];
    for (const [module, known] of Object.entries(names)) {
      for (const name of known) {
        const found = counterpart(module, name);
        if ("ours" in found && !isThere(module, found.ours)) missing.push(`${module}.${name}`);
        if ("none" in found && isThere(module, camelCase(name))) superfluous.push(name);
      }
      const listed = Object.keys(COUNTERPARTS[module] ?? {});
      superfluous.push(...listed.filter((name) => !known.includes(name)));
    }
    expect(missing).toEqual([]);
    expect(superfluous).toEqual([]);
  });

  it("is looked for where it would be", () => {
    expect(isThere("mlflow", "logMetric")).toBe(true);
    expect(isThere("mlflow", "tensorflow.autolog")).toBe(true);
    expect(isThere("mlflow", "logNothing")).toBe(false);
    expect(isThere("mlflow", "tensorflow.logNothing")).toBe(false);
    expect(isThere("MlflowClient", "trackingUri")).toBe(true);
    expect(isThere("MlflowClient", "startRun")).toBe(false);
  });
});
