// The report of a check as a person reads it: a line an item, its first findings, and the verdict.
import {
  CHECKLIST,
  type ChecklistItem,
  type ConformanceReport,
  type Finding,
  type ItemResult,
  type ItemStatus,
} from "../../conformance/index.js";
import { formatCount } from "../../costs/usd-text.js";
import { padLeft, padRight, shorten, wrap } from "../../terminal/layout.js";
import type { Paint } from "../../terminal/terminal.js";

interface Layout {
  readonly paint: Paint;
  /** Columns. */
  readonly width: number;
}

export interface ReportLayout extends Layout {
  readonly all: boolean;
  /** Level that was asked for, when one was. */
  readonly required: "full" | "partial" | undefined;
}

/** Findings of an item that are shown unless all are asked for. */
const SHOWN = 3;
const COUNT_WIDTH = 7;
/** Keeps a count with what it counts. */
const NO_BREAK = "\u00a0";

const SIGNS: Readonly<Record<ItemStatus, string>> = {
  pass: "✓",
  fail: "✗",
  "not-applicable": "·",
  "not-judgeable": "?",
};

function painted(paint: Paint, status: ItemStatus, text: string): string {
  if (status === "pass") return paint.green(text);
  return status === "fail" ? paint.red(text) : paint.dim(text);
}

function numberOf({ id }: ChecklistItem): string {
  return padLeft(String(id), 2);
}

function itemLine(item: ItemResult, { paint, width }: Layout): string {
  const { status, findings, judged } = item;
  const count =
    status === "fail"
      ? `${formatCount(findings.length)} ✗`
      : status === "pass"
        ? formatCount(judged)
        : status === "not-applicable"
          ? "–"
          : "?";
  const title = shorten(item.title, width - 8 - COUNT_WIDTH);
  const line = padRight(`  ${SIGNS[status]} ${numberOf(item)}  ${title}`, width - COUNT_WIDTH);
  return painted(paint, status, line + padLeft(count, COUNT_WIDTH));
}

/** Words on lines of their own, and what is longer than a line cut up: ids and paths have no spaces. */
function indented(text: string, indent: number, width: number): string[] {
  return wrap(text, width - indent).map((line) => " ".repeat(indent) + line);
}

function findingLines(finding: Finding, { paint, width }: Layout): string[] {
  const { spanName, traceId, spanId } = finding;
  const ids = [traceId && `trace ${traceId}`, spanId && `span id ${spanId}`].filter((id) => id);
  return [
    ...(spanName === undefined ? [] : [`       span ${JSON.stringify(shorten(spanName, 60))}`]),
    ...(ids.length > 0 ? [paint.dim(`       ${ids.join("  ")}`)] : []),
    `       ${finding.path}`,
    ...indented(`found     ${finding.found}`, 9, width),
    ...indented(`expected  ${finding.expected}`, 9, width),
    ...indented(`mend      ${finding.remedy}`, 9, width),
  ];
}

function findingsOf(item: ItemResult, layout: ReportLayout): string[] {
  const shown = layout.all ? item.findings : item.findings.slice(0, SHOWN);
  const left = item.findings.length - shown.length;
  return [
    ...shown.flatMap((finding) => findingLines(finding, layout)),
    ...(left > 0 ? [layout.paint.dim(`       … and ${formatCount(left)} more (--all)`)] : []),
  ];
}

function countOf(report: ConformanceReport, status: ItemStatus): number {
  return report.items.filter((item) => item.status === status).length;
}

function plural(count: number, word: string): string {
  return `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;
}

function whatWasRead({ counts }: ConformanceReport): string {
  return [
    `${plural(counts.units, "governed unit")} (${formatCount(counts.executed)} executed, ${formatCount(counts.stopped)} stopped)`,
    plural(counts.otherSpans, "other span"),
    plural(counts.logRecords, "log record"),
    plural(counts.metricPoints, "metric point"),
  ]
    .map((part) => part.replaceAll(" ", NO_BREAK))
    .join(" · ");
}

function verdict(report: ConformanceReport, { paint, required }: ReportLayout): string[] {
  const { level, satisfies } = report;
  if (level === "none") {
    const hint =
      satisfies === "partial"
        ? [
            '  Only the reservation invariant is missing: declare "GenOps v0.1 — partial" on every unit to be',
            "  partially conformant, or mend the items above to be fully so.",
          ]
        : [];
    return [paint.bold(paint.red("  Not conformant with GenOps v0.1.0")), ...hint];
  }
  const name = level === "full" ? "GenOps v0.1.0" : "GenOps v0.1 — partial";
  if (required === "full" && level === "partial") {
    return [paint.bold(paint.red(`  Conformant as ${name} only; --level full was asked for`))];
  }
  return [paint.bold(paint.green(`  Conformant: ${name}`))];
}

export function reportLines(report: ConformanceReport, layout: ReportLayout): string[] {
  const { paint, width } = layout;
  const summary = [
    `${countOf(report, "pass")} passed`,
    `${countOf(report, "fail")} failed`,
    `${countOf(report, "not-applicable")} not applicable`,
    `${countOf(report, "not-judgeable")} not judgeable from telemetry`,
  ].join(" · ");
  return [
    paint.bold("GenOps Governance Specification v0.1.0"),
    ...indented(whatWasRead(report), 2, width).map((line) => line.replaceAll(NO_BREAK, " ")),
    "",
    ...report.items.flatMap((item) => [itemLine(item, layout), ...findingsOf(item, layout)]),
    "",
    `  ${summary}`,
    ...verdict(report, layout),
  ];
}

const JUDGEABLE = { yes: "yes", "in-part": "in part", no: "no" } as const;

/** The checklist itself: id, section, whether telemetry can tell, the level that needs it. */
export function checklistLines({ paint, width }: Layout): string[] {
  const row = (id: string, section: string, judgeable: string, level: string) =>
    `${padLeft(id, 4)}  ${padRight(section, 7)}  ${padRight(judgeable, 9)}  ${level}`;
  return [
    paint.bold("GenOps Governance Specification v0.1.0: the checklist, in our words"),
    "",
    paint.dim(row("item", "section", "judgeable", "needed for")),
    ...CHECKLIST.flatMap((item) => [
      row(
        String(item.id),
        item.section,
        JUDGEABLE[item.judgeable],
        item.requiredFor === "full" ? "full" : "full, partial",
      ),
      ...indented(item.title, 6, width),
    ]),
  ];
}
