// Keeps amounts doubles on the wire, where JavaScript's exporters would make integers of whole numbers.
import { GENOPS } from "./semantics.js";

type Attributes = Readonly<Record<string, unknown>>;

/** The part of a finished span, or of a log record, that is looked at. */
export interface ExportedRecord {
  readonly attributes: Attributes;
  /** Absent on a log record. */
  readonly events?: readonly { readonly name: string; readonly attributes?: Attributes }[];
}

/** An OpenTelemetry exporter of spans or log records, by what is used of it. */
export interface Exporting<S, R> {
  export(records: S[], done: (result: R) => void): void;
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
  const copy: Record<string, unknown> = { ...attributes };
  for (const name of DOUBLES) {
    const value = copy[name];
    if (!isWhole(value)) continue;
    // No difference is told by leaving it out, as the specification allows: it must not look like one.
    if (name === GENOPS.delta && value === 0) delete copy[name];
    else copy[name] = withFraction(value);
  }
  return copy;
}

/** Its other members as they are; a record's own fields may be private. */
function overridden<T extends object>(original: T, replaced: Partial<T>): T {
  return new Proxy(original, {
    get(target, name) {
      if (Object.hasOwn(replaced, name)) return replaced[name as keyof T];
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function recordWithDoubles<S extends ExportedRecord>(record: S): S {
  const { attributes, events } = record;
  const inEvents = events?.some((event) => needsFractions(event.attributes)) === true;
  if (!inEvents && !needsFractions(attributes)) return record;
  const replaced: Partial<ExportedRecord> = {
    attributes: fractional(attributes),
    ...(events && {
      events: events.map((event) =>
        event.attributes === undefined
          ? event
          : { ...event, attributes: fractional(event.attributes) },
      ),
    }),
  };
  return overridden(record, replaced as Partial<S>);
}

/**
 * An exporter that sends the amounts of GenOps as doubles, whole ones too, as the specification wants them
 * (section 7.1): `new BatchSpanProcessor(withDoubles(new OTLPTraceExporter()))`, and so an exporter of log records.
 * What others record passes as it is.
 */
export function withDoubles<S extends ExportedRecord, R, E extends Exporting<S, R>>(
  exporter: E & Exporting<S, R>,
): E {
  const replaced: Exporting<S, R> = {
    export: (records, done) => exporter.export(records.map(recordWithDoubles), done),
  };
  return overridden<Exporting<S, R>>(exporter, replaced) as E;
}
