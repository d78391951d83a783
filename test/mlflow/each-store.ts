// Runs a suite on every kind of store: a folder, and a real server where there is one.
import { join } from "node:path";
import { afterEach, beforeEach, describe, inject } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

/** The suite finds the tracking URI set, and leaves no run open. */
export function onEachStore(suite: () => void): void {
  const prepared = (uri: () => Promise<string>) => () => {
    beforeEach(async () => mlflow.setTrackingUri(await uri()));
    afterEach(async () => {
      while (mlflow.activeRun() !== undefined) await mlflow.endRun();
    });
    suite();
  };
  describe(
    "in a folder",
    prepared(async () => join(await temporaryFolder(), "mlruns")),
  );
  describe.runIf(requiresMlflow())(
    "on a real server",
    prepared(async () => inject("mlflowServerUri") as string),
  );
}

/** What passes the seam while `action` runs, as `POST runs/create`. */
export async function callsOf(action: () => Promise<unknown>): Promise<string[]> {
  const calls: string[] = [];
  const remove = mlflow.addInterceptor((call, proceed) => {
    calls.push(`${call.method} ${call.route.replace(/^\/api\/2\.0\/mlflow(-artifacts)?\//, "")}`);
    return proceed(call);
  });
  try {
    await action();
  } finally {
    remove();
  }
  return calls;
}
