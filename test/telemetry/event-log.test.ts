// The specification's events as log records: each once, in its span's context, readable without it.
import { logs as logsApi } from "@opentelemetry/api-logs";
import { JsonLogsSerializer, JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import {
  InMemoryLogRecordExporter,
  LoggerProvider,
  type ReadableLogRecord,
  SimpleLogRecordProcessor,
} from "@opentelemetry/sdk-logs";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkConformance } from "../../src/conformance/index.js";
import * as mlflow from "../../src/mlflow/node.js";
import {
  type AdapterOptions,
  type EventLogRecord,
  instrumentMlflow,
  withDoubles,
} from "../../src/node.js";
import { type Governed, governed } from "../governance/governed.js";

afterEach(() => {
  logsApi.disable();
  vi.unstubAllEnvs();
});

function logging() {
  const exporter = new InMemoryLogRecordExporter();
  const loggerProvider = new LoggerProvider({
    processors: [new SimpleLogRecordProcessor({ exporter })],
  });
  return { loggerProvider, records: () => exporter.getFinishedLogRecords() };
}

/** What is allowed, warned of, blocked before and after its reservation, and what fails, at whole dollars. */
async function work(options: AdapterOptions): Promise<Governed> {
  const made = await governed({
    pricing: { trackingApiCall: 1 },
    budgets: [
      { name: "day", limit: 6, period: "day", alertAt: [0.5] },
      { name: "acme", limit: 2, period: "day", action: "block", scope: { customerId: "acme" } },
    ],
    ...options,
  });
  const run = { experimentName: "e", runName: "r" };
  await mlflow.createExperiment("e");
  await made.adapter.trackMlflowRun(run, async () => {
    await mlflow.logMetric("m", 1);
    await mlflow.logParam("p", 1);
    await mlflow.logParam("p", 2).catch(() => {});
    await mlflow.logMetric("m", 2);
    await mlflow.logMetric("m", 3);
  });
  await made.adapter.trackMlflowRun({ ...run, customerId: "acme" }, async () => {
    await mlflow.logMetric("m", 1);
    await mlflow.logMetric("m", 2).catch(() => {});
  });
  return made;
}

interface Told {
  readonly of: string;
  readonly name: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** An event without what differs from one run of the work to the next. */
function told(of: string, name: string | undefined, attributes: object): Told {
  const { "genops.policy.timestamp": _, ...rest } = attributes as Record<string, unknown>;
  return { of, name, attributes: rest };
}

const isOurs = (name: string) => name.startsWith("genops.");

function ofSpans(spans: readonly ReadableSpan[]): Told[] {
  return spans.flatMap((span) =>
    span.events
      .filter(({ name }) => isOurs(name))
      .map(({ name, attributes = {} }) => told(span.name, name, attributes)),
  );
}

const IDENTITY = ["genops.team", "genops.project", "genops.environment", "genops.customer_id"];
const UNIT = [
  ...IDENTITY,
  "genops.operation.name",
  "genops.spec.version",
  "mlflow.run_id",
  "mlflow.experiment_id",
];

const inOrder = (list: Told[]) => list.map((each) => JSON.stringify(each)).sort();

describe("events as log records", () => {
  it("are those of the spans, each once, and none is left on a span", async () => {
    const onSpans = await work({});
    const { loggerProvider, records } = logging();
    const asLogs = await work({ loggerProvider });
    const spans = asLogs.exporter.getFinishedSpans();
    expect(ofSpans(spans)).toEqual([]);
    // What OpenTelemetry itself records of an error stays where it is.
    expect(spans.some(({ events }) => events.some(({ name }) => name === "exception"))).toBe(true);
    const nameOf = (record: ReadableLogRecord) =>
      spans.find((span) => span.spanContext().spanId === record.spanContext?.spanId)?.name ?? "";
    const logged = records().map((record) => {
      const attributes = Object.fromEntries(
        Object.entries(record.attributes).filter(([name]) => !UNIT.includes(name)),
      );
      return told(nameOf(record), record.eventName, attributes);
    });
    const expected = inOrder(ofSpans(onSpans.exporter.getFinishedSpans()));
    expect(expected.length).toBeGreaterThan(20);
    expect(inOrder(logged)).toEqual(expected);
  });

  it("carry whose unit it is and what it did, at the time it was, louder when it matters", async () => {
    const { loggerProvider, records } = logging();
    const { exporter } = await work({ loggerProvider });
    const spans = exporter.getFinishedSpans();
    for (const record of records()) {
      const span = spans.find(
        (each) => each.spanContext().spanId === record.spanContext?.spanId,
      ) as ReadableSpan;
      expect(record.spanContext?.traceId).toBe(span.spanContext().traceId);
      expect(record.instrumentationScope).toMatchObject({ name: "genops" });
      for (const name of UNIT) {
        expect(record.attributes[name], name).toEqual(span.attributes[name]);
      }
      const { eventName, hrTime, attributes } = record;
      const isLast = eventName === "genops.budget.reconciliation";
      if (eventName !== "genops.budget.alert") {
        expect(hrTime).toEqual(isLast ? span.endTime : span.startTime);
      }
      const result = attributes["genops.policy.result"] ?? "ALLOWED";
      const isSerious = result !== "ALLOWED" || eventName === "genops.budget.alert";
      expect(record.severityText).toBe(isSerious ? "WARN" : "INFO");
    }
    expect(new Set(records().map(({ severityNumber }) => severityNumber))).toEqual(
      new Set([9, 13]),
    );
  });

  it("are fully conformant with the spans, amounts as doubles, and nothing without the records", async () => {
    const { loggerProvider, records } = logging();
    const { exporter } = await work({ loggerProvider });
    const sent: [ReadableSpan[], ReadableLogRecord[]] = [[], []];
    const spanExporter = withDoubles({
      export: (spans: ReadableSpan[], _done: (result: unknown) => void) => {
        sent[0] = spans;
      },
    });
    const logExporter = withDoubles({
      export: (given: ReadableLogRecord[], _done: (result: unknown) => void) => {
        sent[1] = given;
      },
    });
    spanExporter.export(exporter.getFinishedSpans(), () => {});
    logExporter.export(records(), () => {});
    const json = (bytes: Uint8Array | undefined) => JSON.parse(new TextDecoder().decode(bytes));
    const traces = json(JsonTraceSerializer.serializeRequest(sent[0]));
    const logs = json(JsonLogsSerializer.serializeRequest(sent[1]));
    const report = checkConformance([traces, logs]);
    const findings = report.items.flatMap(({ findings }) => findings);
    expect(findings, JSON.stringify(findings, null, 1)).toEqual([]);
    expect(report.level).toBe("full");
    expect(checkConformance(traces).level).toBe("none");
    // As they are, whole dollars would travel as integers.
    const plain = json(JsonLogsSerializer.serializeRequest(records()));
    expect(checkConformance([traces, plain]).level).toBe("none");
  });

  it("go to any logger that takes them, and are kept where no span is recorded", async () => {
    const taken: EventLogRecord[] = [];
    const { exporter } = await work({
      loggerProvider: { getLogger: () => ({ emit: (record) => taken.push(record) }) },
      tracerProvider: { getTracer: () => ({ startSpan: () => unrecorded }) } as never,
    });
    expect(exporter.getFinishedSpans()).toEqual([]);
    const names = new Set(taken.map(({ eventName }) => eventName));
    expect([...names].sort()).toEqual([
      "genops.budget.alert",
      "genops.budget.reconciliation",
      "genops.budget.reservation",
      "genops.policy.evaluated",
    ]);
    expect(
      taken.find(({ attributes }) => attributes["genops.policy.result"] === "BLOCKED"),
    ).toMatchObject({ attributes: { "genops.customer_id": "acme", "genops.team": "ml-team" } });
  });

  it("stay on their spans where a logger throws, and the program goes on", async () => {
    const onSpans = await work({});
    const { adapter, exporter, warnings } = await work({
      loggerProvider: {
        getLogger: () => ({
          emit() {
            throw new Error("disk full");
          },
        }),
      },
    });
    expect(adapter.containedFailures).toBeGreaterThan(0);
    expect(warnings.some((text) => text.includes("disk full"))).toBe(true);
    const expected = inOrder(ofSpans(onSpans.exporter.getFinishedSpans()));
    expect(inOrder(ofSpans(exporter.getFinishedSpans()))).toEqual(expected);
    expect(adapter.dailyUsage).toBe(onSpans.adapter.dailyUsage);
  });
});

/** A span as a sampler makes one that is not recorded. */
const unrecorded = {
  spanContext: () => ({ traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 }),
  setAttribute() {},
  setAttributes() {},
  addEvent() {
    throw new Error("an event on a span");
  },
  recordException() {},
  setStatus() {},
  end() {},
};

describe("where events go", () => {
  it("is the logger provider that is registered, when log records are asked for", async () => {
    const { loggerProvider, records } = logging();
    logsApi.setGlobalLoggerProvider(loggerProvider);
    vi.stubEnv("GENOPS_EVENT_RECORDS", "logs");
    const { exporter, warnings } = await work({});
    expect(ofSpans(exporter.getFinishedSpans())).toEqual([]);
    expect(records().length).toBeGreaterThan(20);
    expect(warnings.filter((text) => text.includes("eventRecords"))).toEqual([]);
  });

  it("stays the spans where no provider is registered, and that is told", async () => {
    const { exporter, warnings } = await work({ eventRecords: "logs" });
    expect(ofSpans(exporter.getFinishedSpans()).length).toBeGreaterThan(20);
    expect(
      warnings.filter((text) => text.includes("no logger provider is registered")),
    ).toHaveLength(1);
  });

  it("stays the spans where a provider is registered, and nobody asked", async () => {
    const { loggerProvider, records } = logging();
    logsApi.setGlobalLoggerProvider(loggerProvider);
    const { exporter } = await work({});
    expect(ofSpans(exporter.getFinishedSpans()).length).toBeGreaterThan(20);
    expect(records()).toEqual([]);
  });

  it.each([
    [{ eventRecords: "log" }, 'eventRecords: "log" is neither "spans" nor "logs"'],
    [{ eventRecords: true }, 'eventRecords: true is neither "spans" nor "logs"'],
    [{ loggerProvider: {} }, "loggerProvider: (an object) has no getLogger()"],
    [
      { eventRecords: "spans", loggerProvider: { getLogger() {} } },
      "eventRecords: events on spans need no loggerProvider",
    ],
  ])("is refused when it cannot be: %j", (options, message) => {
    expect(() => instrumentMlflow(options as AdapterOptions)).toThrow(message);
  });

  it("is refused by the variable's name", () => {
    vi.stubEnv("GENOPS_EVENT_RECORDS", "metrics");
    expect(() => instrumentMlflow()).toThrow(
      'GENOPS_EVENT_RECORDS: "metrics" is neither "spans" nor "logs"',
    );
  });
});
