// Ledgers of many processes, merged in any order and more than once, are the ledger of one process.
import { beforeAll, describe, expect, it } from "vitest";
import { createEngine, type Engine, type EngineSummary } from "../../src/engine/index.js";
import { type Random, random, seedOfToday } from "./random.js";
import { refused } from "./refused.js";

const RUNS = 40;
const OPERATIONS = ["log_metric", "log_artifact", "create_model_version", "start_trace"] as const;
const NOW = Date.UTC(2026, 0, 1);

/** Who pays for a run, and what it lies below: the same in every process that hears of it. */
function attribution(index: number) {
  return {
    runId: `run-${index}`,
    parentRunId:
      index % 3 === 1 ? `run-${index - 1}` : index % 9 === 5 ? `run-${index - 4}` : undefined,
    experiment: `experiment-${index % 4}`,
    team: `team-${index % 3}`,
    project: index % 2 ? `project-${index % 5}` : undefined,
    customerId: index % 5 ? `customer-${index % 7}` : undefined,
    environment: "production",
  };
}

interface Fleet {
  /** Everything in one process. */
  readonly whole: Engine;
  readonly shards: readonly Engine[];
  /** Snapshots that shards made before they were done. */
  readonly old: readonly Uint8Array[];
}

function makeFleet({ below, pick }: Random, folding: boolean): Fleet {
  const whole = createEngine({ runs: 512 });
  const shards = Array.from({ length: 1 + below(5) }, (_, index) =>
    createEngine({ runs: 128 + below(300), source: index + 1, epoch: 3 }),
  );
  for (const engine of [whole, ...shards]) engine.tick(NOW);
  const old: Uint8Array[] = [];
  for (let i = 0; i < 1500; i++) {
    const shard = pick(shards);
    const both = [whole, shard];
    const run = below(RUNS);
    const [operation, meter] = [pick(OPERATIONS), pick([0, "storage.s3", "tokens"] as const)];
    const quantity = meter === 0 ? 0 : below(1e9);
    const [kind, failed, latency, items, model] = [
      below(5),
      below(3) === 0,
      below(9999) / 7,
      below(5),
      below(2) ? `model-${below(3)}` : undefined,
    ];
    for (const engine of both) {
      const of = attribution(run);
      const node =
        kind === 4
          ? engine.openScope({
              ...{ ...of, runId: undefined, parentRunId: undefined },
              ...{ model, parent: engine.openRun(of) },
            })
          : engine.openRun(of);
      if (kind === 0) {
        const ticket = engine.reserve(node, operation, meter, quantity) as number;
        engine.charge(ticket, "egress", quantity + 1);
        engine.settle(ticket, failed ? "error" : "ok", latency, items);
      } else {
        engine.record(node, operation, meter, quantity, items);
      }
      if (kind === 4) engine.finishRun(node);
    }
    if (folding && below(20) === 0) {
      shard.finishRun(shard.openRun(attribution(run)));
      shard.drain(below(3));
    }
    if (below(60) === 0) old.push(shard.snapshot());
  }
  return { whole, shards, old };
}

function held(amounts: Readonly<Record<string, bigint>>): [string, bigint][] {
  return Object.entries(amounts)
    .filter(([, amount]) => amount !== 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What must be equal; which telemetry was kept is chance, and who still holds a ticket is local. */
function account(engine: Engine, folded = false) {
  const {
    sampling,
    reservations: _,
    operations,
    byRun,
    runs,
    unpriced,
    ...rest
  } = engine.summary();
  const breakdowns = Object.entries(rest).map(([name, value]) => [
    name,
    typeof value === "object" && name.startsWith("by")
      ? held(value as EngineSummary["byRun"])
      : value,
  ]);
  return {
    ...Object.fromEntries(breakdowns),
    decisions: sampling.kept + sampling.dropped,
    operations: Object.fromEntries(
      Object.entries(operations).map(([name, { kept, dropped, ...all }]) => [
        name,
        { ...all, decisions: kept + dropped },
      ]),
    ),
    unpriced: [...unpriced].sort((a, b) =>
      `${a.operation}/${a.meter}` < `${b.operation}/${b.meter}` ? -1 : 1,
    ),
    ...(folded
      ? {}
      : {
          byRun: held(byRun),
          // How much of a run came from folded scopes depends on how much room its process had.
          runs: runs
            .map(({ folded: _, ...run }) => run)
            .filter(({ inclusive, operations, errors }) => inclusive || operations || errors)
            .sort((a, b) => (a.runId < b.runId ? -1 : 1)),
        }),
  };
}

/** A process that only gathers. */
function collector(): Engine {
  return createEngine({ runs: 64, sourceBytes: 2 ** 22 });
}

describe("ledgers of several processes", () => {
  const seed = seedOfToday();
  const fleets: (Fleet & { readonly random: Random; readonly folding: boolean; hint: string })[] =
    [];
  beforeAll(() => {
    for (let i = 0; i < 24; i++) {
      const chance = random(seed + i);
      const folding = i % 3 === 2;
      fleets.push({
        ...makeFleet(chance, folding),
        random: chance,
        folding,
        hint: `GENOPS_TEST_SEED=${seed + i}`,
      });
    }
  });

  it("are one process's ledger in any order, with repeats, in every breakdown", () => {
    for (const { whole, shards, old, random: chance, folding, hint } of fleets) {
      const last = shards.map((shard) => shard.snapshot());
      const engine = collector();
      for (const snapshot of chance.shuffle([...last, ...old, ...last])) engine.merge(snapshot);
      expect(account(engine, folding), hint).toEqual(account(whole, folding));
      expect(engine.total(), hint).toBe(whole.total());
      for (const [name, amount] of Object.entries(whole.summary().byCustomer)) {
        expect(engine.total("customer", name), hint).toBe(amount);
      }
      if (folding) continue;
      for (const { runId, inclusive } of whole.summary().runs) {
        expect(engine.total("run", runId), `${runId}, ${hint}`).toBe(inclusive);
      }
    }
  });

  it("do not depend on who gathers them", () => {
    for (const { whole, shards, random: chance, folding, hint } of fleets) {
      const [first, ...others] = shards as [Engine, ...Engine[]];
      for (const shard of chance.shuffle(others)) first.merge(shard.snapshot());
      expect(account(first, folding), hint).toEqual(account(whole, folding));
    }
  });

  it("are merged in groups as well as one by one", () => {
    for (const { whole, shards, old, random: chance, folding, hint } of fleets) {
      // A group has a ledger of its own, with nothing in it.
      const groups = [1000, 1001, 1002].map((source) => {
        const group = createEngine({ runs: 64, source });
        for (const snapshot of chance.shuffle(old).slice(0, 9)) group.merge(snapshot);
        return group;
      });
      for (const shard of shards) chance.pick(groups).merge(shard.snapshot());
      const engine = collector();
      for (const group of chance.shuffle(groups)) engine.merge(group.snapshot());
      expect(account(engine, folding), hint).toEqual(account(whole, folding));
    }
  });

  it("change nothing when they are merged again, or older", () => {
    for (const { shards, old, random: chance, hint } of fleets) {
      const engine = collector();
      for (const shard of shards) engine.merge(shard.snapshot());
      const before = engine.snapshot();
      for (const snapshot of chance.shuffle([...shards.map((shard) => shard.snapshot()), ...old])) {
        engine.merge(snapshot);
      }
      expect(Buffer.compare(engine.snapshot(), before), hint).toBe(0);
    }
  });

  it("travel inside a snapshot of the one who gathered them", () => {
    for (const { shards, folding, hint } of fleets.slice(0, 6)) {
      const engine = collector();
      for (const shard of shards) engine.merge(shard.snapshot());
      const other = collector();
      other.restore(engine.snapshot());
      expect(account(other, folding), hint).toEqual(account(engine, folding));
      expect(Buffer.compare(other.snapshot(), engine.snapshot()), hint).toBe(0);
    }
  });
});

describe("a ledger", () => {
  const booked = (options: Parameters<typeof createEngine>[0], count: number) => {
    const engine = createEngine({ runs: 8, ...options });
    const run = engine.openRun({ runId: "r", team: "a" });
    for (let i = 0; i < count; i++) engine.record(run, "log_metric");
    return engine;
  };
  const price = 10n ** 14n;

  it("counts once for each life of its process", () => {
    const engine = collector();
    engine.merge(booked({ source: 7, epoch: 1 }, 3).snapshot());
    engine.merge(booked({ source: 7, epoch: 2 }, 4).snapshot());
    engine.merge(booked({ source: 7, epoch: 2 }, 2).snapshot());
    expect(engine.total()).toBe(7n * price);
    expect(engine.total("team", "a")).toBe(7n * price);
    expect(engine.dayTotal()).toBe(0n);
  });

  it("of one's own is known already", () => {
    const engine = booked({ source: 7, epoch: 1 }, 5);
    const earlier = engine.snapshot();
    engine.record(engine.findRun("r") as number, "log_metric");
    engine.merge(earlier);
    engine.merge(engine.snapshot());
    expect(engine.total()).toBe(6n * price);
  });

  it("without a source is refused, and changes nothing", () => {
    const engine = booked({ source: 7 }, 5);
    const before = engine.snapshot();
    const error = refused(() => engine.merge(booked({}, 1).snapshot()));
    expect(error.code).toBe("UNNAMED_SOURCE");
    expect(error.message).toContain("`source`");
    expect(Buffer.compare(engine.snapshot(), before)).toBe(0);
  });

  it("of other operations is refused", () => {
    const engine = booked({ source: 7 }, 5);
    const other = booked({ source: 8, operations: [{ name: "embed_text", class: "other" }] }, 1);
    expect(refused(() => engine.merge(other.snapshot())).code).toBe("INCOMPATIBLE_SNAPSHOT");
    expect(engine.total()).toBe(5n * price);
  });

  it.each([
    ["sourceBytes", { sourceBytes: 1000 }],
    ["names", { names: 64 }],
    ["nameBytes", { nameBytes: 1024 }],
  ])("that does not fit in %s is refused whole", (_, small) => {
    const large = createEngine({ runs: 512, source: 2 });
    for (let i = 0; i < 200; i++) {
      large.record(large.openRun({ runId: `run-${i}`, customerId: `customer-${i}` }), "log_metric");
    }
    const engine = booked({ source: 7, ...small }, 5);
    const before = engine.snapshot();
    const error = refused(() => engine.merge(large.snapshot()));
    expect(error.code).toBe("CAPACITY_EXCEEDED");
    expect(error.message).toContain(_);
    expect(Buffer.compare(engine.snapshot(), before)).toBe(0);
    expect(engine.total()).toBe(5n * price);
  });
});

describe("ledgers that contradict each other about who is above whom", () => {
  const above = (source: number, parent: string, child: string) => {
    const engine = createEngine({ runs: 8, source });
    const run = engine.openRun({ runId: child, parentRunId: parent });
    engine.record(run, "log_metric");
    return engine.snapshot();
  };

  it("count nothing more often than once in any run, in whatever order they come", () => {
    const [one, other] = [above(1, "a", "b"), above(2, "b", "a")];
    const totals = [
      [one, other],
      [other, one],
    ].map((order) => {
      const engine = createEngine({ runs: 8, source: 3 });
      for (const snapshot of order) engine.merge(snapshot);
      return [engine.total("run", "a"), engine.total("run", "b")];
    });
    expect(totals[0]).toEqual(totals[1]);
    expect([...(totals[0] as bigint[])].sort()).toEqual([10n ** 14n, 2n * 10n ** 14n]);
  });
});
