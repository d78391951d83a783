// A long random walk through every call, beside the twin; equal to the last unit wherever it is looked at.
import { expect } from "vitest";
import {
  attoToUsd,
  type BudgetOptions,
  createEngine,
  type EngineOptions,
  type RateLimitOptions,
} from "../../src/engine/index.js";
import type { Payer, Twin } from "./oracle.js";
import { both, expectBudgets, expectEqual, METERS, makePair } from "./pair.js";
import { random } from "./random.js";

const RUNS = 1000;
const DAY = 86_400_000;

type TwinNode = Twin["nodes"][number];
type TwinTicket = Twin["tickets"][number];
type TwinBudget = ReturnType<Twin["addBudget"]>;
type TwinLease = Exclude<ReturnType<Twin["grant"]>, { refused: unknown }>;

/** Walks until so many operations were booked. @throws at the first difference, naming the seed. */
export function walk(seed: number, operations: number): void {
  const hint = `seed ${seed}`;
  const { next, below, pick } = random(seed);
  const options: EngineOptions = {
    runs: 4096,
    seed,
    samplingRate: 0.3,
    reservationTtlMs: 2 * DAY,
    source: 1,
  };
  let pair = makePair(options);
  const { twin } = pair;
  let { engine } = pair;
  const table = engine.operations.map(({ id }) => id);
  const meters = [...pair.meters];

  const payers: Payer[] = Array.from({ length: 40 }, () => ({
    team: `team-${below(5)}`,
    project: below(4) === 0 ? undefined : `project-${below(12)}`,
    customerId: below(3) === 0 ? undefined : `customer-${below(30)}`,
    environment: pick(["dev", "staging", "production", undefined]),
    costCenter: below(2) === 0 ? undefined : `cc-${below(4)}`,
    context: below(8) === 0 ? `context-${below(3)}` : undefined,
  }));
  const nodes: { handle: number; node: TwinNode }[] = [];
  const byPayer = new Map<Payer, typeof nodes>();
  const keep = (opened: { twin: TwinNode; engine: number } | undefined) => {
    if (opened === undefined) return;
    const entry = { handle: opened.engine, node: opened.twin };
    nodes.push(entry);
    byPayer.set(entry.node.payer, [...(byPayer.get(entry.node.payer) ?? []), entry]);
  };
  for (let i = 0; i < RUNS; i++) {
    const runId = `run-${i}`;
    // Half of the parents are opened later than their children.
    const parent = below(2) === 0 ? `run-${below(RUNS)}` : undefined;
    const experiment = below(9) === 0 ? undefined : `experiment-${below(25)}`;
    const payer = pick(payers);
    keep(
      both(
        () => twin.openRun(runId, parent, experiment, payer),
        () => engine.openRun({ runId, parentRunId: parent, experiment, ...payer }),
      ),
    );
    if (below(3) !== 0) continue;
    const above = below(2) === 0 ? pick(nodes) : undefined;
    const model = below(2) === 0 ? `model-${below(6)}` : undefined;
    keep(
      both(
        () => twin.openScope(above?.node, experiment, model, payer),
        () => engine.openScope({ parent: above?.handle, experiment, model, ...payer }),
      ),
    );
  }
  expect(nodes.length, hint).toBeGreaterThan(RUNS);

  /** Sizes from nothing to 2^53 - 1, small ones more often. */
  const quantity = () => {
    const bits = below(54);
    const value = bits === 0 ? 0 : Math.floor((next() / 2 ** 32) * 2 ** bits);
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  };
  const meter = () => (below(3) === 0 ? pick(meters) : 0);
  /** A call itself has no quantity; now and then one is tried all the same, to be refused. */
  const quantityOf = (id: number) => {
    const size = quantity();
    return id === 0 && size % 64 !== 1 ? 0 : size;
  };
  const open: { handle: number; ticket: TwinTicket }[] = [];
  let now = Date.UTC(2026, 0, 1);
  let booked = 0;
  const tick = (to: number) => {
    both(
      () => twin.tick(to),
      () => engine.tick(to),
    );
  };
  tick(now);

  const budgets: { handle: number; budget: TwinBudget | undefined }[] = [];
  const leased: { handle: number; lease: TwinLease }[] = [];
  /** A budget comes, goes, or gets another limit. Few at a time: the twin asks each of them every time. */
  const limits = () => {
    const live = budgets.filter(({ budget }) => budget?.live);
    const chosen = live.length > 0 ? pick(live) : undefined;
    if (chosen !== undefined && (live.length > 4 || below(3) === 0)) {
      const isRate = /^(second|minute)$/.test(chosen.budget?.period ?? "");
      if (!isRate && chosen.budget?.unit === "operations" && below(2) === 0) {
        both(
          () => twin.setLimit(chosen.budget, 1_000_000),
          () => engine.setLimit(chosen.handle, 1_000_000),
        );
        return;
      }
      both(
        () => twin.removeBudget(chosen.budget),
        () => engine.removeBudget(chosen.handle),
      );
      budgets.splice(budgets.indexOf(chosen), 1);
      return;
    }
    const payer = pick(payers);
    const name = `budget ${next()}`;
    if (below(6) === 0) {
      const options: RateLimitOptions = {
        name,
        operations: 1 + below(500),
        per: pick(["second", "minute"] as const),
        burst: 1 + below(2000),
        action: pick(["warn", "block"] as const),
        scope: { team: payer.team },
      };
      const added = both(
        () => twin.addRateLimit(options),
        () => engine.addRateLimit(options),
      );
      if (added) budgets.push({ handle: added.engine, budget: added.twin });
      return;
    }
    const unit = pick(["usd", "operations", "runs", "bytes"] as const);
    const options: BudgetOptions = {
      name,
      limit: unit === "usd" ? `${below(1000)}.${below(1000)}` : 2 + below(5000),
      unit,
      period: pick(["hour", "day", "week", "month", "run", "total"] as const),
      offsetMinutes: pick([0, 330, -720]),
      action: pick(["warn", "block"] as const),
      alertAt: pick([[], [0.5, 1], [0.1, 0.2, 0.9]]),
      scope: pick([
        {},
        { team: payer.team },
        { team: payer.team, customerId: payer.customerId },
        { experiment: `experiment-${below(25)}` },
        { run: `run-${below(RUNS)}` },
        { model: `model-${below(6)}`, environment: payer.environment },
      ]),
    };
    const added = both(
      () => twin.addBudget(options),
      () => engine.addBudget(options),
    );
    if (added) budgets.push({ handle: added.engine, budget: added.twin });
  };
  const leases = () => {
    const live = budgets.filter(({ budget }) => budget?.live);
    if (live.length > 0 && leased.length < 20 && below(3) === 0) {
      const { handle, budget } = pick(live);
      const amount = budget?.unit === "usd" ? "0.5" : "3";
      const granted = both(
        () => twin.grant(budget, amount),
        () => engine.grant(handle, amount),
      );
      if (granted === undefined) return;
      const refused = "refused" in granted.twin;
      if (refused !== "refused" in granted.engine) throw new Error(`one alone granted, ${hint}`);
      if ("refused" in granted.twin || "refused" in granted.engine) return;
      leased.push({ handle: granted.engine.lease, lease: granted.twin });
    } else if (leased.length > 0) {
      const index = below(leased.length);
      const { handle, lease } = leased[index] as (typeof leased)[number];
      if (below(3) > 0) {
        both(
          () => twin.spend(lease, 1n),
          () => engine.spend(handle, 1n),
        );
        return;
      }
      both(
        () => twin.giveBack(lease),
        () => engine.giveBack(handle),
      );
      leased.splice(index, 1);
    }
  };
  const changePrices = () => {
    const price = `0.000${below(1000)}`;
    const rate = { numerator: BigInt(1 + below(1000)) * 10n ** 12n, denominator: 1n };
    const metric = engine.operation("log_metric");
    const meter = pair.meters[9] as number;
    twin.setPrices({ [metric]: price }, { [meter]: rate });
    engine.setPrices({
      operations: { log_metric: price },
      meters: { "unknown.a": attoToUsd(rate.numerator) },
    });
  };
  /** A run that is over is folded, or opened anew. */
  const reopen = () => {
    if (below(4) === 0) {
      const max = below(4);
      const expected = twin.drain(max).map(([run, own]) => `${run} ${own}`);
      const drained = engine.drain(max).map(({ runId, own }) => `${runId} ${own}`);
      if (drained.join() !== expected.join())
        throw new Error(`drained ${drained}, not ${expected}, ${hint}`);
      return;
    }
    const index = below(nodes.length);
    const { node } = nodes[index] as (typeof nodes)[number];
    if (!node.gone || node.run === undefined) return;
    const { run, experiment, payer } = node;
    const opened = both(
      () => twin.openRun(run, undefined, experiment, payer),
      () => engine.openRun({ runId: run, experiment, ...payer }),
    );
    if (opened) nodes[index] = { handle: opened.engine, node: opened.twin };
  };
  /** Everything goes on in another engine, from a snapshot. */
  const again = () => {
    const snapshot = engine.snapshot();
    const other = createEngine({ ...options, prices: { meters: METERS } });
    other.restore(snapshot);
    if (Buffer.compare(other.snapshot(), snapshot) !== 0)
      throw new Error(`snapshots differ, ${hint}`);
    engine = other;
    pair = { ...pair, engine };
  };

  while (booked < operations) {
    const dice = below(1000);
    const at = pick(nodes);
    if (dice < 700) {
      const [operation, id] = [pick(table), meter()];
      const [size, items] = [quantityOf(id), below(20)];
      const done = both(
        () => twin.record(at.node, operation, id, size, items),
        () => engine.record(at.handle, operation, id, size, items),
      );
      if (done === undefined) continue;
      booked++;
      if (engine.lastCost() !== twin.lastCost) throw new Error(`costs differ, ${hint}`);
    } else if (dice < 820) {
      const [operation, id] = [pick(table), meter()];
      const size = quantityOf(id);
      const held = both(
        () => twin.reserve(at.node, operation, id, size),
        () => engine.reserve(at.handle, operation, id, size),
      );
      if (held === undefined) continue;
      if (typeof held.engine !== "number" || "refused" in held.twin) {
        if (typeof held.engine === "number" || !("refused" in held.twin)) {
          throw new Error(`one alone refused, ${hint}`);
        }
        continue;
      }
      if (engine.lastReserved() !== twin.lastReserved) throw new Error(`holds differ, ${hint}`);
      open.push({ handle: held.engine, ticket: held.twin });
    } else if (dice < 990 && open.length > 0) {
      const index = below(open.length);
      const { handle, ticket } = open[index] as (typeof open)[number];
      for (let charges = below(4); charges > 0; charges--) {
        const [id, size] = [pick(meters), quantity()];
        const extend = below(4) === 0;
        both(
          () => (extend ? twin.extend(ticket, id, size) : twin.charge(ticket, id, size)),
          () => {
            if (extend) engine.extend(handle, id, size);
            else engine.charge(handle, id, size);
          },
        );
      }
      if (below(5) === 0) {
        const other = pick(byPayer.get(ticket.node.payer) ?? [at]);
        both(
          () => twin.assign(ticket, other.node),
          () => engine.assign(handle, other.handle),
        );
      }
      const [ending, items] = [below(10), below(5)];
      const done = both(
        () => (ending === 0 ? twin.release(ticket) : twin.settle(ticket, ending === 1, items)),
        () =>
          ending === 0
            ? engine.release(handle)
            : engine.settle(handle, ending === 1 ? "error" : "ok", below(3000), items),
      );
      if (done !== undefined && ending > 0 && engine.lastCost() !== twin.lastCost) {
        throw new Error(`costs differ, ${hint}`);
      }
      // A settlement that is too dear stays open; it is given up so that room remains.
      if (done === undefined) {
        both(
          () => twin.release(ticket),
          () => engine.release(handle),
        );
      } else if (ending > 1) booked++;
      open[index] = open.at(-1) as (typeof open)[number];
      open.pop();
    } else if (dice >= 998) {
      // Mostly forward by hours, at times back by days, and never far on the whole.
      now += below(5) === 0 ? -below(3 * DAY) : below(DAY / 4);
      if (below(100) === 0) now += below(30 * DAY);
      tick(now);
      if (engine.dayTotal() !== twin.dayTotal()) throw new Error(`days differ, ${hint}`);
    } else if (dice === 990) {
      limits();
    } else if (dice === 991) {
      leases();
    } else if (dice === 992) {
      if (below(40) === 0) changePrices();
    } else if (dice === 993) {
      reopen();
    } else if (dice === 994) {
      if (below(150) === 0) again();
    } else if (dice === 997) {
      both(
        () => twin.finishRun(at.node),
        () => engine.finishRun(at.handle),
      );
    }
    if (dice < 700 && booked % 200_000 === 0) {
      expectEqual(pair, hint, false);
      expectBudgets(pair, budgets);
    }
  }
  expectEqual(pair, hint);
  expectBudgets(pair, budgets);
}
