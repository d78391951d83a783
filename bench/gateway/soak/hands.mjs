// Two ways to say the same to MLflow: our own client, and fetch with JSON written by hand.
import { MlflowClient } from "../../../dist/node/mlflow.js";

const JSON_TYPE = { "content-type": "application/json" };
const CHUNK_BYTES = 48 * 1024;

/** Rejects with `status` and the server's words for every answer but 200. */
async function sent(url, init) {
  const reply = await fetch(url, { signal: AbortSignal.timeout(120_000), ...init });
  const text = await reply.text();
  if (reply.status !== 200) throw Object.assign(new Error(text), { status: reply.status });
  return text === "" ? {} : JSON.parse(text);
}

function post(uri, path, message) {
  const body = JSON.stringify(message);
  return sent(`${uri}/api/2.0/mlflow/${path}`, { method: "POST", headers: JSON_TYPE, body });
}

function inChunks(bytes) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + CHUNK_BYTES));
      at += CHUNK_BYTES;
    },
  });
}

/** Puts a file by its path on the server, its length declared or not. */
function putFile(uri, { experimentId, runId, path, bytes, chunked }) {
  const url = `${uri}/api/2.0/mlflow-artifacts/artifacts/${experimentId}/${runId}/artifacts/${path}`;
  const body = chunked ? { body: inChunks(bytes), duplex: "half" } : { body: bytes };
  return sent(url, { method: "PUT", ...body });
}

export function clientAt(uri) {
  // A call that is sent again would be counted twice here.
  return new MlflowClient({ trackingUri: uri, maxRetries: 0, timeoutSeconds: 120 });
}

/** What a run is written with, by our client. */
export function clientHand(uri) {
  const client = clientAt(uri);
  return {
    createRun: async (experimentId, tags) =>
      (await client.createRun(experimentId, { tags })).info.runId,
    logMetric: (runId, key, value, step) => client.logMetric(runId, key, value, { step }),
    logBatch: (runId, metrics, params, tags) => client.logBatch(runId, { metrics, params, tags }),
    logParam: (runId, key, value) => client.logParam(runId, key, value),
    setTag: (runId, key, value) => client.setTag(runId, key, value),
    deleteTag: (runId, key) => client.deleteTag(runId, key),
    getRun: (runId) => client.getRun(runId),
    searchRuns: (experimentId, filterString) =>
      client.searchRuns([experimentId], { filterString, maxResults: 20 }),
    upload: ({ runId, path, bytes, chunked }) =>
      client.logBytes(runId, chunked ? inChunks(bytes) : bytes, path),
    end: (runId, status) => client.setTerminated(runId, status),
    deleteRun: (runId) => client.deleteRun(runId),
  };
}

const pairs = (record) =>
  Object.entries(record).map(([key, value]) => ({ key, value: String(value) }));

/** The same, by hand. */
export function fetchHand(uri) {
  const timestamp = () => Date.now();
  return {
    createRun: async (experimentId, tags) => {
      const message = { experiment_id: experimentId, start_time: timestamp(), tags: pairs(tags) };
      return (await post(uri, "runs/create", message)).run.info.run_id;
    },
    logMetric: (runId, key, value, step) =>
      post(uri, "runs/log-metric", { run_id: runId, key, value, step, timestamp: timestamp() }),
    logBatch: (runId, metrics, params, tags) =>
      post(uri, "runs/log-batch", {
        run_id: runId,
        metrics: metrics.map((metric) => ({ ...metric, timestamp: timestamp() })),
        params: pairs(params),
        tags: pairs(tags),
      }),
    logParam: (runId, key, value) =>
      post(uri, "runs/log-parameter", { run_id: runId, key, value: String(value) }),
    setTag: (runId, key, value) =>
      post(uri, "runs/set-tag", { run_id: runId, key, value: String(value) }),
    deleteTag: (runId, key) => post(uri, "runs/delete-tag", { run_id: runId, key }),
    getRun: (runId) => sent(`${uri}/api/2.0/mlflow/runs/get?run_id=${runId}`),
    searchRuns: (experimentId, filter) =>
      post(uri, "runs/search", { experiment_ids: [experimentId], filter, max_results: 20 }),
    upload: (file) => putFile(uri, file),
    end: (runId, status) =>
      post(uri, "runs/update", { run_id: runId, status, end_time: timestamp() }),
    deleteRun: (runId) => post(uri, "runs/delete", { run_id: runId }),
  };
}
