// Many short rounds in random order, and what can be said about their ratios with confidence.
import { BATCH, seeded } from "./workload.mjs";

/** Rounds before the clock counts: enough for every compiler to have finished. */
const WARM_UP = 16;
/** Normal quantile of a two-sided 99 % interval. */
const QUANTILE = 2.576;

/**
 * Nanoseconds that this process has computed for, the garbage collector's threads included. Other
 * programs cannot disturb it as they disturb a clock on the wall, which is what Windows has to use:
 * its count moves in steps of 16 ms.
 */
function computed() {
  if (process.platform === "win32") return performance.now() * 1e6;
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

export function shuffled(items, random) {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * Times every contender once a round, on the same batch. Answers name → nanoseconds a unit (an operation, unless a
 * contender says how many units it works through), one a round. What slows the machine for longer than a round hits all of them alike and leaves their ratio.
 */
export async function measure(contenders, batches, rounds, seed, progress) {
  const random = seeded(seed);
  const times = new Map(contenders.map(({ name }) => [name, new Float64Array(rounds)]));
  const warmUp = Math.min(WARM_UP, rounds);
  let used = 0;
  for (let round = -warmUp; round < rounds; round++) {
    const batch = batches[(round + warmUp) % batches.length];
    for (const contender of shuffled(contenders, random)) {
      // Once without the clock: what the contender before left in the processor's caches is not this one's doing.
      used += contender.book(batch);
      const started = computed();
      used += contender.book(batch);
      const took = computed() - started;
      // The clock ticks in microseconds, and a tick is the least that anything can take.
      if (round >= 0) {
        times.get(contender.name)[round] = Math.max(took, 1000) / (contender.units ?? BATCH);
      }
      await contender.rest?.();
    }
    progress(round + 1, rounds);
  }
  // The results are looked at, so no compiler may leave the work out.
  if (!(used > 0)) throw new Error("bench: nothing was booked");
  return times;
}

export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Median of the ratios of two contenders, round by round, with the 99 % interval that order statistics
 * give for a median, whatever the distribution.
 */
export function ratioOf(times, measured, against) {
  const below = times.get(against);
  const ratios = times
    .get(measured)
    .map((time, round) => time / below[round])
    .sort();
  const half = (QUANTILE * Math.sqrt(ratios.length)) / 2;
  const low = Math.max(0, Math.floor(ratios.length / 2 - half));
  const high = Math.min(ratios.length - 1, Math.ceil(ratios.length / 2 + half));
  return { value: median(ratios), low: ratios[low], high: ratios[high] };
}
