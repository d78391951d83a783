// `genops gateway` as a process: a real MLflow server behind it, real clients before it, signals, logs, its page.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { MlflowClient } from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { useCommandLine } from "../cli/command-line.js";
import { CHROMIUM } from "../runtimes/pins.js";
import { need, PATIENCE } from "../runtimes/player.js";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { type Browser, openBrowser } from "./browser.js";
import { ADMIN, useGatewayProcess } from "./gateway-process.js";

const run = promisify(execFile);
const genops = useCommandLine();
const running = useGatewayProcess(genops);
let browser: Browser | undefined;
afterAll(() => browser?.close());

/** An MLflow server that answers when it is told to. */
async function slowUpstream() {
  const waiting: (() => void)[] = [];
  const server = createServer((_, response) => {
    waiting.push(() => response.writeHead(200, { "content-type": "application/json" }).end("{}"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async arrived(count: number) {
      while (waiting.length < count) await delay(10);
    },
    answer() {
      for (const each of waiting.splice(0)) each();
    },
  };
}

const SCRIPT = `
import mlflow, sys
mlflow.set_experiment(sys.argv[1])
with mlflow.start_run() as run:
    mlflow.log_param("alpha", 1)
    mlflow.log_metric("loss", 0.5)
    mlflow.log_text("hello", "notes.txt")
print(run.info.run_id)
try:
    for step in range(20):
        with mlflow.start_run():
            pass
except mlflow.exceptions.MlflowException as error:
    print(error.error_code, error.message)
`;

describe.runIf(requiresMlflow())("with a real MLflow server behind", () => {
  it("governs Python and TypeScript, and shows on its page what they spent", {
    timeout: PATIENCE,
  }, async (context) => {
    const upstream = inject("mlflowServerUri") as string;
    const folder = await temporaryFolder();
    const config = join(folder, "gateway.yaml");
    await writeFile(
      config,
      `upstream: ${upstream}
budgets:
  - { name: python runs, limit: 5, unit: runs, period: day, scope: { team: pythons }, action: block }
accessLog: access.jsonl
auditLog: audit.jsonl
`,
    );
    const gateway = await running(["--config", config], {}, folder);
    expect(gateway.first).toMatchObject({
      event: "listening",
      trackingUri: gateway.uri,
      operatorOpen: true,
      upstream: `${upstream}/`,
      budgets: ["python runs"],
    });

    const python = inject("pythonPath") as string;
    const { stdout } = await run(python, ["-c", SCRIPT, uniqueName("through")], {
      env: {
        ...neutralEnvironment(),
        MLFLOW_TRACKING_URI: `${gateway.uri}/g/team=pythons,project=p%C3%B6`,
      },
    });
    const [runId = ""] = /^[0-9a-f]{32}$/m.exec(stdout) ?? [];
    const [refusal = ""] = /^PERMISSION_DENIED .*$/m.exec(stdout) ?? [];
    expect(refusal).toMatch(
      /^PERMISSION_DENIED .*create_run was not sent: budget "python runs" has 0 of 5/,
    );
    const client = new MlflowClient({ trackingUri: `${gateway.uri}/g/team=typescripts` });
    await client.logMetric(runId, "later", 1);

    const { today, budgets, refusals } = await (await gateway.ask("/genops/summary")).json();
    const teams = Object.fromEntries(
      today.byTeam.map(({ name, cost }: { name: string; cost: string }) => [name, cost]),
    );
    // An experiment, five runs, a param, a metric, a text on the server's own disk, and a metric of somebody else's.
    expect(teams).toMatchObject({ pythons: "0.0009" });
    expect(budgets).toMatchObject([{ name: "python runs", spent: "5", isOver: true }]);
    expect(refusals).toMatchObject([{ policy: "budget.python runs", team: "pythons" }]);

    browser = await openBrowser(await need(context, CHROMIUM));
    const { tab } = browser;
    await tab.goto(`${gateway.uri}/genops/`);
    await tab.evaluate(
      `document.querySelector("#token").value = ${JSON.stringify(ADMIN)}; document.querySelector("form button").click()`,
    );
    await tab.until('document.querySelector("[data-state=live]")');
    const text = await tab.evaluate<string>("document.querySelector('main').innerText");
    for (const words of ["python runs", "5 of 5 runs", "blocking", "pythons", "pö", "create_run"]) {
      expect(text).toContain(words);
    }
    expect(tab.complaints.filter((each) => !each.includes("401"))).toEqual([]);

    gateway.process.kill("SIGTERM");
    expect((await gateway.finished).code).toBe(0);
    const lines = (await readFile(join(folder, "access.jsonl"), "utf8")).trim().split("\n");
    const entries = lines.map((line) => JSON.parse(line));
    expect(entries).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ operation: "log_metric", status: 200, team: "pythons" }),
        expect.objectContaining({ operation: "create_run", status: 403, team: "pythons" }),
      ]),
    );
    expect(lines.join()).not.toContain(ADMIN);
    const audit = await genops.run(["audit", "verify", "audit.jsonl"], folder);
    expect(audit.stdout).toContain("Whole");
  });
});

describe("signals", () => {
  it("SIGTERM lets a request under way end, and takes no other", async () => {
    const upstream = await slowUpstream();
    const gateway = await running(["--upstream", upstream.uri]);
    const underWay = fetch(`${gateway.uri}/api/2.0/mlflow/runs/get?run_id=a`);
    await upstream.arrived(1);
    gateway.process.kill("SIGTERM");
    const isTaken = () =>
      fetch(`${gateway.uri}/genops/health`, { headers: { connection: "close" } }).then(
        () => true,
        () => false,
      );
    while (await isTaken()) await delay(10);
    upstream.answer();
    expect((await underWay).status).toBe(200);
    expect((await gateway.finished).code).toBe(0);
  });

  it("a second one does not wait", async () => {
    const upstream = await slowUpstream();
    const gateway = await running(["--upstream", upstream.uri]);
    const underWay = fetch(`${gateway.uri}/api/2.0/mlflow/runs/get?run_id=a`).catch(
      () => undefined,
    );
    await upstream.arrived(1);
    gateway.process.kill("SIGINT");
    await delay(200);
    gateway.process.kill("SIGINT");
    expect((await gateway.finished).code).toBe(130);
    await underWay;
  });

  it("SIGHUP takes another configuration, reopens the log, and drops no request", async () => {
    const upstream = await slowUpstream();
    const folder = await temporaryFolder();
    const config = join(folder, "gateway.yaml");
    const write = (tokens: string) =>
      writeFile(config, `upstream: ${upstream.uri}\ntokens: ${tokens}\naccessLog: access.log\n`);
    await write("{ tok-of-before-12345: { team: before } }");
    const gateway = await running(["--config", config], {}, folder);
    const ask = (token: string) =>
      fetch(`${gateway.uri}/api/2.0/mlflow/runs/get?run_id=a`, {
        headers: { authorization: `Bearer ${token}` },
      });
    const underWay = ask("tok-of-before-12345");
    await upstream.arrived(1);
    await write("{ tok-of-after-123456: { team: after } }");
    await rename(join(folder, "access.log"), join(folder, "access.1.log"));
    gateway.process.kill("SIGHUP");
    await gateway.told("the configuration was read anew");
    expect((await ask("tok-of-before-12345")).status).toBe(401);
    const { refusals } = await (await gateway.ask("/genops/summary")).json();
    expect(refusals).toMatchObject([
      { policy: "callers", reasonCode: "x_unknown_caller", count: 1 },
    ]);
    const other = ask("tok-of-after-123456");
    await upstream.arrived(2);
    upstream.answer();
    expect([(await underWay).status, (await other).status]).toEqual([200, 200]);
    // One that is wrong changes nothing, and says where it is wrong.
    await write("{ tok-of-nobody: { tem: x } }");
    gateway.process.kill("SIGHUP");
    await gateway.told("gateway.yaml:2:");
    const still = ask("tok-of-after-123456");
    await upstream.arrived(1);
    upstream.answer();
    expect((await still).status).toBe(200);
    gateway.process.kill("SIGTERM");
    const { code, stderr } = await gateway.finished;
    expect(code).toBe(0);
    expect(stderr).toContain("the gateway goes on as it was");
    expect(stderr).not.toContain("tok-of-");
    const before = await readFile(join(folder, "access.1.log"), "utf8");
    const after = await readFile(join(folder, "access.log"), "utf8");
    expect(before).toContain('"before"');
    expect(after).toContain('"after"');
  });
});

describe("a budget that is raised while the gateway runs", () => {
  it.each(["on", "off"])(
    "lets calls through again, and keeps what was spent (journal %s)",
    async (journal) => {
      const upstream = await slowUpstream();
      const answering = setInterval(() => upstream.answer(), 5);
      onTestFinished(() => clearInterval(answering));
      const folder = await temporaryFolder();
      const config = join(folder, "gateway.yaml");
      const write = (limit: string) =>
        writeFile(
          config,
          `upstream: ${upstream.uri}
budgets: [{ name: day, limit: "${limit}", period: day, action: block }]
`,
        );
      await write("0.0003");
      const env = { GENOPS_JOURNAL: journal, GENOPS_STATE_DIR: join(folder, "state") };
      const gateway = await running(["--config", config], env, folder);
      const write1 = () =>
        fetch(`${gateway.uri}/g/team=a/api/2.0/mlflow/runs/set-tag`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            run_id: "0123456789abcdef0123456789abcdef",
            key: "k",
            value: "v",
          }),
        }).then(({ status }) => status);
      const statuses = [];
      for (let call = 0; call < 5; call++) statuses.push(await write1());
      expect(statuses).toEqual([200, 200, 200, 403, 403]);
      await write("0.0005");
      gateway.process.kill("SIGHUP");
      await gateway.told("the configuration was read anew");
      const more = [];
      for (let call = 0; call < 3; call++) more.push(await write1());
      const summary = await (await gateway.ask("/genops/summary")).json();
      expect({ more, spent: summary.budgets[0].spent, total: summary.totalCost }).toEqual({
        more: [200, 200, 403],
        spent: "0.0005",
        total: "0.0005",
      });
      expect(summary.today).toMatchObject({ cost: "0.0005", costElsewhere: "0", operations: 5 });
    },
  );
});

describe("the command line", () => {
  it("says what a client must set, and shows no secret", async () => {
    const upstream = await slowUpstream();
    const args = ["gateway", "--upstream", upstream.uri, "--port", "0"];
    const started = genops.start(args, await temporaryFolder(), {
      GENOPS_GATEWAY_ADMIN_TOKEN: "short",
      GENOPS_GATEWAY_TOKENS: '{"tok":{"team":"a"}}',
    });
    const lines = createInterface({ input: started.process.stdout as NodeJS.ReadableStream });
    const [first] = await once(lines, "line");
    expect(first).toMatch(/^genops gateway \d.* listens on http:\/\/127\.0\.0\.1:\d+, before http/);
    started.process.kill("SIGTERM");
    const { code, stdout, stderr } = await started.finished;
    expect(code).toBe(0);
    expect(stdout).toMatch(/ {2}export MLFLOW_TRACKING_URI=http:\/\/127\.0\.0\.1:\d+\n/);
    expect(stdout).toContain("export MLFLOW_TRACKING_TOKEN=");
    expect(stdout).toContain("/genops/ asks for the admin token");
    expect(stderr).toContain("shorter than 16 characters");
    expect(stdout + stderr).not.toMatch(/short\b(?!er)|tok\b/);
  });

  it("checks without listening; exit codes tell right from wrong", async () => {
    const cwd = await temporaryFolder();
    const valid = await genops.run(["gateway", "--upstream", "http://m:1", "--check"], cwd);
    expect(valid).toMatchObject({ code: 0, stdout: "The configuration is valid.\n", stderr: "" });
    await writeFile(join(cwd, "gateway.yaml"), "upstream: http://m:1\nprot: 1\n");
    for (const [args, words] of [
      [[], "--upstream, GENOPS_GATEWAY_UPSTREAM"],
      [
        ["--config", "gateway.yaml"],
        'gateway.yaml:2:1: gateway configuration: unknown option "prot"',
      ],
      [["--upstream", "http://m:1", "--port", "x"], '--port: "x" is no number'],
      [["--upstrem", "http://m:1"], "Did you mean --upstream?"],
      [["--upstream", "http://m:1", "--host", "0.0.0.0"], "listenWithoutAuthentication"],
      [["--upstream", "http://m:1", "surplus"], "too many arguments"],
    ] as const) {
      const { code, stdout, stderr } = await genops.run(["gateway", ...args], cwd);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(words);
    }
    const taken = await slowUpstream();
    const port = new URL(taken.uri).port;
    const refused = await genops.run(["gateway", "--upstream", "http://m:1", "--port", port], cwd);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain(`port ${port} of 127.0.0.1 is taken`);
  });

  it("its help fits a terminal and shows examples", async () => {
    const { code, stdout } = await genops.run(["gateway", "--help"], await temporaryFolder());
    expect(code).toBe(0);
    expect(stdout).toContain("$ genops gateway --upstream http://mlflow:5000 --port 5001");
    for (const line of stdout.split("\n")) expect([...line].length).toBeLessThanOrEqual(82);
  });
});
