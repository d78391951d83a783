// MLflow governance as an OpenTelemetry instrumentation, set up as all others are.
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { describe, expect, it } from "vitest";
import { MlflowInstrumentation } from "../../src/instrumentation/node.js";
import { interceptorCount } from "../../src/mlflow/interceptor.js";
import * as mlflow from "../../src/mlflow/node.js";
import { ConfigurationError } from "../../src/node.js";
import { temporaryFolder } from "../adapter/workplace.js";

describe("the instrumentation", () => {
  it("sends spans and metrics where it is told when it is registered", async () => {
    const spans = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(spans)],
    });
    const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter: metrics });
    const meterProvider = new MeterProvider({ readers: [reader] });
    const trackingUri = await temporaryFolder();
    const instrumentation = new MlflowInstrumentation({
      team: "ml-team",
      project: "search",
      trackingUri,
    });
    const unregister = registerInstrumentations({
      instrumentations: [instrumentation],
      tracerProvider,
      meterProvider,
    });
    expect(instrumentation.getConfig()).toMatchObject({ enabled: true, team: "ml-team" });
    await mlflow.withRun({}, () => mlflow.logMetric("m", 1));
    expect(instrumentation.adapter.getMetrics()).toMatchObject({ operationCount: 2, runCount: 1 });
    expect(spans.getFinishedSpans().map(({ name }) => name)).toContain("mlflow.run");
    await meterProvider.forceFlush();
    const names = metrics
      .getMetrics()
      .flatMap(({ scopeMetrics }) =>
        scopeMetrics.flatMap((scope) => scope.metrics.map(({ descriptor }) => descriptor.name)),
      );
    expect(names.some((name) => name.startsWith("genops."))).toBe(true);
    const before = globalThis.fetch;
    unregister();
    expect(globalThis.fetch).not.toBe(before);
    expect(interceptorCount()).toBe(0);
    await meterProvider.shutdown();
  });

  it("changes nothing until it is enabled, and has its rules from then on", () => {
    const before = globalThis.fetch;
    const instrumentation = new MlflowInstrumentation({ enabled: false });
    instrumentation.setConfig({ enabled: false, team: "ml-team", project: "search" });
    expect(globalThis.fetch).toBe(before);
    instrumentation.enable();
    instrumentation.enable();
    expect(globalThis.fetch).not.toBe(before);
    expect(() => instrumentation.setConfig({})).toThrow(ConfigurationError);
    instrumentation.disable();
    expect(globalThis.fetch).toBe(before);
  });

  it("refuses an option that it does not have, and leaves everything as it was", () => {
    const before = globalThis.fetch;
    const config = { taem: "ml-team" } as object;
    expect(() => new MlflowInstrumentation(config)).toThrow(/taem.*team/);
    expect(globalThis.fetch).toBe(before);
  });
});
