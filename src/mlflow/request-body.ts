// The body of one request: opened anew for each attempt, watched while it goes, ended by a signal.
import { currentRuntime } from "../runtime/capabilities.js";
import type { TransferOptions } from "./artifact-stores/artifact-store.js";
import { isBlob } from "./artifact-stores/content.js";
import { AttemptFailure } from "./rest-errors.js";
import type { ArtifactContent } from "./stores.js";

export interface RequestBody {
  readonly contentType: string;
  readonly contentLength?: number;
  readonly signal?: AbortSignal | undefined;
  readonly open: (onProgress: () => void) => BodyInit;
}

/** One file; memory stays constant when it comes from disk. */
export function contentBody(
  content: ArtifactContent,
  signal: TransferOptions["signal"],
  tell: (transferredBytes: number) => void,
): RequestBody {
  const { source, sizeBytes, contentType } = content;
  const isFile = !isBlob(source) && "localPath" in source;
  if (!isFile || sizeBytes === 0) {
    return { contentType, signal, open: () => (isFile ? "" : (source as BodyInit)) };
  }
  return {
    contentType,
    contentLength: sizeBytes,
    signal,
    open: (onProgress) => openFile(source.localPath, sizeBytes, onProgress, tell),
  };
}

/** What fails before anything is sent does not succeed by being sent again. */
export function opened(body: RequestBody, onProgress: () => void): BodyInit {
  try {
    return body.open(onProgress);
  } catch (error) {
    throw new AttemptFailure("local", error);
  }
}

/** What `work` answers, unless the signal fires first; nobody waits out a delay for nothing. */
export async function endedBy<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  let stop = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    work.catch(() => undefined);
  }
}

function openFile(
  localPath: string,
  sizeBytes: number,
  onProgress: () => void,
  tell: (transferredBytes: number) => void,
): BodyInit {
  const files = currentRuntime().files;
  if (files === undefined) throw new Error("no local files in this runtime");
  let transferredBytes = 0;
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      onProgress();
      transferredBytes += chunk.byteLength;
      tell(transferredBytes);
      controller.enqueue(chunk);
    },
  });
  return files.openFile(localPath, sizeBytes).pipeThrough(watch);
}
