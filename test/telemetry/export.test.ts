// The adapter's own export, in batches or at once, and what it logs for debugging.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { DiagLogLevel, diag } from "@opentelemetry/api";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  type AdapterOptions,
  autoInstrumentMlflow,
  createMlflowCostContext,
  GenOpsMlflowAdapter,
} from "../../src/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { call, endRun, startRun } from "../costs/nothing-store.js";

let adapter: GenOpsMlflowAdapter | undefined;

afterEach(() => {
  adapter?.uninstrumentFramework();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  diag.disable();
});

/** Takes what is exported, and tells of which path each request was. */
async function receiver() {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      paths.push(request.url ?? "");
      response.writeHead(200).end();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", `http://127.0.0.1:${port}`);
  return { spans: () => paths.filter((path) => path === "/v1/traces").length, paths };
}

async function aRun(calls: number): Promise<void> {
  const run_id = await startRun("1");
  for (let made = 0; made < calls; made++) await call("runs/log-metric", { run_id });
  await endRun(run_id);
}

function install(options: AdapterOptions): GenOpsMlflowAdapter {
  adapter = new GenOpsMlflowAdapter({ team: "t", project: "p", ...options });
  adapter.instrumentFramework();
  return adapter;
}

describe("asyncExport", () => {
  it.each([
    ["true sends what waits together", true, 1],
    ["false sends each span as it ends", false, 6],
  ])("%s", async (_, asyncExport, requests) => {
    const { spans, paths } = await receiver();
    const made = install({ asyncExport });
    await aRun(5);
    await made.flush();
    expect(spans()).toBe(requests);
    // Metrics come along, as their packages are installed.
    expect(paths).toContain("/v1/metrics");
  });

  it("sends events as log records beside the spans, when they are asked for", async () => {
    const { paths } = await receiver();
    const { told, logger } = recorder();
    const made = install({ asyncExport: false, eventRecords: "logs", logger });
    await aRun(1);
    await made.flush();
    // A decision, a reservation and a reconciliation of the run and of its call.
    expect(paths.filter((path) => path === "/v1/logs")).toHaveLength(6);
    expect(told.filter((text) => text.startsWith("warn"))).toEqual([]);
  });

  it("sends no log records where the environment wants none, and tells the events on spans", async () => {
    const { spans, paths } = await receiver();
    vi.stubEnv("OTEL_LOGS_EXPORTER", "none");
    const { told, logger } = recorder();
    const made = install({ asyncExport: false, eventRecords: "logs", logger });
    await aRun(1);
    await made.flush();
    expect(spans()).toBe(2);
    expect(paths).not.toContain("/v1/logs");
    expect(told.join()).toContain("no logger provider is registered, so events are told on spans");
  });

  it("false does not wait for somebody to flush", async () => {
    const { spans } = await receiver();
    install({ asyncExport: false });
    await aRun(1);
    for (let waits = 0; spans() < 2 && waits < 500; waits++) await delay(10);
    expect(spans()).toBe(2);
  });

  it("comes from the environment for one line of instrumentation", async () => {
    const { spans } = await receiver();
    vi.stubEnv("GENOPS_ASYNC_EXPORT", "false");
    vi.stubEnv("GENOPS_TEAM", "t");
    vi.stubEnv("GENOPS_PROJECT", "p");
    vi.stubEnv("MLFLOW_TRACKING_URI", await temporaryFolder());
    adapter = autoInstrumentMlflow();
    await aRun(3);
    await adapter.flush();
    expect(spans()).toBe(4);
  });

  it("is refused where a provider is given, which decides for itself", () => {
    const tracerProvider = new BasicTracerProvider();
    expect(() => install({ asyncExport: true, tracerProvider })).toThrow(/BatchSpanProcessor/);
  });

  it("starts nothing where the environment names no collector", async () => {
    const made = install({ asyncExport: true });
    await aRun(1);
    await made.flush();
    expect(made.containedFailures).toBe(0);
  });
});

const WARNING = /Governance attributes not configured: set GENOPS_TEAM and GENOPS_PROJECT/;

function recorder() {
  const told: string[] = [];
  const note =
    (level: string) =>
    (message: string, ...more: unknown[]) => {
      told.push([level, message, ...more].join(" "));
    };
  return { told, logger: { debug: note("debug"), warn: note("warn") } };
}

describe("debug logging", () => {
  it("tells a given logger each operation, with its price, run and owner", async () => {
    const { told, logger } = recorder();
    install({ logger, customerId: "acme" });
    await aRun(2);
    expect(told).toHaveLength(4);
    expect(told[0]).toMatch(
      /^debug genops: create_run ok in .* ms, 0.0001 USD, run-\d+, t \/ p \/ acme$/,
    );
    expect(told[1]).toMatch(/^debug genops: log_metric ok in /);
    expect(told[3]).toMatch(/update_run ok in .* FINISHED, t \/ p \/ acme$/);
  });

  it("goes to OpenTelemetry's diagnostic logger without one: runs, and with OTEL_LOG_LEVEL operations", async () => {
    const { told, logger } = recorder();
    const silent = () => {};
    const all = { ...logger, error: silent, info: silent, verbose: silent };
    diag.setLogger(all, { logLevel: DiagLogLevel.DEBUG, suppressOverrideMessage: true });
    told.length = 0;
    install({});
    await aRun(2);
    expect(told).toEqual([
      expect.stringMatching(/^debug genops genops: create_run ok/),
      expect.stringMatching(/^debug genops genops: update_run ok/),
    ]);
    adapter?.uninstrumentFramework();
    told.length = 0;
    vi.stubEnv("OTEL_LOG_LEVEL", "debug");
    install({});
    await aRun(2);
    expect(told).toHaveLength(4);
  });

  it.each([
    ["team", { team: undefined, project: "p" }],
    ["project", { team: "t", project: undefined }],
  ])(
    "warns when there is no %s, as a cost context without an adapter does",
    async (missing, owner) => {
      // Contexts of one configuration share a ledger, which warns once.
      vi.stubEnv("GENOPS_COST_CENTER", missing);
      const { told, logger } = recorder();
      install({ ...owner, logger });
      expect(told.filter((line) => WARNING.test(line))).toHaveLength(1);
      adapter?.uninstrumentFramework();
      const silent = () => {};
      const all = { ...logger, error: silent, info: silent, verbose: silent };
      diag.setLogger(all, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
      told.length = 0;
      await createMlflowCostContext("alone", () => aRun(1));
      expect(told.filter((line) => WARNING.test(line))).toHaveLength(1);
    },
  );

  it("that throws is contained", async () => {
    const logger = {
      debug() {
        throw new Error("full");
      },
      warn() {
        throw new Error("full");
      },
    };
    const made = install({ logger, team: undefined });
    await aRun(1);
    expect(made.containedFailures).toBeGreaterThan(0);
    expect(made.costAggregator.getSummary().operationCount).toBe(2);
  });
});
