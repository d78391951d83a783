// One workflow, written once for any way to MLflow, and what a ledger must say of it whichever way was taken.
import type { MlflowCostSummary } from "../../../src/node.js";

/** Sends one request; answers the JSON of an answer with status 200, and rejects for any other. */
export type Send = (
  method: string,
  target: string,
  body?: Uint8Array | Readonly<Record<string, unknown>>,
) => Promise<unknown>;

/** What the workflow works with, so that one that is played again has the same. */
export interface WorkflowNames {
  /** Of an experiment and a registered model that do not exist yet. */
  readonly experiment: string;
  readonly model: string;
}

export const BATCH = { metrics: 7, params: 2, tags: 1 } as const;
export const FILES: Readonly<Record<string, Uint8Array>> = {
  "a.txt": new TextEncoder().encode("one\n"),
  "folder/b c.bin": new Uint8Array(70_000).fill(7),
  "empty.txt": new Uint8Array(0),
};

const API = "/api/2.0/mlflow";

/** Points of a batch. */
export function batchOf(): {
  metrics: { key: string; value: number; timestamp: number; step: number }[];
  params: { key: string; value: string }[];
  tags: { key: string; value: string }[];
} {
  return {
    metrics: Array.from({ length: BATCH.metrics }, (_, step) => ({
      key: "loss",
      value: 1 / (step + 1),
      timestamp: 1000 + step,
      step,
    })),
    params: Array.from({ length: BATCH.params }, (_, n) => ({ key: `p${n}`, value: "v" })),
    tags: [{ key: "phase", value: "train" }],
  };
}

/** Plays the workflow over HTTP as any client would: the REST interface, one request a call. */
export async function playOverHttp(send: Send, names: WorkflowNames): Promise<void> {
  const post = (route: string, body: Record<string, unknown>) =>
    send("POST", `${API}/${route}`, body);
  const { experiment_id } = (await post("experiments/create", { name: names.experiment })) as {
    experiment_id: string;
  };
  const start = async (name: string, tags: readonly { key: string; value: string }[]) => {
    const body = { experiment_id, run_name: name, start_time: 1000, tags };
    const { run } = (await post("runs/create", body)) as { run: { info: { run_id: string } } };
    return run.info.run_id;
  };
  const parent = await start("parent", []);
  const child = await start("child", [{ key: "mlflow.parentRunId", value: parent }]);
  await post("runs/log-metric", {
    run_id: child,
    run_uuid: child,
    key: "m",
    value: 1,
    timestamp: 1,
    step: 0,
  });
  await post("runs/log-parameter", { run_uuid: child, key: "lr", value: "0.1" });
  await post("runs/set-tag", { run_id: child, key: "t", value: "v" });
  await post("runs/log-batch", { run_id: child, ...batchOf() });
  for (const [name, bytes] of Object.entries(FILES)) {
    const path = name.split("/").map(encodeURIComponent).join("/");
    const place = `${experiment_id}/${child}/artifacts/${path}`;
    await send("PUT", `/api/2.0/mlflow-artifacts/artifacts/${place}`, bytes);
  }
  await post("registered-models/create", { name: names.model });
  const source = `runs:/${child}/model`;
  await post("model-versions/create", { name: names.model, source, run_id: child });
  await post("registered-models/alias", { name: names.model, alias: "best", version: "1" });
  await send("GET", `${API}/runs/get?run_id=${child}`);
  await post("runs/update", { run_id: child, status: "FINISHED", end_time: 2000 });
  await post("runs/update", { run_id: parent, status: "FAILED", end_time: 2000 });
}

type Json = string | number | boolean | null | undefined | Json[] | { [key: string]: Json };

/** Operations that only read: they cost nothing, and every client makes others. */
const READ = /^(?:get|search|list|download)_/;

/**
 * What a ledger says, to the last unit, without what differs between two plays of one workflow: ids, names
 * and times. Equal for every way of one workflow; for whoever has the ledger's summary.
 */
export function ledgerOf(summary: MlflowCostSummary, names: WorkflowNames): unknown {
  const { runs, operations, recommendations: _, ...sums } = summary;
  const titles = new Map<string, string>([
    [names.experiment, "the experiment"],
    [names.model, "the model"],
  ]);
  for (const { runId, runName } of runs) titles.set(runId, `the ${runName ?? "nameless"} run`);
  const renamed = (value: Json): Json => {
    if (typeof value === "string") return titles.get(value) ?? value;
    if (Array.isArray(value)) return value.map(renamed);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => !READ.test(key))
        .map(([key, content]) => [titles.get(key) ?? key, renamed(content)]),
    );
  };
  const counts = Object.entries(operations)
    .filter(([name]) => !READ.test(name))
    .map(([name, { count, errorCount, items }]) => [name, { count, errorCount, items }]);
  const byName = [...runs].sort((one, other) =>
    String(one.runName).localeCompare(String(other.runName)),
  );
  return {
    sums: renamed(sums as unknown as Json),
    runs: renamed(byName as unknown as Json),
    operations: Object.fromEntries(counts.sort()),
  };
}
