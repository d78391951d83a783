// What is concluded: does the ledger say what the database says, do sums add up, is memory flat. Pure.
import { median } from "../../measure.mjs";
import { COUNTED } from "./counts.mjs";

/** The last quarter's memory against the second's: by so much it may be more. */
const MEMORY_AT_MOST = 1.1;
/** Fewer samples say nothing. */
const LEAST_SAMPLES = 16;
/** A process takes about five minutes of load to grow to what it needs: so long the first quarter must be. */
const LEAST_MINUTES = 20;
const DECIMALS = 18;

/** Exact decimal text of USD → atto-USD. */
function attoOf(text) {
  const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  const atto = BigInt(whole + fraction.padEnd(DECIMALS, "0"));
  return sign === "" ? atto : -atto;
}

/** What the ledger says was written, under the names of what is counted. */
function ledgerCounts({ operations, storage }) {
  const count = (name) => operations[name]?.count ?? 0;
  const stored = (field) => Object.values(storage).reduce((sum, each) => sum + each[field], 0);
  return {
    experiments: count("create_experiment"),
    runs: count("create_run"),
    endedRuns: count("update_run"),
    deletedRuns: count("delete_run"),
    // A batch says how much it carries, not of what.
    items:
      count("log_metric") +
      count("log_param") +
      count("set_tag") -
      count("delete_tag") +
      (operations.log_batch?.items ?? 0),
    registeredModels: count("create_registered_model") - count("delete_registered_model"),
    modelVersions: count("create_model_version"),
    loggedModels: count("create_logged_model"),
    files: stored("files"),
    bytes: stored("bytes"),
  };
}

const itemsOf = ({ metrics, params, tags }) => metrics + params + tags;

/**
 * Every figure three times: acknowledged to the load, booked in the ledger, kept by the server. The ledger must be
 * what the server keeps, and the load at most so much less as it went away without knowing.
 */
export function compare({ acknowledged, uncertain }, summary, kept) {
  const ledger = ledgerCounts(summary);
  const rows = [...COUNTED, "items"].map((name) => {
    const of = (counts) => (name === "items" ? itemsOf(counts) : counts[name]);
    const row = { name, load: of(acknowledged), ledger: ledger[name], server: of(kept) };
    return { ...row, uncertain: of(uncertain) };
  });
  const differences = [];
  for (const { name, load, ledger: booked, server, uncertain: most } of rows) {
    if (booked !== undefined && booked !== server) {
      differences.push(`${name}: the ledger says ${booked}, the server keeps ${server}`);
    }
    if (server < load || server > load + most) {
      const range = most === 0 ? `${load}` : `${load} to ${load + most}`;
      differences.push(`${name}: the load was told of ${range}, the server keeps ${server}`);
    }
  }
  return { rows, differences };
}

/** Do the parts come to the whole, to the last unit: every breakdown, and every run with its children? */
export function unevenSums(summary) {
  const total = attoOf(summary.totalCost);
  const uneven = [];
  for (const [name, record] of Object.entries(summary)) {
    if (!/^costBy[A-Z]/.test(name)) continue;
    const sum = Object.values(record).reduce((all, text) => all + attoOf(text), 0n);
    if (sum !== total) uneven.push(`${name} comes to ${sum} atto-USD, the total is ${total}`);
  }
  const below = new Map();
  for (const { parentRunId, inclusiveCostExact } of summary.runs) {
    if (parentRunId === undefined) continue;
    below.set(parentRunId, (below.get(parentRunId) ?? 0n) + attoOf(inclusiveCostExact));
  }
  const known = new Set(summary.runs.map(({ runId }) => runId));
  let roots = 0n;
  for (const { runId, parentRunId, ownCostExact, inclusiveCostExact } of summary.runs) {
    const inclusive = attoOf(inclusiveCostExact);
    const parts = attoOf(ownCostExact) + (below.get(runId) ?? 0n);
    if (parts !== inclusive) {
      uneven.push(`run ${runId}: its parts come to ${parts} atto-USD, it says ${inclusive}`);
    }
    if (parentRunId === undefined || !known.has(parentRunId)) roots += inclusive;
  }
  // What belongs to no run, and runs that were folded to make room, are beside the tree.
  for (const [name, text] of Object.entries(summary.costByRun)) {
    if (!known.has(name)) roots += attoOf(text);
  }
  if (roots !== total) {
    uneven.push(`the runs at the top come to ${roots} atto-USD, the total is ${total}`);
  }
  return uneven;
}

/**
 * The median of resident memory in the last quarter of the time must not be above that of the second quarter by more
 * than 10 %. The first quarter is left out, as a heap, its compiled code and its caches grow to what they need
 * then; medians, as one sample depends on when garbage was last collected; and a leak of so much as matters shows
 * over half of the time, while a tenth is what an allocator alone moves by.
 */
export function judgeMemory(samples, minutes) {
  if (samples.length < LEAST_SAMPLES || minutes < LEAST_MINUTES) return { judged: false };
  const quarter = samples.length >> 2;
  const middle = (from, to, field) => median(samples.slice(from, to).map((each) => each[field]));
  const of = (field) => {
    const second = middle(quarter, 2 * quarter, field);
    const last = middle(samples.length - quarter, samples.length, field);
    return { second, last, ratio: last / second };
  };
  const rss = of("rss");
  return {
    judged: true,
    rss,
    heap: of("heap"),
    atMost: MEMORY_AT_MOST,
    broken: !(rss.ratio <= MEMORY_AT_MOST),
  };
}
