// Machine-to-machine OAuth of a Databricks workspace: a service principal's secret for tokens that pass.
// Source: "OAuth M2M" of Databricks' documentation, and databricks/sdk/oauth.py (Python's SDK).
import type { ConnectionSettings } from "./connection.js";
import { basicAuthorization, type ServicePrincipal } from "./credentials.js";
import { MlflowError, reasonOf } from "./errors.js";
import { delayBeforeRetry, type Failure } from "./retry.js";
import { transportTo } from "./transport.js";

interface Token {
  readonly text: string;
  /** By `performance.now()`, which nobody sets. */
  readonly endMs: number;
}

/** Milliseconds before its end at which a token is replaced: a request with it still has to arrive. */
const EARLY_MS = 60_000;
/** Seconds that a token is valid when the workspace does not say. */
const DEFAULT_SECONDS = 3600;
const MAX_TOKENS = 16;

const tokens = new Map<string, Promise<Token>>();

/**
 * A token that is valid for another minute at least, where the workspace gives such; asked for once by
 * all who need it. Rejects with MlflowError: `UNAUTHENTICATED` when the principal is refused.
 */
export async function oauthToken(
  principal: ServicePrincipal,
  settings: ConnectionSettings,
): Promise<string> {
  const key = JSON.stringify([principal.host, principal.clientId, principal.clientSecret]);
  const known = tokens.get(key);
  if (known !== undefined) {
    const { text, endMs } = await known;
    if (performance.now() < endMs) return text;
  }
  // Another one may have begun while this one waited.
  const underway = tokens.get(key);
  if (underway !== undefined && underway !== known) return (await underway).text;
  const asked = ask(principal, settings);
  if (tokens.size >= MAX_TOKENS) tokens.clear();
  tokens.set(key, asked);
  try {
    return (await asked).text;
  } catch (error) {
    if (tokens.get(key) === asked) tokens.delete(key);
    throw error;
  }
}

async function ask(principal: ServicePrincipal, settings: ConnectionSettings): Promise<Token> {
  const url = `${principal.host}/oidc/v1/token`;
  const fetchFrom = await transportTo(url, settings);
  for (let attempt = 1; ; attempt++) {
    const startMs = performance.now();
    let failure: Failure;
    let error: MlflowError;
    try {
      const answer = await fetchFrom(url, {
        method: "POST",
        headers: {
          authorization: basicAuthorization(principal.clientId, principal.clientSecret),
          "content-type": "application/x-www-form-urlencoded",
        },
        body: "grant_type=client_credentials&scope=all-apis",
        // The secret goes nowhere else.
        redirect: "error",
        signal: AbortSignal.timeout(settings.timeoutMs),
      });
      const text = await answer.text();
      if (answer.ok) return tokenOf(text, startMs, url);
      const retryAfter = answer.headers.get("retry-after");
      failure = { kind: "status", status: answer.status, retryAfter };
      error = refusal(principal, url, answer.status, text);
    } catch (cause) {
      if (cause instanceof MlflowError) throw cause;
      failure = { kind: "broken" };
      const message = `The token endpoint ${url} cannot be reached: ${reasonOf(cause)}.`;
      error = new MlflowError("SERVER_UNREACHABLE", message, { cause });
    }
    const delay = delayBeforeRetry(failure, attempt, true, settings);
    if (delay === undefined) throw error;
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

function tokenOf(text: string, startMs: number, url: string): Token {
  let message: { readonly access_token?: unknown; readonly expires_in?: unknown } | null = null;
  try {
    message = JSON.parse(text);
  } catch {
    // Told below, with what is JSON and no token.
  }
  if (typeof message?.access_token !== "string" || message.access_token === "") {
    throw new MlflowError("INVALID_RESPONSE", `${url} answered without an access token.`);
  }
  const seconds = Number(message.expires_in ?? DEFAULT_SECONDS);
  return { text: message.access_token, endMs: startMs + 1000 * seconds - EARLY_MS };
}

/** The answer's own words name the reason, and hold no secret. */
function refusal(
  { clientId }: ServicePrincipal,
  url: string,
  status: number,
  text: string,
): MlflowError {
  const words = text.replace(/\s+/g, " ").slice(0, 200);
  const isRefused = status === 400 || status === 401 || status === 403;
  return new MlflowError(
    isRefused ? "UNAUTHENTICATED" : "INTERNAL_ERROR",
    `${url} gave no token to the service principal '${clientId}' (status ${status}): ${words}.${isRefused ? " Check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET." : ""}`,
    { status },
  );
}
