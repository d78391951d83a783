// The condition of every suite that needs a real MLflow.
import { inject } from "vitest";

/** Is there a real MLflow to test against? With CI=true there always is, or nothing runs. */
export function requiresMlflow(): boolean {
  return inject("mlflowServerUri") !== undefined;
}
