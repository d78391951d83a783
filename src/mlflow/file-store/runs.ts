// Runs in a store's folder: create, find, change, and what is logged to them.
import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MAX_ENTITIES_PER_BATCH, MAX_PARAMS_OR_TAGS_PER_BATCH } from "../batches.js";
import { hasCode, MlflowError } from "../errors.js";
import type {
  KeyValueMessage,
  MetricMessage,
  RunDataMessage,
  RunInfoMessage,
  RunMessage,
} from "../spec.js";
import { joinUri } from "../stores.js";
import {
  checkMetric,
  checkMetricKey,
  checkParamKey,
  checkRunId,
  checkRunStatus,
  checkTagKey,
} from "../validation.js";
import type { Experiments, FoundExperiment, LifecycleView } from "./experiments.js";
import { isErrno } from "./file-errors.js";
import { type Layout, RESERVED_IN_EXPERIMENT } from "./layout.js";
import { doesNotExist, listed, refused, valueOfTag } from "./messages.js";
import { type Meta, numberField, textField, writeMeta } from "./meta-file.js";
import {
  formatLine,
  historyOf,
  latestPoint,
  messageOfPoint,
  type Point,
  parseLines,
  pointOfMessage,
} from "./metric-lines.js";
import { readRunLinks } from "./run-links.js";
import { randomRunName } from "./run-names.js";
import {
  appendLines,
  createFile,
  listKeys,
  mapInParallel,
  readValue,
  readValues,
  replaceFile,
} from "./value-files.js";

const RUN_NAME_TAG = "mlflow.runName";
/** By the number that stands for each in meta.yaml. */
const STATUSES = ["", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
const SOURCE_TYPE_LOCAL = 4;
const MAX_REMEMBERED = 4096;

/** A run where it lies. */
export interface FoundRun {
  readonly runId: string;
  readonly folder: string;
  readonly meta: Meta;
}

export interface NewRun {
  readonly experimentId: string;
  readonly userId: string;
  readonly runName: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startTime: number;
  readonly tags: readonly KeyValueMessage[];
}

export interface RunChanges {
  readonly status?: string | undefined;
  readonly endTime?: number | undefined;
  readonly runName?: string | undefined;
}

export interface Batch {
  readonly metrics: readonly MetricMessage[];
  readonly params: readonly KeyValueMessage[];
  readonly tags: readonly KeyValueMessage[];
}

function isDeleted(meta: Meta): boolean {
  return textField(meta, "lifecycle_stage") === "deleted";
}

function matches(view: LifecycleView, meta: Meta): boolean {
  return view === "ALL" || (view === "DELETED_ONLY") === isDeleted(meta);
}

function infoMessage(meta: Meta, runName: string | undefined): RunInfoMessage {
  const runId = textField(meta, "run_id") ?? textField(meta, "run_uuid") ?? "";
  const endTime = numberField(meta, "end_time");
  return {
    run_uuid: runId,
    experiment_id: textField(meta, "experiment_id") ?? "",
    run_name: runName ?? "",
    user_id: textField(meta, "user_id") ?? "",
    status: STATUSES[numberField(meta, "status") ?? 1] ?? "RUNNING",
    start_time: numberField(meta, "start_time") ?? 0,
    ...(endTime !== undefined && { end_time: endTime }),
    artifact_uri: textField(meta, "artifact_uri") ?? "",
    lifecycle_stage: textField(meta, "lifecycle_stage") ?? "active",
    run_id: runId,
  };
}

function checkSize({ metrics, params, tags }: Batch): void {
  const together = metrics.length + params.length + tags.length;
  const limits: readonly (readonly [string, number, number])[] = [
    ["params", params.length, MAX_PARAMS_OR_TAGS_PER_BATCH],
    ["tags", tags.length, MAX_PARAMS_OR_TAGS_PER_BATCH],
    ["metrics, params and tags", together, MAX_ENTITIES_PER_BATCH],
  ];
  for (const [what, count, limit] of limits) {
    if (count > limit) {
      throw refused(`A batch can contain at most ${limit} ${what}. Got ${count}; send several.`);
    }
  }
}

function checkBatch(batch: Batch): void {
  checkSize(batch);
  const { metrics, params, tags } = batch;
  for (const message of metrics) {
    const { value, timestamp, step } = pointOfMessage(message);
    checkMetric(message.key, value, timestamp, step);
  }
  for (const { key } of params) checkParamKey(key);
  for (const { key } of tags) checkTagKey(key);
  const keys = new Set<string>();
  for (const { key } of params) {
    if (keys.has(key)) throw refused(`Duplicate parameter keys have been submitted: '${key}'.`);
    keys.add(key);
  }
}

export class Runs {
  readonly #layout: Layout;
  readonly #experiments: Experiments;
  readonly #folders = new Map<string, string>();

  constructor(layout: Layout, experiments: Experiments) {
    this.#layout = layout;
    this.#experiments = experiments;
  }

  // ── finding ────────────────────────────────────────────────────────────────────────────────────

  /** Throws MlflowError `RESOURCE_DOES_NOT_EXIST`. */
  async get(runId: string): Promise<FoundRun> {
    checkRunId(runId);
    const known = this.#folders.get(runId);
    if (known !== undefined) {
      const meta = await this.#layout.metas.read(known);
      if (meta !== undefined) return { runId, folder: known, meta };
      this.#folders.delete(runId);
    }
    const experiments = await this.#experiments.list("ALL");
    const found = await mapInParallel(experiments, (experiment) => this.#in(experiment, runId));
    const run = found.find((one) => one !== undefined);
    if (run === undefined) throw doesNotExist(`Run with id=${runId} not found`);
    this.#remember(run);
    return run;
  }

  #remember({ runId, folder }: FoundRun): void {
    if (this.#folders.size >= MAX_REMEMBERED) this.#folders.clear();
    this.#folders.set(runId, folder);
  }

  async #in(experiment: FoundExperiment, runId: string): Promise<FoundRun | undefined> {
    if (RESERVED_IN_EXPERIMENT.includes(runId)) return undefined;
    const folder = join(experiment.folder, runId);
    const meta = await this.#layout.metas.read(folder);
    if (meta === undefined) return undefined;
    const recorded = textField(meta, "run_id") ?? textField(meta, "run_uuid");
    if (recorded !== runId || textField(meta, "experiment_id") !== experiment.experimentId) {
      throw new MlflowError(
        "INVALID_STATE",
        `'${join(folder, "meta.yaml")}' is that of another run or experiment; repair or remove it.`,
      );
    }
    return { runId, folder, meta };
  }

  /** Throws MlflowError `INVALID_PARAMETER_VALUE` when it is deleted. */
  async getActive(runId: string): Promise<FoundRun> {
    const run = await this.get(runId);
    if (isDeleted(run.meta)) {
      throw refused(`The run ${runId} must be in the 'active' state. Current state is deleted.`);
    }
    return run;
  }

  /** The runs of an experiment; what is malformed is passed over, as Python does. */
  async list(experiment: FoundExperiment, view: LifecycleView): Promise<FoundRun[]> {
    const names = await this.#experiments.runFolders(experiment.folder, RESERVED_IN_EXPERIMENT);
    const runs = await mapInParallel(names, async (name) => {
      try {
        return await this.#in(experiment, name);
      } catch (error) {
        if (error instanceof MlflowError) return undefined;
        throw error;
      }
    });
    return runs.filter((run) => run !== undefined && matches(view, run.meta)) as FoundRun[];
  }

  // ── messages ───────────────────────────────────────────────────────────────────────────────────

  async message(run: FoundRun): Promise<RunMessage> {
    const [metrics, params, tags, links] = await Promise.all([
      this.#latestMetrics(run),
      readValues(join(run.folder, "params")),
      readValues(join(run.folder, "tags")),
      readRunLinks(run.folder),
    ]);
    const runName = textField(run.meta, "run_name") ?? valueOfTag(tags, RUN_NAME_TAG);
    const data: RunDataMessage = {
      ...listed("metrics", metrics),
      ...listed("params", params),
      ...listed("tags", tags),
    };
    return { info: infoMessage(run.meta, runName), data, ...links };
  }

  messages(runs: readonly FoundRun[]): Promise<RunMessage[]> {
    return mapInParallel(runs, (run) => this.message(run));
  }

  async #latestMetrics({ folder }: FoundRun): Promise<MetricMessage[]> {
    const metrics = join(folder, "metrics");
    const keys = await listKeys(metrics);
    const latest = await mapInParallel(keys, async (key) => {
      const point = latestPoint(await this.#points(join(metrics, key)));
      return point === undefined ? [] : [messageOfPoint(key, point)];
    });
    return latest.flat();
  }

  async #points(path: string): Promise<Point[]> {
    const text = await readValue(path);
    return text === undefined ? [] : parseLines(text, path);
  }

  /** Of a run that is not there too, a server's history is only empty. */
  async #getIfAny(runId: string): Promise<FoundRun | undefined> {
    try {
      return await this.get(runId);
    } catch (error) {
      if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
      throw error;
    }
  }

  async metricHistory(runId: string, key: string): Promise<MetricMessage[]> {
    checkMetricKey(key);
    const run = await this.#getIfAny(runId);
    if (run === undefined) return [];
    const points = await this.#points(join(run.folder, "metrics", key));
    return historyOf(points).map((point) => messageOfPoint(key, point));
  }

  // ── changing ───────────────────────────────────────────────────────────────────────────────────

  async create({ experimentId, userId, runName, startTime, tags }: NewRun): Promise<FoundRun> {
    const experiment = await this.#experiments.getActive(experimentId);
    for (const { key } of tags) checkTagKey(key);
    const tagged = valueOfTag(tags, RUN_NAME_TAG);
    if (runName && tagged && runName !== tagged) {
      throw refused(
        `Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='${runName}', mlflow.runName='${tagged}').`,
      );
    }
    const name = runName || tagged || randomRunName();
    const runId = randomUUID().replaceAll("-", "");
    const folder = join(experiment.folder, runId);
    const location = textField(experiment.meta, "artifact_location") ?? "";
    const meta: Meta = {
      artifact_uri: joinUri(joinUri(location, runId), "artifacts"),
      deleted_time: null,
      end_time: null,
      entry_point_name: "",
      experiment_id: experimentId,
      lifecycle_stage: "active",
      run_id: runId,
      run_name: name,
      run_uuid: runId,
      source_name: "",
      source_type: SOURCE_TYPE_LOCAL,
      source_version: "",
      start_time: startTime,
      status: STATUSES.indexOf("RUNNING"),
      tags: [],
      user_id: userId,
    };
    await mkdir(folder);
    // Python takes a folder for a run only when it has these.
    await Promise.all(
      ["metrics", "params", "tags", "artifacts"].map((part) => mkdir(join(folder, part))),
    );
    const allTags = tagged ? tags : [...tags, { key: RUN_NAME_TAG, value: name }];
    for (const tag of allTags) await this.#writeTag(folder, tag);
    // Last, so that nobody finds a run that is not complete.
    await writeMeta(folder, meta);
    const run = { runId, folder, meta };
    this.#remember(run);
    return run;
  }

  #writeTag(folder: string, { key, value = "" }: KeyValueMessage): Promise<void> {
    return replaceFile(join(folder, "tags", key), value, folder);
  }

  async #change(run: FoundRun, changes: Meta): Promise<FoundRun> {
    return this.#layout.queues.run(run.folder, async () => {
      const { meta } = await this.get(run.runId);
      const changed = { ...run, meta: { ...meta, ...changes } };
      await writeMeta(run.folder, changed.meta);
      return changed;
    });
  }

  async update(runId: string, changes: RunChanges): Promise<RunInfoMessage> {
    const { status, endTime, runName } = changes;
    if (status !== undefined) checkRunStatus(status);
    const run = await this.getActive(runId);
    if (runName) await this.#writeTag(run.folder, { key: RUN_NAME_TAG, value: runName });
    const { meta } = await this.#change(run, {
      ...(status !== undefined && { status: STATUSES.indexOf(status) }),
      ...(endTime !== undefined && { end_time: endTime }),
      ...(runName && { run_name: runName }),
    });
    return infoMessage(meta, textField(meta, "run_name"));
  }

  async setStage(run: FoundRun, stage: "active" | "deleted"): Promise<void> {
    const deletedTime = stage === "deleted" ? Date.now() : null;
    await this.#change(run, { lifecycle_stage: stage, deleted_time: deletedTime });
  }

  // ── logging ────────────────────────────────────────────────────────────────────────────────────

  async logBatch(runId: string, batch: Batch): Promise<void> {
    checkBatch(batch);
    const run = await this.getActive(runId);
    // Before anything is written, so that a batch is refused as a whole.
    await mapInParallel(batch.params, (param) => this.#checkParam(run, param));
    await mapInParallel(batch.params, (param) => this.#writeParam(run, param));
    await this.#appendMetrics(run, batch.metrics);
    for (const tag of batch.tags) {
      await this.#writeTag(run.folder, tag);
      if (tag.key === RUN_NAME_TAG) await this.#change(run, { run_name: tag.value ?? "" });
    }
  }

  async #appendMetrics({ folder }: FoundRun, metrics: readonly MetricMessage[]): Promise<void> {
    const lines = new Map<string, string>();
    for (const message of metrics) {
      const line = formatLine(pointOfMessage(message));
      lines.set(message.key, (lines.get(message.key) ?? "") + line);
    }
    await mapInParallel([...lines], ([key, text]) =>
      appendLines(join(folder, "metrics", key), text),
    );
  }

  async #checkParam(run: FoundRun, { key, value = "" }: KeyValueMessage): Promise<void> {
    const existing = await readValue(join(run.folder, "params", key));
    if (existing === undefined || existing === value) return;
    throw refused(
      `Changing param values is not allowed. Param with key='${key}' was already logged with value='${existing}' for run ID='${run.runId}'. Attempted logging new value '${value}'.`,
    );
  }

  async #writeParam(run: FoundRun, param: KeyValueMessage): Promise<void> {
    const path = join(run.folder, "params", param.key);
    if (!(await createFile(path, param.value ?? "", run.folder)))
      await this.#checkParam(run, param);
  }

  async deleteTag(runId: string, key: string): Promise<void> {
    checkTagKey(key);
    const { folder } = await this.getActive(runId);
    try {
      await rm(join(folder, "tags", key));
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "ERR_FS_EISDIR")) throw error;
      throw doesNotExist(`No tag with name: ${key} in run with id ${runId}`);
    }
  }
}
