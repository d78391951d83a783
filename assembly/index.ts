// The ABI: every exported function, and nothing else. No imports; the host reads tables through memory.
//
// Units: amounts are atto-USD (1e-18 USD) in 128 bits, low word first; quantities are whole numbers in
// the meter's own unit (bytes for storage); times are milliseconds since 1970; latencies milliseconds.
// A host calls `init` once, interns names through the window, and speaks in ids and numbers after that.
import { ascii, lengthOf } from "./ascii";
import * as attribution from "./attribution";
import * as at from "./layout";
import * as ledger from "./ledger";
import * as nameTable from "./names";
import * as operationTable from "./operations";
import * as pricing from "./pricing";
import * as routes from "./routes";
import * as sampling from "./sampling";
import * as status from "./status";

export function abiMajor(): i32 {
  return status.ABI_MAJOR;
}

export function abiMinor(): i32 {
  return status.ABI_MINOR;
}

let started = false;

/** Where the host finds an engine's tables. Fixed before `init`, so the host can write there first. */
const OVERFLOW_NAME: usize = ascii(`(overflow)`);

/**
 * Sizes memory and fills the tables. Capacities: runs and scopes 1 to 2^23, payer tuples 16 to 2^20,
 * names 64 to 2^23, bytes of names, reservations 2 to 2^20. The seed drives sampling alone.
 */
export function init(
  nodes: i32, tuples: i32, names: i32, nameBytes: i32, reservations: i32, seedLow: i32, seedHigh: i32,
): i32 {
  if (started) return status.CONFIGURATION;
  if (nodes < 1 || nodes > 0x800000 || tuples < 16 || tuples > 0x100000) return status.CONFIGURATION;
  if (names < 64 || names > 0x800000 || nameBytes < 1024 || nameBytes > 0x40000000) return status.CONFIGURATION;
  if (reservations < 2 || reservations > 0x100000) return status.CONFIGURATION;
  if (!at.carve(nodes, tuples, names, nameBytes, reservations)) return status.CAPACITY;
  started = true;
  const length = lengthOf(OVERFLOW_NAME);
  memory.copy(at.windowBase, OVERFLOW_NAME, length);
  nameTable.start(length);
  attribution.start();
  store<u32>(at.header, 1, at.H_METERS);
  store<u32>(at.header, 1, at.H_RESERVATIONS);
  store<u64>(at.header, (<u64>(<u32>seedHigh) << 32) | <u64>(<u32>seedLow), at.H_RANDOM);
  routes.start();
  operationTable.start();
  return status.OK;
}

// ── where things lie ─────────────────────────────────────────────────────────────────────────────

export function windowAddress(): usize {
  return at.windowBase;
}
export function windowBytes(): i32 {
  return at.WINDOW_BYTES;
}
export function headerAddress(): usize {
  return at.header;
}
export function nameAddress(): usize {
  return at.nameBase;
}
export function nameByteAddress(): usize {
  return at.nameByteBase;
}
export function nameTotalAddress(): usize {
  return at.nameTotalBase;
}
export function tupleAddress(): usize {
  return at.tupleBase;
}
export function nodeAddress(): usize {
  return at.nodeBase;
}
export function operationAddress(): usize {
  return at.operationBase;
}
export function latencyAddress(): usize {
  return at.latencyBase;
}
export function meterAddress(): usize {
  return at.meterBase;
}
/** First of the cells: one a call, by operation id, then those found by key. */
export function cellAddress(): usize {
  return at.callBase;
}
/** Address of the list of class names, with spaces between them and a zero behind. */
export function classNames(): usize {
  return operationTable.CLASSES;
}

// ── names, nodes ─────────────────────────────────────────────────────────────────────────────────

/** Interns the `length` bytes of UTF-8 in the window as a name of a dimension. Answers its id. */
export function intern(length: i32, dimension: i32): i32 {
  return nameTable.intern(at.windowBase, length, dimension);
}

/** Opens a run by the ids of its names; 0 for what it has not. Answers a node handle or a status. */
export function openRun(
  run: i32, parent: i32, experiment: i32,
  team: i32, project: i32, customer: i32, environment: i32, costCenter: i32, context: i32,
): f64 {
  if (
    !nameTable.names(run, at.DIMENSION_RUN) || !nameTable.names(parent, at.DIMENSION_RUN) ||
    !payerNames(experiment, team, project, customer, environment, costCenter, context)
  ) {
    return status.NAME;
  }
  return attribution.openRun(run, parent, experiment, team, project, customer, environment, costCenter, context);
}

/** Opens a node without a run, below `parent` (a node handle, or 0). Answers a node handle or a status. */
export function openScope(
  parent: f64, experiment: i32, model: i32,
  team: i32, project: i32, customer: i32, environment: i32, costCenter: i32, context: i32,
): f64 {
  if (
    !nameTable.names(model, at.DIMENSION_MODEL) ||
    !payerNames(experiment, team, project, customer, environment, costCenter, context)
  ) {
    return status.NAME;
  }
  return attribution.openScope(parent, experiment, model, team, project, customer, environment, costCenter, context);
}

function payerNames(
  experiment: i32, team: i32, project: i32, customer: i32, environment: i32, costCenter: i32, context: i32,
): bool {
  return (
    nameTable.names(experiment, at.DIMENSION_EXPERIMENT) &&
    nameTable.names(team, at.DIMENSION_TEAM) &&
    nameTable.names(project, at.DIMENSION_PROJECT) &&
    nameTable.names(customer, at.DIMENSION_CUSTOMER) &&
    nameTable.names(environment, at.DIMENSION_ENVIRONMENT) &&
    nameTable.names(costCenter, at.DIMENSION_COST_CENTER) &&
    nameTable.names(context, at.DIMENSION_CONTEXT)
  );
}

/** Marks a run as finished. */
export function finishRun(node: f64): i32 {
  return attribution.finish(node);
}

// ── operations and prices ────────────────────────────────────────────────────────────────────────

/** Adds an operation named by the `length` bytes in the window. Answers its id or a status. */
export function addOperation(length: i32, classId: i32, counted: i32): i32 {
  if (length < 1 || length > 256) return status.NAME;
  const used = load<u32>(at.header, at.H_NAME_BYTES);
  if (used + <u32>length > at.nameByteCapacity) return status.CAPACITY;
  const name = at.nameByteBase + used;
  const id = operationTable.addOperation(name, length, classId, counted != 0 ? at.TRAIT_COUNTED : 0);
  if (id < 0) return status.CAPACITY;
  memory.copy(name, at.windowBase, length);
  store<u32>(at.header, used + length, at.H_NAME_BYTES);
  return id;
}

/** Sets an operation's price to four 32-bit words of atto-USD, lowest first; below 2^96. */
export function setOperationPrice(id: i32, w0: i32, w1: i32, w2: i32): i32 {
  return pricing.setOperationPrice(id, words(w0, w1), <u64>(<u32>w2));
}

/** Adds a meter without a price, by the id of its name. Answers its id or a status. */
export function addMeter(name: i32): i32 {
  return name == 0 || !nameTable.names(name, at.DIMENSION_METER) ? status.NAME : pricing.addMeter(name);
}

/** Sets a meter's rate to numerator (three words, below 2^75) / divisor (two words) atto-USD per unit. */
export function setMeterRate(id: i32, n0: i32, n1: i32, n2: i32, d0: i32, d1: i32): i32 {
  return pricing.setMeterRate(id, words(n0, n1), <u64>(<u32>n2), words(d0, d1));
}

function words(low: i32, high: i32): u64 {
  return (<u64>(<u32>high) << 32) | <u64>(<u32>low);
}

/** Prices without booking: the amount is left in the header as the last cost. Answers flags or a status. */
export function price(operation: i32, meter: i32, quantity: f64): i32 {
  return ledger.price(operation, meter, quantity);
}

/** Keeps the path before MLflow's own, `length` bytes in the window ("/mlflow"; 0 for none). */
export function setStaticPrefix(length: i32): i32 {
  const used = load<u32>(at.header, at.H_NAME_BYTES);
  if (length < 0 || <u32>length > at.NAME_BYTES_MAX || <u32>length > at.nameByteCapacity - used) return status.NAME;
  memory.copy(at.nameByteBase + used, at.windowBase, length);
  routes.setPrefix(at.nameByteBase + used, length);
  store<u32>(at.header, used + length, at.H_NAME_BYTES);
  return status.OK;
}

/** Operation of the `length` bytes "METHOD /path" at `address`; -1 for what is no MLflow route. */
export function classify(address: usize, length: i32): i32 {
  const found = routes.match(address, length);
  if (found != routes.UNKNOWN_ROUTE) return found;
  return routes.readsOnly(address) ? operationTable.UNKNOWN_READ : operationTable.UNKNOWN_WRITE;
}

// ── the clock, sampling ──────────────────────────────────────────────────────────────────────────

/** Moves the only clock there is, to milliseconds since 1970. */
export function tick(now: f64): i32 {
  return ledger.tick(now);
}

/** Keeps this share (0 to 1) of the operations that need not be kept. */
export function setSamplingRate(rate: f64): i32 {
  if (!(rate >= 0.0 && rate <= 1.0)) return status.RATE;
  sampling.setRate(rate);
  return status.OK;
}

// ── the ledger ───────────────────────────────────────────────────────────────────────────────────

/** Books one operation that succeeded. Answers flags or a status. */
export function record(node: f64, operation: i32, meter: i32, quantity: f64, items: i32): i32 {
  return ledger.record(node, operation, meter, quantity, items);
}

/** Holds the price of a call about to run. Answers a ticket or a status. */
export function reserve(node: f64, operation: i32, meter: i32, quantity: f64): f64 {
  return ledger.reserve(node, operation, meter, quantity);
}

/** Moves an open reservation to another node of the same payer. */
export function assign(ticket: f64, node: f64): i32 {
  return ledger.assign(ticket, node);
}

/** Raises the hold by a quantity. */
export function extend(ticket: f64, meter: i32, quantity: f64): i32 {
  return ledger.extend(ticket, meter, quantity);
}

/** Notes an actual quantity. */
export function charge(ticket: f64, meter: i32, quantity: f64): i32 {
  return ledger.charge(ticket, meter, quantity);
}

/** Books what the call took. `failed` 0 or 1; latency below zero when unknown. Answers flags or a status. */
export function settle(ticket: f64, failed: i32, items: i32, latency: f64): i32 {
  return ledger.settle(ticket, failed != 0, items, latency);
}

/** Ends a reservation whose call did not run. */
export function release(ticket: f64): i32 {
  return ledger.release(ticket);
}

/** Fills the name totals for one dimension (1 run … 9 model), runs with their children when inclusive. */
export function rollUp(dimension: i32, inclusive: i32): i32 {
  return ledger.rollUp(dimension, inclusive != 0);
}
