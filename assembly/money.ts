// Exact amounts: signed 128-bit counts of atto-USD (1e-18) as two 64-bit words.
// AssemblyScript returns one value, so results of two words are left in `low` and `high`.

/** Low word of the last result. */
export let low: u64 = 0;
/** High word of the last result. */
export let high: u64 = 0;

let quotient: u64 = 0;
let remainder: u64 = 0;

/** Adds (lo, hi) to the amount in memory at `at`. */
export function addTo(at: usize, lo: u64, hi: u64): void {
  addInline(at, lo, hi);
}

/** The same without a call, for the paths where that counts. */
@inline
export function addInline(at: usize, lo: u64, hi: u64): void {
  const before = load<u64>(at);
  const sum = before + lo;
  store<u64>(at, sum);
  store<u64>(at, load<u64>(at, 8) + hi + u64(sum < before), 8);
}

/** Leaves an amount as the result. */
export function set(lo: u64, hi: u64): void {
  low = lo;
  high = hi;
}

/** Takes (lo, hi) from the amount in memory at `at`. */
export function takeFrom(at: usize, lo: u64, hi: u64): void {
  const before = load<u64>(at);
  store<u64>(at, before - lo);
  store<u64>(at, load<u64>(at, 8) - hi - u64(before < lo), 8);
}

/** Would adding (lo, hi) push the amount at `at` past the largest positive value? Both are not negative. */
@inline
export function overflows(at: usize, lo: u64, hi: u64): bool {
  const before = load<u64>(at);
  const sum = before + lo;
  return <i64>(load<u64>(at, 8) + hi + u64(sum < before)) < 0;
}

/** Is the first amount greater than the second? Both are not negative. */
export function exceeds(lo: u64, hi: u64, otherLo: u64, otherHi: u64): bool {
  return hi == otherHi ? lo > otherLo : hi > otherHi;
}

/** Adds two amounts into (low, high). */
export function sum(lo: u64, hi: u64, otherLo: u64, otherHi: u64): void {
  low = lo + otherLo;
  high = hi + otherHi + u64(low < lo);
}

/** Full product of two words into (low, high), by 32-bit halves. */
export function multiply(a: u64, b: u64): void {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const p00 = a0 * b0;
  const p01 = a0 * b1 + (p00 >> 32);
  const p10 = a1 * b0 + (p01 & 0xffffffff);
  low = (p10 << 32) | (p00 & 0xffffffff);
  high = a1 * b1 + (p01 >> 32) + (p10 >> 32);
}

/** (hi:lo) / d for hi < d, schoolbook in 32-bit digits after normalising d. */
@inline
function divideWords(hi: u64, lo: u64, d: u64): void {
  const shift = clz(d);
  const divisor = d << shift;
  const d1 = divisor >> 32;
  const d0 = divisor & 0xffffffff;
  const top = shift == 0 ? hi : (hi << shift) | (lo >> (64 - shift));
  const bottom = lo << shift;
  const n1 = bottom >> 32;
  const n0 = bottom & 0xffffffff;
  let q1 = top / d1;
  let r = top - q1 * d1;
  while (q1 > 0xffffffff || q1 * d0 > ((r << 32) | n1)) {
    q1--;
    r += d1;
    if (r > 0xffffffff) break;
  }
  const middle = ((top << 32) | n1) - q1 * divisor;
  let q0 = middle / d1;
  r = middle - q0 * d1;
  while (q0 > 0xffffffff || q0 * d0 > ((r << 32) | n0)) {
    q0--;
    r += d1;
    if (r > 0xffffffff) break;
  }
  quotient = (q1 << 32) | q0;
  remainder = (((middle << 32) | n0) - q0 * divisor) >> shift;
}

/**
 * quantity × (rateHigh:rateLow) / divisor into (low, high), rounded half to even, once.
 * Bounds kept by the caller: quantity < 2^53, rate < 2^75, divisor > 0; so the product fits 128 bits.
 */
export function scale(quantity: u64, rateLow: u64, rateHigh: u64, divisor: u64): void {
  multiply(rateLow, quantity);
  const productLow = low;
  const productHigh = high + rateHigh * quantity;
  let upper: u64 = 0;
  if (productHigh == 0) {
    quotient = productLow / divisor;
    remainder = productLow - quotient * divisor;
  } else {
    upper = productHigh / divisor;
    divideWords(productHigh - upper * divisor, productLow, divisor);
  }
  const left = divisor - remainder;
  const roundUp = remainder > left || (remainder == left && (quotient & 1) == 1);
  low = quotient + u64(roundUp);
  high = upper + u64(low < quotient);
}
