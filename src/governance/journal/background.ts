// Takes the next slices in the background, while calls go on with what is left of the last ones.
import type { FileLock } from "../../runtime/file-lock.js";
import { smaller } from "./accumulator.js";
import type { LedgerFolder } from "./folder.js";
import type { JournalAmount } from "./format.js";
import type { BackgroundWrite, OwnerFileWriter } from "./owner-file.js";
import type { Taking } from "./plan.js";
import type { Accumulator } from "./position.js";

/** Milliseconds until a folder that somebody else has is tried again. */
const PAUSE_MS = 5;

export interface BackgroundParts {
  readonly folder: LedgerFolder;
  readonly file: OwnerFileWriter;
  readonly accumulators: readonly Accumulator[];
  /** Decides what to take, with the folder locked. @throws what the file system throws. */
  readonly plan: (lock: FileLock) => Taking;
  /** What was taken is on the disk. */
  readonly onTaken: (taking: Taking) => void;
  readonly onFailure: (error: unknown) => void;
  /** It is done for now, one way or the other. */
  readonly onRest: () => void;
}

export class BackgroundSlices {
  readonly #parts: BackgroundParts;
  #isScheduled = false;
  #pending: { finish(): void } | undefined;

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
  }

  /** Are slices about to be taken, or being written? */
  get isScheduled(): boolean {
    return this.#isScheduled;
  }

  /** Is a record on its way to the disk? */
  get isWriting(): boolean {
    return this.#pending !== undefined;
  }

  schedule(): void {
    if (this.#isScheduled || !this.#parts.file.isOpen) return;
    this.#isScheduled = true;
    setImmediate(() => this.#take()).unref();
  }

  /** Has what is being written on the disk at once. @throws what the file system throws; it does not count then. */
  finish(): void {
    this.#pending?.finish();
  }

  /** What was about to be taken is not any more. */
  cancel(): void {
    this.#isScheduled = false;
  }

  #take(): void {
    const { file, folder, onFailure, onRest } = this.#parts;
    if (!this.#isScheduled || this.#pending !== undefined) return;
    try {
      const lock = file.isOpen ? folder.tryLock() : undefined;
      if (lock === undefined) {
        if (file.isOpen) setTimeout(() => this.#take(), PAUSE_MS).unref();
        else this.#isScheduled = false;
        return;
      }
      this.#write(lock);
    } catch (error) {
      this.#isScheduled = false;
      onFailure(error);
    }
    onRest();
  }

  #write(lock: FileLock): void {
    const { accumulators, file, plan, onTaken } = this.#parts;
    let taking: Taking;
    try {
      for (const accumulator of accumulators) accumulator.turn();
      taking = plan(lock);
      if (file.isLong) file.shorten(this.#lastAmounts());
      if (taking.amounts.length === 0 || !file.isOpen || !lock.isHeld()) {
        this.#isScheduled = false;
        lock.release();
        return;
      }
    } catch (error) {
      lock.release();
      throw error;
    }
    const record = { kind: "slice", time: Date.now(), amounts: taking.amounts } as const;
    let written: BackgroundWrite;
    try {
      written = file.appendInBackground(record, (error) => this.#wrote(taking, error));
    } finally {
      // Others see it by now; that it is on the disk is what only we wait for.
      lock.release();
    }
    this.#pending = {
      finish: () => {
        this.#isScheduled = false;
        this.#pending = undefined;
        written.finish();
        onTaken(taking);
      },
    };
  }

  #wrote(taking: Taking, error: Error | undefined): void {
    const { onTaken, onFailure, onRest } = this.#parts;
    this.#isScheduled = false;
    this.#pending = undefined;
    if (error !== undefined) onFailure(error);
    else onTaken(taking);
    onRest();
  }

  /** The last word on each amount, as it was written. */
  #lastAmounts(): JournalAmount[] {
    return this.#parts.accumulators.flatMap((accumulator) =>
      accumulator.periods().flatMap((at) => {
        if (at.upTo === 0n) return [];
        const { spent } = accumulator.own(at);
        const known = smaller(spent, at.upTo);
        return [{ of: accumulator.key, period: at.period, spent: known, upTo: at.upTo }];
      }),
    );
  }
}
