// The demo's result for people: who paid for what, in columns that add up as they are printed.
import type { MlflowCostSummary } from "../../costs/summary.js";
import {
  attoOf,
  fewestDecimals,
  formatBytes,
  formatCount,
  formatExactUsd,
  formatShare,
  formatUsd,
} from "../../costs/usd-text.js";
import { UNATTRIBUTED } from "../../engine/index.js";
import {
  bar,
  padLeft,
  padRight,
  shorten,
  textWidth,
  treeRows,
  wrap,
} from "../../terminal/layout.js";
import type { Paint } from "../../terminal/terminal.js";
import {
  type Account,
  type AccountDimension,
  type Part,
  type RunAccount,
  sumOf,
} from "./account.js";
import { projectMonth } from "./month.js";
import type { SearchResult, Trial } from "./search.js";

/** What was asked for, as the report repeats it. */
export interface DemoSettings {
  /** Where the runs are, without credentials. */
  readonly shownUri: string;
  readonly isServer: boolean;
  readonly seed: number;
  readonly epochs: number;
  readonly learningRates: readonly number[];
  /** Backend that the artifact location is priced as. */
  readonly backend: string;
}

/** What the report is made of. */
export interface ReportInput {
  readonly settings: DemoSettings;
  readonly summary: MlflowCostSummary;
  readonly account: Account;
  readonly results: readonly SearchResult[];
  /** How to look at the runs: lines of a command, or addresses. */
  readonly view: readonly string[];
  readonly paint: Paint;
  readonly width: number;
  /** USD that one call of an operation costs, without storage. */
  priceOfCall(operation: string): number;
}

/** A call costs at least $0.0001. */
const CALL_DECIMALS = 4;
const ALL_DECIMALS = 18;
const MARGIN = "  ";
const AMOUNT_WIDTH = 12;
const SHARE_WIDTH = 10;
const BACKEND_NAMES: Readonly<Record<string, string>> = {
  s3: "S3",
  azure: "Azure",
  gcs: "GCS",
  local: "local disk",
};

function backendName(backend: string): string {
  return BACKEND_NAMES[backend] ?? backend;
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Lines, and the paint and measures that all sections share. */
class Page {
  readonly lines: string[] = [];
  readonly paint: Paint;
  /** Cells between the margins. */
  readonly width: number;
  /** With which every column adds up as printed. */
  readonly decimals: number;

  constructor({ paint, width, account }: ReportInput) {
    this.paint = paint;
    this.width = width - 2 * MARGIN.length;
    this.decimals = decimalsFor(account);
  }

  line(text = ""): void {
    this.lines.push(text === "" ? "" : `${MARGIN}${text}`.trimEnd());
  }

  heading(title: string, right = ""): void {
    const rule = this.width - textWidth(title) - textWidth(right) - (right === "" ? 1 : 2);
    const tail = right === "" ? "" : ` ${this.paint.dim(right)}`;
    this.line();
    this.line(`${this.paint.bold(title)} ${this.paint.dim("─".repeat(Math.max(0, rule)))}${tail}`);
  }

  prose(text: string): void {
    for (const line of wrap(text, this.width)) this.line(line);
  }

  note(text: string): void {
    for (const line of wrap(text, this.width)) this.line(this.paint.dim(line));
  }

  /** An amount in the decimals of all columns; what is there but rounds to nothing says so. */
  amount(atto: bigint): string {
    const least = 10n ** BigInt(ALL_DECIMALS - this.decimals);
    if (atto > 0n && atto * 2n <= least) return `<${formatUsd(least, this.decimals)}`;
    return formatUsd(atto, this.decimals);
  }

  /** Every digit; those that the other columns do not show are dimmed. */
  everyDigit(atto: bigint): string {
    const text = formatUsd(atto, ALL_DECIMALS);
    const shown = text.length - (ALL_DECIMALS - this.decimals);
    return text.slice(0, shown) + this.paint.dim(text.slice(shown));
  }

  /** The line below a column of amounts, which `after` cells follow. */
  rule(cells: number, after: number): void {
    this.line(" ".repeat(this.width - cells - after) + this.paint.dim("─".repeat(cells)));
  }

  exact(): string {
    return padLeft(this.paint.green("✓ exact"), SHARE_WIDTH);
  }
}

function everyRun(roots: readonly RunAccount[]): RunAccount[] {
  return roots.flatMap((root) => [root, ...everyRun(root.children)]);
}

function decimalsFor({ parts, roots, outsideRuns }: Account): number {
  const { storageBackend: _, ...columns } = parts;
  return fewestDecimals(
    [
      ...Object.values(columns).map((column: readonly Part[]) => column.map(({ cost }) => cost)),
      [...everyRun(roots).map(({ own }) => own), outsideRuns],
      [...roots.map(({ inclusive }) => inclusive), outsideRuns],
      ...everyRun(roots).map(({ own, children }) => [
        own,
        ...children.map(({ inclusive }) => inclusive),
      ]),
    ],
    CALL_DECIMALS,
  );
}

function title(page: Page, { settings, summary, account, results }: ReportInput): void {
  const { paint } = page;
  const files = Object.values(summary.storage).reduce((sum, { files }) => sum + files, 0);
  const rates = settings.learningRates.length;
  const searches = plural(results.length, "customer");
  page.line();
  page.line(
    `${paint.bold("genops demo")}  ${paint.dim("what a model search on MLflow costs, and who pays")}`,
  );
  page.line();
  page.prose(
    `A softmax classifier for Fisher's Iris flowers, trained here for ${searches} and logged to MLflow: a run for each customer's search, a child run for ${rates === 1 ? "one learning rate" : `each of ${rates} learning rates`}, the best model registered.`,
  );
  page.line();
  page.line(
    paint.bold(`Total  ${formatUsd(account.total, page.decimals)}`) +
      `  for ${plural(summary.runCount, "run")}, ${plural(summary.operationCount, "write")} and ${plural(files, "file")} (${formatBytes(summary.totalStorageBytes)})`,
  );
  page.line(
    paint.dim(
      `       ${formatExactUsd(account.total)} to the last digit, files priced as on ${backendName(settings.backend)}`,
    ),
  );
}

/** One way to divide the total, as bars. */
function breakdown(
  page: Page,
  heading: string,
  dimension: AccountDimension,
  { account }: ReportInput,
): void {
  const { paint } = page;
  const parts = account.parts[dimension];
  const nameWidth = 20;
  const barWidth = page.width - nameWidth - 1 - AMOUNT_WIDTH - SHARE_WIDTH;
  page.heading(heading);
  for (const { name, cost } of parts) {
    const shown = name === UNATTRIBUTED ? `no ${dimension}` : name;
    page.line(
      padRight(shorten(shown, nameWidth), nameWidth + 1) +
        padRight(paint.cyan(bar(cost, account.total, barWidth)), barWidth) +
        padLeft(page.amount(cost), AMOUNT_WIDTH) +
        paint.dim(padLeft(formatShare(cost, account.total), SHARE_WIDTH)),
    );
  }
  totalLine(page, parts);
}

function totalLine(page: Page, parts: readonly Part[]): void {
  const sum = page.amount(sumOf(parts.map(({ cost }) => cost)));
  page.rule(textWidth(sum), SHARE_WIDTH);
  const left = page.width - AMOUNT_WIDTH - SHARE_WIDTH;
  page.line(
    padRight(page.paint.dim("total"), left) +
      padLeft(page.paint.bold(sum), AMOUNT_WIDTH) +
      page.exact(),
  );
}

function operations(page: Page, input: ReportInput): void {
  const { summary, account } = input;
  const { paint } = page;
  const parts = account.parts.operationType.filter(({ cost }) => cost > 0n);
  const nameWidth = Math.max(...parts.map(({ name }) => textWidth(name))) + 1;
  const callsWidth = 7;
  const priceWidth = 11;
  const barWidth =
    page.width - nameWidth - callsWidth - priceWidth - AMOUNT_WIDTH - SHARE_WIDTH - 1;
  page.heading("By operation");
  for (const { name, cost } of parts) {
    const price = input.priceOfCall(name);
    const each = price > 0 ? `× $${price}` : "by size";
    page.line(
      padRight(name, nameWidth) +
        padLeft(formatCount(summary.operations[name]?.count ?? 0), callsWidth) +
        paint.dim(padRight(` ${each}`, priceWidth)) +
        padRight(paint.cyan(bar(cost, account.total, barWidth)), barWidth + 1) +
        padLeft(page.amount(cost), AMOUNT_WIDTH) +
        paint.dim(padLeft(formatShare(cost, account.total), SHARE_WIDTH)),
    );
  }
  totalLine(page, account.parts.operationType);
  const paid = new Set(parts.map(({ name }) => name));
  const free = Object.entries(summary.operations)
    .filter(([name, { count }]) => count > 0 && !paid.has(name))
    .map(([name, { count }]) => `${name} ${formatCount(count)}`);
  if (free.length > 0) page.note(`Free: ${free.join(", ")}.`);
  batchingHint(page, input);
}

/** What the search would have cost had every customer sent an epoch's metrics in one call. */
function batchingHint(page: Page, { account, results, priceOfCall }: ReportInput): void {
  const logged = account.parts.operationType.find(({ name }) => name === "log_metric")?.cost;
  const example = results.find(({ customer }) => customer.batchesMetrics)?.customer.customerId;
  if (logged === undefined || example === undefined) return;
  const epochs = results
    .filter(({ customer }) => !customer.batchesMetrics)
    .reduce((sum, { trials }) => sum + trials.reduce((of, trial) => of + trial.epochs, 0), 0);
  const batched = BigInt(epochs) * attoOf(String(priceOfCall("log_batch")));
  const total = account.total - logged + batched;
  page.prose(
    `→ ${example} sends the three metrics of an epoch in one call. Did the others do so too, the total would be ${formatUsd(total, page.decimals)}, ${formatShare(account.total - total, account.total)} less.`,
  );
}

function storage(page: Page, { summary, account, settings }: ReportInput): void {
  const { paint } = page;
  page.heading("By storage backend", "all 18 decimals");
  const rows = [...account.parts.storageBackend];
  if (!rows.some(({ name }) => name === settings.backend)) {
    rows.push({ name: settings.backend, cost: 0n });
  }
  const left = page.width - 24 - SHARE_WIDTH;
  for (const { name, cost } of rows) {
    const { files = 0, bytes = 0 } = summary.storage[name] ?? {};
    const isCalls = name === UNATTRIBUTED;
    const label = isCalls ? "no storage" : backendName(name);
    const what = isCalls ? "calls" : `${plural(files, "file")}, ${formatBytes(bytes)}, for a day`;
    page.line(
      padRight(padRight(label, 12) + paint.dim(what), left) +
        padLeft(page.everyDigit(cost), 24) +
        paint.dim(padLeft(formatShare(cost, account.total), SHARE_WIDTH)),
    );
  }
  const sum = page.everyDigit(account.total);
  page.rule(textWidth(sum), SHARE_WIDTH);
  page.line(padRight(paint.dim("total"), left) + padLeft(sum, 24) + page.exact());
}

function runs(page: Page, { summary, account, results }: ReportInput): void {
  const { paint } = page;
  const trials = new Map<string, Trial>(
    results.flatMap((result) => result.trials.map((trial) => [trial.runId, trial])),
  );
  const best = new Set(results.map((result) => result.best.runId));
  const [epochsWidth, lossWidth, accuracyWidth, ownWidth, inclusiveWidth] = [8, 8, 10, 10, 15];
  const left = page.width - ownWidth - inclusiveWidth;
  const nameWidth = left - epochsWidth - lossWidth - accuracyWidth;
  page.heading("Runs");
  page.line(
    paint.dim(
      padRight("", nameWidth) +
        padLeft("epochs", epochsWidth) +
        padLeft("loss", lossWidth) +
        padLeft("accuracy", accuracyWidth) +
        padLeft("own cost", ownWidth) +
        padLeft("with children", inclusiveWidth),
    ),
  );
  for (const { branches, item } of treeRows(account.roots.map(treeNode))) {
    const { run, own, inclusive } = item;
    const trial = trials.get(run.runId);
    const isBest = best.has(run.runId);
    const name = shorten(run.runName ?? run.runId, nameWidth - textWidth(branches) - 2);
    const label =
      paint.dim(branches) +
      (branches === "" ? paint.bold(name) : name) +
      (isBest ? ` ${paint.green("★")}` : "");
    const loss = trial ? trial.validation.loss.toFixed(3) : "";
    const accuracy = trial ? `${(100 * trial.validation.accuracy).toFixed(1)} %` : "";
    page.line(
      padRight(label, nameWidth) +
        padLeft(trial ? String(trial.epochs) : "", epochsWidth) +
        padLeft(isBest ? paint.green(loss) : loss, lossWidth) +
        padLeft(accuracy, accuracyWidth) +
        padLeft(page.amount(own), ownWidth) +
        (branches === ""
          ? padLeft(paint.bold(page.amount(inclusive)), inclusiveWidth)
          : paint.dim(padLeft(page.amount(inclusive), inclusiveWidth))),
    );
  }
  const outside = page.amount(account.outsideRuns);
  page.line(
    padRight(paint.bold("not in a run"), left) +
      padLeft(outside, ownWidth) +
      padLeft(paint.bold(outside), inclusiveWidth),
  );
  const total = page.amount(account.total);
  const rule = paint.dim("─".repeat(textWidth(total)));
  page.line(padRight("", left) + padLeft(rule, ownWidth) + padLeft(rule, inclusiveWidth));
  page.line(
    padRight(`${paint.dim("total")}  ${paint.green("✓ exact")}`, left) +
      padLeft(paint.bold(total), ownWidth) +
      padLeft(paint.bold(total), inclusiveWidth),
  );
  const made = summary.operations.create_experiment?.count ?? 0;
  page.note(
    `★ has the lowest loss on the validation flowers. Not in a run: ${made > 0 ? "making the experiments, and " : ""}moving each model to its stage.`,
  );
}

function treeNode(item: RunAccount): { item: RunAccount; children: ReturnType<typeof treeNode>[] } {
  return { item, children: item.children.map(treeNode) };
}

function models(page: Page, { results }: ReportInput): void {
  const { paint } = page;
  page.heading("Registered models");
  const nameWidth = Math.max(...results.map(({ model }) => textWidth(model.name))) + 2;
  for (const { model, best, test, testFlowers } of results) {
    const right = Math.round(test.accuracy * testFlowers);
    const left =
      `${paint.green("★")} ${padRight(model.name, nameWidth)}` +
      padRight(`v${model.version}`, 5) +
      padRight(model.stage, 12) +
      paint.dim(shorten(`rate ${best.learningRate}`, 17));
    const result = `${right} of ${testFlowers} unseen right`;
    page.line(left + padLeft(result, page.width - textWidth(left)));
  }
}

function month(page: Page, { summary, settings }: ReportInput): void {
  const { paint } = page;
  const projected = projectMonth(summary);
  const searches = formatCount(projected.searches);
  page.heading("The same in a month");
  page.note(
    `Assumption: this search once an hour for 30 days, ${searches} times, at the default prices; no file is deleted before the month ends.`,
  );
  const row = (label: string, what: string, amount: string) =>
    page.line(
      padRight(padRight(label, 12) + paint.dim(what), page.width - AMOUNT_WIDTH) +
        padLeft(amount, AMOUNT_WIDTH),
    );
  const decimals = fewestDecimals([[projected.calls, projected.storageKept]], CALL_DECIMALS);
  const { callsOnce, callsPerSearch } = projected;
  const once = callsOnce > 0n ? ` + ${formatUsd(callsOnce, page.decimals)} once` : "";
  row(
    "calls",
    `${searches} × ${formatUsd(callsPerSearch, page.decimals)}${once}`,
    formatUsd(projected.calls, decimals),
  );
  row(
    backendName(settings.backend),
    `${formatBytes(Number(projected.bytesKept))} by the end`,
    formatUsd(projected.storageKept, decimals),
  );
  const total = formatUsd(projected.total, decimals);
  page.rule(textWidth(total), 0);
  row(paint.dim("total"), "", paint.bold(total));
  if (projected.storageAfterwards > 0n) {
    page.note(
      `What lies there then costs ${formatUsd(projected.storageAfterwards, decimals)} in every month after that.`,
    );
  }
}

function whereTheRunsAre(page: Page, { settings, view }: ReportInput): void {
  page.heading("Where the runs are");
  page.line(settings.shownUri);
  page.line(page.paint.dim(settings.isServer ? "Look at them:" : "Look at them with MLflow:"));
  for (const line of view) page.line(`  ${page.paint.cyan(line)}`);
}

/** The whole report, a line each, without the newline. */
export function demoReport(input: ReportInput): string[] {
  const page = new Page(input);
  title(page, input);
  breakdown(page, "By customer", "customer", input);
  breakdown(page, "By team", "team", input);
  breakdown(page, "By project", "project", input);
  breakdown(page, "By experiment", "experiment", input);
  operations(page, input);
  storage(page, input);
  runs(page, input);
  models(page, input);
  month(page, input);
  whereTheRunsAre(page, input);
  page.line();
  return page.lines;
}
