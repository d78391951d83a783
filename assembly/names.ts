// Interned names: bytes of UTF-8 ↔ id, one table for all dimensions, bounded in count and bytes.
import { hashOf, removeFrom, same } from "./bytes";
import { foldOne } from "./folding";
import * as at from "./layout";
import * as status from "./status";

/** Under this name stand runs that were folded and had no run above them. */
export const FOLDED: u32 = at.DIMENSIONS;

@inline
export function entryOf(id: u32): usize {
  return at.nameBase + <usize>id * at.NAME_STRIDE;
}

@inline
export function dimensionOf(id: u32): u32 {
  return load<u8>(entryOf(id), 6);
}

@inline
export function flagsOf(id: u32): u32 {
  return load<u8>(entryOf(id), 7);
}

export function setFlags(id: u32, flags: u32): void {
  store<u8>(entryOf(id), <u8>flags, 7);
}

/** Is this id 0 or a name of the given dimension? */
export function names(id: u32, dimension: u32): bool {
  return id == 0 || (id < at.word(at.H_NAMES) && dimensionOf(id) == dimension);
}

/** Id of the name that takes what no longer fits in a dimension. */
@inline
export function overflowOf(dimension: u32): u32 {
  return dimension;
}

/** The name itself when it is pinned or none; what is given up otherwise. */
export function pinnedOr(id: u32, dimension: u32): u32 {
  return id == 0 || (flagsOf(id) & at.NAME_PINNED) != 0 ? id : overflowOf(dimension);
}

/** Place in the index of this name, or where it would be. */
function placeOf(address: usize, length: u32, dimension: u32, hash: u32): usize {
  let index = hash & at.nameIndexMask;
  while (true) {
    const place = at.nameIndexBase + (<usize>index << 2);
    const id = load<u32>(place);
    if (id == 0) return place;
    const entry = entryOf(id);
    if (
      load<u32>(entry, 8) == hash &&
      load<u32>(entry, 4) << 8 == ((dimension << 16) | length) << 8 &&
      same(at.nameByteBase + load<u32>(entry), address, length)
    ) {
      return place;
    }
    index = (index + 1) & at.nameIndexMask;
  }
}

/** Id of a name of this dimension; 0 when there is none. */
export function find(address: usize, length: u32, dimension: u32): u32 {
  return load<u32>(placeOf(address, length, dimension, hashOf(address, length, dimension)));
}

let whole: bool = false;

/** Says that blocks may not be cut, so that what is taken can be put back as it was. */
export function keepWhole(on: bool): void {
  whole = on;
}

/** Bytes of `length` in blocks of 16, as offset; all ones when there is no room. */
export function takeBytes(length: u32): u32 {
  const blocks = (length + 15) >> 4;
  let from = blocks;
  let head = at.blockBase + (<usize>from << 2);
  if (load<u32>(head) == 0) {
    const used = at.word(at.H_NAME_BYTES);
    if (blocks << 4 <= at.nameByteCapacity - used) {
      at.setWord(at.H_NAME_BYTES, used + (blocks << 4));
      return used;
    }
    do {
      if (whole || ++from >= at.BLOCK_SIZES) return 0xffffffff;
      head += 4;
    } while (load<u32>(head) == 0);
  }
  const offset = load<u32>(head) - 1;
  store<u32>(head, load<u32>(at.nameByteBase + offset));
  if (from != blocks) giveBytes(offset + (blocks << 4), from - blocks);
  return offset;
}

function giveBytes(offset: u32, blocks: u32): void {
  const head = at.blockBase + (<usize>blocks << 2);
  memory.fill(at.nameByteBase + offset, 0, <usize>blocks << 4);
  store<u32>(at.nameByteBase + offset, load<u32>(head));
  store<u32>(head, offset + 1);
}

/** Makes a new name; 0 when it does not fit. */
function append(address: usize, length: u32, dimension: u32, hash: u32): u32 {
  let id = at.word(at.H_FREE_NAME);
  if (id == 0 && at.word(at.H_NAMES) >= at.nameCapacity) return 0;
  const offset = takeBytes(length);
  if (offset == 0xffffffff) return 0;
  if (id != 0) {
    at.setWord(at.H_FREE_NAME, load<u32>(entryOf(id), 12));
  } else {
    id = at.word(at.H_NAMES);
    at.setWord(at.H_NAMES, id + 1);
  }
  memory.copy(at.nameByteBase + offset, address, length);
  const entry = entryOf(id);
  store<u32>(entry, offset);
  store<u32>(entry, (dimension << 16) | length, 4);
  store<u32>(entry, hash, 8);
  store<u32>(entry, 0, 12);
  enter(id);
  return id;
}

/** Puts a name into the index. */
export function enter(id: u32): void {
  let index = load<u32>(entryOf(id), 8) & at.nameIndexMask;
  while (load<u32>(at.nameIndexBase + (<usize>index << 2)) != 0) index = (index + 1) & at.nameIndexMask;
  store<u32>(at.nameIndexBase + (<usize>index << 2), id);
}

/** Id of a name of this dimension, made when new; the overflow name when it does not fit any more. */
export function intern(address: usize, length: u32, dimension: u32): i32 {
  if (dimension == 0 || dimension >= at.DIMENSIONS || length > at.NAME_BYTES_MAX) return status.NAME;
  if (length == 0) return 0;
  const hash = hashOf(address, length, dimension);
  const known = load<u32>(placeOf(address, length, dimension, hash));
  if (known != 0) return known;
  let made = append(address, length, dimension, hash);
  // Runs that are over give their names back.
  while (made == 0 && foldOne()) made = append(address, length, dimension, hash);
  return made != 0 ? made : overflowOf(dimension);
}

/** Makes a name where nothing may be folded for it; 0 when it does not fit. */
export function make(address: usize, length: u32, dimension: u32): u32 {
  return append(address, length, dimension, hashOf(address, length, dimension));
}

/** Gives the name of a run back, unless something else speaks of it. */
export function dropRun(id: u32): void {
  if (id > FOLDED && flagsOf(id) == 0 && nodeOf(id) == 0) drop(id);
}

/** Takes back the newest name, as if it had never been made: there were so many names and bytes before. */
export function undo(id: u32, namesBefore: u32, bytesBefore: u32): void {
  const offset = load<u32>(entryOf(id));
  const blocks = (<u32>load<u16>(entryOf(id), 4) + 15) >> 4;
  drop(id);
  if (id >= namesBefore) {
    at.setWord(at.H_FREE_NAME, 0);
    store<u32>(entryOf(id), 0, 12);
    at.setWord(at.H_NAMES, id);
  }
  if (offset >= bytesBefore) {
    store<u32>(at.blockBase + (<usize>blocks << 2), load<u32>(at.nameByteBase + offset));
    store<u32>(at.nameByteBase + offset, 0);
    at.setWord(at.H_NAME_BYTES, offset);
  }
}

/** Gives a name back. */
export function drop(id: u32): void {
  const entry = entryOf(id);
  const length: u32 = load<u16>(entry, 4);
  const place = placeOf(at.nameByteBase + load<u32>(entry), length, dimensionOf(id), load<u32>(entry, 8));
  removeFrom(
    at.nameIndexBase, at.nameIndexMask, <u32>((place - at.nameIndexBase) >> 2), at.nameBase + 8, at.NAME_STRIDE,
  );
  giveBytes(load<u32>(entry), (length + 15) >> 4);
  memory.fill(entry, 0, at.NAME_STRIDE);
  store<u32>(entry, at.word(at.H_FREE_NAME), 12);
  at.setWord(at.H_FREE_NAME, id);
}

/** Lays the standing names down, so that they always exist: "(overflow)" a dimension, and "(folded)". */
export function start(overflow: usize, overflowLength: u32, folded: usize, foldedLength: u32): void {
  at.setWord(at.H_NAMES, 1);
  for (let dimension: u32 = 1; dimension < at.DIMENSIONS; dimension++) {
    intern(overflow, overflowLength, dimension);
  }
  intern(folded, foldedLength, at.DIMENSION_RUN);
  for (let id: u32 = 1; id <= FOLDED; id++) setFlags(id, at.NAME_PINNED);
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

@inline
export function foldedAt(id: u32): usize {
  return at.foldedBase + <usize>id * at.AMOUNT_STRIDE;
}

/** Behind the last name that was ever given a folded amount: a roll-up looks no further. */
export let foldedEnd: u32 = 0;

export function noteFolded(id: u32): void {
  if (id >= foldedEnd) foldedEnd = id + 1;
}
