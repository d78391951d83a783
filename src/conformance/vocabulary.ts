// The names, types and values that the GenOps Governance Specification v0.1.0 defines. Written from the
// specification and not shared with what emits telemetry: a slip there must not be repeated here.
import type { ValueKind } from "./otlp.js";

/** The version that is judged, as `genops.spec.version` declares it (sections 7.1 and 11.3). */
export const SPECIFICATION_VERSION = "0.1.0";

/** How a partially compliant runtime declares itself, to the letter (section 9.2). */
export const PARTIAL_DECLARATION = "GenOps v0.1 — partial";

/** Types of attributes in the specification's words, and as what they travel. */
export type AttributeType = "string" | "double" | "int64" | "boolean";

export const WIRE_KIND: Readonly<Record<AttributeType, ValueKind>> = {
  string: "string",
  double: "double",
  int64: "int",
  boolean: "boolean",
};

/** Field of an OTLP `AnyValue` for each type. */
export const WIRE_FIELD: Readonly<Record<AttributeType, string>> = {
  string: "stringValue",
  double: "doubleValue",
  int64: "intValue",
  boolean: "boolValue",
};

// ── attributes (sections 2.3, 3.4, 4.2, 7.1) ─────────────────────────────────────────────────────────

export const TEAM = "genops.team";
export const PROJECT = "genops.project";
export const ENVIRONMENT = "genops.environment";
/** Who answers for a unit; never changes while it lives. */
export const ATTRIBUTION = [TEAM, PROJECT, ENVIRONMENT] as const;
export const OPERATION_NAME = "genops.operation.name";
export const OPERATION_TYPE = "genops.operation.type";
export const SPEC_VERSION = "genops.spec.version";
export const RESERVED = "genops.accounting.reserved";
export const ACTUAL = "genops.accounting.actual";
export const UNIT = "genops.accounting.unit";
export const DELTA = "genops.accounting.reconciliation_delta";
export const RESULT = "genops.policy.result";
export const REASON_CODE = "genops.policy.reason_code";
export const POLICY_NAME = "genops.policy.name";

export const SLA_TIER = "genops.sla.tier";
export const SLA_TARGET = "genops.sla.latency_target_ms";
export const SLA_ACTUAL = "genops.sla.actual_latency_ms";
export const SLA_MET = "genops.sla.met";

/** Section 6.3. */
export const SLA: ReadonlyMap<string, AttributeType> = new Map([
  [SLA_TIER, "string"],
  [SLA_TARGET, "int64"],
  [SLA_ACTUAL, "int64"],
  [SLA_MET, "boolean"],
]);

/** Section 7.1. */
export const REQUIRED: ReadonlyMap<string, AttributeType> = new Map([
  [TEAM, "string"],
  [PROJECT, "string"],
  [ENVIRONMENT, "string"],
  [OPERATION_NAME, "string"],
  [OPERATION_TYPE, "string"],
  [SPEC_VERSION, "string"],
  [RESERVED, "double"],
  [ACTUAL, "double"],
  [UNIT, "string"],
  [RESULT, "string"],
  [REASON_CODE, "string"],
]);

/** Section 7.3, without what has an item of its own (SLA, the delta). */
export const OPTIONAL: ReadonlyMap<string, AttributeType> = new Map([
  ["genops.budget.name", "string"],
  ["genops.budget.allocated", "double"],
  ["genops.budget.consumed", "double"],
  ["genops.budget.remaining", "double"],
  ["genops.budget.period", "string"],
  [POLICY_NAME, "string"],
  ["genops.policy.reason", "string"],
  ["genops.policy.timestamp", "int64"],
  ["genops.cost.total", "double"],
  ["genops.cost.currency", "string"],
  ["genops.cost.provider", "string"],
  ["genops.cost.model", "string"],
  ["genops.tokens.input", "int64"],
  ["genops.tokens.output", "int64"],
  ["genops.tokens.total", "int64"],
  ["genops.eval.metric", "string"],
  ["genops.eval.score", "double"],
  ["genops.eval.threshold", "double"],
  ["genops.eval.passed", "boolean"],
  ["genops.customer_id", "string"],
  ["genops.feature", "string"],
  ["genops.session_id", "string"],
  ["genops.cost_center", "string"],
]);

/** Every attribute that the specification names. */
export const DEFINED: ReadonlyMap<string, AttributeType> = new Map([
  ...REQUIRED,
  [DELTA, "double"],
  ...SLA,
  ...OPTIONAL,
]);

/**
 * What baggage and resource processors copy onto any span. A span that carries nothing of GenOps but
 * these is told who it belongs to; it is no governed unit.
 */
export const CONTEXT_ONLY: ReadonlySet<string> = new Set([
  ...ATTRIBUTION,
  "genops.customer_id",
  "genops.feature",
  "genops.session_id",
  "genops.cost_center",
]);

// ── events (sections 7.2 and 8) ──────────────────────────────────────────────────────────────────────

export const POLICY_EVALUATED = "genops.policy.evaluated";
export const BUDGET_RESERVATION = "genops.budget.reservation";
export const BUDGET_RECONCILIATION = "genops.budget.reconciliation";
export const REQUIRED_EVENTS: ReadonlySet<string> = new Set([
  POLICY_EVALUATED,
  BUDGET_RESERVATION,
  BUDGET_RECONCILIATION,
]);

/** Optional events and what they must carry (section 8.4). */
export const OPTIONAL_EVENTS: ReadonlyMap<string, readonly string[]> = new Map([
  ["genops.cost.calculated", ["genops.cost.total", "genops.cost.currency"]],
  [
    "genops.budget.alert",
    ["genops.budget.name", "genops.budget.consumed", "genops.budget.allocated"],
  ],
  ["genops.evaluation.complete", ["genops.eval.metric", "genops.eval.score"]],
]);

// ── values (sections 4.1 and 5) ──────────────────────────────────────────────────────────────────────

export const DECISIONS = ["ALLOWED", "BLOCKED", "WARNING", "RATE_LIMITED"] as const;
export type Decision = (typeof DECISIONS)[number];

export const RESERVATION_FAILED = "BUDGET_RESERVATION_FAILED";
export const REASON_CODES: readonly string[] = [
  "BUDGET_EXCEEDED",
  RESERVATION_FAILED,
  "POLICY_DENY_MODEL",
  "POLICY_DENY_REGION",
  "POLICY_DENY_CONTENT",
  "RATE_LIMITED",
  "SLA_LATENCY_VIOLATION",
  "PROVIDER_ERROR_UPSTREAM",
  "ACCOUNTING_INVARIANT_VIOLATION",
];
/** Codes of one's own (section 5.5). */
export const EXTENSION_CODE = /^x_[a-z0-9_]+$/;

export function isDecision(value: unknown): value is Decision {
  return DECISIONS.some((decision) => decision === value);
}

// ── placeholders (section 9.1, requirement 8) ────────────────────────────────────────────────────────

/** The specification forbids placeholders without listing them: these are the ones people write. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  ...["", "-", "--", "?", "???", "...", "*"],
  ...["unknown", "undefined", "unset", "unspecified", "unassigned", "unattributed", "missing"],
  ...["n/a", "na", "none", "null", "nil", "empty", "nan", "not set", "not available"],
  ...["tbd", "todo", "fixme", "changeme", "change me", "change-me", "placeholder", "dummy", "xxx"],
]);
const PLACEHOLDER_FOR =
  /^(unknown|undefined|default|placeholder|dummy|example|sample|your|my|some)[-_ ](team|project|environment|env|operation|name|type|unit)([-_ ]name)?$/;
/** A template that nobody filled in. */
const TEMPLATE = /^(\$\{.*\}|\{\{.*\}\}|<.*>|\$[A-Z_]+|%[A-Z_]+%|\(.*\))$/;

/** Does a text stand for one that is not known? */
export function isPlaceholder(value: string): boolean {
  const plain = value.trim().toLowerCase();
  return PLACEHOLDERS.has(plain) || PLACEHOLDER_FOR.test(plain) || TEMPLATE.test(value.trim());
}
