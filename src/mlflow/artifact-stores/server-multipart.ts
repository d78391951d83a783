// A large file in parts that go past the MLflow server, straight to the cloud that is behind it.
// Source: mlflow/store/artifact/http_artifact_repo.py and mlflow/utils/server_info.py (3.17).
import type { ConnectionSettings } from "../connection.js";
import { hasCode, MlflowError, reasonOf } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import type { RestStore } from "../rest-store.js";
import { delayBeforeRetry } from "../retry.js";
import { abortMultipart, completeMultipart, createMultipart, serverInfo } from "../spec.js";
import type { ArtifactContent } from "../stores.js";
import { transportTo } from "../transport.js";
import type { TransferOptions } from "./artifact-store.js";
import { partBody } from "./content.js";
import { pause } from "./download.js";
import { type Ending, type Part, partsOf, uploadParts } from "./parts.js";
import { nameOf, parentOf } from "./paths.js";
import { byteVariable } from "./settings.js";

const DEFAULT_CHUNK = 10 * 1024 ** 2;
/** As many as S3 takes. */
const MOST_PARTS = 10_000;
const UNSUPPORTED = "Multipart upload is not supported";

interface Capabilities {
  readonly uploads: boolean;
  readonly downloads: boolean;
}

const NONE: Capabilities = { uploads: false, downloads: false };
const known = new Map<string, Promise<Capabilities>>();
const MAX_KNOWN = 16;

async function ask(server: RestStore): Promise<Capabilities> {
  const { method, route } = serverInfo;
  const call: StoreCall = { method, route, path: route, body: {}, storeUri: server.uri };
  try {
    const info = (await server.performOnce(call)) as Record<string, unknown>;
    return {
      uploads: info.multipart_uploads_enabled === true,
      downloads: info.multipart_downloads_enabled === true,
    };
  } catch (error) {
    // Older servers have no such route. Whoever may not ask is not the one to answer for others, and what is wrong for a
    // moment says nothing of the next; the transfer itself will tell.
    if (!(error instanceof MlflowError && error.status === 404)) known.delete(server.uri);
    return NONE;
  }
}

/** What a server says of its artifacts; asked once per process, by whoever may ask. */
export function capabilitiesOf(server: RestStore): Promise<Capabilities> {
  const found = known.get(server.uri);
  if (found !== undefined) return found;
  if (known.size >= MAX_KNOWN) known.clear();
  const asked = ask(server);
  known.set(server.uri, asked);
  return asked;
}

interface Credential {
  readonly url: string;
  readonly part_number: number;
  readonly headers?: Readonly<Record<string, string>>;
}

interface SentPart {
  readonly part_number: number;
  readonly etag: string;
  readonly url: string;
}

/** Query and signature of a presigned URL are a key to the store. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "the address that the server named";
}

async function putOnce(
  { url, headers = {} }: Credential,
  body: ReturnType<typeof partBody>,
  fetchFrom: typeof fetch,
  signal: AbortSignal,
): Promise<Response> {
  const init = { method: "PUT", headers: { ...headers, ...body.headers }, signal };
  const answer = await fetchFrom(url, { ...body.init, ...init });
  // Unread bodies hold their connection.
  const text = await answer.text();
  if (answer.ok) return answer;
  const words = text.replace(/\s+/g, " ").slice(0, 200);
  throw new MlflowError(
    answer.status === 403 ? "PERMISSION_DENIED" : "INTERNAL_ERROR",
    `A part of the file was refused by ${hostOf(url)} with status ${answer.status}: ${words}`,
    { status: answer.status },
  );
}

/** What the content itself says when it cannot be read; another attempt would hear the same. */
function contentError(error: unknown): MlflowError | undefined {
  const { cause } = (error ?? {}) as { readonly cause?: unknown };
  return [error, cause].find((one) => hasCode(one, "INVALID_STATE")) as MlflowError | undefined;
}

async function put(
  credential: Credential,
  open: () => ReturnType<typeof partBody>,
  { stop, cancel }: Ending,
  settings: ConnectionSettings,
): Promise<Response> {
  const fetchFrom = await transportTo(credential.url);
  for (let attempt = 1; ; attempt++) {
    try {
      return await putOnce(credential, open(), fetchFrom, cancel);
    } catch (error) {
      stop.throwIfAborted();
      const unreadable = contentError(error);
      if (unreadable !== undefined) throw unreadable;
      const status = error instanceof MlflowError ? error.status : undefined;
      const delay = delayBeforeRetry(
        status === undefined ? { kind: "broken" } : { kind: "status", status, retryAfter: null },
        attempt,
        true,
        settings,
      );
      if (delay !== undefined) {
        await pause(delay, stop);
        continue;
      }
      if (error instanceof MlflowError) throw error;
      throw new MlflowError(
        "SERVER_UNREACHABLE",
        `A part of the file could not be sent to ${hostOf(credential.url)}: ${reasonOf(error)}.`,
        { cause: error },
      );
    }
  }
}

/** One file's way in parts. */
export class ServerMultipart {
  readonly #server: RestStore;
  readonly #place: string;
  readonly #call: StoreCall;

  /** `place`: the encoded path below the server's root. */
  constructor(server: RestStore, place: string, call: StoreCall) {
    this.#server = server;
    this.#place = place;
    this.#call = call;
  }

  /** Answers false, with nothing sent, when the place behind the server takes no parts. */
  async write(content: ArtifactContent, transfer: TransferOptions): Promise<boolean> {
    const { sizeBytes } = content;
    const chunk = byteVariable("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE") ?? DEFAULT_CHUNK;
    const parts = partsOf(sizeBytes, chunk, MOST_PARTS);
    const name = decodeURIComponent(nameOf(this.#place));
    const created = await this.#create(name, parts.length);
    if (created === undefined) return false;
    const { settings } = this.#server;
    const { upload_id = "", credentials = [] } = created;
    const credentialOf = ({ number }: Part): Credential => {
      const found = credentials.find(({ part_number }) => Number(part_number) === number);
      if (found !== undefined) return found;
      throw new MlflowError(
        "INVALID_RESPONSE",
        `The MLflow server at ${this.#server.uri} gave no address for part ${number} of ${parts.length}.`,
      );
    };
    await uploadParts<SentPart>(
      {
        path: this.#call.upload?.artifactPath ?? name,
        sizeBytes,
        parts,
        send: async (part, ending) => {
          const credential = credentialOf(part);
          const open = () => partBody(content, part.start, part.end);
          const answer = await put(credential, open, ending, settings);
          const etag = answer.headers.get("etag") ?? "";
          return { part_number: part.number, etag, url: credential.url };
        },
        complete: async (sent) => {
          const body = { path: name, upload_id, parts: sent };
          await this.#server.perform(this.#step("complete", body), completeMultipart);
        },
        abort: async () => {
          const body = { path: name, upload_id };
          await this.#server.perform(this.#step("abort", body), abortMultipart);
        },
      },
      transfer,
    );
    return true;
  }

  async #create(name: string, numberOfParts: number) {
    const body = { path: name, num_parts: numberOfParts };
    try {
      return (await this.#server.perform(this.#step("create", body), createMultipart)) as {
        upload_id?: string;
        credentials?: readonly Credential[];
      };
    } catch (error) {
      const isRefused =
        error instanceof MlflowError &&
        (error.code === "ENDPOINT_NOT_FOUND" || error.message.includes(UNSUPPORTED));
      if (isRefused) return undefined;
      throw error;
    }
  }

  #step(step: "create" | "complete" | "abort", body: Readonly<Record<string, unknown>>): StoreCall {
    const route = `/api/2.0/mlflow-artifacts/mpu/${step}/{path}`;
    const path = route.replace("{path}", () => parentOf(this.#place));
    return { method: "POST", route, path, body, storeUri: this.#server.uri };
  }
}
