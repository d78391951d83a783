// Plays vectors on an engine and compares: plain JavaScript that every runtime runs as it is.

const MISMATCHES_MAX = 20;

/** Text of a value with its keys in order; a bigint is its digits and an `n`. */
export function canonical(value) {
  if (typeof value === "bigint") return `"${value}n"`;
  if (value === undefined) return "null";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const members = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join()}}`;
}

/** Names that hold nothing may be listed or not. */
function held(amounts) {
  // From entries, as a name may be "__proto__".
  return Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount !== 0n));
}

function sortedBy(list, keyOf) {
  return [...list].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** What a plain ledger can know of a summary: all but percentiles and which telemetry is kept. */
export function viewOfSummary(summary) {
  const view = {};
  for (const [key, value] of Object.entries(summary)) {
    view[key] = key.startsWith("by") ? held(value) : value;
  }
  view.runs = sortedBy(summary.runs, ({ runId }) => runId);
  view.unpriced = sortedBy(summary.unpriced, (one) => `${one.operation}/${one.meter ?? ""}`);
  view.operations = Object.fromEntries(
    Object.entries(summary.operations).map(([name, total]) => {
      const { latency: _, size: __, kept, dropped, ...rest } = total;
      return [name, { ...rest, decided: kept + dropped }];
    }),
  );
  view.sampling = summary.sampling.kept + summary.sampling.dropped;
  view.refused = summary.blocked + summary.rateLimited;
  delete view.blocked;
  delete view.rateLimited;
  return view;
}

/** What of an answer is compared, where it is not all of it. */
const VIEWS = {
  summary: viewOfSummary,
  drain: (runs) => runs.map(({ runId, own }) => ({ runId, own })),
  budgets: (handles) => handles.length,
  takeAlerts: (alerts) => alerts.map(({ name, share }) => `${name} ${share}`).sort(),
};

function argumentOf(given, handles) {
  if (typeof given === "string" && /^-?\d+n$/.test(given)) return BigInt(given.slice(0, -1));
  if (typeof given !== "object" || given === null) return given;
  if (Array.isArray(given)) return given.map((one) => argumentOf(one, handles));
  if (Object.hasOwn(given, "handleOf")) return handles[given.handleOf];
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, argumentOf(value, handles)]),
  );
}

/** Says what is wrong with an answer; undefined when it is as expected. */
function fault(method, expected, answer) {
  if ("error" in expected) return `answered ${canonical(answer)}, not ${expected.error}`;
  const refused = typeof answer === "object" && answer !== null && answer.refused === true;
  if ("refused" in expected) {
    if (refused && expected.refused.includes(answer.decision)) return undefined;
    return `answered ${canonical(answer)}, not ${expected.refused.join(" or ")}`;
  }
  if (refused) return `was refused: ${canonical(answer)}`;
  if ("handle" in expected) {
    const handle = typeof answer === "object" ? answer.lease : answer;
    if (!(Number.isSafeInteger(handle) && handle > 0)) return `answered ${canonical(answer)}`;
    if (expected.amount === undefined || canonical(answer.amount) === `"${expected.amount}"`) {
      return undefined;
    }
    return `granted ${canonical(answer.amount)}, not ${expected.amount}`;
  }
  if ("flags" in expected) {
    if ((answer & expected.mask) === expected.flags) return undefined;
    return `answered flags ${answer}, of ${expected.mask} only ${expected.flags} were expected`;
  }
  const view = Object.hasOwn(VIEWS, method) ? VIEWS[method](answer) : answer;
  const [actual, wanted] = [canonical(view), canonical(expected.value)];
  if (actual === wanted) return undefined;
  let at = 0;
  while (actual[at] === wanted[at]) at++;
  const near = (text) => text.slice(Math.max(0, at - 80), at + 80);
  return `answered …${near(actual)}…, not …${near(wanted)}…`;
}

async function sha256(pieces) {
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Plays the calls of one suite. Answers the text of everything that was answered. */
function playSuite({ EngineError }, engine, suite, report) {
  const handles = [];
  const transcript = [];
  for (const [index, { call, expected }] of suite.calls.entries()) {
    const [method, ...given] = call;
    const say = (text) => report(`${suite.name}, call ${index}: ${method} ${text}`);
    try {
      const answer = engine[method](...given.map((one) => argumentOf(one, handles)));
      transcript.push(canonical(answer));
      if (typeof answer === "number") handles[index] = answer;
      else if (typeof answer?.lease === "number") handles[index] = answer.lease;
      const wrong = fault(method, expected, answer);
      if (wrong !== undefined) say(wrong);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      transcript.push(`${error.code} ${error.message}`);
      if (expected.error !== error.code) say(`threw ${error.code}: ${error.message}`);
    }
  }
  return `${transcript.join("\n")}\n`;
}

/**
 * Plays all suites on the engine of this runtime: made by `createEngine`, or by `loadEngine` from what is
 * given. `hash` is of every snapshot, `transcript` of every answer; both are the same in every runtime.
 */
export async function play(genops, vectors, source) {
  const make = (options) =>
    source === undefined ? genops.createEngine(options) : genops.loadEngine(options, source);
  const mismatches = [];
  const report = (text) => {
    if (mismatches.length < MISMATCHES_MAX) mismatches.push(text);
  };
  const snapshots = [];
  const transcripts = [];
  let calls = 0;
  for (const suite of vectors.suites) {
    const engine = await make(suite.options);
    transcripts.push(playSuite(genops, engine, suite, report));
    calls += suite.calls.length;
    const snapshot = engine.snapshot();
    snapshots.push(snapshot);
    const other = await make(suite.options);
    other.restore(snapshot);
    const again = other.snapshot();
    const same = again.length === snapshot.length && again.every((byte, i) => byte === snapshot[i]);
    if (!same) report(`${suite.name}: a restored engine gives another snapshot`);
    const [before, after] = [engine, other].map((one) => canonical(one.summary()));
    if (before !== after) report(`${suite.name}: a restored engine gives another summary`);
  }
  const all = await make(vectors.merged.options);
  // The order does not matter, and repeats change nothing.
  for (const snapshot of [...snapshots].reverse()) all.merge(snapshot);
  for (const snapshot of snapshots) all.merge(snapshot);
  const { total, operationCount, errorCount, byTeam } = all.summary();
  const merged = { total, operationCount, errorCount, byTeam: held(byTeam) };
  if (canonical(merged) !== canonical(vectors.merged.expected)) {
    report(`merged: ${canonical(merged)}, not ${canonical(vectors.merged.expected)}`);
  }
  return {
    mismatches,
    calls,
    hash: await sha256([...snapshots, all.snapshot()]),
    transcript: await sha256(transcripts),
    agent: globalThis.navigator?.userAgent ?? "Node.js",
  };
}
