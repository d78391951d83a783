// Trainings of TensorFlow.js that log themselves: what is logged, and that training never suffers.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as tf from "@tensorflow/tfjs";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { closedServer, uniqueName } from "../adapter/workplace.js";
import { onEachStore } from "./each-store.js";

const ORIGINALS = {
  fit: tf.LayersModel.prototype.fit,
  fitDataset: tf.LayersModel.prototype.fitDataset,
  sequentialFit: tf.Sequential.prototype.fit,
  sequentialFitDataset: tf.Sequential.prototype.fitDataset,
};
const methods = () => ({
  fit: tf.LayersModel.prototype.fit,
  fitDataset: tf.LayersModel.prototype.fitDataset,
  sequentialFit: tf.Sequential.prototype.fit,
  sequentialFitDataset: tf.Sequential.prototype.fitDataset,
});

afterEach(() => {
  mlflow.tensorflow.autolog(tf, { disable: true });
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function aModel(units = 1): tf.Sequential {
  const model = tf.sequential();
  model.add(tf.layers.dense({ units: 3, inputShape: [2], activation: "relu" }));
  model.add(tf.layers.dense({ units }));
  model.compile({ optimizer: tf.train.sgd(0.01), loss: "meanSquaredError", metrics: ["mae"] });
  return model;
}
const xs = tf.tensor2d([
  [0, 1],
  [1, 0],
  [1, 1],
  [0, 0],
]);
const ys = tf.tensor2d([[1], [1], [2], [0]]);
const FIT = { epochs: 3, batchSize: 2, shuffle: false };

describe("autolog of TensorFlow.js", () => {
  it("puts back the functions as they were, when it is turned off", async () => {
    const off = mlflow.tensorflow.autolog(tf);
    expect(methods().fit).not.toBe(ORIGINALS.fit);
    expect(methods().sequentialFit).not.toBe(ORIGINALS.sequentialFit);
    mlflow.tensorflow.autolog(tf, { logModels: false });
    off();
    expect(methods()).toEqual(ORIGINALS);
    off();
    mlflow.tensorflow.autolog(tf);
    mlflow.tensorflow.autolog(tf, { disable: true });
    for (const [name, method] of Object.entries(methods())) {
      expect(method).toBe(ORIGINALS[name as keyof typeof ORIGINALS]);
    }
  });

  it("leaves alone what somebody else put over it, and is silent there", async () => {
    const off = mlflow.tensorflow.autolog(tf);
    const ours = tf.LayersModel.prototype.fit;
    const theirs = function (this: tf.LayersModel, ...args: Parameters<typeof ours>) {
      return ours.apply(this, args);
    };
    tf.LayersModel.prototype.fit = theirs;
    onTestFinished(() => {
      tf.LayersModel.prototype.fit = ORIGINALS.fit;
    });
    off();
    expect(tf.LayersModel.prototype.fit).toBe(theirs);
    mlflow.setTrackingUri(await closedServer());
    const warned = vi.spyOn(console, "warn");
    const history = await aModel().fit(xs, ys, FIT);
    expect(history.history.loss).toHaveLength(3);
    expect(warned).not.toHaveBeenCalled();
  });

  it("refuses options it does not know, and what is not the module", () => {
    const invalid = expect.objectContaining({ code: "INVALID_PARAMETER_VALUE" });
    const attempt = (...args: unknown[]) => {
      try {
        mlflow.tensorflow.autolog(...(args as [never]));
      } catch (error) {
        return error;
      }
    };
    expect(attempt(tf, { logModel: true })).toEqual(invalid);
    expect(attempt(tf, { logEveryNEpochs: 0 })).toEqual(invalid);
    expect(attempt(tf, { logModels: "yes" })).toEqual(invalid);
    expect(attempt({})).toEqual(invalid);
    expect(methods()).toEqual(ORIGINALS);
  });

  it("lets a training go on when the server is away from the start", async () => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    mlflow.setTrackingUri(await closedServer());
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    mlflow.tensorflow.autolog(tf);
    const history = await aModel().fit(xs, ys, FIT);
    expect(history.history.loss).toHaveLength(3);
    expect(String(warned.mock.calls)).toContain("a training is not logged");
    mlflow.tensorflow.autolog(tf, { silent: true });
    warned.mockClear();
    await aModel().fit(xs, ys, FIT);
    expect(warned).not.toHaveBeenCalled();
  });

  it("lets a training go on when the server fails in the middle and at the end", async () => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    const server = createServer((request, answer) => {
      request.resume();
      const created = request.url?.endsWith("/runs/create");
      answer.writeHead(created ? 200 : 500, { "content-type": "application/json" });
      const info = { run_id: "r1", experiment_id: "0", artifact_uri: "mlflow-artifacts:/0/r1" };
      answer.end(created ? JSON.stringify({ run: { info } }) : "{}");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    mlflow.setTrackingUri(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    mlflow.tensorflow.autolog(tf);
    const history = await aModel().fit(xs, ys, FIT);
    expect(history.history.loss).toHaveLength(3);
    const said = String(warned.mock.calls);
    for (const what of ["the params", "the metrics", "the model", "a training is not logged"]) {
      expect(said).toContain(what);
    }
  });
});

onEachStore(() => {
  describe("a training of TensorFlow.js", () => {
    async function runsOf(experimentId: string): Promise<mlflow.Run[]> {
      return mlflow.searchRuns({ experimentIds: [experimentId] });
    }

    it("gets a run of its own, with params, metrics and the model", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("autolog"));
      mlflow.tensorflow.autolog(tf, { extraTags: { team: "search" } });
      const model = aModel();
      const history = await model.fit(xs, ys, FIT);
      expect(mlflow.activeRun()).toBeUndefined();
      const [run, ...others] = await runsOf(experimentId);
      expect(others).toEqual([]);
      expect(run?.info.status).toBe("FINISHED");
      expect(run?.data.params).toMatchObject({
        epochs: "3",
        batch_size: "2",
        shuffle: "false",
        opt_name: "SGD",
        opt_learning_rate: "0.01",
        loss: "meanSquaredError",
        num_layers: "2",
        layers: "Dense, Dense",
        num_params: "13",
      });
      expect(run?.data.tags).toMatchObject({ "mlflow.autologging": "tensorflow", team: "search" });
      const client = new mlflow.MlflowClient();
      const runId = run?.info.runId as string;
      for (const name of ["loss", "mae"]) {
        const points = await client.getMetricHistory(runId, name);
        expect(points.map(({ step }) => step)).toEqual([0, 1, 2]);
        expect(points.map(({ value }) => value)).toEqual(history.history[name]);
      }
      const files = await client.listArtifacts(runId);
      expect(files.map(({ path }) => path)).toContain("model_summary.txt");

      const [made] = run?.outputs.modelOutputs ?? [];
      const logged = await client.getLoggedModel(made?.modelId as string);
      expect(logged).toMatchObject({ status: "READY", sourceRunId: runId });
    });

    it("goes to the run that is active, and leaves it open", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("autolog"));
      mlflow.tensorflow.autolog(tf, { logModels: false, logEveryNEpochs: 2 });
      const run = await mlflow.startRun();
      await aModel().fit(xs, ys, FIT);
      expect(mlflow.activeRun()?.info.runId).toBe(run.info.runId);
      await mlflow.endRun();
      const runs = await runsOf(experimentId);
      expect(runs.map(({ info }) => info.runId)).toEqual([run.info.runId]);
      expect(runs[0]?.outputs.modelOutputs).toEqual([]);
      const points = await mlflow.getMetricHistory(run.info.runId, "loss");
      expect(points.map(({ step }) => step)).toEqual([1, 2]);
    });

    it("keeps the callbacks of the program, of either kind", async () => {
      await mlflow.setExperiment(uniqueName("autolog"));
      mlflow.tensorflow.autolog(tf, { logModels: false });
      const seen: string[] = [];
      const onEpochEnd = async (epoch: number) => void seen.push(`object ${epoch}`);
      const instance = new tf.CustomCallback({
        onEpochEnd: async (epoch) => void seen.push(`instance ${epoch}`),
      });
      const run = await mlflow.startRun();
      await aModel().fit(xs, ys, { epochs: 1, callbacks: { onEpochEnd } });
      await aModel().fit(xs, ys, { epochs: 1, callbacks: [instance, { onEpochEnd } as never] });
      const early = tf.callbacks.earlyStopping({ monitor: "loss", patience: 0, minDelta: 100 });
      const stopped = await aModel().fit(xs, ys, { epochs: 9, callbacks: early });
      await mlflow.endRun();
      expect(seen).toEqual(["object 0", "instance 0", "object 0"]);
      expect(stopped.epoch).toEqual([0, 1]);
      expect(await mlflow.getMetricHistory(run.info.runId, "loss")).toHaveLength(4);
    });

    it("that fails gives its own error, and a failed run", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("autolog"));
      mlflow.tensorflow.autolog(tf);
      const failure = new Error("stop here");
      const onEpochEnd = async (epoch: number) => {
        if (epoch === 1) throw failure;
      };
      const outcome = aModel().fit(xs, ys, { ...FIT, callbacks: { onEpochEnd } });
      await expect(outcome).rejects.toBe(failure);
      const [run] = await runsOf(experimentId);
      expect(run?.info.status).toBe("FAILED");
      expect(Object.keys(run?.data.metrics ?? {})).toContain("loss");
      const wrong = aModel().fit(tf.zeros([4, 7]), ys);
      await expect(wrong).rejects.toThrow(/shape/);
    });

    it("beside others keeps to its own run", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("autolog"));
      mlflow.tensorflow.autolog(tf, { logModels: false });
      await Promise.all([2, 3, 4].map((epochs) => aModel().fit(xs, ys, { epochs })));
      await mlflow.withRun({ runName: "outer" }, async () => {
        const inner = (epochs: number) =>
          mlflow.withRun({ nested: true }, () => aModel().fit(xs, ys, { epochs }));
        await Promise.all([inner(5), inner(6)]);
      });
      const found = await Promise.all(
        (await runsOf(experimentId)).map(async ({ info, data }) => {
          const points = await mlflow.getMetricHistory(info.runId, "loss");
          return `${info.status} ${data.params.epochs ?? "none"} ${points.length}`;
        }),
      );
      expect(found.sort()).toEqual(
        ["2 2", "3 3", "4 4", "5 5", "6 6", "none 0"].map((run) => `FINISHED ${run}`),
      );
    });

    it("from a dataset is logged too", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("autolog"));
      mlflow.tensorflow.autolog(tf, { logModels: false });
      const rows = tf.data.zip({
        xs: tf.data.array([
          [0, 1],
          [1, 1],
        ]),
        ys: tf.data.array([[1], [2]]),
      });
      await aModel().fitDataset(rows.batch(1).repeat(2) as never, {
        epochs: 2,
        batchesPerEpoch: 2,
      });
      const [run] = await runsOf(experimentId);
      expect(run?.data.params).toMatchObject({ epochs: "2", steps_per_epoch: "2" });
      expect(run?.data.params.batch_size).toBeUndefined();
      expect(await mlflow.getMetricHistory(run?.info.runId as string, "loss")).toHaveLength(2);
    });
  });

  describe("a model of TensorFlow.js", () => {
    it("is loaded as it was logged", async () => {
      await mlflow.setExperiment(uniqueName("tfjs"));
      const model = aModel();
      const info = await mlflow.tfjs.logModel(model, {
        name: "net",
        signature: mlflow.inferSignature(xs, ys),
      });
      expect(info.flavors).toEqual({ tfjs: { data: "model", model_file: "model/model.json" } });
      const loaded = await mlflow.tfjs.loadModel(info.modelUri, tf);
      const [ours, theirs] = [model.predict(xs), loaded.predict(xs)] as tf.Tensor[];
      expect(Array.from(theirs?.dataSync() ?? [])).toEqual(Array.from(ours?.dataSync() ?? []));
      expect(info.signature?.inputs).toEqual([
        { type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 2] } },
      ]);
    });
  });
});
