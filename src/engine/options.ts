// What an engine can be made with, and the check of it.
import { EngineError } from "./errors.js";
import type { Capacities } from "./instance.js";
import type { Decimal } from "./money.js";
import { checkOptionNames } from "./option-names.js";
import type { EnginePrices } from "./prices.js";
import type { RunTotal } from "./summary.js";

/** An operation of a host's own, beside MLflow's. */
export interface CustomOperation {
  /** Snake case, at most 256 characters, not in the table yet. */
  readonly name: string;
  /** One of the classes of the table, for example `tracking-write`. */
  readonly class: string;
  /** USD per call; unknown when left out. */
  readonly price?: Decimal;
  /** Does it change something, so that it counts as an operation? True unless given. */
  readonly counted?: boolean;
  /** Does it start a run, so that budgets in runs count it? False unless given. */
  readonly startsRun?: boolean;
}

/** Capacities are maxima: memory is sized once, for all of them. */
export interface EngineOptions {
  /** Runs and scopes, 1 to 8,388,608; 65,536 unless given. 64 bytes each. */
  readonly runs?: number;
  /** Payer tuples, 16 to 1,048,576; 4,096 unless given. 144 bytes each. */
  readonly tuples?: number;
  /** Names over all dimensions, 64 to 8,388,608; twice the runs and 8,192 unless given. About 62 bytes each. */
  readonly names?: number;
  /** Bytes of UTF-8 for all names, each rounded up to 16; 1,024 to 2^30; 48 for each name unless given. */
  readonly nameBytes?: number;
  /** Reservations and leases at once, 1 to 1,048,574; 4,096 unless given. 240 bytes each. */
  readonly reservations?: number;
  /** Budgets and rate limits, 1 to 65,535; 256 unless given. 480 bytes each. */
  readonly budgets?: number;
  /**
   * Runs with a position of their own in budgets with the period `run`, 1 to 8,388,608; 4,096 unless given. 64 bytes
   * each. Without room the runs that are finished are folded; when none is, the newcomers share one position.
   */
  readonly positions?: number;
  /** Bytes for the ledgers of other engines that are merged into this one, 0 to 2^30; 4 MiB unless given. */
  readonly sourceBytes?: number;
  /** Bytes of the buffer for requests that are looked at as they came, 0 to 2^30; 1 MiB unless given, as long as MLflow lets a batch be. */
  readonly bufferBytes?: number;
  /** Milliseconds that a reservation holds its amount untouched, from 1; an hour unless given. */
  readonly reservationTtlMs?: number;
  readonly prices?: EnginePrices;
  readonly operations?: readonly CustomOperation[];
  /** Seed of the sampling decisions, a safe integer; 0 unless given. */
  readonly seed?: number;
  /** Share of operations whose telemetry is kept, 0 to 1; 1 unless given. */
  readonly samplingRate?: number;
  /** Class of operations → share that is kept, where it is another. */
  readonly samplingRates?: Readonly<Record<string, number>>;
  /** Path that the MLflow server adds before its own, for example `/mlflow`. */
  readonly staticPrefix?: string;
  /** Number of this engine among those that are merged, a safe integer from 1; without one it cannot be merged. */
  readonly source?: number;
  /**
   * Which life of that source this is, 0 to 2^32 - 1; 0 unless given. A new one when its state was lost, and the same one
   * when it is restored: its snapshots hold all that it counted.
   */
  readonly epoch?: number;
  /** Is told of finished runs before they are folded for lack of room. */
  readonly onFolded?: (runs: readonly RunTotal[]) => void;
}

/** A whole number within its range, or what it is when not given. @throws `INVALID_OPTION`. */
export function option(
  field: string,
  value: number | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new EngineError(
      "INVALID_OPTION",
      field,
      value,
      `${String(value)} is not a whole number from ${least} to ${most}`,
    );
  }
  return value;
}

const NODES_MAX = 0x800000;

const ENGINE_OPTIONS: readonly (keyof EngineOptions)[] = [
  "runs",
  "tuples",
  "names",
  "nameBytes",
  "reservations",
  "budgets",
  "positions",
  "sourceBytes",
  "bufferBytes",
  "reservationTtlMs",
  "prices",
  "operations",
  "seed",
  "samplingRate",
  "samplingRates",
  "staticPrefix",
  "source",
  "epoch",
  "onFolded",
];
const OPERATION_OPTIONS: readonly (keyof CustomOperation)[] = [
  "name",
  "class",
  "price",
  "counted",
  "startsRun",
];

/** Are these options of an engine, all of them known? @throws `INVALID_OPTION`, naming the one that is not. */
export function checkEngineOptions(options: EngineOptions): void {
  checkOptionNames("createEngine", options, ENGINE_OPTIONS);
  const { operations = [], onFolded } = options;
  if (!Array.isArray(operations)) throw wrongOption("operations", operations, "is no list");
  for (const operation of operations) {
    checkOptionNames("operations", operation, OPERATION_OPTIONS);
    for (const key of ["counted", "startsRun"] as const) {
      const value: unknown = operation[key];
      if (value !== undefined && typeof value !== "boolean") {
        throw wrongOption(`operations.${key}`, value, "is neither true nor false");
      }
    }
  }
  if (onFolded !== undefined && typeof onFolded !== "function") {
    throw wrongOption("onFolded", onFolded, "is no function");
  }
}

function wrongOption(field: string, value: unknown, text: string): EngineError {
  return new EngineError("INVALID_OPTION", field, value, `${String(value)} ${text}`);
}

/** Capacities as given, or their defaults. @throws `INVALID_OPTION`, naming the one out of range. */
export function readCapacities(options: EngineOptions): Capacities {
  const runs = option("runs", options.runs, 65_536, 1, NODES_MAX);
  const names = option("names", options.names, Math.min(runs * 2 + 8192, NODES_MAX), 64, NODES_MAX);
  const bytes = Math.min(names * 48, 2 ** 30);
  return {
    runs,
    names,
    tuples: option("tuples", options.tuples, 4096, 16, 0x100000),
    nameBytes: option("nameBytes", options.nameBytes, bytes, 1024, 2 ** 30),
    reservations: option("reservations", options.reservations, 4096, 1, 0xffffe),
    budgets: option("budgets", options.budgets, 256, 1, 0xffff),
    positions: option("positions", options.positions, 4096, 1, NODES_MAX),
    sourceBytes: option("sourceBytes", options.sourceBytes, 4 * 2 ** 20, 0, 2 ** 30),
    bufferBytes: option("bufferBytes", options.bufferBytes, 2 ** 20, 0, 2 ** 30),
    seed: option("seed", options.seed, 0, 0, Number.MAX_SAFE_INTEGER),
  };
}
