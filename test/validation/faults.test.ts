// One fault at a time: each is told by its own issue, with severity, cause and the line that mends it.
import { chmod, chown, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type ValidateSetupOptions, type ValidationIssue, validateSetup } from "../../src/node.js";
import { closedServer, temporaryFolder } from "../adapter/workplace.js";
import { faultyServer, type Reaction } from "../mlflow/faulty-server.js";
import { HTML, mlflowLike, receiver } from "./servers.js";

afterEach(() => vi.unstubAllEnvs());

const PROXIED = "mlflow-artifacts:";

function configured(): void {
  vi.stubEnv("GENOPS_TEAM", "ml-team");
  vi.stubEnv("GENOPS_PROJECT", "search");
  vi.stubEnv("GENOPS_ENVIRONMENT", "production");
}

/** Root may write everywhere, so it steps aside meanwhile. */
async function asSomebody<T>(folder: string, action: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return action();
  await chown(folder, 65_534, 65_534);
  process.seteuid?.(65_534);
  try {
    return await action();
  } finally {
    process.seteuid?.(0);
  }
}

/** What is wrong, apart from telemetry that nobody has asked for. */
async function issuesOf(options: ValidateSetupOptions): Promise<ValidationIssue[]> {
  const result = await validateSetup({ checkGovernance: false, ...options });
  expect(result.passed).toBe(result.issues.every(({ severity }) => severity !== "error"));
  expect(result.isValid).toBe(result.passed);
  for (const issue of result.issues) {
    for (const text of [issue.code, issue.message, issue.cause, issue.fix])
      expect(text).not.toBe("");
  }
  return result.issues.filter(({ code }) => code !== "OTLP_NOT_CONFIGURED");
}

describe("a tracking server that", () => {
  async function only(uri: string, options: ValidateSetupOptions = {}): Promise<ValidationIssue> {
    configured();
    const issues = await issuesOf({ trackingUri: uri, ...options });
    expect(issues).toHaveLength(1);
    return issues[0] as ValidationIssue;
  }

  it("is down", async () => {
    const uri = await closedServer();
    expect(await only(uri)).toEqual({
      code: "TRACKING_SERVER_DOWN",
      severity: "error",
      area: "connectivity",
      check: "trackingServer",
      message: "The tracking server does not answer.",
      cause: expect.stringContaining(`No MLflow server answers at ${uri} (ECONNREFUSED)`),
      fix: `mlflow server --host 127.0.0.1 --port ${new URL(uri).port}`,
    });
  });

  it("has a name that nobody knows", async () => {
    expect(await only("http://mlflow.invalid:5000")).toMatchObject({
      code: expect.stringMatching(/^TRACKING_(HOST_UNKNOWN|SERVER_DOWN)$/),
      severity: "error",
    });
  });

  it.each([200, 404])("is something else that answers %i with HTML", async (status) => {
    const { uri } = await faultyServer(() => ({ status, body: HTML }));
    expect(await only(uri)).toMatchObject({
      code: "TRACKING_NOT_MLFLOW",
      severity: "error",
      cause: expect.stringContaining("nginx"),
      fix: expect.stringMatching(/^export MLFLOW_TRACKING_URI=http:\/\/localhost:5000 /),
    });
  });

  it("wants to know who is there, or does not believe it", async () => {
    const { uri } = await faultyServer(() => ({ status: 401, body: "You are not authenticated." }));
    expect(await only(uri)).toMatchObject({
      code: "TRACKING_UNAUTHENTICATED",
      severity: "error",
      message: "The tracking server wants to know who is there.",
      cause: expect.stringContaining("status 401"),
      fix: expect.stringContaining("export MLFLOW_TRACKING_USERNAME="),
    });
    vi.stubEnv("MLFLOW_TRACKING_TOKEN", "token-that-nobody-may-see");
    const refused = await only(uri);
    expect(refused.message).toBe("The tracking server does not accept these credentials.");
  });

  it("does not allow it", async () => {
    const body = JSON.stringify({ error_code: "PERMISSION_DENIED", message: "Permission denied" });
    const { uri } = await faultyServer(() => ({ status: 403, body }));
    expect(await only(uri)).toMatchObject({
      code: "TRACKING_FORBIDDEN",
      severity: "error",
      fix: expect.stringContaining(`ask who runs ${uri}`),
    });
  });

  it("does not want to be called by this name", async () => {
    const body = "Invalid Host header - possible DNS rebinding attack detected";
    const { uri } = await faultyServer(() => ({ status: 403, body }));
    expect(await only(uri)).toMatchObject({
      code: "TRACKING_HOST_REFUSED",
      severity: "error",
      fix: `mlflow server --allowed-hosts "${new URL(uri).host}"`,
    });
  });

  it.each([
    ["1.30.0", "error"],
    ["2.8.1", "warning"],
  ])("is MLflow %s", async (version, severity) => {
    const { uri } = await mlflowLike(PROXIED, ({ path, method }) => {
      if (path === "/version") return { status: 200, body: version };
      return method === "GET" && path.includes("/mlflow-artifacts/")
        ? { status: 404, body: "{}" }
        : undefined;
    });
    expect(await only(uri, { readOnly: true })).toMatchObject({
      code: "MLFLOW_TOO_OLD",
      severity,
      cause: `The server says that it is MLflow ${version}.`,
      fix: expect.stringMatching(/^pip install --upgrade "mlflow>=2\.9\.0"/),
    });
  });

  it("never answers", async () => {
    const { uri } = await faultyServer(() => "hang");
    expect(await only(uri, { timeoutMs: 500 })).toMatchObject({
      code: expect.stringMatching(/^(TRACKING_TIMEOUT|CHECK_TIMED_OUT)$/),
      severity: "error",
      check: "trackingServer",
      fix: expect.stringContaining("genops validate --timeout"),
    });
  });
});

describe("a folder that", () => {
  it("is a file, or would be in one", async () => {
    configured();
    const file = join(await temporaryFolder(), "notes.txt");
    await writeFile(file, "");
    for (const trackingUri of [file, join(file, "mlruns")]) {
      expect(await issuesOf({ trackingUri })).toMatchObject([
        {
          code: "TRACKING_FOLDER_UNWRITABLE",
          severity: "error",
          check: "trackingServer",
          cause: `${file} is a file and no folder.`,
          fix: "export MLFLOW_TRACKING_URI=./mlruns",
        },
      ]);
    }
  });

  it("cannot be written", async () => {
    configured();
    const folder = await temporaryFolder();
    await chmod(folder, 0o500);
    const [issue] = await asSomebody(folder, () =>
      issuesOf({ trackingUri: join(folder, "mlruns") }),
    );
    await chmod(folder, 0o700);
    // The system answers a question about rights for the real user, which a superuser still is.
    const isSeen = process.getuid?.() !== 0;
    expect(issue).toMatchObject({
      code: isSeen ? "TRACKING_FOLDER_UNWRITABLE" : "PROBE_FAILED",
      severity: "error",
      fix: expect.stringContaining(isSeen ? `chmod u+rwx "${folder}"` : `ls -ld ${folder}`),
    });
  });
});

describe("an artifact store that", () => {
  it("cannot be written", async () => {
    configured();
    const server = await mlflowLike(PROXIED, ({ method, path }) =>
      path.includes("/mlflow-artifacts/") && method === "PUT"
        ? { status: 500, body: "PermissionError: [Errno 13] Permission denied: '/mnt/artifacts'" }
        : undefined,
    );
    const [issue, ...others] = await issuesOf({ trackingUri: server.uri });
    expect(others).toEqual([]);
    expect(issue).toMatchObject({
      code: "ARTIFACT_STORE_UNWRITABLE",
      severity: "error",
      check: "artifactStore",
      message: expect.stringContaining("mlflow-artifacts:/7/"),
      cause: expect.stringContaining("Permission denied"),
      fix: expect.stringContaining("--artifacts-destination"),
    });
    const paths = server.requests.map(({ path }) => path.split("/").at(-1));
    expect(paths).toContain("delete");
  });

  it("gives back other bytes", async () => {
    configured();
    const { uri } = await mlflowLike(PROXIED, ({ method, path }) => {
      if (!path.includes("/mlflow-artifacts/") || method !== "GET") return undefined;
      return path.endsWith("probe.txt")
        ? { status: 200, body: "stale" }
        : { status: 200, body: '{"files":[{"path":"probe.txt","is_dir":false,"file_size":5}]}' };
    });
    const issues = await issuesOf({ trackingUri: uri });
    expect(issues).toMatchObject([{ code: "ARTIFACT_STORE_CORRUPTS", severity: "error" }]);
  });

  it("cannot delete: said, and everything else is taken away", async () => {
    configured();
    const server = await mlflowLike(PROXIED, ({ method, path }) => {
      if (path.endsWith("/experiments/delete")) return { status: 501, body: "{}" };
      if (!path.includes("/mlflow-artifacts/")) return undefined;
      if (method === "DELETE") return { status: 405, body: "Method Not Allowed" };
      const body = '{"files":[{"path":"probe.txt","is_dir":false,"file_size":5}]}';
      return method === "GET" && !path.endsWith(".txt") ? { status: 200, body } : undefined;
    });
    const issues = await issuesOf({ trackingUri: server.uri });
    const left = issues.find(({ code }) => code === "PROBE_LEFT_BEHIND");
    expect(left).toMatchObject({
      severity: "warning",
      fix: expect.stringContaining("--read-only"),
    });
    expect(left?.cause).toMatch(
      /the artifact mlflow-artifacts:.*405.*the experiment genops-validate-/,
    );
    expect(server.requests.map(({ path }) => path)).toContain("/api/2.0/mlflow/runs/delete");
  });

  it("has what others have left: it stays", async () => {
    configured();
    const server = await mlflowLike(PROXIED, ({ method, path }) => {
      if (!path.includes("/mlflow-artifacts/") || method !== "GET") return undefined;
      // The same experiment id, from a database that is no more.
      const files = [
        { path: "fedcba98765432100123456789abcdef", is_dir: true },
        { path: "probe.txt", is_dir: false, file_size: 5 },
      ];
      return { status: 200, body: path.endsWith(".txt") ? "stale" : JSON.stringify({ files }) };
    });
    await validateSetup({ trackingUri: server.uri, checkGovernance: false });
    const removed = server.requests
      .filter(({ method, path }) => method === "DELETE" && path.includes("/mlflow-artifacts/"))
      .map(({ path }) => path.replace(/^.*\/artifacts\/(?=7)/, ""));
    expect(removed).toContain("7/0123456789abcdef0123456789abcdef/artifacts/probe.txt");
    expect(removed.every((path) => path.startsWith("7/0123456789abcdef"))).toBe(true);
  });

  it("is not tried where nothing may be made", async () => {
    configured();
    const { uri } = await mlflowLike(PROXIED, ({ path }) =>
      path.endsWith("/create")
        ? { status: 403, body: '{"error_code":"PERMISSION_DENIED","message":"no"}' }
        : undefined,
    );
    expect(await issuesOf({ trackingUri: uri })).toMatchObject([
      { code: "PROBE_FORBIDDEN", severity: "warning", check: "artifactStore" },
      { code: "REGISTRY_READ_ONLY", severity: "warning", check: "registry" },
    ]);
  });

  it("is left alone when asked to", async () => {
    configured();
    const server = await mlflowLike(PROXIED);
    const result = await validateSetup({
      trackingUri: server.uri,
      readOnly: true,
      checkGovernance: false,
    });
    expect(result.passed).toBe(true);
    const writes = server.requests.filter(
      ({ method, path }) => method !== "GET" && !path.endsWith("/search"),
    );
    expect(writes).toEqual([]);
    const folder = join(await temporaryFolder(), "mlruns");
    await validateSetup({ trackingUri: folder, readOnly: true, checkGovernance: false });
    await expect(readdir(folder)).rejects.toThrow("ENOENT");
  });
});

describe("a model registry that", () => {
  const missing = ({ path }: { path: string }) =>
    path.includes("/registered-models/") ? { status: 404, body: HTML } : undefined;

  it("is not there is a warning, or an error where it was asked for", async () => {
    configured();
    const { uri } = await mlflowLike(PROXIED, missing);
    expect(await issuesOf({ trackingUri: uri, readOnly: true })).toMatchObject([
      {
        code: "REGISTRY_MISSING",
        severity: "warning",
        check: "registry",
        message: `There is no model registry at ${uri}: models cannot be registered.`,
        cause: expect.stringContaining("status 404"),
        fix: expect.stringContaining("--backend-store-uri sqlite:///mlflow.db"),
      },
    ]);
    const issues = await issuesOf({
      trackingUri: await temporaryFolder(),
      registryUri: uri,
      readOnly: true,
    });
    expect(issues).toMatchObject([{ code: "REGISTRY_MISSING", severity: "error" }]);
  });

  it("does not answer", async () => {
    configured();
    const trackingUri = await temporaryFolder();
    vi.stubEnv("MLFLOW_REGISTRY_URI", await closedServer());
    expect(await issuesOf({ trackingUri, readOnly: true })).toMatchObject([
      { code: "REGISTRY_SERVER_DOWN", severity: "error", check: "registry" },
    ]);
  });
});

describe("files that outlive the process", () => {
  /** Not even the system's administrator makes a folder there. */
  const CLOSED = "/sys/genops";
  const options = { checkConnectivity: false };

  it("are tried, and nothing of that is left", async () => {
    configured();
    const folder = await temporaryFolder();
    vi.stubEnv("GENOPS_JOURNAL", join(folder, "deep", "journal"));
    vi.stubEnv("GENOPS_AUDIT_LOG", join(folder, "log", "audit.jsonl"));
    const result = await validateSetup({ ...options, checkGovernance: false });
    expect(result.checks.find(({ name }) => name === "keptFiles")).toMatchObject({
      status: "passed",
      detail: `journal in ${folder}/deep/journal, audit trail ${folder}/log/audit.jsonl`,
    });
    expect(await readdir(folder)).toEqual([]);
    const readOnly = await validateSetup({ ...options, checkGovernance: false, readOnly: true });
    expect(readOnly.checks.find(({ name }) => name === "keptFiles")?.status).toBe("skipped");
  });

  it("that cannot be written are told: the journal as a warning, the audit trail as an error", async () => {
    configured();
    vi.stubEnv("GENOPS_JOURNAL", join(CLOSED, "journal"));
    vi.stubEnv("GENOPS_AUDIT_LOG", join(CLOSED, "audit.jsonl"));
    expect(await issuesOf(options)).toMatchObject([
      {
        code: "AUDIT_NOT_WRITABLE",
        severity: "error",
        check: "keptFiles",
        cause: expect.stringContaining(`"${CLOSED}/audit.jsonl": `),
        fix: expect.stringContaining("export GENOPS_AUDIT_LOG="),
      },
      {
        code: "JOURNAL_NOT_WRITABLE",
        severity: "warning",
        cause: expect.stringContaining(CLOSED),
        fix: expect.stringContaining("export GENOPS_STATE_DIR="),
      },
    ]);
  });
});

it("a tracking URI that is no text is told once, by its option", async () => {
  configured();
  const options = { trackingUri: 5, checkGovernance: false } as unknown as ValidateSetupOptions;
  const issues = await issuesOf(options);
  expect(issues).toMatchObject([
    { code: "OPTION_INVALID", message: "trackingUri cannot be used: no adapter can be made." },
  ]);
});

describe("an OTLP endpoint that", () => {
  async function only(endpoint: string): Promise<ValidationIssue> {
    configured();
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    vi.stubEnv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=key-that-nobody-may-see");
    const issues = await issuesOf({ checkConnectivity: false });
    expect(issues).toHaveLength(1);
    expect(issues[0]).toMatchObject({ severity: "error", area: "telemetry", check: "export" });
    return issues[0] as ValidationIssue;
  }

  it("does not listen", async () => {
    const uri = await closedServer();
    const issue = await only(uri);
    expect(issue).toMatchObject({
      code: "OTLP_UNREACHABLE",
      cause: expect.stringMatching(
        /\/v1\/traces: nothing listens on port \d+ .*connection refused/,
      ),
      fix: expect.stringContaining("export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318"),
    });
  });

  it("refuses the key, which is not shown", async () => {
    const { uri } = await receiver(401, "no such key: key-that-nobody-may-see");
    const issue = await only(uri);
    expect(issue).toMatchObject({
      code: "OTLP_UNAUTHENTICATED",
      cause: expect.stringContaining("status 401: no such key: (hidden)"),
      fix: expect.stringContaining("export OTEL_EXPORTER_OTLP_HEADERS="),
    });
    expect(JSON.stringify(issue)).not.toContain("key-that-nobody-may-see");
  });

  it("takes no traces there", async () => {
    const { uri } = await receiver(404, "404 page not found");
    expect(await only(`${uri}/v1/traces`)).toMatchObject({
      code: "OTLP_NOT_FOUND",
      cause: expect.stringContaining("/v1/traces/v1/traces answered with status 404"),
      fix: expect.stringContaining("export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"),
    });
  });

  it("takes no protobuf", async () => {
    const { uri } = await receiver(415);
    expect((await only(uri)).code).toBe("OTLP_PROTOCOL_REFUSED");
  });

  it("breaks at the span itself", async () => {
    let asked = 0;
    const { uri } = await faultyServer(() => (asked++ === 0 ? { status: 200 } : { status: 413 }));
    expect((await only(uri)).code).toBe("OTLP_UNREACHABLE");
    expect(asked).toBe(2);
  });

  it("is no address", async () => {
    expect(await only("localhost:4318")).toMatchObject({
      code: "OTLP_ENDPOINT_INVALID",
      fix: "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318",
    });
  });
});

describe("events as log records", () => {
  /** What the last check found; all before it is well. */
  async function logRecords(stubs: Record<string, string> = {}) {
    configured();
    vi.stubEnv("GENOPS_EVENT_RECORDS", "logs");
    for (const [name, value] of Object.entries(stubs)) vi.stubEnv(name, value);
    const result = await validateSetup({ checkConnectivity: false, checkGovernance: false });
    return {
      check: result.checks.find(({ name }) => name === "logRecords"),
      issues: result.issues.filter(({ check }) => check === "logRecords"),
      others: result.issues.filter(({ check }) => check !== "logRecords"),
    };
  }

  /** An endpoint that takes spans, and answers so for log records. */
  function takesSpans(reaction: Reaction) {
    return faultyServer(({ path }) => (path === "/v1/traces" ? { status: 200 } : reaction));
  }

  it("are really sent, one of them", async () => {
    const { uri, requests } = await takesSpans({ status: 200 });
    const found = await logRecords({ OTEL_EXPORTER_OTLP_ENDPOINT: uri });
    expect([found.issues, found.others]).toEqual([[], []]);
    expect(found.check).toMatchObject({
      status: "passed",
      detail: `the log record genops.validate was taken by ${uri}/v1/logs`,
    });
    // An export of nothing, and the record.
    const sent = requests.filter(({ path }) => path === "/v1/logs");
    expect(sent.map(({ headers }) => headers["content-length"] === "0")).toEqual([true, false]);
  });

  it.each([
    [401, "OTLP_UNAUTHENTICATED", "export OTEL_EXPORTER_OTLP_HEADERS="],
    [404, "OTLP_NOT_FOUND", "export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="],
    [415, "OTLP_PROTOCOL_REFUSED", "export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="],
  ])("that are answered with %i are an error", async (status, code, fix) => {
    const { uri } = await takesSpans({ status, body: "no logs here" });
    const found = await logRecords({ OTEL_EXPORTER_OTLP_ENDPOINT: uri });
    expect(found.others).toEqual([]);
    expect(found.issues).toMatchObject([
      {
        code,
        severity: "error",
        area: "telemetry",
        cause: `${uri}/v1/logs answered with status ${status}: no logs here.`,
        fix: expect.stringContaining(fix),
      },
    ]);
    expect(found.check).toMatchObject({
      status: "failed",
      detail: `${uri}/v1/logs takes no log records`,
    });
  });

  it("have an endpoint of their own, which may be down, or no address", async () => {
    const { uri } = await takesSpans({ status: 200 });
    const shared = { OTEL_EXPORTER_OTLP_ENDPOINT: uri };
    const down = await logRecords({
      ...shared,
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${await closedServer()}/v1/logs`,
    });
    expect(down.issues).toMatchObject([
      {
        code: "OTLP_UNREACHABLE",
        severity: "error",
        message: expect.stringContaining("events are lost"),
        cause: expect.stringContaining("/v1/logs: nothing listens"),
      },
    ]);
    const invalid = await logRecords({
      ...shared,
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "localhost:4318",
    });
    expect(invalid.issues).toMatchObject([
      {
        code: "OTLP_ENDPOINT_INVALID",
        severity: "error",
        fix: "export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://localhost:4318/v1/logs",
      },
    ]);
    expect([...down.others, ...invalid.others]).toEqual([]);
    const neither = await logRecords({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector",
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${await closedServer()}/v1/logs`,
    });
    expect(neither.issues).toMatchObject([{ code: "OTLP_UNREACHABLE" }]);
    expect(neither.others).toMatchObject([{ code: "OTLP_ENDPOINT_INVALID", check: "export" }]);
  });

  it("break at the record itself", async () => {
    let asked = 0;
    const { uri } = await faultyServer(({ path }) =>
      path === "/v1/logs" && asked++ > 0 ? { status: 413 } : { status: 200 },
    );
    const found = await logRecords({ OTEL_EXPORTER_OTLP_ENDPOINT: uri });
    expect(found.issues).toMatchObject([{ code: "OTLP_UNREACHABLE", severity: "error" }]);
    expect(asked).toBe(2);
  });

  it("are told once where the endpoint that spans have, too, does not answer", async () => {
    const found = await logRecords({ OTEL_EXPORTER_OTLP_ENDPOINT: await closedServer() });
    expect(found.others).toMatchObject([{ code: "OTLP_UNREACHABLE", check: "export" }]);
    expect(found.check).toMatchObject({ status: "skipped" });
  });

  it.each([
    [{ OTEL_LOGS_EXPORTER: "none" }, "OTEL_LOGS_EXPORTER is none.", "unset OTEL_LOGS_EXPORTER"],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: "", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://127.0.0.1:9" },
      "OTEL_EXPORTER_OTLP_ENDPOINT is not set.",
      "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318",
    ],
  ])("that are sent nowhere stay on spans, which is a warning: %j", async (stubs, cause, fix) => {
    const { uri } = await receiver(200);
    const found = await logRecords({ OTEL_EXPORTER_OTLP_ENDPOINT: uri, ...stubs });
    expect(found.issues).toMatchObject([
      { code: "EVENTS_ON_SPANS", severity: "warning", cause, fix },
    ]);
  });

  it("go to a given logger provider, or are not asked for: nothing is sent", async () => {
    configured();
    const { uri, sizes } = await receiver(200);
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", uri);
    const loggerProvider = { getLogger: () => ({ emit() {} }) };
    const options = { checkConnectivity: false, checkGovernance: false };
    const given = await validateSetup({
      ...options,
      adapter: { eventRecords: "logs", loggerProvider },
    });
    expect(given.checks.at(-1)).toMatchObject({ name: "logRecords", status: "passed" });
    const spans = await validateSetup(options);
    expect(spans.checks.at(-1)).toMatchObject({ name: "logRecords", status: "skipped" });
    expect([...given.issues, ...spans.issues]).toEqual([]);
    // Twice a span alone.
    expect(sizes).toHaveLength(4);
  });
});

it("takes a span that an endpoint takes", async () => {
  configured();
  const { uri, sizes } = await receiver(200);
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", uri);
  vi.stubEnv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
  const result = await validateSetup({ checkConnectivity: false, checkGovernance: false });
  expect(result.checks.at(-2)).toMatchObject({
    name: "export",
    status: "warned",
    detail: `the span genops.validate was taken by ${uri}/v1/traces`,
  });
  expect(result.issues).toMatchObject([{ code: "OTLP_PROTOCOL_UNSUPPORTED", severity: "warning" }]);
  expect(sizes[0]).toBe(0);
  expect(sizes[1]).toBeGreaterThan(20);
});

describe("variables and options that", () => {
  it("are impossible: all are told at once", async () => {
    configured();
    vi.stubEnv("GENOPS_SAMPLING_RATE", "2");
    vi.stubEnv("GENOPS_RUN_CAPACITY", "many");
    vi.stubEnv("GENOPS_PRICING", "{");
    vi.stubEnv("GENOPS_STORAGE_BACKENDS", "mlflow-artifacts:=S3");
    vi.stubEnv("GENOPS_BUDGETS", '[{"name":"day","limit":"ten","period":"day"}]');
    vi.stubEnv("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "99");
    const issues = await issuesOf({ checkConnectivity: false });
    expect(
      Object.fromEntries(issues.map(({ message, fix }) => [message.split(" ")[0], fix])),
    ).toEqual({
      GENOPS_SAMPLING_RATE: "export GENOPS_SAMPLING_RATE=1",
      GENOPS_RUN_CAPACITY: "export GENOPS_RUN_CAPACITY=65536",
      GENOPS_PRICING: `export GENOPS_PRICING='{"trackingApiCall":"0.0001"}'`,
      GENOPS_STORAGE_BACKENDS: "export GENOPS_STORAGE_BACKENDS=mlflow-artifacts:=s3",
      GENOPS_BUDGETS: `export GENOPS_BUDGETS='[{"name":"day","limit":"10","period":"day"}]'`,
      MLFLOW_HTTP_REQUEST_TIMEOUT: "unset MLFLOW_HTTP_REQUEST_TIMEOUT",
      MLFLOW_HTTP_REQUEST_MAX_RETRIES: "unset MLFLOW_HTTP_REQUEST_MAX_RETRIES",
    });
    expect(issues.every(({ severity }) => severity === "error")).toBe(true);
  });

  it("set limits and policies that can be held", async () => {
    configured();
    vi.stubEnv(
      "GENOPS_POLICIES",
      '{"requireTags":["owner"],"maxArtifactSizeMb":10,"action":"warn"}',
    );
    vi.stubEnv("GENOPS_BUDGET_DAILY_LIMIT", "0");
    const rateLimits = [{ name: "calls", operations: 1, per: "second" }] as const;
    const budgets = [{ name: "team", limit: 0, period: "month", action: "block" }] as const;
    const { checks, issues } = await validateSetup({
      checkConnectivity: false,
      adapter: { budgets, rateLimits },
    });
    expect(issues.map(({ code }) => code)).toEqual(["OTLP_NOT_CONFIGURED"]);
    expect(checks.find(({ name }) => name === "limits")).toMatchObject({
      status: "passed",
      detail:
        "2 budgets, 1 rate limit, 2 policies can be held: daily, team, calls, requireTags, maxArtifactSizeMb",
    });
  });

  it("are misspelt, as variable and as option", async () => {
    configured();
    vi.stubEnv("GENOPS_CUSTOMERID", "acme");
    const misspelt = { teem: "ml" } as object;
    const issues = await issuesOf({ checkConnectivity: false, adapter: misspelt });
    expect(issues).toMatchObject([
      { code: "OPTION_UNKNOWN", severity: "error", fix: "write team instead of teem" },
      {
        code: "VARIABLE_UNKNOWN",
        severity: "warning",
        fix: 'export GENOPS_CUSTOMER_ID="$GENOPS_CUSTOMERID"; unset GENOPS_CUSTOMERID',
      },
    ]);
  });

  it("are missing", async () => {
    const issues = await issuesOf({ checkConnectivity: false });
    expect(issues.map(({ code, severity, fix }) => [code, severity, fix])).toEqual([
      ["TEAM_MISSING", "warning", 'export GENOPS_TEAM="your-team"'],
      ["PROJECT_MISSING", "warning", 'export GENOPS_PROJECT="your-project"'],
      ["ENVIRONMENT_MISSING", "info", 'export GENOPS_ENVIRONMENT="development"'],
    ]);
  });

  it("name a store that cannot be used, whose password is not shown", async () => {
    configured();
    const issues = await issuesOf({ trackingUri: "postgresql://me:s3cr3t@db/mlflow" });
    expect(issues).toMatchObject([
      {
        code: "TRACKING_URI_INVALID",
        severity: "error",
        cause: expect.stringContaining("start a server in front of the database"),
        fix: "export MLFLOW_TRACKING_URI=http://localhost:5000",
      },
    ]);
    expect(JSON.stringify(issues)).not.toContain("s3cr3t");
  });

  it("are half of a login", async () => {
    configured();
    vi.stubEnv("MLFLOW_TRACKING_USERNAME", "ada");
    const issues = await issuesOf({ checkConnectivity: false });
    expect(issues).toMatchObject([{ code: "CREDENTIALS_INCOMPLETE", severity: "warning" }]);
  });
});

describe("validateSetup itself", () => {
  it.each([
    [{ checkConnection: true }, 'did you mean "checkConnectivity"?'],
    [{ timeoutMs: 1 }, "timeoutMs: 1 is not a number of milliseconds from 100 to 600000"],
    [{ readOnly: "yes" }, "readOnly: yes is not true or false"],
    [{ onProgress: 1 }, "onProgress: 1 is not a function"],
    [[], "give an object"],
  ])("refuses %j", async (options, words) => {
    await expect(validateSetup(options as ValidateSetupOptions)).rejects.toThrow(words);
  });

  it("makes no check in an area that is left out, and tells its progress", async () => {
    configured();
    const made: string[] = [];
    const result = await validateSetup({
      checkConnectivity: false,
      checkGovernance: false,
      checkTelemetry: false,
      onProgress: (check) => made.push(check),
    });
    expect(made).toEqual([
      "runtime",
      "packages",
      "options",
      "environment",
      "attributes",
      "keptFiles",
    ]);
    expect(result.checks.map(({ name }) => name)).toEqual(made);
    expect(result.connectivity).toEqual({
      trackingServer: "skipped",
      artifactStore: "skipped",
      registry: "skipped",
    });
  });

  it("leaves a folder store as it was", async () => {
    configured();
    const folder = await temporaryFolder();
    const store = join(folder, "mlruns");
    const first = await validateSetup({ trackingUri: store });
    expect(first.issues.map(({ code }) => code)).toEqual(["OTLP_NOT_CONFIGURED"]);
    expect(await readdir(folder)).toEqual([]);
    await mkdir(store);
    await validateSetup({ trackingUri: store });
    const before = await readdir(store, { recursive: true });
    const second = await validateSetup({ trackingUri: store });
    expect(second.connectivity).toEqual({
      trackingServer: "passed",
      artifactStore: "passed",
      registry: "passed",
    });
    expect(await readdir(store, { recursive: true })).toEqual(before);
  });
});
