// What a server's answer means when it is none, or not the one hoped for.
import type { ConnectionSettings } from "./connection.js";
import { MlflowError, type MlflowErrorDetails, reasonOf, UnknownOutcomeError } from "./errors.js";
import type { StoreCall } from "./interceptor.js";
import { withoutCredentials } from "./redaction.js";
import { leavesDoubt } from "./retry.js";

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

/** Causes that lie in a certificate: no attempt will be better. */
const CERTIFICATE_CODE =
  /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|ERR_SSL_|ERR_OSSL_)/;

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

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | null;
  readonly serverDate: string | null;
  readonly location: string | null;
  /** An earlier attempt of the same call may have been carried out. */
  readonly inDoubt: boolean;
}

/**
 * Why an attempt had no answer; `blocked`: fetch does not even try a port such as 9; `certificate`:
 * one side does not accept the other's; `local`: it could not be sent; `redirected`: it was sent
 * elsewhere, where a file cannot go; `circling`: it was sent from one place to another without end.
 */
export type FailureKind =
  | "unconnected"
  | "blocked"
  | "certificate"
  | "broken"
  | "timeout"
  | "local"
  | "redirected"
  | "circling";

/** How one attempt ended without an answer. */
export class AttemptFailure {
  constructor(
    readonly kind: FailureKind,
    readonly cause: unknown,
  ) {}
}

/** Does a call only ask? Its outcome cannot matter then. */
function onlyReads({ method, route }: StoreCall): boolean {
  return method === "GET" || /\/(search|get-latest-versions)$/.test(route);
}

function failure(
  inDoubt: boolean,
  code: string,
  message: string,
  details: MlflowErrorDetails,
): MlflowError {
  const FailureClass = inDoubt ? UnknownOutcomeError : MlflowError;
  return new FailureClass(code, message, details);
}

/** The message in an answer: exactly status 200 and a JSON object. Throws MlflowError. */
export function messageOf(answer: Answer, call: StoreCall, uri: string): unknown {
  if (answer.status !== 200) throw errorOf(answer, call, uri);
  const message = jsonObject(answer.text);
  if (message === undefined) {
    const inDoubt = !onlyReads(call);
    throw failure(
      inDoubt,
      "INVALID_RESPONSE",
      `${call.method} ${uri}${call.path} answered with something that is not MLflow's JSON: ${excerpt(answer.text)}.${inDoubt ? " It may have been carried out." : ""} Is '${uri}' the address of an MLflow server?`,
      { status: answer.status },
    );
  }
  return message;
}

/** The error of an answer that is not status 200. */
export function errorOf(answer: Answer, call: StoreCall, uri: string): MlflowError {
  const { status } = answer;
  const maySucceed = answer.inDoubt || leavesDoubt(status) || (status > 200 && status < 300);
  const inDoubt = maySucceed && !onlyReads(call);
  const doubt = inDoubt ? doubtOf(answer) : "";
  const message = jsonObject(answer.text);
  const errorCode = typeof message?.error_code === "string" ? message.error_code : undefined;
  if (errorCode !== undefined) {
    const said = String(message?.message ?? "");
    const end = doubt === "" || /[.!?]\s*$/.test(said) ? "" : ".";
    const text = `${errorCode}: ${said}${end}${doubt}`;
    return failure(inDoubt, errorCode, text, { status, errorCode });
  }
  const where = `${call.method} ${uri}${call.path}`;
  if (status < 400) {
    const { location } = answer;
    const target = location === null ? "" : ` (redirect to ${withoutCredentials(location)})`;
    return failure(
      inDoubt,
      "INVALID_RESPONSE",
      `${where} answered with status ${status}${target}, where MLflow answers 200.${doubt} Set the tracking URI to the server's final address.`,
      { status },
    );
  }
  const advice =
    status === 401 || status === 403
      ? " Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, and check that the server allows this host name (--allowed-hosts)."
      : status === 404
        ? ` Is '${uri}' the address of an MLflow server, with its path prefix?`
        : "";
  return failure(
    inDoubt,
    CODE_OF_STATUS[status] ?? (status < 500 ? "BAD_REQUEST" : "INTERNAL_ERROR"),
    `${where} failed with status ${status}: ${excerpt(answer.text)}.${advice}${doubt}`,
    { status },
  );
}

function doubtOf(answer: Answer): string {
  return answer.inDoubt
    ? " An earlier attempt of this call, whose answer was lost, may have been carried out."
    : " It may have been carried out.";
}

/** The error of a call that got no answer at all. */
export function errorWithoutAnswer(
  { kind, cause }: AttemptFailure,
  call: StoreCall,
  uri: string,
  settings: ConnectionSettings,
  wasInDoubt: boolean,
): MlflowError {
  const where = `${call.method} ${call.path}`;
  const inDoubt = (wasInDoubt || kind === "timeout" || kind === "broken") && !onlyReads(call);
  const earlier = wasInDoubt && inDoubt ? " An earlier attempt may have been carried out." : "";
  const perhaps = inDoubt ? " It may have been carried out." : "";
  switch (kind) {
    case "timeout":
      return failure(
        inDoubt,
        "TIMEOUT",
        `The MLflow server at ${uri} did not answer ${where} within ${settings.timeoutMs / 1000} s.${perhaps} Set MLFLOW_HTTP_REQUEST_TIMEOUT (seconds) to wait longer.`,
        { cause },
      );
    case "local":
      return failure(
        inDoubt,
        "INVALID_STATE",
        `${where} could not be sent: ${causeText(cause)}. A file must not change while it is uploaded.${earlier}`,
        { cause },
      );
    case "redirected":
      return failure(
        inDoubt,
        "INVALID_RESPONSE",
        `${call.method} ${uri}${call.path} answered with a redirect, where MLflow takes the file. Set the tracking URI to the server's final address.${earlier}`,
        { cause },
      );
    case "circling":
      return failure(
        inDoubt,
        "INVALID_RESPONSE",
        `${call.method} ${uri}${call.path} is redirected from one place to another without end. Is there a login page in front of the server? Set the tracking URI to the server's final address, and MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN.${earlier}`,
        { cause },
      );
    case "unconnected":
      return failure(
        inDoubt,
        "SERVER_UNREACHABLE",
        `No MLflow server answers at ${uri} (${causeText(cause)}).${protocolAdvice(cause)} Start one with 'mlflow server --host 127.0.0.1 --port 5000', or set MLFLOW_TRACKING_URI to where it runs.${earlier}`,
        { cause },
      );
    case "blocked":
      return new MlflowError(
        "SERVER_UNREACHABLE",
        `No request can be sent to ${uri}: fetch refuses its port, which belongs to another protocol (bad port). Run the MLflow server on another one, such as 5000.`,
        { cause },
      );
    case "certificate":
      return failure(
        inDoubt,
        "SERVER_UNREACHABLE",
        `There is no trust between this client and ${uri} (${causeText(cause)}). Set MLFLOW_TRACKING_SERVER_CERT_PATH to the authority's certificate, and MLFLOW_TRACKING_CLIENT_CERT_PATH to the client's own when the server asks for one.${earlier}`,
        { cause },
      );
    case "broken":
      return failure(
        inDoubt,
        "SERVER_UNREACHABLE",
        `The connection to the MLflow server at ${uri} broke during ${where} (${causeText(cause)}).${perhaps}`,
        { cause },
      );
  }
}

function protocolAdvice(cause: unknown): string {
  const speaksPlainly = codesOf(cause).some((code) => code.startsWith("ERR_SSL_"));
  return speaksPlainly ? " It does not speak TLS: try http:// instead of https://." : "";
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

/** Why fetch failed, by the codes in its error. */
export function failureKind(error: unknown): FailureKind {
  if (says(error, "bad port")) return "blocked";
  if (says(error, "unexpected redirect")) return "redirected";
  if (says(error, "redirect count exceeded")) return "circling";
  const codes = codesOf(error);
  if (codes.some((code) => UNCONNECTED_CODES.includes(code))) return "unconnected";
  if (codes.some((code) => CERTIFICATE_CODE.test(code))) return "certificate";
  const isLocal = (code: string): boolean =>
    code === "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH" || code === "ENOENT" || code === "EACCES";
  return codes.some(isLocal) ? "local" : "broken";
}

/** Why fetch failed, in a few words. */
export function causeText(cause: unknown): string {
  const codes = codesOf(cause);
  return codes.length > 0 ? codes.join(", ") : reasonOf(cause);
}
