// What a place that holds artifacts can do, whoever runs it.
import type { ConnectionSettings } from "../connection.js";
import type { ArtifactInfo } from "../entities.js";
import { MlflowError } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import type { ArtifactContent } from "../stores.js";

/** How far the transfer of one file has come. */
export interface TransferProgress {
  /** `/`-separated path of the file, below the root that was asked. */
  readonly path: string;
  /** Bytes carried so far; falls back when a transfer has to start again. */
  readonly transferredBytes: number;
  /** Bytes of the whole file; undefined while the store has not said. */
  readonly totalBytes: number | undefined;
}

export interface TransferOptions {
  /**
   * Called as bytes go by, and at the end of each file. What it throws ends the transfer, and is what
   * the call rejects with; a file that the store has wholly by then stays.
   */
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
  /** Ends the transfer; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Names of the options that every transfer takes. */
export const TRANSFER_OPTIONS: readonly string[] = ["onProgress", "signal"];

/** From which byte on a file is read, and of which content. */
export interface ReadPosition {
  readonly start: number;
  /** `version` of an earlier opening: another content is answered from its first byte, or refused. */
  readonly version?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A file that is being read. */
export interface OpenedArtifact {
  readonly body: ReadableStream<Uint8Array>;
  /** The byte that `body` begins with: 0 from a store that cannot read from the middle. */
  readonly start: number;
  /** Bytes of the whole file; undefined when the store does not say. */
  readonly sizeBytes: number | undefined;
  /** Tells one content from another under the same name; undefined when the store does not say. */
  readonly version: string | undefined;
}

/**
 * A folder of artifacts and all that is below it. Paths are `/`-separated and relative to it; the
 * empty path is the folder itself. Every method rejects with MlflowError, or with the reason of the
 * signal that ended it.
 */
export interface ArtifactStore {
  /** Without credentials. */
  readonly uri: string;
  /** How patient its readers are; as the environment says when left out. */
  readonly settings?: ConnectionSettings;
  /** What lies directly below a folder, sorted by path; nothing when it is none. */
  list(path: string, signal?: AbortSignal): Promise<ArtifactInfo[]>;
  /** What is at a path; undefined when nothing is. */
  status(path: string, signal?: AbortSignal): Promise<ArtifactInfo | undefined>;
  open(path: string, position: ReadPosition): Promise<OpenedArtifact>;
  /** Writes the file that `call.upload` names, whole or not at all. */
  write(call: StoreCall, content: ArtifactContent, transfer: TransferOptions): Promise<void>;
  /** Removes a file, or a folder with all that is in it; `RESOURCE_DOES_NOT_EXIST` for neither. */
  remove(path: string, signal?: AbortSignal): Promise<void>;
  /** The local path of an artifact, where the store is a local folder. */
  localPath?(path: string): string;
}

/** Sorted by path, as every store answers. */
export function byPath(one: ArtifactInfo, other: ArtifactInfo): number {
  if (one.path === other.path) return 0;
  return one.path < other.path ? -1 : 1;
}

/** The error of a path at which a store has nothing. */
export function noSuchArtifact(uri: string, path: string): MlflowError {
  return new MlflowError(
    "RESOURCE_DOES_NOT_EXIST",
    `There is no artifact '${path}' in '${uri}'. See what there is with listArtifacts().`,
  );
}
