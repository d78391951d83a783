// The file that says whose ledger a folder is of, and which budgets it has: for people, and for `genops budget`.
import { attoToUsd, usdToAtto } from "../../engine/index.js";
import { type AccumulatorName, accumulatorKey, accumulatorName } from "./accumulator.js";
import type { LedgerIdentity } from "./place.js";

/** A budget of a ledger, as people are told of it. */
export interface LedgerBudget {
  readonly name: AccumulatorName;
  /** In its unit, of USD atto-USD. */
  readonly limit: bigint;
  readonly action: "warn" | "block";
}

/** Its name in the folder. */
export const LEDGER_FILE = "ledger.json";

/** An amount of a unit as decimal text: USD, or whole units. */
export function amountText(amount: bigint, { unit }: Pick<AccumulatorName, "unit">): string {
  return unit === "usd" ? attoToUsd(amount) : amount.toString();
}

/** Budgets are those of the process that wrote it last. */
export function printLedger(identity: LedgerIdentity, budgets: readonly LedgerBudget[]): Buffer {
  const printed = budgets.map(({ name, limit, action }) => ({
    ...name,
    limit: amountText(limit, name),
    action,
  }));
  return Buffer.from(`${JSON.stringify({ ...identity, budgets: printed }, null, 2)}\n`);
}

/** What a ledger's file says; every part of it may be missing. */
export interface LedgerFile {
  readonly trackingUri: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  readonly budgets: readonly LedgerBudget[];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textsOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  const texts = Object.entries(value).filter(([, text]) => typeof text === "string");
  return Object.fromEntries(texts) as Record<string, string>;
}

function budgetOf(value: unknown): LedgerBudget | undefined {
  if (!isObject(value)) return undefined;
  const { budget, unit, period, limit, action } = value;
  const key = accumulatorKey({
    ...value,
    budget,
    unit,
    period,
    scope: textsOf(value.scope),
  } as never);
  // Through its key, which checks the parts.
  const name = accumulatorName(key);
  if (name?.budget === undefined || typeof limit !== "string") return undefined;
  try {
    const amount = name.unit === "usd" ? usdToAtto(limit, "limit") : BigInt(limit);
    return { name, limit: amount, action: action === "block" ? "block" : "warn" };
  } catch {
    return undefined;
  }
}

/** Reads what is readable. Never throws. */
export function readLedger(bytes: Uint8Array | undefined): LedgerFile {
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // It is rewritten by the next process that spends.
  }
  const { trackingUri, attributes, budgets } = isObject(content) ? content : {};
  return {
    trackingUri: typeof trackingUri === "string" ? trackingUri : undefined,
    attributes: textsOf(attributes),
    budgets: (Array.isArray(budgets) ? budgets : []).flatMap((each) => budgetOf(each) ?? []),
  };
}
