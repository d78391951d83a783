// Tells of what has settled: the cost contexts it belongs to, advice, metrics. Nobody listening costs two stores.
import { ArtifactUsage } from "../costs/artifact-usage.js";
import { CallSpans } from "../costs/call-spans.js";
import type { MlflowCostContext } from "../costs/context.js";
import type { StorageBackendMap } from "../costs/storage-backend.js";
import type { SummaryNames } from "../costs/totals.js";
import type { Engine } from "../engine/index.js";
import type { GovernanceAttributes } from "./attribution.js";
import type { Configuration } from "./configuration.js";
import { DebugLog, tellsOperations } from "./logging.js";
import type { Notices } from "./notices.js";
import type { Operation, Outcome, StartedRun } from "./operation.js";
import { type Settlement, type SettlementObserver, settlementOf } from "./settlement.js";

/** What observing a call needs of it. */
export interface ObservedCall {
  readonly operation: Operation;
  readonly operationId: number;
  readonly attributes: GovernanceAttributes;
  /** Bytes that it has kept. */
  readonly quantity: number;
  /** Innermost cost context that it began in. */
  readonly costContext: MlflowCostContext | undefined;
  /** Milliseconds since 1970, and the monotonic clock at the same instant. */
  readonly startMs: number;
  readonly startMark: number;
}

/** The run that a call was booked on, and who pays for it. */
export interface ObservedRun {
  readonly started: StartedRun;
  readonly attributes: GovernanceAttributes;
}

/** Runs and names as they are known. */
export interface KnownRuns extends SummaryNames {
  get(runId: string): ObservedRun | undefined;
}

export class Observation {
  readonly callSpans: CallSpans;
  readonly artifacts = new ArtifactUsage();

  readonly #engine: Engine;
  readonly #runs: KnownRuns;
  readonly #storageBackends: StorageBackendMap;
  readonly #notices: Notices;
  readonly #debugLog: DebugLog;
  readonly #observers: SettlementObserver[] = [];

  constructor(
    engine: Engine,
    runs: KnownRuns,
    { storageBackends, logger }: Configuration,
    notices: Notices,
  ) {
    this.#engine = engine;
    this.#runs = runs;
    this.#storageBackends = storageBackends;
    this.#notices = notices;
    this.#debugLog = new DebugLog(notices.logger);
    if (tellsOperations(logger)) this.#observers.push(this.#debugLog);
    this.callSpans = new CallSpans(engine.operations.length);
  }

  /** Tells this observer, too, from now on. */
  add(observer: SettlementObserver): void {
    this.#observers.push(observer);
  }

  settled(
    call: ObservedCall,
    booked: ObservedRun | undefined,
    flags: number,
    cost: bigint,
    elapsedMs: number,
    outcome: Outcome,
    failed: boolean,
  ): void {
    const { operation, operationId, costContext, startMs } = call;
    this.callSpans.note(operationId, startMs, startMs + elapsedMs);
    const ofArtifacts = ArtifactUsage.concerns(operation, outcome);
    const ofRuns = outcome.startedRun !== undefined || outcome.endedRun !== undefined;
    const nobody = this.#observers.length === 0;
    if (!ofArtifacts && !ofRuns && costContext === undefined && nobody) return;
    const entry = this.#engine.operations[operationId];
    if (entry === undefined) return;
    // What is below a run, as registry work is, is paid for as the run is.
    const run = booked ?? this.#runs.get(operation.parentRunId ?? "");
    const settlement = settlementOf({
      operation,
      entry,
      attributes: run?.attributes ?? call.attributes,
      run: run?.started,
      storageBackends: this.#storageBackends,
      sizeBytes: call.quantity,
      cost,
      flags,
      failed,
      startMs,
      elapsedMs,
      outcome,
      names: this.#runs,
    });
    if (ofArtifacts) this.artifacts.settled(settlement);
    costContext?.book(settlement, call.startMark);
    if (ofRuns && !this.#observers.includes(this.#debugLog)) this.#tell(this.#debugLog, settlement);
    for (const observer of this.#observers) this.#tell(observer, settlement);
  }

  /** What is behind an observer, such as a provider of metrics, stops nothing that comes after it. */
  #tell(observer: SettlementObserver, settlement: Settlement): void {
    try {
      observer.settled(settlement);
    } catch (error) {
      this.#notices.contain(error);
    }
  }
}
