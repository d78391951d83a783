// The operations that every contender books: made once, from a seed, in the shape that clients send.
import { DEFAULT_METERS, usdToAtto } from "../dist/engine/index.js";

/** Runs that are written to: any of them at any time, as a server sees it. */
export const RUNS = 1000;
/** In turn, as one client's loop writes: so many operations in a row on each run. */
export const OPERATIONS_PER_RUN = 32;
/** Operations in one timed batch; four batches visit every run once in turn. */
export const BATCH = (RUNS * OPERATIONS_PER_RUN) / 4;

const STORE = "storage.s3";
const LARGEST_FILE = 50 * 2 ** 20;

/** What is called, how often in a hundred, and by which request. */
const MIX = [
  { name: "log_metric", share: 60, method: "POST", path: "/api/2.0/mlflow/runs/log-metric" },
  { name: "log_param", share: 15, method: "POST", path: "/api/2.0/mlflow/runs/log-parameter" },
  { name: "set_tag", share: 10, method: "POST", path: "/api/2.0/mlflow/runs/set-tag" },
  {
    name: "create_model_version",
    share: 5,
    method: "POST",
    path: "/api/2.0/mlflow/model-versions/create",
  },
  {
    name: "transition_model_version_stage",
    share: 5,
    method: "POST",
    path: "/api/2.0/mlflow/model-versions/transition-stage",
  },
  {
    name: "log_artifact",
    share: 5,
    method: "PUT",
    path: "/api/2.0/mlflow-artifacts/artifacts/7/0123456789abcdef/artifacts/model.pkl",
    stored: true,
  },
];

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seeded(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Who pays for run `index` of the runs named with `prefix`; every name carries the prefix. */
export function attribution(prefix, index) {
  return {
    runId: `${prefix}${index.toString(16).padStart(32 - prefix.length, "0")}`,
    experiment: `${prefix}experiment-${index % 20}`,
    team: `${prefix}team-${index % 10}`,
    project: `${prefix}project-${index % 30}`,
    customerId: `${prefix}customer-${index % 50}`,
  };
}

/**
 * Batches in struct-of-arrays form, and what pricing them takes. Ids are the engine's, so that nobody
 * has to translate while the clock runs.
 */
export function makeWorkload(engine, seed) {
  const random = seeded(seed);
  const store = engine.meter(STORE);
  const calls = MIX.flatMap((call) =>
    Array.from({ length: call.share }, () => ({ ...call, id: engine.operation(call.name) })),
  );
  const runsInBatch = BATCH / OPERATIONS_PER_RUN;
  const batches = Array.from({ length: RUNS / runsInBatch }, (_, part) => {
    const batch = {
      run: new Int32Array(BATCH),
      inTurn: new Int32Array(BATCH),
      operation: new Int32Array(BATCH),
      meter: new Int32Array(BATCH),
      bytes: new Float64Array(BATCH),
    };
    for (let i = 0; i < BATCH; i++) {
      const call = calls[Math.floor(random() * calls.length)];
      batch.run[i] = Math.floor(random() * RUNS);
      batch.inTurn[i] = part * runsInBatch + Math.floor(i / OPERATIONS_PER_RUN);
      batch.operation[i] = call.id;
      batch.meter[i] = call.stored ? store : 0;
      batch.bytes[i] = call.stored ? Math.floor(random() * LARGEST_FILE) : 0;
    }
    return batch;
  });
  const rate = DEFAULT_METERS[STORE];
  return {
    batches,
    runs: Array.from({ length: RUNS }, (_, index) => attribution("", index)),
    operationNames: engine.operations.map(({ name }) => name),
    /** USD per call, by operation id. */
    prices: engine.operations.map(({ price }) => price ?? "0"),
    /** Atto-USD for so many bytes on the store. */
    storage: { atto: usdToAtto(rate.price), bytes: BigInt(rate.per) },
    /** Requests by operation id. */
    requests: Object.fromEntries(calls.map(({ id, method, path }) => [id, { method, path }])),
  };
}
