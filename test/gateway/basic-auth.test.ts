// The gateway before a real MLflow server with its basic-auth app: the payer is whom that server has accepted.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
import type { AuditLine } from "../../src/telemetry/audit/chain.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { INSTALL_TIMEOUT_MS } from "../support/install-once.js";
import {
  type MlflowAuthServer,
  preparePythonAuth,
  startMlflowAuthServer,
} from "../support/mlflow-auth-server.js";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const execute = promisify(execFile);
const CALL = 10n ** 14n;
const FORBIDDEN = "Permission denied";

/** Users of the server and their passwords; `ghost` is known to the gateway alone, `eve` to the server alone. */
const PASSWORDS = {
  ada: "password-of-ada",
  bob: "password-of-bob",
  eve: "password-of-eve",
  tom: "password-of-tom",
  ghost: "password-of-nobody",
} as const;
type User = keyof typeof PASSWORDS | "admin";

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

describe.skipIf(!requiresMlflow())("before MLflow's basic auth", () => {
  let server: MlflowAuthServer;
  let python: string;

  const passwordOf = (user: User) => (user === "admin" ? server.admin.password : PASSWORDS[user]);
  const basic = (user: User, password = passwordOf(user)) => {
    const pair = Buffer.from(`${user}:${password}`).toString("base64");
    return { authorization: `Basic ${pair}` };
  };

  async function call(
    uri: string,
    user: User,
    path: string,
    body?: unknown,
    { password, method }: { readonly password?: string; readonly method?: string } = {},
  ): Promise<Answer> {
    const reply = await fetch(`${uri}/api/${path}`, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: { "content-type": "application/json", ...basic(user, password) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    const isJson = reply.headers.get("content-type")?.includes("json") === true;
    return { status: reply.status, text, body: isJson ? JSON.parse(text) : {} };
  }

  const made = ({ status, text, body }: Answer): Record<string, unknown> => {
    if (status !== 200) throw new Error(`${status} ${text}`);
    return body;
  };

  async function experimentOf(user: User): Promise<string> {
    const body = { name: uniqueName("auth") };
    return String(
      made(await call(server.uri, user, "2.0/mlflow/experiments/create", body)).experiment_id,
    );
  }

  async function runOf(uri: string, user: User, experiment: string): Promise<string> {
    const body = { experiment_id: experiment };
    const { run } = made(await call(uri, user, "2.0/mlflow/runs/create", body));
    return (run as { info: { run_id: string } }).info.run_id;
  }

  const metric = (runId: string) => ({ run_id: runId, key: "m", value: 1, timestamp: 1, step: 0 });
  const grant = (user: User, experiment: string, permission: string) => ({
    username: user,
    resource_type: "experiment",
    resource_id: experiment,
    permission,
  });
  const GRANT = "3.0/mlflow/users/permissions/grant";

  const gateway = (options: Partial<GatewayOptions> = {}): Promise<Gateway> =>
    createGateway({
      upstream: server.uri,
      port: 0,
      journal: false,
      users: {
        admin: { team: "platform", admin: true },
        ada: { team: "research" },
        bob: { team: "vision" },
        tom: { team: "brief" },
        ghost: { team: "ghosts" },
      },
      ...options,
    });

  async function runPython(
    script: string,
    values: readonly string[],
    user: User,
  ): Promise<Record<string, unknown>> {
    const path = fileURLToPath(new URL(`python/${script}`, import.meta.url));
    const env = {
      ...neutralEnvironment(),
      PYTHONDONTWRITEBYTECODE: "1",
      MLFLOW_TRACKING_USERNAME: user,
      MLFLOW_TRACKING_PASSWORD: passwordOf(user),
    };
    const { stdout } = await execute(python, [path, ...values], {
      env,
      cwd: await temporaryFolder(),
    });
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
  }

  beforeAll(async () => {
    python = await preparePythonAuth(inject("pythonPath") as string);
    server = await startMlflowAuthServer(python);
    for (const username of ["ada", "bob", "eve", "tom"] as const) {
      const user = { username, password: PASSWORDS[username] };
      made(await call(server.uri, "admin", "2.0/mlflow/users/create", user));
    }
    return () => server.stop();
  }, INSTALL_TIMEOUT_MS);

  it("the Python client with user and password works as without it, and pays as that user", async () => {
    await using open = await gateway();
    const read = await runPython("workflow.py", [open.url, uniqueName("as-ada")], "ada");
    expect(read).toMatchObject({ status: "FINISHED", text: "hello", version: "1", found: 2 });
    expect(read.tags).toMatchObject({ "genops.team": "research" });
    const { engine, containedFailures } = open.governor;
    expect(engine.total("team", "research")).toBe(engine.total());
    expect(engine.total("run", read.child as string)).toBe(2n * CALL);
    expect(containedFailures).toBe(0);
  });

  it("who gives a wrong password, or is unknown on either side, books nothing", async () => {
    await using open = await gateway({ rateLimits: [{ name: "r", operations: 1, per: "minute" }] });
    const experiment = await experimentOf("ada");
    const body = { experiment_id: experiment };
    const create = "2.0/mlflow/runs/create";
    const wrong = await call(open.url, "ada", create, body, { password: "not-the-password" });
    expect(wrong).toMatchObject({ status: 401, body: { error_code: "UNAUTHENTICATED" } });
    expect((await call(open.url, "ghost", create, body)).status).toBe(401);
    expect((await call(open.url, "eve", create, body)).status).toBe(401);
    const { engine } = open.governor;
    expect(engine.total()).toBe(0n);
    expect(engine.summary().operations).toEqual({});
    // Nothing of it was taken from what the real one may do.
    expect((await call(open.url, "ada", create, body)).status).toBe(200);
    expect(engine.total("team", "research")).toBe(CALL);
  });

  it("who was accepted a moment ago, and is no longer, books nothing", async () => {
    await using open = await gateway();
    const create = () => {
      const body = { name: uniqueName("brief") };
      return call(open.url, "tom", "2.0/mlflow/experiments/create", body);
    };
    expect((await create()).status).toBe(200);
    const tom = { username: "tom" };
    made(await call(server.uri, "admin", "2.0/mlflow/users/delete", tom, { method: "DELETE" }));
    expect((await create()).status).toBe(401);
    const { engine } = open.governor;
    expect(engine.total()).toBe(CALL);
    expect(engine.summary().operations.create_experiment).toMatchObject({ errors: 1 });
  });

  it("a run of which the server tells a user nothing stays whose it is", async () => {
    await using open = await gateway({ policies: { requireTags: ["owner"] } });
    const experiment = await experimentOf("ada");
    const run = await runOf(server.uri, "ada", experiment);
    const log = "2.0/mlflow/runs/log-metric";
    const read = `2.0/mlflow/runs/get?run_id=${run}`;
    // The gateway has to ask whose run it is, and asks as bob.
    const refused = await call(open.url, "bob", log, metric(run));
    expect(refused.status).toBe(403);
    expect(refused.text).toContain(FORBIDDEN);
    const ended = await call(open.url, "bob", "2.0/mlflow/runs/update", {
      run_id: run,
      status: "FINISHED",
    });
    expect(ended.status).toBe(403);
    expect(ended.text).not.toContain(experiment);
    expect((await call(open.url, "bob", read)).text).toContain(FORBIDDEN);
    // A first writer is who has written.
    expect((await call(open.url, "ada", log, metric(run))).status).toBe(200);
    const { engine } = open.governor;
    expect(engine.total("run", run)).toBe(CALL);
    expect(engine.total("team", "research")).toBe(engine.total());
    // What the gateway has learnt of it as ada, bob is not told.
    expect((await call(open.url, "bob", read)).text).toContain(FORBIDDEN);
  });

  it("who may read a run and not write it does not become its payer by trying", async () => {
    await using open = await gateway();
    const experiment = await experimentOf("ada");
    const run = await runOf(server.uri, "ada", experiment);
    made(await call(server.uri, "admin", GRANT, grant("bob", experiment, "READ")));
    const log = "2.0/mlflow/runs/log-metric";
    const refused = await call(open.url, "bob", log, metric(run));
    expect(refused.text).toContain(FORBIDDEN);
    expect((await call(open.url, "bob", `2.0/mlflow/runs/get?run_id=${run}`)).status).toBe(200);
    expect((await call(open.url, "ada", log, metric(run))).status).toBe(200);
    expect(open.governor.engine.total("team", "vision")).toBe(0n);
    expect(open.governor.engine.total("run", run)).toBe(CALL);
  });

  it("users, roles and permissions are changed by administrators alone, and told in the audit trail", async () => {
    const auditLog = `${await temporaryFolder()}/audit.jsonl`;
    await using open = await gateway({ auditLog });
    const experiment = await experimentOf("ada");
    const read = `2.0/mlflow/experiments/get?experiment_id=${experiment}`;
    const asked = grant("bob", experiment, "READ");
    expect((await call(open.url, "bob", read)).status).toBe(403);
    const denied = await call(open.url, "bob", GRANT, asked);
    expect(denied).toMatchObject({ status: 403, body: { error_code: "PERMISSION_DENIED" } });
    expect(denied.body.message).toContain("only administrators");
    for (const [path, body] of [
      ["3.0/mlflow/roles/create", { name: "r", workspace: "default" }],
      ["3.0/mlflow/roles/list", undefined],
      ["3.0/mlflow/users/permissions/list?username=ada", undefined],
      ["3.0/mlflow/users/roles/list?username=ada", undefined],
      ["2.0/mlflow/users/create", { username: "x", password: "password-of-x" }],
    ] as const) {
      const { body: told } = await call(open.url, "bob", path, body);
      expect([path, told.message]).toEqual([path, expect.stringContaining("administrators")]);
    }
    // Who one is oneself, and what one may do, is nobody's administration.
    for (const path of ["2.0/mlflow/users/current", "3.0/mlflow/users/current/permissions"]) {
      expect([path, (await call(open.url, "bob", path)).status]).toEqual([path, 200]);
    }
    expect((await call(open.url, "admin", GRANT, asked)).status).toBe(200);
    expect((await call(open.url, "bob", read)).status).toBe(200);
    const lines = (await readFile(auditLog, "utf8")).trim().split("\n");
    const records = lines.map((line) => (JSON.parse(line) as AuditLine).record);
    const grants = records.filter(
      (record) => record.kind === "decision" && record.operation === "write_permission",
    );
    expect(grants).toMatchObject([
      { phase: "before", who: { team: "vision" }, decision: "BLOCKED" },
      { phase: "before", who: { team: "platform" }, decision: "ALLOWED" },
      { phase: "after", who: { team: "platform" }, decision: "ALLOWED", outcome: "ok" },
    ]);
  });
});
