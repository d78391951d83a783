// The ways to keep the account, each booking the same operations: the engine's, and what people write.
import { attoToUsd, createEngine, usdToAtto } from "../dist/engine/index.js";
import { attribution, BATCH, makeWorkload, OPERATIONS_PER_RUN } from "./workload.mjs";

/** Runs of the crowd, to see whether the cost of an operation grows with their number. */
const CROWD = 100_000;
/** Engine contenders keep runs of their own in the one engine, told apart by these names. */
const BY_NAME = "n/";
const IN_CROWD = "c/";
const METERS = 8;

/**
 * One engine for all of its contenders: a second instance would make the call into WebAssembly
 * polymorphic, which no program with one engine pays.
 */
function engineContenders(engine, workload) {
  const open = (prefix, count) =>
    Float64Array.from({ length: count }, (_, i) => engine.openRun(attribution(prefix, i)));
  const handles = open("", workload.runs.length);
  open(BY_NAME, workload.runs.length);
  const crowd = open(IN_CROWD, CROWD);
  const named = workload.runs.map((_, i) => attribution(BY_NAME, i).runId);
  const handleOf = new Map(
    named.map((runId, i) => [runId, engine.openRun(attribution(BY_NAME, i))]),
  );
  const names = workload.operationNames;
  let firstOfCrowd = 0;

  return [
    {
      name: "record",
      title: "engine.record by handle and id",
      book({ run, operation, meter, bytes }) {
        let flags = 0;
        for (let i = 0; i < BATCH; i++) {
          flags |= engine.record(handles[run[i]], operation[i], meter[i], bytes[i]);
        }
        return flags;
      },
    },
    {
      name: "record-by-name",
      title: "engine.record by run id and name",
      book({ run, operation, meter, bytes }) {
        let flags = 0;
        for (let i = 0; i < BATCH; i++) {
          flags |= engine.record(
            handleOf.get(named[run[i]]),
            names[operation[i]],
            meter[i],
            bytes[i],
          );
        }
        return flags;
      },
    },
    {
      name: "record-in-crowd",
      title: "engine.record over 100,000 runs",
      book({ run, operation, meter, bytes }) {
        // Each batch goes on where the last one ended, so no run is met again before all were.
        const runs = crowd.subarray(firstOfCrowd);
        const first = run[0];
        firstOfCrowd = (firstOfCrowd + BATCH / OPERATIONS_PER_RUN) % CROWD;
        let flags = 0;
        for (let i = 0; i < BATCH; i++) {
          flags |= engine.record(runs[run[i] - first], operation[i], meter[i], bytes[i]);
        }
        return flags;
      },
    },
    {
      name: "classify",
      title: "engine.classify of its request",
      book({ operation }) {
        let wrong = 0;
        for (let i = 0; i < BATCH; i++) {
          const { method, path } = workload.requests[operation[i]];
          if (engine.classify(method, path) !== operation[i]) wrong++;
        }
        if (wrong > 0) throw new Error(`classify: ${wrong} requests are not their operation`);
        return wrong;
      },
    },
  ];
}

/** What people write: one Map a breakdown, keyed by the names, floats in them. */
function sixMaps({ runs, operationNames, prices, storage }) {
  const price = new Map(operationNames.map((name, id) => [name, Number(prices[id])]));
  const rate = Number(attoToUsd(storage.atto)) / Number(storage.bytes);
  const byRun = new Map();
  const byExperiment = new Map();
  const byTeam = new Map();
  const byProject = new Map();
  const byCustomer = new Map();
  const byOperation = new Map();
  const add = (costs, name, cost) => costs.set(name, (costs.get(name) ?? 0) + cost);
  return {
    name: "six-maps",
    title: "six Maps of names, float sums",
    book({ run, operation, bytes }) {
      for (let i = 0; i < BATCH; i++) {
        const { runId, experiment, team, project, customerId } = runs[run[i]];
        const name = operationNames[operation[i]];
        const cost = price.get(name) + bytes[i] * rate;
        add(byRun, runId, cost);
        add(byExperiment, experiment, cost);
        add(byTeam, team, cost);
        add(byProject, project, cost);
        add(byCustomer, customerId, cost);
        add(byOperation, name, cost);
      }
      return byRun.size;
    },
    usd: () => [...byTeam.values()].reduce((sum, cost) => sum + cost, 0),
  };
}

/** The same made exact: atto-USD as BigInt, storage rounded half to even per operation. */
function sixBigIntMaps({ runs, operationNames, prices, storage }) {
  const price = new Map(operationNames.map((name, id) => [name, usdToAtto(prices[id])]));
  const byRun = new Map();
  const byExperiment = new Map();
  const byTeam = new Map();
  const byProject = new Map();
  const byCustomer = new Map();
  const byOperation = new Map();
  const add = (costs, name, cost) => costs.set(name, (costs.get(name) ?? 0n) + cost);
  const stored = (bytes) => {
    const product = BigInt(bytes) * storage.atto;
    const quotient = product / storage.bytes;
    const twice = (product % storage.bytes) * 2n;
    const up = twice > storage.bytes || (twice === storage.bytes && quotient % 2n === 1n);
    return up ? quotient + 1n : quotient;
  };
  return {
    name: "six-bigint-maps",
    title: "six Maps of names, exact BigInt sums",
    book({ run, operation, bytes }) {
      for (let i = 0; i < BATCH; i++) {
        const { runId, experiment, team, project, customerId } = runs[run[i]];
        const name = operationNames[operation[i]];
        const cost = price.get(name) + (bytes[i] === 0 ? 0n : stored(bytes[i]));
        add(byRun, runId, cost);
        add(byExperiment, experiment, cost);
        add(byTeam, team, cost);
        add(byProject, project, cost);
        add(byCustomer, customerId, cost);
        add(byOperation, name, cost);
      }
      return byRun.size;
    },
    breakdowns: { byRun, byExperiment, byTeam, byProject, byCustomer, byOperation },
  };
}

/**
 * The fastest that can be written by hand: inexact sums in typed arrays, no names, no checks. It notes
 * what the engine notes (total, day, run, payer, operation and meter, with counts) and no more.
 */
function typedDoubles({ runs, operationNames, prices, storage }) {
  const payers = new Map();
  const payerOf = Int32Array.from(runs, ({ team, project, customerId }) => {
    const key = `${team} ${project} ${customerId}`;
    if (!payers.has(key)) payers.set(key, payers.size);
    return payers.get(key);
  });
  const price = Float64Array.from(prices, Number);
  const rate = new Float64Array(METERS).fill(
    Number(attoToUsd(storage.atto)) / Number(storage.bytes),
  );
  const total = new Float64Array(2);
  const runCost = new Float64Array(runs.length);
  const runOperations = new Int32Array(runs.length);
  const payerCost = new Float64Array(payers.size);
  const cells = operationNames.length * METERS;
  const cellCost = new Float64Array(cells);
  const cellBytes = new Float64Array(cells);
  const cellCount = new Float64Array(cells);
  const cellItems = new Float64Array(cells);
  const record = (run, operation, meter, bytes, items) => {
    const cost = price[operation] + bytes * rate[meter];
    total[0] += cost;
    total[1] += cost;
    runCost[run] += cost;
    runOperations[run]++;
    payerCost[payerOf[run]] += cost;
    const cell = operation * METERS + meter;
    cellCost[cell] += cost;
    cellBytes[cell] += bytes;
    cellCount[cell]++;
    cellItems[cell] += items;
  };
  return {
    name: "typed-doubles",
    title: "inexact doubles in typed arrays",
    book({ run, operation, meter, bytes }) {
      for (let i = 0; i < BATCH; i++) record(run[i], operation[i], meter[i], bytes[i], 1);
      return total[0];
    },
    usd: () => total[0],
  };
}

/** Every contender, and how to tell whether all of them came to the same account. */
export async function makeContenders(seed) {
  const engine = createEngine({ runs: 2 ** 17 });
  const workload = makeWorkload(engine, seed);
  const { openTelemetryContenders } = await import("./telemetry.mjs");
  const exact = sixBigIntMaps(workload);
  const contenders = [
    ...engineContenders(engine, workload),
    typedDoubles(workload),
    sixMaps(workload),
    exact,
    ...openTelemetryContenders(workload),
  ];
  return { contenders, batches: workload.batches, engine, exact };
}

function sum(amounts) {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

/**
 * What the contenders that booked (by name) disagree about; empty when they agree. The engine must equal
 * the BigInt sums to the last digit in every breakdown; floats need only be near.
 */
export async function disagreements({ contenders, engine, exact }, booked) {
  const found = [];
  const summary = engine.summary();
  const { byOperation, ...named } = exact.breakdowns;
  for (const [breakdown, amounts] of Object.entries(named)) {
    for (const [name, amount] of amounts) {
      if (summary[breakdown][name] !== amount) {
        found.push(`${breakdown} ${name}: engine ${summary[breakdown][name]}, BigInt ${amount}`);
      }
    }
  }
  const total = sum([...exact.breakdowns.byTeam.values()]);
  const shares = ["record", "record-by-name", "record-in-crowd"].filter((name) => booked.has(name));
  const expected = total * BigInt(shares.length);
  if (engine.total() !== expected) {
    found.push(`total: engine ${engine.total()}, BigInt ${expected}`);
  }
  for (const [name, amount] of byOperation) {
    const times = amount * BigInt(shares.length);
    if (summary.byOperationType[name] !== times) {
      found.push(`operation ${name}: engine ${summary.byOperationType[name]}, BigInt ${times}`);
    }
  }
  const usd = Number(attoToUsd(total));
  for (const contender of contenders) {
    if (!booked.has(contender.name) || contender.usd === undefined) continue;
    const other = await contender.usd();
    if (!(Math.abs(other - usd) <= usd * 1e-6)) {
      found.push(`${contender.name}: ${other} USD, exact ${usd} USD`);
    }
  }
  return found;
}
