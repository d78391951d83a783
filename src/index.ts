// genops: a price, an owner and a limit on every MLflow operation. The part that runs anywhere.
export { MlflowCostAggregator } from "./costs/aggregator.js";
export { MlflowCostCalculator } from "./costs/calculator.js";
export { MlflowCostContext } from "./costs/context.js";
export type {
  Recommendation,
  RecommendationExample,
  RecommendationKind,
} from "./costs/recommendations.js";
export type { StorageBackend, StorageBackendMap } from "./costs/storage-backend.js";
export type {
  CostBreakdowns,
  CostRecord,
  ExactCostRecord,
  MlflowCostSummary,
  OperationUsage,
  RunCost,
  UnpricedUsage,
} from "./costs/summary.js";
export type { Decimal } from "./engine/index.js";
export type { GovernanceAttributes } from "./governance/attribution.js";
export type { AdapterOptions, Logger } from "./governance/configuration.js";
export type {
  BudgetFacts,
  Decision,
  DecisionResult,
  GovernanceAlert,
  GovernanceDecision,
} from "./governance/decision.js";
export {
  BudgetExceededError,
  ConfigurationError,
  type ConfigurationErrorCode,
  PolicyViolationError,
} from "./governance/errors.js";
export type { JournalOptions, JournalStatus } from "./governance/journal/open.js";
export type {
  BudgetOption,
  LimitAction,
  LimitScope,
  RateLimitOption,
} from "./governance/limit-options.js";
export type { BudgetStatus } from "./governance/limits.js";
export type {
  CustomPolicy,
  NamePatterns,
  PolicyName,
  PolicyObjection,
  PolicyOptions,
  PolicyRequest,
} from "./governance/policies/options.js";
export type { CostQuestion, Pricing } from "./governance/pricing.js";
export { MlflowError } from "./mlflow/errors.js";
export type { ActiveRun } from "./mlflow/fluent.js";
export type { LoggableValue } from "./mlflow/validation.js";
export {
  type AdapterMetrics,
  autoInstrumentMlflow,
  GenOpsMlflowAdapter,
  instrumentMlflow,
  type TrackRunOptions,
} from "./providers/mlflow/adapter.js";
export { createMlflowCostContext } from "./providers/mlflow/cost-context.js";
export type {
  AuditDecision,
  AuditLog,
  AuditLogOptions,
  AuditSink,
  AuditSubject,
  AuditTarget,
} from "./telemetry/audit/record.js";
export type {
  EventLogger,
  EventLoggerProvider,
  EventLogRecord,
  EventRecords,
} from "./telemetry/event-log.js";
