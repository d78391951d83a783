// Promises of the documentation that no other suite is about: prices as listed, whatever the way in.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { GenOpsMlflowAdapter, instrumentMlflow } from "../../src/node.js";
import { temporaryFolder, uniqueName } from "./workplace.js";

async function instrumented(): Promise<{ adapter: GenOpsMlflowAdapter; folder: string }> {
  const folder = await temporaryFolder();
  const adapter = new GenOpsMlflowAdapter({
    trackingUri: join(folder, "mlruns"),
    team: "ml-team",
    project: "promises",
    storageBackends: { "file:": "s3" },
  });
  adapter.instrumentFramework();
  onTestFinished(() => adapter.uninstrumentFramework());
  return { adapter, folder };
}

/** USD that a call adds, exact. */
async function costOf(adapter: GenOpsMlflowAdapter, call: () => Promise<unknown>): Promise<bigint> {
  const total = () => {
    const [whole = "", fraction = ""] = adapter.costAggregator
      .getSummary()
      .totalCostExact.split(".");
    return BigInt(whole + fraction.padEnd(18, "0"));
  };
  const before = total();
  await call();
  return total() - before;
}

const TRACKING = 10n ** 14n;
const REGISTRY = 5n * 10n ** 14n;

describe("the price list", () => {
  it.each([
    ["log_param", {}, 0.0001],
    ["log_metric", {}, 0.0001],
    ["set_tag", {}, 0.0001],
    ["start_run", {}, 0.0001],
    ["register_model", {}, 0.0005],
    ["transition_model_version_stage", {}, 0.0005],
    ["log_artifact", { artifactSizeMb: 10, storageBackend: "local" }, 0],
    ["log_artifact", { artifactSizeMb: 1024, storageBackend: "s3" }, 0.000766666666666667],
    ["log_artifact", { artifactSizeMb: 1024, storageBackend: "azure" }, 0.000666666666666667],
    ["log_artifact", { artifactSizeMb: 1024, storageBackend: "gcs" }, 0.000666666666666667],
    ["log_model", { modelSizeMb: 512, storageBackend: "s3" }, 0.000383333333333333],
  ])("has %s %j at %d USD", (operationType, rest, price) => {
    const adapter = instrumentMlflow({ team: "t", project: "p" });
    expect(adapter.calculateCost({ operationType, ...rest })).toBe(price);
  });
});

describe("every way to write", () => {
  it("has its price: single calls, batches, files and folders, pictures and tables", async () => {
    const { adapter, folder } = await instrumented();
    await mlflow.setExperiment(uniqueName("promises"));
    const file = join(folder, "a.txt");
    await writeFile(file, "four");
    await mlflow.withRun({}, async () => {
      const calls: [() => Promise<unknown>, bigint][] = [
        [() => mlflow.logMetric("m", 1), TRACKING],
        [() => mlflow.logMetrics({ a: 1, b: 2 }), TRACKING],
        [() => mlflow.logParam("p", 1), TRACKING],
        [() => mlflow.logParams({ q: 1, r: 2 }), TRACKING],
        [() => mlflow.setTag("t", 1), TRACKING],
        [() => mlflow.setTags({ u: 1, v: 2 }), TRACKING],
        [() => mlflow.deleteTag("t"), TRACKING],
      ];
      for (const [call, price] of calls) expect(await costOf(adapter, call)).toBe(price);
      const files = [
        () => mlflow.logArtifact(file),
        () => mlflow.logText("four", "b.txt"),
        () => mlflow.logDict({ four: 4 }, "c.json"),
        () => mlflow.logFigure("<svg/>", "d.svg"),
        () => mlflow.logBytes(new Uint8Array(4), "e.bin"),
      ];
      for (const call of files) expect(await costOf(adapter, call)).toBeGreaterThan(0n);
    });
    expect(adapter.costAggregator.getSummary().storage.s3?.files).toBe(5);
  });

  it("has its price through the client too, and in the registry", async () => {
    const { adapter } = await instrumented();
    const client = new mlflow.MlflowClient();
    const experimentId = await client.createExperiment(uniqueName("promises"));
    const { info } = await client.createRun(experimentId);
    const name = uniqueName("model");
    expect(await costOf(adapter, () => client.logMetric(info.runId, "m", 1))).toBe(TRACKING);
    expect(await costOf(adapter, () => client.createRegisteredModel(name))).toBe(0n);
    const version = () => client.createModelVersion(name, `runs:/${info.runId}/model`);
    expect(await costOf(adapter, version)).toBe(REGISTRY);
    const stage = () => client.transitionModelVersionStage(name, "1", "Staging");
    expect(await costOf(adapter, stage)).toBe(REGISTRY);
    const alias = () => client.setRegisteredModelAlias(name, "champion", "1");
    expect(await costOf(adapter, alias)).toBe(REGISTRY);
    expect(await costOf(adapter, () => client.getRun(info.runId))).toBe(0n);
    expect(await costOf(adapter, () => client.searchRuns([experimentId]))).toBe(0n);
    expect(await costOf(adapter, () => client.setTerminated(info.runId))).toBe(0n);
  });
});

it("a run goes to the experiment that it names by id, and has the attributes all the same", async () => {
  const { adapter } = await instrumented();
  const wanted = await mlflow.createExperiment(uniqueName("wanted"));
  await mlflow.setExperiment(uniqueName("active"));
  const run = await mlflow.withRun({ experimentId: wanted }, ({ info }) =>
    mlflow.getRun(info.runId),
  );
  expect(run.info.experimentId).toBe(wanted);
  expect(run.data.tags).toMatchObject({ "genops.team": "ml-team", "genops.project": "promises" });
  expect(adapter.containedFailures).toBe(0);
});

it("the runs that an adapter tracks go where its tracking URI says", async () => {
  const folder = await temporaryFolder();
  const trackingUri = join(folder, "elsewhere");
  const adapter = instrumentMlflow({ trackingUri, team: "t", project: "p" });
  const runId = await adapter.trackMlflowRun({ runName: "r" }, ({ info }) => info.runId);
  const { info } = await new mlflow.MlflowClient({ trackingUri }).getRun(runId);
  expect(info.runName).toBe("r");
});
