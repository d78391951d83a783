// Real programs on a folder store, killed at random moments and started again: what was acknowledged is known.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../adapter/workplace.js";
import { buildProgram, Worker } from "./processes.js";
import type { Workload } from "./worker.js";

/** Programs that are killed; `npm run test:kills` kills many more. */
const KILLS = Number(process.env.GENOPS_TEST_KILLS ?? 16);
const PRICE = 0.0001;
const SLICE = 0.001;

let program = "";
beforeAll(async () => {
  program = await buildProgram("worker", mkdtempSync(join(tmpdir(), "genops-test-program-")));
});

/** Ten-thousandths of a USD, as whole numbers: the price of one operation. */
function operations(usd: number | string): number {
  return Math.round(Number(usd) / PRICE);
}

interface Known {
  readonly dailyUsage: number;
  readonly known: number;
  readonly uncertain: number;
}

function knownOf({ dailyUsage, journal }: { dailyUsage: number; journal: unknown }): Known {
  const { known, uncertain } = journal as { known: string; uncertain: string };
  return {
    dailyUsage: operations(dailyUsage),
    known: operations(known),
    uncertain: operations(uncertain),
  };
}

/** What a program finds that starts now. */
async function found(journal: string, options: Workload["options"]): Promise<Known> {
  const worker = new Worker(program, { options, operations: 0 }, journal);
  await worker.ended;
  expect(worker.errors).toBe("");
  const [started] = worker.of("started");
  if (started === undefined) throw new Error("the program did not start");
  return knownOf(started);
}

describe("programs that are killed", () => {
  it(`at random moments, ${KILLS} times, leave what they acknowledged known, and a slice uncertain at most`, async () => {
    const folder = await temporaryFolder();
    const journal = join(folder, "journal");
    const options = {
      trackingUri: join(folder, "mlruns"),
      journal: { path: journal, slice: SLICE },
      budgets: [{ name: "day", limit: 1000, period: "day" as const }],
    };
    let acknowledged = 0;
    let kills = 0;
    /** Calls that may have been made by programs that were killed before they could tell. */
    let untold = 0;
    while (kills < KILLS) {
      const abreast = kills % 3 === 0 ? 4 : 1;
      const worker = new Worker(program, { options, operations: 4000, abreast }, "on");
      await worker.killAfter(Math.floor(Math.random() * 60));
      kills++;
      untold += abreast;
      const [started] = worker.of("started");
      if (started !== undefined) {
        const { dailyUsage, known, uncertain } = knownOf(started);
        expect(dailyUsage).toBeGreaterThanOrEqual(acknowledged);
        expect(known).toBeLessThanOrEqual(acknowledged + untold);
        expect(uncertain).toBeLessThanOrEqual((kills - 1) * operations(SLICE));
        expect(dailyUsage).toBe(known + uncertain);
      }
      acknowledged += worker.acknowledged;
    }
    const last = await found("on", options);
    expect(last.dailyUsage).toBeGreaterThanOrEqual(acknowledged);
    expect(last.known).toBeLessThanOrEqual(acknowledged + untold);
    expect(last.uncertain).toBeLessThanOrEqual(kills * operations(SLICE));
    // Something was killed in the middle, or nothing was shown.
    expect(last.uncertain).toBeGreaterThan(0);
    expect(acknowledged).toBeGreaterThan(KILLS);
  });

  it("two at a time over one budget that blocks never exceed it, killed and started again", async () => {
    const folder = await temporaryFolder();
    const limit = 0.03;
    const options = {
      trackingUri: join(folder, "mlruns"),
      journal: { path: join(folder, "journal") },
      budgets: [{ name: "block", limit, period: "day" as const, action: "block" as const }],
    };
    let acknowledged = 0;
    let refused = 0;
    for (let round = 0; round < 5; round++) {
      const pair = [0, 1].map(
        () => new Worker(program, { options, operations: 400, waits: true }, "on"),
      );
      for (const worker of pair) worker.go();
      const [first, second] = pair as [Worker, Worker];
      // In the last round nobody is killed, and what is left is spent.
      if (round < 4) await Promise.all([first.killAfter(5 + round * 5), second.killAfter(10)]);
      await Promise.all(pair.map((worker) => worker.ended));
      for (const worker of pair) {
        expect(worker.errors).toBe("");
        expect(worker.of("failed")).toEqual([]);
        acknowledged += worker.acknowledged;
        refused += worker.of("refused").length;
      }
    }
    expect(acknowledged).toBeLessThanOrEqual(operations(limit));
    expect(refused).toBeGreaterThan(0);
    // It is used up, but for what the killed ones may have spent.
    const { dailyUsage } = await found("on", options);
    expect(dailyUsage).toBeGreaterThanOrEqual(acknowledged);
  });

  it("not at all, or by ending in the usual way, leave nothing uncertain", async () => {
    const folder = await temporaryFolder();
    const options = { trackingUri: join(folder, "mlruns") };
    const journal = join(folder, "journal");
    for (let round = 0; round < 2; round++) {
      const worker = new Worker(program, { options, operations: 7 }, journal);
      await worker.ended;
      expect(worker.of("warning")).toEqual([]);
    }
    // Two runs and fourteen metrics, and none of them counts as this one's.
    expect(await found(journal, options)).toEqual({ dailyUsage: 16, known: 16, uncertain: 0 });
    const other = { ...options, team: "another-team" };
    expect(await found(journal, other)).toEqual({ dailyUsage: 0, known: 0, uncertain: 0 });
    expect(await found("off", options)).toEqual({ dailyUsage: 0, known: 0, uncertain: 0 });
  });
});
