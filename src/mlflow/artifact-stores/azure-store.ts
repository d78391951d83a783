// Artifacts in Azure Blob Storage (`wasbs://`, `abfss://`), through Microsoft's SDK.
import { Readable } from "node:stream";
import type * as Sdk from "@azure/storage-blob";
import { environmentVariable } from "../../runtime/capabilities.js";
import type { ArtifactInfo } from "../entities.js";
import { invalidParameter } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import { withoutCredentials } from "../store-uri.js";
import type { ArtifactContent } from "../stores.js";
import {
  type ArtifactStore,
  noSuchArtifact,
  type OpenedArtifact,
  type ReadPosition,
  type TransferOptions,
} from "./artifact-store.js";
import { bucketPlace, cloudError, entriesOf, folderPrefix, keyOf } from "./bucket.js";
import { readPart } from "./content.js";
import { loadPackage } from "./optional-package.js";
import { eachOf, partsOf, uploadParts } from "./parts.js";
import { joinPath } from "./paths.js";

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

/** All ids of a blob's blocks must be of one length. */
function blockId(number: number): string {
  return btoa(`mlflow-${String(number).padStart(6, "0")}`);
}

export class AzureStore implements ArtifactStore {
  readonly #place: AzurePlace;

  constructor(readonly uri: string) {
    this.#place = azurePlace(uri);
  }

  async #asking<T>(
    path: string,
    signal: AbortSignal | undefined,
    ask: (
      container: Sdk.ContainerClient,
      options: { readonly abortSignal?: AbortSignal },
    ) => Promise<T>,
  ): Promise<T> {
    try {
      signal?.throwIfAborted();
      const { service } = await connection(this.#place);
      const container = service.getContainerClient(this.#place.container);
      return await ask(container, signal === undefined ? {} : { abortSignal: signal });
    } catch (error) {
      signal?.throwIfAborted();
      const { statusCode } = (error ?? {}) as { statusCode?: number };
      throw cloudError(error, { uri: this.uri, path, status: statusCode, advice: ADVICE });
    }
  }

  list(path: string, signal?: AbortSignal): Promise<ArtifactInfo[]> {
    const prefix = folderPrefix(joinPath(this.#place.prefix, path));
    return this.#asking(path, signal, async (container, options) => {
      const folders: string[] = [];
      const files: { key: string; sizeBytes: number }[] = [];
      for await (const item of container.listBlobsByHierarchy("/", { ...options, prefix })) {
        if (item.kind === "prefix") folders.push(item.name);
        else files.push({ key: item.name, sizeBytes: item.properties.contentLength ?? 0 });
      }
      return entriesOf({ folders, files }, path, prefix);
    });
  }

  status(path: string, signal?: AbortSignal): Promise<ArtifactInfo | undefined> {
    const key = joinPath(this.#place.prefix, path);
    return this.#asking(path, signal, async (container, options) => {
      const sizeBytes =
        key === "" ? undefined : await fileSize(container.getBlobClient(key), options);
      if (sizeBytes !== undefined) return { path, isDirectory: false, sizeBytes };
      const inside = container.listBlobsFlat({ ...options, prefix: folderPrefix(key) });
      const { value } = await inside.byPage({ maxPageSize: 1 }).next();
      const isThere = (value?.segment.blobItems.length ?? 0) > 0;
      return isThere ? { path, isDirectory: true, sizeBytes: undefined } : undefined;
    });
  }

  open(path: string, { start, version, signal }: ReadPosition): Promise<OpenedArtifact> {
    return this.#asking(path, signal, async (container, options) => {
      const blob = container.getBlobClient(joinPath(this.#place.prefix, path));
      const answer = await blob.download(start, undefined, {
        ...options,
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
    await this.#asking(path, signal, async (container, options) => {
      const blob = container.getBlockBlobClient(this.#keyOf(call));
      if (parts.length === 1) {
        const bytes = await readPart(content, 0, sizeBytes);
        await blob.upload(bytes, sizeBytes, { ...options, blobHTTPHeaders });
        onProgress?.({ path, transferredBytes: sizeBytes, totalBytes: sizeBytes });
        return;
      }
      await uploadParts<string>(
        {
          path,
          sizeBytes,
          parts,
          send: async ({ number, start, end }, { stop }) => {
            const bytes = await readPart(content, start, end);
            await blob.stageBlock(blockId(number), bytes, bytes.byteLength, {
              // A block that comes late belongs to no blob.
              abortSignal: stop,
            });
            return blockId(number);
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
    return isOurs ? joinPath(this.#place.prefix, artifactPath) : keyOf(call);
  }

  async remove(path: string, signal?: AbortSignal): Promise<void> {
    const found = await this.status(path, signal);
    if (found === undefined) throw noSuchArtifact(this.uri, path);
    const key = joinPath(this.#place.prefix, path);
    await this.#asking(path, signal, async (container, options) => {
      const remove = async (name: string): Promise<void> => {
        await container.getBlobClient(name).deleteIfExists(options);
      };
      if (!found.isDirectory) return remove(key);
      const inside = container.listBlobsFlat({ ...options, prefix: folderPrefix(key) });
      await eachOf(inside, DELETED_AT_A_TIME, ({ name }) => remove(name));
    });
  }
}

/** Undefined when there is no such blob; folders of a data lake are blobs with a mark. */
async function fileSize(
  blob: Sdk.BlobClient,
  options: { readonly abortSignal?: AbortSignal },
): Promise<number | undefined> {
  try {
    const { contentLength = 0, metadata = {} } = await blob.getProperties(options);
    return metadata.hdi_isfolder === "true" ? undefined : contentLength;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}
