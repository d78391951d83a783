// The operator's routes below `/genops/`: health, metrics, summary, events, and the page; all for the admin token alone.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { GovernanceDecision } from "../../governance/decision.js";
import type { Governor } from "../../governance/governor.js";
import { nearestName } from "../../nearest-name.js";
import { VERSION } from "../../version.js";
import { Account } from "./account.js";
import { Admission } from "./admission.js";
import { LiveEvents } from "./live.js";
import { metricsText } from "./metrics.js";
import { dashboardPage, loginPage, PAGE_POLICY } from "./page.js";
import { CONTENT_TYPE } from "./prometheus.js";
import { type Refusal, Refusals } from "./refusals.js";
import { type OperatorSnapshot, snapshotOf } from "./snapshot.js";
import { summaryOf } from "./summary.js";

const ROOT = "/genops";
const NAMES = ["health", "metrics", "summary", "events", "login", "logout"];
/** A form that holds a token is no longer. */
const FORM_BYTES_MAX = 8192;

const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // Without any, a browser would not tell where a form comes from either.
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export interface OperatorOptions {
  /** Without one, every page is closed. */
  readonly adminToken: string | undefined;
  /** Does the gateway speak HTTPS itself? */
  readonly isSecure: boolean;
  /** URL of the MLflow server. */
  readonly upstream: URL;
  readonly governor: Governor;
  /** The operator that this one takes the place of: its account goes on, and its sessions where the token is the same. */
  readonly before?: Operator | undefined;
}

/** Is it one of the operator's paths, which are never forwarded? */
export function isOperatorPath(path: string): boolean {
  return path === ROOT || path.startsWith(`${ROOT}/`);
}

/** Did a page of ours send it? Programs that say nothing of where they are have no cookies to misuse. */
function isOwnForm({ headers }: IncomingMessage): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const { origin, host } = headers;
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

async function formOf(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > FORM_BYTES_MAX) return undefined;
    chunks.push(chunk as Buffer);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { "content-type": type }).end(text);
}

function sendPage(response: ServerResponse, status: number, page: string): void {
  response.setHeader("content-security-policy", PAGE_POLICY);
  send(response, status, "text/html; charset=utf-8", page);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, "application/json; charset=utf-8", `${JSON.stringify(value)}\n`);
}

/** In the form that MLflow's clients show. */
function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, status, { error_code: code, message });
}

export class Operator {
  readonly #options: OperatorOptions;
  readonly #admission: Admission;
  readonly #account: Account;
  readonly #refusals: Refusals;
  readonly #live: LiveEvents;
  #isDraining = false;

  constructor(options: OperatorOptions) {
    const { adminToken, isSecure, governor, before } = options;
    this.#options = { ...options, before: undefined };
    const admission = before === undefined ? undefined : before.#admissionFor(adminToken, isSecure);
    this.#admission = admission ?? new Admission(adminToken, isSecure);
    this.#live = new LiveEvents(() => this.snapshot());
    this.#account = before === undefined ? new Account() : before.#account;
    this.#refusals = before === undefined ? new Refusals() : before.#refusals;
    this.#account.onChange = () => this.#live.changed();
    this.#refusals.onChange = this.#account.onChange;
    const known = before === undefined ? undefined : before.#options.governor;
    if (known !== governor) governor.observation.add(this.#account);
  }

  /** Sessions outlive an operator whose token stays. */
  #admissionFor(adminToken: string | undefined, isSecure: boolean): Admission | undefined {
    const { adminToken: own, isSecure: wasSecure } = this.#options;
    return own === adminToken && wasSecure === isSecure ? this.#admission : undefined;
  }

  /** Takes each decision that was not simply ALLOWED: the governor's `onDecision`. */
  decided(decision: GovernanceDecision): void {
    this.#refusals.decided(decision);
  }

  /** Takes a refusal that no governor decided: of a caller who was not let in. */
  refused(refusal: Refusal): void {
    this.#refusals.told(refusal);
  }

  /** Takes note of a request that has ended with a status; 0 where the connection was gone before. */
  answered(status: number): void {
    this.#account.answered(status);
  }

  snapshot(): OperatorSnapshot {
    this.#options.governor.refreshJournal();
    return snapshotOf(this.#options.governor, this.#account, this.#refusals);
  }

  /** The gateway takes no more requests; streams end. */
  drain(): void {
    this.#isDraining = true;
    this.#live.close();
  }

  /** Answers a request whose path {@link isOperatorPath} holds for. Never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      for (const [name, value] of Object.entries(COMMON_HEADERS)) response.setHeader(name, value);
      await this.#route(request, response);
    } catch (error) {
      this.#options.governor.contain(error);
      if (response.headersSent) response.destroy();
      else sendError(response, 500, "INTERNAL_ERROR", "this page failed; the traffic goes on");
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://gateway");
    if (pathname === ROOT) {
      response.writeHead(308, { location: `${ROOT}/` }).end();
      return;
    }
    const name = pathname.slice(ROOT.length + 1);
    const isForm = name === "login" || name === "logout";
    const methods = isForm ? ["POST"] : ["GET", "HEAD"];
    if (
      (isForm || name === "" || NAMES.includes(name)) &&
      !methods.includes(request.method ?? "")
    ) {
      response.setHeader("allow", methods.join(", "));
      sendError(response, 405, "BAD_REQUEST", `${pathname} takes ${methods.join(" and ")} alone`);
      return;
    }
    if (isForm) {
      await this.#form(name, request, response);
      return;
    }
    if (!this.#admission.admits(request)) {
      this.#refuse(name, response);
      return;
    }
    switch (name) {
      case "":
        sendPage(response, 200, dashboardPage(this.snapshot(), this.#options.upstream.href));
        return;
      case "health":
        this.#health(response);
        return;
      case "metrics":
        send(response, 200, CONTENT_TYPE, this.#metrics());
        return;
      case "summary": {
        const withRuns = searchParams.get("runs") === "true";
        sendJson(response, 200, summaryOf(this.#options.governor, this.snapshot(), { withRuns }));
        return;
      }
      case "events":
        this.#listen(request, response);
        return;
      default: {
        const near = nearestName(name, NAMES);
        const hint = near === undefined ? "" : `; did you mean ${ROOT}/${near}?`;
        sendError(response, 404, "ENDPOINT_NOT_FOUND", `there is no ${pathname}${hint}`);
      }
    }
  }

  #metrics(): string {
    return metricsText(this.#options.governor, this.#account, this.#refusals);
  }

  #health(response: ServerResponse): void {
    sendJson(response, this.#isDraining ? 503 : 200, {
      status: this.#isDraining ? "draining" : "ok",
      version: VERSION,
      uptimeSeconds: Math.round(process.uptime()),
      journal: this.#options.governor.journal.state,
    });
  }

  #listen(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "HEAD" || this.#isDraining || this.#live.isFull) {
      response.setHeader("retry-after", "5");
      sendError(response, 503, "TEMPORARILY_UNAVAILABLE", "there are too many listeners already");
      return;
    }
    this.#live.listen(response, () => this.#admission.admits(request));
  }

  #refuse(name: string, response: ServerResponse): void {
    const { isOpen } = this.#admission;
    response.setHeader("www-authenticate", 'Bearer realm="genops gateway"');
    if (name === "") {
      sendPage(response, 401, loginPage(isOpen ? "asked" : "closed"));
      return;
    }
    const message = isOpen
      ? "send the admin token as Authorization: Bearer TOKEN"
      : "these pages are closed: start the gateway with GENOPS_GATEWAY_ADMIN_TOKEN";
    sendError(response, 401, "UNAUTHENTICATED", message);
  }

  async #form(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isOwnForm(request)) {
      sendError(
        response,
        403,
        "PERMISSION_DENIED",
        "this form is sent from the gateway's own page",
      );
      return;
    }
    if (name === "logout") {
      request.resume();
      const cookie = this.#admission.logout(request);
      response.writeHead(303, { location: `${ROOT}/`, "set-cookie": cookie }).end();
      return;
    }
    const form = await formOf(request);
    const cookie = this.#admission.login(form?.get("token")?.trim() ?? "");
    if (cookie === undefined) {
      sendPage(response, 401, loginPage(this.#admission.isOpen ? "wrong" : "closed"));
      return;
    }
    response.writeHead(303, { location: `${ROOT}/`, "set-cookie": cookie }).end();
  }
}
