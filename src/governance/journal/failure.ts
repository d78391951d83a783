// A disk that failed: why, and when it is tried again. The user is told once.
import type { JournalSystem } from "./system.js";

/** Until it is tried again, by a clock that nobody sets. */
const RETRY_MS = 30_000;

export class DiskFailure {
  readonly #path: string;
  readonly #system: JournalSystem;
  readonly #warn: (message: string) => void;
  #error: Error | undefined;
  #sinceMs = 0;
  #isTold = false;

  /** @param path folder of the ledger. */
  constructor(path: string, system: JournalSystem, warn: (message: string) => void) {
    this.#path = path;
    this.#system = system;
    this.#warn = warn;
  }

  /** Why nothing can be written; undefined while all is well. */
  get error(): Error | undefined {
    return this.#error;
  }

  get mayTryAgain(): boolean {
    return this.#error !== undefined && this.#system.monotonicMs() - this.#sinceMs >= RETRY_MS;
  }

  note(error: unknown): void {
    this.#error = error instanceof Error ? error : new Error(String(error));
    this.#sinceMs = this.#system.monotonicMs();
    if (this.#isTold) return;
    this.#isTold = true;
    this.#warn(
      `the journal in ${this.#path} cannot be used: ${this.#error.message}. The program goes on, and budgets count in memory; after a restart what was spent meanwhile may be unknown. Choose a folder that can be written to with GENOPS_STATE_DIR or the option journal, or turn it off with journal: false.`,
    );
  }

  clear(): void {
    this.#error = undefined;
  }
}
