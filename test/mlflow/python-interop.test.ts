// What TypeScript writes, Python's own client reads identically, and the other way round.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { bytesAt } from "./artifact-bytes.js";
import { type Json, python } from "./run-python.js";

/** Numbers that JSON lacks as text, and nothing as null. */
function asJson(value: unknown): Json {
  const text = JSON.stringify(value, (_key, inside: unknown) => {
    if (inside === undefined) return null;
    return typeof inside === "number" && !Number.isFinite(inside) ? String(inside) : inside;
  });
  return JSON.parse(text) as Json;
}

async function filesOf(
  client: mlflow.MlflowClient,
  { runId, artifactUri }: mlflow.RunInfo,
  folder?: string,
): Promise<{ path: string }[]> {
  const found: { path: string }[] = [];
  for (const entry of await client.listArtifacts(runId, folder)) {
    if (entry.isDirectory) {
      found.push(
        entry,
        ...(await filesOf(client, { runId, artifactUri } as mlflow.RunInfo, entry.path)),
      );
      continue;
    }
    const bytes = Buffer.from(await bytesAt(artifactUri, entry.path));
    found.push({ ...entry, content: bytes.toString("base64") } as { path: string });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function runDocument(client: mlflow.MlflowClient, runId: string): Promise<object> {
  const { info, data } = await client.getRun(runId);
  const history: Record<string, object> = {};
  for (const key of Object.keys(data.metrics)) {
    const points = await client.getMetricHistory(runId, key);
    const rank = ({ value }: mlflow.Metric) => String(value);
    history[key] = points.sort(
      (a, b) => a.step - b.step || a.timestamp - b.timestamp || (rank(a) < rank(b) ? -1 : 1),
    );
  }
  return { info, ...data, history, files: await filesOf(client, info) };
}

/** All that a store holds of an experiment and a model, as `document.py` prints it. */
async function documentOf(trackingUri: string, experiment: string, model: string): Promise<Json> {
  const client = new mlflow.MlflowClient({ trackingUri });
  const stored = await client.getExperimentByName(experiment);
  if (stored === undefined) throw new Error(`no experiment ${experiment}`);
  const runs: object[] = [];
  for (const { info } of await client.searchRuns([stored.experimentId], { viewType: "ALL" })) {
    runs.push(await runDocument(client, info.runId));
  }
  const registered = await client.getRegisteredModel(model);
  const versions: object[] = [];
  for (let version = 1; ; version++) {
    const found = await client.getModelVersion(model, version).catch(() => undefined);
    if (found === undefined) break;
    versions.push({ ...found, aliases: [...found.aliases].sort() });
  }
  const latestVersions = registered.latestVersions.map(({ version }) => version).sort();
  return asJson({
    experiment: { ...stored },
    runs,
    model: { ...registered, latestVersions, versions },
  });
}

/** From TypeScript, what `write_all.py` writes from Python. */
async function writeAll(trackingUri: string, experiment: string, model: string): Promise<void> {
  const client = new mlflow.MlflowClient({ trackingUri });
  const experimentId = await client.createExperiment(experiment, {
    tags: { "genops.team": "search", "größe/日 本": "💡" },
  });
  await client.setExperimentTag(experimentId, "later", "two\nlines");

  const parent = await client.createRun(experimentId, {
    runName: "größe",
    startTime: 1_700_000_000_000,
    tags: {
      "mlflow.user": "ada",
      "genops.customer.id": "acme",
      note: "  a\n\tb \"c\" 'd' \\ ",
    },
  });
  const { runId, artifactUri } = parent.info;
  await client.logParam(runId, "rate", 0.01);
  await client.logParam(runId, "empty", "");
  await client.logParam(runId, "ü/日 本.x:y-_", "größe 💡");
  await client.logParam(runId, "long", "v".repeat(6000));
  const { POSITIVE_INFINITY, NEGATIVE_INFINITY } = Number;
  const odd = [0.1 + 0.2, Number.NaN, POSITIVE_INFINITY, NEGATIVE_INFINITY, 5e-324, 1e308];
  for (const [index, value] of odd.entries()) {
    const when = { timestamp: 1000 + index, step: index - 3 };
    await client.logMetric(runId, "odd/one s", value, when);
  }
  await client.logMetric(runId, "nan", Number.NaN, { timestamp: 5, step: 0 });
  await client.logMetric(runId, "same step", 2, { timestamp: 5, step: 1 });
  await client.logMetric(runId, "same step", 3, { timestamp: 4, step: 1 });
  const numbers = Array.from({ length: 2500 }, (_, index) => index);
  await client.logBatch(runId, {
    metrics: numbers.map((index) => ({
      key: "many",
      value: index / 7,
      timestamp: 1000 + index,
      step: index,
    })),
    params: { p0: "x", p500: "x", p1000: "x", p1500: "x", p2000: "x" },
    tags: { t0: "y", t500: "y", t1000: "y", t1500: "y", t2000: "y" },
  });
  await client.setTag(runId, "gone", "soon");
  await client.deleteTag(runId, "gone");

  const folder = await temporaryFolder();
  await mkdir(join(folder, "deep", "er"), { recursive: true });
  const everyByte = Uint8Array.from({ length: 256 * 40 }, (_, index) => index);
  await writeFile(join(folder, "deep", "er", "all bytes.bin"), everyByte);
  await writeFile(join(folder, "empty.txt"), "");
  await client.logArtifacts(runId, folder, "folder ü");
  await client.logText(runId, "größe\r\n", "model/weights.txt");
  await client.setTerminated(runId, "FINISHED", 1_700_000_009_999);

  const child = await client.createRun(experimentId, {
    startTime: 1_700_000_000_001,
    tags: { "mlflow.parentRunId": runId },
  });
  await client.setTerminated(child.info.runId, "FAILED", 1_700_000_000_002);
  await client.createRun(experimentId, { startTime: 1_700_000_000_003 });
  const deleted = await client.createRun(experimentId, { startTime: 1_700_000_000_004 });
  await client.deleteRun(deleted.info.runId);

  await client.createRegisteredModel(model, {
    tags: { "k/x": "größe" },
    description: "What it is",
  });
  for (const note of ["first", "second", "third"]) {
    await client.createModelVersion(model, `${artifactUri}/model`, {
      runId,
      tags: { note },
      description: `the ${note}`,
    });
  }
  await client.transitionModelVersionStage(model, 1, "Production");
  const archive = { archiveExistingVersions: true };
  await client.transitionModelVersionStage(model, 2, "Production", archive);
  await client.setRegisteredModelAlias(model, "champion", 2);
  await client.setRegisteredModelAlias(model, "challenger", 3);
  await client.setRegisteredModelAlias(model, "runner-up", 3);
  await client.setModelVersionTag(model, 3, "genops.team", "search");
  await client.updateModelVersion(model, 3, { description: "changed" });
}

/** What must be the same whoever wrote it: ids, times of day and invented names taken out. */
function contentOf(document: Json): Json {
  const seen = new Map<string, string>();
  // The file store's places hold a folder of their own.
  const hidden =
    /^(experimentId|name|artifactLocation|creationTime|lastUpdateTime|creationTimestamp|lastUpdatedTimestamp|artifactUri|source|userId)$/;
  const hide = (value: Json, key = ""): Json => {
    if (Array.isArray(value)) return value.map((item: Json) => hide(item));
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(
        Object.entries(value)
          .filter(([name]) => !hidden.test(name))
          .map(([name, inside]) => [name, hide(inside as Json, name)]),
      );
    }
    if (typeof value !== "string") return value;
    if (/^[a-z]+-[a-z]+-\d+$/.test(value) && /runName$/i.test(key)) return "(invented)";
    if (!/^[0-9a-f]{32}$/.test(value)) return value;
    if (!seen.has(value)) seen.set(value, `id ${seen.size}`);
    return seen.get(value) as string;
  };
  return hide(document);
}

describe.runIf(requiresMlflow())("Python and TypeScript", () => {
  const stores: Record<string, () => Promise<string>> = {
    "a folder": async () => join(await temporaryFolder(), "mlruns"),
    "a server": async () => inject("mlflowServerUri") as string,
  };

  it.each(Object.entries(stores))("read and write the same in %s", async (_label, place) => {
    const uri = await place();
    const [ours, theirs] = [uniqueName("typescript"), uniqueName("python")];

    await writeAll(uri, ours, ours);
    const fromTypeScript = await documentOf(uri, ours, ours);
    expect(await python("document.py", uri, ours, ours)).toEqual(fromTypeScript);

    const fromPython = await python("write_all.py", uri, theirs, theirs);
    expect(await documentOf(uri, theirs, theirs)).toEqual(fromPython);

    // Both wrote the same, and all of it.
    expect(contentOf(fromTypeScript)).toEqual(contentOf(fromPython));
    const { runs } = fromPython as { runs: { params: object; history: { many: Json[] } }[] };
    const written = runs.find(({ history }) => "many" in history);
    expect(runs).toHaveLength(4);
    expect(Object.keys(written?.params ?? {})).toHaveLength(9);
    expect(written?.history.many).toHaveLength(2500);
  });
});
