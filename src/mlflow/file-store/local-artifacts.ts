// Artifacts in local folders: written whole or not at all, and listed.
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { TransferOptions } from "../artifact-stores/artifact-store.js";
import { isBlob } from "../artifact-stores/content.js";
import { MlflowError } from "../errors.js";
import type { FileInfoMessage } from "../spec.js";
import { schemeOf } from "../store-uri.js";
import type { ArtifactContent } from "../stores.js";
import { fileError, orMissing } from "./file-errors.js";

/** Names of files that are being written. */
const UNFINISHED = /^\.[0-9a-f-]{36}\.part$/;

/** The path that a `file:` URI or a plain path means. */
export function localPathOf(uri: string): string {
  return schemeOf(uri) === "file" ? fileURLToPath(uri) : resolve(uri);
}

/** Writes one artifact to a local path. Throws MlflowError. */
export async function writeLocalArtifact(
  target: string,
  content: ArtifactContent,
  { onProgress, signal, path }: TransferOptions & { readonly path: string },
): Promise<void> {
  signal?.throwIfAborted();
  const folder = dirname(target);
  const unfinished = join(folder, `.${randomUUID()}.part`);
  try {
    await mkdir(folder, { recursive: true });
    if (isBlob(content.source)) {
      const stream = Readable.fromWeb(content.source.stream() as never);
      await writeFile(unfinished, stream, { flag: "wx", ...(signal && { signal }) });
    } else if (!("localPath" in content.source)) {
      await writeFile(unfinished, content.source, { flag: "wx" });
    } else {
      // In the kernel, and on some file systems without moving a byte.
      await copyFile(content.source.localPath, unfinished, constants.COPYFILE_FICLONE);
      const { size } = await stat(unfinished);
      if (size !== content.sizeBytes) {
        throw new MlflowError(
          "INVALID_STATE",
          `'${content.source.localPath}' changed from ${content.sizeBytes} to ${size} bytes while it was copied. A file must not change while it is logged.`,
        );
      }
    }
    const { sizeBytes } = content;
    onProgress?.({ path, transferredBytes: sizeBytes, totalBytes: sizeBytes });
    signal?.throwIfAborted();
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    signal?.throwIfAborted();
    throw fileError(error, folder);
  }
}

/** What lies directly below `path` in a run's artifacts, sorted; nothing when it is no folder. */
export async function listLocalArtifacts(
  rootUri: string,
  path: string | undefined,
): Promise<FileInfoMessage[]> {
  const folder = join(localPathOf(rootUri), ...(path ?? "").split("/"));
  const entries = await orMissing(readdir(folder, { withFileTypes: true }), []);
  const prefix = path === undefined || path === "" ? "" : `${path}/`;
  const files = entries
    .filter((entry) => !UNFINISHED.test(entry.name))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map(async (entry): Promise<FileInfoMessage> => {
      const message = { path: prefix + entry.name, is_dir: entry.isDirectory() };
      if (message.is_dir) return message;
      const { size } = await stat(join(folder, entry.name));
      // MLflow's answer has no size for what is empty.
      return size === 0 ? message : { ...message, file_size: size };
    });
  return Promise.all(files);
}
