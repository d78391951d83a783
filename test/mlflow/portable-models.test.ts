// Models from the build that names no runtime, as a page uses it: over REST, without files or YAML.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import * as mlflow from "../../src/mlflow/index.js";
import { currentRuntime } from "../../src/runtime/capabilities.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { prepareModelPython } from "../support/model-python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { bytesAt } from "./artifact-bytes.js";
import { pythonOf } from "./run-python.js";

describe.runIf(requiresMlflow())("a model that is logged without a runtime's abilities", () => {
  it("is loaded by Python, and predicts the same", async () => {
    expect(currentRuntime()).toEqual({});
    const python = await prepareModelPython(inject("pythonPath") as string);
    const path = join(await temporaryFolder(), "linear.onnx");
    await pythonOf(python, "onnx_make.py", path);
    const uri = inject("mlflowServerUri") as string;
    mlflow.setTrackingUri(uri);
    await mlflow.setExperiment(uniqueName("portable"));
    const x = { data: new Float32Array([1, 2]), shape: [1, 2] };
    const y = { data: new Float32Array([5.5]), shape: [1, 1] };
    const run = await mlflow.startRun();
    await mlflow.logInput(await mlflow.data.fromTensors(x, { source: "https://example.com/x" }));
    const info = await mlflow.onnx.logModel(new Uint8Array(await readFile(path)), {
      signature: mlflow.inferSignature({ x }, { y }),
      inputExample: { x },
      metadata: { rate: 1e-7, yes: "no" },
    });
    await mlflow.endRun();
    // Without a YAML writer it is JSON, which is YAML.
    const text = new TextDecoder().decode(await bytesAt(info.artifactUri, "MLmodel"));
    expect(JSON.parse(text)).toMatchObject({ model_id: info.modelId });
    expect(await pythonOf(python, "onnx_load.py", uri, info.modelUri)).toMatchObject({
      predicted: [[5.5], [11.5], [0.5]],
      model_id: info.modelId,
      run_id: run.info.runId,
      example: [[1, 2]],
    });
    const logged = new Uint8Array(await readFile(path));
    expect(await mlflow.getModelInfo(info.modelUri)).toMatchObject({ flavors: info.flavors });
    expect(await mlflow.onnx.loadModel(info.modelUri)).toEqual(logged);
    // What Python writes is YAML that is no JSON.
    const client = new mlflow.MlflowClient();
    const yaml = "flavors:\n  onnx:\n    data: model.onnx\n";
    await client.logModelArtifact(info.modelId as string, yaml, "MLmodel");
    await expect(mlflow.getModelInfo(info.modelUri)).rejects.toMatchObject({
      code: "NOT_IMPLEMENTED",
    });
    expect(await mlflow.onnx.loadModel(info.modelUri)).toEqual(logged);
    await expect(mlflow.logModel("/some/folder")).rejects.toMatchObject({
      code: "NOT_IMPLEMENTED",
    });
  });
});
