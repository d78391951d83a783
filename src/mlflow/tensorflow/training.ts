// What is worth logging of a training in TensorFlow.js: its parameters, its layers, its signature.
// Source of the names: mlflow/tensorflow/autologging.py and mlflow/tensorflow/__init__.py (3.17).
import type { TensorSpec } from "../models/schema.js";
import type { ModelSignature } from "../models/signature.js";
import type { TfjsModel } from "../models/tfjs.js";
import type { LoggableValue } from "../validation.js";

interface SymbolicTensor {
  readonly shape: readonly (number | null)[];
  readonly dtype: string;
}

/** The part of `tf.LayersModel` that is read. */
export interface TrainedModel extends TfjsModel {
  readonly name?: string;
  readonly layers?: readonly { getClassName?(): string }[];
  readonly inputs?: readonly SymbolicTensor[];
  readonly outputs?: readonly SymbolicTensor[];
  readonly loss?: unknown;
  readonly optimizer?: { getClassName?(): string; getConfig?(): Readonly<Record<string, unknown>> };
  countParams?(): number;
  summary?(lineLength?: number, positions?: number[], print?: (line: string) => void): void;
}

/** What `fit` and `fitDataset` are told. */
export type FitArguments = Readonly<Record<string, unknown>>;

/** Python's name of an argument, by its name in TensorFlow.js. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  epochs: "epochs",
  batchSize: "batch_size",
  batchesPerEpoch: "steps_per_epoch",
  validationSplit: "validation_split",
  validationBatchSize: "validation_batch_size",
  validationBatches: "validation_steps",
  shuffle: "shuffle",
  initialEpoch: "initial_epoch",
  classWeight: "class_weight",
};
/** What `fit` takes for granted. */
const DEFAULTS: FitArguments = { epochs: 1, batchSize: 32 };
const DATASET_DEFAULTS: FitArguments = { epochs: 1 };

function isLoggable(value: unknown): value is LoggableValue {
  return ["string", "number", "boolean"].includes(typeof value) || isPlain(value);
}

function isPlain(value: unknown): value is object {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function lossName(loss: unknown): string | undefined {
  if (typeof loss === "string") return loss;
  if (typeof loss === "function") return loss.name === "" ? undefined : loss.name;
  if (Array.isArray(loss)) return loss.map(lossName).join(", ");
  return isPlain(loss) ? JSON.stringify(loss) : undefined;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The params of one training. */
export function trainingParams(
  model: TrainedModel,
  args: FitArguments,
  isDataset: boolean,
): Record<string, LoggableValue> {
  const params: Record<string, LoggableValue> = {};
  const told = { ...(isDataset ? DATASET_DEFAULTS : DEFAULTS), ...args };
  for (const [name, known] of Object.entries(ARGUMENTS)) {
    if (isLoggable(told[name])) params[known] = told[name];
  }
  const { optimizer, layers } = model;
  const optimizerName = optimizer?.getClassName?.();
  if (optimizerName !== undefined) params.opt_name = optimizerName;
  for (const [name, value] of Object.entries(optimizer?.getConfig?.() ?? {})) {
    if (isLoggable(value)) params[`opt_${snakeCase(name)}`] = value;
  }
  const loss = lossName(model.loss);
  if (loss !== undefined) params.loss = loss;
  if (layers !== undefined) {
    params.num_layers = layers.length;
    params.layers = layers.map((layer) => layer.getClassName?.() ?? "?").join(", ");
  }
  const count = model.countParams?.();
  if (count !== undefined) params.num_params = count;
  return params;
}

/** The table that `model.summary()` prints; undefined for a model without one. */
export function summaryOf(model: TrainedModel): string | undefined {
  if (model.summary === undefined) return undefined;
  const lines: string[] = [];
  model.summary(undefined, undefined, (line) => {
    lines.push(line);
  });
  return `${lines.join("\n")}\n`;
}

function specsOf(tensors: readonly SymbolicTensor[] | undefined): TensorSpec[] | undefined {
  if (tensors === undefined || tensors.length === 0) return undefined;
  return tensors.map(({ shape, dtype }, index) => ({
    ...(tensors.length > 1 && { name: String(index) }),
    type: "tensor",
    "tensor-spec": { dtype, shape: shape.map((length) => length ?? -1) },
  }));
}

/** The signature that a model's own inputs and outputs tell. */
export function signatureOf(model: TrainedModel): ModelSignature | undefined {
  const inputs = specsOf(model.inputs);
  const outputs = specsOf(model.outputs);
  return inputs === undefined && outputs === undefined ? undefined : { inputs, outputs };
}
