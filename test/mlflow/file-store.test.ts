// What only a folder can do wrong: foreign files, other writers, missing rights, names as paths.
import { execFile, spawnSync } from "node:child_process";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { describe, expect, it, onTestFinished } from "vitest";
import { MlflowClient } from "../../src/mlflow/node.js";
import * as spec from "../../src/mlflow/spec.js";
import { callStore, openStore } from "../../src/mlflow/stores.js";
import { temporaryFolder } from "../adapter/workplace.js";

const run = promisify(execFile);

async function freshStore(): Promise<{ folder: string; client: MlflowClient }> {
  const folder = join(await temporaryFolder(), "mlruns");
  return { folder, client: new MlflowClient({ trackingUri: folder }) };
}

async function runFolder(folder: string, runId: string, client: MlflowClient): Promise<string> {
  const { experimentId } = (await client.getRun(runId)).info;
  return join(folder, experimentId, runId);
}

/** Runs `action` as a user who owns nothing; a superuser may write everywhere. */
async function withoutRights<T>(action: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return action();
  process.seteuid?.(65_534);
  try {
    return await action();
  } finally {
    process.seteuid?.(0);
  }
}

describe("a new folder", () => {
  it("has the default experiment, and is not touched before the first call", async () => {
    const { folder, client } = await freshStore();
    await expect(stat(folder)).rejects.toMatchObject({ code: "ENOENT" });
    const experiment = await client.getExperiment("0");
    expect(experiment).toMatchObject({
      name: "Default",
      lifecycleStage: "active",
      artifactLocation: pathToFileURL(join(folder, "0")).href,
    });
    expect((await readdir(folder)).sort()).toEqual([".trash", "0", "models"]);
  });

  it("may have spaces and umlauts in its path", async () => {
    const folder = join(await temporaryFolder(), "größe #1 %20 x");
    const client = new MlflowClient({ trackingUri: folder });
    const { info } = await client.createRun("0");
    await client.logText(info.runId, "hello", "a b/ü?.txt");
    const lying = join(folder, "0", info.runId, "artifacts", "a b", "ü?.txt");
    expect(await readFile(lying, "utf8")).toBe("hello");
    expect(await client.listArtifacts(info.runId, "a b")).toEqual([
      { path: "a b/ü?.txt", isDirectory: false, sizeBytes: 5 },
    ]);
  });
});

describe("a folder without rights", () => {
  it("is named with the fix, whatever is written", async () => {
    const parent = await temporaryFolder();
    await chmod(parent, 0o555);
    const client = new MlflowClient({ trackingUri: join(parent, "mlruns") });
    const refusal = withoutRights(() => client.createExperiment("e"));
    await expect(refusal).rejects.toMatchObject({
      name: "MlflowError",
      code: "PERMISSION_DENIED",
      message: expect.stringMatching(/'.*mlruns.*' cannot be written.*setTrackingUri/),
    });
  });

  it("can be read, and refuses what would change it", async () => {
    const { folder, client } = await freshStore();
    const { info } = await client.createRun("0");
    await client.logParam(info.runId, "a", "1");
    const lies = await runFolder(folder, info.runId, client);
    const inside = ["", "params", "metrics", "tags", "artifacts"].map((part) => join(lies, part));
    const closed = [join(folder, ".."), folder, join(folder, "0"), ...inside];
    for (const path of closed) await chmod(path, 0o555);
    await withoutRights(async () => {
      const other = new MlflowClient({ trackingUri: folder });
      expect((await other.getRun(info.runId)).data.params).toEqual({ a: "1" });
      const denied = { code: "PERMISSION_DENIED" };
      await expect(other.logMetric(info.runId, "m", 1)).rejects.toMatchObject(denied);
      await expect(other.logParam(info.runId, "b", "1")).rejects.toMatchObject(denied);
      await expect(other.setTag(info.runId, "b", "1")).rejects.toMatchObject(denied);
      await expect(other.logText(info.runId, "b", "b.txt")).rejects.toMatchObject(denied);
      await expect(other.setTerminated(info.runId)).rejects.toMatchObject(denied);
    });
    for (const path of closed) await chmod(path, 0o755);
  });

  it("below a file, or behind a link to nothing, is told to be none", async () => {
    const parent = await temporaryFolder();
    await writeFile(join(parent, "file"), "");
    await symlink(join(parent, "nothing"), join(parent, "link"));
    for (const trackingUri of [join(parent, "file", "mlruns"), join(parent, "link")]) {
      await expect(new MlflowClient({ trackingUri }).getExperiment("0")).rejects.toMatchObject({
        code: "INVALID_PARAMETER_VALUE",
        message: expect.stringContaining("a part of its path is a file, or a link to nothing"),
      });
    }
  });

  it("that is a file is told to be one", async () => {
    const file = join(await temporaryFolder(), "mlruns");
    await writeFile(file, "");
    await expect(new MlflowClient({ trackingUri: file }).getExperiment("0")).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
      message: expect.stringContaining("is a file and no folder"),
    });
  });
});

describe("a name", () => {
  it.each(["../x", "a/../../x", "..", ".", "/etc/x", "a//b", "a\\..\\b", "a\0b", ""])(
    "%j never becomes a path outside its place",
    async (name) => {
      const { folder, client } = await freshStore();
      const { info } = await client.createRun("0");
      const store = openStore(folder);
      const before = (await readdir(folder, { recursive: true })).sort();
      const run_id = info.runId;
      const refused = { code: "INVALID_PARAMETER_VALUE" };
      const attempts = [
        callStore(store, spec.logParam, { run_id, key: name, value: "v" }),
        callStore(store, spec.setTag, { run_id, key: name, value: "v" }),
        callStore(store, spec.logMetric, { run_id, key: name, value: 1, timestamp: 1, step: 1 }),
        callStore(store, spec.getRun, { run_id: name }),
        callStore(store, spec.getExperiment, { experiment_id: name }),
        callStore(store, spec.createRun, { experiment_id: name }),
        callStore(store, spec.setExperimentTag, { experiment_id: "0", key: name, value: "v" }),
        callStore(store, spec.createRegisteredModel, { name }),
        client.logText(run_id, "v", name),
      ];
      for (const [index, outcome] of (await Promise.allSettled(attempts)).entries()) {
        expect(outcome, `attempt ${index}`).toMatchObject({ status: "rejected", reason: refused });
      }
      expect((await readdir(folder, { recursive: true })).sort()).toEqual(before);
    },
  );

  it("cannot be a file and a folder at once", async () => {
    const { client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    await client.logMetric(runId, "a/b", 1);
    await expect(client.logMetric(runId, "a", 1)).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
      message: expect.stringContaining("exclude each other"),
    });
    await client.logParam(runId, "p", "1");
    await expect(client.logParam(runId, "p/q", "1")).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
    });
    expect((await client.getRun(runId)).data).toMatchObject({
      metrics: { "a/b": 1 },
      params: { p: "1" },
    });
  });

  it("longer than a file's may be is refused as such", async () => {
    const { client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    await expect(client.logParam(runId, "ü".repeat(250), "1")).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
      message: expect.stringContaining("too long"),
    });
  });
});

describe("what is written", () => {
  it("leaves nothing beside MLflow's own files", async () => {
    const { folder, client } = await freshStore();
    const { runId } = (await client.createRun("0", { runName: "r" })).info;
    await client.logBatch(runId, {
      params: { a: "1" },
      metrics: [{ key: "m/n", value: 0.5, step: 2, timestamp: 7 }],
      tags: { t: "1" },
    });
    await client.logText(runId, "x", "notes/n.txt");
    await client.setTerminated(runId);
    const lies = await runFolder(folder, runId, client);
    const files = (await readdir(lies, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(lies.length + 1));
    expect(files.sort()).toEqual([
      "artifacts/notes/n.txt",
      "meta.yaml",
      "metrics/m/n",
      "params/a",
      "tags/mlflow.runName",
      "tags/t",
    ]);
    expect(await readFile(join(lies, "metrics/m/n"), "utf8")).toBe("7 0.5 2\n");
  });

  it("of a refused batch is nothing", async () => {
    const { client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    await client.logParam(runId, "a", "1");
    const batch = {
      params: { b: "2", a: "other" },
      metrics: [{ key: "m", value: 1 }],
      tags: { t: "1" },
    };
    await expect(client.logBatch(runId, batch)).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
      message: expect.stringContaining("value='1'"),
    });
    const { data } = await client.getRun(runId);
    expect(data.params).toEqual({ a: "1" });
    expect(data.metrics).toEqual({});
    expect(data.tags).not.toHaveProperty("t");
  });

  it("of a file that grows while it is logged is not kept", async () => {
    const { folder, client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    const source = join(folder, "..", "growing.txt");
    await writeFile(source, "1");
    const { addInterceptor } = await import("../../src/mlflow/node.js");
    const remove = addInterceptor(async (call, proceed) => {
      if (call.upload !== undefined) await writeFile(source, "12");
      return proceed(call);
    });
    onTestFinished(remove);
    await expect(client.logArtifact(runId, source)).rejects.toMatchObject({
      code: "INVALID_STATE",
      message: expect.stringContaining("from 1 to 2 bytes"),
    });
    expect(await readdir(join(folder, "0", runId, "artifacts"))).toEqual([]);
  });

  it("together from many calls is all there", async () => {
    const { client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    const steps = Array.from({ length: 200 }, (_, step) => step);
    await Promise.all([
      ...steps.map((step) => client.logMetric(runId, "m", step, { step, timestamp: 1 })),
      ...steps.map((step) => client.logParam(runId, `p${step}`, String(step))),
      ...steps.map((step) => client.setTag(runId, "same", String(step))),
      client.updateRun(runId, { runName: "renamed" }),
      client.setTerminated(runId, "FINISHED", 77),
    ]);
    const { info, data } = await client.getRun(runId);
    expect(info).toMatchObject({ runName: "renamed", status: "FINISHED", endTime: 77 });
    expect(Object.keys(data.params)).toHaveLength(200);
    const history = await client.getMetricHistory(runId, "m");
    expect(history.map(({ value }) => value)).toEqual(steps);
  });
});

describe("a folder of files to log", () => {
  it("with a link to nothing is refused by that name", async () => {
    const { folder, client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    const source = join(folder, "..", "source");
    await mkdir(source);
    await writeFile(join(source, "a.txt"), "a");
    await symlink(join(source, "nothing"), join(source, "b.txt"));
    await expect(client.logArtifacts(runId, source)).rejects.toThrow(/b\.txt/);
    expect(await client.listArtifacts(runId)).toEqual([]);
  });
});

describe("other writers", () => {
  it("are believed: what changed on disk is what is read", async () => {
    const { folder, client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    const other = new MlflowClient({ trackingUri: folder });
    expect((await client.getRun(runId)).info.status).toBe("RUNNING");
    await other.setTerminated(runId, "FAILED", 5);
    expect((await client.getRun(runId)).info).toMatchObject({ status: "FAILED", endTime: 5 });
    await other.deleteRun(runId);
    await expect(client.logMetric(runId, "m", 1)).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
    });
  });

  it("may move an experiment to the trash and back", async () => {
    const { folder, client } = await freshStore();
    const experimentId = await client.createExperiment("e");
    const { runId } = (await client.createRun(experimentId)).info;
    const other = new MlflowClient({ trackingUri: folder });
    await other.deleteExperiment(experimentId);
    expect((await client.getRun(runId)).info.lifecycleStage).toBe("deleted");
    expect(await client.searchRuns([experimentId])).toEqual([]);
    expect(await client.searchRuns([experimentId], { viewType: "ALL" })).toHaveLength(1);
    await client.restoreExperiment(experimentId);
    expect((await other.getRun(runId)).info.lifecycleStage).toBe("active");
  });

  it("leave foreign and broken things that are passed over", async () => {
    const { folder, client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    await mkdir(join(folder, "notes"));
    await mkdir(join(folder, "0", "not-a-run"));
    await mkdir(join(folder, "0", "traces"));
    await mkdir(join(folder, "0", "copied"));
    await writeFile(
      join(folder, "0", "copied", "meta.yaml"),
      await readFile(join(folder, "0", runId, "meta.yaml")),
    );
    expect((await client.searchExperiments()).map(({ name }) => name)).toEqual(["Default"]);
    expect((await client.searchRuns(["0"])).map(({ info }) => info.runId)).toEqual([runId]);
    await expect(client.getRun("copied")).rejects.toMatchObject({ code: "INVALID_STATE" });
    await expect(client.getRun("not-a-run")).rejects.toMatchObject({
      code: "RESOURCE_DOES_NOT_EXIST",
    });
  });

  it("create an experiment and versions of a model once each, from several processes", async () => {
    const { folder, client } = await freshStore();
    await client.createRegisteredModel("m");
    const work = await mkdtemp(join(folder, "..", "work-"));
    const script = join(work, "race.mjs");
    const client_ = new URL("../../src/mlflow/node.ts", import.meta.url).pathname;
    await build({
      stdin: {
        contents: `
          import { MlflowClient } from ${JSON.stringify(client_)};
          const client = new MlflowClient({ trackingUri: process.argv[2] });
          const ids = await Promise.all(Array.from({ length: 5 }, async () => {
            const version = await client.createModelVersion("m", "s3://bucket/m");
            return [await client.findOrCreateExperiment("shared"), version.version];
          }));
          console.log(JSON.stringify(ids));`,
        resolveDir: work,
      },
      bundle: true,
      platform: "node",
      format: "esm",
      outfile: script,
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
    });
    const processes = Array.from({ length: 4 }, () => run(process.execPath, [script, folder]));
    const results = (await Promise.all(processes)).flatMap(
      ({ stdout }) => JSON.parse(stdout) as [string, string][],
    );
    expect(new Set(results.map(([experimentId]) => experimentId)).size).toBe(1);
    expect(results.map(([, version]) => Number(version)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    expect(await client.searchExperiments()).toHaveLength(2);
  });

  it("that died while they created an experiment hold nobody up", async () => {
    const { folder, client } = await freshStore();
    await client.getExperiment("0");
    const lock = join(folder, ".experiments.lock");
    await writeFile(lock, "");
    const past = new Date(Date.now() - 60_000);
    await utimes(lock, past, past);
    await client.createExperiment("e");
    await expect(stat(lock)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("all wait for the one who takes the place of who died", async () => {
    const { folder, client } = await freshStore();
    await client.getExperiment("0");
    const lock = join(folder, ".experiments.lock");
    for (let round = 0; round < 2; round++) {
      await writeFile(lock, "");
      const past = new Date(Date.now() - 60_000);
      await utimes(lock, past, past);
      const created = await Promise.allSettled(
        Array.from({ length: 60 }, () =>
          new MlflowClient({ trackingUri: folder }).createExperiment(`e${round}`),
        ),
      );
      expect(created.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    }
    await expect(stat(lock)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("that are gone for certain are not waited for", async () => {
    const { folder, client } = await freshStore();
    await client.getExperiment("0");
    const { pid } = spawnSync(process.execPath, ["--version"]);
    await symlink(`${pid} ${hostname()} x`, join(folder, ".experiments.lock"));
    const created = client.createExperiment("e").then(() => "created");
    const waited = new Promise((resolve) => setTimeout(resolve, 4000, "waited"));
    expect(await Promise.race([created, waited])).toBe("created");
  });

  it("that removed the whole folder are told of", async () => {
    const { folder, client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    await rm(folder, { recursive: true });
    await expect(client.logMetric(runId, "m", 1)).rejects.toMatchObject({
      code: "RESOURCE_DOES_NOT_EXIST",
    });
  });
});

describe("a broken file", () => {
  it("is named", async () => {
    const { folder, client } = await freshStore();
    const { runId } = (await client.createRun("0")).info;
    await client.logMetric(runId, "m", 1);
    const lies = await runFolder(folder, runId, client);
    await writeFile(join(lies, "metrics", "m"), "1 2 3 4\n");
    await expect(client.getRun(runId)).rejects.toMatchObject({
      code: "INTERNAL_ERROR",
      message: expect.stringMatching(/metrics\/m' has a line.*"1 2 3 4"/),
    });
    await writeFile(join(lies, "meta.yaml"), "a: [");
    await expect(client.getRun(runId)).rejects.toMatchObject({
      code: "INVALID_STATE",
      message: expect.stringContaining("meta.yaml' is not valid YAML"),
    });
  });
});
