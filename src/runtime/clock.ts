// Wall time by the monotonic clock, which every governed call reads anyway: asking the system twice costs twice.

/** Milliseconds after which the wall clock is looked at again, as somebody may set it. */
const TRUSTED_MS = 5;

/** The wall clock was last seen at this mark of the monotonic clock, in ms, and showed `seenMs`. */
let seenMark = Number.POSITIVE_INFINITY;
let seenMs = 0;

/** Milliseconds since 1970, as the wall clock shows them; what it shows is believed from now on. */
export function wallTime(): number {
  seenMs = Date.now();
  seenMark = performance.now();
  return seenMs;
}

/**
 * Whole milliseconds since 1970 at a mark that `performance.now()` has just given. Never ahead of the wall
 * clock, and behind it for at most 5 ms after somebody has set it.
 */
export function wallTimeAt(mark: number): number {
  const since = mark - seenMark;
  if (since >= 0 && since < TRUSTED_MS) return seenMs + Math.trunc(since);
  return wallTime();
}
