// `genops budget`: what the journals on this machine say of budgets, and setting one back.
import { statSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import { accumulatorKey } from "../../governance/journal/accumulator.js";
import {
  type BudgetStanding,
  type LedgerReport,
  ResetError,
  readLedgers,
  resetBudget,
} from "../../governance/journal/ledgers.js";
import { defaultJournalFolder } from "../../governance/journal/place.js";
import { nearestName } from "../../nearest-name.js";
import { AuditWriteError } from "../../telemetry/audit/failure.js";
import { openAuditFile } from "../../telemetry/audit/open-file.js";
import type { AuditDecision, AuditSink } from "../../telemetry/audit/record.js";
import { paintFor } from "../../terminal/terminal.js";
import { CommandError, UsageError } from "../failure.js";
import { fileProblem } from "../files.js";
import { ledgerDocument, listLines, showLines, usageText } from "./report.js";

interface ReadOptions {
  readonly path?: string;
  readonly ledger?: string;
  readonly json?: true;
  readonly color?: boolean;
}

interface ResetOptions extends ReadOptions {
  readonly yes?: true;
  readonly auditLog?: string;
}

/** A budget and the ledger that it belongs to. */
interface Found {
  readonly ledger: LedgerReport;
  readonly standing: BudgetStanding;
}

function writeOut(lines: readonly string[]): Promise<void> {
  const text = lines.map((line) => `${line}\n`).join("");
  return new Promise((done) => process.stdout.write(text, () => done()));
}

function json(document: unknown): string[] {
  return [JSON.stringify(document, null, 2)];
}

/**
 * Where journals lie: as told, else where programs started from here would have them.
 * @throws {UsageError} for a path that is told and can be no folder.
 */
function rootOf({ path }: ReadOptions): string {
  if (path !== undefined) {
    if (path.trim() === "") throw new UsageError("--path: give a folder, or leave it out");
    const root = resolve(path);
    if (statSync(root, { throwIfNoEntry: false })?.isFile()) {
      throw new UsageError(`--path '${path}': it is a file; give the folder of the journals`);
    }
    return root;
  }
  const journal = process.env.GENOPS_JOURNAL?.trim() ?? "";
  const isSwitch = journal === "" || /^(on|off|true|false|0|1)$/i.test(journal);
  return isSwitch ? defaultJournalFolder() : resolve(journal);
}

function suggestion(name: string, valid: readonly string[]): string {
  const nearest = nearestName(name, valid);
  if (nearest !== undefined) return `did you mean ${JSON.stringify(nearest)}?`;
  return valid.length === 0 ? "there is none" : `there are ${valid.join(", ")}`;
}

function readAll(root: string): LedgerReport[] {
  try {
    return readLedgers(root, Date.now());
  } catch (error) {
    throw new CommandError(`cannot read '${root}': ${fileProblem(error)}`);
  }
}

/** @throws {UsageError} for a ledger that is not there. */
function ledgersOf(options: ReadOptions): {
  readonly root: string;
  readonly ledgers: LedgerReport[];
} {
  const root = rootOf(options);
  const all = readAll(root);
  const { ledger: name } = options;
  if (name === undefined) return { root, ledgers: all };
  const ledgers = all.filter((each) => each.name.startsWith(name));
  if (ledgers.length > 0) return { root, ledgers };
  const names = all.map((each) => each.name);
  throw new UsageError(
    `--ledger: no ledger in ${root} is called ${JSON.stringify(name)}; ${suggestion(name, names)}`,
  );
}

/** @throws {UsageError} for a name that no budget has. */
function named(name: string, options: ReadOptions): Found[] {
  const { root, ledgers } = ledgersOf(options);
  const all = ledgers.flatMap((ledger) =>
    ledger.budgets.map((standing): Found => ({ ledger, standing })),
  );
  const found = all.filter(({ standing }) => standing.budget === name);
  if (found.length > 0) return found;
  const names = [...new Set(all.map(({ standing }) => standing.budget))];
  throw new UsageError(
    `no budget in ${root} is called ${JSON.stringify(name)}; ${suggestion(name, names)}`,
  );
}

async function list(options: ReadOptions): Promise<void> {
  const { root, ledgers } = ledgersOf(options);
  if (options.json) {
    const documents = ledgers.map((ledger) => ledgerDocument(ledger));
    return writeOut(json({ path: root, ledgers: documents }));
  }
  return writeOut(listLines(ledgers, root, paintFor(process.stdout, options.color)));
}

async function show(name: string, options: ReadOptions): Promise<void> {
  const found = named(name, options);
  if (options.json) {
    const ledgers = found.map(({ ledger, standing }) => ledgerDocument(ledger, [standing]));
    return writeOut(json({ path: rootOf(options), ledgers }));
  }
  const paint = paintFor(process.stdout, options.color);
  return writeOut(
    found.flatMap(({ ledger, standing }, index) => [
      ...(index === 0 ? [] : [""]),
      ...showLines(ledger, standing, paint),
    ]),
  );
}

/** The streams of a terminal, by what is used of them. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Asks a person; @throws {UsageError} where there is none to be asked. */
export async function confirmed(question: string, { input, output }: Terminal): Promise<boolean> {
  if (input.isTTY !== true || output.isTTY !== true) {
    throw new UsageError("there is no terminal to ask on; give --yes to reset without a question");
  }
  const asking = createInterface({ input, output });
  // The end of the input is no yes.
  const ended = new Promise<string>((answer) => asking.once("close", () => answer("")));
  try {
    const answer = await Promise.race([asking.question(`${question} [y/N] `), ended]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "(unknown)";
  }
}

function auditOf({ auditLog = process.env.GENOPS_AUDIT_LOG }: ResetOptions): AuditSink | undefined {
  return auditLog === undefined || auditLog.trim() === "" ? undefined : openAuditFile(auditLog);
}

/** A reset as the audit trail has it: told before it is done, and after. */
function auditRecord(
  { ledger, standing }: Found,
  phase: AuditDecision["phase"],
  error?: unknown,
): AuditDecision {
  const { team, project, customerId, environment, costCenter } = ledger.attributes;
  const failed = error !== undefined;
  return {
    kind: "decision",
    time: new Date().toISOString(),
    phase,
    call: 1,
    operation: "reset_budget",
    operationClass: "admin",
    who: {
      ...(team !== undefined && { team }),
      ...(project !== undefined && { project }),
      ...(customerId !== undefined && { customerId }),
      ...(environment !== undefined && { environment }),
      ...(costCenter !== undefined && { costCenter }),
      user: userName(),
    },
    target: {},
    decision: "ALLOWED",
    reasonCode: null,
    policy: `budget.${standing.budget}`,
    reason: `set to nothing by hand, ledger ${ledger.name}: ${usageText(standing)}`,
    cost: "0",
    ...(phase === "after" && { outcome: failed ? "error" : "ok" }),
    ...(failed && { error: error instanceof Error ? error.name : String(error) }),
  };
}

/**
 * The trail, once it has been told what is about to be done.
 * @throws {CommandError} when it cannot be: nothing is done by hand that nobody will know of.
 */
function auditBefore(found: Found, options: ResetOptions): AuditSink | undefined {
  try {
    const audit = auditOf(options);
    audit?.(auditRecord(found, "before"));
    return audit;
  } catch (error) {
    if (!(error instanceof AuditWriteError)) throw error;
    const name = JSON.stringify(found.standing.budget);
    throw new CommandError(
      `budget ${name} was not reset: the audit trail cannot be written. ${error.message}`,
    );
  }
}

/** Tells the trail how it went; that it could not be told does not change what was done. */
function auditAfter(audit: AuditSink | undefined, found: Found, failure?: unknown): void {
  try {
    audit?.(auditRecord(found, "after", failure));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`genops: the audit trail does not say how this ended. ${text}\n`);
  }
}

/**
 * The one budget that is meant: of those that had the name with other periods or scopes, the one that programs have now.
 * @throws {UsageError} when there are several.
 */
function oneNamed(name: string, options: ReadOptions): Found {
  const found = named(name, options);
  const ledgers = [...new Set(found.map(({ ledger }) => ledger.name))];
  if (ledgers.length > 1) {
    throw new UsageError(
      `${JSON.stringify(name)} is a budget of several ledgers; give --ledger with one of ${ledgers.join(", ")}`,
    );
  }
  const declared = found.filter(({ standing }) => standing.limit !== undefined);
  const [one, ...others] = (declared.length > 0 ? declared : found) as [Found, ...Found[]];
  if (others.length === 0) return one;
  const periods = found.map(({ standing }) => standing.name.period);
  throw new UsageError(
    `${JSON.stringify(name)} is the name of ${found.length} budgets of ${ledgers} (${periods.join(", ")}), and the ledger does not say which one programs have now; start the program whose budget it is, and try again`,
  );
}

async function reset(name: string, options: ResetOptions): Promise<void> {
  const found = oneNamed(name, options);
  const { ledger, standing } = found;
  const question = `Set budget ${JSON.stringify(name)} of ${ledger.name} to nothing? It has spent ${usageText(standing)}.`;
  // Asked on the other stream, so that what is printed stays what was asked for.
  const terminal = { input: process.stdin, output: process.stderr };
  if (!options.yes && !(await confirmed(question, terminal))) {
    throw new CommandError(`budget ${JSON.stringify(name)} was left as it is`);
  }
  const audit = auditBefore(found, options);
  let done: BudgetStanding;
  try {
    const by = `${userName()} on ${hostname()}`;
    const usage = resetBudget(ledger, standing.name, by, Date.now());
    done = { ...standing, usage };
  } catch (error) {
    auditAfter(audit, found, error);
    if (error instanceof ResetError) {
      throw new CommandError(`budget ${JSON.stringify(name)} was not reset: ${error.message}`);
    }
    throw new CommandError(`cannot write in '${ledger.path}': ${fileProblem(error)}`);
  }
  auditAfter(audit, { ledger, standing: done });
  if (options.json) {
    const key = accumulatorKey(standing.name);
    const now = named(name, { ...options, ledger: ledger.name }).find(
      (each) => accumulatorKey(each.standing.name) === key,
    );
    const before = ledgerDocument(ledger, [done]);
    const after = now === undefined ? null : ledgerDocument(now.ledger, [now.standing]);
    return writeOut(json({ before, after }));
  }
  return writeOut([
    `Budget ${JSON.stringify(name)} of ${ledger.name} begins anew: ${usageText(done)} were set to nothing.`,
  ]);
}

function reading(command: Command): Command {
  return command
    .option("--path <folder>", "folder of the journals (GENOPS_JOURNAL, GENOPS_STATE_DIR)")
    .option("--ledger <name>", "only the ledger whose name begins so")
    .option("--json", "print one JSON document and nothing else")
    .option("--color", "colours even where no terminal is")
    .option("--no-color", "no colours");
}

/** The command, for the program to add. */
export function budgetCommand(): Command {
  const listCommand = reading(new Command("list"))
    .summary("list every ledger's budgets")
    .description(
      "Lists the budgets of every ledger on this machine in their current periods: limit as the process that began last has it, what was spent, and what is uncertain after a crash and counts as spent. (day) is all that a ledger spent on the UTC day.",
    )
    .action((options: ReadOptions) => list(options));
  const showCommand = reading(new Command("show"))
    .summary("show one budget in full")
    .description("Shows a budget with its period, its processes, and who set it back.")
    .argument("<name>", "name of the budget; (day) for all that was spent on the UTC day")
    .action((name: string, options: ReadOptions) => show(name, options));
  const resetCommand = reading(new Command("reset"))
    .summary("set what was spent of a budget in its period to nothing")
    .description(
      "Sets what was spent of a budget in its current period to nothing, once a person has said yes or with --yes. It is noted in the journal, and in the audit trail where there is one. Refused while a process of the ledger is at work, which counts in memory. Exit code: 0 done, 1 refused, 2 wrong use.",
    )
    .argument("<name>", "name of the budget; (day) for all that was spent on the UTC day")
    .option("--yes", "do not ask")
    .option("--audit-log <file>", "audit trail that it is written to (GENOPS_AUDIT_LOG)")
    .action((name: string, options: ResetOptions) => reset(name, options));
  return new Command("budget")
    .summary("show where budgets stand, and set one back")
    .description("Reads the journals that programs keep of what they spend.")
    .addCommand(listCommand)
    .addCommand(showCommand)
    .addCommand(resetCommand);
}
