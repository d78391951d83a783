// What the engine does in one record, written by hand in JavaScript for this one account.
import { attoToUsd, usdToAtto } from "../dist/engine/index.js";
import { BATCH } from "./workload.mjs";

const METERS = 8;

/**
 * Limit of the two budgets that every operation counts on, one of everything and one of its team: far enough away
 * that nobody has anything to say about them while the clock runs.
 */
export const LIMIT_USD = 1_000_000_000;

/** Atto-USD for bytes on the store, rounded half to even. */
export function storedExactly(bytes, { atto, bytes: per }) {
  const product = BigInt(bytes) * atto;
  const quotient = product / per;
  const twice = (product % per) * 2n;
  const up = twice > per || (twice === per && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/**
 * What the engine does in one record, by hand in JavaScript: the same checks, the same sums (total, run, cell,
 * two budgets with their marks), the same counts, the same question whether to sample; with sums of another kind.
 * `sums(length)` is so many of them, `limit` a budget's and `costOf(operation, meter, bytes)` a price of that kind.
 */
function byHand({ runs, operationNames }, sums, limit, costOf) {
  const operations = operationNames.length;
  const teams = [...new Set(runs.map(({ team }) => team))];
  const generation = new Int32Array(runs.length).fill(1);
  const total = sums(1);
  const last = sums(1);
  const runCost = sums(runs.length);
  const runOperations = new Int32Array(runs.length);
  const cells = operations * METERS;
  const cellCost = sums(cells);
  const cellBytes = new Float64Array(cells);
  const cellCount = new Float64Array(cells);
  const cellItems = new Float64Array(cells);
  const counted = new Uint8Array(operations).fill(1);
  const thresholds = new Float64Array(16);
  const classes = new Uint8Array(operations);
  // Budget 1 is of everything, the others of a team; a run's budgets are a list from its head on.
  const spent = sums(teams.length + 2);
  const marks = sums(teams.length + 2).fill(limit);
  const head = Int32Array.from(runs, ({ team }) => teams.indexOf(team) + 2);
  const after = Int32Array.from({ length: teams.length + 2 }, (_, i) => (i > 1 ? 1 : 0));
  const flagsOf = (run, operation, meter, bytes, items) => {
    if (!(run >= 0 && run < runs.length) || generation[run] !== 1) return -1;
    if (!(operation >= 0 && operation < operations)) return -2;
    if (!(meter >= 0 && meter < METERS)) return -3;
    if (!(bytes >= 0 && bytes <= Number.MAX_SAFE_INTEGER && Math.floor(bytes) === bytes)) return -4;
    if (items < 0) return -4;
    const cost = costOf(operation, meter, bytes);
    total[0] += cost;
    runCost[run] += cost;
    runOperations[run] += counted[operation];
    const cell = operation * METERS + meter;
    cellCost[cell] += cost;
    cellBytes[cell] += bytes;
    cellCount[cell]++;
    cellItems[cell] += items;
    last[0] = cost;
    let flags = 0;
    for (let budget = head[run]; budget !== 0; budget = after[budget]) {
      const now = spent[budget] + cost;
      spent[budget] = now;
      if (now >= marks[budget]) flags |= 32;
    }
    return thresholds[classes[operation]] === 0 ? flags | 1 : flags;
  };
  const book = ({ run, operation, meter, bytes }) => {
    let flags = 0;
    for (let i = 0; i < BATCH; i++) {
      flags |= flagsOf(run[i], operation[i], meter[i], bytes[i], 1);
    }
    return flags;
  };
  return { book, total };
}

/** The fastest that can be written by hand: inexact sums in typed arrays. */
export function typedDoubles(workload) {
  const price = Float64Array.from(workload.prices, Number);
  const { atto, bytes: per } = workload.storage;
  const rate = new Float64Array(METERS).fill(Number(attoToUsd(atto)) / Number(per));
  const { book, total } = byHand(
    workload,
    (length) => new Float64Array(length),
    LIMIT_USD,
    (operation, meter, bytes) => price[operation] + bytes * rate[meter],
  );
  return {
    name: "typed-doubles",
    title: "the same by hand, inexact doubles",
    book,
    usd: () => total[0],
  };
}

/** The fastest exact way without a module. */
export function bigIntArrays(workload) {
  const price = workload.prices.map((text) => usdToAtto(text));
  const { book, total } = byHand(
    workload,
    (length) => new Array(length).fill(0n),
    usdToAtto(String(LIMIT_USD)),
    (operation, _meter, bytes) =>
      bytes === 0 ? price[operation] : price[operation] + storedExactly(bytes, workload.storage),
  );
  return {
    name: "bigint-arrays",
    title: "the same by hand, exact BigInt",
    book,
    usd: () => Number(attoToUsd(total[0])),
  };
}
