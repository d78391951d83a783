// `genops budget`: what the journals say, with processes that end, run and are killed, and a budget set back.
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { beforeAll, describe, expect, it } from "vitest";
import { confirmed } from "../../src/cli/budget/command.js";
import { printRecord } from "../../src/governance/journal/format.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { buildProgram, Worker } from "../governance/journal/processes.js";
import type { Workload } from "../governance/journal/worker.js";
import { useCommandLine } from "./command-line.js";

const genops = useCommandLine();
let program = "";
beforeAll(async () => {
  program = await buildProgram("worker", mkdtempSync(join(tmpdir(), "genops-test-program-")));
});

/** A folder of journals, and programs that write there. */
async function machine() {
  const cwd = await temporaryFolder();
  const journal = join(cwd, "journal");
  const options: Workload["options"] = {
    trackingUri: join(cwd, "mlruns"),
    journal: { path: journal },
    budgets: [
      { name: "daily", limit: 0.01, period: "day", action: "block" },
      { name: "calls", limit: 1000, period: "total", unit: "operations" },
    ],
  };
  const start = (more: Partial<Workload> = {}) =>
    new Worker(program, { options, operations: 5, ...more }, "on");
  /** One that goes on until it is killed, over a budget that never stops it. */
  start.working = async () => {
    const budgets = [{ name: "calls", limit: 1e9, period: "total", unit: "operations" } as const];
    const worker = start({ operations: 1e6, options: { ...options, budgets } });
    while (worker.acknowledged < 5) await once(worker.child.stdout as PassThrough, "data");
    return worker;
  };
  const run = (...args: string[]) => genops.run(["budget", ...args, "--path", journal], cwd);
  const read = async (...args: string[]) => JSON.parse((await run(...args, "--json")).stdout);
  return { cwd, journal, options, start, run, read };
}

function budgetOf(document: { ledgers: { budgets: { budget: string }[] }[] }, name: string) {
  return document.ledgers[0]?.budgets.find(({ budget }) => budget === name);
}

describe("list", () => {
  it("says that there is nothing where nothing was spent, and reads no other folders", async () => {
    const { run, journal, read } = await machine();
    const empty = await run("list");
    expect(empty).toMatchObject({ code: 0, stderr: "" });
    expect(empty.stdout).toBe(`No budgets in ${journal}: nothing has been spent there.\n`);
    expect(await read("list")).toEqual({ path: journal, ledgers: [] });
    mkdirSync(join(journal, "photos"), { recursive: true });
    writeFileSync(join(journal, "notes.txt"), "");
    expect(await read("list")).toEqual({ path: journal, ledgers: [] });
  });

  it("tells period, limit, spent and uncertain of every budget, and the ledger's day", async () => {
    const { start, run, read } = await machine();
    await start().ended;
    const { stdout, code, stderr } = await run("list");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const today = new Date().toISOString().slice(0, 10);
    expect(stdout).toMatch(/^ml-team-journal-[0-9a-f]{16}\n/);
    expect(stdout).toMatch(
      new RegExp(`\\n  \\(day\\) +day ${today} +– +\\$0\\.0006 +\\$0\\.0000\\n`),
    );
    expect(stdout).toMatch(
      new RegExp(`\\n  daily +day ${today} +\\$0\\.0100 +\\$0\\.0006 +\\$0\\.0000\\n`),
    );
    expect(stdout).toMatch(/\n {2}calls +total +1,000 +6 +0\n/);
    for (const line of stdout.split("\n").slice(2)) expect(line.length).toBeLessThanOrEqual(80);
    expect(budgetOf(await read("list"), "daily")).toMatchObject({
      unit: "usd",
      period: "day",
      scope: {},
      limit: "0.01",
      action: "block",
      spent: "0.0006",
      uncertain: "0",
      takenAhead: "0",
      remaining: "0.0094",
    });
    expect(budgetOf(await read("list"), "(day)")).toMatchObject({ limit: null, remaining: null });
  });

  it("colours on a terminal's flag alone, and finds the folder as programs do", async () => {
    const { start, cwd, journal } = await machine();
    await start().ended;
    const args = ["budget", "list"];
    const found = await genops.run(args, cwd, { GENOPS_JOURNAL: journal });
    expect(found.stdout).toContain("daily");
    expect(found.stdout).not.toContain("\u001b");
    const coloured = await genops.run([...args, "--color"], cwd, { GENOPS_JOURNAL: journal });
    expect(coloured.stdout).toContain("\u001b[1mml-team-journal");
    const elsewhere = await genops.run(args, cwd, { GENOPS_STATE_DIR: cwd });
    expect(elsewhere.stdout).toBe(found.stdout);
  });

  it("counts what a killed process may have spent, and what a running one has taken ahead", async () => {
    const { start, read } = await machine();
    const worker = start({ operations: 4000 });
    await worker.killAfter(5);
    const killed = budgetOf(await read("list"), "daily") as unknown as Record<string, string>;
    expect(Number(killed.spent) + Number(killed.uncertain)).toBeGreaterThanOrEqual(0.0005);
    expect(Number(killed.uncertain)).toBeGreaterThan(0);
    const running = await start.working();
    const document = await read("list");
    expect(document.ledgers[0].processes).toContainEqual({
      pid: running.child.pid,
      host: hostname(),
      isAtWork: true,
    });
    const calls = budgetOf(document, "calls") as unknown as Record<string, string>;
    expect(Number(calls.takenAhead)).toBeGreaterThan(0);
  });

  it("tells of damage, and of what a later version wrote, and reads the rest", async () => {
    const { start, run, read, journal } = await machine();
    await start({ dies: true }).ended;
    const [ledger = ""] = readdirSync(journal);
    const [file = ""] = readdirSync(join(journal, ledger)).filter((name) => /^\d/.test(name));
    const path = join(journal, ledger, file);
    writeFileSync(path, `${readFileSync(path, "utf8")}00000009 0123456789abcdef damaged!!\n`);
    expect((await read("list")).ledgers[0]).toMatchObject({ damagedRecords: 1 });
    expect((await run("list")).stdout).toContain("1 records are damaged");
    writeFileSync(join(journal, ledger, "ledger.json"), "{ not json");
    expect(budgetOf(await read("list"), "daily")).toMatchObject({ limit: null });
    const json = printRecord({ kind: "closed", time: 1, amounts: [] })
      .toString("utf8")
      .slice(26, -1)
      .replace('"version":1', '"version":9');
    const checksum = createHash("sha256").update(json).digest("hex").slice(0, 16);
    const length = String(Buffer.byteLength(json)).padStart(8, "0");
    writeFileSync(join(journal, ledger, "later.journal"), `${length} ${checksum} ${json}\n`);
    expect((await run("list")).stdout).toContain("a later version of genops wrote there");
    const refused = await run("reset", "daily", "--yes");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("a later version of genops writes in");
  });
});

describe("show", () => {
  it("tells one budget in full", async () => {
    const { start, run, read } = await machine();
    await start().ended;
    const { stdout, code } = await run("show", "daily");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^daily\n {2}ledger +ml-team-journal-/);
    expect(stdout).toMatch(/\n {2}period +day, until \d{4}-\d\d-\d\dT00:00:00.000Z\n/);
    expect(stdout).toMatch(/\n {2}limit +\$0\.01 \(block\)\n {2}spent +\$0\.0006\n/);
    expect(stdout).toMatch(/\n {2}left +\$0\.0094\n/);
    expect((await read("show", "daily")).ledgers[0].budgets).toHaveLength(1);
  });

  it.each([
    [["show", "dayly"], 'is called "dayly"; did you mean "daily"?'],
    [["show", "zzzzzzzzzz"], "there are (day), daily, calls"],
    [["show", "daily", "--ledger", "nobody-here"], "there are ml-team-journal-"],
    [["reset", "dayly", "--yes"], 'did you mean "daily"?'],
    [["shwo", "daily"], "unknown command 'shwo'"],
    [["reset", "daily"], "there is no terminal to ask on; give --yes"],
  ])("wrong use is told by name: %j", async (args, message) => {
    const { start, run } = await machine();
    await start({ operations: 1 }).ended;
    const told = await run(...args);
    expect(told.code).toBe(2);
    expect(told.stdout).toBe("");
    expect(told.stderr).toContain(message);
  });
});

describe("reset", () => {
  it("sets one budget's period to nothing, for who starts after it, and notes who did it", async () => {
    const { start, run, read, cwd } = await machine();
    const worker = start({ operations: 4000 });
    await worker.killAfter(5);
    const before = await read("list");
    const audit = join(cwd, "audit.jsonl");
    const done = await run("reset", "daily", "--yes", "--audit-log", audit);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    expect(done.stdout).toMatch(/^Budget "daily" of ml-team-journal-\w+ begins anew: /);
    const after = await read("list");
    const { spent, uncertain } = budgetOf(before, "daily") as unknown as Record<string, string>;
    expect(budgetOf(after, "daily")).toMatchObject({
      spent: "0",
      uncertain: "0",
      remaining: "0.01",
      resets: [{ spent, uncertain, by: expect.stringContaining(" on ") }],
    });
    // Nothing else is touched.
    for (const name of ["(day)", "calls"]) {
      expect(budgetOf(after, name)).toEqual(budgetOf(before, name));
    }
    expect((await run("show", "daily")).stdout).toMatch(/\n {2}reset +\d{4}-.* by .+ on .+: \$0\./);
    const phases = readFileSync(audit, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .map((line) => line.record ?? line)
      .filter(({ kind }) => kind === "decision");
    expect(phases).toMatchObject([
      { operation: "reset_budget", phase: "before", policy: "budget.daily" },
      { operation: "reset_budget", phase: "after", outcome: "ok" },
    ]);
    // A budget that was used up lets calls pass again, and the reset is still known after more was added up.
    const next = start();
    await next.ended;
    expect(next.acknowledged).toBe(6);
    await start().ended;
    expect(budgetOf(await read("list"), "daily")).toMatchObject({
      spent: "0.0012",
      resets: [{ spent, uncertain }],
    });
  });

  it.runIf(existsSync("/dev/full"))(
    "is not done where its audit trail cannot be written, and says which file, why, and what to do",
    async () => {
      const { start, run, read, cwd } = await machine();
      await start().ended;
      const before = await read("list");
      const full = join(cwd, "full.jsonl");
      symlinkSync("/dev/full", full);
      for (const [file, cause] of [
        [full, "the disk is full (ENOSPC). Make room there"],
        ["/sys/genops/audit.jsonl", "denied"],
      ] as const) {
        const refused = await run("reset", "daily", "--yes", "--audit-log", file);
        expect(refused).toMatchObject({ code: 1, stdout: "" });
        expect(refused.stderr).toMatch(/^genops: budget "daily" was not reset: .*\n$/);
        expect(refused.stderr).toContain(`${JSON.stringify(file)}: `);
        expect(refused.stderr).toContain(cause);
        expect(refused.stderr).toContain("choose another file with auditLog");
      }
      expect(await read("list")).toEqual(before);
    },
  );

  it("lets a budget that blocked let calls pass again", async () => {
    const { start, run } = await machine();
    const first = start({ operations: 200 });
    await first.ended;
    expect(first.of("refused")).toEqual([{ kind: "refused", budget: "daily" }]);
    const blocked = start();
    await blocked.ended;
    expect(blocked.acknowledged).toBe(0);
    expect((await run("reset", "daily", "--yes")).code).toBe(0);
    const again = start();
    await again.ended;
    expect(again.acknowledged).toBe(6);
  });

  it("is refused while a process of the ledger is at work, and changes nothing", async () => {
    const { start, run, read } = await machine();
    const running = await start.working();
    const refused = await run("reset", "calls", "--yes");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain(`are at work (${running.child.pid} on `);
    const standing = budgetOf(await read("list"), "calls") as unknown as { resets: unknown[] };
    expect(standing.resets).toEqual([]);
    running.child.kill("SIGKILL");
    await running.ended;
    expect((await run("reset", "calls", "--yes")).code).toBe(0);
  });

  it("asks which one where several ledgers have the name", async () => {
    const { start, run, options } = await machine();
    await start({ operations: 1 }).ended;
    await start({ operations: 1, options: { ...options, customerId: "acme" } }).ended;
    const told = await run("reset", "daily", "--yes");
    expect(told.code).toBe(2);
    expect(told.stderr).toContain("give --ledger with one of ml-team-journal-");
    const [, ledger = ""] = /one of (\S+),/.exec(told.stderr) ?? [];
    expect((await run("reset", "daily", "--yes", "--ledger", ledger)).code).toBe(0);
  });

  it("takes the one that a program has now where its period was changed", async () => {
    const { start, run, read, options } = await machine();
    await start({ operations: 1 }).ended;
    const budgets = [{ name: "daily", limit: 0.01, period: "month" } as const];
    await start({ operations: 1, options: { ...options, budgets } }).ended;
    const spentOf = async () => {
      const [ledger] = (await read("show", "daily")).ledgers.slice(0, 1);
      const { ledgers } = await read("list");
      expect(ledger.name).toBe(ledgers[0].name);
      return ledgers[0].budgets
        .filter(({ budget }: { budget: string }) => budget === "daily")
        .map(({ period, spent }: { period: string; spent: string }) => [period, spent]);
    };
    expect(Object.fromEntries(await spentOf())).toEqual({ day: "0.0002", month: "0.0002" });
    expect(await run("reset", "daily", "--yes")).toMatchObject({ code: 0, stderr: "" });
    expect(Object.fromEntries(await spentOf())).toEqual({ day: "0.0002", month: "0" });
  });

  it("says which ones there are where no program has any of them now", async () => {
    const { start, run, options, journal } = await machine();
    await start({ operations: 1 }).ended;
    const budgets = [{ name: "daily", limit: 0.01, period: "month" } as const];
    await start({ operations: 1, options: { ...options, budgets } }).ended;
    const [ledger = ""] = readdirSync(journal);
    writeFileSync(join(journal, ledger, "ledger.json"), "garbage");
    const told = await run("reset", "daily", "--yes");
    expect(told.code).toBe(2);
    expect(told.stderr).toContain(
      `"daily" is the name of 2 budgets of ${ledger} (day, month), and the ledger does not say which one programs have now; start the program whose budget it is, and try again`,
    );
  });

  it.each([
    ["", "--path: give a folder"],
    ["notes.txt", "it is a file; give the folder of the journals"],
  ])("--path %j is no folder of journals", async (path, message) => {
    const cwd = await temporaryFolder();
    writeFileSync(join(cwd, "notes.txt"), "");
    const told = await genops.run(["budget", "list", "--path", path], cwd);
    expect(told).toMatchObject({ code: 2, stdout: "" });
    expect(told.stderr).toContain(message);
  });

  it.each([
    ["y", true],
    ["YES", true],
    ["", false],
    ["n", false],
    ["yesterday", false],
    [undefined, false],
  ])("asks a person, and takes %j for %j", async (answer, expected) => {
    const input = Object.assign(new PassThrough(), { isTTY: true });
    const output = Object.assign(new PassThrough(), { isTTY: true });
    const asked = confirmed("Really?", { input, output });
    if (answer === undefined) input.end();
    else input.write(`${answer}\n`);
    expect(await asked).toBe(expected);
    expect(String(output.read())).toContain("Really? [y/N]");
  });
});
