// Reading a file to its last byte: resumed when the connection breaks, never short, never mixed.
import { type ConnectionSettings, connectionSettings } from "../connection.js";
import { invalidParameter, MlflowError, reasonOf } from "../errors.js";
import { readJson } from "../json.js";
import { delayBeforeRetry } from "../retry.js";
import { checkOptions } from "../validation.js";
import {
  type ArtifactStore,
  type OpenedArtifact,
  TRANSFER_OPTIONS,
  type TransferOptions,
} from "./artifact-store.js";

/** Where the bytes go. */
export interface ArtifactSink {
  write(chunk: Uint8Array): Promise<void> | void;
  /** Forgets what was written: the file begins again. */
  restart(): Promise<void> | void;
}

/** What a server answers that will answer better in a moment; as for every other request. */
const TRANSIENT_STATUSES: readonly number[] = [408, 429, 500, 502, 503, 504];
/** An attempt that brings as much counts as the first again. */
const PIECE_BYTES = 256 * 1024;
/** The content under this name is another one than was begun. */
const CHANGED_STATUSES: readonly number[] = [412, 416];

/** Resolves after `delayMs`; rejects with the reason of the signal as soon as it fires. */
export function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function stalled(timeoutMs: number): MlflowError {
  return new MlflowError(
    "TIMEOUT",
    `The artifact store sent nothing for ${timeoutMs / 1000} s. Set MLFLOW_HTTP_REQUEST_TIMEOUT (seconds) to wait longer.`,
  );
}

/** What `work` answers, unless it takes longer than `timeoutMs` or the signal fires first. */
async function within<T>(
  work: Promise<T>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const over = new AbortController();
  const ended = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  const tooLong = pause(timeoutMs, ended).then(() => {
    throw stalled(timeoutMs);
  });
  tooLong.catch(() => undefined);
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    over.abort();
  }
}

/**
 * Ends a reading that has stalled, or that the caller has given up, by cancelling it. A race at each
 * chunk would do so too, at the price of keeping every chunk until the last.
 */
class IdleWatch {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  #lastMs = performance.now();
  #ended: { readonly reason: unknown } | undefined;

  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ) {
    this.#reader = reader;
    this.#signal = signal;
    this.#timer = setInterval(
      () => {
        if (performance.now() - this.#lastMs >= timeoutMs) this.#end(stalled(timeoutMs));
      },
      Math.max(1, timeoutMs / 4),
    );
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    // What was given up before this has no event to come.
    if (signal?.aborted) this.#onAbort();
  }

  touch(): void {
    this.#lastMs = performance.now();
  }

  /** Until it is touched again, nothing is awaited of the store. */
  hold(): void {
    this.#lastMs = Number.POSITIVE_INFINITY;
  }

  throwIfEnded(): void {
    if (this.#ended !== undefined) throw this.#ended.reason;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = () => this.#end(this.#signal?.reason);

  #end(reason: unknown): void {
    this.#ended ??= { reason };
    // What still waits for a chunk is answered at once.
    this.#reader.cancel(reason).catch(() => undefined);
  }
}

/** Is what has come no part of what is to come? */
function isOfNoUse(error: unknown): boolean {
  if (!(error instanceof MlflowError)) return false;
  return error.code === "CORRUPT_ARTIFACT" || CHANGED_STATUSES.includes(error.status ?? 0);
}

/** A failure that the next attempt may not meet. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof MlflowError)) return true;
  if (["SERVER_UNREACHABLE", "TIMEOUT", "INCOMPLETE_ARTIFACT"].includes(error.code)) return true;
  return error.status !== undefined && TRANSIENT_STATUSES.includes(error.status);
}

/** One file on its way into a sink. */
class Download {
  readonly #settings: ConnectionSettings;
  #position = 0;
  #version: string | undefined;

  constructor(
    readonly store: ArtifactStore,
    readonly path: string,
    readonly sink: ArtifactSink,
    /** Bytes that the store's list gives; undefined when it was not asked. */
    readonly listedBytes: number | undefined,
    readonly options: TransferOptions,
  ) {
    this.#settings = store.settings ?? connectionSettings({});
  }

  async run(): Promise<number> {
    const { signal } = this.options;
    for (let attempt = 1; ; attempt++) {
      const before = this.#position;
      try {
        signal?.throwIfAborted();
        await this.#attempt();
        return this.#position;
      } catch (error) {
        signal?.throwIfAborted();
        if (this.#position > 0 && isOfNoUse(error)) await this.#restart();
        else if (!isTransient(error)) throw error;
        // What brings a good piece of the file brings the end nearer.
        if (this.#position - before >= PIECE_BYTES) attempt = 1;
        const delay = delayBeforeRetry({ kind: "broken" }, attempt, true, this.#settings);
        if (delay === undefined) throw this.#gaveUp(error);
        await pause(delay, signal);
      }
    }
  }

  async #restart(): Promise<void> {
    await this.sink.restart();
    this.#position = 0;
    this.#version = undefined;
  }

  async #attempt(): Promise<void> {
    const { signal } = this.options;
    const { timeoutMs } = this.#settings;
    const position = { start: this.#position, version: this.#version, signal };
    const opened = await within(this.store.open(this.path, position), timeoutMs, signal);
    if (opened.start !== this.#position || this.#isOther(opened)) {
      if (this.#position > 0) await this.#restart();
      if (opened.start > 0) {
        await opened.body.cancel().catch(() => undefined);
        throw new MlflowError("INCOMPLETE_ARTIFACT", "The artifact changed while it was read.");
      }
    }
    this.#version = opened.version;
    const totalBytes = opened.sizeBytes ?? this.listedBytes;
    this.#tell(totalBytes);
    const reader = opened.body.getReader();
    const watch = new IdleWatch(reader, timeoutMs, signal);
    try {
      for (;;) {
        const { done, value } = await reader.read();
        watch.throwIfEnded();
        if (done) break;
        // Whoever takes the bytes slowly is not the store that sends none.
        watch.hold();
        await this.sink.write(value);
        watch.touch();
        this.#position += value.byteLength;
        this.#tell(totalBytes);
      }
    } catch (error) {
      reader.cancel(error).catch(() => undefined);
      watch.throwIfEnded();
      throw error;
    } finally {
      watch.stop();
    }
    if (totalBytes === undefined || totalBytes === this.#position) return;
    const found = this.#position;
    // More bytes than there should be are of no use to a next attempt.
    if (found > totalBytes) await this.#restart();
    throw new MlflowError(
      "INCOMPLETE_ARTIFACT",
      `'${this.path}' has ${totalBytes} bytes, and ${found} came.`,
    );
  }

  #isOther({ version }: OpenedArtifact): boolean {
    return this.#position > 0 && this.#version !== undefined && version !== this.#version;
  }

  #tell(totalBytes: number | undefined): void {
    this.options.onProgress?.({ path: this.path, transferredBytes: this.#position, totalBytes });
  }

  #gaveUp(error: unknown): MlflowError {
    if (error instanceof MlflowError && error.code !== "INCOMPLETE_ARTIFACT") return error;
    return new MlflowError(
      "INCOMPLETE_ARTIFACT",
      `'${this.path}' could not be read to its end from '${this.store.uri}': ${reasonOf(error)} Nothing was kept of it.`,
      { cause: error },
    );
  }
}

/** Reads a file into a sink. Answers its size in bytes. */
export function downloadTo(
  sink: ArtifactSink,
  store: ArtifactStore,
  path: string,
  listedBytes: number | undefined,
  options: TransferOptions,
): Promise<number> {
  return new Download(store, path, sink, listedBytes, options).run();
}

/** Reads a file into memory. */
export async function downloadBytes(
  store: ArtifactStore,
  path: string,
  listedBytes: number | undefined,
  options: TransferOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  const sink: ArtifactSink = {
    write: (chunk) => void chunks.push(chunk),
    restart: () => void chunks.splice(0),
  };
  const sizeBytes = await downloadTo(sink, store, path, listedBytes, options);
  const bytes = new Uint8Array(sizeBytes);
  let position = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.byteLength;
  }
  return bytes;
}

/**
 * A file as a stream that is read as fast as it is asked for. It fails where a broken connection
 * cannot be taken up again: what has been handed out cannot be taken back.
 */
export function downloadStream(
  store: ArtifactStore,
  path: string,
  listedBytes: number | undefined,
  options: TransferOptions,
): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const signal =
    options.signal === undefined ? gone.signal : AbortSignal.any([gone.signal, options.signal]);
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  writer.closed.catch((error: unknown) => gone.abort(error));
  const sink: ArtifactSink = {
    write: (chunk) => writer.write(chunk),
    restart() {
      const error = new MlflowError(
        "INCOMPLETE_ARTIFACT",
        `The connection broke while '${path}' was read, and this store cannot go on from the middle. Download it to a file or to memory, or read it again.`,
      );
      // Another attempt would begin at the first byte again: none is made, and its connection is let go.
      gone.abort(error);
      throw error;
    },
  };
  downloadTo(sink, store, path, listedBytes, { ...options, signal })
    .then(() => writer.close())
    .catch((error: unknown) => writer.abort(error))
    .catch(() => undefined);
  return readable;
}

/** The text that bytes are in UTF-8. Throws MlflowError `BAD_REQUEST` when they are none. */
export function textOf(bytes: Uint8Array, uri: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const message = `The artifact '${uri}' is not valid UTF-8. Read it with downloadBytes().`;
    throw new MlflowError("BAD_REQUEST", message, { cause });
  }
}

/** The object that a text is in JSON, as Python writes it too. Throws MlflowError `BAD_REQUEST` when it is none. */
export function objectOf(text: string, uri: string): Record<string, unknown> {
  try {
    return readJson(text) as Record<string, unknown>;
  } catch (cause) {
    const message = `The artifact '${uri}' is not valid JSON: ${reasonOf(cause)}.`;
    throw new MlflowError("BAD_REQUEST", message, { cause });
  }
}

/**
 * Checked options of a transfer, which an `onProgress` that throws ends, as the signal does: what the
 * caller throws is no failure of the network, and nothing that another attempt could mend.
 * Throws MlflowError `INVALID_PARAMETER_VALUE` for options that are none, or of the wrong kind.
 */
export function checkedTransfer(where: string, options: TransferOptions): TransferOptions {
  checkOptions(where, options, TRANSFER_OPTIONS);
  const { onProgress, signal } = options;
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw invalidParameter("onProgress", onProgress, "pass a function, or leave it out.");
  }
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function") {
    throw invalidParameter("signal", signal, "pass an AbortSignal, or leave it out.");
  }
  if (onProgress === undefined) return options;
  const failed = new AbortController();
  return {
    signal: signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]),
    onProgress(progress) {
      failed.signal.throwIfAborted();
      try {
        onProgress(progress);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    },
  };
}
