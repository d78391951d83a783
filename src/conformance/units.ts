// Spans and log records → AI workload units (AWU): one governed unit of work each, with its events.
import type {
  Attributes,
  EventRecord,
  LogRecord,
  SpanRecord,
  Telemetry,
  TelemetryValue,
} from "./otlp.js";
import {
  ACTUAL,
  BUDGET_RECONCILIATION,
  BUDGET_RESERVATION,
  CONTEXT_ONLY,
  type Decision,
  isDecision,
  OPTIONAL_EVENTS,
  PARTIAL_DECLARATION,
  POLICY_EVALUATED,
  REQUIRED_EVENTS,
  RESULT,
} from "./vocabulary.js";

/** ns. Clocks of one program may be read to the millisecond here and to the ns there: less proves nothing. */
export const CLOCK_GRAIN = 1_000_000n;

/** An event of a unit; `source` tells how to compare its clock. */
export interface UnitEvent extends EventRecord {
  readonly source: "span" | "log";
}

/** One governed unit of work. */
export interface Unit {
  readonly span: SpanRecord;
  readonly decisions: readonly UnitEvent[];
  readonly reservations: readonly UnitEvent[];
  readonly reconciliations: readonly UnitEvent[];
  /** Every event with a name of GenOps, those three kinds among them. */
  readonly events: readonly UnitEvent[];
  /** What was decided: as the span says, else as its events do; undefined when neither is a decision. */
  readonly result: Decision | undefined;
  /** Did it reach execution? Told by the result, or by what is there when there is none. */
  readonly executed: boolean;
  /** Units and other spans right below it. */
  readonly children: readonly SpanRecord[];
  /** Log records about it that carry attributes of GenOps. */
  readonly logs: readonly LogRecord[];
  /** Levels it claims in so many words. */
  readonly claims: readonly Claim[];
  readonly declaresPartial: boolean;
}

/** A claim of a level, on the span or on its resource. */
export interface Claim {
  readonly attribute: string;
  readonly text: string;
  readonly level: "full" | "partial" | "misspelt";
}

export interface Assembly {
  readonly units: readonly Unit[];
  /** Spans that are no units, by key. */
  readonly otherSpans: readonly SpanRecord[];
  /** Log records with a required event's name whose unit is not there. */
  readonly orphans: readonly LogRecord[];
  /** Spans that were given more than once, word for word. */
  readonly repeated: number;
}

export function first(attributes: Attributes, name: string): TelemetryValue | undefined {
  return attributes.get(name)?.[0];
}

function keyOf(traceId: string, spanId: string): string {
  return `${traceId}/${spanId}`;
}

function isGenOps(name: string): boolean {
  return name.startsWith("genops.");
}

/** Text that is equal exactly when two attribute lists say the same of GenOps. */
function fingerprint(attributes: Attributes): string {
  const entries = [...attributes]
    .filter(([name]) => isGenOps(name))
    .map(([name, values]) => `${name}=${values.map((each) => `${each.kind}:${each.value}`)}`);
  return entries.sort().join("\n");
}

/** What an event says of its own; who answers for the unit may be told beside it. */
function said(event: EventRecord): string {
  const own = [...event.attributes].filter(([name]) => !CONTEXT_ONLY.has(name));
  return `${event.name}\n${fingerprint(new Map(own))}`;
}

function eventText(event: EventRecord): string {
  return `${event.name}@${event.time}{${fingerprint(event.attributes)}}`;
}

function spanText(span: SpanRecord): string {
  const events = span.events.map(eventText).sort().join(";");
  return [
    ...[span.traceId.text, span.spanId.text, span.parentSpanId, span.name],
    ...[span.start, span.end, span.dropped, fingerprint(span.attributes), events],
  ].join("|");
}

/** Exporters deliver at least once: the same span given twice is one. */
function distinct<T>(given: readonly T[], textOf: (each: T) => string): T[] {
  const byText = new Map(given.map((each) => [textOf(each), each]));
  // In the order of what they say, so that no report depends on the order of delivery.
  return [...byText].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, each]) => each);
}

function isGoverned(span: SpanRecord, logs: readonly LogRecord[]): boolean {
  const told = [...span.events, ...logs].some(
    ({ name }) => REQUIRED_EVENTS.has(name) || OPTIONAL_EVENTS.has(name),
  );
  return (
    told || [...span.attributes.keys()].some((name) => isGenOps(name) && !CONTEXT_ONLY.has(name))
  );
}

function byTime(left: UnitEvent, right: UnitEvent): number {
  const [a, b] = [left.time ?? 0n, right.time ?? 0n];
  if (a !== b) return a < b ? -1 : 1;
  const [x, y] = [eventText(left), eventText(right)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function eventsOf(span: SpanRecord, logs: readonly LogRecord[]): UnitEvent[] {
  const own = span.events.filter(({ name }) => isGenOps(name));
  const events = own.map((event): UnitEvent => ({ ...event, source: "span" }));
  const logged = logs.filter(({ name }) => isGenOps(name));
  if (logged.length > 0) {
    // Decisions may also go out as logs, because a span can be sampled away: the same said twice is one.
    const told = new Set(own.map(said));
    for (const log of logged) {
      if (told.has(said(log))) continue;
      const { name, time, attributes } = log;
      events.push({ name, time, attributes, source: "log" });
    }
  }
  return events.sort(byTime);
}

/** `genops.spec.conformance`, `genops.compliance_level` and the like: the specification names no place. */
const CLAIM_NAME = /^genops\..*(conformance|compliance)/;
const FULL_CLAIM = /^(genops v?0\.1(\.0)?( — full)?|full)$/i;

function claimsOf(...places: readonly Attributes[]): Claim[] {
  return places.flatMap((attributes) =>
    [...attributes].flatMap(([attribute, [value]]): Claim[] => {
      const text = value?.value;
      if (!isGenOps(attribute) || typeof text !== "string") return [];
      if (text === PARTIAL_DECLARATION) return [{ attribute, text, level: "partial" }];
      if (!CLAIM_NAME.test(attribute)) return [];
      if (FULL_CLAIM.test(text)) return [{ attribute, text, level: "full" }];
      return /partial/i.test(text) ? [{ attribute, text, level: "misspelt" }] : [];
    }),
  );
}

function unitOf(
  span: SpanRecord,
  logs: readonly LogRecord[],
  children: readonly SpanRecord[],
): Unit {
  const events = eventsOf(span, logs);
  const named = (name: string) => events.filter((event) => event.name === name);
  const decisions = named(POLICY_EVALUATED);
  const reconciliations = named(BUDGET_RECONCILIATION);
  const results = [
    first(span.attributes, RESULT),
    ...decisions.map(({ attributes }) => first(attributes, RESULT)).reverse(),
  ].map((value) => value?.value);
  const result = results.find(isDecision);
  const executed =
    result === undefined
      ? reconciliations.length > 0 || span.attributes.has(ACTUAL)
      : result === "ALLOWED" || result === "WARNING";
  const claims = claimsOf(span.attributes, span.resource);
  return {
    span,
    decisions,
    reservations: named(BUDGET_RESERVATION),
    reconciliations,
    events,
    result,
    executed,
    children,
    logs,
    claims,
    declaresPartial: claims.some(({ level }) => level === "partial"),
  };
}

function grouped<T>(given: readonly T[], keyFor: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of given) {
    const key = keyFor(each);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [each]);
    else group.push(each);
  }
  return groups;
}

/** Finds the units in what was read. Nothing depends on the order it came in. */
export function assembleUnits(telemetry: Telemetry): Assembly {
  const spans = distinct(telemetry.spans, spanText);
  const logs = distinct(
    telemetry.logs,
    (log) => `${keyOf(log.traceId.text, log.spanId.text)}|${eventText(log)}`,
  );
  const logsOf = grouped(logs, (log) => keyOf(log.traceId.text, log.spanId.text));
  const childrenOf = grouped(spans, (span) => keyOf(span.traceId.text, span.parentSpanId));
  const known = new Set<string>();
  const units: Unit[] = [];
  const otherSpans: SpanRecord[] = [];
  for (const span of spans) {
    const key = keyOf(span.traceId.text, span.spanId.text);
    known.add(key);
    const about = logsOf.get(key) ?? [];
    if (isGoverned(span, about)) units.push(unitOf(span, about, childrenOf.get(key) ?? []));
    else otherSpans.push(span);
  }
  const orphans = logs.filter(
    (log) => REQUIRED_EVENTS.has(log.name) && !known.has(keyOf(log.traceId.text, log.spanId.text)),
  );
  return { units, otherSpans, orphans, repeated: telemetry.spans.length - spans.length };
}
