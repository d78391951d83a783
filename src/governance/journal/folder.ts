// The folder of one ledger: reads what all of its owners spent, and folds the files of those who are gone.
import { join } from "node:path";
import type { FileLock } from "../../runtime/file-lock.js";
import { isOutdated } from "./accumulator.js";
import {
  type JournalAmount,
  type JournalOwner,
  type JournalReset,
  type ParsedJournal,
  parseJournal,
  printRecord,
} from "./format.js";
import { FRESH, type JournalSystem } from "./system.js";

const EXTENSION = ".journal";
const FOLDED = `folded${EXTENSION}`;
/** Whoever holds the folder longer has died, or stands still; what takes this long is done in milliseconds. */
const LONGEST_LOCK_MS = 10_000;
const LOCK_PAUSE_MS = 2;
/** Resets by hand that are remembered. */
const RESETS_MAX = 100;

/** What was spent of one accumulator in one period, by some or all. */
export interface Usage {
  readonly spent: bigint;
  /** May have been spent by those who are gone; counts as spent. */
  readonly uncertain: bigint;
  /** Taken ahead by those who work, and not spent yet as far as is known. */
  readonly ahead: bigint;
}

const NO_USAGE: Usage = { spent: 0n, uncertain: 0n, ahead: 0n };

/** One owner's file. */
interface OwnerFile {
  /** Name in the folder, without its extension. */
  readonly name: string;
  readonly owner: JournalOwner | undefined;
  /** Has it said its last word, or is its owner gone? */
  readonly isOver: boolean;
  readonly amounts: readonly JournalAmount[];
  readonly damaged: number;
  readonly tornBytes: number;
}

/** A folder as it was found. */
export interface FolderContent {
  readonly folded: {
    readonly files: readonly string[];
    readonly amounts: readonly JournalAmount[];
    readonly resets: readonly JournalReset[];
    readonly damaged: number;
  };
  readonly owners: readonly OwnerFile[];
  /** Did a later version write there? Then this one keeps out. */
  readonly isNewer: boolean;
}

function amountKey({ of, period }: { readonly of: string; readonly period: string }): string {
  return `${period} ${of}`;
}

/** The last word on each amount. */
function lastAmounts({ records }: ParsedJournal): JournalAmount[] {
  const last = new Map<string, JournalAmount>();
  for (const record of records) {
    if (record.kind === "opened") continue;
    for (const amount of record.amounts) last.set(amountKey(amount), amount);
  }
  return [...last.values()];
}

function sum(lists: readonly (readonly JournalAmount[])[]): JournalAmount[] {
  const sums = new Map<string, JournalAmount>();
  for (const amount of lists.flat()) {
    const before = sums.get(amountKey(amount));
    sums.set(amountKey(amount), {
      ...amount,
      spent: amount.spent + (before?.spent ?? 0n),
      upTo: amount.upTo + (before?.upTo ?? 0n),
    });
  }
  return [...sums.values()];
}

/** What all of a folder's owners used of one accumulator in one period. */
export function usageOf(content: FolderContent, of: string, period: string): Usage {
  let { spent, uncertain, ahead } = NO_USAGE;
  const isAsked = (amount: JournalAmount) => amount.of === of && amount.period === period;
  for (const amount of content.folded.amounts.filter(isAsked)) {
    spent += amount.spent;
    uncertain += amount.upTo - amount.spent;
  }
  for (const { isOver, amounts } of content.owners) {
    for (const amount of amounts.filter(isAsked)) {
      spent += amount.spent;
      if (isOver) uncertain += amount.upTo - amount.spent;
      else ahead += amount.upTo - amount.spent;
    }
  }
  return { spent, uncertain, ahead };
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Files that a reader leaves out: its own, and those whose names begin so and that are not over. */
export interface Except {
  readonly name?: string | undefined;
  readonly openPrefix?: string;
}

export class LedgerFolder {
  readonly path: string;
  readonly #system: JournalSystem;
  readonly #foldedPath: string;

  constructor(path: string, system: JournalSystem) {
    this.path = path;
    this.#system = system;
    this.#foldedPath = join(path, FOLDED);
  }

  /** Path of an owner's file. */
  fileOf(name: string): string {
    return join(this.path, name + EXTENSION);
  }

  tryLock(): FileLock | undefined {
    return this.#system.lock(join(this.path, "folder"), LONGEST_LOCK_MS);
  }

  /** Waits for the lock, and keeps the thread from all else meanwhile. @throws when it takes too long. */
  lock(patienceMs: number): FileLock {
    const end = performance.now() + patienceMs;
    while (true) {
      const held = this.tryLock();
      if (held !== undefined) return held;
      if (performance.now() > end) {
        throw new Error(`another process has held ${this.path} for ${patienceMs} ms`);
      }
      sleep(LOCK_PAUSE_MS);
    }
  }

  /**
   * Reads the folder; what `except` speaks of is left out. To be called with the lock held, or
   * what is read while files are folded may be missing something.
   */
  read(nowMs: number, except: Except = {}): FolderContent {
    const bytes = this.#system.read(this.#foldedPath);
    const parsed = parseJournal(bytes ?? new Uint8Array());
    const record = parsed.records.find(({ kind }) => kind === "folded");
    const files = record?.kind === "folded" ? record.files : [];
    let isNewer = parsed.isNewer;
    const owners: OwnerFile[] = [];
    for (const entry of this.#system.list(this.path)) {
      if (!entry.endsWith(EXTENSION) || entry === FOLDED) continue;
      const name = entry.slice(0, -EXTENSION.length);
      if (files.includes(name) || name === except.name) continue;
      const journal = parseJournal(this.#system.read(join(this.path, entry)) ?? new Uint8Array());
      isNewer ||= journal.isNewer;
      const file = this.#ownerFile(name, journal, nowMs);
      const isOpenBeside = except.openPrefix !== undefined && name.startsWith(except.openPrefix);
      if (file.isOver || !isOpenBeside) owners.push(file);
    }
    const damaged = parsed.damaged + (parsed.tornBytes > 0 ? 1 : 0);
    const resets = (record?.kind === "folded" ? record.resets : undefined) ?? [];
    return { folded: { files, amounts: lastAmounts(parsed), resets, damaged }, owners, isNewer };
  }

  #ownerFile(name: string, journal: ParsedJournal, nowMs: number): OwnerFile {
    const first = journal.records.find(({ kind }) => kind === "opened");
    const owner = first?.kind === "opened" ? first.owner : undefined;
    const isClosed = journal.records.some(({ kind }) => kind === "closed");
    const silentMs = nowMs - (this.#system.modifiedMs(this.fileOf(name)) ?? nowMs);
    return {
      name,
      owner,
      isOver: isClosed || this.#system.isGone(owner, silentMs),
      amounts: lastAmounts(journal),
      damaged: journal.damaged,
      tornBytes: journal.tornBytes,
    };
  }

  /**
   * Adds what those who are gone spent to one file, and removes theirs, so that each counts once whenever this is cut
   * off. Drops what is of periods long over, and what is to be reset. To be called with the lock held; answers false, and
   * has done nothing, when it is not held any more.
   */
  fold(content: FolderContent, lock: FileLock, nowMs: number, reset?: JournalReset): boolean {
    const over = content.owners.filter(({ isOver }) => isOver);
    const { folded } = content;
    const there = new Set(this.#system.list(this.path));
    const left = folded.files.filter((name) => there.has(name + EXTENSION));
    const isCurrent = ({ of, period }: JournalAmount) =>
      !isOutdated(of, period, nowMs) && !(of === reset?.of && period === reset.period);
    const kept = folded.amounts.filter(isCurrent);
    if (over.length > 0 || kept.length < folded.amounts.length || reset !== undefined) {
      const amounts = sum([kept, ...over.map((file) => file.amounts.filter(isCurrent))]);
      const files = [...left, ...over.map(({ name }) => name)];
      const resets = [...folded.resets, ...(reset === undefined ? [] : [reset])];
      if (!lock.isHeld()) return false;
      if (folded.damaged > 0) this.#keepDamaged(this.#foldedPath);
      for (const { name, damaged } of over) if (damaged > 0) this.#keepDamaged(this.fileOf(name));
      // Twice: it is all that tells of them.
      const record = printRecord({
        kind: "folded",
        time: nowMs,
        files,
        amounts,
        resets: resets.slice(-RESETS_MAX),
      });
      this.#system.replace(this.#foldedPath, Buffer.concat([record, record]));
      this.#system.syncFolder(this.path);
    }
    for (const name of [...left, ...over.map((file) => file.name)]) {
      this.#system.remove(this.fileOf(name));
    }
    this.#removeFresh(nowMs);
    return true;
  }

  /** What somebody was about to put in the place of another file when it was killed. */
  #removeFresh(nowMs: number): void {
    for (const entry of this.#system.list(this.path)) {
      const path = join(this.path, entry);
      if (!entry.endsWith(FRESH)) continue;
      if (nowMs - (this.#system.modifiedMs(path) ?? nowMs) > LONGEST_LOCK_MS) {
        this.#system.remove(path);
      }
    }
  }

  /** A copy of what is about to be replaced: somebody may want to know what it said. */
  #keepDamaged(path: string): void {
    const bytes = this.#system.read(path);
    if (bytes !== undefined) this.#system.replace(`${path}.damaged`, bytes);
  }
}
