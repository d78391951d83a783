// Makes the audit records of one adapter's operations, and hands them to whoever keeps them.
import { attoToUsd } from "../../engine/index.js";
import type { GovernanceAttributes } from "../../governance/attribution.js";
import type { Decision } from "../../governance/decision.js";
import type { Operation, Outcome } from "../../governance/operation.js";
import { currentRuntime } from "../../runtime/capabilities.js";
import { errorType } from "../spans.js";
import { openAuditFile } from "./open-file.js";
import type { AuditDecision, AuditLog, AuditSink, AuditSubject, AuditTarget } from "./record.js";

/** An operation as the engine's table has it. */
interface TableEntry {
  readonly name: string;
  readonly class: string;
  readonly counted: boolean;
}

/** A call between its two records. */
export interface AuditedCall {
  readonly number: number;
  readonly entry: TableEntry;
  readonly operation: Operation;
  readonly attributes: GovernanceAttributes;
  readonly decision: Decision;
}

/** How a call ended; amounts in atto-USD. */
export interface AuditedEnd {
  readonly cost: bigint;
  /** What the reply taught; absent when the call failed. */
  readonly outcome?: Outcome | undefined;
  readonly error?: unknown;
}

/** Reads decide nothing that lasts; what changes something does, and so does every end of a run. */
function isAudited(entry: TableEntry): boolean {
  return entry.counted || entry.class === "run-lifecycle";
}

/** Changes that are told before they are made too. */
function isSensitive(entry: TableEntry): boolean {
  return (
    entry.class === "registry-write" ||
    entry.class === "admin" ||
    /^(delete|restore|remove)_/.test(entry.name)
  );
}

function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** What an operation touches, and what its reply taught of that. */
function targetOf(operation: Operation, outcome: Outcome = {}): AuditTarget {
  const { startedRun } = outcome;
  return present({
    runId: startedRun?.runId ?? operation.runId ?? operation.parentRunId,
    experimentId: startedRun?.experimentId ?? outcome.createdExperimentId ?? operation.experimentId,
    modelName: operation.modelName,
    modelVersion: outcome.modelVersion ?? operation.modelVersion,
    modelStage: outcome.modelStage ?? operation.modelStage,
    artifactUri: operation.upload?.artifactUri,
  }) as AuditTarget;
}

/** Never throws once it is made: what cannot be kept is handed to `onFailure`. */
export class AuditTrail {
  readonly #sink: AuditSink;
  readonly #onFailure: (error: unknown) => void;
  readonly #user: string | undefined;
  #calls = 0;

  /** @throws {ConfigurationError} when a file is asked for that can be none. */
  constructor(log: AuditLog, onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
    this.#sink = typeof log === "function" ? log : openAuditFile(log, onFailure);
    this.#user = currentRuntime().userName?.();
  }

  /** Tells what is about to be changed, where that matters; undefined for what is not audited. */
  before(
    entry: TableEntry | undefined,
    operation: Operation,
    attributes: GovernanceAttributes,
    decision: Decision,
    reserved: bigint,
  ): AuditedCall | undefined {
    // A read is a decision that lasts only when it was not simply allowed.
    if (entry === undefined || (!isAudited(entry) && decision.result === "ALLOWED"))
      return undefined;
    const call = { number: ++this.#calls, entry, operation, attributes, decision };
    if (isSensitive(entry)) this.#write(call, { phase: "before", cost: attoToUsd(reserved) });
    return call;
  }

  /** Tells how a call ended. */
  after(call: AuditedCall, end: AuditedEnd): void {
    const failed = end.outcome === undefined;
    this.#write(
      call,
      {
        phase: "after",
        cost: attoToUsd(end.cost),
        outcome: failed ? "error" : "ok",
        ...(failed && { error: errorType(end.error) }),
      },
      end.outcome,
    );
  }

  /** Tells of a call that was refused: it never ran, so that there is no `after`. */
  refused(
    entry: TableEntry | undefined,
    operation: Operation,
    attributes: GovernanceAttributes,
    decision: Decision,
    error: unknown,
  ): void {
    if (entry === undefined) return;
    const call = { number: ++this.#calls, entry, operation, attributes, decision };
    this.#write(call, { phase: "before", cost: "0", outcome: "error", error: errorType(error) });
  }

  #write(
    { number, entry, operation, attributes, decision }: AuditedCall,
    told: Pick<AuditDecision, "phase" | "cost" | "outcome" | "error">,
    outcome?: Outcome,
  ): void {
    this.#keep({
      kind: "decision",
      time: new Date().toISOString(),
      call: number,
      operation: operation.name,
      operationClass: entry.class,
      who: present({ ...attributes, feature: undefined, user: this.#user }) as AuditSubject,
      target: targetOf(operation, outcome),
      decision: decision.result,
      reasonCode: decision.reasonCode ?? null,
      ...(decision.policy !== undefined && { policy: decision.policy }),
      ...(decision.reason !== undefined && { reason: decision.reason }),
      ...told,
    });
  }

  #keep(record: AuditDecision): void {
    try {
      // A function of the program's own may be asynchronous, whatever its type says.
      const kept: unknown = this.#sink(record);
      (kept as PromiseLike<unknown> | undefined)?.then?.(undefined, this.#onFailure);
    } catch (error) {
      this.#onFailure(error);
    }
  }
}
