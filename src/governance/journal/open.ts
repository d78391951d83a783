// The seam between the portable part, which a page downloads, and the journal of Node, Deno and Bun.
import type { Decimal, Engine, Refusal } from "../../engine/index.js";
import type { GovernanceAttributes } from "../attribution.js";
import { ConfigurationError } from "../errors.js";
import type { BudgetOption } from "../limit-options.js";

/** Options of the journal. */
export interface JournalOptions {
  /**
   * Folder in which each ledger has one of its own. `GENOPS_STATE_DIR`, else what the system has for such things:
   * `$XDG_STATE_HOME/genops` or `~/.local/state/genops`, `~/Library/Application Support/genops`,
   * `%LOCALAPPDATA%\genops`; in it `journal`.
   */
  readonly path?: string | undefined;
  /**
   * The most that is taken ahead at a time, in USD; also what a crash can leave uncertain of one budget. Without
   * it slices grow with the speed of spending, from 0.001 to 1 USD, and to no more than 1 % of a budget's limit.
   */
  readonly slice?: Decimal | undefined;
}

/** How the journal is. */
export interface JournalStatus {
  /**
   * `active`: what is spent is known again after a restart; `unavailable`: it cannot be written, and budgets go on
   * in memory; `off`: nothing is kept.
   */
  readonly state: "active" | "unavailable" | "off";
  /** Folder of this ledger; null when the journal is off. */
  readonly path: string | null;
  /** Why it is unavailable. */
  readonly reason?: string;
  /** USD certainly spent this UTC day by all processes of this ledger, exact. */
  readonly known: string;
  /** USD that processes may or may not have spent before they were killed this UTC day; counted as spent. */
  readonly uncertain: string;
}

/** What an operation takes of its budgets. */
export interface Needs {
  /** Atto-USD. */
  readonly cost: bigint;
  readonly operations: number;
  readonly runs: number;
  readonly bytes: number;
}

/** The journal of one ledger, as the governor sees it. */
export interface LedgerJournal {
  /** What others spent of a budget in its current period; undefined for what is not kept: budgets of runs. */
  spentBefore(budget: BudgetOption): bigint | undefined;
  /** Keeps a budget's position from now on. */
  watch(budget: BudgetOption, handle: number): void;
  /**
   * Sees to it that what a reservation holds may be spent. Answers a refusal when others have left nothing of a budget
   * that blocks; the reservation was released then.
   */
  cover(ticket: number, node: number, needs: Needs): Refusal | undefined;
  /** Sees to what was spent on a node without being held there, before it is acknowledged. */
  coverSpent(node: number, needs: Needs): void;
  /** May the engine say yes by now? It may when others have given back what they had taken ahead. */
  reconsider(refusal: Refusal): boolean;
  /** Reads what others have spent, where nobody writes just now and it was not read a moment ago. Never throws. */
  refresh(): void;
  /** Atto-USD that all processes of this ledger spent this UTC day, and may have spent before they were killed. */
  daySpent(): bigint;
  status(): JournalStatus;
  /** Gives back what was taken ahead; the next operation takes again. Never throws. */
  settle(): void;
  /** The same, as the last word; the next operation begins another file. Never throws. */
  close(): void;
}

export interface JournalSetup {
  readonly engine: Engine;
  /** As the user gave it; undefined means on, where there are files. */
  readonly option: boolean | JournalOptions | undefined;
  readonly trackingUri: string | undefined;
  readonly attributes: GovernanceAttributes;
  readonly warn: (message: string) => void;
  /** Is called when others' spending may have fired alerts. */
  readonly onAlerts: () => void;
}

type Opener = (setup: JournalSetup) => LedgerJournal | undefined;

let opener: Opener | undefined;

/** Tells how this platform keeps a journal. Called once by the platform's entry point. */
export function setJournalOpener(open: Opener): void {
  opener = open;
}

/** Undefined when none is kept. @throws {ConfigurationError} for an impossible option. */
export const openJournal: Opener = (setup) => {
  const { option } = setup;
  if (option === false) return undefined;
  if (opener !== undefined) return opener(setup);
  if (option === undefined) return undefined;
  throw new ConfigurationError(
    "INVALID_OPTION",
    "journal",
    option,
    "journal: needs Node, Deno or Bun; leave it out, or give false",
  );
};
