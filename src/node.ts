// genops on Node, Deno and Bun: the portable part, local files, and export from the environment.
import "./mlflow/node.js";
import { setJournalOpener } from "./governance/journal/open.js";
import { openJournalFolder } from "./governance/journal/open-folder.js";
import { setPolicyFileReader } from "./governance/policies/policy-file.js";
import { readYamlPolicyFile } from "./governance/policies/yaml-file.js";
import { fetchSeam } from "./instrumentation/http/fetch.js";
import { nodeHttpSeam } from "./instrumentation/http/node-http.js";
import { undiciSeam } from "./instrumentation/http/undici.js";
import { useSeam } from "./instrumentation/scopes.js";
import { setAuditTrailOpener } from "./telemetry/audit/open.js";
import { AuditTrail } from "./telemetry/audit/trail.js";
import { setTelemetryStarter } from "./telemetry/export.js";
import { startOtlpExport } from "./telemetry/otlp-node.js";

setPolicyFileReader(readYamlPolicyFile);
setTelemetryStarter(startOtlpExport);
setJournalOpener(openJournalFolder);
useSeam(fetchSeam);
useSeam(nodeHttpSeam);
useSeam(undiciSeam);
setAuditTrailOpener((log, onFailure) => new AuditTrail(log, onFailure));

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
