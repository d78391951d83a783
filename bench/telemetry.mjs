// The OpenTelemetry ways: a span for each operation, and a counter with attributes.
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { attoToUsd } from "../dist/engine/index.js";
import { BATCH } from "./workload.mjs";

const SUCCESS = 0;

/** Takes every span and keeps only the sum of their costs. */
class SummingExporter {
  usd = 0;

  export(spans, done) {
    for (const span of spans) this.usd += span.attributes["genops.cost.total"];
    done({ code: SUCCESS });
  }

  async shutdown() {}
}

/** A reader that collects when it is asked to, with room for every series. */
class ManualReader extends MetricReader {
  constructor() {
    super({ cardinalitySelector: () => 1_000_000 });
  }

  async onForceFlush() {}
  async onShutdown() {}
}

export function openTelemetryContenders({ runs, operationNames, prices, storage }) {
  // The developer's own settings must not change what is measured.
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("OTEL_")) delete process.env[name];
  }
  const price = prices.map(Number);
  const rate = Number(attoToUsd(storage.atto)) / Number(storage.bytes);

  const exporter = new SummingExporter();
  const tracerProvider = new BasicTracerProvider({
    // Nothing is dropped, so that every operation is in the account.
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: BATCH * 2 })],
  });
  const tracer = tracerProvider.getTracer("bench");
  const reader = new ManualReader();
  const counter = new MeterProvider({ readers: [reader] })
    .getMeter("bench")
    .createCounter("genops.cost.total");

  return [
    {
      name: "span",
      title: "OpenTelemetry span, batch processor",
      book({ run, operation, bytes }) {
        for (let i = 0; i < BATCH; i++) {
          const { runId, experiment, team, project, customerId } = runs[run[i]];
          const name = operationNames[operation[i]];
          const span = tracer.startSpan(name, {
            attributes: {
              "genops.team": team,
              "genops.project": project,
              "genops.customer_id": customerId,
              "mlflow.experiment_name": experiment,
              "mlflow.run_id": runId,
              "genops.operation.name": name,
              "genops.cost.total": price[operation[i]] + bytes[i] * rate,
              "genops.bytes": bytes[i],
            },
          });
          span.end();
        }
        return BATCH;
      },
      // Exporting happens while no clock runs, in OpenTelemetry's favour.
      rest: () => tracerProvider.forceFlush(),
      usd: () => exporter.usd,
    },
    {
      name: "counter",
      title: "OpenTelemetry counter, six attributes",
      book({ run, operation, bytes }) {
        for (let i = 0; i < BATCH; i++) {
          const { runId, experiment, team, project, customerId } = runs[run[i]];
          counter.add(price[operation[i]] + bytes[i] * rate, {
            "genops.team": team,
            "genops.project": project,
            "genops.customer_id": customerId,
            "mlflow.experiment_name": experiment,
            "mlflow.run_id": runId,
            "genops.operation.name": operationNames[operation[i]],
          });
        }
        return BATCH;
      },
      usd: async () => {
        const { resourceMetrics } = await reader.collect();
        const points = resourceMetrics.scopeMetrics[0].metrics[0].dataPoints;
        return points.reduce((total, { value }) => total + value, 0);
      },
    },
  ];
}
