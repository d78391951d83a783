// Connectivity: does the model registry answer, and does it take a model?
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MlflowError, reasonOf } from "../../../mlflow/errors.js";
import { locateStore } from "../../../mlflow/store-uri.js";
import { type Check, Skipped } from "./check.js";
import { failureOf, type Place } from "./failures.js";

/** What servers answer that have no registry. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof MlflowError &&
    (["FEATURE_DISABLED", "NOT_IMPLEMENTED", "ENDPOINT_NOT_FOUND"].includes(error.code) ||
      (error.status === 404 && error.code !== "RESOURCE_DOES_NOT_EXIST"))
  );
}

async function isThere(uri: string): Promise<boolean> {
  const location = locateStore(uri);
  if (location.kind === "rest") return true;
  return (await stat(fileURLToPath(location.uri)).catch(() => undefined)) !== undefined;
}

export const registryCheck: Check = {
  name: "registry",
  area: "connectivity",
  async run({ client, trackingUri, registryUri, readOnly }, found) {
    if (client === undefined) throw new Skipped("the tracking server cannot be used");
    const { uri } = locateStore(registryUri ?? (trackingUri as string));
    if (!(await isThere(uri))) throw new Skipped("its folder is made when it is first used");
    const isOwn = registryUri !== undefined;
    const place: Place = {
      subject: "The model registry",
      prefix: "REGISTRY",
      uri,
      variable: isOwn ? "MLFLOW_REGISTRY_URI" : "MLFLOW_TRACKING_URI",
    };
    try {
      await client.searchRegisteredModels({ maxResults: 1 });
    } catch (error) {
      const missing = isMissing(error);
      found({
        // Runs are tracked without it, unless somebody has asked for this one.
        severity: isOwn || !missing ? "error" : "warning",
        ...failureOf(error, place),
        ...(missing && {
          code: "REGISTRY_MISSING",
          message: `There is no model registry at ${uri}: models cannot be registered.`,
          fix: "mlflow server --backend-store-uri sqlite:///mlflow.db   # or export MLFLOW_REGISTRY_URI=<a server that has one>",
        }),
      });
      return "no registry";
    }
    if (readOnly) return `${uri} can be searched; nothing was written (--read-only)`;
    const name = `genops-validate-${crypto.randomUUID()}`;
    try {
      await client.createRegisteredModel(name);
    } catch (error) {
      const isForbidden = error instanceof MlflowError && error.status === 403;
      found({
        severity: isForbidden ? "warning" : "error",
        ...failureOf(error, place),
        code: isForbidden ? "REGISTRY_READ_ONLY" : "REGISTRY_UNWRITABLE",
        message: `The model registry at ${uri} takes no model.`,
      });
      return "can be searched, takes no model";
    }
    try {
      await client.deleteRegisteredModel(name);
    } catch (error) {
      found({
        code: "PROBE_LEFT_BEHIND",
        severity: "warning",
        message: `The probe's registered model ${name} could not be deleted.`,
        cause: reasonOf(error),
        fix: `curl -X DELETE ${uri}/api/2.0/mlflow/registered-models/delete -H 'Content-Type: application/json' -d '{"name":"${name}"}'`,
      });
    }
    return "can be searched; a model was made and deleted";
  },
};
