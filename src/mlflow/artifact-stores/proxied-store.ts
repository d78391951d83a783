// Artifacts that an MLflow server keeps for its clients (`mlflow-artifacts:`), over fetch alone.
import type { ConnectionSettings } from "../connection.js";
import { type ArtifactInfo, artifactFromMessage } from "../entities.js";
import { MlflowError } from "../errors.js";
import type { StoreCall } from "../interceptor.js";
import type { RestStore } from "../rest-store.js";
import { type FileInfoMessage, listProxiedArtifacts, removeProxiedArtifact } from "../spec.js";
import type { ArtifactContent } from "../stores.js";
import { transportTo } from "../transport.js";
import {
  type ArtifactStore,
  byPath,
  noSuchArtifact,
  type OpenedArtifact,
  type ReadPosition,
  type TransferOptions,
} from "./artifact-store.js";
import { checkListedName, joinPath, nameOf, parentOf } from "./paths.js";
import { capabilitiesOf, ServerMultipart } from "./server-multipart.js";
import { byteVariable, switchVariable } from "./settings.js";

export const ARTIFACTS_ROUTE = "/api/2.0/mlflow-artifacts/artifacts";
const PRESIGNED_ROUTE = "/api/2.0/mlflow-artifacts/presigned";
const DEFAULT_MULTIPART_MINIMUM = 500 * 1024 ** 2;

export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** The error of an opening that has not answered with the file. */
function readError(error: unknown, uri: string): MlflowError {
  if (error instanceof MlflowError) return error;
  const message = `The connection to ${uri} broke while an artifact was asked for.`;
  return new MlflowError("SERVER_UNREACHABLE", message, { cause: error });
}

/** Bytes of the whole file, from an answer to a request for all or a part of it. */
function sizeOf(answer: Response): number | undefined {
  const range = /\/(\d+)$/.exec(answer.headers.get("content-range") ?? "")?.[1];
  if (range !== undefined) return Number(range);
  const isEncoded = !["", "identity"].includes(answer.headers.get("content-encoding") ?? "");
  const length = answer.headers.get("content-length");
  return answer.status === 206 || isEncoded || length === null ? undefined : Number(length);
}

function startOf(answer: Response): number {
  if (answer.status !== 206) return 0;
  return Number(/^bytes (\d+)-/.exec(answer.headers.get("content-range") ?? "")?.[1] ?? 0);
}

export class ProxiedStore implements ArtifactStore {
  readonly #server: RestStore;
  /** Of this folder, below the server's own root. */
  readonly #root: string;

  constructor(
    server: RestStore,
    root: string,
    readonly uri: string,
  ) {
    this.#server = server;
    this.#root = root.replace(/\/+$/, "");
  }

  get settings(): ConnectionSettings {
    return this.#server.settings;
  }

  async list(path: string, signal?: AbortSignal): Promise<ArtifactInfo[]> {
    signal?.throwIfAborted();
    const folder = joinPath(this.#root, path);
    const call = this.#call("GET", ARTIFACTS_ROUTE, { path: folder });
    const { files = [] } = (await this.#server.perform(call, listProxiedArtifacts)) as {
      files?: readonly FileInfoMessage[];
    };
    const found = files.map((file) => {
      // The server names what it found relative to the folder; a list of its own would hold whole paths.
      checkListedName(file.path);
      const entry = artifactFromMessage(file);
      return { ...entry, path: joinPath(path, entry.path) };
    });
    // A file that is asked for like a folder is answered as if it were in itself.
    const [only] = found;
    const isItself = found.length === 1 && only?.path === joinPath(path, nameOf(path));
    return isItself && !only.isDirectory && path !== "" ? [] : found.sort(byPath);
  }

  async status(path: string, signal?: AbortSignal): Promise<ArtifactInfo | undefined> {
    if (path === "") {
      const isThere = (await this.list("", signal)).length > 0;
      return isThere ? { path, isDirectory: true, sizeBytes: undefined } : undefined;
    }
    // The route has no question about one file; its folder's list tells its size.
    return (await this.list(parentOf(path), signal)).find((entry) => entry.path === path);
  }

  async open(path: string, { start, version, signal }: ReadPosition): Promise<OpenedArtifact> {
    const place = encodePath(joinPath(this.#root, path));
    const headers: Record<string, string> = {
      // A compressed answer has neither a length nor a middle.
      "accept-encoding": "identity",
      ...(start > 0 && { range: `bytes=${start}-` }),
      ...(start > 0 && version !== undefined && { "if-range": version }),
    };
    try {
      const direct = (await this.#presigned()) ? await this.#presignedUrl(place) : undefined;
      const answer =
        (await this.#fetchDirectly(direct, headers, signal)) ??
        (await this.#server.fetchOnce(`${ARTIFACTS_ROUTE}/${place}`, { headers, signal }));
      if (answer.status !== 200 && answer.status !== 206) {
        const call = this.#call("GET", `${ARTIFACTS_ROUTE}/{path}`, {}, place);
        throw await this.#server.errorOfResponse(answer, call);
      }
      return {
        body: answer.body ?? new Blob([]).stream(),
        start: startOf(answer),
        sizeBytes: sizeOf(answer),
        version: answer.headers.get("etag") ?? undefined,
      };
    } catch (error) {
      signal?.throwIfAborted();
      throw readError(error, this.#server.uri);
    }
  }

  /** Where a server with a cloud behind it lets its clients read there themselves. */
  async #presigned(): Promise<boolean> {
    const wanted = switchVariable("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD");
    return wanted ?? (await capabilitiesOf(this.#server)).downloads;
  }

  async #presignedUrl(place: string): Promise<string | undefined> {
    const call = this.#call("GET", `${PRESIGNED_ROUTE}/${place}`, {});
    try {
      const answer = await this.#server.perform(call, listProxiedArtifacts);
      return (answer as { url?: string }).url;
    } catch (error) {
      // Forced from the environment on a server that cannot: the server itself has the bytes.
      const { status, code } = error as MlflowError;
      if (status === 501 || code === "NOT_IMPLEMENTED" || code === "ENDPOINT_NOT_FOUND") {
        return undefined;
      }
      throw error;
    }
  }

  /** Undefined where the cloud cannot be reached from here: its server can. */
  async #fetchDirectly(
    url: string | undefined,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Response | undefined> {
    if (url === undefined) return undefined;
    try {
      const fetchFrom = await transportTo(url);
      return await fetchFrom(url, { headers, ...(signal && { signal }) });
    } catch {
      signal?.throwIfAborted();
      return undefined;
    }
  }

  async write(call: StoreCall, content: ArtifactContent, transfer: TransferOptions): Promise<void> {
    transfer.signal?.throwIfAborted();
    if (await this.#wantsParts(content.sizeBytes)) {
      const place = call.path.slice(ARTIFACTS_ROUTE.length + 1);
      const multipart = new ServerMultipart(this.#server, place, call);
      if (await multipart.write(content, transfer)) return;
    }
    await this.#server.upload(call, content, transfer);
  }

  async #wantsParts(sizeBytes: number): Promise<boolean> {
    const least = byteVariable("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE");
    if (sizeBytes < (least ?? DEFAULT_MULTIPART_MINIMUM) || sizeBytes === 0) return false;
    const wanted = switchVariable("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD");
    return wanted ?? (await capabilitiesOf(this.#server)).uploads;
  }

  async remove(path: string, signal?: AbortSignal): Promise<void> {
    // The server says that all is well when there is nothing.
    if ((await this.status(path, signal)) === undefined) throw noSuchArtifact(this.uri, path);
    const place = encodePath(joinPath(this.#root, path));
    const call = this.#call("DELETE", `${ARTIFACTS_ROUTE}/{path}`, {}, place);
    await this.#server.perform(call, removeProxiedArtifact);
  }

  /** The `{path}` that a write below this folder goes to. */
  placeOf(path: string): string {
    return encodePath(joinPath(this.#root, path));
  }

  #call(
    method: StoreCall["method"],
    route: string,
    body: Readonly<Record<string, unknown>>,
    place = "",
  ): StoreCall {
    const path = route.replace("{path}", () => place);
    return { method, route, path, body, storeUri: this.#server.uri };
  }
}
