// One owner's journal file: begun when something is spent, appended to, made short when it is long.

import type { LedgerFolder } from "./folder.js";
import { type JournalAmount, type JournalRecord, printRecord } from "./format.js";
import type { JournalSystem } from "./system.js";

/** Bytes above which a file is written anew with the last word on each amount. */
const LONG_BYTES = 256 * 1024;

let opened = 0;

/** A record on its way to the disk. */
export interface BackgroundWrite {
  /** Has it there at once, after all. @throws what the file system throws; the record does not count then. */
  finish(): void;
}

export class OwnerFileWriter {
  readonly #folder: LedgerFolder;
  readonly #system: JournalSystem;
  #name: string | undefined;
  #file: number | undefined;
  /** Bytes that are certainly on the disk; what stands after them is written over. */
  #size = 0;
  /** Did a write fail, so that something may stand after them? */
  #isTorn = false;

  constructor(folder: LedgerFolder, system: JournalSystem) {
    this.#folder = folder;
    this.#system = system;
  }

  /** Name of its file; undefined before the first record. */
  get name(): string | undefined {
    return this.#name;
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** Is the file where it was? Not when somebody took its owner for gone and folded it. */
  isThere(): boolean {
    return (
      this.#name === undefined ||
      this.#system.modifiedMs(this.#folder.fileOf(this.#name)) !== undefined
    );
  }

  /** Goes on in another file. */
  leave(): void {
    this.close();
    this.#name = undefined;
    this.#size = 0;
    this.#isTorn = false;
  }

  /** Lets the file go until there is something to write again. */
  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) this.#system.close(file);
  }

  /** Has a record on the disk. @throws what the file system throws; the record does not count then. */
  append(record: JournalRecord): void {
    const bytes = printRecord(record);
    try {
      this.#ready(bytes);
    } catch (error) {
      this.#isTorn = true;
      throw error;
    }
  }

  #ready(bytes: Buffer): void {
    if (this.#name === undefined) {
      this.#begin(bytes);
      return;
    }
    this.#file ??= this.#system.open(this.#folder.fileOf(this.#name));
    if (this.#isTorn) this.#system.truncate(this.#file, this.#size);
    this.#system.writeDurably(this.#file, bytes, this.#size);
    this.#isTorn = false;
    this.#size += bytes.length;
  }

  #begin(bytes: Buffer): void {
    const name = `${this.#system.processName}-${++opened}`;
    const path = this.#folder.fileOf(name);
    const first = printRecord({
      kind: "opened",
      time: Date.now(),
      owner: this.#system.thisOwner(),
    });
    const all = Buffer.concat([first, bytes]);
    const file = this.#system.create(path);
    try {
      this.#system.writeDurably(file, all, 0);
      this.#system.syncFolder(this.#folder.path);
    } catch (error) {
      this.#system.close(file);
      // Nothing was relied upon that is in it.
      this.#system.remove(path);
      throw error;
    }
    this.#name = name;
    this.#file = file;
    this.#size = all.length;
    this.#isTorn = false;
  }

  /**
   * The same without waiting; only while the file is open and nothing else is being written. Answers what has the record
   * on the disk at once, after all: it writes the same bytes to the same place.
   */
  appendInBackground(
    record: JournalRecord,
    done: (error: Error | undefined) => void,
  ): BackgroundWrite {
    const bytes = printRecord(record);
    const file = this.#file as number;
    const at = this.#size;
    let isOver = false;
    const end = (error: Error | undefined) => {
      isOver = true;
      if (error === undefined) this.#size = at + bytes.length;
      else this.#isTorn = true;
    };
    if (this.#isTorn) this.#system.truncate(file, at);
    this.#system.writeInBackground(file, bytes, at, (error) => {
      if (isOver) return;
      end(error);
      done(error);
    });
    return {
      finish: () => {
        try {
          this.#system.writeDurably(file, bytes, at);
        } catch (error) {
          end(error as Error);
          throw error;
        }
        end(undefined);
      },
    };
  }

  get isLong(): boolean {
    return this.#size > LONG_BYTES;
  }

  /** Replaces the file by one that holds the last word on each amount. @throws what the file system throws. */
  shorten(amounts: readonly JournalAmount[]): void {
    if (this.#name === undefined) return;
    const path = this.#folder.fileOf(this.#name);
    const bytes = Buffer.concat([
      printRecord({ kind: "opened", time: Date.now(), owner: this.#system.thisOwner() }),
      printRecord({ kind: "slice", time: Date.now(), amounts }),
    ]);
    this.#system.replace(path, bytes);
    this.#system.syncFolder(this.#folder.path);
    this.close();
    this.#size = bytes.length;
    this.#isTorn = false;
  }
}
