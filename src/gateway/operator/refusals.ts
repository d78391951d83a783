// The latest refusals, those of one payer by one policy told once with their number, and how many decisions there were of each kind.
import type { DecisionResult, GovernanceDecision } from "../../governance/decision.js";

/** Refusals that are remembered; the one that is longest ago goes first. */
const REMEMBERED_MAX = 50;
/** Kinds of decisions that monitoring keeps apart. */
const KINDS_MAX = 200;
/** Longest reason that is kept, in characters. */
const REASON_MAX = 400;

/** A call that was refused. */
export interface Refusal {
  readonly result: DecisionResult;
  readonly reasonCode: string;
  readonly policy: string;
  /** MLflow's operation, or the request where nothing more is known. */
  readonly operation: string;
  readonly reason: string;
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly customerId?: string | undefined;
}

/** Refusals of one payer by one policy; what else is told is that of the last one. */
export interface RefusalRow extends Refusal {
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface DecisionCount {
  readonly result: DecisionResult;
  readonly reasonCode: string;
  readonly policy: string;
  readonly count: number;
}

function isRefused(result: DecisionResult): boolean {
  return result === "BLOCKED" || result === "RATE_LIMITED";
}

export class Refusals {
  /** Is called after each change. */
  onChange: () => void = () => {};

  readonly #now: () => number;
  readonly #rows = new Map<string, RefusalRow>();
  readonly #counts = new Map<string, DecisionCount>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Takes each decision that was not simply ALLOWED. */
  decided(decision: GovernanceDecision): void {
    const { result, reasonCode, policy, reason, operation, attributes } = decision;
    const { team, project, customerId } = attributes;
    this.told({ result, reasonCode, policy, reason, operation, team, project, customerId });
  }

  told(refusal: Refusal): void {
    this.#count(refusal);
    if (isRefused(refusal.result)) this.#remember(refusal);
    this.onChange();
  }

  #count({ result, reasonCode, policy }: Refusal): void {
    let key = JSON.stringify([result, reasonCode, policy]);
    let kind = { result, reasonCode, policy };
    if (!this.#counts.has(key) && this.#counts.size >= KINDS_MAX) {
      kind = { result, reasonCode: "(overflow)", policy: "(overflow)" };
      key = JSON.stringify(kind);
    }
    const before = this.#counts.get(key)?.count ?? 0;
    this.#counts.set(key, { ...kind, count: before + 1 });
  }

  #remember(refusal: Refusal): void {
    const { result, policy, team, project } = refusal;
    const key = JSON.stringify([result, policy, team, project]);
    const before = this.#rows.get(key);
    const lastMs = this.#now();
    // Taken out and put in again, the order is that of the last times.
    this.#rows.delete(key);
    this.#rows.set(key, {
      ...refusal,
      reason: refusal.reason.slice(0, REASON_MAX),
      count: (before?.count ?? 0) + 1,
      firstMs: before?.firstMs ?? lastMs,
      lastMs,
    });
    const [oldest] = this.#rows.keys();
    if (this.#rows.size > REMEMBERED_MAX && oldest !== undefined) this.#rows.delete(oldest);
  }

  /** The latest first. */
  get latest(): readonly RefusalRow[] {
    return [...this.#rows.values()].reverse();
  }

  get counts(): Iterable<DecisionCount> {
    return this.#counts.values();
  }
}
