// What every store promises of logged models, and of what runs used and made.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import * as spec from "../../../src/mlflow/spec.js";
import {
  ask,
  codeOf,
  codesOf,
  contract,
  INVALID,
  MISSING,
  newExperiment,
  newRun,
} from "./asking.js";

const NO_MODEL = `m-${"f".repeat(32)}`;

contract(() => {
  async function newModel(experiment_id: string, more: object = {}): Promise<string> {
    const { model } = await ask(spec.createLoggedModel, { experiment_id, ...more });
    return model?.info?.model_id as string;
  }
  const infoOf = async (model_id: string) =>
    (await ask(spec.getLoggedModel, { model_id })).model?.info;

  describe("logged models", () => {
    it("are created, filled and finished", async () => {
      const experiment_id = await newExperiment();
      const source_run_id = await newRun({ experiment_id });
      const { model } = await ask(spec.createLoggedModel, {
        experiment_id,
        name: "größe",
        model_type: "classifier",
        source_run_id,
        params: [{ key: "depth", value: "3" }],
        tags: [{ key: "team", value: "search" }],
      });
      expect(model?.info).toMatchObject({
        model_id: expect.stringMatching(/^m-[0-9a-f]{32}$/),
        experiment_id,
        name: "größe",
        model_type: "classifier",
        source_run_id,
        status: "LOGGED_MODEL_PENDING",
      });
      const model_id = model?.info?.model_id as string;
      expect(model?.info?.artifact_uri).toMatch(
        new RegExp(`/${experiment_id}/models/${model_id}/artifacts$`),
      );
      await ask(spec.setLoggedModelTags, {
        model_id,
        tags: [
          { key: "team", value: "rank" },
          { key: "x", value: "y" },
        ],
      });
      await ask(spec.deleteLoggedModelTag, { model_id, tag_key: "x" });
      await ask(spec.logLoggedModelParams, { model_id, params: [{ key: "width", value: "9" }] });
      const status = "LOGGED_MODEL_READY";
      expect((await ask(spec.finalizeLoggedModel, { model_id, status })).model?.info?.status).toBe(
        status,
      );
      const found = await ask(spec.getLoggedModel, { model_id });
      expect(found.model?.info).toMatchObject({ status, name: "größe" });
      expect(found.model?.info?.tags).toContainEqual({ key: "team", value: "rank" });
      expect(found.model?.info?.tags?.map(({ key }) => key)).not.toContain("x");
      expect(found.model?.data?.params).toEqual([
        { key: "depth", value: "3" },
        { key: "width", value: "9" },
      ]);
    });

    it("get a name when they are given none", async () => {
      const model_id = await newModel(await newExperiment());
      expect((await infoOf(model_id))?.name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
    });

    it("are deleted", async () => {
      const experiment_id = await newExperiment();
      const model_id = await newModel(experiment_id, { name: "gone" });
      expect(await ask(spec.deleteLoggedModel, { model_id })).toEqual({});
      expect(await codeOf(infoOf(model_id))).toBe(MISSING);
      const { models } = await ask(spec.searchLoggedModels, { experiment_ids: [experiment_id] });
      expect(models).toBeUndefined();
    });

    it("that cannot be are refused", async () => {
      const experiment_id = await newExperiment();
      const model_id = await newModel(experiment_id);
      expect(
        await codesOf({
          name: () => newModel(experiment_id, { name: "a/b" }),
          dots: () => newModel(experiment_id, { name: "a.b" }),
          missing: () => infoOf(NO_MODEL),
          finish: () =>
            ask(spec.finalizeLoggedModel, { model_id: NO_MODEL, status: "LOGGED_MODEL_READY" }),
          tag: () => ask(spec.deleteLoggedModelTag, { model_id, tag_key: "never there" }),
        }),
      ).toEqual({ name: INVALID, dots: INVALID, missing: MISSING, finish: MISSING, tag: MISSING });
    });

    it("keep the metrics that measure them, for each dataset the latest", async () => {
      const experiment_id = await newExperiment();
      const run_id = await newRun({ experiment_id });
      const model_id = await newModel(experiment_id);
      const point = { run_id, key: "loss", timestamp: 1000, model_id };
      const dataset = { dataset_name: "train", dataset_digest: "abc" };
      const input = { name: "train", digest: "abc", source_type: "local", source: "{}" };
      await ask(spec.logInputs, { run_id, datasets: [{ dataset: input }] });
      await ask(spec.logMetric, { ...point, value: 0.5, step: 0 });
      await ask(spec.logMetric, { ...point, value: 0.25, step: 1, timestamp: 1001 });
      await ask(spec.logMetric, { ...point, value: 0.75, step: 0, timestamp: 1002, ...dataset });
      const { model } = await ask(spec.getLoggedModel, { model_id });
      const metrics = (model?.data?.metrics ?? []).map((metric) => [
        metric.value,
        Number(metric.step),
        metric.dataset_name,
      ]);
      expect(metrics).toContainEqual([0.25, 1, undefined]);
      expect(metrics).toContainEqual([0.75, 0, "train"]);
      const { run } = await ask(spec.getRun, { run_id });
      expect(run?.data?.metrics).toHaveLength(1);
    });

    it("are searched", async () => {
      const experiment_id = await newExperiment();
      for (const [name, depth] of [
        ["one", "1"],
        ["two", "2"],
        ["three", "3"],
      ] as const) {
        await newModel(experiment_id, {
          name,
          params: [{ key: "depth", value: depth }],
          tags: [{ key: "odd", value: String(Number(depth) % 2) }],
        });
        await delay(5);
      }
      const search = async (more: object) => {
        const request = { experiment_ids: [experiment_id], ...more };
        const answer = await ask(spec.searchLoggedModels, request);
        return { ...answer, names: (answer.models ?? []).map(({ info }) => info?.name) };
      };
      expect((await search({})).names).toEqual(["three", "two", "one"]);
      expect((await search({ filter: "name = 'two'" })).names).toEqual(["two"]);
      expect((await search({ filter: "params.depth = '3'" })).names).toEqual(["three"]);
      expect((await search({ filter: "tags.odd = '1'" })).names).toEqual(["three", "one"]);
      const order_by = [{ field_name: "name", ascending: true }];
      expect((await search({ order_by })).names).toEqual(["one", "three", "two"]);
      const first = await search({ max_results: 2 });
      expect(first.names).toEqual(["three", "two"]);
      const rest = await search({ max_results: 2, page_token: first.next_page_token });
      expect(rest.names).toEqual(["one"]);
      expect(rest.next_page_token).toBeUndefined();
    });
  });

  describe("what a run used and made", () => {
    const dataset = {
      name: "prices",
      digest: "a1b2",
      source_type: "http",
      source: '{"url": "https://example.com/größe.csv"}',
      schema: '{"mlflow_colspec": [{"type": "long", "name": "a", "required": true}]}',
      profile: '{"num_rows": 3}',
    };

    it("is told with it", async () => {
      const experiment_id = await newExperiment();
      const run_id = await newRun({ experiment_id });
      const model_id = await newModel(experiment_id);
      const tags = [
        { key: "mlflow.data.context", value: "training: 100%" },
        { key: "yes", value: "no" },
      ];
      await ask(spec.logInputs, {
        run_id,
        datasets: [{ tags, dataset }],
        models: [{ model_id }],
      });
      // Again: nothing changes.
      await ask(spec.logInputs, { run_id, datasets: [{ tags, dataset }] });
      await ask(spec.logOutputs, { run_id, models: [{ model_id, step: 7 }] });
      const { run } = await ask(spec.getRun, { run_id });
      expect(run?.inputs?.dataset_inputs).toEqual([
        { tags: expect.arrayContaining(tags), dataset },
      ]);
      expect(run?.inputs?.model_inputs).toEqual([{ model_id }]);
      const made = (run?.outputs?.model_outputs ?? []).map(({ model_id: id, step }) => [
        id,
        Number(step),
      ]);
      expect(made).toEqual([[model_id, 7]]);
    });

    it("may lack a schema and a profile, and be shared by runs", async () => {
      const experiment_id = await newExperiment();
      const { schema: _, profile: __, ...bare } = dataset;
      for (const context of ["training", "testing"]) {
        const run_id = await newRun({ experiment_id });
        const tags = [{ key: "mlflow.data.context", value: context }];
        await ask(spec.logInputs, { run_id, datasets: [{ tags, dataset: bare }] });
        const { run } = await ask(spec.getRun, { run_id });
        expect(run?.inputs?.dataset_inputs).toEqual([{ tags, dataset: bare }]);
      }
    });

    it("is refused for a run that is not there", async () => {
      const run_id = "f".repeat(32);
      expect(await codeOf(ask(spec.logInputs, { run_id, datasets: [{ dataset }] }))).toBe(MISSING);
      const models = [{ model_id: NO_MODEL }];
      expect(await codeOf(ask(spec.logOutputs, { run_id, models }))).toBe(MISSING);
    });
  });
});
