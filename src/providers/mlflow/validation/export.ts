// Telemetry: a span is really exported to where OTEL_* says, and what the endpoint answers is told.
import { createRequire } from "node:module";
import type * as OtlpExporter from "@opentelemetry/exporter-trace-otlp-proto";
import type * as Sdk from "@opentelemetry/sdk-trace-base";
import { withoutCredentials } from "../../../mlflow/store-uri.js";
import {
  wanted as exportIsWanted,
  hasProvider,
  PACKAGES,
  unusableEndpoint,
} from "../../../telemetry/otlp-node.js";
import { VERSION } from "../../../version.js";
import { type Check, type Found, type Setup, Skipped } from "./check.js";
import type { ValidationIssue } from "./result.js";

/** Where spans go, as OpenTelemetry's rules have it. */
function tracesUrl(): string {
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: shared } =
    process.env;
  return own || `${(shared ?? "").replace(/\/+$/, "")}/v1/traces`;
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

function requestHeaders(): Record<string, string> {
  const { OTEL_EXPORTER_OTLP_HEADERS: shared, OTEL_EXPORTER_OTLP_TRACES_HEADERS: own } =
    process.env;
  return { ...headersOf(shared), ...headersOf(own), "content-type": "application/x-protobuf" };
}

type Answer = Pick<ValidationIssue, "code" | "message" | "cause" | "fix">;

/** What a status means; undefined when it is none to worry about yet. */
function refused(status: number, body: string, url: string): Answer | undefined {
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
    const base = url.replace(/\/v1\/traces$/, "");
    return {
      code: "OTLP_NOT_FOUND",
      message: "Something answers at the OTLP endpoint, and takes no traces there.",
      cause,
      fix: process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
        ? `export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=${new URL("/v1/traces", base).href}`
        : `export OTEL_EXPORTER_OTLP_ENDPOINT=${new URL(base).protocol}//${new URL(base).hostname}:4318   # /v1/traces is added`,
    };
  }
  if (status === 415 || (status === 400 && /json/i.test(text))) {
    return {
      code: "OTLP_PROTOCOL_REFUSED",
      message: "The OTLP endpoint takes no protobuf.",
      cause,
      fix: "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318   # a Collector, which takes it and passes it on",
    };
  }
  return undefined;
}

function unanswered(error: unknown, url: string): Answer {
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
    message: "The OTLP endpoint does not answer: spans are lost.",
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
async function ask(url: string, signal: AbortSignal): Promise<Answer | undefined> {
  try {
    const answer = await fetch(url, { method: "POST", headers: requestHeaders(), signal });
    const body = await answer.text();
    return answer.ok ? undefined : refused(answer.status, body, withoutCredentials(url));
  } catch (error) {
    const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: string };
    return HOPELESS.includes(code ?? "") ? unanswered(error, withoutCredentials(url)) : undefined;
  }
}

/** The span: plain, without a price, so that it adds nothing to anybody's costs. */
const SPAN = "genops.validate";

interface ExportError {
  readonly code?: number | string;
  readonly message?: string;
  readonly data?: string;
}

/** Sends the span with the exporter that programs use. Answers its error, if any. */
async function sendSpan(timeoutMs: number): Promise<ExportError | undefined> {
  const require = createRequire(import.meta.url);
  const sdk: typeof Sdk = require(PACKAGES[0]);
  const { OTLPTraceExporter }: typeof OtlpExporter = require(PACKAGES[2]);
  const exporter = new OTLPTraceExporter({ timeoutMillis: timeoutMs });
  const finished = new sdk.InMemorySpanExporter();
  const provider = new sdk.BasicTracerProvider({
    spanProcessors: [new sdk.SimpleSpanProcessor(finished)],
  });
  provider.getTracer("genops", VERSION).startSpan(SPAN).end();
  await provider.forceFlush();
  const result = await new Promise<{ code: number; error?: ExportError }>((done) =>
    exporter.export(finished.getFinishedSpans(), (answer) => done(answer as never)),
  );
  void exporter.shutdown();
  return result.code === 0 ? undefined : (result.error ?? { message: "no reason was given" });
}

function tellProtocol(found: Found): void {
  const { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: own, OTEL_EXPORTER_OTLP_PROTOCOL: shared } =
    process.env;
  const protocol = own || shared;
  if (!protocol || protocol === "http/protobuf") return;
  found({
    code: "OTLP_PROTOCOL_UNSUPPORTED",
    severity: "warning",
    message: "Spans are sent as http/protobuf, whatever is asked for.",
    cause: `OTEL_EXPORTER_OTLP${own ? "_TRACES" : ""}_PROTOCOL is ${protocol}.`,
    fix: `export OTEL_EXPORTER_OTLP${own ? "_TRACES" : ""}_PROTOCOL=http/protobuf`,
  });
}

async function exportSpan(setup: Setup, found: Found, signal: AbortSignal): Promise<string> {
  const url = tracesUrl();
  const shown = withoutCredentials(url);
  if (PACKAGES.some((name) => setup.dependencies[name]?.version === undefined)) {
    throw new Skipped("the packages that export are not installed");
  }
  const refusal = await ask(url, signal);
  if (refusal !== undefined) {
    found({ severity: "error", ...refusal });
    return `${shown} takes no spans`;
  }
  const error = await sendSpan(0.6 * setup.timeoutMs);
  if (error === undefined) return `the span ${SPAN} was taken by ${shown}`;
  const status = typeof error.code === "number" ? error.code : 0;
  found({
    severity: "error",
    ...(refused(status, error.data ?? error.message ?? "", shown) ?? unanswered(error, shown)),
  });
  return `${shown} takes no spans`;
}

export const exportCheck: Check = {
  name: "export",
  area: "telemetry",
  async run(setup, found, signal) {
    if (hasProvider()) return "the program's own OpenTelemetry provider gets the spans";
    if (process.env.OTEL_SDK_DISABLED?.toLowerCase() === "true") {
      throw new Skipped("OTEL_SDK_DISABLED=true");
    }
    if (!exportIsWanted()) {
      found({
        code: "OTLP_NOT_CONFIGURED",
        severity: "info",
        message: "Spans are exported nowhere.",
        cause: process.env.OTEL_TRACES_EXPORTER
          ? `OTEL_TRACES_EXPORTER is ${process.env.OTEL_TRACES_EXPORTER}.`
          : "OTEL_EXPORTER_OTLP_ENDPOINT is not set.",
        fix: "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318",
      });
      throw new Skipped("no endpoint is configured");
    }
    const unusable = unusableEndpoint();
    if (unusable !== undefined) {
      const [variable = "", value = ""] = unusable.split("=");
      found({
        code: "OTLP_ENDPOINT_INVALID",
        severity: "error",
        message: `${variable} is no address: spans are lost.`,
        cause: `${withoutCredentials(value)} is no http(s) address.`,
        fix: `export ${variable}=http://localhost:4318`,
      });
      return "no address";
    }
    tellProtocol(found);
    return exportSpan(setup, found, signal);
  },
};
