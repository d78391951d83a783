// Every MLflow call by explicit id; what is written to a run is here, the rest in the rooms below.
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { checkedTransfer } from "./artifact-stores/download.js";
import { openArtifactStore } from "./artifact-stores/open-store.js";
import {
  type ArtifactContext,
  downloadPlace,
  listPlace,
  runPlace,
} from "./artifact-stores/read.js";
import { isSynchronous, loggingQueue } from "./async-logging.js";
import { ModelLoggingClient } from "./client/model-logging.js";
import { followingToken } from "./client/requests.js";
import { type ArtifactInfo, artifactFromMessage, type Dataset, messagesIn } from "./entities.js";
import { MlflowError } from "./errors.js";
import { type InputsOfRun, inputsWrite, type LogInputOptions } from "./input-writes.js";
import { DONE, type RunOperations } from "./logging-queue.js";
import { splitModelUri } from "./model-uri.js";
import { figureWrite, type ImageOptions, imageWrite } from "./picture-writes.js";
import {
  type ArtifactBytes,
  type BatchOfWrites,
  batchWrite,
  bytesArtifact,
  dictArtifact,
  localArtifact,
  localArtifacts,
  type MetricOptions,
  metricWrite,
  paramWrite,
  type RunWrite,
  tagRemoval,
  tagWrite,
  textArtifact,
  type WriteOptions,
  type Written,
} from "./run-writes.js";
import * as spec from "./spec.js";
import { callStore, type Store } from "./stores.js";
import {
  checkTableFile,
  LOGGED_ARTIFACTS_TAG,
  readTable,
  rowsOfTable,
  type TableData,
  tableWrite,
} from "./tables.js";
import { checkArtifactPath, checkOptions, checkRunId, type LoggableValue } from "./validation.js";

export interface LoadTableOptions {
  /** Only of these; of every run that has the table, when left out. */
  readonly runIds?: readonly string[] | undefined;
  /** Adds the column `run_id`; false when left out. */
  readonly withRunId?: boolean | undefined;
}

/**
 * An MLflow server, or a folder in MLflow's layout. Every method rejects with MlflowError; what MLflow
 * forbids is refused before anything is sent.
 */
export class MlflowClient extends ModelLoggingClient {
  // ── what is written to a run ───────────────────────────────────────────────────────────────────

  /** Sends a checked write to a run, or queues it. */
  write<Options extends WriteOptions>(runId: string, write: RunWrite): Promise<Written<Options>> {
    return this.writer()(runId, write);
  }

  /** What writes as `write` does, to the store as it is at this moment. */
  writer(): <Options extends WriteOptions>(
    runId: string,
    write: RunWrite,
  ) => Promise<Written<Options>> {
    const { store } = this;
    return async <Options extends WriteOptions>(runId: string, write: RunWrite) =>
      (await this.#writeOrQueue(store, runId, write)) as Written<Options>;
  }

  async #writeOrQueue(store: Store, runId: string, write: RunWrite): Promise<RunOperations> {
    checkRunId(runId);
    const { content, synchronous } = write;
    if (content !== undefined && !isSynchronous(synchronous)) {
      return loggingQueue.add(store, runId, content);
    }
    // What was logged before comes before.
    await loggingQueue.drain(store, runId);
    await write({ store, runId, artifacts: () => this.artifactRoot(runId, store) });
    return DONE;
  }

  async logMetric<const Options extends MetricOptions>(
    runId: string,
    key: string,
    value: number,
    options?: Options | number,
  ): Promise<Written<Options>> {
    return this.write(runId, metricWrite(key, value, options));
  }

  /** A param is written once: another value for the same name is refused. */
  async logParam<const Options extends WriteOptions>(
    runId: string,
    key: string,
    value: LoggableValue,
    options?: Options,
  ): Promise<Written<Options>> {
    return this.write(runId, paramWrite(key, value, options));
  }

  async setTag<const Options extends WriteOptions>(
    runId: string,
    key: string,
    value: LoggableValue,
    options?: Options,
  ): Promise<Written<Options>> {
    return this.write(runId, tagWrite(key, value, options));
  }

  async deleteTag(runId: string, key: string): Promise<void> {
    await this.write(runId, tagRemoval(key));
  }

  /** Together, in as few requests as MLflow's limits allow; none when there is nothing. */
  async logBatch<const Options extends WriteOptions>(
    runId: string,
    batch: BatchOfWrites,
    options?: Options,
  ): Promise<Written<Options>> {
    return this.write(runId, batchWrite(batch, options));
  }

  /** Notes a dataset that the run used, and what for. */
  async logInput(runId: string, dataset: Dataset, options: LogInputOptions = {}): Promise<void> {
    await this.write(runId, inputsWrite({ datasets: [{ ...options, dataset }] }));
  }

  /** Notes the datasets and the logged models that the run used. */
  async logInputs(runId: string, inputs: InputsOfRun): Promise<void> {
    await this.write(runId, inputsWrite(inputs));
  }

  /** A picture: as an artifact of a name, or as PNG of a series that MLflow shows step by step. */
  async logImage(runId: string, image: Uint8Array, place: string | ImageOptions): Promise<void> {
    await this.write(runId, imageWrite(image, place));
  }

  /** A figure: SVG or HTML as text, or the bytes of any picture. */
  async logFigure(runId: string, figure: string | Uint8Array, artifactFile: string): Promise<void> {
    await this.write(runId, figureWrite(figure, artifactFile));
  }

  /** A local file, below `artifactPath`; a folder goes there with its name. */
  async logArtifact(
    runId: string,
    localPath: string,
    artifactPath?: string,
    options?: TransferOptions,
  ): Promise<void> {
    checkRunId(runId);
    const write = this.writer();
    await write(runId, await localArtifact(localPath, artifactPath, options));
  }

  /** Every file in a local folder, below `artifactPath`. */
  async logArtifacts(
    runId: string,
    localDirectory: string,
    artifactPath?: string,
    options?: TransferOptions,
  ): Promise<void> {
    checkRunId(runId);
    const write = this.writer();
    await write(runId, await localArtifacts(localDirectory, artifactPath, options));
  }

  async logText(
    runId: string,
    text: string,
    artifactFile: string,
    options?: TransferOptions,
  ): Promise<void> {
    await this.write(runId, textArtifact(text, artifactFile, options));
  }

  /** As YAML when the name ends in `.yaml` or `.yml`, else as JSON. */
  async logDict(
    runId: string,
    dictionary: object,
    artifactFile: string,
    options?: TransferOptions,
  ): Promise<void> {
    await this.write(runId, dictArtifact(dictionary, artifactFile, options));
  }

  /** From memory, from a Blob, or from a stream, which is kept first. */
  async logBytes(
    runId: string,
    bytes: ArtifactBytes,
    artifactFile: string,
    options?: TransferOptions,
  ): Promise<void> {
    await this.write(runId, bytesArtifact(bytes, artifactFile, options));
  }

  /** Where this client finds artifacts, for whatever reads them. */
  get artifactContext(): ArtifactContext {
    const { store } = this;
    return {
      store,
      artifactRoot: (runId) => this.artifactRoot(runId, store),
      placeOfModel: async (uri) => {
        const { modelUri, path } = splitModelUri(uri);
        return { rootUri: (await this.resolveModelUri(modelUri)).artifactUri, path };
      },
    };
  }

  /**
   * Downloads a file or folder of a run's artifacts (all of them when `path` is empty) under its path
   * in the local folder `dstPath`: a temporary one when left out, except that what is in local files
   * stays where it is. Answers the local path. Each file is written whole or not at all.
   */
  async downloadArtifacts(
    runId: string,
    path = "",
    dstPath?: string,
    options: TransferOptions = {},
  ): Promise<string> {
    const transfer = checkedTransfer("downloadArtifacts", options);
    return downloadPlace(await runPlace(this.artifactContext, runId, path), dstPath, transfer);
  }

  /**
   * Adds rows to a table of the run, which is made when there is none; MLflow's pages compare tables
   * of one name between runs. What two processes write at once to one table is not joined.
   */
  async logTable(runId: string, data: TableData, artifactFile: string): Promise<void> {
    await this.write(runId, tableWrite(data, artifactFile));
  }

  /**
   * The rows of a table of these runs, or of all in an experiment that have it; each row with its
   * `run_id` when asked for. Rejects with `RESOURCE_DOES_NOT_EXIST` when no run has it.
   */
  async loadTable(
    experimentId: string,
    artifactFile: string,
    options: LoadTableOptions = {},
  ): Promise<Record<string, unknown>[]> {
    checkTableFile(artifactFile);
    checkOptions("loadTable", options, ["runIds", "withRunId"]);
    const { runIds, withRunId = false } = options;
    const filter = `tags."${LOGGED_ARTIFACTS_TAG}" LIKE '%"path"%:%"${artifactFile}"%'`;
    const rows: Record<string, unknown>[] = [];
    let isFound = false;
    for await (const { info } of this.searchRunsIterator([experimentId], {
      filterString: filter,
    })) {
      const { runId } = info;
      if (runIds !== undefined && !runIds.includes(runId)) continue;
      const table = await readTable(await runPlace(this.artifactContext, runId, artifactFile));
      if (table === undefined) continue;
      isFound = true;
      for (const row of rowsOfTable(table)) rows.push(withRunId ? { ...row, run_id: runId } : row);
    }
    if (isFound) return rows;
    throw new MlflowError(
      "RESOURCE_DOES_NOT_EXIST",
      `No run of experiment '${experimentId}' has the table '${artifactFile}'.`,
    );
  }

  /** What is directly below `path` in the folder of a logged model. */
  async listLoggedModelArtifacts(modelId: string, path = ""): Promise<ArtifactInfo[]> {
    if (path !== "") checkArtifactPath(path);
    const { artifactLocation } = await this.getLoggedModel(modelId);
    const artifacts = openArtifactStore(artifactLocation, this.store);
    return listPlace({ artifacts, path, context: this.artifactContext }, path);
  }

  /** What is directly below `path` in a run's artifacts. */
  async listArtifacts(runId: string, path?: string): Promise<ArtifactInfo[]> {
    checkRunId(runId);
    if (path !== undefined) checkArtifactPath(path);
    const found: ArtifactInfo[] = [];
    const { store } = this;
    let pageToken: string | undefined;
    do {
      const { files, next_page_token } = await callStore(store, spec.listArtifacts, {
        run_id: runId,
        path,
        page_token: pageToken,
      });
      found.push(...messagesIn(files, "files").map(artifactFromMessage));
      pageToken = followingToken(next_page_token, pageToken);
    } while (pageToken !== undefined);
    return found;
  }
}
