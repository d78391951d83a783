// The price list as a user gives it → the engine's prices; and what a single operation would cost.

import { storageMeter } from "../costs/storage-backend.js";
import {
  createEngine,
  type Decimal,
  type Engine,
  EngineError,
  type EngineOperation,
  type EngineOptions,
  type EnginePrices,
  GIB_MONTH,
  type MeterRate,
  usdToAtto,
} from "../engine/index.js";
import { nearestName } from "../nearest-name.js";
import { ConfigurationError } from "./errors.js";
import { isRecord, rejectUnknown } from "./option-names.js";

/** Prices in USD, as numbers or decimal text; what is left out keeps its default. */
export interface Pricing {
  /** One tracking write: a metric, param, tag or batch, a run's start, an experiment's change. 0.0001. */
  readonly trackingApiCall?: Decimal;
  /** One registry write. 0.0005. */
  readonly registryOperation?: Decimal;
  /** Backend → USD per GiB-month (30 days): local 0, s3 0.023, azure 0.020, gcs 0.020. */
  readonly storage?: Readonly<Record<string, Decimal>>;
  /** Days that stored bytes are charged for when they are written. 1. */
  readonly storageDays?: Decimal;
  /** Operation name → USD per call, for single operations of the table. */
  readonly operations?: Readonly<Record<string, Decimal>>;
}

const DEFAULT_STORAGE: Readonly<Record<string, Decimal>> = {
  local: "0",
  s3: "0.023",
  azure: "0.020",
  gcs: "0.020",
};
const DEFAULT_TRACKING_PRICE = "0.0001";
const DEFAULT_REGISTRY_PRICE = "0.0005";

let table: readonly EngineOperation[] | undefined;

/** The table lives in the engine; the smallest one there is tells it, once. */
function tablePrices(): readonly EngineOperation[] {
  table ??= createEngine({
    runs: 1,
    tuples: 16,
    names: 64,
    nameBytes: 1024,
    reservations: 1,
  }).operations;
  return table;
}

const PRICING_OPTIONS = [
  "trackingApiCall",
  "registryOperation",
  "storage",
  "storageDays",
  "operations",
];

function wrongPrice(field: string, value: unknown, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

function checkAmount(field: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== "number" && typeof value !== "string") {
    throw wrongPrice(field, value, `${String(value)} is neither a number nor decimal text`);
  }
  try {
    usdToAtto(value, field);
  } catch (error) {
    throw wrongPrice(field, value, (error as Error).message.replace(`${field}: `, ""));
  }
}

function checkAmounts(field: string, amounts: unknown): void {
  if (amounts === undefined) return;
  if (!isRecord(amounts)) {
    throw wrongPrice(field, amounts, `${String(amounts)} is no object of names and prices`);
  }
  for (const [name, value] of Object.entries(amounts as object)) {
    checkAmount(`${field}.${name}`, value);
  }
}

/**
 * A backend is spelt as its price is: `S3` would silently be another one than `s3`.
 * @throws {ConfigurationError} naming the spelling that has a price.
 */
export function checkBackendName(field: string, backend: string): void {
  const priced = Object.keys(DEFAULT_STORAGE);
  const meant = priced.find((name) => name === backend.toLowerCase());
  if (meant === undefined || meant === backend) return;
  throw new ConfigurationError(
    "INVALID_OPTION",
    field,
    backend,
    `${field}: ${JSON.stringify(backend)} is no backend; did you mean ${JSON.stringify(meant)}?`,
    meant,
  );
}

/**
 * Checks a price list, whose fields are told under the name it was given by.
 * @throws {ConfigurationError} naming the price at fault.
 */
export function checkPricing(pricing: Pricing, origin: string): void {
  rejectUnknown(pricing, PRICING_OPTIONS, origin);
  for (const field of ["trackingApiCall", "registryOperation", "storageDays"] as const) {
    checkAmount(`${origin}.${field}`, pricing[field]);
  }
  checkAmounts(`${origin}.storage`, pricing.storage);
  checkAmounts(`${origin}.operations`, pricing.operations);
  for (const backend of Object.keys(pricing.storage ?? {})) {
    checkBackendName(`${origin}.storage`, backend);
  }
  rejectUnknown(
    pricing.operations ?? {},
    tablePrices().map(({ name }) => name),
    `${origin}.operations`,
  );
}

/** The engine's prices for a price list that was checked. */
export function enginePrices(pricing: Pricing): EnginePrices {
  const operations: Record<string, Decimal> = {};
  const replace = (from: string, to: Decimal | undefined) => {
    if (to === undefined) return;
    for (const { name, price } of tablePrices()) if (price === from) operations[name] = to;
  };
  replace(DEFAULT_TRACKING_PRICE, pricing.trackingApiCall);
  replace(DEFAULT_REGISTRY_PRICE, pricing.registryOperation);
  Object.assign(operations, pricing.operations);

  const meters: Record<string, MeterRate> = {};
  for (const [backend, price] of Object.entries({ ...DEFAULT_STORAGE, ...pricing.storage })) {
    meters[storageMeter(backend)] = {
      price,
      per: GIB_MONTH,
      ...(pricing.storageDays !== undefined && { times: pricing.storageDays }),
    };
  }
  return { operations, meters };
}

/** Makes the ledger's engine, its price errors told as errors of the configuration. */
export function pricedEngine(pricing: Pricing, options: EngineOptions): Engine {
  try {
    return createEngine({ ...options, prices: enginePrices(pricing) });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new ConfigurationError(
      "INVALID_OPTION",
      error.field
        .replace(/^prices\.meters\.storage\./, "pricing.storage.")
        .replace(/^prices\./, "pricing."),
      error.value,
      error.message
        .replace(/prices\.meters\.storage\./g, "pricing.storage.")
        .replace(/\bprices\./g, "pricing."),
    );
  }
}

/** An operation to be priced without being run. */
export interface CostQuestion {
  /** Name in the table (`log_batch`), or of the fluent function (`logParam`, `log_model`, `register_model`). */
  readonly operationType: string;
  /** MiB, not negative. */
  readonly artifactSizeMb?: number;
  /** MiB, not negative. */
  readonly modelSizeMb?: number;
  /** Bytes, not negative; instead of the two above. */
  readonly sizeBytes?: number;
  /** `local` unless given. */
  readonly storageBackend?: string;
}

// Names that people use for what is another operation on the wire.
const FLUENT_NAMES: Readonly<Record<string, string>> = {
  start_run: "create_run",
  end_run: "update_run",
  log_params: "log_batch",
  log_metrics: "log_batch",
  set_tags: "log_batch",
  log_artifacts: "log_artifact",
  log_text: "log_artifact",
  log_dict: "log_artifact",
  log_model: "log_artifact",
  log_input: "log_inputs",
  register_model: "create_model_version",
};

/** Bytes in the guide's MB, which is a MiB: 10 MB / 1024 is its GB. */
const MIB = 2 ** 20;

function sizeOf(question: CostQuestion): number {
  if (question.sizeBytes !== undefined && question.artifactSizeMb !== undefined) {
    throw wrongPrice("sizeBytes", question.sizeBytes, "give it or artifactSizeMb, not both");
  }
  for (const field of ["artifactSizeMb", "modelSizeMb", "sizeBytes"] as const) {
    const value = question[field];
    if (value === undefined) continue;
    const isNumber =
      typeof value === "number" && (field !== "sizeBytes" || Number.isInteger(value));
    const bytes = isNumber ? (field === "sizeBytes" ? value : value * MIB) : Number.NaN;
    if (!Number.isFinite(bytes) || bytes < 0 || bytes > Number.MAX_SAFE_INTEGER) {
      throw new ConfigurationError(
        "INVALID_OPTION",
        field,
        value,
        `${field}: ${value} is not a size; give a number from 0 up${field === "sizeBytes" ? ", in bytes" : ", in MiB"}`,
      );
    }
    return Math.round(bytes);
  }
  return 0;
}

/**
 * Atto-USD that an operation would cost.
 * @throws {ConfigurationError} for an unknown operation or backend (their price is unknown, not 0) and
 *   for a size that is none.
 */
export function priceOf(engine: Engine, question: CostQuestion): bigint {
  if (!isRecord(question)) {
    throw wrongPrice("question", question, "give an object, for example { operationType }");
  }
  rejectUnknown(
    question,
    ["operationType", "artifactSizeMb", "modelSizeMb", "sizeBytes", "storageBackend"],
    "calculateCost",
  );
  const names = engine.operations.map(({ name }) => name);
  const asked = String(question.operationType);
  const snake = asked.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const name = FLUENT_NAMES[snake] ?? snake;
  if (!names.includes(name)) {
    const suggestion = nearestName(snake, [...names, ...Object.keys(FLUENT_NAMES)]);
    throw new ConfigurationError(
      "INVALID_OPTION",
      "operationType",
      question.operationType,
      `operationType: ${JSON.stringify(asked)} is no operation of MLflow${suggestion ? `; did you mean ${JSON.stringify(suggestion)}?` : ""}`,
      suggestion,
    );
  }
  const size = sizeOf(question);
  const backend = question.storageBackend ?? "local";
  const stores = name === "log_artifact" || size > 0;
  const meter = stores ? engine.meters[storageMeter(backend)] : 0;
  const price = meter === undefined ? undefined : engine.price(name, meter, stores ? size : 0);
  if (price !== undefined) return price;
  const backends = Object.keys(engine.meters).map((key) => key.replace(/^storage\./, ""));
  throw new ConfigurationError(
    "INVALID_OPTION",
    meter === undefined ? "storageBackend" : "operationType",
    meter === undefined ? backend : asked,
    meter === undefined
      ? `storageBackend: ${JSON.stringify(backend)} has no price; priced are ${backends.join(", ")}, others by pricing.storage`
      : `operationType: ${JSON.stringify(asked)} has no price; set it in pricing.operations`,
    meter === undefined ? nearestName(backend, backends) : undefined,
  );
}
