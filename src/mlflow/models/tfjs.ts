// The TensorFlow.js flavour: a model as `model.json` with its weights, which `tf.loadLayersModel` reads.
// Source: the format of `tf.io` in @tensorflow/tfjs-core 4.
import { downloadBytes, loadDict } from "../artifact-functions.js";
import {
  LOG_MODEL_OPTIONS,
  type LogModelOptions,
  type ModelInfo,
} from "../client/model-logging.js";
import { invalidParameter, MlflowError, reasonOf } from "../errors.js";
import { logModel as logGenericModel } from "../fluent/models.js";
import { joinUri } from "../stores.js";
import { checkOptions } from "../validation.js";
import { flavorFile } from "./flavor-files.js";
import type { Flavors } from "./mlmodel.js";
import { type ModelFile, type ModelSource, modelFilesOf } from "./model-files.js";

export interface LogTfjsModelOptions extends Omit<LogModelOptions, "flavors"> {}

/** What a model of TensorFlow.js hands out when it is saved; weights are bytes in the order of the specs. */
export interface TfjsModelArtifacts {
  readonly modelTopology?: unknown;
  readonly weightSpecs?: readonly unknown[] | undefined;
  readonly weightData?: ArrayBuffer | readonly ArrayBuffer[] | undefined;
  readonly format?: string | undefined;
  readonly generatedBy?: string | undefined;
  readonly convertedBy?: string | null | undefined;
  readonly trainingConfig?: unknown;
  readonly signature?: unknown;
  readonly userDefinedMetadata?: unknown;
}

/** A model of TensorFlow.js, such as `tf.LayersModel`. */
export interface TfjsModel {
  /** Takes an `IOHandler` of TensorFlow.js, whose type is not known here. */
  save(handler: never): Promise<unknown>;
}

const FOLDER = "model";
const MODEL_FILE = "model.json";
const WEIGHTS_FILE = "weights.bin";

/** What the `MLmodel` file says of such a model. */
export const TFJS_FLAVORS: Flavors = {
  tfjs: { data: FOLDER, model_file: `${FOLDER}/${MODEL_FILE}` },
};

function bytesOf(weights: TfjsModelArtifacts["weightData"]): Uint8Array {
  const parts = weights === undefined ? [] : Array.isArray(weights) ? weights : [weights];
  const total = parts.reduce((sum, part: ArrayBuffer) => sum + part.byteLength, 0);
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const part of parts as ArrayBuffer[]) {
    bytes.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return bytes;
}

function filesOf(artifacts: TfjsModelArtifacts): Record<string, string | Uint8Array> {
  const { weightSpecs = [], weightData, ...rest } = artifacts;
  const { modelTopology, format = "layers-model" } = rest;
  if (typeof modelTopology !== "object" || modelTopology === null) {
    throw invalidParameter("model", modelTopology, "it has no topology as JSON to be saved.");
  }
  const optional = [
    "generatedBy",
    "convertedBy",
    "trainingConfig",
    "signature",
    "userDefinedMetadata",
  ] as const;
  const written = optional.flatMap((name) => (rest[name] == null ? [] : [[name, rest[name]]]));
  const json = {
    modelTopology,
    format,
    ...Object.fromEntries(written),
    weightsManifest: [{ paths: [WEIGHTS_FILE], weights: weightSpecs }],
  };
  return {
    [`${FOLDER}/${MODEL_FILE}`]: JSON.stringify(json),
    [`${FOLDER}/${WEIGHTS_FILE}`]: bytesOf(weightData),
  };
}

/** The files of a model as it is now. Rejects with `INVALID_STATE` when it cannot be saved. */
export async function tfjsFilesOf(model: TfjsModel): Promise<Record<string, string | Uint8Array>> {
  let saved: TfjsModelArtifacts | undefined;
  try {
    const handler = {
      save: async (artifacts: TfjsModelArtifacts) => {
        saved = artifacts;
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
      },
    };
    await model.save(handler as never);
  } catch (error) {
    const message = `The model of TensorFlow.js cannot be saved: ${reasonOf(error)}`;
    throw new MlflowError("INVALID_STATE", message, { cause: error });
  }
  if (saved === undefined) {
    throw new MlflowError("INVALID_STATE", "The model of TensorFlow.js gave nothing to be saved.");
  }
  return filesOf(saved);
}

function isModel(model: unknown): model is TfjsModel {
  return typeof (model as { save?: unknown } | null | undefined)?.save === "function";
}

async function filesOfFolder(folder: string): Promise<ModelFile[]> {
  const files = await modelFilesOf(folder, MODEL_FILE);
  if (!files.some(({ path }) => path === MODEL_FILE)) {
    const fix = `the folder holds no ${MODEL_FILE}; pass one that model.save("file://…") made.`;
    throw invalidParameter("model", folder, fix);
  }
  return files.map(({ path, content }) => ({ path: `${FOLDER}/${path}`, content }));
}

/**
 * Logs a model of TensorFlow.js: the model itself, or a folder that `model.save("file://…")` made. It is
 * loaded with `tf.loadLayersModel` from the file `model/model.json` below its artifacts.
 */
export async function logModel(
  model: TfjsModel | string,
  options: LogTfjsModelOptions = {},
): Promise<ModelInfo> {
  const shared = LOG_MODEL_OPTIONS.filter((name) => name !== "flavors");
  checkOptions("tfjs.logModel", options, shared);
  if (!isModel(model) && (typeof model !== "string" || model === "")) {
    throw invalidParameter("model", model, "pass a model of TensorFlow.js, or a folder's path.");
  }
  const files: ModelSource = isModel(model) ? await tfjsFilesOf(model) : await filesOfFolder(model);
  return logGenericModel(files, { ...options, flavors: TFJS_FLAVORS });
}

/** The part of `@tensorflow/tfjs` that loads a model. */
export interface TfjsLoader<Layers, Graph> {
  loadLayersModel(handler: never): Promise<Layers>;
  loadGraphModel?(handler: never): Promise<Graph>;
}

/** Where a `model.json` says that its weights are: files beside it, in their order. */
interface WeightsGroup {
  readonly paths: readonly string[];
  readonly weights: readonly unknown[];
}

/**
 * Loads a model with the `tf` that is given: of `runs:/…`, `models:/…`, or the place of its folder. The
 * weights are kept in memory. Rejects with `INVALID_PARAMETER_VALUE` for another flavour.
 */
export async function loadModel<Layers, Graph = never>(
  modelUri: string,
  tf: TfjsLoader<Layers, Graph>,
): Promise<Layers | Graph> {
  if (typeof tf?.loadLayersModel !== "function") {
    throw invalidParameter("tf", tf, "pass the module @tensorflow/tfjs.");
  }
  const usual = `${FOLDER}/${MODEL_FILE}`;
  const modelFile = await flavorFile(modelUri, "tfjs", "model_file", usual);
  const { weightsManifest = [], ...json } = await loadDict(modelFile);
  const groups = weightsManifest as readonly WeightsGroup[];
  const folder = modelFile.slice(0, modelFile.lastIndexOf("/"));
  const parts: ArrayBuffer[] = [];
  for (const path of groups.flatMap(({ paths }) => paths)) {
    parts.push((await downloadBytes(joinUri(folder, path))).buffer);
  }
  const artifacts = {
    ...json,
    weightSpecs: groups.flatMap(({ weights }) => weights),
    weightData: bytesOf(parts).buffer,
  };
  const handler = { load: async () => artifacts } as never;
  const isGraph = json.format === "graph-model" && tf.loadGraphModel !== undefined;
  return isGraph
    ? (tf.loadGraphModel as (from: never) => Promise<Graph>)(handler)
    : tf.loadLayersModel(handler);
}
