// The audit trail of an adapter: who did what, when, at what cost; and what happens when it cannot be kept.
import { existsSync } from "node:fs";
import { readdir, readFile, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import {
  type AdapterOptions,
  type AuditDecision,
  ConfigurationError,
  instrumentMlflow,
} from "../../../src/node.js";
import { readAuditFile, verifyAuditFiles } from "../../../src/telemetry/audit/verify.js";
import { temporaryFolder, uniqueName } from "../../adapter/workplace.js";

afterEach(() => vi.unstubAllEnvs());

async function adapterWith(options: AdapterOptions) {
  const warnings: string[] = [];
  const adapter = instrumentMlflow({
    team: "ml-team",
    project: "search",
    trackingUri: join(await temporaryFolder(), "mlruns"),
    storageBackends: { "file:": "s3", "/": "s3" },
    logger: { debug: () => {}, warn: (message) => void warnings.push(message) },
    ...options,
  });
  return { adapter, warnings };
}

type Adapter = Awaited<ReturnType<typeof adapterWith>>["adapter"];

async function work(adapter: Adapter): Promise<{ runId: string; model: string }> {
  const model = uniqueName("model");
  const run = await adapter.trackMlflowRun(
    { experimentName: uniqueName("e"), runName: "r", customerId: "acme" },
    async (active) => {
      await mlflow.logMetric("m", 1);
      await mlflow.logText("x".repeat(5000), "model/weights.txt");
      await mlflow.registerModel(`runs:/${active.info.runId}/model`, model);
      await mlflow.logParam("p", 1);
      await mlflow.logParam("p", 2).catch(() => {});
      return active;
    },
  );
  return { runId: run.info.runId, model };
}

function atto(decimal: string): bigint {
  const [whole = "0", fraction = ""] = decimal.split(".");
  return BigInt(whole + fraction.padEnd(18, "0"));
}

async function decisionsOf(adapter: Adapter, records: AuditDecision[]) {
  const before = Date.now();
  const { runId, model } = await work(adapter);
  return { runId, model, records, before };
}

describe("an adapter with an audit trail", () => {
  it("tells who, what, when and how much, of all that changes something and of nothing else", async () => {
    const records: AuditDecision[] = [];
    const { adapter } = await adapterWith({ auditLog: (record) => void records.push(record) });
    const { runId, model, before } = await decisionsOf(adapter, records);
    const after = records.filter(({ phase }) => phase === "after");
    expect(after.map(({ operation, outcome }) => [operation, outcome])).toEqual([
      ["create_experiment", "ok"],
      ["create_run", "ok"],
      ["log_metric", "ok"],
      ["log_artifact", "ok"],
      ["create_registered_model", "ok"],
      ["create_model_version", "ok"],
      ["log_param", "ok"],
      ["log_param", "error"],
      ["update_run", "ok"],
    ]);
    const metric = after[2];
    expect(metric).toMatchObject({
      kind: "decision",
      operationClass: "tracking-write",
      who: { team: "ml-team", project: "search", customerId: "acme", user: expect.any(String) },
      target: { runId },
      decision: "ALLOWED",
      reasonCode: null,
      cost: "0.0001",
    });
    expect(new Date(metric?.time ?? "").toISOString()).toBe(metric?.time);
    expect(Date.parse(metric?.time ?? "")).toBeGreaterThanOrEqual(before);
    expect(after[1]?.target).toMatchObject({ runId, experimentId: expect.any(String) });
    expect(after[7]).toMatchObject({ error: "INVALID_PARAMETER_VALUE", cost: "0" });
    const sum = after.reduce((total, { cost }) => total + atto(cost), 0n);
    expect(sum).toBe(atto(adapter.costAggregator.getSummary().totalCostExact));
    // What cannot be taken back is told beforehand too.
    const early = records.filter(({ phase }) => phase === "before");
    expect(early.map(({ operation }) => operation)).toEqual([
      "create_registered_model",
      "create_model_version",
    ]);
    expect(early[1]).toMatchObject({ cost: "0.0005", target: { modelName: model } });
    expect(early[1]).not.toHaveProperty("outcome");
    expect(early[1]?.call).toBe(after[5]?.call);
    expect(records.indexOf(early[1] as AuditDecision)).toBeLessThan(
      records.indexOf(after[5] as AuditDecision),
    );
  });

  it.each([
    ["a path", (path: string) => ({ auditLog: path })],
    ["an object", (path: string) => ({ auditLog: { path } })],
    [
      "the environment",
      (path: string) => {
        vi.stubEnv("GENOPS_AUDIT_LOG", path);
        return {};
      },
    ],
  ])("writes a chained file, asked for by %s", async (_, options) => {
    const path = join(await temporaryFolder(), "deep", "audit.jsonl");
    const { adapter, warnings } = await adapterWith(options(path));
    await work(adapter);
    const { chains, broken } = verifyAuditFiles([path]);
    expect(broken).toBeUndefined();
    expect(chains).toEqual([
      { files: [path], records: 12, head: readAuditFile(path).lines.at(-1)?.hash },
    ]);
    expect(warnings).toEqual([]);
  });

  it("shares a file with other adapters of its process, in one chain", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "audit.jsonl");
    const both = [
      await adapterWith({ auditLog: path }),
      await adapterWith({ auditLog: path, team: "b" }),
    ];
    for (const { adapter } of both) await work(adapter);
    expect(verifyAuditFiles([path])).toMatchObject({
      broken: undefined,
      chains: [{ records: 23 }],
    });
    expect((await readdir(folder)).sort()).toEqual(["audit.jsonl", "audit.jsonl.lock"]);
  });

  it("is written nowhere unless asked for", async () => {
    const { adapter } = await adapterWith({});
    await work(adapter);
    expect(adapter.containedFailures).toBe(0);
  });
});

describe("options", () => {
  it.each([
    ["auditLog", { auditLog: 5 }, "5 is neither a path nor a function"],
    ["auditLog", { auditLog: null }, "null is neither"],
    ["auditLog", { auditLog: " " }, '" " is no path'],
    ["auditLog", { auditLog: {} }, "undefined is no path"],
    ["maxByte", { auditLog: { path: "a", maxByte: 1 } }, 'did you mean "maxBytes"?'],
    ["auditLog.maxBytes", { auditLog: { path: "a", maxBytes: 4095 } }, "from 4096 up"],
    ["auditLog.maxBytes", { auditLog: { path: "a", maxBytes: "1 MB" } }, '"1 MB" is not'],
    ["auditLog", { auditLog: "/dev/null/audit.jsonl" }, "choose a path that you may write to"],
    ["auditLogs", { auditLogs: "a" }, 'did you mean "auditLog"?'],
  ])("refuse %s in %j", (field, options, says) => {
    const make = () => instrumentMlflow(options as AdapterOptions);
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(says);
    try {
      make();
    } catch (error) {
      expect((error as ConfigurationError).field).toBe(field);
    }
  });
});

describe("a trail that cannot be kept", () => {
  it.each([
    [
      "a function that throws",
      () => {
        throw new Error("no room");
      },
    ],
    ["a function that rejects", async () => Promise.reject(new Error("no room"))],
  ])("never reaches the program, and is told once: %s", async (_, auditLog) => {
    const { adapter, warnings } = await adapterWith({ auditLog });
    await work(adapter);
    await vi.waitFor(() => expect(adapter.containedFailures).toBe(11));
    expect(warnings).toEqual([expect.stringMatching(/audit trail cannot be written.*no room/)]);
    expect(adapter.costAggregator.getSummary().operationCount).toBeGreaterThan(5);
  });

  it.runIf(existsSync("/dev/full"))(
    "for a full disk is told once with file, cause and fix, and goes on when there is room",
    async () => {
      const folder = await temporaryFolder();
      const path = join(folder, "audit.jsonl");
      // What is written there finds no space left on the device.
      await symlink("/dev/full", path);
      const { adapter, warnings } = await adapterWith({ auditLog: path });
      await work(adapter);
      expect(warnings).toEqual([
        `genops: the audit trail cannot be written; the program goes on. ${JSON.stringify(path)}: the disk is full (ENOSPC). Make room there, or choose another file with auditLog (GENOPS_AUDIT_LOG, --audit-log).`,
      ]);
      // At the start, and for each record.
      expect(adapter.containedFailures).toBe(12);
      expect(adapter.costAggregator.getSummary().operationCount).toBeGreaterThan(5);
      await rm(path);
      await work(adapter);
      expect(warnings).toHaveLength(1);
      expect(verifyAuditFiles([path]).broken).toBeUndefined();
      const records = readAuditFile(path).lines.map(({ record }) => record);
      expect(records.slice(0, 3)).toMatchObject([
        { kind: "started" },
        { kind: "gap", lost: 11 },
        { kind: "decision", operation: "create_experiment" },
      ]);
    },
  );

  it("is told on the console where no logger is given: nobody listens to OpenTelemetry's unless asked to", async () => {
    const told = vi.spyOn(console, "warn").mockImplementation(() => {});
    onTestFinished(() => told.mockRestore());
    await adapterWith({ auditLog: "/sys/genops/audit.jsonl", logger: undefined });
    expect(told.mock.calls).toEqual([
      [expect.stringContaining("genops: the audit trail cannot be written")],
    ]);
  });

  it("for a folder that nobody may write to is told once, and governance goes on", async () => {
    // Not even the system's administrator makes a folder there.
    const { adapter, warnings } = await adapterWith({ auditLog: "/sys/genops/audit.jsonl" });
    await work(adapter);
    expect(warnings).toEqual([
      expect.stringMatching(
        /the program goes on\. "\/sys\/genops\/audit\.jsonl": (permission denied|the file system is read-only) \(E\w+\)\. .* choose another file with auditLog/,
      ),
    ]);
    expect(adapter.costAggregator.getSummary().operationCount).toBeGreaterThan(5);
  });
});

describe("the file", () => {
  it("holds canonical JSON, a record a line", async () => {
    const path = join(await temporaryFolder(), "audit.jsonl");
    const { adapter } = await adapterWith({ auditLog: path });
    await work(adapter);
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      sequence: 1,
      previous: "0".repeat(64),
      record: { kind: "started", pid: process.pid },
    });
    for (const line of lines) {
      const { record } = JSON.parse(line);
      expect(Object.keys(record)).toEqual(Object.keys(record).sort());
    }
  });
});
