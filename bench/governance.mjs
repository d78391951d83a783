// Governing: what it adds to a logged metric on a store that does nothing, beside a span written by hand.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { context } from "@opentelemetry/api";
import { node } from "@opentelemetry/sdk-node";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

/** Calls of each kind in a round, in turn. */
const CALLS = 1000;
/** Beyond so many rounds nothing changes any more. */
const MOST_ROUNDS = 60;

export const GOVERNANCE = [
  { name: "governed", title: "governing logMetric, sampled out" },
  { name: "governed-limits", title: "the same with three budgets" },
  { name: "governed-and-told", title: "governing logMetric, its span kept" },
  { name: "span-by-hand", title: "a span around logMetric, by hand" },
];

const RUN = { run_id: "abc", experiment_id: "0", run_name: "r", artifact_uri: "/a" };
const ANSWER = Promise.resolve({});
const RUN_ANSWER = Promise.resolve({ run: { info: RUN, data: {} } });

/** Takes every span and keeps nothing. */
class NoExporter {
  export(_spans, done) {
    done({ code: 0 });
  }
  async shutdown() {}
}

/** What a person would write to know the same of each call. */
function logByHand(tracer, client, step) {
  return tracer.startActiveSpan("mlflow.log_metric", async (span) => {
    span.setAttributes({
      "genops.team": "search",
      "genops.project": "ranking",
      "genops.environment": "production",
      "genops.customer_id": "acme",
      "genops.operation.name": "mlflow.log_metric",
      "genops.operation.type": "tracking-write",
      "genops.cost.total": 0.0001,
      "genops.cost.currency": "USD",
      "mlflow.experiment_id": RUN.experiment_id,
      "mlflow.experiment_name": "e",
      "mlflow.run_id": RUN.run_id,
      "mlflow.run_name": RUN.run_name,
      "mlflow.artifact_uri": RUN.artifact_uri,
    });
    try {
      await client.logMetric(RUN.run_id, "loss", step, { timestamp: step, step });
      span.setStatus({ code: 1 });
    } catch (error) {
      span.recordException(error);
      span.setStatus({ code: 2 });
      throw error;
    } finally {
      span.end();
    }
  });
}

async function contenders() {
  const { instrumentMlflow } = await import("../dist/node/index.js");
  const mlflow = await import("../dist/node/mlflow.js");
  const trackingUri = "http://nowhere.invalid";
  const remove = mlflow.addInterceptor(({ route }) =>
    route.endsWith("/runs/create") ? RUN_ANSWER : ANSWER,
  );
  const client = new mlflow.MlflowClient({ trackingUri });
  const tracerProvider = new node.NodeTracerProvider({
    spanProcessors: [new BatchSpanProcessor(new NoExporter(), { maxQueueSize: 4 * CALLS })],
  });
  // Spans follow the program's flow, as in every program with an SDK.
  tracerProvider.register();
  const tracer = tracerProvider.getTracer("bench");
  const payer = {
    team: "search",
    project: "ranking",
    environment: "production",
    customerId: "acme",
  };
  const log = async () => {
    for (let step = 0; step < CALLS; step++) {
      await client.logMetric(RUN.run_id, "loss", step, { timestamp: step, step });
    }
  };
  const governed = async (options) => {
    const adapter = instrumentMlflow({ ...payer, trackingUri, tracerProvider, ...options });
    adapter.instrumentFramework();
    await client.createRun(RUN.experiment_id);
    adapter.uninstrumentFramework();
    return async () => {
      adapter.instrumentFramework();
      await log();
      adapter.uninstrumentFramework();
      if (adapter.containedFailures > 0) throw new Error("Governing failed.");
    };
  };
  const budget = { limit: 1e6, period: "day" };
  const budgets = [
    { ...budget, name: "all" },
    { ...budget, name: "team", scope: { team: payer.team }, action: "block" },
    { ...budget, name: "customer", scope: { customerId: payer.customerId }, period: "month" },
  ];
  const all = {
    plain: log,
    governed: await governed({ samplingRate: 0 }),
    "governed-limits": await governed({ samplingRate: 0, budgets }),
    "governed-and-told": await governed({ samplingRate: 1 }),
    "span-by-hand": async () => {
      for (let step = 0; step < CALLS; step++) await logByHand(tracer, client, step);
    },
  };
  const rest = () => tracerProvider.forceFlush();
  return { all, rest, remove };
}

/** Name → nanoseconds that it adds to a call, one a round; the processor's time, as others may be at work. */
export async function measureGovernance(asked) {
  const rounds = Math.min(asked, MOST_ROUNDS);
  // The journal is on, as it is unless somebody turns it off; the user's own stays out of it.
  const folder = await mkdtemp(join(tmpdir(), "genops-bench-"));
  process.env.GENOPS_STATE_DIR = folder;
  const { all, rest, remove } = await contenders();
  const times = new Map(GOVERNANCE.map(({ name }) => [name, new Float64Array(rounds)]));
  for (let round = -rounds; round < rounds; round++) {
    const spent = {};
    for (const [name, run] of Object.entries(all)) {
      const { user } = process.cpuUsage();
      await run();
      spent[name] = ((process.cpuUsage().user - user) * 1000) / CALLS;
      await rest();
    }
    for (const { name } of round < 0 ? [] : GOVERNANCE) {
      times.get(name)[round] = Math.max(1, spent[name] - spent.plain);
    }
  }
  remove();
  context.disable();
  await rm(folder, { recursive: true, force: true });
  return times;
}
