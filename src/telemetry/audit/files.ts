// The seam between the portable part and audit files, which only some runtimes have.
import { ConfigurationError } from "../../governance/errors.js";
import type { AuditSink } from "./record.js";

type Opener = (log: unknown) => AuditSink;

let opener: Opener | undefined;

/** Tells how this platform opens an audit file. Called once by the platform's entry point. */
export function setAuditFileOpener(open: Opener): void {
  opener = open;
}

/**
 * @param log what the user gave instead of a function.
 * @throws {ConfigurationError} where there are no files, or this one cannot be written.
 */
export function openAuditFile(log: unknown): AuditSink {
  if (opener !== undefined) return opener(log);
  throw new ConfigurationError(
    "INVALID_OPTION",
    "auditLog",
    log,
    "auditLog: no files here; give a function",
  );
}
