// Where the soak takes place: a real MLflow server, the gateway of the built package before it, what they tell.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WrongUse } from "../../budgets.mjs";
import { testSupport } from "../../client/workplace.mjs";

const COMMAND = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
/** Whose budget blocks part-way. */
export const CAPPED = "capped";
/** USD a minute that the capped customer may spend: a part of what it would. */
const CAP_A_MINUTE = 0.004;
/** So that the budget lets something pass, and then blocks, however short the soak is. */
const LEAST_CAP = 0.001;
/** Kilobytes of `/proc/<pid>/status`. */
const KIB = 1024;

function budgetsFor(minutes) {
  return [
    { name: "everything", limit: 1e6, period: "total", action: "block" },
    { name: "team", limit: 1e6, period: "month", scope: { team: "soak" } },
    {
      name: CAPPED,
      limit: Math.max(LEAST_CAP, CAP_A_MINUTE * minutes).toFixed(4),
      period: "total",
      scope: { customerId: CAPPED },
      action: "block",
    },
  ];
}

async function startGateway(upstream, minutes, stateFolder, env) {
  const adminToken = randomBytes(16).toString("hex");
  const { GENOPS_JOURNAL: _, ...inherited } = env;
  const given = ["gateway", "--json", "--port", "0", "--upstream", upstream];
  // Behind the server's proxy is a folder, which costs nothing: bytes with a price are told apart by cost, too.
  given.push("--storage-backends", JSON.stringify({ "mlflow-artifacts:": "s3" }));
  given.push("--budgets", JSON.stringify(budgetsFor(minutes)));
  const child = spawn(process.execPath, [COMMAND, ...given], {
    // The journal is on, as it is unless somebody turns it off; the user's own stays out of it.
    env: {
      ...inherited,
      GENOPS_STATE_DIR: stateFolder,
      GENOPS_GATEWAY_ADMIN_TOKEN: adminToken,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  child.stderr.on("data", (text) => {
    told = (told + text).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit").then(() => {
    throw new Error(`The gateway ended:\n${told}`);
  });
  ended.catch(() => undefined);
  const [line] = await Promise.race([once(lines, "line"), ended]);
  return { child, ended, uri: JSON.parse(line).uri, adminToken, told: () => told };
}

async function stopped(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 40_000);
  await gone;
  clearTimeout(timer);
}

/** `name value` of the samples without labels, and sums of those that have some. */
function samplesOf(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = /^([a-z_]+)(?:\{.*\})? (\S+)$/.exec(line);
    if (found === null) continue;
    samples.set(found[1], (samples.get(found[1]) ?? 0) + Number(found[2]));
  }
  return samples;
}

/** Resident bytes as the system counts them, and the most there ever were; undefined where it does not tell. */
async function residentBytes(pid) {
  const text = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) * KIB;
  return text === "" ? undefined : { rss: of("VmRSS"), peak: of("VmHWM") };
}

/** Starts both. `gateway.ended` rejects when it ends before it is told to. */
export async function openPlace(minutes) {
  if (!existsSync(COMMAND)) throw new WrongUse("there is no gateway to soak: npm run build");
  const support = await testSupport();
  const print = console.log;
  // The result alone goes to standard output.
  console.log = console.error;
  const python = await support.preparePython().finally(() => {
    console.log = print;
  });
  if (python === undefined) throw new WrongUse("Python 3.10 or later with venv is needed");
  const environment = support.neutralEnvironment();
  const stateFolder = await mkdtemp(join(tmpdir(), "genops-soak-"));
  let server;
  let gateway;
  const close = async () => {
    if (gateway !== undefined) await stopped(gateway.child);
    await server?.stop();
    await rm(stateFolder, { recursive: true, force: true });
  };
  try {
    server = await support.startMlflowServer(python);
    gateway = await startGateway(server.uri, minutes, stateFolder, environment);
  } catch (error) {
    await close();
    throw error;
  }
  const { uri, adminToken, child } = gateway;
  const ask = async (path) => {
    const reply = await fetch(`${uri}/genops/${path}`, {
      headers: { authorization: `Bearer ${adminToken}` },
      signal: AbortSignal.timeout(60_000),
    });
    if (!reply.ok) throw new Error(`/genops/${path}: status ${reply.status}`);
    return reply;
  };
  const metrics = async () => samplesOf(await (await ask("metrics")).text());
  return {
    python,
    environment,
    folder: server.folder,
    gateway: { uri, ended: gateway.ended, told: gateway.told },
    metrics,
    async summary(withRuns = false) {
      return (await ask(withRuns ? "summary?runs=true" : "summary")).json();
    },
    /** Bytes of the gateway's process. */
    async memory() {
      const samples = await metrics();
      const own = await residentBytes(child.pid);
      return {
        rss: own?.rss ?? samples.get("process_resident_memory_bytes"),
        ...(own && { peak: own.peak }),
        heap: samples.get("nodejs_heap_size_used_bytes"),
        external: samples.get("nodejs_external_memory_bytes"),
      };
    },
    /** Waits until nothing is under way: no budget holds anything, and nothing changes any more. */
    async quiet() {
      let before;
      for (let look = 0; look < 120; look++) {
        const summary = await this.summary();
        const { operationCount, errorCount, totalCost, budgets } = summary;
        const state = JSON.stringify([operationCount, errorCount, totalCost]);
        const isHeld = budgets.some(({ held }) => Number(held) !== 0);
        if (!isHeld && state === before) return;
        before = state;
        await delay(500);
      }
      throw new Error("The gateway does not come to rest: a budget still holds something.");
    },
    close,
  };
}
