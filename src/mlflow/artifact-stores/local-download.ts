// Artifacts into local files: each whole or not at all, and none outside of the destination.
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, mkdtemp, open, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import type { ArtifactInfo } from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import { fileError, orMissing } from "../file-store/file-errors.js";
import type { TransferOptions } from "./artifact-store.js";
import type { ArtifactSink } from "./download.js";
import { eachOf } from "./parts.js";
import { checkListedBelow, checkListedPath } from "./paths.js";
import { type ArtifactPlace, type LocalDownload, listPlace, readInto, statusOf } from "./read.js";

/** Files on their way at a time. */
const FILES_AT_A_TIME = 4;
const WRITE_BYTES = 1024 * 1024;
/** Deeper than this no folder is meant to be: a store that names itself would never end. */
const MOST_LEVELS = 100;

/** Where a listed path goes; it must be inside of the destination. */
function localPathFor(destination: string, path: string): string {
  checkListedPath(path, process.platform === "win32");
  const target = resolve(destination, ...path.split("/"));
  const inside = relative(destination, target);
  if (inside !== "" && inside !== ".." && !inside.startsWith(`..${sep}`)) return target;
  throw new MlflowError("UNSAFE_PATH", `'${path}' would be written outside of '${destination}'.`);
}

/** Small chunks become large writes. */
class FileSink implements ArtifactSink {
  readonly #file: FileHandle;
  readonly #kept = new Uint8Array(WRITE_BYTES);
  #length = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#length + chunk.byteLength > WRITE_BYTES) await this.finish();
    if (chunk.byteLength >= WRITE_BYTES) return this.#append(chunk);
    this.#kept.set(chunk, this.#length);
    this.#length += chunk.byteLength;
  }

  async restart(): Promise<void> {
    this.#length = 0;
    // Appending: what comes next begins at the end, which is the start again.
    await this.#file.truncate(0);
  }

  async finish(): Promise<void> {
    const length = this.#length;
    this.#length = 0;
    await this.#append(this.#kept.subarray(0, length));
  }

  async #append(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.byteLength) {
      const { bytesWritten } = await this.#file.write(bytes, written);
      written += bytesWritten;
    }
  }
}

async function downloadFile(
  place: ArtifactPlace,
  file: ArtifactInfo,
  destination: string,
  transfer: TransferOptions,
): Promise<string> {
  const target = localPathFor(destination, file.path);
  const folder = dirname(target);
  const unfinished = join(folder, `.${randomUUID()}.part`);
  try {
    await mkdir(folder, { recursive: true });
    const handle = await open(unfinished, "ax");
    try {
      const sink = new FileSink(handle);
      await readInto(place, file, sink, transfer);
      await sink.finish();
    } finally {
      await handle.close();
    }
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    transfer.signal?.throwIfAborted();
    throw fileError(error, destination);
  }
  return target;
}

async function* filesBelow(
  place: ArtifactPlace,
  folder: string,
  signal: AbortSignal | undefined,
  level = 0,
): AsyncGenerator<ArtifactInfo> {
  if (level > MOST_LEVELS) {
    throw new MlflowError(
      "UNSAFE_PATH",
      `The artifact store names folders without end: '${folder}'.`,
    );
  }
  for (const entry of await listPlace(place, folder, signal)) {
    checkListedBelow(folder, entry.path);
    if (entry.isDirectory) yield* filesBelow(place, entry.path, signal, level + 1);
    else yield entry;
  }
}

async function destinationFolder(given: string | undefined): Promise<string> {
  if (given === undefined) return mkdtemp(join(tmpdir(), "mlflow-artifacts-"));
  const folder = resolve(given);
  const found = await orMissing(stat(folder), undefined);
  if (found !== undefined && !found.isDirectory()) {
    throw invalidParameter("dstPath", given, "there is a file at this path; pass a folder's.");
  }
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw fileError(error, folder);
  }
  return folder;
}

/**
 * A file, or a folder with all that is below it, under its path in a local folder: a fresh temporary
 * one when none is given, except that what is in local files already stays where it is.
 */
export const downloadToFolder: LocalDownload = async (place, given, transfer) => {
  const { artifacts, path } = place;
  const found = await statusOf(place, transfer.signal);
  if (given === undefined && artifacts.localPath !== undefined) return artifacts.localPath(path);
  const destination = await destinationFolder(given);
  if (!found.isDirectory) return downloadFile(place, found, destination, transfer);
  const local = path === "" ? destination : localPathFor(destination, path);
  await mkdir(local, { recursive: true });
  await eachOf(filesBelow(place, path, transfer.signal), FILES_AT_A_TIME, async (file) => {
    await downloadFile(place, file, destination, transfer);
  });
  return local;
};
