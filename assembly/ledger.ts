// Books: prices an operation and adds it, exactly, to its node, its cell and its budgets.
import * as budgets from "./budgets";
import { DAY_MS, PERIOD_RATE, PERIOD_RUN, TIME_END } from "./calendar";
import { needNode, unneedNode } from "./folding";
import { afterUse, generation, generationIn, handleOf, inUse, isInUse, KIND_TICKET, liveNode, nodeAt, slotIn, slotOf } from "./handles";
import * as at from "./layout";
import { noteLatency, noteSize } from "./measures";
import * as money from "./money";
import { entryAt, isQuantity, meterAt, operationAt, priceQuantity } from "./pricing";
import { EXPIRED, holdAll, LEASE, OPEN, putLast, reservationAt, stateOf, takeOut, TOKENLESS, WARNED } from "./reservations";
import { draw, keep, thresholdOf } from "./sampling";
import * as status from "./status";

const LEAP_MS: f64 = 400.0 * DAY_MS;
const MINUTE_MS: f64 = 60000.0;

// ── the clock ────────────────────────────────────────────────────────────────────────────────────

/**
 * Moves the clock. A new UTC day starts its own accumulator; a clock that steps back books to the day
 * it says while that one is kept (this one and the one before), else to the older of the two, counted.
 * A clock that shows 0 was never set, so it may leap.
 */
export function tick(now: f64): i32 {
  if (!(now >= 0.0 && now < TIME_END)) return status.CLOCK;
  const latest = load<f64>(at.header, at.H_LATEST);
  // Measured from the latest time known, so that a clock that stepped far back can come home.
  if (latest > 0.0 && now - latest > LEAP_MS) return status.CLOCK;
  store<f64>(at.header, now, at.H_NOW);
  if (now > latest) store<f64>(at.header, now, at.H_LATEST);
  const minute = <u32>(now / MINUTE_MS);
  // Days and periods begin with a minute.
  if (minute != at.word(at.H_MINUTE)) {
    at.setWord(at.H_MINUTE, minute);
    turnDay(<u32>(now / DAY_MS));
    budgets.turn(latest == 0.0);
  }
  expire();
  return status.OK;
}

function turnDay(day: u32): void {
  const current = at.word(at.H_DAY);
  if (day > current) {
    const yesterday = at.header + at.H_YESTERDAY;
    memory.fill(yesterday, 0, 16);
    if (day == current + 1) {
      money.addTo(yesterday, load<u64>(at.header), load<u64>(at.header, 8));
      money.takeFrom(yesterday, load<u64>(at.header, at.H_DAY_BASE), load<u64>(at.header, at.H_DAY_BASE + 8));
    }
    memory.copy(at.header + at.H_DAY_BASE, at.header, 16);
    at.setWord(at.H_DAY, day);
  } else if (day + 1 < current) {
    at.count(at.header + at.H_LATE, 1);
  }
  at.setWord(at.H_SLOT, u32(day < current));
}

// ── cells ────────────────────────────────────────────────────────────────────────────────────────

/** The cell of an operation's calls; each has its own, so the counts of calls never overflow. */
@inline
function callCell(operation: u32): usize {
  return at.callBase + <usize>operation * at.CELL_STRIDE;
}

/** The cell of an operation and a meter (not 0), made when new; the first one when the table is full. */
function cellFor(operation: u32, meter: u32): usize {
  const key = ((operation << 16) | meter) + 1;
  let index = (key * 0x9e3779b1) >> 20;
  while (true) {
    if (index == 0) index = 1;
    const cell = at.cellBase + <usize>index * at.CELL_STRIDE;
    const stored = load<u32>(cell, at.C_KEY);
    if (stored == key) return cell;
    if (stored == 0) {
      const used = at.word(at.H_CELLS);
      // A quarter stays empty so that a search always ends soon.
      if (used >= at.CELL_CAPACITY - (at.CELL_CAPACITY >> 2)) {
        store<u32>(at.cellBase, at.CELL_OVERFLOW_KEY, at.C_KEY);
        return at.cellBase;
      }
      store<u32>(cell, key, at.C_KEY);
      at.setWord(at.H_CELLS, used + 1);
      return cell;
    }
    index = (index + 1) & (at.CELL_CAPACITY - 1);
  }
}

/** Adds one metered quantity and its price (left in money.low and money.high) to its cell. */
function bookQuantity(operation: u32, meter: u32, quantity: f64, priceStatus: i32): void {
  const cell = cellFor(operation, meter);
  // Signed, as that is one instruction; a quantity is below 2^53.
  const whole = <u64><i64>quantity;
  store<u64>(cell, load<u64>(cell, at.C_COUNT) + 1, at.C_COUNT);
  money.addInline(cell, money.low, money.high);
  money.addInline(cell + at.C_QUANTITY, whole, 0);
  if (priceStatus != 0) {
    at.count(cell + at.C_UNPRICED_COUNT, 1);
    money.addTo(cell + at.C_UNPRICED_QUANTITY, whole, 0);
  }
  if (load<u32>(meterAt(meter), at.M_FLAGS) & at.METER_BYTES) noteSize(operation, whole);
}

/**
 * Adds one call, its items and its own price to the operation's cell, and the whole amount to the node; the caller
 * has added it to the total, and checked before that it fits. What sums over payers and everything else is rolled up
 * when it is read.
 */
@inline
function book(node: usize, cell: usize, priceLow: u64, priceHigh: u64, traits: u32, items: u32, low: u64, high: u64): void {
  store<u64>(cell, load<u64>(cell, at.C_COUNT) + 1, at.C_COUNT);
  store<u64>(cell, load<u64>(cell, at.C_ITEMS) + items, at.C_ITEMS);
  money.addInline(cell, priceLow, priceHigh);
  money.addInline(node, low, high);
  store<u64>(at.header, low, at.H_LAST_COST);
  store<u64>(at.header, high, at.H_LAST_COST + 8);
  // Those that change something, as every count of operations.
  store<u32>(node, load<u32>(node, at.N_OPERATIONS) + (traits & at.TRAIT_COUNTED), at.N_OPERATIONS);
}

/** What was just added to the total belongs to the day before. */
function bookYesterday(low: u64, high: u64): void {
  money.addTo(at.header + at.H_YESTERDAY, low, high);
  money.addTo(at.header + at.H_DAY_BASE, low, high);
}

@inline
function overflowFlag(node: usize): i32 {
  if ((load<u32>(node, at.N_STATE) & at.STATE_OVERFLOW) == 0) return 0;
  at.count(at.header + at.H_OVERFLOWED, 1);
  return status.FLAG_OVERFLOWED;
}

@inline
function checkOperation(operation: i32): bool {
  return <u32>operation < at.word(at.H_OPERATIONS);
}

@inline
function checkMeter(meter: i32): bool {
  return <u32>meter < at.word(at.H_METERS);
}

/** Is this a quantity of a meter of an operation? OK, or what is wrong. */
function checkCall(operation: i32, meter: i32, quantity: f64): i32 {
  if (!checkOperation(operation)) return status.OPERATION;
  if (!checkMeter(meter)) return status.METER;
  if (!isQuantity(quantity)) return status.QUANTITY;
  return meter == 0 && quantity != 0.0 ? status.METER : status.OK;
}

/** Prices without booking; the amount is left in the header as the last cost. */
export function price(operation: i32, meter: i32, quantity: f64): i32 {
  const wrong = checkCall(operation, meter, quantity);
  if (wrong < 0) return wrong;
  const entry = operationAt(operation);
  let flags = load<u32>(entry, at.O_TRAITS) & at.TRAIT_PRICED ? 0 : status.FLAG_UNPRICED;
  money.set(0, 0);
  if (meter != 0) {
    const priceStatus = priceQuantity(meterAt(meter), quantity);
    if (priceStatus < 0) return priceStatus;
    flags |= priceStatus;
  }
  money.sum(money.low, money.high, load<u64>(entry), load<u64>(entry, 8));
  store<u64>(at.header, money.low, at.H_LAST_COST);
  store<u64>(at.header, money.high, at.H_LAST_COST + 8);
  return flags;
}

// ── one call: nothing can block ──────────────────────────────────────────────────────────────────

/**
 * Books an operation that succeeded. Answers flags, or a status when it changed nothing.
 *
 * This is the way of nearly every call. Whatever it may have to call itself comes last, and each condition leaves at
 * once: so it keeps all it works with in registers. What is rarer goes a longer way, which knows all there is.
 */
@inline
export function record(handle: f64, operation: i32, meter: i32, quantity: f64, items: i32): i32 {
  const bits = reinterpret<u64>(handle);
  const slot = slotIn(bits);
  if (slot > at.lastNode) return status.HANDLE;
  const node = nodeAt(slot);
  if (generationIn(bits) != <u64>load<u32>(node, at.N_GENERATION)) return status.HANDLE;
  // What a free slot keeps is no generation either.
  if (!isInUse(<u32>generationIn(bits))) return status.HANDLE;
  if (!checkOperation(operation)) return status.OPERATION;
  if (meter != 0) return recordMetered(node, operation, meter, quantity, items);
  // A quantity of nothing in particular would be lost.
  if (quantity != 0.0) return checkCall(operation, meter, quantity);
  if (items < 0) return status.QUANTITY;

  const price = operationAt(operation);
  const low = load<u64>(price);
  const high = load<u64>(price, 8);
  const before = load<u64>(at.header);
  const totalLow = before + low;
  const totalHigh = load<u64>(at.header, 8) + high + u64(totalLow < before);
  if (<i64>totalHigh < 0) return status.OVERFLOW;
  store<u64>(at.header, totalLow);
  store<u64>(at.header, totalHigh, 8);
  const cell = callCell(operation);
  const traits = load<u32>(price, at.O_TRAITS);
  book(node, cell, low, high, traits, items, low, high);
  let link = load<u32>(node, at.N_BUDGETS);
  if (
    (at.word(at.H_SLOT) | at.word(at.H_RUN_BUDGETS) | at.word(at.H_BACK) | u32(link == budgets.NO_LIST) |
      (load<u32>(node, at.N_STATE) & at.STATE_OVERFLOW) | (~traits & at.TRAIT_PRICED)) != 0
  ) {
    return recordRarely(node, price, cell, low, high, 0, 0);
  }
  while (link != 0) {
    const pair = budgets.linkAt(link);
    const budget = budgets.budgetAt(<u32>pair);
    const spentBefore = load<u64>(budget);
    const spentLow = spentBefore + low;
    const spentHigh = load<u64>(budget, 8) + high + u64(spentLow < spentBefore);
    const markHigh = load<u64>(budget, at.P_MARK + 8);
    // What counts no money has no mark, so it is never below it.
    if (spentHigh >= markHigh) {
      if (spentHigh != markHigh) return recordMarked(link, price, cell, low, high);
      if (spentLow >= load<u64>(budget, at.P_MARK)) return recordMarked(link, price, cell, low, high);
    }
    store<u64>(budget, spentLow);
    store<u64>(budget, spentHigh, 8);
    link = <u32>(pair >> 32);
  }
  const threshold = thresholdOf(load<u32>(price, at.O_CLASS));
  if (threshold == 0) return status.FLAG_SAMPLED;
  return i32(draw(threshold, cell));
}

/** The longer way: with a quantity, which has a price of its own. */
function recordMetered(node: usize, operation: u32, meter: i32, quantity: f64, items: i32): i32 {
  if (!checkMeter(meter)) return status.METER;
  if (!isQuantity(quantity) || items < 0) return status.QUANTITY;
  const price = operationAt(operation);
  const cell = callCell(operation);
  const priceLow = load<u64>(price);
  const priceHigh = load<u64>(price, 8);
  const flags = priceQuantity(meterAt(meter), quantity);
  if (flags < 0) return flags;
  const low = priceLow + money.low;
  const high = priceHigh + money.high + u64(low < priceLow);
  if (money.overflows(at.header, low, high)) return status.OVERFLOW;
  bookQuantity(operation, meter, quantity, flags);
  money.addTo(at.header, low, high);
  book(node, cell, priceLow, priceHigh, load<u32>(price, at.O_TRAITS), items, low, high);
  const bytes = load<u32>(meterAt(meter), at.M_FLAGS) & at.METER_BYTES ? <u64><i64>quantity : 0;
  return recordRarely(node, price, cell, low, high, bytes, flags);
}

/** Everything that may have to be said of a record that was booked. Answers flags. */
function recordRarely(node: usize, price: usize, cell: usize, low: u64, high: u64, bytes: u64, flags: i32): i32 {
  const traits = load<u32>(price, at.O_TRAITS);
  if (!(traits & at.TRAIT_PRICED)) {
    at.count(cell + at.C_UNPRICED_COUNT, 1);
    flags |= status.FLAG_UNPRICED;
  }
  if (at.word(at.H_SLOT) != 0) bookYesterday(low, high);
  budgets.use(low, high, bytes, traits);
  return sampled(flags | overflowFlag(node) | budgets.spendNow(node), price, cell);
}

/** A budget has come to its mark: it and those that follow are asked. */
function recordMarked(link: u32, price: usize, cell: usize, low: u64, high: u64): i32 {
  budgets.use(low, high, 0, load<u32>(price, at.O_TRAITS));
  return sampled(budgets.spendFrom(link), price, cell);
}

function sampled(flags: i32, price: usize, cell: usize): i32 {
  return (flags & status.FLAG_WARNED) != 0 || keep(load<u32>(price, at.O_CLASS), cell) ? flags | status.FLAG_SAMPLED : flags;
}

// ── two phases: reserve, then settle or release ──────────────────────────────────────────────────

/** Why the last ticket was of no use: never given out, or settled before. */
let refusal: i32 = 0;
/** Slot of the last reservation that was asked for. */
let openSlot: u32 = 0;

/** Address of a reservation that is not settled; 0, and the reason in `refusal`, when the ticket is of no use. */
function openReservation(ticket: f64, lease: bool): usize {
  const slot = slotOf(ticket, KIND_TICKET);
  refusal = status.HANDLE;
  if (slot < 2 || slot >= at.word(at.H_RESERVATIONS)) return 0;
  const reservation = reservationAt(slot);
  const current = load<u32>(reservation, at.R_GENERATION);
  if (current == generation) {
    openSlot = slot;
    return (stateOf(reservation) == LEASE) == lease ? reservation : 0;
  }
  if (generation < inUse(current)) refusal = status.SETTLED;
  return 0;
}

/** A reservation as it is before there is a slot for it: what is refused has taken nobody's. */
const asked: usize = memory.data(<i32>at.RESERVATION_STRIDE, 8);

/** Fills the asked-for reservation in. False when each slot has one that is open. */
function ask(node: u32, state: u32): bool {
  if (
    at.word(at.H_FREE_RESERVATION) == 0 && at.word(at.H_RESERVATIONS) >= at.reservationCapacity && load<u32>(reservationAt(1), at.R_NEXT) == 1
  ) {
    return false;
  }
  memory.fill(asked, 0, at.RESERVATION_STRIDE);
  store<f64>(asked, load<f64>(at.header, at.H_NOW), at.R_NOW);
  store<f64>(asked, load<f64>(at.header, at.H_LATEST), at.R_LATEST);
  store<f64>(asked, load<f64>(at.header, at.H_LATEST), at.R_TOUCHED);
  store<u32>(asked, at.word(at.H_VERSION), at.R_VERSION);
  store<u32>(asked, node, at.R_NODE);
  store<u32>(asked, state, at.R_STATE);
  number(asked);
  return true;
}

/** Gives the asked-for reservation a slot: when none is free, that of the ticket that expired longest ago. */
function takeReservation(): u32 {
  let slot = at.word(at.H_FREE_RESERVATION);
  if (slot == 0) {
    slot = at.word(at.H_RESERVATIONS);
    if (slot < at.reservationCapacity) {
      at.setWord(at.H_RESERVATIONS, slot + 1);
    } else {
      slot = load<u32>(reservationAt(1), at.R_NEXT);
      at.count(at.header + at.H_FORGOTTEN, 1);
      end(slot);
    }
  }
  const reservation = reservationAt(slot);
  if (slot == at.word(at.H_FREE_RESERVATION)) at.setWord(at.H_FREE_RESERVATION, load<u32>(reservation, at.R_NEXT));
  store<u32>(asked, inUse(load<u32>(reservation, at.R_GENERATION)), at.R_GENERATION);
  memory.copy(reservation, asked, at.RESERVATION_STRIDE);
  return slot;
}

function number(reservation: usize): void {
  at.count(at.header + at.H_NUMBER, 1);
  store<u64>(reservation, load<u64>(at.header, at.H_NUMBER), at.R_NUMBER);
}

/** Gives a slot back; what it held is the caller's to free. */
function giveBack(slot: u32): void {
  const reservation = reservationAt(slot);
  const generation = load<u32>(reservation, at.R_GENERATION);
  memory.fill(reservation, 0, at.RESERVATION_STRIDE);
  store<u32>(reservation, afterUse(generation), at.R_GENERATION);
  store<u32>(reservation, at.word(at.H_FREE_RESERVATION), at.R_NEXT);
  at.setWord(at.H_FREE_RESERVATION, slot);
}

/** Ends a reservation that is open or expired. */
function end(slot: u32): void {
  const reservation = reservationAt(slot);
  const node = load<u32>(reservation, at.R_NODE);
  const counter = stateOf(reservation) == OPEN ? at.H_OPEN : at.H_EXPIRED;
  at.setWord(counter, at.word(counter) - 1);
  at.count(at.header + at.H_CHANGES, 1);
  takeOut(slot);
  giveBack(slot);
  unneedNode(node);
}

/** Lets reservations that nobody touched for their time expire; their tickets stay good. */
function expire(): void {
  const before = load<f64>(at.header, at.H_LATEST) - load<f64>(at.header, at.H_TTL);
  while (true) {
    const slot = load<u32>(reservationAt(0), at.R_NEXT);
    const reservation = reservationAt(slot);
    if (slot == 0 || load<f64>(reservation, at.R_TOUCHED) > before) return;
    holdAll(reservation, true);
    store<u32>(reservation, (load<u32>(reservation, at.R_STATE) & ~3) | EXPIRED, at.R_STATE);
    takeOut(slot);
    putLast(1, slot);
    at.setWord(at.H_OPEN, at.word(at.H_OPEN) - 1);
    at.setWord(at.H_EXPIRED, at.word(at.H_EXPIRED) + 1);
    at.count(at.header + at.H_CHANGES, 1);
  }
}

/** Notes that an open reservation is in use: its time to live begins again. */
function touch(reservation: usize): void {
  if (stateOf(reservation) != OPEN) return;
  store<f64>(reservation, load<f64>(at.header, at.H_LATEST), at.R_TOUCHED);
  takeOut(openSlot);
  putLast(0, openSlot);
}

let pricedBytes: u64 = 0;

/**
 * Prices a call with its entries under the reservation's version, into money.low and money.high: by what
 * was charged if anything was, else by what was reserved. Books the quantities too, when asked to. Answers
 * flags, or a status.
 */
function priceAll(reservation: usize, charged: bool, bookToo: bool): i32 {
  const version = load<u32>(reservation, at.R_VERSION);
  const operation = load<u32>(reservation, at.R_OPERATION);
  const price = entryAt(operation, version);
  let low = load<u64>(price);
  let high = load<u64>(price, 8);
  let flags = load<u32>(price, at.O_TRAITS) & at.TRAIT_PRICED ? 0 : status.FLAG_UNPRICED;
  pricedBytes = 0;
  const entries = load<u32>(reservation, at.R_ENTRIES);
  for (let i: u32 = 0; i < entries; i++) {
    const entry = reservation + at.R_ENTRY + <usize>i * at.ENTRY_STRIDE;
    if (charged && load<u32>(entry, 4) == 0) continue;
    const meter = load<u32>(entry);
    const quantity = charged ? load<f64>(entry, 16) : load<f64>(entry, 8);
    const priceStatus = priceQuantity(entryAt(meter + at.OLD_METER, version), quantity);
    if (priceStatus < 0) return priceStatus;
    flags |= priceStatus;
    if (load<u32>(meterAt(meter), at.M_FLAGS) & at.METER_BYTES) pricedBytes += <u64><i64>quantity;
    if (bookToo) bookQuantity(operation, meter, quantity, priceStatus);
    money.sum(low, high, money.low, money.high);
    low = money.low;
    high = money.high;
  }
  money.set(low, high);
  return high >> 32 != 0 ? status.AMOUNT : flags;
}

/** The entry of a meter, made when new; 0 when there is no room. */
function entryFor(reservation: usize, meter: u32): usize {
  const entries = load<u32>(reservation, at.R_ENTRIES);
  let entry = reservation + at.R_ENTRY;
  for (let i: u32 = 0; i < entries; i++) {
    if (load<u32>(entry) == meter) return entry;
    entry += at.ENTRY_STRIDE;
  }
  if (entries == at.ENTRIES_MAX) return 0;
  store<u32>(reservation, entries + 1, at.R_ENTRIES);
  store<u32>(entry, meter);
  return entry;
}

/** Keeps what the reservation holds now: the priced amount and bytes. */
function keepHeld(reservation: usize, low: u64, high: u64, bytes: u64): void {
  store<u64>(reservation, low);
  store<u64>(reservation, high, 8);
  store<u64>(reservation, bytes, at.R_BYTES);
}

/** Holds the estimated price of a call that is about to run. Answers a ticket, or a status below zero. */
export function reserve(handle: f64, operation: i32, meter: i32, quantity: f64): f64 {
  const node = liveNode(handle);
  if (node == 0) return status.HANDLE;
  const wrong = checkCall(operation, meter, quantity);
  if (wrong < 0) return wrong;
  if (!ask(node, OPEN)) return status.CAPACITY;
  store<u32>(asked, operation, at.R_OPERATION);
  if (meter != 0) store<f64>(entryFor(asked, meter), quantity, 8);
  const priced = priceAll(asked, false, false);
  if (priced < 0) return priced;
  keepHeld(asked, money.low, money.high, pricedBytes);
  memory.copy(at.header + at.H_LAST_RESERVED, asked, 16);
  at.setWord(at.H_DECIDED, 0);
  if (at.word(at.H_LIVE_BUDGETS) != 0) {
    budgets.use(money.low, money.high, pricedBytes, load<u32>(operationAt(operation), at.O_TRAITS));
    const warned = budgets.check(node, asked, true);
    if (warned < 0) return warned;
    budgets.hold(node, asked, false);
    const hasTokens = budgets.passRates(node, asked, false);
    store<u32>(asked, OPEN | (warned != 0 ? WARNED : 0) | (hasTokens ? 0 : TOKENLESS), at.R_STATE);
  }
  const slot = takeReservation();
  needNode(node);
  putLast(0, slot);
  at.setWord(at.H_OPEN, at.word(at.H_OPEN) + 1);
  at.count(at.header + at.H_CHANGES, 1);
  return handleOf(slot, KIND_TICKET, load<u32>(asked, at.R_GENERATION));
}

/**
 * Moves a reservation to the node that its call has brought into being. The payer stays, and the call was let in: its
 * hold moves along even where a limit of the other node has no room for it.
 */
export function assign(ticket: f64, handle: f64): i32 {
  const reservation = openReservation(ticket, false);
  if (reservation == 0) return refusal;
  const node = liveNode(handle);
  if (node == 0) return status.NODE;
  const before = load<u32>(reservation, at.R_NODE);
  if (load<u32>(nodeAt(node), at.N_TUPLE) != load<u32>(nodeAt(before), at.N_TUPLE)) return status.PAYER;
  holdAll(reservation, true);
  needNode(node);
  store<u32>(reservation, node, at.R_NODE);
  number(reservation);
  holdAll(reservation, false);
  unneedNode(before);
  return status.OK;
}

/** Notes an actual quantity; several on one meter add up. */
export function charge(ticket: f64, meter: i32, quantity: f64): i32 {
  const reservation = openReservation(ticket, false);
  if (reservation == 0) return refusal;
  if (meter == 0 || !checkMeter(meter)) return status.METER;
  if (!isQuantity(quantity)) return status.QUANTITY;
  const entry = entryFor(reservation, meter);
  if (entry == 0) return status.CAPACITY;
  const sum = load<f64>(entry, 16) + quantity;
  if (!isQuantity(sum)) return status.QUANTITY;
  store<f64>(entry, sum, 16);
  store<u32>(entry, 1, 4);
  store<u32>(reservation, 1, at.R_CHARGED);
  touch(reservation);
  return status.OK;
}

/** Raises the hold while a quantity of unknown length goes by; refused as a reservation is. */
export function extend(ticket: f64, meter: i32, quantity: f64): i32 {
  const reservation = openReservation(ticket, false);
  if (reservation == 0) return refusal;
  if (meter == 0 || !checkMeter(meter)) return status.METER;
  if (!isQuantity(quantity)) return status.QUANTITY;
  const entries = load<u32>(reservation, at.R_ENTRIES);
  const entry = entryFor(reservation, meter);
  if (entry == 0) return status.CAPACITY;
  const before = load<f64>(entry, 8);
  let refused: i32 = isQuantity(before + quantity) ? 0 : status.QUANTITY;
  if (refused == 0) {
    store<f64>(entry, before + quantity, 8);
    refused = priceAll(reservation, false, false);
  }
  if (refused >= 0) {
    const low = money.low;
    const high = money.high;
    const bytes = pricedBytes;
    refused = 0;
    if (at.word(at.H_LIVE_BUDGETS) != 0 && stateOf(reservation) == OPEN) {
      const node = load<u32>(reservation, at.R_NODE);
      const heldLow = load<u64>(reservation);
      // The call itself is held already: only money and bytes grow.
      budgets.use(
        low - heldLow, high - load<u64>(reservation, 8) - u64(low < heldLow), bytes - load<u64>(reservation, at.R_BYTES), 0,
      );
      refused = budgets.check(node, reservation, false);
      if (refused > 0) store<u32>(reservation, load<u32>(reservation, at.R_STATE) | WARNED, at.R_STATE);
      if (refused >= 0) budgets.hold(node, reservation, false);
    }
    if (refused >= 0) {
      keepHeld(reservation, low, high, bytes);
      touch(reservation);
      return status.OK;
    }
  }
  store<f64>(entry, before, 8);
  if (entries != load<u32>(reservation, at.R_ENTRIES)) {
    store<u32>(reservation, entries, at.R_ENTRIES);
    store<u32>(entry, 0);
  }
  return refused;
}

/** Ends a reservation whose call did not run: nothing is booked. */
export function release(ticket: f64): i32 {
  const reservation = openReservation(ticket, false);
  if (reservation == 0) return refusal;
  // What took no token of some limit gives none back to any: rather one call too few.
  if (at.word(at.H_LIVE_BUDGETS) != 0 && !(load<u32>(reservation, at.R_STATE) & TOKENLESS)) {
    const traits = load<u32>(operationAt(load<u32>(reservation, at.R_OPERATION)), at.O_TRAITS);
    budgets.use(0, 0, 0, traits);
    budgets.passRates(load<u32>(reservation, at.R_NODE), reservation, true);
  }
  holdAll(reservation, true);
  end(openSlot);
  return status.OK;
}

/**
 * Books what the call really took (as reserved, when nothing was charged), or counts an error, which
 * costs nothing. `latency` in ms, below zero when unknown. Answers flags, or a status below zero.
 */
export function settle(ticket: f64, failed: bool, items: i32, latency: f64): i32 {
  const reservation = openReservation(ticket, false);
  if (reservation == 0) return refusal;
  if (items < 0) return status.QUANTITY;
  const slot = load<u32>(reservation, at.R_NODE);
  const node = nodeAt(slot);
  const operation = load<u32>(reservation, at.R_OPERATION);
  const cell = callCell(operation);
  let flags: i32 = 0;
  if (failed) {
    store<u64>(at.header, 0, at.H_LAST_COST);
    store<u64>(at.header, 0, at.H_LAST_COST + 8);
    at.count(cell + at.C_ERRORS, 1);
    store<u32>(node, load<u32>(node, at.N_ERRORS) + 1, at.N_ERRORS);
    holdAll(reservation, true);
    flags = status.FLAG_ERROR;
  } else {
    // Everything is priced and checked before anything is booked.
    const charged = load<u32>(reservation, at.R_CHARGED) != 0;
    flags = priceAll(reservation, charged, false);
    if (flags < 0) return flags;
    if (money.overflows(at.header, money.low, money.high)) return status.OVERFLOW;
    priceAll(reservation, charged, true);
    const low = money.low;
    const high = money.high;
    const price = entryAt(operation, load<u32>(reservation, at.R_VERSION));
    money.addTo(at.header, low, high);
    book(node, cell, load<u64>(price), load<u64>(price, 8), load<u32>(price, at.O_TRAITS), items, low, high);
    if (!(load<u32>(price, at.O_TRAITS) & at.TRAIT_PRICED)) at.count(cell + at.C_UNPRICED_COUNT, 1);
    bookDay(load<f64>(reservation, at.R_NOW), low, high);
    if (money.exceeds(low, high, load<u64>(reservation), load<u64>(reservation, 8))) {
      flags |= status.FLAG_OVERRUN;
      at.count(at.header + at.H_OVERRUNS, 1);
    }
    if (load<u32>(reservation, at.R_STATE) & WARNED) flags |= status.FLAG_WARNED;
    holdAll(reservation, true);
    if (at.word(at.H_LIVE_BUDGETS) != 0) {
      budgets.use(low, high, pricedBytes, load<u32>(price, at.O_TRAITS));
      flags |= budgets.spend(slot, reservation);
    }
  }
  noteLatency(operation, latency);
  flags |= overflowFlag(node);
  if (stateOf(reservation) == EXPIRED) {
    flags |= status.FLAG_LATE;
    at.count(at.header + at.H_LATE_SETTLED, 1);
  }
  end(openSlot);
  const always = (flags & (status.FLAG_ERROR | status.FLAG_OVERRUN | status.FLAG_WARNED | status.FLAG_LATE)) != 0;
  return always || keep(load<u32>(operationAt(operation), at.O_CLASS), cell) ? flags | status.FLAG_SAMPLED : flags;
}

/** What was just added to the total belongs to the day of this time, or to the oldest kept. */
function bookDay(time: f64, low: u64, high: u64): void {
  const day = <u32>(time / DAY_MS);
  const current = at.word(at.H_DAY);
  if (day >= current) return;
  bookYesterday(low, high);
}

// ── leases: slices of a budget that others spend ─────────────────────────────────────────────────

/** Holds up to the amount in the header for someone else. Answers a ticket, and the amount in the header. */
export function grant(handle: f64): f64 {
  const budget = budgets.liveBudget(handle);
  if (budget == 0) return status.BUDGET;
  const period = load<u32>(budgets.budgetAt(budget), at.B_PERIOD);
  if (period == PERIOD_RUN || period >= PERIOD_RATE || load<u64>(at.header, at.H_AMOUNT + 8) >> 62 != 0) return status.CONFIGURATION;
  if (!ask(budget, LEASE)) return status.CAPACITY;
  if (!budgets.grant(budget, asked)) {
    at.setWord(at.H_DECIDED, budget);
    return status.BLOCKED;
  }
  const slot = takeReservation();
  at.count(at.header + at.H_CHANGES, 1);
  return handleOf(slot, KIND_TICKET, load<u32>(asked, at.R_GENERATION));
}

/** Spends the amount in the header of a lease, or ends it and frees what is left. Answers flags or a status. */
export function spendLease(ticket: f64, back: bool): i32 {
  const reservation = openReservation(ticket, true);
  if (reservation == 0) return refusal;
  const flags = budgets.spendLease(reservation, back);
  if (back) giveBack(openSlot);
  at.count(at.header + at.H_CHANGES, 1);
  return flags;
}
