// What every store promises of registered models, versions, stages and aliases: the server's own answers.
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
  newRun,
  ODD_KEY,
  plain,
} from "./asking.js";

contract(() => {
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
