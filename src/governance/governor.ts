// Decides, prices and books one operation around its call; keeps what is known of runs and experiments.
import { type Attributes, diag, type Span } from "@opentelemetry/api";
import { ArtifactUsage } from "../costs/artifact-usage.js";
import { CallSpans } from "../costs/call-spans.js";
import { currentCostContext, type MlflowCostContext } from "../costs/context.js";
import { storageBackend, storageMeter } from "../costs/storage-backend.js";
import type { SummaryNames } from "../costs/summary.js";
import {
  type Engine,
  EngineError,
  type EngineErrorCode,
  FLAGS,
  FOLDED,
  OVERFLOW,
  type RunStatus,
} from "../engine/index.js";
import { openAuditTrail } from "../telemetry/audit/open.js";
import type { AuditedCall, AuditedEnd, AuditTrail } from "../telemetry/audit/trail.js";
import { MLFLOW } from "../telemetry/semantics.js";
import { SpanEmitter } from "../telemetry/spans.js";
import type { GovernanceAttributes } from "./attribution.js";
import type { Configuration, Logger } from "./configuration.js";
import type { Operation, Outcome, StartedRun } from "./operation.js";
import { pricedEngine } from "./pricing.js";
import { type SettlementObserver, settlementOf } from "./settlement.js";

/** What is known of a run. Amounts in atto-USD. */
interface RunState {
  /** Its handle in the ledger; another one after it was folded to make room. */
  node: number;
  readonly attributes: GovernanceAttributes;
  readonly started: StartedRun;
  readonly parent: RunState | undefined;
  /** Held when the run was created; 0 for a run that began elsewhere. */
  readonly reserved: bigint;
  own: bigint;
  inclusive: bigint;
  /** The part of `own` that operation spans carry; the run's span carries the rest. */
  emitted: bigint;
  span: Span | undefined;
  failure: unknown;
}

/** An operation between its decision and its settlement. */
export interface Pending {
  readonly operation: Operation;
  readonly attributes: GovernanceAttributes;
  readonly operationId: number;
  readonly meter: number;
  readonly quantity: number;
  readonly run: RunState | undefined;
  node: number;
  /** Absent when no reservation could be held; the operation is then booked in one call. */
  readonly ticket: number | undefined;
  readonly reserved: bigint;
  /** Milliseconds since 1970, and the monotonic clock at the same instant. */
  readonly startMs: number;
  readonly startMark: number;
  /** For the audit trail, where there is one and the operation belongs in it. */
  readonly audited: AuditedCall | undefined;
  /** Innermost cost context that the call began in. */
  readonly costContext: MlflowCostContext | undefined;
}

/** What governance keeps in memory of scopes and names before it starts anew. */
const CACHE_MAX = 4096;

const ENDED: readonly string[] = ["FINISHED", "FAILED", "KILLED"] satisfies RunStatus[];

function isEnded(status: string): status is RunStatus {
  return ENDED.includes(status);
}

function hasCode(error: unknown, code: EngineErrorCode): boolean {
  return error instanceof EngineError && error.code === code;
}

/** One ledger and its telemetry: an adapter has exactly one. */
export class Governor implements SummaryNames {
  readonly engine: Engine;
  readonly configuration: Configuration;
  readonly logger: Logger;
  /** Internal failures that were kept from the user's program. */
  containedFailures = 0;
  /** Are told of each operation that has settled. */
  readonly observers: SettlementObserver[] = [];
  readonly callSpans: CallSpans;
  readonly artifacts = new ArtifactUsage();

  readonly #spans: SpanEmitter;
  readonly #audit: AuditTrail | undefined;
  readonly #runs = new Map<string, RunState>();
  readonly #runNames = new Map<string, string>();
  readonly #experimentNames = new Map<string, string>();
  readonly #scopes = new Map<string, number>();
  readonly #learned = new Map<string, StartedRun>();
  readonly #runLimit: number;
  #runsStarted = 0;
  #auditFailureTold = false;
  #overflowTold = false;
  #foldedTold = false;

  constructor(configuration: Configuration, version: string) {
    this.configuration = configuration;
    this.logger = configuration.logger ?? diag.createComponentLogger({ namespace: "genops" });
    this.#runLimit = configuration.runCapacity ?? 65_536;
    this.engine = pricedEngine(configuration.pricing, {
      runs: this.#runLimit,
      samplingRate: configuration.samplingRate,
      seed: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
      onFolded: () => this.#tellFolded(),
    });
    this.callSpans = new CallSpans(this.engine.operations.length);
    this.#spans = new SpanEmitter(configuration.tracerProvider, version);
    this.#audit =
      configuration.auditLog === undefined
        ? undefined
        : openAuditTrail(configuration.auditLog, (error) => this.#auditFailed(error));
    this.tick();
  }

  // ── what is known ──────────────────────────────────────────────────────────────────────────────

  /** Runs started under this ledger. */
  get runCount(): number {
    return this.#runsStarted;
  }

  experimentName(experimentId: string): string | undefined {
    return this.#experimentNames.get(experimentId);
  }

  runName(runId: string): string | undefined {
    return this.#runNames.get(runId);
  }

  /** The open span of a run, for work that belongs below it. */
  runSpan(runId: string): Span | undefined {
    return this.#runs.get(runId)?.span;
  }

  /** Learns an experiment's name from a reply that passes. */
  learnExperiment(experimentId: string, name: string): void {
    if (this.#experimentNames.size >= this.#runLimit) this.#experimentNames.clear();
    this.#experimentNames.set(experimentId, name);
  }

  /** Learns of a run that began elsewhere, so that what is written to it finds its experiment. */
  learnRun(started: StartedRun): void {
    if (this.#runs.has(started.runId)) return;
    if (this.#learned.size >= CACHE_MAX) this.#learned.clear();
    this.#learned.set(started.runId, started);
  }

  /** Notes why a run is about to be ended as failed. */
  noteFailure(runId: string, error: unknown): void {
    const run = this.#runs.get(runId);
    if (run) run.failure = error;
  }

  /** Moves the ledger's clock to now; reading the day's usage needs it too. */
  tick(): void {
    try {
      this.engine.tick(Date.now());
    } catch (error) {
      // The host's clock leapt: what follows is booked to the last day known.
      this.contain(error);
    }
  }

  /** Keeps an internal failure from the user's program: counted, and told once. */
  contain(error: unknown): void {
    this.containedFailures++;
    if (this.containedFailures > 1) return;
    const text = (error as { stack?: unknown } | null | undefined)?.stack ?? error;
    this.logger.warn(
      `genops: an internal failure was contained, the program goes on; later ones are only counted. ${text}`,
    );
  }

  // ── before the call ────────────────────────────────────────────────────────────────────────────

  /** Decides and reserves. `attributes` pay unless the run that is written already has a payer. */
  begin(operation: Operation, attributes: GovernanceAttributes): Pending {
    this.tick();
    const engine = this.engine;
    const operationId = engine.operation(operation.name);
    const changes = engine.operations[operationId]?.counted === true;
    const run = this.#runOf(operation.runId, attributes, changes);
    const payer = run?.attributes ?? attributes;
    let node = run?.node ?? this.#scope(operation, attributes);
    let meter = 0;
    let quantity = 0;
    if (operation.upload) {
      const { artifactUri, sizeBytes } = operation.upload;
      const backend = storageBackend(artifactUri, this.configuration.storageBackends);
      meter = engine.meter(storageMeter(backend));
      quantity = sizeBytes;
    }
    const held = this.#onNode(
      node,
      () => (run ? this.#reopen(run) : this.#scopeAnew(operation, attributes)),
      (alive) => {
        node = alive;
        return engine.reserve(alive, operationId, meter, quantity);
      },
    );
    const reserved = typeof held === "number" ? engine.lastReserved() : 0n;
    return {
      operation,
      attributes: payer,
      operationId,
      meter,
      quantity,
      run,
      node,
      ticket: typeof held === "number" ? held : undefined,
      reserved,
      startMs: Date.now(),
      startMark: performance.now(),
      audited: this.#auditBefore(operation, operationId, payer, reserved),
      costContext: currentCostContext(),
    };
  }

  #runOf(
    runId: string | undefined,
    attributes: GovernanceAttributes,
    changes: boolean,
  ): RunState | undefined {
    if (runId === undefined) return undefined;
    const known = this.#runs.get(runId);
    // Reading a run of somebody else's does not make it ours.
    if (known !== undefined || !changes) return known;
    return this.#openRun(this.#learned.get(runId) ?? { runId }, attributes, 0n);
  }

  #openRun(
    started: StartedRun,
    attributes: GovernanceAttributes,
    reserved: bigint,
  ): RunState | undefined {
    let node: number;
    try {
      node = this.#nodeOf(started, attributes);
    } catch (error) {
      // Known to the ledger under another payer, and forgotten here: its cost goes to a scope instead.
      if (hasCode(error, "ATTRIBUTION_IMMUTABLE")) return undefined;
      throw error;
    }
    const state: RunState = {
      node,
      attributes,
      started,
      parent: started.parentRunId === undefined ? undefined : this.#runs.get(started.parentRunId),
      reserved,
      own: 0n,
      inclusive: 0n,
      emitted: 0n,
      span: undefined,
      failure: undefined,
    };
    this.#makeRoom();
    this.#runs.set(started.runId, state);
    if (started.runName !== undefined) this.#runNames.set(started.runId, started.runName);
    return state;
  }

  #nodeOf(started: StartedRun, attributes: GovernanceAttributes): number {
    return this.engine.openRun({
      runId: started.runId,
      parentRunId: started.parentRunId,
      experiment: started.experimentId,
      ...attributes,
    });
  }

  #reopen(run: RunState): number {
    run.node = this.#nodeOf(run.started, run.attributes);
    // It was over, or it would not have been folded.
    this.engine.finishRun(run.node);
    return run.node;
  }

  /** Calls the ledger on a node; when that was folded to make room, on what takes its place. */
  #onNode<T>(node: number, again: () => number, call: (alive: number) => T): T {
    try {
      return call(node);
    } catch (error) {
      if (!hasCode(error, "INVALID_HANDLE")) throw error;
      return call(again());
    }
  }

  #makeRoom(): void {
    if (this.#runs.size < this.#runLimit) return;
    for (const [runId, state] of this.#runs) {
      if (state.span !== undefined) continue;
      this.#runs.delete(runId);
      this.#runNames.delete(runId);
      return;
    }
  }

  /** The node for what has no run; the same work under the same payer shares one. */
  #scope(operation: Operation, attributes: GovernanceAttributes): number {
    const parent =
      operation.parentRunId === undefined ? undefined : this.#runs.get(operation.parentRunId);
    const experiment = parent?.started.experimentId ?? operation.experimentId;
    const payer = parent?.attributes ?? attributes;
    const key = JSON.stringify([
      parent?.node,
      experiment,
      operation.modelName,
      payer.team,
      payer.project,
      payer.customerId,
      payer.environment,
      payer.costCenter,
    ]);
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const open = (above: number | undefined) =>
      this.engine.openScope({ parent: above, experiment, model: operation.modelName, ...payer });
    const scope = parent
      ? this.#onNode(parent.node, () => this.#reopen(parent), open)
      : open(undefined);
    // So that it can be folded as soon as its room is needed: it is found anew then.
    this.engine.finishRun(scope);
    if (this.#scopes.size >= CACHE_MAX) this.#scopes.clear();
    this.#scopes.set(key, scope);
    return scope;
  }

  #scopeAnew(operation: Operation, attributes: GovernanceAttributes): number {
    this.#scopes.clear();
    return this.#scope(operation, attributes);
  }

  // ── after the call ─────────────────────────────────────────────────────────────────────────────

  /** Books what the call really took, on what it brought into being. */
  succeed(pending: Pending, outcome: Outcome): void {
    const elapsed = performance.now() - pending.startMark;
    const run = this.#assign(pending, outcome);
    const flags = this.#settle(pending, elapsed) ?? this.#record(pending);
    const cost = this.engine.lastCost();
    if ((flags & FLAGS.overflowed) !== 0) this.#tellOverflow();
    this.#book(run, cost);
    this.#auditAfter(pending, { cost, outcome });
    this.#tellObservers(pending, run, flags, cost, elapsed, outcome, false);
    const endMs = pending.startMs + elapsed;
    if (outcome.startedRun && run) {
      this.#startSpan(run, pending.startMs);
      return;
    }
    if (outcome.endedRun && isEnded(outcome.endedRun.status)) {
      this.#endRun(outcome.endedRun.runId, outcome.endedRun.status, endMs);
      return;
    }
    this.#emit(pending, run, flags, cost, endMs, outcome);
  }

  /** Settles a reservation; undefined when there is none, or it expired so long ago that it was forgotten. */
  #settle(pending: Pending, elapsedMs: number): number | undefined {
    if (pending.ticket === undefined) return undefined;
    try {
      return this.engine.settle(pending.ticket, "ok", elapsedMs, pending.operation.items);
    } catch (error) {
      if (hasCode(error, "TICKET_SETTLED")) return undefined;
      throw error;
    }
  }

  #record(pending: Pending): number {
    const { operation, run } = pending;
    return this.#onNode(
      pending.node,
      () => (run ? this.#reopen(run) : this.#scopeAnew(operation, pending.attributes)),
      (alive) =>
        this.engine.record(
          alive,
          pending.operationId,
          pending.meter,
          pending.quantity,
          operation.items,
        ),
    );
  }

  #tellFolded(): void {
    if (this.#foldedTold) return;
    this.#foldedTold = true;
    this.logger.warn(
      `genops: the ledger has no room for more runs; those that ended first are added up under the run above them or ${FOLDED}, and every total stays exact. To see more of them one by one, raise runCapacity (now ${this.#runLimit}).`,
    );
  }

  #tellOverflow(): void {
    if (this.#overflowTold) return;
    this.#overflowTold = true;
    this.logger.warn(
      `genops: the ledger has no room for more runs or payers; what follows is booked to ${OVERFLOW}, and the total stays exact. Raise runCapacity (now ${this.#runLimit}).`,
    );
  }

  /** Counts an error, which costs nothing. */
  fail(pending: Pending, error: unknown): void {
    const elapsed = performance.now() - pending.startMark;
    this.#auditAfter(pending, { cost: 0n, error });
    if (pending.ticket === undefined) return;
    const flags = this.engine.settle(pending.ticket, "error", elapsed, pending.operation.items);
    this.#tellObservers(pending, pending.run, flags, 0n, elapsed, {}, true);
    this.#emit(pending, pending.run, flags, 0n, pending.startMs + elapsed, {}, error);
  }

  /** Moves the reservation to the run or experiment that the call has created. */
  #assign(pending: Pending, outcome: Outcome): RunState | undefined {
    if (outcome.startedRun) {
      this.#runsStarted++;
      const run = this.#openRun(outcome.startedRun, pending.attributes, pending.reserved);
      if (run) this.#move(pending, run.node);
      return run;
    }
    if (outcome.createdExperimentId !== undefined) {
      const created = { ...pending.operation, experimentId: outcome.createdExperimentId };
      this.#move(pending, this.#scope(created, pending.attributes));
    }
    return pending.run;
  }

  #move(pending: Pending, node: number): void {
    if (pending.ticket !== undefined) this.engine.assign(pending.ticket, node);
    pending.node = node;
  }

  #book(run: RunState | undefined, cost: bigint): void {
    if (run === undefined || cost === 0n) return;
    run.own += cost;
    for (let above: RunState | undefined = run; above !== undefined; above = above.parent) {
      above.inclusive += cost;
    }
  }

  #tellObservers(
    pending: Pending,
    run: RunState | undefined,
    flags: number,
    cost: bigint,
    elapsedMs: number,
    outcome: Outcome,
    failed: boolean,
  ): void {
    const { costContext, operation } = pending;
    this.callSpans.note(pending.operationId, pending.startMs, pending.startMs + elapsedMs);
    const ofArtifacts = ArtifactUsage.concerns(operation, outcome);
    if (!ofArtifacts && costContext === undefined && this.observers.length === 0) return;
    const entry = this.engine.operations[pending.operationId];
    if (entry === undefined) return;
    // What is below a run, as registry work is, is paid for as the run is.
    const above = run ?? this.#runs.get(operation.parentRunId ?? "");
    const settlement = settlementOf({
      operation,
      entry,
      attributes: above?.attributes ?? pending.attributes,
      run: above?.started,
      storageBackends: this.configuration.storageBackends,
      cost,
      flags,
      failed,
      startMs: pending.startMs,
      elapsedMs,
      outcome,
      names: this,
    });
    if (ofArtifacts) this.artifacts.settled(settlement);
    costContext?.book(settlement, pending.startMark);
    for (const observer of this.observers) observer.settled(settlement);
  }

  // ── audit trail ────────────────────────────────────────────────────────────────────────────────

  #auditBefore(
    operation: Operation,
    operationId: number,
    payer: GovernanceAttributes,
    reserved: bigint,
  ): AuditedCall | undefined {
    return this.#audit?.before(this.engine.operations[operationId], operation, payer, reserved);
  }

  #auditAfter({ audited }: Pending, end: AuditedEnd): void {
    if (audited !== undefined) this.#audit?.after(audited, end);
  }

  /** Told once, like every failure of ours, but by its own name: somebody relies on the trail. */
  #auditFailed(error: unknown): void {
    this.containedFailures++;
    if (this.#auditFailureTold) return;
    this.#auditFailureTold = true;
    this.logger.warn(
      `genops: the audit trail cannot be written; the program goes on. ${(error as { message?: unknown } | null | undefined)?.message ?? error}`,
    );
  }

  // ── telemetry ──────────────────────────────────────────────────────────────────────────────────

  #startSpan(run: RunState, startMs: number): void {
    run.span = this.#spans.startRun({
      startMs,
      reserved: run.reserved,
      attributes: run.attributes,
      mlflow: this.#runAttributes(run),
      parentSpan: run.parent?.span,
    });
  }

  #endRun(runId: string, status: RunStatus, endMs: number): void {
    const run = this.#runs.get(runId);
    if (run === undefined) return;
    this.#onNode(
      run.node,
      () => this.#reopen(run),
      (alive) => this.engine.finishRun(alive, status),
    );
    if (run.span === undefined) return;
    this.#spans.endRun(run.span, {
      endMs,
      reserved: run.reserved,
      actual: run.own - run.emitted,
      own: run.own,
      inclusive: run.inclusive,
      failed: status !== "FINISHED",
      error: run.failure,
    });
    run.emitted = run.own;
    run.span = undefined;
  }

  #emit(
    pending: Pending,
    run: RunState | undefined,
    flags: number,
    cost: bigint,
    endMs: number,
    outcome: Outcome,
    error?: unknown,
  ): void {
    // Without an open run span nothing else would carry the cost, so it is never sampled away.
    const orphaned = cost > 0n && run?.span === undefined;
    if ((flags & FLAGS.sampled) === 0 && !orphaned) return;
    if (run) run.emitted += cost;
    const operation = this.engine.operations[pending.operationId];
    this.#spans.emitOperation({
      name: pending.operation.name,
      class: operation?.class ?? "other",
      startMs: pending.startMs,
      endMs,
      reserved: pending.reserved,
      actual: cost,
      priced: pending.reserved > 0n || cost > 0n,
      attributes: pending.attributes,
      mlflow: this.#operationAttributes(pending.operation, run, outcome),
      error,
      runSpan: run?.span ?? this.runSpan(pending.operation.parentRunId ?? ""),
    });
  }

  #runAttributes(run: RunState): Attributes {
    const { runId, runName, parentRunId, experimentId, artifactUri } = run.started;
    return this.#mlflowAttributes({
      [MLFLOW.runId]: runId,
      [MLFLOW.runName]: runName,
      [MLFLOW.parentRunId]: parentRunId,
      [MLFLOW.experimentId]: experimentId,
      [MLFLOW.artifactUri]: artifactUri,
    });
  }

  #operationAttributes(
    operation: Operation,
    run: RunState | undefined,
    outcome: Outcome,
  ): Attributes {
    return this.#mlflowAttributes({
      ...(run && this.#runAttributes(run)),
      [MLFLOW.runId]: operation.runId ?? operation.parentRunId,
      [MLFLOW.experimentId]:
        run?.started.experimentId ?? outcome.createdExperimentId ?? operation.experimentId,
      [MLFLOW.modelName]: operation.modelName,
      [MLFLOW.modelVersion]: outcome.modelVersion ?? operation.modelVersion,
      [MLFLOW.modelStage]: outcome.modelStage ?? operation.modelStage,
      ...(operation.upload && { [MLFLOW.artifactUri]: operation.upload.artifactUri }),
    });
  }

  #mlflowAttributes(given: Readonly<Record<string, unknown>>): Attributes {
    const attributes: Attributes = {};
    for (const [name, value] of Object.entries(given)) {
      if (typeof value === "string" && value !== "") attributes[name] = value;
    }
    const experimentId = attributes[MLFLOW.experimentId];
    const name = typeof experimentId === "string" ? this.experimentName(experimentId) : undefined;
    if (name !== undefined) attributes[MLFLOW.experimentName] = name;
    return attributes;
  }
}
