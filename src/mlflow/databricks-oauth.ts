// Machine-to-machine OAuth of a Databricks workspace: a service principal's secret for tokens that pass.
// Source: "OAuth M2M" of Databricks' documentation, and databricks/sdk/oauth.py (Python's SDK).
import type { ConnectionSettings } from "./connection.js";
import { basicAuthorization, type ServicePrincipal } from "./credentials.js";
import { MlflowError } from "./errors.js";
import { AttemptFailure, causeText, failureKind } from "./rest-errors.js";
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

/** Workspaces that have answered at least once: they are worth waiting for. */
const answered = new Set<string>();

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
      const { answer, text } = await askOnce(url, principal, settings, fetchFrom);
      answered.add(principal.host);
      if (answer.ok) return tokenOf(text, startMs, url);
      const { status, headers } = answer;
      const [retryAfter, serverDate] = [headers.get("retry-after"), headers.get("date")];
      failure = { kind: "status", status, retryAfter, serverDate };
      error = refusal(principal, url, status, text);
    } catch (thrown) {
      if (!(thrown instanceof AttemptFailure)) throw thrown;
      const { kind } = thrown;
      error = errorWithoutToken(thrown, url, settings);
      if (kind !== "unconnected" && kind !== "broken") throw error;
      const serverAnsweredBefore = answered.has(principal.host);
      failure = kind === "unconnected" ? { kind, serverAnsweredBefore } : { kind };
    }
    const delay = delayBeforeRetry(failure, attempt, true, settings);
    if (delay === undefined) throw error;
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

async function askOnce(
  url: string,
  { clientId, clientSecret }: ServicePrincipal,
  { timeoutMs }: ConnectionSettings,
  fetchFrom: typeof fetch,
): Promise<{ readonly answer: Response; readonly text: string }> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await fetchFrom(url, {
      method: "POST",
      headers: {
        authorization: basicAuthorization(clientId, clientSecret),
        "content-type": "application/x-www-form-urlencoded",
      },
      body: "grant_type=client_credentials&scope=all-apis",
      // The secret goes nowhere else.
      redirect: "error",
      signal,
    });
    return { answer, text: await answer.text() };
  } catch (cause) {
    throw new AttemptFailure(signal.aborted ? "timeout" : failureKind(cause), cause);
  }
}

function errorWithoutToken(
  { kind, cause }: AttemptFailure,
  url: string,
  { timeoutMs }: ConnectionSettings,
): MlflowError {
  switch (kind) {
    case "timeout":
      return new MlflowError(
        "TIMEOUT",
        `The token endpoint ${url} did not answer within ${timeoutMs / 1000} s. Set MLFLOW_HTTP_REQUEST_TIMEOUT (seconds) to wait longer.`,
        { cause },
      );
    case "redirected":
      return new MlflowError(
        "INVALID_RESPONSE",
        `The token endpoint ${url} answered with a redirect, which the secret does not follow. Set DATABRICKS_HOST, or 'host' of the profile, to the workspace's final address.`,
        { cause },
      );
    default:
      return new MlflowError(
        "SERVER_UNREACHABLE",
        `The token endpoint ${url} cannot be reached (${causeText(cause)}).`,
        { cause },
      );
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
