// Who pays: payer tuples, and the nodes (runs and scopes) that carry them; neither changes once opened.
import * as budgets from "./budgets";
import { hashOf, removeFrom, same } from "./bytes";
import { foldOne, needNode, unneedNode } from "./folding";
import { inUse, liveNode, nodeAt, nodeHandle } from "./handles";
import * as at from "./layout";
import * as money from "./money";
import * as names from "./names";
import { holdBelow } from "./reservations";
import * as status from "./status";

@inline
export function tupleAt(index: u32): usize {
  return at.tupleBase + <usize>index * at.TUPLE_STRIDE;
}

// ── payer tuples ─────────────────────────────────────────────────────────────────────────────────

/** Six name ids: the payer that is looked for, with what is given up. */
const payer: usize = memory.data(32, 8);

/** Puts a tuple into the index. */
export function enterTuple(index: u32): void {
  let place = load<u32>(tupleAt(index), at.T_HASH) & at.tupleIndexMask;
  while (load<u32>(at.tupleIndexBase + (<usize>place << 2)) != 0) place = (place + 1) & at.tupleIndexMask;
  store<u32>(at.tupleIndexBase + (<usize>place << 2), index + 1);
}

function placeOf(key: usize, hash: u32): u32 {
  let place = hash & at.tupleIndexMask;
  while (true) {
    const stored = load<u32>(at.tupleIndexBase + (<usize>place << 2));
    if (stored == 0 || same(tupleAt(stored - 1) + at.T_NAMES, key, at.PAYER_BYTES)) return place;
    place = (place + 1) & at.tupleIndexMask;
  }
}

/** Folds a tuple that has no nodes into its dimensions. False when each has some. */
function foldTuple(): bool {
  if (at.word(at.H_IDLE_TUPLES) == 0) return false;
  let index: u32 = 1;
  while (load<u32>(tupleAt(index), at.T_NODES) != 0 || load<u32>(tupleAt(index), at.T_HASH) == 0) index++;
  const tuple = tupleAt(index);
  const place = placeOf(tuple + at.T_NAMES, load<u32>(tuple, at.T_HASH));
  removeFrom(
    at.tupleIndexBase, at.tupleIndexMask, place, at.tupleBase - at.TUPLE_STRIDE + at.T_HASH, at.TUPLE_STRIDE,
  );
  for (let i: u32 = 0; i < at.PAYER_NAMES; i++) {
    const name = load<u32>(tuple + at.T_NAMES + (<usize>i << 2));
    addFolded(at.DIMENSION_TEAM + i, name, load<u64>(tuple), load<u64>(tuple, 8));
  }
  memory.fill(tuple, 0, at.TUPLE_STRIDE);
  store<u32>(tuple, at.word(at.H_FREE_TUPLE), at.T_NEXT);
  at.setWord(at.H_FREE_TUPLE, index);
  at.setWord(at.H_LIVE_TUPLES, at.word(at.H_LIVE_TUPLES) - 1);
  at.setWord(at.H_IDLE_TUPLES, at.word(at.H_IDLE_TUPLES) - 1);
  return true;
}

/** Adds to what was folded into a name of a dimension, or into what has no name there. */
export function addFolded(dimension: u32, name: u32, low: u64, high: u64): void {
  names.noteFolded(name);
  money.addTo(
    name != 0 ? names.foldedAt(name) : at.header + at.H_FOLDED + <usize>dimension * at.AMOUNT_STRIDE, low, high,
  );
}

/** Index of the tuple, made while fewer than `limit` live; -1 when it is new and does not fit. */
function findTuple(key: usize, limit: u32): i32 {
  const hash = hashOf(key, at.PAYER_BYTES, 1) | 1;
  const stored = load<u32>(at.tupleIndexBase + (<usize>placeOf(key, hash) << 2));
  if (stored != 0) return stored - 1;
  // Nodes that are over make tuples that nobody needs.
  while (at.word(at.H_LIVE_TUPLES) >= limit) if (!foldTuple() && !foldOne()) return -1;
  let index = at.word(at.H_FREE_TUPLE);
  if (index != 0) {
    at.setWord(at.H_FREE_TUPLE, load<u32>(tupleAt(index), at.T_NEXT));
  } else {
    index = at.word(at.H_TUPLES);
    at.setWord(at.H_TUPLES, index + 1);
  }
  at.setWord(at.H_LIVE_TUPLES, at.word(at.H_LIVE_TUPLES) + 1);
  at.setWord(at.H_IDLE_TUPLES, at.word(at.H_IDLE_TUPLES) + 1);
  const tuple = tupleAt(index);
  memory.copy(tuple + at.T_NAMES, key, at.PAYER_BYTES);
  store<u32>(tuple, hash, at.T_HASH);
  store<u32>(tuple, 0, at.T_NEXT);
  enterTuple(index);
  return index;
}

function giveUp(dimension: u32): void {
  const name = payer + (<usize>(dimension - at.DIMENSION_TEAM) << 2);
  store<u32>(name, names.pinnedOr(load<u32>(name), dimension));
}

/**
 * The payer tuple of six names. When the table is full, detail is given up from the finest on: first the
 * customer, then everything but team and environment, at last all; never a pinned name. An eighth of the
 * table is kept for that.
 */
function tupleFor(key: usize): u32 {
  memory.copy(payer, key, at.PAYER_BYTES);
  let found = findTuple(payer, at.tupleCapacity - (at.tupleCapacity >> 3));
  if (found >= 0) return found;
  giveUp(at.DIMENSION_CUSTOMER);
  found = findTuple(payer, at.tupleCapacity - (at.tupleCapacity >> 4));
  if (found >= 0) return found;
  giveUp(at.DIMENSION_PROJECT);
  giveUp(at.DIMENSION_COST_CENTER);
  giveUp(at.DIMENSION_CONTEXT);
  found = findTuple(payer, at.tupleCapacity);
  if (found >= 0) return found;
  return at.TUPLE_OVERFLOW;
}

/** Is any of the payer's names given up? */
function overflowedTuple(index: u32): bool {
  for (let i: u32 = 0; i < at.PAYER_NAMES; i++) {
    if (load<u32>(tupleAt(index) + at.T_NAMES + (<usize>i << 2)) == names.overflowOf(at.DIMENSION_TEAM + i)) return true;
  }
  return false;
}

/** Makes the overflow tuple. */
export function start(): void {
  for (let i: u32 = 0; i < at.PAYER_NAMES; i++) {
    store<u32>(payer + (<usize>i << 2), names.overflowOf(at.DIMENSION_TEAM + i));
  }
  findTuple(payer, 1);
  // It stands for ever: as if it had a node.
  store<u32>(tupleAt(0), 1, at.T_NODES);
  at.setWord(at.H_IDLE_TUPLES, 0);
}

// ── nodes ────────────────────────────────────────────────────────────────────────────────────────

/** Counts a node in or out of its tuple. */
export function countNode(index: u32, by: i32): void {
  const tuple = tupleAt(index);
  const before = load<u32>(tuple, at.T_NODES);
  store<u32>(tuple, before + by, at.T_NODES);
  if (before == 0) at.setWord(at.H_IDLE_TUPLES, at.word(at.H_IDLE_TUPLES) - 1);
  if (before + by == 0) at.setWord(at.H_IDLE_TUPLES, at.word(at.H_IDLE_TUPLES) + 1);
}

function fill(slot: u32, tuple: u32, parent: u32, experiment: u32, name: u32, state: u32): void {
  const node = nodeAt(slot);
  if (
    overflowedTuple(tuple) || parent > at.nodeCapacity || experiment == names.overflowOf(at.DIMENSION_EXPERIMENT) ||
    (state == at.STATE_SCOPE && name == names.overflowOf(at.DIMENSION_MODEL))
  ) {
    state |= at.STATE_OVERFLOW;
  }
  countNode(tuple, 1);
  store<u32>(node, tuple, at.N_TUPLE);
  store<u32>(node, parent, at.N_PARENT);
  store<u32>(node, experiment, at.N_EXPERIMENT);
  store<u32>(node, name, at.N_NAME);
  store<u32>(node, state, at.N_STATE);
  store<u32>(node, inUse(load<u32>(node, at.N_GENERATION)), at.N_GENERATION);
  at.count(at.header + at.H_CHANGES, 1);
  budgets.attachAll(slot);
}

/** The node that takes, for one payer, what has no node of its own: it keeps the payer's total right. */
function overflowNode(tuple: u32): u32 {
  const slot = at.nodeCapacity + 1 + tuple;
  if (load<u32>(nodeAt(slot), at.N_STATE) == 0) {
    fill(
      slot, tuple, 0, names.overflowOf(at.DIMENSION_EXPERIMENT), names.overflowOf(at.DIMENSION_RUN), at.STATE_OVERFLOW,
    );
  }
  return slot;
}

/** A free node; the longest finished one when all are taken; 0 when each is needed. */
function allocate(): u32 {
  let slot = at.word(at.H_FREE_NODE);
  if (slot == 0) {
    const used = at.word(at.H_NODES);
    if (used < at.nodeCapacity) {
      slot = used + 1;
      at.setWord(at.H_NODES, slot);
    } else {
      if (!foldOne()) return 0;
      slot = at.word(at.H_FREE_NODE);
    }
  }
  if (slot == at.word(at.H_FREE_NODE)) {
    at.setWord(at.H_FREE_NODE, load<u32>(nodeAt(slot), at.N_NEXT));
    store<u32>(nodeAt(slot), 0, at.N_NEXT);
  }
  at.setWord(at.H_LIVE_NODES, at.word(at.H_LIVE_NODES) + 1);
  return slot;
}

/** Is a run of this name the node's parent, as far as its detail was kept? */
function sameParent(node: usize, parent: u32): bool {
  const above = load<u32>(node, at.N_PARENT);
  if (above == 0 || parent == 0) return above == parent;
  if (above > at.nodeCapacity) return names.nodeOf(parent) == 0;
  return load<u32>(nodeAt(above), at.N_NAME) == parent;
}

/** Slot of the parent run, known by name only when it is new; the payer's overflow node without room. */
function parentRun(run: u32, tuple: u32): u32 {
  if (run == 0) return 0;
  const known = names.nodeOf(run);
  if (known != 0) return known;
  const slot = run <= names.FOLDED ? 0 : allocate();
  if (slot == 0) return overflowNode(tuple);
  memory.fill(at.form + at.F_PAYER, 0, at.PAYER_BYTES);
  fill(slot, tupleFor(at.form + at.F_PAYER), 0, 0, run, at.STATE_RUN | at.STATE_STUB);
  names.setNode(run, slot);
  return slot;
}

function isAncestor(candidate: u32, slot: u32): bool {
  while (slot != 0) {
    if (slot == candidate) return true;
    slot = load<u32>(nodeAt(slot), at.N_PARENT);
  }
  return false;
}

/**
 * Opens a run, or finds it again: its name and its parent's lie in the window, one behind the other, the
 * other names' ids in the form. A parent run that is not known yet becomes a stub, which its own opening
 * completes. Answers a node handle; the payer's overflow node when there is no room.
 */
export function openRun(): f64 {
  const length = load<u32>(at.form, at.F_RUN_LENGTH);
  const parentLength = load<u32>(at.form, at.F_PARENT_LENGTH);
  if (length == 0 || length > at.NAME_BYTES_MAX || parentLength > at.NAME_BYTES_MAX) return status.NAME;
  if (length == parentLength && same(at.windowBase, at.windowBase + length, length)) return status.CYCLE;
  const run: u32 = names.intern(at.windowBase, length, at.DIMENSION_RUN);
  // Nothing that is looked at may be folded meanwhile.
  const existing = names.nodeOf(run);
  needNode(existing);
  const before = names.flagsOf(run);
  names.setFlags(run, before | at.NAME_PINNED);
  const parent: u32 = names.intern(at.windowBase + length, parentLength, at.DIMENSION_RUN);
  const handle = openNamed(run, existing, parent);
  names.setFlags(run, before);
  unneedNode(existing);
  names.dropRun(run);
  names.dropRun(parent);
  return handle;
}

function openNamed(run: u32, existing: u32, parent: u32): f64 {
  const key = at.form + at.F_PAYER;
  const experiment = load<u32>(at.form, at.DIMENSION_EXPERIMENT << 2);
  if (run <= names.FOLDED) return nodeHandle(overflowNode(tupleFor(key)));
  if (existing != 0) {
    const node = nodeAt(existing);
    if (!(load<u32>(node, at.N_STATE) & at.STATE_STUB)) {
      const tuple = load<u32>(node, at.N_TUPLE);
      const isSame =
        load<u32>(node, at.N_EXPERIMENT) == experiment && sameParent(node, parent) &&
        (same(tupleAt(tuple) + at.T_NAMES, key, at.PAYER_BYTES) || (overflowedTuple(tuple) && tupleFor(key) == tuple));
      return isSame ? nodeHandle(existing) : status.IMMUTABLE;
    }
    if (isAncestor(existing, names.nodeOf(parent))) return status.CYCLE;
  }
  // What is above is needed from now on, so that making room folds neither it nor the tuple.
  let above = names.nodeOf(parent);
  needNode(above);
  const tuple = tupleFor(key);
  countNode(tuple, 1);
  if (above == 0) {
    above = parentRun(parent, tuple);
    needNode(above);
  }
  // Runs that are over need no position of their own any more.
  while (!budgets.hasPositions() && foldOne()) {}
  const slot = existing != 0 ? existing : allocate();
  let handle: f64;
  if (slot == 0) {
    unneedNode(above);
    handle = nodeHandle(overflowNode(tuple));
  } else {
    if (existing != 0) {
      holdBelow(existing, true);
      budgets.detach(existing);
      countNode(load<u32>(nodeAt(existing), at.N_TUPLE), -1);
    }
    fill(slot, tuple, above, experiment, run, at.STATE_RUN);
    names.setNode(run, slot);
    if (existing != 0) {
      budgets.relink();
      holdBelow(existing, false);
    }
    handle = nodeHandle(slot);
  }
  countNode(tuple, -1);
  return handle;
}

/**
 * Opens a node that is no run below `parent` (0 for none), its names' ids in the form: experiment or
 * registry work. Each call makes a new one.
 */
export function openScope(parent: f64): f64 {
  let above: u32 = 0;
  if (parent != 0) {
    above = liveNode(parent);
    if (above == 0) return status.HANDLE;
  }
  needNode(above);
  const tuple = tupleFor(at.form + at.F_PAYER);
  countNode(tuple, 1);
  let slot = allocate();
  if (slot == 0) {
    unneedNode(above);
    slot = overflowNode(tuple);
  } else {
    fill(
      slot, tuple, above, load<u32>(at.form, at.DIMENSION_EXPERIMENT << 2), load<u32>(at.form, at.DIMENSION_MODEL << 2),
      at.STATE_SCOPE,
    );
  }
  countNode(tuple, -1);
  return nodeHandle(slot);
}
