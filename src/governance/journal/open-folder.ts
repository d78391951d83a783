// Opens a ledger's journal on this machine: checks the option, finds the folder, says whose it is.
import { join, resolve } from "node:path";
import { EngineError, usdToAtto } from "../../engine/index.js";
import { ConfigurationError } from "../errors.js";
import { isRecord, rejectUnknown } from "../option-names.js";
import { Journal } from "./journal.js";
import { LEDGER_FILE, printLedger } from "./ledger-file.js";
import type { JournalSetup } from "./open.js";
import { defaultJournalFolder, ledgerFolderName, ledgerIdentity } from "./place.js";
import { type JournalSystem, nodeSystem } from "./system.js";

const NOTHING = new Uint8Array();

interface CheckedOption {
  readonly path: string | undefined;
  readonly slice: bigint | undefined;
}

function invalid(field: string, value: unknown, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function checkSlice(slice: unknown): bigint | undefined {
  if (slice === undefined) return undefined;
  const example = 'give USD above 0, for example "0.01"';
  if (typeof slice !== "number" && typeof slice !== "string") {
    throw invalid("journal.slice", slice, `${shown(slice)} is no amount; ${example}`);
  }
  let amount: bigint;
  try {
    amount = usdToAtto(slice, "journal.slice");
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw invalid("journal.slice", slice, `${shown(slice)} is no amount; ${example}`);
  }
  if (amount > 0n) return amount;
  throw invalid("journal.slice", slice, `${shown(slice)} leaves nothing to be taken; ${example}`);
}

/** @throws {ConfigurationError} naming the field at fault. */
function checkOption(option: unknown): CheckedOption {
  if (option === undefined || option === true) return { path: undefined, slice: undefined };
  if (!isRecord(option)) {
    throw invalid(
      "journal",
      option,
      `${shown(option)} is neither true nor false nor an object; give for example { path: "/var/lib/genops" }`,
    );
  }
  rejectUnknown(option as object, ["path", "slice"], "journal");
  const { path, slice } = option as { path?: unknown; slice?: unknown };
  if (path !== undefined && (typeof path !== "string" || path.trim() === "")) {
    throw invalid("journal.path", path, `${shown(path)} is no path of a folder`);
  }
  return { path, slice: checkSlice(slice) };
}

/** @throws {ConfigurationError} for an impossible option. A folder that cannot be used is told, and no error. */
export function openJournalFolder(
  setup: JournalSetup,
  system: JournalSystem = nodeSystem,
): Journal {
  const { path, slice } = checkOption(setup.option);
  const identity = ledgerIdentity(setup.trackingUri, setup.attributes);
  const root = path === undefined ? defaultJournalFolder() : resolve(path);
  const folder = join(root, ledgerFolderName(identity));
  return new Journal({
    engine: setup.engine,
    path: folder,
    slice,
    system,
    warn: setup.warn,
    onAlerts: setup.onAlerts,
    onFolder(budgets) {
      const file = join(folder, LEDGER_FILE);
      const bytes = printLedger(identity, budgets);
      // Limits may be others than at the last start.
      if (bytes.equals(system.read(file) ?? NOTHING)) return;
      system.replace(file, bytes);
    },
  });
}
