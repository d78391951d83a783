// Experiments of the store in force: created, found, changed, deleted and restored.
import type { CreateExperimentOptions } from "../client/experiments.js";
import type { SearchOptions } from "../client/requests.js";
import type { Experiment, Page } from "../entities.js";
import { checkRecord, type LoggableValue } from "../validation.js";
import { activeExperimentId } from "./active-experiment.js";
import { currentClient, targetFrame } from "./frames.js";

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

/** Every experiment found, one after the other; asks for a page when it is needed. */
export async function* searchExperimentsIterator(
  options?: SearchOptions,
): AsyncGenerator<Experiment, void> {
  yield* currentClient().searchExperimentsIterator(options);
}

/** Marks an experiment and its runs as deleted; no byte is freed. */
export async function deleteExperiment(experimentId: string): Promise<void> {
  return currentClient().deleteExperiment(experimentId);
}

export async function restoreExperiment(experimentId: string): Promise<void> {
  return currentClient().restoreExperiment(experimentId);
}

/** Rejects when another experiment has the name. */
export async function renameExperiment(experimentId: string, newName: string): Promise<void> {
  return currentClient().renameExperiment(experimentId, newName);
}

/** The experiment of the active run, else the active one. */
async function experimentInForce() {
  const frame = targetFrame();
  if (frame === undefined) {
    const client = currentClient();
    return { client, experimentId: await activeExperimentId(client) };
  }
  const { info } = frame.run ?? (await frame.started);
  return { client: frame.client, experimentId: info.experimentId };
}

/** On the experiment of the active run, else on the active one. */
export async function setExperimentTag(key: string, value: LoggableValue): Promise<void> {
  const { client, experimentId } = await experimentInForce();
  await client.setExperimentTag(experimentId, key, value);
}

/** On the experiment of the active run, else on the active one. */
export async function setExperimentTags(
  tags: Readonly<Record<string, LoggableValue>>,
): Promise<void> {
  checkRecord("tags", tags);
  const { client, experimentId } = await experimentInForce();
  for (const [key, value] of Object.entries(tags)) {
    await client.setExperimentTag(experimentId, key, value);
  }
}

/** From the experiment of the active run, else from the active one. */
export async function deleteExperimentTag(key: string): Promise<void> {
  const { client, experimentId } = await experimentInForce();
  await client.deleteExperimentTag(experimentId, key);
}
