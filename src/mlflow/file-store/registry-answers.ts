// Endpoints of the model registry, answered by a folder.
import * as spec from "../spec.js";
import { checkMaxResults } from "../validation.js";
import type { Answers } from "./answers.js";
import type { LoggedModels } from "./logged-models.js";
import { listed, refused } from "./messages.js";
import { checkSource, isLocal, isWithin } from "./model-source.js";
import type { Registry } from "./registry.js";
import type { NewVersion } from "./registry-entries.js";
import { type RegistrySearch, searchModels, searchVersions } from "./registry-search.js";
import type { Runs } from "./runs.js";

const MAX_MODELS = 1000;
const MAX_VERSIONS = 200_000;
const DEFAULT_MODELS = 100;

interface SearchRequest {
  readonly filter?: string | undefined;
  readonly order_by?: readonly string[] | undefined;
  readonly max_results?: number | undefined;
  readonly page_token?: string | undefined;
}

function searchOf(request: SearchRequest, limit: number): RegistrySearch {
  const { filter, order_by, max_results = DEFAULT_MODELS, page_token } = request;
  checkMaxResults(max_results, limit);
  return { filter, orderBy: order_by, maxResults: max_results, pageToken: page_token };
}

export function answerRegistry(
  answers: Answers,
  registry: Registry,
  runs: Runs,
  loggedModels: LoggedModels,
): void {
  answerModels(answers, registry);
  answerVersions(answers, registry, async (version) => {
    const { source } = version;
    checkSource(source);
    if (isLocal(source)) await checkLocalSource(runs, version);
    const [, modelId] = /^models:\/+([^/@]+)$/.exec(source) ?? [];
    if (modelId === undefined) return registry.createVersion(version);
    const { info } = await loggedModels.get(modelId);
    return registry.createVersion({
      ...version,
      runId: version.runId ?? info?.source_run_id,
      storageLocation: info?.artifact_uri,
    });
  });
}

/** Files of this machine may be a model's only where they are artifacts of the run it names. */
async function checkLocalSource(runs: Runs, { source, runId }: NewVersion): Promise<void> {
  const root = runId === undefined ? undefined : (await runs.get(runId)).meta.artifact_uri;
  if (isWithin(source, root)) return;
  throw refused(
    `Invalid model version source: '${source}'. To use a local path as a model version source, the run_id request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the run_id.`,
  );
}

function answerModels(answers: Answers, registry: Registry): void {
  answers.on(spec.createRegisteredModel, async ({ name, tags = [], description }) => ({
    registered_model: await registry.createModel(name, description, tags),
  }));
  answers.on(spec.getRegisteredModel, async ({ name }) => ({
    registered_model: await registry.getModel(name),
  }));
  answers.onWrite(spec.deleteRegisteredModel, ({ name }) => registry.deleteModel(name));
  answers.on(spec.getLatestVersions, async ({ name, stages = [] }) =>
    listed("model_versions", await registry.latestVersions(name, stages)),
  );
  answers.onWrite(spec.setRegisteredModelTag, ({ name, ...tag }) =>
    registry.setModelTag(name, tag),
  );
  answers.onWrite(spec.setRegisteredModelAlias, ({ name, alias, version }) =>
    registry.setAlias(name, alias, version),
  );
  answers.onWrite(spec.deleteRegisteredModelAlias, ({ name, alias }) =>
    registry.deleteAlias(name, alias),
  );
  answers.on(spec.getModelVersionByAlias, async ({ name, alias }) => ({
    model_version: await registry.getVersionByAlias(name, alias),
  }));
  answers.on(spec.renameRegisteredModel, async ({ name, new_name }) => ({
    registered_model: await registry.renameModel(name, new_name),
  }));
  answers.on(spec.updateRegisteredModel, async ({ name, description }) => ({
    registered_model: await registry.updateModel(name, description),
  }));
  answers.onWrite(spec.deleteRegisteredModelTag, ({ name, key }) =>
    registry.deleteModelTag(name, key),
  );
  answers.on(spec.searchRegisteredModels, async (request) => {
    const search = searchOf(request, MAX_MODELS);
    const { page, next } = searchModels(await registry.listModels(), search);
    return { ...listed("registered_models", page), ...next };
  });
}

function answerVersions(
  answers: Answers,
  registry: Registry,
  createVersion: (version: NewVersion) => Promise<spec.ModelVersionMessage>,
): void {
  answers.on(spec.createModelVersion, async (request) => ({
    model_version: await createVersion({
      name: request.name,
      source: request.source,
      runId: request.run_id,
      runLink: request.run_link,
      modelId: request.model_id,
      description: request.description,
      tags: request.tags ?? [],
    }),
  }));
  answers.on(spec.getModelVersion, async ({ name, version }) => ({
    model_version: await registry.getVersion(name, version),
  }));
  answers.on(spec.updateModelVersion, async ({ name, version, description }) => ({
    model_version: await registry.updateVersion(name, version, description),
  }));
  answers.onWrite(spec.deleteModelVersion, ({ name, version }) =>
    registry.deleteVersion(name, version),
  );
  answers.on(spec.transitionModelVersionStage, async (request) => {
    const { name, version, stage, archive_existing_versions } = request;
    return {
      model_version: await registry.transition(name, version, stage, archive_existing_versions),
    };
  });
  answers.onWrite(spec.setModelVersionTag, ({ name, version, ...tag }) =>
    registry.setVersionTag(name, version, tag),
  );
  answers.onWrite(spec.deleteModelVersionTag, ({ name, version, key }) =>
    registry.deleteVersionTag(name, version, key),
  );
  answers.on(spec.getModelVersionDownloadUri, async ({ name, version }) => ({
    artifact_uri: await registry.downloadUri(name, version),
  }));
  answers.on(spec.searchModelVersions, async (request) => {
    const search = searchOf(request, MAX_VERSIONS);
    const { page, next } = searchVersions(await registry.listVersions(), search);
    return { ...listed("model_versions", page), ...next };
  });
}
