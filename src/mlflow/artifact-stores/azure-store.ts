// Artifacts in Azure Blob Storage (`wasbs://`, `abfss://`), through Microsoft's SDK.
import { Readable } from "node:stream";
import type * as Sdk from "@azure/storage-blob";
import { environmentVariable } from "../../runtime/capabilities.js";
import { invalidParameter } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import { withoutCredentials } from "../redaction.js";
import type { ArtifactContent } from "../stores.js";
import {
  noSuchArtifact,
  type OpenedArtifact,
  type ReadPosition,
  type TransferOptions,
} from "./artifact-store.js";
import { bucketPlace, ending, keyOf, type ListedKeys } from "./bucket.js";
import { BucketStore } from "./bucket-store.js";
import { readPart } from "./content.js";
import { loadPackage } from "./optional-package.js";
import { eachOf, partsOf, uploadParts } from "./parts.js";

const PACKAGE = "@azure/storage-blob";
/** A file up to one block goes in one request. */
const BLOCK_BYTES = 8 * 1024 ** 2;
const MOST_BLOCKS = 50_000;
const DELETED_AT_A_TIME = 8;
const ADVICE =
  "Set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCESS_KEY or AZURE_STORAGE_SAS_TOKEN, or install @azure/identity and sign in.";

/** A container of an account, and what is before its artifacts' names. */
interface AzurePlace {
  readonly container: string;
  readonly account: string;
  /** Such as `https://account.blob.core.windows.net`. */
  readonly endpoint: string;
  readonly prefix: string;
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE`. */
function azurePlace(uri: string): AzurePlace {
  const { authority, prefix } = bucketPlace(uri);
  const isLake = uri.startsWith("abfss:");
  const service = isLake ? "(?:dfs|blob)" : "blob";
  const known = new RegExp(
    `^([^@]+)@([^.@]+)\\.${service}\\.(core\\.(?:windows\\.net|chinacloudapi\\.cn|usgovcloudapi\\.net)|.*fabric\\.microsoft\\.com)$`,
  );
  const [, container, account, domain] = known.exec(authority) ?? [];
  if (container === undefined || account === undefined || domain === undefined) {
    const form = isLake
      ? "abfss://<container>@<account>.dfs.core.windows.net/<path>"
      : "wasbs://<container>@<account>.blob.core.windows.net/<path>";
    throw invalidParameter("artifact URI", withoutCredentials(uri), `write ${form}.`);
  }
  // Python takes an abfss path as percent-encoded, and a wasbs path as it stands.
  const path = isLake ? decodeURIComponent(prefix) : prefix;
  return { container, account, endpoint: `https://${account}.blob.${domain}`, prefix: path };
}

interface Connection {
  readonly sdk: typeof Sdk;
  readonly service: Sdk.BlobServiceClient;
}

async function connect({ account, endpoint }: AzurePlace): Promise<Connection> {
  const purpose = "An artifact store on Azure (wasbs://, abfss://)";
  const sdk = await loadPackage(PACKAGE, purpose, () => import("@azure/storage-blob"));
  const text = environmentVariable("AZURE_STORAGE_CONNECTION_STRING");
  if (text !== undefined) {
    return { sdk, service: sdk.BlobServiceClient.fromConnectionString(text) };
  }
  const key = environmentVariable("AZURE_STORAGE_ACCESS_KEY");
  if (key !== undefined) {
    const credential = new sdk.StorageSharedKeyCredential(account, key);
    return { sdk, service: new sdk.BlobServiceClient(endpoint, credential) };
  }
  const token = environmentVariable("AZURE_STORAGE_SAS_TOKEN")?.replace(/^\?/, "");
  if (token !== undefined) {
    return { sdk, service: new sdk.BlobServiceClient(`${endpoint}?${token}`) };
  }
  const identity = await loadPackage(
    "@azure/identity",
    `${purpose} without AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCESS_KEY and AZURE_STORAGE_SAS_TOKEN`,
    () => import("@azure/identity"),
  );
  const credential = new identity.DefaultAzureCredential();
  return { sdk, service: new sdk.BlobServiceClient(endpoint, credential) };
}

const connections = new Map<string, Promise<Connection>>();

/** One client for each account, for as long as the environment says the same. */
function connection(place: AzurePlace): Promise<Connection> {
  const names = ["CONNECTION_STRING", "ACCESS_KEY", "SAS_TOKEN"];
  const settings = names.map((name) => environmentVariable(`AZURE_STORAGE_${name}`));
  const key = JSON.stringify([place.endpoint, ...settings]);
  const known = connections.get(key);
  if (known !== undefined) return known;
  const made = connect(place);
  if (connections.size >= 8) connections.clear();
  connections.set(key, made);
  made.catch(() => connections.delete(key));
  return made;
}

/**
 * All ids of a blob's blocks must be of one length. Blocks belong to a blob, not to an upload: the ids of two uploads
 * differ, so that none takes a block of the other's.
 */
function blockId(upload: string, number: number): string {
  return btoa(`${upload}-${String(number).padStart(6, "0")}`);
}

function newUpload(): string {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return number.toString(36).padStart(7, "0");
}

export class AzureStore extends BucketStore<Sdk.ContainerClient> {
  readonly #place: AzurePlace;

  constructor(uri: string) {
    const place = azurePlace(uri);
    super(uri, place.prefix, ADVICE);
    this.#place = place;
  }

  protected async connect(): Promise<Sdk.ContainerClient> {
    const { service } = await connection(this.#place);
    return service.getContainerClient(this.#place.container);
  }

  protected statusOf(error: unknown): number | undefined {
    return (error as { statusCode?: number } | null)?.statusCode;
  }

  protected async keysIn(
    container: Sdk.ContainerClient,
    prefix: string,
    signal: AbortSignal | undefined,
  ): Promise<ListedKeys> {
    const folders: string[] = [];
    const files: { key: string; sizeBytes: number }[] = [];
    const wanted = { ...ending(signal), prefix };
    for await (const item of container.listBlobsByHierarchy("/", wanted)) {
      if (item.kind === "prefix") folders.push(item.name);
      else files.push({ key: item.name, sizeBytes: item.properties.contentLength ?? 0 });
    }
    return { folders, files };
  }

  protected async *keysBelow(
    container: Sdk.ContainerClient,
    prefix: string,
    signal: AbortSignal | undefined,
    pageSize?: number,
  ): AsyncGenerator<string> {
    const blobs = container.listBlobsFlat({ ...ending(signal), prefix });
    const pages = blobs.byPage(pageSize === undefined ? {} : { maxPageSize: pageSize });
    for await (const { segment } of pages) {
      for (const { name } of segment.blobItems) yield name;
    }
  }

  /** Folders of a data lake are blobs with a mark. */
  protected async sizeOf(
    container: Sdk.ContainerClient,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    const blob = container.getBlobClient(key);
    const { contentLength = 0, metadata = {} } = await blob.getProperties(ending(signal));
    return metadata.hdi_isfolder === "true" ? undefined : contentLength;
  }

  open(path: string, { start, version, signal }: ReadPosition): Promise<OpenedArtifact> {
    return this.asking(path, signal, async (container) => {
      const blob = container.getBlobClient(this.keyAt(path));
      const answer = await blob.download(start, undefined, {
        ...ending(signal),
        ...(version !== undefined && { conditions: { ifMatch: version } }),
      });
      const { readableStreamBody, contentLength, etag } = answer;
      if (readableStreamBody === undefined) throw noSuchArtifact(this.uri, path);
      // Given up before it is read, nobody else listens; an error without a listener ends the process.
      readableStreamBody.on("error", () => undefined);
      return {
        body: Readable.toWeb(
          Readable.from(readableStreamBody, { objectMode: false }),
        ) as ReadableStream<Uint8Array>,
        start,
        sizeBytes: contentLength === undefined ? undefined : start + contentLength,
        version: etag,
      };
    });
  }

  async write(call: StoreCall, content: ArtifactContent, transfer: TransferOptions): Promise<void> {
    const { onProgress, signal } = transfer;
    const { sizeBytes, contentType } = content;
    const path = call.upload?.artifactPath ?? "";
    const blobHTTPHeaders = { blobContentType: contentType };
    const parts = partsOf(sizeBytes, BLOCK_BYTES, MOST_BLOCKS);
    await this.asking(path, signal, async (container) => {
      const blob = container.getBlockBlobClient(this.#keyOf(call));
      if (parts.length === 1) {
        const bytes = await readPart(content, 0, sizeBytes);
        await blob.upload(bytes, sizeBytes, { ...ending(signal), blobHTTPHeaders });
        onProgress?.({ path, transferredBytes: sizeBytes, totalBytes: sizeBytes });
        return;
      }
      const upload = newUpload();
      await uploadParts<string>(
        {
          path,
          sizeBytes,
          parts,
          send: async ({ number, start, end }, { stop }) => {
            const bytes = await readPart(content, start, end);
            await blob.stageBlock(blockId(upload, number), bytes, bytes.byteLength, {
              // A block that comes late belongs to no blob.
              abortSignal: stop,
            });
            return blockId(upload, number);
          },
          complete: async (ids) => {
            await blob.commitBlockList([...ids], { blobHTTPHeaders });
          },
          // Blocks that no blob has are invisible, and dropped by Azure after a week; nothing can
          // drop them sooner.
          abort: async () => {},
        },
        transfer,
      );
    });
  }

  /** The name that a write goes to, decoded as this store's own place is. */
  #keyOf(call: StoreCall): string {
    const { artifactPath = "", artifactUri = "" } = call.upload ?? {};
    const isOurs = artifactUri.replace(/\/+$/, "").endsWith(artifactPath);
    return isOurs ? this.keyAt(artifactPath) : keyOf(call);
  }

  protected removeKeys(
    container: Sdk.ContainerClient,
    keys: Iterable<string> | AsyncIterable<string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return eachOf(keys, DELETED_AT_A_TIME, async (key) => {
      await container.getBlobClient(key).deleteIfExists(ending(signal));
    });
  }
}
