// Random sequences of every call, right and wrong, leave the engine and its twin in the same state.
import * as fc from "fast-check";
import { describe, it } from "vitest";
import {
  type BudgetOptions,
  createEngine,
  type EngineOptions,
  type RateLimitOptions,
} from "../../src/engine/index.js";
import type { Payer, Twin } from "./oracle.js";
import { both, expectBudgets, expectEqual, METERS, makePair, type Pair, stored } from "./pair.js";

interface Model {
  readonly twin: Twin;
}
type TwinBudget = ReturnType<Twin["addBudget"]>;
type TwinLease = Exclude<ReturnType<Twin["grant"]>, { refused: unknown }>;

interface Real {
  pair: Pair;
  readonly nodes: { handle: number; node: Twin["nodes"][number] | undefined }[];
  readonly tickets: { handle: number; ticket: Twin["tickets"][number] | undefined }[];
  readonly budgets: { handle: number; budget: TwinBudget | undefined }[];
  readonly leases: { handle: number; lease: TwinLease | undefined }[];
}

/** Room for everything, so that nothing is folded or given up on its own. */
const OPTIONS: EngineOptions = {
  runs: 512,
  tuples: 1024,
  reservations: 128,
  budgets: 64,
  positions: 512,
  reservationTtlMs: 3 * 86_400_000,
};

/** One call on both sides; what it does not use of its arguments is ignored. */
class Call implements fc.Command<Model, Real> {
  constructor(
    readonly text: string,
    readonly act: (real: Real) => void,
  ) {}
  check(): boolean {
    return true;
  }
  run(_: Model, real: Real): void {
    this.act(real);
  }
  toString(): string {
    return this.text;
  }
}

const DAY = 86_400_000;
const name = fc.constantFrom(
  undefined,
  "",
  "a",
  "b",
  "0a",
  "storage.s3",
  "0storage.s3",
  "(unattributed)",
  "__proto__",
  "constructor",
  "käse",
  "日本",
  "💥",
  "\ud800",
  "\udfff",
  "\ufeffa",
  "a\u0000b",
  "x".repeat(4096),
  "é".repeat(2048),
);
const tooLong = fc.constantFrom("y".repeat(4097), "é".repeat(2049), "z".repeat(100_000));
const runName = fc.constantFrom(
  "0",
  "1",
  "2",
  "3",
  "4",
  "5",
  "__proto__",
  "0storage.s3",
  "\ufeff1",
);
const payer = fc.record({
  team: name,
  project: name,
  customerId: name,
  environment: name,
  costCenter: name,
  context: name,
});
const fewPayers = fc.oneof(
  fc.constantFrom<Payer>({}, { team: "a" }, { team: "b", project: "p" }),
  payer,
);
const quantity = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -1, 0.5, Number.NaN, Infinity, -Infinity),
);
const operation = fc.oneof(fc.nat({ max: 140 }), fc.constantFrom(-1, 500, 65_536, 2 ** 31 - 1));
/** Index into the pair's meters; the last ones stand for the call itself and for wrong ids. */
const meter = fc.oneof(fc.nat({ max: 10 }), fc.constantFrom(100, 101, 102));
const index = fc.nat({ max: 40 });
const items = fc.constantFrom(0, 1, 7, 1000, -1);

const normal = (text: string | undefined) => (text === undefined ? undefined : stored(text));
function normalPayer(given: Payer): Payer {
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, normal(value)]));
}

function meterId(real: Real, chosen: number): number {
  return real.pair.meters[chosen] ?? [0, -1, 200][chosen - 100] ?? 0;
}
const wrongNode = { handle: 0, node: undefined };
const wrongTicket = { handle: 0, ticket: undefined };
/** Any node; at times a ticket, a slot never given out, or no handle at all. */
function nodeAt(real: Real, chosen: number): Real["nodes"][number] {
  if (chosen === 40) return { handle: real.tickets[0]?.handle ?? -1, node: undefined };
  if (chosen === 39) return { handle: 2 ** 52 + 2 ** 26 + 4000, node: undefined };
  if (chosen === 38) return { handle: Number.NaN, node: undefined };
  if (chosen === 37) return { handle: 2 ** 60, node: undefined };
  if (chosen === 36) return { handle: (real.nodes[0]?.handle ?? 0) / 2 + 0.5, node: undefined };
  if (chosen === 35)
    return { handle: (real.nodes[0]?.handle ?? 0) + 1e5 * 2 ** 26, node: undefined };
  return real.nodes[chosen % Math.max(real.nodes.length, 1)] ?? wrongNode;
}
function ticketAt(real: Real, chosen: number): Real["tickets"][number] {
  if (chosen === 40) return { handle: real.nodes[0]?.handle ?? -1, ticket: undefined };
  if (chosen === 39) return { handle: 2 ** 52 + 2 ** 26 + 2 ** 24 + 63, ticket: undefined };
  if (chosen === 38) return { handle: Number.NaN, ticket: undefined };
  // Most sequences use the newest tickets, open or not.
  return real.tickets.at(-1 - (chosen % Math.max(real.tickets.length, 1))) ?? wrongTicket;
}

function budgetAt(real: Real, chosen: number): Real["budgets"][number] {
  if (chosen === 40) return { handle: real.nodes[0]?.handle ?? -1, budget: undefined };
  if (chosen === 39) return { handle: Number.NaN, budget: undefined };
  return real.budgets.at(-1 - (chosen % Math.max(real.budgets.length, 1))) ?? wrongBudget;
}
const wrongBudget = { handle: 0, budget: undefined };
const wrongLease = { handle: 0, lease: undefined };
function leaseAt(real: Real, chosen: number): Real["leases"][number] {
  if (chosen === 40) return { handle: real.nodes[0]?.handle ?? -1, lease: undefined };
  return real.leases.at(-1 - (chosen % Math.max(real.leases.length, 1))) ?? wrongLease;
}

/** Were both refused? One alone must not be. */
function isRefused(twin: unknown, engine: unknown): boolean {
  const [ours, theirs] = [twin, engine].map(
    (answer) => typeof answer === "object" && answer !== null && "refused" in answer,
  );
  if (ours !== theirs) throw new Error(`the twin refused: ${ours}, the engine: ${theirs}`);
  return ours === true;
}

function call(text: string, act: (real: Real) => void): Call {
  return new Call(text, act);
}

const commands: fc.Arbitrary<fc.Command<Model, Real>>[] = [
  fc
    .tuple(runName, fc.option(runName, { nil: undefined }), name, fewPayers)
    .map(([runId, parentRunId, experiment, who]) =>
      call(`openRun(${JSON.stringify({ runId, parentRunId, experiment, ...who })})`, (real) => {
        const { twin, engine } = real.pair;
        const opened = both(
          () =>
            twin.openRun(stored(runId), normal(parentRunId), normal(experiment), normalPayer(who)),
          () => engine.openRun({ runId, parentRunId, experiment, ...who }),
        );
        if (opened) real.nodes.push({ handle: opened.engine, node: opened.twin });
      }),
    ),
  fc
    .tuple(fc.option(index, { nil: undefined }), name, name, fewPayers)
    .map(([parent, experiment, model, who]) =>
      call(`openScope(${JSON.stringify({ parent, experiment, model, ...who })})`, (real) => {
        const { twin, engine } = real.pair;
        const above =
          parent === undefined || real.nodes.length === 0 ? undefined : real.nodes[parent];
        const opened = both(
          () => twin.openScope(above?.node, normal(experiment), normal(model), normalPayer(who)),
          () => engine.openScope({ parent: above?.handle, experiment, model, ...who }),
        );
        if (opened) real.nodes.push({ handle: opened.engine, node: opened.twin });
      }),
    ),
  fc
    .tuple(tooLong, fc.constantFrom("runId", "team", "experiment", "customerId"))
    .map(([long, field]) =>
      call(`openRun(${field} of ${long.length})`, ({ pair }) => {
        let code: unknown;
        try {
          pair.engine.openRun({ runId: "5", [field]: long });
        } catch (error) {
          code = (error as { code: unknown }).code;
        }
        if (code !== "INVALID_NAME") throw new Error(`a name too long was answered ${code}`);
      }),
    ),
  fc.tuple(index, operation, meter, quantity, items).map(([at, id, chosen, size, carried]) =>
    call(`record(${[at, id, chosen, size, carried]})`, (real) => {
      const { handle, node } = nodeAt(real, at);
      const on = meterId(real, chosen);
      // A call itself has no quantity; that one is refused is tried with some.
      const of = on === 0 && size > 1 ? 0 : size;
      const done = both(
        () => real.pair.twin.record(node, id, on, of, carried),
        () => real.pair.engine.record(handle, id, on, of, carried),
      );
      if (done && ((done.engine & 32) !== 0) !== done.twin) throw new Error("warnings differ");
    }),
  ),
  fc.tuple(index, operation, meter, quantity).map(([at, id, chosen, size]) =>
    call(`reserve(${[at, id, chosen, size]})`, (real) => {
      const { handle, node } = nodeAt(real, at);
      const on = meterId(real, chosen);
      const of = on === 0 && size > 1 ? 0 : size;
      const held = both(
        () => real.pair.twin.reserve(node, id, on, of),
        () => real.pair.engine.reserve(handle, id, on, of),
      );
      if (held === undefined || isRefused(held.twin, held.engine)) return;
      if (typeof held.engine !== "number" || "refused" in held.twin) return;
      real.tickets.push({ handle: held.engine, ticket: held.twin });
      if (real.pair.engine.lastReserved() !== held.twin.held) throw new Error("holds differ");
    }),
  ),
  fc.tuple(index, fc.array(fc.tuple(meter, quantity), { maxLength: 9 })).map(([at, charges]) =>
    call(`charge(${at}, ${charges.join(" ")})`, (real) => {
      const { handle, ticket } = ticketAt(real, at);
      for (const [chosen, size] of charges) {
        const on = meterId(real, chosen);
        both(
          () => real.pair.twin.charge(ticket, on, size),
          () => real.pair.engine.charge(handle, on, size),
        );
      }
    }),
  ),
  fc.tuple(index, meter, quantity).map(([at, chosen, size]) =>
    call(`extend(${[at, chosen, size]})`, (real) => {
      const { handle, ticket } = ticketAt(real, at);
      const on = meterId(real, chosen);
      const done = both(
        () => real.pair.twin.extend(ticket, on, size),
        () => real.pair.engine.extend(handle, on, size),
      );
      if (done) isRefused(done.twin, done.engine);
    }),
  ),
  fc.tuple(index, index).map(([at, to]) =>
    call(`assign(${at}, ${to})`, (real) => {
      const { handle, ticket } = ticketAt(real, at);
      const target = nodeAt(real, to);
      both(
        () => real.pair.twin.assign(ticket, target.node),
        () => real.pair.engine.assign(handle, target.handle),
      );
    }),
  ),
  fc
    .tuple(index, fc.boolean(), items, fc.constantFrom(-1, 0, 0.5, 20, Number.NaN, Infinity))
    .map(([at, failed, carried, latency]) =>
      call(`settle(${[at, failed, carried]})`, (real) => {
        const { handle, ticket } = ticketAt(real, at);
        const done = both(
          () => real.pair.twin.settle(ticket, failed, carried),
          () => real.pair.engine.settle(handle, failed ? "error" : "ok", latency, carried),
        );
        if (done === undefined) return;
        const { overrun, warned, late } = done.twin;
        const flags = [
          [16, overrun],
          [32, warned],
          [128, late],
        ] as const;
        for (const [flag, expected] of flags) {
          if (((done.engine & flag) !== 0) !== expected) throw new Error(`flag ${flag} differs`);
        }
      }),
    ),
  index.map((at) =>
    call(`release(${at})`, (real) => {
      const { handle, ticket } = ticketAt(real, at);
      both(
        () => real.pair.twin.release(ticket),
        () => real.pair.engine.release(handle),
      );
    }),
  ),
  fc.tuple(index, fc.constantFrom("FINISHED", "FAILED", "KILLED")).map(([at, how]) =>
    call(`finishRun(${at}, ${how})`, (real) => {
      const { handle, node } = nodeAt(real, at);
      both(
        () => real.pair.twin.finishRun(node, how as "FINISHED"),
        () => real.pair.engine.finishRun(handle, how as "FINISHED"),
      );
    }),
  ),
  fc.constantFrom(0, 1, 2, 100).map((max) =>
    call(`drain(${max})`, ({ pair }) => {
      const expected = pair.twin.drain(max).map(([run, own]) => `${run} ${own}`);
      const drained = pair.engine.drain(max).map(({ runId, own }) => `${runId} ${own}`);
      if (drained.join() !== expected.join()) {
        throw new Error(`drained ${drained}, not ${expected}`);
      }
    }),
  ),
  fc
    .record({
      limit: fc.constantFrom("0", "0.0005", "0.001", "5", "100000"),
      unit: fc.constantFrom("usd", "operations", "runs", "bytes"),
      period: fc.constantFrom("hour", "day", "week", "month", "run", "total"),
      offsetMinutes: fc.constantFrom(0, 330, -720, 1440),
      action: fc.constantFrom("warn", "block"),
      alertAt: fc.constantFrom([], [0.5], [0.8, 1, 0.25], [2]),
      scope: fc.constantFrom(
        {},
        { team: "a" },
        { team: "a", customerId: "b" },
        { experiment: "a" },
        { run: "0" },
        { run: "2", team: "a" },
        { model: "b" },
        { environment: "a" },
      ),
    })
    .map((given) =>
      call(`addBudget(${JSON.stringify(given)})`, (real) => {
        const limit = given.unit === "usd" ? given.limit : Math.ceil(Number(given.limit));
        const options = { ...given, limit, name: `budget ${real.budgets.length}` } as BudgetOptions;
        const added = both(
          () => real.pair.twin.addBudget(options),
          () => real.pair.engine.addBudget(options),
        );
        if (added) real.budgets.push({ handle: added.engine, budget: added.twin });
      }),
    ),
  fc
    .record({
      operations: fc.constantFrom(1, 2, 50),
      per: fc.constantFrom("second", "minute"),
      burst: fc.constantFrom(1, 3, 100),
      action: fc.constantFrom("warn", "block"),
      scope: fc.constantFrom({}, { team: "a" }),
    })
    .map((given) =>
      call(`addRateLimit(${JSON.stringify(given)})`, (real) => {
        const options = { ...given, name: `rate ${real.budgets.length}` } as RateLimitOptions;
        const added = both(
          () => real.pair.twin.addRateLimit(options),
          () => real.pair.engine.addRateLimit(options),
        );
        if (added) real.budgets.push({ handle: added.engine, budget: added.twin });
      }),
    ),
  index.map((at) =>
    call(`removeBudget(${at})`, (real) => {
      const { handle, budget } = budgetAt(real, at);
      both(
        () => real.pair.twin.removeBudget(budget),
        () => real.pair.engine.removeBudget(handle),
      );
    }),
  ),
  fc.tuple(index, fc.constantFrom(0, 1, 7, 1000)).map(([at, limit]) =>
    call(`setLimit(${at}, ${limit})`, (real) => {
      const { handle, budget } = budgetAt(real, at);
      if (budget?.period === "second" || budget?.period === "minute") return;
      both(
        () => real.pair.twin.setLimit(budget, limit),
        () => real.pair.engine.setLimit(handle, limit),
      );
    }),
  ),
  fc.tuple(index, fc.constantFrom("1", "3", "500")).map(([at, amount]) =>
    call(`grant(${at}, ${amount})`, (real) => {
      const { handle, budget } = budgetAt(real, at);
      const granted = both(
        () => real.pair.twin.grant(budget, amount),
        () => real.pair.engine.grant(handle, amount),
      );
      if (granted === undefined || isRefused(granted.twin, granted.engine)) return;
      if ("refused" in granted.twin || "refused" in granted.engine) return;
      if (granted.engine.amount !== granted.twin.left) throw new Error("grants differ");
      real.leases.push({ handle: granted.engine.lease, lease: granted.twin });
    }),
  ),
  fc.tuple(index, fc.constantFrom(0n, 1n, 2n, 10n ** 18n)).map(([at, amount]) =>
    call(`spend(${at}, ${amount})`, (real) => {
      const { handle, lease } = leaseAt(real, at);
      const done = both(
        () => real.pair.twin.spend(lease, amount),
        () => real.pair.engine.spend(handle, amount),
      );
      if (done && ((done.engine & 16) !== 0) !== done.twin) throw new Error("overruns differ");
    }),
  ),
  index.map((at) =>
    call(`giveBack(${at})`, (real) => {
      const { handle, lease } = leaseAt(real, at);
      both(
        () => real.pair.twin.giveBack(lease),
        () => real.pair.engine.giveBack(handle),
      );
    }),
  ),
  fc.tuple(fc.constantFrom("0", "0.0007", "2"), fc.constantFrom("1", "0.5")).map(([call_, rate]) =>
    call(`setPrices(${call_}, ${rate})`, ({ pair }) => {
      const metric = pair.engine.operation("log_metric");
      const meter = pair.meters[9] as number;
      pair.twin.setPrices(
        { [metric]: call_ },
        { [meter]: { numerator: rate === "1" ? 10n ** 18n : 5n * 10n ** 17n, denominator: 1n } },
      );
      pair.engine.setPrices({
        operations: { log_metric: call_ },
        meters: { "unknown.a": rate },
      });
    }),
  ),
  fc.constant(
    call("snapshot and restore", (real) => {
      const snapshot = real.pair.engine.snapshot();
      const other = createEngine({ ...OPTIONS, prices: { meters: METERS } });
      other.restore(snapshot);
      if (Buffer.compare(other.snapshot(), snapshot) !== 0) throw new Error("snapshots differ");
      real.pair = { ...real.pair, engine: other };
    }),
  ),
  fc
    .oneof(
      fc.integer({ min: 0, max: 1000 }).map((days) => days * (DAY / 3)),
      fc.constantFrom(
        0,
        1,
        -1,
        Number.NaN,
        Infinity,
        1e15,
        20_000 * DAY,
        20_399 * DAY,
        21_000 * DAY,
      ),
    )
    .map((now) =>
      call(`tick(${now})`, ({ pair }) => {
        both(
          () => pair.twin.tick(now),
          () => pair.engine.tick(now),
        );
        if (pair.engine.dayTotal() !== pair.twin.dayTotal()) throw new Error("days differ");
      }),
    ),
];

describe("the engine and its twin", () => {
  it("answer any sequence of calls alike", () => {
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 120, size: "+1" }), (sequence) => {
        fc.modelRun(() => {
          const pair = makePair(OPTIONS);
          return {
            model: { twin: pair.twin },
            real: { pair, nodes: [], tickets: [], budgets: [], leases: [] },
          };
        }, [
          ...sequence,
          call("compare", ({ pair, budgets }) => {
            expectEqual(pair, "after the sequence");
            expectBudgets(pair, budgets);
          }),
        ]);
      }),
      { numRuns: 400 },
    );
  });
});
