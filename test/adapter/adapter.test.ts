// The adapter's promises: attribution, hierarchy, isolation, restoring, bad input, failures.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { usdToAtto } from "../../src/engine/index.js";
import * as mlflow from "../../src/mlflow/node.js";
import {
  autoInstrumentMlflow,
  ConfigurationError,
  GenOpsMlflowAdapter,
  instrumentMlflow,
  MlflowError,
} from "../../src/node.js";
import { answerLikeMlflow, faultyServer } from "../mlflow/faulty-server.js";
import { closedServer, exactSum, temporaryFolder, uniqueName } from "./workplace.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

async function newAdapter(options: Record<string, unknown> = {}): Promise<GenOpsMlflowAdapter> {
  const folder = await temporaryFolder();
  return instrumentMlflow({
    trackingUri: join(folder, "mlruns"),
    team: "ml-team",
    project: "search",
    environment: "test",
    ...options,
  });
}

describe("attribution", () => {
  it("comes from the environment, is overridden by options, and by the run", async () => {
    vi.stubEnv("GENOPS_TEAM", "from-environment");
    vi.stubEnv("GENOPS_PROJECT", "from-environment");
    vi.stubEnv("GENOPS_CUSTOMER_ID", "from-environment");
    vi.stubEnv("GENOPS_ENVIRONMENT", "production");
    vi.stubEnv("GENOPS_COST_CENTER", "from-environment");
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const adapter = new GenOpsMlflowAdapter({ trackingUri, project: "from-options" });
    const experimentName = uniqueName("attribution");
    await adapter.trackMlflowRun({ experimentName, runName: "default" }, () => {});
    await adapter.trackMlflowRun(
      { experimentName, runName: "override", customerId: "customer-456", costCenter: "special" },
      () => {},
    );
    const summary = adapter.costAggregator.getSummary();
    expect(summary.costByTeam).toEqual({ "from-environment": 0.0003 });
    expect(summary.costByProject).toEqual({ "from-options": 0.0003 });
    expect(summary.costByCustomer).toEqual({ "from-environment": 0.0002, "customer-456": 0.0001 });
    expect(summary.costByCostCenter).toEqual({ "from-environment": 0.0002, special: 0.0001 });
    expect(summary.costByEnvironment).toEqual({ production: 0.0003 });
  });

  it("keeps children in their parent's cost, and every breakdown summing to the total", async () => {
    const adapter = await newAdapter({ storageBackends: { file: "s3", "/": "s3" } });
    const experimentName = uniqueName("hierarchy");
    const ids = await adapter.trackMlflowRun(
      { experimentName, runName: "parent" },
      async (parent) => {
        await mlflow.logParam("kind", "search");
        const children: string[] = [];
        for (const customerId of ["acme", "globex"]) {
          const parentRunId = parent.info.runId;
          await adapter.trackMlflowRun(
            { experimentName, runName: customerId, parentRunId, customerId },
            async (child) => {
              children.push(child.info.runId);
              await mlflow.logMetrics({ loss: 0.5, accuracy: 0.9 }, { step: 1 });
              await mlflow.logText("x".repeat(1000), "notes/log.txt");
            },
          );
        }
        await mlflow.registerModel(`runs:/${parent.info.runId}/notes`, uniqueName("model"));
        return [parent.info.runId, ...children];
      },
    );
    const summary = adapter.costAggregator.getSummary();
    const parent = summary.runs.find(({ runId }) => runId === ids[0]);
    const children = summary.runs.filter(({ parentRunId }) => parentRunId === ids[0]);
    expect(children.map(({ runId }) => runId).sort()).toEqual(ids.slice(1).sort());
    const childSum = children.reduce(
      (sum, child) => sum + exactSum({ c: child.inclusiveCost }),
      0n,
    );
    expect(exactSum({ p: parent?.inclusiveCost ?? 0 })).toBe(
      childSum + exactSum({ p: parent?.ownCost ?? 0 }),
    );
    expect(parent?.runName).toBe("parent");
    const total = usdToAtto(summary.totalCostExact, "total");
    const exact = Object.entries(summary.exact);
    expect(exact).toHaveLength(10);
    for (const [name, amounts] of exact) {
      const atto = Object.values(amounts).map((usd) => usdToAtto(usd as string, name));
      expect(
        atto.reduce((sum, amount) => sum + amount, 0n),
        name,
      ).toBe(total);
      const shown = summary[name as keyof typeof summary] as Record<string, number>;
      expect(shown, name).toEqual(
        Object.fromEntries(Object.entries(amounts).map(([key, usd]) => [key, Number(usd)])),
      );
    }
    // 1,000 bytes on S3 for a day, twice: each 1000 × 0.023 / 2^30 / 30, rounded to 1e-18 USD.
    expect(summary.costByStorageBackend.s3).toBe(0.000000001428027948);
    expect(summary.storage).toEqual({ s3: { bytes: 2000, files: 2 } });
    expect(summary.costByOperationType).toMatchObject({ create_model_version: 0.0005 });
  });

  it("prices a 10 MiB artifact on S3 exactly", async () => {
    const adapter = await newAdapter({ storageBackends: { "file:": "s3", "/": "s3" } });
    const file = join(await temporaryFolder(), "model.bin");
    await writeFile(file, new Uint8Array(10 * 2 ** 20));
    await adapter.trackMlflowRun({ experimentName: uniqueName("size"), runName: "r" }, () =>
      mlflow.logArtifact(file),
    );
    // 10485760 × 23e15 / (30 × 2^30) = 7486979166666.67 atto-USD, and two tracking calls.
    expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0.000207486979166667");
    const question = { operationType: "log_artifact", artifactSizeMb: 10, storageBackend: "s3" };
    expect(adapter.calculateCost(question)).toBe(0.000007486979166667);
  });

  it("reports bytes whose backend has no price as unpriced, never as free", async () => {
    const adapter = await newAdapter({ storageBackends: { "file:": "tape", "/": "tape" } });
    await adapter.trackMlflowRun({ experimentName: uniqueName("tape"), runName: "r" }, () =>
      mlflow.logText("hello", "a.txt"),
    );
    const summary = adapter.costAggregator.getSummary();
    expect(summary.totalCostExact).toBe("0.0002");
    expect(summary.unpriced).toEqual([
      { operation: "log_artifact", meter: "storage.tape", count: 1, quantity: 5 },
    ]);
  });

  it("takes own prices, the others keeping their defaults", async () => {
    const adapter = await newAdapter({
      pricing: { trackingApiCall: 0.0002, storage: { tape: "0.001" }, storageDays: 30 },
    });
    expect(adapter.calculateCost({ operationType: "logParam" })).toBe(0.0002);
    expect(adapter.calculateCost({ operationType: "register_model" })).toBe(0.0005);
    const gibibyte = { operationType: "log_model", modelSizeMb: 1024 };
    expect(adapter.calculateCost({ ...gibibyte, storageBackend: "tape" })).toBe(0.001);
    expect(adapter.calculateCost({ ...gibibyte, storageBackend: "s3" })).toBe(0.023);
    expect(adapter.calculateCost(gibibyte)).toBe(0);
  });
});

describe("isolation", () => {
  it("bills a hundred concurrent runs each to its own customer", async () => {
    const adapter = await newAdapter();
    const experimentName = uniqueName("tenants");
    await mlflow.createExperiment(experimentName);
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        adapter.trackMlflowRun(
          { experimentName, runName: `r${index}`, customerId: `c${index}` },
          async () => {
            for (let call = 0; call < index % 7; call++) await mlflow.logMetric("m", call, call);
          },
        ),
      ),
    );
    const { costByCustomer, runCount } = adapter.costAggregator.getSummary();
    expect(runCount).toBe(100);
    for (let index = 0; index < 100; index++) {
      expect(costByCustomer[`c${index}`]).toBe(Number(((1 + (index % 7)) * 1e-4).toFixed(4)));
    }
  });

  it("never mixes two adapters, and leaves alone what neither tracks", async () => {
    const first = await newAdapter({ team: "first" });
    const second = await newAdapter({ team: "second" });
    const experimentName = uniqueName("two");
    await first.trackMlflowRun({ experimentName, runName: "a" }, async () => {
      await mlflow.logParam("p", 1);
      await second.trackMlflowRun({ experimentName, runName: "b" }, () => mlflow.logParam("p", 2));
    });
    await mlflow.withRun({ runName: "ungoverned" }, () => mlflow.logParam("p", 3));
    expect(first.costAggregator.getSummary().costByTeam).toEqual({ first: 0.0003 });
    expect(second.costAggregator.getSummary().costByTeam).toEqual({ second: 0.0003 });
  });

  it("the block form ends its run and its scope with the block", async () => {
    const adapter = await newAdapter();
    let runId = "";
    {
      await using run = await adapter.trackMlflowRun({
        experimentName: uniqueName("block"),
        runName: "r",
      });
      runId = run.info.runId;
      await mlflow.logParam("inside", 1);
    }
    const before = adapter.operationCount;
    await mlflow.withRun({ runName: "after" }, () => mlflow.logParam("outside", 1));
    expect(adapter.operationCount).toBe(before);
    expect((await mlflow.getRun(runId)).info.status).toBe("FINISHED");
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0003, operationCount: 3, runCount: 1 });
  });
});

describe("instrumentation", () => {
  it("governs the whole process while it is on, and nothing remains when it is off", async () => {
    vi.stubEnv("MLFLOW_TRACKING_URI", join(await temporaryFolder(), "mlruns"));
    vi.stubEnv("GENOPS_TEAM", "auto");
    vi.stubEnv("GENOPS_PROJECT", "auto");
    mlflow.setTrackingUri(join(await temporaryFolder(), "mlruns"));
    const functions = { ...mlflow };
    const adapter = autoInstrumentMlflow();
    expect(adapter.isInstrumented).toBe(true);
    adapter.instrumentFramework();
    await mlflow.setExperiment(uniqueName("my-experiment"));
    await mlflow.withRun({}, async () => {
      await mlflow.logParam("learning_rate", 0.01);
      await mlflow.logMetric("accuracy", 0.95);
    });
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0004, operationCount: 4, runCount: 1 });
    adapter.uninstrumentFramework();
    await mlflow.withRun({}, () => mlflow.logParam("p", 1));
    expect(adapter.operationCount).toBe(4);
    for (const [name, value] of Object.entries(functions)) {
      expect((mlflow as Record<string, unknown>)[name], name).toBe(value);
    }
    expect(mlflow.interceptorCount()).toBe(0);
    expect(adapter.costAggregator.getSummary().costByTeam).toEqual({ auto: 0.0004 });
  });

  it("knows experiments by the names that others in the process have met", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const experimentName = uniqueName("shared");
    const costs = [];
    for (const team of ["a", "b"]) {
      const adapter = instrumentMlflow({ trackingUri, team, project: "p" });
      await adapter.trackMlflowRun({ experimentName }, () => mlflow.logParam("k", team));
      costs.push(adapter.costAggregator.getSummary().exact.costByExperiment);
    }
    expect(costs).toEqual([{ [experimentName]: "0.0003" }, { [experimentName]: "0.0002" }]);
  });

  it("counts operations of runs as it counts them all", async () => {
    const adapter = await newAdapter();
    await adapter.trackMlflowRun({ experimentName: uniqueName("counts") }, async (run) => {
      await mlflow.logMetric("m", 1);
      await mlflow.logText("x", "model/x.txt");
      await mlflow.registerModel(`runs:/${run.info.runId}/model`, uniqueName("model"));
      await mlflow.getRun(run.info.runId);
      await adapter.trackMlflowRun({ runName: "child" }, () => mlflow.setTag("a", "b"));
    });
    const summary = adapter.costAggregator.getSummary();
    const ofRuns = summary.runs.reduce((sum, run) => sum + run.operationCount, 0);
    // Making the experiment and the registered model belongs to no run.
    expect(summary.operationCount).toBe(ofRuns + 2);
    expect(summary.runs.map((run) => run.operationCount)).toEqual([4, 2]);
  });

  it("refuses what is logged after the run it was meant for", async () => {
    const adapter = await newAdapter();
    const experimentName = uniqueName("late");
    let late: Promise<unknown> | undefined;
    await adapter.trackMlflowRun({ experimentName }, () => {
      late = delay(20).then(() => mlflow.logMetric("late", 1));
      late.catch(() => {});
    });
    await expect(late).rejects.toMatchObject({
      code: "INVALID_STATE",
      message: expect.stringContaining("Await every call"),
    });
    await expect(
      adapter.trackMlflowRun({ experimentName }, async () => {
        await mlflow.endRun("KILLED");
        await mlflow.logMetric("late", 1);
      }),
    ).rejects.toMatchObject({ code: "INVALID_STATE" });
    expect(adapter.getMetrics().runCount).toBe(2);
  });

  it("bills nothing for an answer that lacks what was to be created", async () => {
    const server = await faultyServer((request) =>
      request.path.endsWith("/runs/create")
        ? { status: 200, body: "{}" }
        : answerLikeMlflow(request),
    );
    const adapter = instrumentMlflow({ trackingUri: server.uri, team: "t", project: "p" });
    const attempt = adapter.trackMlflowRun({ experimentName: "e" }, () => {});
    await expect(attempt).rejects.toMatchObject({ code: "INVALID_RESPONSE" });
    expect(adapter.costAggregator.getSummary()).toMatchObject({
      totalCostExact: "0",
      runCount: 0,
      errorCount: 1,
    });
  });

  it("counts what is written to a run that began elsewhere", async () => {
    const adapter = await newAdapter();
    const runId = await mlflow.withRun({ runName: "elsewhere" }, (run) => run.info.runId);
    adapter.instrumentFramework();
    await new mlflow.MlflowClient().logMetric(runId, "late", 1);
    adapter.uninstrumentFramework();
    const summary = adapter.costAggregator.getSummary();
    expect(summary.costByRun).toEqual({ [runId]: 0.0001 });
    expect(summary.runCount).toBe(0);
  });
});

describe("the day", () => {
  it("starts anew at midnight UTC, the total does not", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 10, 23, 23, 59, 50) });
    const adapter = await newAdapter();
    const experimentName = uniqueName("day");
    await adapter.trackMlflowRun({ experimentName, runName: "today" }, () => {});
    expect(adapter.dailyUsage).toBe(0.0002);
    vi.setSystemTime(Date.UTC(2026, 10, 24, 0, 0, 1));
    expect(adapter.dailyUsage).toBe(0);
    await adapter.trackMlflowRun({ experimentName, runName: "tomorrow" }, () => {});
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0001, operationCount: 3, runCount: 2 });
    expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0.0003");
  });
});

describe("bad input", () => {
  const refused = (options: Record<string, unknown>) => {
    try {
      instrumentMlflow(options);
    } catch (error) {
      return error as ConfigurationError;
    }
    throw new Error("was accepted");
  };

  it("names an unknown option and the nearest valid one", () => {
    const error = refused({ temm: "x" });
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ code: "UNKNOWN_OPTION", field: "temm", suggestion: "team" });
    expect(error.message).toContain('did you mean "team"?');
    expect(refused({ customer_id: "x" }).suggestion).toBe("customerId");
    expect(refused({ sampling_rate: 1 }).suggestion).toBe("samplingRate");
  });

  it("names the field, the value and the fix of an impossible one", () => {
    expect(refused({ samplingRate: 2 })).toMatchObject({ field: "samplingRate", value: 2 });
    expect(refused({ samplingRate: Number.NaN })).toMatchObject({ field: "samplingRate" });
    expect(refused({ team: "" })).toMatchObject({ code: "INVALID_OPTION", value: "" });
    expect(refused({ team: 7 })).toMatchObject({ value: 7 });
    expect(refused({ trackingUri: "" })).toMatchObject({ field: "trackingUri" });
    expect(refused({ pricing: { trackingApiCall: -1 } }).message).toContain("-1");
    expect(refused({ pricing: { storage: { s3: "0,023" } } })).toMatchObject({
      code: "INVALID_OPTION",
      field: "pricing.storage.s3",
    });
    expect(refused({ pricing: { trackingApiCal: 1 } }).suggestion).toBe("trackingApiCall");
    expect(refused({ pricing: { operations: { log_metrik: 1 } } }).suggestion).toBe("log_metric");
    vi.stubEnv("GENOPS_SAMPLING_RATE", "often");
    expect(refused({})).toMatchObject({ field: "GENOPS_SAMPLING_RATE", value: "often" });
  });

  it("refuses questions that have no answer", async () => {
    const adapter = await newAdapter();
    const ask = (question: Record<string, unknown>) => () =>
      adapter.calculateCost(question as never);
    expect(ask({ operationType: "log_artefact" })).toThrow('did you mean "log_artifact"?');
    expect(ask({ operationType: "log_artifact", sizeBytes: Number.NaN })).toThrow("sizeBytes: NaN");
    expect(ask({ operationType: "log_artifact", artifactSizeMb: -1 })).toThrow(
      "artifactSizeMb: -1",
    );
    expect(ask({ operationType: "log_artifact", storageBackend: "s4" })).toThrow("has no price");
    expect(ask({ operationType: "start_trace" })).toThrow("has no price");
  });

  it("refuses a wrong run option before anything is sent", async () => {
    const adapter = await newAdapter();
    await expect(
      adapter.trackMlflowRun({ experiment_name: "x" } as never, () => {}),
    ).rejects.toMatchObject({ code: "UNKNOWN_OPTION", suggestion: "experimentName" });
    expect(adapter.costAggregator.getSummary()).toMatchObject({ totalCost: 0, operations: {} });
  });

  it("lets the store's own refusals through and costs nothing for them", async () => {
    const adapter = await newAdapter();
    const experimentName = uniqueName("refused");
    const runId = await adapter.trackMlflowRun({ experimentName, runName: "r" }, async (run) => {
      await mlflow.logParam("p", 1);
      await expect(mlflow.logParam("p", 2)).rejects.toBeInstanceOf(MlflowError);
      await expect(mlflow.logMetric("m", "x" as never)).rejects.toBeInstanceOf(MlflowError);
      return run.info.runId;
    });
    const summary = adapter.costAggregator.getSummary();
    expect(summary.totalCostExact).toBe("0.0003");
    expect(summary.operations.log_param).toMatchObject({ count: 1, errorCount: 1 });
    expect(summary.errorCount).toBe(1);
    expect((await mlflow.getRun(runId)).info.status).toBe("FINISHED");
  });

  it("ends a run FAILED when its body throws, and keeps its cost", async () => {
    const adapter = await newAdapter();
    const failure = new Error("diverged");
    let runId = "";
    await expect(
      adapter.trackMlflowRun({ experimentName: uniqueName("fails"), runName: "r" }, async (run) => {
        runId = run.info.runId;
        await mlflow.logMetric("loss", Number.POSITIVE_INFINITY);
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect((await mlflow.getRun(runId)).info.status).toBe("FAILED");
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0003, operationCount: 3, runCount: 1 });
  });

  it("says that a server cannot be reached, and bills nothing", async () => {
    const adapter = instrumentMlflow({
      trackingUri: await closedServer(),
      team: "t",
      project: "p",
    });
    await expect(
      adapter.trackMlflowRun({ experimentName: "x", runName: "r" }, () => {}),
    ).rejects.toMatchObject({ name: "MlflowError", code: "SERVER_UNREACHABLE" });
    const summary = adapter.costAggregator.getSummary();
    expect(summary.totalCostExact).toBe("0");
    expect(summary.errorCount).toBe(1);
    expect(summary.runCount).toBe(0);
  });

  it("keeps the total right when there is no room for more runs", async () => {
    const warnings: string[] = [];
    const logger = { debug: () => {}, warn: (message: string) => void warnings.push(message) };
    const adapter = await newAdapter({ runCapacity: 5, logger });
    const experimentName = uniqueName("full");
    const nest = async (depth: number): Promise<void> => {
      await adapter.trackMlflowRun({ experimentName, runName: `r${depth}` }, async () => {
        await mlflow.logParam("p", depth);
        if (depth > 1) await nest(depth - 1);
      });
    };
    await nest(12);
    const summary = adapter.costAggregator.getSummary();
    expect(summary.totalCostExact).toBe("0.0025");
    expect(summary.costByTeam).toEqual({ "ml-team": 0.0025 });
    expect(exactSum(summary.costByRun)).toBe(exactSum({ total: 0.0025 }));
    expect(summary.costByRun["(overflow)"]).toBeGreaterThan(0);
    expect(summary.overflowedOperations).toBeGreaterThan(0);
    expect(warnings).toEqual([expect.stringMatching(/no room.*Raise runCapacity \(now 5\)/)]);
    expect(adapter.containedFailures).toBe(0);
  });

  it("adds up runs that are over when their room is needed, and books on them all the same", async () => {
    const warnings: string[] = [];
    const logger = { debug: () => {}, warn: (message: string) => void warnings.push(message) };
    const adapter = await newAdapter({ runCapacity: 5, logger });
    const experimentName = uniqueName("folded");
    const ids: string[] = [];
    for (let index = 0; index < 12; index++) {
      await adapter.trackMlflowRun({ experimentName, runName: `r${index}` }, async () => {
        ids.push(mlflow.activeRun()?.info.runId ?? "");
        await mlflow.logParam("p", index);
      });
    }
    const summary = adapter.costAggregator.getSummary();
    expect(summary.totalCostExact).toBe("0.0025");
    expect(exactSum(summary.costByRun)).toBe(exactSum({ total: 0.0025 }));
    expect(summary.costByRun["(folded)"]).toBeGreaterThan(0);
    expect(summary.overflowedOperations).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/ended first.*raise runCapacity \(now 5\)/)]);
    await adapter.trackMlflowRun({ experimentName, runName: "late" }, async () => {
      for (const id of ids) await new mlflow.MlflowClient().setTag(id, "late", "yes");
    });
    expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0.0038");
    expect(adapter.containedFailures).toBe(0);
  });

  it("warns when team or project is missing", () => {
    const warnings: string[] = [];
    const logger = { debug: () => {}, warn: (message: string) => void warnings.push(message) };
    instrumentMlflow({ logger });
    expect(warnings).toEqual([expect.stringContaining("Governance attributes not configured")]);
    instrumentMlflow({ logger, team: "t", project: "p" });
    expect(warnings).toHaveLength(1);
  });
});
