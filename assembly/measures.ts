// Histograms of latencies and sizes, by operation; counts add up, so they merge.
import * as at from "./layout";

/** Counts a value: single values below 2^bits, then 2^bits buckets an octave. */
function note(histogram: usize, value: u64, bits: u32): void {
  let bucket = <u32>value;
  if (value >> bits != 0) {
    const octave: u32 = 63 - <u32>clz(value);
    bucket = ((octave - bits + 1) << bits) + (<u32>(value >> (octave - bits)) & ((1 << bits) - 1));
  }
  const counter = histogram + (<usize>bucket << 2);
  store<u32>(counter, load<u32>(counter) + 1);
}

/** Counts a latency in ms, by microseconds up to 2^32 - 1; below zero it is unknown. */
export function noteLatency(operation: u32, latency: f64): void {
  if (!(latency >= 0.0 && latency < Infinity)) return;
  const micros: u64 = latency >= 4294967.0 ? 0xffffffff : <u64>(latency * 1000.0);
  note(at.measureBase + <usize>operation * at.LATENCY_STRIDE, micros, 3);
}

/** Counts a size in bytes. */
export function noteSize(operation: u32, bytes: u64): void {
  note(at.sizeBase + <usize>operation * at.SIZE_STRIDE, bytes, 2);
}
