// Names of the GenOps Governance Specification v0.1.0 and of MLflow's identity, in one place.

/** Version of the specification that every governed unit declares (section 11). */
export const SPEC_VERSION = "0.1.0";

export const GENOPS = {
  operationName: "genops.operation.name",
  operationType: "genops.operation.type",
  specVersion: "genops.spec.version",
  reserved: "genops.accounting.reserved",
  actual: "genops.accounting.actual",
  actualExact: "genops.accounting.actual_exact",
  delta: "genops.accounting.reconciliation_delta",
  unit: "genops.accounting.unit",
  policyResult: "genops.policy.result",
  reasonCode: "genops.policy.reason_code",
  policyName: "genops.policy.name",
  policyReason: "genops.policy.reason",
  policyTimestamp: "genops.policy.timestamp",
  budgetName: "genops.budget.name",
  budgetPeriod: "genops.budget.period",
  budgetAllocated: "genops.budget.allocated",
  budgetConsumed: "genops.budget.consumed",
  budgetRemaining: "genops.budget.remaining",
  /** Ours: what a budget counts, and the share of its limit that an alert tells of. */
  budgetUnit: "genops.mlflow.budget_unit",
  budgetShare: "genops.mlflow.budget_share",
  costTotal: "genops.cost.total",
  currency: "genops.cost.currency",
  provider: "genops.cost.provider",
  runCost: "genops.mlflow.run_cost",
  runCostInclusive: "genops.mlflow.run_cost_inclusive",
} as const;

export const EVENTS = {
  policyEvaluated: "genops.policy.evaluated",
  reservation: "genops.budget.reservation",
  reconciliation: "genops.budget.reconciliation",
  budgetAlert: "genops.budget.alert",
} as const;

export const MLFLOW = {
  experimentId: "mlflow.experiment_id",
  experimentName: "mlflow.experiment_name",
  runId: "mlflow.run_id",
  runName: "mlflow.run_name",
  parentRunId: "mlflow.parent_run_id",
  modelName: "mlflow.model_name",
  modelVersion: "mlflow.model_version",
  modelStage: "mlflow.model_stage",
  artifactUri: "mlflow.artifact_uri",
} as const;

/** Stable OpenTelemetry name for the class of an error. */
export const ERROR_TYPE = "error.type";
