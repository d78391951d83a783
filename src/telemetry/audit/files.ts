// The seam between the portable part and audit files, which only some runtimes have.
import { ConfigurationError } from "../../governance/errors.js";
import type { AuditLogOptions, AuditSink } from "./record.js";

type Opener = (options: AuditLogOptions) => AuditSink;

let opener: Opener | undefined;

/** Tells how this platform opens an audit file. Called once by the platform's entry point. */
export function setAuditFileOpener(open: Opener): void {
  opener = open;
}

/** @throws {ConfigurationError} where there are no files, or this one cannot be written. */
export function openAuditFile(options: AuditLogOptions): AuditSink {
  if (opener !== undefined) return opener(options);
  throw new ConfigurationError(
    "INVALID_OPTION",
    "auditLog",
    options.path,
    "auditLog: this runtime has no files; give a function that takes the records",
  );
}
