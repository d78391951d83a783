// Bodies of requests as bytes: the run and the counts that a JSON parser finds, and nothing breaks on the rest.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEngine, type Engine, type Span } from "../../src/engine/index.js";
import { bare } from "./bare.js";
import { random, seedOfToday } from "./random.js";
import { refused } from "./refused.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const engine = createEngine({ runs: 16, names: 128, bufferBytes: 2 ** 18 });

/** Scans a body that lies behind something else; answers texts in place of their spans. */
function scan(body: string | Uint8Array, on: Engine = engine) {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  on.buffer.fill(0x22, 0, bytes.length + 64);
  on.buffer.set(bytes, 13);
  const scanned = on.scanBody(13, bytes.length);
  if (scanned === undefined) return undefined;
  const text = (span: Span | undefined) =>
    span && decoder.decode(on.buffer.subarray(span.start, span.start + span.length));
  const { runId, experimentId, ...rest } = scanned;
  return { ...rest, runId: text(runId), experimentId: text(experimentId) };
}

const BATCH = {
  run_id: "0123456789abcdef0123456789abcdef",
  metrics: Array.from({ length: 30 }, (_, step) => ({
    key: `m"${step}`,
    value: 0.5,
    timestamp: 1,
    step,
  })),
  params: [{ key: "a,b", value: "[{\\" }],
  tags: [],
};

describe("a scanned body", () => {
  it("names its run and counts what it logs", () => {
    const opened = createEngine({ runs: 4, names: 64 });
    const run = opened.openRun({ runId: BATCH.run_id });
    expect(scan(JSON.stringify(BATCH), opened)).toEqual({
      run,
      runId: BATCH.run_id,
      experimentId: undefined,
      items: 31,
      metrics: 30,
      params: 1,
      tags: 0,
    });
  });

  it.each([
    ["a metric", `{"run_id":"r","key":"loss","value":1.5e3,"step":"3"}`, { runId: "r", items: 1 }],
    ["the old name of a run", `{"run_uuid":"r","key":"a"}`, { runId: "r", items: 1 }],
    ["both names", `{"run_uuid":"old","run_id":"new"}`, { runId: "new" }],
    ["an empty new name", `{"run_id":"","run_uuid":"old"}`, { runId: "old" }],
    [
      "proto's other spelling",
      `{"runId":"r","experimentId":"7"}`,
      { runId: "r", experimentId: "7" },
    ],
    [
      "the last of two",
      `{"run_id":"a","run_id":"b","tags":[1,2],"tags":[1]}`,
      { runId: "b", tags: 1 },
    ],
    ["null after all", `{"run_id":"a","run_id":null}`, { runId: undefined }],
    [
      "what is no text",
      `{"run_id":5,"experiment_id":["7"]}`,
      { runId: undefined, experimentId: undefined },
    ],
    [
      "names inside",
      `{"tags":[{"run_id":"x","metrics":[1]}],"o":{"run_id":"y"}}`,
      { runId: undefined, tags: 1, metrics: 0 },
    ],
    ["an escaped name", `{"run\\u005fid":"r"}`, { runId: "r" }],
    [
      "an escaped id",
      `{"run_id":"\\u0061\\/\\"\\\\\\n\\ud83d\\ude00\\u00e9\\u20ac"}`,
      { runId: 'a/"\\\n😀é€' },
    ],
    ["half a pair", `{"run_id":"\\ud83d-\\ude00"}`, { runId: "\ufffd-\ufffd" }],
    ["blanks", ` {\n"run_id" :\t"r" , "metrics" : [ ] }\r\n`, { runId: "r", items: 0 }],
    ["an empty object", `{}`, { items: 1, runId: undefined }],
    ["arrays in arrays", `{"metrics":[[1,2],[3],{"a":[1,2,3]}]}`, { metrics: 3, items: 3 }],
    ["inputs", `{"run_id":"r","datasets":[{},{}],"models":[{}]}`, { items: 3, metrics: 0 }],
    [
      "a list that is none",
      `{"metrics":"[1,2]","params":{"a":1,"b":2}}`,
      { metrics: 0, params: 0, items: 1 },
    ],
    ["JSON in JSON", JSON.stringify(JSON.stringify(BATCH)), { runId: BATCH.run_id, items: 31 }],
  ])("%s", (_, body, expected) => {
    expect(scan(body)).toMatchObject(expected);
  });

  it.each([
    "",
    " ",
    "[]",
    "null",
    "5",
    '"',
    '"a"',
    '""',
    "{",
    '{"a"',
    '{"a":',
    '{"a":}',
    '{"a":1',
    '{"a":1,}',
    "{,}",
    "{a:1}",
    '{"a" 1}',
    '{"run_id":"r}',
    '{"a":[1,2}',
    '{"a":"\\',
    '{"a":"\\"}',
    "garbage",
    '"{\\"a\\":1"',
  ])("is none: %s", (body) => {
    expect(scan(body)).toBeUndefined();
  });

  it("must lie in the buffer", () => {
    const size = engine.buffer.length;
    for (const [start, length, field] of [
      [-1, 1, "start"],
      [0, -1, "length"],
      [0, size + 1, "length"],
      [size, 1, "length"],
      [size + 1, 0, "start"],
      [0.5, 1, "start"],
      [Number.NaN, 1, "start"],
      ["0" as unknown as number, 1, "start"],
      [0, 2 ** 32, "length"],
    ] as const) {
      for (const call of [
        () => engine.scanBody(start, length),
        () => engine.classifyBytes(start, length),
        () => engine.findRunBytes(start, length),
      ]) {
        const error = refused(call);
        expect([error.code, error.field]).toEqual(["INVALID_OPTION", field]);
        expect(error.message).toContain("bufferBytes");
      }
    }
    expect(engine.scanBody(size, 0)).toBeUndefined();
  });

  it("is what a JSON parser finds", () => {
    const word = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("run_id", "metrics", '"', "\\", '{"run_id":"x"}', "a".repeat(100)),
    );
    const body = fc.record(
      {
        run_id: word,
        run_uuid: word,
        experiment_id: word,
        metrics: fc.array(fc.jsonValue(), { maxLength: 5 }),
        params: fc.array(fc.record({ key: word, value: word })),
        tags: fc.array(fc.jsonValue(), { maxLength: 3 }),
        other: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(body, fc.nat({ max: 4 }), fc.boolean(), (given, indent, wrapped) => {
        const once = JSON.stringify(given, undefined, indent);
        const scanned = scan(wrapped ? JSON.stringify(once) : once);
        const lists = [given.metrics, given.params, given.tags];
        const counts = lists.map((list) => list?.length ?? 0);
        const utf8 = (text: string | undefined) =>
          text ? decoder.decode(encoder.encode(text)) : undefined;
        expect(scanned).toMatchObject({
          runId: utf8(given.run_id || given.run_uuid),
          experimentId: utf8(given.experiment_id),
          metrics: counts[0],
          params: counts[1],
          tags: counts[2],
          items: lists.every((list) => list === undefined) ? 1 : counts.reduce((a, b) => a + b, 0),
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe("bytes of a request", () => {
  it("are classified as its text is, wherever they lie", () => {
    for (const [method, path] of [
      ["POST", "/api/2.0/mlflow/runs/log-batch"],
      ["GET", "/ajax-api/3.0/mlflow/traces/tr-1?x=/y"],
      ["POST", "/api/2.0/mlflow/nothing-yet"],
      ["BREW", "/api/2.0/mlflow/runs/create"],
      ["GET", "/index.html"],
      ["", ""],
    ] as const) {
      const length = encoder.encodeInto(`${method} ${path}`, engine.buffer.subarray(1001)).written;
      expect(engine.classifyBytes(1001, length), path).toBe(engine.classify(method, path));
    }
    expect(engine.classifyBytes(0, 0)).toBe(-1);
  });

  it("find an open run", () => {
    const opened = createEngine({ runs: 4, names: 64 });
    const run = opened.openRun({ runId: "käse" });
    const { written } = encoder.encodeInto("käse", opened.buffer.subarray(5));
    expect(opened.findRunBytes(5, written)).toBe(run);
    expect(opened.findRunBytes(5, written - 1)).toBeUndefined();
    expect(opened.findRunBytes(5, 0)).toBeUndefined();
    expect(opened.findRunBytes(5, 5000)).toBeUndefined();
  });
});

describe("a million changed requests", () => {
  const seed = seedOfToday();
  const hint = `GENOPS_TEST_SEED=${seed}`;
  const samples = [
    "POST /api/2.0/mlflow/runs/log-batch",
    "GET /api/2.0/mlflow-artifacts/artifacts/1/2/artifacts/a/b.bin",
    "PATCH /ajax-api/3.0/mlflow/traces/tr-1/tags?a=b#c",
    JSON.stringify(BATCH),
    JSON.stringify(JSON.stringify({ run_id: "é€😀\u0001", tags: [{ key: "\\" }] })),
    '{"run_id":"\\ud83d\\ude00\\u00',
  ].map((text) => encoder.encode(text));

  it("never trap the module, nor change its account", () => {
    const { exports, window, openRun, image, header } = bare();
    const run = openRun("0123456789abcdef0123456789abcdef");
    exports.record(run, 2, 0, 0, 1);
    const memory = new Uint8Array(exports.memory.buffer);
    const view = new DataView(exports.memory.buffer);
    const form = exports.form();
    // The window and the form are there to be written to.
    const account = () => {
      const copy = image();
      copy.fill(0, window, window + 65_536);
      copy.fill(0, form, form + 128);
      return copy;
    };
    exports.scan(0, 0);
    const before = account();
    const { below, pick, next } = random(seed);
    for (let i = 0; i < 1_000_000; i++) {
      const sample = pick(samples);
      memory.set(sample, window);
      memory[window + sample.length] = 0;
      for (let changes = below(4); changes > 0; changes--) {
        memory[window + below(sample.length)] =
          below(3) === 0 ? pick([34, 92, 47, 123, 125, 91, 93, 44, 117]) : below(256);
      }
      const length = below(8) === 0 ? below(sample.length + 1) : sample.length;
      exports.classify(window, length);
      exports.scan(window, length);
      const [at, size] = [view.getUint32(form, true), view.getUint32(form + 4, true)];
      if (size > 0 && (at < window || at + size > window + length))
        throw new Error(`outside, ${hint}`);
      exports.findRun(at, size);
      if (below(50) === 0) {
        // Addresses that are no place at all.
        const [address, bytes] = [
          pick([-1, -8, 2 ** 31 - 1, header, memory.length - 3, next()]),
          pick([-1, 9, 2 ** 31 - 1]),
        ];
        exports.classify(address, bytes);
        exports.findRun(address, bytes);
        if (address > memory.length || bytes < 0) exports.scan(address, bytes);
      }
    }
    expect(Buffer.compare(account(), before), hint).toBe(0);
  });
});
