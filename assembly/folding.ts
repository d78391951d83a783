// Finished runs and scopes: they stay readable until they are drained or their room is needed; then they
// are folded into the run above them, their tuple and their dimensions, and every total stays as it was.
import { addFolded, countNode, tupleAt } from "./attribution";
import * as budgets from "./budgets";
import { afterUse, liveNode, nodeAt } from "./handles";
import * as at from "./layout";
import * as money from "./money";
import * as names from "./names";
import * as status from "./status";

// Those that nothing needs any more are in a list in the order in which that came to be: node 0 is its
// head, and each keeps the one before where others count what needs them.

@inline
function next(slot: u32): u32 {
  return load<u32>(nodeAt(slot), at.N_NEXT);
}

function join(before: u32, after: u32): void {
  store<u32>(nodeAt(before), after, at.N_NEXT);
  store<u32>(nodeAt(after), before, at.N_BEFORE);
}

function setState(slot: u32, state: u32): void {
  store<u32>(nodeAt(slot), state, at.N_STATE);
}

function stateOf(slot: u32): u32 {
  return load<u32>(nodeAt(slot), at.N_STATE);
}

/** Takes a node out of the list. */
export function unqueue(slot: u32): void {
  if (!(stateOf(slot) & at.STATE_QUEUED)) return;
  join(load<u32>(nodeAt(slot), at.N_BEFORE), next(slot));
  store<u32>(nodeAt(slot), 0, at.N_NEXT);
  store<u32>(nodeAt(slot), 0, at.N_NEEDED);
  setState(slot, stateOf(slot) & ~at.STATE_QUEUED);
}

function queueWhenDone(slot: u32): void {
  const state = stateOf(slot);
  if (
    (state & (at.STATE_FINISHED | at.STATE_STUB)) == 0 || (state & at.STATE_QUEUED) != 0 ||
    load<u32>(nodeAt(slot), at.N_NEEDED) != 0
  ) {
    return;
  }
  setState(slot, state | at.STATE_QUEUED);
  join(load<u32>(nodeAt(0), at.N_BEFORE), slot);
  join(slot, 0);
}

@inline
function counts(slot: u32): bool {
  return slot != 0 && slot <= at.nodeCapacity;
}

/** Something needs this node: it must not be folded. Overflow nodes never are. */
export function needNode(slot: u32): void {
  if (!counts(slot)) return;
  unqueue(slot);
  const node = nodeAt(slot);
  store<u32>(node, load<u32>(node, at.N_NEEDED) + 1, at.N_NEEDED);
}

export function unneedNode(slot: u32): void {
  if (!counts(slot)) return;
  const node = nodeAt(slot);
  store<u32>(node, load<u32>(node, at.N_NEEDED) - 1, at.N_NEEDED);
  queueWhenDone(slot);
}

/** Marks a run or a scope as finished; `how` is a state beside that: failed, killed or none. */
export function finish(handle: f64, how: u32): i32 {
  const slot = liveNode(handle);
  if (slot == 0) return status.HANDLE;
  if (!counts(slot) || (stateOf(slot) & at.STATE_FINISHED) != 0) return status.OK;
  setState(slot, stateOf(slot) | at.STATE_FINISHED | how);
  at.count(at.header + at.H_CHANGES, 1);
  queueWhenDone(slot);
  return status.OK;
}

/** Slot of the node that would be folded next; 0 when there is none. */
export function oldest(): u32 {
  return next(0);
}

/** The nearest run at or above this node; 0 is none. */
export function runAt(slot: u32): u32 {
  while (slot != 0 && (stateOf(slot) & at.STATE_SCOPE) != 0) slot = load<u32>(nodeAt(slot), at.N_PARENT);
  return slot;
}

/** Folds the node that has been done for longest. False when there is none. */
export function foldOne(): bool {
  const slot = oldest();
  if (slot == 0) return false;
  unqueue(slot);
  const node = nodeAt(slot);
  const name = load<u32>(node, at.N_NAME);
  const isRun = (stateOf(slot) & at.STATE_RUN) != 0;
  const parent = load<u32>(node, at.N_PARENT);
  const low = load<u64>(node);
  const high = load<u64>(node, 8);
  addFolded(at.DIMENSION_EXPERIMENT, load<u32>(node, at.N_EXPERIMENT), low, high);
  addFolded(at.DIMENSION_MODEL, isRun ? 0 : name, low, high);
  const tuple = load<u32>(node, at.N_TUPLE);
  money.addTo(tupleAt(tuple), low, high);
  countNode(tuple, -1);

  // To the run above, with what had been folded into this one.
  const above = runAt(parent);
  const target = above != 0 ? load<u32>(nodeAt(above), at.N_NAME) : isRun ? names.FOLDED : 0;
  addFolded(at.DIMENSION_RUN, target, low, high);
  if (isRun) {
    const folded = names.foldedAt(name);
    addFolded(at.DIMENSION_RUN, target, load<u64>(folded), load<u64>(folded, 8));
    memory.fill(folded, 0, at.AMOUNT_STRIDE);
    names.setNode(name, 0);
    names.dropRun(name);
  }
  if (above != 0) {
    const run = nodeAt(above);
    store<u32>(run, load<u32>(run, at.N_OPERATIONS) + load<u32>(node, at.N_OPERATIONS), at.N_OPERATIONS);
    store<u32>(run, load<u32>(run, at.N_ERRORS) + load<u32>(node, at.N_ERRORS), at.N_ERRORS);
  }
  budgets.detach(slot);
  const generation = load<u32>(node, at.N_GENERATION);
  memory.fill(node, 0, at.NODE_HALF);
  memory.fill(node + at.NODE_APART, 0, at.NODE_HALF);
  store<u32>(node, afterUse(generation), at.N_GENERATION);
  store<u32>(node, at.word(at.H_FREE_NODE), at.N_NEXT);
  at.setWord(at.H_FREE_NODE, slot);
  at.setWord(at.H_LIVE_NODES, at.word(at.H_LIVE_NODES) - 1);
  at.count(at.header + at.H_CHANGES, 1);
  unneedNode(parent);
  return true;
}
