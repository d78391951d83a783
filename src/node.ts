// genops on Node, Deno and Bun: the portable part, local files, and export from the environment.
import "./node-parts.js";

export { printValidationResult } from "./cli/validate/report.js";
export * from "./index.js";
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
