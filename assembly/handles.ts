// Handles: whole numbers below 2^53 that stop working when their slot is given to another.
//
// Slot in 24 bits, kind in two, generation in 27. 0 is no handle.
import * as at from "./layout";

export const KIND_NODE: u32 = 0;
export const KIND_TICKET: u32 = 1;
export const KIND_BUDGET: u32 = 2;
const SLOT_MASK: u64 = 0xffffff;
const KIND_AND_SLOT: u64 = 0x3ffffff;
const FIRST: u64 = 1 << 26;
const LAST: u64 = (1 << 53) - 1;

@inline
export function handleOf(slot: u32, kind: u32, generation: u32): f64 {
  return <f64>((<u64>generation << 26) | (<u64>kind << 24) | <u64>slot);
}

// No handle has the generation of a slot that is free.
const FREE: u32 = 0x80000000;

/** What a slot keeps while it is free: the generation that it will have next. */
export function afterUse(generation: u32): u32 {
  // There are 2^27 - 1; only a handle kept for that many uses of its slot could be mistaken.
  return (generation >= 0x7ffffff ? 1 : generation + 1) | FREE;
}

/** Generation of a slot that is taken into use. */
export function inUse(generation: u32): u32 {
  const next = generation & ~FREE;
  return next == 0 ? 1 : next;
}

/** Slot of a well-formed handle of this kind, 0 otherwise; its generation is left in `generation`. */
export let generation: u32 = 0;
@inline
export function slotOf(handle: f64, kind: u32): u32 {
  // Signed conversions are single instructions; what is no number becomes 0.
  const whole = <i64>handle;
  const bits = <u64>whole;
  // From the first generation on, and below 2^53: one comparison, as what is less wraps around.
  if (bits - FIRST > LAST - FIRST || <f64>whole != handle || <u32>((bits >> 24) & 3) != kind) return 0;
  generation = <u32>(bits >> 26);
  return <u32>(bits & SLOT_MASK);
}

@inline
export function nodeAt(slot: u32): usize {
  return at.nodeBase + <usize>slot * at.NODE_STRIDE;
}

@inline
export function slotOfNode(node: usize): u32 {
  return <u32>((node - at.nodeBase) / at.NODE_STRIDE);
}

/** Slot of a live node, 0 when the handle is stale or foreign. */
export function liveNode(handle: f64): u32 {
  const slot = slotOf(handle, KIND_NODE);
  if (slot > at.lastNode) return 0;
  // A node that is not in use has generation 0 or the next one; slot 0 has none.
  return load<u32>(nodeAt(slot), at.N_GENERATION) == generation ? slot : 0;
}

/** The same without a call and without a word in memory, for the path where that counts: its address, or 0. */
@inline
export function liveNodeInline(handle: f64): usize {
  const whole = <i64>handle;
  const bits = <u64>whole;
  // Bits of another kind make the slot of a node too great, so kind and slot are one comparison.
  const slot = <u32>(bits & KIND_AND_SLOT);
  if (bits > LAST || <f64>whole != handle || slot > at.lastNode) return 0;
  const node = nodeAt(slot);
  // Slot 0 and what was never in use have generation 0, as have numbers that are too small for a handle.
  return load<u32>(node, at.N_GENERATION) == <u32>(bits >> 26) && bits >= FIRST ? node : 0;
}

@inline
export function nodeHandle(slot: u32): f64 {
  return handleOf(slot, KIND_NODE, load<u32>(nodeAt(slot), at.N_GENERATION));
}
