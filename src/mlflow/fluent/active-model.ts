// The active model: the logged model that metrics are about besides their run, where a call names none.
import { environmentVariable } from "../../runtime/capabilities.js";
import { invalidParameter } from "../errors.js";
import type { LoggedModel } from "../logged-model.js";
import type { MetricOptions } from "../run-writes.js";
import { checkLoggedModelName, checkModelId, checkOptions } from "../validation.js";
import { currentClient } from "./frames.js";
import { createExternalModel, searchLoggedModels } from "./models.js";

/** Undefined until somebody has asked or the program has said; then its model, or none. */
let choice: { readonly modelId: string | undefined } | undefined;

/** Id of the active model: the one set, else what `MLFLOW_ACTIVE_MODEL_ID` was at first, as in Python. */
export function getActiveModelId(): string | undefined {
  // Every metric asks, and the environment is slow to answer on Node.
  choice ??= { modelId: environmentVariable("MLFLOW_ACTIVE_MODEL_ID") };
  return choice.modelId;
}

/** No model is active until the next `setActiveModel`, whatever the environment says. */
export function clearActiveModel(): void {
  choice = { modelId: undefined };
}

/**
 * Makes a logged model the active one of this process: by id, or the newest of a name in the active
 * experiment, which is created with its files elsewhere when there is none.
 */
export async function setActiveModel(
  model: { readonly name: string } | { readonly modelId: string },
): Promise<LoggedModel> {
  checkOptions("setActiveModel", model, ["name", "modelId"]);
  const { name, modelId } = model as { readonly name?: string; readonly modelId?: string };
  if ((name === undefined) === (modelId === undefined)) {
    throw invalidParameter("model", model, "pass either { name } or { modelId }.");
  }
  const found = modelId === undefined ? await modelNamed(name) : await modelOf(modelId);
  choice = { modelId: found.modelId };
  return found;
}

async function modelOf(modelId: string): Promise<LoggedModel> {
  checkModelId(modelId);
  return currentClient().getLoggedModel(modelId);
}

async function modelNamed(name: unknown): Promise<LoggedModel> {
  checkLoggedModelName(name);
  const [newest] = await searchLoggedModels({ filterString: `name = '${name}'`, maxResults: 1 });
  return newest ?? createExternalModel({ name });
}

/** Options of a metric that name the active model where they name none. */
export function aboutActiveModel<Options extends MetricOptions>(
  options: Options | number | undefined,
): Options | number | undefined {
  const modelId = getActiveModelId();
  if (modelId === undefined) return options;
  if (options === undefined || typeof options === "number") {
    return { modelId, ...(options !== undefined && { step: options }) } as Options;
  }
  if (typeof options !== "object" || options?.modelId !== undefined) return options;
  return { ...options, modelId };
}
