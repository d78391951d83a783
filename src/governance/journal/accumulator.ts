// What a journal keeps amounts of: the whole ledger's day, and every budget; their names, periods and slices.
import type { BudgetPeriod, BudgetUnit } from "../../engine/index.js";
import { periodBounds } from "../calendar.js";
import type { BudgetOption } from "../limit-options.js";

/** Names a budget stably: its limit and action may change from one start to the next, and it is still the same. */
export interface AccumulatorName {
  /** Absent for the whole ledger's day. */
  readonly budget?: string;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  /** What it applies to, dimension by dimension. */
  readonly scope: Readonly<Record<string, string>>;
}

/** The whole ledger's UTC day in USD. */
export const DAY: AccumulatorName = { unit: "usd", period: "day", scope: {} };
/** Its key. Those of budgets begin with `[`. */
export const DAY_KEY = "day";

const UNITS: readonly string[] = ["usd", "operations", "runs", "bytes"] satisfies BudgetUnit[];
const PERIODS: readonly string[] = [
  "hour",
  "day",
  "week",
  "month",
  "total",
] satisfies BudgetPeriod[];

/** A budget of the user's as the journal names it; undefined for what is not kept. */
export function budgetName({
  name,
  unit = "usd",
  period,
  scope = {},
}: BudgetOption): AccumulatorName | undefined {
  // Each run begins its budget with nothing, wherever it goes on.
  if (period === "run") return undefined;
  const names = Object.entries(scope).filter(([, value]) => value !== undefined);
  return { budget: name, unit, period, scope: Object.fromEntries(names) };
}

/** Text that names an accumulator in a record. */
export function accumulatorKey({ budget, unit, period, scope }: AccumulatorName): string {
  if (budget === undefined) return DAY_KEY;
  const names = Object.entries(scope).sort(([left], [right]) => (left < right ? -1 : 1));
  return JSON.stringify([budget, unit, period, ...names]);
}

/** What a key names; undefined for what this version has no such accumulator of. */
export function accumulatorName(key: string): AccumulatorName | undefined {
  if (key === DAY_KEY) return DAY;
  try {
    const [budget, unit, period, ...names] = JSON.parse(key);
    if (typeof budget !== "string" || !UNITS.includes(unit) || !PERIODS.includes(period)) {
      return undefined;
    }
    return { budget, unit, period, scope: Object.fromEntries(names) };
  } catch {
    return undefined;
  }
}

/** First instant of the period that a time belongs to, as a record has it. */
export function periodStart(period: BudgetPeriod, timeMs: number): string {
  const bounds = periodBounds(period, timeMs);
  return bounds === undefined ? "" : new Date(bounds.start).toISOString();
}

/** The period before the one that a time belongs to. */
export function periodBefore(period: BudgetPeriod, timeMs: number): string {
  const bounds = periodBounds(period, timeMs);
  return bounds === undefined ? "" : periodStart(period, bounds.start - 1);
}

/** Is what belongs to this period of no use any more? The last one is kept: late calls are booked to it. */
export function isOutdated(key: string, period: string, nowMs: number): boolean {
  const name = accumulatorName(key);
  return name !== undefined && period !== "" && period < periodBefore(name.period, nowMs);
}

/** The least and the most that a slice of an accumulator may be, in its unit. */
export interface SliceBounds {
  readonly least: bigint;
  readonly most: bigint;
}

const USD = 10n ** 18n;
const SLICES: Readonly<Record<BudgetUnit, SliceBounds>> = {
  // From ten tracking calls to ten thousand.
  usd: { least: USD / 1000n, most: USD },
  operations: { least: 10n, most: 10_000n },
  runs: { least: 1n, most: 100n },
  bytes: { least: 2n ** 20n, most: 2n ** 30n },
};

/** As `Math.min`, which takes no bigint. */
export function smaller(left: bigint, right: bigint): bigint {
  if (left < right) return left;
  return right;
}

/**
 * How large slices of a budget may be: a hundredth of its limit and no more than a fixed amount of its unit. A budget
 * that only warns has slices of ten calls at least, however small its limit is; what a crash leaves uncertain of one
 * that blocks would be refused to its calls, so its slices may be as small as one call.
 *
 * @param asked the most that the user allows, in atto-USD.
 */
export function sliceBounds(
  unit: BudgetUnit,
  limit: bigint | undefined,
  blocks: boolean,
  asked: bigint | undefined,
): SliceBounds {
  const { least, most } = SLICES[unit];
  const bound = unit === "usd" && asked !== undefined ? asked : most;
  const share = limit === undefined ? bound : smaller(bound, limit / 100n);
  if (blocks) return { least: smaller(least, share), most: share };
  return { least: smaller(least, bound), most: share < least ? smaller(least, bound) : share };
}
