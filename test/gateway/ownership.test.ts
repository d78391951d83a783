// What is whose before the gateway: runs nobody is known to pay for, what others have made; and that no limit is passed by it.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
import type { BudgetOption } from "../../src/governance/limit-options.js";
import { answer, type RawRequest, type RawServer, rawServer } from "./raw.js";

const CALL = 10n ** 14n;
const REGISTRY = 5n * CALL;
const TOKENS = { "token-of-alpha": { team: "alpha" }, "token-of-beta": { team: "beta" } };
type Team = "alpha" | "beta";

const METRIC = { run_id: "abc", key: "m", value: 1, timestamp: 1 };
const FOUND = answer(200, { run: { info: { run_id: "abc", experiment_id: "7" }, data: {} } });
const NOT_FOUND = answer(404, { error_code: "RESOURCE_DOES_NOT_EXIST" });

const isLookUp = ({ head }: RawRequest) => head.startsWith("GET /api/2.0/mlflow/runs/get?");

/** A gateway before a server that knows the run `abc` and takes everything, unless it is told otherwise. */
async function between(
  options: Partial<GatewayOptions> = {},
  answerOf: (request: RawRequest) => string | Promise<string> = (request) =>
    isLookUp(request) ? FOUND : answer(200),
): Promise<{ readonly gateway: Gateway; readonly server: RawServer }> {
  const server = await rawServer(async (request, socket) => {
    socket.write(await answerOf(request));
  });
  const gateway = await createGateway({
    upstream: server.uri,
    port: 0,
    journal: false,
    tokens: TOKENS,
    ...options,
  });
  return { gateway, server };
}

async function send(
  { url }: Gateway,
  team: Team,
  path: string,
  body: unknown = METRIC,
  method = "POST",
): Promise<number> {
  const reply = await fetch(`${url}/api/2.0/mlflow${path}`, {
    method,
    headers: { "content-type": "application/json", authorization: `Bearer token-of-${team}` },
    ...(method !== "GET" && { body: JSON.stringify(body) }),
  });
  await reply.text();
  return reply.status;
}

const log = (gateway: Gateway, team: Team) => send(gateway, team, "/runs/log-metric");

const spent = ({ governor }: Gateway) =>
  ["alpha", "beta"].map((team) => governor.engine.total("team", team) / CALL);

describe("a run that nobody is known to pay for", () => {
  it.each<[string, Partial<BudgetOption>]>([
    ["of its experiment", { scope: { experimentId: "7" } }],
    ["of the run alone", { scope: { runId: "abc" } }],
    ["of each run", { period: "run" }],
    ["of its writer", { scope: { team: "alpha" } }],
  ])("is held on a budget %s from its first call on", async (_name, terms) => {
    const budget: BudgetOption = { name: "b", limit: "0", period: "day", action: "block" };
    const { gateway, server } = await between({ budgets: [{ ...budget, ...terms }] });
    await using _ = gateway;
    const statuses = await Promise.all(Array.from({ length: 5 }, () => log(gateway, "alpha")));
    expect(statuses).toEqual(Array(5).fill(403));
    expect(server.requests.every(isLookUp)).toBe(true);
    expect(spent(gateway)).toEqual([0n, 0n]);
  });

  it("is his whose call succeeded while another was still asking", async () => {
    let isAsking = () => {};
    const asking = new Promise<void>((resolve) => {
      isAsking = resolve;
    });
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let lookUps = 0;
    const { gateway } = await between({}, async (request) => {
      if (!isLookUp(request)) return answer(200);
      lookUps++;
      if (request.head.toLowerCase().includes("x-mlflow-workspace: slow")) {
        isAsking();
        await held;
      }
      return FOUND;
    });
    await using _ = gateway;
    const slow = fetch(`${gateway.url}/api/2.0/mlflow/runs/log-metric`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: "Bearer token-of-beta",
        "x-mlflow-workspace": "slow",
      },
      body: JSON.stringify(METRIC),
    });
    await asking;
    expect(await log(gateway, "alpha")).toBe(200);
    goOn();
    expect((await slow).status).toBe(403);
    expect(lookUps).toBe(2);
    expect(spent(gateway)).toEqual([1n, 0n]);
  });

  it("written by two at once is the first one's, and each has paid for his own call", async () => {
    let waiting = 0;
    const { gateway } = await between({}, async (request) => {
      if (isLookUp(request)) return FOUND;
      waiting++;
      while (waiting < 2) await delay(1);
      return answer(200);
    });
    await using _ = gateway;
    const both = await Promise.all([log(gateway, "alpha"), log(gateway, "beta")]);
    expect(both).toEqual([200, 200]);
    expect(spent(gateway)).toEqual([1n, 1n]);
    expect(gateway.governor.containedFailures).toBe(0);
    expect(gateway.governor.engine.summary().reservations.open).toBe(0);
    const owner = gateway.governor.runs.get("abc")?.attributes.team as Team;
    const other = owner === "alpha" ? "beta" : "alpha";
    expect([await log(gateway, owner), await log(gateway, other)]).toEqual([200, 403]);
  });

  it("does not become his to whom the server shows no run, wherever he puts his files", async () => {
    const users = { alpha: { team: "alpha" }, beta: { team: "beta" } };
    const basic = (user: Team) => `Basic ${Buffer.from(`${user}:p`).toString("base64")}`;
    const isBy = (user: Team, { head }: RawRequest) => head.includes(basic(user));
    const { gateway } = await between({ tokens: {}, users }, (request) => {
      if (!isBy("alpha", request) && !isBy("beta", request)) return answer(401);
      return isLookUp(request) ? (isBy("alpha", request) ? FOUND : NOT_FOUND) : answer(200);
    });
    await using _ = gateway;
    const ask = (user: Team, method: string, path: string, body: BodyInit) =>
      fetch(`${gateway.url}/api/2.0/${path}`, {
        method,
        headers: { "content-type": "application/json", authorization: basic(user) },
        body,
      });
    const file = "mlflow-artifacts/artifacts/9/abc/artifacts/a.bin";
    expect((await ask("beta", "PUT", file, "abc")).status).toBe(200);
    const metric = JSON.stringify(METRIC);
    expect((await ask("alpha", "POST", "mlflow/runs/log-metric", metric)).status).toBe(200);
    expect((await ask("beta", "PUT", file, "abc")).status).toBe(403);
    expect(gateway.governor.runs.get("abc")?.attributes.team).toBe("alpha");
    expect(gateway.governor.engine.summary().operations.log_artifact?.count).toBe(1);
  });
});

describe("what others have made", () => {
  it("is registered at the cost of who registers it", async () => {
    const { gateway } = await between();
    await using _ = gateway;
    expect(await log(gateway, "alpha")).toBe(200);
    const version = { name: "m", source: "runs:/abc/model", run_id: "abc" };
    expect(await send(gateway, "beta", "/model-versions/create", version)).toBe(200);
    expect(gateway.governor.engine.total("team", "beta")).toBe(REGISTRY);
    expect(gateway.governor.engine.total("team", "alpha")).toBe(CALL);
  });

  it("is read at the cost of who reads it, where reading has a price", async () => {
    const { gateway } = await between({ pricing: { operations: { get_run: "0.0001" } } });
    await using _ = gateway;
    expect(await log(gateway, "alpha")).toBe(200);
    expect(await send(gateway, "beta", "/runs/get?run_id=abc", undefined, "GET")).toBe(200);
    expect(spent(gateway)).toEqual([1n, 1n]);
  });
});

describe("a name that no ledger keeps", () => {
  const long = "x".repeat(4097);

  it.each([
    ["/experiments/create", { name: "e", experiment_id: long }],
    ["/model-versions/create", { name: long, source: "s" }],
    ["/registered-models/create", { name: long }],
    ["/runs/log-metric", { ...METRIC, run_id: long }],
    ["/runs/log-metric", { ...METRIC, experiment_id: long }],
    ["/runs/create", { experiment_id: long }],
  ])("is no way past limits: %s is refused, and the server sees nothing", async (path, body) => {
    const budgets: BudgetOption[] = [{ name: "b", limit: "0", period: "day", action: "block" }];
    const { gateway, server } = await between({ budgets });
    await using _ = gateway;
    expect([400, 403]).toContain(await send(gateway, "alpha", path, body));
    expect(server.requests.filter((request) => !isLookUp(request))).toEqual([]);
    expect(gateway.governor.containedFailures).toBe(0);
  });

  it("is no way past them for the run of MLflow's page either", async () => {
    const budgets: BudgetOption[] = [{ name: "b", limit: "0", period: "day", action: "block" }];
    const { gateway, server } = await between({ budgets });
    await using _ = gateway;
    for (const tags of [{}, "", 5, [{ key: "a" }]]) {
      const status = await send(gateway, "alpha", "/runs/create-promptlab-run", {
        experiment_id: "7",
        tags,
      });
      expect([400, 403]).toContain(status);
    }
    expect(server.requests).toEqual([]);
  });
});

describe("files and experiments of others", () => {
  const RUN = "0123456789abcdef0123456789abcdef";
  const OTHER = "fedcba9876543210fedcba9876543210";
  const MODEL = "m-0123456789abcdef0123456789abcdef";
  const files = "/api/2.0/mlflow-artifacts/artifacts";

  /** Runs `RUN` and `MODEL` are alpha's, `OTHER` is beta's. */
  async function ofTwo() {
    const runs = new Map<string, unknown>();
    const made = [RUN, OTHER];
    const found = await between({}, ({ head, body }) => {
      const line = head.split("\r\n", 1)[0] ?? "";
      const asked = /runs\/get\?run_id=(\w+)/.exec(line)?.[1];
      if (asked !== undefined) {
        return runs.has(asked) ? answer(200, { run: runs.get(asked) }) : NOT_FOUND;
      }
      if (line.includes("/runs/create")) {
        const id = made.shift() ?? "";
        const { tags = [] } = JSON.parse(body.toString());
        runs.set(id, { info: { run_id: id, experiment_id: "7" }, data: { tags } });
        return answer(200, { run: runs.get(id) });
      }
      if (line.includes("/runs/search")) return answer(200, { runs: [...runs.values()] });
      if (line.startsWith(`GET /api/2.0/mlflow/logged-models/${MODEL}`)) {
        return answer(200, { model: { info: { model_id: MODEL, source_run_id: RUN } } });
      }
      return answer(200);
    });
    for (const team of ["alpha", "beta"] as const) {
      expect(await send(found.gateway, team, "/runs/create", { experiment_id: "7" })).toBe(200);
    }
    const put = async (team: Team, method: string, path: string) => {
      const reply = await fetch(`${found.gateway.url}${files}/${path}`, {
        method,
        headers: { authorization: `Bearer token-of-${team}` },
        ...(method === "PUT" && { body: "x" }),
      });
      await reply.text();
      return reply.status;
    };
    return { ...found, put };
  }

  it.each([
    ["DELETE", `7/${RUN}`],
    ["DELETE", `7/${RUN}/artifacts`],
    ["DELETE", `7/${RUN}/artifacts/a.bin`],
    ["DELETE", "7"],
    ["DELETE", "7/models"],
    ["DELETE", "7/traces"],
    ["DELETE", "custom/place"],
    ["DELETE", `custom/place/${RUN}`],
    ["DELETE", `7/models/${MODEL}`],
    ["DELETE", `7/models/${MODEL}/artifacts`],
    ["DELETE", `7/models/${MODEL}/artifacts/MLmodel`],
    ["PUT", `7/models/${MODEL}/artifacts/MLmodel`],
    ["PUT", `7/${RUN}/artifacts`],
    ["PUT", `7/${RUN}`],
    ["PUT", `7/${RUN}/e.txt`],
    ["PUT", "7"],
    ["PUT", "7/models"],
  ])("are not reached from above or beside: %s %s", async (method, path) => {
    const { gateway, server, put } = await ofTwo();
    await using _ = gateway;
    expect(await put("beta", method, path)).toBe(403);
    expect(server.requests.filter(({ head }) => head.startsWith(method))).toEqual([]);
    expect(gateway.governor.containedFailures).toBe(0);
  });

  it.each([
    ["DELETE", `7/${OTHER}/artifacts`],
    ["DELETE", `7/${OTHER}`],
    ["PUT", `7/${OTHER}/artifacts/a.bin`],
    ["PUT", "7/traces/tr-1/artifacts/traces.json"],
    ["PUT", "7/models/m-1/artifacts/MLmodel"],
    ["PUT", "some/place/of/mine.bin"],
  ])("do not keep one from one's own: %s %s", async (method, path) => {
    const { gateway, put } = await ofTwo();
    await using _ = gateway;
    expect(await put("beta", method, path)).toBe(200);
  });

  it.each<[string, string, unknown]>([
    ["POST", "/experiments/delete", { experiment_id: "7" }],
    ["PATCH", `/logged-models/${MODEL}`, { model_id: MODEL, status: "LOGGED_MODEL_UPLOAD_FAILED" }],
    ["PATCH", `/logged-models/${MODEL}/tags`, { tags: [{ key: "a", value: "b" }] }],
    ["DELETE", `/logged-models/${MODEL}`, {}],
    // Naming a run of one's own changes nothing.
    ["DELETE", `/logged-models/${MODEL}`, { run_id: OTHER }],
    ["POST", "/logged-models", { experiment_id: "7", name: "m", source_run_id: RUN }],
  ])("are not reached by other routes: %s %s", async (method, path, body) => {
    const { gateway, server } = await ofTwo();
    await using _ = gateway;
    expect(await send(gateway, "beta", path, body, method)).toBe(403);
    const before = server.requests.length;
    // Of the runs in the experiment one is beta's, and one that is named is, too.
    const isBetas = path.includes("experiments") || JSON.stringify(body).includes(OTHER);
    expect(await send(gateway, "alpha", path, body, method)).toBe(isBetas ? 403 : 200);
    expect(server.requests.length).toBeGreaterThanOrEqual(before);
  });
});

describe("who has made a run", () => {
  it("writes it with the same credentials, whatever path he comes by and whatever they grant by now", async () => {
    const { gateway } = await between({ trust: ["token", "path"] });
    await using _ = gateway;
    const call = (prefix: string, token: string, path: string, body: unknown) =>
      fetch(`${gateway.url}${prefix}/api/2.0/mlflow${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      }).then(({ status }) => status);
    const own = "token-of-alpha";
    expect(await call("/g/project=one", own, "/runs/create", { experiment_id: "7" })).toBe(200);
    // The run of this server is always the same one.
    for (const prefix of ["/g/project=one", "", "/g/project=two"]) {
      expect([prefix, await call(prefix, own, "/runs/log-metric", METRIC)]).toEqual([prefix, 200]);
    }
    expect(await call("", "token-of-beta", "/runs/log-metric", METRIC)).toBe(403);
    const { engine } = gateway.governor;
    expect(engine.total("project", "one")).toBe(4n * CALL);
    expect(engine.total("project", "two")).toBe(0n);
  });
});

describe("a budget of each run", () => {
  it("is not passed by runs below it", async () => {
    const budgets: BudgetOption[] = [
      { name: "run", limit: "0.0005", period: "run", action: "block" },
    ];
    let made = 0;
    const { gateway } = await between({ budgets }, ({ head, body }) => {
      if (!head.startsWith("POST /api/2.0/mlflow/runs/create")) return answer(200);
      const { tags = [] } = JSON.parse(body.toString());
      const info = { run_id: `run${made++}`, experiment_id: "7" };
      return answer(200, { run: { info, data: { tags } } });
    });
    await using _ = gateway;
    const start = (tags: unknown[]) =>
      send(gateway, "alpha", "/runs/create", { experiment_id: "7", tags });
    expect(await start([])).toBe(200);
    const statuses: number[] = [];
    for (let child = 0; child < 8; child++) {
      statuses.push(await start([{ key: "mlflow.parentRunId", value: "run0" }]));
    }
    expect(statuses).toEqual([200, 200, 200, 200, 403, 403, 403, 403]);
    expect(spent(gateway)).toEqual([5n, 0n]);
  });
});
