// Decides, prices and books one operation around its call.
import type { Span } from "@opentelemetry/api";
import { currentCostContext, type MlflowCostContext } from "../costs/context.js";
import { storageBackend, storageMeter } from "../costs/storage-backend.js";
import { type Engine, FLAGS, type Refusal, type RunStatus } from "../engine/index.js";
import { wallTime, wallTimeAt } from "../runtime/clock.js";
import type { AuditedCall } from "../telemetry/audit/trail.js";
import { type GovernanceAttributes, isSamePayer } from "./attribution.js";
import type { Configuration } from "./configuration.js";
import { type Decision, type GovernanceAlert, isRefusal } from "./decision.js";
import { ALL_ALLOWED, Decisions } from "./decisions.js";
import { Emission } from "./emission.js";
import type { GovernanceRefusal } from "./errors.js";
import { type JournalStatus, type LedgerJournal, type Needs, openJournal } from "./journal/open.js";
import type { Limits } from "./limits.js";
import { Notices } from "./notices.js";
import { Observation } from "./observation.js";
import { NOTHING_LEARNED, type Operation, type Outcome, type StartedRun } from "./operation.js";
import { Policies } from "./policies/policies.js";
import { pricedEngine } from "./pricing.js";
import { hasCode, RunBook, type RunState } from "./runs.js";

/** An operation between its decision and its settlement. */
export interface Pending {
  readonly operation: Operation;
  readonly attributes: GovernanceAttributes;
  readonly operationId: number;
  readonly meter: number;
  quantity: number;
  readonly run: RunState | undefined;
  node: number;
  /** Absent when no reservation is held; the operation is then booked in one call. */
  readonly ticket: number | undefined;
  readonly reserved: bigint;
  /** What it will take, where nothing can keep it from being made and so nothing is held. */
  readonly fixed: Needs | undefined;
  /** What was decided: {@link ALL_ALLOWED}, or warnings. */
  readonly decisions: readonly Decision[];
  /** Milliseconds since 1970, and the monotonic clock at the same instant. */
  readonly startMs: number;
  readonly startMark: number;
  /** For the audit trail, where there is one and the operation belongs in it. */
  readonly audited: AuditedCall | undefined;
  /** Innermost cost context that the call began in. */
  readonly costContext: MlflowCostContext | undefined;
}

const NO_ALERTS: readonly GovernanceAlert[] = Object.freeze([]);
/** Budgets that an engine has room for unless more are asked for. */
const BUDGET_ROOM = 256;

const ENDED: readonly string[] = ["FINISHED", "FAILED", "KILLED"] satisfies RunStatus[];

function isEnded(status: string): status is RunStatus {
  return ENDED.includes(status);
}

/** One ledger and its telemetry: an adapter has exactly one. */
export class Governor {
  readonly engine: Engine;
  readonly configuration: Configuration;
  readonly runs: RunBook;
  readonly observation: Observation;

  readonly #notices: Notices;
  readonly #emission: Emission;
  readonly #journal: LedgerJournal | undefined;
  readonly #policies: Policies;
  readonly #decisions: Decisions;
  /** What an operation takes by itself, by its id; null where a policy, or an unknown price, asks for more care. */
  readonly #fixed: (Needs | null)[] = [];
  /** The prices that this was found out under. */
  #fixedVersion = -1;
  #runsStarted = 0;
  /** What the ledger's clock was last set to. */
  #tickedMs = Number.NaN;
  /** The limit that the last reservation was warned of. */
  #warned: number | undefined;

  /** @throws {ConfigurationError} for prices, limits or an audit trail that cannot be. */
  constructor(configuration: Configuration, version: string) {
    this.configuration = configuration;
    const runLimit = configuration.runCapacity ?? 65_536;
    const notices = new Notices(configuration.logger, runLimit);
    this.#notices = notices;
    const { budgets, rateLimits } = configuration.limits;
    this.engine = pricedEngine(configuration.pricing, {
      runs: runLimit,
      // Calls that may be under way at once, those that wait for their turn included.
      reservations: 16_384,
      // And one for the day that the journal keeps.
      budgets: Math.max(BUDGET_ROOM, budgets.length + rateLimits.length + 1),
      samplingRate: configuration.samplingRate,
      seed: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
      // So that another ledger can take this one in, and never twice.
      source: 1 + Math.floor(Math.random() * (Number.MAX_SAFE_INTEGER - 1)),
      onFolded: () => notices.folded(),
    });
    this.#policies = new Policies(configuration.policies, this.engine.operations, notices);
    this.runs = new RunBook(this.engine, runLimit, this.#policies.tracksTags);
    this.#emission = new Emission(this.engine, this.runs, configuration, notices, version);
    this.observation = new Observation(this.engine, this.runs, configuration, notices);
    // The first time that an engine is told says which periods its budgets begin in.
    this.tick();
    this.#journal = openJournal({
      engine: this.engine,
      option: configuration.journal,
      trackingUri: configuration.trackingUri,
      attributes: configuration.attributes,
      warn: (message) => notices.once(`journal ${message}`, () => message),
      onAlerts: () => this.limits.takeAlerts(),
    });
    this.#decisions = new Decisions(
      this.engine,
      this.#policies,
      this.runs,
      this.#emission,
      configuration,
      notices,
      this.#journal,
    );
    // What was spent before may have come to them already.
    if (this.#journal !== undefined) this.limits.takeAlerts();
  }

  get limits(): Limits {
    return this.#decisions.limits;
  }

  /** Tells a person something once, by the configured logger. Never throws. */
  warnOnce(key: string, message: string): void {
    this.#notices.once(key, () => message);
  }

  /** Internal failures that were kept from the user's program. */
  get containedFailures(): number {
    return this.#notices.containedFailures;
  }

  /** Runs started under this ledger. */
  get runCount(): number {
    return this.#runsStarted;
  }

  /** Atto-USD of the current UTC day; with a journal, those of all processes of this ledger. */
  daySpent(): bigint {
    this.tick();
    return this.#journal?.daySpent() ?? this.engine.dayTotal();
  }

  get journal(): JournalStatus {
    this.tick();
    return this.#journal?.status() ?? { state: "off", path: null, known: "0", uncertain: "0" };
  }

  /** Learns what other processes of this ledger have spent, for whoever is shown it. Never throws. */
  refreshJournal(): void {
    this.#journal?.refresh();
  }

  /** Writes down exactly what was spent, and gives back what was taken ahead. */
  settleJournal(): void {
    this.#journal?.settle();
  }

  /**
   * The same as the last word of this ledger: who comes after it, in this process or another, has it as spent. A call
   * that is governed all the same goes to a file of its own.
   */
  closeJournal(): void {
    this.#journal?.close();
  }

  // ── what is known ──────────────────────────────────────────────────────────────────────────────

  /** The open span of a run, for work that belongs below it. */
  runSpan(runId: string): Span | undefined {
    return this.runs.get(runId)?.span;
  }

  /** Learns an experiment's name from a reply that passes. */
  learnExperiment(experimentId: string, name: string): void {
    this.runs.learnExperiment(experimentId, name);
  }

  experimentName(experimentId: string): string | undefined {
    return this.runs.experimentName(experimentId);
  }

  /** Learns of a run that began elsewhere, so that what is written to it finds its experiment. */
  learnRun(started: StartedRun): void {
    this.runs.learn(started);
  }

  /** Notes why a run is about to be ended as failed. */
  noteFailure(runId: string, error: unknown): void {
    const run = this.runs.get(runId);
    if (run) run.failure = error;
  }

  /** Moves the ledger's clock to now; reading the day's usage needs it too. */
  tick(nowMs = wallTime()): void {
    this.#tickedMs = nowMs;
    try {
      this.engine.tick(nowMs);
    } catch (error) {
      // The host's clock leapt: what follows is booked to the last day known.
      this.contain(error);
    }
  }

  /** Keeps an internal failure from the user's program: counted, and told once. */
  contain(error: unknown): void {
    this.#notices.contain(error);
  }

  // ── before the call ────────────────────────────────────────────────────────────────────────────

  /**
   * Decides and reserves. `attributes` pay unless the run that is written already has a payer. Answers the
   * error to be thrown instead of making the call, when a policy or a limit that blocks refuses it.
   */
  begin(operation: Operation, attributes: GovernanceAttributes): Pending | GovernanceRefusal {
    const startMark = performance.now();
    const startMs = wallTimeAt(startMark);
    if (startMs !== this.#tickedMs) this.tick(startMs);
    const engine = this.engine;
    const operationId = operation.id ?? engine.operation(operation.name);
    const changes =
      engine.operations[operationId]?.counted === true && operation.claimsRun !== true;
    const run = this.runs.runOf(operation.runId, attributes, changes);
    const payer = run?.attributes ?? attributes;
    if (run !== undefined) {
      const fixed = this.#fixedNeeds(operation, operationId);
      if (fixed !== undefined) {
        return {
          operation,
          attributes: payer,
          operationId,
          meter: 0,
          quantity: 0,
          run,
          node: run.node,
          ticket: undefined,
          reserved: fixed.cost,
          fixed,
          decisions: ALL_ALLOWED,
          startMs,
          startMark,
          audited: undefined,
          costContext: currentCostContext(),
        };
      }
    }
    const call = { operation, operationId, attributes: payer, run };
    let decisions = this.#decisions.judge(call);
    if (decisions !== ALL_ALLOWED && decisions.some(isRefusal)) {
      return this.#decisions.refuse(call, decisions);
    }
    let node = run?.node ?? this.runs.scope(operation, attributes);
    let meter = 0;
    let quantity = 0;
    if (operation.upload) {
      const { artifactUri, sizeBytes = 0 } = operation.upload;
      const backend = storageBackend(artifactUri, this.configuration.storageBackends);
      meter = engine.meter(storageMeter(backend));
      quantity = sizeBytes;
    }
    let held: number | Refusal;
    try {
      held = this.#reserve(node, operationId, meter, quantity);
    } catch (error) {
      if (!hasCode(error, "INVALID_HANDLE")) throw error;
      // It was folded to make room; what takes its place is asked.
      node = run ? this.runs.reopen(run) : this.runs.scopeAnew(operation, attributes);
      held = this.#reserve(node, operationId, meter, quantity);
    }
    if (typeof held === "number") {
      decisions = this.#decisions.warnedBy(call, decisions, this.#warned);
    } else {
      decisions = this.#decisions.refusedBy(held, call, decisions);
      if (decisions.some(isRefusal)) return this.#decisions.refuse(call, decisions);
    }
    const ticket = typeof held === "number" ? held : undefined;
    const reserved = ticket === undefined ? 0n : engine.lastReserved();
    this.#decisions.tell(call, decisions);
    return {
      operation,
      attributes: payer,
      operationId,
      meter,
      quantity,
      run,
      node,
      ticket,
      reserved,
      fixed: undefined,
      decisions,
      startMs,
      startMark,
      audited: this.#emission.auditBefore(operation, operationId, payer, decisions, reserved),
      costContext: currentCostContext(),
    };
  }

  /**
   * What a call of known price takes when no limit, policy or audit trail has a say in it: it cannot be refused, so
   * that holding its price would be work for nothing.
   */
  #fixedNeeds(operation: Operation, operationId: number): Needs | undefined {
    if (!this.limits.isEmpty || operation.upload !== undefined) return undefined;
    if (this.#fixedVersion !== this.engine.priceVersion) {
      this.#fixed.length = 0;
      this.#fixedVersion = this.engine.priceVersion;
    }
    let fixed = this.#fixed[operationId];
    if (fixed === undefined) {
      const cost = this.engine.price(operationId);
      const isCareful =
        cost === undefined ||
        this.#emission.isAudited ||
        this.#policies.rulesFor(operationId) !== undefined;
      fixed = isCareful ? null : this.#needs(operationId, 0, cost);
      this.#fixed[operationId] = fixed;
    }
    return fixed ?? undefined;
  }

  #reserve(node: number, operation: number, meter: number, quantity: number): number | Refusal {
    const held = this.engine.reserve(node, operation, meter, quantity);
    // Asked for before the journal: what others spent may bring budgets to their shares.
    this.#warned = this.limits.isEmpty ? undefined : this.engine.lastWarned();
    const journal = this.#journal;
    if (journal === undefined) return held;
    if (typeof held === "number") {
      const needs = this.#needs(operation, quantity, this.engine.lastReserved());
      return journal.cover(held, node, needs) ?? held;
    }
    return journal.reconsider(held) ? this.#reserve(node, operation, meter, quantity) : held;
  }

  #needs(operationId: number, bytes: number, cost: bigint): Needs {
    const operation = this.engine.operations[operationId];
    return {
      cost,
      operations: Number(operation?.counted),
      runs: Number(operation?.startsRun),
      bytes,
    };
  }

  /** Refuses a call for a reason that its way in has found; told and audited as a policy's refusal is. */
  refuse(
    operation: Operation,
    attributes: GovernanceAttributes,
    decision: Decision,
  ): GovernanceRefusal {
    const operationId = this.engine.operation(operation.name);
    const run = this.runs.get(operation.runId ?? "");
    return this.#decisions.refuse({ operation, operationId, attributes, run }, [decision]);
  }

  /** Does any policy judge this operation or learn from it, or a limit hold it by what its details say? */
  judges(operationId: number): boolean {
    const policies = this.#policies;
    // What a new run costs is held on the runs above it, where those are limited.
    const isHeldAbove = this.limits.holdRuns && this.engine.operations[operationId]?.startsRun;
    return (
      isHeldAbove === true || policies.tracksTags || policies.rulesFor(operationId) !== undefined
    );
  }

  /** What policies must know to judge a call, and does not pass by with it. */
  unknownTo({ name, runId, details }: Operation): "run" | "modelVersion" | undefined {
    if (this.#policies.tracksTags && runId !== undefined && details?.status === "FINISHED") {
      return this.runs.tagsOf(runId) === undefined ? "run" : undefined;
    }
    // Others move versions too, so what was seen of one before says nothing.
    const moves = this.#policies.tracksStages && name === "transition_model_version_stage";
    return moves ? "modelVersion" : undefined;
  }

  /**
   * Raises what is held while bytes of unknown length go by: `totalBytes` is all so far. Answers the error
   * that the call must be cut off with, when a policy or a budget that blocks has no room for them; the
   * operation has then ended, and neither {@link succeed} nor {@link fail} may follow.
   */
  grow(pending: Pending, totalBytes: number): GovernanceRefusal | undefined {
    const { ticket, reserved, meter, quantity } = pending;
    const refused = this.#decisions.growth(pending, totalBytes, () =>
      ticket === undefined ? undefined : this.engine.extend(ticket, meter, totalBytes - quantity),
    );
    if (refused === undefined) {
      pending.quantity = totalBytes;
      return undefined;
    }
    if (ticket !== undefined) this.engine.release(ticket);
    const error = this.#decisions.refuse(pending, [refused], reserved);
    this.#emission.auditAfter(pending.audited, { cost: 0n, error });
    return error;
  }

  /** Notes the bytes that were kept, where nobody could know them before: they are booked whatever limits say. */
  measure(pending: Pending, totalBytes: number): void {
    if (pending.ticket !== undefined) {
      this.engine.charge(pending.ticket, pending.meter, totalBytes);
    }
    pending.quantity = totalBytes;
  }

  /** Ends an operation that came to nothing: it is neither booked nor an error. */
  cancel(pending: Pending): void {
    if (pending.ticket !== undefined) this.engine.release(pending.ticket);
  }

  // ── after the call ─────────────────────────────────────────────────────────────────────────────

  /** Books what the call really took, on what it brought into being. */
  succeed(pending: Pending, outcome: Outcome): void {
    const elapsed = performance.now() - pending.startMark;
    const run = this.#assign(pending, outcome);
    const flags = this.#settle(pending, elapsed) ?? this.#record(pending, elapsed);
    const { fixed } = pending;
    const isAsPriced = fixed !== undefined && this.#fixedVersion === this.engine.priceVersion;
    const cost = isAsPriced ? fixed.cost : this.engine.lastCost();
    // Before the journal, which may learn of alerts that others' spending set off.
    const alerts = (flags & FLAGS.alert) === 0 ? NO_ALERTS : this.limits.takeAlerts();
    if (isAsPriced) {
      this.#journal?.coverSpent(pending.node, fixed);
    } else if (pending.ticket === undefined) {
      const needs = this.#needs(pending.operationId, pending.quantity, cost);
      this.#journal?.coverSpent(pending.node, needs);
    } else if (cost > pending.reserved) {
      const needs = this.#needs(pending.operationId, pending.quantity, cost - pending.reserved);
      this.#journal?.coverSpent(pending.node, needs);
    }
    if ((flags & FLAGS.overflowed) !== 0) this.#notices.overflowed();
    this.runs.book(run, cost);
    if (this.#policies.tracksTags && run) this.runs.learnTags(run, pending.operation);
    this.#emission.auditAfter(pending.audited, { cost, outcome });
    this.observation.settled(pending, run, flags, cost, elapsed, outcome, false);
    const endMs = pending.startMs + elapsed;
    if (outcome.startedRun && run) {
      this.#emission.startRun(run, pending.startMs, pending.decisions, alerts);
      return;
    }
    const ended = outcome.endedRun;
    if (ended && isEnded(ended.status)) {
      if (pending.decisions !== ALL_ALLOWED) {
        this.#emit(pending, run, flags, cost, endMs, alerts, outcome);
      }
      this.#endRun(ended.runId, ended.status, endMs);
      return;
    }
    this.#emit(pending, run, flags, cost, endMs, alerts, outcome);
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

  #record(pending: Pending, elapsedMs: number): number {
    const { operation, operationId, run } = pending;
    if (pending.fixed !== undefined) {
      try {
        return this.engine.recordTimed(pending.node, operationId, elapsedMs, operation.items);
      } catch (error) {
        if (!hasCode(error, "INVALID_HANDLE")) throw error;
      }
    }
    return this.runs.onNode(
      pending.node,
      () => {
        pending.node = run
          ? this.runs.reopen(run)
          : this.runs.scopeAnew(operation, pending.attributes);
        return pending.node;
      },
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

  /** Counts an error, which costs nothing. */
  fail(pending: Pending, error: unknown): void {
    const elapsed = performance.now() - pending.startMark;
    this.#emission.auditAfter(pending.audited, { cost: 0n, error });
    const ticket = pending.ticket ?? this.#ticketOf(pending);
    if (ticket === undefined) return;
    const flags = this.engine.settle(ticket, "error", elapsed, pending.operation.items);
    const endMs = pending.startMs + elapsed;
    this.observation.settled(pending, pending.run, flags, 0n, elapsed, NOTHING_LEARNED, true);
    this.#emit(pending, pending.run, flags, 0n, endMs, NO_ALERTS, NOTHING_LEARNED, error);
  }

  /** Errors are counted on reservations. Undefined when none can be held. */
  #ticketOf({ node, operationId }: Pending): number | undefined {
    const held = this.engine.reserve(node, operationId);
    return typeof held === "number" ? held : undefined;
  }

  /** Moves the reservation to the run or experiment that the call has created. */
  #assign(pending: Pending, outcome: Outcome): RunState | undefined {
    if (outcome.startedRun) {
      this.#runsStarted++;
      const run = this.runs.open(outcome.startedRun, pending.attributes, pending.reserved);
      if (run) this.#move(pending, run.node);
      return run;
    }
    if (outcome.createdExperimentId !== undefined) {
      const created = { ...pending.operation, experimentId: outcome.createdExperimentId };
      this.#move(pending, this.runs.scope(created, pending.attributes));
    }
    if (pending.operation.claimsRun === true) {
      const run = this.runs.runOf(pending.operation.runId, pending.attributes, true);
      // Somebody else may have been first: what this call has cost stays its own caller's.
      if (run === undefined || !isSamePayer(run.attributes, pending.attributes)) return undefined;
      this.#move(pending, run.node);
      return run;
    }
    return pending.run;
  }

  #move(pending: Pending, node: number): void {
    try {
      if (pending.ticket !== undefined) this.engine.assign(pending.ticket, node);
    } catch (error) {
      // What was forgotten, or cannot be moved, is booked all the same.
      this.contain(error);
    }
    if (pending.node !== node && this.#journal !== undefined) {
      const needs = this.#needs(pending.operationId, pending.quantity, pending.reserved);
      this.#journal.coverSpent(node, needs);
    }
    pending.node = node;
  }

  #endRun(runId: string, status: RunStatus, endMs: number): void {
    const run = this.runs.get(runId);
    if (run === undefined) return;
    this.runs.finish(run, status);
    this.#emission.endRun(run, status, endMs);
  }

  #emit(
    pending: Pending,
    run: RunState | undefined,
    flags: number,
    cost: bigint,
    endMs: number,
    alerts: readonly GovernanceAlert[],
    outcome: Outcome,
    error?: unknown,
  ): void {
    // Without an open run span nothing else would carry the cost, so it is never sampled away.
    const orphaned = cost > 0n && run?.span === undefined;
    const decided = pending.decisions !== ALL_ALLOWED || alerts.length > 0;
    if ((flags & FLAGS.sampled) === 0 && !orphaned && !decided) return;
    const { operation, operationId, attributes, decisions, reserved, startMs } = pending;
    this.#emission.operation({
      operation,
      operationId,
      attributes,
      decisions,
      alerts,
      run,
      reserved,
      cost,
      startMs,
      endMs,
      outcome,
      error,
      flags,
      kept: orphaned || decided,
    });
  }
}
