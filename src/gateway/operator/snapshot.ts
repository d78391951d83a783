// How the gateway stands at this moment: what the page shows, and what its events carry. Amounts as exact text.
import { attoToUsd } from "../../engine/index.js";
import type { Governor } from "../../governance/governor.js";
import type { JournalStatus } from "../../governance/journal/open.js";
import type { BudgetStatus } from "../../governance/limits.js";
import type { Account, Usage } from "./account.js";
import type { Refusals } from "./refusals.js";

/** What one name cost today. */
export interface CostRow {
  readonly name: string;
  /** USD, exact. */
  readonly cost: string;
  /** Calls that succeeded and changed something. */
  readonly operations: number;
  readonly errors: number;
}

/** A refusal as it is told; times in ISO 8601. */
export interface ToldRefusal {
  readonly result: string;
  readonly reasonCode: string;
  readonly policy: string;
  readonly operation: string;
  readonly reason: string;
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly customerId?: string | undefined;
  readonly count: number;
  readonly first: string;
  readonly last: string;
}

export interface OperatorSnapshot {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly startedAt: string;
  readonly today: {
    /** The UTC day, `2026-02-23`. */
    readonly day: string;
    /** USD of all processes of this ledger, exact. */
    readonly cost: string;
    /** The part of it that this process has not seen: spent before it was started, or by others. */
    readonly costElsewhere: string;
    readonly operations: number;
    readonly errors: number;
    /** What costs most first. */
    readonly byTeam: readonly CostRow[];
    readonly byProject: readonly CostRow[];
    readonly byCustomer: readonly CostRow[];
    readonly byOperation: readonly CostRow[];
  };
  readonly budgets: readonly BudgetStatus[];
  readonly refusals: readonly ToldRefusal[];
  readonly journal: JournalStatus;
}

/** What costs most first; of two alike, what was called more often. */
function rowsOf(usage: ReadonlyMap<string, Usage>): CostRow[] {
  return [...usage]
    .sort(([, left], [, right]) => {
      if (left.cost !== right.cost) return left.cost < right.cost ? 1 : -1;
      return right.operations - left.operations;
    })
    .map(([name, { cost, operations, errors }]) => ({
      name,
      cost: attoToUsd(cost),
      operations,
      errors,
    }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function snapshotOf(
  governor: Governor,
  account: Account,
  refusals: Refusals,
): OperatorSnapshot {
  const spent = governor.daySpent();
  const { day, total, byTeam, byProject, byCustomer, byOperation } = account.today;
  // An operation that spans midnight is booked to the day it began in.
  const elsewhere = spent > total.cost ? spent - total.cost : 0n;
  return {
    at: iso(Date.now()),
    startedAt: iso(account.startedMs),
    today: {
      day: iso(day * 86_400_000).slice(0, 10),
      cost: attoToUsd(spent),
      costElsewhere: attoToUsd(elsewhere),
      operations: total.operations,
      errors: total.errors,
      byTeam: rowsOf(byTeam),
      byProject: rowsOf(byProject),
      byCustomer: rowsOf(byCustomer),
      byOperation: rowsOf(byOperation),
    },
    budgets: governor.limits.statuses(),
    refusals: refusals.latest.map(({ firstMs, lastMs, ...refusal }) => ({
      ...refusal,
      first: iso(firstMs),
      last: iso(lastMs),
    })),
    journal: governor.journal,
  };
}
