// The adapter's options: read from code and environment, checked before anything happens.
import type { TracerProvider } from "@opentelemetry/api";
import type { StorageBackendMap } from "../costs/storage-backend.js";
import { environmentVariable } from "../runtime/capabilities.js";
import {
  ATTRIBUTES,
  attributesOf,
  checkAttribute,
  type GovernanceAttributes,
} from "./attribution.js";
import { ConfigurationError } from "./errors.js";
import { rejectUnknown } from "./option-names.js";
import type { Pricing } from "./pricing.js";

/** Where governance reports what a person should know. Console-like. */
export interface Logger {
  debug(message: string): void;
  warn(message: string): void;
}

/** Options of the adapter. Each that is a value has an environment variable, named in its comment. */
export interface AdapterOptions extends GovernanceAttributes {
  /** `http(s)://…`, `file:…` or a folder; `MLFLOW_TRACKING_URI`, else `./mlruns`. */
  readonly trackingUri?: string;
  /** `MLFLOW_REGISTRY_URI`, else the tracking URI. */
  readonly registryUri?: string;
  /** Share of operations whose spans are emitted, 0 to 1; money is counted before. `GENOPS_SAMPLING_RATE`, else 1. */
  readonly samplingRate?: number;
  /** `GENOPS_PRICING` as JSON, else the price list of the documentation. */
  readonly pricing?: Pricing;
  /** Artifact URI prefix → storage backend. `GENOPS_STORAGE_BACKENDS` as `prefix=backend,…`. */
  readonly storageBackends?: StorageBackendMap;
  /** Runs and scopes that the ledger can hold, 1 to 8,388,608. `GENOPS_RUN_CAPACITY`, else 65,536. */
  readonly runCapacity?: number;
  /** OpenTelemetry tracer provider; the global one unless given. */
  readonly tracerProvider?: TracerProvider;
  /** Takes warnings and debug messages; OpenTelemetry's diagnostic logger unless given. */
  readonly logger?: Logger;
}

/** Checked options, defaults filled in. */
export interface Configuration {
  readonly attributes: GovernanceAttributes;
  readonly trackingUri?: string;
  readonly registryUri?: string;
  readonly samplingRate: number;
  readonly pricing: Pricing;
  readonly storageBackends: StorageBackendMap;
  readonly runCapacity?: number;
  readonly tracerProvider?: TracerProvider;
  readonly logger?: Logger;
}

const OPTIONS = [
  "trackingUri",
  "registryUri",
  ...ATTRIBUTES,
  "samplingRate",
  "pricing",
  "storageBackends",
  "runCapacity",
  "tracerProvider",
  "logger",
];

const ATTRIBUTE_VARIABLES: Readonly<Record<keyof GovernanceAttributes, string>> = {
  team: "GENOPS_TEAM",
  project: "GENOPS_PROJECT",
  customerId: "GENOPS_CUSTOMER_ID",
  environment: "GENOPS_ENVIRONMENT",
  costCenter: "GENOPS_COST_CENTER",
  feature: "GENOPS_FEATURE",
};

function invalid(field: string, value: unknown, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

function attributesOfEnvironment(): GovernanceAttributes {
  const attributes: Partial<Record<keyof GovernanceAttributes, string>> = {};
  for (const name of ATTRIBUTES) {
    const variable = ATTRIBUTE_VARIABLES[name];
    const value = environmentVariable(variable);
    if (value) attributes[name] = checkAttribute(variable, value);
  }
  return attributes;
}

function numberOption(
  options: AdapterOptions,
  field: "samplingRate" | "runCapacity",
  variable: string,
  valid: (value: number) => boolean,
  range: string,
): number | undefined {
  const fromEnvironment = environmentVariable(variable);
  const given = options[field];
  if (given === undefined && !fromEnvironment) return undefined;
  const name = given === undefined ? variable : field;
  const value = given ?? Number(fromEnvironment);
  if (typeof value !== "number" || !valid(value)) {
    throw invalid(name, given ?? fromEnvironment, `${given ?? fromEnvironment} is not ${range}`);
  }
  return value;
}

function pricingOption(options: AdapterOptions): Pricing {
  if (options.pricing !== undefined) {
    if (typeof options.pricing !== "object" || options.pricing === null) {
      throw invalid("pricing", options.pricing, "give an object of prices");
    }
    return options.pricing;
  }
  const text = environmentVariable("GENOPS_PRICING");
  if (!text) return {};
  try {
    return JSON.parse(text) as Pricing;
  } catch (error) {
    throw invalid("GENOPS_PRICING", text, `is not JSON: ${(error as Error).message}`);
  }
}

function storageBackendsOption(options: AdapterOptions): StorageBackendMap {
  if (options.storageBackends !== undefined) {
    for (const [prefix, backend] of Object.entries(options.storageBackends)) {
      checkAttribute(`storageBackends[${JSON.stringify(prefix)}]`, backend);
    }
    return options.storageBackends;
  }
  const text = environmentVariable("GENOPS_STORAGE_BACKENDS");
  if (!text) return {};
  const pairs = text.split(",").map((pair) => {
    const at = pair.lastIndexOf("=");
    if (at <= 0 || at === pair.length - 1) {
      throw invalid(
        "GENOPS_STORAGE_BACKENDS",
        text,
        `${JSON.stringify(pair)} is not prefix=backend`,
      );
    }
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });
  return Object.fromEntries(pairs);
}

function uriOption(
  options: AdapterOptions,
  field: "trackingUri" | "registryUri",
): string | undefined {
  const value = options[field];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value.trim() === "") {
    throw invalid(
      field,
      value,
      `${JSON.stringify(value)} is no URI; give http(s)://…, file:… or a folder`,
    );
  }
  return value;
}

/**
 * Checks the options and fills in the environment's.
 * @throws {ConfigurationError} for an unknown option or an impossible value, naming it and the nearest valid.
 */
export function configure(options: AdapterOptions): Configuration {
  if (typeof options !== "object" || options === null) {
    throw invalid("options", options, "give an object");
  }
  rejectUnknown(options, OPTIONS, "adapter options");
  const trackingUri = uriOption(options, "trackingUri");
  const registryUri = uriOption(options, "registryUri");
  const runCapacity = numberOption(
    options,
    "runCapacity",
    "GENOPS_RUN_CAPACITY",
    (value) => Number.isInteger(value) && value >= 1 && value <= 0x800000,
    "a whole number from 1 to 8388608",
  );
  return {
    attributes: { ...attributesOfEnvironment(), ...attributesOf(options, "adapter options") },
    ...(trackingUri !== undefined && { trackingUri }),
    ...(registryUri !== undefined && { registryUri }),
    samplingRate:
      numberOption(
        options,
        "samplingRate",
        "GENOPS_SAMPLING_RATE",
        (value) => value >= 0 && value <= 1,
        "a share from 0 to 1",
      ) ?? 1,
    pricing: pricingOption(options),
    storageBackends: storageBackendsOption(options),
    ...(runCapacity !== undefined && { runCapacity }),
    ...(options.tracerProvider !== undefined && { tracerProvider: options.tracerProvider }),
    ...(options.logger !== undefined && { logger: options.logger }),
  };
}
