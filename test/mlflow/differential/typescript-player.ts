// This package's client as a player, in the words of the workflow.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as mlflow from "../../../src/mlflow/node.js";
import type { Json } from "../run-python.js";
import type { Outcome, Player } from "./workflow.js";

/** What a call is given; each call knows which of them it has. */
// biome-ignore lint/suspicious/noExplicitAny: the words of a workflow have no types.
type Given = any;

interface Stage {
  readonly client: mlflow.MlflowClient;
  readonly trackingUri: string;
  /** Ids of what the call makes. */
  readonly made: string[];
}

class BodyFails extends Error {}

/** Numbers that JSON lacks as text, and nothing as null. */
function asJson(value: unknown): Json {
  if (value === undefined) return null;
  const text = JSON.stringify(value, (_key, inside: unknown) => {
    if (inside === undefined) return null;
    return typeof inside === "number" && !Number.isFinite(inside) ? String(inside) : inside;
  });
  return JSON.parse(text) as Json;
}

/** Every page of a search, as the lists that they are. */
async function pages<T, Told>(
  search: (pageToken: string | undefined) => Promise<mlflow.Page<T>>,
  told: (found: T) => Told,
): Promise<Told[][]> {
  const found: Told[][] = [];
  let pageToken: string | undefined;
  do {
    const page = await search(pageToken);
    found.push(page.map(told));
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
  return found;
}

async function allOf<T>(
  search: (pageToken: string | undefined) => Promise<mlflow.Page<T>>,
): Promise<T[]> {
  return (await pages(search, (found) => found)).flat();
}

async function withFolder<T>(action: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "genops-play-"));
  try {
    return await action(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function bytesBelow(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[relative(root, path).replaceAll(sep, "/")] = (await readFile(path)).toString("base64");
  }
  return found;
}

async function download(client: mlflow.MlflowClient, runId: string, path?: string): Promise<Json> {
  return withFolder(async (target) => {
    const local = await client.downloadArtifacts(runId, path, target);
    if ((await stat(local)).isDirectory()) return bytesBelow(local);
    return (await readFile(local)).toString("base64");
  });
}

const LOG: Readonly<Record<string, (...values: Given[]) => Promise<unknown>>> = {
  logMetric: (key, value, step) => mlflow.logMetric(key, Number(value), step),
  logMetrics: (metrics, step) => mlflow.logMetrics(numbers(metrics), step),
  logParam: mlflow.logParam,
  logParams: mlflow.logParams,
  setTag: mlflow.setTag,
  setTags: mlflow.setTags,
  deleteTag: mlflow.deleteTag,
  logText: mlflow.logText,
  logDict: mlflow.logDict,
};

function numbers(metrics: Record<string, number | string>): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, Number(value)]));
}

async function withinRun(stage: Stage, run: Given, isNested: boolean): Promise<void> {
  const { options, body, nested = [], fails = false, endsAs } = run;
  const play = async ({ info }: mlflow.ActiveRun): Promise<void> => {
    stage.made.push(info.runId);
    // Two runs that begin at one moment come in any order.
    await delay(3);
    for (const [name, ...values] of body) await LOG[name]?.(...values);
    for (const inner of nested) await withinRun(stage, inner, true);
    if (fails) throw new BodyFails("as it was asked to");
    if (endsAs !== undefined) await mlflow.endRun(endsAs);
  };
  const { trackingUri } = stage;
  const place = isNested ? { nested: true } : { trackingUri };
  await mlflow.withRun({ ...options, ...place }, play);
}

async function fluentRun(stage: Stage, run: Given): Promise<string> {
  try {
    await withinRun(stage, run, false);
  } catch (error) {
    if (error instanceof BodyFails) return "the body failed";
    throw error;
  }
  return "the body ended";
}

async function filesOf(
  client: mlflow.MlflowClient,
  runId: string,
  folder?: string,
): Promise<mlflow.ArtifactInfo[]> {
  const found: mlflow.ArtifactInfo[] = [];
  for (const entry of await client.listArtifacts(runId, folder)) {
    found.push(entry);
    if (entry.isDirectory) found.push(...(await filesOf(client, runId, entry.path)));
  }
  return found;
}

function versionOf(version: mlflow.ModelVersion): object {
  return { ...version, aliases: [...version.aliases].sort() };
}

function modelOf(model: mlflow.RegisteredModel): object {
  return { ...model, latestVersions: model.latestVersions.map(versionOf) };
}

async function wholeRun(client: mlflow.MlflowClient, found: mlflow.Run, hasFiles: boolean) {
  const { runId } = found.info;
  const history: Record<string, unknown> = {};
  for (const key of Object.keys(found.data.metrics)) {
    history[key] = await client.getMetricHistory(runId, key);
  }
  const files = hasFiles ? await filesOf(client, runId) : [];
  const contents = files.length > 0 ? await download(client, runId) : {};
  return { ...(await client.getRun(runId)), asFound: found, history, files, contents };
}

async function readAll({ client }: Stage, { place, runsWithFiles, hasLoggedModels }: Given) {
  const filterString = `name LIKE '${place}%'`;
  const experiments = await allOf((pageToken) =>
    client.searchExperiments({ filterString, viewType: "ALL", pageToken }),
  );
  const ids = experiments.map(({ experimentId }) => experimentId);
  const runs: unknown[] = [];
  for (const found of await allOf((pageToken) =>
    client.searchRuns(ids, { viewType: "ALL", pageToken }),
  )) {
    runs.push(await wholeRun(client, found, runsWithFiles.includes(found.info.runId)));
  }
  const models: unknown[] = [];
  for (const found of await allOf((pageToken) =>
    client.searchRegisteredModels({ filterString, pageToken }),
  )) {
    const versions = await client.searchModelVersions({ filterString: `name = '${found.name}'` });
    const model = modelOf(await client.getRegisteredModel(found.name));
    models.push({ ...model, asFound: modelOf(found), versions: versions.map(versionOf) });
  }
  const searches = hasLoggedModels && ids.length > 0;
  const loggedModels = searches
    ? await allOf((pageToken) => client.searchLoggedModels(ids, { pageToken }))
    : [];
  return { experiments, runs, models, loggedModels };
}

async function writeFiles(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), Buffer.from(content, "base64"));
  }
}

const CALLS: Readonly<Record<string, (stage: Stage, given: Given) => Promise<unknown>>> = {
  async createExperiment({ client, made }, { name, ...options }) {
    made.push(await client.createExperiment(name, options));
  },
  getExperiment: ({ client }, { experimentId }) => client.getExperiment(experimentId),
  getExperimentByName: ({ client }, { name }) => client.getExperimentByName(name),
  renameExperiment: ({ client }, { experimentId, name }) =>
    client.renameExperiment(experimentId, name),
  setExperimentTag: ({ client }, { experimentId, key, value }) =>
    client.setExperimentTag(experimentId, key, value),
  deleteExperimentTag: ({ client }, { experimentId, key }) =>
    client.deleteExperimentTag(experimentId, key),
  deleteExperiment: ({ client }, { experimentId }) => client.deleteExperiment(experimentId),
  restoreExperiment: ({ client }, { experimentId }) => client.restoreExperiment(experimentId),
  searchExperiments: ({ client }, options) =>
    pages(
      (pageToken) => client.searchExperiments({ ...options, pageToken }),
      ({ name }) => name,
    ),

  async createRun({ client, made }, { experimentId, ...options }) {
    const run = await client.createRun(experimentId, options);
    made.push(run.info.runId);
    return run;
  },
  getRun: ({ client }, { runId }) => client.getRun(runId),
  getParentRun: async ({ client }, { runId }) => (await client.getParentRun(runId))?.info.runId,
  async updateRun({ client }, { runId, ...changes }) {
    await client.updateRun(runId, changes);
  },
  setTerminated: ({ client }, { runId, status, endTime }) =>
    client.setTerminated(runId, status, endTime),
  deleteRun: ({ client }, { runId }) => client.deleteRun(runId),
  restoreRun: ({ client }, { runId }) => client.restoreRun(runId),
  async logMetric({ client }, { runId, key, value, ...options }) {
    await client.logMetric(runId, key, Number(value), options);
  },
  async logParam({ client }, { runId, key, value }) {
    await client.logParam(runId, key, value);
  },
  async setTag({ client }, { runId, key, value }) {
    await client.setTag(runId, key, value);
  },
  deleteTag: ({ client }, { runId, key }) => client.deleteTag(runId, key),
  async logBatch({ client }, { runId, metrics = [], params = {}, tags = {} }) {
    const points = metrics.map((point: Given) => ({ ...point, value: Number(point.value) }));
    await client.logBatch(runId, { metrics: points, params, tags });
  },
  logInputs: ({ client }, { runId, ...inputs }) => client.logInputs(runId, inputs),
  searchRuns: ({ client }, { experimentIds, ...options }) =>
    pages(
      (pageToken) => client.searchRuns(experimentIds, { ...options, pageToken }),
      ({ info }) => info.runId,
    ),
  getMetricHistory: ({ client }, { runId, key }) => client.getMetricHistory(runId, key),
  fluentRun: (stage, { run }) => fluentRun(stage, run),

  logText: ({ client }, { runId, text, artifactFile }) => client.logText(runId, text, artifactFile),
  logDict: ({ client }, { runId, dictionary, artifactFile }) =>
    client.logDict(runId, dictionary, artifactFile),
  logBytes: ({ client }, { runId, content, artifactFile }) =>
    client.logBytes(runId, Uint8Array.from(Buffer.from(content, "base64")), artifactFile),
  logArtifacts: ({ client }, { runId, files, artifactPath }) =>
    withFolder(async (source) => {
      await writeFiles(source, files);
      await client.logArtifacts(runId, source, artifactPath);
    }),
  listArtifacts: ({ client }, { runId, path }) => client.listArtifacts(runId, path),
  downloadArtifacts: ({ client }, { runId, path }) => download(client, runId, path),
  loadText: ({ trackingUri }, { uri }) =>
    mlflow.artifacts.loadText({ artifactUri: uri, trackingUri }),
  loadDict: ({ trackingUri }, { uri }) =>
    mlflow.artifacts.loadDict({ artifactUri: uri, trackingUri }),

  createRegisteredModel: async ({ client }, { name, ...options }) =>
    modelOf(await client.createRegisteredModel(name, options)),
  getRegisteredModel: async ({ client }, { name }) =>
    modelOf(await client.getRegisteredModel(name)),
  async renameRegisteredModel({ client }, { name, newName }) {
    await client.renameRegisteredModel(name, newName);
  },
  updateRegisteredModel: async ({ client }, { name, description }) =>
    modelOf(await client.updateRegisteredModel(name, { description })),
  deleteRegisteredModel: ({ client }, { name }) => client.deleteRegisteredModel(name),
  setRegisteredModelTag: ({ client }, { name, key, value }) =>
    client.setRegisteredModelTag(name, key, value),
  deleteRegisteredModelTag: ({ client }, { name, key }) =>
    client.deleteRegisteredModelTag(name, key),
  setRegisteredModelAlias: ({ client }, { name, alias, version }) =>
    client.setRegisteredModelAlias(name, alias, version),
  deleteRegisteredModelAlias: ({ client }, { name, alias }) =>
    client.deleteRegisteredModelAlias(name, alias),
  getModelVersionByAlias: async ({ client }, { name, alias }) =>
    versionOf(await client.getModelVersionByAlias(name, alias)),
  getLatestVersions: async ({ client }, { name, stages }) =>
    (await client.getLatestVersions(name, stages)).map(versionOf),
  createModelVersion: async ({ client }, { name, source, ...options }) =>
    versionOf(await client.createModelVersion(name, source, options)),
  registerModel: async ({ client }, { modelUri, name, ...options }) =>
    versionOf(await client.registerModel(modelUri, name, options)),
  copyModelVersion: async ({ client }, { modelUri, newName }) =>
    versionOf(await client.copyModelVersion(modelUri, newName)),
  getModelVersion: async ({ client }, { name, version }) =>
    versionOf(await client.getModelVersion(name, version)),
  getModelVersionDownloadUri: ({ client }, { name, version }) =>
    client.getModelVersionDownloadUri(name, version),
  updateModelVersion: async ({ client }, { name, version, description }) =>
    versionOf(await client.updateModelVersion(name, version, { description })),
  transitionModelVersionStage: async ({ client }, { name, version, stage, archive }) => {
    const options = { archiveExistingVersions: archive };
    return versionOf(await client.transitionModelVersionStage(name, version, stage, options));
  },
  deleteModelVersion: ({ client }, { name, version }) => client.deleteModelVersion(name, version),
  setModelVersionTag: ({ client }, { name, version, key, value }) =>
    client.setModelVersionTag(name, version, key, value),
  deleteModelVersionTag: ({ client }, { name, version, key }) =>
    client.deleteModelVersionTag(name, version, key),
  searchRegisteredModels: ({ client }, options) =>
    pages(
      (pageToken) => client.searchRegisteredModels({ ...options, pageToken }),
      ({ name }) => name,
    ),
  searchModelVersions: ({ client }, options) =>
    pages(
      (pageToken) => client.searchModelVersions({ ...options, pageToken }),
      ({ name, version }) => `${name} ${version}`,
    ),

  async createLoggedModel({ client, made }, { experimentId, ...options }) {
    const model = await client.createLoggedModel(experimentId, options);
    made.push(model.modelId);
    return model;
  },
  getLoggedModel: ({ client }, { modelId }) => client.getLoggedModel(modelId),
  finalizeLoggedModel: ({ client }, { modelId, status }) =>
    client.finalizeLoggedModel(modelId, status),
  deleteLoggedModel: ({ client }, { modelId }) => client.deleteLoggedModel(modelId),
  setLoggedModelTags: ({ client }, { modelId, tags }) => client.setLoggedModelTags(modelId, tags),
  deleteLoggedModelTag: ({ client }, { modelId, key }) => client.deleteLoggedModelTag(modelId, key),
  logModelParams: ({ client }, { modelId, params }) => client.logModelParams(modelId, params),
  logOutputs: ({ client }, { runId, models }) => client.logOutputs(runId, models),
  searchLoggedModels: ({ client }, { experimentIds, ...options }) =>
    pages(
      (pageToken) => client.searchLoggedModels(experimentIds, { ...options, pageToken }),
      ({ modelId }) => modelId,
    ),

  readAll,
};

export const CALL_NAMES: readonly string[] = Object.keys(CALLS);

/** Plays on a server, or in a folder. */
export function typescriptPlayer(trackingUri: string): Player {
  const client = new mlflow.MlflowClient({ trackingUri });
  return {
    async perform(call, values): Promise<Outcome> {
      const made: string[] = [];
      const play = CALLS[call];
      if (play === undefined) throw new Error(`There is no call '${call}'.`);
      try {
        return { answer: asJson(await play({ client, trackingUri, made }, values)), made };
      } catch (error) {
        if (error instanceof mlflow.MlflowError) {
          return { error: error.code, message: error.message, made };
        }
        return { error: `TypeScript's ${(error as Error).name}`, message: String(error), made };
      }
    },
  };
}
