// Who pays: payer tuples, and the nodes (runs and scopes) that carry them; neither changes once opened.
import * as at from "./layout";
import * as names from "./names";
import * as status from "./status";

// ── handles ──────────────────────────────────────────────────────────────────────────────────────
// A whole number below 2^53: slot in 24 bits, kind in one, generation in 28. 0 is no handle.
export const KIND_NODE: u64 = 0;
export const KIND_TICKET: u64 = 1;
const SLOT_MASK: u64 = 0xffffff;
const FIRST: u64 = 1 << 25;
const LAST: u64 = (1 << 53) - 1;

@inline
export function handleOf(slot: u32, kind: u64, generation: u32): f64 {
  return <f64>((<u64>generation << 25) | (kind << 24) | <u64>slot);
}

/** Slot of a well-formed handle of this kind, 0 otherwise; its generation is left in `generation`. */
export let generation: u32 = 0;
@inline
export function slotOf(handle: f64, kind: u64): u32 {
  // Signed conversions are single instructions; what is no number becomes 0.
  const whole = <i64>handle;
  const bits = <u64>whole;
  // From the first generation on, and below 2^53: one comparison, as what is less wraps around.
  if (bits - FIRST > LAST - FIRST || <f64>whole != handle || ((bits >> 24) & 1) != kind) return 0;
  generation = <u32>(bits >> 25);
  return <u32>(bits & SLOT_MASK);
}

@inline
export function nodeAt(slot: u32): usize {
  return at.nodeBase + <usize>slot * at.NODE_STRIDE;
}

@inline
export function tupleAt(index: u32): usize {
  return at.tupleBase + <usize>index * at.TUPLE_STRIDE;
}

/** Slot of a live node, 0 when the handle is stale or foreign. */
export function liveNode(handle: f64): u32 {
  return liveNodeInline(handle);
}

/** The same without a call, for the paths where that counts. */
@inline
export function liveNodeInline(handle: f64): u32 {
  const slot = slotOf(handle, KIND_NODE);
  if (slot == 0 || slot > at.nodeCapacity + at.tupleCapacity) return 0;
  return load<u32>(nodeAt(slot), at.N_GENERATION) == generation ? slot : 0;
}

@inline
function nodeHandle(slot: u32): f64 {
  return handleOf(slot, KIND_NODE, load<u32>(nodeAt(slot), at.N_GENERATION));
}

// ── payer tuples ─────────────────────────────────────────────────────────────────────────────────

function tupleHash(team: u32, project: u32, customer: u32, environment: u32, center: u32, context: u32): u32 {
  let hash: u32 = 2166136261;
  hash = (hash ^ team) * 16777619;
  hash = (hash ^ project) * 16777619;
  hash = (hash ^ customer) * 16777619;
  hash = (hash ^ environment) * 16777619;
  hash = (hash ^ center) * 16777619;
  hash = (hash ^ context) * 16777619;
  return hash ^ (hash >> 15);
}

/** Index of the tuple, made while fewer than `limit` exist; -1 when it is new and does not fit. */
function find(
  team: u32, project: u32, customer: u32, environment: u32, center: u32, context: u32, limit: u32,
): i32 {
  const hash = tupleHash(team, project, customer, environment, center, context);
  let index = hash & at.tupleIndexMask;
  while (true) {
    const slot = at.tupleIndexBase + (<usize>index << 2);
    const stored = load<u32>(slot);
    if (stored == 0) {
      const made = load<u32>(at.header, at.H_TUPLES);
      if (made >= limit) return -1;
      const tuple = tupleAt(made);
      store<u32>(tuple, team, at.T_NAMES);
      store<u32>(tuple, project, at.T_NAMES + 4);
      store<u32>(tuple, customer, at.T_NAMES + 8);
      store<u32>(tuple, environment, at.T_NAMES + 12);
      store<u32>(tuple, center, at.T_NAMES + 16);
      store<u32>(tuple, context, at.T_NAMES + 20);
      store<u32>(tuple, hash, at.T_HASH);
      store<u32>(slot, made + 1);
      store<u32>(at.header, made + 1, at.H_TUPLES);
      return made;
    }
    if (isPayer(stored - 1, team, project, customer, environment, center, context)) return stored - 1;
    index = (index + 1) & at.tupleIndexMask;
  }
}

/**
 * The payer tuple. When the table is full, detail is given up from the finest on: first the customer,
 * then everything but team and environment, at last all. An eighth of the table is kept for that.
 */
function tupleFor(team: u32, project: u32, customer: u32, environment: u32, center: u32, context: u32): u32 {
  const reserve = at.tupleCapacity - (at.tupleCapacity >> 3);
  let found = find(team, project, customer, environment, center, context, reserve);
  if (found >= 0) return found;
  const noCustomer = names.overflowOf(at.DIMENSION_CUSTOMER);
  found = find(team, project, noCustomer, environment, center, context, at.tupleCapacity - (at.tupleCapacity >> 4));
  if (found >= 0) return found;
  found = find(
    team, names.overflowOf(at.DIMENSION_PROJECT), noCustomer, environment,
    names.overflowOf(at.DIMENSION_COST_CENTER), names.overflowOf(at.DIMENSION_CONTEXT), at.tupleCapacity,
  );
  return found >= 0 ? found : at.TUPLE_OVERFLOW;
}

/** Is any of the payer's names given up? Its names are those of six dimensions in a row. */
function overflowedTuple(index: u32): bool {
  const payer = tupleAt(index) + at.T_NAMES;
  for (let i: u32 = 0; i < 6; i++) {
    if (load<u32>(payer + (<usize>i << 2)) == names.overflowOf(at.DIMENSION_TEAM + i)) return true;
  }
  return false;
}

function isPayer(
  index: u32, team: u32, project: u32, customer: u32, environment: u32, center: u32, context: u32,
): bool {
  const tuple = tupleAt(index);
  return (
    load<u32>(tuple, at.T_NAMES) == team &&
    load<u32>(tuple, at.T_NAMES + 4) == project &&
    load<u32>(tuple, at.T_NAMES + 8) == customer &&
    load<u32>(tuple, at.T_NAMES + 12) == environment &&
    load<u32>(tuple, at.T_NAMES + 16) == center &&
    load<u32>(tuple, at.T_NAMES + 20) == context
  );
}

/** Makes the overflow tuple, and generations for the overflow nodes that every tuple owns. */
export function start(): void {
  find(
    names.overflowOf(at.DIMENSION_TEAM), names.overflowOf(at.DIMENSION_PROJECT),
    names.overflowOf(at.DIMENSION_CUSTOMER), names.overflowOf(at.DIMENSION_ENVIRONMENT),
    names.overflowOf(at.DIMENSION_COST_CENTER), names.overflowOf(at.DIMENSION_CONTEXT), 1,
  );
}

// ── nodes ────────────────────────────────────────────────────────────────────────────────────────

function fill(slot: u32, tuple: u32, parent: u32, experiment: u32, run: u32, model: u32, state: u32): void {
  const node = nodeAt(slot);
  if (
    overflowedTuple(tuple) || parent > at.nodeCapacity ||
    experiment == names.overflowOf(at.DIMENSION_EXPERIMENT) || model == names.overflowOf(at.DIMENSION_MODEL)
  ) {
    state |= at.STATE_OVERFLOW;
  }
  store<u32>(node, tuple, at.N_TUPLE);
  store<u32>(node, parent, at.N_PARENT);
  store<u32>(node, experiment, at.N_EXPERIMENT);
  store<u32>(node, run, at.N_NAME);
  store<u32>(node, model, at.N_MODEL);
  store<u32>(node, state, at.N_STATE);
  store<f64>(node, load<f64>(at.header, at.H_NOW), at.N_OPENED);
  if (load<u32>(node, at.N_GENERATION) == 0) store<u32>(node, 1, at.N_GENERATION);
  if (state & at.STATE_RUN) {
    const payer = tupleAt(tuple);
    store<u32>(payer, load<u32>(payer, at.T_RUNS) + 1, at.T_RUNS);
  }
}

/** The node that takes, for one payer, what has no node of its own: it keeps the payer's total right. */
function overflowNode(tuple: u32): u32 {
  const slot = at.nodeCapacity + 1 + tuple;
  if (load<u32>(nodeAt(slot), at.N_GENERATION) == 0) {
    fill(
      slot, tuple, 0, names.overflowOf(at.DIMENSION_EXPERIMENT), names.overflowOf(at.DIMENSION_RUN),
      0, at.STATE_OVERFLOW,
    );
  }
  return slot;
}

function allocate(): u32 {
  const used = load<u32>(at.header, at.H_NODES);
  if (used >= at.nodeCapacity) return 0;
  store<u32>(at.header, used + 1, at.H_NODES);
  return used + 1;
}

/** Is a run of this name the node's parent, as far as its detail was kept? */
function sameParent(node: usize, parent: u32): bool {
  const above = load<u32>(node, at.N_PARENT);
  if (above == 0 || parent == 0) return above == parent;
  if (above > at.nodeCapacity) return names.nodeOf(parent) == 0;
  return load<u32>(nodeAt(above), at.N_NAME) == parent;
}

/** Slot of the parent run, known by name only when it is new; the payer's overflow node without room. */
function parentRun(run: u32, payer: u32): u32 {
  if (run == 0) return 0;
  const known = names.nodeOf(run);
  if (known != 0) return known;
  const slot = run == names.overflowOf(at.DIMENSION_RUN) ? 0 : allocate();
  if (slot == 0) return overflowNode(payer);
  const unattributed = tupleFor(0, 0, 0, 0, 0, 0);
  fill(slot, unattributed, 0, 0, run, 0, at.STATE_RUN | at.STATE_STUB);
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
 * Opens a run, or finds it again. A parent run that is not known yet becomes a stub, which its own
 * opening completes. Answers a node handle; the payer's overflow node when there is no room.
 */
export function openRun(
  run: u32, parent: u32, experiment: u32,
  team: u32, project: u32, customer: u32, environment: u32, center: u32, context: u32,
): f64 {
  if (run == 0 || run == names.overflowOf(at.DIMENSION_RUN)) {
    return nodeHandle(overflowNode(tupleFor(team, project, customer, environment, center, context)));
  }
  if (run == parent) return status.CYCLE;
  // What is refused leaves nothing behind: neither a payer nor a parent known by name.
  const existing = names.nodeOf(run);
  if (existing != 0) {
    const node = nodeAt(existing);
    if (!(load<u32>(node, at.N_STATE) & at.STATE_STUB)) {
      const tuple = load<u32>(node, at.N_TUPLE);
      const same =
        load<u32>(node, at.N_EXPERIMENT) == experiment && sameParent(node, parent) &&
        (isPayer(tuple, team, project, customer, environment, center, context) ||
          (overflowedTuple(tuple) && tupleFor(team, project, customer, environment, center, context) == tuple));
      return same ? nodeHandle(existing) : status.IMMUTABLE;
    }
    if (isAncestor(existing, names.nodeOf(parent))) return status.CYCLE;
    const stubPayer = tupleAt(load<u32>(node, at.N_TUPLE));
    store<u32>(stubPayer, load<u32>(stubPayer, at.T_RUNS) - 1, at.T_RUNS);
  }
  const payer = tupleFor(team, project, customer, environment, center, context);
  const above = parentRun(parent, payer);
  const slot = existing != 0 ? existing : allocate();
  if (slot == 0) return nodeHandle(overflowNode(payer));
  fill(slot, payer, above, experiment, run, 0, at.STATE_RUN);
  names.setNode(run, slot);
  return nodeHandle(slot);
}

/** Opens a node that is no run: experiment or registry work. Each call makes a new one. */
export function openScope(
  parent: f64, experiment: u32, model: u32,
  team: u32, project: u32, customer: u32, environment: u32, center: u32, context: u32,
): f64 {
  let above: u32 = 0;
  if (parent != 0) {
    above = liveNode(parent);
    if (above == 0) return status.HANDLE;
  }
  const payer = tupleFor(team, project, customer, environment, center, context);
  const slot = allocate();
  if (slot == 0) return nodeHandle(overflowNode(payer));
  fill(slot, payer, above, experiment, 0, model, at.STATE_SCOPE);
  return nodeHandle(slot);
}

/** Was this node's detail given up? Then what is booked on it is flagged. */
@inline
export function overflowed(node: usize): bool {
  return (load<u32>(node, at.N_STATE) & at.STATE_OVERFLOW) != 0;
}

/** Marks a run as finished. */
export function finish(handle: f64): i32 {
  const slot = liveNode(handle);
  if (slot == 0) return status.HANDLE;
  const node = nodeAt(slot);
  store<u32>(node, load<u32>(node, at.N_STATE) | at.STATE_FINISHED, at.N_STATE);
  return status.OK;
}
