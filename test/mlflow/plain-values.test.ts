// What JavaScript has and JSON has not: logged as something that says it, or refused, never in silence.
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { readJson, writeJson } from "../../src/mlflow/json.js";
import * as mlflow from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { answerLikeMlflow, faultyServer } from "./faulty-server.js";

const INVALID = { name: "MlflowError", code: "INVALID_PARAMETER_VALUE" };

let client: mlflow.MlflowClient;
let runId: string;

beforeEach(async () => {
  client = new mlflow.MlflowClient({ trackingUri: join(await temporaryFolder(), "mlruns") });
  runId = (await client.createRun("0")).info.runId;
});

const artifact = (artifactPath: string) => ({
  runId,
  artifactPath,
  trackingUri: client.trackingUri,
});

class Version {
  constructor(readonly major: number) {}
  toString(): string {
    return `v${this.major}`;
  }
}

class Settings {
  readonly depth = 3;
}

class Closed {
  readonly #depth = 3;
  get deep(): boolean {
    return this.#depth > 2;
  }
}

describe("a param or tag", () => {
  it.each<[string, object | null, string]>([
    ["a URL", new URL("https://host/a?b=1"), "https://host/a?b=1"],
    ["a pattern", /a+b/gi, "/a+b/gi"],
    ["an error", new RangeError("too deep"), "RangeError: too deep"],
    ["a class with a toString", new Version(3), "v3"],
    ["a class without", new Settings(), '{"depth":3}'],
    ["floats", new Float32Array([0.5, 1]), "[0.5,1]"],
    ["bytes", new Uint8Array([1, 2]), "[1,2]"],
    ["long integers", new BigInt64Array([1n, 2n ** 60n]), `[1,"${2n ** 60n}"]`],
    ["a Map", new Map([["a", 1]]), '{"a":1}'],
    ["a Map of numbers", new Map([[1, "a"]]), '[[1,"a"]]'],
    ["an empty Map", new Map(), "{}"],
    ["a Set", new Set([1, "a"]), '[1,"a"]'],
    ["a Map in an object", { layers: new Map([["a", new Set([1])]]) }, '{"layers":{"a":[1]}}'],
    ["a number that JSON has not", { rate: Number.NaN }, '{"rate":NaN}'],
    ["an array", [1, [2]], "[1,[2]]"],
    ["an empty object", {}, "{}"],
    ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    ["a time", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["null", null, "None"],
  ])("takes %s", async (_label, value, expected) => {
    await client.logParam(runId, "p", value);
    await client.setTag(runId, "t", value);
    const { params, tags } = (await client.getRun(runId)).data;
    expect([params.p, tags.t]).toEqual([expected, expected]);
  });

  const circle: Record<string, unknown> = {};
  circle.self = circle;

  it.each<[string, unknown]>([
    ["a date that is none", new Date(Number.NaN)],
    ["a promise", Promise.resolve(1)],
    ["a WeakMap", new WeakMap()],
    ["a buffer that is seen by nobody", new ArrayBuffer(8)],
    ["an object that hides what it has", new Closed()],
    ["what contains itself", circle],
    ["a Map that contains itself", new Map().set("a", circle)],
    [
      "a toString that fails",
      {
        toString() {
          throw new Error("no");
        },
      },
    ],
    ["half a character", "a\ud800b"],
    ["half a character inside of an object", new Version("\udc00" as unknown as number)],
    ["a function", () => 1],
    ["undefined", undefined],
  ])("refuses %s", async (_label, value) => {
    const { uri, requests } = await faultyServer(answerLikeMlflow);
    for (const to of [client, new mlflow.MlflowClient({ trackingUri: uri })]) {
      const given = value as string;
      await expect(to.logParam(runId, "p", given)).rejects.toMatchObject(INVALID);
      await expect(to.setTag(runId, "t", given)).rejects.toMatchObject(INVALID);
      if (value === undefined) continue;
      await expect(to.logBatch(runId, { params: { p: given } })).rejects.toMatchObject(INVALID);
    }
    expect(requests).toEqual([]);
  });

  it("names the field and the fix for half a character", async () => {
    await expect(client.logParam(runId, "p", "\ud800")).rejects.toThrow(
      /"\\ud800" for 'value of param 'p'': .*lone surrogate/,
    );
  });

  it("that is undefined is left out among others", async () => {
    await client.logBatch(runId, { params: { a: 1, b: undefined }, tags: { c: undefined } });
    const { params, tags } = (await client.getRun(runId)).data;
    expect(params).toEqual({ a: "1" });
    expect(tags).not.toHaveProperty("c");
  });
});

describe("a name", () => {
  it("with half a character is refused", async () => {
    const odd = "a\ud800";
    await expect(client.createRun("0", { runName: odd })).rejects.toMatchObject(INVALID);
    await expect(client.createExperiment(odd)).rejects.toMatchObject(INVALID);
    await expect(client.createRegisteredModel(odd)).rejects.toMatchObject(INVALID);
    await expect(client.logText(runId, "x", `${odd}.txt`)).rejects.toMatchObject(INVALID);
    const at = `mlflow-artifacts:/${odd}`;
    await expect(mlflow.artifacts.loadText(at)).rejects.toMatchObject(INVALID);
    await expect(client.logText(runId, "x", "a\u{1f600}.txt")).resolves.toBeUndefined();
  });
});

describe("a dictionary", () => {
  const value = {
    map: new Map([["a", new Set([1])]]),
    floats: new Float32Array([0.5]),
    whole: 2n,
    large: 2n ** 70n,
    pattern: /a/,
    error: new Error("bad"),
    at: new Date(0),
    none: null,
  };
  const plain = {
    map: { a: [1] },
    floats: [0.5],
    whole: 2,
    large: String(2n ** 70n),
    pattern: "/a/",
    error: "Error: bad",
    at: "1970-01-01T00:00:00.000Z",
    none: null,
  };

  it("keeps what JSON has no word for", async () => {
    await client.logDict(runId, value, "d.json");
    expect(await mlflow.artifacts.loadDict(artifact("d.json"))).toEqual(plain);
    await client.logDict(runId, new Map([["a", 1]]), "m.json");
    expect(await mlflow.artifacts.loadDict(artifact("m.json"))).toEqual({ a: 1 });
    await client.logDict(runId, { map: value.map, floats: value.floats }, "d.yaml");
    const yaml = await mlflow.artifacts.loadText(artifact("d.yaml"));
    expect(yaml).toBe("map:\n  a:\n    - 1\nfloats:\n  - 0.5\n");
  });

  it("keeps numbers that JSON has not, as Python writes and reads them", async () => {
    const numbers = { a: Number.NaN, b: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0] };
    await client.logDict(runId, numbers, "n.json");
    expect(await mlflow.artifacts.loadText(artifact("n.json"))).toBe(
      '{\n  "a": NaN,\n  "b": [\n    Infinity,\n    -Infinity,\n    0\n  ]\n}',
    );
    expect(await mlflow.artifacts.loadDict(artifact("n.json"))).toEqual(numbers);
    await client.logText(runId, '{"a": NaN,}', "wrong.json");
    const wrong = mlflow.artifacts.loadDict(artifact("wrong.json"));
    await expect(wrong).rejects.toMatchObject({ code: "BAD_REQUEST" });
  });

  it("comes back from text whatever it holds", () => {
    const leaf = fc.oneof(
      fc.double().map((number) => (Object.is(number, -0) ? 0 : number)),
      fc.constantFrom("NaN", '"NaN"', "-Infinity", "\\", 'a"', "\\\\NaN", "[Infinity]"),
      fc.string(),
      fc.constant(null),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(leaf, fc.array(tie("tree")), fc.dictionary(fc.string(), tie("tree"))),
    }));
    fc.assert(
      fc.property(tree, (given) => {
        expect(readJson(writeJson(given))).toEqual(given);
        expect(readJson(writeJson(given, 2))).toEqual(given);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a table", () => {
  it("takes cells that JSON has no word for", async () => {
    await client.logTable(runId, [{ a: 1n, b: new Float32Array([1, 2]), c: /x/ }], "t.json");
    await client.logTable(runId, { a: new Int32Array([5]) } as never, "t.json");
    expect(await client.loadTable("0", "t.json")).toEqual([
      { a: 1, b: [1, 2], c: "/x/" },
      { a: 5, b: null, c: null },
    ]);
  });

  it("with a cell that contains itself is refused", async () => {
    const circle: unknown[] = [];
    circle.push(circle);
    await expect(client.logTable(runId, [{ circle }], "t.json")).rejects.toMatchObject(INVALID);
    expect(await client.listArtifacts(runId)).toEqual([]);
  });

  it("is read with numbers that JSON has not, as Python may write them", async () => {
    await client.logTable(runId, [{ a: Number.NaN }], "t.json");
    // As Python's log_table does.
    expect(await mlflow.artifacts.loadText(artifact("t.json"))).toContain("[[null]]");
    await client.logText(runId, '{"columns":["a"],"data":[[NaN]]}', "t.json");
    expect(await client.loadTable("0", "t.json")).toEqual([{ a: Number.NaN }]);
  });
});
