// The seam between the portable part, which a page downloads, and the audit trail of Node, Deno and Bun.
import { ConfigurationError } from "../../governance/errors.js";
import type { AuditLog } from "./record.js";
import type { AuditTrail } from "./trail.js";

type Opener = (log: AuditLog, onFailure: (error: unknown) => void) => AuditTrail;

let opener: Opener | undefined;

/** Tells how this platform keeps a trail. Called once by the platform's entry point. */
export function setAuditTrailOpener(open: Opener): void {
  opener = open;
}

/** @throws {ConfigurationError} where trails are not kept, or this one can be no file. */
export const openAuditTrail: Opener = (log, onFailure) => {
  if (opener !== undefined) return opener(log, onFailure);
  throw new ConfigurationError(
    "INVALID_OPTION",
    "auditLog",
    log,
    "auditLog: needs Node, Deno or Bun",
  );
};
