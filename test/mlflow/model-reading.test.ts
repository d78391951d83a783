// Models that are read back: what their MLmodel files say, models that are elsewhere, the active model.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { onEachStore } from "./each-store.js";

afterEach(() => {
  mlflow.clearActiveModel();
  vi.unstubAllEnvs();
});

async function aModel(name: string): Promise<mlflow.ModelInfo> {
  return mlflow.logModel(
    { "weights ü/w.bin": new Uint8Array([1, 2, 3]) },
    {
      name,
      signature: mlflow.inferSignature([{ a: 1, b: "x" }], [0.5]),
      metadata: { owner: "größe", since: "2026-01-31 09:05:07" },
      flavors: { custom: { data: "weights ü", version: "3.10" } },
    },
  );
}

onEachStore(() => {
  describe("a model's info", () => {
    it("is what was logged, by whatever names the model", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const registered = uniqueName("model");
      const { info: run, logged } = await mlflow.withRun({}, async ({ info }) => ({
        info,
        logged: await aModel("price"),
      }));
      await mlflow.registerModel(logged.modelUri, registered);
      // The order of columns' fields is the file's own.
      const asLogged = { ...logged, signature: expect.anything() };
      const byId = await mlflow.getModelInfo(logged.modelUri);
      expect(byId).toEqual(asLogged);
      expect(byId.signature).toMatchObject(logged.signature as object);
      const byRun = `runs:/${run.runId}/price`;
      expect(await mlflow.getModelInfo(byRun)).toEqual({ ...asLogged, modelUri: byRun });
      const byName = `models:/${registered}/1`;
      expect(await mlflow.getModelInfo(byName)).toEqual({
        ...asLogged,
        modelUri: byName,
        name: registered,
        registeredModelVersion: "1",
      });
      const byPlace = await mlflow.getModelInfo(logged.artifactUri);
      expect(byPlace).toMatchObject({ modelId: logged.modelId, flavors: logged.flavors });
    });

    it("is an error that says why where there is none", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const client = new mlflow.MlflowClient();
      const { modelId, modelUri } = await aModel("broken");
      await client.logModelArtifact(modelId as string, "flavors: [", "MLmodel");
      await expect(mlflow.getModelInfo(modelUri)).rejects.toMatchObject({ code: "BAD_REQUEST" });
      await client.logModelArtifact(modelId as string, "just: text", "MLmodel");
      await expect(mlflow.getModelInfo(modelUri)).rejects.toMatchObject({ code: "BAD_REQUEST" });
      const { info } = await client.createRun(await mlflow.createExperiment(uniqueName("none")));
      await expect(mlflow.getModelInfo(`runs:/${info.runId}/model`)).rejects.toMatchObject({
        code: "RESOURCE_DOES_NOT_EXIST",
      });
    });

    it("names the flavours that a loader does not find", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const { modelUri } = await aModel("other");
      await expect(mlflow.onnx.loadModel(modelUri)).rejects.toThrow(
        `The model '${modelUri}' has no flavour 'onnx'; it has: custom.`,
      );
      const tf = { loadLayersModel: async () => "never" };
      await expect(mlflow.tfjs.loadModel(modelUri, tf)).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
      });
      await expect(mlflow.tfjs.loadModel(modelUri, {} as typeof tf)).rejects.toThrow(
        "pass the module @tensorflow/tfjs",
      );
    });
  });

  it("the bytes of an ONNX model are what was logged", async () => {
    await mlflow.setExperiment(uniqueName("models"));
    const bytes = new Uint8Array([8, 7, 0, 255]);
    const { modelUri } = await mlflow.onnx.logModel(bytes, { name: "bytes" });
    expect(await mlflow.onnx.loadModel(modelUri)).toEqual(bytes);
  });

  it("files of a folder are added to a model, and listed", async () => {
    await mlflow.setExperiment(uniqueName("models"));
    const { modelId } = await aModel("more");
    const folder = await temporaryFolder();
    await mkdir(join(folder, "notes (1)"));
    await writeFile(join(folder, "notes (1)", "50 %.txt"), "half");
    await writeFile(join(folder, "empty.txt"), "");
    const client = new mlflow.MlflowClient();
    await client.logModelArtifacts(modelId as string, folder);
    const names = async (path?: string) =>
      (await client.listLoggedModelArtifacts(modelId as string, path)).map((entry) => entry.path);
    expect(await names()).toEqual(["MLmodel", "empty.txt", "notes (1)", "weights ü"]);
    expect(await names("notes (1)")).toEqual(["notes (1)/50 %.txt"]);
    await expect(names("../other")).rejects.toMatchObject({ code: "INVALID_PARAMETER_VALUE" });
  });

  describe("a model that is elsewhere", () => {
    it("is ready, says so, and can be registered", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const registered = uniqueName("model");
      const { info } = await mlflow.startRun();
      const model = await mlflow.createExternalModel({
        name: "agent",
        modelType: "agent",
        params: { temperature: 0.1 },
        tags: { team: "search" },
      });
      await mlflow.endRun();
      expect(model).toMatchObject({
        name: "agent",
        status: "READY",
        sourceRunId: info.runId,
        params: { temperature: "0.1" },
        tags: { team: "search", "mlflow.model.isExternal": "true" },
      });
      expect(mlflow.lastLoggedModelId()).toBe(model.modelId);
      const read = await mlflow.getModelInfo(`models:/${model.modelId}`);
      expect(read).toMatchObject({ flavors: {}, metadata: { "mlflow.model.isExternal": true } });
      const version = await mlflow.registerModel(`models:/${model.modelId}`, registered);
      expect(version).toMatchObject({ version: "1", status: "READY" });
    });
  });

  describe("the active model", () => {
    it("is what metrics are about, where they name none", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const model = await mlflow.setActiveModel({ name: "agent" });
      expect(model.status).toBe("READY");
      expect(mlflow.getActiveModelId()).toBe(model.modelId);
      expect((await mlflow.setActiveModel({ name: "agent" })).modelId).toBe(model.modelId);
      const other = await mlflow.createExternalModel({ name: "other" });
      await mlflow.withRun({}, async () => {
        await mlflow.logMetric("a", 1);
        await mlflow.logMetric("b", 2, 5);
        await mlflow.logMetrics({ c: 3 }, { step: 6 });
        await mlflow.logMetric("d", 4, { modelId: other.modelId });
      });
      mlflow.clearActiveModel();
      await mlflow.withRun({}, () => mlflow.logMetric("e", 5));
      const metricsOf = async (modelId: string) =>
        (await mlflow.getLoggedModel(modelId)).metrics.map(({ key, value, step }) => [
          key,
          value,
          step,
        ]);
      expect((await metricsOf(model.modelId)).sort()).toEqual([
        ["a", 1, 0],
        ["b", 2, 5],
        ["c", 3, 6],
      ]);
      expect(await metricsOf(other.modelId)).toEqual([["d", 4, 0]]);
    });

    it("must be there", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const missing = { modelId: `m-${"0".repeat(32)}` };
      await expect(mlflow.setActiveModel(missing)).rejects.toMatchObject({
        code: "RESOURCE_DOES_NOT_EXIST",
      });
      await expect(mlflow.setActiveModel({ name: "a", ...missing })).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
      });
      expect(mlflow.getActiveModelId()).toBeUndefined();
    });
  });
});

it("the active model comes from the environment until the program says another", async () => {
  vi.resetModules();
  const fresh: typeof mlflow = await import("../../src/mlflow/node.js");
  vi.stubEnv("MLFLOW_ACTIVE_MODEL_ID", "m-1");
  expect(fresh.getActiveModelId()).toBe("m-1");
  // As Python's, which asks once.
  vi.stubEnv("MLFLOW_ACTIVE_MODEL_ID", "m-2");
  expect(fresh.getActiveModelId()).toBe("m-1");
  fresh.clearActiveModel();
  expect(fresh.getActiveModelId()).toBeUndefined();
});
