// What every store promises of runs, from creation to restoring: the server's own answers.
import { describe, expect, it } from "vitest";
import * as spec from "../../../src/mlflow/spec.js";
import {
  ask,
  askLoosely,
  codeOf,
  codesOf,
  contract,
  INVALID,
  MISSING,
  NO_EXPERIMENT,
  NO_RUN,
  newExperiment,
  newRun,
  plain,
} from "./asking.js";

contract(() => {
  describe("runs", () => {
    const anInfo = (run_id: unknown, experiment_id: string) => ({
      run_id,
      run_uuid: run_id,
      experiment_id,
      run_name: expect.stringMatching(/^[a-z]+-[a-z]+-\d+$/),
      user_id: "",
      status: "RUNNING",
      start_time: 0,
      artifact_uri: expect.stringMatching(new RegExp(`/${experiment_id}/[0-9a-f]{32}/artifacts$`)),
      lifecycle_stage: "active",
    });
    const anId = expect.stringMatching(/^[0-9a-f]{32}$/);

    it("are created with a name that the store invents", async () => {
      const experiment_id = await newExperiment();
      const answer = await ask(spec.createRun, { experiment_id });
      const run_name = answer.run?.info?.run_name;
      expect(plain(answer)).toEqual({
        run: {
          info: anInfo(anId, experiment_id),
          data: { tags: [{ key: "mlflow.runName", value: run_name }] },
        },
      });
      expect(answer.run?.info?.run_uuid).toBe(answer.run?.info?.run_id);
      const run_id = answer.run?.info?.run_id as string;
      expect(plain(await ask(spec.getRun, { run_id }))).toEqual(plain(answer));
      expect(answer.run?.info?.artifact_uri).toContain(`/${run_id}/`);
    });

    it("are created with name, user, time and tags", async () => {
      const experiment_id = await newExperiment();
      const answer = await ask(spec.createRun, {
        experiment_id,
        run_name: "größe",
        user_id: "ada",
        start_time: 5,
        tags: [
          { key: "genops.team", value: "search" },
          { key: "mlflow.user", value: "bob" },
        ],
      });
      expect(plain(answer)).toEqual({
        run: {
          info: {
            ...anInfo(anId, experiment_id),
            run_name: "größe",
            user_id: "ada",
            start_time: 5,
          },
          data: {
            tags: [
              { key: "genops.team", value: "search" },
              { key: "mlflow.runName", value: "größe" },
              { key: "mlflow.user", value: "bob" },
            ],
          },
        },
      });
    });

    it("have one name, in their info and as a tag", async () => {
      const experiment_id = await newExperiment();
      const tagged = (value: string) => [{ key: "mlflow.runName", value }];
      const create = (run_name: string | undefined, tags?: spec.KeyValueMessage[]) =>
        ask(spec.createRun, { experiment_id, start_time: 1, run_name, tags });
      const { run } = await create(undefined, tagged("by tag"));
      expect(run?.info?.run_name).toBe("by tag");
      expect((await create("same", tagged("same"))).run?.info?.run_name).toBe("same");
      expect((await create("")).run?.info?.run_name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
      expect(await codeOf(create("x", tagged("y")))).toBe(INVALID);

      const run_id = run?.info?.run_id as string;
      const names = async () => {
        const { info, data } = (await ask(spec.getRun, { run_id })).run ?? {};
        return [info?.run_name, data?.tags?.find(({ key }) => key === "mlflow.runName")?.value];
      };
      await ask(spec.updateRun, { run_id, run_name: "updated" });
      expect(await names()).toEqual(["updated", "updated"]);
      await ask(spec.setTag, { run_id, key: "mlflow.runName", value: "set" });
      expect(await names()).toEqual(["set", "set"]);
      await ask(spec.logBatch, { run_id, tags: tagged("batch") });
      expect(await names()).toEqual(["batch", "batch"]);
      await ask(spec.updateRun, { run_id, run_name: "" });
      expect(await names()).toEqual(["batch", "batch"]);
      await ask(spec.deleteTag, { run_id, key: "mlflow.runName" });
      expect(await names()).toEqual(["batch", undefined]);
    });

    it("change status and end time, and nothing they are not told", async () => {
      const experiment_id = await newExperiment();
      const run_id = await newRun({ experiment_id, run_name: "r", user_id: "ada" });
      const info = {
        ...anInfo(run_id, experiment_id),
        run_name: "r",
        user_id: "ada",
        start_time: 1000,
      };
      const update = async (changes: { status?: string; end_time?: number }) =>
        plain(await ask(spec.updateRun, { run_id, ...changes }));
      expect(await update({})).toEqual({ run_info: info });
      const ended = { ...info, status: "FINISHED", end_time: 7700 };
      expect(await update({ status: "FINISHED", end_time: 7700 })).toEqual({ run_info: ended });
      for (const status of ["RUNNING", "SCHEDULED", "FAILED", "KILLED"]) {
        expect(await update({ status })).toEqual({ run_info: { ...ended, status } });
      }
      expect(await update({ end_time: 12 })).toEqual({
        run_info: { ...ended, status: "KILLED", end_time: 12 },
      });
      const { run } = await ask(spec.getRun, { run_id });
      expect(plain(run?.info)).toEqual({ ...ended, status: "KILLED", end_time: 12 });
    });

    it("are deleted, refuse every write, and are restored as they were", async () => {
      const experiment_id = await newExperiment();
      const run_id = await newRun({ experiment_id });
      await ask(spec.setTag, { run_id, key: "a", value: "b" });
      await ask(spec.logMetric, { run_id, key: "m", value: 1, timestamp: 1, step: 0 });
      const before = plain(await ask(spec.getRun, { run_id }));
      expect(await ask(spec.deleteRun, { run_id })).toEqual({});
      expect(await ask(spec.deleteRun, { run_id })).toEqual({});
      const { run } = await ask(spec.getRun, { run_id });
      expect(run?.info?.lifecycle_stage).toBe("deleted");
      const history = await ask(spec.getMetricHistory, { run_id, metric_key: "m" });
      expect(history.metrics).toHaveLength(1);
      expect(Object.keys(await ask(spec.listArtifacts, { run_id }))).toEqual(["root_uri"]);
      const writes = {
        metric: () => ask(spec.logMetric, { run_id, key: "m", value: 1, timestamp: 1, step: 0 }),
        param: () => ask(spec.logParam, { run_id, key: "p", value: "1" }),
        tag: () => ask(spec.setTag, { run_id, key: "a", value: "c" }),
        "tag removal": () => ask(spec.deleteTag, { run_id, key: "a" }),
        batch: () => ask(spec.logBatch, { run_id, tags: [{ key: "a", value: "c" }] }),
        update: () => ask(spec.updateRun, { run_id, status: "FINISHED" }),
      };
      expect(new Set(Object.values(await codesOf(writes)))).toEqual(new Set([INVALID]));
      expect(await ask(spec.restoreRun, { run_id })).toEqual({});
      expect(await ask(spec.restoreRun, { run_id })).toEqual({});
      expect(plain(await ask(spec.getRun, { run_id }))).toEqual(before);
    });

    it("that are not there are missing, whatever is asked of them", async () => {
      const run_id = NO_RUN;
      const calls = {
        get: () => ask(spec.getRun, { run_id }),
        update: () => ask(spec.updateRun, { run_id, status: "FINISHED" }),
        delete: () => ask(spec.deleteRun, { run_id }),
        restore: () => ask(spec.restoreRun, { run_id }),
        metric: () => ask(spec.logMetric, { run_id, key: "m", value: 1, timestamp: 1, step: 0 }),
        param: () => ask(spec.logParam, { run_id, key: "p", value: "1" }),
        tag: () => ask(spec.setTag, { run_id, key: "a", value: "c" }),
        "tag removal": () => ask(spec.deleteTag, { run_id, key: "a" }),
        batch: () => ask(spec.logBatch, { run_id, tags: [{ key: "a", value: "c" }] }),
        artifacts: () => ask(spec.listArtifacts, { run_id }),
        "an experiment": () => ask(spec.createRun, { experiment_id: NO_EXPERIMENT }),
      };
      const codes = await codesOf(calls);
      expect(codes).toEqual(Object.fromEntries(Object.keys(calls).map((key) => [key, MISSING])));
      // The server has no history to show, and does not look for the run.
      expect(await ask(spec.getMetricHistory, { run_id, metric_key: "m" })).toEqual({});
    });

    it("cannot be asked for without an id", async () => {
      for (const endpoint of [
        spec.getRun,
        spec.updateRun,
        spec.deleteRun,
        spec.restoreRun,
        spec.listArtifacts,
      ]) {
        expect([endpoint.route, await codeOf(askLoosely(endpoint, {}))]).toEqual([
          endpoint.route,
          INVALID,
        ]);
      }
    });
  });
});
