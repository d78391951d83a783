// A disk that is full, read-only or away: the program goes on, it is told once, and it is tried again.
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import { ConfigurationError, GenOpsMlflowAdapter } from "../../../src/node.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import { governed } from "../governed.js";
import { LedgerProgram, PRICE } from "./ledger-program.js";
import { MemoryDisk } from "./memory-system.js";

const blocks = {
  budgets: [{ name: "b", limit: "0.002", period: "day" as const, action: "block" as const }],
};

function failing(code: string, when: readonly string[]) {
  return (step: string) =>
    when.includes(step) ? Object.assign(new Error(`${code}: it failed`), { code }) : undefined;
}

describe("a disk that fails", () => {
  it.each([
    ["ENOSPC", ["write"]],
    ["ENOSPC", ["create"]],
    ["EIO", ["sync"]],
    ["EROFS", ["makeFolder", "lock", "create"]],
    ["EACCES", ["lock"]],
  ])(
    "with %s at %s never stops the program; it is told once, and budgets count in memory",
    (code, when) => {
      const program = new LedgerProgram(new MemoryDisk(), blocks);
      program.system.failure = failing(code, when);
      program.system.tornShare = 0.5;
      for (let call = 0; call < 20; call++) expect(program.spend()).toBe(true);
      expect(program.spend()).toBe(false);
      expect(program.status).toMatchObject({
        state: "unavailable",
        known: "0.002",
        uncertain: "0",
      });
      expect(program.status.reason).toContain(code);
      expect(program.warnings).toEqual([expect.stringContaining(code)]);
    },
  );

  it("and heals is used again, and knows what was spent meanwhile", () => {
    const disk = new MemoryDisk();
    const atMs = Date.UTC(2026, 10, 25, 12);
    const program = new LedgerProgram(disk, { ...blocks, atMs });
    for (let call = 0; call < 3; call++) program.spend();
    program.system.failure = failing("ENOSPC", ["write"]);
    program.system.tornShare = 0.5;
    for (let call = 0; call < 8; call++) program.spend();
    expect(program.status.state).toBe("unavailable");
    program.system.failure = undefined;
    program.system.clockMs += 60_000;
    program.spend();
    expect(program.status.state).toBe("active");
    program.journal.close();
    program.system.die();
    const next = new LedgerProgram(disk, blocks);
    expect(next.status).toMatchObject({ known: "0.0012", uncertain: "0" });
    expect(next.warnings).toEqual([]);
  });

  it("only for writing still tells what was spent before", () => {
    const disk = new MemoryDisk();
    const first = new LedgerProgram(disk, blocks);
    for (let call = 0; call < 3; call++) first.spend();
    first.journal.close();
    first.system.die();
    const prepare = (system: LedgerProgram["system"]) => {
      system.failure = failing("EROFS", ["lock", "create", "write", "replace"]);
    };
    const reading = new LedgerProgram(disk, { ...blocks, prepare });
    expect(reading.status).toMatchObject({ state: "unavailable", known: "0.0003" });
    expect(reading.spentOf("b")).toBe(3n * PRICE);
  });
});

describe("a file that was taken for one of somebody gone", () => {
  it("is left, and what was in it counts once", () => {
    const disk = new MemoryDisk();
    const program = new LedgerProgram(disk, { slice: 4n * PRICE });
    for (let call = 0; call < 3; call++) program.spend();
    // Somebody who cannot see that it runs.
    const prepare = (system: LedgerProgram["system"]) => {
      system.isGone = () => true;
    };
    const other = new LedgerProgram(disk, { prepare });
    expect(other.journal.daySpent() >= 3n * PRICE).toBe(true);
    for (let call = 0; call < 20; call++) program.spend();
    program.journal.close();
    program.system.die();
    other.system.die();
    const { known, uncertain } = new LedgerProgram(disk).status;
    expect(Number(known) + Number(uncertain)).toBeGreaterThanOrEqual(0.0023);
    expect(Number(known) + Number(uncertain)).toBeLessThanOrEqual(0.0023 + 0.0004);
  });
});

describe("periods", () => {
  it("begin anew with the day, and what runs over midnight belongs to the day it began", () => {
    const disk = new MemoryDisk();
    const midnight = Date.UTC(2026, 10, 26);
    const program = new LedgerProgram(disk, { ...blocks, atMs: midnight - 60_000 });
    for (let call = 0; call < 20; call++) program.spend();
    expect(program.spend()).toBe(false);
    program.engine.tick(midnight);
    const late = program.begin();
    if (late !== undefined) program.end(late);
    expect(program.journal.daySpent()).toBe(PRICE);
    program.journal.close();
    program.system.die();
    const next = new LedgerProgram(disk, { ...blocks, atMs: midnight + 60_000 });
    expect(next.status).toMatchObject({ known: "0.0001", uncertain: "0" });
    expect(next.spentOf("b")).toBe(PRICE);
    // A week later nothing of it is kept.
    next.journal.close();
    next.system.die();
    new LedgerProgram(disk, { ...blocks, atMs: midnight + 7 * 86_400_000 });
    const folded = disk.files.get("/ledger/folded.journal");
    expect(new TextDecoder().decode(folded?.written)).not.toContain("2026-11-26");
  });
});

describe("the option", () => {
  it.each([
    [{ journal: "x" }, /^journal: "x" is neither true nor false nor an object/],
    [{ journal: { path: "" } }, /^journal\.path: "" is no path/],
    [{ journal: { slice: 0 } }, /^journal\.slice: 0 leaves nothing/],
    [{ journal: { slice: "-1" } }, /^journal\.slice: "-1" is no amount/],
    [{ journal: { slize: 1 } }, /^journal: unknown option "slize"; did you mean "slice"\?/],
  ])("%j is refused", (options, message) => {
    const make = () => new GenOpsMlflowAdapter(options as object);
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(message);
  });

  it("off keeps nothing, and a folder that is a file is told and does not stop the program", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, "file");
    await writeFile(file, "");
    const made = await governed({ journal: { path: file } });
    await made.adapter.trackMlflowRun({ experimentName: "e" }, () => mlflow.logMetric("m", 1));
    expect(made.adapter.journal.state).toBe("unavailable");
    expect(made.warnings).toEqual([expect.stringContaining("the journal in")]);
    expect(made.adapter.dailyUsage).toBe(0.0003);
    const off = await governed({ journal: false });
    expect(off.adapter.journal).toEqual({ state: "off", path: null, known: "0", uncertain: "0" });
  });

  it("lets adapters side by side in one process be: each has a ledger of its own", async () => {
    const folder = await temporaryFolder();
    const options = {
      journal: { path: join(folder, "journal") },
      trackingUri: join(folder, "mlruns"),
    };
    const [first, second] = [await governed(options), await governed(options)];
    await first.adapter.trackMlflowRun({ experimentName: "e" }, () => mlflow.logMetric("m", 1));
    expect(first.adapter.dailyUsage).toBe(0.0003);
    await first.adapter.flush();
    expect(first.adapter.journal).toMatchObject({ state: "active", known: "0.0003" });
    await second.adapter.trackMlflowRun({ experimentName: "e" }, () => mlflow.logMetric("m", 1));
    expect(second.adapter.dailyUsage).toBe(0.0002);
    expect(await readdir(options.journal.path)).toHaveLength(1);
  });
});
