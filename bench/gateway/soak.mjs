// Mixed load at full speed through the gateway for as long as one likes: is memory flat, and the ledger right?
import { execFile, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { unknown, WrongUse } from "../budgets.mjs";

const HELP = `Usage: npm run soak:gateway -- [options]

Sends mixed load at full speed through the gateway to a real MLflow server
(installed once, as for the tests), each a process of its own, with the journal
on, two budgets that never block, and one that blocks a customer part-way. In the
end the ledger is compared with what the server's database and its artifact
folder hold, sums with their parts, and, after 20 minutes or more, the gateway's memory
with what it was.

  --minutes <n>  how long, also a part of one: 30 unless given
  --clients <n>  clients at once, beside one in Python: 8 unless given
  --seed <n>     where the load's randomness begins: 1 unless given
  --json         the result for machines
  --help         this text

Ends with 0 when the ledger is right and memory flat, 1 when one is not, 2 when it
was used wrongly.`;

const OPTIONS = {
  minutes: { type: "string", default: "30" },
  clients: { type: "string", default: "8" },
  seed: { type: "string", default: "1" },
  json: { type: "boolean" },
  help: { type: "boolean" },
};
const MOST_MINUTES = 7 * 24 * 60;
const SAMPLES = 120;
const LEAST_INTERVAL_MS = 500;
/** So much longer it may take, on a machine that is busy, until the budget has blocked somebody. */
const PATIENCE_MS = 120_000;
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

function readOptions(args) {
  const { tokens } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === "positional") {
      throw new WrongUse(`"${token.value}" is no option; see --help`);
    }
    if (token.kind === "option" && !(token.name in OPTIONS && token.rawName.startsWith("--"))) {
      const valid = Object.keys(OPTIONS).map((name) => `--${name}`);
      throw unknown("option", token.rawName, valid);
    }
  }
  let values;
  try {
    ({ values } = parseArgs({ args, options: OPTIONS }));
  } catch (error) {
    throw new WrongUse(`${error.message}; see --help`);
  }
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= MOST_MINUTES)) {
    throw new WrongUse(
      `--minutes: "${values.minutes}" is no number above 0 and up to ${MOST_MINUTES}`,
    );
  }
  const whole = (name, least, most) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    const range = `from ${least} to ${most}`;
    throw new WrongUse(`--${name}: "${values[name]}" is not a whole number ${range}`);
  };
  return {
    ...values,
    minutes,
    clients: whole("clients", 1, 1000),
    seed: whole("seed", 0, 2 ** 31),
  };
}

const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);

function showProgress({ minutes }, counts, { rss, heap }, began) {
  if (!process.stderr.isTTY) return;
  const passed = ((performance.now() - began) / 60_000).toFixed(1);
  const { runs, metrics } = counts.acknowledged;
  process.stderr.write(
    `\r\u001b[K${passed} of ${minutes} min, ${counts.calls} calls, ${runs} runs, ${metrics} metrics, ${counts.refused} refused; resident ${mib(rss)} MiB, heap ${mib(heap)} MiB`,
  );
}

/** The client in Python; `end` answers what it did. */
function pythonClient({ python, environment, gateway }, seed, tagPrefix) {
  const uri = `${gateway.uri}/g/team=soak,project=python,customer=pythons`;
  const child = spawn(python, [here("soak/client.py"), uri, String(seed), tagPrefix], {
    env: { ...environment, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (text) => {
    output += text;
  });
  child.stderr.on("data", (text) => {
    errors = (errors + text).slice(-4000);
  });
  const closed = new Promise((resolve) => child.once("close", resolve));
  return {
    async end() {
      child.stdin.end();
      const code = await closed;
      if (code !== 0) throw new Error(`The client in Python ended with ${code}:\n${errors}`);
      return JSON.parse(output.trim().split("\n").at(-1));
    },
    kill: () => child.kill("SIGKILL"),
  };
}

/** Samples the gateway's memory, evenly over the time, until it is told to end. */
function sampling(place, options, counts, began) {
  const intervalMs = Math.max(LEAST_INTERVAL_MS, (options.minutes * 60_000) / SAMPLES);
  const samples = [];
  const over = new AbortController();
  const done = (async () => {
    while (!over.signal.aborted) {
      const memory = await place.memory();
      samples.push({ seconds: Math.round((performance.now() - began) / 1000), ...memory });
      showProgress(options, counts, memory, began);
      await delay(intervalMs, undefined, { signal: over.signal }).catch(() => undefined);
    }
  })();
  return {
    samples,
    done,
    async end() {
      over.abort();
      await done;
    },
  };
}

async function evidence({ python, folder }, tagPrefix) {
  const { stdout } = await promisify(execFile)(python, [
    here("soak/evidence.py"),
    folder,
    tagPrefix,
  ]);
  return JSON.parse(stdout);
}

async function soak(options) {
  const { openPlace } = await import("./soak/place.mjs");
  const place = await openPlace(options.minutes);
  try {
    return await soakAt(place, options);
  } finally {
    await place.close();
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  }
}

async function soakAt(place, options) {
  const { Counts } = await import("./soak/counts.mjs");
  const { load, TAG_PREFIX } = await import("./soak/load.mjs");
  const { compare, judgeMemory, unevenSums } = await import("./soak/verdict.mjs");
  const { minutes, clients, seed } = options;
  const counts = new Counts();
  const { uri, ended } = place.gateway;
  const python = pythonClient(place, seed, TAG_PREFIX);
  const began = performance.now();
  const until = began + minutes * 60_000;
  let isGivenUp = false;
  const isOver = () => {
    const late = performance.now() - until;
    return isGivenUp || late >= PATIENCE_MS || (late >= 0 && counts.refused > 0);
  };
  const memory = sampling(place, options, counts, began);
  try {
    await Promise.race([load({ uri, counts, seed, clients, isOver }), memory.done, ended]);
    counts.add(await Promise.race([python.end(), ended]));
  } finally {
    isGivenUp = true;
    python.kill();
  }
  const seconds = (performance.now() - began) / 1000;
  await memory.end();
  await place.quiet();
  const [kept, samples, last] = [
    await evidence(place, TAG_PREFIX),
    await place.metrics(),
    await place.memory(),
  ];
  const summary = await place.summary(true);
  const compared = compare(counts, summary, kept);
  const judged = judgeMemory(memory.samples, minutes);
  const problems = [...compared.differences, ...unevenSums(summary)];
  const contained = samples.get("genops_contained_failures_total");
  if (contained > 0) problems.push(`the gateway failed within ${contained} times`);
  for (const budget of summary.budgets) {
    if (Number(budget.spent) > Number(budget.limit)) {
      problems.push(`budget ${budget.name}: spent ${budget.spent} of ${budget.limit}`);
    }
  }
  const capped = summary.budgets.find(({ action, isOver }) => action === "block" && isOver);
  if (capped === undefined || counts.refused === 0) {
    problems.push("no call was refused by a budget, which was to block part-way");
  }
  if (summary.journal.state !== "active") problems.push(`the journal is ${summary.journal.state}`);
  if (judged.broken) {
    const { second, last: now, ratio } = judged.rss;
    problems.push(
      `resident memory grew from ${mib(second)} to ${mib(now)} MiB, ${ratio.toFixed(3)} times`,
    );
  }
  const { calls, refused, malformed, vanished, unexpected } = counts;
  return {
    node: process.version,
    minutes,
    clients,
    seed,
    seconds: Math.round(seconds),
    calls,
    refused,
    malformed,
    vanished,
    requests: samples.get("genops_gateway_requests_total"),
    operations: summary.operationCount,
    errors: summary.errorCount,
    totalCost: summary.totalCost,
    runsInTree: summary.runs.length,
    budgets: summary.budgets,
    compared: compared.rows,
    memory: { ...judged, peak: last.peak, samples: memory.samples },
    unexpected: Object.fromEntries(unexpected),
    told: place.gateway.told(),
    problems,
  };
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const { report } = await import("./soak/report.mjs");
  const result = await soak(options);
  console.log(options.json ? JSON.stringify(result, null, 2) : report(result).join("\n"));
  return result.problems.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  console.error(`soak:gateway: ${error.message}`);
  process.exitCode = 2;
}
