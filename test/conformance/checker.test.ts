// The conformance checker: good traces pass, and each way to break one fails at the right item.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CHECKLIST,
  type ConformanceReport,
  checkConformance,
  parseTelemetry,
  TelemetryTextError,
} from "../../src/conformance/index.js";
import {
  type Attribute,
  at,
  drop,
  dropEvent,
  eventOf,
  goodTrace,
  type Json,
  logsOf,
  metricsOf,
  payloads,
  type Span,
  set,
  string,
  tracesOf,
} from "./good-trace.js";
import { MUTATIONS } from "./mutations.js";

function failed({ items }: ConformanceReport): number[] {
  return items.filter(({ status }) => status === "fail").map(({ id }) => id);
}

function findingsOf(report: ConformanceReport) {
  return report.items.flatMap(({ id, findings }) => findings.map((each) => ({ id, ...each })));
}

const good = () => checkConformance(payloads(goodTrace()));

/** Every name as protobuf's own JSON has it when it keeps the names of the file. */
function inSnakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inSnakeCase);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      inSnakeCase(each),
    ]),
  );
}

describe("the checklist", () => {
  it("has the 44 items, each with a title that fits a line", () => {
    expect(CHECKLIST.map(({ id }) => id)).toEqual(
      Array.from({ length: 44 }, (_, index) => index + 1),
    );
    expect(new Set(CHECKLIST.map(({ title }) => title)).size).toBe(44);
    for (const { title } of CHECKLIST) expect(title.length).toBeLessThanOrEqual(64);
  });

  it("has a broken trace for every item that can be judged", () => {
    const broken = new Set(MUTATIONS.flatMap(({ items }) => items));
    // An input that is no OTLP is broken below.
    const judgeable = CHECKLIST.filter(({ id, judgeable }) => judgeable !== "no" && id !== 43);
    expect(judgeable.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([]);
    expect(MUTATIONS.length).toBeGreaterThanOrEqual(45);
  });
});

describe("a good trace", () => {
  it("is fully conformant, with every item passed that telemetry can show", () => {
    const report = good();
    expect(findingsOf(report)).toEqual([]);
    expect(report).toMatchObject({
      specification: "0.1.0",
      level: "full",
      satisfies: "full",
      declaresPartial: false,
      counts: { units: 6, executed: 3, stopped: 3, otherSpans: 1, logRecords: 2, metricPoints: 1 },
    });
    const others = report.items.filter(({ status }) => status !== "pass");
    // What can be neither proven nor refuted, and a claim that nobody made.
    expect(others.map(({ id, status }) => [id, status])).toEqual([
      [15, "not-judgeable"],
      [16, "not-judgeable"],
      [42, "not-applicable"],
    ]);
  });

  it("is read in every shape that exporters write", () => {
    const expected = good();
    const [traces, logs, metrics] = payloads(goodTrace());
    const numbers = (text: string) =>
      text.replace(/"(intValue|asInt|\w+UnixNano)":"(\d+)"/g, '"$1":$2');
    const base64 = (text: string) =>
      text.replace(/"(traceId|spanId|parentSpanId)":"([0-9a-f]+)"/g, (_, name, hex) => {
        return `"${name}":"${Buffer.from(hex, "hex").toString("base64")}"`;
      });
    const whole = JSON.stringify([traces, logs, metrics]);
    for (const shape of [
      { ...traces, ...logs, ...metrics },
      [[traces], [[logs], metrics]],
      JSON.parse(numbers(whole)),
      JSON.parse(base64(whole)),
      JSON.parse(
        whole.replace(
          /"(\w+Id)":"([0-9a-f]+)"/g,
          (_, name, id) => `"${name}":"${id.toUpperCase()}"`,
        ),
      ),
      JSON.parse(whole.replace(/"scopeSpans"/g, '"instrumentationLibrarySpans"')),
      inSnakeCase([traces, logs, metrics]),
    ]) {
      expect(checkConformance(shape)).toEqual(expected);
    }
  });

  it("may tell its events as log records instead, in each way a log names an event", () => {
    const ways: ((name: string) => Json)[] = [
      (eventName) => ({ eventName }),
      (name) => ({ attributes: [string("event.name", name)] }),
      (name) => ({ body: { stringValue: name } }),
    ];
    for (const naming of ways) {
      const trace = goodTrace();
      const logs = Object.values(trace.spans).flatMap((span) =>
        span.events.splice(0).map(({ name, timeUnixNano, attributes }) => {
          const { attributes: more = [], ...named } = naming(name) as { attributes?: Attribute[] };
          const record = { traceId: span.traceId, spanId: span.spanId, timeUnixNano, ...named };
          return { ...record, attributes: [...attributes, ...more] };
        }),
      );
      const report = checkConformance([
        tracesOf(Object.values(trace.spans)),
        logsOf(logs as never),
      ]);
      expect(findingsOf(report)).toEqual([]);
      expect(report).toMatchObject({ level: "full", counts: { units: 6 } });
    }
  });

  it("is judged by its log records as by its events: their names, amounts, and what was dropped", () => {
    const broken: [number, (log: Json & { attributes: Attribute[] }) => void][] = [
      [12, (log) => Object.assign(log, { traceId: "", spanId: "" })],
      [12, (log) => Object.assign(log, { eventName: "genops.budget_reconciliation" })],
      [35, (log) => set(log, { key: "genops.accounting.unit", value: { intValue: "1" } })],
      [9, (log) => Object.assign(log, { droppedAttributesCount: 1 })],
    ];
    for (const [item, change] of broken) {
      const trace = goodTrace();
      const { answer } = trace.spans;
      const { name: eventName, ...event } = eventOf(answer, "budget.reconciliation");
      dropEvent(answer, "budget.reconciliation");
      const { traceId, spanId } = answer;
      const log = { ...event, eventName, traceId, spanId };
      trace.logs.push(log);
      expect(checkConformance(payloads(trace)).level).toBe("full");
      change(log);
      expect(failed(checkConformance(payloads(trace))), String(item)).toContain(item);
      if (eventName !== log.eventName) {
        expect(failed(checkConformance(payloads(trace)))).toContain(44);
      }
    }
  });

  it("may decide anew after a rate limit, and by several policies", () => {
    const trace = goodTrace();
    const { answer } = trace.spans;
    const decision = eventOf(answer, "policy.evaluated");
    answer.events.push({
      ...decision,
      timeUnixNano: at(100),
      attributes: [
        string("genops.policy.result", "RATE_LIMITED"),
        string("genops.policy.reason_code", "RATE_LIMITED"),
      ],
    });
    decision.attributes.push(string("genops.policy.name", "models"));
    answer.events.push({
      ...decision,
      attributes: [
        string("genops.policy.result", "ALLOWED"),
        string("genops.policy.name", "regions"),
      ],
    });
    expect(findingsOf(checkConformance(payloads(trace)))).toEqual([]);
  });

  it("counts a span that was delivered twice once", () => {
    const [traces] = payloads(goodTrace());
    const report = checkConformance([payloads(goodTrace()), traces]);
    expect(report.level).toBe("full");
    expect(report.counts).toMatchObject({ units: 6, repeatedSpans: 7 });
  });
});

describe("a broken trace", () => {
  it.each(
    MUTATIONS.map((mutation) => [mutation.items.join(", "), mutation.what, mutation] as const),
  )("fails item %s: %s", (_, __, { items, path, break: change }) => {
    const trace = goodTrace();
    change(trace);
    const report = checkConformance(payloads(trace));
    expect(failed(report), JSON.stringify(findingsOf(report), null, 1)).toEqual(items);
    expect(report.level).toBe("none");
    for (const finding of findingsOf(report)) {
      expect(finding.path).not.toBe("");
      for (const text of [finding.found, finding.expected, finding.remedy]) {
        expect(text).toMatch(/\S/);
      }
    }
    if (path !== undefined) expect(findingsOf(report)[0]?.path).toContain(path);
  });

  it.each([
    ["a word", "hello"],
    ["another format", { data: [{ traceID: "1", spans: [] }] }],
    ["a list of numbers", [1, 2]],
    ["spans that are no list", { resourceSpans: { scopeSpans: [] } }],
    ["an entry that is no object", { resourceSpans: [7] }],
  ])("fails item 43 for %s", (_, input) => {
    expect(failed(checkConformance([payloads(goodTrace()), input]))).toEqual([43]);
  });

  it("fails item 2 when it is empty", () => {
    for (const input of [[], {}, { resourceSpans: [] }]) {
      expect(failed(checkConformance(input))).toEqual([2]);
    }
  });

  it("is blamed with its ids, name, place and what to do", () => {
    const trace = goodTrace();
    set(eventOf(trace.spans.answer, "policy.evaluated"), string("genops.policy.result", "OK"));
    expect(findingsOf(checkConformance(payloads(trace)))).toEqual([
      {
        id: 17,
        traceId: trace.spans.answer.traceId,
        spanId: trace.spans.answer.spanId,
        spanName: "answer",
        path: 'events["genops.policy.evaluated"].attributes["genops.policy.result"]',
        found: '"OK" (string)',
        expected: "ALLOWED, BLOCKED, WARNING, RATE_LIMITED",
        remedy: expect.stringContaining("genops.policy.reason"),
      },
    ]);
  });

  it("is told where an attribute is, when the resource has it", () => {
    const trace = goodTrace();
    drop(trace.spans.answer, "team");
    const [traces] = payloads(trace) as {
      resourceSpans: { resource: { attributes: Attribute[] } }[];
    }[];
    const [group] = structuredClone(traces)?.resourceSpans ?? [];
    group?.resource.attributes.push(string("genops.team", "ml-platform"));
    const [finding] = findingsOf(checkConformance({ resourceSpans: [group] }));
    expect(finding).toMatchObject({
      id: 5,
      remedy: expect.stringContaining("the resource has it"),
    });
  });
});

describe("levels", () => {
  /** Spans without a word of reservations, as a runtime sends them that only observes. */
  function observing(...declaration: Attribute[]) {
    const trace = goodTrace();
    for (const span of Object.values(trace.spans)) {
      span.events = [];
      if (span.name !== "POST") span.attributes.push(...declaration);
    }
    for (const name of ["accounting.reserved", "accounting.unit"]) drop(trace.spans.limited, name);
    return tracesOf(Object.values(trace.spans));
  }

  it("are partial when every unit declares it to the letter", () => {
    const report = checkConformance(
      observing(string("genops.spec.conformance", "GenOps v0.1 — partial")),
    );
    expect(findingsOf(report)).toEqual([]);
    expect(report).toMatchObject({ level: "partial", satisfies: "partial", declaresPartial: true });
  });

  it("are none when it is not declared, and the report says what is satisfied", () => {
    const report = checkConformance(observing());
    expect(failed(report)).toEqual([10, 12, 33]);
    expect(report).toMatchObject({ level: "none", satisfies: "partial" });
  });

  it("are none when full is claimed", () => {
    const report = checkConformance(observing(string("genops.spec.conformance", "GenOps v0.1")));
    expect(failed(report)).toEqual([10, 12, 33, 42]);
  });

  it("are no more than what is declared", () => {
    const trace = goodTrace();
    trace.spans.answer.attributes.push(string("genops.compliance", "GenOps v0.1 — partial"));
    expect(checkConformance(payloads(trace)).level).toBe("partial");
    dropEvent(trace.spans.answer, "budget.reservation");
    expect(checkConformance(payloads(trace)).level).toBe("partial");
    dropEvent(trace.spans.warned, "budget.reservation");
    expect(failed(checkConformance(payloads(trace)))).toEqual([10]);
  });
});

describe("laws", () => {
  const names = [
    ...["resourceSpans", "scopeSpans", "spans", "attributes", "events", "key", "value", "name"],
    ...[
      "traceId",
      "spanId",
      "parentSpanId",
      "startTimeUnixNano",
      "endTimeUnixNano",
      "timeUnixNano",
    ],
    ...["stringValue", "intValue", "doubleValue", "boolValue", "kvlistValue", "resourceLogs"],
    ...[
      "scopeLogs",
      "logRecords",
      "body",
      "eventName",
      "resourceMetrics",
      "scopeMetrics",
      "metrics",
    ],
    ...["sum", "dataPoints", "resource", "__proto__", "constructor", "droppedEventsCount"],
  ];
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 8, withCrossShrink: true },
      fc.constantFrom(
        null,
        true,
        -1,
        0,
        1.5,
        1e300,
        "",
        "0",
        "genops.team",
        "genops.policy.result",
      ),
      fc.constantFrom("genops.policy.evaluated", "ALLOWED", "00000000000000000000000000000001"),
      fc.array(tie("json"), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...names), tie("json"), { maxKeys: 6 }),
    ),
  }));

  it("it never throws, whatever JSON it is given", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), json), (input) => {
        expect(checkConformance(input).items).toHaveLength(44);
      }),
      { numRuns: 2000 },
    );
  });

  it("it never throws, wherever a good trace is replaced by something else", () => {
    const text = JSON.stringify(payloads(goodTrace()));
    const values = [...text.matchAll(/"(?:[^"\\]|\\.)*"(?!:)|\{|\[|\d+/g)];
    fc.assert(
      fc.property(fc.nat(values.length - 1), fc.oneof(fc.jsonValue(), json), (which, value) => {
        const at = values[which]?.index ?? 0;
        let count = 0;
        const changed = JSON.parse(text, function (this: unknown, _key, each) {
          return count++ === which ? value : each;
        });
        expect(checkConformance(changed).items, String(at)).toHaveLength(44);
      }),
      { numRuns: 1000 },
    );
  });

  it("it stands lists nested as deep as JSON can be", () => {
    let input: unknown = payloads(goodTrace());
    for (let depth = 0; depth < 100_000; depth++) input = [input];
    expect(checkConformance(input).level).toBe("full");
  });

  /** Spans and logs dealt out among requests, in any order. */
  function dealt(
    spans: readonly Span[],
    trace: ReturnType<typeof goodTrace>,
    deal: readonly number[],
    order: readonly number[],
  ) {
    const parts: Json[][] = [[], [], []];
    const items = [
      ...spans.map((span) => tracesOf([span])),
      ...trace.logs.map((log) => logsOf([log])),
      metricsOf(trace.points),
    ];
    const shuffled = items
      .map((item, index) => [order[index] ?? 0, index, item] as const)
      .sort(([left, a], [right, b]) => left - right || a - b);
    for (const [, index, item] of shuffled) parts[(deal[index] ?? 0) % 3]?.push(item);
    return parts;
  }

  it("its report depends neither on the order of spans nor on the files they are in", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(MUTATIONS.length - 1), { maxLength: 3 }),
        fc.array(fc.nat(2), { minLength: 12, maxLength: 12 }),
        fc.array(fc.nat(1000), { minLength: 12, maxLength: 12 }),
        (broken, deal, order) => {
          const trace = goodTrace();
          for (const index of broken) {
            try {
              MUTATIONS[index]?.break(trace);
            } catch {
              // Two breaks at the same place.
            }
          }
          const spans = Object.values(trace.spans);
          const expected = checkConformance(payloads(trace));
          const files = dealt(spans, trace, deal, order);
          expect(checkConformance(files)).toEqual(expected);
          const events = spans.map((span) => ({ ...span, events: [...span.events].reverse() }));
          expect(checkConformance(dealt(events, trace, deal, order))).toEqual(expected);
          expect(
            checkConformance(files.flat(2).map((each) => parseTelemetry(JSON.stringify(each)))),
          ).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("text", () => {
  const lines = payloads(goodTrace()).map((payload) => JSON.stringify(payload));

  it.each([
    ["one document", JSON.stringify(payloads(goodTrace()))],
    ["a document over many lines", JSON.stringify(payloads(goodTrace()), null, 2)],
    ["JSON lines", `${lines.join("\n")}\n`],
    ["JSON lines with blank ones, from Windows, marked", `\uFEFF${lines.join("\r\n\r\n")}`],
  ])("is read as %s", (_, text) => {
    expect(checkConformance(parseTelemetry(text))).toEqual(good());
  });

  it("may be empty", () => {
    expect(parseTelemetry(" \n")).toEqual([]);
  });

  it.each([
    ["a torn last line", `${lines[0]}\n{"resourceSpans":[`, 2, 19],
    ["a torn only line", '{"resourceSpans":[', 1, 19],
    ["a wrong line", `${lines[0]}\n\n{"é": x}\n${lines[1]}`, 3, 7],
    ["a wrong document", '{\n  "a": 1,\n  oops\n}', 3, 3],
    ["what is no JSON at all", "\u0000\u0001", 1, 1],
  ])("that is %s is refused by line and byte", (_, text, line, column) => {
    const thrown = (() => {
      try {
        return parseTelemetry(text);
      } catch (error) {
        return error;
      }
    })() as TelemetryTextError;
    expect(thrown).toBeInstanceOf(TelemetryTextError);
    expect(thrown).toMatchObject({ code: "INVALID_JSON", line, column });
    const before = `${text
      .split("\n")
      .slice(0, line - 1)
      .join("\n")}${line > 1 ? "\n" : ""}`;
    const inLine = text.split("\n")[line - 1]?.slice(0, column - 1) ?? "";
    expect(thrown.byte).toBe(Buffer.byteLength(before + inLine));
    expect(thrown.message).toContain(`line ${line}, column ${column} (byte ${thrown.byte})`);
  });
});
