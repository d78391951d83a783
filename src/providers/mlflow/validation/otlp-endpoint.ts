// An OTLP endpoint: where a signal goes, what the endpoint answers, and what mends it.
import { withoutCredentials } from "../../../mlflow/redaction.js";
import { type Signal, unusableEndpoint } from "../../../telemetry/otlp-endpoint.js";
import type { Found } from "./check.js";
import type { ValidationIssue } from "./result.js";

interface Words {
  readonly path: string;
  /** What the endpoint takes of it. */
  readonly taken: string;
  /** What is gone when it cannot be sent. */
  readonly lost: string;
  /** What to write where the endpoint takes other signals and not this one. */
  readonly elsewhere: string | undefined;
}

const WORDS: Readonly<Record<Signal, Words>> = {
  TRACES: { path: "/v1/traces", taken: "traces", lost: "spans", elsewhere: undefined },
  LOGS: {
    path: "/v1/logs",
    taken: "log records",
    lost: "events",
    elsewhere:
      "export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://localhost:4318/v1/logs   # a Collector; or export GENOPS_EVENT_RECORDS=spans",
  },
};

/** Where a signal goes, as OpenTelemetry's rules have it. */
function signalUrl(signal: Signal): string {
  const { env } = process;
  const own = env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`];
  const shared = env.OTEL_EXPORTER_OTLP_ENDPOINT ?? "";
  return own || shared.replace(/\/+$/, "") + WORDS[signal].path;
}

/** `name=value,…`, percent-encoded. */
function headersOf(text: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const pair of (text ?? "").split(",")) {
    const at = pair.indexOf("=");
    if (at <= 0) continue;
    try {
      headers[pair.slice(0, at).trim()] = decodeURIComponent(pair.slice(at + 1).trim());
    } catch {
      headers[pair.slice(0, at).trim()] = pair.slice(at + 1).trim();
    }
  }
  return headers;
}

function requestHeaders(signal: Signal): Record<string, string> {
  const { env } = process;
  const shared = env.OTEL_EXPORTER_OTLP_HEADERS;
  const own = env[`OTEL_EXPORTER_OTLP_${signal}_HEADERS`];
  return { ...headersOf(shared), ...headersOf(own), "content-type": "application/x-protobuf" };
}

type Answer = Pick<ValidationIssue, "code" | "message" | "cause" | "fix">;

function tracesFix(base: string): string {
  const { protocol, hostname } = new URL(base);
  return process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
    ? `export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=${new URL("/v1/traces", base).href}`
    : `export OTEL_EXPORTER_OTLP_ENDPOINT=${protocol}//${hostname}:4318   # /v1/traces is added`;
}

/** What a status means; undefined when it is none to worry about yet. */
function refused(signal: Signal, status: number, body: string, url: string): Answer | undefined {
  const { path, taken, elsewhere } = WORDS[signal];
  const text = body.replace(/\s+/g, " ").trim().slice(0, 200);
  const cause = `${url} answered with status ${status}${text === "" ? "" : `: ${text}`}.`;
  if (status === 401 || status === 403) {
    return {
      code: "OTLP_UNAUTHENTICATED",
      message: "The OTLP endpoint does not accept these credentials.",
      cause,
      fix: 'export OTEL_EXPORTER_OTLP_HEADERS="api-key=…"   # as your platform names the header',
    };
  }
  if (status === 404 || status === 405) {
    const base = url.replace(new RegExp(`${path}$`), "");
    return {
      code: "OTLP_NOT_FOUND",
      message: `Something answers at the OTLP endpoint, and takes no ${taken} there.`,
      cause,
      fix: elsewhere ?? tracesFix(base),
    };
  }
  if (status === 415 || (status === 400 && /json/i.test(text))) {
    return {
      code: "OTLP_PROTOCOL_REFUSED",
      message: "The OTLP endpoint takes no protobuf.",
      cause,
      fix:
        elsewhere ??
        "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318   # a Collector, which takes it and passes it on",
    };
  }
  return undefined;
}

function unanswered(signal: Signal, error: unknown, url: string): Answer {
  const { code = "", message = "" } = ((error as { cause?: unknown }).cause ?? error) as {
    code?: string;
    message?: string;
  };
  const { hostname, port } = new URL(url);
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: `nothing listens on port ${port || "80"} of ${hostname} (connection refused)`,
    ENOTFOUND: `nobody knows the host ${hostname}`,
  };
  return {
    code: "OTLP_UNREACHABLE",
    message: `The OTLP endpoint does not answer: ${WORDS[signal].lost} are lost.`,
    cause: `POST ${url}: ${known[code] ?? [code, message].filter((part) => part !== "").join(": ")}.`,
    fix: `docker run --rm -p ${port || "4318"}:4318 otel/opentelemetry-collector   # or export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318`,
  };
}

/** Codes after which no exporter would fare better than `fetch`. */
const HOPELESS = ["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN"];

/**
 * Asks with an export of nothing, which OTLP allows. The exporter tries for as long as its patience lasts
 * and tells no status of what it tries again; this tells both at once.
 */
async function ask(signal: Signal, abort: AbortSignal): Promise<Answer | undefined> {
  const url = signalUrl(signal);
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: requestHeaders(signal),
      signal: abort,
    });
    const body = await answer.text();
    return answer.ok ? undefined : refused(signal, answer.status, body, withoutCredentials(url));
  } catch (error) {
    const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: string };
    return HOPELESS.includes(code ?? "")
      ? unanswered(signal, error, withoutCredentials(url))
      : undefined;
  }
}

/** What an exporter fails with. */
export interface ExportError {
  readonly code?: number | string;
  readonly message?: string;
  readonly data?: string;
}

/** An OTLP exporter, by what is used of it. */
interface Exporter<T> {
  export(batch: T[], done: (result: { code: number; error?: Error }) => void): void;
  shutdown(): Promise<void>;
}

/** Sends with the exporter that programs use. Answers its error, if any. */
export async function send<T>(exporter: Exporter<T>, batch: T[]): Promise<ExportError | undefined> {
  const { code, error } = await new Promise<{ code: number; error?: ExportError }>((done) =>
    exporter.export(batch, (answer) => done(answer as never)),
  );
  void exporter.shutdown();
  return code === 0 ? undefined : (error ?? { message: "no reason was given" });
}

/** Tells of an address that is none. Answers whether it is one. */
export function checkEndpoint(signal: Signal, found: Found): boolean {
  const unusable = unusableEndpoint(signal);
  if (unusable === undefined) return true;
  const [variable = "", value = ""] = unusable.split("=");
  const { path, lost } = WORDS[signal];
  found({
    code: "OTLP_ENDPOINT_INVALID",
    severity: "error",
    message: `${variable} is no address: ${lost} are lost.`,
    cause: `${withoutCredentials(value)} is no http(s) address.`,
    fix: `export ${variable}=http://localhost:4318${variable.includes(signal) ? path : ""}`,
  });
  return false;
}

/** Is it the same server that is asked? */
export function isSameServer(one: Signal, other: Signal): boolean {
  const urls = [signalUrl(one), signalUrl(other)];
  const origins = urls.map((url) => (URL.canParse(url) ? new URL(url).origin : undefined));
  return origins[0] !== undefined && origins[0] === origins[1];
}

/** What became of a signal. */
export interface Tried {
  /** Where it went, without credentials. */
  readonly shown: string;
  /** Undefined when it was taken. */
  readonly refusal: Answer | undefined;
  /** Is nobody there at all? */
  readonly isSilent: boolean;
}

/** Asks an endpoint, and sends to it what `sendOne` sends. */
export async function tryEndpoint(
  signal: Signal,
  abort: AbortSignal,
  sendOne: () => Promise<ExportError | undefined>,
): Promise<Tried> {
  const shown = withoutCredentials(signalUrl(signal));
  const asked = await ask(signal, abort);
  if (asked !== undefined) {
    return { shown, refusal: asked, isSilent: asked.code === "OTLP_UNREACHABLE" };
  }
  const error = await sendOne();
  if (error === undefined) return { shown, refusal: undefined, isSilent: false };
  const status = typeof error.code === "number" ? error.code : 0;
  const refusal =
    refused(signal, status, error.data ?? error.message ?? "", shown) ??
    unanswered(signal, error, shown);
  return { shown, refusal, isSilent: false };
}
