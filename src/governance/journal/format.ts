// The journal's format: what lies in its folder, and how a record is written and read.
//
// A ledger has one folder. In it:
//
//   ledger.json       whose ledger it is, and its budgets, for people; nothing reads it but `genops budget`
//   PID-XXXXXXXX-N.journal   what one adapter of one process spent: its owner alone writes it
//   folded.journal    what all who are gone spent, with the names of their files
//   folder.lock       held for the milliseconds in which a slice is taken, or files are folded
//
// A journal file is UTF-8 text, a record a line:
//
//   LENGTH CHECKSUM JSON\n
//
// LENGTH is the number of bytes of JSON in eight decimal digits, CHECKSUM the first sixteen hex digits of its SHA-256.
// JSON holds no line feed, so that a reader who meets a line that is not whole goes on with the next one: every record
// says all there is to say of the amounts in it, and a later record replaces an earlier one amount by amount. What
// stands after the last line feed was being written when its writer died, and was never relied upon.
//
// An amount belongs to an accumulator (the whole ledger's day, or a budget) in one period. It is a number of atto-USD
// (1e-18 USD) or of whole units, as decimal text:
//
//   spent   what was certainly spent when the record was written
//   upTo    what may have been spent before the next record: the end of the slice that was taken ahead
//
// A record is on the disk (fdatasync) before anything is sent that it makes room for. While its owner works, `upTo`
// counts as used for everybody else. When its owner is gone without a last word, the part between the two may or may
// not have been spent: it counts as spent, and is called uncertain. An owner that ends, or rests, writes both alike.
//
// Records by kind: `opened` is the first of an owner's file and says who it is; `slice` raises `upTo`; `settled` is an
// owner that rests or ends, `closed` one that will not write again; `folded` is the only one of a folded file. Folding
// is one rename: a file whose name is in `files` counts no more, whether it was removed already or not. A reset by hand
// is such a record, too, without the amount that was reset, and says so in `resets`.
import { createHash } from "node:crypto";

/** Version of this format. A reader leaves files of a greater one alone. */
const FORMAT_VERSION = 1;

/** What one owner, or all that are gone, spent of an accumulator in a period. */
export interface JournalAmount {
  /** Key of the accumulator; see `accumulatorKey`. */
  readonly of: string;
  /** First instant of the period as ISO 8601 in UTC; empty for what lasts for ever. */
  readonly period: string;
  readonly spent: bigint;
  /** At least `spent`. */
  readonly upTo: bigint;
}

/** What somebody set to nothing by hand. */
export interface JournalReset extends JournalAmount {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Who did it, as the system calls them. */
  readonly by: string;
}

/** Who writes a file. */
export interface JournalOwner {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the units of its system; absent where that cannot be told. */
  readonly started?: string;
}

export type JournalRecord =
  | { readonly kind: "opened"; readonly time: number; readonly owner: JournalOwner }
  | {
      readonly kind: "slice" | "settled" | "closed";
      readonly time: number;
      readonly amounts: readonly JournalAmount[];
    }
  | {
      readonly kind: "folded";
      readonly time: number;
      /** Files that are in the amounts and may still lie beside. */
      readonly files: readonly string[];
      readonly amounts: readonly JournalAmount[];
      /** The last ones, oldest first. */
      readonly resets?: readonly JournalReset[];
    };

/** What was found in a file. */
export interface ParsedJournal {
  readonly records: readonly JournalRecord[];
  /** Whole lines that are no records of ours: the disk or somebody else changed them. */
  readonly damaged: number;
  /** Bytes after the last line feed. */
  readonly tornBytes: number;
  /** Was something written by a later version? */
  readonly isNewer: boolean;
}

const LINE_FEED = 0x0a;
const FRAME = /^(\d{8}) ([0-9a-f]{16}) (.*)$/s;
const AMOUNT = /^\d{1,39}$/;
const decoder = new TextDecoder("utf-8", { fatal: true });

function checksum(json: string): string {
  return createHash("sha256").update(json).digest("hex").slice(0, 16);
}

function printAmount({ of, period, spent, upTo }: JournalAmount) {
  return { of, period, spent: spent.toString(), upTo: upTo.toString() };
}

function folding(record: JournalRecord) {
  if (record.kind !== "folded") return {};
  const { files, resets = [] } = record;
  const printed = resets.map(({ time, by, ...amount }) => ({ time, by, ...printAmount(amount) }));
  return { files, ...(printed.length > 0 && { resets: printed }) };
}

/** The line of a record, with its line feed. */
export function printRecord(record: JournalRecord): Buffer {
  const { kind, time } = record;
  const content =
    kind === "opened"
      ? { owner: record.owner }
      : { ...folding(record), amounts: record.amounts.map(printAmount) };
  const json = JSON.stringify({ version: FORMAT_VERSION, kind, time, ...content });
  const length = String(Buffer.byteLength(json)).padStart(8, "0");
  return Buffer.from(`${length} ${checksum(json)} ${json}\n`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function readAmount(value: unknown): JournalAmount | undefined {
  if (!isObject(value)) return undefined;
  const { of, period, spent, upTo } = value;
  const amounts = [spent, upTo];
  if (typeof of !== "string" || typeof period !== "string") return undefined;
  if (!amounts.every((amount) => typeof amount === "string" && AMOUNT.test(amount))) {
    return undefined;
  }
  const read = { of, period, spent: BigInt(spent as string), upTo: BigInt(upTo as string) };
  return read.upTo < read.spent ? undefined : read;
}

function readAmounts(value: unknown): JournalAmount[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const amounts = value.map(readAmount);
  return amounts.every((amount) => amount !== undefined) ? amounts : undefined;
}

/** What cannot be read of them is left out: no amount depends on it. */
function readResets(value: unknown): JournalReset[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each) => {
    const amount = readAmount(each);
    const { time, by } = each ?? {};
    if (amount === undefined || typeof time !== "number" || typeof by !== "string") return [];
    return [{ ...amount, time, by }];
  });
}

function readOwner(value: unknown): JournalOwner | undefined {
  if (!isObject(value)) return undefined;
  const { pid, host, started } = value;
  if (!Number.isSafeInteger(pid) || typeof host !== "string") return undefined;
  if (started !== undefined && typeof started !== "string") return undefined;
  return { pid: pid as number, host, ...(started !== undefined && { started }) };
}

function readContent(content: Record<string, unknown>): JournalRecord | undefined {
  const { kind, time } = content;
  if (typeof time !== "number" || !Number.isFinite(time)) return undefined;
  if (kind === "opened") {
    const owner = readOwner(content.owner);
    return owner && { kind, time, owner };
  }
  const amounts = readAmounts(content.amounts);
  if (amounts === undefined) return undefined;
  if (kind === "slice" || kind === "settled" || kind === "closed") return { kind, time, amounts };
  const { files } = content;
  if (kind !== "folded" || !Array.isArray(files)) return undefined;
  if (!files.every((file) => typeof file === "string")) return undefined;
  const resets = readResets(content.resets);
  return { kind, time, files, amounts, ...(resets.length > 0 && { resets }) };
}

function readLine(line: Uint8Array): JournalRecord | "damaged" | "newer" {
  try {
    const [, length, expected, json = ""] = FRAME.exec(decoder.decode(line)) ?? [];
    if (Number(length) !== Buffer.byteLength(json) || checksum(json) !== expected) return "damaged";
    const content: unknown = JSON.parse(json);
    if (!isObject(content)) return "damaged";
    if (typeof content.version === "number" && content.version > FORMAT_VERSION) return "newer";
    return readContent(content) ?? "damaged";
  } catch {
    return "damaged";
  }
}

/** Reads all that is whole in a file. Never throws. */
export function parseJournal(bytes: Uint8Array): ParsedJournal {
  const records: JournalRecord[] = [];
  let damaged = 0;
  let isNewer = false;
  let start = 0;
  while (true) {
    const end = bytes.indexOf(LINE_FEED, start);
    if (end === -1) break;
    const read = readLine(bytes.subarray(start, end));
    if (read === "newer") isNewer = true;
    else if (read === "damaged") damaged++;
    else records.push(read);
    start = end + 1;
  }
  return { records, damaged, tornBytes: bytes.length - start, isNewer };
}
