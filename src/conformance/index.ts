// genops/conformance: judges OTLP JSON against the GenOps Governance Specification. Runs anywhere, needs nothing.
export {
  type ConformanceLevel,
  type ConformanceReport,
  checkConformance,
  type ItemResult,
  type ItemStatus,
} from "./check.js";
export { CHECKLIST, type ChecklistItem, type Judgeable, type RequiredFor } from "./checklist.js";
export type { Finding } from "./judgement.js";
export { parseTelemetry, TelemetryTextError } from "./text.js";
