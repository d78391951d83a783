// Logging every training of TensorFlow.js by itself: `fit` and `fitDataset` are wrapped, and given back.
import { invalidParameter, reasonOf } from "../errors.js";
import { targetFrame } from "../fluent/frames.js";
import { withRun } from "../fluent.js";
import { checkModelName, checkOptions, checkRecord } from "../validation.js";
import type { FitArguments, TrainedModel } from "./training.js";
import { type AutologOptions, TrainingLog, type TrainingRun } from "./training-log.js";

export type { AutologOptions } from "./training-log.js";

type Method = (this: TrainedModel, ...args: unknown[]) => Promise<unknown>;
type MethodName = "fit" | "fitDataset";
type Prototype = Partial<Record<MethodName, unknown>>;
type Callback = Readonly<Record<string, unknown>>;

/** The part of `@tensorflow/tfjs` that is used. */
export interface TensorFlowJs {
  readonly LayersModel: { readonly prototype: object };
  readonly Sequential: { readonly prototype: object };
  readonly CustomCallback?: unknown;
}

const OPTIONS = [
  "logModels",
  "logEveryNEpochs",
  "logModelSignatures",
  "registeredModelName",
  "extraTags",
  "silent",
  "disable",
];
const METHODS: readonly MethodName[] = ["fit", "fitDataset"];

/** One wrapped method, and what was there before. */
interface Wrapped {
  readonly prototype: Prototype;
  readonly name: MethodName;
  readonly original: Method;
  readonly wrapper: Method;
}

interface Installation {
  options: AutologOptions;
  enabled: boolean;
  readonly wrapped: readonly Wrapped[];
}

const installations = new WeakMap<object, Installation>();
/** Models that a `Sequential` in training hands its work to, which is logged once. */
const delegates = new WeakSet<object>();

function checkAutologOptions(options: AutologOptions & { readonly disable?: boolean }): void {
  checkOptions("autolog", options, OPTIONS);
  for (const name of ["logModels", "logModelSignatures", "silent", "disable"] as const) {
    const value = options[name];
    if (value !== undefined && typeof value !== "boolean") {
      throw invalidParameter(name, value, "pass true or false.");
    }
  }
  const { logEveryNEpochs, registeredModelName, extraTags } = options;
  if (
    logEveryNEpochs !== undefined &&
    !(Number.isSafeInteger(logEveryNEpochs) && logEveryNEpochs > 0)
  ) {
    throw invalidParameter("logEveryNEpochs", logEveryNEpochs, "pass a whole number from 1.");
  }
  if (registeredModelName !== undefined) checkModelName(registeredModelName);
  if (extraTags !== undefined) checkRecord("extraTags", extraTags);
}

/**
 * Logs every training of TensorFlow.js from here on: params, metrics of each epoch, and the model at the
 * end; to the active run, else to a run of its own. What cannot be logged is told on the console and
 * never stops a training. Called again it takes the options given; `disable` puts back the functions as
 * they were. Answers a function that does so too. Throws `INVALID_PARAMETER_VALUE`.
 */
export function autolog(
  tf: TensorFlowJs,
  options: AutologOptions & { readonly disable?: boolean | undefined } = {},
): () => void {
  const { disable = false, ...rest } = options;
  checkAutologOptions({ ...rest, disable });
  if (typeof tf?.LayersModel !== "function" || typeof tf.Sequential !== "function") {
    const fix =
      'pass the module: import * as tf from "@tensorflow/tfjs" (npm install @tensorflow/tfjs).';
    throw invalidParameter("tf", tf, fix);
  }
  // A module's namespace differs between imports; its classes do not.
  const key = tf.LayersModel;
  const known = installations.get(key);
  const off = () => uninstall(key);
  if (disable) {
    off();
  } else if (known !== undefined) {
    known.options = rest;
  } else {
    installations.set(key, install(tf, rest));
  }
  return off;
}

function install(tf: TensorFlowJs, options: AutologOptions): Installation {
  const wrapped: Wrapped[] = [];
  const installation: Installation = { options, enabled: true, wrapped };
  for (const { prototype } of [tf.LayersModel, tf.Sequential]) {
    for (const name of METHODS) {
      const methods = prototype as Prototype;
      if (!Object.hasOwn(methods, name)) continue;
      const original = methods[name] as Method;
      const wrapper: Method = function (...args) {
        // Somebody may have kept it, or wrapped it once more, when it was taken away.
        if (!installation.enabled || delegates.has(this)) return original.apply(this, args);
        const call = (changed: unknown[]) => trained(this, () => original.apply(this, changed));
        return logged(tf, installation.options, { model: this, name, args, call });
      };
      wrapped.push({ prototype: methods, name, original, wrapper });
      methods[name] = wrapper;
    }
  }
  return installation;
}

function uninstall(key: object): void {
  const installation = installations.get(key);
  if (installation === undefined) return;
  installations.delete(key);
  installation.enabled = false;
  for (const { prototype, name, original, wrapper } of installation.wrapped) {
    if (prototype[name] === wrapper) prototype[name] = original;
  }
}

/** A `Sequential` trains a model inside it, whose training is not another one. */
async function trained<T>(model: object, train: () => Promise<T>): Promise<T> {
  const inner = (model as { model?: unknown }).model;
  if (typeof inner !== "object" || inner === null) return train();
  delegates.add(inner);
  try {
    return await train();
  } finally {
    delegates.delete(inner);
  }
}

/** One call of `fit` or `fitDataset`. */
interface Training {
  readonly model: TrainedModel;
  readonly name: MethodName;
  readonly args: readonly unknown[];
  /** The call as it was meant, with changed arguments. */
  call(args: unknown[]): Promise<unknown>;
}

function warn(options: AutologOptions, error: unknown): void {
  if (options.silent) return;
  console.warn(`mlflow: a training is not logged: ${reasonOf(error)}`);
}

async function logged(
  tf: TensorFlowJs,
  options: AutologOptions,
  training: Training,
): Promise<unknown> {
  let run: TrainingRun | undefined;
  try {
    run = await runAround();
  } catch (error) {
    warn(options, error);
    return training.call([...training.args]);
  }
  if (run !== undefined) return trainLogged(tf, options, training, run);
  return inOwnRun(options, training, (own) => trainLogged(tf, options, training, own));
}

/** The run that is active where the training was asked for. */
async function runAround(): Promise<TrainingRun | undefined> {
  const frame = targetFrame();
  if (frame === undefined) return undefined;
  const { info } = frame.run ?? (await frame.started);
  return { client: frame.client, runId: info.runId };
}

/** With a run that begins and ends with the training, whether the store is there or not. */
async function inOwnRun(
  options: AutologOptions,
  training: Training,
  train: (run: TrainingRun) => Promise<unknown>,
): Promise<unknown> {
  let outcome: Promise<unknown> | undefined;
  try {
    await withRun({}, async ({ info }) => {
      const frame = targetFrame();
      if (frame === undefined) return;
      outcome = train({ client: frame.client, runId: info.runId });
      await outcome;
    });
  } catch (error) {
    // The training's own error is thrown below.
    const isOfTraining = await outcome?.then(
      () => false,
      (own) => own === error,
    );
    if (!isOfTraining) warn(options, error);
  }
  return outcome ?? training.call([...training.args]);
}

async function trainLogged(
  tf: TensorFlowJs,
  options: AutologOptions,
  { model, name, args, call }: Training,
  run: TrainingRun,
): Promise<unknown> {
  const log = new TrainingLog(run, options);
  const at = name === "fit" ? 2 : 1;
  const told = (args[at] ?? {}) as FitArguments;
  log.begin(model, told, name === "fitDataset");
  const onEpochEnd = async (epoch: number, logs?: Record<string, unknown>) => {
    log.epochEnded(epoch, logs);
  };
  const changed = [...args];
  while (changed.length < at) changed.push(undefined);
  changed[at] = { ...told, callbacks: withCallback(tf, told, { onEpochEnd }) };
  let history: unknown;
  try {
    history = await call(changed);
  } catch (error) {
    await log.settle();
    throw error;
  }
  await log.end(model);
  return history;
}

/** The callbacks of a training and ours; TensorFlow.js takes objects or instances, but no mixture. */
function withCallback(tf: TensorFlowJs, told: FitArguments, ours: Callback): unknown[] {
  const { callbacks, yieldEvery } = told;
  const given = callbacks == null ? [] : Array.isArray(callbacks) ? callbacks : [callbacks];
  const isInstance = (callback: unknown) =>
    typeof (callback as { setParams?: unknown } | null)?.setParams === "function";
  const Custom = tf.CustomCallback;
  if (!given.some(isInstance) || typeof Custom !== "function") return [...given, ours];
  const Constructor = Custom as new (callback: Callback, yieldEvery?: unknown) => unknown;
  const instances = given.map((callback: Callback) =>
    isInstance(callback) ? callback : new Constructor(callback, yieldEvery),
  );
  return [...instances, new Constructor(ours, yieldEvery)];
}
