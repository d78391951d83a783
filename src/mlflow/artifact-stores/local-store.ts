// Artifacts in a local folder.
import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type ArtifactInfo, artifactFromMessage } from "../entities.js";
import { fileError, orMissing } from "../file-store/file-errors.js";
import {
  listLocalArtifacts,
  localPathOf,
  writeLocalArtifact,
} from "../file-store/local-artifacts.js";
import type { StoreCall } from "../interceptor.js";
import type { ArtifactContent } from "../stores.js";
import {
  type ArtifactStore,
  byPath,
  noSuchArtifact,
  type OpenedArtifact,
  type ReadPosition,
  type TransferOptions,
} from "./artifact-store.js";

const READ_BYTES = 1024 * 1024;

export class LocalStore implements ArtifactStore {
  readonly #folder: string;

  constructor(readonly uri: string) {
    this.#folder = localPathOf(uri);
  }

  localPath(path: string): string {
    return join(this.#folder, ...path.split("/"));
  }

  async list(path: string, signal?: AbortSignal): Promise<ArtifactInfo[]> {
    signal?.throwIfAborted();
    return (await listLocalArtifacts(this.uri, path)).map(artifactFromMessage).sort(byPath);
  }

  async status(path: string, signal?: AbortSignal): Promise<ArtifactInfo | undefined> {
    signal?.throwIfAborted();
    const found = await orMissing(stat(this.localPath(path)), undefined);
    if (found === undefined) return undefined;
    const isDirectory = found.isDirectory();
    return { path, isDirectory, sizeBytes: isDirectory ? undefined : found.size };
  }

  async open(path: string, { start, signal }: ReadPosition): Promise<OpenedArtifact> {
    const found = await this.status(path, signal);
    if (found?.sizeBytes === undefined) throw noSuchArtifact(this.uri, path);
    const { sizeBytes } = found;
    // An empty range is no range that can be opened.
    const body =
      sizeBytes === start
        ? new Blob([]).stream()
        : (Readable.toWeb(
            createReadStream(this.localPath(path), {
              start,
              end: sizeBytes - 1,
              highWaterMark: READ_BYTES,
            }),
            { strategy: new ByteLengthQueuingStrategy({ highWaterMark: READ_BYTES }) },
          ) as ReadableStream<Uint8Array>);
    return { body, start, sizeBytes, version: undefined };
  }

  async write(call: StoreCall, content: ArtifactContent, transfer: TransferOptions): Promise<void> {
    const { artifactUri = "", artifactPath = "" } = call.upload ?? {};
    await writeLocalArtifact(localPathOf(artifactUri), content, {
      ...transfer,
      path: artifactPath,
    });
  }

  async remove(path: string, signal?: AbortSignal): Promise<void> {
    if ((await this.status(path, signal)) === undefined) throw noSuchArtifact(this.uri, path);
    try {
      await rm(this.localPath(path), { recursive: true });
    } catch (error) {
      throw fileError(error, this.#folder);
    }
  }
}
