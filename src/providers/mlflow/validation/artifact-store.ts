// Connectivity: a probe is written to the artifact store, read back, and deleted with all that it needed.
import { readdir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  listPlace,
  readBytes,
  removePlace,
  resolveArtifactUri,
  runPlace,
} from "../../../mlflow/artifact-stores/read.js";
import type { MlflowClient } from "../../../mlflow/client.js";
import { MlflowError, reasonOf } from "../../../mlflow/errors.js";
import { withoutCredentials } from "../../../mlflow/redaction.js";
import { locateStore, schemeOf } from "../../../mlflow/store-uri.js";
import { type Check, type Found, type Setup, Skipped } from "./check.js";
import { type Failure, failureOf } from "./failures.js";
import { needPackages } from "./packages.js";
import { trackingPlace } from "./tracking-server.js";

/** Scheme of the artifact root → the package that reaches it. */
const PACKAGES: Readonly<Record<string, string>> = {
  s3: "@aws-sdk/client-s3",
  gs: "@google-cloud/storage",
  wasbs: "@azure/storage-blob",
  abfss: "@azure/storage-blob",
};

/** What lets a store be written, by the scheme of its root. */
function writeFix(uri: string): string {
  switch (schemeOf(uri)) {
    case "mlflow-artifacts":
      return "chmod -R u+rwX <the server's --artifacts-destination>   # or give the server's process credentials for it";
    case "s3":
      return "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…   # with s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket there";
    case "gs":
      return "export GOOGLE_APPLICATION_CREDENTIALS=/path/to/key.json   # with the role Storage Object User there";
    case "wasbs":
    case "abfss":
      return "export AZURE_STORAGE_CONNECTION_STRING=…   # with the role Storage Blob Data Contributor there";
    default:
      return "mlflow server --serve-artifacts --artifacts-destination ./mlartifacts   # so that the server takes the artifacts";
  }
}

function uriOfFailure(error: unknown, step: string, uri: string): Failure {
  const { code, message, cause, fix } = failureOf(error, {
    ...trackingPlace(uri),
    subject: "The artifact store",
    prefix: "ARTIFACT_STORE",
  });
  if (code === "PACKAGE_MISSING") return { code, message, cause, fix };
  return {
    code: step === "written" ? "ARTIFACT_STORE_UNWRITABLE" : "ARTIFACT_STORE_UNREADABLE",
    message: `The artifact store at ${withoutCredentials(uri)} cannot be ${step}.`,
    cause,
    fix: writeFix(uri),
  };
}

const FILE = "probe.txt";

/** One probe, and how far it has come. */
class Probe {
  readonly name = `genops-validate-${crypto.randomUUID()}`;
  readonly #client: MlflowClient;
  readonly #found: Found;
  #experimentId: string | undefined;
  #runId: string | undefined;
  #bytes: "none" | "perhaps" | "written" = "none";
  artifactUri = "";

  constructor(client: MlflowClient, found: Found) {
    this.#client = client;
    this.#found = found;
  }

  /** Makes the experiment and the run that an artifact needs. */
  async open(): Promise<boolean> {
    try {
      this.#experimentId = await this.#client.createExperiment(this.name, {
        tags: { "mlflow.note.content": "Made by genops validate, which deletes it again." },
      });
      const { info } = await this.#client.createRun(this.#experimentId);
      this.#runId = info.runId;
      this.artifactUri = info.artifactUri;
      return true;
    } catch (error) {
      const failure = failureOf(error, trackingPlace(this.#client.trackingUri));
      const isForbidden = error instanceof MlflowError && error.status === 403;
      this.#found({
        severity: isForbidden ? "warning" : "error",
        ...failure,
        code: isForbidden ? "PROBE_FORBIDDEN" : "PROBE_FAILED",
        message:
          "The probe's experiment and run cannot be made, so the artifact store was not tried.",
        fix: isForbidden
          ? "genops validate --read-only   # or credentials that may create"
          : failure.fix,
      });
      return false;
    }
  }

  /** Writes, reads back and compares. Answers the bytes carried, or undefined. */
  async carry(signal: AbortSignal): Promise<number | undefined> {
    const runId = this.#runId as string;
    let step = "written";
    try {
      this.#bytes = "perhaps";
      await this.#client.logText(runId, this.name, FILE, { signal });
      this.#bytes = "written";
      step = "read back";
      const place = await runPlace(this.#client.artifactContext, runId, FILE);
      const bytes = await readBytes(place, { signal });
      if (new TextDecoder().decode(bytes) === this.name) return bytes.byteLength;
      this.#found({
        code: "ARTIFACT_STORE_CORRUPTS",
        severity: "error",
        message: `The artifact store at ${withoutCredentials(this.artifactUri)} gives back other bytes than it took.`,
        cause: `${this.name.length} bytes were written, and ${bytes.byteLength} other ones read.`,
        fix: `curl -sS <the artifact's address>   # is a cache or a proxy in between?`,
      });
    } catch (error) {
      this.#found({ severity: "error", ...uriOfFailure(error, step, this.artifactUri) });
    }
    return undefined;
  }

  /** Takes everything away that can be, and tells what cannot. */
  async remove(): Promise<void> {
    const left: string[] = [];
    const attempt = async (what: string, action: () => Promise<unknown>) => {
      try {
        await action();
      } catch (error) {
        const isGone = error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST";
        if (!isGone) left.push(`${what} (${reasonOf(error)})`);
      }
    };
    const [client, experimentId, runId] = [this.#client, this.#experimentId, this.#runId];
    if (runId !== undefined && this.#bytes !== "none") {
      const removeFile = async () =>
        removePlace(await runPlace(client.artifactContext, runId, FILE));
      // What could not be written is most likely not there.
      if (this.#bytes === "perhaps") await removeFile().catch(() => undefined);
      else
        await attempt(`the artifact ${withoutCredentials(this.artifactUri)}/${FILE}`, removeFile);
      await this.#removeFolders();
    }
    if (runId !== undefined) {
      await client.setTerminated(runId).catch(() => undefined);
      await attempt(`the run ${runId}`, () => client.deleteRun(runId));
    }
    if (experimentId !== undefined) {
      await attempt(`the experiment ${this.name}`, () => client.deleteExperiment(experimentId));
      await this.#emptyTrash();
    }
    if (left.length === 0) return;
    this.#found({
      code: "PROBE_LEFT_BEHIND",
      severity: "warning",
      message: "Something of the probe could not be deleted.",
      cause: `Still there: ${left.join("; ")}.`,
      fix: `mlflow experiments delete --experiment-id ${experimentId}; genops validate --read-only   # writes no probe`,
    });
  }

  /**
   * The run's own folder, and the experiment's where nothing is left in it: ids of experiments begin anew
   * with each database, so that somebody's artifacts of long ago may lie there. Ids of runs never do.
   */
  async #removeFolders(): Promise<void> {
    const context = this.#client.artifactContext;
    // In a folder store they are parts of the experiment, which is deleted as a whole.
    if (locateStore(context.store.uri).kind === "files") return;
    const [, runFolder = "", experimentFolder = ""] =
      /^((.*)\/[^/]+)\/artifacts\/*$/.exec(this.artifactUri) ?? [];
    if (!runFolder.endsWith(`/${this.#runId}`)) return;
    try {
      await removePlace(await resolveArtifactUri(runFolder, context));
    } catch {
      // Most stores have no empty folders.
    }
    if (!experimentFolder.endsWith(`/${this.#experimentId}`)) return;
    try {
      const place = await resolveArtifactUri(experimentFolder, context);
      if ((await listPlace(place, place.path)).length === 0) await removePlace(place);
    } catch {
      // Nor do they keep those of experiments.
    }
  }

  /** A folder store keeps what is deleted where everybody sees it. */
  async #emptyTrash(): Promise<void> {
    const location = locateStore(this.#client.trackingUri);
    if (location.kind !== "files") return;
    const deleted = join(fileURLToPath(location.uri), ".trash", this.#experimentId as string);
    await rm(deleted, { recursive: true, force: true });
  }
}

/** Takes the store's folder away again that the probe has made, unless somebody has used it meanwhile. */
async function removeMadeFolder(folder: string): Promise<void> {
  const known = ["0", ".trash", "models"];
  const isEmpty = async (name: string) =>
    (await readdir(join(folder, name)).catch(() => [])).every((entry) => entry === "meta.yaml");
  const entries = await readdir(folder).catch(() => []);
  for (const entry of entries) {
    if (!known.includes(entry) || !(await isEmpty(entry))) return;
  }
  for (const entry of entries) await rm(join(folder, entry), { recursive: true, force: true });
  await rmdir(folder).catch(() => undefined);
}

/** Where new experiments keep their artifacts; undefined when nobody says. */
async function artifactRoot(client: MlflowClient): Promise<string | undefined> {
  const [newest] = await client.searchExperiments({ maxResults: 1 });
  return newest?.artifactLocation;
}

function checkPackages(uri: string, setup: Setup, found: Found): boolean {
  const name = PACKAGES[schemeOf(uri) ?? ""];
  if (name === undefined) return true;
  return needPackages([name], `The artifact store at ${withoutCredentials(uri)}`, setup, found);
}

export const artifactStoreCheck: Check = {
  name: "artifactStore",
  area: "connectivity",
  async run(setup, found, signal) {
    const { client } = setup;
    if (client === undefined) throw new Skipped("the tracking server cannot be used");
    const location = locateStore(client.trackingUri);
    const folder = location.kind === "files" ? fileURLToPath(location.uri) : undefined;
    const isNew = folder !== undefined && (await stat(folder).catch(() => undefined)) === undefined;
    if (setup.readOnly) {
      if (isNew) throw new Skipped("nothing is written with --read-only");
      const root = await artifactRoot(client);
      if (root !== undefined) {
        setup.configured.artifactRoot = withoutCredentials(root);
        checkPackages(root, setup, found);
      }
      return `${root === undefined ? "its place is not known" : withoutCredentials(root)}; nothing was written (--read-only)`;
    }
    const probe = new Probe(client, found);
    try {
      if (!(await probe.open())) return "not tried";
      setup.configured.artifactRoot = withoutCredentials(probe.artifactUri).replace(
        /\/\d+\/[0-9a-f]{32}\/artifacts$/,
        "",
      );
      if (!checkPackages(probe.artifactUri, setup, found)) return "not tried";
      const bytes = await probe.carry(signal);
      if (bytes === undefined) return `${withoutCredentials(probe.artifactUri)} cannot be used`;
      return `${bytes} bytes were written, read back and deleted, with a run and an experiment of their own`;
    } finally {
      await probe.remove();
      if (isNew && folder !== undefined) await removeMadeFolder(folder);
    }
  },
};
