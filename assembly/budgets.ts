// Limits: which of them a node counts on, what is spent and held in each period, and who may go on.
import { PERIOD_RATE, PERIOD_RUN, periodOf } from "./calendar";
import { afterUse, generation, handleOf, inUse, KIND_BUDGET, nodeAt, slotOf, slotOfNode } from "./handles";
import * as at from "./layout";
import * as money from "./money";
import * as names from "./names";
import * as status from "./status";

const UNIT_USD: u32 = 0;
const UNIT_OPERATIONS: u32 = 1;
const UNIT_RUNS: u32 = 2;
export const ACTION_BLOCK: u32 = 1;
/** Where a list that has no room is worked out again each time. */
export const NO_LIST: u32 = 0xffffffff;

@inline
export function budgetAt(slot: u32): usize {
  return at.budgetBase + <usize>slot * at.BUDGET_STRIDE;
}

@inline
export function positionAt(index: u32): usize {
  return at.positionBase + <usize>index * at.POSITION_STRIDE;
}

/** Slot of a live budget, 0 when the handle is of no use. */
export function liveBudget(handle: f64): u32 {
  const slot = slotOf(handle, KIND_BUDGET);
  if (slot == 0 || slot > at.word(at.H_BUDGETS)) return 0;
  return load<u32>(budgetAt(slot), at.B_GENERATION) == generation ? slot : 0;
}

export function budgetHandle(slot: u32): f64 {
  return handleOf(slot, KIND_BUDGET, load<u32>(budgetAt(slot), at.B_GENERATION));
}

// ── which budgets a node counts on ───────────────────────────────────────────────────────────────

/** Goes up from a node to the next one of the same payer; 0 is none. */
function above(slot: u32): u32 {
  const parent = load<u32>(nodeAt(slot), at.N_PARENT);
  if (parent == 0 || parent > at.nodeCapacity) return 0;
  return load<u32>(nodeAt(parent), at.N_TUPLE) == load<u32>(nodeAt(slot), at.N_TUPLE) ? parent : 0;
}

/** Does the scope of this budget hold the node? */
function covers(budget: usize, slot: u32): bool {
  const node = nodeAt(slot);
  const state = load<u32>(node, at.N_STATE);
  if (load<u32>(budget, at.B_LIVE) == 0) return false;
  for (let dimension: u32 = 1; dimension <= at.DIMENSION_MODEL; dimension++) {
    const wanted = load<u32>(budget + at.B_NAMES + (<usize>dimension << 2));
    if (wanted == 0) continue;
    let has: u32;
    if (dimension == at.DIMENSION_RUN) {
      let run = slot;
      while (run != 0 && ((load<u32>(nodeAt(run), at.N_STATE) & at.STATE_RUN) == 0 || load<u32>(nodeAt(run), at.N_NAME) != wanted)) {
        run = above(run);
      }
      if (run == 0) return false;
      continue;
    } else if (dimension == at.DIMENSION_EXPERIMENT) {
      has = load<u32>(node, at.N_EXPERIMENT);
    } else if (dimension == at.DIMENSION_MODEL) {
      has = (state & at.STATE_SCOPE) != 0 ? load<u32>(node, at.N_NAME) : 0;
    } else {
      const tuple = at.tupleBase + <usize>load<u32>(node, at.N_TUPLE) * at.TUPLE_STRIDE;
      has = load<u32>(tuple + at.T_NAMES + (<usize>(dimension - at.DIMENSION_TEAM) << 2));
    }
    if (has != wanted) return false;
  }
  return true;
}

/** The list that begins with this budget and goes on with `rest`; made when there is none. */
function listOf(budget: u32, rest: u32): u32 {
  if (rest == NO_LIST) return NO_LIST;
  const used = at.word(at.H_LINKS);
  const wanted = (<u64>rest << 32) | budget;
  for (let link: u32 = 1; link <= used; link++) {
    if (load<u64>(at.linkBase + <usize>link * at.LINK_STRIDE) == wanted) return link;
  }
  if (used + 1 >= at.linkCapacity) return NO_LIST;
  store<u64>(at.linkBase + <usize>(used + 1) * at.LINK_STRIDE, wanted);
  at.setWord(at.H_LINKS, used + 1);
  return used + 1;
}

/** Has a node a position of its own in this budget? */
function hasPosition(slot: u32, budget: u32): bool {
  let index = load<u32>(nodeAt(slot), at.N_POSITIONS);
  while (index != 0 && load<u32>(positionAt(index), at.P_BUDGET) != budget) index = load<u32>(positionAt(index), at.P_NEXT);
  return index != 0;
}

/** Is this a run that has a budget of runs to itself, as far as there is room? */
@inline
function isOfRun(slot: u32, entry: usize): bool {
  return (
    load<u32>(entry, at.B_PERIOD) == PERIOD_RUN && (load<u32>(nodeAt(slot), at.N_STATE) & (at.STATE_RUN | at.STATE_STUB)) == at.STATE_RUN
  );
}

/** Lets a node count on a budget, if its scope holds it; `shares` when it did before, with or without a position of its own. */
function attach(slot: u32, budget: u32, shares: bool): void {
  const entry = budgetAt(budget);
  if (!covers(entry, slot)) return;
  const node = nodeAt(slot);
  if (load<u32>(entry, at.B_PERIOD) == PERIOD_RUN) {
    // Each run has a position of its own; those below it find it on their way up.
    if (!isOfRun(slot, entry) || hasPosition(slot, budget)) return;
    let index: u32 = shares ? 0 : at.word(at.H_FREE_POSITION);
    if (index != 0) {
      at.setWord(at.H_FREE_POSITION, load<u32>(positionAt(index), at.P_NEXT));
    } else if (!shares && at.word(at.H_POSITIONS) + 1 < at.positionCapacity) {
      index = at.word(at.H_POSITIONS) + 1;
      at.setWord(at.H_POSITIONS, index);
    }
    if (index != 0) {
      const position = positionAt(index);
      memory.fill(position, 0, at.POSITION_STRIDE);
      store<u32>(position, budget, at.P_BUDGET);
      store<u32>(position, slot, at.P_NODE);
      store<u32>(position, load<u32>(node, at.N_POSITIONS), at.P_NEXT);
      store<u32>(node, index, at.N_POSITIONS);
      setMark(position, entry);
      return;
    }
    // Without room, all such runs share the budget's own position.
  }
  store<u32>(node, listOf(budget, load<u32>(node, at.N_BUDGETS)), at.N_BUDGETS);
}

/** Is there a position for each budget of runs that one more run may have? */
export function hasPositions(): bool {
  const wanted = at.word(at.H_RUN_BUDGETS);
  let left = at.positionCapacity - 1 - at.word(at.H_POSITIONS);
  for (let free = at.word(at.H_FREE_POSITION); free != 0 && left < wanted; free = load<u32>(positionAt(free), at.P_NEXT)) left++;
  return left >= wanted;
}

/** Finds all budgets that a new node counts on. */
export function attachAll(slot: u32): void {
  if (at.word(at.H_LIVE_BUDGETS) == 0) return;
  const used = at.word(at.H_BUDGETS);
  for (let budget: u32 = 1; budget <= used; budget++) attach(slot, budget, false);
}

/** A position goes: alerts of it that nobody took are counted as missed. */
function dropAlerts(position: usize): void {
  const left = popcnt<u32>(load<u16>(position, at.P_FIRED) ^ load<u16>(position, at.P_TAKEN));
  at.setWord(at.H_ALERTS, at.word(at.H_ALERTS) - left);
  at.setWord(at.H_MISSED, at.word(at.H_MISSED) + left);
}

/** Gives up what a node has with budgets: its lists, and the positions of `budget` (0 for all). */
function detachFrom(slot: u32, budget: u32): void {
  const node = nodeAt(slot);
  let place = node + at.N_POSITIONS;
  while (load<u32>(place) != 0) {
    const index = load<u32>(place);
    const position = positionAt(index);
    if (budget != 0 && load<u32>(position, at.P_BUDGET) != budget) {
      place = position + at.P_NEXT;
      continue;
    }
    store<u32>(place, load<u32>(position, at.P_NEXT));
    dropAlerts(position);
    memory.fill(position, 0, at.POSITION_STRIDE);
    store<u32>(position, at.word(at.H_FREE_POSITION), at.P_NEXT);
    at.setWord(at.H_FREE_POSITION, index);
  }
  store<u32>(node, 0, at.N_BUDGETS);
}

export function detach(slot: u32): void {
  detachFrom(slot, 0);
}

// ── the budgets of one node, one after the other ─────────────────────────────────────────────────

let link: u32 = 0;
let scanned: u32 = 0;
let origin: u32 = 0;
let walked: u32 = 0;
let position: u32 = 0;
/** Budget of the position that `first` or `next` answered. */
let budget: usize = 0;

/** First position that a node counts on (a budget's own stands for both of its periods); 0 is none. */
function first(slot: u32): usize {
  origin = slot;
  walked = slot;
  scanned = 0;
  link = load<u32>(nodeAt(slot), at.N_BUDGETS);
  position = load<u32>(nodeAt(slot), at.N_POSITIONS);
  return next();
}

function next(): usize {
  while (link == NO_LIST) {
    if (++scanned > at.word(at.H_BUDGETS)) {
      link = 0;
      break;
    }
    budget = budgetAt(scanned);
    const counts = load<u32>(budget, at.B_PERIOD) != PERIOD_RUN || (isOfRun(origin, budget) && !hasPosition(origin, scanned));
    if (counts && covers(budget, origin)) return budget;
  }
  if (link != 0) {
    const entry = at.linkBase + <usize>link * at.LINK_STRIDE;
    budget = budgetAt(load<u32>(entry));
    link = load<u32>(entry, 4);
    return budget;
  }
  while (true) {
    if (position != 0) {
      const found = positionAt(position);
      position = load<u32>(found, at.P_NEXT);
      budget = budgetAt(load<u32>(found, at.P_BUDGET));
      return found;
    }
    if (at.word(at.H_RUN_BUDGETS) == 0) return 0;
    walked = above(walked);
    if (walked == 0) return 0;
    position = load<u32>(nodeAt(walked), at.N_POSITIONS);
  }
}

// ── what an operation takes of a budget ──────────────────────────────────────────────────────────

/** What is used: cost, bytes and traits of the operation. */
let usedLow: u64 = 0;
let usedHigh: u64 = 0;
let usedBytes: u64 = 0;
let usedTraits: u32 = 0;

export function use(low: u64, high: u64, bytes: u64, traits: u32): void {
  usedLow = low;
  usedHigh = high;
  usedBytes = bytes;
  usedTraits = traits;
}

let needLow: u64 = 0;
let needHigh: u64 = 0;

/** What `use` said, in the unit of the budget. False when it is nothing. */
@inline
function needs(): bool {
  const unit = load<u32>(budget, at.B_UNIT);
  needHigh = unit == UNIT_USD ? usedHigh : 0;
  needLow = unit == UNIT_USD ? usedLow
    : unit == UNIT_OPERATIONS ? <u64>(usedTraits & at.TRAIT_COUNTED)
    : unit == UNIT_RUNS ? <u64>((usedTraits & at.TRAIT_RUN) != 0)
    : usedBytes;
  return (needLow | needHigh) != 0;
}

@inline
function isRate(): bool {
  return load<u32>(budget, at.B_PERIOD) >= PERIOD_RATE;
}

/** Length in ms of the period of a rate limit, which is what one call takes of its level. */
@inline
function rateMs(): u64 {
  return load<u32>(budget, at.B_PERIOD) == PERIOD_RATE ? 1000 : 60000;
}

/** Fills a rate limit up to the latest time, so that it does not matter when. Answers whether there is room for a call. */
function refill(): bool {
  const now = load<f64>(at.header, at.H_LATEST);
  const passed = now - load<f64>(budget, at.P_HELD);
  if (passed > 0.0) {
    const full = load<u64>(budget, at.P_FULL);
    const gained = passed >= 1e9 ? full : <u64>passed * load<u64>(budget, at.B_LIMIT);
    store<u64>(budget, min(full, load<u64>(budget) + gained));
    store<f64>(budget, floor(now), at.P_HELD);
  }
  return load<u64>(budget) >= rateMs();
}

/**
 * Where spending has to come before anything has to be said: the next alert, or more than the limit. Nothing, for what
 * is not money: so a record need not ask what a budget counts.
 */
function setMark(position: usize, entry: usize): void {
  if (load<u32>(entry, at.B_UNIT) != UNIT_USD || load<u32>(entry, at.B_PERIOD) >= PERIOD_RATE) {
    memory.fill(position + at.P_MARK, 0, at.AMOUNT_STRIDE);
    return;
  }
  money.sum(load<u64>(entry, at.B_LIMIT), load<u64>(entry, at.B_LIMIT + 8), 1, 0);
  let low = money.low;
  let high = money.high;
  const alerts = load<u32>(entry, at.B_ALERTS);
  const fired: u32 = load<u16>(position, at.P_FIRED);
  for (let i: u32 = 0; i < alerts; i++) {
    const threshold = entry + at.B_THRESHOLD + (<usize>i << 4);
    if ((fired >> i) & 1 || !money.exceeds(low, high, load<u64>(threshold), load<u64>(threshold, 8))) continue;
    low = load<u64>(threshold);
    high = load<u64>(threshold, 8);
  }
  store<u64>(position, low, at.P_MARK);
  store<u64>(position, high, at.P_MARK + 8);
}

/** Spending has come to the mark: fires alerts, and tells when it is above the limit. */
function marked(position: usize): i32 {
  let flags: i32 = 0;
  const low = load<u64>(position);
  const high = load<u64>(position, 8);
  const alerts = load<u32>(budget, at.B_ALERTS);
  let fired: u32 = load<u16>(position, at.P_FIRED);
  for (let i: u32 = 0; i < alerts; i++) {
    const threshold = budget + at.B_THRESHOLD + (<usize>i << 4);
    if ((fired >> i) & 1 || money.exceeds(load<u64>(threshold), load<u64>(threshold, 8), low, high)) continue;
    fired |= 1 << i;
    flags = status.FLAG_ALERT;
    at.setWord(at.H_ALERTS, at.word(at.H_ALERTS) + 1);
  }
  store<u16>(position, <u16>fired, at.P_FIRED);
  setMark(position, budget);
  if (money.exceeds(low, high, load<u64>(budget, at.B_LIMIT), load<u64>(budget, at.B_LIMIT + 8))) {
    flags |= status.FLAG_WARNED;
  }
  return flags;
}

@inline
function spendOn(position: usize): i32 {
  money.addInline(position, needLow, needHigh);
  const low = load<u64>(position);
  const high = load<u64>(position, 8);
  const markHigh = load<u64>(position, at.P_MARK + 8);
  if (high < markHigh || (high == markHigh && low < load<u64>(position, at.P_MARK))) return 0;
  return marked(position);
}

/** Spends what `use` said in the period that the clock shows, on the budget and position that a walk answered. */
function spendFound(found: usize): i32 {
  if (isRate()) {
    if (!(usedTraits & at.TRAIT_COUNTED)) return 0;
    if (!refill()) return status.FLAG_WARNED;
    store<u64>(budget, load<u64>(budget) - rateMs());
    return 0;
  }
  return needs() ? spendOn(found + (<usize>load<u32>(budget, at.B_SLOT) << 6)) : 0;
}

/** A link: the budget in the lower half, the next link in the upper. */
@inline
export function linkAt(link: u32): u64 {
  return load<u64>(at.linkBase + <usize>link * at.LINK_STRIDE);
}

/** Spends what `use` said on a link's budget and those that follow, in the period that the clock shows. Answers flags. */
export function spendFrom(link: u32): i32 {
  let flags: i32 = 0;
  const low = usedLow;
  const high = usedHigh;
  while (link != 0) {
    const pair = linkAt(link);
    link = <u32>(pair >> 32);
    const entry = budgetAt(<u32>pair);
    const before = load<u64>(entry);
    const spentLow = before + low;
    const spentHigh = load<u64>(entry, 8) + high + u64(spentLow < before);
    // Far below its mark, as nearly always, there is nothing more to ask.
    if (spentHigh < load<u64>(entry, at.P_MARK + 8) && load<u32>(entry, at.B_SLOT) == 0) {
      store<u64>(entry, spentLow);
      store<u64>(entry, spentHigh, 8);
    } else {
      budget = entry;
      flags |= spendFound(entry);
    }
  }
  return flags;
}

/** Spends what `use` said in the period that the clock shows, where nothing can block. Answers flags. */
export function spendNow(node: usize): i32 {
  const link = load<u32>(node, at.N_BUDGETS);
  if (link != NO_LIST && at.word(at.H_RUN_BUDGETS) == 0) return spendFrom(link);
  let flags: i32 = 0;
  for (let found = first(slotOfNode(node)); found != 0; found = next()) flags |= spendFound(found);
  return flags;
}

// ── reservations ─────────────────────────────────────────────────────────────────────────────────

/** The position that a reservation of this time counts on; 0 when its period is kept no longer. */
function placed(found: usize, reservation: usize): usize {
  const now = load<f64>(reservation, at.R_NOW);
  if (now >= load<f64>(budget, at.B_SINCE)) return found;
  const period = load<u32>(budget, at.B_PERIOD);
  const offset = load<i32>(budget, at.B_OFFSET);
  // It was booked to the oldest period kept at its time, if its own was not.
  const number = max(
    <i32>periodOf(period, offset, now), <i32>periodOf(period, offset, load<f64>(reservation, at.R_LATEST)) - 1,
  );
  const current = <i32>load<u32>(budget, at.B_NUMBER);
  return number >= current ? found : number + 1 == current ? found + at.POSITION_STRIDE : 0;
}

/**
 * May what `use` said be held? Answers flags, or BLOCKED or LIMITED; the budget that decided is in the header, the first
 * one that warns where none blocks.
 */
export function check(slot: u32, reservation: usize, isNew: bool): i32 {
  let flags: i32 = 0;
  for (let found = first(slot); found != 0; found = next()) {
    let refused = status.BLOCKED;
    if (isRate()) {
      if (!isNew || !(usedTraits & at.TRAIT_COUNTED) || refill()) continue;
      refused = status.LIMITED;
    } else {
      // What came after the reservation holds nothing of it, and has no say in it.
      if (!needs() || load<u64>(budget, at.B_BORN) >= load<u64>(reservation, at.R_NUMBER)) continue;
      const position = placed(found, reservation);
      if (position == 0) continue;
      money.sum(load<u64>(position), load<u64>(position, 8), load<u64>(position, at.P_HELD), load<u64>(position, at.P_HELD + 8));
      money.sum(money.low, money.high, needLow, needHigh);
      if (!money.exceeds(money.low, money.high, load<u64>(budget, at.B_LIMIT), load<u64>(budget, at.B_LIMIT + 8))) continue;
    }
    const blocks = load<u32>(budget, at.B_ACTION) == ACTION_BLOCK;
    if (blocks || flags == 0) at.setWord(at.H_DECIDED, <u32>((budget - at.budgetBase) / at.BUDGET_STRIDE));
    if (blocks) {
      at.count(at.header + (refused == status.BLOCKED ? at.H_BLOCKED : at.H_LIMITED), 1);
      return refused;
    }
    flags = status.FLAG_WARNED;
  }
  return flags;
}

/** Holds what `use` said (or frees it), on the budgets that were there when the reservation was made. */
export function hold(slot: u32, reservation: usize, free: bool): void {
  for (let found = first(slot); found != 0; found = next()) {
    if (isRate() || load<u64>(budget, at.B_BORN) >= load<u64>(reservation, at.R_NUMBER) || !needs()) continue;
    const position = placed(found, reservation);
    if (position == 0) continue;
    if (free) money.takeFrom(position + at.P_HELD, needLow, needHigh);
    else money.addTo(position + at.P_HELD, needLow, needHigh);
  }
}

/** Takes a call of every rate limit that has one (or gives it back). Answers whether each had one. */
export function passRates(slot: u32, reservation: usize, back: bool): bool {
  let all = true;
  if (!(usedTraits & at.TRAIT_COUNTED)) return all;
  for (let found = first(slot); found != 0; found = next()) {
    if (!isRate() || load<u64>(budget, at.B_BORN) >= load<u64>(reservation, at.R_NUMBER)) continue;
    const has = refill();
    const level = load<u64>(budget);
    if (back) store<u64>(budget, min(level + rateMs(), load<u64>(budget, at.P_FULL)));
    else if (has) store<u64>(budget, level - rateMs());
    else all = false;
  }
  return all;
}

/** Spends what `use` said in the period of the reservation, or in the oldest that is kept. Answers flags. */
export function spend(slot: u32, reservation: usize): i32 {
  let flags: i32 = 0;
  for (let found = first(slot); found != 0; found = next()) {
    if (isRate() || !needs()) continue;
    const position = placed(found, reservation);
    flags |= spendOn(position != 0 ? position : found + at.POSITION_STRIDE);
  }
  return flags;
}

// ── periods ──────────────────────────────────────────────────────────────────────────────────────

function begin(position: usize, entry: usize): void {
  dropAlerts(position);
  memory.fill(position, 0, at.POSITION_STRIDE);
  setMark(position, entry);
}

/**
 * Lets every budget know the time: those whose period is over begin a new one, and keep the last. The first time that is
 * ever told begins no period: it says which one it is.
 */
export function turn(isFirst: bool): void {
  const latest = load<f64>(at.header, at.H_LATEST);
  const now = load<f64>(at.header, at.H_NOW);
  const used = at.word(at.H_BUDGETS);
  let back: u32 = 0;
  for (let slot: u32 = 1; slot <= used; slot++) {
    const entry = budgetAt(slot);
    const period = load<u32>(entry, at.B_PERIOD);
    if (period >= PERIOD_RUN || load<u32>(entry, at.B_LIVE) == 0) continue;
    const offset = load<i32>(entry, at.B_OFFSET);
    const number = periodOf(period, offset, latest);
    const before = load<u32>(entry, at.B_NUMBER);
    if (number > before) {
      if (!isFirst) {
        const last = entry + at.POSITION_STRIDE;
        begin(last, entry);
        if (number == before + 1) {
          memory.copy(last, entry, at.POSITION_STRIDE);
          // Its alerts moved along.
          store<u16>(entry, load<u16>(entry, at.P_TAKEN), at.P_FIRED);
        }
        begin(entry, entry);
      }
      store<u32>(entry, number, at.B_NUMBER);
      store<f64>(entry, latest, at.B_SINCE);
    }
    const isBack = u32(periodOf(period, offset, now) < number);
    store<u32>(entry, isBack, at.B_SLOT);
    back += isBack;
  }
  at.setWord(at.H_BACK, back);
}

// ── making them ──────────────────────────────────────────────────────────────────────────────────

/**
 * Adds a budget or a rate limit: the ids of its scope's names, unit, period, action, offset and name in
 * the form; in the header its limit and what is spent already (of a rate limit: calls a period, and how
 * many may come at once). Answers a handle.
 */
export function add(): f64 {
  const period = load<u32>(at.form, at.F_PERIOD);
  const offset = load<i32>(at.form, at.F_OFFSET);
  if (
    period > PERIOD_RATE + 1 || load<u32>(at.form, at.F_UNIT) > 3 || load<u32>(at.form, at.F_ACTION) > 1 ||
    offset < -1440 || offset > 1440 || load<u64>(at.header, at.H_AMOUNT + 8) >> 62 != 0 ||
    load<u64>(at.header, at.H_AMOUNT_2 + 8) >> 62 != 0
  ) {
    return status.CONFIGURATION;
  }
  for (let dimension: u32 = 1; dimension <= at.DIMENSION_MODEL; dimension++) {
    const name = load<u32>(at.form + (<usize>dimension << 2));
    if (!names.names(name, dimension) || (name != 0 && name <= names.FOLDED)) return status.NAME;
  }
  let slot: u32 = 1;
  while (slot < at.budgetCapacity && load<u32>(budgetAt(slot), at.B_LIVE) != 0) slot++;
  if (slot == at.budgetCapacity) return status.CAPACITY;
  at.setWord(at.H_BUDGETS, max(slot, at.word(at.H_BUDGETS)));
  const entry = budgetAt(slot);
  const generation = inUse(load<u32>(entry, at.B_GENERATION));
  memory.fill(entry, 0, at.BUDGET_STRIDE);
  memory.copy(entry + at.B_LIMIT, at.header + at.H_AMOUNT, 16);
  for (let dimension: u32 = 1; dimension <= at.DIMENSION_MODEL; dimension++) {
    const name = load<u32>(at.form + (<usize>dimension << 2));
    store<u32>(entry + at.B_NAMES + (<usize>dimension << 2), name);
    if (name != 0) names.setFlags(name, names.flagsOf(name) | at.NAME_PINNED);
  }
  // Unit, period, action and offset lie in one order here and there; a rate limit has room for what a unit counts.
  memory.copy(entry + at.B_UNIT, at.form + at.F_UNIT, 16);
  store<u32>(entry, load<u32>(at.form, at.F_BUDGET_NAME), at.B_NAME);
  store<u32>(entry, generation, at.B_GENERATION);
  store<u64>(entry, load<u64>(at.header, at.H_NUMBER), at.B_BORN);
  store<u32>(entry, 1, at.B_LIVE);
  const latest = load<f64>(at.header, at.H_LATEST);
  const number = periodOf(period, offset, latest);
  store<u32>(entry, number, at.B_NUMBER);
  const isBack = u32(periodOf(period, offset, load<f64>(at.header, at.H_NOW)) < number);
  store<u32>(entry, isBack, at.B_SLOT);
  at.setWord(at.H_BACK, at.word(at.H_BACK) + isBack);
  // Reservations before it never held anything here.
  if (period < PERIOD_RUN) store<f64>(entry, latest, at.B_SINCE);
  budget = entry;
  if (isRate()) {
    const full = load<u64>(at.header, at.H_AMOUNT_2) * rateMs();
    store<u64>(entry, full);
    store<u64>(entry, full, at.P_FULL);
    store<f64>(entry, floor(latest), at.P_HELD);
  } else {
    setMark(entry, entry);
    setMark(entry + at.POSITION_STRIDE, entry);
    if (period != PERIOD_RUN) memory.copy(entry, at.header + at.H_AMOUNT_2, 16);
  }
  at.setWord(at.H_LIVE_BUDGETS, at.word(at.H_LIVE_BUDGETS) + 1);
  if (period == PERIOD_RUN) at.setWord(at.H_RUN_BUDGETS, at.word(at.H_RUN_BUDGETS) + 1);
  eachNode(slot, false);
  at.count(at.header + at.H_CHANGES, 1);
  return budgetHandle(slot);
}

/** Attaches all live nodes to a budget, or takes it from all of them and makes every list anew. */
function eachNode(budget: u32, remove: bool): void {
  const last = at.lastNode;
  const used = at.word(at.H_NODES);
  for (let pass: u32 = 0; pass < 2; pass++) {
    for (let slot: u32 = 1; slot <= last; slot++) {
      if (slot == used + 1 && slot <= at.nodeCapacity) slot = at.nodeCapacity + 1;
      if (load<u32>(nodeAt(slot), at.N_STATE) == 0) continue;
      if (!remove) attach(slot, budget, false);
      else if (pass == 0) detachFrom(slot, budget);
      else for (let other: u32 = 1; other <= at.word(at.H_BUDGETS); other++) attach(slot, other, budget != NO_LIST);
    }
    if (!remove) return;
    if (pass == 0) {
      memory.fill(at.linkBase, 0, <usize>(at.word(at.H_LINKS) + 1) * at.LINK_STRIDE);
      at.setWord(at.H_LINKS, 0);
    }
  }
}

/** A run has found its place below another: those below it may have come under a budget of a run. */
export function relink(): void {
  for (let slot: u32 = 1; slot <= at.word(at.H_BUDGETS); slot++) {
    if (load<u32>(budgetAt(slot), at.B_LIVE) != 0 && load<u32>(budgetAt(slot) + at.B_NAMES, 4) != 0) {
      eachNode(NO_LIST, true);
      return;
    }
  }
}

/** Gives the name of budgets back, when none has it any more. */
function dropName(name: u32): void {
  for (let slot: u32 = 1; slot <= at.word(at.H_BUDGETS); slot++) if (load<u32>(budgetAt(slot), at.B_NAME) == name) return;
  if (name > names.FOLDED) names.drop(name);
}

/** Removes a budget; what was held on it is held no longer. */
export function remove(handle: f64): i32 {
  const slot = liveBudget(handle);
  if (slot == 0) return status.BUDGET;
  const entry = budgetAt(slot);
  dropAlerts(entry);
  dropAlerts(entry + at.POSITION_STRIDE);
  if (load<u32>(entry, at.B_PERIOD) == PERIOD_RUN) at.setWord(at.H_RUN_BUDGETS, at.word(at.H_RUN_BUDGETS) - 1);
  at.setWord(at.H_BACK, at.word(at.H_BACK) - load<u32>(entry, at.B_SLOT));
  const name = load<u32>(entry, at.B_NAME);
  const generation = load<u32>(entry, at.B_GENERATION);
  memory.fill(entry, 0, at.BUDGET_STRIDE);
  dropName(name);
  store<u32>(entry, afterUse(generation), at.B_GENERATION);
  at.setWord(at.H_LIVE_BUDGETS, at.word(at.H_LIVE_BUDGETS) - 1);
  eachNode(slot, true);
  at.count(at.header + at.H_CHANGES, 1);
  return status.OK;
}

/** Sets a budget's limit to the amount in the header, and how many alerts follow it. */
export function setLimit(handle: f64, alerts: u32): i32 {
  const slot = liveBudget(handle);
  if (slot == 0) return status.BUDGET;
  if (load<u64>(at.header, at.H_AMOUNT + 8) >> 62 != 0 || alerts > at.ALERTS_MAX) return status.CONFIGURATION;
  const entry = budgetAt(slot);
  memory.copy(entry + at.B_LIMIT, at.header + at.H_AMOUNT, 16);
  store<u32>(entry, alerts, at.B_ALERTS);
  at.count(at.header + at.H_CHANGES, 1);
  remark(slot);
  return status.OK;
}

/** Sets one alert of a budget: it fires when the amount in the header, which is this share of its limit, is spent. */
export function setAlert(handle: f64, index: u32, share: f64): i32 {
  const slot = liveBudget(handle);
  if (slot == 0) return status.BUDGET;
  if (index >= load<u32>(budgetAt(slot), at.B_ALERTS)) return status.CONFIGURATION;
  memory.copy(budgetAt(slot) + at.B_THRESHOLD + (<usize>index << 4), at.header + at.H_AMOUNT, 16);
  store<f64>(budgetAt(slot) + at.B_SHARE + (<usize>index << 3), share);
  remark(slot);
  // What was spent before may be more than some of them, once all are known.
  if (index + 1 == load<u32>(budgetAt(slot), at.B_ALERTS)) fireAll(slot);
  return status.OK;
}

/** Works all marks out anew: they say nothing that limits, alerts and positions do not. */
export function remarkAll(): void {
  for (let slot: u32 = 1; slot <= at.word(at.H_BUDGETS); slot++) {
    if (load<u32>(budgetAt(slot), at.B_LIVE) == 0) continue;
    setMark(budgetAt(slot), budgetAt(slot));
    if (load<u32>(budgetAt(slot), at.B_PERIOD) < PERIOD_RATE) setMark(budgetAt(slot) + at.POSITION_STRIDE, budgetAt(slot));
  }
  for (let index: u32 = 1; index <= at.word(at.H_POSITIONS); index++) {
    const slot = load<u32>(positionAt(index), at.P_BUDGET);
    if (slot != 0) setMark(positionAt(index), budgetAt(slot));
  }
}

/** Does a rate limit hold what one can? */
export function rateHolds(entry: usize): bool {
  const full = load<u64>(entry, at.P_FULL);
  return load<u32>(entry, at.B_PERIOD) < PERIOD_RATE || (full != 0 && load<u64>(entry) <= full && load<f64>(entry, at.P_HELD) >= 0.0);
}

function remark(slot: u32): void {
  const entry = budgetAt(slot);
  if (load<u32>(entry, at.B_PERIOD) >= PERIOD_RATE) return;
  setMark(entry, entry);
  setMark(entry + at.POSITION_STRIDE, entry);
  for (let index: u32 = 1; index <= at.word(at.H_POSITIONS); index++) {
    if (load<u32>(positionAt(index), at.P_BUDGET) == slot) setMark(positionAt(index), entry);
  }
}

/** Fires the alerts that what is spent has come to already, in the period that is and for every run. */
function fireAll(slot: u32): void {
  budget = budgetAt(slot);
  if (load<u32>(budget, at.B_PERIOD) >= PERIOD_RATE) return;
  fireSpent(budget);
  for (let index: u32 = 1; index <= at.word(at.H_POSITIONS); index++) {
    if (load<u32>(positionAt(index), at.P_BUDGET) == slot) fireSpent(positionAt(index));
  }
}

function fireSpent(position: usize): void {
  if ((load<u64>(position) | load<u64>(position, 8)) != 0) marked(position);
}

// ── alerts ───────────────────────────────────────────────────────────────────────────────────────

/** Takes one alert of a position, if it has one: its index, run's name and period go into the form. */
function takeFrom(position: usize, slot: u32, number: u32): bool {
  const left: u32 = load<u16>(position, at.P_FIRED) ^ load<u16>(position, at.P_TAKEN);
  if (left == 0) return false;
  const index = ctz(left);
  store<u16>(position, <u16>(<u32>load<u16>(position, at.P_TAKEN) | (1 << index)), at.P_TAKEN);
  at.setWord(at.H_ALERTS, at.word(at.H_ALERTS) - 1);
  const node = load<u32>(position, at.P_NODE);
  store<u32>(at.form, index);
  store<u32>(at.form, node != 0 ? load<u32>(nodeAt(node), at.N_NAME) : 0, 4);
  store<u32>(at.form, number, 8);
  memory.copy(at.header + at.H_AMOUNT, position, 16);
  at.setWord(at.H_DECIDED, slot);
  return true;
}

/** Takes the next alert that was not taken yet. Answers its budget's handle, 0 when there is none. */
export function takeAlert(): f64 {
  if (at.word(at.H_ALERTS) == 0) return 0;
  for (let slot: u32 = 1; slot <= at.word(at.H_BUDGETS); slot++) {
    const entry = budgetAt(slot);
    if (load<u32>(entry, at.B_PERIOD) >= PERIOD_RATE) continue;
    const number = load<u32>(entry, at.B_NUMBER);
    if (takeFrom(entry + at.POSITION_STRIDE, slot, number - 1) || takeFrom(entry, slot, number)) return budgetHandle(slot);
  }
  for (let index: u32 = 1; index <= at.word(at.H_POSITIONS); index++) {
    const slot = load<u32>(positionAt(index), at.P_BUDGET);
    if (slot != 0 && takeFrom(positionAt(index), slot, 0)) return budgetHandle(slot);
  }
  return 0;
}

// ── leases ───────────────────────────────────────────────────────────────────────────────────────

/** Position of the period that a lease was granted in, or the oldest kept; its budget is left in `budget`. */
let leased: bool = false;
function positionOfLease(reservation: usize): usize {
  budget = budgetAt(load<u32>(reservation, at.R_NODE));
  leased = load<u32>(budget, at.B_LIVE) != 0 && load<u64>(budget, at.B_BORN) < load<u64>(reservation, at.R_NUMBER);
  if (!leased) return 0;
  return placed(budget, reservation);
}

/** Cuts the amount in the header to what a budget that blocks has left, and holds it. False when that is nothing. */
export function grant(slot: u32, reservation: usize): bool {
  budget = budgetAt(slot);
  const position = placed(budget, reservation);
  let low = load<u64>(at.header, at.H_AMOUNT);
  let high = load<u64>(at.header, at.H_AMOUNT + 8);
  if (load<u32>(budget, at.B_ACTION) == ACTION_BLOCK) {
    money.sum(load<u64>(position), load<u64>(position, 8), load<u64>(position, at.P_HELD), load<u64>(position, at.P_HELD + 8));
    const usedLow = money.low;
    const usedHigh = money.high;
    const limitLow = load<u64>(budget, at.B_LIMIT);
    const limitHigh = load<u64>(budget, at.B_LIMIT + 8);
    if (money.exceeds(usedLow, usedHigh, limitLow, limitHigh)) return false;
    const leftLow = limitLow - usedLow;
    const leftHigh = limitHigh - usedHigh - u64(limitLow < usedLow);
    if (money.exceeds(low, high, leftLow, leftHigh)) {
      low = leftLow;
      high = leftHigh;
    }
  }
  if ((low | high) == 0) return false;
  store<u64>(reservation, low);
  store<u64>(reservation, high, 8);
  memory.copy(at.header + at.H_AMOUNT, reservation, 16);
  money.addTo(position + at.P_HELD, low, high);
  return true;
}

/** Spends the amount in the header of a lease (more than is left is an overrun), or gives the rest back. */
export function spendLease(reservation: usize, back: bool): i32 {
  const position = positionOfLease(reservation);
  if (!leased) return back ? status.OK : status.BUDGET;
  let low = load<u64>(reservation);
  let high = load<u64>(reservation, 8);
  let flags: i32 = 0;
  if (!back) {
    needLow = load<u64>(at.header, at.H_AMOUNT);
    needHigh = load<u64>(at.header, at.H_AMOUNT + 8);
    if (needHigh >> 62 != 0) return status.AMOUNT;
    if (money.exceeds(needLow, needHigh, low, high)) {
      flags = status.FLAG_OVERRUN;
      at.count(at.header + at.H_OVERRUNS, 1);
    } else {
      low = needLow;
      high = needHigh;
    }
    flags |= spendOn(position != 0 ? position : budget + at.POSITION_STRIDE);
  }
  money.takeFrom(reservation, low, high);
  if (position != 0) money.takeFrom(position + at.P_HELD, low, high);
  return flags;
}
