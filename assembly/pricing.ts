// The price table: an amount per operation, an exact fraction per meter, and what was replaced while
// reservations still need it.
import * as at from "./layout";
import * as money from "./money";
import * as status from "./status";

@inline
export function operationAt(id: u32): usize {
  return at.operationBase + <usize>id * at.OPERATION_STRIDE;
}

@inline
export function meterAt(id: u32): usize {
  return at.meterBase + <usize>id * at.METER_STRIDE;
}

@inline
function oldAt(index: u32): usize {
  return at.oldPriceBase + <usize>index * at.OLD_PRICE_STRIDE;
}

// ── versions ─────────────────────────────────────────────────────────────────────────────────────

/** Keeps an entry as it was under the version that ends now, when a reservation was made under it. */
function remember(key: u32, entry: usize): void {
  const used = at.word(at.H_OLD_PRICES);
  if (at.word(at.H_OPEN) + at.word(at.H_EXPIRED) == 0 || used >= at.OLD_PRICES) return;
  const old = oldAt(used);
  store<u32>(old, key);
  store<u32>(old, at.word(at.H_VERSION) - 1, 4);
  memory.copy(old + 8, entry, at.METER_STRIDE);
  at.setWord(at.H_OLD_PRICES, used + 1);
}

/** The entry as it was under a version: in the table, or among what was replaced since. */
export function entryAt(key: u32, version: u32): usize {
  if (version != at.word(at.H_VERSION)) {
    const used = at.word(at.H_OLD_PRICES);
    for (let i: u32 = 0; i < used; i++) {
      const old = oldAt(i);
      if (load<u32>(old) == key && load<u32>(old, 4) >= version) return old + 8;
    }
  }
  return key < at.OLD_METER ? operationAt(key) : meterAt(key - at.OLD_METER);
}

/**
 * Begins a new version of up to `changes` prices. Old ones that no reservation needs are forgotten;
 * refused when there is no room for those that are needed.
 */
export function beginPrices(changes: u32): i32 {
  const version = at.word(at.H_VERSION);
  let needed = version;
  for (let slot: u32 = 2; slot < at.word(at.H_RESERVATIONS); slot++) {
    const reservation = at.reservationBase + <usize>slot * at.RESERVATION_STRIDE;
    if (load<u32>(reservation, at.R_STATE) != 0) needed = min(needed, load<u32>(reservation, at.R_VERSION));
  }
  let kept: u32 = 0;
  const used = at.word(at.H_OLD_PRICES);
  for (let i: u32 = 0; i < used; i++) {
    if (load<u32>(oldAt(i), 4) < needed) continue;
    memory.copy(oldAt(kept++), oldAt(i), at.OLD_PRICE_STRIDE);
  }
  memory.fill(oldAt(kept), 0, <usize>(used - kept) * at.OLD_PRICE_STRIDE);
  at.setWord(at.H_OLD_PRICES, kept);
  if (at.word(at.H_OPEN) + at.word(at.H_EXPIRED) != 0 && changes > at.OLD_PRICES - kept) return status.CAPACITY;
  at.setWord(at.H_VERSION, version + 1);
  at.count(at.header + at.H_CHANGES, 1);
  return status.OK;
}

/** Sets what one operation costs to the amount in the header, below 2^96 atto-USD. */
export function setOperationPrice(id: u32): i32 {
  if (id >= at.word(at.H_OPERATIONS)) return status.OPERATION;
  if (load<u32>(at.header, at.H_AMOUNT + 12) != 0) return status.RATE;
  const operation = operationAt(id);
  remember(id, operation);
  memory.copy(operation, at.header + at.H_AMOUNT, 16);
  store<u32>(operation, load<u32>(operation, at.O_TRAITS) | at.TRAIT_PRICED, at.O_TRAITS);
  return status.OK;
}

/** Id of the meter of this name; 0 when there is none. */
export function meterNamed(name: u32): u32 {
  for (let id: u32 = 1; id < at.word(at.H_METERS); id++) if (load<u32>(meterAt(id), at.M_NAME) == name) return id;
  return 0;
}

/** Adds a meter without a price, unless it is there. Meter ids start at 1; 0 stands for the call itself. */
export function addMeter(name: u32, flags: u32): i32 {
  const known = meterNamed(name);
  if (known != 0) return known;
  const id = at.word(at.H_METERS);
  if (id >= at.METER_CAPACITY) return status.CAPACITY;
  store<u32>(meterAt(id), name, at.M_NAME);
  store<u32>(meterAt(id), flags & at.METER_BYTES, at.M_FLAGS);
  at.setWord(at.H_METERS, id + 1);
  return id;
}

/** Sets a meter's rate to the two amounts in the header: the first, below 2^75, for the second, below 2^64, units. */
export function setMeterRate(id: u32): i32 {
  if (id == 0 || id >= at.word(at.H_METERS)) return status.METER;
  const divisor = load<u64>(at.header, at.H_AMOUNT_2);
  if (load<u64>(at.header, at.H_AMOUNT + 8) >> 11 != 0 || divisor == 0) return status.RATE;
  const meter = meterAt(id);
  remember(id + at.OLD_METER, meter);
  memory.copy(meter, at.header + at.H_AMOUNT, 16);
  store<u64>(meter, divisor, at.M_DIVISOR);
  store<u32>(meter, load<u32>(meter, at.M_FLAGS) | at.METER_PRICED, at.M_FLAGS);
  return status.OK;
}

// ── amounts ──────────────────────────────────────────────────────────────────────────────────────

/** Is this a quantity: whole, from 0 to 2^53 - 1? */
export function isQuantity(quantity: f64): bool {
  return quantity >= 0.0 && quantity <= 9007199254740991.0 && floor(quantity) == quantity;
}

/** Price of a quantity by a meter's entry, into money.low and money.high; nothing when its rate is unknown. */
export function priceQuantity(meter: usize, quantity: f64): i32 {
  if ((load<u32>(meter, at.M_FLAGS) & at.METER_PRICED) == 0) {
    money.set(0, 0);
    return status.FLAG_UNPRICED;
  }
  money.scale(<u64><i64>quantity, load<u64>(meter), load<u64>(meter, 8), load<u64>(meter, at.M_DIVISOR));
  return money.high >> 32 != 0 ? status.AMOUNT : status.OK;
}
