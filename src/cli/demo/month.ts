// What the search would cost if it ran once an hour for a month, exactly and by a stated assumption.

import type { MlflowCostSummary } from "../../costs/summary.js";
import { attoOf } from "../../costs/usd-text.js";
import { attoToUsd, UNATTRIBUTED } from "../../engine/index.js";

/** A month here is 30 days of 24 hours, as in the storage prices (USD per GiB-month of 30 days). */
export const DAYS_PER_MONTH = 30n;
export const HOURS_PER_DAY = 24n;
export const SEARCHES_PER_MONTH = DAYS_PER_MONTH * HOURS_PER_DAY;

/** Amounts in atto-USD. */
export interface MonthProjection {
  /** Searches in the month: one an hour. */
  readonly searches: bigint;
  /** Calls of one search, less what only the first one does. */
  readonly callsPerSearch: bigint;
  /** What only the first search does: making the experiments. */
  readonly callsOnce: bigint;
  /** Calls of all searches. */
  readonly calls: bigint;
  /** Storage as the ledger counts it: every file for one day when it is written. */
  readonly storageAsBooked: bigint;
  /** Storage when nothing is deleted: every file for each hour that it lies there in this month. */
  readonly storageKept: bigint;
  /** Storage of every following month, for what this month has left behind. */
  readonly storageAfterwards: bigint;
  /** Bytes that lie there at the end of the month. */
  readonly bytesKept: bigint;
  /** Calls, and storage as it accrues. */
  readonly total: bigint;
}

/**
 * Projects one search onto a month.
 *
 * The search of hour h keeps its files for the 720 − h hours that are left, so all of them together for
 * 720 + 719 + … + 1 hours. The ledger's storage amount is the price of one day (24 hours) of one search.
 */
export function projectMonth(
  summary: Pick<MlflowCostSummary, "totalCostExact" | "exact" | "totalStorageBytes">,
): MonthProjection {
  // What is no storage is the calls.
  const callsNow = attoOf(summary.exact.costByStorageBackend[UNATTRIBUTED] ?? "0");
  const storage = attoOf(summary.totalCostExact) - callsNow;
  const callsOnce = attoOf(summary.exact.costByOperationType.create_experiment ?? "0");
  const callsPerSearch = callsNow - callsOnce;
  const calls = callsPerSearch * SEARCHES_PER_MONTH + callsOnce;
  const hours = SEARCHES_PER_MONTH;
  const keptHours = (hours * (hours + 1n)) / 2n;
  const storageKept = (storage * keptHours) / HOURS_PER_DAY;
  return {
    searches: SEARCHES_PER_MONTH,
    callsPerSearch,
    callsOnce,
    calls,
    storageAsBooked: storage * SEARCHES_PER_MONTH,
    storageKept,
    storageAfterwards: storage * SEARCHES_PER_MONTH * DAYS_PER_MONTH,
    bytesKept: BigInt(summary.totalStorageBytes) * SEARCHES_PER_MONTH,
    total: calls + storageKept,
  };
}

/** The projection for machines: decimal text, exact. */
export function monthDocument(month: MonthProjection) {
  return {
    assumption:
      "This search once an hour for 30 days at the default prices; every file is kept until the month ends.",
    searches: Number(month.searches),
    totalCost: attoToUsd(month.total),
    callsCost: attoToUsd(month.calls),
    storageCost: attoToUsd(month.storageKept),
    storageCostAsBooked: attoToUsd(month.storageAsBooked),
    storageCostPerFollowingMonth: attoToUsd(month.storageAfterwards),
    storedBytesAtEnd: Number(month.bytesKept),
  };
}
