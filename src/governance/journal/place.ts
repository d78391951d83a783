// Where journals lie, and what makes two starts of a program the same ledger.
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { withoutCredentials } from "../../mlflow/redaction.js";
import { locateStore } from "../../mlflow/store-uri.js";
import { environmentVariable } from "../../runtime/capabilities.js";
import { ATTRIBUTES, type GovernanceAttributes } from "../attribution.js";

/** The folder where programs of this system keep their state. */
function systemFolder(): string {
  const variable = environmentVariable;
  if (process.platform === "win32") {
    return join(variable("LOCALAPPDATA") ?? join(homedir(), "AppData", "Local"), "genops");
  }
  if (process.platform === "darwin") {
    return join(homedir(), "Library", "Application Support", "genops");
  }
  return join(variable("XDG_STATE_HOME") ?? join(homedir(), ".local", "state"), "genops");
}

/** Folder of all journals, unless an option names another: `$GENOPS_STATE_DIR/journal`, or where the system has such. */
export function defaultJournalFolder(): string {
  return join(resolve(environmentVariable("GENOPS_STATE_DIR") ?? systemFolder()), "journal");
}

/** Whose ledger it is. The same program started again has the same; a limit or a price may change meanwhile. */
export interface LedgerIdentity {
  /** Absolute, without credentials. */
  readonly trackingUri: string;
  /** Attributes of the adapter itself; those of single runs do not matter. `feature` is no dimension of a ledger. */
  readonly attributes: Readonly<Partial<Record<keyof GovernanceAttributes, string>>>;
}

function storeUri(trackingUri: string | undefined): string {
  const uri = trackingUri ?? environmentVariable("MLFLOW_TRACKING_URI") ?? "mlruns";
  try {
    return locateStore(uri).uri;
  } catch {
    // Not known to the client: taken as it is.
    return withoutCredentials(uri);
  }
}

export function ledgerIdentity(
  trackingUri: string | undefined,
  attributes: GovernanceAttributes,
): LedgerIdentity {
  const entries = ATTRIBUTES.filter(
    (name) => name !== "feature" && attributes[name] !== undefined,
  ).map((name) => [name, attributes[name]]);
  return { trackingUri: storeUri(trackingUri), attributes: Object.fromEntries(entries) };
}

/** Name of a ledger's folder: something that people recognise, and a hash that nothing else has. */
export function ledgerFolderName({ trackingUri, attributes }: LedgerIdentity): string {
  const entries = ATTRIBUTES.map((name) => attributes[name] ?? null);
  const hash = createHash("sha256")
    .update(JSON.stringify([trackingUri, ...entries]))
    .digest("hex");
  const names = [attributes.team, attributes.project].filter((name) => name !== undefined);
  const readable = names.join("-").replace(/[^A-Za-z0-9]+/g, "-");
  return `${readable.slice(0, 40) || "ledger"}-${hash.slice(0, 16)}`;
}
