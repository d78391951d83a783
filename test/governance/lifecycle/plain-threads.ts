// A program that knows nothing of governance, and calls MLflow's REST interface from several threads.
import { isMainThread, Worker, workerData } from "node:worker_threads";

const server = process.env.MLFLOW_TRACKING_URI ?? "";

async function post(path: string, body: object): Promise<void> {
  const answer = await fetch(`${server}/api/2.0/mlflow/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await answer.text();
}

if (isMainThread) {
  const threads = [3, 4, 5].map((calls) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: calls });
    return new Promise((gone) => worker.once("exit", gone));
  });
  await Promise.all(threads);
} else {
  const run_id = `run-of-thread-${workerData}`;
  await post("runs/create", { experiment_id: "7", run_name: run_id });
  for (let step = 0; step < workerData; step++) {
    await post("runs/log-metric", { run_id, key: "m", value: 1, timestamp: 1, step });
  }
}
