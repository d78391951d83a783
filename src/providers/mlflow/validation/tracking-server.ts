// Connectivity: does an MLflow answer where the tracking URI says, is it new enough, may one ask?
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { compareVersions } from "compare-versions";
import { MlflowClient } from "../../../mlflow/client.js";
import { RestStore } from "../../../mlflow/rest-store.js";
import { connectionTo, locateStore } from "../../../mlflow/store-uri.js";
import { type Check, type Found, hasty, type Setup, Skipped } from "./check.js";
import { failureOf, type Place } from "./failures.js";

/** The oldest that has every route of the client, and the oldest that is recommended. */
const OLDEST = "2.0.0";
const RECOMMENDED = "2.9.0";

export function trackingPlace(uri: string): Place {
  const subject = /^https?:/.test(uri) ? "The tracking server" : "The folder of the tracking URI";
  return { subject, prefix: "TRACKING", uri, variable: "MLFLOW_TRACKING_URI" };
}

async function versionOf(uri: string, setup: Setup, signal: AbortSignal) {
  const location = locateStore(uri);
  if (location.kind !== "rest") return undefined;
  const server = new RestStore(location, hasty(connectionTo(uri), setup));
  try {
    const brief = AbortSignal.any([signal, AbortSignal.timeout(setup.timeoutMs / 4)]);
    const answer = await server.fetchOnce("/version", { signal: brief });
    const text = (await answer.text()).trim();
    return answer.status === 200 ? /^\d+\.\d+\.\d+\w*$/.exec(text)?.[0] : undefined;
  } catch {
    // What is wrong is told by the call that matters.
    return undefined;
  }
}

/** Is it older than the client can speak to? */
function isTooOld(version: string | undefined, found: Found): boolean {
  if (version === undefined) return false;
  const isOld = compareVersions(version, OLDEST) < 0;
  if (isOld || compareVersions(version, RECOMMENDED) < 0) {
    found({
      code: "MLFLOW_TOO_OLD",
      severity: isOld ? "error" : "warning",
      message: isOld
        ? `genops speaks to MLflow from ${OLDEST} on.`
        : `MLflow from ${RECOMMENDED} on is recommended.`,
      cause: `The server says that it is MLflow ${version}.`,
      fix: `pip install --upgrade "mlflow>=${RECOMMENDED}"   # where the server runs, then start it again`,
    });
  }
  return isOld;
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** The first folder upwards that is there. */
async function standing(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined || dirname(path) === path) return path;
  }
}

/** Answers whether the folder can be used; what is not there yet is not made. */
async function checkFolder(folder: string, found: Found): Promise<boolean> {
  const there = await standing(folder);
  const isFolder = (await stat(there).catch(() => undefined))?.isDirectory() === true;
  if (isFolder && (await isWritable(there))) return true;
  found({
    code: "TRACKING_FOLDER_UNWRITABLE",
    severity: "error",
    message: `Nothing can be written to the folder ${folder}.`,
    cause: isFolder
      ? `${there} belongs to somebody else, or is mounted to be read only.`
      : `${there} is a file and no folder.`,
    fix: isFolder
      ? `chmod u+rwx "${there}"   # or export MLFLOW_TRACKING_URI=./mlruns`
      : "export MLFLOW_TRACKING_URI=./mlruns",
  });
  return false;
}

export const trackingServerCheck: Check = {
  name: "trackingServer",
  area: "connectivity",
  async run(setup, found, signal) {
    const { trackingUri, registryUri } = setup;
    if (trackingUri === undefined) throw new Skipped("there is no URI that can be used");
    const location = locateStore(trackingUri);
    const client = new MlflowClient({
      trackingUri,
      registryUri: registryUri ?? trackingUri,
      ...hasty(connectionTo(trackingUri), setup),
    });
    if (location.kind === "files") {
      const folder = fileURLToPath(location.uri);
      if (!(await checkFolder(folder, found))) return `${folder} cannot be written`;
      setup.client = client;
      const exists = (await stat(folder).catch(() => undefined)) !== undefined;
      if (!exists) return `${folder} is made when it is first used`;
    }
    const version = await versionOf(trackingUri, setup, signal);
    if (version !== undefined) setup.configured.mlflowVersion = version;
    if (isTooOld(version, found)) return `MLflow ${version}`;
    try {
      await client.searchExperiments({ maxResults: 1 });
    } catch (error) {
      setup.client = undefined;
      found({ severity: "error", ...failureOf(error, trackingPlace(location.uri)) });
      return `${location.uri} cannot be used`;
    }
    setup.client = client;
    if (location.kind === "files") return `${fileURLToPath(location.uri)} can be read and written`;
    return `${version === undefined ? "MLflow" : `MLflow ${version}`} answers at ${location.uri}`;
  },
};
