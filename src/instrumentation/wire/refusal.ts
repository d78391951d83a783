// How a request that may not pass is answered, in words and statuses that MLflow's clients understand.
import { BudgetExceededError, type GovernanceRefusal } from "../../governance/errors.js";

/** An answer that never came from a server. */
export interface RefusalAnswer {
  readonly status: 400 | 403 | 429;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** MLflow's error message as JSON. */
  readonly body: string;
}

/** Seconds after which a call that came too fast may come again. */
const RETRY_AFTER_SECONDS = 1;

function answer(
  status: RefusalAnswer["status"],
  errorCode: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): RefusalAnswer {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ error_code: errorCode, message }),
  };
}

/**
 * 403 for what will not pass however often it is sent, which no client sends again; 429 for a rate limit,
 * after which clients wait and come back.
 */
export function answerTo(refusal: GovernanceRefusal): RefusalAnswer {
  if (refusal instanceof BudgetExceededError && refusal.code === "RATE_LIMITED") {
    const headers = { "retry-after": String(RETRY_AFTER_SECONDS) };
    return answer(429, "REQUEST_LIMIT_EXCEEDED", refusal.message, headers);
  }
  return answer(403, "PERMISSION_DENIED", refusal.message);
}

/** The answer to a request that means different things to different servers. */
export function answerToDoubt(message: string): RefusalAnswer {
  return answer(400, "INVALID_PARAMETER_VALUE", `genops: ${message}.`);
}
