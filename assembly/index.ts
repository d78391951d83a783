// The ABI: every exported function, and nothing else. No imports; the host reads tables through memory.
//
// Units: amounts are atto-USD (1e-18 USD) in 128 bits, low word first; quantities are whole numbers in
// the meter's own unit (bytes for storage); times are milliseconds since 1970; latencies milliseconds.
// Amounts go in through two places in the header, ids through the form (see layout.ts): nothing takes 64 bits.
// A host calls `init` once, interns names through the window, and speaks in ids and numbers after that.
import { ascii, lengthOf } from "./ascii";
import * as attribution from "./attribution";
import * as budgets from "./budgets";
import * as folding from "./folding";
import { nodeHandle } from "./handles";
import * as at from "./layout";
import * as ledger from "./ledger";
import * as measures from "./measures";
import * as nameTable from "./names";
import * as operationTable from "./operations";
import * as pricing from "./pricing";
import * as reservations from "./reservations";
import * as rollup from "./rollup";
import * as routes from "./routes";
import * as scanner from "./scan";
import * as sampling from "./sampling";
import * as snapshot from "./snapshot";
import * as status from "./status";

export function abiMajor(): i32 {
  return status.ABI_MAJOR;
}

export function abiMinor(): i32 {
  return status.ABI_MINOR;
}

let started = false;

const OVERFLOW_NAME: usize = ascii(`(overflow)`);
const FOLDED_NAME: usize = ascii(`(folded)`);

// ── where things lie ─────────────────────────────────────────────────────────────────────────────

/** Address of the header: totals, counters, and the addresses of everything else that a host may read. */
export function header(): usize {
  return at.header;
}

/** Address of the form: 32 words that carry ids and options into the calls that take many. */
export function form(): usize {
  return at.form;
}

/**
 * Sizes memory and fills the tables. In the form: runs and scopes 1 to 2^23, payer tuples 16 to 2^20, names 64 to
 * 2^23, bytes of names 1,024 to 2^30, reservations 1 to 2^20 - 2, budgets 1 to 65,535, positions of runs in budgets
 * 1 to 2^23, bytes for merged ledgers up to 2^30, two words of the seed, which drives sampling alone, and bytes of
 * the buffer for requests up to 2^30.
 */
export function init(): i32 {
  if (started) return status.CONFIGURATION;
  if (
    !within(0, 1, 0x800000) || !within(1, 16, 0x100000) || !within(2, 64, 0x800000) || !within(3, 1024, 0x40000000) ||
    !within(4, 1, 0xffffe) || !within(5, 1, 0xffff) || !within(6, 1, 0x800000) || !within(7, 0, 0x40000000) ||
    !within(10, 0, 0x40000000)
  ) {
    return status.CONFIGURATION;
  }
  if (!at.carve()) return status.CAPACITY;
  started = true;
  snapshot.start();
  at.setWord(at.H_ADDRESSES + 72, <u32>at.windowBase);
  at.setWord(at.H_ADDRESSES + 76, <u32>at.sumBase);
  at.setWord(at.H_ADDRESSES + 80, <u32>at.sizeBase);
  at.setWord(at.H_ADDRESSES + 84, <u32>operationTable.CLASSES);
  at.setWord(at.H_ADDRESSES + 88, <u32>at.bufferBase);
  nameTable.start(OVERFLOW_NAME, lengthOf(OVERFLOW_NAME), FOLDED_NAME, lengthOf(FOLDED_NAME));
  attribution.start();
  reservations.start();
  at.setWord(at.H_METERS, 1);
  store<u64>(at.header, load<u64>(at.form, 32), at.H_RANDOM);
  store<f64>(at.header, 3600000.0, at.H_TTL);
  routes.start();
  operationTable.start();
  return status.OK;
}

function within(word: u32, least: u32, most: u32): bool {
  const value = load<u32>(at.form + (<usize>word << 2));
  return value >= least && value <= most;
}

// ── names, nodes ─────────────────────────────────────────────────────────────────────────────────

/** Interns the `length` bytes of UTF-8 in the window as a name of a dimension (not of a run). Answers its id. */
export function intern(length: i32, dimension: i32): i32 {
  return dimension == at.DIMENSION_RUN ? status.NAME : nameTable.intern(at.windowBase, length, dimension);
}

/** Interns a name and keeps it for ever: it never becomes "(overflow)". Answers its id, or CAPACITY. */
export function pin(length: i32, dimension: i32): i32 {
  const id = nameTable.intern(at.windowBase, length, dimension);
  if (id <= 0) return id;
  if (id <= <i32>nameTable.FOLDED) return status.CAPACITY;
  nameTable.setFlags(id, nameTable.flagsOf(id) | at.NAME_PINNED);
  return id;
}

/**
 * Opens a run: its name and behind it its parent's in the window, their lengths and the ids of the other
 * names (0 for what it has not) in the form. Answers a node handle or a status.
 */
export function openRun(): f64 {
  return formNames() ? attribution.openRun() : status.NAME;
}

/** Opens a node without a run below `parent` (a node handle, or 0); ids of names in the form. Answers a node handle or a status. */
export function openScope(parent: f64): f64 {
  return formNames() ? attribution.openScope(parent) : status.NAME;
}

function formNames(): bool {
  for (let dimension = at.DIMENSION_EXPERIMENT; dimension <= at.DIMENSION_MODEL; dimension++) {
    if (!nameTable.names(load<u32>(at.form + (<usize>dimension << 2)), dimension)) return false;
  }
  return true;
}

/** Handle of the run whose id is these bytes; 0 when none is open. */
export function findRun(address: usize, length: i32): f64 {
  if (<u32>length - 1 >= at.NAME_BYTES_MAX || !isMemory(address, length)) return 0;
  const slot = nameTable.nodeOf(nameTable.find(address, length, at.DIMENSION_RUN));
  return slot == 0 ? 0 : nodeHandle(slot);
}

/** Are these bytes of this memory, with as many before them as a look at the bytes before may take? */
function isMemory(address: usize, length: u32): bool {
  return address >= at.header && <u64>address + <u64>length <= <u64>memory.size() << 16;
}

/** Marks a run or a scope as finished; `how` 0 finished, 32 failed, 64 killed. */
export function finishRun(node: f64, how: i32): i32 {
  return folding.finish(node, how & (at.STATE_FAILED | at.STATE_KILLED));
}

/** Slot of the node that `fold` would fold; 0 when there is none. */
export function oldestFinished(): i32 {
  return folding.oldest();
}

/** Folds the node that nothing has needed for longest. Answers 0 when there is none. */
export function fold(): i32 {
  return i32(folding.foldOne());
}

// ── operations and prices ────────────────────────────────────────────────────────────────────────

/** Adds an operation named by the `length` bytes in the window; traits 1 counted, 4 starts a run. Answers its id or a status. */
export function addOperation(length: i32, classId: i32, traits: i32): i32 {
  if (length < 1 || length > 256 || <u32>classId >= at.CLASSES_MAX) return status.NAME;
  const name = keepText(length);
  if (name == 0) return status.CAPACITY;
  const id = operationTable.addOperation(name, length, classId, traits & (at.TRAIT_COUNTED | at.TRAIT_RUN));
  return id < 0 ? status.CAPACITY : id;
}

let texts: u32 = 0;

/** Copies text from the window to where it stays; 0 when there is no room. */
function keepText(length: u32): usize {
  if (length > at.TEXT_BYTES - texts) return 0;
  const text = at.textBase + texts;
  memory.copy(text, at.windowBase, length);
  texts += length;
  return text;
}

/** Begins a new version of prices, of which up to so many change. Reservations keep theirs. */
export function beginPrices(changes: i32): i32 {
  return pricing.beginPrices(changes);
}

/** Sets an operation's price to the amount in the header; below 2^96. */
export function setOperationPrice(id: i32): i32 {
  return pricing.setOperationPrice(id);
}

/** Adds a meter without a price, by the id of its name; flags 2: it counts bytes. Answers its id or a status. */
export function addMeter(name: i32, flags: i32): i32 {
  return name == 0 || !nameTable.names(name, at.DIMENSION_METER) ? status.NAME : pricing.addMeter(name, flags);
}

/** Sets a meter's rate: the first amount in the header (below 2^75) for so many units as the second says (below 2^64). */
export function setMeterRate(id: i32): i32 {
  return pricing.setMeterRate(id);
}

/** Prices without booking: the amount is left in the header as the last cost. Answers flags or a status. */
export function price(operation: i32, meter: i32, quantity: f64): i32 {
  return ledger.price(operation, meter, quantity);
}

/** Keeps the path before MLflow's own, `length` bytes in the window ("/mlflow"; 0 for none). */
export function setStaticPrefix(length: i32): i32 {
  if (<u32>length > at.NAME_BYTES_MAX) return status.NAME;
  const text = keepText(length);
  if (text == 0) return status.CAPACITY;
  routes.setPrefix(text, length);
  return status.OK;
}

/** Operation of the `length` bytes "METHOD /path" at `address`; -1 for what is no MLflow route. */
export function classify(address: usize, length: i32): i32 {
  const found = routes.matchQuickly(address, length);
  return found >= 0 ? found : classifyAny(address, length);
}

function classifyAny(address: usize, length: i32): i32 {
  if (!isMemory(address, length)) return routes.NO_ROUTE;
  const found = routes.match(address, length);
  if (found != routes.UNKNOWN_ROUTE) return found;
  return routes.readsOnly(address) ? operationTable.UNKNOWN_READ : operationTable.UNKNOWN_WRITE;
}

/**
 * Scans the body of a request, `length` bytes at `address`. Answers how many things it logs, or CORRUPT. In the form:
 * 0 address and 1 length of the run's id, 4 and 5 of the experiment's (0 for none), 6 metrics, 7 params, 8 tags. A body
 * with escapes is changed: texts that have them are replaced in their place.
 */
export function scan(address: usize, length: i32): i32 {
  return isMemory(address, length) ? scanner.scan(address, length) : status.CORRUPT;
}

// ── the clock, sampling ──────────────────────────────────────────────────────────────────────────

/** Moves the only clock there is, to milliseconds since 1970. */
export function tick(now: f64): i32 {
  return ledger.tick(now);
}

/** Lets reservations live for so many ms without being touched. */
export function setTimeToLive(ms: f64): i32 {
  if (!(ms >= 1.0)) return status.CLOCK;
  store<f64>(at.header, ms, at.H_TTL);
  return status.OK;
}

/** Keeps this share (0 to 1) of the operations of a class that need not be kept. */
export function setSamplingRate(classId: i32, rate: f64): i32 {
  if (!(rate >= 0.0 && rate <= 1.0) || <u32>classId >= at.CLASSES_MAX) return status.RATE;
  sampling.setRate(classId, rate);
  return status.OK;
}

// ── the ledger ───────────────────────────────────────────────────────────────────────────────────

/** Books one operation that succeeded. Answers flags or a status. */
export function record(node: f64, operation: i32, meter: i32, quantity: f64, items: i32): i32 {
  return ledger.record(node, operation, meter, quantity, items);
}

/** The same for a call that took `latency` ms; below zero when unknown. */
export function recordTimed(node: f64, operation: i32, meter: i32, quantity: f64, items: i32, latency: f64): i32 {
  const flags = record(node, operation, meter, quantity, items);
  if (flags >= 0) measures.noteLatency(operation, latency);
  return flags;
}

/** Holds the price of a call about to run. Answers a ticket or a status. */
export function reserve(node: f64, operation: i32, meter: i32, quantity: f64): f64 {
  return ledger.reserve(node, operation, meter, quantity);
}

/** Moves a reservation to another node of the same payer. */
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

// ── budgets ──────────────────────────────────────────────────────────────────────────────────────

/**
 * Adds a budget or a rate limit. In the form: ids of its scope's names by dimension, unit (0 usd, 1 operations, 2 runs,
 * 3 bytes), period (0 hour, 1 day, 2 week, 3 month, 4 run, 5 total; 6 a second's rate, 7 a minute's), action (0 warn,
 * 1 block), offset in minutes, id of its name; amounts: limit and what is spent already (of a rate: how many may come at
 * once). Answers a handle or a status.
 */
export function addBudget(): f64 {
  return budgets.add();
}

export function removeBudget(budget: f64): i32 {
  return budgets.remove(budget);
}

/** Sets a budget's limit to the amount in the header, and its number of alerts (0 to 8; then set each). */
export function setLimit(budget: f64, alerts: i32): i32 {
  return budgets.setLimit(budget, alerts);
}

/** Sets an alert to the amount in the header, which is this share of the limit. */
export function setAlert(budget: f64, index: i32, share: f64): i32 {
  return budgets.setAlert(budget, index, share);
}

/** Slot of a live budget, or 0. */
export function budgetSlot(budget: f64): i32 {
  return budgets.liveBudget(budget);
}

/** Handle of the budget in a slot. */
export function budgetHandle(slot: i32): f64 {
  return budgets.budgetHandle(slot);
}

/** Takes an alert: in the form its index, its run's name and its period; spent is the amount. Answers a budget or 0. */
export function takeAlert(): f64 {
  return budgets.takeAlert();
}

/** Grants a slice of up to the amount in the header, which then says how much. Answers a lease or a status. */
export function grant(budget: f64): f64 {
  return ledger.grant(budget);
}

/** Spends the amount in the header of a lease. Answers flags or a status. */
export function spend(lease: f64): i32 {
  return ledger.spendLease(lease, false);
}

/** Ends a lease; what is left of it is free again. */
export function giveBack(lease: f64): i32 {
  return ledger.spendLease(lease, true);
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────

/** Fills the name sums for one dimension (1 run … 9 model), runs with their children when inclusive. */
export function rollUp(dimension: i32, inclusive: i32): i32 {
  return rollup.rollUp(dimension, inclusive != 0);
}

// ── snapshots, merging ───────────────────────────────────────────────────────────────────────────

/** Names this engine among those that are merged: a whole number from 1 (0: it cannot be merged), and which life of it this is. */
export function setSource(source: f64, epoch: i32): i32 {
  return snapshot.setSource(source, epoch);
}

/** Begins to write a snapshot; nothing but `snapshotChunk` may be called until it is written. */
export function snapshotBegin(): i32 {
  return snapshot.snapshotBegin();
}

/** Writes the next bytes into the window. Answers how many; 0 after the last. */
export function snapshotChunk(): i32 {
  return snapshot.snapshotChunk();
}

/** Begins to read a snapshot: twice, see `restoreChunk`. */
export function restoreBegin(): i32 {
  return snapshot.restoreBegin();
}

/** Reads bytes from the window: `apply` 0 only looks, 1 changes. Answers how many it took, or a status. */
export function restoreChunk(length: i32, apply: i32): i32 {
  return snapshot.restoreChunk(length, apply);
}

/** Ends a reading; see assembly/snapshot.ts for what a status after `apply` 1 means. */
export function restoreEnd(apply: i32): i32 {
  return snapshot.restoreEnd(apply);
}

/** Begins to read a snapshot whose ledgers are merged. */
export function mergeBegin(): i32 {
  return snapshot.mergeBegin();
}

/** Reads bytes from the window. Answers how many it took, or a status. */
export function mergeChunk(length: i32): i32 {
  return snapshot.mergeChunk(length);
}

/** Takes the ledgers in, or refuses them whole with a status. */
export function mergeEnd(): i32 {
  return snapshot.mergeEnd();
}
