// Promise 37: every decision is told as the GenOps specification wants it, and the amounts still add up.

import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkConformance } from "../../src/conformance/index.js";
import { usdToAtto } from "../../src/engine/index.js";
import * as mlflow from "../../src/mlflow/node.js";
import { type AdapterOptions, type AuditDecision, withDoubles } from "../../src/node.js";
import { wallTime } from "../../src/runtime/clock.js";
import { type Governed, governed } from "./governed.js";

afterEach(() => vi.useRealTimers());

const run = { experimentName: "e", runName: "r" };

/** What an exporter would send, as the checker reads it. */
function conformanceOf({ exporter }: Governed) {
  let sent: ReadableSpan[] = [];
  const sending = {
    export(spans: ReadableSpan[], _done: (result: unknown) => void) {
      sent = spans;
    },
  };
  withDoubles(sending).export(exporter.getFinishedSpans(), () => {});
  const bytes = JsonTraceSerializer.serializeRequest(sent);
  return checkConformance(JSON.parse(new TextDecoder().decode(bytes)));
}

function spansOf({ exporter }: Governed, name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}

const eventsOf = (span: ReadableSpan | undefined) => span?.events.map(({ name }) => name);

const PHASES = [
  "genops.policy.evaluated",
  "genops.budget.reservation",
  "genops.budget.reconciliation",
];

/** Calls that are allowed, warned of, blocked by a policy and by a budget, and limited. */
async function everything(options: AdapterOptions = {}): Promise<Governed> {
  // Both stand still: spans are timed by both.
  vi.useFakeTimers({ toFake: ["Date", "performance"], now: new Date("2026-03-01T12:00:00Z") });
  wallTime();
  const made = await governed({
    budgetDailyLimit: 0.00035,
    budgets: [
      {
        name: "acme",
        limit: 0.0002,
        period: "day",
        action: "block",
        scope: { customerId: "acme" },
      },
    ],
    rateLimits: [{ name: "globex", operations: 2, per: "minute", scope: { customerId: "globex" } }],
    policies: { maxArtifactSizeMb: 1, requireTags: ["owner"], actions: { requireTags: "warn" } },
    ...options,
  });
  await mlflow.createExperiment("e");
  const quietly = (call: Promise<unknown>) => call.catch(() => {});
  await made.adapter.trackMlflowRun({ ...run, tags: { owner: "me" } }, async () => {
    await mlflow.logMetric("allowed", 1);
    await quietly(mlflow.logText("x".repeat(2 ** 20 + 1), "large.txt"));
  });
  for (const customerId of ["acme", "globex"]) {
    await quietly(
      made.adapter.trackMlflowRun({ ...run, customerId }, async () => {
        await mlflow.logMetric("fits", 1);
        await mlflow.logMetric("does not", 1);
      }),
    );
  }
  await made.adapter.trackMlflowRun(run, () => {});
  return made;
}

describe("promise 37: what is emitted", () => {
  it("is judged compliant by our own checker, with budgets and policies at work", async () => {
    const made = await everything();
    const report = conformanceOf(made);
    const failed = report.items.filter(({ status }) => status === "fail");
    expect(failed.flatMap(({ id, findings }) => findings.map((each) => ({ id, ...each })))).toEqual(
      [],
    );
    expect(report.level).toBe("full");
    expect(report.counts.stopped).toBe(3);
    expect(new Set(made.decisions.map(({ result }) => result))).toEqual(
      new Set(["WARNING", "BLOCKED", "RATE_LIMITED"]),
    );
    expect(made.adapter.containedFailures).toBe(0);
  });

  it.each([1, 0])("sums to the exact cost at a sampling rate of %d", async (samplingRate) => {
    const made = await everything({ samplingRate });
    const sum = made.exporter.getFinishedSpans().reduce((total, { attributes }) => {
      const actual = attributes["genops.accounting.actual_exact"];
      return actual === undefined ? total : total + usdToAtto(String(actual), "actual");
    }, 0n);
    const { totalCostExact } = made.adapter.costAggregator.getSummary();
    expect(sum).toBe(usdToAtto(totalCostExact, "total"));
    expect(conformanceOf(made).level).toBe("full");
  });

  it("has what was refused and warned of, however few operations are kept", async () => {
    const made = await everything({ samplingRate: 0 });
    const told = made.exporter
      .getFinishedSpans()
      .map(({ name, attributes }) => `${name} ${attributes["genops.policy.result"]}`)
      .filter((each) => !each.endsWith("ALLOWED"));
    expect(told.sort()).toEqual([
      "mlflow.log_artifact BLOCKED",
      "mlflow.log_metric BLOCKED",
      "mlflow.log_metric RATE_LIMITED",
      "mlflow.log_metric WARNING",
      "mlflow.log_metric WARNING",
      "mlflow.run WARNING",
      "mlflow.run WARNING",
      "mlflow.update_run WARNING",
    ]);
  });
});

describe("a unit", () => {
  it("that is allowed tells its three phases", async () => {
    const [allowed] = spansOf(await everything(), "mlflow.log_metric");
    expect(eventsOf(allowed)).toEqual(PHASES);
    expect(allowed?.attributes).toMatchObject({
      "genops.policy.result": "ALLOWED",
      "genops.cost.total": 0.0001,
      "genops.cost.currency": "USD",
    });
    expect(allowed?.attributes).not.toHaveProperty("genops.policy.reason_code");
  });

  it("that is warned of tells them too, with the reason and the budget", async () => {
    const spans = spansOf(await everything(), "mlflow.log_metric");
    const warned = spans.find(({ attributes }) => attributes["genops.policy.result"] === "WARNING");
    expect(eventsOf(warned)?.slice(0, 3)).toEqual(PHASES);
    const told = {
      "genops.policy.result": "WARNING",
      "genops.policy.reason_code": "BUDGET_EXCEEDED",
      "genops.policy.name": "budget.daily",
      "genops.policy.reason": expect.stringContaining('budget "daily" is passed'),
      "genops.budget.name": "daily",
      "genops.budget.period": "day",
      "genops.budget.allocated": 0.00035,
    };
    expect(warned?.attributes).toMatchObject(told);
    expect(warned?.events[0]?.attributes).toMatchObject({
      ...told,
      "genops.policy.timestamp": Date.parse("2026-03-01T12:00:00Z"),
    });
  });

  it("that is blocked tells the decision alone, below its run", async () => {
    const made = await everything();
    const [blocked] = spansOf(made, "mlflow.log_artifact");
    expect(eventsOf(blocked)).toEqual(["genops.policy.evaluated"]);
    expect(blocked?.attributes).toMatchObject({
      "genops.spec.version": "0.1.0",
      "genops.policy.result": "BLOCKED",
      "genops.policy.reason_code": "x_artifact_too_large",
      "genops.policy.name": "maxArtifactSizeMb",
      "error.type": "POLICY_VIOLATION",
    });
    for (const name of ["genops.accounting.reserved", "genops.accounting.actual"]) {
      expect(blocked?.attributes).not.toHaveProperty(name);
    }
    const above = spansOf(made, "mlflow.run").map((span) => span.spanContext().spanId);
    expect(above).toContain(blocked?.parentSpanContext?.spanId);
  });

  it("that is limited says so, and that it would pass a little later", async () => {
    const spans = spansOf(await everything(), "mlflow.log_metric");
    const limited = spans.find(
      ({ attributes }) => attributes["genops.policy.result"] === "RATE_LIMITED",
    );
    expect(eventsOf(limited)).toEqual(["genops.policy.evaluated"]);
    expect(limited?.attributes).toMatchObject({
      "genops.policy.reason_code": "RATE_LIMITED",
      "genops.policy.name": "rateLimit.globex",
      "error.type": "RATE_LIMITED",
    });
  });

  it("that brings a budget to a share of its limit tells the alert, though it is not sampled", async () => {
    const made = await everything({ samplingRate: 0 });
    const alerts = made.exporter
      .getFinishedSpans()
      .flatMap(({ events }) =>
        events
          .filter(({ name }) => name === "genops.budget.alert")
          .map(({ attributes }) => attributes),
      );
    expect(
      alerts.map((each) => [each?.["genops.budget.name"], each?.["genops.mlflow.budget_share"]]),
    ).toEqual(
      expect.arrayContaining([
        ["daily", 0.8],
        ["daily", 1],
        ["acme", 0.8],
        ["acme", 1],
      ]),
    );
    expect(alerts[0]).toMatchObject({ "genops.budget.allocated": expect.any(Number) });
  });

  it("whose identity is not configured is told all the same, and the checker says what is missing", async () => {
    const made = await everything({ environment: undefined });
    const report = conformanceOf(made);
    const failed = report.items.filter(({ status }) => status === "fail").map(({ id }) => id);
    expect(failed).toEqual([5]);
    expect(report.level).toBe("none");
  });
});

describe("the audit trail", () => {
  it("has every decision, with what decided and why; what was refused has no cost", async () => {
    const records: AuditDecision[] = [];
    await everything({ auditLog: (record) => records.push(record) });
    const told = records.filter(({ decision }) => decision !== "ALLOWED");
    expect(
      told.map(({ operation, phase, decision, reasonCode, policy, cost }) =>
        [operation, phase, decision, reasonCode, policy, cost].join(" "),
      ),
    ).toEqual([
      "log_artifact before BLOCKED x_artifact_too_large maxArtifactSizeMb 0",
      "log_metric after WARNING BUDGET_EXCEEDED budget.daily 0.0001",
      "log_metric before BLOCKED BUDGET_EXCEEDED budget.acme 0",
      "create_run after WARNING BUDGET_EXCEEDED budget.daily 0.0001",
      "log_metric after WARNING BUDGET_EXCEEDED budget.daily 0.0001",
      "log_metric before RATE_LIMITED RATE_LIMITED rateLimit.globex 0",
      "create_run after WARNING BUDGET_EXCEEDED budget.daily 0.0001",
      "update_run after WARNING x_required_tags_missing requireTags 0",
    ]);
    expect(told[0]).toMatchObject({
      reason: expect.stringContaining("1 MiB are allowed"),
      who: { team: "ml-team" },
      target: { runId: expect.any(String) },
    });
  });
});
