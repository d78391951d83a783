// A store behind an MLflow server: its REST interface over fetch.
import { currentRuntime, environmentVariable } from "../runtime/capabilities.js";
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

/** Servers that have answered at least once, by base URI: they are worth waiting for. */
const answered = new Set<string>();

interface RequestBody {
  readonly contentType: string;
  readonly contentLength?: number;
  readonly open: (onProgress: () => void) => BodyInit;
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

  /** `connection`: checked options; what they leave out is the environment's. */
  constructor(location: RestLocation, connection: ConnectionOptions = {}) {
    this.uri = location.uri;
    this.#credentials = location;
    this.#connection = connection;
  }

  /** The same server's interface under another authority (`host:port`), for its artifacts. */
  onHost(authority: string): RestStore {
    const base = new URL(this.uri);
    const uri = `${base.protocol}//${authority}${base.pathname}`.replace(/\/+$/, "");
    return new RestStore({ ...this.#credentials, uri }, this.#connection);
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
  async upload(call: StoreCall, content: ArtifactContent): Promise<unknown> {
    const { source, sizeBytes, contentType } = content;
    const requestBody: RequestBody =
      !("localPath" in source) || sizeBytes === 0
        ? { contentType, open: () => ("localPath" in source ? "" : source) as BodyInit }
        : {
            contentType,
            contentLength: sizeBytes,
            open: (onProgress) => openFile(source.localPath, sizeBytes, onProgress),
          };
    const answer = await this.#send(call, call.path, uploadArtifact.repeatable, requestBody);
    if (answer.status !== 200) throw errorOf(answer, call, this.uri);
    return {};
  }

  async #send(
    call: StoreCall,
    pathAndQuery: string,
    repeatable: Repeatable,
    body?: RequestBody,
  ): Promise<Answer> {
    const settings = connectionSettings(this.#connection);
    const fetchFrom = await this.#transport(settings);
    let inDoubt = false;
    for (let attempt = 1; ; attempt++) {
      const headers = await this.#headers(call);
      let failure: Failure;
      let outcome: Answer | AttemptFailure;
      try {
        const answer = await this.#attempt(call, pathAndQuery, settings, fetchFrom, headers, body);
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
        failure = { kind: "status", status: outcome.status, retryAfter: outcome.retryAfter };
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

  /** What sends: the global `fetch`, unless certificates or a proxy need another. */
  async #transport(settings: ConnectionSettings): Promise<typeof fetch | undefined> {
    const { openTransport } = currentRuntime();
    const { insecureTls, serverCertPath, clientCertPath } = settings;
    const ownTls = insecureTls || serverCertPath !== undefined || clientCertPath !== undefined;
    if (openTransport === undefined && ownTls) {
      throw new MlflowError(
        "NOT_IMPLEMENTED",
        "In this runtime fetch decides about certificates by itself; leave out insecureTls, serverCertPath and clientCertPath.",
      );
    }
    try {
      return await openTransport?.(this.uri, { insecureTls, serverCertPath, clientCertPath });
    } catch (error) {
      throw new MlflowError("INVALID_STATE", reasonOf(error), { cause: error });
    }
  }

  async #attempt(
    call: StoreCall,
    pathAndQuery: string,
    settings: ConnectionSettings,
    fetchFrom: typeof fetch | undefined,
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
        signal: abort.signal,
        // A followed redirect would turn a POST into a GET.
        redirect: call.method === "GET" ? "follow" : "manual",
      };
      if (body !== undefined) {
        headers["content-type"] = body.contentType;
        if (body.contentLength !== undefined) {
          headers["content-length"] = String(body.contentLength);
          init.duplex = "half";
        }
        init.body = opened(body, onProgress);
      }
      // Looked up at each call, so that instrumentation of the global fetch sees this client too.
      const response = await (fetchFrom ?? globalThis.fetch)(this.uri + pathAndQuery, init);
      onProgress();
      return {
        status: response.status,
        text: await response.text(),
        retryAfter: response.headers.get("retry-after"),
        location: response.headers.get("location"),
      };
    } catch (error) {
      if (error instanceof AttemptFailure) throw error;
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
  async #headers(call: StoreCall): Promise<Record<string, string>> {
    const { workspace = environmentVariable("MLFLOW_WORKSPACE") } = this.#connection;
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(await this.#customHeaders())) {
      headers[name.toLowerCase()] = value;
    }
    // Calls about workspaces name theirs in the path.
    if (workspace !== undefined && !call.route.includes("/mlflow/workspaces")) {
      headers["x-mlflow-workspace"] = workspace;
    }
    const identity = authorization(this.#connection, this.#credentials);
    if (identity !== undefined) headers.authorization = identity;
    return headers;
  }
}

/** What fails before anything is sent does not succeed by being sent again. */
function opened(body: RequestBody, onProgress: () => void): BodyInit {
  try {
    return body.open(onProgress);
  } catch (error) {
    throw new AttemptFailure("local", error);
  }
}

function openFile(localPath: string, sizeBytes: number, onProgress: () => void): BodyInit {
  const files = currentRuntime().files;
  if (files === undefined) throw new Error("no local files in this runtime");
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      onProgress();
      controller.enqueue(chunk);
    },
  });
  return files.openFile(localPath, sizeBytes).pipeThrough(watch);
}

function queryOf(body: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(body)) {
    for (const item of Array.isArray(value) ? value : [value]) query.append(key, String(item));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
