// Artifacts in S3 and what speaks its language (`s3://bucket/path`), through the AWS SDK.
import { Agent } from "node:https";
import type * as Sdk from "@aws-sdk/client-s3";
import { environmentVariable } from "../../runtime/capabilities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
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
import { partsOf, uploadParts } from "./parts.js";
import { byteVariable, objectVariable, switchVariable } from "./settings.js";

/** Smallest part that S3 takes is 5 MiB; a file up to one part goes in one request. */
const PART_BYTES = 8 * 1024 ** 2;
const LEAST_PART_BYTES = 5 * 1024 ** 2;
const MOST_PARTS = 10_000;
const MOST_DELETED = 1000;
const ADVICE =
  "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for an account that may use the bucket.";

interface Connection {
  readonly sdk: typeof Sdk;
  readonly client: Sdk.S3Client;
}

const connections = new Map<string, Promise<Connection>>();

/** boto3 addresses a bucket by path at an endpoint that is not Amazon's. */
function usesPaths(endpoint: string | undefined): boolean {
  const name = "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE";
  const style = environmentVariable(name) ?? "auto";
  if (!["auto", "path", "virtual"].includes(style)) {
    throw invalidParameter(name, style, "use auto, path or virtual.");
  }
  return style === "path" || (style === "auto" && endpoint !== undefined);
}

async function connect(): Promise<Connection> {
  const sdk = await loadPackage(
    "@aws-sdk/client-s3",
    "An artifact store on S3 (s3://)",
    () => import("@aws-sdk/client-s3"),
  );
  const own = environmentVariable("MLFLOW_S3_ENDPOINT_URL");
  const endpoint =
    own ?? environmentVariable("AWS_ENDPOINT_URL_S3") ?? environmentVariable("AWS_ENDPOINT_URL");
  const region = environmentVariable("AWS_REGION") ?? environmentVariable("AWS_DEFAULT_REGION");
  const settings: Sdk.S3ClientConfig = {
    ...(own !== undefined && { endpoint: own }),
    ...(region !== undefined && { region }),
    forcePathStyle: usesPaths(endpoint),
    followRegionRedirects: true,
    ...(switchVariable("MLFLOW_S3_IGNORE_TLS") === true && {
      requestHandler: { httpsAgent: new Agent({ rejectUnauthorized: false }) },
    }),
  };
  let client = new sdk.S3Client(settings);
  try {
    await client.config.region();
  } catch {
    // The SDK insists on a region; boto3 takes this one when nothing names another.
    client = new sdk.S3Client({ ...settings, region: "us-east-1" });
  }
  return { sdk, client };
}

/** One client for as long as the environment says the same. */
function connection(): Promise<Connection> {
  const names = [
    ...["MLFLOW_S3_ENDPOINT_URL", "MLFLOW_S3_IGNORE_TLS", "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE"],
    ...["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"],
    ...["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
  ];
  const key = JSON.stringify(names.map((name) => environmentVariable(name)));
  const known = connections.get(key);
  if (known !== undefined) return known;
  const made = connect();
  connections.clear();
  connections.set(key, made);
  made.catch(() => connections.delete(key));
  return made;
}

export class S3Store extends BucketStore<Connection> {
  readonly #bucket: string;

  constructor(uri: string) {
    const { authority, prefix } = bucketPlace(uri);
    super(uri, prefix, ADVICE);
    this.#bucket = authority;
  }

  protected connect(): Promise<Connection> {
    return connection();
  }

  protected statusOf(error: unknown): number | undefined {
    return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
  }

  /** What every request names. */
  get #where(): { readonly Bucket: string; readonly ExpectedBucketOwner?: string } {
    const owner = environmentVariable("MLFLOW_S3_EXPECTED_BUCKET_OWNER");
    return { Bucket: this.#bucket, ...(owner !== undefined && { ExpectedBucketOwner: owner }) };
  }

  async *#pages(
    { sdk, client }: Connection,
    signal: AbortSignal | undefined,
    wanted: Partial<Sdk.ListObjectsV2CommandInput>,
  ): AsyncGenerator<Sdk.ListObjectsV2CommandOutput> {
    let ContinuationToken: string | undefined;
    do {
      const request = { ...this.#where, ...wanted, ContinuationToken };
      const page = await client.send(new sdk.ListObjectsV2Command(request), ending(signal));
      yield page;
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  protected async keysIn(
    bucket: Connection,
    prefix: string,
    signal: AbortSignal | undefined,
  ): Promise<ListedKeys> {
    const folders: string[] = [];
    const files: { key: string; sizeBytes: number }[] = [];
    for await (const page of this.#pages(bucket, signal, { Prefix: prefix, Delimiter: "/" })) {
      for (const { Prefix } of page.CommonPrefixes ?? []) folders.push(Prefix ?? "");
      for (const { Key = "", Size = 0 } of page.Contents ?? []) {
        files.push({ key: Key, sizeBytes: Size });
      }
    }
    return { folders, files };
  }

  protected async *keysBelow(
    bucket: Connection,
    prefix: string,
    signal: AbortSignal | undefined,
    pageSize?: number,
  ): AsyncGenerator<string> {
    const wanted = { Prefix: prefix, ...(pageSize !== undefined && { MaxKeys: pageSize }) };
    for await (const { Contents = [] } of this.#pages(bucket, signal, wanted)) {
      for (const { Key } of Contents) if (Key !== undefined) yield Key;
    }
  }

  protected async sizeOf(
    { sdk, client }: Connection,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const command = new sdk.HeadObjectCommand({ ...this.#where, Key: key });
    return (await client.send(command, ending(signal))).ContentLength ?? 0;
  }

  open(path: string, { start, version, signal }: ReadPosition): Promise<OpenedArtifact> {
    return this.asking(path, signal, async ({ sdk, client }) => {
      const command = new sdk.GetObjectCommand({
        ...this.#where,
        Key: this.keyAt(path),
        ...(start > 0 && { Range: `bytes=${start}-`, IfMatch: version }),
      });
      const { Body, ContentLength, ContentRange, ETag } = await client.send(
        command,
        ending(signal),
      );
      if (Body === undefined) throw noSuchArtifact(this.uri, path);
      const whole = /\/(\d+)$/.exec(ContentRange ?? "")?.[1];
      return {
        body: Body.transformToWebStream() as ReadableStream<Uint8Array>,
        start: whole === undefined ? 0 : start,
        sizeBytes: whole === undefined ? ContentLength : Number(whole),
        version: ETag,
      };
    });
  }

  async write(call: StoreCall, content: ArtifactContent, transfer: TransferOptions): Promise<void> {
    const { onProgress, signal } = transfer;
    const { sizeBytes } = content;
    const path = call.upload?.artifactPath ?? "";
    const object = {
      ...this.#where,
      Key: keyOf(call),
      ContentType: content.contentType,
      ...objectVariable("MLFLOW_S3_UPLOAD_EXTRA_ARGS"),
    };
    const partBytes = byteVariable("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE") ?? PART_BYTES;
    const parts = partsOf(sizeBytes, Math.max(LEAST_PART_BYTES, partBytes), MOST_PARTS);
    await this.asking(path, signal, async ({ sdk, client }) => {
      if (parts.length > 1)
        return this.#writeParts({ sdk, client }, object, content, parts, call, transfer);
      const Body = await readPart(content, 0, sizeBytes);
      await client.send(new sdk.PutObjectCommand({ ...object, Body }), ending(signal));
      onProgress?.({ path, transferredBytes: sizeBytes, totalBytes: sizeBytes });
    });
  }

  async #writeParts(
    { sdk, client }: Connection,
    object: Sdk.CreateMultipartUploadCommandInput,
    content: ArtifactContent,
    parts: ReturnType<typeof partsOf>,
    call: StoreCall,
    transfer: TransferOptions,
  ): Promise<void> {
    const create = new sdk.CreateMultipartUploadCommand({
      ...object,
      // The parts carry this sum where the SDK is not told to leave it out.
      ...((await client.config.requestChecksumCalculation()) === "WHEN_SUPPORTED" && {
        ChecksumAlgorithm: object.ChecksumAlgorithm ?? "CRC32",
      }),
    });
    const { UploadId } = await client.send(create);
    const { SSECustomerAlgorithm, SSECustomerKey, SSECustomerKeyMD5 } = object;
    const place = { ...this.#where, Key: object.Key, UploadId };
    const encryption = {
      ...(SSECustomerAlgorithm && { SSECustomerAlgorithm }),
      ...(SSECustomerKey && { SSECustomerKey }),
      ...(SSECustomerKeyMD5 && { SSECustomerKeyMD5 }),
    };
    await uploadParts<Sdk.CompletedPart>(
      {
        path: call.upload?.artifactPath ?? "",
        sizeBytes: content.sizeBytes,
        parts,
        send: async ({ number, start, end }, { cancel }) => {
          const Body = await readPart(content, start, end);
          const part = { ...place, ...encryption, PartNumber: number, Body };
          const { ETag, ChecksumCRC32, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 } =
            await client.send(new sdk.UploadPartCommand(part), { abortSignal: cancel });
          const sums = { ChecksumCRC32, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 };
          return { PartNumber: number, ETag, ...sums };
        },
        complete: async (Parts) => {
          const MultipartUpload = { Parts: [...Parts] };
          const complete = { ...place, ...encryption, MultipartUpload };
          await client.send(new sdk.CompleteMultipartUploadCommand(complete));
        },
        abort: async () => {
          await client.send(new sdk.AbortMultipartUploadCommand(place));
        },
      },
      transfer,
    );
  }

  protected async removeKeys(
    { sdk, client }: Connection,
    keys: Iterable<string> | AsyncIterable<string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let Objects: { Key: string }[] = [];
    const removeThese = async () => {
      const request = { ...this.#where, Delete: { Objects, Quiet: true } };
      const command = new sdk.DeleteObjectsCommand(request);
      const { Errors = [] } = await client.send(command, ending(signal));
      Objects = [];
      const [first] = Errors;
      if (first === undefined) return;
      throw new MlflowError(
        first.Code === "AccessDenied" ? "PERMISSION_DENIED" : "INTERNAL_ERROR",
        `'${first.Key}' could not be removed from '${this.uri}': ${first.Message ?? first.Code}.`,
      );
    };
    for await (const Key of keys) {
      Objects.push({ Key });
      if (Objects.length === MOST_DELETED) await removeThese();
    }
    if (Objects.length > 0) await removeThese();
  }
}
