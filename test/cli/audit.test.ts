// `genops audit`: verify names the first break, show filters; exit codes and wrong use.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openAuditFile } from "../../src/telemetry/audit/open-file.js";
import type { AuditDecision } from "../../src/telemetry/audit/record.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { decision } from "../telemetry/audit/decision.js";
import { useCommandLine } from "./command-line.js";

const genops = useCommandLine();

async function trail(...records: Partial<AuditDecision>[]): Promise<string> {
  const folder = await temporaryFolder();
  const write = openAuditFile({ path: join(folder, "audit.jsonl") });
  for (const [index, record] of records.entries()) write({ ...decision(index + 1), ...record });
  return folder;
}

const RECORDS: Partial<AuditDecision>[] = [
  { who: { team: "a", project: "p", user: "ada" } },
  { who: { team: "b" }, operation: "delete_run", time: "2026-11-01T00:00:00.000Z" },
  {
    who: { team: "a" },
    operation: "transition_model_version_stage",
    target: { modelName: "churn", modelVersion: "3", modelStage: "Production" },
    time: "2026-11-02T00:00:00.000Z",
  },
  {
    who: { team: "a" },
    operation: "log_artifact",
    decision: "BLOCKED",
    reasonCode: "BUDGET_EXCEEDED",
    cost: "0",
    outcome: "error",
    error: "BUDGET_EXCEEDED",
    time: "2026-11-03T00:00:00.000Z",
  },
];

describe("verify", () => {
  it("says that a trail is whole, and gives its last hash to be kept", async () => {
    const cwd = await trail(...RECORDS);
    const whole = await genops.run(["audit", "verify", "audit.jsonl"], cwd);
    expect(whole).toMatchObject({ code: 0, stderr: "" });
    expect(whole.stdout).toContain("5 records in audit.jsonl");
    expect(whole.stdout).toContain("Whole");
    const head = /head ([0-9a-f]{64})/.exec(whole.stdout)?.[1] ?? "";
    expect(await genops.run(["audit", "verify", "audit.jsonl", "--head", head], cwd)).toEqual(
      whole,
    );
    // Its last record cut off: the chain is whole in itself, and no longer has what was seen.
    const file = join(cwd, "audit.jsonl");
    writeFileSync(
      file,
      readFileSync(file, "utf8").split("\n").slice(0, -2).join("\n").concat("\n"),
    );
    expect((await genops.run(["audit", "verify", "audit.jsonl"], cwd)).code).toBe(0);
    const cut = await genops.run(["audit", "verify", "audit.jsonl", "--head", head], cwd);
    expect(cut).toMatchObject({ code: 1, stderr: "" });
    expect(cut.stdout).toContain("records were cut off at the end");
  });

  it("names the first break by file, line and why", async () => {
    const cwd = await trail(...RECORDS);
    const file = join(cwd, "audit.jsonl");
    writeFileSync(file, readFileSync(file, "utf8").replace('"team":"b"', '"team":"c"'));
    const broken = await genops.run(["audit", "verify", "audit.jsonl"], cwd);
    expect(broken).toMatchObject({
      code: 1,
      stdout: "Broken: audit.jsonl, line 3: its hash does not match what it says\n",
      stderr: "",
    });
    const json = await genops.run(["audit", "verify", "audit.jsonl", "--json"], cwd);
    expect(JSON.parse(json.stdout)).toMatchObject({
      whole: false,
      broken: { file: "audit.jsonl", line: 3 },
    });
    const shown = await genops.run(["audit", "show", "audit.jsonl"], cwd);
    expect(shown.code).toBe(1);
    expect(shown.stdout.trim().split("\n")).toHaveLength(1);
    expect(shown.stderr).toContain("audit.jsonl, line 3");
  });
});

describe("show", () => {
  const operations = async (...filters: string[]) => {
    const cwd = await trail(...RECORDS);
    const { code, stdout } = await genops.run(
      ["audit", "show", "audit.jsonl", ...filters, "--json"],
      cwd,
    );
    expect(code).toBe(0);
    return stdout
      .split("\n")
      .filter((line) => line)
      .map((line) => JSON.parse(line).operation);
  };

  it("shows who did what, when and at what cost", async () => {
    const cwd = await trail(...RECORDS);
    const { stdout } = await genops.run(["audit", "show", "audit.jsonl"], cwd);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/log_metric +0\.0001 +ALLOWED +ok +a\/p by ada +run 0af7/);
    expect(lines[2]).toMatch(
      /^2026-11-02T00:00:00\.000Z +transition_model_version_stage .* model churn v3 → Production$/,
    );
    expect(lines[3]).toContain("BLOCKED BUDGET_EXCEEDED");
  });

  it("keeps what its filters ask for", async () => {
    expect(await operations()).toHaveLength(4);
    expect(await operations("--team", "b")).toEqual(["delete_run"]);
    expect(await operations("--operation", "log_artifact")).toEqual(["log_artifact"]);
    expect(await operations("--since", "2026-11-02")).toEqual([
      "transition_model_version_stage",
      "log_artifact",
    ]);
    expect(await operations("--since", "2026-11-02T00:00:00.001Z", "--team", "a")).toEqual([
      "log_artifact",
    ]);
    expect(await operations("--team", "none")).toEqual([]);
  });
});

describe("wrong use", () => {
  it.each([
    [["audit", "verify"], "missing required argument 'files'"],
    [["audit", "verify", "missing.jsonl"], "cannot read 'missing.jsonl': there is no such file"],
    [["audit", "show", "."], "it is a folder"],
    [["audit", "verify", "audit.jsonl", "audit.jsonl"], "is given twice"],
    [["audit", "verify", "audit.jsonl", "--head", "abc"], "64 hex digits"],
    [["audit", "show", "audit.jsonl", "--since", "yesterday"], "24h or 7d"],
    [["audit", "show", "audit.jsonl", "--tem", "a"], "Did you mean --team?"],
    [["audit", "verfy"], "Did you mean verify?"],
  ])("%j is refused", async (args, words) => {
    const { code, stdout, stderr } = await genops.run(args, await trail());
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^genops: [^\n]+\n$/);
    expect(stderr).toContain(words);
  });
});
