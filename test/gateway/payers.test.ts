// Whose a run is: what tags may say, what of the server's is believed, and what gateways side by side know of each other.
import { describe, expect, it } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { useCommandLine } from "../cli/command-line.js";
import { useGatewayProcess } from "./gateway-process.js";
import { answer, type RawRequest, type RawServer, rawServer } from "./raw.js";

const CALL = 10n ** 14n;
const running = useGatewayProcess(useCommandLine());
const TOKENS = { "token-of-alpha": { team: "alpha" }, "token-of-beta": { team: "beta" } };
type Team = "alpha" | "beta";

interface Tag {
  readonly key: string;
  readonly value: string;
}

/** A server that keeps runs and their tags as MLflow does; `fault` may answer instead. */
async function serverOfRuns(
  fault: (request: RawRequest) => string | undefined = () => undefined,
): Promise<RawServer & { readonly runs: Map<string, Tag[]> }> {
  const runs = new Map<string, Tag[]>();
  const runOf = (id: string) =>
    answer(200, {
      run: { info: { run_id: id, experiment_id: "7" }, data: { tags: runs.get(id) ?? [] } },
    });
  const server = await rawServer((request, socket) => {
    const { head, body } = request;
    const own = fault(request);
    const asked = /^GET \/api\/2\.0\/mlflow\/runs\/get\?run_id=(\w+)/.exec(head)?.[1];
    if (own !== undefined) socket.write(own);
    else if (asked !== undefined) {
      socket.write(
        runs.has(asked) ? runOf(asked) : answer(404, { error_code: "RESOURCE_DOES_NOT_EXIST" }),
      );
    } else if (head.startsWith("POST /api/2.0/mlflow/runs/create")) {
      const id = `run${runs.size}`;
      runs.set(id, (JSON.parse(body.toString()) as { tags?: Tag[] }).tags ?? []);
      socket.write(runOf(id));
    } else socket.write(answer(200));
  });
  return { ...server, runs };
}

async function send(
  uri: string,
  team: Team,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
) {
  const reply = await fetch(`${uri}/api/2.0/mlflow/${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer token-of-${team}`,
      ...headers,
    },
    body: JSON.stringify(body),
  });
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

async function start(uri: string, team: Team, tags: readonly Tag[] = []): Promise<string> {
  const { status, body } = await send(uri, team, "runs/create", { experiment_id: "7", tags });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return (body.run as { info: { run_id: string } }).info.run_id;
}

const log = (uri: string, team: Team, runId: string, headers = {}) =>
  send(uri, team, "runs/log-metric", { run_id: runId, key: "m", value: 1, timestamp: 1 }, headers);

const inFrontOf = (server: RawServer, options: Partial<GatewayOptions> = {}): Promise<Gateway> =>
  createGateway({ upstream: server.uri, port: 0, journal: false, tokens: TOKENS, ...options });

describe("runs of others", () => {
  it("are written where that is said to be meant, and their payers go on paying", async () => {
    const server = await serverOfRuns();
    await using open = await inFrontOf(server, { allowForeignRuns: true });
    const run = await start(open.url, "alpha");
    expect((await log(open.url, "beta", run)).status).toBe(200);
    const { engine } = open.governor;
    expect(engine.total("team", "alpha")).toBe(2n * CALL);
    expect(engine.total("team", "beta")).toBe(0n);
    // Writing them does not make tags of theirs anybody's.
    const tag = { run_id: run, key: "genops.team", value: "alpha" };
    expect((await send(open.url, "beta", "runs/set-tag", tag)).status).toBe(403);
  });

  it("are known again by their signed tags, whoever restarts the gateway", async () => {
    const server = await serverOfRuns();
    const journal = { path: await temporaryFolder() };
    const first = await inFrontOf(server, { journal });
    const run = await start(first.url, "alpha");
    await first.close();
    await using second = await inFrontOf(server, { journal, allowForeignRuns: true });
    expect((await log(second.url, "beta", run)).status).toBe(200);
    expect(second.governor.engine.total("team", "beta")).toBe(0n);
    // One letter of what was signed, another experiment, or no signature: nobody's word.
    const signed = server.runs.get(run) ?? [];
    const forged = [
      signed.map((tag) => (tag.key === "genops.team" ? { ...tag, value: "alphA" } : tag)),
      signed.filter(({ key }) => !key.includes("signature")),
      [...signed, { key: "genops.project", value: "rich" }],
    ];
    for (const [index, tags] of forged.entries()) {
      server.runs.set(`forged${index}`, tags);
      expect((await log(second.url, "beta", `forged${index}`)).status).toBe(200);
      expect(second.governor.engine.total("team", "beta")).toBe(BigInt(index + 1) * CALL);
    }
  });

  it("are asked for in the workspace that the caller names", async () => {
    const server = await serverOfRuns(({ head }) =>
      head.startsWith("GET ") && !/^x-mlflow-workspace: one$/im.test(head)
        ? answer(404, { error_code: "RESOURCE_DOES_NOT_EXIST" })
        : undefined,
    );
    const journal = { path: await temporaryFolder() };
    const first = await inFrontOf(server, { journal });
    const run = await start(first.url, "alpha");
    await first.close();
    await using second = await inFrontOf(server, { journal });
    const inWorkspace = { "x-mlflow-workspace": "one" };
    expect((await log(second.url, "beta", run, inWorkspace)).status).toBe(403);
    expect((await log(second.url, "alpha", run, inWorkspace)).status).toBe(200);
  });

  it.each<[string, string]>([
    ["says that it is unwell", answer(503)],
    ["wants to be asked later", answer(429)],
    ["answers what is no run", answer(200, { other: true })],
  ])("stay theirs while a server %s", async (_name, unwell) => {
    let isWell = true;
    const server = await serverOfRuns(({ head }) =>
      isWell || !head.startsWith("GET ") ? undefined : unwell,
    );
    const journal = { path: await temporaryFolder() };
    const first = await inFrontOf(server, { journal });
    const run = await start(first.url, "alpha");
    await first.close();
    isWell = false;
    await using second = await inFrontOf(server, { journal });
    const refused = await log(second.url, "beta", run);
    expect(refused).toMatchObject({ status: 502, body: { error_code: "TEMPORARILY_UNAVAILABLE" } });
    expect(refused.body.message).toContain(run);
    const { length } = server.requests;
    expect(server.requests[length - 1]?.head).toMatch(/^GET /);
    isWell = true;
    expect((await log(second.url, "beta", run)).status).toBe(403);
    expect((await log(second.url, "alpha", run)).status).toBe(200);
    expect(second.governor.containedFailures).toBe(0);
  });
});

describe("tags of governance", () => {
  const genops = (name: string, value: string): Tag => ({ key: `genops.${name}`, value });

  it("are the caller's to set only as far as tags are believed, in every call that sets them", async () => {
    const server = await serverOfRuns();
    await using open = await inFrontOf(server, { trust: ["token", "tag"] });
    const run = await start(open.url, "alpha", [
      genops("project", "search"),
      genops("team", "alpha"),
    ]);
    expect(open.governor.engine.total("project", "search")).toBe(CALL);
    const asked = server.requests.length;
    for (const tag of [
      genops("team", "beta"),
      genops("gateway.signature", "x.y"),
      genops("policy.result", "ALLOWED"),
      genops("anything", "x"),
    ]) {
      const calls = [
        ["runs/create", { experiment_id: "7", tags: [tag] }],
        ["runs/log-batch", { run_id: run, tags: [{ key: "a", value: "b" }, tag] }],
        ["runs/set-tag", { run_id: run, ...tag }],
        ["runs/set-tag", { run_uuid: run, ...tag }],
        ["runs/delete-tag", { run_id: run, key: tag.key }],
        ["runs/create", JSON.stringify({ experiment_id: "7", tags: [tag] })],
      ] as const;
      for (const [path, body] of calls) {
        const refused = await send(open.url, "alpha", path, body);
        expect([path, tag.key, refused.status]).toEqual([path, tag.key, 403]);
        expect(refused.body.message).toContain(tag.key);
      }
    }
    expect(server.requests).toHaveLength(asked);
    expect(open.governor.engine.total()).toBe(CALL);
  });
});

describe("two gateways on one journal", () => {
  it("share its budget, and believe each other's runs", async () => {
    const server = await serverOfRuns();
    const folder = await temporaryFolder();
    const budget = { name: "ten", limit: "0.001", period: "day", action: "block" };
    const options = {
      GENOPS_GATEWAY_UPSTREAM: server.uri,
      GENOPS_GATEWAY_TOKENS: JSON.stringify(TOKENS),
      GENOPS_GATEWAY_BUDGETS: JSON.stringify([budget]),
      GENOPS_GATEWAY_JOURNAL: folder,
      GENOPS_JOURNAL: folder,
    };
    const [one, other] = await Promise.all([running([], options), running([], options)]);
    const run = await start(one.uri, "alpha");
    expect((await log(other.uri, "beta", run)).status).toBe(403);
    expect((await log(other.uri, "alpha", run)).status).toBe(200);
    let passed = 2;
    for (let call = 0; call < 20; call++) {
      const { status } = await log(call % 2 === 0 ? one.uri : other.uri, "alpha", run);
      expect([200, 403]).toContain(status);
      if (status === 200) passed++;
    }
    const written = server.requests.filter(({ head }) => head.startsWith("POST "));
    expect(written).toHaveLength(passed);
    expect(passed).toBeGreaterThan(5);
    expect(passed).toBeLessThanOrEqual(10);
    // Whatever becomes of them, who comes later has what they have left.
    one.process.kill("SIGKILL");
    other.process.kill("SIGTERM");
    await Promise.all([one.finished, other.finished]);
    const later = await running([], options);
    expect((await log(later.uri, "beta", run)).status).toBe(403);
    for (let call = 0; call < 10; call++) {
      if ((await log(later.uri, "alpha", run)).status === 200) passed++;
    }
    expect(passed).toBeLessThanOrEqual(10);
  });
});
