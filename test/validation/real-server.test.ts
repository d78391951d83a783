// A set-up that works: a real MLflow server, with and without a login in front, and a real Collector.
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import { parseTelemetry } from "../../src/conformance/index.js";
import * as mlflow from "../../src/mlflow/node.js";
import { createMlflowCostContext, instrumentMlflow, validateSetup } from "../../src/node.js";
import { faultyServer } from "../mlflow/faulty-server.js";
import { prepareCollector, startCollector } from "../support/collector.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const collectorProgram = await prepareCollector();
afterEach(() => vi.unstubAllEnvs());

function configured(): void {
  vi.stubEnv("GENOPS_TEAM", "ml-team");
  vi.stubEnv("GENOPS_PROJECT", "search");
  vi.stubEnv("GENOPS_ENVIRONMENT", "production");
}

const EVERYTHING = [
  ["runtime", "passed"],
  ["packages", "passed"],
  ["options", "passed"],
  ["environment", "passed"],
  ["attributes", "passed"],
  ["keptFiles", "passed"],
  ["trackingServer", "passed"],
  ["artifactStore", "passed"],
  ["registry", "passed"],
  ["accounting", "passed"],
  ["limits", "passed"],
  ["sampling", "passed"],
  ["conformance", "passed"],
];

describe.runIf(requiresMlflow())("a real MLflow server", () => {
  const server = inject("mlflowServerUri") as string;

  it("passes everything, and keeps nothing of it in sight", async () => {
    configured();
    const result = await validateSetup({ trackingUri: server });
    expect(result.issues.filter(({ severity }) => severity !== "info")).toEqual([]);
    expect(result).toMatchObject({ passed: true, isValid: true });
    expect(result.checks.slice(0, -2).map(({ name, status }) => [name, status])).toEqual(
      EVERYTHING,
    );
    expect(result.configuration).toMatchObject({
      trackingUri: server,
      mlflowVersion: "3.17.2",
      artifactRoot: "mlflow-artifacts:",
      "genops.team": "ml-team",
    });
    const client = new mlflow.MlflowClient({ trackingUri: server });
    const probes = { filterString: "name LIKE 'genops-validate-%'" };
    expect(await client.searchExperiments(probes)).toHaveLength(0);
    expect(await client.searchRegisteredModels(probes)).toHaveLength(0);
    const deleted = await client.searchExperiments({ ...probes, viewType: "DELETED_ONLY" });
    for (const { artifactLocation } of deleted) {
      const left = await mlflow.artifacts.listArtifacts({
        artifactUri: artifactLocation,
        trackingUri: server,
      });
      expect(left).toEqual([]);
    }
    expect(deleted.length).toBeGreaterThan(0);
  });

  it("is billed to nobody, whoever governs the process", async () => {
    configured();
    const adapter = instrumentMlflow();
    adapter.instrumentFramework();
    try {
      const context = createMlflowCostContext("start-up");
      await validateSetup({ trackingUri: server });
      expect(context.getSummary().operationCount).toBe(0);
      context.end();
      expect(adapter.costAggregator.getSummary().totalCostExact).toBe("0");
      expect(adapter.operationCount).toBe(0);
    } finally {
      adapter.uninstrumentFramework();
    }
  });

  it("asks for a login, and takes the right one", async () => {
    configured();
    const login = `Basic ${btoa("ada:s3cret-word")}`;
    const { uri } = await faultyServer(
      ({ headers }) =>
        headers.authorization === login ? "forward" : { status: 401, body: "Who are you?" },
      server,
    );
    const without = await validateSetup({ trackingUri: uri, checkGovernance: false });
    expect(without.issues[0]).toMatchObject({
      code: "TRACKING_UNAUTHENTICATED",
      severity: "error",
    });
    vi.stubEnv("MLFLOW_TRACKING_USERNAME", "ada");
    vi.stubEnv("MLFLOW_TRACKING_PASSWORD", "s3cret-word");
    const withLogin = await validateSetup({ trackingUri: uri, checkGovernance: false });
    expect(withLogin).toMatchObject({
      passed: true,
      connectivity: { trackingServer: "passed", artifactStore: "passed", registry: "passed" },
    });
    expect(JSON.stringify(withLogin)).not.toContain("s3cret-word");
  });

  it("takes traces too, once it is told for which experiment", async () => {
    configured();
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", server);
    const refused = await validateSetup({ checkConnectivity: false, checkGovernance: false });
    expect(refused.checks.at(-2)).toMatchObject({ name: "export", status: "failed" });
    vi.stubEnv("OTEL_EXPORTER_OTLP_HEADERS", "x-mlflow-experiment-id=0");
    const taken = await validateSetup({ checkConnectivity: false, checkGovernance: false });
    expect(taken.checks.at(-2)).toMatchObject({ name: "export", status: "passed" });
  });
});

it.runIf(collectorProgram !== undefined)(
  "sends a span and a log record that a real Collector takes",
  async () => {
    configured();
    vi.stubEnv("GENOPS_EVENT_RECORDS", "logs");
    const collector = await startCollector(collectorProgram as string);
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint);
    let text = "";
    try {
      const result = await validateSetup({ checkConnectivity: false, checkGovernance: false });
      expect(result.issues).toEqual([]);
    } finally {
      text = await collector.stop();
    }
    const payloads = parseTelemetry(text) as {
      resourceLogs?: { scopeLogs: { logRecords: { eventName: string }[] }[] }[];
      resourceSpans?: { scopeSpans: { spans: { name: string; attributes?: [] }[] }[] }[];
    }[];
    const spans = payloads
      .flatMap(({ resourceSpans = [] }) => resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
    const records = payloads
      .flatMap(({ resourceLogs = [] }) => resourceLogs)
      .flatMap(({ scopeLogs }) => scopeLogs.flatMap((scope) => scope.logRecords));
    expect(records.map(({ eventName }) => eventName)).toEqual(["genops.validate"]);
    expect(spans.map(({ name, attributes = [] }) => [name, attributes])).toEqual([
      ["genops.validate", []],
    ]);
  },
);
