// What Node, Deno and Bun have beyond the portable part: files, journals, audit trails, export from the environment.
import "./mlflow/node.js";
import { setJournalOpener } from "./governance/journal/open.js";
import { openJournalFolder } from "./governance/journal/open-folder.js";
import { setPolicyFileReader } from "./governance/policies/policy-file.js";
import { readYamlPolicyFile } from "./governance/policies/yaml-file.js";
import { setAuditTrailOpener } from "./telemetry/audit/open.js";
import { AuditTrail } from "./telemetry/audit/trail.js";
import { setLoggerProviderFinder } from "./telemetry/event-log.js";
import { setTelemetryStarter } from "./telemetry/export.js";
import { findLoggerProvider } from "./telemetry/otlp-logs-node.js";
import { startOtlpExport } from "./telemetry/otlp-node.js";

setPolicyFileReader(readYamlPolicyFile);
setTelemetryStarter(startOtlpExport);
setLoggerProviderFinder(findLoggerProvider);
setJournalOpener(openJournalFolder);
setAuditTrailOpener((log, onFailure) => new AuditTrail(log, onFailure));
