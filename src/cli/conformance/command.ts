// `genops conformance`: reads files of OTLP JSON and says, item by item, whether they follow the specification.
import { readFile } from "node:fs/promises";
import { text as readText } from "node:stream/consumers";
import { Command, InvalidArgumentError } from "commander";
import {
  CHECKLIST,
  type ConformanceReport,
  checkConformance,
  parseTelemetry,
  TelemetryTextError,
} from "../../conformance/index.js";
import { nearestName } from "../../nearest-name.js";
import { paintFor, widthOf } from "../../terminal/terminal.js";
import { CheckFailed, UsageError } from "../failure.js";
import { fileProblem } from "../files.js";
import { checklistLines, reportLines } from "./report.js";

const LEVELS = ["full", "partial"] as const;
type Level = (typeof LEVELS)[number];

interface ConformanceOptions {
  readonly level?: Level;
  readonly all?: true;
  readonly json?: true;
  readonly list?: true;
  readonly color?: boolean;
}

function level(text: string): Level {
  const found = LEVELS.find((name) => name === text);
  if (found !== undefined) return found;
  const near = nearestName(text, LEVELS);
  throw new InvalidArgumentError(
    `Give full or partial.${near === undefined ? "" : ` (Did you mean ${near}?)`}`,
  );
}

const STANDARD_INPUT = "-";

/** @throws {UsageError} naming the file and what is wrong with it. */
async function read(file: string): Promise<unknown[]> {
  let content: string;
  try {
    content =
      file === STANDARD_INPUT ? await readText(process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read '${file}': ${fileProblem(error)}`);
  }
  try {
    return parseTelemetry(content);
  } catch (error) {
    if (!(error instanceof TelemetryTextError)) throw error;
    // A NUL is in no JSON and in most protobuf.
    const hint = content.includes("\u0000")
      ? "; it looks binary: export OTLP as JSON, not as protobuf, uncompressed"
      : "";
    const name = file === STANDARD_INPUT ? "standard input" : `'${file}'`;
    throw new UsageError(`${name} is no OTLP JSON: ${error.message}${hint}`);
  }
}

function isReached(report: ConformanceReport, wanted: Level | undefined): boolean {
  return wanted === "full" ? report.level === "full" : report.level !== "none";
}

function writeOut(lines: readonly string[]): Promise<void> {
  return new Promise((done) => process.stdout.write(`${lines.join("\n")}\n`, () => done()));
}

async function runConformance(
  files: readonly string[],
  options: ConformanceOptions,
): Promise<void> {
  const layout = { paint: paintFor(process.stdout, options.color), width: widthOf(process.stdout) };
  if (options.list) {
    if (files.length > 0)
      throw new UsageError(`--list takes no files, but '${files[0]}' was given`);
    await writeOut(options.json ? [JSON.stringify(CHECKLIST, null, 2)] : checklistLines(layout));
    return;
  }
  if (files.length === 0) {
    throw new UsageError("name the files to check, or - for standard input (or ask for --list)");
  }
  const twice = files.find((file, index) => files.indexOf(file) !== index);
  if (twice !== undefined) throw new UsageError(`'${twice}' is given twice; name it once`);
  const payloads: unknown[] = [];
  for (const file of files) payloads.push(await read(file));
  const report = checkConformance(payloads);
  const reached = isReached(report, options.level);
  await writeOut(
    options.json
      ? [JSON.stringify({ ...report, required: options.level ?? "declared", reached }, null, 2)]
      : reportLines(report, { ...layout, all: options.all === true, required: options.level }),
  );
  if (!reached) throw new CheckFailed();
}

/** The command, for the program to add. */
export function conformanceCommand(): Command {
  return new Command("conformance")
    .summary("check telemetry against the GenOps specification")
    .description(
      "Checks OTLP JSON (traces, logs, metrics; one document or JSON lines, as the OpenTelemetry Collector's file exporter writes them) against the GenOps Governance Specification v0.1.0. All files are judged together.\nExit code: 0 conformant, 1 not, 2 wrong use or unreadable.",
    )
    .argument("[files...]", "files of OTLP JSON; - is standard input")
    .option(
      "--level <level>",
      "level to ask for: full or partial (default: the one that the telemetry declares)",
      level,
    )
    .option("--all", "show every finding, not the first few of an item")
    .option("--list", "print the checklist and stop")
    .option("--json", "print one JSON document and nothing else")
    .option("--color", "colours even where no terminal is")
    .option("--no-color", "no colours")
    .action((files: string[], options: ConformanceOptions) => runConformance(files, options));
}
