// Laws of packing: whatever is logged, every request is one a server takes, in order, and nothing is lost.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  MAX_BYTES_PER_BATCH,
  MAX_ENTITIES_PER_BATCH,
  MAX_PARAMS_OR_TAGS_PER_BATCH,
  splitIntoBatches,
} from "../../src/mlflow/batches.js";
import type { KeyValueMessage, LogBatchRequest, MetricMessage } from "../../src/mlflow/spec.js";

const RUN_ID = "f".repeat(32);

/** Names and values as long as MLflow allows, of characters that take much room in JSON. */
const character = fc.constantFrom("a", "ü", "日", "😀", '"', "\n", "\u0001", "\ud800");
const text = (most: number) =>
  fc
    .tuple(fc.array(character, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: most }))
    .map(([pattern, length]) => pattern.join("").repeat(length).slice(0, most));
const entry = (most: number) => fc.tuple(text(200), text(most));

const metrics = fc.array(
  fc.record({
    key: text(240),
    value: fc.oneof(fc.double(), fc.constantFrom("NaN", "Infinity", "-Infinity")),
    timestamp: fc.nat(),
    step: fc.maxSafeInteger(),
  }),
  { maxLength: 20 },
);
/** A short list many times over: long enough for several requests, quick to make. */
const many = <T>(items: fc.Arbitrary<T[]>, times: number) =>
  fc
    .tuple(items, fc.integer({ min: 0, max: times }))
    .map(([list, count]) => Array.from({ length: count }, () => list).flat());
const named = (most: number) =>
  many(fc.array(entry(most), { maxLength: 8 }), 60).map((entries): KeyValueMessage[] =>
    entries.map(([key, value], index) => ({ key: `${index}${key}`, value })),
  );

const bytes = (request: LogBatchRequest) => Buffer.byteLength(JSON.stringify(request));

function expectValid(requests: readonly LogBatchRequest[]): void {
  for (const request of requests) {
    const { run_id, metrics = [], params = [], tags = [] } = request;
    expect(run_id).toBe(RUN_ID);
    expect(params.length).toBeLessThanOrEqual(MAX_PARAMS_OR_TAGS_PER_BATCH);
    expect(tags.length).toBeLessThanOrEqual(MAX_PARAMS_OR_TAGS_PER_BATCH);
    const total = metrics.length + params.length + tags.length;
    expect(total).toBeGreaterThan(0);
    expect(total).toBeLessThanOrEqual(MAX_ENTITIES_PER_BATCH);
    expect(bytes(request)).toBeLessThanOrEqual(MAX_BYTES_PER_BATCH);
  }
}

describe("packing into requests", () => {
  it("loses nothing, keeps the order, and makes only requests that a server takes", () => {
    fc.assert(
      fc.property(many(metrics, 120), named(6000), named(8000), (points, params, tags) => {
        const requests = splitIntoBatches(RUN_ID, { metrics: points, params, tags });
        expectValid(requests);
        expect(requests.flatMap((request) => request.metrics ?? [])).toEqual(points);
        expect(requests.flatMap((request) => request.params ?? [])).toEqual(params);
        expect(requests.flatMap((request) => request.tags ?? [])).toEqual(tags);
      }),
      { numRuns: 60 },
    );
  });

  it("needs no more requests than the limits ask for, while texts are short", () => {
    fc.assert(
      fc.property(fc.nat(2500), fc.nat(350), fc.nat(350), (points, params, tags) => {
        const list = (count: number): KeyValueMessage[] =>
          Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: "v" }));
        const content = {
          metrics: list(points).map(({ key }): MetricMessage => ({ key, value: 1, step: 0 })),
          params: list(params),
          tags: list(tags),
        };
        const all = points + params + tags;
        const least = Math.max(
          Math.ceil(all / MAX_ENTITIES_PER_BATCH),
          Math.ceil(params / MAX_PARAMS_OR_TAGS_PER_BATCH),
          Math.ceil(tags / MAX_PARAMS_OR_TAGS_PER_BATCH),
        );
        expect(splitIntoBatches(RUN_ID, content)).toHaveLength(least);
      }),
    );
  });

  it("stays below a megabyte when texts are long", () => {
    const value = "日".repeat(6000);
    const params = Array.from({ length: 100 }, (_, index) => ({ key: `p${index}`, value }));
    const requests = splitIntoBatches(RUN_ID, { metrics: [], params, tags: [] });
    expectValid(requests);
    expect(requests).toHaveLength(2);
    expect(requests.flatMap((request) => request.params ?? [])).toEqual(params);
  });
});
