// Keeps amounts doubles on the wire, where JavaScript's exporters would make integers of whole numbers.
import type { Attributes } from "@opentelemetry/api";
import { GENOPS } from "./semantics.js";

/** The part of a finished span that is looked at. */
export interface ExportedSpan {
  readonly attributes: Attributes;
  readonly events: readonly { readonly name: string; readonly attributes?: Attributes }[];
}

/** An OpenTelemetry span exporter, by what is used of it. */
export interface Exporting<S, R> {
  export(spans: S[], done: (result: R) => void): void;
}

/** Attributes that GenOps defines as doubles and that we send. */
const DOUBLES: readonly string[] = [
  GENOPS.reserved,
  GENOPS.actual,
  GENOPS.delta,
  GENOPS.costTotal,
  GENOPS.budgetAllocated,
  GENOPS.budgetConsumed,
  GENOPS.budgetRemaining,
];

/**
 * The nearest double with a fraction. OTLP tells ints from doubles and JavaScript does not, so its exporters
 * go by the fraction (https://github.com/open-telemetry/opentelemetry-js/issues/3436). The difference is
 * below 1e-15 of the amount; the exact amount is in `genops.accounting.actual_exact`.
 */
function withFraction(whole: number): number {
  return whole === 0 ? Number.MIN_VALUE : whole * (1 + Number.EPSILON);
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value);
}

function needsFractions(attributes: Attributes | undefined): boolean {
  return attributes !== undefined && DOUBLES.some((name) => isWhole(attributes[name]));
}

function fractional(attributes: Attributes): Attributes {
  const copy = { ...attributes };
  for (const name of DOUBLES) {
    const value = copy[name];
    if (!isWhole(value)) continue;
    // No difference is told by leaving it out, as the specification allows: it must not look like one.
    if (name === GENOPS.delta && value === 0) delete copy[name];
    else copy[name] = withFraction(value);
  }
  return copy;
}

/** Its other members as they are; a span's own fields may be private. */
function overridden<T extends object>(original: T, replaced: Partial<T>): T {
  return new Proxy(original, {
    get(target, name) {
      if (Object.hasOwn(replaced, name)) return replaced[name as keyof T];
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function spanWithDoubles<S extends ExportedSpan>(span: S): S {
  const events = span.events.some((event) => needsFractions(event.attributes));
  if (!events && !needsFractions(span.attributes)) return span;
  const replaced: Partial<ExportedSpan> = {
    attributes: fractional(span.attributes),
    events: span.events.map((event) =>
      event.attributes === undefined
        ? event
        : { ...event, attributes: fractional(event.attributes) },
    ),
  };
  return overridden(span, replaced as Partial<S>);
}

/**
 * An exporter that sends the amounts of GenOps as doubles, whole ones too, as the specification wants them
 * (section 7.1): `new BatchSpanProcessor(withDoubles(new OTLPTraceExporter()))`. Spans of others pass as
 * they are.
 */
export function withDoubles<S extends ExportedSpan, R, E extends Exporting<S, R>>(
  exporter: E & Exporting<S, R>,
): E {
  const replaced: Exporting<S, R> = {
    export: (spans, done) => exporter.export(spans.map(spanWithDoubles), done),
  };
  return overridden<Exporting<S, R>>(exporter, replaced) as E;
}
