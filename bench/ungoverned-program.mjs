// One process in which the same calls are made beside no genops, an idle one, and one that has governed and stopped.
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { shuffled } from "./measure.mjs";
import { seeded } from "./workload.mjs";

/** Rounds before the clock counts: enough for every compiler to have finished. */
const WARM_UP = 60;
const [rounds] = process.argv.slice(2).map(Number);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** Calls of each in a round. */
const CALLS = { client: 1000, fetch: 40 };
const URI = "http://mlflow.invalid";
const RUN_ID = "0123456789abcdef0123456789abcdef";
const DISPATCHER = Symbol.for("undici.globalDispatcher.1");

const HEADERS = ["content-type", "application/json", "content-length", "2"].map(Buffer.from);
const BODY = Buffer.from("{}");

/**
 * Answers every request of the built-in fetch at once: what is measured is all that comes before the network. Of a
 * class of its own each time, as it is the class that is patched while somebody governs.
 */
function noNetwork() {
  class NoNetwork {
    dispatch(_options, handler) {
      handler.onConnect(() => {});
      handler.onHeaders(200, HEADERS, () => {}, "OK");
      handler.onData(BODY);
      handler.onComplete([]);
      return true;
    }
  }
  return new NoNetwork();
}

/** What a store that does nothing answers. */
const ANSWER = Promise.resolve({});

const asNodeHasIt = globalThis.fetch;

async function fetchAll(fetch) {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  for (let call = 0; call < CALLS.fetch; call++) {
    const reply = await fetch(`${URI}/api/2.0/mlflow/runs/log-metric`, init);
    await reply.text();
  }
}

async function logMetrics(client) {
  for (let step = 0; step < CALLS.client; step++) {
    await client.logMetric(RUN_ID, "loss", step, { timestamp: step, step });
  }
}

/** Governs what is then released. @throws when it governed nothing, or does not end. */
async function governAWhile({ instrumentMlflow }, client) {
  const options = { team: "search", project: "ranking", samplingRate: 0, journal: false };
  const adapter = instrumentMlflow({ ...options, trackingUri: URI });
  adapter.instrumentFramework();
  if (globalThis.fetch === asNodeHasIt) throw new Error("Nothing was patched.");
  await fetchAll(globalThis.fetch);
  await logMetrics(client);
  adapter.uninstrumentFramework();
  const { operationCount } = adapter.getMetrics();
  if (operationCount !== CALLS.fetch + CALLS.client) {
    throw new Error(`${operationCount} calls were governed.`);
  }
  if (globalThis.fetch !== asNodeHasIt) throw new Error("fetch was not given back as it was.");
}

/** The package a second and a third time: each copy is compiled, and has its interceptors, for itself. */
async function copyOfPackage(folder, kind) {
  await cp(here("../dist/node"), join(folder, kind), { recursive: true });
  const load = (file) => import(pathToFileURL(join(folder, kind, file)).href);
  const { addInterceptor, MlflowClient } = await load("mlflow.js");
  addInterceptor(() => ANSWER);
  const client = new MlflowClient({ trackingUri: URI });
  const dispatcher = noNetwork();
  globalThis[DISPATCHER] = dispatcher;
  const genops = kind === "bare" ? undefined : await load("index.js");
  if (kind === "released") await governAWhile(genops, client);
  return { kind, client, dispatcher };
}

/** Nanoseconds a call that the process computed for. */
async function timed(calls, work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  // The clock ticks in microseconds, and a tick is the least that anything can take.
  return (Math.max(1, user + system) * 1000) / calls;
}

async function round({ kind, client, dispatcher }) {
  globalThis[DISPATCHER] = dispatcher;
  const fetch = kind === "bare" ? asNodeHasIt : globalThis.fetch;
  const viaFetch = await timed(CALLS.fetch, () => fetchAll(fetch));
  const viaClient = await timed(CALLS.client, () => logMetrics(client));
  return { client: viaClient, fetch: viaFetch };
}

const random = seeded(rounds);
const folder = await mkdtemp(join(tmpdir(), "genops-bench-"));
try {
  await symlink(here("../node_modules"), join(folder, "node_modules"), "junction");
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  const copies = [];
  for (const kind of ["bare", "idle", "released"]) copies.push(await copyOfPackage(folder, kind));
  const times = {};
  for (let at = -Math.min(WARM_UP, rounds); at < rounds; at++) {
    // What one leaves to the garbage collector falls on any of the others.
    for (const copy of shuffled(copies, random)) {
      for (const [what, nanoseconds] of Object.entries(await round(copy))) {
        times[`${copy.kind}-${what}`] ??= [];
        if (at >= 0) times[`${copy.kind}-${what}`].push(nanoseconds);
      }
    }
  }
  console.log(JSON.stringify(times));
} finally {
  await rm(folder, { recursive: true, force: true });
}
