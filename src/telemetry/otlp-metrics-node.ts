// Metrics over OTLP in Node, from packages that are installed only by those who want them.
import { createRequire } from "node:module";
import { metrics } from "@opentelemetry/api";
import type * as OtlpExporter from "@opentelemetry/exporter-metrics-otlp-proto";
import type * as Resources from "@opentelemetry/resources";
import type * as Sdk from "@opentelemetry/sdk-metrics";
import type { Warn } from "./export.js";

const PACKAGES = [
  "@opentelemetry/sdk-metrics",
  "@opentelemetry/exporter-metrics-otlp-proto",
] as const;

function wanted(): boolean {
  const { env } = process;
  if (env.OTEL_METRICS_EXPORTER && env.OTEL_METRICS_EXPORTER !== "otlp") return false;
  return Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT);
}

/** Has the program metrics of its own? Then its provider is used, and nothing is started. */
function hasProvider(): boolean {
  return metrics.getMeterProvider().constructor.name !== "NoopMeterProvider";
}

/**
 * A meter provider of our own, registered nowhere, that sends protobuf every `OTEL_METRIC_EXPORT_INTERVAL`
 * ms (60,000). Undefined when the environment asks for none; the packages missing is told only to those who
 * asked for metrics by `OTEL_METRICS_EXPORTER=otlp`.
 */
export function startOtlpMetrics(
  resource: Resources.Resource,
  warn: Warn,
): Sdk.MeterProvider | undefined {
  if (!wanted() || hasProvider()) return undefined;
  const require = createRequire(import.meta.url);
  let sdk: typeof Sdk;
  let exporter: typeof OtlpExporter;
  try {
    sdk = require(PACKAGES[0]);
    exporter = require(PACKAGES[1]);
  } catch (error) {
    if (process.env.OTEL_METRICS_EXPORTER === "otlp") {
      warn(
        `OTEL_METRICS_EXPORTER is otlp, but the exporter is not installed, so no metrics are sent: npm install ${PACKAGES.join(" ")} (${(error as Error).message.split("\n")[0]})`,
      );
    }
    return undefined;
  }
  const interval = Number(process.env.OTEL_METRIC_EXPORT_INTERVAL);
  const reader = new sdk.PeriodicExportingMetricReader({
    exporter: new exporter.OTLPMetricExporter(),
    ...(interval > 0 && {
      exportIntervalMillis: interval,
      exportTimeoutMillis: Math.min(interval, 30_000),
    }),
  });
  return new sdk.MeterProvider({ resource, readers: [reader] });
}
