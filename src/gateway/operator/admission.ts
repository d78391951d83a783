// Who may see the operator's pages: whoever sends the admin token, or holds a session that it has opened.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

const COOKIE = "genops_session";
const SESSION_MS = 12 * 3_600_000;
/** Sessions at once; the oldest ends for another. */
const SESSIONS_MAX = 100;

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function sessionOf({ headers }: IncomingMessage): string | undefined {
  for (const pair of headers.cookie?.split(";") ?? []) {
    const [name, value] = pair.trim().split("=", 2);
    if (name === COOKIE) return value;
  }
  return undefined;
}

export class Admission {
  readonly #token: Buffer | undefined;
  readonly #isSecure: boolean;
  /** Digest of a session's id → when it ends; what is kept opens nothing. */
  readonly #sessions = new Map<string, number>();

  /** `isSecure`: does the gateway speak HTTPS itself? */
  constructor(adminToken: string | undefined, isSecure: boolean) {
    this.#token = adminToken === undefined ? undefined : digest(adminToken);
    this.#isSecure = isSecure;
  }

  /** Is there any token that could open the pages? */
  get isOpen(): boolean {
    return this.#token !== undefined;
  }

  admits(request: IncomingMessage): boolean {
    const [, bearer] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "") ?? [];
    if (bearer !== undefined) return this.#isToken(bearer);
    const session = sessionOf(request);
    return session !== undefined && this.#isSession(session);
  }

  #isToken(given: string): boolean {
    return this.#token !== undefined && timingSafeEqual(digest(given), this.#token);
  }

  #isSession(session: string): boolean {
    const ends = this.#sessions.get(digest(session).toString("hex"));
    return ends !== undefined && ends > Date.now();
  }

  /** The cookie of a new session; undefined for what is not the token. */
  login(token: string): string | undefined {
    if (!this.#isToken(token)) return undefined;
    const session = randomBytes(32).toString("base64url");
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= SESSIONS_MAX && oldest !== undefined) this.#sessions.delete(oldest);
    this.#sessions.set(digest(session).toString("hex"), Date.now() + SESSION_MS);
    return this.#cookie(session, SESSION_MS / 1000);
  }

  /** Ends the session of a request; answers the cookie that takes its place. */
  logout(request: IncomingMessage): string {
    const session = sessionOf(request);
    if (session !== undefined) this.#sessions.delete(digest(session).toString("hex"));
    return this.#cookie("", 0);
  }

  /** Sent below `/genops/` alone, so that it never reaches the MLflow server. */
  #cookie(value: string, seconds: number): string {
    const secure = this.#isSecure ? "; Secure" : "";
    return `${COOKIE}=${value}; Path=/genops/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
  }
}
