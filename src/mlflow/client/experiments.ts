// Calls about experiments.
import {
  type Experiment,
  experimentFromMessage,
  messagesIn,
  type Page,
  pageOf,
  required,
} from "../entities.js";
import { hasCode, MlflowError } from "../errors.js";
import { rememberExperimentName } from "../experiment-names.js";
import * as spec from "../spec.js";
import { callStore, type Store } from "../stores.js";
import {
  checkExperimentId,
  checkExperimentName,
  checkOptions,
  checkTagKey,
  experimentTagValue,
  type LoggableValue,
} from "../validation.js";
import { workspaceInForce } from "../workspace.js";
import { StoreConnection } from "./connection.js";
import { remember } from "./memory.js";
import { checkText, eachOf, type SearchOptions, searchRequest, tagsWith } from "./requests.js";

export interface CreateExperimentOptions {
  readonly artifactLocation?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for an experiment that is marked as deleted. */
export function activeIdOf({ name, experimentId, lifecycleStage }: Experiment): string {
  if (lifecycleStage === "active") return experimentId;
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `The experiment '${name}' is deleted. Restore it with restoreExperiment("${experimentId}"), or use another name.`,
  );
}

/** Where a name is looked up: it means another experiment in another workspace. */
interface Lookup {
  readonly store: Store;
  readonly key: string;
}

export class ExperimentClient extends StoreConnection {
  readonly #experimentIds = new Map<string, string>();
  readonly #experimentsUnderway = new Map<string, Promise<string | undefined>>();

  #lookup(name: string): Lookup {
    return { store: this.store, key: JSON.stringify([workspaceInForce(), name]) };
  }

  /** Answers the new experiment's id. */
  createExperiment(name: string, options: CreateExperimentOptions = {}): Promise<string> {
    return this.#create(this.#lookup(name), name, options);
  }

  async #create(
    lookup: Lookup,
    name: string,
    options: CreateExperimentOptions = {},
  ): Promise<string> {
    checkExperimentName(name);
    checkOptions("createExperiment", options, ["artifactLocation", "tags"]);
    checkText("artifactLocation", options.artifactLocation);
    const { experiment_id } = await callStore(lookup.store, spec.createExperiment, {
      name,
      artifact_location: options.artifactLocation,
      tags: tagsWith(experimentTagValue, options.tags),
    });
    const experimentId = required(experiment_id, "experiment_id");
    this.#remember(lookup, name, experimentId);
    return experimentId;
  }

  async getExperiment(experimentId: string): Promise<Experiment> {
    checkExperimentId(experimentId);
    const request = { experiment_id: experimentId };
    const { experiment } = await callStore(this.store, spec.getExperiment, request);
    const found = experimentFromMessage(experiment);
    rememberExperimentName(this.trackingUri, found.experimentId, found.name);
    return found;
  }

  /** Undefined when there is none of this name; a deleted experiment is found too. */
  getExperimentByName(name: string): Promise<Experiment | undefined> {
    return this.#getByName(this.#lookup(name), name);
  }

  async #getByName(lookup: Lookup, name: string): Promise<Experiment | undefined> {
    checkExperimentName(name);
    try {
      const request = { experiment_name: name };
      const { experiment } = await callStore(lookup.store, spec.getExperimentByName, request);
      const found = experimentFromMessage(experiment);
      if (found.lifecycleStage === "active") this.#remember(lookup, name, found.experimentId);
      return found;
    } catch (error) {
      if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
      throw error;
    }
  }

  /**
   * The id of the active experiment of this name, which is created when there is none. Remembered:
   * only the first use of a name asks the store.
   */
  async findOrCreateExperiment(name: string): Promise<string> {
    const lookup = this.#lookup(name);
    const { key } = lookup;
    const known = this.#experimentIds.get(key);
    if (known !== undefined) return known;
    // Whoever comes second waits, so that the experiment is created once. A failure is the first
    // one's own: it may have been refused for a reason that does not hold for others.
    const underway = this.#experimentsUnderway.get(key);
    if (underway !== undefined) {
      const found = await underway;
      if (found !== undefined) return found;
    }
    const own = this.#findOrCreate(lookup, name);
    const watched = own.catch(() => undefined);
    this.#experimentsUnderway.set(key, watched);
    try {
      return await own;
    } finally {
      if (this.#experimentsUnderway.get(key) === watched) this.#experimentsUnderway.delete(key);
    }
  }

  async #findOrCreate(lookup: Lookup, name: string): Promise<string> {
    const experiment = await this.#getByName(lookup, name);
    if (experiment !== undefined) return activeIdOf(experiment);
    try {
      return await this.#create(lookup, name);
    } catch (error) {
      // Another process was faster.
      if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
      const other = await this.#getByName(lookup, name);
      if (other === undefined) throw error;
      return activeIdOf(other);
    }
  }

  #remember({ key }: Lookup, name: string, experimentId: string): void {
    rememberExperimentName(this.trackingUri, experimentId, name);
    remember(this.#experimentIds, key, experimentId);
  }

  protected forgetExperiment(experimentId: string): void {
    for (const [name, id] of this.#experimentIds) {
      if (id === experimentId) this.#experimentIds.delete(name);
    }
  }

  async searchExperiments(options: SearchOptions = {}): Promise<Page<Experiment>> {
    const { request, viewType } = searchRequest(options);
    const { experiments, next_page_token } = await callStore(this.store, spec.searchExperiments, {
      ...request,
      view_type: viewType,
    });
    return pageOf(
      messagesIn(experiments, "experiments").map(experimentFromMessage),
      next_page_token,
    );
  }

  /** Every experiment found, one after the other; asks for a page when it is needed. */
  searchExperimentsIterator(options: SearchOptions = {}): AsyncGenerator<Experiment, void> {
    return eachOf(options, (page) => this.searchExperiments(page));
  }

  /** Marks an experiment and its runs as deleted; no byte is freed. */
  async deleteExperiment(experimentId: string): Promise<void> {
    checkExperimentId(experimentId);
    this.forgetExperiment(experimentId);
    await callStore(this.store, spec.deleteExperiment, { experiment_id: experimentId });
  }

  async restoreExperiment(experimentId: string): Promise<void> {
    checkExperimentId(experimentId);
    await callStore(this.store, spec.restoreExperiment, { experiment_id: experimentId });
  }

  /** Rejects with `RESOURCE_ALREADY_EXISTS` when another experiment has the name. */
  async renameExperiment(experimentId: string, newName: string): Promise<void> {
    checkExperimentId(experimentId);
    checkExperimentName(newName);
    this.forgetExperiment(experimentId);
    const request = { experiment_id: experimentId, new_name: newName };
    await callStore(this.store, spec.updateExperiment, request);
    rememberExperimentName(this.trackingUri, experimentId, newName);
  }

  /** Rejects with `RESOURCE_DOES_NOT_EXIST` when there is no such tag. */
  async deleteExperimentTag(experimentId: string, key: string): Promise<void> {
    checkExperimentId(experimentId);
    checkTagKey(key);
    await callStore(this.store, spec.deleteExperimentTag, { experiment_id: experimentId, key });
  }

  async setExperimentTag(experimentId: string, key: string, value: LoggableValue): Promise<void> {
    checkExperimentId(experimentId);
    checkTagKey(key);
    const text = experimentTagValue(key, value);
    const request = { experiment_id: experimentId, key, value: text };
    await callStore(this.store, spec.setExperimentTag, request);
  }
}
