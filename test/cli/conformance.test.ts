// `genops conformance`: reports, levels, exit codes, and what it says of files that it cannot read.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../adapter/workplace.js";
import { drop, goodTrace, payloads, string } from "../conformance/good-trace.js";
import { useCommandLine } from "./command-line.js";

const genops = useCommandLine();

async function withFiles(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

const lines = (trace = goodTrace()) => payloads(trace).map((payload) => JSON.stringify(payload));
const jsonLines = (trace = goodTrace()) => `${lines(trace).join("\n")}\n`;

function broken() {
  const trace = goodTrace();
  for (const name of ["answer", "warned", "blocked", "limited", "unfunded"] as const) {
    drop(trace.spans[name], "team");
  }
  return trace;
}

describe("a check", () => {
  it("passes what is conformant, from one file or several", async () => {
    const [traces = "", logs = "", metrics = ""] = lines();
    const cwd = await withFiles({
      "all.jsonl": jsonLines(),
      "t.json": traces,
      "l.json": logs,
      "m.json": metrics,
    });
    const one = await genops.run(["conformance", "all.jsonl"], cwd);
    expect(one).toMatchObject({ code: 0, stderr: "" });
    expect(one.stdout).toContain("Conformant: GenOps v0.1.0");
    expect(one.stdout).toContain("6 governed units (3 executed, 3 stopped)");
    expect(one.stdout).toContain("41 passed · 0 failed · 1 not applicable · 2 not judgeable");
    const several = await genops.run(["conformance", "m.json", "l.json", "t.json"], cwd);
    expect(several).toEqual(one);
    for (const line of one.stdout.split("\n")) expect([...line].length).toBeLessThanOrEqual(80);
  });

  it("reads standard input", async () => {
    const cwd = await temporaryFolder();
    const started = genops.start(["conformance", "-", "--json"], cwd);
    started.process.stdin?.end(jsonLines());
    const { code, stdout } = await started.finished;
    expect({ code, level: JSON.parse(stdout).level }).toEqual({ code: 0, level: "full" });
  });

  it("tells the first findings of each item, and with --all every one", async () => {
    const cwd = await withFiles({ "t.jsonl": jsonLines(broken()) });
    const few = await genops.run(["conformance", "t.jsonl"], cwd);
    expect(few).toMatchObject({ code: 1, stderr: "" });
    expect(few.stdout).toContain("Not conformant");
    expect(few.stdout).toContain("… and 2 more (--all)");
    expect(few.stdout.match(/attributes\["genops\.team"\]/g)).toHaveLength(3);
    expect(few.stdout).toContain(
      [
        '       span "answer"',
        "       trace 0af7651916cd43dd8448eb211c80319c  span id 0000000000000002",
        '       attributes["genops.team"]',
        "         found     nothing",
      ].join("\n"),
    );
    for (const line of few.stdout.split("\n")) expect([...line].length).toBeLessThanOrEqual(80);
    const all = await genops.run(["conformance", "t.jsonl", "--all"], cwd);
    expect(all.stdout.match(/attributes\["genops\.team"\]/g)).toHaveLength(5);
  });

  it("asks for the level it is told", async () => {
    const partial = goodTrace();
    partial.spans.answer.attributes.push(
      string("genops.spec.conformance", "GenOps v0.1 — partial"),
    );
    const cwd = await withFiles({ "t.jsonl": jsonLines(partial), "full.jsonl": jsonLines() });
    const codeOf = async (...args: string[]) =>
      (await genops.run(["conformance", ...args], cwd)).code;
    expect(await codeOf("t.jsonl")).toBe(0);
    expect(await codeOf("t.jsonl", "--level", "partial")).toBe(0);
    expect(await codeOf("t.jsonl", "--level", "full")).toBe(1);
    expect(await codeOf("full.jsonl", "--level", "partial")).toBe(0);
    expect(await codeOf("full.jsonl", "--level", "full")).toBe(0);
  });

  it("prints one JSON document with --json, colours only when asked", async () => {
    const cwd = await withFiles({ "t.jsonl": jsonLines(broken()) });
    const { code, stdout } = await genops.run(["conformance", "t.jsonl", "--json"], cwd);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      level: "none",
      required: "declared",
      reached: false,
      counts: { findings: 5 },
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for.
    const colour = /\u001b/;
    const plain = await genops.run(["conformance", "t.jsonl"], cwd);
    expect(plain.stdout).not.toMatch(colour);
    expect((await genops.run(["conformance", "t.jsonl", "--color"], cwd)).stdout).toMatch(colour);
  });

  it("lists the checklist", async () => {
    const cwd = await temporaryFolder();
    const { code, stdout } = await genops.run(["conformance", "--list"], cwd);
    expect(code).toBe(0);
    expect(stdout).toContain("44  11");
    for (const line of stdout.split("\n")) expect([...line].length).toBeLessThanOrEqual(80);
    const json = await genops.run(["conformance", "--list", "--json"], cwd);
    expect(JSON.parse(json.stdout)).toHaveLength(44);
  });
});

describe("wrong use", () => {
  it.each([
    [["conformance"], "name the files to check"],
    [["conformance", "missing.json"], "cannot read 'missing.json': there is no such file"],
    [["conformance", "."], "cannot read '.': it is a folder"],
    [["conformance", "torn.jsonl"], "'torn.jsonl' is no OTLP JSON: line 2, column 19 (byte "],
    [["conformance", "binary"], "looks binary"],
    [["conformance", "t.jsonl", "t.jsonl"], "'t.jsonl' is given twice"],
    [["conformance", "--list", "t.jsonl"], "--list takes no files"],
    [["conformance", "t.jsonl", "--level", "ful"], "(Did you mean full?)"],
    [["conformance", "t.jsonl", "--jsn"], "Did you mean --json?"],
    [["conformanc", "t.jsonl"], "Did you mean conformance?"],
  ])("%j is refused", async (args, words) => {
    const cwd = await withFiles({
      "t.jsonl": jsonLines(),
      "torn.jsonl": `${lines()[1]}\n{"resourceSpans":[`,
      binary: "\n\u0012\u0000\u0001",
    });
    const { code, stdout, stderr } = await genops.run(args, cwd);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^genops: [^\n]+\n$/);
    expect(stderr).toContain(words);
  });
});
