// meta.yaml: what is written is read back, by us and by Python's own YAML reader.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import { formatMeta, parseMeta } from "../../src/mlflow/file-store/meta-file.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

/** Texts that YAML takes for something else, beside any other. */
const trap = fc.constantFrom(
  ...["", " ", "null", "~", "yes", "No", "on", "true", "0", "007", "1_000", "1e5", "1:30", "0x1f"],
  ...["2020-01-01", ".inf", ".nan", "-", "- a", "? a", "a: b", "a #b", "#", "&a", "*a", "!a", "|"],
  ...[
    ">",
    "%",
    "@",
    "`",
    "{}",
    "[]",
    "'",
    '"',
    "\\",
    "\n",
    "a\nb\n",
    "\t",
    "\r\n",
    "\u0085",
    "\u2028",
  ],
  ...["\ufeff", "\u0000", "\u001b[0m", "\u007f", "\u009f", "\uffff", "💥", "日本", "=", "<<"],
);
const text = fc.oneof(trap, fc.string({ unit: "binary" }), fc.string());
const meta = fc.record({
  name: text,
  description: fc.option(text),
  artifact_location: fc.webUrl(),
  creation_time: fc.nat(Number.MAX_SAFE_INTEGER),
  tags: fc.constant([]),
});

describe("meta.yaml", () => {
  it("is read back as it was written", () => {
    fc.assert(
      fc.property(meta, (fields) => {
        expect(parseMeta(formatMeta(fields), "meta.yaml")).toEqual(fields);
      }),
      { numRuns: 1000 },
    );
  });

  it("means the same to a YAML parser", () => {
    fc.assert(
      fc.property(meta, (fields) => {
        expect(parse(formatMeta(fields), { version: "1.1" })).toEqual(fields);
      }),
      { numRuns: 1000 },
    );
  });

  it("replaces what is no text at all", () => {
    expect(parseMeta(formatMeta({ name: "a\ud800b" }), "")).toEqual({ name: "a\ufffdb" });
  });

  it("is read as Python writes it", () => {
    const text = [
      "artifact_location: file:///tmp/a b/mlruns/0",
      "deleted_time: null",
      "description: 'it''s folded over",
      "  two lines'",
      "end_time:",
      "experiment_id: '0'",
      "lifecycle_stage: active",
      'name: "tab\\there \\xE9 \\u65E5"',
      "old_id: 12",
      "status: 3",
      "tags: []",
      "user_id: o'neil",
      "",
    ].join("\n");
    expect(parseMeta(text, "")).toMatchObject({
      artifact_location: "file:///tmp/a b/mlruns/0",
      deleted_time: null,
      description: "it's folded over two lines",
      end_time: null,
      experiment_id: "0",
      lifecycle_stage: "active",
      name: "tab\there é 日",
      old_id: 12,
      status: 3,
      user_id: "o'neil",
    });
  });

  it.each(["- a\n", "just text\n", "a: b: c\n", "\u0000"])("%j is refused by name", (broken) => {
    expect(() => parseMeta(broken, "/x/meta.yaml")).toThrow(/'\/x\/meta.yaml'/);
  });

  it.runIf(requiresMlflow())("is written and read alike by Python", async () => {
    const samples = fc.sample(meta, { numRuns: 300, seed: 7 });
    const folder = await temporaryFolder();
    await writeFile(join(folder, "ours.json"), JSON.stringify(samples.map(formatMeta)));
    const script = [
      "import json, sys, yaml",
      "texts = json.load(open(sys.argv[1] + '/ours.json'))",
      "values = [yaml.load(text, Loader=yaml.CSafeLoader) for text in texts]",
      "dump = lambda v: yaml.dump(v, default_flow_style=False, allow_unicode=True, Dumper=yaml.CSafeDumper)",
      "print(json.dumps([values, [dump(v) for v in values]]))",
    ].join("\n");
    const { stdout } = await promisify(execFile)(
      inject("pythonPath") as string,
      ["-c", script, folder],
      { maxBuffer: 2 ** 26 },
    );
    const [values, texts] = JSON.parse(stdout) as [unknown[], string[]];
    expect(values).toEqual(samples);
    for (const [index, text] of texts.entries()) {
      // Line breaks in YAML 1.1 alone, which Python folds raw into its texts.
      if (/[\u0085\u2028\u2029]/.test(text)) continue;
      expect(parseMeta(text, text)).toEqual(samples[index]);
    }
  });
});
