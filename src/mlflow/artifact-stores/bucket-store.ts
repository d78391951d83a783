// A folder of artifacts in a bucket: what the clouds do alike, whatever their SDKs call it.
import type { ArtifactInfo } from "../entities.js";
import type { StoreCall } from "../interceptor.js";
import type { ArtifactContent } from "../stores.js";
import {
  type ArtifactStore,
  noSuchArtifact,
  type OpenedArtifact,
  type ReadPosition,
  type TransferOptions,
} from "./artifact-store.js";
import { cloudError, entriesOf, folderPrefix, type ListedKeys } from "./bucket.js";
import { joinPath } from "./paths.js";

/** `Bucket` is what an SDK asks a bucket with. */
export abstract class BucketStore<Bucket> implements ArtifactStore {
  /**
   * `prefix`: the key below which the artifacts are, without slashes at either end; `advice`: where
   * credentials come from, for whoever is refused.
   */
  constructor(
    readonly uri: string,
    private readonly prefix: string,
    private readonly advice: string,
  ) {}

  protected abstract connect(): Promise<Bucket>;
  /** The HTTP status of an SDK's error. */
  protected abstract statusOf(error: unknown): number | undefined;
  /** Files and folders directly below a prefix. */
  protected abstract keysIn(
    bucket: Bucket,
    prefix: string,
    signal: AbortSignal | undefined,
  ): Promise<ListedKeys>;
  /** Every key below a prefix, asked for page by page; `pageSize` where fewer are wanted than usual. */
  protected abstract keysBelow(
    bucket: Bucket,
    prefix: string,
    signal: AbortSignal | undefined,
    pageSize?: number,
  ): AsyncIterable<string>;
  /** Bytes of a file; rejects when there is none, undefined when the key is a folder's own. */
  protected abstract sizeOf(
    bucket: Bucket,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined>;
  protected abstract removeKeys(
    bucket: Bucket,
    keys: Iterable<string> | AsyncIterable<string>,
    signal: AbortSignal | undefined,
  ): Promise<void>;

  abstract open(path: string, position: ReadPosition): Promise<OpenedArtifact>;
  abstract write(
    call: StoreCall,
    content: ArtifactContent,
    transfer: TransferOptions,
  ): Promise<void>;

  protected keyAt(path: string): string {
    return joinPath(this.prefix, path);
  }

  /** What `ask` answers; an SDK's error becomes an MlflowError that names the artifact. */
  protected async asking<T>(
    path: string,
    signal: AbortSignal | undefined,
    ask: (bucket: Bucket) => Promise<T>,
  ): Promise<T> {
    try {
      signal?.throwIfAborted();
      return await ask(await this.connect());
    } catch (error) {
      signal?.throwIfAborted();
      const { uri, advice } = this;
      throw cloudError(error, { uri, path, status: this.statusOf(error), advice });
    }
  }

  async list(path: string, signal?: AbortSignal): Promise<ArtifactInfo[]> {
    const prefix = folderPrefix(this.keyAt(path));
    const keys = await this.asking(path, signal, (bucket) => this.keysIn(bucket, prefix, signal));
    return entriesOf(keys, path, prefix);
  }

  status(path: string, signal?: AbortSignal): Promise<ArtifactInfo | undefined> {
    const key = this.keyAt(path);
    return this.asking(path, signal, async (bucket) => {
      const sizeBytes = key === "" ? undefined : await this.#sizeOrMissing(bucket, key, signal);
      if (sizeBytes !== undefined) return { path, isDirectory: false, sizeBytes };
      for await (const _ of this.keysBelow(bucket, folderPrefix(key), signal, 1)) {
        return { path, isDirectory: true, sizeBytes: undefined };
      }
      return undefined;
    });
  }

  async #sizeOrMissing(
    bucket: Bucket,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    try {
      return await this.sizeOf(bucket, key, signal);
    } catch (error) {
      if (this.statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  async remove(path: string, signal?: AbortSignal): Promise<void> {
    const found = await this.status(path, signal);
    if (found === undefined) throw noSuchArtifact(this.uri, path);
    const key = this.keyAt(path);
    await this.asking(path, signal, (bucket) => {
      const keys = found.isDirectory ? this.keysBelow(bucket, folderPrefix(key), signal) : [key];
      return this.removeKeys(bucket, keys, signal);
    });
  }
}
