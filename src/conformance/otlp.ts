// Reads OTLP JSON as it is met in the wild: export requests of traces, logs and metrics, in either spelling.

/** What kind of value an OTLP `AnyValue` holds; `null` is one that holds nothing. */
export type ValueKind =
  | "string"
  | "boolean"
  | "int"
  | "double"
  | "array"
  | "map"
  | "bytes"
  | "null"
  | "malformed";

/** A value with its type on the wire. An int is a bigint, because JSON's numbers lose what int64 keeps. */
export interface TelemetryValue {
  readonly kind: ValueKind;
  readonly value: string | number | bigint | boolean | undefined;
}

/** Attributes by name. More than one value under a name is against OTLP, and is kept to be told. */
export type Attributes = ReadonlyMap<string, readonly TelemetryValue[]>;

/** An id of a trace or span: lower-case hex when `valid`, otherwise as it was found. */
export interface Identifier {
  readonly text: string;
  readonly valid: boolean;
}

/** An event of a span, or a log record that tells one. Times in ns since 1970, undefined when unset. */
export interface EventRecord {
  readonly name: string;
  readonly time: bigint | undefined;
  readonly attributes: Attributes;
}

export interface SpanRecord {
  readonly traceId: Identifier;
  readonly spanId: Identifier;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly start: bigint | undefined;
  readonly end: bigint | undefined;
  readonly attributes: Attributes;
  readonly events: readonly EventRecord[];
  /** Attributes and events that the SDK let fall, as it says itself. */
  readonly dropped: number;
  readonly resource: Attributes;
}

export interface LogRecord extends EventRecord {
  /** Attributes that the SDK let fall, as it says itself. */
  readonly dropped: number;
  readonly traceId: Identifier;
  readonly spanId: Identifier;
}

export interface MetricPoint {
  readonly metric: string;
  readonly attributes: Attributes;
}

/** Everything that was understood, and what was not. */
export interface Telemetry {
  readonly spans: readonly SpanRecord[];
  readonly logs: readonly LogRecord[];
  readonly points: readonly MetricPoint[];
  /** Parts of the input that are no OTLP, in words. */
  readonly unreadable: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field by any of its spellings; what is null counts as left out, as in proto3's JSON. */
function field(object: Json, ...names: readonly string[]): unknown {
  for (const name of names) {
    if (Object.hasOwn(object, name) && object[name] !== null) return object[name];
  }
  return undefined;
}

const MALFORMED: TelemetryValue = { kind: "malformed", value: undefined };

/** An int64 or uint64, which JSON carries as text or as a number. */
function integer(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : undefined;
  return typeof value === "string" && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

function double(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (value === "NaN") return Number.NaN;
  if (value === "Infinity" || value === "-Infinity") return Number(value);
  return typeof value === "string" && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value)
    ? Number(value)
    : undefined;
}

function orMalformed<T extends string | number | bigint | boolean>(
  kind: ValueKind,
  value: T | undefined,
): TelemetryValue {
  return value === undefined ? MALFORMED : { kind, value };
}

function anyValue(value: unknown): TelemetryValue {
  if (value === undefined || value === null) return { kind: "null", value: undefined };
  if (!isObject(value)) return MALFORMED;
  const text = field(value, "stringValue", "string_value");
  if (text !== undefined) {
    return orMalformed("string", typeof text === "string" ? text : undefined);
  }
  const flag = field(value, "boolValue", "bool_value");
  if (flag !== undefined) {
    return orMalformed("boolean", typeof flag === "boolean" ? flag : undefined);
  }
  const whole = field(value, "intValue", "int_value");
  if (whole !== undefined) return orMalformed("int", integer(whole));
  const real = field(value, "doubleValue", "double_value");
  if (real !== undefined) return orMalformed("double", double(real));
  if (field(value, "arrayValue", "array_value") !== undefined) {
    return { kind: "array", value: undefined };
  }
  if (field(value, "kvlistValue", "kvlist_value") !== undefined) {
    return { kind: "map", value: undefined };
  }
  if (field(value, "bytesValue", "bytes_value") !== undefined) {
    return { kind: "bytes", value: undefined };
  }
  return Object.keys(value).some((name) => value[name] !== null)
    ? MALFORMED
    : { kind: "null", value: undefined };
}

/** Bytes in base64, as proto3's JSON has them where OTLP asks for hex. */
function hexOfBase64(text: string): string | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  try {
    const bytes = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Array.from(bytes, (byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  } catch {
    return undefined;
  }
}

function identifier(value: unknown, bytes: number): Identifier {
  if (value === undefined) return { text: "", valid: false };
  if (typeof value !== "string") return { text: JSON.stringify(value) ?? "", valid: false };
  const isHex = value.length === bytes * 2 && /^[0-9a-f]+$/i.test(value);
  const hex = isHex ? value.toLowerCase() : hexOfBase64(value);
  if (hex?.length !== bytes * 2) return { text: value, valid: false };
  return { text: hex, valid: !/^0+$/.test(hex) };
}

const BYTES_OF_TRACE_ID = 16;
const BYTES_OF_SPAN_ID = 8;

/** Unset is 0 on the wire. */
function time(value: unknown): bigint | undefined {
  const nanoseconds = integer(value);
  return nanoseconds !== undefined && nanoseconds > 0n ? nanoseconds : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

class Reader implements Telemetry {
  readonly spans: SpanRecord[] = [];
  readonly logs: LogRecord[] = [];
  readonly points: MetricPoint[] = [];
  readonly unreadable: string[] = [];

  #list(value: unknown, where: string): Json[] {
    if (value === undefined) return [];
    if (!Array.isArray(value)) {
      this.unreadable.push(`${where} is no list`);
      return [];
    }
    return value.filter((entry) => {
      if (isObject(entry)) return true;
      this.unreadable.push(`${where} has an entry that is no object`);
      return false;
    });
  }

  #attributes(owner: Json, where: string): Attributes {
    const attributes = new Map<string, TelemetryValue[]>();
    for (const entry of this.#list(field(owner, "attributes"), `${where}.attributes`)) {
      const key = text(field(entry, "key"));
      const value = anyValue(field(entry, "value"));
      const known = attributes.get(key);
      if (known === undefined) attributes.set(key, [value]);
      else known.push(value);
    }
    return attributes;
  }

  #resourceOf(group: Json, where: string): Attributes {
    const resource = field(group, "resource");
    return isObject(resource) ? this.#attributes(resource, `${where}.resource`) : new Map();
  }

  #spansOf(request: Json): void {
    for (const group of this.#list(
      field(request, "resourceSpans", "resource_spans"),
      "resourceSpans",
    )) {
      const resource = this.#resourceOf(group, "resourceSpans");
      const scopes = field(
        group,
        "scopeSpans",
        "scope_spans",
        // Until OTLP 0.15.
        "instrumentationLibrarySpans",
        "instrumentation_library_spans",
      );
      for (const scope of this.#list(scopes, "scopeSpans")) {
        for (const span of this.#list(field(scope, "spans"), "spans")) {
          this.spans.push(this.#span(span, resource));
        }
      }
    }
  }

  #span(span: Json, resource: Attributes): SpanRecord {
    const events = this.#list(field(span, "events"), "span.events").map((event) => ({
      name: text(field(event, "name")),
      time: time(field(event, "timeUnixNano", "time_unix_nano")),
      attributes: this.#attributes(event, "span.events"),
      dropped: integer(field(event, "droppedAttributesCount", "dropped_attributes_count")) ?? 0n,
    }));
    const count = (...names: string[]) => integer(field(span, ...names)) ?? 0n;
    const dropped = [
      count("droppedAttributesCount", "dropped_attributes_count"),
      count("droppedEventsCount", "dropped_events_count"),
      ...events.map((event) => event.dropped),
    ].reduce((sum, part) => sum + part, 0n);
    return {
      traceId: identifier(field(span, "traceId", "trace_id"), BYTES_OF_TRACE_ID),
      spanId: identifier(field(span, "spanId", "span_id"), BYTES_OF_SPAN_ID),
      parentSpanId: identifier(field(span, "parentSpanId", "parent_span_id"), BYTES_OF_SPAN_ID)
        .text,
      name: text(field(span, "name")),
      start: time(field(span, "startTimeUnixNano", "start_time_unix_nano")),
      end: time(field(span, "endTimeUnixNano", "end_time_unix_nano")),
      attributes: this.#attributes(span, "span"),
      events,
      dropped: Number(dropped),
      resource,
    };
  }

  #logsOf(request: Json): void {
    for (const group of this.#list(
      field(request, "resourceLogs", "resource_logs"),
      "resourceLogs",
    )) {
      for (const scope of this.#list(field(group, "scopeLogs", "scope_logs"), "scopeLogs")) {
        for (const log of this.#list(field(scope, "logRecords", "log_records"), "logRecords")) {
          this.logs.push(this.#log(log));
        }
      }
    }
  }

  /** An event's name has its own field; earlier it was an attribute, and some write it as the body. */
  #log(log: Json): LogRecord {
    const attributes = this.#attributes(log, "logRecord");
    const [named] = attributes.get("event.name") ?? [];
    const body = anyValue(field(log, "body"));
    return {
      name: text(field(log, "eventName", "event_name")) || text(named?.value) || text(body.value),
      time:
        time(field(log, "timeUnixNano", "time_unix_nano")) ??
        time(field(log, "observedTimeUnixNano", "observed_time_unix_nano")),
      attributes,
      dropped: Number(
        integer(field(log, "droppedAttributesCount", "dropped_attributes_count")) ?? 0n,
      ),
      traceId: identifier(field(log, "traceId", "trace_id"), BYTES_OF_TRACE_ID),
      spanId: identifier(field(log, "spanId", "span_id"), BYTES_OF_SPAN_ID),
    };
  }

  #pointsOf(request: Json): void {
    const groups = this.#list(
      field(request, "resourceMetrics", "resource_metrics"),
      "resourceMetrics",
    );
    for (const group of groups) {
      for (const scope of this.#list(
        field(group, "scopeMetrics", "scope_metrics"),
        "scopeMetrics",
      )) {
        for (const metric of this.#list(field(scope, "metrics"), "metrics")) this.#metric(metric);
      }
    }
  }

  #metric(metric: Json): void {
    const data = field(
      metric,
      ...["sum", "gauge", "histogram", "summary"],
      ...["exponentialHistogram", "exponential_histogram"],
    );
    if (!isObject(data)) return;
    for (const point of this.#list(field(data, "dataPoints", "data_points"), "dataPoints")) {
      this.points.push({
        metric: text(field(metric, "name")),
        attributes: this.#attributes(point, "dataPoint"),
      });
    }
  }

  /** Takes one payload: an export request, or a list of them. */
  read(input: unknown): void {
    // Not by recursion: a list may be nested as deep as its writer likes.
    const waiting = [input];
    const seen = new Set<unknown>();
    while (waiting.length > 0) {
      const payload = waiting.pop();
      if (Array.isArray(payload)) {
        if (seen.has(payload)) continue;
        seen.add(payload);
        for (const part of payload) waiting.push(part);
      } else if (isObject(payload)) this.#request(payload);
      else this.unreadable.push(`${kindOf(payload)} is no export request`);
    }
  }

  #request(request: Json): void {
    this.#spansOf(request);
    this.#logsOf(request);
    this.#pointsOf(request);
    const names = Object.keys(request);
    const known = /^resource_?(spans|logs|metrics)$/i;
    // An empty object is a request that carries nothing.
    if (names.length === 0 || names.some((name) => known.test(name))) return;
    const shown = names.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 40)));
    this.unreadable.push(`an object with ${shown.join(", ")} is no export request`);
  }
}

function kindOf(value: unknown): string {
  return value === null ? "null" : `a ${typeof value}`;
}

/** Reads whatever JSON it is given; what is no OTLP is listed, never thrown. */
export function readTelemetry(input: unknown): Telemetry {
  const reader = new Reader();
  reader.read(input);
  return reader;
}
