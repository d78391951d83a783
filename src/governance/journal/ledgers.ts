// What lies in a folder of journals: ledgers, where their budgets stand, and who spends on them. Sets budgets back, too.
import { join } from "node:path";
import { DAY_NAME } from "../limit-options.js";
import {
  type AccumulatorName,
  accumulatorKey,
  accumulatorName,
  DAY,
  periodStart,
} from "./accumulator.js";
import { type FolderContent, LedgerFolder, type Usage, usageOf } from "./folder.js";
import type { JournalOwner, JournalReset } from "./format.js";
import { LEDGER_FILE, type LedgerBudget, readLedger } from "./ledger-file.js";
import { type JournalSystem, nodeSystem } from "./system.js";

/** Milliseconds that are waited for a process that has the folder. */
const PATIENCE_MS = 2000;

/** Where a budget, or the ledger's day, stands in its current period. Amounts in its unit, of USD atto-USD. */
export interface BudgetStanding {
  /** {@link DAY_NAME} for all that was spent on the UTC day. */
  readonly budget: string;
  readonly name: AccumulatorName;
  /** First instant of the period as ISO 8601 in UTC; empty for what lasts for ever. */
  readonly period: string;
  readonly usage: Usage;
  /** As the process that began last has them; undefined for what no process has now. */
  readonly limit: bigint | undefined;
  readonly action: LedgerBudget["action"] | undefined;
  /** By hand, in any period, oldest first. */
  readonly resets: readonly JournalReset[];
}

/** One that spends, or spent and was not added up yet. */
export interface LedgerProcess {
  readonly owner: JournalOwner | undefined;
  /** Is it at work, as far as can be told? */
  readonly isAtWork: boolean;
}

export interface LedgerReport {
  /** Name of its folder. */
  readonly name: string;
  readonly path: string;
  readonly trackingUri: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  readonly budgets: readonly BudgetStanding[];
  readonly processes: readonly LedgerProcess[];
  /** Records that cannot be read; what they said is not counted. */
  readonly damaged: number;
  /** Did a later version write there? What it wrote is not understood. */
  readonly isNewer: boolean;
}

/** Why a budget was not set back. */
export class ResetError extends Error {
  override readonly name = "ResetError";
}

/** With the lock, or without where nothing can be written. */
function readFolder(folder: LedgerFolder, nowMs: number): FolderContent {
  let lock: ReturnType<LedgerFolder["tryLock"]>;
  try {
    lock = folder.lock(PATIENCE_MS);
  } catch {
    // Read-only, or held too long: what is found is most likely right.
  }
  try {
    return folder.read(nowMs);
  } finally {
    lock?.release();
  }
}

function standings(
  content: FolderContent,
  budgets: readonly LedgerBudget[],
  nowMs: number,
): BudgetStanding[] {
  const known = new Map<string, AccumulatorName>([[accumulatorKey(DAY), DAY]]);
  for (const { name } of budgets) known.set(accumulatorKey(name), name);
  const lists = [content.folded.amounts, ...content.owners.map(({ amounts }) => amounts)];
  for (const { of } of lists.flat()) {
    const name = accumulatorName(of);
    if (name !== undefined) known.set(of, name);
  }
  return [...known].map(([key, name]) => {
    const period = periodStart(name.period, nowMs);
    const declared = budgets.find((each) => accumulatorKey(each.name) === key);
    return {
      budget: name.budget ?? DAY_NAME,
      name,
      period,
      usage: usageOf(content, key, period),
      limit: declared?.limit,
      action: declared?.action,
      resets: content.folded.resets.filter(({ of }) => of === key),
    };
  });
}

function report(root: string, name: string, nowMs: number, system: JournalSystem): LedgerReport {
  const path = join(root, name);
  const file = readLedger(system.read(join(path, LEDGER_FILE)));
  const content = readFolder(new LedgerFolder(path, system), nowMs);
  return {
    name,
    path,
    trackingUri: file.trackingUri,
    attributes: file.attributes,
    budgets: standings(content, file.budgets, nowMs),
    processes: content.owners.map(({ owner, isOver }) => ({ owner, isAtWork: !isOver })),
    damaged: content.owners.reduce((sum, each) => sum + each.damaged, content.folded.damaged),
    isNewer: content.isNewer,
  };
}

/** A folder of ours has its own file, or journals. */
function isLedger(root: string, name: string, system: JournalSystem): boolean {
  return system
    .list(join(root, name))
    .some((entry) => entry === LEDGER_FILE || entry.endsWith(".journal"));
}

/** All ledgers of a folder by name; none when it is not there. @throws what the file system throws. */
export function readLedgers(
  root: string,
  nowMs: number,
  system: JournalSystem = nodeSystem,
): LedgerReport[] {
  const names = system.list(root).filter((name) => isLedger(root, name, system));
  return names.sort().map((name) => report(root, name, nowMs, system));
}

function processText({ owner }: LedgerProcess): string {
  return owner === undefined ? "one that does not say who it is" : `${owner.pid} on ${owner.host}`;
}

/**
 * Sets what was spent of a budget in its current period to nothing, in one step on the disk, and notes there who did it.
 * Answers what it was.
 *
 * @throws {ResetError} while a process of the ledger is at work, which counts in memory and would write its count back;
 *   and when the folder is held by another or written by a later version.
 */
export function resetBudget(
  { path }: Pick<LedgerReport, "path">,
  name: AccumulatorName,
  by: string,
  nowMs: number,
  system: JournalSystem = nodeSystem,
): Usage {
  const folder = new LedgerFolder(path, system);
  const lock = (() => {
    try {
      return folder.lock(PATIENCE_MS);
    } catch (error) {
      throw new ResetError(`${path} cannot be locked: ${(error as Error).message}`);
    }
  })();
  try {
    const content = folder.read(nowMs);
    if (content.isNewer) throw new ResetError(`a later version of genops writes in ${path}`);
    const working = content.owners.filter(({ isOver }) => !isOver);
    if (working.length > 0) {
      const names = working.map(({ owner }) => processText({ owner, isAtWork: true }));
      throw new ResetError(
        `processes of this ledger are at work (${names.join(", ")}), and count in memory; end them first`,
      );
    }
    const of = accumulatorKey(name);
    const period = periodStart(name.period, nowMs);
    const usage = usageOf(content, of, period);
    const { spent, uncertain } = usage;
    const reset = { of, period, spent, upTo: spent + uncertain, time: nowMs, by };
    if (!folder.fold(content, lock, nowMs, reset)) {
      throw new ResetError(`${path} was held too long, and taken by another; try again`);
    }
    return usage;
  } finally {
    lock.release();
  }
}
