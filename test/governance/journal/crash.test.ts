// Programs that die at any step, alone and side by side: what was acknowledged is known, nothing counts twice.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { usdToAtto } from "../../../src/engine/index.js";
import { DAY_KEY } from "../../../src/governance/journal/accumulator.js";
import { parseJournal } from "../../../src/governance/journal/format.js";
import { LedgerProgram, PRICE, type ProgramOptions } from "./ledger-program.js";
import { MemoryDisk, type MemorySystem } from "./memory-system.js";

const SLICE = 5n * PRICE;
const LIMIT = 40n * PRICE;

const options: ProgramOptions = {
  slice: SLICE,
  budgets: [
    { name: "blocks", limit: "0.004", period: "day", action: "block" },
    { name: "warns", limit: "0.0001", period: "total" },
  ],
};

/** What the ledger has been told, against which a program that starts is held. */
class Account {
  /** Calls whose end was told to whoever made them. */
  acknowledged = 0n;
  /** Calls that were made and whose program died before it could tell. */
  untold = 0n;
  deaths = 0n;
}

function check(program: LedgerProgram, account: Account): void {
  const acknowledged = account.acknowledged * PRICE;
  const made = acknowledged + account.untold * PRICE;
  const spent = program.journal.daySpent();
  const uncertainAtto = usdToAtto(program.status.uncertain, "uncertain");
  expect(spent >= acknowledged, "no less than was acknowledged").toBe(true);
  expect(spent - uncertainAtto <= made, "nothing counts twice").toBe(true);
  expect(uncertainAtto <= account.deaths * SLICE, "uncertain no more than a slice each").toBe(true);
  for (const name of ["blocks", "warns"]) {
    const ofBudget = program.spentOf(name);
    expect(ofBudget >= acknowledged, `no less of ${name}`).toBe(true);
    expect(ofBudget <= made + account.deaths * SLICE, `no more of ${name}`).toBe(true);
  }
  expect(acknowledged <= LIMIT, "the budget that blocks is never exceeded").toBe(true);
}

/** Of one program that is gone: what its own file says holds for what it alone was told. */
function checkFile(disk: MemoryDisk, { system }: LedgerProgram, acknowledged: bigint): void {
  const entry = [...disk.files].find(([path]) => path.startsWith(`/ledger/${system.processName}-`));
  const amounts = parseJournal(entry?.[1].written ?? new Uint8Array()).records.flatMap((record) =>
    record.kind === "opened" ? [] : record.amounts,
  );
  const last = amounts.findLast(({ of }) => of === DAY_KEY);
  const { spent, upTo } = last ?? { spent: 0n, upTo: 0n };
  expect(upTo >= acknowledged * PRICE, "no less than was acknowledged by one").toBe(true);
  expect(spent <= acknowledged * PRICE, "no more than was acknowledged by one").toBe(true);
  expect(upTo - spent <= SLICE, "a slice uncertain of one").toBe(true);
}

type Command =
  | {
      readonly kind: "spend";
      readonly program: number;
      readonly times: number;
      readonly turns: boolean;
    }
  | { readonly kind: "background" | "settle" | "close"; readonly program: number }
  | {
      readonly kind: "die";
      readonly program: number;
      readonly steps: number;
      readonly torn: number;
    }
  | { readonly kind: "powerCut" };

const program = fc.integer({ min: 0, max: 1 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("spend" as const),
      program,
      times: fc.integer({ min: 1, max: 8 }),
      turns: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("background" as const), program }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("settle" as const, "close" as const), program }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("die" as const),
      program,
      steps: fc.integer({ min: 1, max: 12 }),
      torn: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "powerCut" as const }) },
);

/** Lets what was scheduled on the event loop happen. */
function nextTurn(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}

async function play(commands: readonly Command[]): Promise<void> {
  const disk = new MemoryDisk();
  const account = new Account();
  const programs: LedgerProgram[] = [];
  /** Acknowledged by each program that runs. */
  const own = [0n, 0n];
  const start = (index: number) => {
    own[index] = 0n;
    programs[index] = new LedgerProgram(disk, options);
  };
  start(0);
  start(1);
  const at = (index: number) => programs[index] as LedgerProgram;
  const bury = (index: number) => {
    account.deaths++;
    start(index);
  };
  for (const each of commands) {
    if (each.kind === "powerCut") {
      disk.cutPower();
    } else if (each.kind === "die") {
      at(each.program).system.stepsToLive = each.steps;
      at(each.program).system.tornShare = each.torn;
    } else if (each.kind === "spend") {
      for (let time = 0; time < each.times; time++) {
        const spending = at(each.program);
        if (each.turns) await nextTurn();
        const call = spending.begin();
        if (spending.system.isDead) break;
        if (call === undefined) continue;
        spending.end(call);
        account.acknowledged++;
        own[each.program] = (own[each.program] ?? 0n) + 1n;
        expect(spending.status.state).toBe("active");
      }
    } else if (each.kind === "background") {
      await nextTurn();
      at(each.program).system.runBackground();
    } else {
      at(each.program).journal[each.kind]();
      if (each.kind === "close") {
        // A program that ends without dying leaves nothing uncertain.
        const died = at(each.program).system.isDead;
        at(each.program).system.die();
        if (died) account.deaths++;
        start(each.program);
      }
    }
    const dead = [0, 1].filter((index) => at(index).system.isDead);
    for (const index of dead) checkFile(disk, at(index), own[index] as bigint);
    for (const index of dead) bury(index);
  }
  // Whatever is left of the budget is spent, by both in turns.
  for (const index of [0, 1]) at(index).system.stepsToLive = undefined;
  for (let time = 0; time < 60; time++) {
    if (at(time % 2).spend()) account.acknowledged++;
    if (time % 5 === 0) await nextTurn();
  }
  disk.cutPower();
  account.deaths += 2n;
  check(new LedgerProgram(disk, options), account);
}

describe("programs that die", () => {
  it("at any step, alone, leave no less than was acknowledged, and a slice uncertain at most", async () => {
    for (let steps = 1; steps < 45; steps++) {
      for (const torn of [0, 0.7]) {
        const disk = new MemoryDisk();
        const account = new Account();
        const dying = new LedgerProgram(disk, options);
        dying.system.stepsToLive = steps;
        dying.system.tornShare = torn;
        for (let call = 0; call < 12 && !dying.system.isDead; call++) {
          const made = dying.begin();
          if (dying.system.isDead) break;
          if (made !== undefined) dying.end(made);
          account.acknowledged++;
          if (call % 3 === 2) {
            await nextTurn();
            dying.system.runBackground();
          }
        }
        account.deaths = 1n;
        dying.system.die();
        check(new LedgerProgram(disk, options), account);
        // And once more: what was folded stays as it is.
        check(new LedgerProgram(disk, options), account);
      }
    }
  });

  it("while they fold the files of others leave each of them counted once", () => {
    for (let steps = 1; steps < 12; steps++) {
      const disk = new MemoryDisk();
      const account = new Account();
      for (let times = 0; times < 3; times++) {
        const first = new LedgerProgram(disk, options);
        for (let call = 0; call < 3; call++) if (first.spend()) account.acknowledged++;
        if (times === 0) first.journal.close();
        first.system.die();
        account.deaths++;
        // Dies at its start, where it folds.
        const prepare = (system: MemorySystem) => {
          system.stepsToLive = steps;
        };
        new LedgerProgram(disk, { ...options, prepare }).system.die();
      }
      check(new LedgerProgram(disk, options), account);
    }
  });

  it("rely on no slice that is still on its way to the disk", async () => {
    for (let more = 0; more < 12; more++) {
      const disk = new MemoryDisk();
      const account = new Account();
      const dying = new LedgerProgram(disk, { slice: 20n * PRICE });
      // Slices grow while they are used up fast: one of several calls is on its way after some.
      for (let call = 0; call < 40 && dying.system.waiting === 0; call++) {
        if (dying.spend()) account.acknowledged++;
        await nextTurn();
      }
      expect(dying.system.waiting).toBe(1);
      for (let call = 0; call < more; call++) if (dying.spend()) account.acknowledged++;
      disk.cutPower();
      const next = new LedgerProgram(disk, options);
      const acknowledged = account.acknowledged * PRICE;
      expect(next.journal.daySpent() >= acknowledged, `after ${more} more`).toBe(true);
    }
  });

  it("side by side, in any order, keep every promise", async () => {
    await fc.assert(fc.asyncProperty(fc.array(command, { maxLength: 40 }), play), {
      numRuns: 80,
    });
  });
});
