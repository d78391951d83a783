// A store that keeps nothing: calls go through the client's seam and are answered at once, or after a while.
import { setImmediate } from "node:timers/promises";
import type { StoreCall } from "../../src/mlflow/interceptor.js";
import { throughInterceptors } from "../../src/mlflow/interceptor.js";

let runs = 0;

/** Makes one call, which takes `turns` turns of the event loop, and fails when told so. */
export async function call(
  route: string,
  body: Record<string, unknown> = {},
  { reply = {}, turns = 0, fails = false, upload }: CallOptions = {},
): Promise<void> {
  const made: StoreCall = {
    method: "POST",
    route: `/api/2.0/mlflow/${route}`,
    path: `/api/2.0/mlflow/${route}`,
    body,
    storeUri: "nothing:",
    ...(upload && {
      method: "PUT",
      route: "/api/2.0/mlflow-artifacts/artifacts/{path}",
      path: "/api/2.0/mlflow-artifacts/artifacts/a",
      upload,
    }),
  };
  const answered = throughInterceptors(made, async () => {
    for (let turn = 0; turn < turns; turn++) await setImmediate();
    if (fails) throw Object.assign(new Error("refused"), { code: "INTERNAL_ERROR" });
    return reply;
  });
  if (fails) await answered.catch(() => undefined);
  else await answered;
}

export interface CallOptions {
  readonly reply?: unknown;
  readonly turns?: number;
  readonly fails?: boolean;
  readonly upload?: StoreCall["upload"];
}

/** Starts a run and answers its id. */
export async function startRun(
  experimentId: string,
  parentRunId?: string,
  turns = 0,
): Promise<string> {
  const runId = `run-${++runs}`;
  const tags = parentRunId === undefined ? [] : [{ key: "mlflow.parentRunId", value: parentRunId }];
  const info = { run_id: runId, experiment_id: experimentId, run_name: `name of ${runId}` };
  const reply = { run: { info, data: { tags } } };
  await call("runs/create", { experiment_id: experimentId, tags }, { reply, turns });
  return runId;
}

/** Writes one artifact of a run. */
export function writeArtifact(
  runId: string,
  artifactUri: string,
  sizeBytes: number,
  { path = artifactUri.split("/").at(-1) ?? "", ...options }: CallOptions & { path?: string } = {},
): Promise<void> {
  const upload = {
    runId,
    artifactPath: path,
    artifactUri,
    sizeBytes,
  };
  return call("", {}, { ...options, upload });
}

export function endRun(runId: string, status = "FINISHED"): Promise<void> {
  return call("runs/update", { run_id: runId, status });
}
