// Budgets as people read them: a table of ledgers, one budget in full, and both as JSON.

import { formatBytes, formatCount, formatExactUsd, formatUsd } from "../../costs/usd-text.js";
import { periodBounds } from "../../governance/calendar.js";
import type { JournalAmount } from "../../governance/journal/format.js";
import { amountText } from "../../governance/journal/ledger-file.js";
import type {
  BudgetStanding,
  LedgerProcess,
  LedgerReport,
} from "../../governance/journal/ledgers.js";
import { padLeft, padRight, shorten } from "../../terminal/layout.js";
import type { Paint } from "../../terminal/terminal.js";

/** Share of a limit from which on it is shown in yellow. */
const NEAR = 0.8;

type Amounted = Pick<BudgetStanding, "name">;

/** Rounded, to fit a column. */
function short(amount: bigint, { name: { unit } }: Amounted): string {
  if (unit === "usd") return formatUsd(amount, 4);
  return unit === "bytes" ? formatBytes(Number(amount)) : formatCount(amount);
}

/** Every digit there is. */
function exact(amount: bigint, { name: { unit } }: Amounted): string {
  return unit === "usd" ? formatExactUsd(amount) : `${formatCount(amount)} ${unit}`;
}

function used({ usage: { spent, uncertain } }: BudgetStanding): bigint {
  return spent + uncertain;
}

function leftOf(standing: BudgetStanding): bigint | undefined {
  return standing.limit === undefined ? undefined : standing.limit - used(standing);
}

function paintUsed(standing: BudgetStanding, paint: Paint, text: string): string {
  const { limit } = standing;
  if (limit === undefined) return text;
  if (used(standing) > limit) return paint.red(text);
  return Number(used(standing)) >= Number(limit) * NEAR ? paint.yellow(text) : text;
}

/** `day 2026-11-25`, `hour 2026-11-25 13:00`. */
function periodText({ name, period }: BudgetStanding): string {
  if (period === "") return name.period;
  const [date = "", time = ""] = period.split("T");
  return name.period === "hour" ? `hour ${date} ${time.slice(0, 5)}` : `${name.period} ${date}`;
}

function processText({ owner, isAtWork }: LedgerProcess): string {
  const who = owner === undefined ? "a process" : `${owner.pid} on ${owner.host}`;
  return `${who}, ${isAtWork ? "at work" : "gone"}`;
}

function ledgerLines(ledger: LedgerReport, paint: Paint): string[] {
  const lines = [paint.bold(ledger.name)];
  if (ledger.trackingUri !== undefined) lines.push(`  ${ledger.trackingUri}`);
  for (const process of ledger.processes) lines.push(`  ${processText(process)}`);
  if (ledger.isNewer) {
    lines.push(paint.red("  a later version of genops wrote there; what it wrote is not shown"));
  }
  if (ledger.damaged > 0) {
    lines.push(paint.red(`  ${ledger.damaged} records are damaged; what they said is not counted`));
  }
  return lines;
}

const WIDTHS = { name: 20, period: 18, amount: 11 };

function row(
  name: string,
  period: string,
  amounts: readonly string[],
  paint = (text: string) => text,
) {
  const [limit = "", spent = "", uncertain = ""] = amounts.map((each) =>
    padLeft(each, WIDTHS.amount),
  );
  const columns = [
    padRight(shorten(name, WIDTHS.name), WIDTHS.name),
    padRight(period, WIDTHS.period),
    limit,
    paint(spent),
    uncertain,
  ];
  return `  ${columns.join(" ")}`;
}

/** Ledgers, and a line for each of their budgets. */
export function listLines(ledgers: readonly LedgerReport[], root: string, paint: Paint): string[] {
  if (ledgers.length === 0) return [`No budgets in ${root}: nothing has been spent there.`];
  return ledgers.flatMap((ledger, index) => [
    ...(index === 0 ? [] : [""]),
    ...ledgerLines(ledger, paint),
    paint.dim(row("budget", "period", ["limit", "spent", "uncertain"])),
    ...ledger.budgets.map((standing) => {
      const { limit, usage } = standing;
      return row(
        standing.budget,
        periodText(standing),
        [
          limit === undefined ? "–" : short(limit, standing),
          short(usage.spent, standing),
          short(usage.uncertain, standing),
        ],
        (text) => paintUsed(standing, paint, text),
      );
    }),
  ]);
}

function resetText(standing: BudgetStanding, { spent, upTo }: JournalAmount): string {
  const uncertain = upTo - spent;
  const also = uncertain > 0n ? ` and ${exact(uncertain, standing)} uncertain` : "";
  return `${exact(spent, standing)}${also}`;
}

/** One budget in full. */
export function showLines(ledger: LedgerReport, standing: BudgetStanding, paint: Paint): string[] {
  const { name, usage, limit, action, resets } = standing;
  const bounds = periodBounds(name.period, Date.parse(standing.period));
  const scope = Object.entries(name.scope).map(([dimension, value]) => `${dimension} ${value}`);
  const left = leftOf(standing);
  const rows: (readonly [string, string])[] = [
    ["ledger", ledger.name],
    ...(ledger.trackingUri === undefined ? [] : ([["store", ledger.trackingUri]] as const)),
    [
      "period",
      bounds === undefined
        ? name.period
        : `${name.period}, until ${new Date(bounds.end).toISOString()}`,
    ],
    ["scope", scope.join(", ") || "everything"],
    ["limit", limit === undefined ? "not known" : `${exact(limit, standing)} (${action})`],
    ["spent", paintUsed(standing, paint, exact(usage.spent, standing))],
    ["uncertain", exact(usage.uncertain, standing)],
    ["taken ahead", exact(usage.ahead, standing)],
    ...(left === undefined
      ? []
      : ([
          ["left", left < 0n ? `none, ${exact(-left, standing)} over` : exact(left, standing)],
        ] as const)),
    ...ledger.processes.map((each): [string, string] => ["process", processText(each)]),
    ...resets.map((reset): [string, string] => [
      "reset",
      `${new Date(reset.time).toISOString()} by ${reset.by}: ${resetText(standing, reset)}`,
    ]),
  ];
  const problems = [
    ...(ledger.damaged > 0
      ? [`${ledger.damaged} records of this ledger are damaged; what they said is not counted`]
      : []),
    ...(ledger.isNewer ? ["a later version of genops wrote there"] : []),
  ];
  return [
    paint.bold(standing.budget),
    ...rows.map(([label, text]) => `  ${paint.dim(padRight(label, 12))}${text}`),
    ...problems.map((text) => paint.red(`  ${text}`)),
  ];
}

function standingDocument(standing: BudgetStanding) {
  const { budget, name, period, usage, limit, action, resets } = standing;
  const bounds = periodBounds(name.period, Date.parse(period));
  const text = (amount: bigint) => amountText(amount, name);
  const left = leftOf(standing);
  return {
    budget,
    unit: name.unit,
    period: name.period,
    scope: name.scope,
    periodStart: period === "" ? null : period,
    periodEnd: bounds === undefined ? null : new Date(bounds.end).toISOString(),
    limit: limit === undefined ? null : text(limit),
    action: action ?? null,
    spent: text(usage.spent),
    uncertain: text(usage.uncertain),
    takenAhead: text(usage.ahead),
    remaining: left === undefined ? null : amountOrDebt(left, text),
    resets: resets.map((reset) => ({
      time: new Date(reset.time).toISOString(),
      by: reset.by,
      periodStart: reset.period === "" ? null : reset.period,
      spent: text(reset.spent),
      uncertain: text(reset.upTo - reset.spent),
    })),
  };
}

function amountOrDebt(amount: bigint, text: (amount: bigint) => string): string {
  return amount < 0n ? `-${text(-amount)}` : text(amount);
}

/** The same for programs; amounts are exact decimal text, USD or whole units. */
export function ledgerDocument(ledger: LedgerReport, budgets = ledger.budgets) {
  const { name, path, trackingUri, attributes, processes, damaged, isNewer } = ledger;
  return {
    ledger: name,
    path,
    trackingUri: trackingUri ?? null,
    attributes,
    processes: processes.map(({ owner, isAtWork }) => ({
      pid: owner?.pid ?? null,
      host: owner?.host ?? null,
      isAtWork,
    })),
    damagedRecords: damaged,
    isNewer,
    budgets: budgets.map(standingDocument),
  };
}

/** What a reset will do, or did, in words. */
export function usageText(standing: BudgetStanding): string {
  const { spent, uncertain } = standing.usage;
  return resetText(standing, { of: "", period: "", spent, upTo: spent + uncertain });
}
