// The ways to keep the account, each booking the same operations: the engine's, and what people write.
import { attoToUsd, createEngine, usdToAtto } from "../dist/engine/index.js";
import { LIMIT_USD, storedExactly } from "./by-hand.mjs";
import { attribution, BATCH, makeWorkload, OPERATIONS_PER_RUN, seeded } from "./workload.mjs";

/** Runs of the crowd, to see whether the cost of an operation grows with their number. */
const CROWD = 1_000_000;
/** Runs of the crowd below each run that has others below it. */
const FAMILY = 10;
/** Engine contenders keep runs of their own in the one engine, told apart by these names. */
const BY_NAME = "n/";
const IN_TURN = "t/";
const IN_CROWD = "c/";
function addBudgets(engine, teams) {
  engine.addBudget({ name: "all", limit: LIMIT_USD, period: "day" });
  for (const team of teams) {
    const scope = { team };
    engine.addBudget({ name: team, limit: LIMIT_USD, period: "month", scope, action: "block" });
  }
}

/** Handles of a million runs, a tenth of them parents of the others. */
function openCrowd(engine) {
  const handles = new Float64Array(CROWD);
  for (let i = 0; i < CROWD; i++) {
    const run = attribution(IN_CROWD, i);
    const parent = i - (i % FAMILY);
    if (parent !== i) run.parentRunId = attribution(IN_CROWD, parent).runId;
    handles[i] = engine.openRun(run);
  }
  return handles;
}

function drawHandles(handles, count) {
  const random = seeded(count);
  return Float64Array.from({ length: count }, () => handles[Math.floor(random() * handles.length)]);
}

/**
 * One engine for all of its contenders: a second instance would make the call into WebAssembly
 * polymorphic, which no program with one engine pays.
 */
function engineContenders(engine, workload) {
  const open = (prefix, count) =>
    Float64Array.from({ length: count }, (_, i) => engine.openRun(attribution(prefix, i)));
  const teams = [...new Set(workload.runs.map(({ team }) => team))];
  const prefixes = ["", BY_NAME, IN_TURN, IN_CROWD];
  addBudgets(
    engine,
    prefixes.flatMap((prefix) => teams.map((team) => prefix + team)),
  );
  const handles = open("", workload.runs.length);
  const inTurnHandles = open(IN_TURN, workload.runs.length);
  open(BY_NAME, workload.runs.length);
  // A million runs take seconds to open, and most budgets can do without.
  let opened;
  const crowd = () => (opened ??= openCrowd(engine));
  const named = workload.runs.map((_, i) => attribution(BY_NAME, i).runId);
  const handleOf = new Map(
    named.map((runId, i) => [runId, engine.openRun(attribution(BY_NAME, i))]),
  );
  const names = workload.operationNames;
  let firstOfCrowd = 0;
  // Handles in the order they are used in, so that the host's own look-ups are not what is measured.
  let drawn;
  const anyOfCrowd = () => (drawn ??= drawHandles(crowd(), 64 * BATCH));
  let anyBatch = 0;

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
      name: "record-in-turn",
      title: "engine.record, one run after another",
      book({ inTurn, operation, meter, bytes }) {
        let flags = 0;
        for (let i = 0; i < BATCH; i++) {
          flags |= engine.record(inTurnHandles[inTurn[i]], operation[i], meter[i], bytes[i]);
        }
        return flags;
      },
    },
    {
      name: "crowd-in-turn",
      title: "the same over a million runs",
      book({ inTurn, operation, meter, bytes }) {
        // Each batch goes on where the last one ended, so no run is met again before all were.
        const runs = crowd().subarray(firstOfCrowd);
        const first = inTurn[0];
        firstOfCrowd = (firstOfCrowd + BATCH / OPERATIONS_PER_RUN) % CROWD;
        let flags = 0;
        for (let i = 0; i < BATCH; i++) {
          flags |= engine.record(runs[inTurn[i] - first], operation[i], meter[i], bytes[i]);
        }
        return flags;
      },
    },
    {
      name: "crowd-at-random",
      title: "engine.record over a million runs",
      book({ operation, meter, bytes }) {
        const runs = anyOfCrowd().subarray(anyBatch * BATCH, (anyBatch + 1) * BATCH);
        anyBatch = (anyBatch + 1) % 64;
        let flags = 0;
        for (let i = 0; i < BATCH; i++) {
          flags |= engine.record(runs[i], operation[i], meter[i], bytes[i]);
        }
        return flags;
      },
    },
    {
      name: "roll-up",
      title: "a million runs with their children, a run",
      units: CROWD,
      book() {
        crowd();
        return engine.rollUp("run", true).next() ? 1 : 0;
      },
    },
    ...requestContenders(engine, workload),
  ];
}

/** Telling which operation a request is: from its bytes, and from strings made of them. */
function requestContenders(engine, { requests }) {
  const text = new TextEncoder();
  const ids = Object.keys(requests).map(Number);
  const placed = new Map();
  let end = 0;
  for (const id of ids) {
    const { method, path } = requests[id];
    const bytes = text.encode(`${method} ${path}`);
    engine.buffer.set(bytes, end);
    placed.set(id, { start: end, length: bytes.length, path: end + method.length + 1 });
    end += bytes.length;
  }
  const { buffer, byteOffset } = engine.buffer;
  const received = Buffer.from(buffer, byteOffset, end);
  const size = Math.max(...ids) + 1;
  const starts = new Int32Array(size);
  const lengths = new Int32Array(size);
  const paths = new Int32Array(size);
  for (const [id, place] of placed) {
    starts[id] = place.start;
    lengths[id] = place.length;
    paths[id] = place.path;
  }
  // What a router of strings does: a Map a method. It can know no route with a parameter, so none is asked for.
  const routes = new Map();
  for (const id of ids) {
    const { method, path, stored } = requests[id];
    if (!routes.has(method)) routes.set(method, new Map());
    if (!stored) routes.get(method).set(path, id);
  }
  const whole = (id) => (requests[id].stored ? ids.find((other) => !requests[other].stored) : id);
  const wholes = Int32Array.from({ length: size }, (_, id) => (placed.has(id) ? whole(id) : 0));
  // What is asked of a batch, found out once: neither way has to translate while the clock runs.
  const asked = new WeakMap();
  const askedOf = ({ operation }) => {
    let ids = asked.get(operation);
    if (ids === undefined) {
      ids = operation.map((id) => wholes[id]);
      asked.set(operation, ids);
    }
    return ids;
  };
  const methods = Array.from({ length: size }, (_, id) =>
    placed.has(id) ? requests[id].method : "",
  );

  const checked = (name, book) => (batch) => {
    const wrong = book(batch);
    if (wrong > 0) throw new Error(`${name}: ${wrong} requests are not their operation`);
    return 1;
  };
  return [
    {
      name: "classify",
      title: "engine.classify of its request",
      book: checked("classify", ({ operation }) => {
        let wrong = 0;
        for (let i = 0; i < BATCH; i++) {
          const { method, path } = requests[operation[i]];
          if (engine.classify(method, path) !== operation[i]) wrong++;
        }
        return wrong;
      }),
    },
    {
      name: "classify-bytes",
      title: "engine.classifyBytes of its request",
      book: checked("classify-bytes", (batch) => {
        const ids = askedOf(batch);
        let wrong = 0;
        for (let i = 0; i < BATCH; i++) {
          const id = ids[i];
          if (engine.classifyBytes(starts[id], lengths[id]) !== id) wrong++;
        }
        return wrong;
      }),
    },
    {
      name: "map-of-strings",
      title: "its path as a fresh string, in a Map",
      book: checked("map-of-strings", (batch) => {
        const ids = askedOf(batch);
        let wrong = 0;
        for (let i = 0; i < BATCH; i++) {
          const id = ids[i];
          // As the parser of a server makes them; methods it has ready.
          const path = received.latin1Slice(paths[id], starts[id] + lengths[id]);
          const found = routes.get(methods[id])?.get(path);
          if (found !== id) wrong++;
        }
        return wrong;
      }),
    },
  ];
}

/** The sums that a breakdown keeps of one name. */
const nothing = () => ({ cost: 0, operations: 0, bytes: 0 });

/** What people write: one Map a breakdown, keyed by the names, floats in them, and limits that are compared. */
function sixMaps({ runs, operationNames, prices, storage }) {
  const price = new Map(operationNames.map((name, id) => [name, Number(prices[id])]));
  const rate = Number(attoToUsd(storage.atto)) / Number(storage.bytes);
  const [byRun, byExperiment, byTeam] = [new Map(), new Map(), new Map()];
  const [byProject, byCustomer, byOperation] = [new Map(), new Map(), new Map()];
  const everything = { spent: 0, limit: LIMIT_USD };
  const teamBudgets = new Map(runs.map(({ team }) => [team, { spent: 0, limit: LIMIT_USD }]));
  const add = (sums, name, cost, bytes) => {
    if (!sums.has(name)) sums.set(name, nothing());
    const sum = sums.get(name);
    sum.cost += cost;
    sum.operations++;
    sum.bytes += bytes;
  };
  const spend = (budget, cost) => {
    budget.spent += cost;
    return budget.spent > budget.limit ? 1 : 0;
  };
  return {
    name: "six-maps",
    title: "six Maps of names, float sums",
    book({ run, operation, bytes }) {
      let over = 1;
      for (let i = 0; i < BATCH; i++) {
        const { runId, experiment, team, project, customerId } = runs[run[i]];
        const name = operationNames[operation[i]];
        const cost = price.get(name) + bytes[i] * rate;
        add(byRun, runId, cost, bytes[i]);
        add(byExperiment, experiment, cost, bytes[i]);
        add(byTeam, team, cost, bytes[i]);
        add(byProject, project, cost, bytes[i]);
        add(byCustomer, customerId, cost, bytes[i]);
        add(byOperation, name, cost, bytes[i]);
        over += spend(everything, cost) + spend(teamBudgets.get(team), cost);
      }
      return over;
    },
    usd: () => [...byTeam.values()].reduce((sum, { cost }) => sum + cost, 0),
  };
}

/** The same made exact, in BigInt; the account that the engine's has to equal. */
function sixBigIntMaps({ runs, operationNames, prices, storage }) {
  const price = new Map(operationNames.map((name, id) => [name, usdToAtto(prices[id])]));
  const [byRun, byExperiment, byTeam] = [new Map(), new Map(), new Map()];
  const [byProject, byCustomer, byOperation] = [new Map(), new Map(), new Map()];
  const add = (costs, name, cost) => costs.set(name, (costs.get(name) ?? 0n) + cost);
  return {
    name: "six-bigint-maps",
    title: "six Maps of names, exact BigInt sums",
    book({ run, operation, bytes }) {
      for (let i = 0; i < BATCH; i++) {
        const { runId, experiment, team, project, customerId } = runs[run[i]];
        const name = operationNames[operation[i]];
        const cost = price.get(name) + (bytes[i] === 0 ? 0n : storedExactly(bytes[i], storage));
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

/** Every contender, and how to tell whether all of them came to the same account. */
export async function makeContenders(seed) {
  const engine = createEngine({ runs: 2 ** 20, budgets: 64 });
  const workload = makeWorkload(engine, seed);
  const { openTelemetryContenders } = await import("./telemetry.mjs");
  const exact = sixBigIntMaps(workload);
  const contenders = [
    ...engineContenders(engine, workload),
    // Each from a module of its own, so that the compiler never sees both kinds of number in one function.
    (await import("./by-hand.mjs?doubles")).typedDoubles(workload),
    (await import("./by-hand.mjs?exact")).bigIntArrays(workload),
    sixMaps(workload),
    exact,
    ...openTelemetryContenders(workload),
  ];
  return { contenders, batches: workload.batches, engine, exact };
}

function sum(amounts) {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

/** Breakdown of the BigInt account → dimension of the engine. */
const DIMENSIONS = {
  byRun: "run",
  byExperiment: "experiment",
  byTeam: "team",
  byProject: "project",
  byCustomer: "customer",
};
/** Contenders that book into the one engine. */
const SHARES = ["record", "record-by-name", "record-in-turn", "crowd-in-turn", "crowd-at-random"];

/** Amounts of a dimension of the engine, of those names that are in `wanted`: the crowd is not turned into objects. */
function amountsOf(engine, dimension, wanted) {
  const amounts = new Map();
  const cursor = engine.rollUp(dimension);
  while (cursor.next()) if (wanted.has(cursor.name)) amounts.set(cursor.name, cursor.amount);
  return amounts;
}

/**
 * What the contenders that booked (by name) disagree about; empty when they agree. The engine must equal
 * the BigInt sums to the last digit in every breakdown; floats need only be near.
 */
export async function disagreements({ contenders, engine, exact }, booked) {
  const found = [];
  const { byOperation, ...named } = exact.breakdowns;
  for (const [breakdown, amounts] of Object.entries(named)) {
    const kept = amountsOf(engine, DIMENSIONS[breakdown], amounts);
    for (const [name, amount] of amounts) {
      if (kept.get(name) !== amount) {
        found.push(`${breakdown} ${name}: engine ${kept.get(name)}, BigInt ${amount}`);
      }
    }
  }
  const total = sum([...exact.breakdowns.byTeam.values()]);
  const shares = SHARES.filter((name) => booked.has(name));
  const expected = total * BigInt(shares.length);
  if (engine.total() !== expected) {
    found.push(`total: engine ${engine.total()}, BigInt ${expected}`);
  }
  for (const [name, amount] of byOperation) {
    const times = amount * BigInt(shares.length);
    const kept = engine.total("operationType", name);
    if (kept !== times) found.push(`operation ${name}: engine ${kept}, BigInt ${times}`);
  }
  const everything = engine.budget(engine.budgets()[0]).spent;
  if (everything !== expected) {
    found.push(`budget of everything: engine ${everything}, BigInt ${expected}`);
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
