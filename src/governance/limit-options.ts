// Budgets and rate limits as a user writes them: in code, in the environment or in a policy file; checked.
import type { BudgetPeriod, BudgetUnit, Decimal } from "../engine/index.js";
import { EngineError, usdToAtto } from "../engine/index.js";
import { checkAttribute } from "./attribution.js";
import { ConfigurationError } from "./errors.js";
import { isRecord, rejectUnknown } from "./option-names.js";

/** What a limit does when it is reached: `warn` lets the call go on, `block` refuses it unsent. */
export type LimitAction = "warn" | "block";

/** Whom a limit applies to: all that is named must hold. Empty is everything of this adapter. */
export interface LimitScope {
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly customerId?: string | undefined;
  readonly environment?: string | undefined;
  readonly costCenter?: string | undefined;
  /** MLflow's id of an experiment. */
  readonly experimentId?: string | undefined;
  /** A run, and those below it that have the same payer. */
  readonly runId?: string | undefined;
  /** Name of a registered model, for work on the registry. */
  readonly model?: string | undefined;
}

/** A limit on what may be used in a time. */
export interface BudgetOption {
  /** Unique among the budgets and rate limits of an adapter. */
  readonly name: string;
  /** USD as a number or decimal text; a whole number for the other units. */
  readonly limit: Decimal;
  /** `usd` unless given. `operations` are calls that change something; a batch is one. */
  readonly unit?: BudgetUnit | undefined;
  /** Hours, days, weeks (from Monday) and months of UTC; `run`: each run has the limit to itself. */
  readonly period: BudgetPeriod;
  readonly scope?: LimitScope | undefined;
  /** `warn` unless given. */
  readonly action?: LimitAction | undefined;
  /** Shares of the limit that are told once a period, at most eight, above 0 and up to 10; 0.8 and 1 unless given. */
  readonly alertAt?: readonly number[] | undefined;
}

/** A limit on how many calls that change something may come in a time. */
export interface RateLimitOption {
  /** Unique among the budgets and rate limits of an adapter. */
  readonly name: string;
  /** 1 to 10^9. As many may come at once. */
  readonly operations: number;
  readonly per: "second" | "minute";
  readonly scope?: LimitScope | undefined;
  /** `block` unless given. */
  readonly action?: LimitAction | undefined;
}

/** All limits of an adapter, checked, defaults filled in. */
export interface LimitOptions {
  readonly budgets: readonly BudgetOption[];
  readonly rateLimits: readonly RateLimitOption[];
}

/** Name of the budget that `budgetDailyLimit` makes. */
const DAILY = "daily";
const ATTO = 10n ** 18n;
/** The engine's largest amount, 2^126 - 1 of 1e-18 USD, in whole USD. */
const USD_MAX = (2n ** 126n - 1n) / ATTO;
/** What a ledger calls all that was spent on a UTC day, among its budgets. */
export const DAY_NAME = "(day)";

const BUDGET_FIELDS = ["name", "limit", "unit", "period", "scope", "action", "alertAt"];
const RATE_FIELDS = ["name", "operations", "per", "scope", "action"];
const SCOPE_FIELDS = [
  "team",
  "project",
  "customerId",
  "environment",
  "costCenter",
  "experimentId",
  "runId",
  "model",
];
const UNITS = ["usd", "operations", "runs", "bytes"];
const PERIODS = ["hour", "day", "week", "month", "run", "total"];
const ACTIONS = ["warn", "block"];
const DEFAULT_ALERTS: readonly number[] = [0.8, 1];
const ALERTS_MAX = 8;
const RATE_MAX = 1e9;

type Fields = Readonly<Record<string, unknown>>;

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "(an object)" : String(value);
}

function invalid(field: string, value: unknown, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

function checkChoice(
  field: string,
  value: unknown,
  choices: readonly string[],
  isRequired = false,
): void {
  if (value === undefined && !isRequired) return;
  if (choices.includes(value as string)) return;
  throw invalid(field, value, `${shown(value)} is none of ${choices.join(", ")}`);
}

/** @throws {ConfigurationError} unless it is a non-negative amount of USD with at most 18 decimals. */
function checkUsd(field: string, value: unknown): void {
  if (typeof value !== "number" && typeof value !== "string") {
    throw invalid(
      field,
      value,
      `${shown(value)} is no amount of USD; give for example 10 or "10.00"`,
    );
  }
  let amount: bigint;
  try {
    amount = usdToAtto(value, field);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw invalid(field, value, error.message.replace(`${field}: `, ""));
  }
  if (amount <= USD_MAX * ATTO) return;
  const text = `${shown(value)} is more than a ledger can hold; give at most ${USD_MAX} USD`;
  throw invalid(field, value, text);
}

function checkLimit(field: string, limit: unknown, unit: unknown): void {
  if (unit === undefined || unit === "usd") {
    checkUsd(field, limit);
    return;
  }
  const whole = typeof limit === "string" && /^\d{1,15}$/.test(limit) ? Number(limit) : limit;
  if (Number.isSafeInteger(whole) && (whole as number) >= 0) return;
  throw invalid(field, limit, `${shown(limit)} is not a whole number of ${unit} from 0 up`);
}

function checkScope(field: string, scope: unknown): void {
  if (scope === undefined) return;
  if (!isRecord(scope)) {
    throw invalid(field, scope, `${shown(scope)} is no scope; give for example { team: "search" }`);
  }
  rejectUnknown(scope as object, SCOPE_FIELDS, field);
  for (const [name, value] of Object.entries(scope as object)) {
    if (value !== undefined) checkAttribute(`${field}.${name}`, value);
  }
}

function checkAlerts(field: string, alertAt: unknown): void {
  if (alertAt === undefined) return;
  if (!Array.isArray(alertAt) || alertAt.length > ALERTS_MAX) {
    throw invalid(
      field,
      alertAt,
      `give a list of at most ${ALERTS_MAX} shares, for example [0.8, 1]`,
    );
  }
  for (const [index, share] of alertAt.entries()) {
    const at = `${field}[${index}]`;
    // A share is multiplied exactly, and what would need more than 18 decimals cannot be.
    if (!(typeof share === "number" && share >= 1e-9 && share <= 10)) {
      throw invalid(at, share, `${shown(share)} is no share from 1e-9 to 10; write 0.8 for 80 %`);
    }
    checkUsd(at, share);
    if (alertAt.indexOf(share) !== index) throw invalid(at, share, `${share} is there twice`);
  }
}

function checkFields(field: string, given: unknown, valid: readonly string[]): Fields {
  if (!isRecord(given)) throw invalid(field, given, `${shown(given)} is no object`);
  rejectUnknown(given as object, valid, field);
  const { name, scope, action } = given as Fields;
  checkAttribute(`${field}.name`, name);
  checkScope(`${field}.scope`, scope);
  checkChoice(`${field}.action`, action, ACTIONS);
  return given as Fields;
}

function listOf(field: string, given: unknown): readonly unknown[] {
  if (Array.isArray(given)) return given;
  throw invalid(field, given, `${shown(given)} is no list`);
}

/** @throws {ConfigurationError} naming the field at fault, for example `budgets[0].limit`. */
export function checkBudgets(field: string, given: unknown): readonly BudgetOption[] {
  return listOf(field, given).map((each, index) => {
    const at = `${field}[${index}]`;
    const { limit, unit, period, alertAt } = checkFields(at, each, BUDGET_FIELDS);
    checkChoice(`${at}.unit`, unit, UNITS);
    checkChoice(`${at}.period`, period, PERIODS, true);
    checkLimit(`${at}.limit`, limit, unit);
    checkAlerts(`${at}.alertAt`, alertAt);
    return {
      ...(each as BudgetOption),
      alertAt: (alertAt as number[] | undefined) ?? DEFAULT_ALERTS,
    };
  });
}

/** @throws {ConfigurationError} naming the field at fault, for example `rateLimits[0].per`. */
export function checkRateLimits(field: string, given: unknown): readonly RateLimitOption[] {
  return listOf(field, given).map((each, index) => {
    const at = `${field}[${index}]`;
    const { operations, per } = checkFields(at, each, RATE_FIELDS);
    checkChoice(`${at}.per`, per, ["second", "minute"], true);
    const isCount =
      Number.isInteger(operations) &&
      (operations as number) >= 1 &&
      (operations as number) <= RATE_MAX;
    if (!isCount) {
      throw invalid(
        `${at}.operations`,
        operations,
        `${shown(operations)} is not a whole number from 1 to ${RATE_MAX}`,
      );
    }
    return each as RateLimitOption;
  });
}

/** The budget that `budgetDailyLimit` means: everything of this ledger, each UTC day, with a warning. */
export function dailyBudget(field: string, limit: unknown): BudgetOption {
  checkUsd(field, limit);
  return { name: DAILY, limit: limit as Decimal, period: "day", alertAt: DEFAULT_ALERTS };
}

/** @throws {ConfigurationError} when a name is used twice, or is the ledger's own: what is decided is told by it. */
export function checkLimitNames({ budgets, rateLimits }: LimitOptions): void {
  const names = new Set<string>();
  for (const { name } of [...budgets, ...rateLimits]) {
    if (name === DAY_NAME) {
      throw invalid(
        "budgets",
        name,
        `${shown(name)} is what the ledger calls its own day; choose another name`,
      );
    }
    if (!names.has(name)) {
      names.add(name);
      continue;
    }
    const hint = name === DAILY ? ` (budgetDailyLimit makes one called "${DAILY}")` : "";
    throw invalid(
      "budgets",
      name,
      `${shown(name)} is the name of two limits${hint}; name each its own`,
    );
  }
}
