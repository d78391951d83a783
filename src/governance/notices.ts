// What a person should know of governance itself: told once each, and never thrown.
import { diag } from "@opentelemetry/api";
import { FOLDED, OVERFLOW } from "../engine/index.js";
import type { Logger } from "./configuration.js";

/** Things that were told are forgotten beyond this many, so that memory stays what it is. */
const TOLD_MAX = 4096;

export class Notices {
  readonly logger: Logger;
  /** Internal failures that were kept from the user's program. */
  containedFailures = 0;

  /** Where something is told that somebody relies on: nobody listens to OpenTelemetry's logger unless asked to. */
  readonly #heard: Pick<Logger, "warn">;
  readonly #runLimit: number;
  readonly #told = new Set<string>();

  constructor(logger: Logger | undefined, runLimit: number) {
    this.logger = logger ?? diag.createComponentLogger({ namespace: "genops" });
    this.#heard = logger ?? console;
    this.#runLimit = runLimit;
  }

  /** Warns unless what has this key was told already. A logger that throws is contained. */
  once(key: string, message: () => string, logger: Pick<Logger, "warn"> = this.logger): void {
    if (this.#told.has(key)) return;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.add(key);
    try {
      logger.warn(`genops: ${message()}`);
    } catch {
      this.containedFailures++;
    }
  }

  wasTold(key: string): boolean {
    return this.#told.has(key);
  }

  /** Keeps an internal failure from the user's program: counted, and told once. */
  contain(error: unknown): void {
    this.containedFailures++;
    this.once("contained", () => {
      const text = (error as { stack?: unknown } | null | undefined)?.stack ?? error;
      return `an internal failure was contained, the program goes on; later ones are only counted. ${text}`;
    });
  }

  /** Calls a function of the user's, whose failure must not be the program's, now or later. */
  callHook<T>(name: string, hook: (told: T) => unknown, told: T): void {
    try {
      const answer = hook(told);
      (answer as PromiseLike<unknown> | undefined)?.then?.(undefined, (error: unknown) =>
        this.hookFailed(name, error),
      );
    } catch (error) {
      this.hookFailed(name, error);
    }
  }

  /** A function of the user's threw. */
  hookFailed(name: string, error: unknown): void {
    this.containedFailures++;
    this.once(`hook ${name}`, () => `${name} threw; the program goes on. ${messageOf(error)}`);
  }

  /** Told by its own name: somebody relies on the trail. */
  auditFailed(error: unknown): void {
    this.containedFailures++;
    this.once(
      "audit",
      () => `the audit trail cannot be written; the program goes on. ${messageOf(error)}`,
      this.#heard,
    );
  }

  folded(): void {
    this.once(
      "folded",
      () =>
        `the ledger has no room for more runs; those that ended first are added up under the run above them or ${FOLDED}, and every total stays exact. To see more of them one by one, raise runCapacity (now ${this.#runLimit}).`,
    );
  }

  overflowed(): void {
    this.once(
      "overflowed",
      () =>
        `the ledger has no room for more runs or payers; what follows is booked to ${OVERFLOW}, and the total stays exact. Raise runCapacity (now ${this.#runLimit}).`,
    );
  }
}

function messageOf(error: unknown): unknown {
  return (error as { message?: unknown } | null | undefined)?.message ?? error;
}
