// An engine and its twin with the same prices, and the comparison of everything they report.
import { expect } from "vitest";
import {
  createEngine,
  type Dimension,
  type Engine,
  EngineError,
  type EngineOptions,
  type EnginePrices,
} from "../../src/engine/index.js";
import { Refused, Twin } from "./oracle.js";

const GIB_DAYS = 2n ** 30n * 30n;
const E18 = 10n ** 18n;

/** Meters beside the four of storage: tiny, huge and awkward rates, and two of unknown price. */
export const METERS: NonNullable<EnginePrices["meters"]> = {
  "gpu.seconds": { price: "0.000000000000000001", per: 7 },
  tokens: { price: "2.5", per: 1_000_000 },
  "huge.unit": "37000",
  "odd.rate": { price: "0.123456789012345678", per: 9_007_199_254_740_991 },
  halves: { price: "0.000000000000000001", per: 2 },
};

export interface Pair {
  readonly engine: Engine;
  readonly twin: Twin;
  readonly meters: readonly number[];
}

export function makePair(options: EngineOptions = {}): Pair {
  const engine = createEngine({ ...options, prices: { meters: METERS } });
  const twin = new Twin(engine.operations, options.reservationTtlMs);
  const add = (name: string, numerator?: bigint, denominator = 1n) => {
    const id = twin.addMeter(
      name,
      numerator === undefined ? undefined : { numerator, denominator },
    );
    expect(engine.meter(name), name).toBe(id);
    return id;
  };
  const meters = [
    add("storage.local", 0n),
    add("storage.s3", 23n * 10n ** 15n, GIB_DAYS),
    add("storage.azure", 20n * 10n ** 15n, GIB_DAYS),
    add("storage.gcs", 20n * 10n ** 15n, GIB_DAYS),
    add("gpu.seconds", 1n, 7n),
    add("tokens", (25n * E18) / 10n, 1_000_000n),
    add("huge.unit", 37_000n * E18),
    add("odd.rate", 123456789012345678n, 9_007_199_254_740_991n),
    add("halves", 1n, 2n),
    add("unknown.a"),
    add("__proto__"),
  ];
  return { engine, twin, meters };
}

/** Frames of a stack that are kept: of refusals nobody reads them, and a walk has millions. */
const FRAMES = 2;

/** Runs one call on both; both must answer, or both refuse with the same code. */
export function both<T, E>(onTwin: () => T, onEngine: () => E): { twin: T; engine: E } | undefined {
  let twin: T | undefined;
  let expected: string | undefined;
  let engine: E | undefined;
  let code: string | undefined;
  let message = "";
  const usual = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  try {
    try {
      twin = onTwin();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      expected = error.code;
    }
    try {
      engine = onEngine();
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      code = error.code;
      message = `: ${error.message}`;
    }
  } finally {
    Error.stackTraceLimit = usual;
  }
  if (code !== expected) {
    throw new Error(`the engine answered ${code}, the twin ${expected}${message}`);
  }
  return expected === undefined ? { twin: twin as T, engine: engine as E } : undefined;
}

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { ignoreBOM: true });

/** A name as UTF-8 keeps it: lone surrogates become the replacement character. */
export function stored(name: string): string {
  return text.decode(utf8.encode(name));
}

/** Names that hold nothing may be listed or not. */
function held(amounts: Readonly<Record<string, bigint>>): [string, bigint][] {
  return Object.entries(amounts)
    .filter(([, amount]) => amount !== 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

const BREAKDOWNS = {
  byRun: undefined,
  byExperiment: "experiment",
  byTeam: "team",
  byProject: "project",
  byCustomer: "customer",
  byEnvironment: "environment",
  byCostCenter: "costCenter",
  byContext: "context",
  byModel: "model",
  byOperationType: "operationType",
  byMeter: "meter",
} as const;

/** Compares every breakdown, every total by name, the runs, the counts and the day. */
export function expectEqual({ engine, twin }: Pair, hint: string, totals = true): void {
  const actual = engine.summary();
  const expected = twin.summary();
  expect(actual.total, hint).toBe(expected.total);
  expect(engine.total(), hint).toBe(expected.total);
  expect(engine.dayTotal(), hint).toBe(twin.dayTotal());
  expect(engine.operationCount(), hint).toBe(twin.operationCount());
  expect(actual.operationCount, hint).toBe(expected.operationCount);
  expect(actual.errorCount, hint).toBe(expected.errorCount);
  expect(actual.overruns, hint).toBe(expected.overruns);
  expect(actual.overflowed, hint).toBe(0);
  expect(actual.reservations, hint).toEqual(twin.reservations);
  expect(actual.blocked + actual.rateLimited, hint).toBe(twin.refused);
  expect(actual.sampling.kept + actual.sampling.dropped, hint).toBe(twin.decisions());
  for (const [breakdown, dimension] of Object.entries(BREAKDOWNS)) {
    const key = breakdown as keyof typeof BREAKDOWNS;
    expect(held(actual[key]), `${breakdown}, ${hint}`).toEqual(held(expected[key]));
    const sum = Object.values(actual[key]).reduce((all, amount) => all + amount, 0n);
    expect(sum, `${breakdown} is conserved, ${hint}`).toBe(actual.total);
    if (dimension === undefined || !totals) continue;
    for (const [name, amount] of Object.entries(expected[key])) {
      expect(engine.total(dimension as Dimension, name), `${dimension} ${name}, ${hint}`).toBe(
        amount,
      );
    }
  }
  if (totals) {
    for (const [run, amount] of Object.entries(twin.inclusive()).slice(0, 200)) {
      expect(engine.total("run", run), `run ${run}, ${hint}`).toBe(amount);
    }
  }
  const byId = (a: { runId: string }, b: { runId: string }) => (a.runId < b.runId ? -1 : 1);
  expect([...actual.runs].sort(byId), hint).toEqual([...expected.runs].sort(byId));
  const counts = Object.fromEntries(
    Object.entries(actual.operations).map(([name, total]) => {
      const { latency: _, size: __, ...rest } = total;
      // Which of them are kept is chance; that none is lost is not.
      return [name, { ...rest, kept: rest.kept + rest.dropped, dropped: 0 }];
    }),
  );
  expect(counts, hint).toEqual(expected.operations);
  expect(Object.entries(actual.meters).sort(), hint).toEqual(
    Object.entries(expected.meters).sort(),
  );
  const key = (entry: { operation: string; meter?: string }) =>
    `${entry.operation}/${entry.meter ?? ""}`;
  const sorted = (list: typeof actual.unpriced) =>
    [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  expect(sorted(actual.unpriced), hint).toEqual(sorted(expected.unpriced));
}

/** Compares every budget's position, and the alerts that were fired. */
export function expectBudgets(
  { engine, twin }: Pair,
  budgets: readonly { handle: number; budget: ReturnType<Twin["addBudget"]> | undefined }[],
): void {
  const live = budgets.filter(({ budget }) => budget?.live);
  expect([...engine.budgets()].sort()).toEqual(live.map(({ handle }) => handle).sort());
  for (const { handle, budget } of live) {
    if (budget === undefined || budget.period === "second" || budget.period === "minute") continue;
    const hint = JSON.stringify(budget.options);
    const { name, ...position } = engine.budget(handle);
    expect(name).toBe(budget.options.name);
    if (budget.period !== "run") {
      expect(position, hint).toEqual(twin.position(budget));
      continue;
    }
    for (const [node] of twin.runPositions(budget)) {
      const run = engine.findRun(node.run as string);
      const { name: _, ...ofRun } = engine.budget(handle, run);
      expect(ofRun, `${node.run}: ${hint}`).toEqual(twin.position(budget, node));
    }
  }
  const names = new Set(live.map(({ budget }) => budget?.options.name));
  const fired = engine.takeAlerts().map(({ name, share }) => `${name} ${share}`);
  const expected = twin.alerts.filter((alert) => names.has(alert.split(" ").slice(0, 2).join(" ")));
  for (const alert of fired) expect(expected, alert).toContain(alert);
}
