// Reading experiments and runs of the store in force.
import type { CreateExperimentOptions } from "../client/experiments.js";
import type { SearchOptions } from "../client/requests.js";
import type { MlflowClient } from "../client.js";
import type { Experiment, Metric, Page, Run } from "../entities.js";
import { invalidParameter } from "../errors.js";
import { checkOptions } from "../validation.js";
import { activeExperimentId } from "./active-experiment.js";
import { currentClient } from "./frames.js";

const SEARCH_PAGE = 1000;
/** Most runs that a search answers unless told otherwise, as in Python. */
const MAX_FOUND_RUNS = 100_000;

/** Answers the new experiment's id. */
export async function createExperiment(
  name: string,
  options?: CreateExperimentOptions,
): Promise<string> {
  return currentClient().createExperiment(name, options);
}

export async function getExperiment(experimentId: string): Promise<Experiment> {
  return currentClient().getExperiment(experimentId);
}

/** Undefined when there is none of this name. */
export async function getExperimentByName(name: string): Promise<Experiment | undefined> {
  return currentClient().getExperimentByName(name);
}

export async function searchExperiments(options?: SearchOptions): Promise<Page<Experiment>> {
  return currentClient().searchExperiments(options);
}

export async function getRun(runId: string): Promise<Run> {
  return currentClient().getRun(runId);
}

export interface SearchRunsOptions extends Omit<SearchOptions, "pageToken"> {
  /** The active experiment when neither ids nor names are given. */
  readonly experimentIds?: readonly string[] | undefined;
  readonly experimentNames?: readonly string[] | undefined;
}

/** All runs found, page after page; at most `maxResults`, 100000 when left out. */
export async function searchRuns(options: SearchRunsOptions = {}): Promise<Run[]> {
  const known = ["filterString", "orderBy", "maxResults", "viewType"];
  checkOptions("searchRuns", options, ["experimentIds", "experimentNames", ...known]);
  const { experimentIds, experimentNames, maxResults = MAX_FOUND_RUNS, ...search } = options;
  if (!Number.isSafeInteger(maxResults) || maxResults < 1) {
    throw invalidParameter("maxResults", maxResults, "pass a whole number from 1.");
  }
  const client = currentClient();
  const ids = await experimentIdsFor(client, experimentIds, experimentNames);
  const found: Run[] = [];
  if (ids.length === 0) return found;
  let pageToken: string | undefined;
  do {
    const wanted = Math.min(SEARCH_PAGE, maxResults - found.length);
    const page = await client.searchRuns(ids, { ...search, maxResults: wanted, pageToken });
    found.push(...page);
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined && found.length < maxResults);
  return found;
}

async function experimentIdsFor(
  client: MlflowClient,
  ids: readonly string[] | undefined,
  names: readonly string[] | undefined,
): Promise<readonly string[]> {
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
