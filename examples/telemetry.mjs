// @ts-check
// OpenTelemetry for the other examples: node --import ./telemetry.mjs basic-tracking.mjs
// Sends spans to OTEL_EXPORTER_OTLP_ENDPOINT, as a program with an OpenTelemetry set-up of its own does.
import { trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, detectResources, envDetector } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { withDoubles } from "genops";

const provider = new BasicTracerProvider({
  // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  // Amounts stay doubles on the wire, whole ones too.
  spanProcessors: [new BatchSpanProcessor(withDoubles(new OTLPTraceExporter()))],
});
trace.setGlobalTracerProvider(provider);
process.once("beforeExit", () => void provider.shutdown());
