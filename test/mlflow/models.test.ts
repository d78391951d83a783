// Models that are logged and registered from TypeScript, and what Python's MLflow makes of them.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { prepareModelPython } from "../support/model-python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { bytesAt } from "./artifact-bytes.js";
import { callsOf, onEachStore } from "./each-store.js";
import { pythonOf } from "./run-python.js";

let modelPython: string;
beforeAll(async () => {
  const python = inject("pythonPath");
  if (python !== undefined) modelPython = await prepareModelPython(python);
}, 10 * 60_000);

async function textAt(artifactUri: string, path: string): Promise<string> {
  return new TextDecoder().decode(await bytesAt(artifactUri, path));
}

onEachStore(() => {
  describe("a model", () => {
    it("is logged in its run, with its MLmodel file", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const run = await mlflow.startRun();
      await mlflow.logParam("depth", 3);
      const info = await mlflow.logModel(
        { "weights/w.bin": new Uint8Array([1, 2, 3]), "notes ü.txt": "größe" },
        {
          name: "price model",
          signature: mlflow.inferSignature([{ a: 1, b: "x" }], [0.5]),
          inputExample: [{ a: 1, b: "x" }],
          metadata: { owner: "search", rate: 0.5 },
          params: { width: 9 },
          tags: { team: "search" },
          flavors: { custom: { data: "weights" } },
          step: 4,
        },
      );
      await mlflow.endRun();
      const { runId } = run.info;
      expect(info).toMatchObject({
        name: "price model",
        modelUri: `models:/${info.modelId}`,
        runId,
        modelUuid: info.modelId,
        registeredModelVersion: undefined,
      });
      const client = new mlflow.MlflowClient();
      const model = await client.getLoggedModel(info.modelId as string);
      expect(model).toMatchObject({
        name: "price model",
        status: "READY",
        sourceRunId: runId,
        artifactLocation: info.artifactUri,
        params: { depth: "3", width: "9" },
      });
      expect(model.tags).toMatchObject({ team: "search" });
      const { outputs } = await client.getRun(runId);
      expect(outputs.modelOutputs).toEqual([{ modelId: info.modelId, step: 4 }]);

      const written = parse(await textAt(info.artifactUri, "MLmodel"), { version: "1.1" });
      expect(written).toEqual({
        artifact_path: info.artifactUri,
        flavors: { custom: { data: "weights" } },
        is_signature_from_type_hint: false,
        metadata: { owner: "search", rate: 0.5 },
        mlflow_version: "3.17.2",
        model_id: info.modelId,
        model_size_bytes: info.sizeBytes,
        model_uuid: info.modelId,
        prompts: null,
        run_id: runId,
        saved_input_example_info: {
          artifact_path: "input_example.json",
          serving_input_path: "serving_input_example.json",
          type: "json_object",
        },
        signature: {
          inputs:
            '[{"required":true,"type":"long","name":"a"},{"required":true,"type":"string","name":"b"}]',
          outputs: '[{"required":true,"type":"double"}]',
          params: null,
        },
        type_hint_from_example: false,
        utc_time_created: info.utcTimeCreated,
      });
      expect(await textAt(info.artifactUri, "weights/w.bin")).toBe("\u0001\u0002\u0003");
      expect(JSON.parse(await textAt(info.artifactUri, "input_example.json"))).toEqual([
        { a: 1, b: "x" },
      ]);
      expect(mlflow.lastLoggedModelId()).toBe(info.modelId);
    });

    it("may have no run, and be a folder", async () => {
      const experiment = await mlflow.setExperiment(uniqueName("models"));
      const folder = await temporaryFolder();
      await mkdir(join(folder, "deep"));
      await writeFile(join(folder, "deep", "a.txt"), "abc");
      await writeFile(join(folder, "MLmodel"), "of another time");
      const info = await mlflow.logModel(folder);
      expect(info).toMatchObject({ name: "model", runId: undefined, sizeBytes: 3 });
      expect(await textAt(info.artifactUri, "deep/a.txt")).toBe("abc");
      expect(await textAt(info.artifactUri, "MLmodel")).toContain(info.modelId);
      const client = new mlflow.MlflowClient();
      const found = await client.searchLoggedModels([experiment.experimentId]);
      expect(found.map(({ modelId }) => modelId)).toEqual([info.modelId]);
    });

    it("that is none is refused before anything is sent", async () => {
      const folder = await temporaryFolder();
      const refused = async (model: unknown, options?: object) => {
        let failure: unknown;
        const calls = await callsOf(async () => {
          failure = await mlflow.logModel(model as never, options).catch((error) => error);
        });
        return [(failure as mlflow.MlflowError).code, ...calls];
      };
      const bytes = new Uint8Array(1);
      await mlflow.setExperiment(uniqueName("models"));
      const invalid = ["INVALID_PARAMETER_VALUE"];
      expect(await refused(join(folder, "nothing"))).toEqual(invalid);
      expect(await refused(folder)).toEqual(invalid);
      expect(await refused({})).toEqual(invalid);
      expect(await refused(7)).toEqual(invalid);
      expect(await refused({ "../x": "y" })).toEqual(invalid);
      expect(await refused(bytes, { name: "a/b" })).toEqual(invalid);
      expect(await refused(bytes, { step: -1 })).toEqual(invalid);
      expect(await refused(bytes, { signatur: {} })).toEqual(invalid);
      expect(await refused(bytes, { registeredModelName: "a/b" })).toEqual(invalid);
      expect(await refused(bytes, { signature: { inputs: "x" } })).toEqual(invalid);
    });

    it("whose files cannot be sent is marked as failed", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("models"));
      const remove = mlflow.addInterceptor((call, proceed) => {
        if (call.upload !== undefined) throw new Error("no space");
        return proceed(call);
      });
      try {
        await expect(mlflow.logModel(new Uint8Array(1))).rejects.toThrow("no space");
      } finally {
        remove();
      }
      const client = new mlflow.MlflowClient();
      const found = await client.searchLoggedModels([experimentId]);
      expect(found.map(({ status }) => status)).toEqual(["UPLOAD_FAILED"]);
    });

    it("is found by whatever names it", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const name = uniqueName("registered");
      const run = await mlflow.startRun();
      const info = await mlflow.logModel(new Uint8Array(1), {
        name: "net",
        registeredModelName: name,
      });
      await mlflow.endRun();
      expect(info.registeredModelVersion).toBe("1");
      const client = new mlflow.MlflowClient();
      const version = await client.getModelVersion(name, 1);
      expect(version).toMatchObject({
        source: `models:/${info.modelId}`,
        runId: run.info.runId,
        status: "READY",
      });
      await client.setRegisteredModelAlias(name, "champion", 1);
      await client.transitionModelVersionStage(name, 1, "Production");
      const { artifactUri, modelId } = info;
      const { runId } = run.info;
      const ofVersion = { artifactUri, name, version: "1", runId, modelId };
      for (const uri of ["/1", "@champion", "/Production", "/latest", "/LATEST"]) {
        expect(await client.resolveModelUri(`models:/${name}${uri}`)).toMatchObject(ofVersion);
      }
      const ofModel = { artifactUri, modelId, runId };
      expect(await client.resolveModelUri(`models:/${modelId}`)).toEqual(ofModel);
      expect(await client.resolveModelUri(`runs:/${runId}/net`)).toEqual(ofModel);
      expect(await client.resolveModelUri("s3://bucket/m")).toEqual({
        artifactUri: "s3://bucket/m",
      });
      const inRun = await client.resolveModelUri(`runs:/${runId}/other`);
      expect(inRun).toEqual({ artifactUri: `${run.info.artifactUri}/other`, runId });
      await expect(client.resolveModelUri(`models:/${name}/Staging`)).rejects.toMatchObject({
        code: "RESOURCE_DOES_NOT_EXIST",
      });

      for (const uri of [info.modelUri, `models:/${name}/1`, `models:/${name}@champion`]) {
        const bytes = await mlflow.artifacts.downloadBytes(`${uri}/model.bin`);
        expect(Array.from(bytes)).toEqual([0]);
      }

      const second = await client.registerModel(`runs:/${runId}/net`, name);
      expect(second).toMatchObject({ version: "2", source: `models:/${modelId}` });
      const noted = (await client.getLoggedModel(modelId as string)).tags["mlflow.modelVersions"];
      expect(JSON.parse(noted as string)).toEqual([
        { name, version: 1 },
        { name, version: 2 },
      ]);
      const copy = await client.copyModelVersion(`models:/${name}@champion`, `${name} copy`);
      expect(copy).toMatchObject({ name: `${name} copy`, version: "1" });
      const place = await client.getModelVersionDownloadUri(`${name} copy`, 1);
      expect(place).toBe(artifactUri);
    });
  });

  describe.runIf(requiresMlflow())("an ONNX model", () => {
    async function anOnnxModel(): Promise<string> {
      const path = join(await temporaryFolder(), "linear.onnx");
      await pythonOf(modelPython, "onnx_make.py", path);
      return path;
    }
    const x = { data: new Float32Array([1, 2]), shape: [1, 2] };
    const y = { data: new Float32Array([5.5]), shape: [1, 1] };

    it("is loaded by Python, and predicts the same", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const name = uniqueName("linear");
      const path = await anOnnxModel();
      const run = await mlflow.startRun();
      const info = await mlflow.onnx.logModel(await readFile(path), {
        name: "linear",
        signature: mlflow.inferSignature({ x }, { y }),
        inputExample: { x },
        registeredModelName: name,
        metadata: { owner: "größe" },
      });
      await mlflow.endRun();
      const uri = mlflow.getTrackingUri();
      const tensor = (field: string, columns: number) => ({
        name: field,
        type: "tensor",
        "tensor-spec": { dtype: "float32", shape: [-1, columns] },
      });
      const expected = {
        graph: "linear",
        predicted: [[5.5], [11.5], [0.5]],
        inputs: [tensor("x", 2)],
        outputs: [tensor("y", 1)],
        metadata: { owner: "größe" },
        model_id: info.modelId,
        model_uuid: info.modelId,
        run_id: run.info.runId,
        flavors: ["onnx", "python_function"],
        size: info.sizeBytes,
        mlflow_version: "3.17.2",
        utc_time_created: info.utcTimeCreated,
        example: [[1, 2]],
        serving: { inputs: { x: [[1, 2]] } },
      };
      const registered = await pythonOf(modelPython, "onnx_load.py", uri, `models:/${name}/1`);
      expect(registered).toEqual(expected);
      const logged = await pythonOf(modelPython, "onnx_load.py", uri, info.modelUri);
      expect(logged).toEqual(expected);
    });

    it("that Python logged is read with all that it says", async () => {
      const path = await anOnnxModel();
      const experiment = uniqueName("models");
      const uri = mlflow.getTrackingUri();
      const logged = (await pythonOf(modelPython, "onnx_log.py", uri, path, experiment)) as {
        readonly [field: string]: string;
      };
      const modelUri = logged.uri as string;
      const info = await mlflow.getModelInfo(modelUri);
      expect(info).toMatchObject({
        name: "linear",
        modelUuid: logged.uuid,
        utcTimeCreated: logged.created,
        mlflowVersion: logged.version,
        metadata: { owner: "größe", rate: 0.5, yes: "no", nothing: null },
        flavors: { onnx: { data: expect.any(String) }, python_function: {} },
        signature: {
          inputs: [{ name: "x", type: "tensor", "tensor-spec": { dtype: "float32" } }],
        },
      });
      expect(await mlflow.onnx.loadModel(modelUri)).toEqual(
        await mlflow.artifacts.downloadBytes(`${info.artifactUri}/${info.flavors.onnx?.data}`),
      );
    });

    it("is taken from a path, with what it needs", async () => {
      await mlflow.setExperiment(uniqueName("models"));
      const info = await mlflow.onnx.logModel(await anOnnxModel(), {
        pipRequirements: ["mlflow", "onnxruntime-gpu"],
        providers: ["CPUExecutionProvider"],
      });
      expect(await textAt(info.artifactUri, "requirements.txt")).toBe("mlflow\nonnxruntime-gpu\n");
      expect(info.flavors.onnx).toMatchObject({ providers: ["CPUExecutionProvider"] });
      const refused = (options: object) =>
        expect(mlflow.onnx.logModel(new Uint8Array(1), options)).rejects.toMatchObject({
          code: "INVALID_PARAMETER_VALUE",
        });
      await refused({ pipRequirements: "mlflow" });
      await refused({ flavors: {} });
      await expect(mlflow.onnx.logModel(await temporaryFolder())).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
      });
    });
  });
});
