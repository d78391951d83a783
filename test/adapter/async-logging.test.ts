// Asynchronous logging under governance: what is billed is what was sent, to whoever logged it.
import { afterEach, describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { GenOpsMlflowAdapter } from "../../src/node.js";
import { temporaryFolder, uniqueName } from "./workplace.js";

afterEach(() => mlflow.enableAsyncLogging(false));

describe("asynchronous logging", () => {
  it("is one operation per request, inside the run that it belongs to", async () => {
    const trackingUri = await temporaryFolder();
    const adapter = new GenOpsMlflowAdapter({ team: "t", project: "p", trackingUri });
    mlflow.enableAsyncLogging({ bufferSeconds: 60 });
    await adapter.trackMlflowRun({ experimentName: uniqueName("async") }, async () => {
      for (let step = 0; step < 2500; step++) await mlflow.logMetric("loss", 1, step);
      await mlflow.logParam("p", 1);
    });
    const summary = adapter.costAggregator.getSummary();
    // Experiment, run start and three requests.
    expect(summary.totalCostExact).toBe("0.0005");
    expect(summary.operations.log_batch?.count).toBe(3);
  });

  it("is paid for by whoever logged, when runs of several payers are open together", async () => {
    const trackingUri = await temporaryFolder();
    const first = new GenOpsMlflowAdapter({ team: "first", project: "p", trackingUri });
    const second = new GenOpsMlflowAdapter({ team: "second", project: "p", trackingUri });
    mlflow.enableAsyncLogging({ bufferSeconds: 0.01 });
    const experimentName = uniqueName("payers");
    await first.trackMlflowRun({ experimentName }, async () => {});
    const track = (adapter: GenOpsMlflowAdapter, customerId: string) =>
      adapter.trackMlflowRun({ experimentName, customerId }, async () => {
        for (let step = 0; step < 5; step++) {
          await mlflow.logMetric("m", step, step);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      });
    await Promise.all([track(first, "a"), track(first, "b"), track(second, "c")]);
    const costOf = (adapter: GenOpsMlflowAdapter) =>
      adapter.costAggregator.getSummary().exact.costByCustomer;
    const batches = (adapter: GenOpsMlflowAdapter) =>
      adapter.costAggregator.getSummary().operations.log_batch?.count ?? 0;
    expect(Object.keys(costOf(first)).sort()).toEqual(["(unattributed)", "a", "b"]);
    expect(Object.keys(costOf(second))).toEqual(["c"]);
    expect(batches(first)).toBeGreaterThanOrEqual(2);
    expect(batches(second)).toBeGreaterThanOrEqual(1);
    expect(batches(second)).toBeLessThanOrEqual(5);
  });
});
