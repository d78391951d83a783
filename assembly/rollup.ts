// Breakdowns, worked out when they are read: what nodes, folded nodes and merged ledgers add up to by name.
import { tupleAt } from "./attribution";
import { runAt } from "./folding";
import { nodeAt } from "./handles";
import * as at from "./layout";
import * as money from "./money";
import * as names from "./names";
import * as snapshot from "./snapshot";
import * as status from "./status";

@inline
function sumOf(name: u32): usize {
  return at.sumBase + <usize>name * at.AMOUNT_STRIDE;
}

@inline
function addToName(name: u32, amount: usize): void {
  money.addInline(sumOf(name), load<u64>(amount), load<u64>(amount, 8));
}

@inline
function parentOf(name: u32): usize {
  return at.parentBase + (<usize>name << 2);
}

/** Adds an amount to a run, and to those above it when they hold what is below them. */
function addToRun(name: u32, amount: usize, inclusive: bool): void {
  addToName(name, amount);
  if (!inclusive || isNothing(amount)) return;
  for (name = load<u32>(parentOf(name)); name != 0; name = load<u32>(parentOf(name))) addToName(name, amount);
}

@inline
function isNothing(amount: usize): bool {
  return (load<u64>(amount) | load<u64>(amount, 8)) == 0;
}

/** Notes who a run's parent is. Of ledgers that contradict each other the greater hash wins, in whatever order they came. */
function noteParent(name: u32, parent: u32): void {
  const known = load<u32>(parentOf(name));
  if (known != 0 && load<u32>(names.entryOf(known), 8) >= load<u32>(names.entryOf(parent), 8)) return;
  store<u32>(parentOf(name), parent);
}

/** Does a node of this state have a parent run to be noted? */
@inline
function isChild(node: usize, nearer: usize): bool {
  return (load<u32>(node, at.N_STATE) & at.STATE_RUN) != 0 && load<u32>(node - nearer, at.N_PARENT) != 0;
}

function nameOfRun(slot: u32): u32 {
  return slot == 0 ? 0 : load<u32>(nodeAt(slot), at.N_NAME);
}

/** The slots in use: nodes, and the overflow nodes behind them. */
@inline
function after(slot: u32): u32 {
  return slot == at.word(at.H_NODES) ? at.nodeCapacity + 1 : slot + 1;
}

/**
 * Adds an amount to the first run at or above a slot, and to all runs above that one when they hold what is below them.
 * What has no run goes to no name. Handles know no cycle.
 */
@inline
function addUpwards(slot: u32, amount: usize, inclusive: bool): void {
  const low = load<u64>(amount);
  const high = load<u64>(amount, 8);
  if ((low | high) == 0) return;
  let isBooked = false;
  do {
    const node = nodeAt(slot);
    if (!(load<u32>(node, at.N_STATE) & at.STATE_SCOPE)) {
      money.addInline(sumOf(load<u32>(node, at.N_NAME)), low, high);
      if (!inclusive) return;
      isBooked = true;
    }
    slot = load<u32>(node, at.N_PARENT);
  } while (slot != 0);
  if (!isBooked) money.addInline(at.sumBase, low, high);
}

/** Notes the parent of every run by name, as runs of merged ledgers may lie below ours and the other way round. */
function noteParents(end: u32): void {
  memory.fill(at.parentBase, 0, <usize>at.word(at.H_NAMES) << 2);
  for (let slot = after(0); slot < end; slot = after(slot)) {
    if (isChild(nodeAt(slot), 0)) store<u32>(parentOf(load<u32>(nodeAt(slot), at.N_NAME)), nameOfRun(runAt(load<u32>(nodeAt(slot), at.N_PARENT))));
  }
  for (let row = snapshot.firstNode(); row != 0; row = snapshot.nextNode(row)) {
    if (isChild(row + 8, at.NODE_NEARER)) noteParent(load<u32>(row + 8 - at.NODE_NEARER, at.N_NAME), snapshot.runNameAbove(row));
  }
}

/**
 * Ledgers that contradict each other may make a run its own ancestor. Of each such round the link that the name with the
 * greatest hash has is cut, in whatever order they came. The sums, still nothing, keep who has been gone up from.
 */
function cutRounds(): void {
  const used = at.word(at.H_NAMES);
  for (let name: u32 = 1; name < used; name++) {
    let run = name;
    while (run != 0 && load<u32>(sumOf(run)) == 0) {
      store<u32>(sumOf(run), name);
      run = load<u32>(parentOf(run));
    }
    if (run == 0 || load<u32>(sumOf(run)) != name) continue;
    let cut = run;
    for (let next = load<u32>(parentOf(run)); next != run; next = load<u32>(parentOf(next))) {
      if (load<u32>(names.entryOf(next), 8) > load<u32>(names.entryOf(cut), 8)) cut = next;
    }
    store<u32>(parentOf(cut), 0);
  }
  memory.fill(at.sumBase, 0, <usize>used * at.AMOUNT_STRIDE);
}

function rollUpRuns(inclusive: bool): void {
  const end = at.nodeCapacity + 1 + at.word(at.H_TUPLES);
  const isMerged = at.word(at.H_SOURCE_BYTES) != 0;
  // Parents may lie in another ledger, then they are found by name.
  const byName = inclusive && isMerged;
  if (byName) {
    noteParents(end);
    cutRounds();
  }
  for (let slot = after(0); slot < end; slot = after(slot)) {
    if (byName) addToRun(nameOfRun(runAt(slot)), nodeAt(slot), true);
    else addUpwards(slot, nodeAt(slot), inclusive);
  }
  for (let row = snapshot.firstNode(); row != 0; row = snapshot.nextNode(row)) {
    addToRun(snapshot.runName(row), row + 8, inclusive);
  }
}

function rollUpNodes(dimension: u32): void {
  const end = at.nodeCapacity + 1 + at.word(at.H_TUPLES);
  for (let slot = after(0); slot < end; slot = after(slot)) {
    const node = nodeAt(slot);
    if (!isNothing(node)) addToName(nameIn(node, 0, dimension), node);
  }
  for (let row = snapshot.firstNode(); row != 0; row = snapshot.nextNode(row)) {
    addToName(nameIn(row + 8, at.NODE_NEARER, dimension), row + 8);
  }
}

/** Experiment or model of a node. */
function nameIn(node: usize, nearer: usize, dimension: u32): u32 {
  if (dimension == at.DIMENSION_EXPERIMENT) return load<u32>(node - nearer, at.N_EXPERIMENT);
  return load<u32>(node, at.N_STATE) & at.STATE_SCOPE ? load<u32>(node - nearer, at.N_NAME) : 0;
}

/** What each payer's live nodes add up to, into the tuple sums. */
function rollUpTuples(field: usize): void {
  const tuples = at.word(at.H_TUPLES);
  memory.fill(at.tupleSumBase, 0, <usize>tuples << 4);
  const end = at.nodeCapacity + 1 + tuples;
  for (let slot = after(0); slot < end; slot = after(slot)) {
    const node = nodeAt(slot);
    if (isNothing(node)) continue;
    money.addInline(at.tupleSumBase + (<usize>load<u32>(node, at.N_TUPLE) << 4), load<u64>(node), load<u64>(node, 8));
  }
  for (let i: u32 = 0; i < tuples; i++) {
    const name = load<u32>(tupleAt(i) + field);
    addToName(name, at.tupleSumBase + (<usize>i << 4));
    addToName(name, tupleAt(i));
  }
  for (let row = snapshot.firstNode(); row != 0; row = snapshot.nextNode(row)) {
    addToName(load<u32>(snapshot.tupleOf(row) + field), row + 8);
  }
  for (let row = snapshot.rowFrom(at.sourceBase, snapshot.TUPLES); row != 0; row = snapshot.rowFrom(row + 8 + at.TUPLE_STRIDE, snapshot.TUPLES)) {
    addToName(load<u32>(row + 8 + field), row + 8);
  }
}

/**
 * Fills the name sums for one dimension. Runs either own (they sum to the total) or inclusive (a parent
 * holds its children). Operation types and meters are read from the cells.
 */
export function rollUp(dimension: u32, inclusive: bool): i32 {
  if (dimension == 0 || dimension > at.DIMENSION_MODEL) return status.NAME;
  const used = at.word(at.H_NAMES);
  memory.fill(at.sumBase, 0, <usize>used * at.AMOUNT_STRIDE);
  if (dimension == at.DIMENSION_RUN) rollUpRuns(inclusive);
  else if (dimension == at.DIMENSION_EXPERIMENT || dimension == at.DIMENSION_MODEL) rollUpNodes(dimension);
  else rollUpTuples(at.T_NAMES + (<usize>(dimension - at.DIMENSION_TEAM) << 2));
  addToName(0, at.header + at.H_FOLDED + <usize>dimension * at.AMOUNT_STRIDE);
  const isRun = dimension == at.DIMENSION_RUN;
  const isMerged = at.word(at.H_SOURCE_BYTES) != 0;
  for (let name: u32 = 1; name < names.foldedEnd; name++) {
    const amount = names.foldedAt(name);
    if (isNothing(amount) || names.dimensionOf(name) != dimension) continue;
    const slot = inclusive && isRun && !isMerged ? names.nodeOf(name) : 0;
    if (slot != 0) addUpwards(slot, amount, true);
    else addToRun(name, amount, inclusive && isRun && isMerged);
  }
  for (let row = snapshot.rowFrom(at.sourceBase, snapshot.HEADER); row != 0; row = snapshot.rowFrom(row + 8 + at.HEADER_STATE, snapshot.HEADER)) {
    addToName(0, row + 8 + at.H_FOLDED + <usize>dimension * at.AMOUNT_STRIDE);
  }
  for (let row = snapshot.rowFrom(at.sourceBase, snapshot.FOLDED); row != 0; row = snapshot.rowFrom(row + 8 + at.AMOUNT_STRIDE, snapshot.FOLDED)) {
    const name = load<u32>(row, 4);
    if (names.dimensionOf(name) == dimension) addToRun(name, row + 8, inclusive && dimension == at.DIMENSION_RUN);
  }
  return status.OK;
}
