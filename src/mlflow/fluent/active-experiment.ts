// The active experiment: where runs go that are told nothing else.
import { environmentVariable } from "../../runtime/capabilities.js";
import { activeIdOf } from "../client/experiments.js";
import type { MlflowClient } from "../client.js";
import type { Experiment } from "../entities.js";
import { hasCode, invalidParameter } from "../errors.js";
import { checkOptions } from "../validation.js";
import { currentClient } from "./frames.js";

const DEFAULT_EXPERIMENT_ID = "0";

/** By name where there is one, so that it means the same on whichever store is used next. */
let activeExperiment: Pick<Experiment, "name" | "experimentId"> | undefined;
let activeExperimentStore: string | undefined;

/** The experiment of a run: the one it names, else its parent's, else the active one. */
export async function experimentFor(
  client: MlflowClient,
  options: {
    readonly experimentId?: string | undefined;
    readonly experimentName?: string | undefined;
  },
  parentExperimentId: string | undefined,
): Promise<string> {
  if (options.experimentId !== undefined) return options.experimentId;
  if (options.experimentName !== undefined) {
    return client.findOrCreateExperiment(options.experimentName);
  }
  return parentExperimentId ?? activeExperimentId(client);
}

export async function activeExperimentId(client: MlflowClient): Promise<string> {
  if (activeExperiment !== undefined) {
    return activeExperimentStore === client.trackingUri
      ? activeExperiment.experimentId
      : client.findOrCreateExperiment(activeExperiment.name);
  }
  const id = environmentVariable("MLFLOW_EXPERIMENT_ID");
  const name = environmentVariable("MLFLOW_EXPERIMENT_NAME");
  if (name === undefined) return id ?? DEFAULT_EXPERIMENT_ID;
  const found = await client.findOrCreateExperiment(name);
  if (id !== undefined && id !== found) {
    const fix = `the experiment '${name}' that MLFLOW_EXPERIMENT_NAME names has the id '${found}'; unset one of the two.`;
    throw invalidParameter("MLFLOW_EXPERIMENT_ID", id, fix);
  }
  return found;
}

/**
 * Makes an experiment the active one of this process: by name, created when there is none, or by
 * `{ experimentId }`. Rejects with MlflowError for a deleted one.
 */
export async function setExperiment(
  experiment: string | { readonly experimentId: string },
): Promise<Experiment> {
  const client = currentClient();
  const found = await findExperiment(client, experiment);
  activeIdOf(found);
  activeExperiment = found;
  activeExperimentStore = client.trackingUri;
  return found;
}

async function findExperiment(
  client: MlflowClient,
  experiment: string | { readonly experimentId: string },
): Promise<Experiment> {
  if (typeof experiment !== "string") {
    checkOptions("setExperiment", experiment, ["experimentId"]);
    return client.getExperiment(experiment.experimentId);
  }
  const found = await client.getExperimentByName(experiment);
  if (found !== undefined) return found;
  try {
    return await client.getExperiment(await client.createExperiment(experiment));
  } catch (error) {
    if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
    // Another process was faster.
    const other = await client.getExperimentByName(experiment);
    if (other === undefined) throw error;
    return other;
  }
}
