// Asynchronous logging beside models: what waits is there before anything that builds on it.
import { afterEach, beforeEach, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { uniqueName } from "../adapter/workplace.js";
import { callsOf, onEachStore } from "./each-store.js";

beforeEach(() => mlflow.enableAsyncLogging({ bufferSeconds: 60 }));
afterEach(async () => {
  await mlflow.flushAsyncLogging();
  mlflow.enableAsyncLogging({});
  mlflow.enableAsyncLogging(false);
});

onEachStore(() => {
  it("a model takes the params of its run that still wait", async () => {
    await mlflow.setExperiment(uniqueName("async-models"));
    const info = await mlflow.withRun({}, async () => {
      await mlflow.logParam("depth", 3);
      return mlflow.logModel({ "w.bin": new Uint8Array([1]) });
    });
    const model = await mlflow.getLoggedModel(info.modelId as string);
    expect(model.params).toEqual({ depth: "3" });
  });

  it("metrics of a model and a dataset share a request, and reach all three", async () => {
    await mlflow.setExperiment(uniqueName("async-models"));
    const { modelId } = await mlflow.initializeLoggedModel({ name: "m" });
    const dataset = { name: "iris", digest: "d1" };
    const calls = await callsOf(() =>
      mlflow.withRun({}, async () => {
        for (let step = 0; step < 20; step++) {
          await mlflow.logMetric("loss", 1 / (step + 1), { step, modelId, dataset });
        }
        await mlflow.logMetrics({ a: 1, b: 2 }, { modelId });
      }),
    );
    expect(calls.filter((call) => call === "POST runs/log-batch")).toHaveLength(1);
    expect(calls).not.toContain("POST runs/log-metric");
    const { metrics } = await mlflow.getLoggedModel(modelId);
    expect(metrics).toContainEqual(
      expect.objectContaining({ key: "loss", value: 0.05, step: 19, datasetName: "iris" }),
    );
    expect(new Set(metrics.map(({ key }) => key))).toEqual(new Set(["loss", "a", "b"]));
  });

  it("inputs, outputs, pictures and tables come after what was logged before them", async () => {
    await mlflow.setExperiment(uniqueName("async-models"));
    const { modelId } = await mlflow.initializeLoggedModel({ name: "m" });
    const dataset = {
      ...{ name: "iris", digest: "d1", sourceType: "local", source: "here" },
      ...{ schema: undefined, profile: undefined },
    };
    const later: readonly (() => Promise<unknown>)[] = [
      () => mlflow.logInput(dataset),
      () => mlflow.logOutputs([{ modelId }]),
      () => mlflow.logFigure("<svg/>", "f.svg"),
      () => mlflow.logTable([{ a: 1 }], "t.json"),
    ];
    await mlflow.withRun({}, async () => {
      for (const [index, write] of later.entries()) {
        await mlflow.logMetric("loss", index);
        const calls = await callsOf(write);
        expect(calls[0]).toBe("POST runs/log-batch");
        expect(calls.length).toBeGreaterThan(1);
      }
    });
  });
});
