// Where one accumulator stands: what of the engine's numbers is ours, what others', and how far we may go.
// A call compares one number, its room; all else is worked out when there is none left.
import { type BudgetPosition, type Engine, EngineError, FLAGS } from "../../engine/index.js";
import {
  type AccumulatorName,
  accumulatorKey,
  periodBefore,
  periodStart,
  type SliceBounds,
  smaller,
} from "./accumulator.js";
import type { Usage } from "./folder.js";

/** Slices that are used up faster grow, slower ones shrink. Milliseconds. */
const FAST_MS = 1000;
const SLOW_MS = 10_000;

/** Atto-USD in the unit of a room: a double holds whole numbers of it up to 9,007 USD. */
const ATTO_PER_PICO = 1_000_000;

const MOST_UNITS = BigInt(Number.MAX_SAFE_INTEGER);

/** Atto-USD as whole numbers of a room's unit, certainly not too few. */
export function roomUnits(cost: bigint): number {
  // The double of an amount is off by less than the one that is added.
  return cost === 0n ? 0 : Math.ceil(Number(cost) / ATTO_PER_PICO) + 1;
}

/** How much is left: of a slice less than nothing (`urgent`), less than half (`soon`), or more. */
export type Level = "enough" | "soon" | "urgent";

/** One period of an accumulator. Amounts in its unit. */
export class PeriodPosition {
  readonly period: string;
  /** What the journal lets us spend in this period, on the disk. */
  upTo = 0n;
  /** What others spent of it, as far as the engine has been told. */
  others = 0n;
  /** Held in the engine for what others have taken ahead. */
  lease: number | undefined;
  leased = 0n;
  /** Ours that was folded with the files of those who are gone, although we were not. */
  folded = 0n;

  constructor(period: string) {
    this.period = period;
  }
}

/** Our part of what the engine knows. */
export interface OwnPart {
  /** Spent since our file was begun. */
  readonly spent: bigint;
  /** The same and what is held for calls under way. */
  readonly need: bigint;
}

function notBelowZero(amount: bigint): bigint {
  return amount < 0n ? 0n : amount;
}

export class Accumulator {
  readonly name: AccumulatorName;
  readonly key: string;
  /** The engine's budget that counts it. */
  readonly handle: number;
  readonly bounds: SliceBounds;
  current: PeriodPosition;
  previous: PeriodPosition;
  /** How large its next slice is. */
  slice: bigint;
  /** What calls may take before it is measured again, never too much; of USD in millionths of a millionth. */
  room = -1;

  readonly #engine: Engine;
  #takenMs = 0;

  constructor(engine: Engine, name: AccumulatorName, handle: number, bounds: SliceBounds) {
    this.#engine = engine;
    this.name = name;
    this.key = accumulatorKey(name);
    this.handle = handle;
    this.bounds = bounds;
    this.slice = bounds.least;
    const now = engine.latestMs;
    this.current = new PeriodPosition(periodStart(name.period, now));
    this.previous = new PeriodPosition(periodBefore(name.period, now));
  }

  position(): BudgetPosition {
    return this.#engine.budget(this.handle);
  }

  /** Goes to the period that the engine's clock is in. */
  turn(): void {
    const now = this.#engine.latestMs;
    const period = periodStart(this.name.period, now);
    if (period === this.current.period) return;
    const before = periodBefore(this.name.period, now);
    this.#giveBack(this.current);
    this.previous = this.current.period === before ? this.current : new PeriodPosition(before);
    this.current = new PeriodPosition(period);
  }

  /** Our part of a period's position. */
  own(of: PeriodPosition, position = this.position()): OwnPart {
    const { spent, held } = of === this.current ? position : position.previous;
    const ours = spent - of.others - of.folded;
    return { spent: notBelowZero(ours), need: notBelowZero(ours + held - of.leased) };
  }

  /** Both periods that may still be booked to; what lasts for ever has one. */
  periods(): PeriodPosition[] {
    return this.current.period === "" ? [this.current] : [this.current, this.previous];
  }

  /** Measures the room anew. With `ahead` it ends at half of the slice, so that the next is taken before it is needed. */
  measure(ahead: boolean): Level {
    const position = this.position();
    let level: Level = "enough";
    for (const at of this.periods()) {
      const { need } = this.own(at, position);
      let left = at.upTo - need;
      if (left < 0n) level = "urgent";
      if (at !== this.current) continue;
      const half = this.slice / 2n;
      if (ahead && left > half) left -= half;
      else if (level === "enough" && left <= half && need > 0n) level = "soon";
      this.#setRoom(left);
    }
    return level;
  }

  #setRoom(left: bigint): void {
    const units = this.name.unit === "usd" ? left / BigInt(ATTO_PER_PICO) : left;
    this.room = units > MOST_UNITS ? Number.MAX_SAFE_INTEGER : units < 0n ? 0 : Number(units);
  }

  /** Sets the size of the next slice, by how long the last one lasted. */
  adapt(nowMs: number): void {
    const lasted = nowMs - this.#takenMs;
    this.#takenMs = nowMs;
    const { least, most } = this.bounds;
    if (lasted < FAST_MS) this.slice *= 2n;
    else if (lasted > SLOW_MS) this.slice /= 2n;
    if (this.slice > most) this.slice = most;
    if (this.slice < least) this.slice = least;
  }

  /** Our file was taken for one of somebody gone: it is others' that is in it. */
  beginAnew(): void {
    for (const position of [this.current, this.previous]) {
      position.folded += position.upTo;
      position.upTo = 0n;
    }
  }

  #giveBack(position: PeriodPosition): void {
    if (position.lease !== undefined) this.#engine.giveBack(position.lease);
    position.lease = undefined;
    position.leased = 0n;
  }

  /**
   * Undefined when there is nothing left to be granted, and when every reservation of the engine is under way: what others
   * have is told it the next time, and what a slice may be is worked out from the folder all the same.
   */
  #grant(amount: bigint) {
    try {
      const granted = this.#engine.grant(this.handle, amount);
      return "refused" in granted ? undefined : granted;
    } catch (error) {
      if (error instanceof EngineError && error.code === "CAPACITY_EXCEEDED") return undefined;
      throw error;
    }
  }

  /** Tells the engine what others used of the current period. Answers whether that fired an alert. */
  applyOthers({ spent, uncertain, ahead }: Usage): boolean {
    const at = this.current;
    const wanted = notBelowZero(spent + uncertain - at.folded - at.others);
    if (wanted === 0n && ahead === at.leased) return false;
    this.#giveBack(at);
    if (wanted + ahead === 0n) return false;
    // A budget that blocks and has nothing left says no already, and would grant nothing.
    const { action, remaining } = this.position();
    if (action === "block" && remaining <= 0n) return false;
    const granted = this.#grant(wanted + ahead);
    if (granted === undefined) return false;
    at.lease = granted.lease;
    const spendable = smaller(wanted, granted.amount);
    const flags = spendable > 0n ? this.#engine.spend(granted.lease, spendable) : 0;
    at.others += spendable;
    at.leased = granted.amount - spendable;
    if (at.leased === 0n) this.#giveBack(at);
    return (flags & FLAGS.alert) !== 0;
  }
}
