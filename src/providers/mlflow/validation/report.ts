// The result of a validation as a person reads it: the verdict, a line a check, and how to mend what is wrong.

import { padRight, wrap } from "../../../terminal/layout.js";
import { type Paint, paintFor, widthOf } from "../../../terminal/terminal.js";
import {
  type Area,
  type CheckName,
  type CheckResult,
  type CheckStatus,
  countOf,
  type Severity,
  type ValidationIssue,
  type ValidationResult,
} from "./result.js";

export interface ReportLayout {
  readonly paint: Paint;
  /** Columns. */
  readonly width: number;
}

/** The names of the checks, for people. */
export const TITLES: Readonly<Record<CheckName, string>> = {
  runtime: "runtime",
  packages: "packages",
  options: "options",
  environment: "environment",
  attributes: "who pays",
  keptFiles: "kept files",
  trackingServer: "tracking server",
  artifactStore: "artifact store",
  registry: "model registry",
  accounting: "accounting",
  limits: "limits",
  sampling: "sampling",
  conformance: "conformance",
  export: "export",
  logRecords: "log records",
};

const AREAS: Readonly<Record<Area, string>> = {
  dependencies: "Dependencies",
  configuration: "Configuration",
  connectivity: "Connectivity",
  governance: "Governance",
  telemetry: "Telemetry",
};

const SIGNS: Readonly<Record<CheckStatus, string>> = {
  passed: "✓",
  warned: "!",
  failed: "✗",
  skipped: "·",
};

const TITLE_WIDTH = Math.max(...Object.values(TITLES).map((title) => title.length));

function paintedStatus(paint: Paint, status: CheckStatus, text: string): string {
  if (status === "passed") return paint.green(text);
  if (status === "failed") return paint.red(text);
  return status === "warned" ? paint.yellow(text) : paint.dim(text);
}

function paintedSeverity(paint: Paint, severity: Severity, text: string): string {
  if (severity === "error") return paint.bold(paint.red(text));
  return severity === "warning" ? paint.bold(paint.yellow(text)) : paint.bold(text);
}

/** Words on lines of their own, the first one after `lead`. */
function block(lead: string, text: string, width: number): string[] {
  const indent = " ".repeat(lead.length);
  return wrap(text, width - lead.length).map(
    (line, index) => `${index === 0 ? lead : indent}${line}`,
  );
}

function checkLines(check: CheckResult, { paint, width }: ReportLayout): string[] {
  const { name, status, detail } = check;
  const lead = `  ${SIGNS[status]} ${padRight(TITLES[name], TITLE_WIDTH)}  `;
  const text = status === "skipped" ? `left out: ${detail}` : detail;
  const [first = "", ...rest] = block(lead, text, width);
  const sign = paintedStatus(paint, status, first.slice(0, lead.length));
  return [sign + first.slice(lead.length), ...rest];
}

function issueLines(issue: ValidationIssue, { paint, width }: ReportLayout): string[] {
  const { severity, code, message, cause, fix } = issue;
  return [
    `${paintedSeverity(paint, severity, severity)}  ${paint.dim(code)}`,
    ...block("  ", message, width),
    ...block("  cause  ", cause, width),
    // To be copied as it is.
    `  fix    ${paint.cyan(fix)}`,
    "",
  ];
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function verdict({ passed, issues }: ValidationResult, paint: Paint): string {
  const errors = countOf(issues, "error");
  const warnings = countOf(issues, "warning");
  const also = warnings === 0 ? "" : `, ${plural(warnings, "warning")}`;
  return passed
    ? paint.bold(paint.green("✓ PASSED - You're ready to use MLflow with GenOps!")) +
        (warnings === 0 ? "" : ` (${plural(warnings, "warning")})`)
    : paint.bold(paint.red(`✗ FAILED - ${plural(errors, "error")}${also}`));
}

export function validationLines(result: ValidationResult, layout: ReportLayout): string[] {
  const { paint } = layout;
  const areas = Object.entries(AREAS).flatMap(([area, title]) => {
    const checks = result.checks.filter((check) => check.area === area);
    if (checks.length === 0) return [];
    return ["", paint.bold(`${title}:`), ...checks.flatMap((check) => checkLines(check, layout))];
  });
  const issues = result.issues.flatMap((issue) => issueLines(issue, layout));
  return [
    verdict(result, paint),
    ...areas,
    ...(issues.length === 0 ? [] : ["", ...issues.slice(0, -1)]),
  ];
}

/** Prints a result as `genops validate` does: on standard output, in colour on a terminal only. */
export function printValidationResult(result: ValidationResult): void {
  const layout = { paint: paintFor(process.stdout, undefined), width: widthOf(process.stdout) };
  process.stdout.write(`${validationLines(result, layout).join("\n")}\n`);
}
