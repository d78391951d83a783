// Spans of runs and operations, with the attributes and events of the GenOps specification.
import {
  type Attributes,
  type Context,
  context,
  type HrTime,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { attoToUsd } from "../engine/index.js";
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  type GovernanceAttributes,
} from "../governance/attribution.js";
import { type Decision, decidingOf, type GovernanceAlert } from "../governance/decision.js";
import type { EventLog } from "./event-log.js";
import { type Thinning, thinned } from "./sampling-state.js";
import { ADJUSTED_COUNT, ERROR_TYPE, EVENTS, GENOPS, SPEC_VERSION } from "./semantics.js";

/** Name of the tracer and of the events' logger, as OpenTelemetry's instrumentation scope. */
export const SCOPE = "genops";

/** What is told of an operation that has settled, whenever it was. Amounts in atto-USD. */
export interface OperationUnit {
  /** MLflow's operation, for example `log_metric`. */
  readonly name: string;
  readonly class: string;
  readonly reserved: bigint;
  readonly actual: bigint;
  /** Has it a price at all? What has none is a plain span, no governed unit. */
  readonly priced: boolean;
  /** What was decided, at least one; none of them refused it. */
  readonly decisions: readonly Decision[];
  readonly attributes: GovernanceAttributes;
  readonly mlflow: Attributes;
  /** Absent for what is always kept. */
  readonly thinning: Thinning | undefined;
}

/** Attributes of a span and of its events, put together once for operations that differ in time alone. */
export interface OperationShape {
  readonly name: string;
  /** What a sampler may decide by: given when the span starts. */
  readonly sampledBy: Attributes;
  /** The rest. SDKs copy what a span starts with several times, and what it is given later once. */
  readonly attributes: Attributes;
  /** Absent for what is always kept, and so stands for itself alone. */
  readonly thinning: Thinning | undefined;
  /** Absent for what has no price: it is a plain span, no governed unit. */
  readonly phases?: {
    readonly decisions: readonly Decision[];
    readonly reservation: Attributes;
    readonly reconciliation: Attributes;
  };
}

/** One operation of a shape. Times in ms since 1970. */
export interface OperationOccurrence {
  readonly startMs: number;
  readonly endMs: number;
  /** Budgets that it brought to a share of their limit. */
  readonly alerts: readonly GovernanceAlert[];
  readonly error?: unknown;
  /** Span of its run, when that one is open. */
  readonly runSpan?: Span | undefined;
}

/** An operation that was refused before anything was sent. */
export interface RefusedUnit {
  readonly name: string;
  readonly class: string;
  readonly atMs: number;
  /** What was decided; one of them refused it. */
  readonly decisions: readonly Decision[];
  /** What had been held when it was cut off; undefined when nothing was. */
  readonly reserved: bigint | undefined;
  readonly attributes: GovernanceAttributes;
  readonly mlflow: Attributes;
  readonly error: Error;
  readonly runSpan?: Span | undefined;
}

/** A run that has begun. */
export interface RunUnit {
  readonly startMs: number;
  readonly reserved: bigint;
  readonly decisions: readonly Decision[];
  readonly alerts: readonly GovernanceAlert[];
  readonly attributes: GovernanceAttributes;
  readonly mlflow: Attributes;
  readonly parentSpan?: Span | undefined;
}

/** How a run ended; `actual` is what no operation span of the run carries. */
export interface RunEnd {
  readonly endMs: number;
  readonly reserved: bigint;
  readonly actual: bigint;
  readonly own: bigint;
  readonly inclusive: bigint;
  readonly failed: boolean;
  readonly error?: unknown;
}

function usd(atto: bigint): number {
  return Number(attoToUsd(atto));
}

function identity(attributes: GovernanceAttributes): Attributes {
  const named: Attributes = {};
  // Nothing is filled in for what is not configured, and nothing is claimed for it either: the level that
  // the specification calls partial excuses from reservations, not from team, project and environment (9.2).
  for (const name of ATTRIBUTES) {
    const value = attributes[name];
    if (value !== undefined) named[`genops.${ATTRIBUTE_NAMES[name]}`] = value;
  }
  return named;
}

/** What the specification lets be told of a decision (sections 4.2 and 7.3). */
function decided({ result, reasonCode, policy, reason, budget }: Decision): Attributes {
  const told: Attributes = { [GENOPS.policyResult]: result };
  if (reasonCode !== undefined) told[GENOPS.reasonCode] = reasonCode;
  if (policy !== undefined) told[GENOPS.policyName] = policy;
  if (reason !== undefined) told[GENOPS.policyReason] = reason;
  if (budget !== undefined) {
    told[GENOPS.budgetName] = budget.name;
    told[GENOPS.budgetPeriod] = budget.period;
    told[GENOPS.budgetUnit] = budget.unit;
    told[GENOPS.budgetAllocated] = Number(budget.allocated);
    told[GENOPS.budgetConsumed] = Number(budget.consumed);
    told[GENOPS.budgetRemaining] = Number(budget.remaining);
  }
  return told;
}

const DECIDED_ALLOWED: Attributes = Object.freeze({ [GENOPS.policyResult]: "ALLOWED" });

function declaration(name: string, decisions: readonly Decision[]): Attributes {
  return {
    [GENOPS.specVersion]: SPEC_VERSION,
    [GENOPS.operationName]: name,
    [GENOPS.provider]: "mlflow",
    [GENOPS.currency]: "USD",
    ...decided(decidingOf(decisions)),
  };
}

function declared(
  name: string,
  type: string,
  attributes: GovernanceAttributes,
  decisions: readonly Decision[],
): Attributes {
  return {
    ...declaration(name, decisions),
    [GENOPS.operationType]: type,
    ...identity(attributes),
  };
}

function reservation(reserved: bigint): Attributes {
  return { [GENOPS.reserved]: usd(reserved), [GENOPS.unit]: "USD" };
}

function reconciliation(reserved: bigint, actual: bigint): Attributes {
  return {
    ...reservation(reserved),
    [GENOPS.actual]: usd(actual),
    [GENOPS.delta]: usd(actual - reserved),
  };
}

/** By its message: a frame and a test runner have an Error of their own. */
function isError(thrown: unknown): thrown is Error {
  return typeof (thrown as { message?: unknown } | null | undefined)?.message === "string";
}

/** What kind of error it is: its code, else its name. */
export function errorType(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  if (typeof code === "string") return code;
  return (isError(error) ? error.name : undefined) ?? "_OTHER";
}

function fail(span: Span, error: unknown): void {
  const named = isError(error) ? error : undefined;
  span.setAttribute(ERROR_TYPE, errorType(error));
  if (named) span.recordException(named);
  span.setStatus({ code: SpanStatusCode.ERROR, ...(named && { message: named.message }) });
}

/** A time as events of both kinds want it: SDKs look at the clock for each number that they are given as a time. */
interface Instant {
  /** Milliseconds since 1970. */
  readonly ms: number;
  readonly time: HrTime;
}

const NANOS = 1_000_000_000;

function instant(ms: number): Instant {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1_000_000);
  return { ms, time: nanos < NANOS ? [seconds, nanos] : [seconds + 1, nanos - NANOS] };
}

function below(parent: Span | undefined): Context {
  return parent === undefined ? context.active() : trace.setSpan(ROOT_CONTEXT, parent);
}

/** Makes the spans of one adapter through the OpenTelemetry API. */
export class SpanEmitter {
  readonly #provider: Pick<TracerProvider, "getTracer">;
  readonly #version: string;
  /** Takes the events in place of their spans. */
  readonly #log: EventLog | undefined;
  #tracer: Tracer | undefined;
  #isHeard = false;
  /** Where the last span below a run was started. */
  #lastParent:
    | {
        readonly runSpan: Span;
        readonly thinning: Thinning | undefined;
        readonly parent: Context;
      }
    | undefined;

  constructor(provider: TracerProvider | undefined, version: string, log?: EventLog) {
    this.#provider = provider ?? trace;
    this.#version = version;
    this.#log = log;
  }

  /** Would nobody hear of a span? Found out anew each time, as an SDK may come later. */
  get isUnheard(): boolean {
    if (this.#isHeard || this.#log !== undefined || this.#provider !== trace) return false;
    const provider = trace.getTracerProvider();
    const isUnheard =
      provider instanceof ProxyTracerProvider &&
      provider.getDelegateTracer(SCOPE, this.#version) === undefined;
    this.#isHeard = !isUnheard;
    return isUnheard;
  }

  /** The tracer is asked for when the first span is made, where a failing provider is contained. */
  #startSpan(name: string, options: SpanOptions, parent: Context): Span {
    this.#tracer ??= this.#provider.getTracer(SCOPE, this.#version);
    return this.#tracer.startSpan(name, options, parent);
  }

  #start(name: string, options: SpanOptions, parent: Context): Span {
    const span = this.#startSpan(name, options, parent);
    this.#log?.opened(span, options.attributes ?? {});
    return span;
  }

  /** The context that an operation's span is started in; most are below the same run as the one before. */
  #parentOf(runSpan: Span | undefined, thinning: Thinning | undefined): Context {
    if (runSpan === undefined) {
      const active = below(undefined);
      return thinning === undefined ? active : thinned(active, thinning);
    }
    const known = this.#lastParent;
    if (known?.runSpan === runSpan && known.thinning === thinning) return known.parent;
    const above = below(runSpan);
    const parent = thinning === undefined ? above : thinned(above, thinning);
    this.#lastParent = { runSpan, thinning, parent };
    return parent;
  }

  #tell(span: Span, event: string, attributes: Attributes, { ms, time }: Instant): void {
    if (this.#log === undefined) span.addEvent(event, attributes, time);
    else this.#log.add(span, event, attributes, ms);
  }

  #tellDecisions(span: Span, decisions: readonly Decision[], at: Instant): void {
    for (const decision of decisions) {
      const told =
        decision.result === "ALLOWED"
          ? DECIDED_ALLOWED
          : { ...decided(decision), [GENOPS.policyTimestamp]: Math.floor(at.ms) };
      this.#tell(span, EVENTS.policyEvaluated, told, at);
    }
  }

  #tellAlerts(span: Span, alerts: readonly GovernanceAlert[], at: Instant): void {
    for (const { budget, unit, period, share, spent, limit } of alerts) {
      const told = {
        [GENOPS.budgetName]: budget,
        [GENOPS.budgetPeriod]: period,
        [GENOPS.budgetUnit]: unit,
        [GENOPS.budgetConsumed]: Number(spent),
        [GENOPS.budgetAllocated]: Number(limit),
        [GENOPS.budgetShare]: share,
      };
      this.#tell(span, EVENTS.budgetAlert, told, at);
    }
  }

  /** A run is always a governed unit: its span opens with the first two phases told. */
  startRun(unit: RunUnit): Span {
    const at = instant(unit.startMs);
    const span = this.#start(
      "mlflow.run",
      {
        startTime: at.time,
        attributes: {
          ...declared("mlflow.run", "run", unit.attributes, unit.decisions),
          ...reservation(unit.reserved),
          ...unit.mlflow,
        },
      },
      below(unit.parentSpan),
    );
    this.#tellDecisions(span, unit.decisions, at);
    this.#tell(span, EVENTS.reservation, reservation(unit.reserved), at);
    this.#tellAlerts(span, unit.alerts, at);
    return span;
  }

  endRun(span: Span, end: RunEnd): void {
    const at = instant(end.endMs);
    span.setAttributes({
      [GENOPS.actual]: usd(end.actual),
      [GENOPS.actualExact]: attoToUsd(end.actual),
      [GENOPS.costTotal]: usd(end.actual),
      [GENOPS.runCost]: attoToUsd(end.own),
      [GENOPS.runCostInclusive]: attoToUsd(end.inclusive),
    });
    this.#tell(span, EVENTS.reconciliation, reconciliation(end.reserved, end.actual), at);
    if (end.failed) fail(span, end.error);
    span.end(at.time);
  }

  /** Puts together what is told of an operation; it may be kept for others that are told alike. */
  shapeOf(unit: OperationUnit): OperationShape {
    const name = `mlflow.${unit.name}`;
    const { thinning } = unit;
    const represented = { [ADJUSTED_COUNT]: thinning?.weight ?? 1 };
    if (!unit.priced) {
      const attributes = { ...unit.mlflow, ...represented };
      return { name, sampledBy: {}, attributes, thinning };
    }
    const reconciled = reconciliation(unit.reserved, unit.actual);
    return {
      name,
      sampledBy: { [GENOPS.operationType]: unit.class, ...identity(unit.attributes) },
      attributes: {
        ...declaration(name, unit.decisions),
        ...reconciled,
        [GENOPS.actualExact]: attoToUsd(unit.actual),
        [GENOPS.costTotal]: usd(unit.actual),
        ...unit.mlflow,
        ...represented,
      },
      thinning,
      phases: {
        decisions: unit.decisions,
        reservation: reservation(unit.reserved),
        reconciliation: reconciled,
      },
    };
  }

  /** Made when the operation has settled, with its own start: one that is dropped has cost nothing. */
  emitOperation(shape: OperationShape, { startMs, endMs, ...told }: OperationOccurrence): void {
    const { name, sampledBy, attributes, phases, thinning } = shape;
    const { alerts, error, runSpan } = told;
    const [start, end] = [instant(startMs), instant(endMs)];
    const parent = this.#parentOf(runSpan, thinning);
    const span = this.#startSpan(name, { startTime: start.time, attributes: sampledBy }, parent);
    span.setAttributes(attributes);
    this.#log?.opened(span, { ...sampledBy, ...attributes });
    if (phases !== undefined) {
      this.#tellDecisions(span, phases.decisions, start);
      this.#tell(span, EVENTS.reservation, phases.reservation, start);
      this.#tell(span, EVENTS.reconciliation, phases.reconciliation, end);
      this.#tellAlerts(span, alerts, end);
    }
    if (error !== undefined) fail(span, error);
    span.end(end.time);
  }

  /** What was refused is a unit of its own; it tells a reservation only when it had one (section 7.2.1). */
  emitRefused(unit: RefusedUnit): void {
    const name = `mlflow.${unit.name}`;
    const attributes = {
      ...declared(name, unit.class, unit.attributes, unit.decisions),
      ...(unit.reserved !== undefined && reservation(unit.reserved)),
      ...unit.mlflow,
    };
    const at = instant(unit.atMs);
    const span = this.#start(name, { startTime: at.time, attributes }, below(unit.runSpan));
    this.#tellDecisions(span, unit.decisions, at);
    if (unit.reserved !== undefined) {
      this.#tell(span, EVENTS.reservation, reservation(unit.reserved), at);
    }
    span.setAttribute(ERROR_TYPE, errorType(unit.error));
    span.setStatus({ code: SpanStatusCode.ERROR, message: unit.error.message });
    span.end(at.time);
  }
}
