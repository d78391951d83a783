// The ONNX flavour: a model that Python's MLflow loads, and predicts with.
// Source: mlflow/onnx/__init__.py (3.17).
import { downloadBytes } from "../artifact-functions.js";
import {
  LOG_MODEL_OPTIONS,
  type LogModelOptions,
  type ModelInfo,
} from "../client/model-logging.js";
import { invalidParameter } from "../errors.js";
import { logModel as logGenericModel } from "../fluent/models.js";
import { checkOptions } from "../validation.js";
import { flavorFile } from "./flavor-files.js";
import type { Flavors } from "./mlmodel.js";
import { modelFile, modelFilesOf } from "./model-files.js";
import { pythonEnvironment } from "./python-environment.js";

export interface LogOnnxModelOptions extends Omit<LogModelOptions, "flavors"> {
  /** What Python needs to run the model; onnx and onnxruntime when left out. */
  readonly pipRequirements?: readonly string[] | undefined;
  /** Providers of ONNX Runtime, the first that is there is used; CUDA, then CPU, when left out. */
  readonly providers?: readonly string[] | undefined;
}

const DATA_FILE = "model.onnx";
const REQUIREMENTS = ["mlflow", "onnx", "onnxruntime"];
const PROVIDERS = ["CUDAExecutionProvider", "CPUExecutionProvider"];

function checkTexts(field: string, texts: unknown): void {
  if (!Array.isArray(texts) || texts.some((text) => typeof text !== "string" || text === "")) {
    throw invalidParameter(field, texts, "pass an array of texts, or leave it out.");
  }
}

function flavorsWith(providers: readonly string[], environment: object): Flavors {
  return {
    onnx: { code: null, data: DATA_FILE, onnx_session_options: null, providers },
    python_function: { ...environment, data: DATA_FILE, loader_module: "mlflow.onnx" },
  };
}

/**
 * The bytes of an ONNX model, for `InferenceSession.create` of onnxruntime-node or -web: of `runs:/…`,
 * `models:/…`, or the place of its folder. Rejects with `INVALID_PARAMETER_VALUE` for another flavour.
 */
export async function loadModel(modelUri: string): Promise<Uint8Array<ArrayBuffer>> {
  return downloadBytes(await flavorFile(modelUri, "onnx", "data", DATA_FILE));
}

/**
 * Logs an ONNX model, from its bytes or from the path of its file, so that Python's `mlflow.onnx` and
 * `mlflow.pyfunc` load it. Tensors of its weights must be inside the file.
 */
export async function logModel(
  model: Uint8Array | string,
  options: LogOnnxModelOptions = {},
): Promise<ModelInfo> {
  const own = ["pipRequirements", "providers"];
  const shared = LOG_MODEL_OPTIONS.filter((name) => name !== "flavors");
  checkOptions("onnx.logModel", options, [...shared, ...own]);
  const { pipRequirements = REQUIREMENTS, providers = PROVIDERS, ...rest } = options;
  checkTexts("pipRequirements", pipRequirements);
  checkTexts("providers", providers);
  const [file, ...others] = await modelFilesOf(model, DATA_FILE);
  if (file?.path !== DATA_FILE || others.length > 0) {
    throw invalidParameter("model", model, "pass the bytes or the path of one .onnx file.");
  }
  const environment = pythonEnvironment(pipRequirements);
  const texts = Object.entries(environment.files);
  return logGenericModel([file, ...texts.map(([path, text]) => modelFile(path, text))], {
    ...rest,
    flavors: flavorsWith(providers, environment.flavorFields),
  });
}
