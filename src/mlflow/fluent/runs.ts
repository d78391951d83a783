// Runs of the store in force: found, read, deleted and restored.
import { followingToken, type SearchOptions } from "../client/requests.js";
import type { LoadTableOptions, MlflowClient } from "../client.js";
import type { Metric, Run } from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import { joinUri } from "../stores.js";
import { checkArtifactPath, checkOptions } from "../validation.js";
import { activeExperimentId } from "./active-experiment.js";
import { currentClient, type Frame, targetFrame } from "./frames.js";

const SEARCH_PAGE = 1000;
/** Most runs that a search answers unless told otherwise, as in Python. */
const MAX_FOUND_RUNS = 100_000;
const SEARCH_RUNS_OPTIONS = [
  "experimentIds",
  "experimentNames",
  "searchAllExperiments",
  "filterString",
  "orderBy",
  "maxResults",
  "viewType",
];

export async function getRun(runId: string): Promise<Run> {
  return currentClient().getRun(runId);
}

export interface SearchRunsOptions extends Omit<SearchOptions, "pageToken"> {
  /** The active experiment when neither ids nor names are given. */
  readonly experimentIds?: readonly string[] | undefined;
  readonly experimentNames?: readonly string[] | undefined;
  /** In every experiment that is not deleted; false when left out. */
  readonly searchAllExperiments?: boolean | undefined;
}

/** All runs found, in memory; at most `maxResults`, 100000 when left out. */
export async function searchRuns(options: SearchRunsOptions = {}): Promise<Run[]> {
  checkOptions("searchRuns", options, SEARCH_RUNS_OPTIONS);
  const { experimentIds, experimentNames, searchAllExperiments, ...rest } = options;
  const { maxResults = MAX_FOUND_RUNS, ...search } = rest;
  if (!Number.isSafeInteger(maxResults) || maxResults < 1) {
    throw invalidParameter("maxResults", maxResults, "pass a whole number from 1.");
  }
  const client = currentClient();
  const ids = await experimentIdsFor(client, options);
  const found: Run[] = [];
  if (ids.length === 0) return found;
  let pageToken: string | undefined;
  do {
    const wanted = Math.min(SEARCH_PAGE, maxResults - found.length);
    const page = await client.searchRuns(ids, { ...search, maxResults: wanted, pageToken });
    found.push(...page);
    pageToken = followingToken(page.nextPageToken, pageToken);
  } while (pageToken !== undefined && found.length < maxResults);
  return found;
}

/**
 * Every run found, one after the other, of any number: asks for a page of `maxResults` runs (1000 when
 * left out) when it is needed, so that memory stays that of a page.
 */
export async function* searchRunsIterator(
  options: SearchRunsOptions = {},
): AsyncGenerator<Run, void> {
  checkOptions("searchRunsIterator", options, SEARCH_RUNS_OPTIONS);
  const { experimentIds, experimentNames, searchAllExperiments, ...search } = options;
  const client = currentClient();
  const ids = await experimentIdsFor(client, options);
  if (ids.length > 0) yield* client.searchRunsIterator(ids, search);
}

async function experimentIdsFor(
  client: MlflowClient,
  { experimentIds: ids, experimentNames: names, searchAllExperiments = false }: SearchRunsOptions,
): Promise<readonly string[]> {
  if (typeof searchAllExperiments !== "boolean") {
    throw invalidParameter("searchAllExperiments", searchAllExperiments, "pass true or false.");
  }
  if (searchAllExperiments && (ids ?? names) !== undefined) {
    const fix = "pass it, or experimentIds, or experimentNames.";
    throw invalidParameter("searchAllExperiments", searchAllExperiments, fix);
  }
  if (searchAllExperiments) {
    const all: string[] = [];
    for await (const { experimentId } of client.searchExperimentsIterator()) all.push(experimentId);
    return all;
  }
  if (ids !== undefined && names !== undefined) {
    const fix = "pass either experimentIds or experimentNames.";
    throw invalidParameter("experimentNames", names, fix);
  }
  if (ids !== undefined) return ids;
  if (names === undefined) return [await activeExperimentId(client)];
  if (!Array.isArray(names)) {
    throw invalidParameter("experimentNames", names, "pass an array of names.");
  }
  const found: string[] = [];
  for (const name of names) {
    const experiment = await client.getExperimentByName(name);
    if (experiment !== undefined) found.push(experiment.experimentId);
  }
  return found;
}

/** Every point of a metric; empty when there is none of this name. */
export async function getMetricHistory(runId: string, key: string): Promise<Metric[]> {
  return currentClient().getMetricHistory(runId, key);
}

/** Marks a run as deleted; no byte is freed. */
export async function deleteRun(runId: string): Promise<void> {
  return currentClient().deleteRun(runId);
}

export async function restoreRun(runId: string): Promise<void> {
  return currentClient().restoreRun(runId);
}

/** The run above a nested one; undefined for a run that has none. */
export async function getParentRun(runId: string): Promise<Run | undefined> {
  return currentClient().getParentRun(runId);
}

function runInForce(): Frame {
  const frame = targetFrame();
  if (frame !== undefined) return frame;
  throw new MlflowError("INVALID_STATE", "No run is active. Start one with startRun().");
}

/** URI of the active run's artifacts, or of one of them. Rejects with `INVALID_STATE` without a run. */
export async function getArtifactUri(artifactPath?: string): Promise<string> {
  if (artifactPath !== undefined) checkArtifactPath(artifactPath);
  const frame = runInForce();
  const { info } = frame.run ?? (await frame.started);
  return artifactPath === undefined ? info.artifactUri : joinUri(info.artifactUri, artifactPath);
}

/** The rows of a table of the runs of the active experiment that have it, or of these runs. */
export async function loadTable(
  artifactFile: string,
  options?: LoadTableOptions,
): Promise<Record<string, unknown>[]> {
  const client = currentClient();
  return client.loadTable(await activeExperimentId(client), artifactFile, options);
}
