// Items 1 to 6: well-formed spans, ids, and who answers for a unit.
import { attributePath, eventPath, type Judgement, shown } from "../judgement.js";
import type { Attributes } from "../otlp.js";
import { type Assembly, first, type Unit } from "../units.js";
import { ATTRIBUTION } from "../vocabulary.js";

const RENEWED = "make a new span for each unit; never take an id from another";

function judgeForm(judgement: Judgement, unit: Unit): void {
  const { span } = unit;
  judgement.applies(1);
  const wrong = (path: string, found: string, expected: string, remedy: string) =>
    judgement.blame(1, unit, { path, found, expected, remedy });
  if (span.name === "") wrong("name", "nothing", "a name", "give the span a name");
  if (span.start === undefined) {
    wrong("startTimeUnixNano", "no time", "ns since 1970", "send the time when the unit began");
  } else if (span.end !== undefined && span.end < span.start) {
    const found = `${span.start - span.end} ns before the start`;
    wrong("endTimeUnixNano", found, "the start or later", "take both times from one clock");
  }
  for (const event of unit.events) {
    if (event.time !== undefined) continue;
    const path = `${eventPath(event.name)}.timeUnixNano`;
    wrong(path, "no time", "ns since 1970", "send the time of the event");
  }
  for (const [attributes, event] of attributeLists(unit)) {
    for (const [name, values] of attributes) {
      // Two values of an attribution attribute are a change of it: item 6.
      if (values.length < 2 || !name.startsWith("genops.") || isAttribution(name)) continue;
      wrong(
        attributePath(name, event),
        values.map(shown).join(" and "),
        "one value",
        "set the attribute once; OTLP wants names to be unique",
      );
    }
  }
}

function isAttribution(name: string): boolean {
  return ATTRIBUTION.some((each) => each === name);
}

/** Every place where a unit says something, with the event's name. */
export function attributeLists(unit: Unit): (readonly [Attributes, string | undefined])[] {
  return [
    [unit.span.attributes, undefined] as const,
    ...unit.events.map(({ attributes, name }) => [attributes, name] as const),
  ];
}

function judgeIds(judgement: Judgement, unit: Unit): void {
  judgement.applies(3);
  for (const [path, id, bytes] of [
    ["traceId", unit.span.traceId, 16],
    ["spanId", unit.span.spanId, 8],
  ] as const) {
    if (id.valid) continue;
    judgement.blame(3, unit, {
      path,
      found: id.text === "" ? "nothing" : JSON.stringify(id.text.slice(0, 80)),
      expected: `${bytes} bytes in hex, not all of them 0`,
      remedy:
        "let the OpenTelemetry SDK make the ids; a span context that is not valid is no identity",
    });
  }
}

function judgeReuse(judgement: Judgement, assembly: Assembly): void {
  const byId = new Map<string, Unit>();
  for (const unit of assembly.units) {
    const { traceId, spanId } = unit.span;
    if (!traceId.valid || !spanId.valid) continue;
    judgement.applies(4);
    const key = `${traceId.text}/${spanId.text}`;
    const earlier = byId.get(key);
    if (earlier === undefined) byId.set(key, unit);
    else {
      judgement.blame(4, unit, {
        path: "spanId",
        found: `the id of ${JSON.stringify(earlier.span.name)} too, which says something else`,
        expected: "an id that nothing else has",
        remedy: RENEWED,
      });
    }
  }
}

function judgeImmutability(judgement: Judgement, unit: Unit): void {
  judgement.applies(6);
  for (const name of ATTRIBUTION) {
    const [declared, ...others] = unit.span.attributes.get(name) ?? [];
    if (declared === undefined) continue;
    const told = [
      ...others.map((value) => [attributePath(name), value] as const),
      ...[...unit.events, ...unit.logs].flatMap(({ attributes, name: event }) => {
        const value = first(attributes, name);
        return value === undefined ? [] : [[attributePath(name, event), value] as const];
      }),
    ];
    const seen = new Set<string>();
    for (const [path, value] of told) {
      if (value.kind === declared.kind && value.value === declared.value) continue;
      if (seen.has(path)) continue;
      seen.add(path);
      judgement.blame(6, unit, {
        path,
        found: shown(value),
        expected: `${shown(declared)}, as the span declares`,
        remedy: "settle who answers for a unit before it begins, and set it once",
      });
    }
  }
}

export function judgeIdentity(judgement: Judgement, assembly: Assembly): void {
  judgement.applies(2);
  if (assembly.units.length === 0) {
    judgement.find(2, {
      path: "resourceSpans",
      found: `${assembly.otherSpans.length} spans, none with what GenOps defines`,
      expected: "at least one span with genops.* attributes",
      remedy: "give the traces of the governed program, as its exporter or a Collector wrote them",
    });
  }
  judgeReuse(judgement, assembly);
  for (const unit of assembly.units) {
    judgeForm(judgement, unit);
    judgeIds(judgement, unit);
    for (const name of ATTRIBUTION) {
      judgement.require(5, unit, unit.span.attributes, name, "string");
    }
    judgeImmutability(judgement, unit);
  }
}
