// Budgets and rate limits: what warns, what blocks, what is told of it, and that nothing is sent in a block.
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { type AdapterOptions, BudgetExceededError, ConfigurationError } from "../../src/node.js";
import { wallTime } from "../../src/runtime/clock.js";
import { uniqueName } from "../adapter/workplace.js";
import { faultyServer } from "../mlflow/faulty-server.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { type Governed, governed } from "./governed.js";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

/** Times that a day, an hour and a month can be told apart at. */
function setClock(time: string | number): void {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(new Date(time));
  wallTime();
}

const run = { experimentName: "e", runName: "r" };

/** Makes the experiment, and logs `calls` metrics in a run: 0.0001 USD each, and the run's start. */
async function logMetrics({ adapter }: Governed, calls: number): Promise<void> {
  await adapter.trackMlflowRun(run, async () => {
    for (let step = 0; step < calls; step++) await mlflow.logMetric("m", step, step);
  });
}

async function withExperiment(options: AdapterOptions): Promise<Governed> {
  const made = await governed(options);
  await mlflow.createExperiment("e");
  return made;
}

async function refusalOf(call: Promise<unknown>): Promise<BudgetExceededError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BudgetExceededError);
  return error as BudgetExceededError;
}

describe("promise 14: budgetDailyLimit", () => {
  it("warns once when it is passed, and lets every call go on", async () => {
    const made = await withExperiment({ budgetDailyLimit: 0.0003 });
    await logMetrics(made, 6);
    expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.0007");
    expect(made.warnings).toEqual([
      'genops: budget "daily" came to 80 % of its limit: 0.0003 of 0.0003 USD are spent this day',
      'genops: budget "daily" came to 100 % of its limit: 0.0003 of 0.0003 USD are spent this day',
      expect.stringMatching(
        /^genops: budget "daily" is passed: 0\.0004 of 0\.0003 USD .* raise its limit, or wait until \d{4}-\d\d-\d\dT00:00:00\.000Z$/,
      ),
    ]);
    expect(made.adapter.containedFailures).toBe(0);
  });

  it("tells its hooks: each share once a day, each decision when it is made", async () => {
    setClock("2026-03-01T12:00:00Z");
    const made = await withExperiment({ budgetDailyLimit: "0.0004" });
    await logMetrics(made, 4);
    expect(made.alerts.map(({ share, spent }) => [share, spent])).toEqual([
      [0.8, "0.0004"],
      [1, "0.0004"],
    ]);
    expect(made.decisions).toHaveLength(1);
    expect(made.decisions[0]).toMatchObject({
      result: "WARNING",
      reasonCode: "BUDGET_EXCEEDED",
      policy: "budget.daily",
      operation: "log_metric",
      attributes: { team: "ml-team" },
      budget: { allocated: "0.0004", consumed: "0.0005", remaining: "-0.0001", period: "day" },
    });
    setClock("2026-03-02T00:00:00Z");
    await logMetrics(made, 4);
    expect(made.alerts).toHaveLength(4);
    expect(made.warnings).toHaveLength(6);
  });

  it("is a number or decimal text, and comes from the environment too", async () => {
    vi.stubEnv("GENOPS_BUDGET_DAILY_LIMIT", "12.50");
    const { adapter } = await governed();
    expect(adapter.budgets).toMatchObject([{ name: "daily", limit: "12.5", action: "warn" }]);
  });
});

describe("promise 15: isOverBudget", () => {
  it("is false until more is spent than the limit, and false again the next UTC day", async () => {
    setClock("2026-03-01T23:59:00Z");
    const made = await withExperiment({ budgetDailyLimit: 0.0002 });
    await logMetrics(made, 1);
    expect(made.adapter.isOverBudget()).toBe(false);
    await logMetrics(made, 0);
    expect(made.adapter.isOverBudget()).toBe(true);
    setClock("2026-03-02T00:00:00Z");
    expect(made.adapter.isOverBudget()).toBe(false);
  });

  it("is true for a budget that refused a call, and false without any budget", async () => {
    const made = await withExperiment({
      budgets: [{ name: "b", limit: 0, period: "total", action: "block" }],
    });
    expect(made.adapter.isOverBudget()).toBe(false);
    await refusalOf(logMetrics(made, 0));
    expect(made.adapter.isOverBudget()).toBe(true);
    expect((await governed()).adapter.isOverBudget()).toBe(false);
  });
});

describe("a budget that blocks", () => {
  it("refuses before the limit would be passed, and the run ends as failed", async () => {
    const made = await withExperiment({
      budgets: [{ name: "tight", limit: "0.0003", period: "day", action: "block" }],
    });
    const error = await refusalOf(logMetrics(made, 5));
    expect(error).toMatchObject({
      code: "BUDGET_EXCEEDED",
      reasonCode: "BUDGET_EXCEEDED",
      policy: "budget.tight",
      budget: "tight",
    });
    expect(error.message).toMatch(/^log_metric was not sent: budget "tight" has 0 of 0\.0003 USD/);
    expect(made.adapter.budgets).toMatchObject([{ spent: "0.0003", held: "0", remaining: "0" }]);
    const [found] = await mlflow.searchRuns({ experimentNames: ["e"] });
    expect(found?.info.status).toBe("FAILED");
    expect(await mlflow.getMetricHistory(found?.info.runId as string, "m")).toHaveLength(2);
    expect(made.adapter.containedFailures).toBe(0);
  });

  it.runIf(requiresMlflow())("sends nothing to a real server", async () => {
    const proxy = await faultyServer(() => "forward", inject("mlflowServerUri") as string);
    const made = await governed({
      trackingUri: proxy.uri,
      budgets: [{ name: "tight", limit: "0.0004", period: "day", action: "block" }],
    });
    const experimentName = uniqueName("blocked");
    const writes = () => proxy.requests.filter(({ method }) => method === "POST").length;
    let runId = "";
    await made.adapter.trackMlflowRun({ experimentName, runName: "r" }, async (active) => {
      runId = active.info.runId;
      await mlflow.logMetric("m", 1);
      await mlflow.logParam("p", 1);
      const before = proxy.requests.length;
      await refusalOf(mlflow.logMetric("m", 2, 2));
      await refusalOf(mlflow.setTag("t", "too much"));
      expect(proxy.requests.length).toBe(before);
    });
    expect(writes()).toBe(5); // experiment, run, metric, parameter, end
    expect(await mlflow.getMetricHistory(runId, "m")).toHaveLength(1);
    const before = writes();
    await refusalOf(made.adapter.trackMlflowRun({ experimentName, runName: "next" }, () => {}));
    expect(writes()).toBe(before);
  });

  it("applies to its scope alone", async () => {
    const made = await withExperiment({
      budgets: [
        {
          name: "acme",
          limit: 0.0001,
          period: "day",
          action: "block",
          scope: { customerId: "acme" },
        },
      ],
    });
    const of = (customerId: string) =>
      made.adapter.trackMlflowRun({ ...run, customerId }, () => mlflow.logMetric("m", 1));
    await refusalOf(of("acme"));
    await of("globex");
    expect(made.adapter.costAggregator.getSummary().costByCustomer).toEqual({
      acme: 0.0001,
      globex: 0.0002,
    });
  });

  it("counts operations, runs and bytes as well as money", async () => {
    const limits = [
      { name: "operations", unit: "operations", limit: 4 },
      { name: "runs", unit: "runs", limit: "1" },
      { name: "bytes", unit: "bytes", limit: 10 },
    ] as const;
    const made = await withExperiment({
      budgets: limits.map((limit) => ({ ...limit, period: "total", action: "block" })),
    });
    await made.adapter.trackMlflowRun(run, async () => {
      await mlflow.logText("12345678", "a.txt");
      expect((await refusalOf(mlflow.logText("123", "b.txt"))).budget).toBe("bytes");
      expect((await refusalOf(made.adapter.trackMlflowRun(run, () => {}))).budget).toBe("runs");
      await mlflow.logMetric("m", 1);
      await mlflow.logMetric("m", 2);
      expect((await refusalOf(mlflow.logMetric("m", 3))).budget).toBe("operations");
    });
    expect(made.adapter.budgets.map(({ spent }) => spent)).toEqual(["4", "1", "8"]);
  });

  it("with the period `run` gives each run the limit to itself", async () => {
    const made = await withExperiment({
      budgets: [{ name: "each", limit: 0.0002, period: "run", action: "block" }],
    });
    const ids: string[] = [];
    for (const calls of [1, 3]) {
      await made.adapter
        .trackMlflowRun(run, async (active) => {
          ids.push(active.info.runId);
          for (let step = 0; step < calls; step++) await mlflow.logMetric("m", step);
        })
        .catch((error: unknown) => expect(error).toBeInstanceOf(BudgetExceededError));
    }
    expect(ids.map((id) => made.adapter.budget("each", id).spent)).toEqual(["0.0002", "0.0002"]);
    expect(made.decisions).toMatchObject([{ runId: ids[1], budget: { remaining: "0" } }]);
  });
});

describe("a rate limit", () => {
  const limit = { name: "calls", operations: 2, per: "minute" } as const;

  it("refuses with RATE_LIMITED, and lets calls pass again when time has passed", async () => {
    setClock("2026-03-01T12:00:00Z");
    const made = await withExperiment({ rateLimits: [limit] });
    await made.adapter.trackMlflowRun(run, async () => {
      await mlflow.logMetric("m", 1);
      const error = await refusalOf(mlflow.logMetric("m", 2));
      expect(error).toMatchObject({
        code: "RATE_LIMITED",
        reasonCode: "RATE_LIMITED",
        budget: "calls",
        policy: "rateLimit.calls",
      });
      expect(error.message).toContain("2 operations a minute");
      setClock("2026-03-01T12:00:30Z");
      await mlflow.logMetric("m", 3);
      await refusalOf(mlflow.logMetric("m", 4));
    });
    expect(made.decisions.map(({ result }) => result)).toEqual(["RATE_LIMITED", "RATE_LIMITED"]);
  });

  it("that warns lets every call go on", async () => {
    setClock("2026-03-01T12:00:00Z");
    const made = await withExperiment({ rateLimits: [{ ...limit, action: "warn" }] });
    await logMetrics(made, 4);
    expect(made.decisions.map(({ result, reasonCode }) => [result, reasonCode])).toEqual(
      Array(3).fill(["WARNING", "RATE_LIMITED"]),
    );
    expect(made.warnings).toHaveLength(1);
  });
});

describe("where a budget stands", () => {
  it.each([
    ["hour", "2026-05-13T10:00:00.000Z", "2026-05-13T11:00:00.000Z"],
    ["day", "2026-05-13T00:00:00.000Z", "2026-05-14T00:00:00.000Z"],
    ["week", "2026-05-11T00:00:00.000Z", "2026-05-18T00:00:00.000Z"],
    ["month", "2026-05-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z"],
    ["total", null, null],
  ] as const)("is told with the bounds of its %s", async (period, periodStart, periodEnd) => {
    setClock("2026-05-13T10:20:30Z");
    const made = await withExperiment({ budgets: [{ name: "b", limit: 1, period }] });
    await logMetrics(made, 1);
    expect(made.adapter.budget("b")).toEqual({
      name: "b",
      unit: "usd",
      period,
      action: "warn",
      limit: "1",
      spent: "0.0002",
      held: "0",
      remaining: "0.9998",
      isOver: false,
      periodStart,
      periodEnd,
    });
    if (periodEnd === null) return;
    setClock(Date.parse(periodEnd) - 1);
    expect(made.adapter.budget("b").spent).toBe("0.0002");
    setClock(periodEnd);
    expect(made.adapter.budget("b")).toMatchObject({ spent: "0", periodStart: periodEnd });
  });

  it("is refused for a name that is none, with the nearest one", async () => {
    const { adapter } = await governed({ budgetDailyLimit: 1 });
    expect(() => adapter.budget("dayly")).toThrow('did you mean "daily"?');
    expect(() => adapter.budget("daily", "unknown-run")).toThrow("no run that this adapter knows");
  });
});

describe("wrong limits", () => {
  const one = { name: "b", limit: 1, period: "day" };
  it.each([
    ["budgetDailyLimit", { budgetDailyLimit: -1 }, "-1 is not a non-negative decimal"],
    ["budgetDailyLimit", { budgetDailyLimit: "ten" }, '"ten" is not a non-negative decimal'],
    ["budgetDailyLimit", { budgetDailyLimit: null }, "null is no amount of USD"],
    ["budgets", { budgets: {} }, "is no list"],
    ["budgets[0]", { budgets: [5] }, "5 is no object"],
    ["limt", { budgets: [{ ...one, limt: 1 }] }, 'did you mean "limit"?'],
    ["budgets[0].name", { budgets: [{ ...one, name: "" }] }, "is not a name"],
    ["budgets[0].limit", { budgets: [{ ...one, limit: undefined }] }, "undefined is no amount"],
    [
      "budgets[0].limit",
      { budgets: [{ ...one, unit: "runs", limit: 1.5 }] },
      "whole number of runs",
    ],
    ["budgets[1].period", { budgets: [one, { ...one, period: "year" }] }, "none of hour, day"],
    ["budgets[0].period", { budgets: [{ name: "b", limit: 1 }] }, "undefined is none of"],
    [
      "budgets[0].action",
      { budgets: [{ ...one, action: "deny" }] },
      '"deny" is none of warn, block',
    ],
    ["budgets[0].unit", { budgets: [{ ...one, unit: "eur" }] }, '"eur" is none of usd'],
    ["budgets[0].scope", { budgets: [{ ...one, scope: "a" }] }, "is no scope"],
    ["customer", { budgets: [{ ...one, scope: { customer: "a" } }] }, 'did you mean "customerId"?'],
    ["budgets[0].scope.team", { budgets: [{ ...one, scope: { team: "" } }] }, "is not a name"],
    ["budgets[0].alertAt[1]", { budgets: [{ ...one, alertAt: [0.5, 80] }] }, "write 0.8 for 80 %"],
    ["budgets[0].limit", { budgets: [{ ...one, limit: 1e30 }] }, "more than a ledger can hold"],
    ["budgetDailyLimit", { budgetDailyLimit: "9e19" }, "give at most 85070591730234615865 USD"],
    ["budgets", { budgets: [one, one] }, '"b" is the name of two limits'],
    ["budgets", { budgets: [{ ...one, name: "(day)" }] }, '"(day)" is what the ledger calls'],
    ["budgets", { budgetDailyLimit: 1, budgets: [{ ...one, name: "daily" }] }, "budgetDailyLimit"],
    [
      "rateLimits[0].operations",
      { rateLimits: [{ name: "r", operations: 0, per: "second" }] },
      "0",
    ],
    ["rateLimits[0].per", { rateLimits: [{ name: "r", operations: 1, per: "hour" }] }, "hour"],
    ["onDecision", { onDecision: "log" }, "is no function"],
  ])("%s is refused in %j", async (field, options, says) => {
    const refusal = await governed(options as AdapterOptions).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(ConfigurationError);
    expect((refusal as ConfigurationError).field).toBe(field);
    expect((refusal as ConfigurationError).message).toContain(says);
  });

  it.each([
    ["GENOPS_BUDGET_DAILY_LIMIT", "ten"],
    ["GENOPS_BUDGETS", "["],
    ["GENOPS_BUDGETS", '[{"name":"b","limit":1}]'],
    ["GENOPS_RATE_LIMITS", '{"name":"r"}'],
  ])("%s is refused when it is %j", async (variable, value) => {
    vi.stubEnv(variable, value);
    const refusal = (await governed().catch((error: unknown) => error)) as ConfigurationError;
    expect(refusal).toBeInstanceOf(ConfigurationError);
    expect(refusal.field.startsWith(variable)).toBe(true);
  });

  it("of the environment are read as those of the code", async () => {
    vi.stubEnv("GENOPS_BUDGETS", '[{"name":"b","limit":"2.5","period":"month","action":"block"}]');
    vi.stubEnv("GENOPS_RATE_LIMITS", '[{"name":"r","operations":1,"per":"minute"}]');
    const { adapter } = await governed();
    expect(adapter.budgets).toMatchObject([{ name: "b", limit: "2.5", action: "block" }]);
    await refusalOf(adapter.trackMlflowRun(run, () => {}));
  });
});

describe("what is not a limit's business", () => {
  it("a hook that throws or rejects is contained, counted and told once", async () => {
    const made = await withExperiment({
      budgetDailyLimit: 0,
      onDecision: () => Promise.reject(new Error("no mail")),
      onBudgetAlert: () => {
        throw new Error("no pager");
      },
    });
    await logMetrics(made, 2);
    expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.0003");
    expect(made.adapter.containedFailures).toBe(5);
    expect(made.warnings.filter((warning) => warning.includes("threw"))).toHaveLength(2);
  });

  it("the attribute `feature` is told in telemetry and does not keep a run from being billed", async () => {
    const made = await withExperiment({ feature: "ranking" });
    await logMetrics(made, 1);
    expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.0002");
    expect(made.adapter.containedFailures).toBe(0);
    const [span] = made.exporter.getFinishedSpans();
    expect(span?.attributes["genops.feature"]).toBe("ranking");
  });
});
