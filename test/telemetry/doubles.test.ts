// Amounts on the wire: doubles whatever their value, told from the exporter's own JSON.
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import {
  BasicTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-base";
import fc from "fast-check";
import { expect, it } from "vitest";
import { withDoubles } from "../../src/node.js";

/** What OpenTelemetry's own serializer makes of one span with these attributes, on the span and on an event. */
async function sent(attributes: Record<string, number>) {
  const spans: ReadableSpan[] = [];
  const exporter: SpanExporter = {
    export(given, done) {
      spans.push(...given);
      done({ code: 0 });
    },
    shutdown: async () => {},
  };
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(withDoubles(exporter))],
  });
  const span = provider.getTracer("test").startSpan("work", { attributes });
  span.addEvent("told", attributes);
  span.end();
  await provider.shutdown();
  const json = JSON.parse(new TextDecoder().decode(JsonTraceSerializer.serializeRequest(spans)));
  const [told] = json.resourceSpans[0].scopeSpans[0].spans;
  const valuesOf = (owner: { attributes: { key: string; value: Record<string, unknown> }[] }) =>
    Object.fromEntries(owner.attributes.map(({ key, value }) => [key, value]));
  expect(valuesOf(told.events[0])).toEqual(valuesOf(told));
  expect({ name: told.name, spanId: told.spanId }).toEqual({
    name: "work",
    spanId: span.spanContext().spanId,
  });
  return valuesOf(told);
}

it("keeps every amount a double, within 1e-15 of what it is", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.nat(2 ** 31), fc.nat(10), fc.double({ min: 0, max: 1e12, noNaN: true })),
      async (amount) => {
        const { "genops.accounting.actual": value } = await sent({
          "genops.accounting.actual": amount,
        });
        const { doubleValue } = value as { doubleValue: number };
        expect(Math.abs(doubleValue - amount)).toBeLessThanOrEqual(amount * 1e-15 + 1e-300);
      },
    ),
  );
});

it("leaves out a difference of nothing, and everything of others as it is", async () => {
  const others = { "http.response.status_code": 200, "genops.tokens.input": 0 };
  expect(await sent({ "genops.accounting.reconciliation_delta": 0, ...others })).toEqual({
    "http.response.status_code": { intValue: 200 },
    "genops.tokens.input": { intValue: 0 },
  });
});
