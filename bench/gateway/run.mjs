// Load through no proxy, a bare proxy and the gateway, in turn, each a process of its own: throughput as ratios.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request as send } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const HELP = `Usage: npm run bench:gateway -- [options]

  --rounds <n>       rounds of each, in turn (30; 10 with --check)
  --calls <n>        small calls a round (2000)
  --connections <n>  connections at once (16)
  --mib <n>          MiB of the large artifact (1024; 256 with --check)
  --uploads <n>      rounds of the artifact (5)
  --check            shorter, and fails when it is three times below 0.75 of the bare
                     proxy's throughput on small calls, or 0.8 on the artifact (0.85
                     and 0.95 are told of without it)
  --json             the result for machines
  --help             this text
`;
const options = {
  rounds: { type: "string" },
  calls: { type: "string", default: "2000" },
  connections: { type: "string", default: "16" },
  mib: { type: "string" },
  uploads: { type: "string", default: "5" },
  check: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

function readOptions() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${error.message}; see --help`);
    return process.exit(2);
  }
}

const values = readOptions();
values.rounds ??= values.check ? "10" : "30";
values.mib ??= values.check ? "256" : "1024";
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const number = (name) => {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name}: ${values[name]} is no whole number above 0`);
  return process.exit(2);
};
const [rounds, calls, connections, mib, uploads] = [
  number("rounds"),
  number("calls"),
  number("connections"),
  number("mib"),
  number("uploads"),
];

// The shorter check leaves room for what else a machine does.
const PROMISES = values.check ? { small: 0.75, artifact: 0.8 } : { small: 0.85, artifact: 0.95 };
const ATTEMPTS = 3;
const folder = await mkdtemp(join(tmpdir(), "genops-bench-"));
const children = [];

async function start(script, ...given) {
  const path = new URL(script, import.meta.url).pathname;
  const env = { ...process.env, GENOPS_STATE_DIR: folder };
  const child = spawn(process.execPath, [path, ...given], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [port] = await once(child.stdout, "data");
  return `http://127.0.0.1:${String(port).trim()}`;
}

const body = JSON.stringify({ run_id: "abc", key: "loss", value: 0.5, timestamp: 1, step: 1 });
const agent = new Agent({ keepAlive: true, maxSockets: connections });

function post(uri) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": body.length };
    const call = send(`${uri}/api/2.0/mlflow/runs/log-metric`, { method: "POST", headers, agent });
    call.once("error", reject);
    call.once("response", (reply) => {
      reply.resume();
      reply.once("end", () => (reply.statusCode === 200 ? resolve() : reject(reply.statusCode)));
    });
    call.end(body);
  });
}

async function smallCalls(uri) {
  let left = calls;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (left-- > 0) await post(uri);
    }),
  );
  return calls / (performance.now() - began);
}

const chunk = Buffer.alloc(2 ** 18, "x");

function artifact(uri) {
  const total = mib * 2 ** 20;
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const path = "/api/2.0/mlflow-artifacts/artifacts/0/abc/artifacts/large.bin";
    const headers = { "content-length": total };
    const call = send(uri + path, { method: "PUT", headers, agent });
    call.once("error", reject);
    call.once("response", (reply) => {
      reply.resume();
      reply.once("end", () =>
        reply.statusCode === 200
          ? resolve(total / (performance.now() - began))
          : reject(reply.statusCode),
      );
    });
    let left = total;
    const pump = () => {
      while (left > 0) {
        left -= chunk.length;
        if (!call.write(chunk)) return void call.once("drain", pump);
      }
      call.end();
    };
    pump();
  });
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

async function compare(name, ways, times, measure) {
  const rates = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
  for (let round = -1; round < times; round++) {
    for (const [way, uri] of Object.entries(ways)) {
      const rate = await measure(uri);
      if (round >= 0) rates[way].push(rate);
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${round + 1}/${times} `);
  }
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  const ratio = (way, against) => median(rates[way].map((rate, at) => rate / rates[against][at]));
  return {
    perMs: Object.fromEntries(Object.entries(rates).map(([way, all]) => [way, median(all)])),
    "gateway ÷ bare proxy": ratio("gateway", "bare"),
    "bare proxy ÷ no proxy": ratio("bare", "none"),
    "gateway ÷ no proxy": ratio("gateway", "none"),
  };
}

try {
  const none = await start("server.mjs");
  const ways = {
    none,
    bare: await start("bare.mjs", none),
    gateway: await start("gateway.mjs", none),
  };
  let [small, large, broken, attempts] = [undefined, undefined, [], 0];
  do {
    attempts++;
    small = await compare("small calls", ways, rounds, smallCalls);
    large = await compare("artifact", ways, uploads, artifact);
    broken = [
      ["small calls", small, PROMISES.small],
      ["artifact", large, PROMISES.artifact],
    ].filter(([, result, least]) => result["gateway ÷ bare proxy"] < least);
  } while (values.check && broken.length > 0 && attempts < ATTEMPTS);
  if (values.json) {
    console.log(JSON.stringify({ small, artifact: large }, undefined, 2));
  } else {
    for (const [title, result, unit, scale] of [
      [`log-metric, ${connections} connections`, small, "calls/s", 1000],
      [`an artifact of ${mib} MiB`, large, "MiB/s", 1000 / 2 ** 20],
    ]) {
      console.log(`\n${title}`);
      for (const [way, rate] of Object.entries(result.perMs)) {
        console.log(`  ${way.padEnd(24)}${(rate * scale).toFixed(0).padStart(10)} ${unit}`);
      }
      for (const [what, value] of Object.entries(result)) {
        if (what !== "perMs") console.log(`  ${what.padEnd(24)}${value.toFixed(3).padStart(10)} ×`);
      }
    }
  }
  for (const [name, , least] of broken) console.error(`${name}: below ${least} of the bare proxy`);
  if (values.check && broken.length > 0) process.exitCode = 1;
} finally {
  agent.destroy();
  for (const child of children) child.kill();
  await rm(folder, { recursive: true, force: true });
}
