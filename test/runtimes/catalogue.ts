// What the vectors are about: operations, meters and their prices, and an engine with room for all of it.
import type { EngineOperation, EngineOptions, EnginePrices } from "../../src/engine/index.js";
import type { Rate } from "../engine/oracle.js";

export const DAY = 86_400_000;

function operation(
  name: string,
  operationClass: string,
  price: string | null,
  traits: { readonly counted?: boolean; readonly startsRun?: boolean } = {},
): EngineOperation {
  const { counted = true, startsRun = false } = traits;
  return { id: -1, name, class: operationClass, price, counted, startsRun };
}

/** The operations that are called, with the prices that are set for them at creation. */
export const OPERATIONS: readonly EngineOperation[] = [
  operation("log_metric", "tracking-write", "0.0001"),
  operation("create_run", "run-lifecycle", "0.00025", { startsRun: true }),
  operation("get_run", "tracking-read", "0", { counted: false }),
  operation("log_artifact", "artifact-write", "0"),
  operation("create_model_version", "registry-write", "0.000000000000000001"),
  operation("export_spans", "trace-write", null),
  operation("embed_text", "tracking-write", "0.123456789012345678"),
  operation("sell_house", "tracking-write", "1000000000"),
  operation("peek", "tracking-read", null, { counted: false }),
].map((one, id) => ({ ...one, id }));
const CUSTOM = 6;

export const ATTO = 10n ** 18n;
const GIB_DAYS = 2n ** 30n * 30n;

/** Meters, their rates as they are given to the engine and as exact fractions for the twin. */
export const METERS: readonly {
  readonly name: string;
  readonly given?: NonNullable<EnginePrices["meters"]>[string];
  readonly rate?: Rate;
}[] = [
  { name: "storage.local", rate: { numerator: 0n, denominator: 1n } },
  { name: "storage.s3", rate: { numerator: 23n * 10n ** 15n, denominator: GIB_DAYS } },
  {
    name: "egress.eu",
    given: { price: "0.09", per: 2 ** 30 },
    rate: { numerator: 9n * 10n ** 16n, denominator: 2n ** 30n },
  },
  {
    name: "tokens",
    given: { price: "2.5", per: 1_000_000 },
    rate: { numerator: (25n * ATTO) / 10n, denominator: 1_000_000n },
  },
  {
    name: "halves",
    given: { price: "0.000000000000000001", per: 2 },
    rate: { numerator: 1n, denominator: 2n },
  },
  {
    name: "huge.unit",
    given: "37000",
    rate: { numerator: 37_000n * ATTO, denominator: 1n },
  },
  {
    name: "odd.rate",
    given: { price: "0.123456789012345678", per: Number.MAX_SAFE_INTEGER },
    rate: { numerator: 123_456_789_012_345_678n, denominator: BigInt(Number.MAX_SAFE_INTEGER) },
  },
  { name: "gpu.seconds" },
  { name: "__proto__" },
];

/** Room for everything, so that nothing is folded or given up on its own. */
export const OPTIONS: EngineOptions = {
  runs: 256,
  tuples: 256,
  names: 1024,
  nameBytes: 65_536,
  reservations: 256,
  budgets: 64,
  positions: 256,
  sourceBytes: 2 ** 20,
  reservationTtlMs: 2 * DAY,
  prices: {
    operations: Object.fromEntries(
      OPERATIONS.slice(0, CUSTOM).flatMap(({ name, price }) =>
        price === null ? [] : [[name, price]],
      ),
    ),
    meters: Object.fromEntries(
      METERS.flatMap(({ name, given }) => (given === undefined ? [] : [[name, given]])),
    ),
  },
  operations: OPERATIONS.slice(CUSTOM).map(({ name, class: itsClass, price, counted }) => ({
    name,
    class: itsClass,
    counted,
    ...(price !== null && { price }),
  })),
};
