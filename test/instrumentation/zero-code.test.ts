// Programs that know nothing of governance, started with genops/register, and other people's clients of MLflow.
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { uniqueName } from "../adapter/workplace.js";
import { INSTALL_TIMEOUT_MS, installOnce } from "../support/install-once.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const run = promisify(execFile);
const serverUri = inject("mlflowServerUri") ?? "";
const register = pathToFileURL(resolve(import.meta.dirname, "../../dist/node/register.js")).href;
const CLIENTS = ["mlflow@2.0.7", "axios@1.21.1"];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "genops-zero-code-"));
  const installed = await installOnce("clients-mlflow-2.0.7-axios-1.21.1", async (place) => {
    await writeFile(join(place, "package.json"), '{"private":true}');
    const quietly = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"];
    await run("npm", ["install", ...quietly, ...CLIENTS], { cwd: place });
  });
  await symlink(join(installed, "node_modules"), join(folder, "node_modules"));
}, INSTALL_TIMEOUT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a program under genops/register; answers what its ledger says in the end, and what it printed. */
async function governed(program: string, environment: Record<string, string> = {}) {
  const file = join(folder, `${uniqueName("program")}.mjs`);
  const ending = `
    const { adapter } = await import(${JSON.stringify(register)});
    console.log("\\n" + JSON.stringify(adapter?.costAggregator.getSummary() ?? null));`;
  await writeFile(file, program + ending);
  const env = {
    ...process.env,
    MLFLOW_TRACKING_URI: serverUri,
    GENOPS_TEAM: "ml-team",
    GENOPS_PROJECT: "search",
    ...environment,
  };
  const { stdout, stderr } = await run(process.execPath, ["--import", register, file], { env });
  return { summary: JSON.parse(stdout.trim().split("\n").at(-1) ?? ""), stderr, stdout };
}

describe.runIf(requiresMlflow())("a program that was not touched", () => {
  it("is governed with npm's mlflow, which takes fetch along when it is loaded", async () => {
    const { summary } = await governed(`
      import MLflow from "mlflow";
      const Client = MLflow.default ?? MLflow.MLflow ?? MLflow;
      const client = new Client({ endpoint: process.env.MLFLOW_TRACKING_URI });
      const { experiment_id } = await client.Experiments.create({
        name: ${JSON.stringify(uniqueName("npm"))},
      });
      const created = await client.Runs.create({ experiment_id, start_time: 1000 });
      const { run_id } = created.run.info;
      const metrics = [{ key: "m", value: 1, timestamp: 1, step: 0 }];
      await client.Runs.logBatch({ run_id, metrics, params: [], tags: [] });
    `);
    expect(summary).toMatchObject({
      totalCostExact: "0.0003",
      runCount: 1,
      exact: { costByTeam: { "ml-team": "0.0003" } },
      operations: { create_experiment: { count: 1 }, log_batch: { count: 1 } },
    });
  });

  it("is governed with axios, which goes through node:http", async () => {
    const { summary, stdout } = await governed(`
      import axios from "axios";
      const api = axios.create({ baseURL: process.env.MLFLOW_TRACKING_URI + "/api/2.0/mlflow" });
      const { data } = await api.post("/runs/create", { experiment_id: "0", tags: [] });
      const { run_id } = data.run.info;
      await api.post("/runs/log-metric", { run_id, key: "m", value: 1, timestamp: 1, step: 0 });
      const { data: read } = await api.get("/runs/get", { params: { run_id } });
      console.log(JSON.stringify(read.run.data.tags));
      await api.post("/runs/log-metric", { run_id: "no-such-run", key: "m", value: 1, timestamp: 1 })
        .catch(({ response }) => console.log("answered", response.status));
    `);
    expect(summary).toMatchObject({ totalCostExact: "0.0002", runCount: 1, errorCount: 1 });
    expect(stdout).toContain('{"key":"genops.team","value":"ml-team"}');
    expect(stdout).toContain("answered 404");
  });

  it("is governed with requests as MLflow's tracing package makes them", async () => {
    // Source: clients/client.ts and clients/artifacts/mlflow.ts below libs/typescript of MLflow.
    const { summary } = await governed(`
      const api = process.env.MLFLOW_TRACKING_URI;
      const headers = { "Content-Type": "application/json" };
      const trace_id = "tr-" + crypto.randomUUID().replaceAll("-", "");
      const trace_info = {
        trace_id,
        trace_location: { type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id: "0" } },
        request_time: new Date().toISOString(), execution_duration: "0.1s", state: "OK",
        trace_metadata: {}, tags: {},
      };
      const body = JSON.stringify({ trace: { trace_info } });
      const started = await fetch(api + "/api/3.0/mlflow/traces", { method: "POST", headers, body });
      if (started.status !== 200) throw new Error(await started.text());
      const place = "/api/2.0/mlflow-artifacts/artifacts/0/traces/" + trace_id + "/artifacts/traces.json";
      await fetch(api + place, { method: "PUT", headers, body: '{"spans":[]}' });
    `);
    expect(summary).toMatchObject({
      operationCount: 2,
      totalStorageBytes: 12,
      operations: { start_trace: { count: 1 }, log_artifact: { count: 1 } },
    });
  });

  it("hears of a budget that is spent as an answer of MLflow's", async () => {
    const budgets = JSON.stringify([
      { name: "tiny", limit: "0.00001", period: "day", action: "block" },
    ]);
    const { summary, stdout } = await governed(
      `
      import axios from "axios";
      const url = process.env.MLFLOW_TRACKING_URI + "/api/2.0/mlflow/runs/create";
      await axios.post(url, { experiment_id: "0" })
        .catch(({ response }) => console.log(response.status, response.data.error_code));
    `,
      { GENOPS_BUDGETS: budgets },
    );
    expect(stdout).toContain("403 PERMISSION_DENIED");
    expect(summary).toMatchObject({ totalCostExact: "0", runCount: 0 });
  });

  it("runs all the same where governance cannot be set up, and is told", async () => {
    const { summary, stderr } = await governed(`console.log("ran");`, { GENOPS_TEAM: "\t" });
    expect(summary).toBeNull();
    expect(stderr).toMatch(/genops: MLflow is not governed: .*GENOPS_TEAM/);
  });
});
