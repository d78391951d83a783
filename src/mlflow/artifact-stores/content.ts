// The bytes that are uploaded: read from memory, a Blob or a file, whole or part by part.
import { currentRuntime } from "../../runtime/capabilities.js";
import { invalidParameter, MlflowError, reasonOf } from "../errors.js";
import type { ArtifactContent } from "../stores.js";

/** By its tag: a test runner or a frame may have classes of its own. */
function isTagged(value: unknown, ...tags: readonly string[]): boolean {
  return tags.includes(Object.prototype.toString.call(value).slice(8, -1));
}

export function isBlob(value: unknown): value is Blob {
  return isTagged(value, "Blob", "File");
}

function isByteStream(value: unknown): value is ReadableStream<Uint8Array> {
  return isTagged(value, "ReadableStream");
}

/**
 * What gives bytes one piece after another, as a stream: a ReadableStream, a stream of Node's, or any
 * other async iterable. Undefined for what is none.
 */
export function byteStreamOf(value: unknown): ReadableStream<Uint8Array> | undefined {
  if (isByteStream(value)) return value;
  const iterate = (value as Partial<AsyncIterable<Uint8Array>> | null | undefined)?.[
    Symbol.asyncIterator
  ];
  if (typeof iterate !== "function") return undefined;
  const pieces = iterate.call(value);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value: piece } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(piece);
    },
    async cancel() {
      await pieces.return?.();
    },
  });
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for a stream that somebody else reads. */
export function checkUnlocked(stream: ReadableStream<unknown>): void {
  if (!stream.locked) return;
  const fix = "the stream is locked, for it has a reader; pass it before anything reads it.";
  throw invalidParameter("bytes", stream, fix);
}

/**
 * The chunks of a caller's stream, which is cancelled when the signal fires. Rejects with the signal's
 * reason, or MlflowError: `INVALID_STATE` when the stream fails, `INVALID_PARAMETER_VALUE` when what
 * it brings is no bytes.
 */
export async function* chunksOf(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  checkUnlocked(stream);
  const reader = stream.getReader();
  const stop = (reason: unknown) => void reader.cancel(reason).catch(() => undefined);
  const onAbort = () => stop(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  let isAtEnd = false;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read().catch((error: unknown) => {
        signal?.throwIfAborted();
        const message = `The stream to be logged failed: ${reasonOf(error)}. Nothing was written.`;
        throw new MlflowError("INVALID_STATE", message, { cause: error });
      });
      signal?.throwIfAborted();
      isAtEnd = done;
      if (done) return;
      if (!isTagged(value, "Uint8Array")) {
        const fix =
          "a stream of bytes brings Uint8Arrays; pipe one of texts through a TextEncoderStream.";
        throw invalidParameter("chunk of the stream", value, fix);
      }
      yield value as Uint8Array<ArrayBuffer>;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    if (!isAtEnd) stop(signal?.reason);
  }
}

/** The bytes from `start` up to `end`, read as they are asked for. */
export function openContent(
  { source }: ArtifactContent,
  start: number,
  end: number,
): ReadableStream<Uint8Array> {
  if (isBlob(source)) return source.slice(start, end).stream();
  if (!("localPath" in source)) {
    return new Blob([source.subarray(start, end) as Uint8Array<ArrayBuffer>]).stream();
  }
  const { files } = currentRuntime();
  if (files === undefined) {
    throw new MlflowError("NOT_IMPLEMENTED", "There are no local files in this runtime.");
  }
  return files.openFile(source.localPath, end - start, start);
}

function describe({ source }: ArtifactContent): string {
  return "localPath" in source ? `'${source.localPath}'` : "The content";
}

function changed(content: ArtifactContent, end: number): MlflowError {
  return new MlflowError(
    "INVALID_STATE",
    `${describe(content)} had ${content.sizeBytes} bytes and ends at ${end} while it is uploaded. A file must not change while it is uploaded.`,
  );
}

/**
 * One part as the body of a request, with the headers that go along. A part of a local file is read as
 * it is sent, for fetch copies what it is given whole. It fails with MlflowError `INVALID_STATE` when
 * fewer bytes are there than were announced.
 */
export function partBody(
  content: ArtifactContent,
  start: number,
  end: number,
): { readonly init: RequestInit; readonly headers: Readonly<Record<string, string>> } {
  const { source } = content;
  if (isBlob(source)) return { init: { body: source.slice(start, end) }, headers: {} };
  if (!("localPath" in source) || start === end) {
    const bytes = "localPath" in source ? new Uint8Array() : source.subarray(start, end);
    return { init: { body: bytes as Uint8Array<ArrayBuffer> }, headers: {} };
  }
  let position = start;
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      position += chunk.byteLength;
      controller.enqueue(chunk);
    },
    flush() {
      if (position < end) throw changed(content, position);
    },
  });
  const init: RequestInit & { readonly duplex: "half" } = {
    body: openContent(content, start, end).pipeThrough(watch),
    duplex: "half",
    // What might be sent again, to another place, fetch keeps in memory.
    redirect: "error",
    window: null,
  };
  return { init, headers: { "content-length": String(end - start) } };
}

/** Rejects with MlflowError `INVALID_STATE` when fewer bytes are there than were announced. */
export async function readPart(
  content: ArtifactContent,
  start: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { source } = content;
  if (!("localPath" in source) && !isBlob(source)) {
    return source.subarray(start, end) as Uint8Array<ArrayBuffer>;
  }
  const bytes = new Uint8Array(end - start);
  let length = 0;
  if (end > start) {
    const reader = openContent(content, start, end).getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      bytes.set(read.value, length);
      length += read.value.byteLength;
    }
  }
  if (length === bytes.byteLength) return bytes;
  throw changed(content, start + length);
}
