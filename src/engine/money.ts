// Decimal text ↔ exact amounts, without floating point in between.
import { EngineError } from "./errors.js";

/** Atto-USD in one USD. */
export const ATTO_PER_USD = 10n ** 18n;

/** An exact fraction; both terms are whole, the denominator positive. */
export interface Fraction {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** A USD amount as a person writes it: a number or decimal text, with at most 18 decimals. */
export type Decimal = number | string;

const DECIMAL = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,2}))?$/;

/**
 * Reads a non-negative decimal exactly: `0.023`, `"0.0001"`, `"2.5e-6"`.
 *
 * @throws {EngineError} `INVALID_PRICE` for anything else, and for more than 18 decimals.
 */
export function parseDecimal(value: Decimal, field: string): Fraction {
  const text = typeof value === "number" ? String(value) : value;
  const match = typeof text === "string" ? DECIMAL.exec(text.trim()) : null;
  if (match === null) {
    throw new EngineError(
      "INVALID_PRICE",
      field,
      value,
      `${typeof value === "string" ? JSON.stringify(value) : String(value)} is not a non-negative decimal; write for example 0.0001 or "0.0001"`,
    );
  }
  const [, whole = "0", fraction = "", exponentText = "0"] = match;
  const exponent = Number(exponentText);
  const digits = fraction.replace(/0+$/, "");
  const decimals = digits.length - exponent;
  if (decimals > 18) {
    throw new EngineError(
      "INVALID_PRICE",
      field,
      value,
      `${text} has more than 18 decimals; amounts are counted in 1e-18 USD`,
    );
  }
  const mantissa = BigInt(whole + digits);
  return decimals >= 0
    ? { numerator: mantissa, denominator: 10n ** BigInt(decimals) }
    : { numerator: mantissa * 10n ** BigInt(-decimals), denominator: 1n };
}

/** A USD amount as whole atto-USD. Throws as {@link parseDecimal}. */
export function usdToAtto(value: Decimal, field: string): bigint {
  const { numerator, denominator } = parseDecimal(value, field);
  return (numerator * ATTO_PER_USD) / denominator;
}

/** Atto-USD as exact decimal USD without trailing zeros: `600000000000000n` → `"0.0006"`. */
export function attoToUsd(atto: bigint): string {
  const sign = atto < 0n ? "-" : "";
  const amount = atto < 0n ? -atto : atto;
  const whole = amount / ATTO_PER_USD;
  const rest = (amount % ATTO_PER_USD).toString().padStart(18, "0").replace(/0+$/, "");
  return `${sign}${whole}${rest === "" ? "" : `.${rest}`}`;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

/** Lowest terms. */
export function reduce({ numerator, denominator }: Fraction): Fraction {
  const divisor = greatestCommonDivisor(numerator, denominator);
  return divisor === 0n
    ? { numerator: 0n, denominator: 1n }
    : { numerator: numerator / divisor, denominator: denominator / divisor };
}
