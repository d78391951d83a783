// Experiments in a store's folder: create, find, delete into the trash, restore, tag.
import { randomInt } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { currentRuntime } from "../../runtime/capabilities.js";
import { MlflowError } from "../errors.js";
import type { ExperimentMessage, KeyValueMessage } from "../spec.js";
import { schemeOf } from "../store-uri.js";
import { joinUri } from "../stores.js";
import {
  checkExperimentId,
  checkExperimentName,
  checkTagKey,
  experimentTagValue,
} from "../validation.js";
import { withLockFile } from "./exclusive.js";
import { isErrno } from "./file-errors.js";
import { DEFAULT_EXPERIMENT_ID, type Layout } from "./layout.js";
import { alreadyExists, doesNotExist, listed, refused } from "./messages.js";
import { type Meta, numberField, textField, writeMeta } from "./meta-file.js";
import { listFolders, mapInParallel, readValues, replaceFile } from "./value-files.js";

export type LifecycleView = "ACTIVE_ONLY" | "DELETED_ONLY" | "ALL";

/** An experiment where it lies. */
export interface FoundExperiment {
  readonly experimentId: string;
  readonly folder: string;
  readonly meta: Meta;
  readonly deleted: boolean;
}

/** Eighteen digits, so that ids of several writers do not meet. */
function newExperimentId(): string {
  return `${randomInt(100_000_000, 1_000_000_000)}${String(randomInt(1_000_000_000)).padStart(9, "0")}`;
}

export class Experiments {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** Undefined when there is none of this id, or when what lies there is no experiment. */
  async find(experimentId: string): Promise<FoundExperiment | undefined> {
    checkExperimentId(experimentId);
    const { metas } = this.#layout;
    for (const folder of [
      this.#layout.experiment(experimentId),
      this.#layout.deletedExperiment(experimentId),
    ]) {
      const meta = await metas.read(folder);
      // A folder that says it is another one is a copy by hand; Python passes it over as well.
      if (meta === undefined || textField(meta, "experiment_id") !== experimentId) continue;
      const deleted = textField(meta, "lifecycle_stage") === "deleted";
      return { experimentId, folder, meta, deleted };
    }
    return undefined;
  }

  /** Throws MlflowError `RESOURCE_DOES_NOT_EXIST`. */
  async get(experimentId: string): Promise<FoundExperiment> {
    const found = await this.find(experimentId);
    if (found === undefined) throw doesNotExist(`No Experiment with id=${experimentId} exists`);
    return found;
  }

  /** Throws MlflowError `INVALID_PARAMETER_VALUE` when it is deleted. */
  async getActive(experimentId: string): Promise<FoundExperiment> {
    const found = await this.get(experimentId);
    if (found.deleted) {
      throw refused(
        `The experiment ${experimentId} must be in the 'active' state. Current state is deleted.`,
      );
    }
    return found;
  }

  /** Throws MlflowError `RESOURCE_DOES_NOT_EXIST` when it is deleted already. */
  async getToDelete(experimentId: string): Promise<FoundExperiment> {
    const found = await this.get(experimentId);
    if (found.deleted) throw doesNotExist(`No active Experiment with id=${experimentId} exists`);
    return found;
  }

  /** Throws MlflowError `RESOURCE_DOES_NOT_EXIST` when it is not deleted. */
  async getDeleted(experimentId: string): Promise<FoundExperiment> {
    const found = await this.get(experimentId);
    if (!found.deleted) throw doesNotExist(`No deleted Experiment with id=${experimentId} exists`);
    return found;
  }

  async message({ folder, meta, experimentId }: FoundExperiment): Promise<ExperimentMessage> {
    const tags = await readValues(join(folder, "tags"));
    const updated = numberField(meta, "last_update_time");
    const created = numberField(meta, "creation_time");
    return {
      experiment_id: experimentId,
      name: textField(meta, "name") ?? "",
      artifact_location: textField(meta, "artifact_location") ?? "",
      lifecycle_stage: textField(meta, "lifecycle_stage") ?? "active",
      ...(updated !== undefined && { last_update_time: updated }),
      ...(created !== undefined && { creation_time: created }),
      ...listed("tags", tags),
    };
  }

  async list(view: LifecycleView): Promise<FoundExperiment[]> {
    const active = view === "DELETED_ONLY" ? [] : await listFolders(this.#layout.root);
    const deleted = view === "ACTIVE_ONLY" ? [] : await listFolders(this.#layout.trash);
    const ids = [...active, ...deleted].filter((name) => name !== "models" && name[0] !== ".");
    const found = await mapInParallel(ids, (id) => this.#findQuietly(id));
    return found.filter((experiment) => experiment !== undefined);
  }

  /** Folders of others may lie among the experiments. */
  async #findQuietly(name: string): Promise<FoundExperiment | undefined> {
    try {
      return await this.find(name);
    } catch {
      return undefined;
    }
  }

  async findByName(name: string): Promise<FoundExperiment | undefined> {
    const all = await this.list("ALL");
    return all.find(({ meta }) => textField(meta, "name") === name);
  }

  async create(
    name: string,
    location: string | undefined,
    tags: readonly KeyValueMessage[],
  ): Promise<string> {
    checkExperimentName(name);
    if (location?.includes("#") && schemeOf(location) !== undefined) {
      throw refused(`The artifact location '${location}' cannot have a fragment; leave out '#'.`);
    }
    for (const { key, value } of tags) {
      checkTagKey(key);
      experimentTagValue(key, value ?? "");
    }
    const { experimentNames, queues } = this.#layout;
    return queues.run(experimentNames, () =>
      withLockFile(experimentNames, () => this.#createLocked(name, location, tags)),
    );
  }

  async #createLocked(
    name: string,
    location: string | undefined,
    tags: readonly KeyValueMessage[],
  ): Promise<string> {
    const other = await this.findByName(name);
    if (other !== undefined) {
      const advice = other.deleted
        ? " in deleted state. Restore it, or remove it from the folder '.trash', to use the name again"
        : "";
      throw alreadyExists(`Experiment '${name}' already exists${advice}.`);
    }
    const experimentId = newExperimentId();
    const folder = this.#layout.experiment(experimentId);
    await mkdir(folder);
    for (const { key, value = "" } of tags) {
      await replaceFile(join(folder, "tags", key), value, folder);
    }
    const now = Date.now();
    // Last, so that nobody finds an experiment that is not complete.
    await writeMeta(folder, {
      artifact_location: this.#artifactLocation(experimentId, location),
      creation_time: now,
      experiment_id: experimentId,
      last_update_time: now,
      lifecycle_stage: "active",
      name,
    });
    return experimentId;
  }

  #artifactLocation(experimentId: string, location: string | undefined): string {
    if (location === undefined || location === "") {
      return joinUri(this.#layout.rootUri, experimentId);
    }
    const { files } = currentRuntime();
    if (files === undefined || schemeOf(location) !== undefined) return location;
    return files.toFileUri(location);
  }

  /** Says so in the experiment's meta.yaml; other fields stay as they are. */
  async setStage(experiment: FoundExperiment, stage: "active" | "deleted"): Promise<void> {
    const change = { lifecycle_stage: stage, last_update_time: Date.now() };
    await writeMeta(experiment.folder, { ...experiment.meta, ...change });
  }

  /** Moves the folder into the trash; its runs have been marked before. */
  async moveToTrash(experiment: FoundExperiment): Promise<void> {
    await mkdir(this.#layout.trash, { recursive: true });
    await rename(experiment.folder, this.#layout.deletedExperiment(experiment.experimentId));
  }

  async moveFromTrash(experiment: FoundExperiment): Promise<FoundExperiment> {
    const folder = this.#layout.experiment(experiment.experimentId);
    if (experiment.folder !== folder) await rename(experiment.folder, folder);
    return { ...experiment, folder };
  }

  async setTag(experimentId: string, key: string, value: string): Promise<void> {
    checkTagKey(key);
    experimentTagValue(key, value);
    const { folder } = await this.getActive(experimentId);
    await replaceFile(join(folder, "tags", key), value, folder);
  }

  /** Throws MlflowError `RESOURCE_DOES_NOT_EXIST` when there is no such tag. */
  async deleteTag(experimentId: string, key: string): Promise<void> {
    checkTagKey(key);
    const { folder } = await this.getActive(experimentId);
    try {
      await rm(join(folder, "tags", key));
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "ERR_FS_EISDIR")) throw error;
      throw doesNotExist(`No tag with name: ${key} in experiment with id ${experimentId}`);
    }
  }

  async rename(experimentId: string, name: string): Promise<void> {
    checkExperimentName(name);
    await this.get(experimentId);
    const { experimentNames, queues } = this.#layout;
    await queues.run(experimentNames, () =>
      withLockFile(experimentNames, async () => {
        const { folder, meta } = await this.getToRename(experimentId);
        const other = await this.findByName(name);
        if (other !== undefined && other.experimentId !== experimentId) {
          throw alreadyExists(`Experiment '${name}' already exists.`);
        }
        await writeMeta(folder, { ...meta, name, last_update_time: Date.now() });
      }),
    );
  }

  /** A server has no code of its own for a deleted one. */
  async getToRename(experimentId: string): Promise<FoundExperiment> {
    const found = await this.get(experimentId);
    if (!found.deleted) return found;
    throw new MlflowError(
      "INVALID_STATE",
      `The experiment ${experimentId} is deleted and cannot be renamed; restore it first.`,
    );
  }

  /** Throws MlflowError when the experiment cannot be deleted. */
  checkDeletable(experimentId: string): void {
    if (experimentId !== DEFAULT_EXPERIMENT_ID) return;
    throw refused("The default experiment '0' of a file store cannot be deleted.");
  }

  /** Run folders of an experiment, by name. */
  async runFolders(folder: string, reserved: readonly string[]): Promise<string[]> {
    const names = await listFolders(folder);
    return names.filter((name) => !reserved.includes(name));
  }
}
