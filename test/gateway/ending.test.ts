// The end of a run: no limit keeps one running for ever, and what must not end as finished ends as failed, with the reason.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, inject, it } from "vitest";
import { createGateway, type GatewayOptions } from "../../src/gateway/index.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { answer, rawServer } from "./raw.js";

const execute = promisify(execFile);
const CALL = 10n ** 14n;

async function call(uri: string, path: string, body?: unknown, headers = {}) {
  const reply = await fetch(`${uri}/api/2.0/mlflow/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

/** A server with one run, whose tags are as they say. */
async function withRun(options: Partial<GatewayOptions>, tags: readonly unknown[] = []) {
  const info = { run_id: "abc", experiment_id: "7" };
  const run = { run: { info, data: { tags } } };
  const server = await rawServer(({ head }, socket) => {
    const isAnonymous = head.startsWith("GET ") && !/^authorization: /im.test(head);
    if (isAnonymous && options.users !== undefined) {
      socket.write(answer(401));
      return;
    }
    const asksForRun =
      head.startsWith("POST /api/2.0/mlflow/runs/create") || head.startsWith("GET ");
    socket.write(answer(200, asksForRun ? run : {}));
  });
  const gateway = await createGateway({
    upstream: server.uri,
    port: 0,
    journal: false,
    ...options,
  });
  const written = () =>
    server.requests
      .filter(({ head }) => head.startsWith("POST "))
      .map(({ head, body }) => ({
        path: head.split(" ")[1]?.replace("/api/2.0/mlflow/", ""),
        body: JSON.parse(body.toString()) as Record<string, unknown>,
        head,
      }));
  return { gateway, written };
}

const END = { run_id: "abc", status: "FINISHED", end_time: 1 };

describe("a run that may write no more", () => {
  it.each<[string, Partial<GatewayOptions>, number]>([
    [
      "a budget in USD",
      { budgets: [{ name: "b", limit: "0.0001", period: "day", action: "block" }] },
      403,
    ],
    [
      "a budget of operations",
      { budgets: [{ name: "b", limit: 1, unit: "operations", period: "day", action: "block" }] },
      403,
    ],
    [
      "a budget of each run",
      { budgets: [{ name: "b", limit: "0.0001", period: "run", action: "block" }] },
      403,
    ],
    ["a rate limit", { rateLimits: [{ name: "r", operations: 1, per: "minute" }] }, 429],
  ])("is ended as it asks, for all that %s has nothing left", async (_name, options, status) => {
    const { gateway, written } = await withRun(options);
    await using _ = gateway;
    expect((await call(gateway.url, "runs/create", { experiment_id: "7" })).status).toBe(200);
    const metric = { run_id: "abc", key: "m", value: 1, timestamp: 1 };
    for (const end of ["FINISHED", "FAILED", "KILLED", 3]) {
      expect((await call(gateway.url, "runs/log-metric", metric)).status).toBe(status);
      const ended = await call(gateway.url, "runs/update", { ...END, status: end });
      expect([end, ended.status]).toEqual([end, 200]);
      expect(written().at(-1)?.body).toEqual({ ...END, status: end });
    }
    expect(gateway.governor.engine.total()).toBe(CALL);
    expect(gateway.governor.engine.summary().reservations.open).toBe(0);
  });
});

describe("a run without the tags that it must have", () => {
  const tokens = { "token-of-team": { team: "t" } };

  it("ends as failed with the reason, with the caller's credentials, and is told why", async () => {
    const options = { policies: { requireTags: ["owner"] }, users: { ada: { team: "t" } } };
    const { gateway, written } = await withRun(options);
    await using _ = gateway;
    const authorization = `Basic ${Buffer.from("ada:password").toString("base64")}`;
    const refused = await call(gateway.url, "runs/update", END, { authorization });
    expect(refused).toMatchObject({ status: 403, body: { error_code: "PERMISSION_DENIED" } });
    expect(refused.body.message).toContain("owner");
    const [tagged, ended, ...rest] = written();
    expect(rest).toEqual([]);
    expect(tagged).toMatchObject({ path: "runs/log-batch", body: { run_id: "abc" } });
    expect(tagged?.body.tags).toContainEqual({ key: "genops.policy.result", value: "BLOCKED" });
    expect(ended).toMatchObject({
      path: "runs/update",
      body: { run_id: "abc", status: "FAILED", end_time: expect.any(Number) },
    });
    for (const { head } of written()) expect(head).toContain(`Authorization: ${authorization}`);
    expect(gateway.governor.engine.total()).toBe(0n);
    expect(gateway.governor.containedFailures).toBe(0);
  });

  it("may fail, and finishes with them, whoever has set them", async () => {
    const { gateway, written } = await withRun({ policies: { requireTags: ["owner"] }, tokens }, [
      { key: "owner", value: "ada" },
    ]);
    await using _ = gateway;
    const headers = { authorization: "Bearer token-of-team" };
    expect((await call(gateway.url, "runs/update", END, headers)).status).toBe(200);
    const bare = await withRun({ policies: { requireTags: ["owner"] }, tokens });
    await using other = bare.gateway;
    const failed = { ...END, status: "FAILED" };
    expect((await call(other.url, "runs/update", failed, headers)).status).toBe(200);
    expect(written().map(({ path }) => path)).toEqual(["runs/update"]);
    expect(bare.written().map(({ body }) => body)).toEqual([failed]);
  });
});

describe.skipIf(!requiresMlflow())("a run of the Python client", () => {
  it("is over when its block is, whether it caught what was refused or not", async () => {
    const upstream = inject("mlflowServerUri") as string;
    const made = await call(upstream, "experiments/create", { name: uniqueName("ending") });
    await using gateway = await createGateway({
      upstream,
      port: 0,
      journal: false,
      budgets: [{ name: "three", limit: "0.0003", period: "day", action: "block" }],
    });
    const script = fileURLToPath(new URL("python/ending.py", import.meta.url));
    const { stdout } = await execute(
      inject("pythonPath") as string,
      [script, gateway.url, String(made.body.experiment_id)],
      {
        env: { ...neutralEnvironment(), PYTHONDONTWRITEBYTECODE: "1" },
        cwd: await temporaryFolder(),
      },
    );
    const told = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, string>;
    expect(told).toMatchObject({ caught: "PERMISSION_DENIED", raised: "PERMISSION_DENIED" });
    const stateOf = async (runId: string | undefined) => {
      const { body } = await call(upstream, `runs/get?run_id=${runId}`);
      const { info, data } = body.run as {
        info: { status: string; end_time?: number };
        data: { metrics?: { key: string }[] };
      };
      return {
        status: info.status,
        isOver: info.end_time !== undefined,
        metrics: (data.metrics ?? []).map(({ key }) => key),
      };
    };
    expect(await stateOf(told.first)).toEqual({ status: "FINISHED", isOver: true, metrics: ["a"] });
    expect(await stateOf(told.second)).toEqual({ status: "FAILED", isOver: true, metrics: [] });
    expect(gateway.governor.engine.total()).toBe(3n * CALL);
  });
});
