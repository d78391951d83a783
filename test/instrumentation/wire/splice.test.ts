// Tags that are put into a body: the body says the same and more, and not a byte of the rest has changed.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { spliceTags } from "../../../src/instrumentation/wire/splice.js";

const OURS = [
  { key: "genops.team", value: 'ml"team' },
  { key: "genops.project", value: "sé{arch}" },
];
const LIST = OURS.map((tag) => JSON.stringify(tag)).join(",");

const encode = (text: string) => new TextEncoder().encode(text);
const splice = (body: string, tags = OURS) =>
  new TextDecoder().decode(spliceTags(encode(body), tags));

describe("governance tags", () => {
  it.each([
    ["no tags", '{"experiment_id": "1"}', `{"tags":[${LIST}],"experiment_id": "1"}`],
    ["an empty object", " { } ", ` {"tags":[${LIST}] } `],
    ["an empty list", '{"tags": [ ], "a": 1}', `{"tags": [ ${LIST}], "a": 1}`],
    ["null", '{"a":1,"tags":null}', `{"a":1,"tags":[${LIST}]}`],
    [
      "tags of its own",
      '{"tags" : [ {"key":"a","value":"]}"} ] , "b":"tags"}',
      `{"tags" : [ {"key":"a","value":"]}"},${LIST} ] , "b":"tags"}`,
    ],
    [
      "a tag of the same key",
      '{"tags":[{"key":"a"}, {"value":"x","key":"genops.team"} , {"key":"b"}]}',
      `{"tags":[{"key":"a"},{"key":"b"},${LIST}]}`,
    ],
    ["nothing but ours", '{"tags":[{"key":"genops.team"}]}', `{"tags":[${LIST}]}`],
    ["an escaped name", '{"t\\u0061gs":[]}', `{"t\\u0061gs":[${LIST}]}`],
    ["tags inside", '{"o":{"tags":[1]}}', `{"tags":[${LIST}],"o":{"tags":[1]}}`],
    ["Python's numbers", '{"x":[NaN,-Infinity]}', `{"tags":[${LIST}],"x":[NaN,-Infinity]}`],
    ["no body", "", `{"tags":[${LIST}]}`],
  ])("go into a body with %s", (_, body, expected) => {
    expect(splice(body)).toBe(expected);
  });

  it("go into a body that was encoded twice, which stays so", () => {
    const doubled = JSON.stringify(JSON.stringify({ experiment_id: "7" }));
    expect(JSON.parse(JSON.parse(splice(doubled)))).toEqual({ tags: OURS, experiment_id: "7" });
  });

  it.each([["[1]"], ["5"], ['{"tags":{}}'], ["{"], ["\ufeff{}"]])("find no place in %s", (body) => {
    expect(() => splice(body)).toThrow(SyntaxError);
  });

  it("are all that is different, in any body", () => {
    const key = fc.oneof(fc.constantFrom("genops.team", "a", "{"), fc.string());
    const tag = fc.record({ key, value: fc.string() });
    const body = fc.record(
      {
        tags: fc.array(tag, { maxLength: 5 }),
        experiment_id: fc.string(),
        run_name: fc.constantFrom('"}]', "\\", '\\"tags":['),
        rest: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const blanks = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(body, blanks, (message, indent) => {
        const text = JSON.stringify(message, null, indent);
        const spliced = splice(text);
        const others = (message.tags ?? []).filter(
          ({ key }) => !OURS.some((our) => our.key === key),
        );
        expect(JSON.parse(spliced)).toEqual({
          ...JSON.parse(text),
          tags: [...JSON.parse(JSON.stringify(others)), ...OURS],
        });
        // Without ours, and with what they replaced, it is the text that it was.
        if (others.length === (message.tags?.length ?? 0)) {
          const added = [`"tags":[${LIST}],`, `"tags":[${LIST}]`, `,${LIST}`, LIST];
          expect(added.some((part) => spliced.replace(part, () => "") === text)).toBe(true);
        }
      }),
    );
  });
});
