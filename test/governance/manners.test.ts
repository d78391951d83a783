// Promises 17 and 24, and good manners: sampling, many runs at once, several adapters, and what fails beside them.
import type { TracerProvider } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { usdToAtto } from "../../src/engine/index.js";
import { configure } from "../../src/governance/configuration.js";
import { Governor, type Pending } from "../../src/governance/governor.js";
import type { Operation } from "../../src/governance/operation.js";
import * as mlflow from "../../src/mlflow/node.js";
import { type AdapterOptions, BudgetExceededError, PolicyViolationError } from "../../src/node.js";
import { governed } from "./governed.js";

const run = { experimentName: "e", runName: "r" };

async function withExperiment(options: AdapterOptions = {}) {
  const made = await governed(options);
  await mlflow.createExperiment("e");
  return made;
}

describe("promise 17: samplingRate", () => {
  it("thins spans out and never money", async () => {
    const made = await withExperiment({ samplingRate: 0.25 });
    await made.adapter.trackMlflowRun(run, async () => {
      for (let step = 0; step < 400; step++) await mlflow.logMetric("m", step, step);
    });
    const kept = made.exporter
      .getFinishedSpans()
      .filter(({ name }) => name === "mlflow.log_metric");
    expect(kept.length).toBeGreaterThan(40);
    expect(kept.length).toBeLessThan(200);
    expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.0401");
  });
});

describe("promise 24: attributes propagate to all operations", () => {
  it("of the adapter and of the run, to every span, and to what a budget counts", async () => {
    const scope = { team: "ml-team", customerId: "acme", environment: "production" };
    const made = await withExperiment({
      budgets: [{ name: "acme", limit: 1, period: "day", scope }],
    });
    await made.adapter.trackMlflowRun({ ...run, customerId: "acme" }, async () => {
      await mlflow.logMetric("m", 1);
      await mlflow.logParams({ a: 1, b: 2 });
      await mlflow.logText("x", "a.txt");
      await mlflow.setTag("k", "v");
    });
    const spans = made.exporter
      .getFinishedSpans()
      .filter(({ attributes }) => "genops.spec.version" in attributes);
    expect(spans.length).toBeGreaterThanOrEqual(4);
    for (const { attributes } of spans) {
      expect(attributes).toMatchObject({
        "genops.team": "ml-team",
        "genops.project": "search",
        "genops.environment": "production",
        "genops.customer_id": "acme",
      });
    }
    const { totalCostExact } = made.adapter.costAggregator.getSummary();
    expect(made.adapter.budget("acme").spent).toBe(totalCostExact);
  });
});

describe("a thousand runs at once", () => {
  it("are each billed to their own customer, to the last unit, under the budget of each", async () => {
    const made = await withExperiment({
      samplingRate: 0,
      budgets: [{ name: "each", limit: 0.0004, period: "run", action: "block" }],
    });
    const calls = (index: number) => index % 6;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1000 }, (_, index) =>
        made.adapter.trackMlflowRun({ ...run, customerId: `c${index}` }, async () => {
          for (let call = 0; call < calls(index); call++) await mlflow.logMetric("m", call, call);
        }),
      ),
    );
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === "rejected" ? [outcome.reason] : [],
    );
    expect(refused).toHaveLength(outcomes.filter((_, index) => calls(index) > 3).length);
    expect(refused.every((reason) => reason instanceof BudgetExceededError)).toBe(true);
    const { exact, totalCostExact } = made.adapter.costAggregator.getSummary();
    let total = 0n;
    for (let index = 0; index < 1000; index++) {
      const expected = usdToAtto("0.0001", "price") * BigInt(Math.min(1 + calls(index), 4));
      expect(usdToAtto(exact.costByCustomer[`c${index}`] as string, "customer")).toBe(expected);
      total += expected;
    }
    expect(usdToAtto(totalCostExact, "total")).toBe(total);
    expect(made.adapter.containedFailures).toBe(0);
  }, 120_000);
});

describe("instrumented", () => {
  it("twice counts once, and is given back by one call", async () => {
    const made = await withExperiment({ budgetDailyLimit: 1 });
    made.adapter.instrumentFramework();
    made.adapter.instrumentFramework();
    try {
      await mlflow.withRun({}, () => mlflow.logMetric("m", 1));
    } finally {
      made.adapter.uninstrumentFramework();
    }
    expect(made.adapter.budget("daily").spent).toBe("0.0002");
    await mlflow.withRun({}, () => mlflow.logMetric("m", 1));
    expect(made.adapter.budget("daily").spent).toBe("0.0002");
  });

  it("and given back while a run is open: what was tracked stays governed to its end", async () => {
    const policies = { requireTags: ["owner"] };
    const made = await withExperiment({ policies });
    made.adapter.instrumentFramework();
    const tracked = made.adapter.trackMlflowRun(run, async () => {
      made.adapter.uninstrumentFramework();
      await mlflow.logMetric("m", 1);
    });
    await expect(tracked).rejects.toBeInstanceOf(PolicyViolationError);
    expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.0002");
    const [span] = made.exporter.getFinishedSpans().filter(({ name }) => name === "mlflow.run");
    expect(span?.status).toMatchObject({ code: 2, message: expect.stringContaining('"owner"') });
  });
});

describe("several adapters", () => {
  it("have budgets, policies and ledgers of their own", async () => {
    const strict = await withExperiment({
      team: "strict",
      budgets: [{ name: "b", limit: 0.0002, period: "day", action: "block" }],
    });
    const trackingUri = mlflow.getTrackingUri();
    const free = await governed({ team: "free", trackingUri, policies: { maxArtifactSizeMb: 1 } });
    const log = (made: typeof free) =>
      made.adapter.trackMlflowRun(run, async () => {
        await mlflow.logMetric("m", 1);
        await mlflow.logMetric("m", 2);
      });
    const [first, second] = await Promise.allSettled([log(strict), log(free)]);
    expect([first?.status, second?.status]).toEqual(["rejected", "fulfilled"]);
    expect(strict.adapter.costAggregator.getSummary().exact.costByTeam).toEqual({
      strict: "0.0002",
    });
    expect(free.adapter.costAggregator.getSummary().exact.costByTeam).toEqual({ free: "0.0003" });
    expect([strict.adapter.isOverBudget(), free.adapter.isOverBudget()]).toEqual([true, false]);
  });
});

describe("what fails beside the program", () => {
  const broken = (what: string): TracerProvider => ({
    getTracer() {
      if (what === "getTracer") throw new Error("no tracer");
      return {
        startSpan() {
          throw new Error("no span");
        },
        startActiveSpan() {
          throw new Error("no span");
        },
      };
    },
  });

  it.each(["getTracer", "startSpan"])(
    "a tracer whose %s throws keeps neither calls nor refusals",
    async (what) => {
      const made = await withExperiment({
        tracerProvider: broken(what),
        budgets: [{ name: "b", limit: 0.0003, period: "day", action: "block" }],
      });
      const tracked = made.adapter.trackMlflowRun(run, async () => {
        for (let step = 0; step < 5; step++) await mlflow.logMetric("m", step, step);
      });
      await expect(tracked).rejects.toBeInstanceOf(BudgetExceededError);
      expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.0003");
      expect(made.adapter.containedFailures).toBeGreaterThan(0);
      expect(made.warnings).toHaveLength(3); // the failure once, and the budget's 80 % and 100 %
    },
  );

  it("a logger that throws is contained", async () => {
    const logger = {
      debug() {},
      warn() {
        throw new Error("no console");
      },
    };
    const made = await governed({ logger, budgetDailyLimit: 0, team: undefined });
    await made.adapter.trackMlflowRun(run, () => mlflow.logMetric("m", 1));
    expect(made.adapter.getMetrics().runCount).toBe(1);
  });
});

describe("bytes of unknown length", () => {
  const upload: Operation = {
    name: "log_artifact",
    upload: { artifactUri: "s3://bucket/a.bin" },
    items: 1,
  };

  function begin(options: AdapterOptions): { governor: Governor; pending: Pending } {
    const governor = new Governor(
      configure({ ...options, logger: { debug() {}, warn() {} } }),
      "1",
    );
    const pending = governor.begin(upload, { team: "t" });
    if (pending instanceof Error) throw pending;
    return { governor, pending };
  }

  it("are held as they go by, and cut off where a budget ends", () => {
    const { governor, pending } = begin({
      budgets: [{ name: "bytes", unit: "bytes", limit: 1000, period: "day", action: "block" }],
    });
    expect(governor.grow(pending, 600)).toBeUndefined();
    expect(governor.limits.status("bytes")).toMatchObject({ held: "600", spent: "0" });
    expect(governor.grow(pending, 1000)).toBeUndefined();
    expect(governor.grow(pending, 1001)).toMatchObject({
      code: "BUDGET_EXCEEDED",
      budget: "bytes",
    });
    expect(governor.limits.status("bytes")).toMatchObject({ held: "0", spent: "0" });
  });

  it("are booked for what went by", () => {
    const { governor, pending } = begin({});
    governor.grow(pending, 500);
    governor.grow(pending, 1000);
    governor.succeed(pending, {});
    // 1000 × 0.023 / 2^30 / 30 USD.
    expect(governor.engine.total()).toBe(714013974n);
  });

  it("are cut off where a policy ends", () => {
    const { governor, pending } = begin({ policies: { maxArtifactSizeMb: 1 } });
    expect(governor.grow(pending, 2 ** 20)).toBeUndefined();
    const error = governor.grow(pending, 2 ** 20 + 1);
    expect(error).toBeInstanceOf(PolicyViolationError);
    expect(error).toMatchObject({ reasonCode: "x_artifact_too_large" });
    expect(governor.engine.total()).toBe(0n);
  });
});
