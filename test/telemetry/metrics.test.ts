// OpenTelemetry metrics: complete, equal to the ledger, bounded, and harmless.
import { type Attributes, type MeterProvider, metrics } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import {
  type DataPoint,
  type Histogram,
  MetricReader,
  PeriodicExportingMetricReader,
  MeterProvider as SdkMeterProvider,
} from "@opentelemetry/sdk-metrics";
import { afterEach, describe, expect, it } from "vitest";
import { ATTO_PER_USD, usdToAtto } from "../../src/engine/index.js";
import { type AdapterOptions, GenOpsMlflowAdapter } from "../../src/node.js";
import { OperationMetrics, SERIES_MAX } from "../../src/telemetry/metrics.js";
import { call, endRun, startRun, writeArtifact } from "../costs/nothing-store.js";
import { prepareCollector, startCollector } from "../support/collector.js";

class ManualReader extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

const installed: GenOpsMlflowAdapter[] = [];

afterEach(() => {
  for (const adapter of installed.splice(0)) adapter.uninstrumentFramework();
  metrics.disable();
});

function install(options: AdapterOptions): GenOpsMlflowAdapter {
  const adapter = new GenOpsMlflowAdapter({ project: "p", runCapacity: 4096, ...options });
  adapter.instrumentFramework();
  installed.push(adapter);
  return adapter;
}

function observed() {
  const reader = new ManualReader();
  const meterProvider = new SdkMeterProvider({ readers: [reader] });
  const points = async <T = number>(name: string): Promise<DataPoint<T>[]> => {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    const found = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return (found.find(({ descriptor }) => descriptor.name === name)?.dataPoints ??
      []) as DataPoint<T>[];
  };
  return { meterProvider, points };
}

const sum = (points: DataPoint<number>[], wanted: Attributes = {}) =>
  points
    .filter(({ attributes }) =>
      Object.entries(wanted).every(([name, value]) => attributes[name] === value),
    )
    .reduce((total, { value }) => total + value, 0);

async function work(team: string): Promise<void> {
  const run_id = await startRun("1");
  for (let made = 0; made < 7; made++) await call("runs/log-metric", { run_id });
  await call("runs/log-metric", { run_id }, { fails: true });
  await writeArtifact(run_id, `s3://bucket/${team}/a`, 123_456_789);
  await writeArtifact(run_id, `gs://bucket/${team}/a`, 1000);
  await endRun(run_id);
}

describe("metrics", () => {
  it("come to what the ledger holds, by team, operation and status", async () => {
    const { meterProvider, points } = observed();
    const adapter = install({ meterProvider, team: "a", environment: "prod" });
    await work("a");
    const summary = adapter.costAggregator.getSummary();
    const cost = await points("genops.cost");
    const byOperation = Object.fromEntries(
      cost
        .filter(({ value }) => value > 0)
        .map(({ attributes, value }) => [attributes["genops.operation.name"], value]),
    );
    // Exact amounts, each made a double once: equal, not close.
    expect(byOperation).toEqual(
      Object.fromEntries(
        Object.entries(summary.costByOperationType).filter(([, amount]) => amount > 0),
      ),
    );
    const operations = await points("genops.operations");
    expect(sum(operations, { "genops.operation.status": "error" })).toBe(summary.errorCount);
    expect(operations[0]?.attributes).toEqual({
      "genops.team": "a",
      "genops.project": "p",
      "genops.environment": "prod",
      "genops.operation.name": "create_run",
      "genops.operation.type": "run-lifecycle",
      "genops.operation.status": "ok",
    });
    const counts = Object.values(summary.operations).map(({ count }) => count);
    expect(sum(operations, { "genops.operation.status": "ok" })).toBe(
      counts.reduce((total, count) => total + count, 0),
    );
    const bytes = await points("genops.storage.bytes");
    expect(sum(bytes, { "genops.storage.backend": "s3" })).toBe(123_456_789);
    expect(sum(bytes)).toBe(summary.totalStorageBytes);
    const durations = await points<Histogram>("genops.operation.duration");
    expect(durations.reduce((total, { value }) => total + value.count, 0)).toBe(sum(operations));
  });

  it("do not drift: a million tiny costs on top of a large one", async () => {
    const { meterProvider, points } = observed();
    const meter = meterProvider.getMeter("drift");
    const made = new OperationMetrics(meter);
    const settle = (cost: bigint) =>
      made.settled({
        operation: { name: "log_metric", items: 1 },
        entry: {
          id: 0,
          name: "log_metric",
          class: "tracking-write",
          price: "0.0001",
          counted: true,
          startsRun: false,
        },
        attributes: {},
        run: undefined,
        experimentId: undefined,
        cost,
        storage: undefined,
        flags: 0,
        failed: false,
        startMs: 0,
        elapsedMs: 0,
        outcome: {},
        names: { experimentName: () => undefined, runName: () => undefined },
      });
    settle(1_000_000n * ATTO_PER_USD);
    for (let made = 0; made < 10_000; made++) settle(7n * 10n ** 9n);
    // As doubles each of them would be lost on a million dollars.
    expect(sum(await points("genops.cost"))).toBe(1_000_000.00007);
  });

  it("add up what two adapters of one provider book under equal attributes", async () => {
    const { meterProvider, points } = observed();
    const first = install({ meterProvider, team: "a" });
    await work("first");
    first.uninstrumentFramework();
    const second = install({ meterProvider, team: "a" });
    await work("second");
    const total = [first, second].reduce(
      (all, adapter) =>
        all + usdToAtto(adapter.costAggregator.getSummary().totalCostExact, "total"),
      0n,
    );
    const cost = await points("genops.cost");
    const atto = cost.reduce((all, { value }) => all + usdToAtto(value.toFixed(18), "cost"), 0n);
    expect(Number(atto)).toBeCloseTo(Number(total), -3);
    expect(sum(await points("genops.operations"), { "genops.operation.name": "log_metric" })).toBe(
      16,
    );
  });

  it("tell what budgets have left, each in its unit", async () => {
    const { meterProvider, points } = observed();
    install({
      meterProvider,
      team: "a",
      budgets: [
        { name: "daily", limit: "0.01", period: "day" },
        { name: "calls", limit: 5, unit: "operations", period: "hour" },
        { name: "each", limit: 1, period: "run" },
      ],
      rateLimits: [{ name: "rate", operations: 1000, per: "second", scope: {} }],
    });
    await work("a");
    const told = (await points("genops.budget.remaining")).map(({ attributes, value }) => [
      attributes["genops.budget.name"],
      attributes["genops.budget.period"],
      attributes["genops.budget.unit"],
      value,
    ]);
    expect(told).toEqual([
      ["daily", "day", "usd", expect.closeTo(0.01 - 0.0008 - 0.0000881501936, 9)],
      ["calls", "hour", "operations", 5 - 10],
    ]);
  });

  it("keep apart a thousand attribute sets and add up the others, without runs or customers", async () => {
    const { meterProvider, points } = observed();
    const adapter = install({ meterProvider, team: "a", pricing: { trackingApiCall: 1 } });
    const experimentId = "1";
    for (let team = 0; team < SERIES_MAX + 200; team++) {
      const tags = [
        { key: "genops.team", value: `team-${team}` },
        { key: "genops.customer_id", value: `customer-${team}` },
      ];
      const reply = { run: { info: { run_id: `capped-${team}`, experiment_id: experimentId } } };
      await call("runs/create", { experiment_id: experimentId, tags }, { reply });
    }
    const cost = await points("genops.cost");
    expect(cost).toHaveLength(SERIES_MAX);
    expect(sum(cost, { "genops.team": "(overflow)" })).toBe(201);
    expect(sum(cost)).toBe(adapter.costAggregator.getSummary().totalCost);
    const names = new Set(cost.flatMap(({ attributes }) => Object.keys(attributes)));
    expect([...names].filter((name) => /run|customer|experiment/.test(name))).toEqual([]);
  });

  it("go to the global provider when there is one, and nowhere without one", async () => {
    const silent = install({ team: "a" });
    await work("a");
    expect(silent.costAggregator.getSummary().operationCount).toBe(10);
    silent.uninstrumentFramework();
    const { meterProvider, points } = observed();
    metrics.setGlobalMeterProvider(meterProvider);
    install({ team: "b" });
    await work("b");
    expect(sum(await points("genops.operations"), { "genops.team": "b" })).toBe(12);
    expect(sum(await points("genops.operations"))).toBe(12);
  });

  it("of a provider that fails never reach the program", async () => {
    const broken = { getMeter: () => ({}) } as unknown as MeterProvider;
    const throwing = new Proxy({} as MeterProvider, {
      get: () => () => {
        throw new Error("broken");
      },
    });
    const warned: string[] = [];
    const logger = { debug() {}, warn: (message: string) => warned.push(message) };
    for (const meterProvider of [broken, throwing]) {
      const adapter = install({ team: "a", meterProvider, logger });
      await work("a");
      expect(adapter.containedFailures).toBe(1);
      expect(adapter.costAggregator.getSummary().operationCount).toBe(10);
    }
    expect(warned).toHaveLength(2);
  });
});

const program = await prepareCollector();

describe.runIf(program !== undefined)("a Collector that metrics are sent to", () => {
  it("receives what the ledger holds", async () => {
    const collector = await startCollector(program as string);
    const exporter = new OTLPMetricExporter({ url: `${collector.endpoint}/v1/metrics` });
    const reader = new PeriodicExportingMetricReader({ exporter });
    const meterProvider = new SdkMeterProvider({ readers: [reader] });
    const adapter = install({
      meterProvider,
      team: "a",
      budgets: [{ name: "daily", limit: 1, period: "day" }],
    });
    let text: string;
    try {
      await work("a");
      await meterProvider.shutdown();
    } finally {
      text = await collector.stop();
    }
    interface Point {
      readonly asDouble?: number;
      readonly asInt?: string;
      readonly attributes?: readonly { key: string; value: { stringValue?: string } }[];
    }
    interface Metric {
      readonly name: string;
      readonly unit?: string;
      readonly sum?: { isMonotonic?: boolean; dataPoints: Point[] };
      readonly gauge?: { dataPoints: Point[] };
      readonly histogram?: { dataPoints: { count: string }[] };
    }
    const received = text
      .trim()
      .split("\n")
      .flatMap((line) => JSON.parse(line).resourceMetrics ?? [])
      .flatMap((resource) => resource.scopeMetrics)
      .flatMap((scope) => scope.metrics) as Metric[];
    const found = (name: string) => received.find((metric) => metric.name === name);
    const summary = adapter.costAggregator.getSummary();
    const cost = found("genops.cost");
    expect(cost).toMatchObject({ unit: "USD", sum: { isMonotonic: true } });
    const byOperation = Object.fromEntries(
      (cost?.sum?.dataPoints ?? [])
        .filter(({ asDouble = 0 }) => asDouble > 0)
        .map(({ asDouble, attributes }) => [
          attributes?.find(({ key }) => key === "genops.operation.name")?.value.stringValue,
          asDouble,
        ]),
    );
    expect(byOperation).toEqual(
      Object.fromEntries(
        Object.entries(summary.costByOperationType).filter(([, amount]) => amount > 0),
      ),
    );
    const numbers = (points: readonly Point[] = []) =>
      points.reduce((total, { asDouble, asInt }) => total + (asDouble ?? Number(asInt)), 0);
    expect(numbers(found("genops.operations")?.sum?.dataPoints)).toBe(12);
    expect(numbers(found("genops.storage.bytes")?.sum?.dataPoints)).toBe(123_457_789);
    expect(numbers(found("genops.budget.remaining")?.gauge?.dataPoints)).toBeCloseTo(
      1 - summary.totalCost,
      12,
    );
    const histogram = found("genops.operation.duration")?.histogram?.dataPoints ?? [];
    expect(histogram.reduce((total, { count }) => total + Number(count), 0)).toBe(12);
  });
});
