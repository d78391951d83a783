// Handles: whole numbers below 2^53 that stop working when their slot is given to another.
//
// Slot in 24 bits, kind in two, generation in 26, and the bit above them set: all handles have one exponent, so the
// bits of the double are the handle's own, and no conversion is needed to read them. 0 is no handle.
import * as at from "./layout";

export const KIND_NODE: u32 = 0;
export const KIND_TICKET: u32 = 1;
export const KIND_BUDGET: u32 = 2;
const SLOT_MASK: u64 = 0xffffff;
const KIND_AND_SLOT: u64 = 0x3ffffff;
const GENERATION_LAST: u32 = 0x3ffffff;
/** Sign and exponent of a double from 2^52 on, where generations have them. */
const EXPONENT: u64 = 0x433 << 26;

@inline
export function handleOf(slot: u32, kind: u32, generation: u32): f64 {
  return reinterpret<f64>(((EXPONENT | generation) << 26) | (<u64>kind << 24) | <u64>slot);
}

// No handle has the generation of a slot that is free.
const FREE: u32 = 0x80000000;

/** What a slot keeps while it is free: the generation that it will have next. */
export function afterUse(generation: u32): u32 {
  // There are 2^26 - 1; only a handle kept for that many uses of its slot could be mistaken.
  return (generation >= GENERATION_LAST ? 1 : generation + 1) | FREE;
}

/** Generation of a slot that is taken into use. */
export function inUse(generation: u32): u32 {
  const next = generation & ~FREE;
  return next == 0 ? 1 : next;
}

/** Is this the generation of a slot in use? */
@inline
export function isInUse(generation: u32): bool {
  return generation - 1 < GENERATION_LAST;
}

/** Is this what a slot keeps that is free: nothing yet, or the generation that it will have next? */
export function isFree(generation: u32): bool {
  return generation == 0 || (generation & FREE) != 0 && isInUse(generation & ~FREE);
}

/** Slot of a node's handle, from its bits. Those of another kind make it greater than any, so nobody need ask for the kind. */
@inline
export function slotIn(bits: u64): u32 {
  return <u32>(bits & KIND_AND_SLOT);
}

/** Generation of a handle, from its bits: none that is in use when it is no handle. */
@inline
export function generationIn(bits: u64): u64 {
  return (bits >> 26) - EXPONENT;
}

/** Slot of a well-formed handle of this kind, 0 otherwise; its generation is left in `generation`. */
export let generation: u32 = 0;
@inline
export function slotOf(handle: f64, kind: u32): u32 {
  const bits = reinterpret<u64>(handle);
  const above = generationIn(bits);
  if (above - 1 >= GENERATION_LAST || <u32>((bits >> 24) & 3) != kind) return 0;
  generation = <u32>above;
  return <u32>(bits & SLOT_MASK);
}

@inline
export function nodeAt(slot: u32): usize {
  return at.nodeBase + ((<usize>slot + <usize>(slot & ~(at.NODE_PAGE - 1))) << 5);
}

@inline
export function slotOfNode(node: usize): u32 {
  const offset = <u32>(node - at.nodeBase);
  return (offset >> 13 << 7) | (offset & 4095) >> 5;
}

/** Slot of a live node, 0 when the handle is stale or foreign. */
export function liveNode(handle: f64): u32 {
  const slot = slotOf(handle, KIND_NODE);
  if (slot > at.lastNode) return 0;
  // A node that is not in use has generation 0 or the next one; slot 0 has none.
  return load<u32>(nodeAt(slot), at.N_GENERATION) == generation ? slot : 0;
}

@inline
export function nodeHandle(slot: u32): f64 {
  return handleOf(slot, KIND_NODE, load<u32>(nodeAt(slot), at.N_GENERATION));
}
