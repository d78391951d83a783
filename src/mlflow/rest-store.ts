// A store behind an MLflow server: its REST interface over fetch.
import { currentRuntime, environmentVariable } from "../runtime/capabilities.js";
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { isBlob } from "./artifact-stores/content.js";
import { numberToMessage } from "./entities.js";
import { MlflowError, reasonOf } from "./errors.js";
import type { StoreCall } from "./interceptor.js";
import { delayBeforeRetry, type Failure, type RetrySettings, retrySettings } from "./retry.js";
import { type Endpoint, uploadArtifact } from "./spec.js";
import { withoutCredentials } from "./store-uri.js";
import type { ArtifactContent, Store } from "./stores.js";

/** Servers that have answered at least once, by base URI: they are worth waiting for. */
const answered = new Set<string>();

/** Causes of a failed fetch after which the server cannot have seen the request. */
const UNCONNECTED_CODES: readonly string[] = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
];

/** MLflow's names for the statuses of answers that carry no name (mlflow/exceptions.py). */
const CODE_OF_STATUS: Readonly<Record<number, string>> = {
  400: "BAD_REQUEST",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "ENDPOINT_NOT_FOUND",
  409: "RESOURCE_CONFLICT",
  429: "REQUEST_LIMIT_EXCEEDED",
  501: "NOT_IMPLEMENTED",
  503: "TEMPORARILY_UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | null;
  readonly location: string | null;
}

interface RequestBody {
  readonly contentType: string;
  readonly contentLength?: number;
  readonly signal?: AbortSignal | undefined;
  readonly open: (onProgress: () => void) => BodyInit;
}

/** Why an attempt had no answer; `blocked`: fetch does not even try a port such as 9. */
type FailureKind = "unconnected" | "blocked" | "broken" | "timeout" | "local" | "redirected";

/** How one attempt ended without an answer. */
class AttemptFailure {
  constructor(
    readonly kind: FailureKind,
    readonly cause: unknown,
  ) {}
}

export class RestStore implements Store {
  readonly uri: string;
  // Private to the object, so that printing a store shows no password.
  readonly #username: string | undefined;
  readonly #password: string | undefined;

  /**
   * `uri`: base address without credentials and trailing slash. User name and password, when the
   * address carried them, win over `MLFLOW_TRACKING_USERNAME`, `_PASSWORD` and `_TOKEN`.
   */
  constructor(uri: string, username: string | undefined, password: string | undefined) {
    this.uri = uri;
    this.#username = username;
    this.#password = password;
  }

  /** The same server's interface under another authority (`host:port`), for its artifacts. */
  onHost(authority: string): RestStore {
    const base = new URL(this.uri);
    const uri = `${base.protocol}//${authority}${base.pathname}`.replace(/\/+$/, "");
    return new RestStore(uri, this.#username, this.#password);
  }

  async perform(call: StoreCall, endpoint: Endpoint<never, unknown>): Promise<unknown> {
    const { body } = call;
    if (call.method === "GET") {
      return this.#message(await this.#send(call, call.path + queryOf(body), true), call);
    }
    const json = JSON.stringify(body, (_key, value: unknown) =>
      typeof value === "number" ? numberToMessage(value) : value,
    );
    const requestBody: RequestBody = { contentType: "application/json", open: () => json };
    const answer = await this.#send(call, call.path, endpoint.repeatable, requestBody);
    return this.#message(answer, call);
  }

  /** Sends one file; memory stays constant when it comes from disk. */
  async upload(
    call: StoreCall,
    content: ArtifactContent,
    transfer: TransferOptions = {},
  ): Promise<unknown> {
    const { source, sizeBytes, contentType } = content;
    const { onProgress, signal } = transfer;
    const path = call.upload?.artifactPath ?? call.path;
    const tell = (transferredBytes: number) =>
      onProgress?.({ path, transferredBytes, totalBytes: sizeBytes });
    const isFile = !isBlob(source) && "localPath" in source;
    const requestBody: RequestBody =
      !isFile || sizeBytes === 0
        ? { contentType, signal, open: () => (isFile ? "" : (source as BodyInit)) }
        : {
            contentType,
            contentLength: sizeBytes,
            signal,
            open: (onBytes) => openFile(source.localPath, sizeBytes, onBytes, tell),
          };
    const sent = this.#send(call, call.path, uploadArtifact.repeatable, requestBody);
    const answer = await endedBy(signal, sent);
    if (answer.status !== 200) throw this.#errorOf(answer, call);
    tell(sizeBytes);
    return {};
  }

  /** One request for a body that the caller reads, with this server's credentials; never sent again. */
  fetchOnce(
    path: string,
    options: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Response> {
    const { headers, signal } = options;
    const init = { headers: { ...this.#headers(), ...headers }, ...(signal && { signal }) };
    return globalThis.fetch(this.uri + path, init);
  }

  /** One question that nobody waits long for, and that is not asked again. */
  async performOnce(call: StoreCall): Promise<unknown> {
    const response = await this.fetchOnce(call.path, { signal: AbortSignal.timeout(10_000) });
    if (response.status !== 200) throw await this.errorOfResponse(response, call);
    return response.json();
  }

  /** What an answer that is not the one hoped for says. */
  async errorOfResponse(response: Response, call: StoreCall): Promise<MlflowError> {
    return this.#errorOf(
      {
        status: response.status,
        text: await response.text(),
        retryAfter: response.headers.get("retry-after"),
        location: response.headers.get("location"),
      },
      call,
    );
  }

  async #send(
    call: StoreCall,
    pathAndQuery: string,
    repeatable: boolean,
    body?: RequestBody,
  ): Promise<Answer> {
    const settings = retrySettings();
    for (let attempt = 1; ; attempt++) {
      let failure: Failure;
      let outcome: Answer | AttemptFailure;
      try {
        outcome = await this.#attempt(call, pathAndQuery, settings, body);
      } catch (error) {
        if (!(error instanceof AttemptFailure)) throw error;
        outcome = error;
      }
      if (outcome instanceof AttemptFailure) {
        const { kind } = outcome;
        if (kind !== "unconnected" && kind !== "broken") {
          throw this.#failed(outcome, call, settings);
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
        if (outcome instanceof AttemptFailure) throw this.#failed(outcome, call, settings);
        return outcome;
      }
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }

  async #attempt(
    call: StoreCall,
    pathAndQuery: string,
    settings: RetrySettings,
    body: RequestBody | undefined,
  ): Promise<Answer> {
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
      const headers = this.#headers();
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
      // Looked up at each call, so that instrumentation of the global fetch sees this client too.
      const response = await globalThis.fetch(this.uri + pathAndQuery, init);
      onProgress();
      return {
        status: response.status,
        text: await response.text(),
        retryAfter: response.headers.get("retry-after"),
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

  #headers(): Record<string, string> {
    const username = this.#username ?? environmentVariable("MLFLOW_TRACKING_USERNAME");
    const password = this.#password ?? environmentVariable("MLFLOW_TRACKING_PASSWORD");
    const token = environmentVariable("MLFLOW_TRACKING_TOKEN");
    if (username !== undefined && password !== undefined) {
      const bytes = new TextEncoder().encode(`${username}:${password}`);
      return { authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
    }
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** The message in an answer: exactly status 200 and a JSON object. */
  #message(answer: Answer, call: StoreCall): unknown {
    if (answer.status !== 200) throw this.#errorOf(answer, call);
    const message = jsonObject(answer.text);
    if (message === undefined) {
      throw new MlflowError(
        "INVALID_RESPONSE",
        `${call.method} ${this.uri}${call.path} answered with something that is not MLflow's JSON: ${excerpt(answer.text)}. Is '${this.uri}' the address of an MLflow server?`,
        { status: answer.status },
      );
    }
    return message;
  }

  #errorOf(answer: Answer, call: StoreCall): MlflowError {
    const { status } = answer;
    const message = jsonObject(answer.text);
    const errorCode = typeof message?.error_code === "string" ? message.error_code : undefined;
    if (errorCode !== undefined) {
      return new MlflowError(errorCode, `${errorCode}: ${String(message?.message ?? "")}`, {
        status,
        errorCode,
      });
    }
    const where = `${call.method} ${this.uri}${call.path}`;
    if (status < 400) {
      const { location } = answer;
      const target = location === null ? "" : ` (redirect to ${withoutCredentials(location)})`;
      return new MlflowError(
        "INVALID_RESPONSE",
        `${where} answered with status ${status}${target}, where MLflow answers 200. Set the tracking URI to the server's final address.`,
        { status },
      );
    }
    const advice =
      status === 401 || status === 403
        ? " Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, and check that the server allows this host name (--allowed-hosts)."
        : status === 404
          ? ` Is '${this.uri}' the address of an MLflow server, with its path prefix?`
          : "";
    return new MlflowError(
      CODE_OF_STATUS[status] ?? (status < 500 ? "BAD_REQUEST" : "INTERNAL_ERROR"),
      `${where} failed with status ${status}: ${excerpt(answer.text)}.${advice}`,
      { status },
    );
  }

  #protocolAdvice(cause: unknown): string {
    const speaksPlainly = codesOf(cause).some((code) => code.startsWith("ERR_SSL_"));
    return speaksPlainly ? " It does not speak TLS: try http:// instead of https://." : "";
  }

  #failed(failure: AttemptFailure, call: StoreCall, settings: RetrySettings): MlflowError {
    const { cause } = failure;
    const where = `${call.method} ${call.path}`;
    switch (failure.kind) {
      case "timeout":
        return new MlflowError(
          "TIMEOUT",
          `The MLflow server at ${this.uri} did not answer ${where} within ${settings.timeoutMs / 1000} s. It may have been carried out. Set MLFLOW_HTTP_REQUEST_TIMEOUT (seconds) to wait longer.`,
          { cause },
        );
      case "redirected":
        return new MlflowError(
          "INVALID_RESPONSE",
          `${call.method} ${this.uri}${call.path} answered with a redirect, where MLflow takes the file. Set the tracking URI to the server's final address.`,
          { cause },
        );
      case "local":
        return new MlflowError(
          "INVALID_STATE",
          `${where} could not be sent: ${causeText(cause)}. A file must not change while it is uploaded.`,
          { cause },
        );
      case "unconnected":
        return new MlflowError(
          "SERVER_UNREACHABLE",
          `No MLflow server answers at ${this.uri} (${causeText(cause)}).${this.#protocolAdvice(cause)} Start one with 'mlflow server --host 127.0.0.1 --port 5000', or set MLFLOW_TRACKING_URI to where it runs.`,
          { cause },
        );
      case "blocked":
        return new MlflowError(
          "SERVER_UNREACHABLE",
          `No request can be sent to ${this.uri}: fetch refuses its port, which belongs to another protocol (bad port). Run the MLflow server on another one, such as 5000.`,
          { cause },
        );
      case "broken":
        return new MlflowError(
          "SERVER_UNREACHABLE",
          `The connection to the MLflow server at ${this.uri} broke during ${where} (${causeText(cause)}). It may have been carried out.`,
          { cause },
        );
    }
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

/** What `work` answers, unless the signal fires first; nobody waits out a delay for nothing. */
async function endedBy<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  let stop = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    work.catch(() => undefined);
  }
}

function openFile(
  localPath: string,
  sizeBytes: number,
  onProgress: () => void,
  tell: (transferredBytes: number) => void,
): BodyInit {
  const files = currentRuntime().files;
  if (files === undefined) throw new Error("no local files in this runtime");
  let transferredBytes = 0;
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      onProgress();
      transferredBytes += chunk.byteLength;
      tell(transferredBytes);
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

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function excerpt(text: string): string {
  const words = text.replace(/\s+/g, " ").trim();
  return words === "" ? "(empty)" : JSON.stringify(words.slice(0, 200));
}

/** An error and what caused it, outermost first. */
function* causesOf(error: unknown): Generator<{ code?: unknown; message?: unknown }> {
  let current = error;
  // A chain of causes that never ends is nobody's intention.
  for (let depth = 0; depth < 10 && typeof current === "object" && current !== null; depth++) {
    yield current;
    current = (current as { cause?: unknown }).cause;
  }
}

/** The error codes along an error's chain of causes. */
function codesOf(error: unknown): string[] {
  return [...causesOf(error)].flatMap(({ code }) => (typeof code === "string" ? [code] : []));
}

function says(error: unknown, text: string): boolean {
  return [...causesOf(error)].some(({ message }) => message === text);
}

function failureKind(error: unknown): Exclude<FailureKind, "timeout"> {
  if (says(error, "bad port")) return "blocked";
  if (says(error, "unexpected redirect")) return "redirected";
  const codes = codesOf(error);
  if (codes.some((code) => UNCONNECTED_CODES.includes(code))) return "unconnected";
  const isLocal = (code: string): boolean =>
    code === "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH" || code === "ENOENT" || code === "EACCES";
  return codes.some(isLocal) ? "local" : "broken";
}

function causeText(cause: unknown): string {
  const codes = codesOf(cause);
  return codes.length > 0 ? codes.join(", ") : reasonOf(cause);
}
