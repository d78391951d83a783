// Configuration: can the files be written that outlive the process, the journal and the audit trail?
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Configuration } from "../../../governance/configuration.js";
import { defaultJournalFolder } from "../../../governance/journal/place.js";
import { AuditWriteError } from "../../../telemetry/audit/failure.js";
import { type Check, type Found, Skipped } from "./check.js";

/** Removes a folder and those above it up to `first`, which were made for the probe, unless somebody uses them by then. */
function removeMade(folder: string, first: string): void {
  try {
    for (let each = folder; each.length >= first.length; each = dirname(each)) rmdirSync(each);
  } catch {
    // Somebody does.
  }
}

/** Writes a file there, and takes it away again. @throws what the file system throws. */
function tryFolder(folder: string): void {
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    const probe = join(folder, `genops-validate-${crypto.randomUUID()}`);
    const file = openSync(probe, "wx", 0o600);
    try {
      writeSync(file, "probe");
      fsyncSync(file);
    } finally {
      closeSync(file);
      unlinkSync(probe);
    }
  } finally {
    if (made !== undefined) removeMade(folder, made);
  }
}

/** Undefined when nothing is kept. */
function journalFolder({ journal }: Configuration): string | undefined {
  if (journal === false) return undefined;
  const path = typeof journal === "object" ? journal.path : undefined;
  return path === undefined ? defaultJournalFolder() : resolve(path);
}

function tryJournal(folder: string, found: Found): void {
  try {
    tryFolder(folder);
  } catch (error) {
    found({
      code: "JOURNAL_NOT_WRITABLE",
      severity: "warning",
      message: "What is spent is forgotten when the program ends: its journal cannot be written.",
      cause: (error as Error).message,
      fix: "export GENOPS_STATE_DIR=/var/lib/genops   # a folder that this user may write to; or GENOPS_JOURNAL=off",
    });
  }
}

function tryAudit(path: string, found: Found): void {
  try {
    tryFolder(dirname(resolve(path)));
  } catch (error) {
    found({
      code: "AUDIT_NOT_WRITABLE",
      severity: "error",
      message: "The audit trail that is asked for cannot be written.",
      cause: new AuditWriteError(path, error).message,
      fix: "export GENOPS_AUDIT_LOG=/var/log/genops/audit.jsonl   # in a folder that this user may write to",
    });
  }
}

export const keptFilesCheck: Check = {
  name: "keptFiles",
  area: "configuration",
  run({ configuration, readOnly }, found) {
    if (configuration === undefined) throw new Skipped("the options cannot be used");
    const journal = journalFolder(configuration);
    const { auditLog } = configuration;
    const audit = typeof auditLog === "object" ? auditLog.path : auditLog;
    const named = [
      journal === undefined ? "no journal" : `journal in ${journal}`,
      ...(typeof audit === "string" ? [`audit trail ${audit}`] : []),
    ];
    if (readOnly) throw new Skipped(`${named.join(", ")}: not tried, as nothing is to be written`);
    if (journal !== undefined) tryJournal(journal, found);
    if (typeof audit === "string") tryAudit(audit, found);
    return named.join(", ");
  },
};
