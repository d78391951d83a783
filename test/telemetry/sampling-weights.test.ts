// What sampled spans stand for: in an attribute, and in the tracestate as OpenTelemetry writes it.
import { context, createTraceState, TraceFlags, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import * as fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { GenOpsMlflowAdapter } from "../../src/node.js";
import { thinned } from "../../src/telemetry/sampling-state.js";
import { call, endRun, startRun } from "../costs/nothing-store.js";

let adapter: GenOpsMlflowAdapter | undefined;
afterEach(() => adapter?.uninstrumentFramework());
beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => context.disable());

function observed(samplingRate: number) {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  adapter = new GenOpsMlflowAdapter({ team: "t", project: "p", tracerProvider, samplingRate });
  adapter.instrumentFramework();
  return { spans: () => exporter.getFinishedSpans(), tracer: tracerProvider.getTracer("mine") };
}

const count = ({ attributes }: ReadableSpan) => attributes["sampler.adjusted_count"];
const state = (span: ReadableSpan) => span.spanContext().traceState?.get("ot");
const named = (spans: ReadableSpan[], name: string) => spans.filter((span) => span.name === name);

describe("a kept span", () => {
  it("stands for as many operations as were thinned out around it", async () => {
    const { spans } = observed(0.25);
    const run_id = await startRun("1");
    const made = 2000;
    for (let each = 0; each < made; each++) await call("runs/log-metric", { run_id });
    for (let each = 0; each < 5; each++) await call("runs/log-metric", { run_id }, { fails: true });
    await endRun(run_id);
    const metrics = named(spans(), "mlflow.log_metric");
    const [failed, kept] = [true, false].map((wanted) =>
      metrics.filter(({ attributes }) => (attributes["error.type"] !== undefined) === wanted),
    ) as [ReadableSpan[], ReadableSpan[]];
    // Errors are never thinned out, so each stands for itself.
    expect(failed.map(count)).toEqual(Array(5).fill(1));
    expect(failed.map(state)).toEqual(Array(5).fill(undefined));
    expect(new Set(kept.map(count))).toEqual(new Set([4]));
    // A quarter is kept, so three quarters of 2^56 is the threshold.
    expect(new Set(kept.map(state))).toEqual(new Set(["th:c"]));
    // Six standard deviations of a binomial of 2,000 at a quarter, times 4.
    const estimated = kept.length * 4;
    expect(Math.abs(estimated - made)).toBeLessThan(6 * 4 * Math.sqrt(made * 0.25 * 0.75));
    const dropped = adapter?.costAggregator.getSummary().operations.log_metric?.count;
    expect(dropped).toBe(made);
  });

  it("stands for itself when all are kept, and its tracestate is left alone", async () => {
    const { spans } = observed(1);
    const run_id = await startRun("1");
    await call("runs/log-metric", { run_id });
    await endRun(run_id);
    const [metric] = named(spans(), "mlflow.log_metric");
    expect(metric && count(metric)).toBe(1);
    expect(metric?.spanContext().traceState).toBeUndefined();
  });

  it("stands for itself when it is kept for its cost alone, without a run's span to carry that", async () => {
    const { spans } = observed(0.001);
    await call("experiments/create", { name: "e" }, { reply: { experiment_id: "9" } });
    expect(spans().map(count)).toEqual([1]);
  });

  it("keeps what others wrote into the tracestate, and combines their threshold with its own", async () => {
    const { spans, tracer } = observed(0.5);
    const traceState = createTraceState("ot=rv:abcdefabcdefab;th:8,other=1");
    const remote = {
      traceId: "a".repeat(32),
      spanId: "b".repeat(16),
      traceFlags: TraceFlags.SAMPLED,
    };
    const above = trace.setSpanContext(context.active(), { ...remote, traceState });
    const parent = tracer.startSpan("parent", {}, above);
    await context.with(trace.setSpan(context.active(), parent), async () => {
      const run_id = await startRun("1");
      for (let each = 0; each < 30; each++) await call("runs/log-metric", { run_id });
      await endRun(run_id);
    });
    const kept = named(spans(), "mlflow.log_metric");
    expect(kept.length).toBeGreaterThan(0);
    for (const span of kept) {
      // A half of a half.
      expect(state(span)).toBe("th:c;rv:abcdefabcdefab");
      expect(span.spanContext().traceState?.get("other")).toBe("1");
      expect(span.spanContext().traceId).toBe(remote.traceId);
    }
  });

  it("has no tracestate without a span above it, as the API gives a span none", () => {
    const parent = context.active();
    expect(thinned(parent, { threshold: "8", weight: 2 })).toBe(parent);
  });

  it("any two thresholds come to the product of their chances", () => {
    const threshold = fc.bigInt({ min: 0n, max: 2n ** 56n - 1n });
    const digits = (value: bigint) =>
      value.toString(16).padStart(14, "0").replace(/0+$/, "") || "0";
    const chance = (text: string) => 1 - Number(BigInt(`0x${text.padEnd(14, "0")}`)) / 2 ** 56;
    fc.assert(
      fc.property(threshold, threshold, (first, second) => {
        const span = { traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 };
        const traceState = createTraceState(`ot=th:${digits(first)}`);
        const above = trace.setSpanContext(context.active(), { ...span, traceState });
        const both = thinned(above, { threshold: digits(second), weight: 1 });
        const entry = trace.getSpanContext(both)?.traceState?.get("ot")?.slice(3) ?? "";
        expect(chance(entry)).toBeCloseTo(chance(digits(first)) * chance(digits(second)), 9);
      }),
    );
  });
});
