// Log records in Node: the program's own logger provider, or OTLP from packages that are installed by those who want it.
import { createRequire } from "node:module";
import type * as LogsApi from "@opentelemetry/api-logs";
import type * as OtlpExporter from "@opentelemetry/exporter-logs-otlp-proto";
import type * as Resources from "@opentelemetry/resources";
import type * as Sdk from "@opentelemetry/sdk-logs";
import { withDoubles } from "./doubles.js";
import type { EventLoggerProvider } from "./event-log.js";
import type { Warn } from "./export.js";
import { unusableEndpoint } from "./otlp-endpoint.js";

const API = "@opentelemetry/api-logs";
export const PACKAGES = [
  "@opentelemetry/sdk-logs",
  "@opentelemetry/exporter-logs-otlp-proto",
] as const;

function loadApi(): typeof LogsApi | undefined {
  try {
    return createRequire(import.meta.url)(API);
  } catch {
    return undefined;
  }
}

/** What the program registered; undefined when it registered none. */
function registered({ logs }: typeof LogsApi): EventLoggerProvider | undefined {
  const provider = logs.getLoggerProvider();
  // Until one is registered the API answers a stand-in.
  return /^(Proxy|Noop)LoggerProvider$/.test(provider.constructor.name) ? undefined : provider;
}

/** The process's global logger provider; undefined, and `warn` told why, when there is none. */
export function findLoggerProvider(warn: Warn): EventLoggerProvider | undefined {
  const api = loadApi();
  if (api === undefined) {
    warn(
      `eventRecords is logs, but the logs API is not installed, so events are told on spans: npm install ${API}`,
    );
    return undefined;
  }
  const found = registered(api);
  if (found === undefined) {
    warn(
      "eventRecords is logs, but no logger provider is registered, so events are told on spans; give the option loggerProvider, or register one with logs.setGlobalLoggerProvider() before the adapter is made",
    );
  }
  return found;
}

/** Has the program a logger provider of its own? Then it gets the events, and nothing is started. */
export function hasLoggerProvider(): boolean {
  const api = loadApi();
  return api !== undefined && registered(api) !== undefined;
}

export function wanted(): boolean {
  const { env } = process;
  if (env.OTEL_LOGS_EXPORTER && env.OTEL_LOGS_EXPORTER !== "otlp") return false;
  return Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_LOGS_ENDPOINT);
}

/**
 * A logger provider of our own, registered nowhere, that sends protobuf. Undefined when the environment asks for none,
 * or the program has one of its own.
 */
export function startOtlpLogs(
  resource: Resources.Resource,
  warn: Warn,
  batched: boolean,
): Sdk.LoggerProvider | undefined {
  if (!wanted() || hasLoggerProvider()) return undefined;
  const unusable = unusableEndpoint("LOGS");
  if (unusable !== undefined) {
    warn(
      `${unusable} is no http(s) address, so no log records are sent; give one like http://localhost:4318/v1/logs`,
    );
    return undefined;
  }
  const require = createRequire(import.meta.url);
  let sdk: typeof Sdk;
  let exporter: typeof OtlpExporter;
  try {
    sdk = require(PACKAGES[0]);
    exporter = require(PACKAGES[1]);
  } catch (error) {
    warn(
      `eventRecords is logs, but the exporter is not installed: npm install ${API} ${PACKAGES.join(" ")} (${(error as Error).message.split("\n")[0]})`,
    );
    return undefined;
  }
  const logExporter = withDoubles(new exporter.OTLPLogExporter());
  const processor = batched
    ? new sdk.BatchLogRecordProcessor({ exporter: logExporter })
    : new sdk.SimpleLogRecordProcessor({ exporter: logExporter });
  return new sdk.LoggerProvider({ resource, processors: [processor] });
}
