// The adapter's options: read from code and environment, checked before anything happens.
import type { MeterProvider, TracerProvider } from "@opentelemetry/api";
import type { MlflowCostCalculator } from "../costs/calculator.js";
import type { StorageBackendMap } from "../costs/storage-backend.js";
import type { Decimal } from "../engine/index.js";
import { environmentVariable } from "../runtime/capabilities.js";
import type { AuditLog } from "../telemetry/audit/record.js";
import type { EventLoggerProvider, EventRecords } from "../telemetry/event-log.js";
import {
  ATTRIBUTES,
  attributesOf,
  checkAttribute,
  type GovernanceAttributes,
} from "./attribution.js";
import type { GovernanceAlert, GovernanceDecision } from "./decision.js";
import { ConfigurationError } from "./errors.js";
import type { JournalOptions } from "./journal/open.js";
import {
  type BudgetOption,
  checkBudgets,
  checkLimitNames,
  checkRateLimits,
  dailyBudget,
  type LimitOptions,
  type RateLimitOption,
} from "./limit-options.js";
import { isRecord, rejectUnknown } from "./option-names.js";
import { checkPolicies, type PolicyOptions } from "./policies/options.js";
import { type PolicyFile, readPolicyFile } from "./policies/policy-file.js";
import { checkBackendName, checkPricing, type Pricing } from "./pricing.js";

/** Where governance reports what a person should know. Console-like. */
export interface Logger {
  debug(message: string): void;
  warn(message: string): void;
}

/** Options of the adapter. Each that is a value has an environment variable, named in its comment. */
export interface AdapterOptions extends GovernanceAttributes {
  /** `http(s)://…`, `file:…` or a folder; `MLFLOW_TRACKING_URI`, else `./mlruns`. */
  readonly trackingUri?: string | undefined;
  /** `MLFLOW_REGISTRY_URI`, else the tracking URI. */
  readonly registryUri?: string | undefined;
  /** Share of operations whose spans are emitted, 0 to 1; money is counted before. `GENOPS_SAMPLING_RATE`, else 1. */
  readonly samplingRate?: number | undefined;
  /** `GENOPS_PRICING` as JSON, else the price list of the documentation. */
  readonly pricing?: Pricing | undefined;
  /** Prices as a calculator, or as a plain table, in place of `pricing`. Read once, when the adapter is made. */
  readonly costCalculator?: MlflowCostCalculator | Pricing | undefined;
  /** Artifact URI prefix → storage backend. `GENOPS_STORAGE_BACKENDS` as `prefix=backend,…`. */
  readonly storageBackends?: StorageBackendMap | undefined;
  /** Runs and scopes that the ledger can hold, 1 to 8,388,608. `GENOPS_RUN_CAPACITY`, else 65,536. */
  readonly runCapacity?: number | undefined;
  /**
   * USD that this adapter may spend in a UTC day, as a number or decimal text; passing it is warned of. The
   * budget is called `daily`. `GENOPS_BUDGET_DAILY_LIMIT`, else none.
   */
  readonly budgetDailyLimit?: Decimal | undefined;
  /** Limits on what may be used, all of which hold at once. `GENOPS_BUDGETS` as JSON, else none. */
  readonly budgets?: readonly BudgetOption[] | undefined;
  /** Limits on how many calls may come in a time. `GENOPS_RATE_LIMITS` as JSON, else none. */
  readonly rateLimits?: readonly RateLimitOption[] | undefined;
  /** What must hold. `GENOPS_POLICIES` as JSON, else nothing. */
  readonly policies?: PolicyOptions | undefined;
  /**
   * A YAML or JSON file with `policies`, `budgets`, `rateLimits` and `budgetDailyLimit` that hold beside
   * those of the options (Node, Deno, Bun). `GENOPS_POLICY_FILE`, else none.
   */
  readonly policyFile?: string | undefined;
  /** Is told of every decision that is not ALLOWED, when it is made. What it throws is contained. */
  readonly onDecision?: ((decision: GovernanceDecision) => unknown) | undefined;
  /** Is told when a budget comes to a share of its limit, once a share and period. What it throws is contained. */
  readonly onBudgetAlert?: ((alert: GovernanceAlert) => unknown) | undefined;
  /**
   * Where the audit trail goes: a file of hash-chained JSON lines, or a function that takes each record.
   * `GENOPS_AUDIT_LOG` as a path, else nowhere.
   */
  readonly auditLog?: AuditLog | undefined;
  /**
   * Does the export that the adapter starts itself, for lack of a provider, send spans in batches in the
   * background, or each as it ends? `GENOPS_ASYNC_EXPORT`, else in batches. Given here it has the adapter
   * start that export as `autoInstrumentMlflow` does; a provider of your own decides for itself.
   */
  readonly asyncExport?: boolean | undefined;
  /**
   * Is what was spent known again after a restart? On in Node, Deno and Bun unless `false`; `GENOPS_JOURNAL` as
   * `off`, `on` or a path.
   */
  readonly journal?: boolean | JournalOptions | undefined;
  /** OpenTelemetry tracer provider; the global one unless given. */
  readonly tracerProvider?: TracerProvider | undefined;
  /** OpenTelemetry meter provider; the one that is global when the adapter is made, unless given. */
  readonly meterProvider?: MeterProvider | undefined;
  /**
   * Where the events of decisions, reservations and reconciliations go: on their `spans`, or in their context as log
   * records (`logs`), never both. `GENOPS_EVENT_RECORDS`, else `spans`, or `logs` where a logger provider is given.
   */
  readonly eventRecords?: EventRecords | undefined;
  /** OpenTelemetry logger provider that events go to as log records; the one that is global when the adapter is made, unless given. */
  readonly loggerProvider?: EventLoggerProvider | undefined;
  /** Takes warnings and debug messages; OpenTelemetry's diagnostic logger unless given. */
  readonly logger?: Logger | undefined;
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
  readonly limits: LimitOptions;
  readonly policies: PolicyOptions;
  readonly onDecision?: (decision: GovernanceDecision) => unknown;
  readonly onBudgetAlert?: (alert: GovernanceAlert) => unknown;
  readonly auditLog?: AuditLog;
  readonly asyncExport?: boolean;
  readonly journal?: boolean | JournalOptions;
  readonly tracerProvider?: TracerProvider;
  readonly meterProvider?: MeterProvider;
  readonly eventRecords: EventRecords;
  readonly loggerProvider?: EventLoggerProvider;
  readonly logger?: Logger;
}

/** Names of the options; the variable of each that is a value is `GENOPS_` and the name in capitals. */
export const OPTIONS: readonly string[] = [
  "trackingUri",
  "registryUri",
  ...ATTRIBUTES,
  "samplingRate",
  "pricing",
  "costCalculator",
  "storageBackends",
  "runCapacity",
  "budgetDailyLimit",
  "budgets",
  "rateLimits",
  "policies",
  "policyFile",
  "onDecision",
  "onBudgetAlert",
  "auditLog",
  "asyncExport",
  "journal",
  "tracerProvider",
  "meterProvider",
  "eventRecords",
  "loggerProvider",
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

/** A value as a message shows it. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "(an object)" : String(value);
}

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
  const given: unknown = options[field];
  if (given !== undefined) {
    if (typeof given === "number" && valid(given)) return given;
    throw invalid(field, given, `${shown(given)} is not ${range}`);
  }
  const text = environmentVariable(variable);
  if (text === undefined || text.trim() === "") return undefined;
  const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
  if (valid(value)) return value;
  throw invalid(variable, text, `${shown(text)} is not ${range}`);
}

const DECIMAL = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;

const PRICING_VARIABLE = "GENOPS_PRICING";

/** The price list of whichever option holds one, and what its fields are told under. */
function givenPricing({
  pricing,
  costCalculator,
}: AdapterOptions): [origin: string, given: unknown] {
  if (costCalculator === undefined) {
    return pricing === undefined
      ? [PRICING_VARIABLE, pricingOfEnvironment()]
      : ["pricing", pricing];
  }
  if (pricing !== undefined) {
    throw invalid(
      "costCalculator",
      costCalculator,
      "there are prices in the option pricing, too; give one of the two",
    );
  }
  if (typeof costCalculator === "function") {
    const { name } = costCalculator as { readonly name: string };
    throw invalid("costCalculator", costCalculator, `is a class; give one of it, new ${name}()`);
  }
  // By its member: another copy of the package has a class of its own.
  if (
    typeof costCalculator === "object" &&
    costCalculator !== null &&
    "pricing" in costCalculator
  ) {
    return ["costCalculator.pricing", costCalculator.pricing];
  }
  return ["costCalculator", costCalculator];
}

function pricingOption(options: AdapterOptions): Pricing {
  const [origin, pricing] = givenPricing(options);
  if (!isRecord(pricing)) throw invalid(origin, pricing, "give an object of prices");
  checkPricing(pricing as Pricing, origin);
  return pricing as Pricing;
}

function pricingOfEnvironment(): unknown {
  const pricing = jsonOfEnvironment(PRICING_VARIABLE);
  return pricing === undefined ? {} : pricing;
}

/** A variable's JSON; undefined when it is unset or blank. */
function jsonOfEnvironment(variable: string): unknown {
  const text = environmentVariable(variable);
  if (text === undefined || text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(variable, text, `is not JSON: ${(error as Error).message}`);
  }
}

function dailyLimitOption(options: AdapterOptions): BudgetOption[] {
  if (options.budgetDailyLimit !== undefined) {
    return [dailyBudget("budgetDailyLimit", options.budgetDailyLimit)];
  }
  const variable = "GENOPS_BUDGET_DAILY_LIMIT";
  const text = environmentVariable(variable)?.trim();
  return text ? [dailyBudget(variable, text)] : [];
}

/** What is given in code, else in a variable as JSON. */
function listOption<T>(
  given: unknown,
  field: string,
  variable: string,
  check: (field: string, given: unknown) => readonly T[],
): readonly T[] {
  if (given !== undefined) return check(field, given);
  const json = jsonOfEnvironment(variable);
  return json === undefined ? [] : check(variable, json);
}

function policyFileOption(options: AdapterOptions): PolicyFile | undefined {
  const given: unknown = options.policyFile;
  if (given === undefined) {
    const variable = "GENOPS_POLICY_FILE";
    const path = environmentVariable(variable);
    return path === undefined ? undefined : readPolicyFile(variable, path);
  }
  if (typeof given === "string" && given.trim() !== "") return readPolicyFile("policyFile", given);
  throw invalid("policyFile", given, `${shown(given)} is no path of a file`);
}

/** Those of the file hold beside those of the code or the environment. */
function limitsOption(options: AdapterOptions, file: PolicyFile | undefined): LimitOptions {
  const content = file?.content ?? {};
  const ofFile = <T>(field: string, check: (field: string, given: unknown) => readonly T[]) =>
    content[field] === undefined ? [] : (file?.checked(() => check(field, content[field])) ?? []);
  const limits = {
    budgets: [
      ...ofFile("budgetDailyLimit", (field, limit) => [dailyBudget(field, limit)]),
      ...ofFile("budgets", checkBudgets),
      ...dailyLimitOption(options),
      ...listOption(options.budgets, "budgets", "GENOPS_BUDGETS", checkBudgets),
    ],
    rateLimits: [
      ...ofFile("rateLimits", checkRateLimits),
      ...listOption(options.rateLimits, "rateLimits", "GENOPS_RATE_LIMITS", checkRateLimits),
    ],
  };
  checkLimitNames(limits);
  return limits;
}

/** Those of the file hold beside those of the code or the environment; one that is in both is refused. */
function policiesOption(options: AdapterOptions, file: PolicyFile | undefined): PolicyOptions {
  const variable = "GENOPS_POLICIES";
  const given: unknown =
    options.policies === undefined ? jsonOfEnvironment(variable) : options.policies;
  const origin = options.policies === undefined ? variable : "policies";
  const own = given === undefined ? {} : checkPolicies(origin, given);
  const written = file?.content.policies;
  if (file === undefined || written === undefined) return own;
  const ofFile = file.checked(() => checkPolicies("policies", written));
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined || (ofFile as Record<string, unknown>)[name] === undefined) continue;
    const field = `${origin}.${name}`;
    throw invalid(field, value, `is in ${file.path} too; say it in one of the two places`);
  }
  return { ...ofFile, ...own };
}

function checkHook(field: "onDecision" | "onBudgetAlert", hook: unknown): void {
  if (hook === undefined || typeof hook === "function") return;
  throw invalid(field, hook, `${shown(hook)} is no function`);
}

const SWITCHES: Readonly<Record<string, boolean>> = {
  on: true,
  true: true,
  1: true,
  off: false,
  false: false,
  0: false,
};

/** Checked by what opens it. */
function journalOption({ journal }: AdapterOptions): boolean | JournalOptions | undefined {
  if (journal !== undefined) return journal;
  const text = environmentVariable("GENOPS_JOURNAL")?.trim();
  if (!text) return undefined;
  return SWITCHES[text.toLowerCase()] ?? { path: text };
}

/** A backend without a price is told as unpriced; one that differs from a priced one by case is a slip. */
function checkBackend(field: string, prefix: string, backend: unknown): void {
  if (prefix.trim() === "") {
    throw invalid(field, prefix, "a prefix is empty; give the beginning of an artifact URI");
  }
  const name = checkAttribute(`${field}[${JSON.stringify(prefix)}]`, backend);
  checkBackendName(field, name);
}

function storageBackendsOption(options: AdapterOptions): StorageBackendMap {
  const given: unknown = options.storageBackends;
  if (given !== undefined) {
    if (!isRecord(given)) {
      throw invalid(
        "storageBackends",
        given,
        'give an object, for example { "mlflow-artifacts:": "s3" }',
      );
    }
    for (const [prefix, backend] of Object.entries(given as object)) {
      checkBackend("storageBackends", prefix, backend);
    }
    return given as StorageBackendMap;
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
    const [prefix, backend] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    checkBackend("GENOPS_STORAGE_BACKENDS", prefix, backend);
    return [prefix, backend];
  });
  return Object.fromEntries(pairs);
}

const ASYNC_EXPORT_VARIABLE = "GENOPS_ASYNC_EXPORT";

function asyncExportOption({ asyncExport, tracerProvider }: AdapterOptions): boolean | undefined {
  if (asyncExport !== undefined) {
    if (typeof asyncExport !== "boolean") {
      throw invalid("asyncExport", asyncExport, `${shown(asyncExport)} is neither true nor false`);
    }
    if (tracerProvider !== undefined) {
      throw invalid(
        "asyncExport",
        asyncExport,
        "the tracerProvider that is given decides how spans are sent (BatchSpanProcessor or SimpleSpanProcessor); leave one of the two out",
      );
    }
    return asyncExport;
  }
  const text = environmentVariable(ASYNC_EXPORT_VARIABLE);
  if (text === undefined || text.trim() === "") return undefined;
  if (/^(true|false)$/i.test(text.trim())) return text.trim().toLowerCase() === "true";
  throw invalid(ASYNC_EXPORT_VARIABLE, text, `${shown(text)} is neither true nor false`);
}

const EVENT_RECORDS: readonly EventRecords[] = ["spans", "logs"];

function eventRecordsOption({ eventRecords, loggerProvider }: AdapterOptions): EventRecords {
  const variable = "GENOPS_EVENT_RECORDS";
  const field = eventRecords === undefined ? variable : "eventRecords";
  const given: unknown = eventRecords ?? environmentVariable(variable)?.trim().toLowerCase();
  const found = EVENT_RECORDS.find((each) => each === given);
  if (found === undefined && given !== undefined && given !== "") {
    throw invalid(field, given, `${shown(given)} is neither "spans" nor "logs"`);
  }
  if (loggerProvider === undefined) return found ?? "spans";
  if (found === "spans" && field !== variable) {
    throw invalid(
      field,
      given,
      "events on spans need no loggerProvider; leave one of the two options out",
    );
  }
  return "logs";
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

/** An object of somebody else's is taken by the methods that are used of it. */
function checkShape(
  value: unknown,
  field: string,
  methods: readonly string[],
  example: string,
): void {
  if (value === undefined) return;
  const has = (method: string) =>
    typeof (value as Record<string, unknown> | null)?.[method] === "function";
  if (methods.every(has)) return;
  throw invalid(
    field,
    value,
    `${shown(value)} has no ${methods.join("() and ")}(); give ${example}`,
  );
}

/**
 * Checks the options and fills in the environment's.
 * @throws {ConfigurationError} for an unknown option or an impossible value, naming it and the nearest valid.
 */
export function configure(options: AdapterOptions): Configuration {
  if (!isRecord(options)) throw invalid("options", options, "give an object");
  rejectUnknown(options, OPTIONS, "adapter options");
  checkShape(options.tracerProvider, "tracerProvider", ["getTracer"], "an OpenTelemetry one");
  checkShape(options.meterProvider, "meterProvider", ["getMeter"], "an OpenTelemetry one");
  checkShape(options.loggerProvider, "loggerProvider", ["getLogger"], "an OpenTelemetry one");
  checkShape(options.logger, "logger", ["debug", "warn"], "console, for example");
  checkHook("onDecision", options.onDecision);
  checkHook("onBudgetAlert", options.onBudgetAlert);
  const file = policyFileOption(options);
  const trackingUri = uriOption(options, "trackingUri");
  const registryUri = uriOption(options, "registryUri");
  // Checked by what opens it: only a runtime with files can tell a path from none.
  const auditLog =
    options.auditLog === undefined ? environmentVariable("GENOPS_AUDIT_LOG") : options.auditLog;
  const asyncExport = asyncExportOption(options);
  const journal = journalOption(options);
  const runCapacity = numberOption(
    options,
    "runCapacity",
    "GENOPS_RUN_CAPACITY",
    (value) => Number.isInteger(value) && value >= 1 && value <= 0x800000,
    "a whole number from 1 to 8388608",
  );
  return {
    attributes: { ...attributesOfEnvironment(), ...attributesOf(options) },
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
    limits: limitsOption(options, file),
    policies: policiesOption(options, file),
    ...(options.onDecision !== undefined && { onDecision: options.onDecision }),
    ...(options.onBudgetAlert !== undefined && { onBudgetAlert: options.onBudgetAlert }),
    ...(auditLog !== undefined && { auditLog }),
    ...(asyncExport !== undefined && { asyncExport }),
    ...(journal !== undefined && { journal }),
    ...(options.tracerProvider !== undefined && { tracerProvider: options.tracerProvider }),
    ...(options.meterProvider !== undefined && { meterProvider: options.meterProvider }),
    eventRecords: eventRecordsOption(options),
    ...(options.loggerProvider !== undefined && { loggerProvider: options.loggerProvider }),
    ...(options.logger !== undefined && { logger: options.logger }),
  };
}
