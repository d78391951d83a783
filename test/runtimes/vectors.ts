// The vectors: a tour of every call written by hand, and long walks whose calls come from a seed.
import type { BudgetOptions, EngineOptions, RateLimitOptions } from "../../src/engine/index.js";
import type { Payer } from "../engine/oracle.js";
import { ATTO, DAY, METERS, OPERATIONS, OPTIONS } from "./catalogue.js";
import { type Budget, isRate, type Known, Script } from "./script.js";

const MORNING = Date.UTC(2026, 0, 31, 22, 59, 59, 1);

/** Every method and every refusal once, written by hand. */
function tour(): Script {
  const script = new Script("tour", {
    source: 1,
    samplingRates: { "tracking-read": 0.5, admin: 0 },
  });
  const ml = { team: "ml", project: "käse", customerId: "日本" };
  script.tick(MORNING);
  const all = script.addBudget({
    name: "everything",
    limit: "0.05",
    period: "day",
    alertAt: [0.5, 1],
    spent: "0.001",
  }) as Known<Budget>;
  const ofTeam = script.addBudget({
    name: "the team's",
    limit: "0.0011",
    period: "month",
    offsetMinutes: 60,
    scope: { team: "ml" },
    action: "block",
  }) as Known<Budget>;
  script.addBudget({ name: "of each run", limit: 3, unit: "operations", period: "run" });
  script.addBudget({ name: "bytes", limit: 2 ** 32, unit: "bytes", period: "week", alertAt: [1] });
  script.addBudget({ name: "runs", limit: 1, unit: "runs", period: "total" });
  const parent = script.openRun("parent", undefined, "e1", ml);
  const child = script.openRun("child", "parent", "e1", ml);
  const other = script.openRun("💥", "not open yet", "\ud800", { team: "constructor" });
  const scope = script.openScope(child, "e1", "a model", ml);
  script.openRun("child", "parent", "e1", ml);
  script.openRun("child", "parent", "e1", { team: "others" });
  script.openRun("parent2", "parent2");
  script.state(["findRun", "nobody"], { value: null });
  script.record(parent, "log_metric", 0, 0, 7);
  script.record(child, "log_metric");
  script.record(scope, "embed_text", "halves", 3);
  script.record(scope, "create_model_version", "halves", 5);
  script.record(other, "export_spans", "gpu.seconds", 12);
  script.record(other, "get_run");
  script.record(other, "log_artifact", "storage.s3", 2 ** 33);
  script.record(other, "log_metric", "odd.rate", Number.MAX_SAFE_INTEGER);
  script.record(other, "log_metric", "tokens", -1);
  script.record(other, "log_metric", "tokens", 0.5);
  script.record(other, "log_metric", "huge.unit", Number.MAX_SAFE_INTEGER);
  script.record(undefined, "log_metric");
  script.record(other, "create_run");
  script.record(other, "create_run");
  script.read();
  script.reserve(scope, "log_metric", "storage.s3", 10 ** 9);
  script.setLimit(ofTeam, "0.5");
  const first = script.reserve(scope, "log_metric", "storage.s3", 10 ** 9);
  script.extend(first, "storage.s3", 1);
  script.extend(first, "egress.eu", 2 ** 33);
  script.charge(first, "storage.s3", 5);
  script.charge(first, "tokens", 1);
  script.charge(first, "storage.s3", 2 ** 34);
  script.settle(first, "ok", 12.5, 3);
  script.settle(first, "ok");
  script.release(first);
  const second = script.reserve(other, "sell_house");
  script.settle(second, "error", 100);
  const third = script.reserve(other, "embed_text", "tokens", 1000);
  script.assign(third, parent);
  script.assign(third, other);
  script.setPrices({ embed_text: "7", export_spans: "0.5" }, { "gpu.seconds": 2 });
  script.record(other, "export_spans", "gpu.seconds", 3);
  script.settle(third, "ok");
  script.release(script.reserve(other, "embed_text"));
  script.grant(all, "1");
  script.grant(ofTeam, "400");
  for (const lease of script.leases) {
    script.spend(lease, 10n ** 17n);
    script.spend(lease, 10n ** 18n);
    script.giveBack(lease);
    script.giveBack(lease);
  }
  const limit = script.addRateLimit({
    name: "two a second",
    operations: 2,
    per: "second",
    scope: { team: "constructor" },
  }) as Known<Budget>;
  for (let i = 0; i < 3; i++) script.release(script.reserve(other, "log_metric"));
  for (let i = 0; i < 3; i++) script.settle(script.reserve(other, "log_metric"), "ok");
  script.tick(MORNING + 500);
  script.reserve(other, "get_run");
  const late = script.reserve(other, "log_metric");
  script.reserve(other, "log_metric");
  script.removeBudget(limit);
  script.state(["sampling", "get_run"], { value: { rate: 0.5, threshold: "8", weight: 2 } });
  script.state(["sampling", "log_metric"], { value: { rate: 1, threshold: "0", weight: 1 } });
  script.state(["sampling", "write_user"], { value: { rate: 0, weight: 0 } });
  script.read();
  script.tick(MORNING + 3 * DAY);
  script.extend(late, "tokens", 9);
  script.settle(late, "ok", 0, 0);
  script.tick(MORNING + DAY);
  script.record(other, "log_metric");
  script.tick(-1);
  script.tick(1e15);
  script.tick(MORNING + 500 * DAY);
  script.read();
  script.finishRun(parent, "FAILED");
  script.drain(10);
  script.finishRun(child, "KILLED");
  script.finishRun(scope, "FINISHED");
  script.drain(1);
  script.record(child, "log_metric");
  script.drain(10);
  script.openRun("child", undefined, "another", { team: "others" });
  script.read();
  return script;
}

/** Whole numbers from a seed, the same everywhere (xorshift). */
function chooser(seed: number): <T>(...choices: readonly T[]) => T {
  let state = seed;
  return (...choices) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return choices[(state >>> 0) % choices.length] as (typeof choices)[number];
  };
}

/** Calls of every kind in an order that comes from a seed. */
function wander(name: string, seed: number, calls: number, options: EngineOptions): Script {
  const script = new Script(name, options);
  const pick = chooser(seed);
  const any = <T>(list: readonly T[]) => pick<T | undefined>(...list.slice(-12), list[0]);
  // Most sequences use tickets that are good, and the newest ones.
  const anyTicket = () =>
    any(script.tickets.filter(({ twin }) => twin.state !== "done" || pick(false, false, true)));
  const runs = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "__proto__", "0storage.s3"];
  const payers: Payer[] = [
    {},
    { team: "a" },
    { team: "a", project: "p" },
    { team: "b", customerId: "käse", environment: "prod" },
    { costCenter: "\ufeffx", context: "\udfff" },
  ];
  const operations = OPERATIONS.map((one) => one.name).filter((one) => one !== "sell_house");
  const meters = METERS.map((one) => one.name).filter((one) => one !== "huge.unit");
  const anyMeter = () => pick(...meters);
  const quantity = () => pick(0, 1, 3, 1000, 2 ** 20 + 1, 2 ** 32, Number.MAX_SAFE_INTEGER, -1);
  let now = MORNING + seed * 17;
  let added = 0;
  const steps: [weight: number, step: () => void][] = [
    [
      3,
      () =>
        script.openRun(
          pick(...runs),
          pick(undefined, undefined, ...runs),
          pick(undefined, "e1", "e2"),
          pick(...payers),
        ),
    ],
    [
      1,
      () =>
        script.openScope(
          any(script.nodes),
          pick(undefined, "e1"),
          pick(undefined, "m"),
          pick(...payers),
        ),
    ],
    [
      8,
      () =>
        script.record(
          any(script.nodes),
          pick(...operations),
          pick<string | 0>(0, 0, anyMeter()),
          quantity(),
          pick(0, 1, 50),
        ),
    ],
    [
      8,
      () =>
        script.reserve(
          any(script.nodes),
          pick(...operations),
          pick<string | 0>(0, anyMeter()),
          quantity(),
        ),
    ],
    [3, () => script.extend(anyTicket(), anyMeter(), quantity())],
    [4, () => script.charge(anyTicket(), anyMeter(), quantity())],
    [
      6,
      () =>
        script.settle(
          anyTicket(),
          pick("ok", "ok", "ok", "error"),
          pick(-1, 0, 0.75, 20, 1e6),
          pick(0, 1, 1000),
        ),
    ],
    [2, () => script.release(anyTicket())],
    [1, () => script.assign(anyTicket(), any(script.nodes))],
    [
      2,
      () => {
        now += pick(0, 1, 250, 1000, 60_000, 3_600_000, DAY / 2, DAY, -DAY / 4, 8 * DAY);
        script.tick(now);
      },
    ],
    [1, () => script.finishRun(any(script.nodes), pick("FINISHED", "FAILED", "KILLED"))],
    [1, () => script.drain(pick(0, 1, 2, 100))],
    [
      2,
      () => {
        const unit = pick("usd", "usd", "operations", "runs", "bytes");
        script.addBudget({
          name: `budget ${added++}`,
          unit,
          limit: unit === "usd" ? pick("0", "0.0005", "0.3", "100") : pick(1, 5, 2 ** 33),
          period: pick("hour", "day", "week", "month", "run", "total"),
          offsetMinutes: pick(0, 330, -720, 1440),
          action: pick("warn", "warn", "block"),
          alertAt: pick<number[]>([], [0.5], [0.8, 1, 0.25]),
          scope: pick<NonNullable<BudgetOptions["scope"]>>(
            {},
            { team: "a" },
            { team: "b", customerId: "käse" },
            { experiment: "e1" },
            { run: "r0" },
            { model: "m" },
          ),
        });
      },
    ],
    [
      1,
      () =>
        script.addRateLimit({
          name: `rate ${added++}`,
          operations: pick(1, 7),
          per: pick("second", "minute"),
          burst: pick(1, 10),
          action: pick("warn", "block"),
          scope: pick<NonNullable<RateLimitOptions["scope"]>>({ team: "a" }, { experiment: "e2" }),
        }),
    ],
    [
      2,
      () => {
        const budget = any(script.budgets.filter(({ twin }) => twin.live));
        if (budget === undefined) return;
        if (isRate(budget.twin) || pick(true, false)) script.removeBudget(budget);
        else script.setLimit(budget, pick(0, 2, 1000));
      },
    ],
    [
      2,
      () => {
        const budget = any(script.budgets.filter(({ twin }) => twin.live));
        if (budget !== undefined) script.grant(budget, pick(1, 3, 500));
      },
    ],
    [
      2,
      () => {
        const lease = any(script.leases);
        if (lease === undefined) return;
        if (pick(true, true, false)) script.spend(lease, pick(0n, 1n, 2n, ATTO));
        else script.giveBack(lease);
      },
    ],
    [
      1,
      () =>
        script.setPrices(
          { [pick("log_metric", "export_spans")]: pick("0", "0.0007", "2") },
          { [pick("gpu.seconds", "tokens")]: pick(1, 3) },
        ),
    ],
    [1, () => script.readBudgets()],
  ];
  const drawn = steps.flatMap(([weight, step]) => Array.from({ length: weight }, () => step));
  script.tick(now);
  let next = 150;
  while (script.suite.calls.length < calls) {
    pick(...drawn)();
    if (script.suite.calls.length < next) continue;
    script.read();
    next += 200;
  }
  script.takeAlerts();
  script.read();
  return script;
}

/** All vectors as JSON. */
export function writeVectors(): string {
  const scripts = [
    tour(),
    wander("first walk", 20_260_131, 450, {
      source: 2,
      seed: 7,
      samplingRate: 0.25,
      samplingRates: { "artifact-write": 0 },
    }),
    wander("second walk", 77_003, 450, { source: 3, epoch: 1 }),
  ];
  const expected = { total: 0n, operationCount: 0, errorCount: 0 };
  const teams = new Map<string, bigint>();
  for (const { twin } of scripts) {
    const summary = twin.summary();
    expected.total += summary.total;
    expected.operationCount += summary.operationCount;
    expected.errorCount += summary.errorCount;
    for (const [team, amount] of Object.entries(summary.byTeam)) {
      if (amount !== 0n) teams.set(team, (teams.get(team) ?? 0n) + amount);
    }
  }
  const byTeam = Object.fromEntries(teams);
  const vectors = {
    suites: scripts.map(({ suite }) => suite),
    merged: { options: { ...OPTIONS, source: 9 }, expected: { ...expected, byTeam } },
  };
  return JSON.stringify(vectors, (_, one) => (typeof one === "bigint" ? `${one}n` : one), 1);
}
