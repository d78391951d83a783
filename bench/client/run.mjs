// The bench of clients: the same metrics logged with each of them to a real server, requests counted.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { WrongUse } from "../budgets.mjs";
import { median } from "../measure.mjs";
import { countingProxy } from "./counting-proxy.mjs";
import { installed, testSupport } from "./workplace.mjs";

const HELP = `Usage: npm run bench:client -- [options]

Logs the same metrics one by one with each client, through a proxy that counts,
to a real MLflow server (installed once, as for the tests), and prints a table.

  --metrics <n>   metrics to log: 1000 unless given
  --rounds <n>    times each client does it, of which the median counts: 3 unless given
  --only <names>  the clients whose names begin so, such as genops,npm; all unless given
  --json          the result for machines
  --help          this text`;

const run = promisify(execFile);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const NPM_CLIENT = ["mlflow", "2.0.7"];
const NPM_TRACING = ["mlflow-tracing", "0.1.3"];

function readOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        metrics: { type: "string", default: "1000" },
        rounds: { type: "string", default: "3" },
        only: { type: "string", default: "" },
        json: { type: "boolean" },
        help: { type: "boolean" },
      },
    }));
  } catch (error) {
    throw new WrongUse(`${error.message}; see --help`);
  }
  const whole = (name) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 1) return value;
    throw new WrongUse(`--${name}: "${values[name]}" is not a whole number from 1`);
  };
  return { ...values, metrics: whole("metrics"), rounds: whole("rounds") };
}

/** What of a package's exports could log a metric. */
function metricFunctions(folder, name) {
  const exported = createRequire(join(folder, "package.json"))(name);
  return Object.keys(exported).filter((key) => /log_?metric/i.test(key));
}

async function contenders(support, python, only) {
  const all = await allContenders(support, python);
  const beginnings = only.split(",");
  const none = beginnings.find((beginning) => !all.some(({ name }) => name.startsWith(beginning)));
  if (none !== undefined) throw new WrongUse(`--only: no client's name begins with "${none}"`);
  return all.filter(({ name }) => beginnings.some((beginning) => name.startsWith(beginning)));
}

async function allContenders(support, python) {
  const cache = support.cacheFolder();
  const own = [process.execPath, [here("log.mjs")]];
  const ofPython = [python, [here("log.py")]];
  const [npm, tracing] = await Promise.all([
    installed(cache, ...NPM_CLIENT),
    installed(cache, ...NPM_TRACING),
  ]);
  const tracingNote =
    tracing.missing ??
    (metricFunctions(tracing.folder, NPM_TRACING[0]).length === 0
      ? "has no function that logs a metric"
      : "has functions for metrics that this bench does not know yet");
  return [
    { name: "genops-awaiting", title: "genops/mlflow, each call awaited", command: own },
    { name: "genops-async", title: "genops/mlflow, `enableAsyncLogging()`", command: own },
    {
      name: "npm-mlflow",
      title: `npm \`${NPM_CLIENT.join("` ")}, each call awaited`,
      command: own,
      folder: npm.folder,
      note: npm.missing,
    },
    {
      name: "npm-mlflow-tracing",
      title: `npm \`${NPM_TRACING.join("` ")} (MLflow's own, for traces)`,
      note: tracingNote,
    },
    { name: "python-awaiting", title: `Python ${support.MLFLOW_VERSION}`, command: ofPython },
    {
      name: "python-async",
      title: `Python ${support.MLFLOW_VERSION}, asynchronous`,
      command: ofPython,
    },
    {
      name: "python-async-buffered",
      title: `Python ${support.MLFLOW_VERSION}, asynchronous, buffered for 1 s`,
      command: ofPython,
      environment: { MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS: "1" },
    },
  ];
}

async function ask(uri, method, path, message) {
  const query = method === "GET" ? `?${new URLSearchParams(message)}` : "";
  const response = await fetch(`${uri}/api/2.0/mlflow/${path}${query}`, {
    method,
    ...(method === "POST" && {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(message),
    }),
  });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response.json();
}

async function storedMetrics(uri, runId) {
  let count = 0;
  let page_token;
  do {
    const page = { max_results: 25_000, ...(page_token && { page_token }) };
    const message = { run_id: runId, metric_key: "loss", ...page };
    const answer = await ask(uri, "GET", "metrics/get-history", message);
    count += answer.metrics?.length ?? 0;
    page_token = answer.next_page_token;
  } while (page_token);
  return count;
}

/** One client logs once, to a run of its own. */
async function round(contender, server, proxy, environment, metrics) {
  const start = { experiment_id: "0", start_time: Date.now() };
  const runId = (await ask(server.uri, "POST", "runs/create", start)).run.info.run_id;
  proxy.take();
  const [command, args] = contender.command;
  const { stdout } = await run(command, args, {
    maxBuffer: 2 ** 28,
    env: {
      ...environment,
      ...contender.environment,
      MLFLOW_TRACKING_URI: proxy.uri,
      CLIENT: contender.name,
      FOLDER: contender.folder ?? "",
      RUN: runId,
      COUNT: String(metrics),
    },
  });
  const { milliseconds } = JSON.parse(stdout.trim().split("\n").at(-1));
  return { milliseconds, requests: proxy.take(), stored: await storedMetrics(server.uri, runId) };
}

async function bench({ metrics, rounds, only }) {
  if (!existsSync(here("../../dist/node/mlflow.js"))) {
    throw new WrongUse("there is no package to measure: npm run build");
  }
  const support = await testSupport();
  const print = console.log;
  // The table alone goes to standard output.
  console.log = console.error;
  const python = await support.preparePython();
  console.log = print;
  if (python === undefined) throw new WrongUse("Python 3.10 or later with venv is needed");
  const all = await contenders(support, python, only);
  const server = await support.startMlflowServer(python);
  const proxy = await countingProxy(server.uri);
  try {
    const environment = support.neutralEnvironment();
    const done = new Map(all.map(({ name }) => [name, []]));
    // In turns, so that what slows the machine for a while slows all of them.
    for (let index = 0; index < rounds; index++) {
      for (const contender of all) {
        if (contender.note !== undefined) continue;
        const outcome = await round(contender, server, proxy, environment, metrics);
        done.get(contender.name).push(outcome);
      }
    }
    const results = all.map(({ name, title, note }) => {
      if (note !== undefined) return { name, title, note };
      const middle = (field) => median(done.get(name).map((one) => one[field]));
      const counts = { requests: middle("requests"), stored: middle("stored") };
      return { name, title, ...counts, milliseconds: middle("milliseconds") };
    });
    return { node: process.version, metrics, rounds, results };
  } finally {
    proxy.close();
    await server.stop();
  }
}

const number = (value, digits = 0) =>
  value.toLocaleString("en-US", { maximumFractionDigits: digits });

function table({ node, metrics, rounds, results }) {
  const awaited = results[0];
  const rows = results.map(({ title, note, requests, milliseconds, stored }) => {
    if (note !== undefined) return `| ${title} | – | – | – | ${note} |`;
    const share = awaited.milliseconds / milliseconds;
    const missing = stored === metrics ? "" : `only ${number(stored)} stored`;
    return `| ${title} | ${number(requests)} | ${number(milliseconds)} | ${number(share, 1)}× | ${missing} |`;
  });
  return [
    `${number(metrics)} metrics logged one by one to a real MLflow server on this machine; median of ${rounds} rounds, Node ${node}.`,
    "Requests include those that a client makes around its log calls; time is that of the log calls until the server has all.",
    "",
    "| client | requests | ms | speed | |",
    "|---|--:|--:|--:|---|",
    ...rows,
    ...queueAgainstAwaiting(results),
  ].join("\n");
}

/** What the queue is there for, as one sentence. */
function queueAgainstAwaiting(results) {
  const [awaited, queued] = ["genops-awaiting", "genops-async"].map((wanted) =>
    results.find(({ name }) => name === wanted),
  );
  if (awaited === undefined || queued === undefined) return [];
  const requests = number((100 * queued.requests) / awaited.requests, 2);
  const time = number(awaited.milliseconds / queued.milliseconds, 0);
  return [
    "",
    `Without waiting, genops/mlflow needs ${requests} % of the requests and 1/${time} of the time of awaiting each call.`,
  ];
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else {
    const result = await bench(options);
    console.log(options.json ? JSON.stringify(result, null, 2) : table(result));
  }
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  console.error(`bench:client: ${error.message}`);
  process.exitCode = 2;
}
