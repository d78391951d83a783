// What every store promises of experiments and their search: the server's own answers.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import * as spec from "../../../src/mlflow/spec.js";
import { uniqueName } from "../../adapter/workplace.js";
import {
  ask,
  askLoosely,
  BAD_KEYS,
  codeOf,
  codesOf,
  contract,
  EXISTS,
  INVALID,
  MISSING,
  NO_EXPERIMENT,
  newExperiment,
  newRun,
  ODD_KEY,
  plain,
} from "./asking.js";

contract(() => {
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

    it("lose tags", async () => {
      const experiment_id = await newExperiment();
      await ask(spec.setExperimentTag, { experiment_id, key: "a/b", value: "1" });
      await ask(spec.setExperimentTag, { experiment_id, key: "c", value: "2" });
      expect(await ask(spec.deleteExperimentTag, { experiment_id, key: "a/b" })).toEqual({});
      const { experiment } = await ask(spec.getExperiment, { experiment_id });
      expect(experiment?.tags).toEqual([{ key: "c", value: "2" }]);
      const again = ask(spec.deleteExperimentTag, { experiment_id, key: "a/b" });
      expect(await codeOf(again)).toBe(MISSING);
    });

    it("are renamed, unless the name is taken or they are deleted", async () => {
      const [experiment_id, other] = [await newExperiment(), await newExperiment()];
      const new_name = uniqueName("größe new");
      expect(await ask(spec.updateExperiment, { experiment_id, new_name })).toEqual({});
      const found = await ask(spec.getExperimentByName, { experiment_name: new_name });
      expect(found.experiment?.experiment_id).toBe(experiment_id);
      const nobody = { experiment_id: NO_EXPERIMENT, new_name: uniqueName("x") };
      expect(await codeOf(ask(spec.updateExperiment, nobody))).toBe(MISSING);
      // A server says BAD_REQUEST, for what its database tells it.
      const taken = ask(spec.updateExperiment, { experiment_id: other, new_name });
      expect([EXISTS, "BAD_REQUEST"]).toContain(await codeOf(taken));
      const still = await ask(spec.getExperiment, { experiment_id: other });
      expect(still.experiment?.name).not.toBe(new_name);
      await ask(spec.deleteExperiment, { experiment_id: other });
      const late = { experiment_id: other, new_name: uniqueName("late") };
      expect(await codeOf(ask(spec.updateExperiment, late))).toBe("INVALID_STATE");
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
});
