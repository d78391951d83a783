// `genops audit`: checks the chain of an audit trail, and shows what it says.
import { Command, InvalidArgumentError } from "commander";
import { formatCount } from "../../costs/usd-text.js";
import type { AuditDecision } from "../../telemetry/audit/record.js";
import { type AuditBreak, readAuditFile, verifyAuditFiles } from "../../telemetry/audit/verify.js";
import { padLeft, padRight, shorten } from "../../terminal/layout.js";
import { type Paint, paintFor } from "../../terminal/terminal.js";
import { CheckFailed, UsageError } from "../failure.js";
import { fileProblem } from "../files.js";

interface VerifyOptions {
  readonly head?: string;
  readonly json?: true;
  readonly color?: boolean;
}

interface ShowOptions {
  readonly team?: string;
  readonly operation?: string;
  /** Milliseconds since 1970. */
  readonly since?: number;
  readonly json?: true;
  readonly color?: boolean;
}

function writeOut(lines: readonly string[]): Promise<void> {
  const text = lines.map((line) => `${line}\n`).join("");
  return new Promise((done) => process.stdout.write(text, () => done()));
}

/** @throws {UsageError} naming the file that cannot be read. */
function reading<T>(files: readonly string[], read: () => T): T {
  const twice = files.find((file, index) => files.indexOf(file) !== index);
  if (twice !== undefined) throw new UsageError(`'${twice}' is given twice; name it once`);
  try {
    return read();
  } catch (error) {
    const { path = files[0] } = error as NodeJS.ErrnoException;
    throw new UsageError(`cannot read '${path}': ${fileProblem(error)}`);
  }
}

function breakText({ file, line, why }: AuditBreak): string {
  return `${file}, line ${line}: ${why}`;
}

function headHash(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError("Give the 64 hex digits that an earlier check has printed.");
}

async function verify(files: string[], options: VerifyOptions): Promise<void> {
  const { chains, broken } = reading(files, () => verifyAuditFiles(files));
  const { head } = options;
  const hasHead = (hash: string) =>
    files.some((file) => readAuditFile(file).lines.some((line) => line.hash === hash));
  const missing = broken === undefined && head !== undefined && !hasHead(head);
  const whole = broken === undefined && !missing;
  if (options.json) {
    const document = {
      whole,
      chains,
      broken: broken ?? null,
      ...(head && { head, found: !missing }),
    };
    await writeOut([JSON.stringify(document, null, 2)]);
  } else {
    const paint = paintFor(process.stdout, options.color);
    const lines = chains.map(
      (chain) =>
        `${formatCount(chain.records)} records in ${chain.files.join(", ")}\n  head ${chain.head}`,
    );
    if (broken) await writeOut([paint.red(`Broken: ${breakText(broken)}`)]);
    else if (missing) {
      await writeOut([
        ...lines,
        paint.red(
          `Broken: no record has the hash ${head}: records were cut off at the end, or this is another trail`,
        ),
      ]);
    } else await writeOut([...lines, paint.green("Whole: nothing was changed, removed or added")]);
  }
  if (!whole) throw new CheckFailed();
}

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

function since(text: string): number {
  const [, amount, unit = ""] = /^(\d+)([mhd])$/.exec(text) ?? [];
  const length = UNITS_MS[unit];
  if (amount !== undefined && length !== undefined) return Date.now() - Number(amount) * length;
  const time = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new InvalidArgumentError(
    "Give a time such as 2026-02-23 or 2026-02-23T08:00:00Z, or how long ago, such as 24h or 7d.",
  );
}

function matches(record: AuditDecision, options: ShowOptions): boolean {
  if (options.team !== undefined && record.who.team !== options.team) return false;
  if (options.operation !== undefined && record.operation !== options.operation) return false;
  return options.since === undefined || Date.parse(record.time) >= options.since;
}

function target({ target }: AuditDecision): string {
  const { modelName, modelVersion, modelStage, artifactUri, runId, experimentId } = target;
  if (modelName !== undefined) {
    const version = modelVersion === undefined ? "" : ` v${modelVersion}`;
    return `model ${modelName}${version}${modelStage === undefined ? "" : ` → ${modelStage}`}`;
  }
  if (artifactUri !== undefined) return artifactUri;
  if (runId !== undefined) return `run ${runId}`;
  return experimentId === undefined ? "" : `experiment ${experimentId}`;
}

function decisionLine(record: AuditDecision, paint: Paint): string {
  const { who } = record;
  const payer = [who.team, who.project, who.customerId].filter((part) => part !== undefined);
  const about = record.phase === "before" ? "about to" : (record.error ?? "ok");
  const decided =
    record.reasonCode === null ? record.decision : `${record.decision} ${record.reasonCode}`;
  const line = [
    record.time,
    padRight(shorten(record.operation, 30), 30),
    padLeft(record.cost, 10),
    padRight(decided, 8),
    padRight(shorten(about, 24), 9),
    `${payer.join("/") || "(unattributed)"}${who.user === undefined ? "" : ` by ${who.user}`}`,
    target(record),
  ].join("  ");
  if (record.decision !== "ALLOWED") return paint.red(line.trimEnd());
  return record.outcome === "error" ? paint.yellow(line.trimEnd()) : line.trimEnd();
}

async function show(files: string[], options: ShowOptions): Promise<void> {
  const read = reading(files, () => files.map(readAuditFile));
  const paint = paintFor(process.stdout, options.color);
  const records = read
    .flatMap(({ lines }) => lines.map(({ record }) => record))
    .filter((record) => record.kind === "decision")
    .filter((record) => matches(record, options));
  // Files may be given in any order, and several processes write at a time.
  records.sort((left, right) => (left.time < right.time ? -1 : left.time > right.time ? 1 : 0));
  await writeOut(
    records.map((record) => (options.json ? JSON.stringify(record) : decisionLine(record, paint))),
  );
  const broken = read.find((file) => file.broken !== undefined)?.broken;
  if (broken === undefined) return;
  process.stderr.write(
    `genops: the trail is broken there, and not shown further: ${breakText(broken)}\n`,
  );
  throw new CheckFailed();
}

/** The command, for the program to add. */
export function auditCommand(): Command {
  const verifyCommand = new Command("verify")
    .summary("check that nothing was changed, removed or added")
    .description(
      "Checks the hash chain of audit files, full ones and the one being written together, in any order. Names the first break by file and line. Exit code: 0 whole, 1 broken, 2 wrong use or unreadable.",
    )
    .argument("<files...>", "audit files of whole chains")
    .option(
      "--head <hash>",
      "hash that an earlier check printed: proves that nothing was cut off since",
      headHash,
    )
    .option("--json", "print one JSON document and nothing else")
    .option("--color", "colours even where no terminal is")
    .option("--no-color", "no colours")
    .action((files: string[], options: VerifyOptions) => verify(files, options));
  const showCommand = new Command("show")
    .summary("show who did what, when, and at what cost")
    .description("Shows the decisions of audit files, in the order of their times.")
    .argument("<files...>", "audit files")
    .option("--team <name>", "only this team's")
    .option("--operation <name>", "only this operation, such as delete_run")
    .option(
      "--since <time>",
      "only from a time on, or from so long ago: 2026-02-23, 24h, 7d",
      since,
    )
    .option("--json", "print JSON lines, a record each")
    .option("--color", "colours even where no terminal is")
    .option("--no-color", "no colours")
    .action((files: string[], options: ShowOptions) => show(files, options));
  return new Command("audit")
    .summary("check and show an audit trail")
    .description("Checks and shows the audit trail that the option auditLog writes.")
    .addCommand(verifyCommand)
    .addCommand(showCommand);
}
