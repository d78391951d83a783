// What the portable code needs from the runtime it happens to be in, without naming a runtime.

/** A value that follows an asynchronous chain of calls, as TC39's AsyncContext.Variable does. */
export interface AsyncContext<T> {
  /** The value of the current chain, or undefined outside any. */
  get(): T | undefined;
  /** Runs `callback` and everything it starts with `value`; the caller's own value stays. */
  run<R>(value: T, callback: () => R): R;
  /** Sets the value for the rest of the current chain. Must be called before the first `await`. */
  enter(value: T): void;
}

/** What is known about a path without opening it. */
export interface FileStatus {
  readonly kind: "file" | "directory" | "other";
  /** Bytes of a file; 0 for a directory. */
  readonly sizeBytes: number;
}

/** A file that is gone once it has been removed. */
export interface TemporaryFile {
  readonly path: string;
  readonly sizeBytes: number;
  remove(): Promise<void>;
}

/** Reading local files, where the runtime has any. */
export interface FileAccess {
  /** Absolute `file:` URI of a path; a relative one starts at the working directory. */
  toFileUri(path: string): string;
  /** Last segment of a path. */
  baseName(path: string): string;
  /** A path inside a folder, from the `/`-separated name that `listFiles` returned. */
  resolve(directory: string, relativePath: string): string;
  /** Undefined when nothing is there. Symbolic links are followed. */
  status(path: string): Promise<FileStatus | undefined>;
  /** Every file below a folder, `/`-separated and sorted; links to folders are not followed. */
  listFiles(directory: string): Promise<string[]>;
  /**
   * `sizeBytes` bytes of a file, from the byte `start` on (0 when left out), read as they are asked
   * for: memory stays constant.
   */
  openFile(path: string, sizeBytes: number, start?: number): ReadableStream<Uint8Array>;
  /** Keeps chunks in a file of their own, so that they can be read more than once. */
  keepTemporarily(chunks: AsyncIterable<Uint8Array>): Promise<TemporaryFile>;
  /**
   * A small INI file: section → key in lower case → value. `~/` is the user's home. Undefined when
   * nothing is there.
   */
  readSections?(
    path: string,
  ): Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
}

/** Whom a connection trusts, and how it shows who it is. */
export interface TransportSettings {
  readonly insecureTls: boolean;
  /** PEM file of the authorities trusted. */
  readonly serverCertPath: string | undefined;
  /** PEM file of the client's own certificate and key. */
  readonly clientCertPath: string | undefined;
}

/** One runtime's abilities; what a runtime lacks is left out. */
export interface Runtime {
  createAsyncContext?<T>(): AsyncContext<T>;
  readonly files?: FileAccess;
  /** Login name of the user the process runs as. */
  userName?(): string | undefined;
  /** Calls back when the process has nothing left to do, while it can still await. */
  beforeExit?(callback: () => Promise<void>): void;
  /** Calls back as the process ends for good; nothing can be awaited. */
  onExit?(callback: () => void): void;
  /** A function that runs callbacks in the asynchronous context of this moment. */
  captureContext?(): <R>(callback: () => R) => R;
  /**
   * What fetches from `url` with these settings, and through the environment's proxy. Undefined where
   * plain `fetch` does. Rejects with the reason when something is missing for it.
   */
  openTransport?(url: string, settings: TransportSettings): Promise<typeof fetch> | undefined;
}

let installed: Runtime = {};

/** Makes a runtime's abilities available. Called once by each entry point that needs them. */
export function installRuntime(runtime: Runtime): void {
  installed = runtime;
}

/** The abilities installed so far; an empty object in a runtime that has none. */
export function currentRuntime(): Runtime {
  return installed;
}

/**
 * An asynchronous context. The runtime may be installed after this call: which mechanism is used
 * is decided at each use. Without one, a plain stack serves; it is right for sequential code and
 * cannot tell concurrent branches apart.
 */
export function createAsyncContext<T>(): AsyncContext<T> {
  const stack = new StackContext<T>();
  let native: AsyncContext<T> | undefined;
  function mechanism(): AsyncContext<T> {
    native ??= installed.createAsyncContext?.<T>();
    return native ?? stack;
  }
  return {
    get: () => mechanism().get(),
    run: (value, callback) => mechanism().run(value, callback),
    enter: (value) => mechanism().enter(value),
  };
}

/** By its method: a frame or a test runner has a Promise of its own. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** The fallback where the runtime cannot follow an asynchronous chain. */
class StackContext<T> implements AsyncContext<T> {
  readonly #entries: { value: T | undefined }[] = [{ value: undefined }];

  get(): T | undefined {
    return this.#entries.at(-1)?.value;
  }

  run<R>(value: T, callback: () => R): R {
    const entry: { value: T | undefined } = { value };
    this.#entries.push(entry);
    const leave = (): void => {
      const index = this.#entries.indexOf(entry);
      if (index > 0) this.#entries.splice(index, 1);
    };
    let result: R;
    try {
      result = callback();
    } catch (error) {
      leave();
      throw error;
    }
    if (isThenable(result)) {
      result.then(leave, leave);
    } else {
      leave();
    }
    return result;
  }

  enter(value: T): void {
    const top = this.#entries.at(-1);
    if (top !== undefined) top.value = value;
  }
}

/** `Symbol.asyncDispose`, and what compilers of `await using` use where a runtime has none yet. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

interface ProcessLike {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly argv?: readonly string[];
}

function processLike(): ProcessLike | undefined {
  return (globalThis as { process?: ProcessLike }).process;
}

let hiddenVariables: ReadonlySet<string> | undefined;

/** Runs a synchronous callback as if these variables were unset. */
export function withoutVariables<T>(names: Iterable<string>, callback: () => T): T {
  const before = hiddenVariables;
  hiddenVariables = new Set([...(before ?? []), ...names]);
  try {
    return callback();
  } finally {
    hiddenVariables = before;
  }
}

/** An environment variable, or undefined where it is unset, empty, or there is no environment. */
export function environmentVariable(name: string): string | undefined {
  if (hiddenVariables?.has(name)) return undefined;
  const value = processLike()?.env?.[name];
  return value === undefined || value === "" ? undefined : value;
}

/** The script the process was started with, where there is such a thing. */
export function mainScript(): string | undefined {
  return processLike()?.argv?.[1];
}
