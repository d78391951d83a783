// `genops artifacts`: list, upload and download the artifacts of a run, or of any artifact URI.
import { resolve } from "node:path";
import { Command } from "commander";
import type { ArtifactInfo } from "../../mlflow/entities.js";
import * as mlflow from "../../mlflow/node.js";
import { padLeft } from "../../terminal/layout.js";
import { Interrupted, UsageError } from "../failure.js";
import { TransferLine } from "./transfer-line.js";

interface PlaceOptions {
  readonly runId?: string;
  readonly artifactUri?: string;
  readonly trackingUri?: string;
  readonly json?: true;
}

interface ListOptions extends PlaceOptions {
  readonly recursive?: true;
}

interface DownloadOptions extends PlaceOptions {
  readonly output: string;
}

/** Deeper than this a listing has lost its way. */
const MOST_LEVELS = 100;

/**
 * The place that the options mean.
 * @throws {UsageError} unless it is named once.
 */
function selection(
  { runId, artifactUri, trackingUri }: PlaceOptions,
  path: string | undefined,
): mlflow.artifacts.ArtifactSelection {
  if ((runId === undefined) === (artifactUri === undefined)) {
    throw new UsageError("Give either --run-id <id> or --artifact-uri <uri>.");
  }
  if (artifactUri !== undefined && path !== undefined) {
    throw new UsageError(`'${path}' goes with --run-id; make it a part of --artifact-uri instead.`);
  }
  return { runId, artifactUri, trackingUri, artifactPath: path };
}

/** Fires at the first Ctrl-C; the second one ends the process at once, as it would without us. */
async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onInterrupt = () =>
    controller.abort(new Interrupted("interrupted; no file was left unfinished"));
  process.once("SIGINT", onInterrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

function writeOut(text: string): Promise<void> {
  return new Promise((done) => process.stdout.write(text, () => done()));
}

async function writeResult(json: true | undefined, document: object, text: string): Promise<void> {
  await writeOut(json ? `${JSON.stringify(document, null, 2)}\n` : text);
}

async function everythingIn(
  options: mlflow.artifacts.ListArtifactsOptions,
  level = 0,
): Promise<ArtifactInfo[]> {
  const found: ArtifactInfo[] = [];
  for (const entry of await mlflow.artifacts.listArtifacts(options)) {
    found.push(entry);
    if (!entry.isDirectory || level >= MOST_LEVELS) continue;
    const name = entry.path.slice(entry.path.lastIndexOf("/") + 1);
    const { artifactUri, ...rest } = options;
    const inside =
      artifactUri === undefined
        ? { ...rest, artifactPath: entry.path }
        : { ...rest, artifactUri: `${artifactUri.replace(/\/+$/, "")}/${name}` };
    found.push(...(await everythingIn(inside, level + 1)));
  }
  return found;
}

/** Sizes under each other; a folder ends in a slash. */
function listText(entries: readonly ArtifactInfo[]): string {
  const sizes = entries.map(({ sizeBytes }) => (sizeBytes === undefined ? "" : String(sizeBytes)));
  const width = Math.max(0, ...sizes.map((size) => size.length));
  return entries
    .map(
      ({ path, isDirectory }, at) =>
        `${padLeft(sizes[at] ?? "", width)}  ${path}${isDirectory ? "/" : ""}\n`,
    )
    .join("");
}

/**
 * An empty folder, and what is not there, look alike in a listing of it: the one above tells which it is.
 * @throws {UsageError} for a file, and for what is not there.
 */
async function checkFolder(
  path: string,
  place: mlflow.artifacts.ArtifactSelection,
  signal: AbortSignal,
): Promise<void> {
  const wanted = path.replace(/^\/+|\/+$/g, "");
  if (wanted === "") return;
  const above = wanted.includes("/") ? wanted.slice(0, wanted.lastIndexOf("/")) : undefined;
  const beside = await mlflow.artifacts.listArtifacts({ ...place, artifactPath: above, signal });
  const found = beside.find((entry) => entry.path === wanted);
  if (found?.isDirectory) return;
  throw new UsageError(
    found === undefined
      ? `'${wanted}' is not among the run's artifacts${above === undefined ? "" : ` below '${above}'`}; list them without a path.`
      : `'${wanted}' is a file of ${found.sizeBytes ?? "unknown"} bytes; fetch it with 'genops artifacts download'.`,
  );
}

async function runList(path: string | undefined, options: ListOptions): Promise<void> {
  const place = selection(options, path);
  const entries = await interruptible(async (signal) => {
    const listed = options.recursive
      ? await everythingIn({ ...place, signal })
      : await mlflow.artifacts.listArtifacts({ ...place, signal });
    if (listed.length === 0 && path !== undefined) await checkFolder(path, place, signal);
    return listed;
  });
  await writeResult(options.json, { artifacts: entries }, listText(entries));
}

async function runDownload(path: string | undefined, options: DownloadOptions): Promise<void> {
  const place = selection(options, path);
  const line = new TransferLine(process.stderr, "down");
  const dstPath = resolve(options.output);
  let local: string;
  try {
    local = await interruptible((signal) =>
      mlflow.artifacts.downloadArtifacts({
        ...place,
        dstPath,
        signal,
        onProgress: line.onProgress,
      }),
    );
  } finally {
    line.clear();
  }
  const { files, bytes } = line;
  await writeResult(options.json, { localPath: local, files, bytes }, `${local}\n`);
}

interface UploadOptions {
  readonly runId: string;
  readonly trackingUri?: string;
  readonly json?: true;
}

async function runUpload(
  localPath: string,
  artifactPath: string | undefined,
  { runId, trackingUri, json }: UploadOptions,
): Promise<void> {
  const client = new mlflow.MlflowClient({ trackingUri });
  const line = new TransferLine(process.stderr, "up");
  try {
    await interruptible((signal) =>
      client.logArtifact(runId, localPath, artifactPath, { signal, onProgress: line.onProgress }),
    );
  } finally {
    line.clear();
  }
  const { files, bytes } = line;
  const what = `${files} ${files === 1 ? "file" : "files"}, ${bytes} bytes`;
  await writeResult(json, { runId, files, bytes }, `uploaded ${what} to run ${runId}\n`);
}

function withTracking(command: Command): Command {
  return command
    .option("--tracking-uri <uri>", "folder or MLflow server (MLFLOW_TRACKING_URI)")
    .option("--json", "print one JSON document and nothing else");
}

function withPlace(command: Command): Command {
  return withTracking(
    command
      .option("--run-id <id>", "the run whose artifacts are meant")
      .option("--artifact-uri <uri>", "or any place: runs:/…, s3://…, gs://…, a folder"),
  );
}

/** The command, for the program to add. */
export function artifactsCommand(): Command {
  const list = withPlace(new Command("list"))
    .summary("files and folders, with sizes")
    .description("Lists what lies directly below a folder of artifacts, sizes in bytes.")
    .argument("[path]", "folder below the run's artifacts")
    .option("-r, --recursive", "all that is below, too")
    .action(runList);
  const download = withPlace(new Command("download"))
    .summary("fetch a file or a folder")
    .description(
      "Downloads a file, or a folder with all in it, and prints its local path.\nEach file appears whole or not at all; a broken connection is taken up again.",
    )
    .argument("[path]", "file or folder below the run's artifacts; all when left out")
    .option("-o, --output <folder>", "where it goes", ".")
    .action(runDownload);
  const upload = withTracking(new Command("upload"))
    .summary("send a file or a folder")
    .description("Uploads a file, or a folder under its name with all in it, to a run.")
    .argument("<local-path>", "file or folder")
    .argument("[artifact-path]", "folder of the run's artifacts that takes it")
    .requiredOption("--run-id <id>", "the run that takes it")
    .action(runUpload);
  return new Command("artifacts")
    .summary("list, upload and download the artifacts of runs")
    .description(
      "Lists, uploads and downloads artifacts of runs: in folders, behind a server,\non S3, Azure and Google Cloud.",
    )
    .addCommand(list)
    .addCommand(upload)
    .addCommand(download);
}
