// The price table: an amount per operation, and an exact fraction per meter.
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

/** Sets what one operation costs, in atto-USD below 2^96. */
export function setOperationPrice(id: u32, low: u64, high: u64): i32 {
  if (id >= load<u32>(at.header, at.H_OPERATIONS)) return status.OPERATION;
  if (high >> 32 != 0) return status.RATE;
  const operation = operationAt(id);
  store<u64>(operation, low);
  store<u64>(operation, high, 8);
  store<u32>(operation, load<u32>(operation, at.O_TRAITS) | at.TRAIT_PRICED, at.O_TRAITS);
  return status.OK;
}

/** Adds a meter without a price. Meter ids start at 1; 0 stands for the call itself. */
export function addMeter(name: u32): i32 {
  const id = load<u32>(at.header, at.H_METERS);
  if (id >= at.METER_CAPACITY) return status.CAPACITY;
  const meter = meterAt(id);
  store<u32>(meter, name, at.M_NAME);
  store<u32>(at.header, id + 1, at.H_METERS);
  return id;
}

/** Sets a meter's rate to (high:low) / divisor atto-USD per unit; the numerator is below 2^75. */
export function setMeterRate(id: u32, low: u64, high: u64, divisor: u64): i32 {
  if (id == 0 || id >= load<u32>(at.header, at.H_METERS)) return status.METER;
  if (high >> 11 != 0 || divisor == 0) return status.RATE;
  const meter = meterAt(id);
  store<u64>(meter, low);
  store<u64>(meter, high, 8);
  store<u64>(meter, divisor, at.M_DIVISOR);
  store<u32>(meter, 1, at.M_PRICED);
  return status.OK;
}

/** Is this a quantity: whole, from 0 to 2^53 - 1? */
export function isQuantity(quantity: f64): bool {
  return isQuantityInline(quantity);
}

/** The same without a call, for the paths where that counts. */
@inline
export function isQuantityInline(quantity: f64): bool {
  return quantity >= 0.0 && quantity <= 9007199254740991.0 && floor(quantity) == quantity;
}

/** Price of a quantity on a meter, into money.low and money.high; nothing when its rate is unknown. */
export function priceQuantity(id: u32, quantity: f64): i32 {
  const meter = meterAt(id);
  if (load<u32>(meter, at.M_PRICED) == 0) {
    money.sum(0, 0, 0, 0);
    return status.FLAG_UNPRICED;
  }
  money.scale(<u64>quantity, load<u64>(meter), load<u64>(meter, 8), load<u64>(meter, at.M_DIVISOR));
  return money.high >> 32 != 0 ? status.AMOUNT : status.OK;
}
