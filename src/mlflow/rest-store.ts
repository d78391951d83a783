// A store behind an MLflow server: its REST interface over fetch.
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import {
  type ConnectionOptions,
  type ConnectionSettings,
  checkHeaders,
  connectionSettings,
  type RequestHeaders,
} from "./connection.js";
import { authorization, type UriCredentials } from "./credentials.js";
import { numberToMessage } from "./entities.js";
import { MlflowError, reasonOf } from "./errors.js";
import type { StoreCall } from "./interceptor.js";
import { contentBody, endedBy, opened, type RequestBody } from "./request-body.js";
import { Turns } from "./request-turns.js";
import {
  type Answer,
  AttemptFailure,
  errorOf,
  errorWithoutAnswer,
  type FailureKind,
  failureKind,
  messageOf,
} from "./rest-errors.js";
import { delayBeforeRetry, type Failure, leavesDoubt } from "./retry.js";
import { type Endpoint, type Repeatable, uploadArtifact } from "./spec.js";
import type { ArtifactContent, Store } from "./stores.js";
import { transportTo } from "./transport.js";
import { workspaceInForce } from "./workspace.js";

/** Servers that have answered at least once, by base URI: they are worth waiting for. */
const answered = new Set<string>();

/** Requests to one server that wait for their turn, and those underway, by base URI. */
const turns = new Map<string, Turns>();

function turnsAt(uri: string): Turns {
  const known = turns.get(uri) ?? new Turns();
  turns.set(uri, known);
  return known;
}

/** Stores kept, by the workspace they are in. */
const MAX_WORKSPACES = 64;

/** A workspace that was in force once; undefined is the server's own default. */
interface PinnedWorkspace {
  readonly workspace: string | undefined;
}

/** Where a server is, and who its URI says one is. */
export interface RestLocation extends UriCredentials {
  /** Base address without credentials and trailing slash. */
  readonly uri: string;
}

export class RestStore implements Store {
  readonly uri: string;
  // Private to the object, so that printing a store shows no password.
  readonly #credentials: UriCredentials;
  readonly #connection: ConnectionOptions;
  /** Undefined: whichever is in force when a request is made. */
  readonly #pinned: PinnedWorkspace | undefined;
  readonly #atMoments = new Map<string | undefined, RestStore>();

  /** `connection`: checked options; what they leave out is the environment's. */
  constructor(
    location: RestLocation,
    connection: ConnectionOptions = {},
    pinned: PinnedWorkspace | undefined = undefined,
  ) {
    this.uri = location.uri;
    this.#credentials = location;
    this.#connection = connection;
    this.#pinned = pinned;
  }

  atThisMoment(): RestStore {
    if (this.#connection.workspace !== undefined || this.#pinned !== undefined) return this;
    const workspace = workspaceInForce();
    let store = this.#atMoments.get(workspace);
    if (store === undefined) {
      store = new RestStore({ ...this.#credentials, uri: this.uri }, this.#connection, {
        workspace,
      });
      if (this.#atMoments.size >= MAX_WORKSPACES) this.#atMoments.clear();
      this.#atMoments.set(workspace, store);
    }
    return store;
  }

  get #workspace(): string | undefined {
    const { workspace } = this.#connection;
    if (workspace !== undefined) return workspace;
    return this.#pinned === undefined ? workspaceInForce() : this.#pinned.workspace;
  }

  /**
   * A server at another address that has artifacts, reached as patiently. What shows who one is goes
   * along to this server's own host alone; another one has to be told in its URI or the environment.
   */
  elsewhere(location: RestLocation): RestStore {
    const here = new URL(this.uri);
    const there = new URL(location.uri);
    const isSafe = there.protocol === "https:" || here.protocol === "http:";
    if (there.hostname === here.hostname && isSafe) {
      const isTold = location.username !== undefined || location.password !== undefined;
      const credentials = isTold ? location : this.#credentials;
      return new RestStore({ ...credentials, uri: location.uri }, this.#connection, this.#pinned);
    }
    const { username, password, token, headers, clientCertPath, ...manners } = this.#connection;
    return new RestStore(location, manners, this.#pinned);
  }

  /** Patience and certificates, as they are at this moment. */
  get settings(): ConnectionSettings {
    return connectionSettings(this.#connection);
  }

  async perform(call: StoreCall, endpoint: Endpoint<never, unknown>): Promise<unknown> {
    const { body } = call;
    if (call.method === "GET") {
      return messageOf(await this.#send(call, call.path + queryOf(body), true), call, this.uri);
    }
    const json = JSON.stringify(body, (_key, value: unknown) =>
      typeof value === "number" ? numberToMessage(value) : value,
    );
    const requestBody: RequestBody = { contentType: "application/json", open: () => json };
    const answer = await this.#send(call, call.path, endpoint.repeatable, requestBody);
    return messageOf(answer, call, this.uri);
  }

  /** Sends one file; memory stays constant when it comes from disk. */
  async upload(
    call: StoreCall,
    content: ArtifactContent,
    transfer: TransferOptions = {},
  ): Promise<unknown> {
    const { onProgress, signal } = transfer;
    const path = call.upload?.artifactPath ?? call.path;
    const tell = (transferredBytes: number) =>
      onProgress?.({ path, transferredBytes, totalBytes: content.sizeBytes });
    const requestBody = contentBody(content, signal, tell);
    const sent = this.#send(call, call.path, uploadArtifact.repeatable, requestBody);
    const answer = await endedBy(signal, sent);
    if (answer.status !== 200) throw errorOf(answer, call, this.uri);
    tell(content.sizeBytes);
    return {};
  }

  /** One request for a body that the caller reads, with this server's credentials; never sent again. */
  async fetchOnce(
    path: string,
    options: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Response> {
    const { headers, signal } = options;
    const settings = this.settings;
    const workspace = this.#workspace;
    const fetchFrom = await transportTo(this.uri, settings);
    const own = await this.#headers(path, workspace);
    await this.#identify(own, settings);
    const init = { headers: { ...own, ...headers } };
    return fetchFrom(this.uri + path, { ...init, ...(signal && { signal }) });
  }

  /** One question that nobody waits long for, and that is not asked again. */
  async performOnce(call: StoreCall): Promise<unknown> {
    const response = await this.fetchOnce(call.path, { signal: AbortSignal.timeout(10_000) });
    if (response.status !== 200) throw await this.errorOfResponse(response, call);
    return response.json();
  }

  /** What an answer that is not the one hoped for says. */
  async errorOfResponse(response: Response, call: StoreCall): Promise<MlflowError> {
    const answer: Answer = {
      status: response.status,
      text: await response.text(),
      retryAfter: response.headers.get("retry-after"),
      serverDate: response.headers.get("date"),
      location: response.headers.get("location"),
      inDoubt: false,
    };
    return errorOf(answer, call, this.uri);
  }

  async #send(
    call: StoreCall,
    pathAndQuery: string,
    repeatable: Repeatable,
    body?: RequestBody,
  ): Promise<Answer> {
    const { settings } = this;
    // One for all attempts.
    const workspace = this.#workspace;
    const fetchFrom = await transportTo(this.uri, settings);
    let inDoubt = false;
    for (let attempt = 1; ; attempt++) {
      // A function of the program's may call this very server, and would wait for its own turn.
      const headers = await this.#headers(call.route, workspace);
      let failure: Failure;
      let outcome: Answer | AttemptFailure;
      try {
        const attempt = async () => {
          // Made at the last moment: a token may end while its request waits for its turn.
          await this.#identify(headers, settings);
          return this.#attempt(call, pathAndQuery, settings, fetchFrom, headers, body);
        };
        // Files are not the database's work, and may take long.
        const answer = await (call.upload === undefined
          ? turnsAt(this.uri).take(settings.maxConcurrentRequests, attempt)
          : attempt());
        outcome = { ...answer, inDoubt };
      } catch (error) {
        if (!(error instanceof AttemptFailure)) throw error;
        outcome = error;
      }
      if (outcome instanceof AttemptFailure) {
        const kind: FailureKind = outcome.kind;
        if (kind !== "unconnected" && kind !== "broken") {
          throw errorWithoutAnswer(outcome, call, this.uri, settings, inDoubt);
        }
        failure =
          kind === "unconnected"
            ? { kind, serverAnsweredBefore: answered.has(this.uri) }
            : { kind };
      } else {
        answered.add(this.uri);
        if (outcome.status === 200) return outcome;
        const { status, retryAfter, serverDate }: Answer = outcome;
        failure = { kind: "status", status, retryAfter, serverDate };
      }
      const delay = delayBeforeRetry(failure, attempt, repeatable, settings);
      if (delay === undefined) {
        if (!(outcome instanceof AttemptFailure)) return outcome;
        throw errorWithoutAnswer(outcome, call, this.uri, settings, inDoubt);
      }
      inDoubt ||=
        failure.kind === "broken" || (failure.kind === "status" && leavesDoubt(failure.status));
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }

  async #attempt(
    call: StoreCall,
    pathAndQuery: string,
    settings: ConnectionSettings,
    fetchFrom: typeof fetch,
    headers: Record<string, string>,
    body: RequestBody | undefined,
  ): Promise<Omit<Answer, "inDoubt">> {
    const abort = new AbortController();
    let timedOut = false;
    const startTimer = (): ReturnType<typeof setTimeout> =>
      setTimeout(() => {
        timedOut = true;
        abort.abort();
      }, settings.timeoutMs);
    let timer = startTimer();
    // Time without progress is what counts, so that a large upload may take as long as it needs.
    const onProgress = (): void => {
      clearTimeout(timer);
      timer = startTimer();
    };
    try {
      const init: RequestInit & { duplex?: "half" } = {
        method: call.method,
        headers,
        signal:
          body?.signal === undefined ? abort.signal : AbortSignal.any([abort.signal, body.signal]),
        // A followed redirect would turn a POST into a GET.
        redirect: call.method === "GET" ? "follow" : "manual",
      };
      if (body !== undefined) {
        headers["content-type"] = body.contentType;
        if (body.contentLength !== undefined) {
          headers["content-length"] = String(body.contentLength);
          init.duplex = "half";
          // What might be sent again, to another place, fetch keeps in memory: all of the file.
          init.redirect = "error";
          init.window = null;
        }
        init.body = opened(body, onProgress);
      }
      const response = await fetchFrom(this.uri + pathAndQuery, init);
      onProgress();
      return {
        status: response.status,
        text: await response.text(),
        retryAfter: response.headers.get("retry-after"),
        serverDate: response.headers.get("date"),
        location: response.headers.get("location"),
      };
    } catch (error) {
      if (error instanceof AttemptFailure) throw error;
      body?.signal?.throwIfAborted();
      if (timedOut) throw new AttemptFailure("timeout", error);
      throw new AttemptFailure(failureKind(error), error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #customHeaders(): Promise<RequestHeaders> {
    const { headers = {} } = this.#connection;
    if (typeof headers !== "function") return headers;
    let custom: RequestHeaders;
    try {
      custom = await headers();
    } catch (error) {
      const message = `The function that gives the headers failed: ${reasonOf(error)}`;
      throw new MlflowError("INVALID_STATE", message, { cause: error });
    }
    checkHeaders(custom);
    return custom;
  }

  /** Names in lower case, so that what the client itself sends replaces what was given. */
  async #headers(route: string, workspace: string | undefined): Promise<Record<string, string>> {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(await this.#customHeaders())) {
      headers[name.toLowerCase()] = value;
    }
    // Calls about workspaces name theirs in the path.
    if (workspace !== undefined && !route.includes("/mlflow/workspaces")) {
      headers["x-mlflow-workspace"] = workspace;
    }
    return headers;
  }

  async #identify(headers: Record<string, string>, settings: ConnectionSettings): Promise<void> {
    const identity = await authorization(this.#connection, this.#credentials, settings);
    if (identity !== undefined) headers.authorization = identity;
  }
}

function queryOf(body: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(body)) {
    for (const item of Array.isArray(value) ? value : [value]) query.append(key, String(item));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
