// What governing adds to a metric that is logged to a real MLflow server: one process, many short rounds, medians.
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { isBroken, WrongUse } from "../budgets.mjs";
import { testSupport } from "../client/workplace.mjs";
import { median, ratioOf } from "../measure.mjs";

const HELP = `Usage: npm run bench:server -- [options]        (npm run bench:check has --check)

Logs metrics to a real MLflow server over loopback (installed once, as for the
tests), governed and not, in turn: every span kept and sent to an OTLP receiver
in another process, the journal on, a budget that blocks. The governed call must
stay within 1.02 times the other one; with --check, which is shorter, within 1.05.

  --check        shorter, and broken only if it is three times
  --rounds <n>   rounds of 20 calls each way: 600 unless given, 80 with --check
  --at-most <x>  another promise than 1.02, or 1.05 with --check
  --json         the result for machines
  --help         this text

Ends with 0 when the promise holds, 1 when it is broken, 2 when it was used
wrongly.`;

/** Calls of each kind in a round: short beside anything else that the machine does. */
const CALLS = 20;
const WARM_UP = 10;
const ATTEMPTS = 3;

function readOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        check: { type: "boolean" },
        rounds: { type: "string" },
        "at-most": { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean" },
      },
    }));
  } catch (error) {
    throw new WrongUse(`${error.message}; see --help`);
  }
  const rounds = Number(values.rounds ?? (values.check ? 80 : 600));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100_000) {
    throw new WrongUse(`--rounds: "${values.rounds}" is not a whole number from 1 to 100000`);
  }
  const atMost = Number(values["at-most"] ?? (values.check ? 1.05 : 1.02));
  if (!(atMost > 0)) throw new WrongUse(`--at-most: "${values["at-most"]}" is no number above 0`);
  return { ...values, rounds, atMost };
}

/** The same call, governed and not, to one run of one server. */
async function contenders(uri, otlpPort) {
  if (!existsSync(new URL("../../dist/node/index.js", import.meta.url))) {
    throw new WrongUse("nothing is built yet: npm run build");
  }
  const { instrumentMlflow } = await import("../../dist/node/index.js");
  const mlflow = await import("../../dist/node/mlflow.js");
  const exporter = new OTLPTraceExporter({ url: `http://127.0.0.1:${otlpPort}/v1/traces` });
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const client = new mlflow.MlflowClient({ trackingUri: uri });
  const adapter = instrumentMlflow({
    ...{ team: "search", project: "ranking", environment: "production", customerId: "acme" },
    trackingUri: uri,
    tracerProvider,
    budgets: [{ name: "all", limit: 1e6, period: "day", action: "block" }],
  });
  adapter.instrumentFramework();
  const experimentId = await client.createExperiment("bench");
  const run = await client.createRun(experimentId);
  adapter.uninstrumentFramework();
  let step = 0;
  /** Milliseconds of each call. */
  const log = async () => {
    const took = new Float64Array(CALLS);
    for (let call = 0; call < CALLS; call++) {
      const started = performance.now();
      await client.logMetric(run.info.runId, "loss", 1 / ++step, { step });
      took[call] = performance.now() - started;
    }
    return median(took);
  };
  return {
    plain: log,
    governed: async () => {
      adapter.instrumentFramework();
      try {
        return await log();
      } finally {
        adapter.uninstrumentFramework();
      }
    },
    /** What waits to be sent is sent outside the clock's sight, and never beside the ungoverned calls. */
    rest: () => tracerProvider.forceFlush(),
    async end() {
      const { containedFailures, operationCount } = adapter;
      if (containedFailures > 0) throw new Error(`governing failed ${containedFailures} times`);
      await tracerProvider.shutdown();
      await adapter.flush();
      return operationCount;
    },
  };
}

async function measureRounds({ plain, governed, rest }, rounds) {
  const times = new Map([
    ["plain", new Float64Array(rounds)],
    ["governed", new Float64Array(rounds)],
  ]);
  for (let round = -WARM_UP; round < rounds; round++) {
    // Each goes first as often as the other.
    const order = [
      ["plain", plain],
      ["governed", governed],
    ];
    if (round % 2 === 0) order.reverse();
    for (const [name, log] of order) {
      const took = await log();
      if (round >= 0) times.get(name)[round] = took;
      await rest();
    }
  }
  return times;
}

async function bench({ check, rounds, atMost }) {
  const support = await testSupport();
  const python = await support.preparePython();
  if (python === undefined) throw new WrongUse("Python 3.10 or later with venv is needed");
  const folder = await mkdtemp(join(tmpdir(), "genops-bench-"));
  // The journal is on, as it is unless somebody turns it off; the user's own stays out of it.
  process.env.GENOPS_STATE_DIR = folder;
  const receiver = fork(fileURLToPath(new URL("receiver.mjs", import.meta.url)));
  let server;
  try {
    const [{ port }] = await once(receiver, "message");
    server = await support.startMlflowServer(python);
    const made = await contenders(server.uri, port);
    let result;
    let attempts = 0;
    do {
      attempts++;
      const times = await measureRounds(made, rounds);
      const ratio = ratioOf(times, "governed", "plain");
      result = {
        rounds,
        calls: CALLS,
        attempts,
        atMost,
        plainMs: median(times.get("plain")),
        governedMs: median(times.get("governed")),
        ...ratio,
        broken: isBroken({ atMost }, ratio.low, ratio.high),
      };
    } while (result.broken && check && attempts < ATTEMPTS);
    const operations = await made.end();
    receiver.send("count");
    const [{ requests }] = await once(receiver, "message");
    // An account of nothing, or telemetry that went nowhere, would be quick.
    if (operations < rounds * CALLS || requests === 0) {
      throw new Error(`${operations} operations were governed, ${requests} exports received`);
    }
    return { ...result, exports: requests };
  } finally {
    receiver.disconnect();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function report({ rounds, calls, attempts, atMost, plainMs, governedMs, ...result }) {
  const { value, low, high, exports, broken } = result;
  return [
    `Node ${process.version}, ${rounds} rounds of ${calls} calls each way to a real MLflow server`,
    ...(attempts > 1 ? [`attempt ${attempts}, because the promise looked broken before`] : []),
    `logMetric              ${plainMs.toFixed(3)} ms`,
    `logMetric, governed    ${governedMs.toFixed(3)} ms, its spans in ${exports} exports`,
    `governed ÷ ungoverned  ${value.toFixed(4)}× (99 %: ${low.toFixed(4)} – ${high.toFixed(4)}), promised ≤ ${atMost}×  ${broken ? "BROKEN" : "ok"}`,
  ].join("\n");
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const result = await bench(options);
  console.log(options.json ? JSON.stringify(result, null, 2) : report(result));
  return result.broken ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 2;
}
