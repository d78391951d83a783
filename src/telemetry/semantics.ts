// Names of the GenOps Governance Specification v0.1.0 and of MLflow's identity, in one place.

/** Version of the specification that every governed unit declares (section 11). */
export const SPEC_VERSION = "0.1.0";
/** What a unit must say when a required identity attribute is not configured (section 9.2). */
export const PARTIAL = "GenOps v0.1 — partial";

export const GENOPS = {
  operationName: "genops.operation.name",
  operationType: "genops.operation.type",
  specVersion: "genops.spec.version",
  specConformance: "genops.spec.conformance",
  reserved: "genops.accounting.reserved",
  actual: "genops.accounting.actual",
  actualExact: "genops.accounting.actual_exact",
  delta: "genops.accounting.reconciliation_delta",
  unit: "genops.accounting.unit",
  policyResult: "genops.policy.result",
  currency: "genops.cost.currency",
  provider: "genops.cost.provider",
  runCost: "genops.mlflow.run_cost",
  runCostInclusive: "genops.mlflow.run_cost_inclusive",
} as const;

export const EVENTS = {
  policyEvaluated: "genops.policy.evaluated",
  reservation: "genops.budget.reservation",
  reconciliation: "genops.budget.reconciliation",
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
