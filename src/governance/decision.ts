// What was decided of an operation before it ran, and why. Never changed afterwards.
import type { BudgetPeriod, BudgetUnit } from "../engine/index.js";
import type { GovernanceAttributes } from "./attribution.js";
import { BudgetExceededError, type GovernanceRefusal, PolicyViolationError } from "./errors.js";

/** The four results of the GenOps Governance Specification v0.1.0, section 4.1. */
export type DecisionResult = "ALLOWED" | "WARNING" | "BLOCKED" | "RATE_LIMITED";

/** Where the budget that decided stands. Amounts in its unit, USD as exact decimals. */
export interface BudgetFacts {
  readonly name: string;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly allocated: string;
  /** Spent and held. */
  readonly consumed: string;
  /** Below 0 when more was spent than the limit. */
  readonly remaining: string;
}

/** One decision. What ALLOWED does not have is left out. */
export interface Decision {
  readonly result: DecisionResult;
  /** Code of the specification, or one of ours, which begin with `x_`. */
  readonly reasonCode?: string;
  /** What decided: a policy's name, or `budget.NAME` and `rateLimit.NAME`. */
  readonly policy?: string;
  /** What is wrong and what to do, for a person. */
  readonly reason?: string;
  /** What was at fault, for a policy: an attribute, a tag, an option's name. */
  readonly field?: string;
  /** Name of the budget or rate limit, when it was one. */
  readonly limit?: string;
  readonly budget?: BudgetFacts;
}

export const ALLOWED: Decision = Object.freeze({ result: "ALLOWED" });

export function isRefusal({ result }: Decision): boolean {
  return result === "BLOCKED" || result === "RATE_LIMITED";
}

/** The decision that counts for an operation: what refused it, else the first warning. */
export function decidingOf(decisions: readonly Decision[]): Decision {
  return (
    decisions.find(isRefusal) ?? decisions.find(({ result }) => result === "WARNING") ?? ALLOWED
  );
}

/** The error that a refusal is thrown as. */
export function errorOf(decision: Decision): GovernanceRefusal {
  const { result, reasonCode = "", policy = "", reason = "", field = policy, limit } = decision;
  if (limit === undefined) return new PolicyViolationError({ policy, reasonCode, field }, reason);
  const code = result === "RATE_LIMITED" ? "RATE_LIMITED" : "BUDGET_EXCEEDED";
  return new BudgetExceededError(code, { policy, reasonCode, budget: limit }, reason);
}

/** A decision that was not ALLOWED, as the option `onDecision` is told of it. */
export interface GovernanceDecision extends Decision {
  readonly reasonCode: string;
  readonly policy: string;
  readonly reason: string;
  /** MLflow's operation, for example `log_metric`. */
  readonly operation: string;
  readonly runId?: string;
  /** Who pays. */
  readonly attributes: GovernanceAttributes;
}

/** A budget came to a share of its limit, as the option `onBudgetAlert` is told of it, once a period. */
export interface GovernanceAlert {
  readonly budget: string;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  /** Share of the limit, for example 0.8. */
  readonly share: number;
  /** In the budget's unit, USD as exact decimals. */
  readonly spent: string;
  readonly limit: string;
  /** The run that came to it, for a budget with the period `run`. */
  readonly runId?: string;
}
