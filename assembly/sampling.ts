// Consistent probability sampling of single operations: keep when 52 random bits reach the class's threshold.
import * as at from "./layout";

/** The threshold that no 52 bits reach. */
const NOTHING: u64 = 1 << 52;

/** Sets the share of a class to keep, 0 to 1, as OpenTelemetry's rejection threshold cut to 52 bits. */
export function setRate(classId: u32, rate: f64): void {
  store<u64>(at.header + (<usize>classId << 3), <u64>((1.0 - rate) * 4503599627370496.0), at.H_THRESHOLDS);
}

/** Next 52 bits of a seeded splitmix64 sequence: the same calls always give the same choices. */
function randomBits(): u64 {
  const state = load<u64>(at.header, at.H_RANDOM) + 0x9e3779b97f4a7c15;
  store<u64>(at.header, state, at.H_RANDOM);
  let bits = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return (bits ^ (bits >> 31)) >> 12;
}

/** The threshold of a class: 0 keeps every one. */
@inline
export function thresholdOf(classId: u32): u64 {
  return load<u64>(at.header + (<usize>classId << 3), at.H_THRESHOLDS);
}

/** Is an operation of this class kept, where nothing demands that it is? Counts it in its cell when not. */
export function keep(classId: u32, cell: usize): bool {
  const threshold = thresholdOf(classId);
  // No number is drawn where the answer is known.
  return threshold == 0 || draw(threshold, cell);
}

/** Draws whether one is kept under a threshold that is not 0. */
export function draw(threshold: u64, cell: usize): bool {
  if (threshold != NOTHING && randomBits() >= threshold) return true;
  at.count(cell + at.C_DROPPED, 1);
  return false;
}
