// The journal beside others: clocks that are set back, locks that are lost, engines that are full, threads of one process.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { nodeSystem } from "../../../src/governance/journal/system.js";
import { openAuditFile } from "../../../src/telemetry/audit/open-file.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import { LedgerProgram, PRICE } from "./ledger-program.js";
import { MemoryDisk } from "./memory-system.js";

const NOON = Date.UTC(2026, 10, 25, 12);
const blocks = { name: "b", limit: "0.004", period: "day", action: "block" } as const;

it("tries a disk that failed again when half a minute has passed, whatever the clock on the wall says", () => {
  const program = new LedgerProgram(new MemoryDisk(), { atMs: NOON });
  program.system.failure = (step) => (step === "write" ? new Error("ENOSPC") : undefined);
  program.spend();
  expect(program.status.state).toBe("unavailable");
  program.system.failure = undefined;
  // Set forward: half a minute has not passed.
  program.engine.tick(NOON + 3_600_000);
  program.spend();
  expect(program.status.state).toBe("unavailable");
  // Set back: it has.
  program.engine.tick(NOON);
  program.system.clockMs += 31_000;
  program.spend();
  expect(program.status.state).toBe("active");
});

it("never writes a slice when it was held up so long that another took the folder", () => {
  const disk = new MemoryDisk();
  const budgets = [blocks];
  const first = new LedgerProgram(disk, { budgets });
  const second = new LedgerProgram(disk, { budgets });
  let made = 0;
  // Stands still after it has read what others have, for longer than a lock lasts.
  const read = first.system.list.bind(first.system);
  first.system.list = (folder) => {
    const names = read(folder);
    first.system.list = read;
    disk.lockHolder = undefined;
    while (second.spend()) made++;
    disk.lockHolder = undefined;
    return names;
  };
  while (first.spend()) made++;
  // The limit, to the last call: what the second one has taken the first one must not take again.
  expect(made).toBe(40);
  expect(first.warnings).toEqual([]);
  expect(first.status.state).toBe("active");
});

it("begins another file after its last word, and every call is counted once by who comes later", () => {
  const disk = new MemoryDisk();
  const budgets = [blocks];
  const first = new LedgerProgram(disk, { budgets });
  first.spend();
  first.spend();
  first.journal.close();
  first.spend();
  const second = new LedgerProgram(disk, { budgets });
  // Folds what is over, and the first one goes on.
  second.spend();
  first.spend();
  first.journal.settle();
  second.journal.settle();
  const third = new LedgerProgram(disk, { budgets });
  expect(third.status).toMatchObject({ known: "0.0005", uncertain: "0" });
  expect(third.spentOf("b")).toBe(5n * PRICE);
  expect([...first.warnings, ...second.warnings, ...third.warnings]).toEqual([]);
});

it("shows what others have spent to who asks, though it spends nothing itself", () => {
  const disk = new MemoryDisk();
  const budgets = [blocks];
  const idle = new LedgerProgram(disk, { budgets });
  idle.journal.refresh();
  const busy = new LedgerProgram(disk, { budgets });
  busy.spend();
  busy.spend();
  busy.journal.settle();
  expect(idle.status.known).toBe("0");
  idle.system.clockMs += 1000;
  idle.journal.refresh();
  expect(idle.status.known).toBe("0.0002");
  expect(idle.spentOf("b")).toBe(2n * PRICE);
});

it("goes on where the engine has no room to hold what others have taken ahead", () => {
  const disk = new MemoryDisk();
  const other = new LedgerProgram(disk, { slice: 50n * PRICE });
  const program = new LedgerProgram(disk, { slice: 2n * PRICE });
  // With the call itself, every reservation that the engine has is under way.
  const calls = Array.from({ length: 63 }, () =>
    program.engine.reserve(program.node, "search_runs"),
  );
  expect(calls.every((call) => typeof call === "number")).toBe(true);
  for (let call = 0; call < 3; call++) other.spend();
  expect(program.begin()).toBeDefined();
  expect(program.warnings).toEqual([]);
  expect(program.status.state).toBe("active");
});

it("tells of alerts once the folder is free again, as what is told may take its time", () => {
  const disk = new MemoryDisk();
  const budgets = [{ name: "warns", limit: "0.002", period: "day", alertAt: [0.5] } as const];
  const held: boolean[] = [];
  const other = new LedgerProgram(disk, { budgets });
  const program = new LedgerProgram(disk, {
    budgets,
    slice: 2n * PRICE,
    onAlerts: () => held.push(disk.lockHolder !== undefined),
  });
  for (let call = 0; call < 15; call++) other.spend();
  other.journal.close();
  program.spend();
  expect(held).toEqual([false]);
});

it("replaces a file beside another thread that is just doing the same", async () => {
  const path = join(await temporaryFolder(), "ledger.json");
  const others = `${path}.${process.pid}.new`;
  writeFileSync(others, "half of what another thread wri");
  nodeSystem.replace(path, Buffer.from("ours"));
  expect(readFileSync(path, "utf8")).toBe("ours");
  expect(existsSync(others)).toBe(true);
});

it("listens once for the end of the process, however many audit files are open", async () => {
  const folder = await temporaryFolder();
  const before = process.listenerCount("exit");
  for (let file = 0; file < 20; file++) openAuditFile(join(folder, `${file}.jsonl`));
  expect(process.listenerCount("exit")).toBeLessThanOrEqual(before + 1);
});
