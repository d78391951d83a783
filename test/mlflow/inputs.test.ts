// Datasets, pictures and figures of runs, and models tied to them: from both languages.
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { bytesAt } from "./artifact-bytes.js";
import { callsOf, onEachStore } from "./each-store.js";
import { python } from "./run-python.js";

const INVALID = { code: "INVALID_PARAMETER_VALUE" };
const PNG = Uint8Array.from(
  atob(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  ),
  (character) => character.charCodeAt(0),
);

async function allOf<T>(found: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of found) all.push(one);
  return all;
}

describe("a dataset", () => {
  it("knows its columns, its rows and where it is from", async () => {
    const rows = [
      { a: 1, b: "x" },
      { a: 2, b: null },
    ];
    const dataset = await mlflow.data.fromRows(rows, { source: "s3://bucket/d.csv", name: "rows" });
    expect({ ...dataset, schema: JSON.parse(dataset.schema as string) }).toEqual({
      name: "rows",
      digest: expect.stringMatching(/^[0-9a-f]{8}$/),
      sourceType: "s3",
      source: '{"uri":"s3://bucket/d.csv"}',
      schema: {
        mlflow_colspec: [
          { type: "long", name: "a", required: true },
          { type: "string", name: "b", required: false },
        ],
      },
      profile: '{"num_rows":2,"num_elements":4}',
    });
    const again = await mlflow.data.fromRows(structuredClone(rows));
    expect(again).toMatchObject({ digest: dataset.digest, sourceType: "code" });
    const other = await mlflow.data.fromRows([{ a: 1, b: "x" }]);
    expect(other.digest).not.toBe(dataset.digest);
  });

  it("may be arrays inside arrays", async () => {
    const features = [
      [1, 2.5],
      [3, 4],
    ];
    const dataset = await mlflow.data.fromTensors(features, { targets: [0, 1] });
    expect(JSON.parse(dataset.schema as string)).toEqual({
      mlflow_tensorspec: {
        features: [{ type: "tensor", "tensor-spec": { dtype: "float64", shape: [-1, 2] } }],
        targets: [{ type: "tensor", "tensor-spec": { dtype: "int64", shape: [-1] } }],
      },
    });
    const sameParts = { data: features.flat(), shape: [2, 2] };
    const targets = { data: [0, 1], shape: [2] };
    const same = await mlflow.data.fromTensors(sameParts, { targets });
    expect(dataset).toMatchObject({ digest: same.digest, profile: same.profile });
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a number", 3],
    ["a text", "abc"],
    ["an object", { a: 1 }],
    ["arrays of several lengths", [[1, 2], [3]]],
    ["arrays that are deeper here and there", [1, [2]]],
    ["arrays of objects", [{ a: 1 }]],
    ["a shape without values", { data: undefined, shape: [1] }],
  ])("is refused when its tensor is %s", async (_label, value) => {
    await expect(mlflow.data.fromTensors(value)).rejects.toMatchObject(INVALID);
    if (value === undefined) return;
    const targets = mlflow.data.fromTensors(new Float32Array(1), { targets: value });
    await expect(targets).rejects.toMatchObject(INVALID);
  });

  it("may be tensors, or only a source", async () => {
    const features = { data: new Float32Array(6), shape: [3, 2] };
    const tensors = await mlflow.data.fromTensors(features, { targets: new Int32Array(3) });
    expect(JSON.parse(tensors.schema as string)).toEqual({
      mlflow_tensorspec: {
        features: [{ type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 2] } }],
        targets: [{ type: "tensor", "tensor-spec": { dtype: "int32", shape: [-1] } }],
      },
    });
    expect(JSON.parse(tensors.profile as string)).toMatchObject({ features_shape: [3, 2] });
    const source = await mlflow.data.fromSource("https://example.com/x.csv");
    expect(source).toMatchObject({
      sourceType: "http",
      source: '{"url":"https://example.com/x.csv"}',
      schema: undefined,
    });
    const local = await mlflow.data.fromSource("/data/x.csv", { digest: "mine" });
    expect(local).toMatchObject({ sourceType: "local", digest: "mine" });
  });

  it("that is none is refused", async () => {
    await expect(mlflow.data.fromRows([])).rejects.toMatchObject(INVALID);
    await expect(mlflow.data.fromRows([1] as never)).rejects.toMatchObject(INVALID);
    await expect(mlflow.data.fromRows([{ a: [1, "x"] }])).rejects.toMatchObject(INVALID);
    await expect(mlflow.data.fromRows([{ a: 1 }], { nam: "x" } as never)).rejects.toThrow(/'name'/);
    await expect(mlflow.data.fromSource("")).rejects.toMatchObject(INVALID);
    const wrong = { data: new Float32Array(5), shape: [3, 2] };
    await expect(mlflow.data.fromTensors(wrong)).rejects.toThrow(/6 values/);
  });
});

onEachStore(() => {
  describe("a run", () => {
    it("tells what it used", async () => {
      await mlflow.setExperiment(uniqueName("inputs"));
      const dataset = await mlflow.data.fromRows([{ a: 1 }], { name: "größe" });
      const run = await mlflow.startRun();
      await mlflow.logInput(dataset, { context: "training", tags: { fold: 3 } });
      const { modelId } = await mlflow.initializeLoggedModel({ name: "base" });
      const calls = await callsOf(() => mlflow.logInputs({ modelIds: [modelId] }));
      expect(calls).toEqual(["POST runs/log-inputs"]);
      expect(await callsOf(() => mlflow.logInputs({}))).toEqual([]);
      await mlflow.logOutputs([{ modelId, step: 2 }]);
      await mlflow.endRun();
      const { inputs, outputs } = await mlflow.getRun(run.info.runId);
      expect(inputs).toEqual({
        datasetInputs: [{ dataset, tags: { "mlflow.data.context": "training", fold: "3" } }],
        modelInputs: [{ modelId }],
      });
      expect(outputs).toEqual({ modelOutputs: [{ modelId, step: 2 }] });
      const wrong = mlflow.logInput({ ...dataset, digest: "" });
      await expect(wrong).rejects.toThrow(/dataset.digest/);
    });

    it("keeps pictures in series, and figures", async () => {
      await mlflow.setExperiment(uniqueName("pictures"));
      const run = await mlflow.startRun();
      await mlflow.logImage(PNG, { key: "cats/one", step: 3, timestamp: 1_700_000_000_000 });
      await mlflow.logImage(PNG, "static.png");
      await mlflow.logFigure("<svg xmlns='http://www.w3.org/2000/svg'/>", "plots/a.svg");
      await mlflow.logFigure(PNG, "plots/b.png");
      await mlflow.endRun();
      const client = new mlflow.MlflowClient();
      const { runId, artifactUri } = run.info;
      const names = (await client.listArtifacts(runId, "images")).map(({ path }) => path);
      const series = /^images\/cats~one\+step\+3\+timestamp\+1700000000000\+[0-9a-f-]{36}/;
      expect(names).toHaveLength(2);
      for (const name of names) expect(name).toMatch(series);
      expect(names.map((name) => name.replace(series, "")).sort()).toEqual([
        "+compressed.webp",
        ".png",
      ]);
      expect(Buffer.from(await bytesAt(artifactUri, names[0] as string))).toEqual(Buffer.from(PNG));
      const plots = await client.listArtifacts(runId, "plots");
      expect(plots.map(({ path }) => path)).toEqual(["plots/a.svg", "plots/b.png"]);
      expect((await mlflow.getRun(runId)).data.tags["mlflow.loggedImages"]).toBe("True");
      expect(await mlflow.getArtifactUri().catch(({ code }) => code)).toBe("INVALID_STATE");

      await mlflow.withRun({}, async () => {
        await expect(mlflow.logImage(PNG, { key: "a#b" })).rejects.toMatchObject(INVALID);
        const notPng = mlflow.logImage(new Uint8Array(3), { key: "a" });
        await expect(notPng).rejects.toMatchObject(INVALID);
        await expect(mlflow.logFigure("text", "a.png")).rejects.toMatchObject(INVALID);
        expect(await mlflow.getArtifactUri("x/y.txt")).toMatch(/artifacts\/x\/y.txt$/);
      });
    });

    it("tells a metric's history page after page", async () => {
      await mlflow.setExperiment(uniqueName("history"));
      const run = await mlflow.startRun();
      const client = new mlflow.MlflowClient();
      const { runId } = run.info;
      const metrics = Array.from({ length: 5 }, (_, step) => ({ key: "m", value: step, step }));
      await client.logBatch(runId, { metrics });
      await mlflow.endRun();
      const values: number[] = [];
      const calls = await callsOf(async () => {
        for await (const { value } of client.getMetricHistoryIterator(runId, "m", {
          maxResults: 2,
        })) {
          values.push(value);
          if (values.length === 3) break;
        }
      });
      expect(values).toEqual([0, 1, 2]);
      expect(calls).toEqual(["GET metrics/get-history", "GET metrics/get-history"]);
      const all = client.getMetricHistoryIterator(runId, "m", { maxResults: 2 });
      expect((await allOf(all)).map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
    });

    it("keeps tables, that grow and are compared between runs", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("tables"));
      const first = await mlflow.startRun();
      await mlflow.logTable([{ a: 1, b: "größe" }], "eval/table.json");
      await mlflow.logTable({ a: [2], c: ["x"] }, "eval/table.json");
      await mlflow.endRun();
      const second = await mlflow.startRun();
      await mlflow.logTable([{ a: 3 }], "eval/table.json");
      await mlflow.endRun();
      const ofFirst = [
        { a: 1, b: "größe", c: null },
        { a: 2, b: null, c: "x" },
      ];
      const runIds = [first.info.runId];
      expect(await mlflow.loadTable("eval/table.json", { runIds })).toEqual(ofFirst);
      const all = await mlflow.loadTable("eval/table.json", { withRunId: true });
      expect(all).toHaveLength(3);
      expect(all).toContainEqual({ a: 3, run_id: second.info.runId });
      const { tags } = (await mlflow.getRun(first.info.runId)).data;
      expect(tags["mlflow.loggedArtifacts"]).toBe('[{"path":"eval/table.json","type":"table"}]');
      if (requiresMlflow()) {
        const uri = mlflow.getTrackingUri();
        const read = await python("table.py", uri, experimentId, first.info.runId);
        expect(read).toEqual([...ofFirst, { a: 9, b: "python", c: null }]);
        expect(await mlflow.loadTable("eval/table.json", { runIds })).toEqual(read);
      }
      const missing = mlflow.loadTable("nothing.json");
      await expect(missing).rejects.toMatchObject({ code: "RESOURCE_DOES_NOT_EXIST" });
      await mlflow.withRun({}, async () => {
        await expect(mlflow.logTable([], "t.json")).rejects.toMatchObject(INVALID);
        await expect(mlflow.logTable({ a: [1], b: [] }, "t.json")).rejects.toMatchObject(INVALID);
        await expect(mlflow.logTable([{ a: 1 }], "t.csv")).rejects.toMatchObject(INVALID);
      });
    });

    it("keeps every row that is added at once, and names every table", async () => {
      await mlflow.setExperiment(uniqueName("at-once"));
      const { info } = await mlflow.startRun();
      const numbers = [...Array(10).keys()];
      await Promise.all([
        ...numbers.map((i) => mlflow.logTable([{ i }], "one.json")),
        ...numbers.slice(0, 3).map((i) => mlflow.logTable([{ i }], `other${i}.json`)),
      ]);
      await mlflow.endRun();
      const rows = await mlflow.loadTable("one.json", { runIds: [info.runId] });
      expect(rows).toEqual(numbers.map((i) => ({ i })));
      const tag = (await mlflow.getRun(info.runId)).data.tags["mlflow.loggedArtifacts"] ?? "";
      const paths = (JSON.parse(tag) as { path: string }[]).map(({ path }) => path).sort();
      expect(paths).toEqual(["one.json", "other0.json", "other1.json", "other2.json"]);
    });

    it("keeps tables that the run's tag has no room to name, and leaves a tag alone that is no list", async () => {
      await mlflow.setExperiment(uniqueName("no-room"));
      const { info } = await mlflow.startRun();
      await mlflow.setTag("mlflow.loggedArtifacts", '[{"path":"cut off');
      await mlflow.logTable([{ a: 1 }], "t.json");
      const full = JSON.stringify([{ path: `${"x".repeat(7940)}.json`, type: "table" }]);
      await mlflow.setTag("mlflow.loggedArtifacts", full);
      await mlflow.logTable([{ a: 2 }], "t.json");
      await mlflow.endRun();
      expect((await mlflow.getRun(info.runId)).data.tags["mlflow.loggedArtifacts"]).toBe(full);
      const { runId } = info;
      const table = await mlflow.artifacts.loadDict({ runId, artifactPath: "t.json" });
      expect(table).toEqual({ columns: ["a"], data: [[1], [2]] });
    });

    it("adds to a table after an addition that failed", async () => {
      await mlflow.setExperiment(uniqueName("after"));
      const { info } = await mlflow.startRun();
      await mlflow.logText("[]", "t.json");
      const failed = mlflow.logTable([{ a: 1 }], "t.json");
      const other = mlflow.logTable([{ a: 2 }], "u.json");
      await expect(failed).rejects.toMatchObject({ code: "INVALID_STATE" });
      await other;
      await mlflow.endRun();
      expect(await mlflow.loadTable("u.json", { runIds: [info.runId] })).toEqual([{ a: 2 }]);
    });

    it("is found one after the other, with the run above it", async () => {
      const { experimentId } = await mlflow.setExperiment(uniqueName("many"));
      const parent = await mlflow.startRun();
      for (let index = 0; index < 5; index++) {
        await mlflow.withRun({ nested: true }, () => mlflow.logMetric("index", index));
      }
      await mlflow.endRun();
      const search = { filterString: "metrics.index >= 1", orderBy: ["metrics.index DESC"] };
      const found: number[] = [];
      const calls = await callsOf(async () => {
        for await (const { data, info } of mlflow.searchRunsIterator({
          ...search,
          maxResults: 2,
        })) {
          found.push(data.metrics.index as number);
          expect((await mlflow.getParentRun(info.runId))?.info.runId).toBe(parent.info.runId);
          if (found.length === 3) break;
        }
      });
      expect(found).toEqual([4, 3, 2]);
      expect(calls.filter((call) => call === "POST runs/search")).toHaveLength(2);
      expect(await mlflow.getParentRun(parent.info.runId)).toBeUndefined();
      await mlflow.deleteRun(parent.info.runId);
      await mlflow.restoreRun(parent.info.runId);
      const client = new mlflow.MlflowClient();
      const all = await allOf(client.searchRunsIterator([experimentId]));
      expect(all).toHaveLength(6);
    });
  });

  describe("an experiment", () => {
    it("is tagged, renamed, deleted and restored by the fluent functions", async () => {
      const name = uniqueName("fluent");
      const { experimentId } = await mlflow.setExperiment(name);
      await mlflow.setExperimentTags({ a: 1, b: "two" });
      await mlflow.setExperimentTag("c", true);
      await mlflow.deleteExperimentTag("a");
      expect((await mlflow.getExperiment(experimentId)).tags).toEqual({ b: "two", c: "true" });
      await mlflow.renameExperiment(experimentId, `${name} anew`);
      expect((await mlflow.getExperimentByName(`${name} anew`))?.experimentId).toBe(experimentId);
      const named = mlflow.searchExperimentsIterator({ filterString: `name LIKE '${name}%'` });
      expect((await allOf(named)).map((one) => one.experimentId)).toEqual([experimentId]);
      await mlflow.deleteExperiment(experimentId);
      await mlflow.restoreExperiment(experimentId);
      expect((await mlflow.getExperiment(experimentId)).lifecycleStage).toBe("active");
    });
  });
});

describe.runIf(requiresMlflow())("Python and TypeScript", () => {
  const stores: Record<string, () => Promise<string>> = {
    "a folder": async () => join(await temporaryFolder(), "mlruns"),
    "a server": async () => inject("mlflowServerUri") as string,
  };

  async function document(client: mlflow.MlflowClient, runId: string, modelId: string) {
    const { inputs, outputs } = await client.getRun(runId);
    const model = await client.getLoggedModel(modelId);
    const { experimentId, name, status, sourceRunId, modelType, artifactLocation, params } = model;
    const found = await client.searchLoggedModels([experimentId], { filterString: "name = 'net'" });
    const fields = { modelId, name, status, sourceRunId, modelType, artifactLocation, params };
    return {
      inputs: inputs.datasetInputs,
      outputs: outputs.modelOutputs,
      model: {
        ...fields,
        team: model.tags.team,
        metrics: model.metrics.map(({ key, value, step, runId: of }) => [key, value, step, of]),
      },
      found: found.map((one) => one.modelId),
    };
  }

  it.each(Object.entries(stores))("tie the same to runs in %s", async (_label, place) => {
    const uri = await place();
    const client = new mlflow.MlflowClient({ trackingUri: uri });

    const experimentId = await client.createExperiment(uniqueName("links"));
    const { runId } = (await client.createRun(experimentId)).info;
    const dataset = await mlflow.data.fromRows([{ a: 1, b: "größe" }], { name: "rows" });
    await client.logInput(runId, dataset, { context: "no: 1", tags: { yes: "no", n: "1" } });
    const { modelId } = await client.createLoggedModel(experimentId, {
      name: "net",
      sourceRunId: runId,
      modelType: "classifier",
      params: { depth: 3 },
      tags: { team: "search" },
    });
    await client.logOutputs(runId, [{ modelId, step: 4 }]);
    await client.logMetric(runId, "loss", 0.25, { step: 2, modelId });
    await client.finalizeLoggedModel(modelId);
    const ours = await document(client, runId, modelId);
    expect(ours.inputs).toHaveLength(1);
    expect(ours.model.metrics).toEqual([["loss", 0.25, 2, runId]]);
    expect(await python("links_read.py", uri, runId, modelId)).toEqual(ours);

    const written = await python("links_write.py", uri, uniqueName("links"));
    const { run_id, model_id } = written as { run_id: string; model_id: string };
    const theirs = await document(client, run_id, model_id);
    expect(theirs.inputs[0]?.tags).toEqual({ "mlflow.data.context": "training: 1", yes: "no" });
    expect(theirs.model).toMatchObject({ name: "net", status: "READY", team: "search" });
    expect(await python("links_read.py", uri, run_id, model_id)).toEqual(theirs);
  });
});
