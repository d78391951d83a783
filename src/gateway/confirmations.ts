// Has the MLflow server accepted a user's password? Asked before anything is booked under the name.
import { createHash } from "node:crypto";
import type { OwnAnswer } from "./answer.js";
import { reasonOf, type Upstream } from "./upstream.js";

/** Milliseconds for which an answer holds: so long a user who was locked out may still be believed. */
const HOLDS_MS = 60_000;
const KEPT_MAX = 10_000;
const QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1";

export class Confirmations {
  readonly #upstream: Upstream;
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
    try {
      ({ status } = await this.#upstream.ask("GET", QUESTION, {
        authorization,
        workspaces: [],
      }));
    } catch (error) {
      return {
        status: 502,
        errorCode: "TEMPORARILY_UNAVAILABLE",
        message: `genops: the MLflow server did not say whether it knows this user: ${reasonOf(error as Error)}`,
      };
    }
    if (status === 401) {
      return {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="mlflow"' },
        errorCode: "UNAUTHENTICATED",
        message: "genops: the MLflow server does not accept this user and password",
      };
    }
    if (status >= 500) {
      return {
        status: 502,
        errorCode: "TEMPORARILY_UNAVAILABLE",
        message: `genops: the MLflow server did not say whether it knows this user: it answered with status ${status}`,
      };
    }
    if (this.#accepted.size >= KEPT_MAX) this.#accepted.clear();
    this.#accepted.set(key, performance.now());
    return undefined;
  }
}
