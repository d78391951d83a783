// When the periods of budgets begin and end, in UTC: the engine's calendar as dates.
import type { BudgetPeriod } from "../engine/index.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** The first Monday since 1970. */
const MONDAY_MS = 4 * DAY_MS;

/** Half open: `end` belongs to the next period. Times in ms since 1970. */
interface PeriodBounds {
  readonly start: number;
  readonly end: number;
}

function fixed(nowMs: number, length: number, origin = 0): PeriodBounds {
  const start = Math.floor((nowMs - origin) / length) * length + origin;
  return { start, end: start + length };
}

/** The period that a time belongs to; undefined for budgets that last as long as a run, or for ever. */
export function periodBounds(period: BudgetPeriod, nowMs: number): PeriodBounds | undefined {
  switch (period) {
    case "hour":
      return fixed(nowMs, HOUR_MS);
    case "day":
      return fixed(nowMs, DAY_MS);
    case "week":
      return fixed(nowMs, 7 * DAY_MS, MONDAY_MS);
    case "month": {
      const now = new Date(nowMs);
      const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()];
      return { start: Date.UTC(year, month, 1), end: Date.UTC(year, month + 1, 1) };
    }
    default:
      return undefined;
  }
}
