// Books: prices an operation and adds it, exactly, to its node, its payer, its cell and the day.
import { handleOf, KIND_TICKET, liveNode, liveNodeInline, nodeAt, overflowed, slotOf, generation, tupleAt } from "./attribution";
import * as at from "./layout";
import * as money from "./money";
import { isQuantity, isQuantityInline, operationAt, priceQuantity } from "./pricing";
import { keep } from "./sampling";
import * as status from "./status";

const DAY_MS: f64 = 86400000.0;
const LEAP_MS: f64 = 400.0 * DAY_MS;

// ── the clock ────────────────────────────────────────────────────────────────────────────────────

/**
 * Moves the clock. A new UTC day starts its own accumulator; a clock that steps back books to the day
 * it says while that one is kept (this one and the one before), else to the older of the two, counted.
 * A clock that shows 0 was never set, so it may leap.
 */
export function tick(now: f64): i32 {
  const before = load<f64>(at.header, at.H_NOW);
  if (!(now >= 0.0 && now < 1e15)) return status.CLOCK;
  const current = load<u32>(at.header, at.H_DAY);
  // Measured from the latest time known, so that a clock that stepped far back can come home.
  const latest = max(before, <f64>current * DAY_MS);
  if (latest > 0.0 && now - latest > LEAP_MS) return status.CLOCK;
  store<f64>(at.header, now, at.H_NOW);
  const day = <u32>(now / DAY_MS);
  if (day == current) {
    store<u32>(at.header, 0, at.H_SLOT);
  } else if (day > current) {
    const yesterday = at.header + at.H_YESTERDAY;
    money.addTo(at.header + at.H_OLDER, load<u64>(yesterday), load<u64>(yesterday, 8));
    if (day == current + 1) {
      memory.copy(yesterday, at.header + at.H_TODAY, 16);
    } else {
      money.addTo(at.header + at.H_OLDER, load<u64>(at.header, at.H_TODAY), load<u64>(at.header, at.H_TODAY + 8));
      memory.fill(yesterday, 0, 16);
    }
    memory.fill(at.header + at.H_TODAY, 0, 16);
    store<u32>(at.header, day, at.H_DAY);
    store<u32>(at.header, 0, at.H_SLOT);
  } else {
    store<u32>(at.header, 1, at.H_SLOT);
    if (day + 1 < current) store<u64>(at.header, load<u64>(at.header, at.H_LATE) + 1, at.H_LATE);
  }
  return status.OK;
}

@inline
function bookingDay(): u32 {
  return load<u32>(at.header, at.H_DAY) - load<u32>(at.header, at.H_SLOT);
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
      const used = load<u32>(at.header, at.H_CELLS);
      // A quarter stays empty so that a search always ends soon.
      if (used >= at.CELL_CAPACITY - (at.CELL_CAPACITY >> 2)) {
        store<u32>(at.cellBase, at.CELL_OVERFLOW_KEY, at.C_KEY);
        return at.cellBase;
      }
      store<u32>(cell, key, at.C_KEY);
      store<u32>(at.header, used + 1, at.H_CELLS);
      return cell;
    }
    index = (index + 1) & (at.CELL_CAPACITY - 1);
  }
}

@inline
function addCount(address: usize, by: u64): void {
  store<u64>(address, load<u64>(address) + by);
}

/** Adds one metered quantity and its price to its cell. */
function bookQuantity(operation: u32, meter: u32, quantity: f64, unpriced: bool, low: u64, high: u64): void {
  const cell = cellFor(operation, meter);
  addCount(cell + at.C_COUNT, 1);
  money.addInline(cell + at.C_QUANTITY, <u64>quantity, 0);
  if (unpriced) {
    addCount(cell + at.C_UNPRICED_COUNT, 1);
    money.addTo(cell + at.C_UNPRICED_QUANTITY, <u64>quantity, 0);
  } else {
    money.addInline(cell, low, high);
  }
}

/**
 * Adds one call, its items and its own price to the operation's cell, and the whole amount to everything
 * that carries a total. The caller has checked that it fits.
 */
@inline
function book(
  node: usize, operation: u32, items: u32, priced: bool, day: usize, low: u64, high: u64,
): void {
  const cell = callCell(operation);
  addCount(cell + at.C_COUNT, 1);
  addCount(cell + at.C_ITEMS, items);
  const price = operationAt(operation);
  money.addInline(cell, load<u64>(price), load<u64>(price, 8));
  if (!priced) addCount(cell + at.C_UNPRICED_COUNT, 1);
  money.addInline(at.header, low, high);
  money.addInline(day, low, high);
  money.addInline(node, low, high);
  money.addInline(tupleAt(load<u32>(node, at.N_TUPLE)), low, high);
  store<u64>(at.header, low, at.H_LAST_COST);
  store<u64>(at.header, high, at.H_LAST_COST + 8);
  // Those that change something, as every count of operations.
  const counted = load<u32>(price, at.O_TRAITS) & at.TRAIT_COUNTED;
  store<u32>(node, load<u32>(node, at.N_OPERATIONS) + counted, at.N_OPERATIONS);
}

@inline
function countOn(node: usize, field: usize): void {
  store<u32>(node + field, load<u32>(node + field) + 1);
}

@inline
function overflowFlag(node: usize): i32 {
  if (!overflowed(node)) return 0;
  addCount(at.header + at.H_OVERFLOWED, 1);
  return status.FLAG_OVERFLOWED;
}

@inline
function checkOperation(operation: i32): bool {
  return <u32>operation < load<u32>(at.header, at.H_OPERATIONS);
}

@inline
function checkMeter(meter: i32): bool {
  return <u32>meter < load<u32>(at.header, at.H_METERS);
}

/** Prices without booking; the amount is left in the header as the last cost. */
export function price(operation: i32, meter: i32, quantity: f64): i32 {
  if (!checkOperation(operation)) return status.OPERATION;
  if (!checkMeter(meter)) return status.METER;
  if (!isQuantity(quantity)) return status.QUANTITY;
  const entry = operationAt(operation);
  let flags = load<u32>(entry, at.O_TRAITS) & at.TRAIT_PRICED ? 0 : status.FLAG_UNPRICED;
  let low = load<u64>(entry);
  let high = load<u64>(entry, 8);
  if (meter != 0) {
    const priceStatus = priceQuantity(meter, quantity);
    if (priceStatus < 0) return priceStatus;
    flags |= priceStatus;
    money.sum(low, high, money.low, money.high);
    low = money.low;
    high = money.high;
  }
  store<u64>(at.header, low, at.H_LAST_COST);
  store<u64>(at.header, high, at.H_LAST_COST + 8);
  return flags;
}

// ── one call: nothing can block ──────────────────────────────────────────────────────────────────

/** Books an operation that succeeded. Answers flags, or a status when it changed nothing. */
@inline
export function record(handle: f64, operation: i32, meter: i32, quantity: f64, items: i32): i32 {
  const slot = liveNodeInline(handle);
  if (slot == 0) return status.HANDLE;
  if (!checkOperation(operation)) return status.OPERATION;
  if (!checkMeter(meter)) return status.METER;
  if (!isQuantityInline(quantity) || items < 0) return status.QUANTITY;

  const price = operationAt(operation);
  const priced = (load<u32>(price, at.O_TRAITS) & at.TRAIT_PRICED) != 0;
  let low = load<u64>(price);
  let high = load<u64>(price, 8);
  let flags = priced ? 0 : status.FLAG_UNPRICED;
  if (meter != 0) {
    const priceStatus = priceQuantity(meter, quantity);
    if (priceStatus < 0) return priceStatus;
    flags |= priceStatus;
    const meterLow = money.low;
    const meterHigh = money.high;
    money.sum(low, high, meterLow, meterHigh);
    low = money.low;
    high = money.high;
    if (money.overflows(at.header, low, high)) return status.OVERFLOW;
    bookQuantity(operation, meter, quantity, priceStatus != 0, meterLow, meterHigh);
  } else if (money.overflows(at.header, low, high)) {
    return status.OVERFLOW;
  }
  const node = nodeAt(slot);
  const day = at.header + at.H_TODAY + (<usize>load<u32>(at.header, at.H_SLOT) << 4);
  book(node, operation, items, priced, day, low, high);
  flags |= overflowFlag(node);
  return keep(false) ? flags | status.FLAG_SAMPLED : flags;
}

// ── two phases: reserve, then settle or release ──────────────────────────────────────────────────

const RESERVATION_OPEN: u32 = 1;

@inline
function reservationAt(slot: u32): usize {
  return at.reservationBase + <usize>slot * at.RESERVATION_STRIDE;
}

/** Why the last ticket was of no use: never given out, or settled before. */
let refusal: i32 = 0;
/** Slot of the last open reservation that was asked for. */
let openSlot: u32 = 0;

/** Address of an open reservation; 0, and the reason in `refusal`, when the ticket is of no use. */
function openReservation(ticket: f64): usize {
  const slot = slotOf(ticket, KIND_TICKET);
  refusal = status.HANDLE;
  if (slot == 0 || slot >= load<u32>(at.header, at.H_RESERVATIONS)) return 0;
  const reservation = reservationAt(slot);
  const current = load<u32>(reservation, at.R_GENERATION);
  if (current == generation) {
    openSlot = slot;
    return reservation;
  }
  if (generation < current) refusal = status.SETTLED;
  return 0;
}

function takeReservation(): u32 {
  const free = load<u32>(at.header, at.H_FREE_RESERVATION);
  if (free != 0) {
    store<u32>(at.header, load<u32>(reservationAt(free), at.R_NEXT), at.H_FREE_RESERVATION);
    return free;
  }
  const made = load<u32>(at.header, at.H_RESERVATIONS);
  if (made >= at.reservationCapacity) return 0;
  store<u32>(at.header, made + 1, at.H_RESERVATIONS);
  store<u32>(reservationAt(made), 1, at.R_GENERATION);
  return made;
}

function freeReservation(reservation: usize, slot: u32): void {
  // Generations have 28 bits in a handle; 0 is never one.
  // After 2^28 - 1 uses of one slot they start again: only a ticket kept that long could be mistaken.
  const next = (load<u32>(reservation, at.R_GENERATION) + 1) & 0xfffffff;
  store<u32>(reservation, next == 0 ? 1 : next, at.R_GENERATION);
  store<u32>(reservation, load<u32>(at.header, at.H_FREE_RESERVATION), at.R_NEXT);
  store<u32>(at.header, slot, at.H_FREE_RESERVATION);
  store<u32>(at.header, load<u32>(at.header, at.H_OPEN_RESERVATIONS) - 1, at.H_OPEN_RESERVATIONS);
}

/** Holds the estimated price of a call that is about to run. Answers a ticket, or a status below zero. */
export function reserve(handle: f64, operation: i32, meter: i32, quantity: f64): f64 {
  const node = liveNodeInline(handle);
  if (node == 0) return status.HANDLE;
  if (!checkOperation(operation)) return status.OPERATION;
  if (!checkMeter(meter)) return status.METER;
  if (!isQuantityInline(quantity)) return status.QUANTITY;

  const price = operationAt(operation);
  let low: u64 = 0;
  let high: u64 = 0;
  if (load<u32>(price, at.O_TRAITS) & at.TRAIT_PRICED) {
    low = load<u64>(price);
    high = load<u64>(price, 8);
  }
  if (meter != 0) {
    const priceStatus = priceQuantity(meter, quantity);
    if (priceStatus < 0) return priceStatus;
    money.sum(low, high, money.low, money.high);
    low = money.low;
    high = money.high;
  }
  const slot = takeReservation();
  if (slot == 0) return status.CAPACITY;
  const reservation = reservationAt(slot);
  store<u64>(reservation, low);
  store<u64>(reservation, high, 8);
  store<u32>(reservation, node, at.R_NODE);
  store<u32>(reservation, operation, at.R_OPERATION);
  store<u32>(reservation, RESERVATION_OPEN, at.R_STATE);
  store<u32>(reservation, bookingDay(), at.R_DAY);
  store<u32>(reservation, 0, at.R_CHARGES);
  store<u32>(reservation, meter, at.R_METER);
  store<f64>(reservation, quantity, at.R_QUANTITY);
  store<u32>(at.header, load<u32>(at.header, at.H_OPEN_RESERVATIONS) + 1, at.H_OPEN_RESERVATIONS);
  store<u64>(at.header, low, at.H_LAST_RESERVED);
  store<u64>(at.header, high, at.H_LAST_RESERVED + 8);
  return handleOf(slot, KIND_TICKET, load<u32>(reservation, at.R_GENERATION));
}

/** Moves an open reservation to the node that its call has brought into being. The payer stays. */
export function assign(ticket: f64, handle: f64): i32 {
  const reservation = openReservation(ticket);
  if (reservation == 0) return refusal;
  const node = liveNode(handle);
  if (node == 0) return status.NODE;
  const payer = load<u32>(nodeAt(load<u32>(reservation, at.R_NODE)), at.N_TUPLE);
  if (load<u32>(nodeAt(node), at.N_TUPLE) != payer) return status.PAYER;
  store<u32>(reservation, node, at.R_NODE);
  return status.OK;
}

/** Notes an actual quantity; several on one meter add up. */
export function charge(ticket: f64, meter: i32, quantity: f64): i32 {
  const reservation = openReservation(ticket);
  if (reservation == 0) return refusal;
  if (meter == 0 || !checkMeter(meter)) return status.METER;
  if (!isQuantity(quantity)) return status.QUANTITY;
  const count = load<u32>(reservation, at.R_CHARGES);
  for (let i: u32 = 0; i < count; i++) {
    const entry = reservation + at.R_CHARGE + (<usize>i << 4);
    if (load<u32>(entry) == meter) {
      const sum = load<f64>(entry, 8) + quantity;
      if (!isQuantity(sum)) return status.QUANTITY;
      store<f64>(entry, sum, 8);
      return status.OK;
    }
  }
  if (count >= at.CHARGES_MAX) return status.CAPACITY;
  const entry = reservation + at.R_CHARGE + (<usize>count << 4);
  store<u32>(entry, meter);
  store<f64>(entry, quantity, 8);
  store<u32>(reservation, count + 1, at.R_CHARGES);
  return status.OK;
}

/** Raises the hold while a quantity of unknown length goes by. */
export function extend(ticket: f64, meter: i32, quantity: f64): i32 {
  const reservation = openReservation(ticket);
  if (reservation == 0) return refusal;
  if (meter == 0 || !checkMeter(meter)) return status.METER;
  if (!isQuantity(quantity)) return status.QUANTITY;
  const priceStatus = priceQuantity(meter, quantity);
  if (priceStatus < 0) return priceStatus;
  money.sum(load<u64>(reservation), load<u64>(reservation, 8), money.low, money.high);
  if (money.high >> 32 != 0) return status.AMOUNT;
  store<u64>(reservation, money.low);
  store<u64>(reservation, money.high, 8);
  return status.OK;
}

/** Ends a reservation whose call did not run: nothing is booked. */
export function release(ticket: f64): i32 {
  const reservation = openReservation(ticket);
  if (reservation == 0) return refusal;
  freeReservation(reservation, openSlot);
  return status.OK;
}

/**
 * Books what the call really took (as reserved, when nothing was charged), or counts an error, which
 * costs nothing. `latency` in ms, below zero when unknown. Answers flags, or a status below zero.
 */
export function settle(ticket: f64, failed: bool, items: i32, latency: f64): i32 {
  const reservation = openReservation(ticket);
  if (reservation == 0) return refusal;
  if (items < 0) return status.QUANTITY;
  const node = nodeAt(load<u32>(reservation, at.R_NODE));
  const operation = load<u32>(reservation, at.R_OPERATION);
  if (failed) {
    noteLatency(operation, latency);
    addCount(callCell(operation) + at.C_ERRORS, 1);
    countOn(node, at.N_ERRORS);
    store<u64>(at.header, 0, at.H_LAST_COST);
    store<u64>(at.header, 0, at.H_LAST_COST + 8);
    freeReservation(reservation, openSlot);
    keep(true);
    return status.FLAG_ERROR | status.FLAG_SAMPLED | overflowFlag(node);
  }
  let charges = load<u32>(reservation, at.R_CHARGES);
  if (charges == 0 && load<u32>(reservation, at.R_METER) != 0) {
    // As reserved. The count in the table stays 0, so that nothing changes if this is refused below.
    store<u32>(reservation, load<u32>(reservation, at.R_METER), at.R_CHARGE);
    store<f64>(reservation, load<f64>(reservation, at.R_QUANTITY), at.R_CHARGE + 8);
    charges = 1;
  }
  const price = operationAt(operation);
  const priced = (load<u32>(price, at.O_TRAITS) & at.TRAIT_PRICED) != 0;
  let low: u64 = load<u64>(price);
  let high: u64 = load<u64>(price, 8);
  let flags = priced ? 0 : status.FLAG_UNPRICED;

  // Everything is priced and checked before anything is booked.
  for (let i: u32 = 0; i < charges; i++) {
    const entry = reservation + at.R_CHARGE + (<usize>i << 4);
    const priceStatus = priceQuantity(load<u32>(entry), load<f64>(entry, 8));
    if (priceStatus < 0) return priceStatus;
    flags |= priceStatus;
    money.sum(low, high, money.low, money.high);
    low = money.low;
    high = money.high;
  }
  if (money.overflows(at.header, low, high)) return status.OVERFLOW;
  for (let i: u32 = 0; i < charges; i++) {
    const entry = reservation + at.R_CHARGE + (<usize>i << 4);
    const priceStatus = priceQuantity(load<u32>(entry), load<f64>(entry, 8));
    bookQuantity(operation, load<u32>(entry), load<f64>(entry, 8), priceStatus != 0, money.low, money.high);
  }
  noteLatency(operation, latency);
  const current = load<u32>(at.header, at.H_DAY);
  const reserved = load<u32>(reservation, at.R_DAY);
  const day = reserved >= current ? at.H_TODAY : reserved + 1 == current ? at.H_YESTERDAY : at.H_OLDER;
  book(node, operation, items, priced, at.header + day, low, high);
  flags |= overflowFlag(node);
  if (money.exceeds(low, high, load<u64>(reservation), load<u64>(reservation, 8))) {
    flags |= status.FLAG_OVERRUN;
    addCount(at.header + at.H_OVERRUNS, 1);
  }
  freeReservation(reservation, openSlot);
  return keep((flags & status.FLAG_OVERRUN) != 0) ? flags | status.FLAG_SAMPLED : flags;
}

/** Counts a latency: below 8 µs by single microseconds, then eight buckets an octave. */
function noteLatency(operation: u32, latency: f64): void {
  if (!(latency >= 0.0)) return;
  const micros: u32 = latency >= 4294967.0 ? 0xffffffff : <u32>(latency * 1000.0);
  let bucket = micros;
  if (micros >= 8) {
    const octave: u32 = 31 - clz(micros);
    bucket = (octave - 2) * 8 + ((micros >> (octave - 3)) & 7);
  }
  const counter = at.latencyBase + <usize>operation * at.LATENCY_STRIDE + (<usize>bucket << 2);
  store<u32>(counter, load<u32>(counter) + 1);
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────

/** The run that a node belongs to: itself or the nearest run above it; 0 is none. */
function runOf(slot: u32): u32 {
  while (slot != 0) {
    const node = nodeAt(slot);
    const name = load<u32>(node, at.N_NAME);
    if (name != 0) return name;
    slot = load<u32>(node, at.N_PARENT);
  }
  return 0;
}

@inline
function addToName(name: u32, node: usize): void {
  money.addTo(at.nameTotalBase + <usize>name * at.NAME_TOTAL_STRIDE, load<u64>(node), load<u64>(node, 8));
}

function rollUpNode(slot: u32, dimension: u32, inclusive: bool): void {
  const node = nodeAt(slot);
  if (load<u32>(node, at.N_GENERATION) == 0) return;
  if (dimension == at.DIMENSION_EXPERIMENT) return addToName(load<u32>(node, at.N_EXPERIMENT), node);
  if (dimension == at.DIMENSION_MODEL) return addToName(load<u32>(node, at.N_MODEL), node);
  if (!inclusive) return addToName(runOf(slot), node);
  let above = slot;
  let named = false;
  while (above != 0) {
    const name = load<u32>(nodeAt(above), at.N_NAME);
    if (name != 0) {
      addToName(name, node);
      named = true;
    }
    above = load<u32>(nodeAt(above), at.N_PARENT);
  }
  if (!named) addToName(0, node);
}

/**
 * Fills the name totals for one dimension. Runs either own (they sum to the total) or inclusive
 * (a parent holds its children). Operation types and meters are read from the cells.
 */
export function rollUp(dimension: u32, inclusive: bool): i32 {
  const nameCount = load<u32>(at.header, at.H_NAMES);
  memory.fill(at.nameTotalBase, 0, <usize>nameCount * at.NAME_TOTAL_STRIDE);
  if (dimension >= at.DIMENSION_TEAM && dimension <= at.DIMENSION_CONTEXT) {
    const field = at.T_NAMES + (<usize>(dimension - at.DIMENSION_TEAM) << 2);
    const tuples = load<u32>(at.header, at.H_TUPLES);
    for (let i: u32 = 0; i < tuples; i++) {
      const tuple = tupleAt(i);
      addToName(load<u32>(tuple + field), tuple);
    }
    return status.OK;
  }
  if (dimension != at.DIMENSION_RUN && dimension != at.DIMENSION_EXPERIMENT && dimension != at.DIMENSION_MODEL) {
    return status.NAME;
  }
  const nodes = load<u32>(at.header, at.H_NODES);
  for (let slot: u32 = 1; slot <= nodes; slot++) rollUpNode(slot, dimension, inclusive);
  const tuples = load<u32>(at.header, at.H_TUPLES);
  for (let i: u32 = 0; i < tuples; i++) rollUpNode(at.nodeCapacity + 1 + i, dimension, inclusive);
  return status.OK;
}
