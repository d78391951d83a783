// OTLP over HTTP in Node, from packages that are installed only by those who want it.
import { createRequire } from "node:module";
import { ProxyTracerProvider, trace } from "@opentelemetry/api";
import type * as OtlpExporter from "@opentelemetry/exporter-trace-otlp-proto";
import type * as Resources from "@opentelemetry/resources";
import type * as Sdk from "@opentelemetry/sdk-trace-base";
import { withDoubles } from "./doubles.js";
import type { ExportOptions, TelemetryExport, Warn } from "./export.js";
import { unusableEndpoint } from "./otlp-endpoint.js";
import { startOtlpLogs } from "./otlp-logs-node.js";
import { startOtlpMetrics } from "./otlp-metrics-node.js";

export const PACKAGES = [
  "@opentelemetry/sdk-trace-base",
  "@opentelemetry/resources",
  "@opentelemetry/exporter-trace-otlp-proto",
] as const;

export function wanted(): boolean {
  const { env } = process;
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === "true") return false;
  if (env.OTEL_TRACES_EXPORTER && env.OTEL_TRACES_EXPORTER !== "otlp") return false;
  return Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
}

/** Has the program an OpenTelemetry SDK of its own? Then its provider is used, and nothing is started. */
export function hasProvider(): boolean {
  const provider = trace.getTracerProvider();
  if (!(provider instanceof ProxyTracerProvider)) return true;
  return provider.getDelegate().constructor.name !== "NoopTracerProvider";
}

/** Starts a tracer provider of our own, registered nowhere, that sends protobuf to the collector. */
export function startOtlpExport(
  warn: Warn,
  { batched, logs }: ExportOptions = { batched: true, logs: false },
): TelemetryExport | undefined {
  if (!wanted() || hasProvider()) return undefined;
  const unusable = unusableEndpoint("TRACES");
  if (unusable !== undefined) {
    warn(
      `${unusable} is no http(s) address, so no spans are sent; give one like http://localhost:4318`,
    );
    return undefined;
  }
  const require = createRequire(import.meta.url);
  let sdk: typeof Sdk;
  let resources: typeof Resources;
  let exporter: typeof OtlpExporter;
  try {
    sdk = require(PACKAGES[0]);
    resources = require(PACKAGES[1]);
    exporter = require(PACKAGES[2]);
  } catch (error) {
    warn(
      `OTEL_EXPORTER_OTLP_ENDPOINT is set, but the exporter is not installed, so no spans are sent: npm install ${PACKAGES.join(" ")} (${(error as Error).message.split("\n")[0]})`,
    );
    return undefined;
  }
  const protocol =
    process.env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? process.env.OTEL_EXPORTER_OTLP_PROTOCOL;
  if (protocol && protocol !== "http/protobuf") {
    warn(`OTEL_EXPORTER_OTLP_PROTOCOL=${protocol} is not supported here; http/protobuf is used`);
  }
  const resource = resources
    .defaultResource()
    .merge(resources.detectResources({ detectors: [resources.envDetector] }));
  const spanExporter = withDoubles(new exporter.OTLPTraceExporter());
  const processor = batched
    ? new sdk.BatchSpanProcessor(spanExporter)
    : new sdk.SimpleSpanProcessor(spanExporter);
  const provider = new sdk.BasicTracerProvider({ resource, spanProcessors: [processor] });
  const meterProvider = startOtlpMetrics(resource, warn);
  const loggerProvider = logs ? startOtlpLogs(resource, warn, batched) : undefined;
  const sent = async (what: string, provider: { forceFlush(): Promise<void> } | undefined) => {
    try {
      await provider?.forceFlush();
    } catch (error) {
      warn(`${what} could not be sent: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const flush = async () => {
    await Promise.all([
      sent("spans", provider),
      sent("metrics", meterProvider),
      sent("log records", loggerProvider),
    ]);
  };
  process.once("beforeExit", () => void flush());
  return { tracerProvider: provider, meterProvider, loggerProvider, flush };
}
