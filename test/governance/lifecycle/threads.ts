// A program whose threads each have an adapter of the same ledger, and spend at the same time.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import * as mlflow from "../../../src/mlflow/node.js";
import {
  type AdapterOptions,
  BudgetExceededError,
  GenOpsMlflowAdapter,
  instrumentMlflow,
} from "../../../src/node.js";
import { spansInto } from "./span-file.js";

/** `spends` goes on until a budget refuses it; the others make a few calls, and end as they say. */
export type ThreadEnding = "spends" | "exits" | "throws" | "is terminated";

export interface ThreadsProgram {
  readonly options: AdapterOptions;
  /** Each thread's spans are in this path with its number after it. */
  readonly spans: string;
  readonly threads: readonly ThreadEnding[];
}

/** What a thread says of itself before it ends. */
export interface ThreadReport {
  readonly index: number;
  readonly acknowledged: number;
  /** By which budget. */
  readonly refused: string | undefined;
  readonly total: string;
  readonly costByCustomer: Readonly<Record<string, string>>;
  readonly containedFailures: number;
  readonly warnings: readonly string[];
}

export interface ThreadsReport {
  readonly threads: readonly ThreadReport[];
  /** What the main thread's own adapter knows once they are all gone. */
  readonly dailyUsage: number;
  readonly spent: string | undefined;
  readonly exitCodes: readonly number[];
  readonly errors: readonly string[];
}

interface ThreadTask {
  readonly program: ThreadsProgram;
  readonly index: number;
  /** Counts those who are ready: they begin together. */
  readonly ready: SharedArrayBuffer;
}

const SHORT = 7;
const MOST = 1000;

async function inThread({ program, index, ready }: ThreadTask): Promise<void> {
  const ending = program.threads[index];
  const warnings: string[] = [];
  const adapter = instrumentMlflow({
    ...program.options,
    tracerProvider: spansInto(`${program.spans}${index}`),
    logger: { debug() {}, warn: (message) => warnings.push(message) },
  });
  adapter.instrumentFramework();
  const count = new Int32Array(ready);
  Atomics.add(count, 0, 1);
  Atomics.notify(count, 0);
  while (Atomics.load(count, 0) < program.threads.length) {
    Atomics.wait(count, 0, Atomics.load(count, 0), 1000);
  }
  let acknowledged = 0;
  let refused: string | undefined;
  const most = ending === "spends" ? MOST : SHORT;
  try {
    await adapter.trackMlflowRun({ customerId: `customer-${index}` }, async () => {
      acknowledged++;
      for (; acknowledged < most; acknowledged++) await mlflow.logMetric("m", 1, acknowledged);
    });
  } catch (error) {
    if (!(error instanceof BudgetExceededError)) throw error;
    refused = error.budget;
  }
  const { totalCostExact: total, exact } = adapter.costAggregator.getSummary();
  const { containedFailures } = adapter;
  const { costByCustomer } = exact;
  const report = { index, acknowledged, refused, total, costByCustomer };
  parentPort?.postMessage({ ...report, containedFailures, warnings } satisfies ThreadReport);
  // What was said is on its way before the thread is gone.
  await new Promise((later) => setTimeout(later, 50));
  if (ending === "exits") process.exit(5);
  if (ending === "throws") {
    setImmediate(() => {
      throw new RangeError("diverged");
    });
  }
  if (ending === "is terminated") setInterval(() => {}, 1000);
}

async function inMainThread(program: ThreadsProgram): Promise<void> {
  const ready = new SharedArrayBuffer(4);
  const threads: ThreadReport[] = [];
  const errors: string[] = [];
  const exitCodes = await Promise.all(
    program.threads.map((ending, index) => {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { program, index, ready } satisfies ThreadTask,
      });
      worker.on("message", (report: ThreadReport) => {
        threads.push(report);
        if (ending === "is terminated") void worker.terminate();
      });
      worker.on("error", (error) => errors.push(String(error)));
      return new Promise<number>((gone) => worker.once("exit", gone));
    }),
  );
  const adapter = new GenOpsMlflowAdapter(program.options);
  const report: ThreadsReport = {
    threads: threads.sort((left, right) => left.index - right.index),
    dailyUsage: adapter.dailyUsage,
    spent: adapter.budgets[0]?.spent,
    exitCodes,
    errors,
  };
  process.stdout.write(JSON.stringify(report));
}

if (isMainThread) await inMainThread(JSON.parse(process.argv[2] ?? "{}"));
else await inThread(workerData);
