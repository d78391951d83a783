// What of a server's is a caller's own, and what is others': runs, their files and models, and what is above them.
import type { GovernanceAttributes } from "../governance/attribution.js";
import type { Operation } from "../governance/operation.js";
import { isOfMany } from "../instrumentation/wire/routes.js";
import type { IdentifiedCaller } from "./callers.js";
import { isForeign } from "./payers.js";
import type { Operative, Room } from "./room.js";
import type { Asker } from "./upstream.js";

/** Operations that change runs, or what they have made, without being told which. */
const DETOURS: readonly string[] = ["delete_experiment", "create_logged_model"];

/** May a call change what is others' without naming a run of theirs? */
export function isDetour({ operation, folder, modelId }: Operative): boolean {
  return (folder ?? modelId) !== undefined || DETOURS.includes(operation.name);
}

export class Ownership {
  readonly #room: Room;
  readonly #caller: IdentifiedCaller;

  constructor(room: Room, caller: IdentifiedCaller) {
    this.#room = room;
    this.#caller = caller;
  }

  /** Is what `payer` pays for somebody else's? Who made a run with the same credentials is at home in it. */
  isForeign(payer: GovernanceAttributes, runId: string | undefined): boolean {
    const { tellsApart, payers } = this.#room;
    if (!tellsApart || !isForeign(payer, this.#caller)) return false;
    return !payers.isMaker(runId, this.#caller.identity);
  }

  /** A write to a run that nobody is known to pay for. */
  unowned(operation: Operation, payer: "nobody" | "hidden"): Operation {
    const { governor, tellsApart } = this.#room;
    if (!tellsApart || operation.runId === undefined) return operation;
    // Whom the server shows no run, to him it does not become his, wherever his files go.
    if (payer === "hidden") return { ...operation, runId: undefined };
    const { experimentId } = governor.runs.startedOf(operation.runId) ?? {};
    // Whoever tries to write it, and may not, must not have it; but what holds runs must hold from the first call.
    const claimsRun = operation.name !== "update_run" && !governor.limits.holdRuns;
    return { ...operation, experimentId: operation.experimentId ?? experimentId, claimsRun };
  }

  /** Reading somebody else's run, and registering what it made, the caller pays. */
  withoutOthers(operation: Operation, changes: boolean): Operation {
    const { runId, parentRunId } = operation;
    const own = this.#isOthers(parentRunId) ? { ...operation, parentRunId: undefined } : operation;
    return !changes && this.#isOthers(runId) ? { ...own, runId: undefined } : own;
  }

  #isOthers(runId: string | undefined): boolean {
    const known = runId === undefined ? undefined : this.#room.governor.runs.get(runId);
    return known !== undefined && this.isForeign(known.attributes, runId);
  }

  /**
   * What of others a call would change that says no run: files of many, logged models, a whole experiment. Undefined
   * for nothing. Rejects with an `UntoldPayerError` when it matters and the server does not say.
   */
  async othersThing(reading: Operative, asker: Asker): Promise<string | undefined> {
    const { tellsApart, payers } = this.#room;
    const { operation, call, folder, modelId } = reading;
    if (!tellsApart || this.#caller.isAdmin) return undefined;
    const isUnowned = modelId === undefined && operation.runId === undefined;
    if (folder !== undefined && isUnowned) {
      return operation.name === "delete_artifact" || isOfMany(folder) ? folder : undefined;
    }
    if (operation.name === "delete_experiment" && operation.experimentId !== undefined) {
      return payers.foreignRunIn(operation.experimentId, asker, (runId, payer) =>
        this.isForeign(payer, runId),
      );
    }
    const { source_run_id: source } = call.body;
    const runId =
      modelId === undefined
        ? operation.name === "create_logged_model" && typeof source === "string" && source
        : await payers.runOfModel(modelId, asker);
    if (!runId) return undefined;
    const payer = await payers.payerOf(runId, asker);
    return typeof payer === "object" && this.isForeign(payer, runId) ? runId : undefined;
  }
}
