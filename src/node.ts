// genops on Node, Deno and Bun: the portable part, local files, and export from the environment.
import { fetchSeam } from "./instrumentation/http/fetch.js";
import { nodeHttpSeam } from "./instrumentation/http/node-http.js";
import { undiciSeam } from "./instrumentation/http/undici.js";
import { useSeam } from "./instrumentation/scopes.js";
import "./node-parts.js";

useSeam(fetchSeam);
useSeam(nodeHttpSeam);
useSeam(undiciSeam);

export * from "./index.js";
export { printValidationResult } from "./providers/mlflow/validation/report.js";
export type {
  CheckResult,
  CheckStatus,
  DependencyState,
  Severity,
  ValidationIssue,
  ValidationResult,
} from "./providers/mlflow/validation/result.js";
export {
  type ValidateSetupOptions,
  validateSetup,
} from "./providers/mlflow/validation/validate.js";
export { withDoubles } from "./telemetry/doubles.js";
