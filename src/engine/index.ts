// The bare engine: no MLflow, no OpenTelemetry, no Node API.
export type {
  BudgetAlert,
  BudgetOptions,
  BudgetPeriod,
  BudgetPosition,
  BudgetScope,
  BudgetUnit,
  RateLimitOptions,
  Refusal,
} from "./budgets.js";
export {
  type Attribution,
  createEngine,
  Engine,
  type EngineOperation,
  FLAGS,
  loadEngine,
  type Outcome,
  type RunOptions,
  type RunStatus,
  type ScannedBody,
  type ScopeOptions,
  type Span,
} from "./engine.js";
export { EngineError, type EngineErrorCode } from "./errors.js";
export type { EngineSource } from "./module.js";
export { ATTO_PER_USD, attoToUsd, type Decimal, usdToAtto } from "./money.js";
export type { CustomOperation, EngineOptions } from "./options.js";
export { DEFAULT_METERS, type EnginePrices, GIB_MONTH, type MeterRate } from "./prices.js";
export type { SamplingDecision } from "./sampling.js";
export {
  type AmountCursor,
  type Dimension,
  type EngineSummary,
  FOLDED,
  type MeterTotal,
  type OperationTotal,
  OVERFLOW,
  type Percentiles,
  type RolledUp,
  type RunTotal,
  UNATTRIBUTED,
  type UnpricedTotal,
} from "./summary.js";
