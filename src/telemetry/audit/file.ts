// An audit file: appended line by line, chained, mended when its end is torn, followed by the next when full.
import { createHash } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  writeSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { type AuditLine, GENESIS, lineOf, readLine } from "./chain.js";
import type { AuditDecision, AuditNote, AuditRecord } from "./record.js";

const CHUNK_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;

function now(): string {
  return new Date().toISOString();
}

/** Bytes from `from` on. */
function readFrom(file: number, from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const got = readSync(file, bytes, read, length - read, from + read);
    if (got === 0) break;
    read += got;
  }
  return bytes.subarray(0, read);
}

/** The last whole line of a file, and what stands after it. */
function tailOf(file: number): { readonly last: string | undefined; readonly torn: Buffer } {
  const { size } = fstatSync(file);
  let tail = Buffer.alloc(0);
  let from = size;
  while (from > 0) {
    const length = Math.min(CHUNK_BYTES, from);
    from -= length;
    tail = Buffer.concat([readFrom(file, from, length), tail]);
    const end = tail.lastIndexOf(LINE_FEED);
    if (end > 0 && tail.lastIndexOf(LINE_FEED, end - 1) !== -1) break;
  }
  const end = tail.lastIndexOf(LINE_FEED);
  if (end === -1) return { last: undefined, torn: tail };
  const start = end === 0 ? 0 : tail.lastIndexOf(LINE_FEED, end - 1) + 1;
  return { last: tail.subarray(start, end).toString("utf8"), torn: tail.subarray(end + 1) };
}

/** `audit.jsonl` → `audit.000001.jsonl`, or `audit.2.jsonl` for the second writer. */
export function beside(path: string, part: string): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}.${part}${extension}`;
}

/** Number in the name of a full file; NaN for other files. */
function numberOf(path: string, file: string): number {
  const extension = extname(path);
  const stem = basename(path, extension);
  const name = basename(file);
  const number = name.slice(stem.length + 1, name.length - extension.length);
  return name === `${stem}.${number}${extension}` && /^\d{6,}$/.test(number)
    ? Number(number)
    : Number.NaN;
}

/** The full files of a path, oldest first. */
function fullFiles(path: string): string[] {
  return readdirSync(dirname(path))
    .filter((name) => !Number.isNaN(numberOf(path, name)))
    .sort((left, right) => numberOf(path, left) - numberOf(path, right))
    .map((name) => join(dirname(path), name));
}

/** The end of a chain; undefined where the last line is none of ours. */
function endOf(last: string): AuditLine | undefined {
  const line = readLine(last);
  return typeof line === "string" ? undefined : line;
}

export class AuditFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #file: number;
  /** Bytes that are certainly whole; what stands after them is cut off before the next write. */
  #size: number;
  #sequence = 0;
  #hash = GENESIS;
  #lost = 0;
  /** Number of the last full file. */
  #rotated: number;
  /** The full file that was renamed and has no next one yet: a disk may fail in between. */
  #unfollowed: string | undefined;

  private constructor(path: string, maxBytes: number, file: number, size: number, rotated: number) {
    this.#rotated = rotated;
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#file = file;
    this.#size = size;
  }

  /** Undefined when the file is none that a chain can go on in; it is left as it is then. */
  static open(path: string, maxBytes: number): AuditFile | undefined {
    const file = openSync(path, "a+");
    try {
      const { last, torn } = tailOf(file);
      const rotated = fullFiles(path);
      const end = last === undefined ? undefined : endOf(last);
      if (last !== undefined && end === undefined) {
        closeSync(file);
        return undefined;
      }
      const size = fstatSync(file).size - torn.length;
      const before = rotated.at(-1);
      const number = before === undefined ? 0 : numberOf(path, before);
      const opened = new AuditFile(path, maxBytes, file, size, number);
      if (!opened.#continue(end, torn, before)) {
        closeSync(file);
        return undefined;
      }
      return opened;
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** Goes on where the chain ends: in this file, or in the full one before it. */
  #continue(end: AuditLine | undefined, torn: Buffer, before: string | undefined): boolean {
    const repaired = torn.length > 0 ? this.#moveTorn(torn) : undefined;
    if (end !== undefined) this.#goOnAfter(end);
    else if (before !== undefined) {
      const file = openSync(before, "r");
      const { last = "" } = tailOf(file);
      closeSync(file);
      const full = endOf(last);
      if (full === undefined) return false;
      this.#goOnAfter(full);
      this.#append({ kind: "rotated", time: now(), from: basename(before) });
    } else {
      this.#append({ kind: "started", time: now(), chain: crypto.randomUUID(), pid: process.pid });
    }
    if (repaired !== undefined) this.#append(repaired);
    if (end !== undefined) this.#append({ kind: "continued", time: now(), pid: process.pid });
    return true;
  }

  #goOnAfter({ sequence, hash }: AuditLine): void {
    this.#sequence = sequence;
    this.#hash = hash;
  }

  #moveTorn(torn: Buffer): AuditNote {
    const tornFile = `${this.#path}.torn`;
    // Kept before it is cut off: it may be all that tells of what was about to be written.
    appendFileSync(tornFile, Buffer.concat([torn, Buffer.from("\n")]));
    ftruncateSync(this.#file, this.#size);
    return {
      kind: "repaired",
      time: now(),
      tornBytes: torn.length,
      tornSha256: createHash("sha256").update(torn).digest("hex"),
      tornFile: basename(tornFile),
    };
  }

  /** @throws what the file system throws; nothing counts as written then. */
  #append(record: AuditRecord): void {
    const { text, hash } = lineOf(this.#sequence + 1, this.#hash, record);
    const bytes = Buffer.from(text);
    // What an earlier failure left half written goes first.
    if (fstatSync(this.#file).size !== this.#size) ftruncateSync(this.#file, this.#size);
    let written = 0;
    while (written < bytes.length) written += writeSync(this.#file, bytes, written);
    this.#size += bytes.length;
    this.#sequence++;
    this.#hash = hash;
  }

  #rotate(): void {
    if (this.#unfollowed === undefined) {
      const full = beside(this.#path, String(this.#rotated + 1).padStart(6, "0"));
      renameSync(this.#path, full);
      this.#rotated++;
      this.#unfollowed = full;
    }
    const file = openSync(this.#path, "a+");
    closeSync(this.#file);
    this.#file = file;
    this.#size = fstatSync(file).size;
    const from = basename(this.#unfollowed);
    this.#unfollowed = undefined;
    this.#append({ kind: "rotated", time: now(), from });
  }

  get path(): string {
    return this.#path;
  }

  /** Records that could not be written before this file was there: the next one says so. */
  noteLost(records: number): void {
    this.#lost += records;
  }

  /** @throws what the file system throws; the record is then counted as lost, and the next one says so. */
  write(record: AuditDecision): void {
    try {
      if (this.#size >= this.#maxBytes) this.#rotate();
      if (this.#lost > 0) {
        this.#append({ kind: "gap", time: now(), lost: this.#lost });
        this.#lost = 0;
      }
      this.#append(record);
    } catch (error) {
      this.#lost++;
      throw error;
    }
  }
}
