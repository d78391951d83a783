// Our own telemetry, received by a real OpenTelemetry Collector and judged as anybody else's.
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkConformance, parseTelemetry } from "../../src/conformance/index.js";
import * as mlflow from "../../src/mlflow/node.js";
import { type AdapterOptions, GenOpsMlflowAdapter } from "../../src/node.js";
import { startOtlpExport } from "../../src/telemetry/otlp-node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { prepareCollector, startCollector } from "../support/collector.js";

const program = await prepareCollector();
afterEach(() => vi.unstubAllEnvs());

/** Every kind of span: nested runs, artifacts with a price, a refused call, a registered model, a failed run. */
async function work(adapter: GenOpsMlflowAdapter): Promise<void> {
  const experimentName = uniqueName("experiment");
  const model = uniqueName("model");
  await adapter.trackMlflowRun({ experimentName, runName: "parent" }, async (run) => {
    for (let step = 0; step < 20; step++) await mlflow.logMetric("loss", 1 / (step + 1), { step });
    await mlflow.logParam("p", 1);
    await mlflow.logParam("p", 2).catch(() => {});
    await mlflow.logText("x".repeat(12_345), "model/weights.txt");
    await adapter.trackMlflowRun({ runName: "child", customerId: "acme" }, () =>
      mlflow.setTag("stage", "test"),
    );
    await mlflow.registerModel(`runs:/${run.info.runId}/model`, model);
    await mlflow.transitionModelVersionStage(model, "1", "Production");
  });
  const failing = adapter.trackMlflowRun({ experimentName, runName: "failing" }, () => {
    throw new RangeError("diverged");
  });
  await expect(failing).rejects.toThrow("diverged");
}

async function received(options: AdapterOptions) {
  const collector = await startCollector(program as string);
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint);
  const warnings: string[] = [];
  const telemetry = startOtlpExport((message) => warnings.push(message), {
    batched: true,
    logs: options.eventRecords === "logs",
  });
  const adapter = new GenOpsMlflowAdapter(
    {
      team: "ml-platform",
      project: "search",
      environment: "production",
      trackingUri: join(await temporaryFolder(), "mlruns"),
      storageBackends: { "file:": "s3", "/": "s3" },
      ...options,
    },
    telemetry,
  );
  let text: string;
  try {
    await work(adapter);
    await adapter.flush();
  } finally {
    text = await collector.stop();
  }
  expect(warnings).toEqual([]);
  return checkConformance(parseTelemetry(text));
}

describe.runIf(program !== undefined)("what our adapter sends to a Collector", () => {
  it.each([
    ["every operation", {}],
    ["a sample of them", { samplingRate: 0.3 }],
    ["runs alone", { samplingRate: 0 }],
    ["its events as log records", { eventRecords: "logs", pricing: { trackingApiCall: 1 } }],
    ["whole dollars", { pricing: { trackingApiCall: 1, registryOperation: "2" } }],
  ] as [string, AdapterOptions][])("is fully conformant: %s", async (_, options) => {
    const report = await received(options);
    const failed = report.items.filter(({ status }) => status === "fail");
    expect(failed, JSON.stringify(failed, null, 1)).toEqual([]);
    expect(report.level).toBe("full");
    expect(report.counts.units).toBeGreaterThanOrEqual(3);
    if (options.eventRecords === "logs") {
      // Decision, reservation and reconciliation of each.
      expect(report.counts.logRecords).toBeGreaterThanOrEqual(report.counts.units * 3);
    } else expect(report.counts.logRecords).toBe(0);
  });
});
