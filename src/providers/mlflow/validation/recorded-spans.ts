// A tracer provider that keeps its spans as OTLP JSON, so that they can be judged without any SDK.
import {
  type Attributes,
  type AttributeValue,
  type Exception,
  INVALID_SPAN_CONTEXT,
  type Link,
  type Span,
  type SpanContext,
  type SpanStatus,
  type TimeInput,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";

/** OTLP's form of a value; numbers are doubles, as the specification wants amounts. */
function otlpValue(value: AttributeValue): object {
  if (Array.isArray(value)) {
    return { arrayValue: { values: value.map((one) => otlpValue(one as AttributeValue)) } };
  }
  if (typeof value === "string") return { stringValue: value };
  return typeof value === "boolean" ? { boolValue: value } : { doubleValue: value };
}

function otlpAttributes(attributes: Attributes): object[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: otlpValue(value) }],
  );
}

function nanoseconds(time: TimeInput | undefined): string {
  const milliseconds = typeof time === "number" ? time : Date.now();
  return String(BigInt(Math.round(milliseconds * 1000)) * 1000n);
}

function randomHex(bytes: number): string {
  return [...crypto.getRandomValues(new Uint8Array(bytes))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

class RecordedSpan implements Span {
  readonly #context: SpanContext;
  readonly #parentId: string | undefined;
  readonly #start: string;
  readonly #events: object[] = [];
  readonly #attributes: Attributes;
  #end: string | undefined;
  #status: SpanStatus | undefined;

  constructor(
    readonly name: string,
    parent: SpanContext | undefined,
    attributes: Attributes,
    startTime: TimeInput | undefined,
  ) {
    this.#context = {
      ...INVALID_SPAN_CONTEXT,
      traceId: parent?.traceId ?? randomHex(16),
      spanId: randomHex(8),
      traceFlags: 1,
    };
    this.#parentId = parent?.spanId;
    this.#attributes = { ...attributes };
    this.#start = nanoseconds(startTime);
  }

  /** OTLP's JSON; undefined while it is open. */
  get otlp(): object | undefined {
    if (this.#end === undefined) return undefined;
    const { traceId, spanId } = this.#context;
    return {
      traceId,
      spanId,
      ...(this.#parentId !== undefined && { parentSpanId: this.#parentId }),
      name: this.name,
      kind: 1,
      startTimeUnixNano: this.#start,
      endTimeUnixNano: this.#end,
      attributes: otlpAttributes(this.#attributes),
      events: this.#events,
      status: { ...(this.#status !== undefined && { code: this.#status.code }) },
    };
  }

  spanContext(): SpanContext {
    return this.#context;
  }
  setAttribute(key: string, value: AttributeValue): this {
    this.#attributes[key] = value;
    return this;
  }
  setAttributes(attributes: Attributes): this {
    Object.assign(this.#attributes, attributes);
    return this;
  }
  addEvent(name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this {
    const hasAttributes =
      typeof attributesOrTime === "object" &&
      !Array.isArray(attributesOrTime) &&
      !(attributesOrTime instanceof Date);
    this.#events.push({
      name,
      timeUnixNano: nanoseconds(hasAttributes ? time : (attributesOrTime as TimeInput)),
      attributes: hasAttributes ? otlpAttributes(attributesOrTime as Attributes) : [],
    });
    return this;
  }
  addLink(_link: Link): this {
    return this;
  }
  addLinks(_links: Link[]): this {
    return this;
  }
  setStatus(status: SpanStatus): this {
    this.#status = status;
    return this;
  }
  updateName(_name: string): this {
    return this;
  }
  recordException(exception: Exception, time?: TimeInput): void {
    this.addEvent("exception", { "exception.message": String(exception) }, time);
  }
  isRecording(): boolean {
    return this.#end === undefined;
  }
  end(endTime?: TimeInput): void {
    this.#end ??= nanoseconds(endTime);
  }
}

export interface SpanRecorder {
  readonly tracerProvider: TracerProvider;
  /** What has ended, as one OTLP JSON document. */
  document(): object;
}

export function recordSpans(): SpanRecorder {
  const spans: RecordedSpan[] = [];
  const tracer = {
    startSpan(name: string, options = {}, context?: unknown) {
      const { attributes = {}, startTime } = options as {
        attributes?: Attributes;
        startTime?: TimeInput;
      };
      const parent = context === undefined ? undefined : trace.getSpanContext(context as never);
      const span = new RecordedSpan(name, parent, attributes, startTime);
      spans.push(span);
      return span;
    },
    startActiveSpan() {
      throw new Error("Only startSpan is recorded.");
    },
  };
  return {
    tracerProvider: { getTracer: () => tracer } as TracerProvider,
    document: () => ({
      resourceSpans: [
        {
          scopeSpans: [
            { scope: { name: "genops" }, spans: spans.flatMap(({ otlp }) => otlp ?? []) },
          ],
        },
      ],
    }),
  };
}
