// Asks policies and limits about one call, tells of what they refuse, and makes the error that is thrown for it.
import type { Engine, Refusal } from "../engine/index.js";
import type { GovernanceAttributes } from "./attribution.js";
import type { Configuration } from "./configuration.js";
import {
  ALLOWED,
  type Decision,
  decidingOf,
  errorOf,
  type GovernanceDecision,
  isRefusal,
} from "./decision.js";
import type { Emission } from "./emission.js";
import type { GovernanceRefusal } from "./errors.js";
import type { LedgerJournal } from "./journal/open.js";
import { Limits } from "./limits.js";
import type { Notices } from "./notices.js";
import type { Operation } from "./operation.js";
import type { PolicyRequest } from "./policies/options.js";
import type { Policies } from "./policies/policies.js";
import type { RunBook, RunState } from "./runs.js";

/** What most calls are decided; compared by identity. */
export const ALL_ALLOWED: readonly Decision[] = Object.freeze([ALLOWED]);

/** A call that is decided upon. */
export interface DecidedCall {
  readonly operation: Operation;
  readonly operationId: number;
  /** Who pays. */
  readonly attributes: GovernanceAttributes;
  readonly run: RunState | undefined;
}

export class Decisions {
  readonly policies: Policies;
  readonly limits: Limits;

  readonly #engine: Engine;
  readonly #runs: RunBook;
  readonly #emission: Emission;
  readonly #notices: Notices;
  readonly #hook: ((decision: GovernanceDecision) => unknown) | undefined;

  /** @throws {ConfigurationError} for limits that the engine cannot hold. */
  constructor(
    engine: Engine,
    policies: Policies,
    runs: RunBook,
    emission: Emission,
    configuration: Configuration,
    notices: Notices,
    journal: LedgerJournal | undefined,
  ) {
    this.#engine = engine;
    this.policies = policies;
    this.#runs = runs;
    this.#emission = emission;
    this.#notices = notices;
    this.#hook = configuration.onDecision;
    const { limits, onBudgetAlert } = configuration;
    this.limits = new Limits(engine, limits, notices, onBudgetAlert, journal);
  }

  /** What policies say of a call; the last one refuses it, when any does. */
  judge(call: DecidedCall): readonly Decision[] {
    const rules = this.policies.rulesFor(call.operationId);
    if (rules === undefined) return ALL_ALLOWED;
    const judged = this.policies.judge(rules, this.#request(call));
    return judged.length === 0 ? ALL_ALLOWED : judged;
  }

  /** Adds what the limits say of a call that the engine did not let in; as they were when it may go on. */
  refusedBy(refusal: Refusal, call: DecidedCall, decisions: readonly Decision[]) {
    const owner = this.#runs.ownerOf(call.run);
    const decision = this.limits.refusal(refusal, call.operation.name, owner);
    return decision === undefined ? decisions : added(decisions, decision);
  }

  /** Adds the warning that the engine let the call in with, when there is one. */
  warnedBy(
    call: DecidedCall,
    decisions: readonly Decision[],
    limit: number | undefined,
  ): readonly Decision[] {
    if (limit === undefined) return decisions;
    const owner = this.#runs.ownerOf(call.run);
    const warning = this.limits.warning(limit, call.operation.name, owner);
    return warning === undefined ? decisions : added(decisions, warning);
  }

  /** Is it too large for a policy, or for a budget that holds it? Its hold grows when not. */
  growth(
    { operation, run }: DecidedCall,
    totalBytes: number,
    extend: () => Refusal | undefined,
  ): Decision | undefined {
    const uri = operation.upload?.artifactUri ?? "";
    const judged = this.policies.judgeSize(totalBytes, uri);
    if (judged !== undefined && isRefusal(judged)) return judged;
    const refusal = extend();
    return refusal && this.limits.refusal(refusal, operation.name, this.#runs.ownerOf(run));
  }

  /**
   * Tells of a refusal, which is among the decisions, and makes its error. `reserved`: atto-USD that were
   * held when it was cut off.
   */
  refuse(call: DecidedCall, decisions: readonly Decision[], reserved?: bigint): GovernanceRefusal {
    const { operation, operationId, attributes, run } = call;
    const error = errorOf(decidingOf(decisions));
    // Refused is refused, even where it cannot be told.
    try {
      const atMs = Date.now();
      const refused = { operation, operationId, attributes, decisions, run, atMs, error };
      this.#emission.refused(reserved === undefined ? refused : { ...refused, reserved });
    } catch (failure) {
      this.#notices.contain(failure);
    }
    this.tell(call, decisions);
    return error;
  }

  /** Tells the user's hook of what was not simply allowed. */
  tell({ operation, attributes }: DecidedCall, decisions: readonly Decision[]): void {
    if (this.#hook === undefined || decisions === ALL_ALLOWED) return;
    const { name, runId } = operation;
    const owner = runId === undefined ? {} : { runId };
    for (const decision of decisions) {
      const { reasonCode = "", policy = "", reason = "" } = decision;
      this.#notices.callHook("onDecision", this.#hook, {
        ...decision,
        reasonCode,
        policy,
        reason,
        operation: name,
        ...owner,
        attributes,
      });
    }
  }

  #request({ operation, operationId, attributes, run }: DecidedCall): PolicyRequest {
    const { name, runId, modelName, modelVersion, modelStage, upload, details } = operation;
    const started = run?.started ?? (runId === undefined ? undefined : this.#runs.startedOf(runId));
    const experimentId = started?.experimentId ?? operation.experimentId;
    const tags = runId === undefined ? undefined : this.#runs.tagsOf(runId);
    return {
      operation: name,
      operationClass: this.#engine.operations[operationId]?.class ?? "other",
      attributes,
      runId,
      runName: started?.runName ?? (name === "create_run" ? details?.newName : undefined),
      experimentId,
      experimentName: experimentId && this.#runs.experimentName(experimentId),
      modelName,
      modelVersion,
      modelStage,
      currentStage: details?.currentStage,
      newName: details?.newName,
      artifactUri: upload?.artifactUri ?? details?.artifactLocation,
      sizeBytes: upload?.sizeBytes,
      endStatus: details?.status,
      tags: tags && Object.fromEntries(tags),
    };
  }
}

/** Decisions of which at least one is not simply that it is allowed. */
function added(decisions: readonly Decision[], decision: Decision): readonly Decision[] {
  return decisions === ALL_ALLOWED ? [decision] : [...decisions, decision];
}
