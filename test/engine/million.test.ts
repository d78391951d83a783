// A million random operations over a thousand runs equal the twin, to the last unit, everywhere.
import { describe, expect, it } from "vitest";
import type { Payer, Twin } from "./oracle.js";
import { both, expectEqual, makePair } from "./pair.js";
import { random, seedOfToday } from "./random.js";

const OPERATIONS = 1_000_000;
const RUNS = 1000;
const DAY = 86_400_000;

type TwinNode = Twin["nodes"][number];
type TwinTicket = Twin["tickets"][number];

describe("a million operations", () => {
  it("equal the twin in every breakdown", () => {
    const seed = seedOfToday();
    const hint = `GENOPS_TEST_SEED=${seed}`;
    const { next, below, pick } = random(seed);
    const pair = makePair({ runs: 4096, seed, samplingRate: 0.3 });
    const { engine, twin } = pair;
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

    while (booked < OPERATIONS) {
      const dice = below(1000);
      const at = pick(nodes);
      if (dice < 700) {
        const [operation, id, size, items] = [pick(table), meter(), quantity(), below(20)];
        const done = both(
          () => twin.record(at.node, operation, id, size, items),
          () => engine.record(at.handle, operation, id, size, items),
        );
        if (done !== undefined) booked++;
        if (engine.lastCost() !== twin.lastCost) throw new Error(`costs differ, ${hint}`);
      } else if (dice < 820) {
        const [operation, id, size] = [pick(table), meter(), quantity()];
        const held = both(
          () => twin.reserve(at.node, operation, id, size),
          () => engine.reserve(at.handle, operation, id, size),
        );
        if (held === undefined) continue;
        if (typeof held.engine !== "number") throw new Error(`no room for a ticket, ${hint}`);
        if (engine.lastReserved() !== twin.lastReserved) throw new Error(`holds differ, ${hint}`);
        if ("refused" in held.twin) throw new Error(`the twin refused, ${hint}`);
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
        if (engine.lastCost() !== twin.lastCost) throw new Error(`costs differ, ${hint}`);
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
      } else if (dice === 997) {
        both(
          () => twin.finishRun(at.node),
          () => engine.finishRun(at.handle),
        );
      }
      if (booked % 250_000 === 0 && dice < 700) expectEqual(pair, hint, false);
    }
    expectEqual(pair, hint);
    // Small amounts among huge ones are what a sum of doubles loses.
    expect(engine.total() % 1_000_000_007n, hint).toBe(twin.total % 1_000_000_007n);
  });
});
