// genops on Node, Deno and Bun: the portable part, local files, and export from the environment.
import "./mlflow/node.js";
import { openAuditFile } from "./telemetry/audit/file.js";
import { setAuditFileOpener } from "./telemetry/audit/files.js";
import { setTelemetryStarter } from "./telemetry/export.js";
import { startOtlpExport } from "./telemetry/otlp-node.js";

setTelemetryStarter(startOtlpExport);
setAuditFileOpener(openAuditFile);

export * from "./index.js";
export { withDoubles } from "./telemetry/doubles.js";
