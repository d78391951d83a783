// USD for people: exact amounts in, decimal text out, nothing in floating point on the way.
import { attoToUsd, usdToAtto } from "../engine/index.js";

const ATTO_DECIMALS = 18;

/** Atto-USD of exact decimal text. */
export function attoOf(usd: string): bigint {
  return usdToAtto(usd, "amount");
}

function roundedHalfEven(amount: bigint, unit: bigint): bigint {
  const whole = amount / unit;
  const rest = (amount % unit) * 2n;
  return rest > unit || (rest === unit && whole % 2n === 1n) ? whole + 1n : whole;
}

/** `$1,234.50`: rounded once, half to even. */
export function formatUsd(atto: bigint, decimals: number): string {
  const units = roundedHalfEven(atto, 10n ** BigInt(ATTO_DECIMALS - decimals));
  const digits = units.toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals);
  return `$${withThousands(whole)}${decimals > 0 ? `.${fraction}` : ""}`;
}

/**
 * The fewest decimals, from `least` up, with which every column adds up as printed: its rounded parts
 * sum to its rounded total. With all 18 each does.
 */
export function fewestDecimals(columns: readonly (readonly bigint[])[], least: number): number {
  for (let decimals = least; decimals < ATTO_DECIMALS; decimals++) {
    const unit = 10n ** BigInt(ATTO_DECIMALS - decimals);
    const addsUp = columns.every((parts) => {
      let exact = 0n;
      let printed = 0n;
      for (const part of parts) {
        exact += part;
        printed += roundedHalfEven(part, unit);
      }
      return printed === roundedHalfEven(exact, unit);
    });
    if (addsUp) return decimals;
  }
  return ATTO_DECIMALS;
}

/** `$0.0578000444`: every digit there is. */
export function formatExactUsd(atto: bigint): string {
  const [whole = "0", fraction] = attoToUsd(atto).split(".");
  return `$${withThousands(whole)}.${(fraction ?? "").padEnd(2, "0")}`;
}

function withThousands(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Share of a total in tenths of a percent: `97.4 %`, `<0.1 %` for a trace, `0 %` for nothing. */
export function formatShare(part: bigint, total: bigint): string {
  if (part === 0n || total === 0n) return "0 %";
  const tenths = Number((part * 2000n + total) / (total * 2n));
  if (tenths === 0) return "<0.1 %";
  if (tenths === 1000 && part < total) return ">99.9 %";
  return `${(tenths / 10).toFixed(1)} %`;
}

/** `61.2 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0
    ? `${value} ${value === 1 ? "byte" : "bytes"}`
    : `${value.toFixed(1)} ${units[unit]}`;
}

/** `1,234`. */
export function formatCount(count: number | bigint): string {
  return withThousands(count.toString());
}
