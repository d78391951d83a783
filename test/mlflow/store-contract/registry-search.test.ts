// What every store promises of renaming, describing and searching registered models and versions.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import * as spec from "../../../src/mlflow/spec.js";
import { uniqueName } from "../../adapter/workplace.js";
import {
  ask,
  codeOf,
  codesOf,
  contract,
  EXISTS,
  INVALID,
  MISSING,
  newRun,
  plain,
} from "./asking.js";

const SOURCE = "s3://bucket/model";

contract(() => {
  async function newModel(stem = "model", tags: Record<string, string> = {}): Promise<string> {
    const name = uniqueName(stem);
    const messages = Object.entries(tags).map(([key, value]) => ({ key, value }));
    await ask(spec.createRegisteredModel, { name, tags: messages });
    return name;
  }
  async function newVersion(
    name: string,
    more: { source?: string; run_id?: string; tags?: spec.KeyValueMessage[] } = {},
  ): Promise<string> {
    const { model_version } = await ask(spec.createModelVersion, { name, source: SOURCE, ...more });
    return model_version?.version as string;
  }

  describe("a registered model", () => {
    it("is renamed with all that belongs to it", async () => {
      const name = await newModel("old", { team: "search" });
      await newVersion(name, { tags: [{ key: "a", value: "1" }] });
      await newVersion(name);
      await ask(spec.setRegisteredModelAlias, { name, alias: "champion", version: "1" });
      const new_name = uniqueName("new ü");
      const { registered_model } = await ask(spec.renameRegisteredModel, { name, new_name });
      expect(registered_model?.name).toBe(new_name);
      expect(await codeOf(ask(spec.getRegisteredModel, { name }))).toBe(MISSING);
      const model = await ask(spec.getRegisteredModel, { name: new_name });
      expect(model.registered_model).toMatchObject({
        tags: [{ key: "team", value: "search" }],
        aliases: [{ alias: "champion", version: "1" }],
        latest_versions: [{ name: new_name, version: "2" }],
      });
      const first = await ask(spec.getModelVersion, { name: new_name, version: "1" });
      expect(first.model_version).toMatchObject({
        name: new_name,
        tags: [{ key: "a", value: "1" }],
        aliases: ["champion"],
      });
      expect(await newVersion(new_name)).toBe("3");
    });

    it("cannot take the name of another", async () => {
      const [name, new_name] = [await newModel(), await newModel()];
      expect(await codeOf(ask(spec.renameRegisteredModel, { name, new_name }))).toBe(EXISTS);
      const nobody = { name: uniqueName("nobody"), new_name: uniqueName("x") };
      expect(await codeOf(ask(spec.renameRegisteredModel, nobody))).toBe(MISSING);
      expect(await codeOf(ask(spec.renameRegisteredModel, { name, new_name: "a/b" }))).toBe(
        INVALID,
      );
      expect((await ask(spec.getRegisteredModel, { name })).registered_model?.name).toBe(name);
    });

    it("takes a description", async () => {
      const name = await newModel();
      const before = await ask(spec.getRegisteredModel, { name });
      await delay(5);
      const changed = await ask(spec.updateRegisteredModel, { name, description: "größe\n" });
      expect(changed.registered_model?.description).toBe("größe\n");
      const after = await ask(spec.getRegisteredModel, { name });
      expect(plain(after)).toEqual(plain(changed));
      expect(Number(after.registered_model?.last_updated_timestamp)).toBeGreaterThan(
        Number(before.registered_model?.last_updated_timestamp),
      );
      const nobody = { name: uniqueName("nobody"), description: "x" };
      expect(await codeOf(ask(spec.updateRegisteredModel, nobody))).toBe(MISSING);
    });

    it("loses tags, and so does a version", async () => {
      const name = await newModel("tagged", { a: "1", "b/c": "2" });
      await ask(spec.deleteRegisteredModelTag, { name, key: "b/c" });
      expect(await ask(spec.deleteRegisteredModelTag, { name, key: "never there" })).toEqual({});
      const { registered_model } = await ask(spec.getRegisteredModel, { name });
      expect(registered_model?.tags).toEqual([{ key: "a", value: "1" }]);
      const version = await newVersion(name, { tags: [{ key: "x", value: "y" }] });
      await ask(spec.deleteModelVersionTag, { name, version, key: "x" });
      expect(await ask(spec.deleteModelVersionTag, { name, version, key: "x" })).toEqual({});
      const found = await ask(spec.getModelVersion, { name, version });
      expect(found.model_version?.tags).toBeUndefined();
      const gone = { name, version: "9", key: "x" };
      expect(await codeOf(ask(spec.deleteModelVersionTag, gone))).toBe(MISSING);
      const nobody = { name: uniqueName("nobody"), key: "x" };
      expect(await codeOf(ask(spec.deleteRegisteredModelTag, nobody))).toBe(MISSING);
    });
  });

  describe("a version's files", () => {
    it("are where its source says", async () => {
      const name = await newModel();
      await newVersion(name, { source: "s3://bucket/first" });
      const uri = (version: string) => ask(spec.getModelVersionDownloadUri, { name, version });
      expect(await uri("1")).toEqual({ artifact_uri: "s3://bucket/first" });
      const copy = await newModel();
      await newVersion(copy, { source: `models:/${name}/1` });
      expect(await ask(spec.getModelVersionDownloadUri, { name: copy, version: "1" })).toEqual({
        artifact_uri: "s3://bucket/first",
      });
      expect(await codeOf(uri("9"))).toBe(MISSING);
    });
  });

  describe("search of registered models", () => {
    it("compares names and tags, and leaves out prompts", async () => {
      const stem = uniqueName("rm");
      const names = [`${stem} A`, `${stem} b`, `${stem} c`, `${stem} prompt`];
      const tags = [{ t: "1", u: "x" }, { t: "2" }, {}, { "mlflow.prompt.is_prompt": "true" }];
      for (const [index, name] of names.entries()) {
        const messages = Object.entries(tags[index] ?? {}).map(([key, value]) => ({ key, value }));
        await ask(spec.createRegisteredModel, { name, tags: messages });
      }
      const found = async (filter: string) => {
        const request = { filter: `name LIKE '${stem}%'${filter}`, max_results: 100 };
        const { registered_models = [] } = await ask(spec.searchRegisteredModels, request);
        return registered_models.map(({ name }) => name.slice(stem.length + 1));
      };
      expect(await found("")).toEqual(["A", "b", "c"]);
      expect(await found(" AND tags.t = '1'")).toEqual(["A"]);
      expect(await found(" AND tag.t != '1'")).toEqual(["b"]);
      expect(await found(" AND tags.t ILIKE '%' AND tags.u = 'x'")).toEqual(["A"]);
      expect(await found(` AND name != '${stem} b'`)).toEqual(["A", "c"]);
      expect(await found(` AND name ILIKE '%B'`)).toEqual(["b"]);
      expect(await found(` AND name IN ('${stem} A', '${stem} c')`)).toEqual(["A", "c"]);
      expect(await found(" AND tags.`mlflow.prompt.is_prompt` = 'true'")).toEqual(["prompt"]);
      expect(await found(" AND tags.t = 'nothing'")).toEqual([]);
    });

    it("orders them, and comes page after page", async () => {
      const stem = uniqueName("rm");
      for (const letter of ["b", "a", "c"]) {
        await ask(spec.createRegisteredModel, { name: `${stem}-${letter}` });
        await delay(5);
      }
      const filter = `name LIKE '${stem}%'`;
      const found = async (order_by?: string[]) => {
        const request = { filter, max_results: 100, ...(order_by && { order_by }) };
        const { registered_models = [] } = await ask(spec.searchRegisteredModels, request);
        return registered_models.map(({ name }) => name.at(-1)).join("");
      };
      expect(await found()).toBe("abc");
      expect(await found(["name DESC"])).toBe("cba");
      expect(await found(["last_updated_timestamp"])).toBe("bac");
      expect(await found(["timestamp DESC"])).toBe("cab");
      const first = await ask(spec.searchRegisteredModels, { filter, max_results: 2 });
      expect(first.registered_models).toHaveLength(2);
      const second = await ask(spec.searchRegisteredModels, {
        filter,
        max_results: 2,
        page_token: first.next_page_token,
      });
      expect(second.registered_models?.map(({ name }) => name.at(-1))).toEqual(["c"]);
      expect(second.next_page_token).toBeUndefined();
    });

    it("refuses what it does not understand", async () => {
      const search = (filter: string, order_by?: string[]) => () =>
        ask(spec.searchRegisteredModels, { filter, max_results: 5, ...(order_by && { order_by }) });
      expect(
        await codesOf({
          attribute: search("nope = 'x'"),
          metric: search("metrics.a > 1"),
          unquoted: search("name = x"),
          order: search("name = 'x'", ["nope"]),
        }),
      ).toEqual({ attribute: INVALID, metric: INVALID, unquoted: INVALID, order: INVALID });
    });
  });

  describe("search of model versions", () => {
    it("compares names, numbers, runs, sources and tags", async () => {
      const name = await newModel();
      const other = await newModel();
      const run_id = await newRun();
      await newVersion(name, { source: "s3://bucket/one", tags: [{ key: "t", value: "1" }] });
      await newVersion(name, { source: "s3://bucket/two", run_id });
      await newVersion(name, { source: "s3://other/three", tags: [{ key: "t", value: "3" }] });
      await newVersion(other, { run_id });
      const found = async (filter: string) => {
        const request = { filter, max_results: 100, order_by: ["name", "version_number"] };
        const { model_versions = [] } = await ask(spec.searchModelVersions, request);
        return model_versions.map((one) => `${one.name === name ? "" : "other "}${one.version}`);
      };
      const mine = `name = '${name}'`;
      expect(await found(mine)).toEqual(["1", "2", "3"]);
      expect(await found(`${mine} AND version_number > 1`)).toEqual(["2", "3"]);
      expect(await found(`${mine} AND version_number = 2`)).toEqual(["2"]);
      expect(await found(`${mine} AND source_path LIKE 's3://bucket/%'`)).toEqual(["1", "2"]);
      expect(await found(`${mine} AND tags.t = '3'`)).toEqual(["3"]);
      expect((await found(`run_id = '${run_id}'`)).sort()).toEqual(["2", "other 1"]);
      expect(await found(`run_id IN ('${run_id}') AND ${mine}`)).toEqual(["2"]);
      await ask(spec.deleteModelVersion, { name, version: "2" });
      expect(await found(mine)).toEqual(["1", "3"]);
    });

    it("orders them, and comes page after page", async () => {
      const name = await newModel();
      for (let index = 0; index < 3; index++) await newVersion(name);
      const filter = `name = '${name}'`;
      const page = async (page_token?: string) =>
        ask(spec.searchModelVersions, {
          filter,
          max_results: 2,
          ...(page_token && { page_token }),
        });
      const first = await page();
      expect(first.model_versions?.map(({ version }) => version)).toEqual(["3", "2"]);
      const second = await page(first.next_page_token);
      expect(second.model_versions?.map(({ version }) => version)).toEqual(["1"]);
      expect(second.next_page_token).toBeUndefined();
      const order_by = ["version_number ASC"];
      const up = await ask(spec.searchModelVersions, { filter, max_results: 5, order_by });
      expect(up.model_versions?.map(({ version }) => version)).toEqual(["1", "2", "3"]);
    });

    it("refuses what it does not understand", async () => {
      const search = (filter: string) => () =>
        ask(spec.searchModelVersions, { filter, max_results: 5 });
      expect(
        await codesOf({
          attribute: search("nope = 'x'"),
          metric: search("metrics.a > 1"),
          text: search("version_number = 'x'"),
          list: search("source_path IN ('a')"),
        }),
      ).toEqual({ attribute: INVALID, metric: INVALID, text: INVALID, list: INVALID });
    });
  });
});
