// What a journal asks of the system it runs on, so that a test can let it fail, or die, at each step.
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { type FileLock, lock } from "../../runtime/file-lock.js";
import type { JournalOwner } from "./format.js";
import { isGone, PROCESS_NAME, thisOwner } from "./owner.js";

/** How the name of a file ends that is to take another's place. */
export const FRESH = ".new";

export interface JournalSystem {
  makeFolder(path: string): void;
  /** Names in a folder; none when it is not there. */
  list(folder: string): string[];
  /** Undefined when nothing is there. */
  read(path: string): Uint8Array | undefined;
  /** When a file was last written, in ms since 1970; undefined when nothing is there. */
  modifiedMs(path: string): number | undefined;
  /** Makes a file that must not be there yet, for writing. */
  create(path: string): number;
  /** Opens a file that is there, for writing. */
  open(path: string): number;
  /** Writes all of it, and has it on the disk. */
  writeDurably(file: number, bytes: Uint8Array, position: number): void;
  /**
   * Writes all of it at once, so that whoever reads sees it, and has it on the disk without waiting. `done` is told
   * later, with the error if there was one.
   */
  writeInBackground(
    file: number,
    bytes: Uint8Array,
    position: number,
    done: (error: Error | undefined) => void,
  ): void;
  truncate(file: number, size: number): void;
  close(file: number): void;
  /** Puts a whole file in the place of another, in one step. */
  replace(path: string, bytes: Uint8Array): void;
  remove(path: string): void;
  /** Has on the disk which files are in a folder. */
  syncFolder(folder: string): void;
  /** Undefined while somebody else has it. */
  lock(path: string, longestMs: number): FileLock | undefined;
  /** Milliseconds of a clock that nobody sets. */
  monotonicMs(): number;
  /** Name of this process among all that ever write journals. */
  readonly processName: string;
  thisOwner(): JournalOwner;
  /** Is an owner gone that has been silent for so long? */
  isGone(owner: JournalOwner | undefined, silentMs: number): boolean;
}

function absentIsUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(file, bytes, written, bytes.length - written, position + written);
  }
}

function syncFolder(folder: string): void {
  let opened: number;
  try {
    opened = openSync(folder, "r");
  } catch {
    // Windows opens no folders, and needs none of this.
    return;
  }
  try {
    fsyncSync(opened);
  } catch {
    // Nor do some network file systems.
  } finally {
    closeSync(opened);
  }
}

/** This machine. */
export const nodeSystem: JournalSystem = {
  makeFolder(path) {
    // What was spent is nobody else's business.
    mkdirSync(path, { recursive: true, mode: 0o700 });
  },
  list: (folder) => absentIsUndefined(() => readdirSync(folder)) ?? [],
  read: (path) => absentIsUndefined(() => readFileSync(path)),
  modifiedMs: (path) => absentIsUndefined(() => statSync(path).mtimeMs),
  create: (path) => openSync(path, "wx", 0o600),
  open: (path) => openSync(path, "r+"),
  writeDurably(file, bytes, position) {
    writeAll(file, bytes, position);
    fdatasyncSync(file);
  },
  writeInBackground(file, bytes, position, done) {
    try {
      writeAll(file, bytes, position);
    } catch (error) {
      setImmediate(() => done(error as Error));
      return;
    }
    fdatasync(file, (failure) => done(failure ?? undefined));
  },
  truncate: ftruncateSync,
  close: closeSync,
  replace(path, bytes) {
    // Of this thread alone: process numbers are told apart neither in threads nor between containers.
    const fresh = `${path}.${PROCESS_NAME}${FRESH}`;
    const file = openSync(fresh, "w", 0o600);
    try {
      writeAll(file, bytes, 0);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
  },
  remove(path) {
    absentIsUndefined(() => unlinkSync(path));
  },
  syncFolder,
  lock,
  monotonicMs: () => performance.now(),
  processName: PROCESS_NAME,
  thisOwner,
  isGone,
};
