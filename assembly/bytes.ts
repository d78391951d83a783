// Runs of bytes: are they the same, what is their hash, and the index that finds them.

export const MIX: u64 = 0x9e3779b97f4a7c15;

/** Are `length` bytes at both places the same? */
export function same(a: usize, b: usize, length: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= length; i += 8) if (load<u64>(a + i) != load<u64>(b + i)) return false;
  for (; i < length; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
  return true;
}

/** A bit for each of the eight bytes of a word that is zero; exact up to the first. A word xor eight times a byte asks for that byte. */
@inline
export function zeros(word: u64): u64 {
  return (word - 0x0101010101010101) & ~word & 0x8080808080808080;
}

/**
 * Hash of `length` bytes, eight at a time. The upper half of a last product, as the lowest bits of a product know
 * nothing of the highest ones of its factor, and it is by its lowest bits that a hash finds its place.
 */
export function hashOf(address: usize, length: u32, seed: u32): u32 {
  let hash: u64 = (<u64>seed << 32) | length;
  let i: u32 = 0;
  for (; i + 8 <= length; i += 8) hash = mixed(hash, load<u64>(address + i));
  for (; i < length; i++) hash = mixed(hash, load<u8>(address + i));
  return <u32>((hash * MIX) >> 32);
}

/** Takes one more word in. For one hash, different words give different answers, and the other way round. */
@inline
export function mixed(hash: u64, word: u64): u64 {
  const next = (hash ^ word) * MIX;
  return next ^ (next >> 32);
}

/**
 * Takes the entry at `hole` out of an index of ids (open addressing, 0 is empty), moving those behind it
 * that would not be found any more. `hashes` is where id 0 would have its hash.
 */
export function removeFrom(base: usize, mask: u32, hole: u32, hashes: usize, stride: usize): void {
  let next = hole;
  while (true) {
    next = (next + 1) & mask;
    const id = load<u32>(base + (<usize>next << 2));
    if (id == 0) break;
    const home = load<u32>(hashes + <usize>id * stride);
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      store<u32>(base + (<usize>hole << 2), id);
      hole = next;
    }
  }
  store<u32>(base + (<usize>hole << 2), 0);
}
