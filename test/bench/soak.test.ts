// The soak of the gateway: what it concludes, what it refuses by name, and a short one from beginning to end.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const ROOM = join(import.meta.dirname, "../../bench/gateway");

interface Row {
  readonly name: string;
  readonly load: number;
  readonly ledger?: number;
  readonly server: number;
}

interface Sample {
  readonly rss: number;
  readonly heap: number;
}

interface Verdict {
  compare(counts: object, summary: object, kept: object): { rows: Row[]; differences: string[] };
  unevenSums(summary: object): string[];
  judgeMemory(samples: readonly Sample[], minutes: number): object;
}

function soak(...options: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const env = { ...neutralEnvironment() };
    execFile(
      process.execPath,
      [join(ROOM, "soak.mjs"), ...options],
      { env, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}

function verdict(): Promise<Verdict> {
  return import(pathToFileURL(join(ROOM, "soak/verdict.mjs")).href);
}

describe("wrong use ends with 2", () => {
  it.each([
    [["--minute", "1"], 'unknown option "--minute"; did you mean "--minutes"?'],
    [["--minutes", "0"], '--minutes: "0" is no number above 0'],
    [["--minutes", "soon"], '--minutes: "soon" is no number above 0'],
    [["--seed", "1.5"], '--seed: "1.5" is not a whole number'],
    [["--clients", "0"], '--clients: "0" is not a whole number from 1'],
    [["--json=yes"], "Option '--json' does not take an argument"],
    [["5"], '"5" is no option; see --help'],
  ])("%j", async (options, message) => {
    const { code, stdout, stderr } = await soak(...options);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`soak:gateway: ${message}`);
  });

  it("while asking for help is right", async () => {
    const { code, stdout } = await soak("--help");
    expect(code).toBe(0);
    for (const option of ["--minutes", "--clients", "--seed", "--json", "--help"]) {
      expect(stdout).toContain(option);
    }
  });
});

/** What a soak has seen in which everything is right, to be changed in one place. */
function right() {
  const figures = {
    ...{ experiments: 1, runs: 3, endedRuns: 3, deletedRuns: 1, registeredModels: 1 },
    ...{ modelVersions: 2, loggedModels: 1, metrics: 20, params: 3, tags: 2, files: 2, bytes: 99 },
  };
  const calls = (count: number, items = count) => ({ count, errorCount: 0, items });
  const operations: Record<string, { count: number; errorCount: number; items: number }> = {
    create_experiment: calls(1),
    create_run: calls(3),
    update_run: calls(3),
    delete_run: calls(1),
    log_metric: calls(8),
    log_param: calls(1),
    set_tag: calls(2),
    delete_tag: calls(1),
    log_batch: calls(3, 15),
    create_registered_model: calls(2),
    delete_registered_model: calls(1),
    create_model_version: calls(2),
    create_logged_model: calls(1),
  };
  const storage = { s3: { bytes: 90, files: 1 }, gcs: { bytes: 9, files: 1 } };
  return {
    counts: { acknowledged: { ...figures }, uncertain: {} as Record<string, number> },
    summary: { operations, storage },
    kept: { ...figures },
  };
}

async function differences(change: (seen: ReturnType<typeof right>) => void): Promise<string[]> {
  const seen = right();
  seen.counts.uncertain = Object.fromEntries(Object.keys(seen.kept).map((name) => [name, 0]));
  change(seen);
  return (await verdict()).compare(seen.counts, seen.summary, seen.kept).differences;
}

describe("the ledger against the server", () => {
  it("differs in nothing when all three say the same", async () => {
    expect(await differences(() => undefined)).toEqual([]);
  });

  it.each([
    ["a run that the ledger has missed", "runs: the ledger says 3, the server keeps 4"],
    ["a run that nobody was told of", "runs: the load was told of 3, the server keeps 4"],
  ])("%s is named", async (_what, message) => {
    expect(
      await differences(({ kept }) => {
        kept.runs++;
      }),
    ).toContain(message);
  });

  it("items of batches and bytes are told to the last one", async () => {
    const found = await differences(({ summary }) => {
      summary.operations.log_batch = { count: 3, errorCount: 0, items: 14 };
      summary.storage.gcs.bytes = 10;
    });
    expect(found).toEqual([
      "bytes: the ledger says 100, the server keeps 99",
      "items: the ledger says 24, the server keeps 25",
    ]);
  });

  it("who went away without an answer may have written, and the ledger must know", async () => {
    const gone = ({ counts, kept, summary }: ReturnType<typeof right>) => {
      counts.uncertain.metrics = 2;
      kept.metrics++;
      summary.operations.log_metric = { count: 9, errorCount: 0, items: 9 };
    };
    expect(await differences(gone)).toEqual([]);
    expect(
      await differences((seen) => {
        gone(seen);
        seen.summary.operations.log_metric = { count: 8, errorCount: 0, items: 8 };
      }),
    ).toEqual(["items: the ledger says 25, the server keeps 26"]);
    expect(
      await differences((seen) => {
        gone(seen);
        seen.kept.metrics += 2;
      }),
    ).toContain("metrics: the load was told of 20 to 22, the server keeps 23");
  });
});

describe("sums", () => {
  const run = (runId: string, own: string, inclusive: string, parentRunId?: string) => ({
    ...{ runId, ownCostExact: own, inclusiveCostExact: inclusive },
    ...(parentRunId !== undefined && { parentRunId }),
  });
  const even = {
    totalCost: "0.000600000000000001",
    costByTeam: { a: "0.0005", "(unattributed)": "0.000100000000000001" },
    costByRun: { p: "0.0002", c: "0.000300000000000001", "(unattributed)": "0.0001" },
    runs: [
      run("p", "0.0002", "0.000500000000000001"),
      run("c", "0.000300000000000001", "0.000300000000000001", "p"),
    ],
  };

  it("are even to the last unit, or named", async () => {
    const { unevenSums } = await verdict();
    expect(unevenSums(even)).toEqual([]);
    expect(unevenSums({ ...even, costByTeam: { a: "0.0006" } })).toEqual([
      "costByTeam comes to 600000000000000 atto-USD, the total is 600000000000001",
    ]);
    const [parent, child] = even.runs;
    const short = { ...parent, inclusiveCostExact: "0.0005" };
    expect(unevenSums({ ...even, runs: [short, child] })).toEqual([
      "run p: its parts come to 500000000000001 atto-USD, it says 500000000000000",
      "the runs at the top come to 600000000000000 atto-USD, the total is 600000000000001",
    ]);
  });
});

describe("memory", () => {
  const samples = (rss: (at: number) => number) =>
    Array.from({ length: 80 }, (_, at) => ({ rss: rss(at), heap: 1 }));

  it("is flat when it has grown first, jumps, and stays", async () => {
    const { judgeMemory } = await verdict();
    const jumping = (at: number) => Math.min(at, 20) * 10 + (at % 7 === 0 ? 90 : 0);
    expect(judgeMemory(samples(jumping), 30)).toMatchObject({ judged: true, broken: false });
  });

  it("is not when it grows all the time", async () => {
    const { judgeMemory } = await verdict();
    const leaking = samples((at) => 100 + at / 2);
    expect(judgeMemory(leaking, 30)).toMatchObject({ judged: true, broken: true });
  });

  it("is not judged when it was too short", async () => {
    const { judgeMemory } = await verdict();
    expect(
      judgeMemory(
        samples(() => 1),
        19,
      ),
    ).toEqual({ judged: false });
    expect(judgeMemory(samples(() => 1).slice(0, 15), 30)).toEqual({ judged: false });
  });
});

describe.runIf(requiresMlflow())("a short soak", () => {
  it("has a ledger that is what the server keeps, with a budget that has blocked", async () => {
    const { code, stdout, stderr } = await soak(
      ...["--minutes", "0.05", "--clients", "3", "--json"],
    );
    expect(stderr).toBe("");
    const result = JSON.parse(stdout);
    expect(result.problems).toEqual([]);
    expect(code).toBe(0);
    const rows: readonly Row[] = result.compared;
    const of = (name: string) => rows.find((row) => row.name === name);
    for (const name of ["experiments", "runs", "endedRuns", "files", "bytes", "items"]) {
      expect(of(name)?.ledger).toBe(of(name)?.server);
      expect(of(name)?.server).toBeGreaterThan(0);
    }
    // A run and its child in Python, three clients, and whom the budget has stopped.
    expect(of("runs")?.server).toBeGreaterThanOrEqual(5);
    expect(result.refused).toBeGreaterThan(0);
    expect(result.memory).toMatchObject({ judged: false });
    expect(result.memory.samples[0].rss).toBeGreaterThan(result.memory.samples[0].heap);
  });
});
