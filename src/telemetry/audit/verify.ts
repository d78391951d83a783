// Checks the chain of audit files, and names the first place where it breaks.
import { readFileSync } from "node:fs";
import { type AuditLine, GENESIS, readLine } from "./chain.js";

/** Where a chain breaks. Lines count from 1. */
export interface AuditBreak {
  readonly file: string;
  readonly line: number;
  readonly why: string;
}

/** One chain that was found: the files that hold it, in their order. */
export interface AuditChain {
  readonly files: readonly string[];
  readonly records: number;
  /** Hash of its last record. Kept elsewhere, it proves later that nothing was cut off since. */
  readonly head: string;
}

export interface AuditVerification {
  readonly chains: readonly AuditChain[];
  /** The first break, by the order of files given and then lines; undefined when all is whole. */
  readonly broken: AuditBreak | undefined;
}

interface ReadFile {
  readonly file: string;
  readonly lines: readonly AuditLine[];
  readonly broken: AuditBreak | undefined;
}

/**
 * Lines of a file up to the first that is wrong.
 * @throws what the file system throws.
 */
export function readAuditFile(file: string): ReadFile {
  return readAuditBytes(file, readFileSync(file));
}

/** Lines of a file's content up to the first that is wrong. */
export function readAuditBytes(file: string, bytes: Buffer): ReadFile {
  const lines: AuditLine[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const broken = (why: string): ReadFile => ({
    file,
    lines,
    broken: { file, line: lines.length + 1, why },
  });
  let from = 0;
  while (from < bytes.length) {
    const end = bytes.indexOf(0x0a, from);
    if (end === -1) return broken("its end is torn: the line is not finished");
    let text: string;
    try {
      text = decoder.decode(bytes.subarray(from, end));
    } catch {
      return broken("it is no UTF-8");
    }
    const line = readLine(text);
    if (typeof line === "string") return broken(line);
    const before = lines.at(-1);
    if (before !== undefined && line.sequence !== before.sequence + 1) {
      return broken(
        `it is record ${line.sequence}, where ${before.sequence + 1} must follow: lines were removed, repeated or reordered`,
      );
    }
    if (before !== undefined && line.previous !== before.hash) {
      return broken("it does not follow from the line before it: that one was replaced");
    }
    lines.push(line);
    from = end + 1;
  }
  return { file, lines, broken: undefined };
}

/** What a file follows from. Every chain begins alike; what it says first tells it from others. */
function originOf(first: AuditLine): string {
  return `${first.sequence} ${first.previous}${first.sequence === 1 ? ` ${first.hash}` : ""}`;
}

/** A file without a record proves nothing. */
function withContent(read: ReadFile): ReadFile {
  if (read.lines.length > 0 || read.broken !== undefined) return read;
  const why =
    "it holds no record, and a trail has at least the one that began it: all of it was cut off, or none was ever written";
  return { ...read, broken: { file: read.file, line: 1, why } };
}

/**
 * Checks files that hold whole chains, full ones and the one being written; their order counts nothing.
 * @throws what the file system throws.
 */
export function verifyAuditFiles(files: readonly string[]): AuditVerification {
  const read = files.map((file) => withContent(readAuditFile(file)));
  const early = read.find(({ broken }) => broken !== undefined)?.broken;
  const waiting = new Map<string, ReadFile>();
  for (const each of read) {
    const [first] = each.lines;
    if (first === undefined) continue;
    const same = waiting.get(originOf(first));
    if (same !== undefined) {
      const why = `it begins with the same record as ${same.file}: one is a copy of the other`;
      return { chains: [], broken: early ?? { file: each.file, line: 1, why } };
    }
    waiting.set(originOf(first), each);
  }
  const chains: AuditChain[] = [];
  for (const [key, start] of waiting) {
    const [first] = start.lines;
    if (first?.sequence !== 1 || first.previous !== GENESIS) continue;
    const chain: ReadFile[] = [];
    let next: ReadFile | undefined = start;
    let at = key;
    while (next !== undefined) {
      chain.push(next);
      waiting.delete(at);
      const last: AuditLine | undefined = next.lines.at(-1);
      at = `${(last?.sequence ?? 0) + 1} ${last?.hash}`;
      next = waiting.get(at);
    }
    chains.push({
      files: chain.map(({ file }) => file),
      records: chain.reduce((sum, { lines }) => sum + lines.length, 0),
      head: chain.at(-1)?.lines.at(-1)?.hash ?? GENESIS,
    });
  }
  const [loose] = waiting.values();
  const unlinked = loose && {
    file: loose.file,
    line: 1,
    why: `it begins with record ${loose.lines[0]?.sequence}, and no file given ends with the one before: give the earlier files too, or records were removed`,
  };
  return { chains, broken: early ?? unlinked };
}
