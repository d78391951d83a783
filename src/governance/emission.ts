// Tells what was decided and what it cost: spans of runs and operations, and the records of the audit trail.
import type { Attributes } from "@opentelemetry/api";
import { type Engine, FLAGS, type RunStatus } from "../engine/index.js";
import { openAuditTrail } from "../telemetry/audit/open.js";
import type { AuditedCall, AuditedEnd, AuditTrail } from "../telemetry/audit/trail.js";
import { EventLog, globalLoggerProvider } from "../telemetry/event-log.js";
import type { Thinning } from "../telemetry/sampling-state.js";
import { MLFLOW } from "../telemetry/semantics.js";
import { type OperationShape, SCOPE, SpanEmitter } from "../telemetry/spans.js";
import type { GovernanceAttributes } from "./attribution.js";
import type { Configuration } from "./configuration.js";
import { ALLOWED, type Decision, decidingOf, type GovernanceAlert } from "./decision.js";
import type { Notices } from "./notices.js";
import type { Operation, Outcome } from "./operation.js";
import type { RunBook, RunState } from "./runs.js";

/** An operation that has settled; what {@link Emission.operation} tells of. Amounts in atto-USD. */
export interface SettledOperation {
  readonly operation: Operation;
  readonly operationId: number;
  readonly attributes: GovernanceAttributes;
  readonly decisions: readonly Decision[];
  readonly alerts: readonly GovernanceAlert[];
  readonly run: RunState | undefined;
  readonly reserved: bigint;
  readonly cost: bigint;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
  readonly error?: unknown;
  /** Bits of the engine's `FLAGS`. */
  readonly flags: number;
  /** Is it told whatever the sampling says, and so stands for itself alone? */
  readonly kept: boolean;
}

/** An operation that was refused: nothing of it was sent. */
export interface RefusedOperation {
  readonly operation: Operation;
  readonly operationId: number;
  readonly attributes: GovernanceAttributes;
  readonly decisions: readonly Decision[];
  readonly run: RunState | undefined;
  /** Held before it was refused: bytes that went by came to be too many. Absent when nothing was. */
  readonly reserved?: bigint;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly error: Error;
}

/** A shape, and what it was made of. */
interface KnownShape {
  readonly shape: OperationShape;
  readonly reserved: bigint;
  readonly cost: bigint;
  readonly experimentName: string | undefined;
}

/** Runs whose shapes are kept before they are put together anew. */
const SHAPED_RUNS_MAX = 256;

export class Emission {
  readonly #engine: Engine;
  readonly #runs: RunBook;
  readonly #spans: SpanEmitter;
  readonly #audit: AuditTrail | undefined;
  readonly #thinnings = new Map<number, Thinning | undefined>();
  /** What is told of the usual operations of runs that are open. */
  readonly #shapes = new Map<RunState, Map<number, KnownShape>>();

  /** @throws {ConfigurationError} when an audit trail is asked for that cannot be written. */
  constructor(
    engine: Engine,
    runs: RunBook,
    { tracerProvider, eventRecords, loggerProvider, auditLog }: Configuration,
    notices: Notices,
    version: string,
  ) {
    this.#engine = engine;
    this.#runs = runs;
    const warn = (message: string) => notices.once("eventRecords", () => message);
    const provider =
      eventRecords === "logs" ? (loggerProvider ?? globalLoggerProvider(warn)) : undefined;
    const log =
      provider && new EventLog(provider, SCOPE, version, (error) => notices.contain(error));
    this.#spans = new SpanEmitter(tracerProvider, version, log);
    this.#audit =
      auditLog === undefined
        ? undefined
        : openAuditTrail(auditLog, (error) => notices.auditFailed(error));
  }

  // ── audit trail ────────────────────────────────────────────────────────────────────────────────

  /** Is there an audit trail? */
  get isAudited(): boolean {
    return this.#audit !== undefined;
  }

  /** Tells what is about to be changed, where that matters; undefined for what is not audited. */
  auditBefore(
    operation: Operation,
    operationId: number,
    payer: GovernanceAttributes,
    decisions: readonly Decision[],
    reserved: bigint,
  ): AuditedCall | undefined {
    if (this.#audit === undefined) return undefined;
    const entry = this.#engine.operations[operationId];
    return this.#audit.before(entry, operation, payer, decidingOf(decisions), reserved);
  }

  auditAfter(audited: AuditedCall | undefined, end: AuditedEnd): void {
    if (audited !== undefined) this.#audit?.after(audited, end);
  }

  // ── spans ──────────────────────────────────────────────────────────────────────────────────────

  startRun(
    run: RunState,
    startMs: number,
    decisions: readonly Decision[],
    alerts: readonly GovernanceAlert[],
  ): void {
    run.span = this.#spans.startRun({
      startMs,
      reserved: run.reserved,
      decisions,
      alerts,
      attributes: run.attributes,
      mlflow: this.#runAttributes(run),
      parentSpan: run.parent?.span,
    });
  }

  /** Ends a run's span with what no operation span carries. */
  endRun(run: RunState, status: RunStatus, endMs: number): void {
    if (run.span === undefined) return;
    this.#shapes.delete(run);
    this.#runs.sumUp(run);
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

  operation(settled: SettledOperation): void {
    const { operation, run, cost, startMs, endMs, alerts, error } = settled;
    // What nobody hears of here, the run's own span tells, should anybody hear that.
    if (this.#spans.isUnheard) return;
    if (run) run.emitted += cost;
    const runSpan = run?.span ?? this.#runs.get(operation.parentRunId ?? "")?.span;
    const thinning = settled.kept
      ? undefined
      : this.#thinningOf(settled.operationId, settled.flags);
    const occurrence = { startMs, endMs, alerts, error, runSpan };
    this.#spans.emitOperation(this.#shapeOf(settled, thinning), occurrence);
  }

  /** What is logged to one run, over and over, is told alike but for its time: put together once. */
  #shapeOf(settled: SettledOperation, thinning: Thinning | undefined): OperationShape {
    const { operation, operationId, run, reserved, cost, decisions, alerts } = settled;
    const isUsual =
      run?.span !== undefined &&
      operation.upload === undefined &&
      alerts.length === 0 &&
      decisions.length === 1 &&
      decisions[0] === ALLOWED;
    if (!isUsual) return this.#newShape(settled, thinning);
    const experimentName = this.#runs.experimentName(run.started.experimentId ?? "");
    let shapes = this.#shapes.get(run);
    if (shapes === undefined) {
      if (this.#shapes.size >= SHAPED_RUNS_MAX) this.#shapes.clear();
      shapes = new Map();
      this.#shapes.set(run, shapes);
    }
    const known = shapes.get(operationId);
    if (
      known !== undefined &&
      known.reserved === reserved &&
      known.cost === cost &&
      known.shape.thinning === thinning &&
      known.experimentName === experimentName
    ) {
      return known.shape;
    }
    const shape = this.#newShape(settled, thinning);
    shapes.set(operationId, { shape, reserved, cost, experimentName });
    return shape;
  }

  #newShape(settled: SettledOperation, thinning: Thinning | undefined): OperationShape {
    const { operation, operationId, run, reserved, cost, outcome, decisions, alerts } = settled;
    return this.#spans.shapeOf({
      name: operation.name,
      class: this.#engine.operations[operationId]?.class ?? "other",
      reserved,
      actual: cost,
      // What was warned of or brought a budget to its limit is told as a unit even when it is free.
      priced: reserved > 0n || cost > 0n || alerts.length > 0 || decidingOf(decisions) !== ALLOWED,
      decisions,
      attributes: settled.attributes,
      mlflow: this.#operationAttributes(operation, run, outcome),
      thinning,
    });
  }

  /** Found out once for what is plainly sampled, as the rates of an adapter never change. */
  #thinningOf(operationId: number, flags: number): Thinning | undefined {
    if (flags !== FLAGS.sampled) return this.#newThinning(operationId, flags);
    const known = this.#thinnings.get(operationId);
    if (known !== undefined || this.#thinnings.has(operationId)) return known;
    const found = this.#newThinning(operationId, flags);
    this.#thinnings.set(operationId, found);
    return found;
  }

  #newThinning(operationId: number, flags: number): Thinning | undefined {
    if (this.#engine.sampleWeight(operationId, flags) === 1) return undefined;
    const { threshold = "0", weight } = this.#engine.sampling(operationId);
    return { threshold, weight };
  }

  /** Tells of what was refused: in the audit trail and as a span, whatever the sampling. */
  refused(refused: RefusedOperation): void {
    const { operation, operationId, attributes, decisions, run, atMs, error } = refused;
    const entry = this.#engine.operations[operationId];
    this.#audit?.refused(entry, operation, attributes, decidingOf(decisions), error);
    this.#spans.emitRefused({
      name: operation.name,
      class: entry?.class ?? "other",
      atMs,
      decisions,
      reserved: refused.reserved,
      attributes,
      mlflow: this.#operationAttributes(operation, run, {}),
      error,
      runSpan: run?.span ?? this.#runs.get(operation.parentRunId ?? "")?.span,
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
    const name =
      typeof experimentId === "string" ? this.#runs.experimentName(experimentId) : undefined;
    if (name !== undefined) attributes[MLFLOW.experimentName] = name;
    return attributes;
  }
}
