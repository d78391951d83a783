// Interned names: bytes of UTF-8 ↔ id, one table for all dimensions, bounded in count and bytes.
import * as at from "./layout";
import * as status from "./status";

@inline
export function entryOf(id: u32): usize {
  return at.nameBase + <usize>id * at.NAME_STRIDE;
}

/** Is this id 0 or a name of the given dimension? */
export function names(id: u32, dimension: u32): bool {
  if (id == 0) return true;
  return id < load<u32>(at.header, at.H_NAMES) && load<u16>(entryOf(id), 6) == <u16>dimension;
}

/** Id of the name that takes what no longer fits in a dimension. */
@inline
export function overflowOf(dimension: u32): u32 {
  return dimension;
}

function hashOf(address: usize, length: u32, dimension: u32): u32 {
  let hash: u32 = 2166136261 ^ dimension;
  hash *= 16777619;
  for (let i: u32 = 0; i < length; i++) {
    hash = (hash ^ load<u8>(address + i)) * 16777619;
  }
  return hash;
}

function append(address: usize, length: u32, dimension: u32, hash: u32, slot: usize): u32 {
  const id = load<u32>(at.header, at.H_NAMES);
  const used = load<u32>(at.header, at.H_NAME_BYTES);
  if (id >= at.nameCapacity || length > at.nameByteCapacity - used) return 0;
  memory.copy(at.nameByteBase + used, address, length);
  const entry = entryOf(id);
  store<u32>(entry, used);
  store<u16>(entry, <u16>length, 4);
  store<u16>(entry, <u16>dimension, 6);
  store<u32>(entry, hash, 8);
  store<u32>(entry, 0, 12);
  store<u32>(slot, id);
  store<u32>(at.header, id + 1, at.H_NAMES);
  store<u32>(at.header, used + length, at.H_NAME_BYTES);
  return id;
}

/** Id of a name of this dimension, made when new; the overflow name when it does not fit any more. */
export function intern(address: usize, length: u32, dimension: u32): i32 {
  if (dimension == 0 || dimension >= at.DIMENSIONS || length > at.NAME_BYTES_MAX) return status.NAME;
  if (length == 0) return 0;
  const hash = hashOf(address, length, dimension);
  let index = hash & at.nameIndexMask;
  while (true) {
    const slot = at.nameIndexBase + (<usize>index << 2);
    const id = load<u32>(slot);
    if (id == 0) {
      const made = append(address, length, dimension, hash, slot);
      return made != 0 ? made : overflowOf(dimension);
    }
    const entry = entryOf(id);
    if (
      load<u32>(entry, 8) == hash &&
      load<u16>(entry, 4) == <u16>length &&
      load<u16>(entry, 6) == <u16>dimension &&
      memory.compare(at.nameByteBase + load<u32>(entry), address, length) == 0
    ) {
      return id;
    }
    index = (index + 1) & at.nameIndexMask;
  }
}

/** Lays the overflow names down as ids 1 to 10, so that they always exist. Text comes from the window. */
export function start(overflowLength: u32): void {
  store<u32>(at.header, 1, at.H_NAMES);
  for (let dimension: u32 = 1; dimension < at.DIMENSIONS; dimension++) {
    intern(at.windowBase, overflowLength, dimension);
  }
}

/** The node that a run's name stands for; 0 is none. */
@inline
export function nodeOf(id: u32): u32 {
  return load<u32>(entryOf(id), 12);
}

@inline
export function setNode(id: u32, node: u32): void {
  store<u32>(entryOf(id), node, 12);
}
