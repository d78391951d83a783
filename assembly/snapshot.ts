// Snapshots: everything as bytes, brought back, or merged into another engine's account.
//
// FORMAT 4. Everything is little-endian; amounts are 16 bytes, low word first. A snapshot is a run of rows:
//
//   section u32 │ index u32 │ bytes of the section's row
//
// Rows come in ascending order of section and index; a row of zeros is left out. The sections, their bytes a row,
// and what a row is (layout.ts describes the records byte by byte):
//
//    0 head          80   magic "genops" 0 2 │ 8 format u32 │ 12 hash of the operations' names u32 │ 16 eight capacities u32:
//                         nodes, tuples, names, bytes of names, reservations and 2, budgets and 1, positions and 1, bytes of
//                         merged ledgers │ 48 source f64 │ 56 epoch u32, 60 zero │ 64 sequence u64 │ 72 zero
//    1 header       592   the header's state: totals, counters, lists
//    2 meters        32   by meter id
//    3 operations    24   by operation id: price, class, traits
//    4 blocks         8   two heads of lists of free name bytes
//    5 old prices    40
//    6 cells         96   calls by operation id, then 4,096 by their key
//    7 measures      32   eight counts u32 of the latencies (120 rows an operation … 30), then of the sizes (26 an operation)
//    8 nodes         64   both halves; slot 0 the list of what can be folded; behind the capacity the overflow nodes
//    9 tuples        64
//   10 reservations 240
//   11 budgets      448
//   12 links          8
//   13 positions     64
//   14 names         16   by name id
//   15 folded        16   amount by name id
//   16 name bytes    64   from 64 × index on
//   17 ledger        24   source f64 │ 8 epoch u32, 12 zero │ 16 sequence u64; index is the number of bytes up to the next.
//                         Begins the ledger of another engine that was merged: rows of sections 1, 6, 7, 8, 9 and 15 follow.
//                         Their names and meters are those of sections 14 and 2.
//   0xffffffff             the last row: index is the number of rows before it; 8 bytes of checksum follow
//
// The checksum takes the words of 8 bytes before the last row in order: h = 0; h = (h xor word) × 0x9e3779b97f4a7c15;
// h = h xor (h >> 32). The hash of a name begins with h = dimension × 2^32 + length, takes in its words of 8 bytes in the
// same way, then what is left byte by byte, and is the upper half of h × 0x9e3779b97f4a7c15. That of a tuple is the hash
// of its names' 24 bytes with 1 for the dimension, its lowest bit set; that of the operations begins with 0 and takes
// each name in turn, with the hash so far for the dimension.
//
// The sequence grows with everything that is booked, opened, finished or folded: of two ledgers of one source and epoch
// the greater holds the newer.
import { enterTuple, tupleAt } from "./attribution";
import { budgetAt, positionAt, rateHolds, remarkAll } from "./budgets";
import { PERIOD_RUN, TIME_END } from "./calendar";
import { hashOf, mixed } from "./bytes";
import { isFree, isInUse, nodeAt } from "./handles";
import * as at from "./layout";
import * as money from "./money";
import * as names from "./names";
import { addMeter, isQuantity, meterAt, meterNamed, operationAt } from "./pricing";
import * as status from "./status";

const MAGIC: u64 = 0x020073706f6e6567;
const FORMAT: u32 = 4;
const HEAD: u32 = 0;
export const HEADER: u32 = 1;
const METERS: u32 = 2;
const OPERATIONS: u32 = 3;
const CELLS: u32 = 6;
const MEASURES: u32 = 7;
const NODES: u32 = 8;
export const TUPLES: u32 = 9;
const RESERVATIONS: u32 = 10;
const NAMES: u32 = 14;
export const FOLDED: u32 = 15;
const NAME_BYTES: u32 = 16;
const LEDGER: u32 = 17;
const END: u32 = 0xffffffff;
const HEAD_BYTES: u32 = 80;
/** What a merged ledger keeps: header, cells, measures, nodes, tuples, folded amounts. */
const KEPT: u32 = (1 << HEADER) | (1 << CELLS) | (1 << MEASURES) | (1 << NODES) | (1 << TUPLES) | (1 << FOLDED);
/** What is needed to understand it. */
const STAGED: u32 = KEPT | (1 << METERS) | (1 << NAMES) | (1 << NAME_BYTES);

const head: usize = memory.data(HEAD_BYTES, 8);
/** Bytes of a row by section. */
const rowBytes: usize = memory.data<u16>([80, 592, 32, 24, 8, 40, 96, 32, 64, 64, 240, 448, 8, 64, 16, 16, 64, 24]);
/** Bytes from record to record in memory; nodes lie in halves. */
const strides: usize = memory.data<u16>([80, 592, 32, 32, 8, 40, 96, 32, 0, 64, 240, 448, 8, 64, 16, 16, 64, 0]);
/** Number of records by section. */
const limits: usize = memory.data(LEDGER * 4, 4);

@inline
function bytesOf(section: u32): u32 {
  return load<u16>(rowBytes + (<usize>section << 1));
}

@inline
function limitOf(section: u32): u32 {
  return load<u32>(limits + (<usize>section << 2));
}

function recordAt(section: u32, index: u32): usize {
  if (section == NODES) return nodeAt(index);
  return (
    <usize>at.word(at.H_ADDRESSES + (<usize>section << 2)) + <usize>index * load<u16>(strides + (<usize>section << 1))
  );
}

function section(id: u32, base: usize, limit: u32): void {
  at.setWord(at.H_ADDRESSES + (<usize>id << 2), <u32>base);
  if (id < LEDGER) store<u32>(limits + (<usize>id << 2), limit);
}

/** Says where all records are: once, after memory was sized. The host reads the addresses too. */
export function start(): void {
  section(HEAD, head, 1);
  section(HEADER, at.header, 1);
  section(METERS, at.meterBase, at.METER_CAPACITY);
  section(OPERATIONS, at.operationBase, at.OPERATION_CAPACITY);
  section(4, at.blockBase, at.BLOCK_SIZES >> 1);
  section(5, at.oldPriceBase, at.OLD_PRICES);
  section(CELLS, at.callBase, at.OPERATION_CAPACITY + at.CELL_CAPACITY);
  section(MEASURES, at.measureBase, at.OPERATION_CAPACITY * <u32>(at.LATENCY_STRIDE + at.SIZE_STRIDE) / at.MEASURE_PIECE);
  section(NODES, at.nodeBase, at.lastNode + 1);
  section(TUPLES, at.tupleBase, at.tupleCapacity);
  section(RESERVATIONS, at.reservationBase, at.reservationCapacity);
  section(11, at.budgetBase, at.budgetCapacity);
  section(12, at.linkBase, at.linkCapacity);
  section(13, at.positionBase, at.positionCapacity);
  section(NAMES, at.nameBase, at.nameCapacity);
  section(FOLDED, at.foldedBase, at.nameCapacity);
  section(NAME_BYTES, at.nameByteBase, at.nameByteCapacity >> 6);
  section(LEDGER, at.sourceBase, 0);
}

/** Fills the head in: what this engine is, and how far its ledger has come. */
function writeHead(): void {
  store<u64>(head, MAGIC);
  store<u32>(head, FORMAT, 8);
  let hash: u32 = 0;
  for (let id: u32 = 0; id < at.word(at.H_OPERATIONS); id++) {
    hash = hashOf(<usize>load<u32>(operationAt(id), at.O_NAME), load<u32>(operationAt(id), at.O_LENGTH), hash);
  }
  store<u32>(head, hash, 12);
  store<u32>(head, at.nodeCapacity, 16);
  store<u32>(head, at.tupleCapacity, 20);
  store<u32>(head, at.nameCapacity, 24);
  store<u32>(head, at.nameByteCapacity, 28);
  store<u32>(head, at.reservationCapacity, 32);
  store<u32>(head, at.budgetCapacity, 36);
  store<u32>(head, at.positionCapacity, 40);
  store<u32>(head, at.sourceCapacity, 44);
  memory.copy(head + 48, at.header + at.H_SOURCE, 16);
  let sequence = load<u64>(at.header, at.H_CHANGES);
  for (let id: u32 = 0; id < at.OPERATION_CAPACITY; id++) {
    sequence += load<u64>(recordAt(CELLS, id), at.C_COUNT) + load<u64>(recordAt(CELLS, id), at.C_ERRORS);
  }
  store<u64>(head, sequence, 64);
}

/** Names this engine among those that are merged. */
export function setSource(source: f64, epoch: u32): i32 {
  if (!(source >= 0.0 && source <= 9007199254740991.0)) return status.SOURCE;
  store<f64>(at.header, source, at.H_SOURCE);
  store<u32>(at.header, epoch, at.H_EPOCH);
  return status.OK;
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────

let atSection: u32 = 0;
let atIndex: u32 = 0;
let atSource: usize = 0;
let rows: u32 = 0;
let checksum: u64 = 0;
/** The last row was written, or read. */
let done: bool = false;
/** Section and index of the row before, so that order can be told. */
let lastRow: u64 = 0;
/** Does the row that is read belong to a merged ledger? */
let inLedger: bool = false;
/** Bytes that were staged behind the merged ledgers. */
let staged: usize = 0;

function take(address: usize, bytes: u32): void {
  for (let i: u32 = 0; i < bytes; i += 8) checksum = mixed(checksum, load<u64>(address + i));
}

function begin(): void {
  writeHead();
  atSection = 0;
  atIndex = 0;
  atSource = at.sourceBase;
  rows = 0;
  checksum = 0;
  done = false;
  lastRow = 0;
  inLedger = false;
  staged = at.sourceBase + at.word(at.H_SOURCE_BYTES);
}

export function snapshotBegin(): i32 {
  begin();
  return status.OK;
}

function isZero(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i += 8) if (load<u64>(address + i) != 0) return false;
  return true;
}

/** A node whose halves were put together. */
const whole: usize = memory.data(<i32>at.NODE_BYTES, 8);

/** A record as it is in a snapshot. */
function wholeOf(section: u32, index: u32): usize {
  const record = recordAt(section, index);
  if (section != NODES) return record;
  memory.copy(whole, record, at.NODE_HALF);
  memory.copy(whole + at.NODE_HALF, record + at.NODE_APART, at.NODE_HALF);
  return whole;
}

/** Puts a row of a snapshot where its record is. */
function putBack(section: u32, index: u32, row: usize, bytes: u32): void {
  const record = recordAt(section, index);
  if (section == FOLDED) names.noteFolded(index);
  if (section != NODES) {
    memory.copy(record, row, bytes);
    return;
  }
  memory.copy(record, row, at.NODE_HALF);
  memory.copy(record + at.NODE_APART, row + at.NODE_HALF, at.NODE_HALF);
}

/** Writes the next rows into the window. Answers their bytes; 0 after the last. Nothing else may be called in between. */
export function snapshotChunk(): i32 {
  let to = at.windowBase;
  const end = at.windowBase + at.WINDOW_BYTES;
  while (atSection < LEDGER) {
    const bytes = bytesOf(atSection);
    while (atIndex < limitOf(atSection)) {
      const record = wholeOf(atSection, atIndex);
      if (!isZero(record, bytes)) {
        if (to + 8 + bytes > end) return <i32>(to - at.windowBase);
        to = put(to, atSection, atIndex, record, bytes);
      }
      atIndex++;
    }
    atSection++;
    atIndex = 0;
  }
  while (atSource < staged) {
    const bytes = bytesOf(load<u32>(atSource));
    if (to + 8 + bytes > end) return <i32>(to - at.windowBase);
    to = put(to, load<u32>(atSource), load<u32>(atSource, 4), atSource + 8, bytes);
    atSource += 8 + bytes;
  }
  if (done || to + 16 > end) return <i32>(to - at.windowBase);
  done = true;
  store<u32>(to, END);
  store<u32>(to, rows, 4);
  store<u64>(to, checksum, 8);
  return <i32>(to + 16 - at.windowBase);
}

function put(to: usize, id: u32, index: u32, record: usize, bytes: u32): usize {
  store<u32>(to, id);
  store<u32>(to, index, 4);
  memory.copy(to + 8, record, bytes);
  take(to, bytes + 8);
  rows++;
  return to + 8 + bytes;
}

// ── reading rows ─────────────────────────────────────────────────────────────────────────────────

const VERIFY: u32 = 0;
const APPLY: u32 = 1;
const MERGE: u32 = 2;

/** Reads the rows that lie whole in the first `length` bytes of the window. Answers the bytes read, or a status. */
function read(length: u32, how: u32): i32 {
  if (length > at.WINDOW_BYTES) return status.CORRUPT;
  let row = at.windowBase;
  const end = row + length;
  while (row + 16 <= end) {
    if (done) return status.CORRUPT;
    const id = load<u32>(row);
    const index = load<u32>(row, 4);
    if (id == END) {
      if (index != rows || load<u64>(row, 8) != checksum) return status.CORRUPT;
      done = true;
      row += 16;
      continue;
    }
    if (id > LEDGER) return status.CORRUPT;
    const bytes = bytesOf(id);
    if (row + 8 + bytes > end) break;
    const wrong = accept(row, id, index, bytes, how);
    if (wrong < 0) return wrong;
    take(row, bytes + 8);
    rows++;
    row += 8 + bytes;
  }
  return <i32>(row - at.windowBase);
}

function accept(row: usize, id: u32, index: u32, bytes: u32, how: u32): i32 {
  const place = (<u64>id << 32) | index;
  if (rows == 0) {
    if (id != HEAD || load<u64>(row, 8) != MAGIC) return status.CORRUPT;
    if (load<u64>(row, 16) != load<u64>(head, 8)) return status.INCOMPATIBLE;
    if (how != MERGE) {
      // What another source or life of it counted would be counted again under this name.
      const isOther = load<f64>(row, 56) != load<f64>(head, 48) || load<u32>(row, 64) != load<u32>(head, 56);
      if (isOther && load<f64>(row, 56) != 0 && load<f64>(head, 48) != 0) return status.INCOMPATIBLE;
      for (let i: usize = 16; i < 48; i += 4) if (load<u32>(row + 8 + i) != load<u32>(head + i)) return status.INCOMPATIBLE;
    }
  } else if (id != LEDGER) {
    // Folded amounts of a merged ledger have got other names since they were put in order.
    const renamed = inLedger && id == FOLDED && <u32>(lastRow >> 32) == FOLDED;
    if ((place <= lastRow && !renamed) || (inLedger && !((KEPT >> id) & 1))) return status.CORRUPT;
    // What has a place by name or handle may lie elsewhere in another engine.
    if ((id <= MEASURES || (how != MERGE && !inLedger)) && index >= limitOf(id)) return status.CORRUPT;
  }
  lastRow = place;
  if (id == LEDGER) {
    inLedger = true;
    lastRow = 1;
  }
  if (how == APPLY && !inLedger) {
    if (id != HEAD) putBack(id, index, row + 8, bytes);
    return status.OK;
  }
  if (how == MERGE && !inLedger) {
    if (rows == 0) return stageHead(row);
    if (((STAGED >> id) & 1) == 0 || (id == NODES && load<u32>(row + 8, at.N_STATE) == 0)) return status.OK;
  }
  return how == VERIFY ? status.OK : stage(row, bytes + 8);
}

/** Keeps bytes behind the merged ledgers. */
function stage(row: usize, bytes: u32): i32 {
  if (staged + bytes > at.sourceBase + at.sourceCapacity) return status.CAPACITY;
  memory.copy(staged, row, bytes);
  staged += bytes;
  return status.OK;
}

/** The head of a snapshot begins a ledger: its own. */
function stageHead(row: usize): i32 {
  const source = load<f64>(row, 56);
  if (!(source >= 1.0 && source <= 9007199254740991.0)) return status.SOURCE;
  const begun = stage(row, 32);
  if (begun < 0) return begun;
  store<u32>(staged - 32, LEDGER);
  memory.copy(staged - 24, row + 56, 24);
  return status.OK;
}

// ── restoring ────────────────────────────────────────────────────────────────────────────────────

export function restoreBegin(): i32 {
  begin();
  return status.OK;
}

/**
 * Reads `length` bytes of the window: once from beginning to end with `apply` 0, which changes nothing, then
 * again with 1. Answers how many were read (the rest comes again, in front of what follows), or a status.
 */
export function restoreChunk(length: i32, apply: i32): i32 {
  if (apply != 0 && rows == 0) {
    for (let id: u32 = HEADER; id < LEDGER; id++) {
      // Names of operations stay where they are, and what is no state in the header.
      if (id == OPERATIONS) for (let i: u32 = 0; i < limitOf(id); i++) memory.fill(recordAt(id, i), 0, bytesOf(id));
      else if (id == HEADER) memory.fill(at.header, 0, at.HEADER_STATE);
      else if (id == NODES) memory.fill(at.nodeBase, 0, at.nodesEnd() - at.nodeBase);
      else memory.fill(recordAt(id, 0), 0, recordAt(id, limitOf(id)) - recordAt(id, 0));
    }
    staged = at.sourceBase;
  }
  return read(length, apply != 0 ? APPLY : VERIFY);
}

/**
 * Ends a reading. After the second the engine is what the snapshot says; if it contradicts itself, the
 * answer is a status and the engine is of no use: put its memory back as it was before the second reading.
 */
export function restoreEnd(apply: i32): i32 {
  if (!done) return status.CORRUPT;
  if (apply == 0) return status.OK;
  const bytes = <u32>(staged - at.sourceBase);
  if (bytes != at.word(at.H_SOURCE_BYTES) || !headerHolds()) return status.CORRUPT;
  if (!indexNames() || !indexTuples()) return status.CORRUPT;
  look(0, 0);
  if (!ledgerHolds() || !listsHold() || !limitsHold()) return status.CORRUPT;
  for (let ledger = at.sourceBase; ledger < staged; ledger = afterLedger(ledger)) {
    const length = load<u32>(ledger, 4);
    if (load<u32>(ledger) != LEDGER || length < 32 || length > <u32>(staged - ledger)) return status.CORRUPT;
    look(ledger, ledger + length);
    if (startOf(LEDGER) != ledger + length || !ledgerHolds()) return status.CORRUPT;
  }
  return status.OK;
}

function headerHolds(): bool {
  for (let id: u32 = 0; id < at.OPERATION_CAPACITY; id++) {
    const operation = operationAt(id);
    // Their names were not in the snapshot, but its head says that they are these.
    if (load<u32>(operation, at.O_LENGTH) != 0 != id < at.word(at.H_OPERATIONS)) return false;
    if (load<u32>(operation, 12) != 0 || load<u32>(operation, at.O_CLASS) >= at.CLASSES_MAX || load<u32>(operation, at.O_TRAITS) > 7) return false;
  }
  const now = load<f64>(at.header, at.H_NOW);
  const latest = load<f64>(at.header, at.H_LATEST);
  return (
    at.word(at.H_NAMES) > names.FOLDED && at.word(at.H_NAMES) <= at.nameCapacity &&
    at.word(at.H_NAME_BYTES) <= at.nameByteCapacity && (at.word(at.H_NAME_BYTES) & 15) == 0 &&
    at.word(at.H_TUPLES) - 1 < at.tupleCapacity && at.word(at.H_NODES) <= at.nodeCapacity &&
    at.word(at.H_METERS) - 1 < at.METER_CAPACITY && at.word(at.H_OLD_PRICES) <= at.OLD_PRICES &&
    at.word(at.H_RESERVATIONS) - 2 <= at.reservationCapacity - 2 && at.word(at.H_BUDGETS) < at.budgetCapacity &&
    at.word(at.H_LINKS) < at.linkCapacity && at.word(at.H_POSITIONS) < at.positionCapacity && at.word(at.H_SLOT) < 2 &&
    now >= 0.0 && now <= latest && latest < TIME_END
  );
}

/** Finds all names again; none may be there twice, or say what its bytes do not. */
function indexNames(): bool {
  memory.fill(at.nameIndexBase, 0, (<usize>at.nameIndexMask + 1) << 2);
  const used = at.word(at.H_NAMES);
  for (let id: u32 = 1; id < used; id++) {
    const entry = names.entryOf(id);
    const length: u32 = load<u16>(entry, 4);
    const dimension = names.dimensionOf(id);
    if (dimension == 0) {
      if (load<u32>(entry, 4) != 0 || id <= names.FOLDED) return false;
      continue;
    }
    const offset = load<u32>(entry);
    if (dimension >= at.DIMENSIONS || length == 0 || length > at.NAME_BYTES_MAX || (offset & 15) != 0) return false;
    if (offset > at.word(at.H_NAME_BYTES) || length > at.word(at.H_NAME_BYTES) - offset) return false;
    const bytes = at.nameByteBase + offset;
    if (load<u32>(entry, 8) != hashOf(bytes, length, dimension) || names.find(bytes, length, dimension) != 0) return false;
    if (dimension != at.DIMENSION_RUN && load<u32>(entry, 12) != 0) return false;
    names.enter(id);
  }
  return true;
}

function indexTuples(): bool {
  memory.fill(at.tupleIndexBase, 0, (<usize>at.tupleIndexMask + 1) << 2);
  for (let index: u32 = 0; index < at.word(at.H_TUPLES); index++) {
    if (load<u32>(tupleAt(index), at.T_HASH) != 0) enterTuple(index);
  }
  return true;
}

// ── rows of one ledger: the engine's own records, or those of a merged one ───────────────────────

/** Where the ledger that is looked at begins; 0 is the engine's own. */
let ledger: usize = 0;
/** How much nearer the other halves of its nodes are. */
let nearer: usize = 0;
/** First row and end of its sections. */
const starts: usize = memory.data((LEDGER + 1) * 4, 4);
/** The same of the snapshot whose names are spoken of while it is merged. */
let namesFrom: usize = 0;
let namesTo: usize = 0;
let bytesFrom: usize = 0;
let bytesTo: usize = 0;
let merging: bool = false;

@inline
function afterLedger(ledger: usize): usize {
  return ledger + load<u32>(ledger, 4);
}

/** Turns to a ledger. */
function look(from: usize, to: usize): void {
  ledger = from;
  nearer = from == 0 ? 0 : at.NODE_NEARER;
  if (from == 0) return;
  let row = from + 32;
  for (let id: u32 = 0; id <= LEDGER; id++) {
    store<u32>(starts + (<usize>id << 2), <u32>row);
    while (row < to && load<u32>(row) == id) row += 8 + bytesOf(id);
  }
}

@inline
function startOf(id: u32): usize {
  return load<u32>(starts + (<usize>id << 2));
}

let rowIndex: u32 = 0;
let rowAt: usize = 0;
let rowSection: u32 = 0;

/** First record of a section, 0 when there is none; its number is left in `rowIndex`. */
function first(id: u32): usize {
  rowSection = id;
  rowIndex = 0;
  rowAt = startOf(id);
  if (ledger == 0) return recordAt(id, 0);
  return here();
}

@inline
function here(): usize {
  if (rowAt >= startOf(rowSection + 1)) return 0;
  rowIndex = load<u32>(rowAt, 4);
  return rowAt + 8;
}

function next(): usize {
  if (ledger == 0) return ++rowIndex < limitOf(rowSection) ? recordAt(rowSection, rowIndex) : 0;
  rowAt += 8 + bytesOf(rowSection);
  return here();
}

/** The record of a section with this number; 0 when there is none. */
function find(id: u32, index: u32): usize {
  if (ledger == 0) return index < limitOf(id) ? recordAt(id, index) : 0;
  return search(startOf(id), startOf(id + 1), bytesOf(id) + 8, index);
}

/** Searches rows of equal length for an index; the record, or 0. */
function search(from: usize, to: usize, bytes: u32, index: u32): usize {
  let low: u32 = 0;
  let high = <u32>(to - from) / bytes;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(from + <usize>middle * bytes, 4) < index) low = middle + 1;
    else high = middle;
  }
  const row = from + <usize>low * bytes;
  return row < to && load<u32>(row, 4) == index ? row + 8 : 0;
}

/** Is this 0 or the id of a name of the dimension, where the ledger's names are? */
function isName(id: u32, dimension: u32): bool {
  if (!merging) return names.names(id, dimension);
  if (id == 0) return true;
  const entry = search(namesFrom, namesTo, 24, id);
  return entry != 0 && <u32>load<u8>(entry, 6) == dimension;
}

/** Set on a node while a reading looks at it: the chain above it was gone up, and is being gone up. */
const ENDS: u32 = 0x40000000;
const GOING: u32 = 0x80000000;
/** All states there are. */
const STATES: u32 = 0xff;

/** Does the chain of parents above a node come to an end? Every node is gone up from once. */
function endsAbove(node: usize): bool {
  let above = node;
  let ends = true;
  while (load<u32>(above - nearer, at.N_PARENT) != 0 && !(load<u32>(above, at.N_STATE) & ENDS)) {
    store<u32>(above, load<u32>(above, at.N_STATE) | GOING, at.N_STATE);
    above = find(NODES, load<u32>(above - nearer, at.N_PARENT));
    // A chain that does not end is one that goes round.
    if (above == 0 || load<u32>(above, at.N_STATE) == 0 || (load<u32>(above, at.N_STATE) & GOING) != 0) {
      ends = false;
      break;
    }
  }
  for (above = node; above != 0 && (load<u32>(above, at.N_STATE) & GOING) != 0; ) {
    store<u32>(above, (load<u32>(above, at.N_STATE) & ~GOING) | ENDS, at.N_STATE);
    above = load<u32>(above - nearer, at.N_PARENT) == 0 ? 0 : find(NODES, load<u32>(above - nearer, at.N_PARENT));
  }
  return ends;
}

/** What the folded amounts of a dimension come to. */
const sums: usize = memory.data(at.DIMENSIONS * 16, 8);

/** Is the ledger that is looked at sound: does everything refer to what is there, and add up? */
function ledgerHolds(): bool {
  for (let node = first(NODES); node != 0; node = next()) if (load<u32>(node, at.N_STATE) > STATES) return false;
  const holds = everythingHolds();
  for (let node = first(NODES); node != 0; node = next()) store<u32>(node, load<u32>(node, at.N_STATE) & STATES, at.N_STATE);
  return holds;
}

function everythingHolds(): bool {
  const header = find(HEADER, 0);
  if (header == 0) return false;
  memory.copy(sums, header + at.H_FOLDED, at.DIMENSIONS * 16);
  // Name 0 of the sums is that of all nodes; no dimension has it.
  memory.fill(sums, 0, 16);
  for (let node = first(NODES); node != 0; node = next()) {
    const state = load<u32>(node, at.N_STATE) & ~ENDS;
    if (state == 0 || rowIndex == 0) {
      if ((load<u64>(node) | load<u64>(node, 8) | state) != 0) return false;
      continue;
    }
    const tuple = find(TUPLES, load<u32>(node - nearer, at.N_TUPLE));
    if (tuple == 0 || load<u32>(tuple, at.T_HASH) == 0) return false;
    const dimension = state & at.STATE_SCOPE ? at.DIMENSION_MODEL : at.DIMENSION_RUN;
    if (!isName(load<u32>(node - nearer, at.N_EXPERIMENT), at.DIMENSION_EXPERIMENT) || !isName(load<u32>(node - nearer, at.N_NAME), dimension)) return false;
    money.addTo(sums, load<u64>(node), load<u64>(node, 8));
    if (load<u32>(node - nearer, at.N_PARENT) != 0 && !endsAbove(node)) return false;
  }
  let tuplesLow: u64 = 0;
  let tuplesHigh: u64 = 0;
  for (let tuple = first(TUPLES); tuple != 0; tuple = next()) {
    const hash = load<u32>(tuple, at.T_HASH);
    if (hash == 0) continue;
    if (hash != (hashOf(tuple + at.T_NAMES, at.PAYER_BYTES, 1) | 1)) {
      // Names of a merged ledger have other ids here than where it was hashed.
      if (ledger == 0) return false;
    }
    for (let i: u32 = 0; i < at.PAYER_NAMES; i++) {
      if (!isName(load<u32>(tuple + at.T_NAMES + (<usize>i << 2)), at.DIMENSION_TEAM + i)) return false;
    }
    money.sum(tuplesLow, tuplesHigh, load<u64>(tuple), load<u64>(tuple, 8));
    tuplesLow = money.low;
    tuplesHigh = money.high;
  }
  for (let amount = first(FOLDED); amount != 0; amount = next()) {
    if ((load<u64>(amount) | load<u64>(amount, 8)) == 0) continue;
    let dimension = at.DIMENSION_MODEL;
    while (dimension != 0 && !isName(rowIndex, dimension)) dimension--;
    if (dimension == 0 || rowIndex == 0) return false;
    money.addTo(sums + (<usize>dimension << 4), load<u64>(amount), load<u64>(amount, 8));
  }
  let cellsLow: u64 = 0;
  let cellsHigh: u64 = 0;
  let keys: u32 = 0;
  for (let cell = first(CELLS); cell != 0; cell = next()) {
    const key = load<u32>(cell, at.C_KEY);
    if (rowIndex < at.OPERATION_CAPACITY ? key != 0 : key != 0 && !isKey(key, rowIndex)) return false;
    if (rowIndex > at.OPERATION_CAPACITY && key != 0) keys++;
    if (load<u64>(cell, at.C_COUNT) == 0 && (load<u64>(cell) | load<u64>(cell, 8)) != 0) return false;
    money.sum(cellsLow, cellsHigh, load<u64>(cell), load<u64>(cell, 8));
    cellsLow = money.low;
    cellsHigh = money.high;
  }
  if (keys != load<u32>(header, at.H_CELLS) || !isTotal(header, cellsLow, cellsHigh)) return false;
  const nodesLow = load<u64>(sums);
  const nodesHigh = load<u64>(sums, 8);
  for (let dimension: u32 = 1; dimension <= at.DIMENSION_MODEL; dimension++) {
    money.sum(nodesLow, nodesHigh, load<u64>(sums + (<usize>dimension << 4)), load<u64>(sums + (<usize>dimension << 4), 8));
    if (dimension >= at.DIMENSION_TEAM && dimension <= at.DIMENSION_CONTEXT) {
      money.sum(money.low, money.high, tuplesLow, tuplesHigh);
    }
    if (!isTotal(header, money.low, money.high)) return false;
  }
  return <i64>load<u64>(header, 8) >= 0;
}

function isTotal(header: usize, low: u64, high: u64): bool {
  return load<u64>(header) == low && load<u64>(header, 8) == high;
}

/** Is this the key of a cell: of an operation and a meter that are there, or of what no longer fit? */
function isKey(key: u32, index: u32): bool {
  if (key == at.CELL_OVERFLOW_KEY) return index == at.OPERATION_CAPACITY;
  const meter = (key - 1) & 0xffff;
  if ((key - 1) >> 16 >= at.word(at.H_OPERATIONS) || meter == 0) return false;
  return merging ? search(metersFrom, metersTo, 40, meter) != 0 : meter < at.word(at.H_METERS);
}

// ── what only the engine's own records have ──────────────────────────────────────────────────────

/** Goes through a list of records; the number of them, or all ones when it leads astray. */
function lengthOf(firstOf: u32, section: u32, nextAt: usize, limit: u32): u32 {
  let length: u32 = 0;
  let slot = firstOf;
  while (slot != 0) {
    if (slot >= limit || ++length > limit) return 0xffffffff;
    slot = load<u32>(recordAt(section, slot) + nextAt);
  }
  return length;
}

/** Are the lists whole: of nodes, tuples, names and reservations, and what counts them? */
function listsHold(): bool {
  const lastNode = at.lastNode;
  let live: u32 = 0;
  let queued: u32 = 0;
  memory.fill(at.tupleSumBase, 0, <usize>at.tupleCapacity << 4);
  // What needs a node is counted back to nothing, and set again.
  for (let pass: i32 = -1; pass <= 1; pass += 2) {
    for (let slot: u32 = 1; slot <= lastNode; slot++) {
      const node = nodeAt(slot);
      const state = load<u32>(node, at.N_STATE);
      if (state != 0 && !needs(load<u32>(node, at.N_PARENT), pass)) return false;
    }
    for (let slot: u32 = 2; slot < at.word(at.H_RESERVATIONS); slot++) {
      const reservation = recordAt(RESERVATIONS, slot);
      const state = load<u32>(reservation, at.R_STATE) & 3;
      const node = load<u32>(reservation, at.R_NODE);
      if (state != 0 && state != 3) {
        if (node == 0 || node > lastNode || load<u32>(nodeAt(node), at.N_STATE) == 0 || !needs(node, pass)) return false;
      }
    }
    if (pass > 0) break;
    for (let slot: u32 = 1; slot <= at.nodeCapacity; slot++) {
      const node = nodeAt(slot);
      if (!(load<u32>(node, at.N_STATE) & at.STATE_QUEUED) && load<u32>(node, at.N_STATE) != 0 && load<u32>(node, at.N_NEEDED) != 0) return false;
    }
  }
  for (let slot: u32 = 1; slot <= lastNode; slot++) {
    const node = nodeAt(slot);
    const state = load<u32>(node, at.N_STATE);
    if (state == 0) {
      if (!isFree(load<u32>(node, at.N_GENERATION))) return false;
      continue;
    }
    if (!isInUse(load<u32>(node, at.N_GENERATION)) || (slot > at.word(at.H_NODES) && slot <= at.nodeCapacity)) return false;
    const tally = at.tupleSumBase + (<usize>load<u32>(node, at.N_TUPLE) << 4);
    store<u32>(tally, load<u32>(tally) + 1);
    if (slot > at.nodeCapacity) continue;
    live++;
    if (state & at.STATE_QUEUED) queued++;
    if ((state & at.STATE_RUN) != 0 && names.nodeOf(load<u32>(node, at.N_NAME)) != slot) return false;
  }
  for (let id: u32 = 1; id < at.word(at.H_NAMES); id++) {
    if (names.dimensionOf(id) != at.DIMENSION_RUN) continue;
    const node = names.nodeOf(id);
    if (node != 0 && (node > at.nodeCapacity || load<u32>(nodeAt(node), at.N_NAME) != id || !(load<u32>(nodeAt(node), at.N_STATE) & at.STATE_RUN))) return false;
  }
  // The list of what can be folded goes round by way of node 0.
  let before: u32 = 0;
  let slot = load<u32>(nodeAt(0), at.N_NEXT);
  while (slot != 0) {
    if (slot > at.nodeCapacity || !(load<u32>(nodeAt(slot), at.N_STATE) & at.STATE_QUEUED) || load<u32>(nodeAt(slot), at.N_BEFORE) != before) return false;
    if (queued-- == 0) return false;
    before = slot;
    slot = load<u32>(nodeAt(slot), at.N_NEXT);
  }
  if (queued != 0 || load<u32>(nodeAt(0), at.N_BEFORE) != before || live != at.word(at.H_LIVE_NODES)) return false;
  if (lengthOf(at.word(at.H_FREE_NODE), NODES, at.N_NEXT, at.nodeCapacity + 1) != at.word(at.H_NODES) - live) return false;
  for (slot = at.word(at.H_FREE_NODE); slot != 0; slot = load<u32>(nodeAt(slot), at.N_NEXT)) if (load<u32>(nodeAt(slot), at.N_STATE) != 0) return false;

  let tuples: u32 = 0;
  let idle: u32 = 0;
  for (let index: u32 = 0; index < at.tupleCapacity; index++) {
    const tuple = tupleAt(index);
    if (load<u32>(tuple, at.T_HASH) == 0) continue;
    if (index >= at.word(at.H_TUPLES)) return false;
    tuples++;
    const nodes = load<u32>(tuple, at.T_NODES);
    if (nodes != load<u32>(at.tupleSumBase + (<usize>index << 4)) + u32(index == 0)) return false;
    if (nodes == 0) idle++;
  }
  if (tuples != at.word(at.H_LIVE_TUPLES) || idle != at.word(at.H_IDLE_TUPLES) || load<u32>(tupleAt(0), at.T_HASH) == 0) return false;
  if (lengthOf(at.word(at.H_FREE_TUPLE), TUPLES, at.T_NEXT, at.tupleCapacity) != at.word(at.H_TUPLES) - tuples) return false;
  for (slot = at.word(at.H_FREE_TUPLE); slot != 0; slot = load<u32>(tupleAt(slot), at.T_NEXT)) if (load<u32>(tupleAt(slot), at.T_HASH) != 0) return false;

  let free: u32 = 0;
  for (let id: u32 = 1; id < at.word(at.H_NAMES); id++) if (names.dimensionOf(id) == 0) free++;
  if (lengthOf(at.word(at.H_FREE_NAME), NAMES, 12, at.word(at.H_NAMES)) != free) return false;
  for (slot = at.word(at.H_FREE_NAME); slot != 0; slot = load<u32>(names.entryOf(slot), 12)) if (names.dimensionOf(slot) != 0) return false;
  return blocksHold() && reservationsHold();
}

/** Adds to what needs a node (none, or an overflow node: nothing). False when nothing can. */
function needs(slot: u32, by: i32): bool {
  if (slot == 0 || slot > at.nodeCapacity) return true;
  const node = nodeAt(slot);
  store<u32>(node, load<u32>(node, at.N_NEEDED) + by, at.N_NEEDED);
  return (load<u32>(node, at.N_STATE) & at.STATE_QUEUED) == 0;
}

function blocksHold(): bool {
  const used = at.word(at.H_NAME_BYTES);
  let blocks: u32 = 0;
  for (let size: u32 = 0; size < at.BLOCK_SIZES; size++) {
    let block = load<u32>(at.blockBase + (<usize>size << 2));
    while (block != 0) {
      if (size == 0 || ((block - 1) & 15) != 0 || block - 1 > used || size << 4 > used - (block - 1)) return false;
      blocks += size;
      if (blocks > used >> 4) return false;
      block = load<u32>(at.nameByteBase + block - 1);
    }
  }
  return true;
}

function reservationsHold(): bool {
  const used = at.word(at.H_RESERVATIONS);
  const base = at.reservationBase;
  let leases: u32 = 0;
  for (let slot: u32 = 2; slot < at.reservationCapacity; slot++) {
    const reservation = recordAt(RESERVATIONS, slot);
    const state = load<u32>(reservation, at.R_STATE);
    if (state == 0) {
      if (!isFree(load<u32>(reservation, at.R_GENERATION))) return false;
      continue;
    }
    const entries = load<u32>(reservation, at.R_ENTRIES);
    if (slot >= used || state > 15 || entries > at.ENTRIES_MAX || load<u32>(reservation, at.R_OPERATION) >= at.word(at.H_OPERATIONS)) return false;
    const time = load<f64>(reservation, at.R_LATEST);
    const now = load<f64>(reservation, at.R_NOW);
    if (!(time >= 0.0 && time < TIME_END && now >= 0.0 && now < TIME_END)) return false;
    for (let i: u32 = 0; i < entries; i++) {
      const entry = reservation + at.R_ENTRY + <usize>i * at.ENTRY_STRIDE;
      if (load<u32>(entry) - 1 >= at.word(at.H_METERS) - 1 || !isQuantity(load<f64>(entry, 8)) || !isQuantity(load<f64>(entry, 16))) return false;
    }
    if ((state & 3) == 3) {
      leases++;
      if (load<u32>(reservation, at.R_NODE) - 1 >= at.word(at.H_BUDGETS)) return false;
    }
  }
  const free = lengthOf(at.word(at.H_FREE_RESERVATION), RESERVATIONS, at.R_NEXT, used);
  if (free + leases + at.word(at.H_OPEN) + at.word(at.H_EXPIRED) != used - 2) return false;
  for (let slot = at.word(at.H_FREE_RESERVATION); slot != 0; slot = load<u32>(recordAt(RESERVATIONS, slot), at.R_NEXT)) {
    if (load<u32>(recordAt(RESERVATIONS, slot), at.R_STATE) != 0) return false;
  }
  return goesRound(0, 1, at.word(at.H_OPEN)) && goesRound(1, 2, at.word(at.H_EXPIRED));
}

/** Does a list of reservations come back to its head after so many, all in one state? */
function goesRound(head: u32, state: u32, length: u32): bool {
  let before = head;
  while (true) {
    const slot = load<u32>(recordAt(RESERVATIONS, before), at.R_NEXT);
    if (slot >= at.word(at.H_RESERVATIONS) || load<u32>(recordAt(RESERVATIONS, slot), at.R_BEFORE) != before) return false;
    if (slot == head) return length == 0;
    if ((load<u32>(recordAt(RESERVATIONS, slot), at.R_STATE) & 3) != state || length-- == 0) return false;
    before = slot;
  }
}

/** Are budgets, their lists and positions sound? */
function limitsHold(): bool {
  let live: u32 = 0;
  let ofRuns: u32 = 0;
  let back: u32 = 0;
  for (let slot: u32 = 0; slot < at.budgetCapacity; slot++) {
    const budget = budgetAt(slot);
    if (load<u32>(budget, at.B_LIVE) == 0) {
      if (!isZero(budget, 216) || !isZero(budget + 224, <u32>at.BUDGET_STRIDE - 224)) return false;
      continue;
    }
    live++;
    if (load<u32>(budget, at.B_PERIOD) == PERIOD_RUN) ofRuns++;
    back += load<u32>(budget, at.B_SLOT);
    if (
      slot == 0 || slot > at.word(at.H_BUDGETS) || load<u32>(budget, at.B_LIVE) != 1 || load<u32>(budget, at.B_UNIT) > 3 || load<u32>(budget, at.B_PERIOD) > 7 ||
      load<u32>(budget, at.B_ACTION) > 1 || <u32>(load<i32>(budget, at.B_OFFSET) + 1440) > 2880 || load<u32>(budget, at.B_SLOT) > u32(load<u32>(budget, at.B_PERIOD) < PERIOD_RUN) || !rateHolds(budget) || load<u32>(budget, at.B_ALERTS) > at.ALERTS_MAX ||
      !isInUse(load<u32>(budget, at.B_GENERATION)) || !names.names(load<u32>(budget, at.B_NAME), at.DIMENSION_BUDGET)
    ) {
      return false;
    }
    for (let dimension: u32 = 1; dimension <= at.DIMENSION_MODEL; dimension++) {
      if (!names.names(load<u32>(budget + at.B_NAMES + (<usize>dimension << 2)), dimension)) return false;
    }
  }
  if (live != at.word(at.H_LIVE_BUDGETS) || ofRuns != at.word(at.H_RUN_BUDGETS) || back != at.word(at.H_BACK)) return false;
  for (let link: u32 = 1; link <= at.word(at.H_LINKS); link++) {
    const entry = recordAt(12, link);
    const budget = load<u32>(entry);
    if (load<u32>(entry, 4) >= link || budget - 1 >= at.word(at.H_BUDGETS) || load<u32>(budgetAt(budget), at.B_LIVE) == 0) return false;
  }
  let positions: u32 = 0;
  for (let slot: u32 = 1; slot <= at.lastNode; slot++) {
    const node = nodeAt(slot);
    const list = load<u32>(node, at.N_BUDGETS);
    if (list != 0xffffffff && list > at.word(at.H_LINKS)) return false;
    let index = load<u32>(node, at.N_POSITIONS);
    while (index != 0) {
      if (index > at.word(at.H_POSITIONS) || ++positions > at.word(at.H_POSITIONS)) return false;
      const position = positionAt(index);
      const budget = load<u32>(position, at.P_BUDGET);
      if (load<u32>(position, at.P_NODE) != slot || budget - 1 >= at.word(at.H_BUDGETS) || load<u32>(budgetAt(budget), at.B_PERIOD) != 4) return false;
      index = load<u32>(position, at.P_NEXT);
    }
  }
  if (lengthOf(at.word(at.H_FREE_POSITION), 13, at.P_NEXT, at.word(at.H_POSITIONS) + 1) != at.word(at.H_POSITIONS) - positions) return false;
  for (let slot = at.word(at.H_FREE_POSITION); slot != 0; slot = load<u32>(positionAt(slot), at.P_NEXT)) if (load<u32>(positionAt(slot), at.P_NODE) != 0) return false;
  for (let i: u32 = 0; i < at.word(at.H_OLD_PRICES); i++) {
    const key = load<u32>(recordAt(5, i));
    if (key < at.OLD_METER ? key >= at.word(at.H_OPERATIONS) : key - at.OLD_METER >= at.word(at.H_METERS)) return false;
    if (key > at.OLD_METER && load<u32>(recordAt(5, i) + 8, at.M_FLAGS) & 1 && load<u64>(recordAt(5, i) + 8, at.M_DIVISOR) == 0) return false;
  }
  for (let id: u32 = 1; id < at.word(at.H_METERS); id++) {
    const meter = meterAt(id);
    if (!names.names(load<u32>(meter, at.M_NAME), at.DIMENSION_METER)) return false;
    if (load<u32>(meter, at.M_FLAGS) & at.METER_PRICED && (load<u64>(meter, at.M_DIVISOR) == 0 || load<u64>(meter, 8) >> 11 != 0)) return false;
  }
  remarkAll();
  return true;
}

// ── merging ──────────────────────────────────────────────────────────────────────────────────────

let metersFrom: usize = 0;
let metersTo: usize = 0;
/** A name that only this merge has made. */
const NAME_NEW: u32 = 4;

export function mergeBegin(): i32 {
  begin();
  return status.OK;
}

/** Reads `length` bytes of the window; only ledgers are kept. Answers how many were read, or a status. */
export function mergeChunk(length: i32): i32 {
  return read(length, MERGE);
}

/** Takes in what was read, or refuses it whole. */
export function mergeEnd(): i32 {
  if (!done) return status.CORRUPT;
  const from = at.sourceBase + at.word(at.H_SOURCE_BYTES);
  // Each ledger gets to know its length.
  let begun = from;
  for (let row = from + 32; row < staged; row += 8 + bytesOf(load<u32>(row))) {
    if (load<u32>(row) != LEDGER) continue;
    store<u32>(begun, <u32>(row - begun), 4);
    begun = row;
  }
  store<u32>(begun, <u32>(staged - begun), 4);
  look(from, afterLedger(from));
  namesFrom = startOf(NAMES);
  namesTo = startOf(NAMES + 1);
  bytesFrom = startOf(NAME_BYTES);
  bytesTo = startOf(NAME_BYTES + 1);
  metersFrom = startOf(METERS);
  metersTo = startOf(METERS + 1);
  merging = true;
  const answer = mergeStaged(from);
  merging = false;
  return answer;
}

function mergeStaged(from: usize): i32 {
  for (let row = namesFrom; row < namesTo; row += 24) {
    const dimension: u32 = load<u8>(row + 8, 6);
    const id = load<u32>(row, 4);
    if (dimension == 0 || id == 0) continue;
    const length = bringName(row + 8);
    if (id <= names.FOLDED && dimension != names.dimensionOf(id)) return status.CORRUPT;
    if (dimension >= at.DIMENSIONS || length == 0 || hashOf(at.windowBase, length, dimension) != load<u32>(row + 8, 8)) return status.CORRUPT;
  }
  for (let row = metersFrom; row < metersTo; row += 40) {
    if (!isName(load<u32>(row + 8, at.M_NAME), at.DIMENSION_METER)) return status.CORRUPT;
  }
  for (let ledger = from; ledger < staged; ledger = afterLedger(ledger)) {
    look(ledger, afterLedger(ledger));
    // Sections that no ledger has would lie behind those that it has.
    if (!ledgerHolds() || startOf(LEDGER) != afterLedger(ledger)) return status.CORRUPT;
    const source = load<f64>(ledger, 8);
    if (!(source >= 1.0 && source <= 9007199254740991.0)) return status.CORRUPT;
    if (isOwn(ledger) && load<u64>(ledger, 24) > load<u64>(head, 64)) return status.SOURCE;
  }
  let isNews = false;
  for (let ledger = from; ledger < staged; ledger = afterLedger(ledger)) isNews = isNews || newer(ledger, from) != 1;
  if (!isNews) return status.OK;
  if (!bringNames()) return status.CAPACITY;
  bringMeters();
  // All of them, before the first is moved over the names that the others speak of.
  for (let ledger = from; ledger < staged; ledger = afterLedger(ledger)) translate(ledger, afterLedger(ledger));
  let kept = from;
  for (let ledger = from; ledger < staged; ) {
    const after = afterLedger(ledger);
    const before = newer(ledger, kept);
    if (before != 1) {
      const moved = keep(ledger, after, kept);
      kept = moved;
      if (before != 0) {
        // The older one of that source goes.
        const gone = load<u32>(before, 4);
        memory.copy(before, before + gone, kept - before - gone);
        kept -= gone;
      }
    }
    ledger = after;
  }
  at.setWord(at.H_SOURCE_BYTES, <u32>(kept - at.sourceBase));
  memory.fill(kept, 0, staged - kept);
  dropUnused();
  return status.OK;
}

function isOwn(ledger: usize): bool {
  return load<f64>(ledger, 8) == load<f64>(at.header, at.H_SOURCE) && load<u32>(ledger, 16) == at.word(at.H_EPOCH);
}

/** The older ledger of the same source and epoch, 0 when there is none, 1 when what is there is as new. */
function newer(ledger: usize, end: usize): usize {
  if (isOwn(ledger)) return 1;
  for (let other = at.sourceBase; other < end; other = afterLedger(other)) {
    if (load<f64>(other, 8) != load<f64>(ledger, 8) || load<u32>(other, 16) != load<u32>(ledger, 16)) continue;
    return load<u64>(other, 24) >= load<u64>(ledger, 24) ? 1 : other;
  }
  return 0;
}

/** Copies what a merged ledger keeps to `to`, which lies before it. Answers its end. */
function keep(ledger: usize, after: usize, to: usize): usize {
  const begun = to;
  memory.copy(to, ledger, 32);
  to += 32;
  for (let row = ledger + 32; row < after; ) {
    const id = load<u32>(row);
    const bytes = bytesOf(id) + 8;
    if ((KEPT >> id) & 1) {
      memory.copy(to, row, bytes);
      to += bytes;
    }
    row += bytes;
  }
  store<u32>(begun, <u32>(to - begun), 4);
  return to;
}

/** Brings the bytes of a staged name into the window, one behind the other. Answers how many; 0 when they cannot be. */
function bringName(entry: usize): u32 {
  const length: u32 = load<u16>(entry, 4);
  if (length > at.NAME_BYTES_MAX) return 0;
  const offset = load<u32>(entry);
  if (offset & 15) return 0;
  for (let i: u32 = 0; i < length; i += 16) {
    const piece = search(bytesFrom, bytesTo, 72, (offset + i) >> 6);
    if (piece == 0) memory.fill(at.windowBase + i, 0, 16);
    else memory.copy(at.windowBase + i, piece + ((offset + i) & 63), 16);
  }
  return length;
}

/** Gives every staged name its id here; the new id takes the place of its hash. False, and nothing new, when there is no room. */
function bringNames(): bool {
  const namesBefore = at.word(at.H_NAMES);
  const bytesBefore = at.word(at.H_NAME_BYTES);
  names.keepWhole(true);
  let row = namesFrom;
  for (; row < namesTo; row += 24) {
    const entry = row + 8;
    const dimension: u32 = load<u8>(entry, 6);
    if (dimension == 0 || dimension == at.DIMENSION_BUDGET) continue;
    const length = bringName(entry);
    let id = load<u32>(row, 4) <= names.FOLDED ? load<u32>(row, 4) : names.find(at.windowBase, length, dimension);
    if (id == 0) {
      id = names.make(at.windowBase, length, dimension);
      if (id == 0) break;
      names.setFlags(id, NAME_NEW);
    }
    store<u32>(entry, id, 8);
  }
  names.keepWhole(false);
  if (row == namesTo && metersFit()) return true;
  while (row > namesFrom) {
    row -= 24;
    const dimension: u32 = load<u8>(row + 8, 6);
    const id = dimension == 0 || dimension == at.DIMENSION_BUDGET ? 0 : load<u32>(row + 8, 8);
    if (id != 0 && (names.flagsOf(id) & NAME_NEW) != 0) names.undo(id, namesBefore, bytesBefore);
  }
  return false;
}

function metersFit(): bool {
  let missing: u32 = 0;
  for (let row = metersFrom; row < metersTo; row += 40) {
    if (meterNamed(idHere(load<u32>(row + 8, at.M_NAME))) == 0) missing++;
  }
  return missing <= at.METER_CAPACITY - at.word(at.H_METERS);
}

/** The same for meters; the new id takes the place of the divisor. */
function bringMeters(): void {
  for (let row = metersFrom; row < metersTo; row += 40) {
    const name = idHere(load<u32>(row + 8, at.M_NAME));
    store<u32>(row + 8, addMeter(name, load<u32>(row + 8, at.M_FLAGS)), at.M_DIVISOR);
    names.setFlags(name, names.flagsOf(name) & ~NAME_NEW);
  }
}

/** Id here of a staged name. */
function idHere(id: u32): u32 {
  return id == 0 ? 0 : load<u32>(search(namesFrom, namesTo, 24, id), 8);
}

function rename(place: usize): void {
  store<u32>(place, idHere(load<u32>(place)));
}

/** Rewrites the ids of names and meters in a ledger to those here. */
function translate(from: usize, to: usize): void {
  look(from, to);
  for (let node = first(NODES); node != 0; node = next()) {
    const half = node - at.NODE_NEARER;
    rename(half + at.N_EXPERIMENT);
    rename(half + at.N_NAME);
    // Lists, budgets and handles mean nothing here.
    store<u32>(node, 0, at.N_GENERATION);
    store<u32>(node, 0, at.N_BUDGETS);
    store<u32>(half, 0, at.N_POSITIONS);
    store<u64>(half, 0, at.N_NEXT);
  }
  for (let tuple = first(TUPLES); tuple != 0; tuple = next()) {
    for (let i: usize = 0; i < at.PAYER_BYTES; i += 4) rename(tuple + at.T_NAMES + i);
  }
  for (let amount = first(FOLDED); amount != 0; amount = next()) rename(amount - 4);
  for (let cell = first(CELLS); cell != 0; cell = next()) {
    const key = load<u32>(cell, at.C_KEY);
    if (key == 0 || key == at.CELL_OVERFLOW_KEY) continue;
    const meter = load<u32>(search(metersFrom, metersTo, 40, (key - 1) & 0xffff), at.M_DIVISOR);
    store<u32>(cell, (((key - 1) & 0xffff0000) | meter) + 1, at.C_KEY);
  }
}

function mark(id: u32): void {
  if (id != 0) names.setFlags(id, names.flagsOf(id) | at.NAME_REFERENCED);
}

/** Gives back the names of runs that nothing speaks of, now that older ledgers are gone. */
function dropUnused(): void {
  const used = at.word(at.H_NAMES);
  for (let id: u32 = 1; id < used; id++) names.setFlags(id, names.flagsOf(id) & ~(at.NAME_REFERENCED | NAME_NEW));
  const end = at.sourceBase + at.word(at.H_SOURCE_BYTES);
  for (let row = at.sourceBase; row < end; row += 8 + bytesOf(load<u32>(row))) {
    if (load<u32>(row) == NODES) mark(load<u32>(row + 8 - at.NODE_NEARER, at.N_NAME));
    else if (load<u32>(row) == FOLDED) mark(load<u32>(row, 4));
  }
  for (let id: u32 = 1; id < used; id++) if (names.dimensionOf(id) == at.DIMENSION_RUN) names.dropRun(id);
}

// ── what a roll-up reads of merged ledgers ───────────────────────────────────────────────────────

let cursor: usize = 0;

/** The first node's row of all merged ledgers; 0 when there is none. */
export function firstNode(): usize {
  cursor = at.sourceBase;
  return toNode(at.sourceBase);
}

export function nextNode(row: usize): usize {
  return toNode(row + 8 + at.NODE_BYTES);
}

function toNode(row: usize): usize {
  const end = at.sourceBase + at.word(at.H_SOURCE_BYTES);
  while (row < end) {
    const id = load<u32>(row);
    if (id == NODES) return row;
    if (id == LEDGER) look(row, afterLedger(row));
    row += 8 + bytesOf(id);
  }
  return 0;
}

/** The nearest run at or above a merged node's parent, by name. */
export function runNameAbove(row: usize): u32 {
  let parent = load<u32>(row + 8 - at.NODE_NEARER, at.N_PARENT);
  while (parent != 0) {
    const node = find(NODES, parent);
    if (!(load<u32>(node, at.N_STATE) & at.STATE_SCOPE)) return load<u32>(node - at.NODE_NEARER, at.N_NAME);
    parent = load<u32>(node - at.NODE_NEARER, at.N_PARENT);
  }
  return 0;
}

/** The run that a merged node is booked to, by name. */
export function runName(row: usize): u32 {
  return load<u32>(row + 8, at.N_STATE) & at.STATE_SCOPE ? runNameAbove(row) : load<u32>(row + 8 - at.NODE_NEARER, at.N_NAME);
}

/** A merged node's tuple. */
export function tupleOf(row: usize): usize {
  return find(TUPLES, load<u32>(row + 8 - at.NODE_NEARER, at.N_TUPLE));
}

/** First row of a section of all merged ledgers from `row` on; 0 when there is none. */
export function rowFrom(row: usize, id: u32): usize {
  const end = at.sourceBase + at.word(at.H_SOURCE_BYTES);
  while (row < end) {
    if (load<u32>(row) == id) return row;
    row += 8 + bytesOf(load<u32>(row));
  }
  return 0;
}
