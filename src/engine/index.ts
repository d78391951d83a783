// The bare engine: no MLflow, no OpenTelemetry, no Node API.
export {
  type Attribution,
  type CustomOperation,
  createEngine,
  Engine,
  type EngineOperation,
  type EngineOptions,
  FLAGS,
  loadEngine,
  type Outcome,
  type Refusal,
  type RunOptions,
  type ScopeOptions,
} from "./engine.js";
export { EngineError, type EngineErrorCode } from "./errors.js";
export type { EngineSource } from "./module.js";
export { ATTO_PER_USD, attoToUsd, type Decimal, usdToAtto } from "./money.js";
export { DEFAULT_METERS, type EnginePrices, GIB_MONTH, type MeterRate } from "./prices.js";
export {
  type Dimension,
  type EngineSummary,
  type MeterTotal,
  type OperationTotal,
  OVERFLOW,
  type RunTotal,
  UNATTRIBUTED,
  type UnpricedTotal,
} from "./summary.js";
