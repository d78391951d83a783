// The operator's page: one HTML text, script and style inside, both named by hash in its content security policy.
import { createHash } from "node:crypto";
import {
  attoOf,
  formatCount,
  formatExactUsd,
  formatShare,
  formatUsd,
} from "../../costs/usd-text.js";
import type { BudgetStatus } from "../../governance/limits.js";
import { VERSION } from "../../version.js";
import { Html, html } from "./html.js";
import { SCRIPT } from "./page-script.js";
import { STYLE } from "./page-style.js";
import type { CostRow, OperatorSnapshot, ToldRefusal } from "./snapshot.js";

/** Names that a table shows before the rest is added up. */
const ROWS_MAX = 8;
const REFUSALS_MAX = 10;
/** Share of a budget from which it is shown as nearly used up, in percent. */
const NEAR_PERCENT = 80n;
const DECIMALS = { least: 2, most: 6 };

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Nothing but the page's own script and style, its own events, its own form. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `script-src ${hashOf(SCRIPT)}`,
  `style-src ${hashOf(STYLE)}`,
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

function pageOf(title: string, body: Html, script: string): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
${body}${new Html(script === "" ? "" : `<script>${script}</script>`)}
</body>
</html>
`;
  return page.text;
}

// ── amounts ──────────────────────────────────────────────────────────────────────────────────────

/** As few decimals as show the smallest amount, so that a column is read at a glance. */
function decimalsFor(amounts: readonly bigint[]): number {
  const smallest = amounts.reduce(
    (least, amount) => (amount > 0n && amount < least ? amount : least),
    10n ** 18n,
  );
  let decimals = DECIMALS.least;
  while (decimals < DECIMALS.most && smallest < 10n ** BigInt(18 - decimals)) decimals++;
  return decimals;
}

/** Rounded for the eye; the exact amount is told to who points at it. */
function usd(amount: bigint, decimals: number): Html {
  const unit = 10n ** BigInt(18 - decimals);
  const isTrace = amount > 0n && amount * 2n < unit;
  const shown = isTrace ? `< ${formatUsd(unit, decimals)}` : formatUsd(amount, decimals);
  return html`<span title="${formatExactUsd(amount)}">${shown}</span>`;
}

// ── parts ────────────────────────────────────────────────────────────────────────────────────────

function figures({ today, journal, startedAt }: OperatorSnapshot): Html {
  const spent = attoOf(today.cost);
  const elsewhere = attoOf(today.costElsewhere);
  const decimals = decimalsFor([spent]);
  const note =
    elsewhere > 0n
      ? html`<small>${usd(elsewhere, decimalsFor([elsewhere]))} of it before this start, or by others</small>`
      : html`<small>since 00:00 UTC</small>`;
  const kept =
    journal.state === "active"
      ? "kept across restarts"
      : journal.state === "off"
        ? "not kept across restarts"
        : `not kept: ${journal.reason ?? "the journal cannot be written"}`;
  return html`<section class="wide" data-part="figures" aria-labelledby="today">
<h2 id="today">Today, ${today.day}</h2>
<dl class="figures">
<div><dt>Cost</dt><dd>${usd(spent, decimals)}${note}</dd></div>
<div><dt>Operations</dt><dd>${formatCount(today.operations)}<small>that changed something</small></dd></div>
<div><dt>Errors</dt><dd>${formatCount(today.errors)}<small>calls that failed, free of charge</small></dd></div>
<div><dt>Running since</dt><dd>${startedAt.slice(11, 16)}<small>${startedAt.slice(0, 10)} UTC, ${kept}</small></dd></div>
</dl>
</section>
`;
}

/** A bar as a drawing: its width is an attribute, which the content security policy has nothing against. */
function barOf(percent: number): Html {
  const width = Math.min(100, Math.max(0, percent));
  return html`<svg aria-hidden="true" preserveAspectRatio="none"><rect class="ground" width="100%" height="100%"/><rect class="fill" width="${width}%" height="100%"/></svg>`;
}

/** Percent with two decimals, without a double in between. */
function percentOf(part: bigint, whole: bigint): number {
  if (whole <= 0n) return part > 0n ? 100 : 0;
  const hundredths = (part * 10_000n) / whole;
  return Number(hundredths > 1_000_000n ? 1_000_000n : hundredths) / 100;
}

function amountOf(text: string, unit: BudgetStatus["unit"]): bigint {
  if (unit !== "usd") return BigInt(text);
  return text.startsWith("-") ? -attoOf(text.slice(1)) : attoOf(text);
}

function budgetItem(budget: BudgetStatus): Html {
  const { name, unit, period, action, isOver } = budget;
  const limit = amountOf(budget.limit, unit);
  const used = amountOf(budget.spent, unit) + amountOf(budget.held, unit);
  const percent = percentOf(used, limit);
  const isNear = !isOver && used * 100n >= limit * NEAR_PERCENT;
  const state = isOver ? "over" : isNear ? "near" : "within";
  const decimals = decimalsFor([limit, used]);
  const amount = (each: bigint) =>
    unit === "usd" ? usd(each, decimals) : html`<span>${formatCount(each)}</span>`;
  const suffix = unit === "usd" ? "" : ` ${unit}`;
  const spoken = `${percent} % used${isOver ? ", passed" : ""}`;
  const told = isOver
    ? html`<span class="tag over">${action === "block" ? "blocking" : "passed"}</span> `
    : isNear
      ? html`<span class="tag near">near its limit</span> `
      : html``;
  const ends =
    budget.periodEnd === null
      ? ""
      : `, until ${budget.periodEnd.slice(0, 16).replace("T", " ")} UTC`;
  const effect = action === "block" ? "refuses when it is used up" : "warns when it is passed";
  const when =
    period === "run"
      ? "each run has it to itself"
      : period === "total"
        ? "in total"
        : `${period === "day" ? "today" : `this ${period}`}${ends}`;
  // What runs have spent cannot be told as one.
  if (period === "run") {
    return html`<li>
<div class="line"><strong>${name}</strong><span class="amount">${amount(limit)}${suffix} each</span></div>
<div class="line quiet"><span>${told}${when}</span><span>${effect}</span></div>
</li>
`;
  }
  return html`<li>
<div class="line"><strong>${name}</strong><span class="amount">${amount(used)} of ${amount(limit)}${suffix}</span></div>
<div class="bar ${state}" role="meter" aria-label="Budget ${name}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${Math.min(100, percent)}" aria-valuetext="${spoken}">${barOf(percent)}</div>
<div class="line quiet"><span>${told}${when}</span><span>${effect}</span></div>
</li>
`;
}

function budgetsPart(budgets: readonly BudgetStatus[]): Html {
  const list =
    budgets.length === 0
      ? html`<p class="none">No budget is configured. Give one in the file: <code>budgets: [{ name: day, limit: 10, period: day, action: block }]</code></p>`
      : html`<ul class="budgets">
${budgets.map(budgetItem)}</ul>`;
  return html`<section class="wide" data-part="budgets" aria-labelledby="budgets">
<h2 id="budgets">Budgets</h2>
${list}
</section>
`;
}

/** Names of operations may break where a person would break them. */
function breakable(name: string): Html[] {
  return name
    .split(/(?<=_)/)
    .map((part, index) => (index === 0 ? html`${part}` : html`<wbr>${part}`));
}

function costRow(row: CostRow, total: bigint, decimals: number): Html {
  const cost = attoOf(row.cost);
  const errors =
    row.errors === 0
      ? html``
      : html` <span class="quiet whole">${formatCount(row.errors)} failed</span>`;
  return html`<tr><td class="name">${breakable(row.name)}${errors}<div class="bar share" aria-hidden="true">${barOf(percentOf(cost, total))}</div></td><td class="number">${formatCount(row.operations)}</td><td class="number">${usd(cost, decimals)}</td><td class="number quiet part">${formatShare(cost, total)}</td></tr>
`;
}

/** The first names, and the others as one, so that the table adds up to the total. */
function shownRows(rows: readonly CostRow[]): readonly CostRow[] {
  if (rows.length <= ROWS_MAX) return rows;
  const others = rows.slice(ROWS_MAX - 1);
  const sum = others.reduce((amount, { cost }) => amount + attoOf(cost), 0n);
  return [
    ...rows.slice(0, ROWS_MAX - 1),
    {
      name: `${formatCount(others.length)} others`,
      cost: formatExactUsd(sum).replace(/[$,]/g, ""),
      operations: others.reduce((count, { operations }) => count + operations, 0),
      errors: others.reduce((count, { errors }) => count + errors, 0),
    },
  ];
}

function costsPart(part: string, title: string, column: string, rows: readonly CostRow[]): Html {
  const amounts = rows.map(({ cost }) => attoOf(cost));
  const total = amounts.reduce((sum, amount) => sum + amount, 0n);
  const shown = shownRows(rows);
  const decimals = decimalsFor(shown.map(({ cost }) => attoOf(cost)));
  const table =
    rows.length === 0
      ? html`<p class="none">Nothing since this gateway was started.</p>`
      : html`<table>
<thead><tr><th scope="col">${column}</th><th scope="col" class="number">Calls</th><th scope="col" class="number">Cost</th><th scope="col" class="number part">Share</th></tr></thead>
<tbody>
${shown.map((row) => costRow(row, total, decimals))}</tbody>
</table>`;
  return html`<section data-part="${part}" aria-labelledby="${part}">
<h2 id="${part}">${title}</h2>
${table}
</section>
`;
}

function refusalItem(refusal: ToldRefusal): Html {
  const { result, operation, team, project, customerId, count, last, reason, policy } = refusal;
  const who = [team, project, customerId].filter((part) => part !== undefined).join(" / ");
  const tag =
    result === "RATE_LIMITED"
      ? html`<span class="tag limited">rate limited</span>`
      : html`<span class="tag blocked">blocked</span>`;
  const times =
    count === 1 ? html`` : html`<span class="quiet whole">${formatCount(count)} times</span>`;
  return html`<li>
<div class="line">${tag} <strong>${operation}</strong><span>${who === "" ? "(unattributed)" : who}</span>${times}<time datetime="${last}">${last.slice(0, 10)} ${last.slice(11, 19)} UTC</time></div>
<p>${reason === "" ? policy : reason}</p>
</li>
`;
}

function refusalsPart(refusals: readonly ToldRefusal[]): Html {
  const list =
    refusals.length === 0
      ? html`<p class="none">Nothing was refused since the start.</p>`
      : html`<ul class="refusals">
${refusals.slice(0, REFUSALS_MAX).map(refusalItem)}</ul>`;
  return html`<section class="wide" data-part="refusals" aria-labelledby="refusals" aria-live="polite">
<h2 id="refusals">Latest refusals</h2>
${list}
</section>
`;
}

/** The page for who is admitted. `upstream` is the MLflow server's URL, without credentials. */
export function dashboardPage(snapshot: OperatorSnapshot, upstream: string): string {
  const { today } = snapshot;
  const body = html`<header>
<h1>GenOps gateway</h1><span class="upstream">before ${upstream}</span>
<span class="live" id="live" role="status"><span class="dot" aria-hidden="true"></span><span>not live without script</span></span>
<form method="post" action="logout"><button>Log out</button></form>
</header>
<main>
${figures(snapshot)}${budgetsPart(snapshot.budgets)}${costsPart("teams", "Cost by team", "Team", today.byTeam)}${costsPart("projects", "Cost by project", "Project", today.byProject)}${costsPart("customers", "Cost by customer", "Customer", today.byCustomer)}${costsPart("operations", "Cost by operation", "Operation", today.byOperation)}${refusalsPart(snapshot.refusals)}</main>
<footer>genops ${VERSION}. Amounts are rounded; point at one for every digit, or read <code>/genops/summary</code>.</footer>
`;
  return pageOf("GenOps gateway", body, SCRIPT);
}

/** The page that asks for the admin token. */
export function loginPage(state: "asked" | "wrong" | "closed"): string {
  const form =
    state === "closed"
      ? html`<p>These pages are closed: the gateway has no admin token.</p>
<p>Start it with <code>GENOPS_GATEWAY_ADMIN_TOKEN</code>, or <code>adminTokenFile</code> in its file; <code>openssl rand -hex 32</code> makes a good one.</p>`
      : html`${state === "wrong" ? html`<p class="wrong" role="alert">That is not the admin token.</p>` : html``}
<form method="post" action="login">
<label for="token">Admin token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button>
</form>`;
  const body = html`<main class="login">
<section>
<h1>GenOps gateway</h1>
${form}
</section>
</main>`;
  return pageOf("GenOps gateway", body, "");
}
