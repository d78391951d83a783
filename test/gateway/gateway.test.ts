// The gateway before a real MLflow server: unmodified clients work, are priced under who they are, and are stopped.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const execute = promisify(execFile);
let names = 0;
const unique = (name: string) => `${name}-${process.pid}-${Date.now()}-${names++}`;

async function runPython(
  script: string,
  values: readonly string[],
): Promise<Record<string, unknown>> {
  const path = fileURLToPath(new URL(`python/${script}`, import.meta.url));
  const env = { ...neutralEnvironment(), PYTHONDONTWRITEBYTECODE: "1" };
  const { stdout } = await execute(inject("pythonPath") as string, [path, ...values], {
    env,
    cwd: await temporaryFolder(),
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
}

const serverUri = () => inject("mlflowServerUri") as string;

function gateway(options: Partial<GatewayOptions> = {}): Promise<Gateway> {
  return createGateway({ upstream: serverUri(), port: 0, journal: false, ...options });
}

async function post(
  url: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
) {
  const reply = await fetch(`${url}/api/2.0/mlflow/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return {
    status: reply.status,
    body: (await reply.json()) as Record<string, unknown>,
    headers: reply.headers,
  };
}

describe.skipIf(!requiresMlflow())("the unmodified Python client", () => {
  it("works through the gateway, and is priced under its team to the last unit", async () => {
    await using open = await gateway();
    const name = unique("through");
    const read = await runPython("workflow.py", [
      `${open.url}/g/team=ml-team,project=search`,
      name,
    ]);
    expect(read).toMatchObject({
      status: "FINISHED",
      params: { depth: "3" },
      metrics: { a: 1, b: 2, later: 1, loss: 0.5 },
      text: "hello",
      version: "1",
      alias: "1",
      found: 2,
    });
    expect(read.tags).toMatchObject({
      stage: "try",
      "genops.team": "ml-team",
      "genops.project": "search",
    });
    const { engine } = open.governor;
    const total = engine.total();
    expect(engine.total("team", "ml-team")).toBe(total);
    expect(engine.total("project", "search")).toBe(total);
    expect(engine.total("run", read.child as string)).toBe(2n * 10n ** 14n);
    const { operations } = engine.summary();
    expect(operations.log_artifact).toMatchObject({ count: 2, errors: 0 });
    expect(operations.create_run).toMatchObject({ count: 2 });
    // A version and an alias; the model that holds them is free.
    expect(engine.total("operationType", "create_model_version")).toBe(5n * 10n ** 14n);
    expect(engine.summary().meters["storage.local"]?.quantity ?? 0n).toBeGreaterThanOrEqual(0n);
    expect(open.governor.containedFailures).toBe(0);
  });

  it("logs a fit by itself, models and a trace, all under its team", async () => {
    await using open = await gateway({ trust: ["path"] });
    const name = unique("autolog");
    const read = await runPython("autolog.py", [`${open.url}/g/team=fit,project=search`, name]);
    expect(read).toMatchObject({ team: "fit", predicted: [0, 0, 1, 1], traces: 1 });
    expect(read.params).toBeGreaterThan(10);
    expect(read.metrics).toContain("training_accuracy_score");
    const { engine, containedFailures } = open.governor;
    expect(engine.total("team", "fit")).toBe(engine.total());
    expect(engine.total("run", read.run as string)).toBeGreaterThan(3n * 10n ** 14n);
    const { operations } = engine.summary();
    // The fit's own model and the one that was logged again: several files each.
    expect(operations.log_artifact?.count).toBeGreaterThan(8);
    expect(operations.create_logged_model).toMatchObject({ count: 2 });
    expect(operations.create_model_version).toMatchObject({ count: 1 });
    expect(containedFailures).toBe(0);
  });

  it("is told within a second why a blocked budget lets it start no run, and the server sees nothing", async () => {
    await using open = await gateway({
      budgets: [{ name: "nothing-left", limit: "0.00001", period: "day", action: "block" }],
    });
    const experiment = await post(serverUri(), "experiments/create", { name: unique("blocked") });
    const id = String(experiment.body.experiment_id);
    const { told, seconds } = (await runPython("refused.py", [open.url, id])) as {
      told: { message: string; code: string };
      seconds: number;
    };
    expect(told.code).toBe("PERMISSION_DENIED");
    expect(told.message).toContain("nothing-left");
    expect(seconds).toBeLessThan(5);
    const seen = await post(serverUri(), "runs/search", { experiment_ids: [id] });
    expect(seen.body.runs ?? []).toEqual([]);
  });
});

describe.skipIf(!requiresMlflow())("who pays", () => {
  let open: Gateway;
  let experiment: string;
  const [alpha, beta] = ["alpha-token", "beta-token"];
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  const start = async (token: string, tags: unknown[] = []) =>
    post(open.url, "runs/create", { experiment_id: experiment, tags }, as(token));

  beforeAll(async () => {
    open = await gateway({ tokens: { [alpha]: { team: "alpha" }, [beta]: { team: "beta" } } });
    const made = await post(serverUri(), "experiments/create", { name: unique("payers") });
    experiment = String(made.body.experiment_id);
  });
  afterAll(() => open.close());

  it("is who holds the token, and nobody else", async () => {
    const made = await start(alpha);
    expect(made.status).toBe(200);
    expect(open.governor.engine.total("team", "alpha")).toBe(10n ** 14n);
    expect((await post(open.url, "runs/create", { experiment_id: experiment })).status).toBe(401);
  });

  it("writes to no run of somebody else's", async () => {
    const made = await start(alpha);
    const { run_id } = (made.body.run as { info: { run_id: string } }).info;
    const metric = { run_id, key: "m", value: 1, timestamp: 1, step: 0 };
    const refused = await post(open.url, "runs/log-metric", metric, as(beta));
    expect(refused.status).toBe(403);
    expect(refused.body.error_code).toBe("PERMISSION_DENIED");
    expect(refused.body.message).toContain("somebody else");
    expect((await post(open.url, "runs/log-metric", metric, as(alpha))).status).toBe(200);
  });

  it("deletes no file of a run of somebody else's", async () => {
    const made = await start(alpha);
    const { run_id } = (made.body.run as { info: { run_id: string } }).info;
    const path = `/api/2.0/mlflow-artifacts/artifacts/${experiment}/${run_id}/artifacts`;
    const send = (method: string, file: string, token: string) =>
      fetch(`${open.url}${path}${file}`, {
        method,
        headers: as(token),
        ...(method === "PUT" && { body: "text" }),
      }).then(({ status }) => status);
    expect(await send("PUT", "/a.txt", alpha)).toBe(200);
    expect(await send("PUT", "/a.txt", beta)).toBe(403);
    expect(await send("DELETE", "/a.txt", beta)).toBe(403);
    expect(await send("DELETE", "", beta)).toBe(403);
    expect(await send("GET", "/a.txt", beta)).toBe(200);
    expect(await send("DELETE", "/a.txt", alpha)).toBe(200);
  });

  it("is not chosen by tags of the caller's own", async () => {
    const forged = await start(beta, [{ key: "genops.team", value: "alpha" }]);
    expect(forged.status).toBe(403);
    const made = await start(beta);
    const { run_id } = (made.body.run as { info: { run_id: string } }).info;
    const tag = { run_id, key: "genops.team", value: "alpha" };
    expect((await post(open.url, "runs/set-tag", tag, as(beta))).status).toBe(403);
  });

  it("is known again after a restart by the signed tags, and not by forged ones", async () => {
    const folder = await temporaryFolder();
    const options = {
      journal: { path: folder },
      tokens: { [alpha]: { team: "alpha" }, [beta]: { team: "beta" } },
    };
    const first = await gateway(options);
    const made = await post(first.url, "runs/create", { experiment_id: experiment }, as(alpha));
    const { run_id } = (made.body.run as { info: { run_id: string } }).info;
    await first.close();
    const direct = await post(serverUri(), "runs/create", {
      experiment_id: experiment,
      tags: [{ key: "genops.team", value: "alpha" }],
    });
    const unsigned = (direct.body.run as { info: { run_id: string } }).info.run_id;
    await using second = await gateway(options);
    const metric = { key: "m", value: 1, timestamp: 1, step: 0 };
    const write = (id: string, token: string) =>
      post(second.url, "runs/log-metric", { run_id: id, ...metric }, as(token));
    expect((await write(run_id, beta)).status).toBe(403);
    expect((await write(run_id, alpha)).status).toBe(200);
    // Whoever writes it first has it.
    expect((await write(unsigned, beta)).status).toBe(200);
    expect(second.governor.engine.total("team", "beta")).toBe(10n ** 14n);
  });
});

describe.skipIf(!requiresMlflow())("an artifact above the limit", () => {
  const put = (url: string, path: string, init: RequestInit) =>
    fetch(`${url}/api/2.0/mlflow-artifacts/artifacts/${path}`, { method: "PUT", ...init });
  const megabyte = new Uint8Array(2 ** 20);

  it("is refused before its bytes are sent when its length is declared", async () => {
    await using open = await gateway({
      policies: { maxArtifactSizeMb: 1 },
    } as Partial<GatewayOptions>);
    const path = `0/${unique("large")}/artifacts/a.bin`;
    const reply = await put(open.url, path, { body: new Uint8Array(2 * 2 ** 20) });
    expect(reply.status).toBe(403);
    expect(
      (await fetch(`${serverUri()}/api/2.0/mlflow-artifacts/artifacts/${path}`)).status,
    ).not.toBe(200);
  });

  it("is cut off when it is not, and an older file of that name stays as it was", async () => {
    await using open = await gateway({
      policies: { maxArtifactSizeMb: 3 },
    } as Partial<GatewayOptions>);
    const path = `0/${unique("cut")}/artifacts/a.bin`;
    expect((await put(open.url, path, { body: "older" })).status).toBe(200);
    let sent = 0;
    const large = new ReadableStream({
      pull(controller) {
        if (++sent > 200) controller.close();
        else controller.enqueue(megabyte);
      },
    });
    const outcome = await put(open.url, path, {
      body: large,
      duplex: "half",
    } as RequestInit).then(
      (reply) => reply.status,
      () => "closed",
    );
    expect([403, "closed"]).toContain(outcome);
    const kept = await fetch(`${serverUri()}/api/2.0/mlflow-artifacts/artifacts/${path}`);
    expect(await kept.text()).toBe("older");
    const { operations } = open.governor.engine.summary();
    expect(operations.log_artifact?.count).toBe(1);
  });
});

describe.skipIf(!requiresMlflow())("a configuration that is read anew", () => {
  it("takes a changed policy file, and what was booked before stays in every total", async () => {
    const folder = await temporaryFolder();
    const policyFile = join(folder, "policies.json");
    const write = (limit: string) =>
      writeFile(
        policyFile,
        JSON.stringify({ budgets: [{ name: "b", limit, period: "day", action: "block" }] }),
      );
    await write("1");
    const options = { upstream: serverUri(), port: 0, journal: false, policyFile } as const;
    await using open = await createGateway(options);
    const made = await post(open.url, "experiments/create", { name: unique("anew") });
    expect(made.status).toBe(200);
    await open.reload({ ...options, port: Number(new URL(open.url).port) });
    expect(open.governor.engine.total()).toBe(10n ** 14n);
    await write("0.00001");
    await open.reload({ ...options, port: Number(new URL(open.url).port) });
    const refused = await post(open.url, "experiments/create", { name: unique("anew") });
    expect(refused.status).toBe(403);
    expect(open.governor.engine.total()).toBe(10n ** 14n);
    await expect(open.reload({ ...options, port: 1 })).rejects.toMatchObject({ field: "port" });
  });
});

describe("a server behind a static prefix", () => {
  it("is asked behind it whose run it is", async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      request.resume();
      response.setHeader("content-type", "application/json");
      const info = { run_id: "abc", experiment_id: "7" };
      response.end(request.method === "GET" ? JSON.stringify({ run: { info, data: {} } }) : "{}");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await using open = await createGateway({
      upstream,
      staticPrefix: "/mlf",
      port: 0,
      journal: false,
      defaults: { team: "t" },
    });
    const reply = await fetch(`${open.url}/mlf/api/2.0/mlflow/runs/log-metric`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ run_id: "abc", key: "m", value: 1, timestamp: 1 }),
    });
    expect(reply.status).toBe(200);
    expect(asked).toEqual([
      "GET /mlf/api/2.0/mlflow/runs/get?run_id=abc",
      "POST /mlf/api/2.0/mlflow/runs/log-metric",
    ]);
    expect(open.governor.engine.total("experiment", "7")).toBe(10n ** 14n);
  });
});
