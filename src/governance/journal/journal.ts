// The journal of one ledger: takes slices ahead of need, so that what is spent survives a crash without a write each.
import { attoToUsd, type Engine, type Refusal } from "../../engine/index.js";
import type { FileLock } from "../../runtime/file-lock.js";
import { periodBounds } from "../calendar.js";
import { type BudgetOption, DAY_NAME } from "../limit-options.js";
import {
  type AccumulatorName,
  accumulatorKey,
  budgetName,
  DAY,
  DAY_KEY,
  sliceBounds,
} from "./accumulator.js";
import { BackgroundSlices } from "./background.js";
import { CountingAccumulators } from "./counting.js";
import { closeAtExit, needsNoClosing } from "./exit.js";
import { DiskFailure } from "./failure.js";
import { type FolderContent, LedgerFolder, usageOf } from "./folder.js";
import { foundMessages } from "./found.js";
import { IdleWatch } from "./idle.js";
import type { LedgerBudget } from "./ledger-file.js";
import type { JournalStatus, LedgerJournal, Needs } from "./open.js";
import { OwnerFileWriter } from "./owner-file.js";
import { planSlices, type Taking } from "./plan.js";
import { Accumulator, type Level, type PeriodPosition, roomUnits } from "./position.js";
import type { JournalSystem } from "./system.js";

/** Milliseconds that are waited for another process of this ledger. */
const PATIENCE_MS = 2000;
/** Until the folder is looked at again for what others gave back. */
const RECONSIDER_MS = 250;
/** How often a slice is tried to be taken when others take the folder meanwhile. */
const ATTEMPTS_MAX = 3;

/** No period has so much: the engine's largest amount. */
const NO_LIMIT = 2n ** 126n - 1n;
const NOTHING: FolderContent = {
  folded: { files: [], amounts: [], resets: [], damaged: 0 },
  owners: [],
  isNewer: false,
};

export interface JournalParts {
  readonly engine: Engine;
  /** Folder of this ledger. */
  readonly path: string;
  /** Most of a slice in atto-USD. */
  readonly slice: bigint | undefined;
  readonly system: JournalSystem;
  readonly warn: (message: string) => void;
  readonly onAlerts: () => void;
  /** Is called once the folder is there, with the budgets that are kept. */
  readonly onFolder: (budgets: readonly LedgerBudget[]) => void;
}

export class Journal implements LedgerJournal {
  readonly #engine: Engine;
  readonly #parts: JournalParts;
  readonly #folder: LedgerFolder;
  readonly #file: OwnerFileWriter;
  readonly #failure: DiskFailure;
  readonly #counting: CountingAccumulators;
  readonly #accumulators: readonly Accumulator[];
  readonly #day: Accumulator;
  readonly #background: BackgroundSlices;
  readonly #idle: IdleWatch;
  /** What was needed last, and its cost as rooms count: most calls need what the one before did. */
  #converted: Needs | undefined;
  #convertedUsd = 0;
  /** Times for which all rooms hold. */
  #fromMs = 0;
  #untilMs = 0;
  #content: FolderContent = NOTHING;
  /** When it was read, by a clock that nobody sets. */
  #readMs = 0;

  /** Reads what was spent before. Nothing is written, unless somebody is gone whose file is to be folded. */
  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#engine = parts.engine;
    this.#folder = new LedgerFolder(parts.path, parts.system);
    this.#file = new OwnerFileWriter(this.#folder, parts.system);
    this.#failure = new DiskFailure(parts.path, parts.system, parts.warn);
    this.#counting = new CountingAccumulators(parts.engine);
    this.#accumulators = this.#counting.all;
    this.#background = new BackgroundSlices({
      folder: this.#folder,
      file: this.#file,
      accumulators: this.#accumulators,
      plan: (lock) => this.#plan(lock, true),
      onTaken: (taking) => {
        this.#raise(taking);
        this.#applyOthers();
      },
      onFailure: (error) => this.#failure.note(error),
      onRest: () => void this.#measure(),
    });
    this.#idle = new IdleWatch({
      accumulators: this.#accumulators,
      isBusy: () => this.#background.isScheduled,
      onIdle: () => this.settle(),
    });
    this.#start();
    const spent = this.#spentBefore(DAY);
    const handle = this.#engine.addBudget({
      name: DAY_NAME,
      limit: NO_LIMIT,
      period: "day",
      spent,
    });
    this.#day = this.#add(DAY, handle, undefined, false, spent);
  }

  // ── start ──────────────────────────────────────────────────────────────────────────────────────

  #start(): void {
    const { system, path, warn } = this.#parts;
    try {
      if (system.list(path).length === 0) return;
      const lock = this.#folder.lock(PATIENCE_MS);
      try {
        this.#content = this.#read();
        for (const message of foundMessages(this.#content, path, this.#engine.latestMs))
          warn(message);
        this.#folder.fold(this.#content, lock, this.#engine.latestMs);
      } finally {
        lock.release();
      }
    } catch (error) {
      this.#failure.note(error);
      this.#readUnlocked();
    }
  }

  /** Where nothing can be written, others write rarely: what is found is most likely right. */
  #readUnlocked(): void {
    try {
      if (this.#content === NOTHING) this.#content = this.#read();
    } catch {
      // That it cannot be used was told.
    }
  }

  /** @throws when the folder is not ours to use. */
  #read(): FolderContent {
    const content = this.#folder.read(this.#engine.latestMs, {
      name: this.#file.name,
      // Side by side in one process, ledgers leave each other alone; what one has ended is anybody's to count.
      openPrefix: `${this.#parts.system.processName}-`,
    });
    if (content.isNewer) throw new Error("a later version of genops writes there");
    this.#readMs = this.#parts.system.monotonicMs();
    return content;
  }

  #usage(key: string, period: string) {
    return usageOf(this.#content, key, period);
  }

  #spentBefore(name: AccumulatorName): bigint {
    const { period } = new Accumulator(this.#engine, name, 0, { least: 0n, most: 0n }).current;
    const { spent, uncertain } = this.#usage(accumulatorKey(name), period);
    return spent + uncertain;
  }

  spentBefore(budget: BudgetOption): bigint | undefined {
    const name = budgetName(budget);
    return name && this.#spentBefore(name);
  }

  watch(budget: BudgetOption, handle: number): void {
    const name = budgetName(budget);
    if (name === undefined) return;
    const { limit, spent, action } = this.#engine.budget(handle);
    this.#add(name, handle, limit, action === "block", spent);
  }

  #add(
    name: AccumulatorName,
    handle: number,
    limit: bigint | undefined,
    blocks: boolean,
    others: bigint,
  ): Accumulator {
    const bounds = sliceBounds(name.unit, limit, blocks, this.#parts.slice);
    const accumulator = new Accumulator(this.#engine, name, handle, bounds);
    accumulator.current.others = others;
    this.#counting.add(accumulator);
    accumulator.applyOthers(this.#usage(accumulator.key, accumulator.current.period));
    // The next call asks.
    this.#untilMs = 0;
    return accumulator;
  }

  // ── before and after a call ────────────────────────────────────────────────────────────────────

  /** Takes what a call needs of every room; false when one has too little left. */
  #take(node: number, needs: Needs): boolean {
    const now = this.#engine.nowMs;
    let isEnough = now >= this.#fromMs && now < this.#untilMs && !this.#failure.mayTryAgain;
    if (needs !== this.#converted) {
      this.#converted = needs;
      this.#convertedUsd = roomUnits(needs.cost);
    }
    const usd = this.#convertedUsd;
    const { operations, runs, bytes } = needs;
    for (const accumulator of this.#counting.of(node)) {
      const { unit } = accumulator.name;
      accumulator.room -=
        unit === "usd" ? usd : unit === "operations" ? operations : unit === "runs" ? runs : bytes;
      if (accumulator.room < 0) isEnough = false;
    }
    return isEnough;
  }

  cover(ticket: number, node: number, needs: Needs): Refusal | undefined {
    if (this.#take(node, needs)) return undefined;
    const refused = this.#makeRoom(true);
    if (refused === undefined) return undefined;
    this.#engine.release(ticket);
    this.#applyOthers();
    this.#measure();
    return {
      refused: true,
      decision: "BLOCKED",
      reasonCode: "BUDGET_EXCEEDED",
      budget: refused.handle,
    };
  }

  coverSpent(node: number, needs: Needs): void {
    if (!this.#take(node, needs)) this.#makeRoom(false);
  }

  reconsider({ budget }: Refusal): boolean {
    const refusing = this.#accumulators.find(({ handle }) => handle === budget);
    if (refusing === undefined || refusing.current.leased === 0n) return false;
    const before = refusing.current.leased;
    this.refresh();
    return refusing.current.leased < before;
  }

  refresh(): void {
    const { system, path } = this.#parts;
    const sinceReadMs = system.monotonicMs() - this.#readMs;
    if (sinceReadMs < RECONSIDER_MS || this.#background.isScheduled) return;
    try {
      if (system.list(path).length === 0) return;
      const lock = this.#folder.tryLock();
      if (lock === undefined) return;
      try {
        this.#content = this.#read();
      } finally {
        lock.release();
      }
    } catch (error) {
      this.#failure.note(error);
      return;
    }
    this.#applyOthers();
    this.#measure();
  }

  /** Works out how far we may go, and takes slices where that is not far enough. Answers what refuses. */
  #makeRoom(mayRefuse: boolean): Accumulator | undefined {
    for (const accumulator of this.#accumulators) accumulator.turn();
    if (this.#failure.error !== undefined) {
      if (!this.#failure.mayTryAgain) {
        this.#measure();
        return undefined;
      }
      this.#failure.clear();
    }
    if (this.#measure() === "enough") return undefined;
    try {
      if (this.#background.isWriting) {
        this.#background.finish();
        if (this.#measure() !== "urgent") return undefined;
      }
      if (this.#measure() === "soon") {
        this.#background.schedule();
        return undefined;
      }
      return this.#takeNow(mayRefuse);
    } catch (error) {
      this.#failure.note(error);
      return undefined;
    } finally {
      this.#measure();
    }
  }

  /** Measures every room. */
  #measure(): Level {
    const now = this.#engine.latestMs;
    const { error } = this.#failure;
    this.#fromMs = 0;
    this.#untilMs = Number.POSITIVE_INFINITY;
    let worst: Level = "enough";
    for (const accumulator of this.#accumulators) {
      const bounds = periodBounds(accumulator.name.period, now);
      this.#fromMs = Math.max(this.#fromMs, bounds?.start ?? 0);
      this.#untilMs = Math.min(this.#untilMs, bounds?.end ?? this.#untilMs);
      const level = accumulator.measure(!this.#background.isScheduled);
      if (worst === "enough" || level === "urgent") worst = level;
      // Nothing can be written, so nothing needs to be.
      if (error !== undefined) accumulator.room = Number.POSITIVE_INFINITY;
    }
    return worst;
  }

  // ── slices ─────────────────────────────────────────────────────────────────────────────────────

  #takeNow(mayRefuse: boolean): Accumulator | undefined {
    const { system, path, onFolder } = this.#parts;
    if (this.#file.name === undefined) {
      system.makeFolder(path);
      onFolder(this.#budgets());
    }
    const refused = this.#takeLocked(mayRefuse);
    // The folder is free again: who is told of an alert may take time.
    if (refused === undefined) this.#applyOthers();
    return refused;
  }

  #takeLocked(mayRefuse: boolean): Accumulator | undefined {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const lock = this.#folder.lock(PATIENCE_MS);
      try {
        const taking = this.#plan(lock, mayRefuse);
        if (taking.amounts.length === 0) return taking.refused;
        // Who stood still so long that another took the folder knows no more what others have.
        if (!lock.isHeld()) continue;
        this.#file.append({ kind: "slice", time: Date.now(), amounts: taking.amounts });
        this.#raise(taking);
        closeAtExit(this);
        this.#idle.start();
        return taking.refused;
      } finally {
        lock.release();
      }
    }
    throw new Error(`others took ${this.#parts.path} while it was held, ${ATTEMPTS_MAX} times`);
  }

  #budgets(): LedgerBudget[] {
    return this.#accumulators
      .filter((accumulator) => accumulator !== this.#day)
      .map((accumulator) => {
        const { limit, action } = accumulator.position();
        return { name: accumulator.name, limit, action: action === "block" ? "block" : "warn" };
      });
  }

  /** Decides what to take, by what others have. */
  #plan(lock: FileLock, mayRefuse: boolean): Taking {
    const now = this.#engine.latestMs;
    const content = this.#read();
    this.#content = content;
    if (content.owners.some(({ isOver }) => isOver)) this.#folder.fold(content, lock, now);
    const isFolded =
      this.#file.name !== undefined && content.folded.files.includes(this.#file.name);
    if (isFolded || !this.#file.isThere()) {
      this.#file.leave();
      for (const accumulator of this.#accumulators) accumulator.beginAnew();
    }
    return planSlices(this.#accumulators, content, now, mayRefuse);
  }

  #raise({ raised }: Taking): void {
    for (const [position, upTo] of raised) position.upTo = upTo;
  }

  #applyOthers(): void {
    let alerts = false;
    for (const accumulator of this.#accumulators) {
      const usage = this.#usage(accumulator.key, accumulator.current.period);
      alerts = accumulator.applyOthers(usage) || alerts;
    }
    if (alerts) this.#parts.onAlerts();
  }

  // ── rest and end ───────────────────────────────────────────────────────────────────────────────

  settle(): void {
    this.#end("settled");
  }

  /** Says the last word: the process ends. Never throws. */
  close(): void {
    this.#end("closed");
  }

  #end(kind: "settled" | "closed"): void {
    // What calls under way hold has no last word yet: the end of the process says it.
    if (kind === "closed") needsNoClosing(this);
    this.#idle.stop();
    if (this.#file.name === undefined) return;
    try {
      this.#background.finish();
      this.#background.cancel();
      for (const accumulator of this.#accumulators) accumulator.turn();
      const raised: [PeriodPosition, bigint][] = [];
      const amounts = this.#accumulators.flatMap((accumulator) =>
        accumulator.periods().flatMap((at) => {
          const { spent, need } = accumulator.own(at);
          if (at.upTo === 0n) return [];
          // What calls under way hold may be spent yet.
          raised.push([at, need]);
          return [{ of: accumulator.key, period: at.period, spent, upTo: need }];
        }),
      );
      this.#file.append({ kind, time: Date.now(), amounts });
      this.#raise({ amounts, raised, refused: undefined });
      if (kind === "settled") this.#file.close();
      else {
        // It is over, and others may fold it: what comes after has a file of its own.
        this.#file.leave();
        for (const accumulator of this.#accumulators) accumulator.beginAnew();
      }
    } catch (error) {
      this.#failure.note(error);
    }
    this.#measure();
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────

  daySpent(): bigint {
    this.#day.turn();
    return this.#day.position().spent;
  }

  status(): JournalStatus {
    const spent = this.daySpent();
    const { uncertain } = this.#usage(DAY_KEY, this.#day.current.period);
    const { error } = this.#failure;
    return {
      state: error === undefined ? "active" : "unavailable",
      path: this.#parts.path,
      ...(error !== undefined && { reason: error.message }),
      known: attoToUsd(spent > uncertain ? spent - uncertain : 0n),
      uncertain: attoToUsd(uncertain),
    };
  }
}
