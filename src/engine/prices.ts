// Prices as they are given: per operation, and per quantity on a meter; and the defaults.
import { EngineError } from "./errors.js";
import {
  ATTO_PER_USD,
  type Decimal,
  type Fraction,
  parseDecimal,
  reduce,
  usdToAtto,
} from "./money.js";
import { checkOptionNames } from "./option-names.js";

/** What a quantity costs: `price` USD for `per` units (1 unless given), `times` over (1 unless given). */
export interface MeterRate {
  readonly price: Decimal;
  /** Units that `price` buys; a positive whole number. */
  readonly per?: number;
  /** How often the price is due, for example the days that a byte is kept. */
  readonly times?: Decimal;
}

/** Prices by name; what is left out keeps its default. Amounts are USD. */
export interface EnginePrices {
  /** Operation name → price of one call. */
  readonly operations?: Readonly<Record<string, Decimal>>;
  /** Meter name → rate; a new name adds a meter. */
  readonly meters?: Readonly<Record<string, Decimal | MeterRate>>;
}

/** Byte-days in a GiB-month of 30 days: the unit that object stores are priced in. */
export const GIB_MONTH = 2 ** 30 * 30;

/**
 * Default rates per byte for one day at the time of writing. USD per GiB-month: S3 Standard 0.023,
 * Azure Blob hot 0.020, Google Cloud Storage standard 0.020; local disks are free.
 */
export const DEFAULT_METERS: Readonly<Record<string, MeterRate>> = {
  "storage.local": { price: "0" },
  "storage.s3": { price: "0.023", per: GIB_MONTH },
  "storage.azure": { price: "0.020", per: GIB_MONTH },
  "storage.gcs": { price: "0.020", per: GIB_MONTH },
};

/** Largest price of one call: a billion USD. */
const PRICE_MAX = 10n ** 27n;

/** Price of one call in atto-USD. @throws {EngineError} `INVALID_PRICE`, naming the field. */
export function operationPrice(value: Decimal, field: string): bigint {
  const atto = usdToAtto(value, field);
  if (atto > PRICE_MAX) {
    throw new EngineError("INVALID_PRICE", field, value, `${value} is above the limit of 1e9 USD`);
  }
  return atto;
}

/** Exact atto-USD per unit, in lowest terms. @throws {EngineError} `INVALID_PRICE`, naming the field. */
export function meterRate(value: Decimal | MeterRate, field: string): Fraction {
  const rate: MeterRate =
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? value
      : { price: value as Decimal };
  if (rate === value) checkOptionNames(field, rate, ["price", "per", "times"]);
  const per = rate.per ?? 1;
  if (!Number.isSafeInteger(per) || per <= 0) {
    throw new EngineError(
      "INVALID_PRICE",
      `${field}.per`,
      per,
      `${per} is not a positive whole number`,
    );
  }
  const price = parseDecimal(rate.price, field);
  const times = parseDecimal(rate.times ?? 1, `${field}.times`);
  const reduced = reduce({
    numerator: price.numerator * times.numerator * ATTO_PER_USD,
    denominator: price.denominator * times.denominator * BigInt(per),
  });
  if (reduced.numerator >= 1n << 75n || reduced.denominator >= 1n << 64n) {
    throw new EngineError(
      "INVALID_PRICE",
      field,
      rate.price,
      `${rate.price} per ${per} is out of range; in lowest terms a rate is below 2^75 atto-USD per fewer than 2^64 units`,
    );
  }
  return reduced;
}
