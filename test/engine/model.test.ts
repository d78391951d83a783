// Random sequences of every call, right and wrong, leave the engine and its twin in the same state.
import * as fc from "fast-check";
import { describe, it } from "vitest";
import type { Payer, Twin } from "./oracle.js";
import { both, expectEqual, makePair, type Pair, stored } from "./pair.js";

interface Model {
  readonly twin: Twin;
}
interface Real {
  readonly pair: Pair;
  readonly nodes: { handle: number; node: Twin["nodes"][number] | undefined }[];
  readonly tickets: { handle: number; ticket: Twin["tickets"][number] | undefined }[];
}

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
  if (chosen === 39) return { handle: (2 ** 25 + 4000) * 1, node: undefined };
  if (chosen === 38) return { handle: Number.NaN, node: undefined };
  if (chosen === 37) return { handle: 2 ** 60, node: undefined };
  if (chosen === 36) return { handle: (real.nodes[0]?.handle ?? 0) + 0.5, node: undefined };
  if (chosen === 35) return { handle: (real.nodes[0]?.handle ?? 0) + 2 ** 25, node: undefined };
  return real.nodes[chosen % Math.max(real.nodes.length, 1)] ?? wrongNode;
}
function ticketAt(real: Real, chosen: number): Real["tickets"][number] {
  if (chosen === 40) return { handle: real.nodes[0]?.handle ?? -1, ticket: undefined };
  if (chosen === 39) return { handle: 2 ** 25 + 2 ** 24 + 63, ticket: undefined };
  if (chosen === 38) return { handle: Number.NaN, ticket: undefined };
  // Most sequences use the newest tickets, open or not.
  return real.tickets.at(-1 - (chosen % Math.max(real.tickets.length, 1))) ?? wrongTicket;
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
      both(
        () => real.pair.twin.record(node, id, on, size, carried),
        () => real.pair.engine.record(handle, id, on, size, carried),
      );
    }),
  ),
  fc.tuple(index, operation, meter, quantity).map(([at, id, chosen, size]) =>
    call(`reserve(${[at, id, chosen, size]})`, (real) => {
      const { handle, node } = nodeAt(real, at);
      const on = meterId(real, chosen);
      const held = both(
        () => real.pair.twin.reserve(node, id, on, size),
        () => real.pair.engine.reserve(handle, id, on, size),
      );
      if (held && typeof held.engine === "number") {
        real.tickets.push({ handle: held.engine, ticket: held.twin });
        if (real.pair.engine.lastReserved() !== held.twin.held) throw new Error("holds differ");
      }
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
      both(
        () => real.pair.twin.extend(ticket, on, size),
        () => {
          real.pair.engine.extend(handle, on, size);
        },
      );
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
        if (done && ((done.engine & 16) !== 0) !== done.twin) throw new Error("overruns differ");
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
  index.map((at) =>
    call(`finishRun(${at})`, (real) => {
      const { handle, node } = nodeAt(real, at);
      both(
        () => real.pair.twin.finishRun(node),
        () => real.pair.engine.finishRun(handle),
      );
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
          const pair = makePair({ runs: 256, tuples: 1024, reservations: 128 });
          return { model: { twin: pair.twin }, real: { pair, nodes: [], tickets: [] } };
        }, [...sequence, call("compare", ({ pair }) => expectEqual(pair, "after the sequence"))]);
      }),
      { numRuns: 400 },
    );
  });
});
