// The fluent functions: what is logged is read back, and concurrent runs never mix.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { callsOf, onEachStore } from "./each-store.js";

afterEach(() => vi.unstubAllEnvs());

/** The client anew, as in a process that has just begun. */
async function freshClient(): Promise<typeof mlflow> {
  const uri = mlflow.getTrackingUri();
  vi.resetModules();
  const fresh: typeof mlflow = await import("../../src/mlflow/node.js");
  fresh.setTrackingUri(uri);
  return fresh;
}

const isServer = (): boolean => mlflow.getTrackingUri().startsWith("http");

onEachStore(() => {
  describe("logging", () => {
    it("is read back as it was written", async () => {
      const experimentName = uniqueName("logging");
      const run = await mlflow.withRun(
        {
          experimentName,
          runName: "first",
          tags: { origin: "test", "mlflow.user": "ada" },
          description: "What it is",
        },
        async (active) => {
          await mlflow.logParam("rate", 0.01);
          await mlflow.logParams({ layers: [64, 32], "opt/name": "adam", verbose: false, n: 2n });
          await mlflow.logMetric("loss", 0.5);
          await mlflow.logMetric("loss", 0.25, 1);
          await mlflow.logMetric("loss", Number.NaN, { step: 2, timestamp: 1_700_000_000_000 });
          await mlflow.logMetrics({ high: Number.POSITIVE_INFINITY, low: -1e-300 }, { step: 3 });
          await mlflow.setTag("kind", "größer");
          await mlflow.setTags({ stage: "draft", gone: "soon" });
          await mlflow.deleteTag("gone");
          return active;
        },
      );
      const { info, data } = await mlflow.getRun(run.info.runId);
      expect(info).toMatchObject({
        runName: "first",
        status: "FINISHED",
        lifecycleStage: "active",
      });
      expect(info.endTime).toBeGreaterThanOrEqual(info.startTime);
      expect(data.params).toEqual({
        rate: "0.01",
        layers: "[64,32]",
        "opt/name": "adam",
        verbose: "false",
        n: "2",
      });
      expect(data.metrics).toEqual({
        loss: Number.NaN,
        // The server's database has no infinity.
        high: isServer() ? Number.MAX_VALUE : Number.POSITIVE_INFINITY,
        low: -1e-300,
      });
      expect(data.tags).toMatchObject({
        origin: "test",
        kind: "größer",
        stage: "draft",
        "mlflow.user": "ada",
        "mlflow.runName": "first",
        "mlflow.note.content": "What it is",
        "mlflow.source.name": process.argv[1],
        "mlflow.source.type": "LOCAL",
      });
      expect(data.tags).not.toHaveProperty("gone");
      const history = await mlflow.getMetricHistory(run.info.runId, "loss");
      expect(history.map(({ value, step }) => [value, step])).toEqual([
        // By time: the last one was measured long ago.
        [Number.NaN, 2],
        [0.5, 0],
        [0.25, 1],
      ]);
      expect(history[0]?.timestamp).toBe(1_700_000_000_000);
      expect(await mlflow.getMetricHistory(run.info.runId, "none")).toEqual([]);
    });

    it("of artifacts keeps names, folders and bytes", async () => {
      const folder = await temporaryFolder();
      await mkdir(join(folder, "model/deep"), { recursive: true });
      await writeFile(join(folder, "model/weights.bin"), new Uint8Array([1, 2, 3]));
      await writeFile(join(folder, "model/deep/empty.txt"), "");
      const client = new mlflow.MlflowClient();
      const runId = await mlflow.withRun({}, async (run) => {
        await mlflow.logArtifact(join(folder, "model/weights.bin"));
        await mlflow.logArtifact(join(folder, "model"), "copies");
        await mlflow.logArtifacts(join(folder, "model"), "all");
        await mlflow.logText("größer\n", "notes/a b.txt");
        await mlflow.logDict({ a: [1] }, "config.json");
        await mlflow.logDict({ a: [1] }, "config.yaml");
        await mlflow.logBytes(new Uint8Array(70_000), "raw.bin");
        return run.info.runId;
      });
      const sizes: Record<string, number | undefined> = {};
      async function visit(path?: string): Promise<void> {
        for (const entry of await client.listArtifacts(runId, path)) {
          if (entry.isDirectory) await visit(entry.path);
          else sizes[entry.path] = entry.sizeBytes;
        }
      }
      await visit();
      expect(sizes).toEqual({
        "weights.bin": 3,
        "copies/model/weights.bin": 3,
        "copies/model/deep/empty.txt": 0,
        "all/weights.bin": 3,
        "all/deep/empty.txt": 0,
        "notes/a b.txt": 9,
        "config.json": JSON.stringify({ a: [1] }, undefined, 2).length,
        "config.yaml": "a:\n  - 1\n".length,
        "raw.bin": 70_000,
      });
    });

    it("without a run starts one, and stays with it", async () => {
      await Promise.all([mlflow.logParam("a", 1), mlflow.logParam("b", 2)]);
      const run = mlflow.activeRun();
      await mlflow.logMetric("m", 3);
      await mlflow.endRun();
      expect(mlflow.activeRun()).toBeUndefined();
      const stored = await mlflow.getRun(run?.info.runId ?? "");
      expect(stored.data.params).toEqual({ a: "1", b: "2" });
      expect(stored.data.metrics).toEqual({ m: 3 });
      expect(stored.info.status).toBe("FINISHED");
    });

    it("of nothing asks nothing of the store", async () => {
      await mlflow.withRun({}, async () => {
        const calls = await callsOf(async () => {
          await mlflow.logParams({});
          await mlflow.logMetrics({});
          await mlflow.setTags({});
        });
        expect(calls).toEqual([]);
      });
    });
  });

  describe("a run", () => {
    it("is active from startRun to endRun", async () => {
      const run = await mlflow.startRun({ runName: "bare" });
      expect(mlflow.activeRun()?.info.runId).toBe(run.info.runId);
      await mlflow.logParam("p", 1);
      await mlflow.endRun("KILLED");
      expect(mlflow.activeRun()).toBeUndefined();
      await mlflow.endRun();
      const stored = await mlflow.getRun(run.info.runId);
      expect(stored.info.status).toBe("KILLED");
      expect(stored.data.params).toEqual({ p: "1" });
      expect((await mlflow.lastActiveRun())?.info).toEqual(stored.info);
    });

    it("started in a function that waited first is found by its caller", async () => {
      async function setUp(): Promise<string> {
        await delay(1);
        return (await mlflow.startRun()).info.runId;
      }
      const runId = await setUp();
      await mlflow.logParam("p", 1);
      expect(mlflow.activeRun()?.info.runId).toBe(runId);
      await mlflow.endRun();
      expect((await mlflow.getRun(runId)).data.params).toEqual({ p: "1" });
    });

    it("ends FAILED when its body throws, with the error as it was", async () => {
      const failure = new Error("diverged");
      let ids: string[] = [];
      const failed = mlflow.withRun({}, async (run) => {
        const inner = await mlflow.startRun({ nested: true });
        ids = [run.info.runId, inner.info.runId];
        throw failure;
      });
      await expect(failed).rejects.toBe(failure);
      for (const id of ids) expect((await mlflow.getRun(id)).info.status).toBe("FAILED");
      const thrown = mlflow.withRun({}, (run) => {
        ids = [run.info.runId];
        throw failure;
      });
      await expect(thrown).rejects.toBe(failure);
      expect((await mlflow.getRun(ids[0] ?? "")).info.status).toBe("FAILED");
    });

    it("ended inside its body is not ended again", async () => {
      const calls = await callsOf(() => mlflow.withRun({}, () => mlflow.endRun("KILLED")));
      expect(calls.filter((call) => call.endsWith("runs/update"))).toHaveLength(1);
    });

    it("answers what its body answers", async () => {
      expect(await mlflow.withRun({}, () => 42)).toBe(42);
    });

    it("ends with its block", async () => {
      let runId = "";
      {
        await using run = await mlflow.startRun();
        runId = run.info.runId;
        await mlflow.logParam("p", 1);
      }
      expect(mlflow.activeRun()).toBeUndefined();
      expect((await mlflow.getRun(runId)).info.status).toBe("FINISHED");
    });

    it("is resumed by its id, or by MLFLOW_RUN_ID once", async () => {
      const runId = await mlflow.withRun({ runName: "old" }, (run) => run.info.runId);
      await mlflow.withRun({ runId, tags: { again: true }, runName: "new" }, async (run) => {
        expect(run.info).toMatchObject({ runId, status: "RUNNING", runName: "new" });
        expect(run.data.tags.again).toBe("true");
      });
      const stored = await mlflow.getRun(runId);
      expect(stored.data.tags).toMatchObject({ again: "true", "mlflow.runName": "new" });
      vi.stubEnv("MLFLOW_RUN_ID", runId);
      expect(await mlflow.withRun({}, (run) => run.info.runId)).toBe(runId);
      expect(await mlflow.withRun({}, (run) => run.info.runId)).not.toBe(runId);
    });

    it("that was deleted is neither resumed nor a parent", async () => {
      const runId = await mlflow.withRun({}, (run) => run.info.runId);
      await mlflow.deleteRun(runId);
      await expect(mlflow.startRun({ runId })).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
        message: expect.stringContaining("restoreRun()"),
      });
      await expect(mlflow.startRun({ parentRunId: runId })).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
        message: expect.stringContaining(runId),
      });
    });

    it("that was deleted by somebody else is no parent either", async () => {
      const runId = await mlflow.withRun({}, (run) => run.info.runId);
      const trackingUri = mlflow.getTrackingUri();
      await new mlflow.MlflowClient({ trackingUri }).deleteRun(runId);
      await expect(mlflow.startRun({ parentRunId: runId })).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
        message: expect.stringContaining("restoreRun()"),
      });
    });
  });

  describe("nesting", () => {
    it("must be asked for", async () => {
      await mlflow.withRun({}, async (run) => {
        const calls = await callsOf(async () => {
          const refused = {
            code: "INVALID_STATE",
            message: expect.stringContaining("nested: true"),
          };
          await expect(mlflow.startRun()).rejects.toMatchObject(refused);
          await expect(mlflow.withRun({}, () => {})).rejects.toMatchObject(refused);
        });
        expect(calls).toEqual([]);
        expect(mlflow.activeRun()?.info.runId).toBe(run.info.runId);
      });
    });

    it("makes a child in its parent's experiment, and gives the parent back", async () => {
      await mlflow.withRun({ experimentName: uniqueName("nesting") }, async (parent) => {
        const child = await mlflow.startRun({ nested: true });
        await mlflow.logParam("who", "child");
        const grandchild = await mlflow.withRun({ nested: true }, (run) => run);
        await mlflow.endRun();
        await mlflow.logParam("who", "parent");
        expect(child.data.tags["mlflow.parentRunId"]).toBe(parent.info.runId);
        expect(grandchild.data.tags["mlflow.parentRunId"]).toBe(child.info.runId);
        expect(grandchild.info.experimentId).toBe(parent.info.experimentId);
        expect((await mlflow.getRun(child.info.runId)).data.params).toEqual({ who: "child" });
        expect((await mlflow.getRun(parent.info.runId)).data.params).toEqual({ who: "parent" });
      });
    });

    it("takes a parent by id, also one that has ended, and not one that never was", async () => {
      const parentRunId = await mlflow.withRun({}, (run) => run.info.runId);
      const child = await mlflow.withRun({ parentRunId }, (run) => run);
      expect(child.data.tags["mlflow.parentRunId"]).toBe(parentRunId);
      const calls = await callsOf(async () => {
        await expect(mlflow.startRun({ parentRunId: "f".repeat(32) })).rejects.toMatchObject({
          code: "RESOURCE_DOES_NOT_EXIST",
        });
      });
      expect(calls).toEqual(["GET runs/get"]);
    });
  });

  describe("concurrent runs", () => {
    const steps = async (runs: string[], label: string) => {
      for (let step = 0; step < 3; step++) {
        await mlflow.logMetric(label, step, step);
        await delay(Math.random() * 4);
        expect(mlflow.activeRun()?.info.runId).toBe(runs[0]);
      }
    };
    const expectOwn = async (runId: string, label: string, parentRunId?: string) => {
      const { data, info } = await mlflow.getRun(runId);
      expect(data.metrics).toEqual({ [label]: 2 });
      expect(data.tags["mlflow.parentRunId"]).toBe(parentRunId);
      expect(info.status).toBe("FINISHED");
    };

    it("each keep their own, with a callback", async () => {
      const experimentName = uniqueName("parallel");
      const labels = Array.from({ length: 8 }, (_, index) => `m${index}`);
      const calls = await callsOf(async () => {
        const ids = await Promise.all(
          labels.map((label) =>
            mlflow.withRun({ experimentName }, async (run) => {
              await steps([run.info.runId], label);
              return run.info.runId;
            }),
          ),
        );
        await Promise.all(ids.map((id, index) => expectOwn(id, labels[index] as string)));
      });
      expect(calls.filter((call) => call.includes("experiments/"))).toEqual([
        "GET experiments/get-by-name",
        "POST experiments/create",
      ]);
    });

    it("each keep their own, without a callback", async () => {
      async function worker(label: string): Promise<string> {
        const { info } = await mlflow.startRun();
        await steps([info.runId], label);
        await mlflow.endRun();
        return info.runId;
      }
      const ids = await Promise.all([worker("a"), worker("b"), delay(2).then(() => worker("c"))]);
      expect(new Set(ids).size).toBe(3);
      for (const [index, id] of ids.entries()) await expectOwn(id, "abc"[index] as string);
    });

    it("inside one run are its children, and not each other's", async () => {
      await mlflow.withRun({}, async (parent) => {
        const { runId } = parent.info;
        async function worker(label: string): Promise<string> {
          const run = await mlflow.startRun({ nested: true });
          await steps([run.info.runId], label);
          await mlflow.endRun();
          return run.info.runId;
        }
        const ids = await Promise.all([
          worker("a"),
          worker("b"),
          mlflow.withRun({ nested: true }, async (run) => {
            await steps([run.info.runId], "c");
            return run.info.runId;
          }),
        ]);
        for (const [index, id] of ids.entries()) {
          await expectOwn(id, "abc"[index] as string, runId);
        }
      });
    });

    it("of which none was started here leave a log call without an answer", async () => {
      const startElsewhere = async () => {
        await delay(1);
        return mlflow.startRun();
      };
      const runs = await Promise.all([startElsewhere(), startElsewhere()]);
      await expect(mlflow.logParam("p", 1)).rejects.toMatchObject({
        code: "INVALID_STATE",
        message: expect.stringContaining(runs[1].info.runId),
      });
      await expect(mlflow.endRun()).rejects.toMatchObject({ code: "INVALID_STATE" });
      expect(mlflow.activeRun()).toBeUndefined();
      for (const run of runs) await run[Symbol.asyncDispose]();
      for (const { info } of runs) {
        expect((await mlflow.getRun(info.runId)).data.params).toEqual({});
      }
    });
  });

  describe("the active experiment", () => {
    it("is created when there is none of the name, and found the next time", async () => {
      const name = uniqueName("active");
      let created: mlflow.Experiment | undefined;
      const first = await callsOf(async () => {
        created = await mlflow.setExperiment(name);
      });
      expect(first).toEqual([
        "GET experiments/get-by-name",
        "POST experiments/create",
        "GET experiments/get",
      ]);
      expect(created).toMatchObject({ name, lifecycleStage: "active" });
      expect(await callsOf(() => mlflow.setExperiment(name))).toEqual([
        "GET experiments/get-by-name",
      ]);
      const calls = await callsOf(async () => {
        const run = await mlflow.withRun({}, (active) => active);
        expect(run.info.experimentId).toBe(created?.experimentId);
      });
      expect(calls).toEqual(["POST runs/create", "POST runs/update"]);
      const experimentId = created?.experimentId ?? "";
      expect(await mlflow.setExperiment({ experimentId })).toEqual(created);
    });

    it("is not a deleted one", async () => {
      const name = uniqueName("deleted");
      const experimentId = await mlflow.createExperiment(name);
      const client = new mlflow.MlflowClient();
      await client.deleteExperiment(experimentId);
      const refused = {
        code: "INVALID_PARAMETER_VALUE",
        message: expect.stringMatching(`'${name}' is deleted.*restoreExperiment`),
      };
      await expect(mlflow.setExperiment(name)).rejects.toMatchObject(refused);
      const fresh = await freshClient();
      await expect(fresh.withRun({ experimentName: name }, () => {})).rejects.toMatchObject(
        refused,
      );
      await client.restoreExperiment(experimentId);
      expect((await mlflow.setExperiment(name)).experimentId).toBe(experimentId);
    });

    it("comes from the environment, else it is the default one", async () => {
      const name = uniqueName("environment");
      const experimentIn = (client: typeof mlflow) =>
        client.withRun({}, (run) => run.info.experimentId);
      expect(await experimentIn(await freshClient())).toBe("0");
      vi.stubEnv("MLFLOW_EXPERIMENT_NAME", name);
      const id = await experimentIn(await freshClient());
      expect((await mlflow.getExperimentByName(name))?.experimentId).toBe(id);
      vi.stubEnv("MLFLOW_EXPERIMENT_ID", "0");
      await expect(experimentIn(await freshClient())).rejects.toThrow("MLFLOW_EXPERIMENT_ID");
      vi.stubEnv("MLFLOW_EXPERIMENT_NAME", "");
      expect(await experimentIn(await freshClient())).toBe("0");
    });
  });

  describe("search", () => {
    it("finds runs by what they hold, page after page", async () => {
      const experimentName = uniqueName("search");
      for (let index = 0; index < 5; index++) {
        await mlflow.withRun({ experimentName }, () => mlflow.logMetric("score", index));
      }
      const search = { experimentNames: [experimentName, "none"], orderBy: ["metrics.score DESC"] };
      const scores = async (more: mlflow.SearchRunsOptions) =>
        (await mlflow.searchRuns({ ...search, ...more })).map(({ data }) => data.metrics.score);
      expect(await scores({})).toEqual([4, 3, 2, 1, 0]);
      expect(await scores({ maxResults: 2 })).toEqual([4, 3]);
      expect(await scores({ filterString: "metrics.score < 2" })).toEqual([1, 0]);
      expect(await mlflow.searchRuns({ experimentNames: ["none"] })).toEqual([]);
      const filterString = `name = '${experimentName}'`;
      const found = await mlflow.searchExperiments({ filterString });
      expect(found.map(({ name }) => name)).toEqual([experimentName]);
    });

    it("looks in every experiment that is not deleted, when told so", async () => {
      const mark = uniqueName("mark");
      const names = [uniqueName("one"), uniqueName("two"), uniqueName("gone")];
      for (const experimentName of names) {
        await mlflow.withRun({ experimentName, tags: { mark } }, () => {});
      }
      const gone = await mlflow.getExperimentByName(names[2] as string);
      await mlflow.deleteExperiment(gone?.experimentId as string);
      const search = { searchAllExperiments: true, filterString: `tags.mark = '${mark}'` };
      expect(await mlflow.searchRuns(search)).toHaveLength(2);
      const seen: string[] = [];
      for await (const { info } of mlflow.searchRunsIterator(search)) seen.push(info.experimentId);
      expect(new Set(seen).size).toBe(2);
      await expect(mlflow.searchRuns({ ...search, experimentNames: names })).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
      });
    });
  });
});

describe("the store of a run", () => {
  it("is the one it was told, also for what is called inside it", async () => {
    const folder = await temporaryFolder();
    const [here, there] = [join(folder, "here"), join(folder, "there")];
    mlflow.setTrackingUri(here);
    await mlflow.withRun({}, async (outer) => {
      await mlflow.withRun({ trackingUri: there, nested: true }, async (inner) => {
        await mlflow.logParam("p", "there");
        // A run in another store cannot be its parent.
        expect(inner.data.tags).not.toHaveProperty("mlflow.parentRunId");
        expect((await mlflow.getRun(inner.info.runId)).data.params).toEqual({ p: "there" });
      });
      await mlflow.logParam("p", "here");
      expect((await mlflow.getRun(outer.info.runId)).data.params).toEqual({ p: "here" });
    });
  });

  it("stays the same when the process turns to another", async () => {
    const folder = await temporaryFolder();
    mlflow.setTrackingUri(join(folder, "first"));
    const client = new mlflow.MlflowClient();
    const { info } = await mlflow.startRun();
    mlflow.setTrackingUri(join(folder, "second"));
    await mlflow.logParam("p", 1);
    await mlflow.endRun();
    const stored = await client.getRun(info.runId);
    expect(stored.data.params).toEqual({ p: "1" });
    expect(stored.info.status).toBe("FINISHED");
  });
});

it("a program may ask whether anybody has said where to track", async () => {
  vi.resetModules();
  const fresh: typeof mlflow = await import("../../src/mlflow/node.js");
  expect(fresh.isTrackingUriSet()).toBe(false);
  vi.stubEnv("MLFLOW_TRACKING_URI", "http://localhost:5000");
  expect(fresh.isTrackingUriSet()).toBe(true);
  vi.unstubAllEnvs();
  fresh.setTrackingUri("http://localhost:5001");
  expect(fresh.isTrackingUriSet()).toBe(true);
});
