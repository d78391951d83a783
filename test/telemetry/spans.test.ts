// The spans of a run and of its operations: complete, nested, and carrying every unit of cost.
import { join } from "node:path";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { type AdapterOptions, instrumentMlflow } from "../../src/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";

async function observed(options: AdapterOptions = {}) {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  const adapter = instrumentMlflow({
    team: "ml-team",
    project: "search",
    environment: "production",
    trackingUri: join(await temporaryFolder(), "mlruns"),
    storageBackends: { "file:": "s3", "/": "s3" },
    tracerProvider,
    ...options,
  });
  return { adapter, spans: () => exporter.getFinishedSpans() };
}

const named = (spans: ReadableSpan[], name: string) => spans.filter((span) => span.name === name);

/** The exact amounts on all spans, in atto-USD. */
function actualSum(spans: ReadableSpan[]): bigint {
  return spans.reduce((sum, span) => {
    const actual = span.attributes["genops.accounting.actual_exact"];
    return actual === undefined ? sum : sum + atto(String(actual));
  }, 0n);
}

function atto(decimal: string): bigint {
  const [whole = "0", fraction = ""] = decimal.split(".");
  return BigInt(whole + fraction.padEnd(18, "0"));
}

describe("one run", () => {
  it("is a span with its identity, its events and its reconciled cost", async () => {
    const { adapter, spans } = await observed();
    const experimentName = uniqueName("experiment");
    const run = await adapter.trackMlflowRun(
      { experimentName, runName: "run-001", customerId: "acme" },
      async (active) => {
        await mlflow.logMetric("accuracy", 0.9);
        return active;
      },
    );
    const [span, ...others] = named(spans(), "mlflow.run");
    expect(others).toEqual([]);
    const identity = {
      "genops.team": "ml-team",
      "genops.project": "search",
      "genops.environment": "production",
      "genops.customer_id": "acme",
      "genops.spec.version": "0.1.0",
      "genops.policy.result": "ALLOWED",
      "genops.accounting.unit": "USD",
      "genops.cost.currency": "USD",
      "genops.cost.provider": "mlflow",
      "mlflow.run_id": run.info.runId,
      "mlflow.run_name": "run-001",
      "mlflow.experiment_id": run.info.experimentId,
      "mlflow.experiment_name": experimentName,
    };
    expect(span?.attributes).toMatchObject({
      ...identity,
      "genops.operation.name": "mlflow.run",
      "genops.operation.type": "run",
      "genops.accounting.reserved": 0.0001,
      "genops.accounting.actual": 0.0001,
      "genops.mlflow.run_cost": "0.0002",
      "genops.mlflow.run_cost_inclusive": "0.0002",
    });
    expect(span?.attributes).not.toHaveProperty("genops.spec.conformance");
    expect(span?.events.map(({ name }) => name)).toEqual([
      "genops.policy.evaluated",
      "genops.budget.reservation",
      "genops.budget.reconciliation",
    ]);

    const [metric] = named(spans(), "mlflow.log_metric");
    expect(metric?.parentSpanContext?.spanId).toBe(span?.spanContext().spanId);
    expect(metric?.attributes).toMatchObject({
      ...identity,
      "genops.operation.name": "mlflow.log_metric",
      "genops.accounting.reserved": 0.0001,
      "genops.accounting.actual": 0.0001,
      "genops.accounting.actual_exact": "0.0001",
      "genops.accounting.reconciliation_delta": 0,
    });
    expect(metric?.events.map(({ name }) => name)).toEqual(span?.events.map(({ name }) => name));
    // What was decided beforehand is told as having happened beforehand.
    const times = metric?.events.map(({ time }) => time[0] * 1e9 + time[1]) ?? [];
    expect([...times].sort((left, right) => left - right)).toEqual(times);
  });

  it("inside another is a span below the other's, and is part of its inclusive cost", async () => {
    const { adapter, spans } = await observed();
    await adapter.trackMlflowRun({ experimentName: uniqueName("e"), runName: "parent" }, () =>
      adapter.trackMlflowRun({ runName: "child" }, () => mlflow.logParam("p", 1)),
    );
    const [child, parent] = named(spans(), "mlflow.run");
    expect(parent?.attributes["mlflow.run_name"]).toBe("parent");
    expect(child?.attributes["mlflow.run_name"]).toBe("child");
    expect(child?.parentSpanContext?.spanId).toBe(parent?.spanContext().spanId);
    expect(child?.spanContext().traceId).toBe(parent?.spanContext().traceId);
    expect(child?.attributes["mlflow.parent_run_id"]).toBe(parent?.attributes["mlflow.run_id"]);
    expect(parent?.attributes["genops.mlflow.run_cost"]).toBe("0.0001");
    expect(parent?.attributes["genops.mlflow.run_cost_inclusive"]).toBe("0.0003");
  });

  it("that fails says so, with the error that failed it", async () => {
    const { adapter, spans } = await observed();
    await expect(
      adapter.trackMlflowRun({ experimentName: uniqueName("e"), runName: "r" }, async () => {
        throw new RangeError("diverged");
      }),
    ).rejects.toThrow("diverged");
    const [span] = named(spans(), "mlflow.run");
    expect(span?.status).toEqual({ code: 2, message: "diverged" });
    expect(span?.attributes["error.type"]).toBe("RangeError");
    expect(span?.attributes["genops.accounting.actual_exact"]).toBe("0.0001");
  });

  it("whose identity is not configured claims no level, with nothing made up", async () => {
    const { adapter, spans } = await observed({ environment: undefined });
    await adapter.trackMlflowRun({ experimentName: uniqueName("e"), runName: "r" }, () => {});
    const [span] = named(spans(), "mlflow.run");
    // Partial excuses from reservations alone (specification, 9.2): a claim would be untrue.
    expect(span?.attributes).not.toHaveProperty("genops.spec.conformance");
    expect(span?.attributes).not.toHaveProperty("genops.environment");
  });
});

describe("an operation", () => {
  it("that the store refuses is reconciled to nothing", async () => {
    const { adapter, spans } = await observed();
    await adapter.trackMlflowRun({ experimentName: uniqueName("e"), runName: "r" }, async () => {
      await mlflow.logParam("p", 1);
      await mlflow.logParam("p", 2).catch(() => {});
    });
    const refused = named(spans(), "mlflow.log_param")[1];
    expect(refused?.status.code).toBe(2);
    expect(refused?.attributes).toMatchObject({
      "error.type": "INVALID_PARAMETER_VALUE",
      "genops.accounting.reserved": 0.0001,
      "genops.accounting.actual": 0,
      "genops.accounting.reconciliation_delta": -0.0001,
    });
  });

  it("on a registered model names it, its version and its stage", async () => {
    const { adapter, spans } = await observed();
    const name = uniqueName("model");
    await adapter.trackMlflowRun({ experimentName: uniqueName("e"), runName: "r" }, async (run) => {
      await mlflow.logText("weights", "model/weights.txt");
      await mlflow.registerModel(`runs:/${run.info.runId}/model`, name);
      await mlflow.transitionModelVersionStage(name, "1", "Production");
    });
    const [staged] = named(spans(), "mlflow.transition_model_version_stage");
    expect(staged?.attributes).toMatchObject({
      "mlflow.model_name": name,
      "mlflow.model_version": "1",
      "mlflow.model_stage": "Production",
      "genops.accounting.actual": 0.0005,
    });
    const [artifact] = named(spans(), "mlflow.log_artifact");
    expect(artifact?.attributes["mlflow.artifact_uri"]).toMatch(/model\/weights\.txt$/);
  });
});

describe("sampling", () => {
  it.each([0, 0.3, 1])("at %d drops spans and never cost", async (samplingRate) => {
    const { adapter, spans } = await observed({ samplingRate });
    const experimentName = uniqueName("e");
    await adapter.trackMlflowRun({ experimentName, runName: "parent" }, async () => {
      for (let index = 0; index < 200; index++) await mlflow.logMetric("m", index, index);
      await adapter.trackMlflowRun({ runName: "child" }, () =>
        mlflow.logText("x".repeat(12_345), "notes.txt"),
      );
    });
    const summary = adapter.costAggregator.getSummary();
    expect(summary.operations.log_metric?.count).toBe(200);
    expect(actualSum(spans())).toBe(atto(summary.totalCostExact));
    expect(named(spans(), "mlflow.run")).toHaveLength(2);
    const metrics = named(spans(), "mlflow.log_metric").length;
    if (samplingRate === 0) expect(metrics).toBe(0);
    else if (samplingRate === 1) expect(metrics).toBe(200);
    // Seven standard deviations around 60: wrong once in 10^11.
    else expect(Math.abs(metrics - 60)).toBeLessThan(46);
  });
});

describe("a tracer that fails", () => {
  const broken = () => {
    throw new Error("broken tracer");
  };

  it.each([
    ["when asked for", { getTracer: broken }],
    ["at every span", { getTracer: () => ({ startSpan: broken, startActiveSpan: broken }) }],
  ])("%s never reaches the program; cost stays right, and it is told once", async (_, provider) => {
    const warnings: string[] = [];
    const { adapter } = await observed({
      logger: { debug: () => {}, warn: (message) => void warnings.push(message) },
      tracerProvider: provider,
    });
    await adapter.trackMlflowRun({ experimentName: uniqueName("e"), runName: "r" }, async () => {
      await mlflow.logParam("a", 1);
      await mlflow.logParam("b", 1);
    });
    expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0.0004");
    expect(adapter.containedFailures).toBeGreaterThan(1);
    expect(warnings).toEqual([expect.stringContaining("broken tracer")]);
  });
});
