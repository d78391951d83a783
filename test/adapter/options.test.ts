// What cannot be an option is refused by name, before anything is changed; the environment's like the code's.
import { afterEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { autoInstrumentMlflow, ConfigurationError, instrumentMlflow } from "../../src/node.js";
import { callsOf } from "../mlflow/each-store.js";
import { answerLikeMlflow, faultyServer } from "../mlflow/faulty-server.js";
import { temporaryFolder } from "./workplace.js";

afterEach(() => vi.unstubAllEnvs());

function refusalOf(make: () => unknown): ConfigurationError {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return error as ConfigurationError;
  }
  throw new Error("It was accepted.");
}

const options: [field: string, options: unknown, says: string][] = [
  ["options", [], "give an object"],
  ["options", new Map(), "give an object"],
  ["options", null, "give an object"],
  ["samplingRate", { samplingRate: null }, "null is not a share"],
  ["samplingRate", { samplingRate: "0.5" }, '"0.5" is not a share'],
  ["runCapacity", { runCapacity: null }, "null is not a whole number"],
  ["team", { team: 5 }, "5 is not a name"],
  ["team", { team: {} }, "(an object) is not a name"],
  ["team", { team: [] }, "(an object) is not a name"],
  ["team", { team: "(unattributed)" }, "choose another"],
  ["customerId", { customerId: "(overflow)" }, "choose another"],
  ["project", { project: "a\0b" }, "printable"],
  ["project", { project: "\ud800" }, "printable"],
  ["storageBackends", { storageBackends: null }, "give an object"],
  ["storageBackends", { storageBackends: [] }, "give an object"],
  ["storageBackends", { storageBackends: "mlflow-artifacts:=s3" }, "give an object"],
  ["storageBackends", { storageBackends: { "": "s3" } }, "prefix is empty"],
  ["storageBackends", { storageBackends: { "mlflow-artifacts:": "S3" } }, 'did you mean "s3"?'],
  ["tracerProvider", { tracerProvider: {} }, "has no getTracer()"],
  ["tracerProvider", { tracerProvider: null }, "has no getTracer()"],
  ["meterProvider", { meterProvider: {} }, "has no getMeter()"],
  ["logger", { logger: {} }, "has no debug() and warn()"],
  ["pricing", { pricing: [] }, "give an object"],
  ["pricing", { pricing: null }, "give an object"],
  ["trackingApiCal", { pricing: { trackingApiCal: 1 } }, 'did you mean "trackingApiCall"?'],
  [
    "pricing.trackingApiCall",
    { pricing: { trackingApiCall: -1 } },
    "-1 is not a non-negative decimal",
  ],
  ["pricing.trackingApiCall", { pricing: { trackingApiCall: "x" } }, "x"],
  ["pricing.storageDays", { pricing: { storageDays: -1 } }, "-1 is not a non-negative decimal"],
  ["pricing.storage", { pricing: { storage: null } }, "no object of names and prices"],
  ["pricing.storage", { pricing: { storage: { S3: 1 } } }, 'did you mean "s3"?'],
  ["pricing.storage.s3", { pricing: { storage: { s3: Number.NaN } } }, "NaN"],
  ["pricing.operations", { pricing: { operations: null } }, "no object of names and prices"],
  ["log_metrik", { pricing: { operations: { log_metrik: 1 } } }, 'did you mean "log_metric"?'],
  ["costCalculator", { costCalculator: null }, "give an object of prices"],
  ["costCalculator", { costCalculator: 5 }, "give an object of prices"],
  ["costCalculator", { costCalculator: class Ours {} }, "new Ours()"],
  ["costCalculator", { costCalculator: {}, pricing: {} }, "give one of the two"],
  ["costCalculator.pricing", { costCalculator: { pricing: [] } }, "give an object of prices"],
  ["trackingApiCal", { costCalculator: { trackingApiCal: 1 } }, '"trackingApiCall"?'],
  [
    "costCalculator.pricing.storage.s3",
    { costCalculator: { pricing: { storage: { s3: "much" } } } },
    '"much" is not a non-negative decimal',
  ],
  ["trackingUri", { trackingUri: "ftp://user:secret@x" }, "ftp://x"],
  ["registryUri", { registryUri: "zzz://q" }, "zzz://q"],
];

describe("an option", () => {
  it.each(options)("%s is refused when it is %o", async (field, given, says) => {
    mlflow.setTrackingUri(await temporaryFolder());
    const before = mlflow.getTrackingUri();
    const refusal = refusalOf(() => instrumentMlflow(given as object));
    expect(refusal.field).toBe(field);
    expect(refusal.message).toContain(says);
    expect(refusal.message).not.toContain("secret");
    expect(String(refusal.value)).not.toContain("secret");
    expect(mlflow.getTrackingUri()).toBe(before);
  });
});

const variables: [variable: string, value: string, says: string][] = [
  ["GENOPS_SAMPLING_RATE", "abc", '"abc" is not a share'],
  ["GENOPS_SAMPLING_RATE", "0x1", '"0x1" is not a share'],
  ["GENOPS_RUN_CAPACITY", "1.5", '"1.5" is not a whole number'],
  ["GENOPS_PRICING", "notjson", "is not JSON"],
  ["GENOPS_PRICING", "null", "give an object"],
  [
    "GENOPS_PRICING",
    '{"trackingApiCall":-1}',
    "GENOPS_PRICING.trackingApiCall: -1 is not a non-negative decimal",
  ],
  ["GENOPS_STORAGE_BACKENDS", "s3", "is not prefix=backend"],
  ["GENOPS_STORAGE_BACKENDS", "mlflow-artifacts:=S3", 'did you mean "s3"?'],
  ["GENOPS_TEAM", "(overflow)", "choose another"],
  ["MLFLOW_TRACKING_URI", "ftp://x", "MLFLOW_TRACKING_URI: "],
  ["MLFLOW_REGISTRY_URI", "zzz://q", "MLFLOW_REGISTRY_URI: "],
];

describe("a variable of the environment", () => {
  it.each(variables)("%s is refused when it is %j", (variable, value, says) => {
    vi.stubEnv(variable, value);
    const refusal = refusalOf(() => autoInstrumentMlflow());
    expect(refusal.field.startsWith(variable)).toBe(true);
    expect(refusal.message).toContain(says);
  });

  it("counts as unset when it is blank", async () => {
    for (const [variable] of variables) vi.stubEnv(variable, "");
    vi.stubEnv("GENOPS_SAMPLING_RATE", " ");
    vi.stubEnv("GENOPS_RUN_CAPACITY", " ");
    vi.stubEnv("GENOPS_PRICING", " ");
    expect(() => instrumentMlflow({ team: "t", project: "p" })).not.toThrow();
  });
});

describe("a tracked run", () => {
  it.each([null, 5, "body"])("is not begun with %j as its body", async (callback) => {
    const trackingUri = await temporaryFolder();
    const adapter = instrumentMlflow({ trackingUri, team: "t", project: "p" });
    const calls = await callsOf(async () => {
      const attempt = adapter.trackMlflowRun({}, callback as unknown as () => void);
      await expect(attempt).rejects.toMatchObject({ code: "INVALID_OPTION", field: "callback" });
    });
    expect([calls, adapter.getMetrics().runCount]).toEqual([[], 0]);
  });
});

describe("a price that is asked for", () => {
  const adapter = () => instrumentMlflow({ team: "t", project: "p" });
  it.each([
    ["artifactSizeMb", { operationType: "log_artifact", artifactSizeMb: "10" }],
    ["sizeBytes", { operationType: "log_artifact", sizeBytes: 1.5 }],
    ["sizeBytes", { operationType: "log_artifact", sizeBytes: 1, artifactSizeMb: 1 }],
    ["question", null],
  ])("needs a real %s", (field, question) => {
    expect(refusalOf(() => adapter().calculateCost(question as never)).field).toBe(field);
  });
});

it("a tracking URI keeps the credentials that were said with it", async () => {
  const server = await faultyServer(answerLikeMlflow);
  mlflow.setTrackingUri(server.uri, { token: "mine" });
  const adapter = instrumentMlflow({ trackingUri: server.uri, team: "t", project: "p" });
  await adapter.trackMlflowRun({ experimentName: "e" }, () => {});
  const seen = new Set(server.requests.map(({ headers }) => headers.authorization));
  expect([...seen]).toEqual(["Bearer mine"]);
});
