// Where everything lies in a store's folder: MLflow's `mlruns` layout.
// Source: mlflow/store/tracking/file_store.py and mlflow/store/model_registry/file_store.py (3.17).
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MlflowError } from "../errors.js";
import { Queues } from "../queues.js";
import { joinUri } from "../stores.js";
import { isErrno, orMissing } from "./file-errors.js";
import { MetaCache, writeMeta } from "./meta-file.js";

export const DEFAULT_EXPERIMENT_ID = "0";
const TRASH = ".trash";
const MODELS = "models";
/** Folders in an experiment's folder that are no runs. */
export const RESERVED_IN_EXPERIMENT: readonly string[] = ["tags", "datasets", "traces", MODELS];

/** One store's folder, and what its parts share. */
export class Layout {
  readonly root: string;
  readonly rootUri: string;
  readonly metas = new MetaCache();
  readonly queues = new Queues();
  #prepared: Promise<void> | undefined;

  constructor(uri: string) {
    this.rootUri = uri;
    this.root = fileURLToPath(uri);
  }

  get trash(): string {
    return join(this.root, TRASH);
  }
  get models(): string {
    return join(this.root, MODELS);
  }
  /** What is locked while a name of an experiment is given. */
  get experimentNames(): string {
    return join(this.root, ".experiments");
  }
  experiment(experimentId: string): string {
    return join(this.root, experimentId);
  }
  deletedExperiment(experimentId: string): string {
    return join(this.trash, experimentId);
  }
  model(name: string): string {
    return join(this.models, name);
  }
  version(name: string, version: string): string {
    return join(this.model(name), `version-${version}`);
  }

  /** Makes the folder with its default experiment, as MLflow does, where there is nothing yet. */
  prepare(): Promise<void> {
    this.#prepared ??= this.#prepareOnce().catch((error) => {
      this.#prepared = undefined;
      throw error;
    });
    return this.#prepared;
  }

  async #prepareOnce(): Promise<void> {
    const found = await orMissing(stat(this.root), undefined);
    if (found !== undefined && !found.isDirectory()) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `'${this.root}' is a file and no folder; choose another with setTrackingUri() or MLFLOW_TRACKING_URI.`,
      );
    }
    const entries: string[] = await orMissing(readdir(this.root), []);
    if (entries.includes(TRASH) && entries.includes(MODELS)) return;
    try {
      await mkdir(this.trash, { recursive: true });
      await mkdir(this.models, { recursive: true });
      if (entries.length === 0) await this.#createDefaultExperiment();
    } catch (error) {
      if (isErrno(error, "ENOTDIR", "EEXIST")) {
        throw new MlflowError(
          "INVALID_PARAMETER_VALUE",
          `'${this.root}' cannot be a folder: a part of its path is a file, or a link to nothing. Choose another with setTrackingUri() or MLFLOW_TRACKING_URI.`,
          { cause: error },
        );
      }
      // What others have written can be read from a folder that cannot be written.
      if (entries.length > 0 && isErrno(error, "EACCES", "EPERM", "EROFS")) return;
      throw error;
    }
  }

  async #createDefaultExperiment(): Promise<void> {
    const folder = this.experiment(DEFAULT_EXPERIMENT_ID);
    await mkdir(folder, { recursive: true });
    const now = Date.now();
    await writeMeta(folder, {
      artifact_location: joinUri(this.rootUri, DEFAULT_EXPERIMENT_ID),
      creation_time: now,
      experiment_id: DEFAULT_EXPERIMENT_ID,
      last_update_time: now,
      lifecycle_stage: "active",
      name: "Default",
    });
  }
}
