// Logging a model: its files with an `MLmodel` file, as a logged model, or in a run on older servers.

import { loggingQueue } from "../async-logging.js";
import type { Run } from "../entities.js";
import { hasCode, invalidParameter, MlflowError, reasonOf } from "../errors.js";
import { type InputExample, inputExampleOf } from "../models/input-example.js";
import {
  type Flavors,
  MLFLOW_VERSION,
  MLMODEL_FILE,
  mlmodelFields,
  mlmodelText,
  utcText,
} from "../models/mlmodel.js";
import {
  type ModelFile,
  type ModelSource,
  modelFile,
  modelFilesOf,
} from "../models/model-files.js";
import { checkSignature, inferSignature, type ModelSignature } from "../models/signature.js";
import { randomUuid } from "../random-uuid.js";
import * as spec from "../spec.js";
import { callStore, joinUri, writeArtifact } from "../stores.js";
import {
  checkExperimentId,
  checkLoggedModelName,
  checkModelName,
  checkOptions,
  checkRecord,
  checkRunId,
  type LoggableValue,
} from "../validation.js";
import { ModelUriClient } from "./model-uris.js";

export interface LogModelOptions {
  /** Of the logged model: without `/`, `:`, `.`, `%` and quotes; `model` when left out. */
  readonly name?: string | undefined;
  /** What can load the model; none when left out: MLflow keeps it and shows it. */
  readonly flavors?: Flavors | undefined;
  readonly signature?: ModelSignature | undefined;
  /** Kept with the model; shows the signature of the inputs when no signature is given. */
  readonly inputExample?: unknown;
  /** Registers the model under this name, which is created when there is none. */
  readonly registeredModelName?: string | undefined;
  /** Milliseconds to wait until the registered version is READY, 300000 when left out. */
  readonly awaitRegistrationForMs?: number | undefined;
  /** Anything YAML can tell, kept in the `MLmodel` file. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Of the logged model, besides the params of its run. */
  readonly params?: Readonly<Record<string, LoggableValue>> | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
  /** Such as `agent`. */
  readonly modelType?: string | undefined;
  /** Of the run at which the model was made; 0 when left out. */
  readonly step?: number | undefined;
}

/** Where a model goes: to a run, or to an experiment without one. */
export type ModelTarget = { readonly runId: string } | { readonly experimentId: string };

/** A model that was logged. */
export interface ModelInfo {
  readonly name: string;
  /** Undefined on a server that knows no logged models. */
  readonly modelId: string | undefined;
  /** `models:/<model id>`, else `runs:/<run id>/<name>`. */
  readonly modelUri: string;
  readonly artifactUri: string;
  readonly runId: string | undefined;
  readonly modelUuid: string;
  readonly flavors: Flavors;
  readonly signature: ModelSignature | undefined;
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
  readonly mlflowVersion: string;
  /** Such as `2026-01-31 09:05:07.123000`, UTC. */
  readonly utcTimeCreated: string;
  /** Bytes of the model's files, without the `MLmodel` file. */
  readonly sizeBytes: number;
  /** Of the registered model, when it was to be registered. */
  readonly registeredModelVersion: string | undefined;
}

/** The option names, for flavours that add to them. */
export const LOG_MODEL_OPTIONS: readonly string[] = [
  "name",
  "flavors",
  "signature",
  "inputExample",
  "registeredModelName",
  "awaitRegistrationForMs",
  "metadata",
  "params",
  "tags",
  "modelType",
  "step",
];

const DEFAULT_NAME = "model";
/** The file that a model of one file becomes. */
const SINGLE_FILE = "model.bin";

/** A model's place in the store. */
interface ModelPlace {
  readonly experimentId: string;
  readonly runId: string | undefined;
  readonly modelId: string | undefined;
  readonly artifactUri: string;
}

interface CheckedModel {
  readonly name: string;
  readonly files: readonly ModelFile[];
  readonly signature: ModelSignature | undefined;
  readonly inputExample: InputExample | undefined;
}

function checkStep(step: unknown): void {
  if (step !== undefined && (!Number.isSafeInteger(step) || (step as number) < 0)) {
    throw invalidParameter("step", step, "pass a whole number from 0.");
  }
}

async function checkedModel(model: ModelSource, options: LogModelOptions): Promise<CheckedModel> {
  const { name = DEFAULT_NAME, signature, metadata, flavors = {} } = options;
  checkLoggedModelName(name);
  checkRecord("flavors", flavors);
  if (metadata !== undefined) checkRecord("metadata", metadata);
  if (signature !== undefined) checkSignature(signature);
  if (options.registeredModelName !== undefined) checkModelName(options.registeredModelName);
  checkStep(options.step);
  const example = options.inputExample;
  const inputExample = example === undefined ? undefined : inputExampleOf(example);
  const extra = Object.entries(inputExample?.files ?? {});
  const files = await modelFilesOf(model, SINGLE_FILE);
  const own = files.filter(({ path }) => path !== MLMODEL_FILE);
  return {
    name,
    files: [...own, ...extra.map(([path, text]) => modelFile(path, text))],
    signature: signature ?? (example === undefined ? undefined : inferSignature(example)),
    inputExample,
  };
}

export class ModelLoggingClient extends ModelUriClient {
  /**
   * Logs a model with its `MLmodel` file. On a server of MLflow 3 it becomes a logged model, which its
   * run names; on an older one it lies in the artifacts of the run, so that one is needed there.
   */
  async logModel(
    target: ModelTarget,
    model: ModelSource,
    options: LogModelOptions = {},
  ): Promise<ModelInfo> {
    checkOptions("logModel", options, LOG_MODEL_OPTIONS);
    if ("runId" in target) checkRunId(target.runId);
    else checkExperimentId(target.experimentId);
    const checked = await checkedModel(model, options);
    const run = "runId" in target ? await this.#runWithParams(target.runId) : undefined;
    const experimentId =
      run?.info.experimentId ?? (target as { experimentId: string }).experimentId;
    const place = await this.#placeFor(checked.name, experimentId, run, options);
    let info: ModelInfo;
    try {
      info = await this.#write(checked, place, options);
      if (place.modelId !== undefined) await this.finalizeLoggedModel(place.modelId, "READY");
    } catch (error) {
      await this.#giveUp(place.modelId);
      throw error;
    }
    return this.#registered(info, options);
  }

  /** The model takes the params of its run, also those that were logged asynchronously. */
  async #runWithParams(runId: string): Promise<Run> {
    await loggingQueue.drain(this.store, runId);
    return this.getRun(runId);
  }

  /** The model's own error matters more than a store that cannot note it. */
  async #giveUp(modelId: string | undefined): Promise<void> {
    if (modelId === undefined) return;
    await this.finalizeLoggedModel(modelId, "UPLOAD_FAILED").catch(() => undefined);
  }

  async #placeFor(
    name: string,
    experimentId: string,
    run: Run | undefined,
    { params, tags, modelType, step = 0 }: LogModelOptions,
  ): Promise<ModelPlace> {
    const runId = run?.info.runId;
    try {
      const { modelId, artifactLocation } = await this.createLoggedModel(experimentId, {
        name,
        sourceRunId: runId,
        modelType,
        params: { ...run?.data.params, ...params },
        tags,
      });
      if (runId !== undefined) await this.logOutputs(runId, [{ modelId, step }]);
      return { experimentId, runId, modelId, artifactUri: artifactLocation };
    } catch (error) {
      if (!hasCode(error, "ENDPOINT_NOT_FOUND")) throw error;
      if (run === undefined) {
        throw new MlflowError(
          "INVALID_STATE",
          `The server at ${this.trackingUri} keeps models in runs only. Start a run with startRun(), and log the model there.`,
          { cause: error },
        );
      }
      const artifactUri = joinUri(run.info.artifactUri, name);
      return { experimentId, runId, modelId: undefined, artifactUri };
    }
  }

  async #write(
    { name, files, signature, inputExample }: CheckedModel,
    place: ModelPlace,
    { flavors = {}, metadata }: LogModelOptions,
  ): Promise<ModelInfo> {
    const { modelId, runId, artifactUri } = place;
    const sizeBytes = files.reduce((sum, { content }) => sum + content.sizeBytes, 0);
    const modelUuid = modelId ?? randomUuid().replaceAll("-", "");
    const utcTimeCreated = utcText(new Date());
    const description = { modelUuid, modelId, runId, flavors, signature, metadata };
    const fields = mlmodelFields({
      ...description,
      artifactPath: modelId === undefined ? name : artifactUri,
      utcTimeCreated,
      inputExample,
      sizeBytes,
    });
    for (const file of files) await this.#upload(place, file);
    // Last, because it makes the folder a model.
    await this.#upload(place, modelFile(MLMODEL_FILE, mlmodelText(fields)));
    if (modelId === undefined && runId !== undefined) {
      await this.#record(runId, JSON.stringify(fields));
    }
    return {
      ...description,
      name,
      artifactUri,
      modelUri: modelId === undefined ? `runs:/${runId}/${name}` : `models:/${modelId}`,
      mlflowVersion: MLFLOW_VERSION,
      utcTimeCreated,
      sizeBytes,
      registeredModelVersion: undefined,
    };
  }

  async #upload(place: ModelPlace, { path, content }: ModelFile): Promise<void> {
    const { experimentId, runId, modelId, artifactUri: rootUri } = place;
    const destination = { experimentId, runId, modelId, rootUri, artifactPath: path };
    await writeArtifact(this.store, destination, content);
  }

  /** So that the page of a run shows the model; the model itself is there without it. */
  async #record(runId: string, modelJson: string): Promise<void> {
    try {
      const request = { run_id: runId, model_json: modelJson };
      await callStore(this.store, spec.recordLoggedModel, request);
    } catch (error) {
      console.warn(`mlflow: the run's page will not show the model: ${reasonOf(error)}`);
    }
  }

  async #registered(info: ModelInfo, options: LogModelOptions): Promise<ModelInfo> {
    const { registeredModelName, awaitRegistrationForMs } = options;
    if (registeredModelName === undefined) return info;
    const { version } = await this.registerModel(info.modelUri, registeredModelName, {
      awaitCreationForMs: awaitRegistrationForMs,
    });
    return { ...info, registeredModelVersion: version };
  }

  /** Adds every file in a local folder to a logged model, below its folder. */
  async logModelArtifacts(modelId: string, localDirectory: string): Promise<void> {
    const files = await modelFilesOf(localDirectory, SINGLE_FILE);
    const found = await this.getLoggedModel(modelId);
    const { experimentId, sourceRunId: runId, artifactLocation: artifactUri } = found;
    const place = { experimentId, runId, modelId, artifactUri };
    for (const file of files) await this.#upload(place, file);
  }

  /** Adds a file to a logged model, at a `/`-separated path below its folder. */
  async logModelArtifact(
    modelId: string,
    content: string | Uint8Array,
    artifactFile: string,
  ): Promise<void> {
    const file = modelFile(artifactFile, content);
    const found = await this.getLoggedModel(modelId);
    const { experimentId, sourceRunId: runId, artifactLocation: artifactUri } = found;
    await this.#upload({ experimentId, runId, modelId, artifactUri }, file);
  }
}
