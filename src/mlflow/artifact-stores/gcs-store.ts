// Artifacts in Google Cloud Storage (`gs://bucket/path`), through Google's SDK.
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Bucket, File, Storage } from "@google-cloud/storage";
import { environmentVariable } from "../../runtime/capabilities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import type { ArtifactContent } from "../stores.js";
import { transportTo } from "../transport.js";
import type { OpenedArtifact, ReadPosition, TransferOptions } from "./artifact-store.js";
import { bucketPlace, cloudError, keyOf, type ListedKeys } from "./bucket.js";
import { BucketStore } from "./bucket-store.js";
import { openContent, readPart } from "./content.js";
import { loadPackage } from "./optional-package.js";
import { eachOf } from "./parts.js";
import { byteVariable } from "./settings.js";

/** A chunk is kept until the store has it, so that it can be sent again. */
const DEFAULT_CHUNK = 16 * 1024 ** 2;
/** Chunks of an upload are whole multiples of this; source: Google's page on resumable uploads. */
const CHUNK_UNIT = 256 * 1024;
const DELETED_AT_A_TIME = 8;
const ADVICE =
  "Set GOOGLE_APPLICATION_CREDENTIALS to the file of an account that may use the bucket.";

let connected:
  | { readonly host: string | undefined; readonly storage: Promise<Storage> }
  | undefined;

function connection(): Promise<Storage> {
  const host = environmentVariable("STORAGE_EMULATOR_HOST");
  if (connected !== undefined && connected.host === host) return connected.storage;
  const storage = loadPackage(
    "@google-cloud/storage",
    "An artifact store on Google Cloud (gs://)",
    () => import("@google-cloud/storage"),
  ).then((sdk) => {
    const made = new sdk.Storage();
    // This SDK takes the variable for the address of the interface itself; Python's, and so whoever
    // sets it for MLflow, names the host alone.
    if (host !== undefined) made.baseUrl = `${made.apiEndpoint}/storage/v1`;
    return made;
  });
  connected = { host, storage };
  storage.catch(() => {
    connected = undefined;
  });
  return storage;
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE`. */
function uploadChunk(): number {
  const name = "MLFLOW_GCS_UPLOAD_CHUNK_SIZE";
  const bytes = byteVariable(name) ?? DEFAULT_CHUNK;
  if (bytes % CHUNK_UNIT === 0) return bytes;
  throw invalidParameter(name, String(bytes), `pass a multiple of ${CHUNK_UNIT} (256 KiB).`);
}

export class GcsStore extends BucketStore<Bucket> {
  readonly #bucket: string;

  constructor(uri: string) {
    const { authority, prefix } = bucketPlace(uri);
    super(uri, prefix, ADVICE);
    this.#bucket = authority;
  }

  protected async connect(): Promise<Bucket> {
    return (await connection()).bucket(this.#bucket);
  }

  protected statusOf(error: unknown): number | undefined {
    const { code } = (error ?? {}) as { code?: unknown };
    return typeof code === "number" ? code : undefined;
  }

  protected async keysIn(
    bucket: Bucket,
    prefix: string,
    signal: AbortSignal | undefined,
  ): Promise<ListedKeys> {
    const folders: string[] = [];
    const files: { key: string; sizeBytes: number }[] = [];
    for await (const page of pagesOf(bucket, { prefix, delimiter: "/" }, signal)) {
      folders.push(...page.folders);
      for (const { name, metadata } of page.files) {
        files.push({ key: name, sizeBytes: Number(metadata.size ?? 0) });
      }
    }
    return { folders, files };
  }

  protected async *keysBelow(
    bucket: Bucket,
    prefix: string,
    signal: AbortSignal | undefined,
    pageSize?: number,
  ): AsyncGenerator<string> {
    const query = { prefix, ...(pageSize !== undefined && { maxResults: pageSize }) };
    for await (const { files } of pagesOf(bucket, query, signal)) {
      for (const { name } of files) yield name;
    }
  }

  protected async sizeOf(bucket: Bucket, key: string): Promise<number> {
    const [metadata] = await bucket.file(key).getMetadata();
    return Number(metadata.size ?? 0);
  }

  open(path: string, { start, version, signal }: ReadPosition): Promise<OpenedArtifact> {
    return this.asking(path, signal, async (bucket) => {
      const key = this.keyAt(path);
      const file = bucket.file(key);
      const [{ generation, size, crc32c }] = await file.getMetadata();
      const sizeBytes = Number(size ?? 0);
      // What was overwritten since it was begun is read from its first byte.
      const from = version === undefined || version === String(generation) ? start : 0;
      const source = { bucket, key, generation: String(generation), sizeBytes };
      const ranges = Readable.from(rangesOf(source, from, signal), { objectMode: false });
      const body = Readable.toWeb(ranges) as ReadableStream<Uint8Array>;
      // A sum is known of the whole file alone.
      const checked = from === 0 && crc32c !== undefined ? summed(body, file, crc32c, path) : body;
      return { body: checked, start: from, sizeBytes, version: String(generation) };
    });
  }

  async write(call: StoreCall, content: ArtifactContent, transfer: TransferOptions): Promise<void> {
    const { onProgress, signal } = transfer;
    const { sizeBytes, contentType } = content;
    const path = call.upload?.artifactPath ?? "";
    const chunkSize = uploadChunk();
    await this.asking(path, signal, async (bucket) => {
      const file = bucket.file(keyOf(call));
      if (sizeBytes > chunkSize) return this.#writeChunks(file, content, path, chunkSize, transfer);
      const bytes = await readPart(content, 0, sizeBytes);
      signal?.throwIfAborted();
      await file.save(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
        resumable: false,
        contentType,
        validation: "crc32c",
      });
      onProgress?.({ path, transferredBytes: sizeBytes, totalBytes: sizeBytes });
    });
  }

  async #writeChunks(
    file: File,
    content: ArtifactContent,
    path: string,
    chunkSize: number,
    { onProgress, signal }: TransferOptions,
  ): Promise<void> {
    const { sizeBytes, contentType } = content;
    let address: string | undefined;
    let transferredBytes = 0;
    const watch = new Transform({
      transform(chunk: Uint8Array, _encoding, done) {
        transferredBytes += chunk.byteLength;
        onProgress?.({ path, transferredBytes, totalBytes: sizeBytes });
        done(undefined, chunk);
      },
      flush(done) {
        // Before the last chunk is sent: a short file is never completed.
        if (transferredBytes === sizeBytes) return done();
        const message = `The content of '${path}' had ${sizeBytes} bytes and ends at ${transferredBytes}. A file must not change while it is uploaded.`;
        done(new MlflowError("INVALID_STATE", message));
      },
    });
    const target = file.createWriteStream({ chunkSize, contentType, validation: "crc32c" });
    target.once("uri", (uri: string) => {
      address = uri;
    });
    try {
      await pipeline(Readable.fromWeb(openContent(content, 0, sizeBytes) as never), watch, target, {
        ...(signal && { signal }),
      });
    } catch (error) {
      // The address of an upload is its own permission; without this it stays open for a week.
      if (address !== undefined) await freeUpload(address).catch(() => undefined);
      throw error;
    }
  }

  protected removeKeys(
    bucket: Bucket,
    keys: Iterable<string> | AsyncIterable<string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return eachOf(keys, DELETED_AT_A_TIME, async (key) => {
      signal?.throwIfAborted();
      await bucket.file(key).delete({ ignoreNotFound: true });
    });
  }
}

/** What the SDK answers to a list, page by page. */
async function* pagesOf(
  bucket: Bucket,
  wanted: object,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly files: readonly File[]; readonly folders: readonly string[] }> {
  let query: object | null = { ...wanted, autoPaginate: false };
  while (query !== null) {
    signal?.throwIfAborted();
    const [files, next, answer]: [File[], object | null, unknown] = (await bucket.getFiles(
      query,
    )) as never;
    yield { files, folders: (answer as { prefixes?: string[] } | undefined)?.prefixes ?? [] };
    query = next ?? null;
  }
}

/** One content of one file. */
interface Source {
  readonly bucket: Bucket;
  readonly key: string;
  readonly generation: string;
  readonly sizeBytes: number;
}

/** The bytes from `start` on: in one request, or in those of `MLFLOW_GCS_DOWNLOAD_CHUNK_SIZE`. */
async function* rangesOf(
  source: Source,
  start: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { sizeBytes } = source;
  if (start >= sizeBytes) return;
  const chunk = byteVariable("MLFLOW_GCS_DOWNLOAD_CHUNK_SIZE") ?? sizeBytes;
  for (let from = start; from < sizeBytes; from += chunk) {
    const end = Math.min(sizeBytes, from + chunk) - 1;
    const body = await fetchRange(source, from, end, signal);
    yield* Readable.fromWeb(body as never) as AsyncIterable<Uint8Array>;
  }
}

async function freeUpload(address: string): Promise<void> {
  const fetchFrom = await transportTo(address);
  await fetchFrom(address, { method: "DELETE" });
}

/**
 * Over fetch with the SDK's credentials: the SDK's own stream waits for ever where a connection is
 * cut, and tells no status of what is refused.
 */
async function fetchRange(
  { bucket, key, generation }: Source,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<ReadableStream<Uint8Array>> {
  const { storage } = bucket;
  const object = `b/${encodeURIComponent(bucket.name)}/o/${encodeURIComponent(key)}`;
  const uri = `${storage.baseUrl}/${object}?alt=media&generation=${generation}`;
  const headers = new Headers(storage.customEndpoint ? {} : await credentials(storage, uri));
  headers.set("range", `bytes=${start}-${end}`);
  headers.set("accept-encoding", "identity");
  const fetchFrom = await transportTo(uri);
  const answer = await fetchFrom(uri, { headers, ...(signal && { signal }) });
  if (answer.ok && answer.body !== null) return answer.body;
  const words = (await answer.text()).replace(/\s+/g, " ").slice(0, 200);
  throw cloudError(new Error(words === "" ? `status ${answer.status}` : words), {
    uri: `gs://${bucket.name}`,
    path: key,
    status: answer.status,
    advice: ADVICE,
  });
}

async function credentials(storage: Storage, uri: string): Promise<HeadersInit> {
  return (await storage.authClient.getRequestHeaders(uri)) as HeadersInit;
}

/** Fails after the last byte when the sum of all is not the one that the store keeps. */
function summed(
  body: ReadableStream<Uint8Array>,
  file: File,
  expected: string,
  path: string,
): ReadableStream<Uint8Array> {
  const sum = file.crc32cGenerator();
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      sum.update(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      controller.enqueue(chunk);
    },
    flush() {
      if (sum.validate(expected)) return;
      const message = `What came of '${path}' is not what the store has: its CRC32C differs.`;
      throw new MlflowError("CORRUPT_ARTIFACT", message);
    },
  });
  return body.pipeThrough(watch);
}
