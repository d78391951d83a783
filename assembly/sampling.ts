// Consistent probability sampling of single operations: keep when 52 random bits reach the threshold.
import * as at from "./layout";

/** The threshold that no 52 bits reach. */
const NOTHING: u64 = 1 << 52;

/** Sets the share to keep, 0 to 1, as OpenTelemetry's rejection threshold cut to 52 bits. */
export function setRate(rate: f64): void {
  store<u64>(at.header, <u64>((1.0 - rate) * 4503599627370496.0), at.H_THRESHOLD);
}

/** Next 52 bits of a seeded splitmix64 sequence: the same calls always give the same choices. */
function randomBits(): u64 {
  const state = load<u64>(at.header, at.H_RANDOM) + 0x9e3779b97f4a7c15;
  store<u64>(at.header, state, at.H_RANDOM);
  let bits = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return (bits ^ (bits >> 31)) >> 12;
}

/** Decides one operation and counts the decision. What must be kept is kept with probability one. */
@inline
export function keep(always: bool): bool {
  const threshold = load<u64>(at.header, at.H_THRESHOLD);
  // No number is drawn where the answer is known.
  const kept = always || threshold == 0 || (threshold != NOTHING && randomBits() >= threshold);
  const counter = at.header + (kept ? at.H_KEPT : at.H_DROPPED);
  store<u64>(counter, load<u64>(counter) + 1);
  return kept;
}
