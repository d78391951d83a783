// What every store promises of params, tags, metrics and batches: the server's own answers.
import { describe, expect, it } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import * as spec from "../../../src/mlflow/spec.js";
import {
  ask,
  askLoosely,
  BAD_KEYS,
  codeOf,
  codesOf,
  contract,
  dataOf,
  INVALID,
  infinity,
  MISSING,
  newRun,
  ODD_KEY,
  plain,
} from "./asking.js";

contract(() => {
  describe("params", () => {
    it("are written once", async () => {
      const run_id = await newRun();
      const log = (key: string, value: string) => ask(spec.logParam, { run_id, key, value });
      expect(await log("p", "1")).toEqual({});
      expect(await log("p", "1")).toEqual({});
      expect(await codeOf(log("p", "2"))).toBe(INVALID);
      expect((await dataOf(run_id)).params).toEqual({ p: "1" });
    });

    it("hold any text", async () => {
      const run_id = await newRun();
      const params: Record<string, string> = {
        empty: "",
        lines: "  a\n\tb\r\nc  \n",
        quotes: "\"'`\\%_",
        [ODD_KEY]: "größe 💡",
        long: "v".repeat(6000),
        constructor: "x",
      };
      for (const [key, value] of Object.entries(params)) {
        await ask(spec.logParam, { run_id, key, value });
      }
      expect((await dataOf(run_id)).params).toEqual(params);
    });

    it("with an impossible name are refused", async () => {
      const run_id = await newRun();
      for (const key of BAD_KEYS) {
        const code = await codeOf(ask(spec.logParam, { run_id, key, value: "v" }));
        expect([key, code]).toEqual([key, INVALID]);
      }
      expect((await dataOf(run_id)).params).toEqual({});
    });
  });

  describe("tags", () => {
    it("are overwritten and removed", async () => {
      const run_id = await newRun({ run_name: "r" });
      const set = (key: string, value: string) => ask(spec.setTag, { run_id, key, value });
      expect(await set("a", "1")).toEqual({});
      await set("a", "2");
      await set("empty", "");
      await set(ODD_KEY, "größe\n💡");
      await set("gone", "soon");
      expect(await ask(spec.deleteTag, { run_id, key: "gone" })).toEqual({});
      expect(await codeOf(ask(spec.deleteTag, { run_id, key: "gone" }))).toBe(MISSING);
      expect((await dataOf(run_id)).tags).toEqual({
        a: "2",
        empty: "",
        [ODD_KEY]: "größe\n💡",
        "mlflow.runName": "r",
      });
    });

    it("with an impossible name are refused", async () => {
      const run_id = await newRun({ run_name: "r" });
      for (const key of BAD_KEYS) {
        const code = await codeOf(ask(spec.setTag, { run_id, key, value: "v" }));
        expect([key, code]).toEqual([key, INVALID]);
      }
      expect((await dataOf(run_id)).tags).toEqual({ "mlflow.runName": "r" });
    });
  });

  describe("metrics", () => {
    type Point = readonly [value: number | string, timestamp: number, step: number];
    async function logged(points: readonly Point[], key = "m") {
      const run_id = await newRun();
      for (const [value, timestamp, step] of points) {
        await ask(spec.logMetric, { run_id, key, value, timestamp, step });
      }
      const latest = async () =>
        (plain((await ask(spec.getRun, { run_id })).run?.data) as { metrics?: object[] }).metrics;
      const history = async () => {
        const answer = await ask(spec.getMetricHistory, { run_id, metric_key: key });
        expect(answer).not.toHaveProperty("next_page_token");
        return (answer.metrics ?? []).map(({ value, timestamp, step }) => [
          value,
          Number(timestamp),
          Number(step),
        ]);
      };
      return { run_id, latest, history };
    }

    it("are read back with time and step", async () => {
      const { latest, run_id } = await logged([[0.1, 1_700_000_000_123, 3]]);
      const point = { key: "m", value: 0.1, timestamp: 1_700_000_000_123, step: 3 };
      expect(await latest()).toEqual([point]);
      const answer = await ask(spec.getMetricHistory, { run_id, metric_key: "m" });
      expect(plain(answer)).toEqual({ metrics: [point] });
    });

    it("hold every double, and what is none", async () => {
      const values = [1e308, 5e-324, -1e-7, 0, 0.1 + 0.2, 2 ** 53 + 2, "NaN"];
      const points = values.map((value, step): Point => [value, 1000 + step, step]);
      const { history } = await logged(points);
      expect(await history()).toEqual(points);
      const endless = await logged([
        ["Infinity", 1, 0],
        ["-Infinity", 2, 1],
      ]);
      expect(await endless.history()).toEqual([
        [infinity(1), 1, 0],
        [infinity(-1), 2, 1],
      ]);
    });

    it("take the value of the greatest step, then time, then value, as the latest", async () => {
      const cases: (readonly [Point[], Point])[] = [
        [
          [
            [9, 50, 1],
            [1, 5, 2],
            [8, 99, 0],
          ],
          [1, 5, 2],
        ],
        [
          [
            [1, 5, 2],
            [3, 7, 2],
            [9, 6, 2],
          ],
          [3, 7, 2],
        ],
        [
          [
            [1, 5, 2],
            [7, 5, 2],
            [3, 5, 2],
          ],
          [7, 5, 2],
        ],
        [
          [
            [1, 1, -5],
            [2, 1, -7],
          ],
          [1, 1, -5],
        ],
        [
          [
            [1, 1, 0],
            ["NaN", 1, 1],
          ],
          ["NaN", 1, 1],
        ],
      ];
      for (const [points, [value, timestamp, step]] of cases) {
        const { latest } = await logged(points);
        expect(await latest()).toEqual([{ key: "m", value, timestamp, step }]);
      }
    });

    it("have a history in the order of time, step and value", async () => {
      const { history } = await logged([
        [1, 5, 1],
        [2, 5, 1],
        [9, 4, 1],
        [3, 9, 0],
        [-1, 5, -2],
        [2, 5, 1],
        [0.5, 5, 1],
      ]);
      // A database has each point once; Python's store of files has what was logged.
      const isFolder = !mlflow.getTrackingUri().startsWith("http");
      expect(await history()).toEqual([
        [9, 4, 1],
        [-1, 5, -2],
        [0.5, 5, 1],
        [1, 5, 1],
        [2, 5, 1],
        ...(isFolder ? [[2, 5, 1]] : []),
        [3, 9, 0],
      ]);
    });

    it("have a history that comes page after page", async () => {
      const points = Array.from({ length: 7 }, (_, step): Point => [step / 2, 1000 + step, step]);
      const { run_id } = await logged(points);
      const values: unknown[] = [];
      const sizes: number[] = [];
      let page_token: string | undefined;
      do {
        const request = { run_id, metric_key: "m", max_results: 3, page_token };
        const page = await ask(spec.getMetricHistory, request);
        for (const { value } of page.metrics ?? []) values.push(value);
        sizes.push(page.metrics?.length ?? 0);
        page_token = page.next_page_token;
      } while (page_token !== undefined);
      expect([values, sizes]).toEqual([points.map(([value]) => value), [3, 3, 1]]);
      const request = { run_id, metric_key: "m", max_results: 7 };
      expect(await ask(spec.getMetricHistory, request)).not.toHaveProperty("next_page_token");
      const ask1 = (more: object) =>
        codeOf(askLoosely(spec.getMetricHistory, { run_id, metric_key: "m", ...more }));
      expect(await ask1({ max_results: 3, page_token: "zzz" })).toBe(INVALID);
      expect(await ask1({ max_results: 0 })).toBe(INVALID);
      expect(await codeOf(askLoosely(spec.getMetricHistory, { run_id }))).toBe(INVALID);
      expect(await ask(spec.getMetricHistory, { run_id, metric_key: "other" })).toEqual({});
    });

    it("that cannot be are refused, and leave nothing", async () => {
      const run_id = await newRun();
      const point = { run_id, key: "m", value: 1, timestamp: 1, step: 0 };
      const { timestamp: _time, ...timeless } = point;
      const { value: _value, ...worthless } = point;
      expect(
        await codesOf({
          "a text": () => ask(spec.logMetric, { ...point, value: "abc" }),
          "a time before time": () => ask(spec.logMetric, { ...point, timestamp: -1 }),
          "no time": () => askLoosely(spec.logMetric, timeless),
          "no value": () => askLoosely(spec.logMetric, worthless),
        }),
      ).toEqual({
        "a text": INVALID,
        "a time before time": INVALID,
        "no time": INVALID,
        "no value": INVALID,
      });
      for (const key of BAD_KEYS) {
        const code = await codeOf(ask(spec.logMetric, { ...point, key }));
        expect([key, code]).toEqual([key, INVALID]);
      }
      expect((await dataOf(run_id)).metrics).toEqual({});
    });

    it("may have odd names, and no step", async () => {
      const { latest, run_id } = await logged([[1, 1, 0]], ODD_KEY);
      expect(await latest()).toEqual([{ key: ODD_KEY, value: 1, timestamp: 1, step: 0 }]);
      await askLoosely(spec.logMetric, { run_id, key: "n", value: 2, timestamp: 3 });
      expect(plain(await ask(spec.getMetricHistory, { run_id, metric_key: "n" }))).toEqual({
        metrics: [{ key: "n", value: 2, timestamp: 3, step: 0 }],
      });
    });
  });

  describe("a batch", () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: "x" }));
    const points = (count: number) =>
      Array.from({ length: count }, (_, step) => ({ key: "m", value: step, timestamp: 1, step }));

    it("writes metrics, params and tags", async () => {
      const run_id = await newRun({ run_name: "r" });
      const answer = await ask(spec.logBatch, {
        run_id,
        metrics: [
          { key: "m", value: 1, timestamp: 1, step: 0 },
          { key: "m", value: 2, timestamp: 1, step: 1 },
          { key: "n", value: "NaN", timestamp: 1, step: 0 },
        ],
        params: [{ key: "p", value: "" }],
        tags: [
          { key: "t", value: "1" },
          { key: "t", value: "2" },
        ],
      });
      expect(answer).toEqual({});
      expect(await dataOf(run_id)).toEqual({
        metrics: { m: 2, n: "NaN" },
        params: { p: "" },
        tags: { t: "2", "mlflow.runName": "r" },
      });
      const history = await ask(spec.getMetricHistory, { run_id, metric_key: "m" });
      expect(history.metrics?.map(({ value }) => value)).toEqual([1, 2]);
      expect(await ask(spec.logBatch, { run_id })).toEqual({});
    });

    it("may be as large as MLflow allows, and no larger", async () => {
      const run_id = await newRun();
      const log = (batch: Omit<spec.LogBatchRequest, "run_id">) =>
        ask(spec.logBatch, { run_id, ...batch });
      expect(await log({ metrics: points(800), params: many(100), tags: many(100) })).toEqual({});
      expect(
        await codesOf({
          params: () => log({ params: many(101) }),
          tags: () => log({ tags: many(101) }),
          metrics: () => log({ metrics: points(1001) }),
          together: () => log({ metrics: points(1000), tags: many(1) }),
        }),
      ).toEqual({ params: INVALID, tags: INVALID, metrics: INVALID, together: INVALID });
      const { params, tags } = await dataOf(run_id);
      expect([Object.keys(params).length, Object.keys(tags).length]).toEqual([100, 101]);
    });

    it("that holds something impossible changes nothing", async () => {
      const run_id = await newRun({ run_name: "r" });
      await ask(spec.logParam, { run_id, key: "p", value: "1" });
      const metrics = [{ key: "m", value: 1, timestamp: 1, step: 0 }];
      const params = [{ key: "new", value: "1" }];
      const tags = [{ key: "t", value: "1" }];
      const log = (batch: Omit<spec.LogBatchRequest, "run_id">) => () =>
        ask(spec.logBatch, { run_id, metrics, params, tags, ...batch });
      const codes = await codesOf({
        "another value of a param": log({ params: [...params, { key: "p", value: "2" }] }),
        "a param twice": log({ params: [...params, { key: "new", value: "1" }] }),
        "a metric's name": log({ metrics: [...metrics, { ...metrics[0], key: "a//b" }] }),
        "a param's name": log({ params: [...params, { key: "a//b", value: "1" }] }),
        "a tag's name": log({ tags: [...tags, { key: "a//b", value: "1" }] }),
      });
      expect(new Set(Object.values(codes))).toEqual(new Set([INVALID]));
      expect(await dataOf(run_id)).toEqual({
        metrics: {},
        params: { p: "1" },
        tags: { "mlflow.runName": "r" },
      });
      await ask(spec.logBatch, { run_id, params: [{ key: "p", value: "1" }] });
    });
  });
});
