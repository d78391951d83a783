// What the guide promises of costs and attribution, each promise by its name, on a real MLflow server.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import {
  type AdapterOptions,
  ConfigurationError,
  createMlflowCostContext,
  GenOpsMlflowAdapter,
  instrumentMlflow,
  MlflowCostCalculator,
} from "../../src/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { call, startRun, writeArtifact } from "../costs/nothing-store.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const trackingUri = inject("mlflowServerUri");

function connect(options: AdapterOptions = {}): GenOpsMlflowAdapter {
  return instrumentMlflow({ trackingUri, team: "ml-team", project: "training", ...options });
}

const client = () => new mlflow.MlflowClient({ trackingUri: trackingUri as string });

afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

describe.runIf(requiresMlflow())("the guide promises of costs that", () => {
  it("daily usage is what was spent today, and operation count counts operations (6, 8)", async () => {
    const adapter = connect();
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0, operationCount: 0, runCount: 0 });
    const experimentName = uniqueName("daily");
    const failing = adapter.trackMlflowRun({ experimentName }, async () => {
      await mlflow.logParam("learning_rate", 0.01);
      await mlflow.logMetric("accuracy", 0.9);
      throw new Error("diverged");
    });
    await expect(failing).rejects.toThrow("diverged");
    // Experiment, run, param, metric: a run that fails has been paid for all the same.
    expect(adapter.dailyUsage).toBe(0.0004);
    expect(adapter.getMetrics()).toEqual({ dailyUsage: 0.0004, operationCount: 4, runCount: 1 });
  });

  it("a summary has every breakdown filled, each summing to the total (9, 10)", async () => {
    const adapter = connect({
      environment: "production",
      costCenter: "research",
      storageBackends: { "mlflow-artifacts:": "s3" },
    });
    const experimentName = uniqueName("breakdowns");
    const model = uniqueName("churn");
    for (const customerId of ["acme", "globex"]) {
      await adapter.trackMlflowRun({ experimentName, customerId }, async (run) => {
        await mlflow.logText("x".repeat(50_000), "model/weights.txt");
        await mlflow.registerModel(`runs:/${run.info.runId}/model`, model);
      });
    }
    const summary = adapter.costAggregator.getSummary();
    expect(Object.keys(summary.costByExperiment)).toEqual([experimentName]);
    expect(summary.costByTeam).toEqual({ "ml-team": summary.totalCost });
    expect(summary.costByProject).toEqual({ training: summary.totalCost });
    expect(summary.costByEnvironment).toEqual({ production: summary.totalCost });
    expect(summary.costByCostCenter).toEqual({ research: summary.totalCost });
    for (const customer of ["acme", "globex"]) {
      expect(summary.costByCustomer[customer]).toBeGreaterThan(0.0006);
    }
    expect(summary.costByModel[model]).toBe(0.001);
    expect(summary.costByOperationType.create_model_version).toBe(0.001);
    expect(summary.costByStorageBackend.s3).toBeGreaterThan(0);
    expect(summary.storage).toEqual({ s3: { bytes: 100_000, files: 2 } });
    expect(Object.keys(summary.costByRun)).toHaveLength(3);
    expect(summary.operations.log_artifact).toMatchObject({ count: 2, errorCount: 0 });
    expect(summary.operations.log_artifact?.latencyP50).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
  });

  it("a cost context collects by itself what happens in it, and nothing else (11)", async () => {
    const adapter = connect();
    const experimentName = uniqueName("contexts");
    const track = (calls: number) =>
      adapter.trackMlflowRun({ experimentName }, async () => {
        for (let made = 0; made < calls; made++) await mlflow.logMetric("m", made);
      });
    await track(1);
    const summaries = await Promise.all(
      [2, 3].map((calls) =>
        createMlflowCostContext(`workflow-${calls}`, async (context) => {
          await track(calls);
          return context.getSummary();
        }),
      ),
    );
    expect(summaries.map(({ totalCostExact }) => totalCostExact)).toEqual(["0.0003", "0.0004"]);
    expect(summaries.map(({ runCount }) => runCount)).toEqual([1, 1]);
    expect(Object.keys(summaries[0]?.costByExperiment ?? {})).toEqual([experimentName]);
  });

  it("nested runs are nested in MLflow, and their costs aggregate to the parent (12, 13)", async () => {
    const adapter = connect();
    const experimentName = uniqueName("search");
    const ids: string[] = [];
    const parentId = await adapter.trackMlflowRun(
      { experimentName, runName: "search-parent" },
      async (parent) => {
        for (const rate of [0.001, 0.01, 0.1]) {
          const parentRunId = parent.info.runId;
          await adapter.trackMlflowRun(
            { experimentName, runName: `lr-${rate}`, parentRunId },
            async (child) => {
              ids.push(child.info.runId);
              await mlflow.logParam("learning_rate", rate);
            },
          );
        }
        return parent.info.runId;
      },
    );
    for (const id of ids) {
      const { data, info } = await client().getRun(id);
      expect(data.tags["mlflow.parentRunId"]).toBe(parentId);
      expect(info.status).toBe("FINISHED");
    }
    const { runs } = adapter.costAggregator.getSummary();
    const parent = runs.find(({ runId }) => runId === parentId);
    expect(parent).toMatchObject({ ownCostExact: "0.0001", inclusiveCostExact: "0.0007" });
    expect(runs.filter(({ parentRunId }) => parentRunId === parentId)).toHaveLength(3);
  });

  it("attributes come from the environment and the adapter, and are overridden by a run; tags and spans carry them (21, 22, 23, 24)", async () => {
    vi.stubEnv("GENOPS_CUSTOMER_ID", "customer-001");
    vi.stubEnv("GENOPS_ENVIRONMENT", "staging");
    vi.stubEnv("GENOPS_COST_CENTER", "from-environment");
    const exporter = new InMemorySpanExporter();
    const spanProcessors = [new SimpleSpanProcessor(exporter)];
    const tracerProvider = new BasicTracerProvider({ spanProcessors });
    const adapter = connect({ costCenter: "ml-research", tracerProvider });
    const experimentName = uniqueName("attributes");
    const track = (overrides: object) =>
      adapter.trackMlflowRun({ experimentName, ...overrides }, async (run) => {
        await mlflow.logMetric("accuracy", 0.9);
        return run.info.runId;
      });
    const runs = [await track({}), await track({ customerId: "customer-456" })];
    const customers = ["customer-001", "customer-456"];
    for (const [index, runId] of runs.entries()) {
      const expected = {
        "genops.team": "ml-team",
        "genops.project": "training",
        "genops.environment": "staging",
        "genops.cost_center": "ml-research",
        "genops.customer_id": customers[index],
      };
      expect((await client().getRun(runId)).data.tags).toMatchObject(expected);
      const spans = exporter
        .getFinishedSpans()
        .filter(({ attributes }) => attributes["mlflow.run_id"] === runId)
        .filter(({ name }) => ["mlflow.run", "mlflow.log_metric"].includes(name));
      expect(spans).toHaveLength(2);
      for (const { attributes } of spans) expect(attributes).toMatchObject(expected);
    }
    const { exact } = adapter.costAggregator.getSummary();
    expect(exact.costByCustomer).toEqual({ "customer-001": "0.0003", "customer-456": "0.0002" });
    expect(exact.costByEnvironment).toEqual({ staging: "0.0005" });
    expect(exact.costByCostCenter).toEqual({ "ml-research": "0.0005" });
    await expect(track({ customer: "x" })).rejects.toThrow(ConfigurationError);
  });

  it("a calculator of one's own is the one that is used (19)", async () => {
    class CustomCostCalculator extends MlflowCostCalculator {
      override pricing = { trackingApiCall: 0.0002, storage: { s3: 0.03 } };
    }
    const adapter = connect({
      costCalculator: new CustomCostCalculator(),
      storageBackends: { "mlflow-artifacts:": "s3" },
    });
    await adapter.trackMlflowRun({ experimentName: uniqueName("calculator") }, async () => {
      await mlflow.logParam("param", "value");
      await mlflow.logText("x".repeat(2 ** 20), "file.txt");
    });
    // Three calls at 0.0002, and 1 MiB at 0.03 / 1024 / 30.
    expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0.0006009765625");
  });

  it("a model is priced by its size, and everything that logs has a price (27, 28)", async () => {
    const adapter = connect({ storageBackends: { "mlflow-artifacts:": "s3" } });
    const folder = await temporaryFolder();
    await mkdir(join(folder, "nested"));
    await writeFile(join(folder, "a.bin"), new Uint8Array(1000));
    await writeFile(join(folder, "nested/b.bin"), new Uint8Array(2000));
    const model = uniqueName("model");
    await adapter.trackMlflowRun({ experimentName: uniqueName("all") }, async (run) => {
      await mlflow.logMetrics({ a: 1, b: 2 });
      await mlflow.logParams({ a: 1, b: 2 });
      await mlflow.setTags({ a: "1", b: "2" });
      await mlflow.logArtifacts(folder, "files");
      await mlflow.logDict({ a: 1 }, "config.json");
      await mlflow.registerModel(`runs:/${run.info.runId}/files`, model);
      await mlflow.transitionModelVersionStage(model, "1", "Production");
    });
    const { exact, operations, storage } = adapter.costAggregator.getSummary();
    expect(operations.log_batch).toMatchObject({ count: 3, items: 6 });
    expect(exact.costByOperationType).toMatchObject({
      log_batch: "0.0003",
      create_model_version: "0.0005",
      transition_model_version_stage: "0.0005",
    });
    const dict = new TextEncoder().encode(JSON.stringify({ a: 1 }, undefined, 2)).length;
    expect(storage).toEqual({ s3: { bytes: 3000 + dict, files: 3 } });

    const before = adapter.costAggregator.getSummary().totalStorageBytes;
    await adapter.trackMlflowRun({ experimentName: uniqueName("model") }, () =>
      mlflow.logModel(folder, { name: "large" }),
    );
    const bytes = adapter.costAggregator.getSummary().totalStorageBytes - before;
    expect(bytes).toBeGreaterThan(3000);
    expect(bytes).toBeLessThan(10_000);
  });

  it("governance bills nothing of its own, and its sums are exact (35)", async () => {
    const adapter = connect({ customerId: "c", environment: "e", costCenter: "k" });
    await adapter.trackMlflowRun({ experimentName: uniqueName("own") }, async () => {
      for (let made = 0; made < 13; made++) await mlflow.setTag(`tag-${made}`, "value");
    });
    const summary = adapter.costAggregator.getSummary();
    // As doubles, fifteen times 0.0001 are 0.0015000000000000002.
    expect(summary.totalCostExact).toBe("0.0015");
    expect(summary.totalCost).toBe(0.0015);
    expect(summary.operations.set_tag?.count).toBe(13);
    expect(summary.operationCount).toBe(15);
  });
});

describe("the guide promises that", () => {
  const installed: GenOpsMlflowAdapter[] = [];
  afterEach(() => {
    for (const adapter of installed.splice(0)) adapter.uninstrumentFramework();
  });

  function install(options: AdapterOptions = {}): GenOpsMlflowAdapter {
    const adapter = new GenOpsMlflowAdapter({ team: "t", project: "p", ...options });
    adapter.instrumentFramework();
    installed.push(adapter);
    return adapter;
  }

  it("a day's usage ends with the day (7)", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2031, 4, 6, 23, 59, 59) });
    const adapter = install();
    const run_id = await startRun("1");
    expect(adapter.dailyUsage).toBe(0.0001);
    vi.setSystemTime(Date.UTC(2031, 4, 7, 0, 0, 1));
    expect(adapter.dailyUsage).toBe(0);
    await call("runs/log-metric", { run_id });
    expect(adapter.dailyUsage).toBe(0.0001);
    expect(adapter.costAggregator.getSummary().totalCost).toBe(0.0002);
  });

  it("the storage backend is told by where an artifact lies (26)", async () => {
    const adapter = install({ trackingUri: "http://localhost:1" });
    const runId = await startRun("1");
    const places = {
      s3: "s3://bucket/a",
      azure: "wasbs://box@account.blob.core.windows.net/a",
      gcs: "gs://bucket/a",
      local: "file:///data/a",
    };
    for (const uri of Object.values(places)) await writeArtifact(runId, uri, 30 * 2 ** 30);
    const { costByStorageBackend, storage } = adapter.costAggregator.getSummary();
    expect(costByStorageBackend).toMatchObject({ s3: 0.023, azure: 0.02, gcs: 0.02 });
    expect(Object.keys(storage).sort()).toEqual(Object.keys(places).sort());
  });

  it("storage is priced by GiB-month for the days that are asked for (29)", () => {
    const question = { operationType: "log_artifact", artifactSizeMb: 1024, storageBackend: "s3" };
    expect(install().calculateCost(question)).toBe(0.000766666666666667);
    expect(install({ pricing: { storageDays: 30 } }).calculateCost(question)).toBe(0.023);
    const guide = { operationType: "log_artifact", artifactSizeMb: 10, storageBackend: "s3" };
    expect(install().calculateCost(guide)).toBeCloseTo(0.0000075, 7);
    expect(install().calculateCost({ ...guide, artifactSizeMb: 500 })).toBeCloseTo(0.000375, 5);
  });
});
