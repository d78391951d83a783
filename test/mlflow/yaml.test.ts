// Objects logged as YAML: Python's own reader finds in them what was written.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { expect, inject, it } from "vitest";
import { parse } from "yaml";
import { writeYaml } from "../../src/mlflow/yaml.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

/** What YAML 1.1 takes for a truth value, a date, a number, a merge, a default or a line break. */
const trap = fc.constantFrom(
  ...["no", "Yes", "on", "y", "~", "null", "", "2020-01-01", "12:30:45", "1_000", "1e5", "0o7"],
  ...[
    "=",
    "<<",
    ".nan",
    "-",
    "a: b",
    "# a",
    "\n",
    "a\n b",
    "\u0085",
    "\u2028",
    "\u007f",
    "\ufeff",
    "💥",
  ],
);
const text = fc.oneof(trap, fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" }));
const leaf = fc.oneof(
  text,
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(1e-7, 1e21, 5e-324, 1.7976931348623157e308, 1e16, 0.1),
);
const tree = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(text, tie("node"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).node;
const value = fc.oneof(
  fc.array(tree, { maxLength: 5 }),
  fc.dictionary(text, tree, { maxKeys: 5, noNullPrototype: true }),
);

it.runIf(requiresMlflow())("are read back as they were by Python", async () => {
  const samples = fc.sample(value, { numRuns: 500 });
  const folder = await temporaryFolder();
  await writeFile(
    join(folder, "texts.json"),
    JSON.stringify(samples.map((one) => writeYaml(one as object))),
  );
  const script = [
    "import json, sys, yaml",
    "texts = json.load(open(sys.argv[1] + '/texts.json'))",
    "print(json.dumps([yaml.safe_load(text) for text in texts]))",
  ].join("\n");
  const { stdout } = await promisify(execFile)(
    inject("pythonPath") as string,
    ["-c", script, folder],
    { maxBuffer: 2 ** 27 },
  );
  const read = JSON.parse(stdout) as unknown[];
  for (const [index, sample] of samples.entries()) {
    expect(read[index], writeYaml(sample as object)).toEqual(sample);
  }
});

it("keep the numbers that JSON has not", () => {
  const written = writeYaml({ a: Number.NaN, b: Number.NEGATIVE_INFINITY, c: -0, d: 2n ** 60n });
  expect(written).toBe("a: .nan\nb: -.inf\nc: -0.0\nd: 1152921504606846976\n");
  expect(parse("a: -0.0")).toEqual({ a: -0 });
});
