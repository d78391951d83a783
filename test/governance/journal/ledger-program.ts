// A program with a ledger and its journal, as the governor uses both, on a disk in memory.
import { createEngine, type Engine } from "../../../src/engine/index.js";
import { Journal } from "../../../src/governance/journal/journal.js";
import type { JournalStatus } from "../../../src/governance/journal/open.js";
import type { BudgetOption } from "../../../src/governance/limit-options.js";
import type { MemoryDisk, MemorySystem } from "./memory-system.js";

/** Atto-USD of a `log_metric`. */
export const PRICE = 10n ** 14n;
const START = Date.UTC(2026, 10, 25, 12);

export interface ProgramOptions {
  readonly budgets?: readonly BudgetOption[];
  readonly slice?: bigint;
  readonly atMs?: number;
  /** Is called when others' spending fired alerts. */
  readonly onAlerts?: () => void;
  /** Is given the program's view of the disk before anything is done with it. */
  readonly prepare?: (system: MemorySystem) => void;
}

/** A call under way. */
export interface OpenCall {
  readonly ticket: number;
}

export class LedgerProgram {
  readonly system: MemorySystem;
  readonly engine: Engine;
  readonly journal: Journal;
  readonly warnings: string[] = [];
  readonly handles = new Map<string, number>();
  readonly node: number;

  constructor(
    disk: MemoryDisk,
    { budgets = [], slice, atMs = START, onAlerts = () => {}, prepare }: ProgramOptions = {},
  ) {
    this.system = disk.start();
    prepare?.(this.system);
    this.engine = createEngine({
      runs: 16,
      tuples: 16,
      names: 128,
      reservations: 64,
      budgets: 16,
      positions: 16,
      sourceBytes: 0,
      bufferBytes: 0,
    });
    this.engine.tick(atMs);
    this.journal = new Journal({
      engine: this.engine,
      path: "/ledger",
      slice,
      system: this.system,
      warn: (message) => this.warnings.push(message),
      onAlerts,
      onFolder() {},
    });
    for (const budget of budgets) {
      const spent = this.journal.spentBefore(budget);
      const {
        name,
        limit,
        period,
        unit = "usd",
        action = "warn",
        scope = {},
        alertAt = [],
      } = budget;
      const before = spent === undefined ? {} : { spent };
      const handle = this.engine.addBudget({
        name,
        limit,
        period,
        unit,
        action,
        alertAt,
        scope,
        ...before,
      });
      this.journal.watch(budget, handle);
      this.handles.set(name, handle);
    }
    this.node = this.engine.openRun({ runId: "r", team: "ml" });
  }

  /** Begins a call of 0.0001 USD; undefined when it is refused. */
  begin(): OpenCall | undefined {
    let held = this.engine.reserve(this.node, "log_metric");
    const needs = { cost: PRICE, operations: 1, runs: 0, bytes: 0 };
    if (typeof held !== "number") {
      if (!this.journal.reconsider(held)) return undefined;
      held = this.engine.reserve(this.node, "log_metric");
      if (typeof held !== "number") return undefined;
    }
    return this.journal.cover(held, this.node, needs) === undefined ? { ticket: held } : undefined;
  }

  end({ ticket }: OpenCall, outcome: "ok" | "error" = "ok"): void {
    this.engine.settle(ticket, outcome);
  }

  /** A call from begin to end. Answers whether it was made. */
  spend(): boolean {
    const call = this.begin();
    if (call !== undefined) this.end(call);
    return call !== undefined;
  }

  get status(): JournalStatus {
    return this.journal.status();
  }

  /** What has been spent of a budget in this period, by all, as far as this program knows. */
  spentOf(name: string): bigint {
    return this.engine.budget(this.handles.get(name) as number).spent;
  }
}
