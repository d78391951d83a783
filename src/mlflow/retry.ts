// When a failed request to a server is sent again, and after what delay.
// Source: mlflow/utils/request_utils.py (3.17), whose delays are those of urllib3's Retry.
import type { ConnectionSettings } from "./connection.js";
import type { Repeatable } from "./spec.js";

/** Statuses that pass by themselves; the same list as Python's client. */
const TRANSIENT_STATUSES: readonly number[] = [408, 429, 500, 502, 503, 504];
/** Statuses by which a server says that it did not begin. */
const REFUSAL_STATUSES: readonly number[] = [429, 503];
/** A server that asks for a longer wait gets its error reported instead, in milliseconds. */
const LONGEST_RETRY_AFTER_MS = 300_000;
const LONGEST_DELAY_MS = 120_000;
/** A server that never answered is given up sooner: these attempts take less than a second. */
const FIRST_CONTACT_RETRIES = 2;
const FIRST_CONTACT_DELAY_MS = 200;

/** Why an attempt failed, as far as sending it again is concerned. */
export type Failure =
  /** The server answered with an error. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly retryAfter: string | null;
      /** The server's own clock, as its `Date` says. */
      readonly serverDate?: string | null;
    }
  /** No connection: the server cannot have seen the request. */
  | { readonly kind: "unconnected"; readonly serverAnsweredBefore: boolean }
  /** The connection broke: the server may have carried the request out. */
  | { readonly kind: "broken" };

/** May a server that answers with this status have carried the request out? */
export function leavesDoubt(status: number): boolean {
  return TRANSIENT_STATUSES.includes(status) && !REFUSAL_STATUSES.includes(status);
}

/**
 * Milliseconds to wait before the next attempt, or undefined when there should be none.
 * `attempt` counts from 1; `repeatable` as the endpoint says.
 */
export function delayBeforeRetry(
  failure: Failure,
  attempt: number,
  repeatable: Repeatable,
  settings: ConnectionSettings,
): number | undefined {
  if (attempt > settings.maxRetries) return undefined;
  switch (failure.kind) {
    case "status": {
      const retriable = repeatable === false ? REFUSAL_STATUSES : TRANSIENT_STATUSES;
      if (!retriable.includes(failure.status)) return undefined;
      const asked = settings.respectRetryAfter ? retryAfterMs(failure) : undefined;
      if (asked === undefined) return backoffMs(attempt, settings);
      return asked <= LONGEST_RETRY_AFTER_MS ? asked : undefined;
    }
    case "unconnected":
      if (failure.serverAnsweredBefore) return backoffMs(attempt, settings);
      if (attempt > FIRST_CONTACT_RETRIES) return undefined;
      // Half of it is random, so that many clients do not come back at the same moment.
      return FIRST_CONTACT_DELAY_MS * attempt * (0.5 + Math.random() / 2);
    case "broken":
      return repeatable === false ? undefined : backoffMs(attempt, settings);
  }
}

/** The first retry comes after the random part alone, then the delays double. */
function backoffMs(attempt: number, settings: ConnectionSettings): number {
  const grown = attempt === 1 ? 0 : settings.backoffFactorMs * 2 ** (attempt - 1);
  return Math.min(LONGEST_DELAY_MS, grown + Math.random() * settings.backoffJitterMs);
}

/** `Retry-After` in milliseconds: seconds, or an HTTP date, which the server's own clock is about. */
function retryAfterMs({
  retryAfter,
  serverDate,
}: Extract<Failure, { kind: "status" }>): number | undefined {
  if (retryAfter === null) return undefined;
  if (/^\s*\d+\s*$/.test(retryAfter)) return Number(retryAfter) * 1000;
  const date = Date.parse(retryAfter);
  if (Number.isNaN(date)) return undefined;
  const serverNow = Date.parse(serverDate ?? "");
  return Math.max(0, date - (Number.isNaN(serverNow) ? Date.now() : serverNow));
}
