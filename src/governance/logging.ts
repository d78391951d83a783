// What a person may read of a ledger at work: runs, operations on demand, and a warning when nobody owns its costs.
import { attoToUsd } from "../engine/index.js";
import { environmentVariable } from "../runtime/capabilities.js";
import type { Configuration, Logger } from "./configuration.js";
import type { Settlement, SettlementObserver } from "./settlement.js";

/** Levels of OpenTelemetry at which its diagnostic logger shows debug messages. */
const DEBUG_LEVELS: readonly string[] = ["DEBUG", "VERBOSE", "ALL"];

/** Are operations told one by one: to a logger of the user's, or when the environment asks for it? */
export function tellsOperations(given: Logger | undefined): boolean {
  const level = environmentVariable("OTEL_LOG_LEVEL")?.toUpperCase();
  return given !== undefined || (level !== undefined && DEBUG_LEVELS.includes(level));
}

/** A ledger, as far as the warning needs it. */
interface OwnedLedger {
  readonly configuration: Configuration;
  warnOnce(key: string, message: string): void;
}

/** Warns when costs would have no team or project. */
export function warnWithoutOwner(ledger: OwnedLedger): void {
  const { team, project } = ledger.configuration.attributes;
  if (team !== undefined && project !== undefined) return;
  ledger.warnOnce(
    "unattributed",
    "Governance attributes not configured: set GENOPS_TEAM and GENOPS_PROJECT, or the options team and project; until then costs are under (unattributed)",
  );
}

function ownerOf({ attributes }: Settlement): string {
  const { team = "no team", project = "no project", customerId } = attributes;
  return [team, project, ...(customerId === undefined ? [] : [customerId])].join(" / ");
}

/** Writes to the given logger, or to OpenTelemetry's diagnostic one. */
export class DebugLog implements SettlementObserver {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  settled(settlement: Settlement): void {
    const { entry, operation, run, cost, failed, elapsedMs, outcome, storage } = settlement;
    const where = run?.runId ?? operation.runId ?? operation.modelName ?? operation.experimentId;
    const what = [
      `${entry.name} ${failed ? "failed" : "ok"} in ${elapsedMs.toFixed(1)} ms`,
      `${attoToUsd(cost)} USD`,
      ...(storage === undefined ? [] : [`${storage.sizeBytes} bytes on ${storage.meter}`]),
      ...(where === undefined ? [] : [where]),
      ...(outcome.endedRun === undefined ? [] : [outcome.endedRun.status]),
      ownerOf(settlement),
    ];
    this.#logger.debug(`genops: ${what.join(", ")}`);
  }
}
