// Advice: what would have cost less, and by how much, to the last digit.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { attoToUsd, usdToAtto } from "../../src/engine/index.js";
import * as mlflow from "../../src/mlflow/node.js";
import {
  type AdapterOptions,
  createMlflowCostContext,
  GenOpsMlflowAdapter,
  type MlflowCostSummary,
  type RecommendationKind,
} from "../../src/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { call, endRun, startRun, writeArtifact } from "./nothing-store.js";

/** USD of bytes on S3 for one of thirty days; small enough for BigInt by hand. */
const s3 = (bytes: number) => attoToUsd((BigInt(bytes) * 23n * 10n ** 15n) / (30n * 2n ** 30n));

const kind = (summary: MlflowCostSummary, wanted: RecommendationKind) =>
  summary.recommendations.find((each) => each.kind === wanted);

let adapter: GenOpsMlflowAdapter | undefined;

function install(options: AdapterOptions = {}): GenOpsMlflowAdapter {
  adapter = new GenOpsMlflowAdapter({ team: "t", project: "p", runCapacity: 4096, ...options });
  adapter.instrumentFramework();
  return adapter;
}

afterEach(() => adapter?.uninstrumentFramework());

describe("single calls that could be batches", () => {
  it("save all calls of a run but one", async () => {
    const { costAggregator } = install();
    for (let runs = 0; runs < 2; runs++) {
      const run_id = await startRun("1");
      for (let made = 0; made < 10; made++) await call("runs/log-metric", { run_id });
      await call("runs/log-parameter", { run_id });
    }
    const summary = costAggregator.getSummary();
    // 22 calls; 2 batches would have done.
    expect(kind(summary, "batch_single_calls")).toMatchObject({
      count: 20,
      saving: 0.002,
      savingExact: "0.002",
      examples: [
        { name: "log_metric", count: 20 },
        { name: "log_param", count: 2 },
      ],
    });
  });

  it("are none where batches are used, or where calls are free", async () => {
    const { costAggregator } = install({ pricing: { trackingApiCall: 0 } });
    const run_id = await startRun("1");
    await call("runs/log-batch", { run_id, metrics: [{}, {}] });
    for (let made = 0; made < 5; made++) await call("runs/log-metric", { run_id });
    expect(costAggregator.getSummary().recommendations).toEqual([]);
  });

  it("never save more than they cost, whatever was called", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 40 }), async (steps) => {
        const { costAggregator } = install();
        let run_id = await startRun("1");
        for (const step of steps) {
          if (step === 0) run_id = await startRun("1");
          if (step === 1) await call("runs/log-metric", { run_id });
          if (step === 2) await call("runs/set-tag", { run_id });
          if (step === 3) await call("runs/log-batch", { run_id });
        }
        adapter?.uninstrumentFramework();
        const summary = costAggregator.getSummary();
        const singles = steps.filter((step) => step === 1 || step === 2).length;
        const runs = 1 + steps.filter((step) => step === 0).length;
        const spared = Math.max(singles - runs, 0);
        const advice = kind(summary, "batch_single_calls");
        expect(usdToAtto(advice?.savingExact ?? "0", "saving")).toBe(BigInt(spared) * 10n ** 14n);
      }),
      { numRuns: 30 },
    );
  });
});

describe("artifacts", () => {
  it("with the same content are told with what the copies cost, names aside", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const file = join(await temporaryFolder(), "large.bin");
    const large = new Uint8Array(3 * 2 ** 20);
    await writeFile(file, large);
    const { costAggregator, trackMlflowRun } = bound(
      install({ trackingUri, storageBackends: { "file:": "s3", "/": "s3" } }),
    );
    await trackMlflowRun({ experimentName: "copies" }, async () => {
      await mlflow.logText("a".repeat(1000), "first.txt");
      await mlflow.logText("a".repeat(1000), "second.txt");
      await mlflow.logText("a".repeat(1000), "folder/third.txt");
      // As long, and not the same.
      await mlflow.logText("b".repeat(1000), "other.txt");
      await mlflow.logArtifact(file, "x");
    });
    large[2 ** 20 * 3 - 1] = 1;
    await writeFile(file, large);
    await trackMlflowRun({ experimentName: "copies" }, () => mlflow.logArtifact(file, "differs"));
    large[2 ** 20 * 3 - 1] = 0;
    await writeFile(file, large);
    await trackMlflowRun({ experimentName: "copies" }, () => mlflow.logArtifact(file, "same"));
    const summary = costAggregator.getSummary();
    const advice = kind(summary, "duplicate_artifacts");
    expect(advice).toMatchObject({ count: 3, bytes: 3 * 2 ** 20 + 2000, more: 0 });
    expect(
      advice?.examples.map(({ name, count, bytes }) => [name.split("/").at(-1), count, bytes]),
    ).toEqual([
      ["large.bin", 1, 3 * 2 ** 20],
      ["first.txt", 2, 2000],
    ]);
    expect(usdToAtto(advice?.savingExact ?? "0", "s")).toBe(
      (advice?.examples ?? []).reduce(
        (sum, { savingExact }) => sum + usdToAtto(savingExact, "s"),
        0n,
      ),
    );
    expect(advice?.examples[1]?.savingExact).toBe(
      attoToUsd(2n * usdToAtto("0.000000000714013974", "s")),
    );
  });

  it("of failed runs are told, those of runs that finished are not", async () => {
    const { costAggregator } = install();
    for (const [status, files] of [
      ["FINISHED", 5],
      ["FAILED", 2],
      ["KILLED", 1],
    ] as const) {
      const runId = await startRun("1");
      for (let file = 0; file < files; file++) {
        await writeArtifact(runId, `s3://bucket/${runId}/artifacts/${file}`, 3_221_225_472);
      }
      await endRun(runId, status);
    }
    // 3 GiB for a day on S3 is 0.0023 USD.
    expect(kind(costAggregator.getSummary(), "failed_run_artifacts")).toMatchObject({
      count: 3,
      bytes: 3 * 3_221_225_472,
      savingExact: "0.0069",
      examples: [
        { count: 2, savingExact: "0.0046" },
        { count: 1, savingExact: "0.0023" },
      ],
    });
  });

  it("of models that nobody registered are told, the largest first", async () => {
    const { costAggregator } = install();
    const runId = await startRun("1");
    const root = `s3://bucket/1/${runId}/artifacts`;
    const write = (path: string, bytes: number) =>
      writeArtifact(runId, `${root}/${path}`, bytes, { path });
    for (const [model, bytes] of [
      ["small", 10_000],
      ["large", 50_000],
      ["registered", 90_000],
    ] as const) {
      await write(`${model}/data/weights.bin`, bytes);
      await write(`${model}/MLmodel`, 100);
    }
    await write("dataset/rows.csv", 999_999);
    const logged = "s3://bucket/1/models/m-0123456789abcdef0123456789abcdef/artifacts";
    const other = "s3://bucket/1/models/m-ffffffffffffffffffffffffffffffff/artifacts";
    await writeArtifact(runId, `${logged}/MLmodel`, 20_000);
    await writeArtifact(runId, `${other}/MLmodel`, 30_000);
    const version = (body: object) => call("model-versions/create", { name: "m", ...body });
    await version({ source: `runs:/${runId}/registered`, run_id: runId });
    await version({ source: "x", model_id: "m-ffffffffffffffffffffffffffffffff" });
    const expected = [`${root}/large`, logged, `${root}/small`];
    const named = () => {
      const advice = kind(costAggregator.getSummary(), "unregistered_models");
      return advice?.examples.map(({ name }) => name);
    };
    expect(named()).toEqual(expected);
    // No less after the run, and one less when its folder is registered by its URI.
    await endRun(runId);
    expect(named()).toEqual(expected);
    expect(kind(costAggregator.getSummary(), "unregistered_models")?.bytes).toBe(80_200);
    await version({ source: `${root}/large/` });
    expect(named()).toEqual(expected.slice(1));
  });
});

/** Its methods, to be taken apart. */
function bound(from: GenOpsMlflowAdapter) {
  return {
    costAggregator: from.costAggregator,
    trackMlflowRun: from.trackMlflowRun.bind(from) as GenOpsMlflowAdapter["trackMlflowRun"],
  };
}

describe("cost without an owner", () => {
  it("is told with its amount, and which attribute is missing", async () => {
    const { costAggregator } = install({ team: "t", project: undefined });
    await startRun("1");
    expect(kind(costAggregator.getSummary(), "unattributed_cost")).toMatchObject({
      savingExact: "0.0001",
      why: "0.0001 USD have no project",
    });
  });
});

describe("advice", () => {
  it("is sorted by what it saves, is plain JSON, and is kept by contexts too", async () => {
    const ledger = install({ team: undefined });
    const summary = await createMlflowCostContext("advice", async (context) => {
      const runId = await startRun("1");
      await writeArtifact(runId, `s3://bucket/1/${runId}/artifacts/a`, 30 * 2 ** 30);
      for (let made = 0; made < 4; made++) await call("runs/set-tag", { run_id: runId });
      await endRun(runId, "FAILED");
      return context.getSummary();
    });
    const kinds = summary.recommendations.map((each) => each.kind);
    expect(kinds).toEqual(["unattributed_cost", "failed_run_artifacts", "batch_single_calls"]);
    expect(JSON.parse(JSON.stringify(summary.recommendations))).toEqual(summary.recommendations);
    expect(ledger.costAggregator.getSummary().recommendations).toEqual(summary.recommendations);
    expect(s3(30 * 2 ** 30)).toBe("0.023");
  });

  it("forgets the oldest, in bounded memory", async () => {
    const { costAggregator } = install({ runCapacity: 65_536 });
    for (let runs = 0; runs < 5000; runs++) {
      const runId = await startRun("1");
      await writeArtifact(runId, `s3://bucket/1/${runId}/artifacts/a`, 10);
      await endRun(runId, "FAILED");
    }
    const advice = kind(costAggregator.getSummary(), "failed_run_artifacts");
    expect(advice).toMatchObject({ count: 4096, more: 4091 });
    expect(advice?.examples).toHaveLength(5);
  });
});
