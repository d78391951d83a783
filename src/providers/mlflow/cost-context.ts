// Scoped cost tracking: what a part of a program spends on MLflow, with or without an adapter.
import { metrics } from "@opentelemetry/api";
import { enterCostContext, inCostContext, MlflowCostContext } from "../../costs/context.js";
import { configure } from "../../governance/configuration.js";
import { ConfigurationError } from "../../governance/errors.js";
import { Governor } from "../../governance/governor.js";
import { warnWithoutOwner } from "../../governance/logging.js";
import { meter } from "../../governance/metering.js";
import { clientSeam } from "../../instrumentation/mlflow-client.js";
import { governContext, leaveContext, useSeam } from "../../instrumentation/scopes.js";
import { VERSION } from "../../version.js";

/** Runs and scopes that the ledger of a context without an adapter can hold; its own account holds more. */
const RUN_CAPACITY = 4096;

function open(name: string): MlflowCostContext {
  // Checked before anything is opened, though it is needed only where no adapter governs.
  const configuration = { runCapacity: RUN_CAPACITY, ...configure({}) };
  const context = new MlflowCostContext(name, leaveContext);
  useSeam(clientSeam);
  const make = () => {
    const governor = new Governor(configuration, VERSION);
    warnWithoutOwner(governor);
    meter(governor, metrics.getMeterProvider());
    return governor;
  };
  // All of it comes from the environment, so it is plain data.
  governContext(context, { key: JSON.stringify(configuration), make });
  return context;
}

/**
 * Runs `callback` in a cost context of its own, and answers its value: what is done to MLflow inside, by
 * the callback and all that it starts, is in `context.getSummary()`, then and afterwards. Contexts that run
 * at the same time are apart; the cost of an inner one is in the outer one's too. Where no adapter governs,
 * the context does, with the attributes and prices of the environment.
 *
 * @throws {ConfigurationError} for a name that is none, and for an impossible variable of the environment.
 */
export function createMlflowCostContext<T>(
  name: string,
  callback: (context: MlflowCostContext) => Promise<T> | T,
): Promise<T>;
/**
 * Opens a cost context for the rest of the block: `await using context = createMlflowCostContext("nightly")`.
 * It follows the chain of calls that it was opened in. Branches that start at the same time each need the
 * form with a callback, or an `await` of their own before this call.
 */
export function createMlflowCostContext(name: string): MlflowCostContext;
export function createMlflowCostContext<T>(
  name: string,
  callback?: (context: MlflowCostContext) => Promise<T> | T,
): Promise<T> | MlflowCostContext {
  if (callback === undefined) {
    const context = open(name);
    enterCostContext(context);
    return context;
  }
  return runIn(name, callback);
}

async function runIn<T>(
  name: string,
  callback: (context: MlflowCostContext) => Promise<T> | T,
): Promise<T> {
  if (typeof callback !== "function") {
    throw new ConfigurationError(
      "INVALID_OPTION",
      "callback",
      callback,
      `createMlflowCostContext: ${String(callback)} is no function; give what the context is to measure, or leave it out`,
    );
  }
  const context = open(name);
  try {
    return await inCostContext(context, async () => callback(context));
  } finally {
    context.end();
  }
}
