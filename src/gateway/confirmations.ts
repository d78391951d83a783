// Has the MLflow server accepted a user's password? Asked before anything is booked under the name.
import { createHash } from "node:crypto";
import type { OwnAnswer } from "./answer.js";
import type { Upstream } from "./upstream.js";

/** Milliseconds for which an answer holds: so long a user who was locked out may still be believed. */
const HOLDS_MS = 60_000;
const KEPT_MAX = 10_000;
const QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1";

/** Everybody who is let in may ask this; and no other status tells one who is not let in apart. */
const ACCEPTED = 200;
const NOT_LET_IN: readonly number[] = [401, 403];

/** What is told where any password would do. */
const NOBODY_IS_ASKED: OwnAnswer = {
  status: 403,
  errorCode: "PERMISSION_DENIED",
  message:
    "genops: the MLflow server asks nobody for a password, so that anybody could be this user; start it with --app-name basic-auth, or give callers tokens instead of users",
};

function untold(reason: string): OwnAnswer {
  return {
    status: 502,
    errorCode: "TEMPORARILY_UNAVAILABLE",
    message: `genops: the MLflow server did not say whether it knows this user: ${reason}`,
  };
}

export class Confirmations {
  readonly #upstream: Upstream;
  /** When the server was last seen to refuse who has no password. */
  #guardedSince: number | undefined;
  /** Digest of an Authorization header → when it was accepted. */
  readonly #accepted = new Map<string, number>();
  readonly #asked = new Map<string, Promise<OwnAnswer | undefined>>();

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** Why these credentials are not believed; undefined when the server accepts them. */
  denial(authorization: string): Promise<OwnAnswer | undefined> | undefined {
    // What is kept of a password must be of no use to anybody who reads it.
    const key = createHash("sha256").update(authorization).digest("base64");
    const since = this.#accepted.get(key);
    if (since !== undefined && performance.now() - since < HOLDS_MS) return undefined;
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    const asking = this.#ask(authorization, key).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asking);
    return asking;
  }

  async #ask(authorization: string, key: string): Promise<OwnAnswer | undefined> {
    let status: number;
    let isGuarded: boolean;
    try {
      status = await this.#statusFor(authorization);
      isGuarded = status === ACCEPTED && (await this.#isGuarded());
    } catch (error) {
      return untold((error as Error).message);
    }
    if (NOT_LET_IN.includes(status)) {
      return {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="mlflow"' },
        errorCode: "UNAUTHENTICATED",
        message: "genops: the MLflow server does not accept this user and password",
      };
    }
    if (status !== ACCEPTED) return untold(`it answered with status ${status}`);
    if (!isGuarded) return NOBODY_IS_ASKED;
    if (this.#accepted.size >= KEPT_MAX) this.#accepted.clear();
    this.#accepted.set(key, performance.now());
    return undefined;
  }

  async #statusFor(authorization: string | undefined): Promise<number> {
    const asker = { authorization, workspaces: [] };
    return (await this.#upstream.ask("GET", QUESTION, asker)).status;
  }

  /** Who lets in everybody has accepted nobody's password. */
  async #isGuarded(): Promise<boolean> {
    const since = this.#guardedSince;
    if (since !== undefined && performance.now() - since < HOLDS_MS) return true;
    if (!NOT_LET_IN.includes(await this.#statusFor(undefined))) return false;
    this.#guardedSince = performance.now();
    return true;
  }
}
