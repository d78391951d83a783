// One good trace with every kind of unit, as OTLP JSON, and the means to break it in one place.

/** JSON that may be changed. */
export type Json = Record<string, unknown>;

export interface Attribute {
  key: string;
  value: Json;
}

export interface Event {
  timeUnixNano: string;
  name: string;
  attributes: Attribute[];
}

export interface Span extends Json {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  events: Event[];
}

export interface LogRecord extends Json {
  timeUnixNano: string;
  eventName: string;
  traceId: string;
  spanId: string;
  attributes: Attribute[];
}

export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const START = 1_790_000_000_000_000_000n;
/** Milliseconds after the trace began, as OTLP has it. */
export const at = (ms: number) => String(START + BigInt(ms) * 1_000_000n);

export const string = (key: string, value: string): Attribute => ({
  key,
  value: { stringValue: value },
});
export const double = (key: string, value: number): Attribute => ({
  key,
  value: { doubleValue: value },
});
export const int = (key: string, value: number): Attribute => ({
  key,
  value: { intValue: String(value) },
});
export const bool = (key: string, value: boolean): Attribute => ({
  key,
  value: { boolValue: value },
});

function identity(name: string, type: string): Attribute[] {
  return [
    string("genops.team", "ml-platform"),
    string("genops.project", "search"),
    string("genops.environment", "production"),
    string("genops.operation.name", name),
    string("genops.operation.type", type),
    string("genops.spec.version", "0.1.0"),
  ];
}

function decided(result: string, code?: string): Attribute[] {
  return [
    string("genops.policy.result", result),
    ...(code === undefined ? [] : [string("genops.policy.reason_code", code)]),
  ];
}

function accounted(reserved: number, actual?: number): Attribute[] {
  return [
    double("genops.accounting.reserved", reserved),
    ...(actual === undefined ? [] : [double("genops.accounting.actual", actual)]),
    string("genops.accounting.unit", "USD"),
  ];
}

function event(name: string, ms: number, attributes: Attribute[]): Event {
  return { timeUnixNano: at(ms), name, attributes };
}

function span(
  id: number,
  parent: number | undefined,
  name: string,
  [start, end]: [number, number],
  attributes: Attribute[],
  events: Event[] = [],
): Span {
  const hex = (of: number) => of.toString(16).padStart(16, "0");
  return {
    traceId: TRACE_ID,
    spanId: hex(id),
    parentSpanId: parent === undefined ? "" : hex(parent),
    name,
    kind: 1,
    startTimeUnixNano: at(start),
    endTimeUnixNano: at(end),
    attributes,
    events,
    status: {},
  };
}

function executedEvents(from: number, to: number, reserved: number, actual: number, code?: string) {
  return [
    event(
      "genops.policy.evaluated",
      from,
      decided(code === undefined ? "ALLOWED" : "WARNING", code),
    ),
    event("genops.budget.reservation", from, [
      ...accounted(reserved),
      string("genops.budget.name", "daily"),
    ]),
    event("genops.budget.reconciliation", to, [
      ...accounted(reserved, actual),
      double("genops.accounting.reconciliation_delta", actual - reserved),
    ]),
  ];
}

/** Names of the spans of {@link goodTrace}. */
export type Name = "workflow" | "answer" | "plain" | "warned" | "blocked" | "limited" | "unfunded";

/** A fresh copy: an agent's workflow with every decision that there is, beside spans of other programs. */
export function goodTrace() {
  const spans: Record<Name, Span> = {
    workflow: span(
      1,
      undefined,
      "workflow",
      [0, 900],
      [...identity("plan", "inference"), ...decided("ALLOWED"), ...accounted(0.5, 0.25)],
      executedEvents(1, 890, 0.5, 0.25),
    ),
    answer: span(
      2,
      1,
      "answer",
      [100, 300],
      [
        ...identity("answer", "inference"),
        ...decided("ALLOWED"),
        ...accounted(0.02, 0.03),
        string("genops.customer_id", "acme"),
        int("genops.tokens.input", 812),
        string("gen_ai.operation.name", "chat"),
        string("genops.sla.tier", "premium"),
        int("genops.sla.latency_target_ms", 250),
        int("genops.sla.actual_latency_ms", 200),
        bool("genops.sla.met", true),
      ],
      [
        ...executedEvents(101, 299, 0.02, 0.03),
        event("genops.cost.calculated", 299, [
          double("genops.cost.total", 0.03),
          string("genops.cost.currency", "USD"),
        ]),
      ],
    ),
    plain: span(
      3,
      2,
      "POST",
      [120, 280],
      [
        string("http.request.method", "POST"),
        // Copied onto every span by a baggage processor: it makes no unit of it.
        string("genops.team", "ml-platform"),
      ],
    ),
    warned: span(
      4,
      1,
      "embed",
      [510, 600],
      [
        ...identity("embed", "embedding"),
        ...decided("WARNING", "x_budget_80_percent"),
        ...accounted(0.01, 0.01),
      ],
      executedEvents(511, 599, 0.01, 0.01, "x_budget_80_percent"),
    ),
    blocked: span(
      5,
      1,
      "forbidden",
      [410, 411],
      [...identity("forbidden", "inference"), ...decided("BLOCKED", "POLICY_DENY_MODEL")],
      [event("genops.policy.evaluated", 410, decided("BLOCKED", "POLICY_DENY_MODEL"))],
    ),
    limited: span(
      6,
      1,
      "too-often",
      [420, 422],
      [
        ...identity("too-often", "inference"),
        ...decided("RATE_LIMITED", "RATE_LIMITED"),
        ...accounted(0.02),
      ],
      [
        event("genops.budget.reservation", 420, accounted(0.02)),
        event("genops.policy.evaluated", 421, decided("RATE_LIMITED", "RATE_LIMITED")),
      ],
    ),
    unfunded: span(
      7,
      1,
      "unfunded",
      [430, 431],
      [...identity("unfunded", "fine_tune"), ...decided("BLOCKED", "BUDGET_RESERVATION_FAILED")],
      [event("genops.policy.evaluated", 430, decided("BLOCKED", "BUDGET_RESERVATION_FAILED"))],
    ),
  };
  const logs: LogRecord[] = [
    // The same decision, sent as a log too.
    {
      timeUnixNano: at(410),
      eventName: "genops.policy.evaluated",
      traceId: TRACE_ID,
      spanId: spans.blocked.spanId,
      attributes: decided("BLOCKED", "POLICY_DENY_MODEL"),
    },
    { timeUnixNano: at(500), eventName: "", traceId: "", spanId: "", attributes: [] },
  ];
  const points = [
    {
      name: "genops.operations",
      attributes: [
        string("genops.team", "ml-platform"),
        ...decided("BLOCKED", "POLICY_DENY_MODEL"),
      ],
    },
  ];
  return { spans, logs, points };
}

export type Trace = ReturnType<typeof goodTrace>;

export const resource = { attributes: [string("service.name", "assistant")] };

export function tracesOf(spans: readonly Span[]): Json {
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "genops" }, spans }] }] };
}

export function logsOf(logRecords: readonly LogRecord[]): Json {
  return { resourceLogs: [{ resource, scopeLogs: [{ scope: {}, logRecords }] }] };
}

export function metricsOf(points: Trace["points"]): Json {
  const metrics = points.map(({ name, attributes }) => ({
    name,
    sum: { dataPoints: [{ asInt: "3", attributes }], aggregationTemporality: 2, isMonotonic: true },
  }));
  return { resourceMetrics: [{ resource, scopeMetrics: [{ scope: {}, metrics }] }] };
}

/** As the Collector writes it: one request a line. */
export function payloads(trace: Trace): Json[] {
  return [tracesOf(Object.values(trace.spans)), logsOf(trace.logs), metricsOf(trace.points)];
}

// ── breaking ─────────────────────────────────────────────────────────────────────────────────────────

interface Owner {
  attributes: Attribute[];
}

export function eventOf(owner: Span, name: string): Event {
  const found = owner.events.find((each) => each.name === `genops.${name}`);
  if (found === undefined) throw new Error(`no event ${name}`);
  return found;
}

/** Takes an attribute away; it must be there. */
export function drop(owner: Owner, name: string): void {
  const index = owner.attributes.findIndex(({ key }) => key === `genops.${name}`);
  if (index === -1) throw new Error(`no attribute ${name}`);
  owner.attributes.splice(index, 1);
}

/** Gives an attribute another value; it must be there. */
export function set(owner: Owner, { key, value }: Attribute): void {
  const found = owner.attributes.find((each) => each.key === key);
  if (found === undefined) throw new Error(`no attribute ${key}`);
  found.value = value;
}

export function dropEvent(owner: Span, name: string): void {
  owner.events.splice(owner.events.indexOf(eventOf(owner, name)), 1);
}
