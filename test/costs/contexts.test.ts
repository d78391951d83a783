// Cost contexts: isolated, nested, concurrent, and exact, with one adapter, several or none.
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { MlflowCostContext } from "../../src/costs/context.js";
import { Tally } from "../../src/costs/tally.js";
import { ATTO_PER_USD, OVERFLOW, usdToAtto } from "../../src/engine/index.js";
import type { Settlement } from "../../src/governance/settlement.js";
import { interceptorCount } from "../../src/mlflow/interceptor.js";
import * as mlflow from "../../src/mlflow/node.js";
import {
  ConfigurationError,
  createMlflowCostContext,
  GenOpsMlflowAdapter,
  instrumentMlflow,
  type MlflowCostSummary,
} from "../../src/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { call, endRun, startRun, writeArtifact } from "./nothing-store.js";

afterEach(() => vi.unstubAllEnvs());

const exact = (summary: MlflowCostSummary) => usdToAtto(summary.totalCostExact, "total");

/** Each breakdown that divides the total sums to it. */
function expectSums(summary: MlflowCostSummary): void {
  for (const [name, amounts] of Object.entries(summary.exact)) {
    const sum = Object.values(amounts as Record<string, string>).reduce(
      (total, usd) => total + usdToAtto(usd, name),
      0n,
    );
    expect(sum, name).toBe(exact(summary));
  }
  for (const run of summary.runs) {
    const below = summary.runs.filter(({ parentRunId }) => parentRunId === run.runId);
    const children = below.reduce(
      (sum, child) => sum + usdToAtto(child.inclusiveCostExact, "i"),
      0n,
    );
    expect(usdToAtto(run.inclusiveCostExact, "i")).toBe(
      usdToAtto(run.ownCostExact, "o") + children,
    );
  }
}

const notZero = (amounts: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount !== "0"));

describe("a cost context", () => {
  it("holds what its callback did, by every breakdown, and answers its value", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const storageBackends = { "file:": "s3", "/": "s3" };
    const adapter = instrumentMlflow({ team: "a", project: "p", trackingUri, storageBackends });
    const experimentName = uniqueName("workflow");
    await adapter.trackMlflowRun({ experimentName, runName: "before" }, () => {});
    const { runId, context } = await createMlflowCostContext("my-workflow", (context) =>
      adapter.trackMlflowRun(
        { experimentName, runName: "inside", customerId: "acme" },
        async (run) => {
          await mlflow.logParam("learning_rate", 0.01);
          await mlflow.logText("x".repeat(1000), "notes.txt");
          return { runId: run.info.runId, context };
        },
      ),
    );
    await adapter.trackMlflowRun({ experimentName, runName: "after" }, () => {});
    const summary = context.getSummary();
    // A run, a param, and 1,000 bytes on S3 for one of thirty days.
    expect(summary.totalCostExact).toBe("0.000200000714013974");
    expect(summary.exact.costByExperiment).toEqual({ [experimentName]: "0.000200000714013974" });
    expect(summary.exact.costByTeam).toEqual({ a: "0.000200000714013974" });
    expect(summary.exact.costByCustomer).toEqual({ acme: "0.000200000714013974" });
    expect(summary.exact.costByStorageBackend).toEqual({
      "(unattributed)": "0.0002",
      s3: "0.000000000714013974",
    });
    expect(summary.storage).toEqual({ s3: { bytes: 1000, files: 1 } });
    expect(summary.runs).toEqual([
      expect.objectContaining({ runId, runName: "inside", experiment: experimentName }),
    ]);
    expect(summary).toMatchObject({ operationCount: 3, runCount: 1, totalStorageBytes: 1000 });
    expect(summary.operations.log_param?.latencyP95).toBeGreaterThan(0);
    expect(summary.operations.log_param?.throughput).toBeGreaterThan(0);
    expectSums(summary);
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
  });

  it("governs by itself where no adapter does, and gives the client back", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    vi.stubEnv("GENOPS_TEAM", "from-environment");
    const client = new mlflow.MlflowClient({ trackingUri });
    const work = async () => {
      const run = await client.createRun("0");
      await client.logMetric(run.info.runId, "accuracy", 0.9);
    };
    await work();
    const context = await createMlflowCostContext("outer", async (outer) => {
      await work();
      await createMlflowCostContext("inner", work);
      return outer;
    });
    expect(interceptorCount()).toBe(0);
    await work();
    const summary = context.getSummary();
    expect(summary.totalCostExact).toBe("0.0004");
    expect(summary.costByTeam).toEqual({ "from-environment": 0.0004 });
    expect(summary.runCount).toBe(2);
  });

  it("spends one budget in all contexts of a process that no adapter governs", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const limit = {
      name: uniqueName("shared"),
      limit: "0.00025",
      period: "total",
      action: "block",
    };
    vi.stubEnv("GENOPS_BUDGETS", JSON.stringify([limit]));
    const client = new mlflow.MlflowClient({ trackingUri });
    const work = () => client.createRun("0");
    await createMlflowCostContext("first", work);
    await createMlflowCostContext("second", work);
    await expect(createMlflowCostContext("third", work)).rejects.toThrow(limit.name);
  });

  it("adds up what several adapters booked at prices of their own", async () => {
    const folder = await temporaryFolder();
    const open = (team: string, trackingApiCall: string) =>
      instrumentMlflow({
        team,
        project: "p",
        trackingUri: join(folder, team),
        pricing: { trackingApiCall },
      });
    const adapters = [open("cheap", "0.0001"), open("dear", "0.7")];
    const context = await createMlflowCostContext("both", async (context) => {
      await Promise.all(
        adapters.map((adapter) =>
          adapter.trackMlflowRun({ experimentName: "shared" }, () => mlflow.logMetric("m", 1)),
        ),
      );
      return context;
    });
    expect(context.getSummary().exact.costByTeam).toEqual({ cheap: "0.0003", dear: "2.1" });
    // Each has an experiment of this name on a store of its own.
    expect(context.getSummary().exact.costByExperiment).toEqual({ shared: "2.1003" });
    expectSums(context.getSummary());
  });

  it("lasts for the block that opened it, and stays readable", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const adapter = instrumentMlflow({ team: "a", project: "p", trackingUri });
    const track = () => adapter.trackMlflowRun({ experimentName: "e" }, () => {});
    let kept: MlflowCostContext | undefined;
    {
      await using context = createMlflowCostContext("block");
      kept = context;
      await track();
      expect(context.ended).toBe(false);
    }
    await track();
    expect(kept.ended).toBe(true);
    expect(kept.getSummary().runCount).toBe(1);
    kept.end();
    expect(interceptorCount()).toBe(0);
  });

  it("ends when its callback throws, whose error comes through", async () => {
    const adapter = instrumentMlflow({ trackingUri: await temporaryFolder(), team: "a" });
    let kept: MlflowCostContext | undefined;
    const failed = createMlflowCostContext("failing", async (context) => {
      kept = context;
      await adapter.trackMlflowRun({ experimentName: "e" }, () => {});
      throw new Error("mine");
    });
    await expect(failed).rejects.toThrow("mine");
    expect(kept?.ended).toBe(true);
    expect(kept?.getSummary().runCount).toBe(1);
  });

  it("counts an operation where it began, though it settles after the end", async () => {
    const adapter = instrumentMlflow({ team: "a", project: "p" });
    adapter.instrumentFramework();
    try {
      let late = Promise.resolve();
      let afterwards = Promise.resolve();
      const context = await createMlflowCostContext("short", async (context) => {
        const runId = await startRun("1");
        late = call("runs/log-metric", { run_id: runId }, { turns: 3 });
        afterwards = late.then(() => call("runs/log-metric", { run_id: runId }));
        return context;
      });
      expect(context.getSummary().totalCostExact).toBe("0.0001");
      await afterwards;
      expect(context.getSummary().totalCostExact).toBe("0.0002");
      expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0.0003");
    } finally {
      adapter.uninstrumentFramework();
    }
  });

  it("counts what was logged in it and sent in the background, each context its own", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const adapter = instrumentMlflow({ team: "a", project: "p", trackingUri });
    await adapter.trackMlflowRun({ experimentName: "e" }, () => {});
    mlflow.enableAsyncLogging({ bufferSeconds: 0.01 });
    try {
      const work = (name: string, metrics: number) =>
        createMlflowCostContext(name, async (context) => {
          await adapter.trackMlflowRun({ experimentName: "e", customerId: name }, async () => {
            for (let step = 0; step < metrics; step++) await mlflow.logMetric("loss", 1, step);
          });
          return context.getSummary();
        });
      const [small, large] = await Promise.all([work("small", 10), work("large", 2500)]);
      expect(small.operations.log_batch?.items).toBe(10);
      expect(large.operations.log_batch?.items).toBe(2500);
      expect(Object.keys(small.costByCustomer)).toEqual(["small"]);
      expect(Object.keys(large.costByCustomer)).toEqual(["large"]);
    } finally {
      mlflow.enableAsyncLogging(false);
    }
  });

  it("lasts for the block of a run and beyond, blocks inside each other", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    const adapter = instrumentMlflow({ team: "a", project: "p", trackingUri });
    const branch = async (metrics: number) => {
      await null;
      await using outer = createMlflowCostContext("outer");
      await using run = await adapter.trackMlflowRun({ experimentName: "e" });
      await using inner = createMlflowCostContext("inner");
      for (let made = 0; made < metrics; made++) await mlflow.logMetric("m", made);
      inner.end();
      await mlflow.setTag("after", "inner");
      return [run.info.runId, outer, inner] as const;
    };
    await adapter.trackMlflowRun({ experimentName: "e" }, () => {});
    for (const [index, branches] of (await Promise.all([branch(1), branch(4)])).entries()) {
      const [runId, outer, inner] = branches;
      const metrics = index === 0 ? 1 : 4;
      expect(inner.getSummary().operationCount).toBe(metrics);
      expect(outer.getSummary().operationCount).toBe(metrics + 2);
      expect(outer.getSummary().operations.update_run?.count).toBe(1);
      expect(Object.keys(inner.getSummary().costByRun)).toEqual([runId]);
    }
  });

  it.each([
    ["a name that is none", () => createMlflowCostContext("")],
    ["a callback that is none", () => createMlflowCostContext("x", 5 as never)],
  ])("refuses %s", async (_, open) => {
    await expect((async () => open())()).rejects.toBeInstanceOf(ConfigurationError);
    expect(interceptorCount()).toBe(0);
  });

  it("refuses an impossible environment before anything is opened", () => {
    vi.stubEnv("GENOPS_PRICING", "{");
    expect(() => createMlflowCostContext("x")).toThrow(/GENOPS_PRICING/);
    expect(interceptorCount()).toBe(0);
  });
});

// ── laws ─────────────────────────────────────────────────────────────────────────────────────────

type Step =
  | { readonly kind: "run" | "metric" | "batch" | "refused" | "registry"; readonly turns: number }
  | { readonly kind: "artifact"; readonly turns: number; readonly size: number }
  | { readonly kind: "context"; readonly steps: readonly Step[]; readonly concurrent: boolean };

const { program } = fc.letrec<{ step: Step; program: Step[] }>((tie) => ({
  step: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record({
      kind: fc.constantFrom("run", "metric", "batch", "refused", "registry"),
      turns: fc.nat(3),
    }),
    fc.record({
      kind: fc.constant("artifact" as const),
      turns: fc.nat(3),
      size: fc.nat(2 ** 32),
    }),
    fc.record({
      kind: fc.constant("context" as const),
      steps: tie("program"),
      concurrent: fc.boolean(),
    }),
  ) as fc.Arbitrary<Step>,
  program: fc.array(tie("step"), { maxLength: 6 }) as fc.Arbitrary<Step[]>,
}));

/** What a context must come to, from nothing but the program. */
interface Expected {
  readonly context: MlflowCostContext;
  calls: number;
  registry: number;
  bytes: number[];
  readonly inner: Expected[];
}

const CALL = ATTO_PER_USD / 10_000n;

/** 0.023 USD for 2^30 × 30 byte-days, rounded half to even, as the documentation says. */
function s3(bytes: number): bigint {
  const [numerator, denominator] = [BigInt(bytes) * 23n * 10n ** 15n, 30n * 2n ** 30n];
  const [whole, rest] = [numerator / denominator, numerator % denominator];
  const up = rest * 2n > denominator || (rest * 2n === denominator && whole % 2n === 1n);
  return up ? whole + 1n : whole;
}

function expectedCost({ calls, registry, bytes, inner }: Expected): bigint {
  const own = BigInt(calls) * CALL + BigInt(registry) * 5n * CALL;
  const stored = bytes.reduce((sum, size) => sum + s3(size), 0n);
  return inner.reduce((sum, each) => sum + expectedCost(each), own + stored);
}

async function perform(steps: readonly Step[], concurrent: boolean, expected: Expected) {
  const runId = await startRun("7");
  expected.calls++;
  const one = async (step: Step): Promise<void> => {
    if (step.kind === "context") {
      await createMlflowCostContext("inner", async (context) => {
        const inner: Expected = { context, calls: 0, registry: 0, bytes: [], inner: [] };
        expected.inner.push(inner);
        await perform(step.steps, step.concurrent, inner);
      });
      return;
    }
    const { turns } = step;
    if (step.kind === "artifact") {
      expected.bytes.push(step.size);
      return writeArtifact(runId, "s3://bucket/a", step.size, { turns });
    }
    if (step.kind === "refused") {
      return call("runs/log-metric", { run_id: runId }, { turns, fails: true });
    }
    if (step.kind === "registry") {
      expected.registry++;
      return call("model-versions/create", { name: "m", run_id: runId }, { turns });
    }
    expected.calls++;
    if (step.kind === "run") await startRun("7", runId, turns);
    else if (step.kind === "metric") await call("runs/log-metric", { run_id: runId }, { turns });
    else await call("runs/log-batch", { run_id: runId, metrics: [{}, {}] }, { turns });
  };
  if (concurrent) await Promise.all(steps.map(one));
  else for (const step of steps) await one(step);
  await endRun(runId);
}

function check(expected: Expected): void {
  const summary = expected.context.getSummary();
  expect(exact(summary)).toBe(expectedCost(expected));
  expectSums(summary);
  for (const inner of expected.inner) check(inner);
}

describe("the laws of contexts", () => {
  it("any contexts, nested and at once, come to what was done in them, and sum exactly", async () => {
    await fc.assert(
      fc.asyncProperty(program, fc.boolean(), async (steps, concurrent) => {
        const adapter = new GenOpsMlflowAdapter({ team: "t", project: "p", runCapacity: 512 });
        adapter.instrumentFramework();
        try {
          await createMlflowCostContext("outermost", async (context) => {
            const expected: Expected = { context, calls: 0, registry: 0, bytes: [], inner: [] };
            await perform(steps, concurrent, expected);
            check(expected);
            // The adapter's ledger and the account of the context agree, to the last unit.
            const [ledger, account] = [adapter.costAggregator.getSummary(), context.getSummary()];
            for (const name of Object.keys(ledger.exact) as (keyof typeof ledger.exact)[]) {
              expect(notZero(account.exact[name]), name).toEqual(notZero(ledger.exact[name]));
            }
            expect(account.operationCount).toBe(ledger.operationCount);
            expect(account.errorCount).toBe(ledger.errorCount);
            expect(account.runCount).toBe(ledger.runCount);
            expect(account.storage).toEqual(ledger.storage);
            const sorted = (summary: MlflowCostSummary) =>
              summary.runs.toSorted((a, b) => a.runId.localeCompare(b.runId));
            expect(sorted(account)).toEqual(sorted(ledger));
            expect(account.operations).toEqual(ledger.operations);
          });
        } finally {
          adapter.uninstrumentFramework();
        }
        expect(interceptorCount()).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it("a tally without room keeps its total exact, under (overflow)", () => {
    const tally = new Tally(4);
    const names = { experimentName: () => undefined, runName: () => undefined };
    const entry = {
      id: 1,
      name: "log_metric",
      class: "tracking-write",
      price: "0.1",
      counted: true,
      startsRun: false,
    };
    for (let index = 0; index < 20; index++) {
      const settlement: Settlement = {
        operation: { name: "log_metric", items: 1 },
        entry,
        attributes: { team: `team-${index}` },
        run: { runId: `run-${index}` },
        experimentId: `${index}`,
        cost: BigInt(index + 1),
        storage: undefined,
        flags: 0,
        failed: false,
        startMs: index,
        elapsedMs: 1,
        outcome: {},
        names,
      };
      tally.add(settlement);
    }
    const totals = tally.totals();
    expect(totals.total).toBe(210n);
    for (const amounts of [totals.byRun, totals.byTeam, totals.byExperiment]) {
      expect(Object.values(amounts).reduce((sum, amount) => sum + amount, 0n)).toBe(210n);
      expect(amounts[OVERFLOW]).toBe(200n);
    }
    expect(totals.overflowed).toBe(16);
  });
});
