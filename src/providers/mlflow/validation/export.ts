// Telemetry: a span is really exported to where OTEL_* says, and what the endpoint answers is told.
import { createRequire } from "node:module";
import type * as OtlpExporter from "@opentelemetry/exporter-trace-otlp-proto";
import type * as Sdk from "@opentelemetry/sdk-trace-base";
import { wanted as exportIsWanted, hasProvider, PACKAGES } from "../../../telemetry/otlp-node.js";
import { VERSION } from "../../../version.js";
import { type Check, type Found, type Setup, Skipped } from "./check.js";
import { checkEndpoint, type ExportError, send, tryEndpoint } from "./otlp-endpoint.js";

/** The span: plain, without a price, so that it adds nothing to anybody's costs. */
const SPAN = "genops.validate";

async function sendSpan(timeoutMs: number): Promise<ExportError | undefined> {
  const require = createRequire(import.meta.url);
  const sdk: typeof Sdk = require(PACKAGES[0]);
  const { OTLPTraceExporter }: typeof OtlpExporter = require(PACKAGES[2]);
  const finished = new sdk.InMemorySpanExporter();
  const provider = new sdk.BasicTracerProvider({
    spanProcessors: [new sdk.SimpleSpanProcessor(finished)],
  });
  provider.getTracer("genops", VERSION).startSpan(SPAN).end();
  await provider.forceFlush();
  const exporter = new OTLPTraceExporter({ timeoutMillis: timeoutMs });
  return send(exporter, finished.getFinishedSpans());
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

async function exportSpan(setup: Setup, found: Found, abort: AbortSignal): Promise<string> {
  if (PACKAGES.some((name) => setup.dependencies[name]?.version === undefined)) {
    throw new Skipped("the packages that export are not installed");
  }
  const sendOne = () => sendSpan(0.6 * setup.timeoutMs);
  const { shown, refusal } = await tryEndpoint("TRACES", abort, sendOne);
  if (refusal === undefined) return `the span ${SPAN} was taken by ${shown}`;
  found({ severity: "error", ...refusal });
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
    if (!checkEndpoint("TRACES", found)) return "no address";
    tellProtocol(found);
    return exportSpan(setup, found, signal);
  },
};
