// @ts-check
// Set-up validation: what `genops validate` does, from a program. Exit code 1 when something has to be mended.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { printValidationResult, validateSetup } from "genops";

const result = await validateSetup({
  trackingUri:
    process.env.MLFLOW_TRACKING_URI ?? (await mkdtemp(join(tmpdir(), "setup-validation-"))),
  checkConnectivity: true,
  checkGovernance: true,
  // What the program gives its adapter is validated with it.
  adapter: { team: "ml-team", project: "model-optimization", environment: "development" },
});
printValidationResult(result);
process.exitCode = result.passed ? 0 : 1;
