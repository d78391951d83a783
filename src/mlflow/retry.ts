// When a failed request to a server is sent again, and after what delay.
// Source: mlflow/utils/request_utils.py and mlflow/environment_variables.py (3.17).
import { environmentVariable } from "../runtime/capabilities.js";
import { MlflowError } from "./errors.js";

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

export interface RetrySettings {
  /** Attempts after the first. */
  readonly maxRetries: number;
  /** Seconds that the delays grow from. */
  readonly backoffFactor: number;
  /** Milliseconds without progress after which a request counts as hanging. */
  readonly timeoutMs: number;
}

/**
 * From the environment, as Python's client: `MLFLOW_HTTP_REQUEST_MAX_RETRIES` (0 to 10, default 7),
 * `MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR` (0 to 120, default 2),
 * `MLFLOW_HTTP_REQUEST_TIMEOUT` (seconds above 0, default 120).
 * Throws MlflowError `INVALID_PARAMETER_VALUE`.
 */
export function retrySettings(): RetrySettings {
  return {
    maxRetries: numberVariable("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7, 0, 10),
    backoffFactor: numberVariable("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2, 0, 120),
    timeoutMs: 1000 * numberVariable("MLFLOW_HTTP_REQUEST_TIMEOUT", 120, 0.001, 86_400),
  };
}

function numberVariable(name: string, byDefault: number, least: number, most: number): number {
  const text = environmentVariable(name);
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (!(value >= least && value <= most)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid value '${text}' for the environment variable ${name}: pass a number from ${least} to ${most}.`,
    );
  }
  return value;
}

/** Why an attempt failed, as far as sending it again is concerned. */
export type Failure =
  /** The server answered with an error. */
  | { readonly kind: "status"; readonly status: number; readonly retryAfter: string | null }
  /** No connection: the server cannot have seen the request. */
  | { readonly kind: "unconnected"; readonly serverAnsweredBefore: boolean }
  /** The connection broke: the server may have carried the request out. */
  | { readonly kind: "broken" };

/**
 * Milliseconds to wait before the next attempt, or undefined when there should be none.
 * `attempt` counts from 1; `repeatable` as the endpoint says.
 */
export function delayBeforeRetry(
  failure: Failure,
  attempt: number,
  repeatable: boolean,
  settings: RetrySettings,
): number | undefined {
  if (attempt > settings.maxRetries) return undefined;
  switch (failure.kind) {
    case "status": {
      const retriable = repeatable ? TRANSIENT_STATUSES : REFUSAL_STATUSES;
      if (!retriable.includes(failure.status)) return undefined;
      const asked = retryAfterMs(failure.retryAfter);
      if (asked === undefined) return backoffMs(attempt, settings);
      return asked <= LONGEST_RETRY_AFTER_MS ? asked : undefined;
    }
    case "unconnected":
      if (failure.serverAnsweredBefore) return backoffMs(attempt, settings);
      if (attempt > FIRST_CONTACT_RETRIES) return undefined;
      return jittered(FIRST_CONTACT_DELAY_MS * attempt);
    case "broken":
      return repeatable ? backoffMs(attempt, settings) : undefined;
  }
}

function backoffMs(attempt: number, settings: RetrySettings): number {
  return jittered(Math.min(LONGEST_DELAY_MS, settings.backoffFactor * 1000 * 2 ** (attempt - 2)));
}

/** Half of the delay is random, so that many clients do not come back at the same moment. */
function jittered(delayMs: number): number {
  return delayMs * (0.5 + Math.random() / 2);
}

/** `Retry-After` in milliseconds: seconds or an HTTP date. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
