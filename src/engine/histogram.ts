// Buckets of latencies and sizes: an octave is divided into equal parts, so that an error is a share of the value.
import type { Percentiles } from "./summary.js";

/** Bits that divide an octave of latencies: eight parts, so at most 12.5 % too much. */
export const LATENCY_BITS = 3;

/** Units of a latency's bucket in one millisecond. */
export const LATENCY_UNITS = 1000;

/** Bits that divide an octave of sizes: four parts, so at most 25 % too much. */
export const SIZE_BITS = 2;

/** Bucket of a whole number from 0 to 2^32 - 1, as the engine's module chooses it. */
export function bucketOf(value: number, bits: number): number {
  if (value < 2 ** bits) return value;
  const octave = 31 - Math.clz32(value);
  return (octave - bits + 1) * 2 ** bits + ((value >>> (octave - bits)) & (2 ** bits - 1));
}

/** The first value above a bucket of `2^bits` buckets an octave. */
function bucketEdge(bucket: number, bits: number): number {
  const perOctave = 2 ** bits;
  if (bucket < perOctave) return bucket + 1;
  const octave = Math.floor(bucket / perOctave) - 1;
  return 2 ** octave * (perOctave + (bucket % perOctave) + 1);
}

/** Upper edges of the buckets that hold half, 95 % and 99 % of what was counted; undefined when nothing was. */
export function percentiles(
  counts: ArrayLike<number>,
  bits: number,
  unit: number,
): Percentiles | undefined {
  let all = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) all += counts[bucket] as number;
  if (all === 0) return undefined;
  const percentile = (share: number) => {
    let seen = 0;
    let bucket = 0;
    for (; bucket < counts.length - 1; bucket++) {
      seen += counts[bucket] as number;
      if (seen >= share * all) break;
    }
    return bucketEdge(bucket, bits) / unit;
  };
  return { p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) };
}
