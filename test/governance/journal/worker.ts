// A program that spends on a folder store, and says of each operation that it was acknowledged: 0.0001 USD each.
import { writeSync } from "node:fs";
import * as mlflow from "../../../src/mlflow/node.js";
import { type AdapterOptions, BudgetExceededError, instrumentMlflow } from "../../../src/node.js";

export interface Workload {
  readonly options: AdapterOptions;
  /** How many operations. */
  readonly operations: number;
  /** How many of them are under way at a time; 1 unless given. */
  readonly abreast?: number;
  /** Waits for a line on its standard input before it begins. */
  readonly waits?: boolean;
  /** Kills itself instead of ending. */
  readonly dies?: boolean;
}

export type WorkerLine =
  | { readonly kind: "warning"; readonly message: string }
  | { readonly kind: "started"; readonly dailyUsage: number; readonly journal: unknown }
  | { readonly kind: "acknowledged" }
  | { readonly kind: "refused"; readonly budget: string }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "done"; readonly dailyUsage: number; readonly journal: unknown };

/** One line, written before anything else happens: whoever reads it may rely on it. */
function tell(line: WorkerLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

const workload = JSON.parse(process.argv[2] ?? "{}") as Workload;
const adapter = instrumentMlflow({
  team: "ml-team",
  project: "journal",
  ...workload.options,
  logger: { debug() {}, warn: (message) => tell({ kind: "warning", message }) },
});

async function acknowledged(operation: () => Promise<unknown>): Promise<boolean> {
  try {
    await operation();
  } catch (error) {
    if (error instanceof BudgetExceededError) tell({ kind: "refused", budget: error.budget });
    else tell({ kind: "failed", message: String(error) });
    return false;
  }
  tell({ kind: "acknowledged" });
  return true;
}

async function log(count: number, first: number): Promise<void> {
  for (let step = first; step < first + count; step++) {
    if (!(await acknowledged(() => mlflow.logMetric("m", step, step)))) return;
  }
}

tell({ kind: "started", dailyUsage: adapter.dailyUsage, journal: adapter.journal });
if (workload.waits) await new Promise((go) => process.stdin.once("data", go));
adapter.instrumentFramework();
const started = await acknowledged(() => mlflow.startRun({ runName: "r" }));
if (started) {
  const { operations, abreast = 1 } = workload;
  const each = Math.ceil(operations / abreast);
  await Promise.all(Array.from({ length: abreast }, (_, index) => log(each, index * each)));
}
tell({ kind: "done", dailyUsage: adapter.dailyUsage, journal: adapter.journal });
if (workload.dies) process.kill(process.pid, "SIGKILL");
process.stdin.destroy();
