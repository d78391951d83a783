// JSON as Python writes it, read and written on pages that are not secure, too.
import { afterEach, describe, expect, it, vi } from "vitest";
import { readJson, writeJson } from "../../src/mlflow/json.js";

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("numbers that JSON has not", () => {
  it("are written and read as Python does", () => {
    const value = { loss: Number.NaN, best: [Number.POSITIVE_INFINITY, -1 / 0], text: "NaN" };
    expect(writeJson(value)).toBe('{"loss":NaN,"best":[Infinity,-Infinity],"text":"NaN"}');
    expect(readJson(writeJson(value))).toEqual(value);
  });

  it("need nothing that a page lacks which is not secure", () => {
    const { getRandomValues } = crypto;
    vi.stubGlobal("crypto", { getRandomValues: getRandomValues.bind(crypto) });
    expect(readJson(writeJson({ loss: Number.NaN }))).toEqual({ loss: Number.NaN });
  });

  it.each(["{NaN: 1}", "{-Infinity : 1}", "{Infinity:1}"])("are no names: %s", (text) => {
    expect(() => readJson(text)).toThrow(SyntaxError);
  });
});
