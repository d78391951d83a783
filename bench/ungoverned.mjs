// Not being governed: what a logged metric and a fetch cost beside genops while it governs nothing, in a process of their own.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROGRAM = fileURLToPath(new URL("ungoverned-program.mjs", import.meta.url));
/** Beyond so many rounds nothing changes any more. */
const MOST_ROUNDS = 300;

export const UNGOVERNED = [
  { name: "bare-client", title: "logMetric, genops/mlflow alone" },
  { name: "idle-client", title: "the same, genops loaded" },
  { name: "released-client", title: "the same, no longer governed" },
  { name: "bare-fetch", title: "fetch, as Node has it" },
  { name: "idle-fetch", title: "fetch, genops loaded" },
  { name: "released-fetch", title: "fetch, no longer governed" },
];

/** Name → nanoseconds a call, one a round; the processor's time, as others may be at work. */
export async function measureUngoverned(asked) {
  const rounds = String(Math.min(asked, MOST_ROUNDS));
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, rounds]);
  return new Map(
    Object.entries(JSON.parse(stdout)).map(([name, times]) => [name, Float64Array.from(times)]),
  );
}
