// What every store promises: MLflow's own answers, endpoint by endpoint. The server is the model.
import { setTimeout as delay } from "node:timers/promises";
import { beforeEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import * as spec from "../../src/mlflow/spec.js";
import { callStore, openStore, type Store } from "../../src/mlflow/stores.js";
import { uniqueName } from "../adapter/workplace.js";
import { onEachStore } from "./each-store.js";

const NO_RUN = "f".repeat(32);
const NO_EXPERIMENT = "987654321";
const MISSING = "RESOURCE_DOES_NOT_EXIST";
const EXISTS = "RESOURCE_ALREADY_EXISTS";
const INVALID = "INVALID_PARAMETER_VALUE";
const TOO_LONG_KEY = "k".repeat(251);
/** Names that MLflow refuses for metrics, params and tags. */
const BAD_KEYS = ["a//b", "../x", "..a", "a/../b", "/a", "a/", ".", "a#b", TOO_LONG_KEY, ""];
const ODD_KEY = "ü/日 本.x:y-_";

let store: Store;

function ask<Request extends object, Response>(
  endpoint: spec.Endpoint<Request, Response>,
  request: Request,
): Promise<Response> {
  return callStore(store, endpoint, request);
}

/** A request that lacks fields, or has values, that the types forbid. */
function askLoosely(endpoint: unknown, request: object): Promise<unknown> {
  return callStore(store, endpoint as spec.Endpoint<object, unknown>, request);
}

/** The error code of a call that must fail. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  const outcome = await call.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  );
  if ("answer" in outcome) return `no error, but ${JSON.stringify(outcome.answer)}`;
  return outcome.error instanceof mlflow.MlflowError ? outcome.error.code : String(outcome.error);
}

async function codesOf<K extends string>(
  calls: Readonly<Record<K, () => Promise<unknown>>>,
): Promise<Record<string, string>> {
  const codes: Record<string, string> = {};
  for (const [label, call] of Object.entries<() => Promise<unknown>>(calls)) {
    codes[label] = await codeOf(call());
  }
  return codes;
}

const WHOLE_NUMBERS: readonly string[] = [
  "timestamp",
  "step",
  "start_time",
  "end_time",
  "creation_time",
  "last_update_time",
  "creation_timestamp",
  "last_updated_timestamp",
  "file_size",
];
/** Lists whose order says nothing. */
const SETS: readonly string[] = ["metrics", "params", "tags", "aliases", "files"];
/** Parts of the server's answers that this client does not read. */
const UNREAD: readonly string[] = ["workspace", "inputs", "outputs"];

function sortKey(item: unknown): string {
  const { key, alias, path } = item as Record<string, unknown>;
  return String(key ?? alias ?? path ?? item);
}

/** A message in one form: 64-bit integers as numbers, sets sorted, parts nobody reads left out. */
function plain(message: unknown): unknown {
  if (Array.isArray(message)) return message.map(plain);
  if (typeof message !== "object" || message === null) return message;
  const fields = Object.entries(message)
    .filter(([name]) => !UNREAD.includes(name))
    .map(([name, value]) => {
      if (WHOLE_NUMBERS.includes(name)) return [name, Number(value)];
      const inside = plain(value);
      if (!SETS.includes(name) || !Array.isArray(inside)) return [name, inside];
      return [name, inside.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))];
    });
  return Object.fromEntries(fields);
}

const isServer = (): boolean => store.uri.startsWith("http");
/** The server's database has no infinity. */
const infinity = (sign: 1 | -1) =>
  isServer() ? sign * Number.MAX_VALUE : sign > 0 ? "Infinity" : "-Infinity";

async function newExperiment(stem = "contract"): Promise<string> {
  const { experiment_id } = await ask(spec.createExperiment, { name: uniqueName(stem) });
  return experiment_id as string;
}

async function newRun(
  more: { experiment_id?: string; run_name?: string; start_time?: number; user_id?: string } = {},
): Promise<string> {
  const experiment_id = more.experiment_id ?? (await newExperiment());
  const request = { start_time: 1000, ...more, experiment_id };
  const { run } = await ask(spec.createRun, request);
  return run?.info?.run_id as string;
}

async function dataOf(run_id: string) {
  const { run } = await ask(spec.getRun, { run_id });
  const pairs = (items: readonly { key: string; value?: unknown }[] = []) =>
    Object.fromEntries(items.map(({ key, value }) => [key, value]));
  const { metrics, params, tags } = run?.data ?? {};
  return { metrics: pairs(metrics), params: pairs(params), tags: pairs(tags) };
}

beforeEach(() => {
  // An error is an answer here, not a reason to ask again.
  vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
  return () => vi.unstubAllEnvs();
});

onEachStore(() => {
  beforeEach(() => {
    store = openStore(mlflow.getTrackingUri());
  });

  describe("experiments", () => {
    const anExperiment = (name: string, experiment_id: string) => ({
      experiment_id,
      name,
      artifact_location: expect.stringMatching(new RegExp(`/${experiment_id}$`)),
      lifecycle_stage: "active",
      creation_time: expect.any(Number),
      last_update_time: expect.any(Number),
    });

    it("are created and read by id and by name", async () => {
      const name = uniqueName("größe 'x' \"y\" / #");
      const before = Date.now();
      const answer = await ask(spec.createExperiment, { name });
      expect(answer).toEqual({ experiment_id: expect.stringMatching(/^\d+$/) });
      const experiment_id = answer.experiment_id as string;
      const expected = { experiment: anExperiment(name, experiment_id) };
      const byId = plain(await ask(spec.getExperiment, { experiment_id }));
      expect(byId).toEqual(expected);
      const byName = await ask(spec.getExperimentByName, { experiment_name: name });
      expect(plain(byName)).toEqual(byId);
      const created = Number(byName.experiment?.creation_time);
      expect(created).toBeGreaterThanOrEqual(before);
      expect(created).toBeLessThanOrEqual(Date.now());
      expect(Number(byName.experiment?.last_update_time)).toBe(created);
    });

    it("keep their tags and their artifact location", async () => {
      const name = uniqueName("tagged");
      const { experiment_id = "" } = await ask(spec.createExperiment, {
        name,
        artifact_location: "s3://bucket/path",
        tags: [
          { key: "a", value: "1" },
          { key: ODD_KEY, value: "💡" },
        ],
      });
      expect(plain(await ask(spec.getExperiment, { experiment_id }))).toEqual({
        experiment: {
          ...anExperiment(name, experiment_id),
          artifact_location: "s3://bucket/path",
          tags: [
            { key: "a", value: "1" },
            { key: ODD_KEY, value: "💡" },
          ],
        },
      });
      const { run } = await ask(spec.createRun, { experiment_id, start_time: 1 });
      const { artifact_uri, run_id } = run?.info ?? {};
      expect(artifact_uri).toBe(`s3://bucket/path/${run_id}/artifacts`);
    });

    it("take tags later, the last value wins", async () => {
      const experiment_id = await newExperiment();
      const set = (key: string, value: string) =>
        ask(spec.setExperimentTag, { experiment_id, key, value });
      expect(await set("t/a", "one")).toEqual({});
      await set("t/a", "two\nlines");
      await set("empty", "");
      const { experiment } = await ask(spec.getExperiment, { experiment_id });
      expect(plain({ tags: experiment?.tags })).toEqual({
        tags: [
          { key: "empty", value: "" },
          { key: "t/a", value: "two\nlines" },
        ],
      });
    });

    it("are deleted and restored, with their runs", async () => {
      const name = uniqueName("deleted");
      const { experiment_id = "" } = await ask(spec.createExperiment, { name });
      const run_id = await newRun({ experiment_id });
      expect(await ask(spec.deleteExperiment, { experiment_id })).toEqual({});
      const deleted = {
        ...anExperiment(name, experiment_id),
        lifecycle_stage: "deleted",
      };
      expect(plain(await ask(spec.getExperiment, { experiment_id }))).toEqual({
        experiment: deleted,
      });
      const byName = await ask(spec.getExperimentByName, { experiment_name: name });
      expect(plain(byName)).toEqual({ experiment: deleted });
      const ofRun = async () =>
        (await ask(spec.getRun, { run_id })).run?.info?.lifecycle_stage ?? "";
      expect(await ofRun()).toBe("deleted");
      const writes = await codesOf({
        "a run": () => ask(spec.createRun, { experiment_id, start_time: 1 }),
        "a tag": () => ask(spec.setExperimentTag, { experiment_id, key: "a", value: "b" }),
        "a run's tag": () => ask(spec.setTag, { run_id, key: "a", value: "b" }),
        "the same name": () => ask(spec.createExperiment, { name }),
        again: () => ask(spec.deleteExperiment, { experiment_id }),
      });
      expect(writes).toEqual({
        "a run": INVALID,
        "a tag": INVALID,
        "a run's tag": INVALID,
        "the same name": EXISTS,
        again: MISSING,
      });
      expect(await ask(spec.restoreExperiment, { experiment_id })).toEqual({});
      expect(plain(await ask(spec.getExperiment, { experiment_id }))).toEqual({
        experiment: anExperiment(name, experiment_id),
      });
      expect(await ofRun()).toBe("active");
      expect(await codeOf(ask(spec.restoreExperiment, { experiment_id }))).toBe(MISSING);
    });

    it("that cannot be are refused", async () => {
      const name = uniqueName("twice");
      const { experiment_id = "" } = await ask(spec.createExperiment, { name });
      const tag = (key: string, value: string, id = experiment_id) =>
        ask(spec.setExperimentTag, { experiment_id: id, key, value });
      const codes = await codesOf({
        "the same name": () => ask(spec.createExperiment, { name }),
        "no name": () => askLoosely(spec.createExperiment, {}),
        "an empty name": () => ask(spec.createExperiment, { name: "" }),
        "a long name": () => ask(spec.createExperiment, { name: "x".repeat(501) }),
        "a location with a fragment": () =>
          ask(spec.createExperiment, {
            name: uniqueName("fragment"),
            artifact_location: "s3://bucket/path#x",
          }),
        "get: no id": () => askLoosely(spec.getExperiment, {}),
        "get: none": () => ask(spec.getExperiment, { experiment_id: NO_EXPERIMENT }),
        "get by name: none": () => ask(spec.getExperimentByName, { experiment_name: "no such" }),
        "tag: none": () => tag("a", "b", NO_EXPERIMENT),
        "tag: a long value": () => tag("a", "v".repeat(20_001)),
        "delete: none": () => ask(spec.deleteExperiment, { experiment_id: NO_EXPERIMENT }),
        "restore: none": () => ask(spec.restoreExperiment, { experiment_id: NO_EXPERIMENT }),
        "restore: active": () => ask(spec.restoreExperiment, { experiment_id }),
      });
      expect(codes).toEqual({
        "the same name": EXISTS,
        "no name": INVALID,
        "an empty name": INVALID,
        "a long name": INVALID,
        "a location with a fragment": INVALID,
        "get: no id": INVALID,
        "get: none": MISSING,
        "get by name: none": MISSING,
        "tag: none": MISSING,
        "tag: a long value": INVALID,
        "delete: none": MISSING,
        "restore: none": MISSING,
        "restore: active": MISSING,
      });
      for (const key of BAD_KEYS)
        expect([key, await codeOf(tag(key, "v"))]).toEqual([key, INVALID]);
    });
  });

  describe("search of experiments", () => {
    /** A, b and c, created in this order; c is deleted, A is tagged last. */
    async function three() {
      const mark = uniqueName("mark");
      const label = new Map<string, string>();
      const times: number[] = [];
      for (const letter of ["A", "b", "c"]) {
        const { experiment_id = "" } = await ask(spec.createExperiment, {
          name: `${letter}-${mark}`,
          tags: [
            { key: "mark", value: mark },
            { key: "odd.key/with space", value: letter },
          ],
        });
        label.set(experiment_id, letter);
        const { experiment } = await ask(spec.getExperiment, { experiment_id });
        times.push(Number(experiment?.creation_time));
        await delay(5);
      }
      const [first = "", , last = ""] = label.keys();
      await ask(spec.deleteExperiment, { experiment_id: last });
      await ask(spec.setExperimentTag, { experiment_id: first, key: "later", value: "1" });
      const search = async (
        filter: string,
        more: { order_by?: string[]; view_type?: string; max_results?: number } = {},
      ) => {
        const found = await ask(spec.searchExperiments, { max_results: 1000, ...more, filter });
        return (found.experiments ?? [])
          .map(({ experiment_id }) => label.get(experiment_id) ?? "?")
          .join("");
      };
      return { mark, times, search };
    }

    it("compares names, tags and times", async () => {
      const { mark, times, search } = await three();
      const [first, second] = times;
      const all = `tags.mark = '${mark}'`;
      const expected: Record<string, string> = {
        [all]: "bA",
        [`tag.mark = '${mark}'`]: "bA",
        [`  tags.mark   =   "${mark}"  `]: "bA",
        [`tags.mark LIKE '${mark.slice(0, -2)}%'`]: "bA",
        [`tags.mark ILIKE '${mark.toUpperCase()}'`]: "bA",
        [`${all} and tags.\`odd.key/with space\` = 'A'`]: "A",
        [`${all} and tags."odd.key/with space" = 'A'`]: "A",
        [`${all} AND tags.\`odd.key/with space\` != 'A'`]: "b",
        [`${all} and tags.later = '1'`]: "A",
        [`${all} and tags.later != '2'`]: "A",
        [`${all} and tags.later IS NULL`]: "b",
        [`${all} and tags.later IS NOT NULL`]: "A",
        [`name = 'A-${mark}'`]: "A",
        [`attribute.name = 'b-${mark}'`]: "b",
        [`name = 'a-${mark}'`]: "",
        [`name != 'A-${mark}' and ${all}`]: "b",
        [`name LIKE '%${mark}'`]: "bA",
        [`name LIKE 'a-%' and ${all}`]: "",
        [`name ILIKE 'a-%' and ${all}`]: "A",
        [`name LIKE '_-%' and ${all}`]: "bA",
        [`creation_time = ${second} and ${all}`]: "b",
        [`creation_time != ${second} and ${all}`]: "A",
        [`creation_time > ${first} and ${all}`]: "b",
        [`creation_time >= ${first} and ${all}`]: "bA",
        [`creation_time < ${second} and ${all}`]: "A",
        [`creation_time <= ${second} and ${all}`]: "bA",
        [`last_update_time >= ${first} and ${all}`]: "bA",
      };
      const found: Record<string, string> = {};
      for (const filter of Object.keys(expected)) found[filter] = await search(filter);
      expect(found).toEqual(expected);
    });

    it("orders them, newest first when not told otherwise", async () => {
      const { mark, search } = await three();
      const orders: Record<string, string> = {
        "": "cbA",
        name: "Abc",
        "name ASC": "Abc",
        "name DESC": "cbA",
        creation_time: "Abc",
        "creation_time desc": "cbA",
        "attribute.creation_time": "Abc",
      };
      const found: Record<string, string> = {};
      for (const order of Object.keys(orders)) {
        const order_by = order === "" ? [] : [order];
        found[order] = await search(`tags.mark = '${mark}'`, { order_by, view_type: "ALL" });
      }
      expect(found).toEqual(orders);
    });

    it("shows the active ones, the deleted ones, or all", async () => {
      const { mark, search } = await three();
      const views: Record<string, string> = { ACTIVE_ONLY: "bA", DELETED_ONLY: "c", ALL: "cbA" };
      const found: Record<string, string> = {};
      for (const view_type of Object.keys(views)) {
        found[view_type] = await search(`tags.mark = '${mark}'`, { view_type });
      }
      expect(found).toEqual(views);
    });

    it("comes page after page", async () => {
      const { mark } = await three();
      const request = { filter: `tags.mark = '${mark}'`, view_type: "ALL" };
      const names: string[] = [];
      const sizes: number[] = [];
      let page_token: string | undefined;
      do {
        const page = await ask(spec.searchExperiments, { ...request, max_results: 2, page_token });
        for (const { name } of page.experiments ?? []) names.push(name?.charAt(0) ?? "");
        sizes.push(page.experiments?.length ?? 0);
        page_token = page.next_page_token;
      } while (page_token !== undefined);
      expect([names.join(""), sizes]).toEqual(["cbA", [2, 1]]);
      const exact = await ask(spec.searchExperiments, { ...request, max_results: 3 });
      expect(exact).not.toHaveProperty("next_page_token");
    });

    it("answers nothing but {} when there is none", async () => {
      const filter = `name = '${uniqueName("none")}'`;
      expect(await ask(spec.searchExperiments, { filter, max_results: 5 })).toEqual({});
    });

    it("refuses what it does not understand", async () => {
      const filters = [
        "name",
        "garbage",
        "name =",
        "name = x",
        "name = 1",
        "name == 'x'",
        "nope = 'x'",
        "metrics.a > 1",
        "attributes.name = 'x'",
        "lifecycle_stage = 'active'",
        "creation_time > 'x'",
        "name IN ('a', 'b')",
        "name = 'a' OR name = 'b'",
        "(name = 'a')",
      ];
      for (const filter of filters) {
        const code = await codeOf(ask(spec.searchExperiments, { filter, max_results: 5 }));
        expect([filter, code]).toEqual([filter, INVALID]);
      }
      for (const order of ["nope", "name UP", "tags.a", "name ASC DESC", "", "attributes.name"]) {
        const request = { order_by: [order], max_results: 5 };
        const code = await codeOf(ask(spec.searchExperiments, request));
        expect([order, code]).toEqual([order, INVALID]);
      }
      const search = (request: object) => () => askLoosely(spec.searchExperiments, request);
      expect(
        await codesOf({
          "no max_results": search({}),
          "0": search({ max_results: 0 }),
          "-1": search({ max_results: -1 }),
          "50001": search({ max_results: 50_001 }),
          "a page token of nobody": search({ max_results: 5, page_token: "zzz" }),
        }),
      ).toEqual({
        "no max_results": INVALID,
        "0": INVALID,
        "-1": INVALID,
        "50001": INVALID,
        "a page token of nobody": INVALID,
      });
    });
  });

  describe("runs", () => {
    const anInfo = (run_id: unknown, experiment_id: string) => ({
      run_id,
      run_uuid: run_id,
      experiment_id,
      run_name: expect.stringMatching(/^[a-z]+-[a-z]+-\d+$/),
      user_id: "",
      status: "RUNNING",
      start_time: 0,
      artifact_uri: expect.stringMatching(new RegExp(`/${experiment_id}/[0-9a-f]{32}/artifacts$`)),
      lifecycle_stage: "active",
    });
    const anId = expect.stringMatching(/^[0-9a-f]{32}$/);

    it("are created with a name that the store invents", async () => {
      const experiment_id = await newExperiment();
      const answer = await ask(spec.createRun, { experiment_id });
      const run_name = answer.run?.info?.run_name;
      expect(plain(answer)).toEqual({
        run: {
          info: anInfo(anId, experiment_id),
          data: { tags: [{ key: "mlflow.runName", value: run_name }] },
        },
      });
      expect(answer.run?.info?.run_uuid).toBe(answer.run?.info?.run_id);
      const run_id = answer.run?.info?.run_id as string;
      expect(plain(await ask(spec.getRun, { run_id }))).toEqual(plain(answer));
      expect(answer.run?.info?.artifact_uri).toContain(`/${run_id}/`);
    });

    it("are created with name, user, time and tags", async () => {
      const experiment_id = await newExperiment();
      const answer = await ask(spec.createRun, {
        experiment_id,
        run_name: "größe",
        user_id: "ada",
        start_time: 5,
        tags: [
          { key: "genops.team", value: "search" },
          { key: "mlflow.user", value: "bob" },
        ],
      });
      expect(plain(answer)).toEqual({
        run: {
          info: {
            ...anInfo(anId, experiment_id),
            run_name: "größe",
            user_id: "ada",
            start_time: 5,
          },
          data: {
            tags: [
              { key: "genops.team", value: "search" },
              { key: "mlflow.runName", value: "größe" },
              { key: "mlflow.user", value: "bob" },
            ],
          },
        },
      });
    });

    it("have one name, in their info and as a tag", async () => {
      const experiment_id = await newExperiment();
      const tagged = (value: string) => [{ key: "mlflow.runName", value }];
      const create = (run_name: string | undefined, tags?: spec.KeyValueMessage[]) =>
        ask(spec.createRun, { experiment_id, start_time: 1, run_name, tags });
      const { run } = await create(undefined, tagged("by tag"));
      expect(run?.info?.run_name).toBe("by tag");
      expect((await create("same", tagged("same"))).run?.info?.run_name).toBe("same");
      expect((await create("")).run?.info?.run_name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
      expect(await codeOf(create("x", tagged("y")))).toBe(INVALID);

      const run_id = run?.info?.run_id as string;
      const names = async () => {
        const { info, data } = (await ask(spec.getRun, { run_id })).run ?? {};
        return [info?.run_name, data?.tags?.find(({ key }) => key === "mlflow.runName")?.value];
      };
      await ask(spec.updateRun, { run_id, run_name: "updated" });
      expect(await names()).toEqual(["updated", "updated"]);
      await ask(spec.setTag, { run_id, key: "mlflow.runName", value: "set" });
      expect(await names()).toEqual(["set", "set"]);
      await ask(spec.logBatch, { run_id, tags: tagged("batch") });
      expect(await names()).toEqual(["batch", "batch"]);
      await ask(spec.updateRun, { run_id, run_name: "" });
      expect(await names()).toEqual(["batch", "batch"]);
      await ask(spec.deleteTag, { run_id, key: "mlflow.runName" });
      expect(await names()).toEqual(["batch", undefined]);
    });

    it("change status and end time, and nothing they are not told", async () => {
      const experiment_id = await newExperiment();
      const run_id = await newRun({ experiment_id, run_name: "r", user_id: "ada" });
      const info = {
        ...anInfo(run_id, experiment_id),
        run_name: "r",
        user_id: "ada",
        start_time: 1000,
      };
      const update = async (changes: { status?: string; end_time?: number }) =>
        plain(await ask(spec.updateRun, { run_id, ...changes }));
      expect(await update({})).toEqual({ run_info: info });
      const ended = { ...info, status: "FINISHED", end_time: 7700 };
      expect(await update({ status: "FINISHED", end_time: 7700 })).toEqual({ run_info: ended });
      for (const status of ["RUNNING", "SCHEDULED", "FAILED", "KILLED"]) {
        expect(await update({ status })).toEqual({ run_info: { ...ended, status } });
      }
      expect(await update({ end_time: 12 })).toEqual({
        run_info: { ...ended, status: "KILLED", end_time: 12 },
      });
      const { run } = await ask(spec.getRun, { run_id });
      expect(plain(run?.info)).toEqual({ ...ended, status: "KILLED", end_time: 12 });
    });

    it("are deleted, refuse every write, and are restored as they were", async () => {
      const experiment_id = await newExperiment();
      const run_id = await newRun({ experiment_id });
      await ask(spec.setTag, { run_id, key: "a", value: "b" });
      await ask(spec.logMetric, { run_id, key: "m", value: 1, timestamp: 1, step: 0 });
      const before = plain(await ask(spec.getRun, { run_id }));
      expect(await ask(spec.deleteRun, { run_id })).toEqual({});
      expect(await ask(spec.deleteRun, { run_id })).toEqual({});
      const { run } = await ask(spec.getRun, { run_id });
      expect(run?.info?.lifecycle_stage).toBe("deleted");
      const history = await ask(spec.getMetricHistory, { run_id, metric_key: "m" });
      expect(history.metrics).toHaveLength(1);
      expect(Object.keys(await ask(spec.listArtifacts, { run_id }))).toEqual(["root_uri"]);
      const writes = {
        metric: () => ask(spec.logMetric, { run_id, key: "m", value: 1, timestamp: 1, step: 0 }),
        param: () => ask(spec.logParam, { run_id, key: "p", value: "1" }),
        tag: () => ask(spec.setTag, { run_id, key: "a", value: "c" }),
        "tag removal": () => ask(spec.deleteTag, { run_id, key: "a" }),
        batch: () => ask(spec.logBatch, { run_id, tags: [{ key: "a", value: "c" }] }),
        update: () => ask(spec.updateRun, { run_id, status: "FINISHED" }),
      };
      expect(new Set(Object.values(await codesOf(writes)))).toEqual(new Set([INVALID]));
      expect(await ask(spec.restoreRun, { run_id })).toEqual({});
      expect(await ask(spec.restoreRun, { run_id })).toEqual({});
      expect(plain(await ask(spec.getRun, { run_id }))).toEqual(before);
    });

    it("that are not there are missing, whatever is asked of them", async () => {
      const run_id = NO_RUN;
      const calls = {
        get: () => ask(spec.getRun, { run_id }),
        update: () => ask(spec.updateRun, { run_id, status: "FINISHED" }),
        delete: () => ask(spec.deleteRun, { run_id }),
        restore: () => ask(spec.restoreRun, { run_id }),
        metric: () => ask(spec.logMetric, { run_id, key: "m", value: 1, timestamp: 1, step: 0 }),
        param: () => ask(spec.logParam, { run_id, key: "p", value: "1" }),
        tag: () => ask(spec.setTag, { run_id, key: "a", value: "c" }),
        "tag removal": () => ask(spec.deleteTag, { run_id, key: "a" }),
        batch: () => ask(spec.logBatch, { run_id, tags: [{ key: "a", value: "c" }] }),
        artifacts: () => ask(spec.listArtifacts, { run_id }),
        "an experiment": () => ask(spec.createRun, { experiment_id: NO_EXPERIMENT }),
      };
      const codes = await codesOf(calls);
      expect(codes).toEqual(Object.fromEntries(Object.keys(calls).map((key) => [key, MISSING])));
      // The server has no history to show, and does not look for the run.
      expect(await ask(spec.getMetricHistory, { run_id, metric_key: "m" })).toEqual({});
    });

    it("cannot be asked for without an id", async () => {
      for (const endpoint of [
        spec.getRun,
        spec.updateRun,
        spec.deleteRun,
        spec.restoreRun,
        spec.listArtifacts,
      ]) {
        expect([endpoint.route, await codeOf(askLoosely(endpoint, {}))]).toEqual([
          endpoint.route,
          INVALID,
        ]);
      }
    });
  });

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

    it("have a history in the order of time, step and value, each point once", async () => {
      const { history } = await logged([
        [1, 5, 1],
        [2, 5, 1],
        [9, 4, 1],
        [3, 9, 0],
        [-1, 5, -2],
        [2, 5, 1],
        [0.5, 5, 1],
      ]);
      expect(await history()).toEqual([
        [9, 4, 1],
        [-1, 5, -2],
        [0.5, 5, 1],
        [1, 5, 1],
        [2, 5, 1],
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

  describe("search of runs", () => {
    /**
     * Runs a to f, and x which is deleted, oldest first: f, a, b, then c and d at the same moment.
     * c's accuracy is not a number, f's is infinite, d has none.
     */
    async function sixRuns() {
      const experiment_id = await newExperiment("search");
      const label = new Map<string, string>();
      const idOf = new Map<string, string>();
      const add = async (
        name: string,
        start_time: number,
        user_id: string,
        batch: {
          metrics?: Record<string, number | string>;
          params?: Record<string, string>;
          tags?: Record<string, string>;
        },
        end?: readonly [status: string, end_time: number],
      ) => {
        const run_id = await newRun({ experiment_id, run_name: name, start_time, user_id });
        label.set(run_id, name);
        idOf.set(name, run_id);
        const pairs = (record: Record<string, string> = {}) =>
          Object.entries(record).map(([key, value]) => ({ key, value }));
        const metrics = Object.entries(batch.metrics ?? {}).map(([key, value]) => ({
          key,
          value,
          timestamp: 1,
          step: 0,
        }));
        const { params, tags } = batch;
        await ask(spec.logBatch, { run_id, metrics, params: pairs(params), tags: pairs(tags) });
        if (end === undefined) return;
        await ask(spec.updateRun, { run_id, status: end[0], end_time: end[1] });
      };
      await add(
        "a",
        1000,
        "ada",
        {
          metrics: { acc: 0.5, "odd key/x.y": 1 },
          params: { lr: "0.1", opt: "Adam", "p q": "1" },
          tags: { team: "Search", "a.b/c d": "x", num: "10" },
        },
        ["FINISHED", 1500],
      );
      await add(
        "b",
        2000,
        "bob",
        {
          metrics: { acc: 0.75 },
          params: { lr: "0.01", opt: "sgd" },
          tags: { team: "search" },
        },
        ["FAILED", 2500],
      );
      const third = { metrics: { acc: "NaN" }, params: { lr: "0.1" }, tags: { team: "it's" } };
      await add("c", 3000, "ada", third);
      await add("d", 3000, "ada", { params: { opt: "ADAM" } });
      await add("f", 500, "ada", { metrics: { acc: "Infinity" } });
      await add("x", 4000, "ada", { metrics: { acc: 0.9 } });
      await ask(spec.deleteRun, { run_id: idOf.get("x") as string });
      /** c and d began at the same moment: the smaller id comes first, whatever the order. */
      const tie =
        (idOf.get("c") as string) < (idOf.get("d") as string)
          ? (labels: string) => labels
          : (labels: string) => labels.replace("cd", "dc");
      const search = async (request: {
        filter?: string;
        order_by?: string[];
        run_view_type?: string;
      }) => {
        const { runs = [] } = await ask(spec.searchRuns, {
          experiment_ids: [experiment_id],
          max_results: 100,
          ...request,
        });
        return runs.map(({ info }) => label.get(info?.run_id as string) ?? "?").join("");
      };
      return { experiment_id, idOf, search, tie };
    }

    async function expectFound(
      search: (request: { filter?: string; order_by?: string[] }) => Promise<string>,
      expected: Readonly<Record<string, string>>,
      tie: (labels: string) => string,
    ): Promise<void> {
      const found: Record<string, string> = {};
      const wanted: Record<string, string> = {};
      for (const [filter, labels] of Object.entries(expected)) {
        found[filter] = await search({ filter });
        wanted[filter] = tie(labels);
      }
      expect(found).toEqual(wanted);
    }

    it("compares metrics", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "metrics.acc > 0.5": "bf",
          "metrics.acc >= 0.5": "baf",
          "metrics.acc < 0.75": "a",
          "metrics.acc <= 0.75": "ba",
          "metrics.acc = 0.5": "a",
          "metrics.acc != 0.5": "cbf",
          "metric.acc > 0.5": "bf",
          "metrics.acc > 5e-1": "bf",
          "metrics.acc > .5": "bf",
          "metrics.acc > -1": "baf",
          "metrics.acc > 1e308": "f",
          "metrics.nope > 0": "",
          "  metrics.acc   >   0.5  ": "bf",
          "metrics.`odd key/x.y` = 1": "a",
          'metrics."odd key/x.y" = 1': "a",
        },
        tie,
      );
    });

    it("compares params", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "params.opt = 'Adam'": "a",
          'params.opt = "sgd"': "b",
          "params.Opt = 'Adam'": "",
          "params.opt = ''": "",
          "params.opt != 'Adam'": "db",
          "params.opt LIKE 'A%'": "da",
          "params.opt LIKE 'a%'": "",
          "params.opt ILIKE 'a%'": "da",
          "params.opt ILIKE '%D%'": "dba",
          "params.opt LIKE '_gd'": "b",
          "params.opt LIKE 'Ad.m'": "",
          "params.opt IS NULL": "cf",
          "params.opt is null": "cf",
          "params.opt IS NOT NULL": "dba",
          "params.nope IS NULL": "cdbaf",
          "params.`p q` = '1'": "a",
          "param.opt = 'sgd'": "b",
          "parameter.opt = 'sgd'": "b",
          "parameters.opt='sgd'": "b",
        },
        tie,
      );
    });

    it("compares tags", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "tags.team = 'search'": "b",
          "tag.team = 'search'": "b",
          "tags.team != 'search'": "ca",
          "tags.team LIKE 'S%'": "a",
          "tags.team ILIKE 'SEARCH'": "ba",
          'tags.team = "it\'s"': "c",
          "tags.team IS NULL": "df",
          "tags.team IS NOT NULL": "cba",
          "tags.num = '10'": "a",
          "tags.`a.b/c d` = 'x'": "a",
          "tags.\"a.b/c d\" = 'x'": "a",
          "tags.mlflow.runName = 'a'": "a",
          "tags.`mlflow.runName` = 'a'": "a",
        },
        tie,
      );
    });

    it("compares attributes", async () => {
      const { search, tie, idOf } = await sixRuns();
      const [a, b] = [idOf.get("a"), idOf.get("b")];
      await expectFound(
        search,
        {
          "attributes.status = 'FINISHED'": "a",
          "attribute.status = 'RUNNING'": "cdf",
          "attr.status='RUNNING'": "cdf",
          "run.status = 'RUNNING'": "cdf",
          "status != 'FINISHED'": "cdbf",
          "status = 'finished'": "",
          "status LIKE 'F%'": "ba",
          "run_name = 'a'": "a",
          "run_name != 'a'": "cdbf",
          "run_name ILIKE 'A'": "a",
          "attributes.`run name` = 'a'": "a",
          "attributes.`Run name` = 'a'": "a",
          "user_id = 'bob'": "b",
          "start_time > 1000": "cdb",
          "attributes.start_time >= 1000": "cdba",
          "start_time = 3000": "cd",
          "start_time != 3000": "baf",
          "start_time <= 1000 and start_time > 500": "a",
          "created > 1000": "cdb",
          "end_time > 0": "ba",
          "end_time < 2000": "a",
          "artifact_uri LIKE '%artifacts'": "cdbaf",
          [`run_id = '${a}'`]: "a",
          [`attributes.run_id IN ('${a}', '${b}')`]: "ba",
          [`run_id NOT IN ('${a}')`]: "cdbf",
        },
        tie,
      );
    });

    it("joins comparisons with and", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "": "cdbaf",
          "metrics.acc > 0.5 AND params.lr = '0.01'": "b",
          "metrics.acc > 0.1 and params.lr='0.1' and tags.team='Search' and status = 'FINISHED'":
            "a",
          "params.opt LIKE 'A%' and params.opt LIKE '%m'": "a",
          "metrics.acc > 0.1 and metrics.acc < 0.6": "a",
          "metrics.acc > 0.5 and metrics.nope > 1": "",
        },
        tie,
      );
    });

    it("refuses what it does not understand", async () => {
      const { search } = await sixRuns();
      const filters = [
        "garbage",
        "metrics.acc",
        "metrics.acc >",
        "= 3",
        "metrics.acc == 0.5",
        "metrics.acc ~ 3",
        "metrics.acc > 'a'",
        "metrics.acc LIKE 1",
        "metrics.acc IN (0.5)",
        "metrics.acc IS NULL",
        "METRICS.acc > 0.5",
        "metrics.acc > 0.5 OR params.lr = '0.1'",
        "(metrics.acc > 0.5)",
        "params.lr > '0.01'",
        "params.lr = 0.1",
        "params.opt = Adam",
        "params.opt IN ('Adam', 'sgd')",
        "tags.num > '1'",
        "tags.team IN ('search')",
        "tags.team = 'search' ; drop",
        "start_time > '1000'",
        "end_time IS NULL",
        "status IN ('FAILED')",
        "attributes.nope = 'x'",
        "attributes.lifecycle_stage = 'active'",
        "attributes.experiment_id = '1'",
        "nope = 'x'",
        "nope.x = 'x'",
      ];
      for (const filter of filters) {
        expect([filter, await codeOf(search({ filter }))]).toEqual([filter, INVALID]);
      }
      for (const order of [
        "",
        "nope",
        "attributes.nope",
        "experiment_id",
        "metrics.acc UP",
        "metrics.acc ASC DESC",
        "metrics.acc, params.lr",
        "attributes.`run name`",
      ]) {
        const code = await codeOf(search({ order_by: [order] }));
        expect([order, code]).toEqual([order, INVALID]);
      }
    });

    it("orders runs, those without a value last", async () => {
      const { search, tie } = await sixRuns();
      const orders: (readonly [string[], string])[] = [
        [[], "cdbaf"],
        [["metrics.acc"], "abfcd"],
        [["metrics.acc ASC"], "abfcd"],
        [["metrics.acc DESC"], "fbacd"],
        [["metric.acc desc"], "fbacd"],
        [["metrics.nope"], "cdbaf"],
        [["metrics.`odd key/x.y` DESC"], "acdbf"],
        [["params.lr"], "bcadf"],
        [["params.lr DESC"], "cabdf"],
        [["params.`p q`"], "acdbf"],
        [["tags.team"], "acbdf"],
        [["tags.team DESC"], "bcadf"],
        [["start_time"], "fabcd"],
        [["attributes.start_time ASC"], "fabcd"],
        [["start_time DESC"], "cdbaf"],
        [["created DESC"], "cdbaf"],
        [["end_time"], "abcdf"],
        [["end_time DESC"], "bacdf"],
        [["status"], "bacdf"],
        [["status DESC"], "cdfab"],
        [["run_name DESC"], "fdcba"],
        [["user_id", "start_time DESC"], "cdafb"],
        [["user_id DESC", "start_time"], "bfacd"],
      ];
      const found: string[] = [];
      const wanted: string[] = [];
      for (const [order_by, labels] of orders) {
        found.push(`${order_by}: ${await search({ order_by })}`);
        // Only these orders tell c and d apart: by accuracy (not a number, none) and by name.
        const apart = /^metrics?\.acc|^run_name/.test(order_by[0] ?? "");
        wanted.push(`${order_by}: ${apart ? labels : tie(labels)}`);
      }
      expect(found).toEqual(wanted);
    });

    it("shows the active ones, the deleted ones, or all", async () => {
      const { search, tie } = await sixRuns();
      const views: Record<string, string> = {
        ACTIVE_ONLY: "cdbaf",
        DELETED_ONLY: "x",
        ALL: "xcdbaf",
      };
      for (const [run_view_type, labels] of Object.entries(views)) {
        expect([run_view_type, await search({ run_view_type })]).toEqual([
          run_view_type,
          tie(labels),
        ]);
      }
    });

    it("comes page after page, and every run whole", async () => {
      const { experiment_id } = await sixRuns();
      const request = { experiment_ids: [experiment_id], filter: "start_time > 0" };
      const sizes: number[] = [];
      const ids: string[] = [];
      let page_token: string | undefined;
      do {
        const page = await ask(spec.searchRuns, { ...request, max_results: 2, page_token });
        sizes.push(page.runs?.length ?? 0);
        for (const run of page.runs ?? []) {
          const run_id = run.info?.run_id as string;
          ids.push(run_id);
          expect(plain({ run })).toEqual(plain(await ask(spec.getRun, { run_id })));
        }
        page_token = page.next_page_token;
      } while (page_token !== undefined);
      expect(sizes).toEqual([2, 2, 1]);
      const whole = await ask(spec.searchRuns, { ...request, max_results: 5 });
      expect(whole.runs?.map(({ info }) => info?.run_id)).toEqual(ids);
      expect(whole).not.toHaveProperty("next_page_token");
    });

    it("looks into the experiments it is told, each once", async () => {
      const [one, two] = [await newExperiment(), await newExperiment()];
      const inOne = await newRun({ experiment_id: one, start_time: 1 });
      const inTwo = await newRun({ experiment_id: two, start_time: 2 });
      const idsIn = async (...experiment_ids: string[]) => {
        const { runs = [] } = await ask(spec.searchRuns, { experiment_ids });
        return runs.map(({ info }) => info?.run_id);
      };
      expect(await idsIn(one, two)).toEqual([inTwo, inOne]);
      expect(await idsIn(one, one)).toEqual([inOne]);
      expect(await ask(spec.searchRuns, { experiment_ids: [] })).toEqual({});
      expect(await ask(spec.searchRuns, { experiment_ids: [NO_EXPERIMENT] })).toEqual({});
    });

    it("finds the runs of a deleted experiment only among the deleted", async () => {
      const experiment_id = await newExperiment();
      await newRun({ experiment_id });
      await ask(spec.deleteExperiment, { experiment_id });
      const found = async (run_view_type: string) =>
        (await ask(spec.searchRuns, { experiment_ids: [experiment_id], run_view_type })).runs
          ?.length ?? 0;
      expect([await found("ACTIVE_ONLY"), await found("DELETED_ONLY")]).toEqual([0, 1]);
    });

    it("has pages of 1 to 50000, and tokens of its own", async () => {
      const experiment_ids = [await newExperiment()];
      const search = (more: { max_results?: number; page_token?: string }) => () =>
        ask(spec.searchRuns, { experiment_ids, ...more });
      expect(
        await codesOf({
          "0": search({ max_results: 0 }),
          "-1": search({ max_results: -1 }),
          "50001": search({ max_results: 50_001 }),
          "no base64": search({ page_token: "zzz" }),
          "no JSON": search({ page_token: "!!!" }),
          "no offset": search({ page_token: btoa("{}") }),
        }),
      ).toEqual({
        "0": INVALID,
        "-1": INVALID,
        "50001": INVALID,
        "no base64": INVALID,
        "no JSON": INVALID,
        "no offset": INVALID,
      });
      expect(await search({ max_results: 50_000, page_token: "" })()).toEqual({});
    });
  });

  describe("artifacts", () => {
    async function filled() {
      const run_id = await newRun();
      const client = new mlflow.MlflowClient();
      const write = (path: string, text: string) => client.logText(run_id, text, path);
      await write("b.txt", "hello");
      await write("a b.bin", "");
      await write("dir/ü.txt", "größe");
      await write("dir/sub/deep.txt", "x");
      const { run } = await ask(spec.getRun, { run_id });
      const root_uri = run?.info?.artifact_uri;
      const list = async (path?: string) => plain(await ask(spec.listArtifacts, { run_id, path }));
      return { root_uri, list, run_id };
    }

    it("are listed folder by folder", async () => {
      const { root_uri, list } = await filled();
      expect(await list()).toEqual({
        root_uri,
        files: [
          // No size means 0.
          { path: "a b.bin", is_dir: false },
          { path: "b.txt", is_dir: false, file_size: 5 },
          { path: "dir", is_dir: true },
        ],
      });
      const inside = {
        root_uri,
        files: [
          { path: "dir/sub", is_dir: true },
          { path: "dir/ü.txt", is_dir: false, file_size: 7 },
        ],
      };
      expect(await list("dir")).toEqual(inside);
      expect(await list("dir/")).toEqual(inside);
      expect(await list("dir/sub")).toEqual({
        root_uri,
        files: [{ path: "dir/sub/deep.txt", is_dir: false, file_size: 1 }],
      });
    });

    it("are listed in the order of their names", async () => {
      const { run_id } = await filled();
      const { files = [] } = await ask(spec.listArtifacts, { run_id });
      expect(files.map(({ path }) => path)).toEqual(["a b.bin", "b.txt", "dir"]);
    });

    it("that are not there, or no folder, hold nothing", async () => {
      const { root_uri, list } = await filled();
      expect(await list("none")).toEqual({ root_uri });
      expect(await list("b.txt")).toEqual({ root_uri });
    });

    it("outside the run are not listed", async () => {
      const { run_id } = await filled();
      for (const path of ["..", "../x", "dir/../../x", "/etc", "%2e%2e/x", "a#b"]) {
        const code = await codeOf(ask(spec.listArtifacts, { run_id, path }));
        expect([path, code]).toEqual([path, INVALID]);
      }
    });
  });

  describe("registered models", () => {
    async function newModel(): Promise<string> {
      const name = uniqueName("model ü");
      await ask(spec.createRegisteredModel, { name });
      return name;
    }
    async function newVersion(name: string): Promise<string> {
      const request = { name, source: "s3://bucket/model" };
      const { model_version } = await ask(spec.createModelVersion, request);
      return model_version?.version as string;
    }
    async function modelWithVersions(count: number): Promise<string> {
      const name = await newModel();
      for (let version = 1; version <= count; version++) await newVersion(name);
      return name;
    }
    const move = (name: string, version: string, stage: string, archive = false) =>
      ask(spec.transitionModelVersionStage, {
        name,
        version,
        stage,
        archive_existing_versions: archive,
      });
    async function stagesOf(name: string, count: number): Promise<(string | undefined)[]> {
      const stages: (string | undefined)[] = [];
      for (let version = 1; version <= count; version++) {
        const request = { name, version: String(version) };
        const { model_version } = await ask(spec.getModelVersion, request);
        stages.push(model_version?.current_stage);
      }
      return stages;
    }
    const aVersion = (name: string, version: string) => ({
      name,
      version,
      creation_timestamp: expect.any(Number),
      last_updated_timestamp: expect.any(Number),
      current_stage: "None",
      description: "",
      source: "s3://bucket/model",
      run_id: "",
      run_link: "",
      status: "READY",
    });

    it("are created and read", async () => {
      const name = uniqueName("model 'ü' \"x\"");
      const before = Date.now();
      const answer = await ask(spec.createRegisteredModel, {
        name,
        description: "What it is",
        tags: [{ key: "k/x", value: "v" }],
      });
      expect(plain(answer)).toEqual({
        registered_model: {
          name,
          creation_timestamp: expect.any(Number),
          last_updated_timestamp: expect.any(Number),
          description: "What it is",
          tags: [{ key: "k/x", value: "v" }],
        },
      });
      expect(plain(await ask(spec.getRegisteredModel, { name }))).toEqual(plain(answer));
      const created = Number(answer.registered_model?.creation_timestamp);
      expect(created).toBeGreaterThanOrEqual(before);
      expect(created).toBeLessThanOrEqual(Date.now());
    });

    it("say only what they were told", async () => {
      const name = await newModel();
      expect(plain(await ask(spec.getRegisteredModel, { name }))).toEqual({
        registered_model: {
          name,
          creation_timestamp: expect.any(Number),
          last_updated_timestamp: expect.any(Number),
        },
      });
    });

    it("count their versions from 1", async () => {
      const name = await newModel();
      const run_id = await newRun();
      const { run } = await ask(spec.getRun, { run_id });
      const source = `${run?.info?.artifact_uri}/model`;
      const first = await ask(spec.createModelVersion, {
        name,
        source,
        run_id,
        run_link: "http://link",
        description: "the first",
        tags: [{ key: "q", value: "w" }],
      });
      const expected = {
        ...aVersion(name, "1"),
        source,
        run_id,
        run_link: "http://link",
        description: "the first",
        tags: [{ key: "q", value: "w" }],
      };
      expect(plain(first)).toEqual({ model_version: expected });
      expect(plain(await ask(spec.getModelVersion, { name, version: "1" }))).toEqual(plain(first));
      const second = await ask(spec.createModelVersion, { name, source: "s3://bucket/model" });
      expect(plain(second)).toEqual({ model_version: aVersion(name, "2") });
      const { registered_model } = await ask(spec.getRegisteredModel, { name });
      expect(plain(registered_model)).toEqual({
        name,
        creation_timestamp: expect.any(Number),
        last_updated_timestamp: Number(second.model_version?.creation_timestamp),
        latest_versions: [aVersion(name, "2")],
      });
    });

    it("never use a version's number again, while a newer one is there", async () => {
      const name = await modelWithVersions(3);
      expect(await ask(spec.deleteModelVersion, { name, version: "2" })).toEqual({});
      const gone = { name, version: "2" };
      expect(await codeOf(ask(spec.getModelVersion, gone))).toBe(MISSING);
      expect(await codeOf(ask(spec.deleteModelVersion, gone))).toBe(MISSING);
      expect(await newVersion(name)).toBe("4");
      expect(await codeOf(ask(spec.getModelVersion, gone))).toBe(MISSING);
    });

    it("move through stages", async () => {
      const name = await modelWithVersions(3);
      const moved = await move(name, "1", "Production");
      expect(plain(moved)).toEqual({
        model_version: { ...aVersion(name, "1"), current_stage: "Production" },
      });
      await move(name, "2", "Production");
      expect(await stagesOf(name, 3)).toEqual(["Production", "Production", "None"]);
      await move(name, "3", "production", true);
      expect(await stagesOf(name, 3)).toEqual(["Archived", "Archived", "Production"]);
      await move(name, "3", "Staging", true);
      await move(name, "1", "None");
      expect(await stagesOf(name, 3)).toEqual(["None", "Archived", "Staging"]);
      for (const stage of ["None", "Archived"]) {
        expect(await codeOf(move(name, "3", stage, true))).toBe("INTERNAL_ERROR");
      }
      expect(await stagesOf(name, 3)).toEqual(["None", "Archived", "Staging"]);
    });

    it("show the latest version of each stage", async () => {
      const name = await modelWithVersions(5);
      await move(name, "1", "Production");
      await move(name, "2", "Staging");
      await move(name, "3", "Staging");
      const latest = async (stages?: string[]) => {
        const { model_versions = [] } = await ask(spec.getLatestVersions, { name, stages });
        return model_versions
          .map(({ version, current_stage }) => `${current_stage} ${version}`)
          .sort();
      };
      expect(await latest()).toEqual(["None 5", "Production 1", "Staging 3"]);
      expect(await latest([])).toEqual(["None 5", "Production 1", "Staging 3"]);
      expect(await latest(["staging"])).toEqual(["Staging 3"]);
      expect(await latest(["Staging", "Production"])).toEqual(["Production 1", "Staging 3"]);
      expect(await latest(["Archived"])).toEqual([]);
      const { registered_model } = await ask(spec.getRegisteredModel, { name });
      const versions = registered_model?.latest_versions?.map(({ version }) => version);
      expect(versions?.sort()).toEqual(["1", "3", "5"]);
      const empty = await newModel();
      expect(await ask(spec.getLatestVersions, { name: empty })).toEqual({});
      expect(await codeOf(latest(["Nope"]))).toBe(INVALID);
    });

    it("give versions aliases", async () => {
      const name = await modelWithVersions(2);
      const set = (alias: string, version: string) =>
        ask(spec.setRegisteredModelAlias, { name, alias, version });
      const by = (alias: string) => ask(spec.getModelVersionByAlias, { name, alias });
      expect(await set("Champion-1_x", "1")).toEqual({});
      await set("other", "1");
      await set("größe", "2");
      expect(plain(await by("Champion-1_x"))).toEqual({
        model_version: { ...aVersion(name, "1"), aliases: ["Champion-1_x", "other"] },
      });
      expect(await codeOf(by("champion-1_x"))).toBe(INVALID);
      await set("Champion-1_x", "2");
      const { model_version } = await ask(spec.getModelVersion, { name, version: "1" });
      expect(model_version?.aliases).toEqual(["other"]);
      const { registered_model } = await ask(spec.getRegisteredModel, { name });
      expect((plain(registered_model) as { aliases: unknown }).aliases).toEqual([
        { alias: "Champion-1_x", version: "2" },
        { alias: "größe", version: "2" },
        { alias: "other", version: "1" },
      ]);
      const remove = () => ask(spec.deleteRegisteredModelAlias, { name, alias: "other" });
      expect(await remove()).toEqual({});
      expect(await remove()).toEqual({});
      expect(await codeOf(by("other"))).toBe(INVALID);
      await ask(spec.deleteModelVersion, { name, version: "2" });
      expect(await codeOf(by("Champion-1_x"))).toBe(INVALID);
      const { registered_model: after } = await ask(spec.getRegisteredModel, { name });
      expect(after).not.toHaveProperty("aliases");
      for (const alias of ["latest", "Latest", "v1", "V12", "a b", "a/b", "", "x".repeat(256)]) {
        expect([alias, await codeOf(set(alias, "1"))]).toEqual([alias, INVALID]);
      }
    });

    it("and their versions take tags and descriptions", async () => {
      const name = await modelWithVersions(1);
      const version = "1";
      const tagModel = (key: string, value: string) =>
        ask(spec.setRegisteredModelTag, { name, key, value });
      const tagVersion = (key: string, value: string) =>
        ask(spec.setModelVersionTag, { name, version, key, value });
      expect(await tagModel(ODD_KEY, "1")).toEqual({});
      await tagModel(ODD_KEY, "größe\n💡");
      await tagModel("empty", "");
      expect(await tagVersion(ODD_KEY, "💡")).toEqual({});
      const describeIt = (description: string) =>
        ask(spec.updateModelVersion, { name, version, description });
      const tags = [{ key: ODD_KEY, value: "💡" }];
      expect(plain(await describeIt("new"))).toEqual({
        model_version: { ...aVersion(name, version), description: "new", tags },
      });
      const answer = await describeIt("");
      expect(plain(answer)).toEqual({ model_version: { ...aVersion(name, version), tags } });
      expect(plain(await ask(spec.getModelVersion, { name, version }))).toEqual(plain(answer));
      const { registered_model } = await ask(spec.getRegisteredModel, { name });
      expect((plain(registered_model) as { tags: unknown }).tags).toEqual([
        { key: "empty", value: "" },
        { key: ODD_KEY, value: "größe\n💡" },
      ]);
      for (const key of BAD_KEYS) {
        expect([key, await codeOf(tagModel(key, "v"))]).toEqual([key, INVALID]);
        expect([key, await codeOf(tagVersion(key, "v"))]).toEqual([key, INVALID]);
      }
    });

    it("are deleted with all their versions", async () => {
      const name = await modelWithVersions(2);
      await ask(spec.setRegisteredModelAlias, { name, alias: "a", version: "1" });
      expect(await ask(spec.deleteRegisteredModel, { name })).toEqual({});
      expect(await codeOf(ask(spec.getModelVersion, { name, version: "1" }))).toBe(MISSING);
      expect(await codeOf(ask(spec.deleteRegisteredModel, { name }))).toBe(MISSING);
      await ask(spec.createRegisteredModel, { name });
      expect(await newVersion(name)).toBe("1");
      const { registered_model } = await ask(spec.getRegisteredModel, { name });
      expect(registered_model).not.toHaveProperty("aliases");
    });

    it("that cannot be are refused", async () => {
      const name = await newModel();
      const create = (model: string) => () => ask(spec.createRegisteredModel, { name: model });
      const version = (source: string, more: { run_id?: string } = {}) =>
        ask(spec.createModelVersion, { name, source, ...more });
      const calls: Record<string, () => Promise<unknown>> = {
        "the same name": create(name),
        "no name": () => askLoosely(spec.createRegisteredModel, {}),
        "an empty name": create(""),
        "a slash": create("a/b"),
        "a colon": create("a:b"),
        dots: create("..x"),
        "a tag's name": () =>
          ask(spec.createRegisteredModel, {
            name: uniqueName("tags"),
            tags: [{ key: "a//b", value: "1" }],
          }),
        "no source": () => askLoosely(spec.createModelVersion, { name }),
        "an empty source": () => version(""),
        "a relative source": () => version("s3://bucket/../x"),
        "a local source": () => version("/tmp/x"),
        "a local source as URI": () => version("file:///tmp/x"),
        "a version that is none": () => ask(spec.getModelVersion, { name, version: "x" }),
        "a stage that is none": () => move(name, "1", "Nope"),
      };
      const expected = Object.fromEntries(Object.keys(calls).map((label) => [label, INVALID]));
      expect(await codesOf(calls)).toEqual({ ...expected, "the same name": EXISTS });
      expect(await ask(spec.getLatestVersions, { name })).toEqual({});
    });

    it("that are not there are missing, and so are versions", async () => {
      const there = await newModel();
      const name = "no such model";
      const noVersion = { name: there, version: "99" };
      const calls: Record<string, () => Promise<unknown>> = {
        get: () => ask(spec.getRegisteredModel, { name }),
        delete: () => ask(spec.deleteRegisteredModel, { name }),
        latest: () => ask(spec.getLatestVersions, { name }),
        tag: () => ask(spec.setRegisteredModelTag, { name, key: "k", value: "v" }),
        version: () => ask(spec.createModelVersion, { name, source: "s3://bucket/model" }),
        alias: () => ask(spec.getModelVersionByAlias, { name, alias: "a" }),
        "alias removal": () => ask(spec.deleteRegisteredModelAlias, { name, alias: "a" }),
        "alias set": () => ask(spec.setRegisteredModelAlias, { name, alias: "a", version: "1" }),
        "a version of none": () => ask(spec.getModelVersion, { name, version: "1" }),
        "version get": () => ask(spec.getModelVersion, noVersion),
        "version delete": () => ask(spec.deleteModelVersion, noVersion),
        "version update": () => ask(spec.updateModelVersion, { ...noVersion, description: "d" }),
        "version tag": () => ask(spec.setModelVersionTag, { ...noVersion, key: "k", value: "v" }),
        "version alias": () => ask(spec.setRegisteredModelAlias, { ...noVersion, alias: "a" }),
        "version stage": () => move(there, "99", "Staging"),
      };
      const expected = Object.fromEntries(Object.keys(calls).map((label) => [label, MISSING]));
      expect(await codesOf(calls)).toEqual(expected);
      expect(await codeOf(ask(spec.getModelVersionByAlias, { name: there, alias: "a" }))).toBe(
        INVALID,
      );
    });
  });
});
