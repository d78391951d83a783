// Programs that end with a run open and calls under way, and threads that govern side by side: what is known afterwards.
import { mkdtempSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { usdToAtto } from "../../../src/engine/index.js";
import { readAuditFile, verifyAuditFiles } from "../../../src/telemetry/audit/verify.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import { answerLikeMlflow, faultyServer } from "../../mlflow/faulty-server.js";
import { prepareCollector, startCollector } from "../../support/collector.js";
import type { EndingProgram } from "./ending.js";
import { buildProgram, found, readSpans, startProgram } from "./programs.js";
import type { ThreadEnding, ThreadsProgram, ThreadsReport } from "./threads.js";

const collectorProgram = await prepareCollector();
const PRICE = 10n ** 14n;
const METRICS = 5;
const UNDER_WAY = 4;
/** In operations. */
const SLICE = 20;

let folder = "";
const programs: Record<string, string> = {};
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "genops-test-program-"));
  for (const name of ["ending", "threads", "plain-threads"]) {
    programs[name] = await buildProgram(`test/governance/lifecycle/${name}.ts`, folder);
  }
  programs.register = await buildProgram("src/instrumentation/register.ts", folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Files of an audit trail. */
function trail(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  return names.map((name) => join(folder, name));
}

function decisions(files: readonly string[]): number {
  const records = files.flatMap((file) => readAuditFile(file).lines.map(({ record }) => record));
  return records.filter(({ kind }) => kind === "decision").length;
}

interface Ended {
  readonly code: number | NodeJS.Signals;
  readonly errors: string;
  readonly spans: readonly string[];
  readonly audited: number;
  /** Requests that ended the run. */
  readonly updates: number;
  readonly known: number;
  readonly uncertain: number;
}

/** Runs the program to the point where its calls are under way, lets it end, and looks. */
async function end(
  ending: EndingProgram["ending"],
  parameters = UNDER_WAY,
  signal?: NodeJS.Signals,
): Promise<Ended> {
  const place = await temporaryFolder();
  const server = await faultyServer((request) =>
    request.path.endsWith("/log-parameter") ? "hang" : answerLikeMlflow(request),
  );
  const options = {
    team: "ml-team",
    project: "ends",
    environment: "test",
    trackingUri: server.uri,
    journal: { path: join(place, "journal"), slice: "0.002" },
  };
  const spans = join(place, "spans");
  const audit = join(place, "audit.jsonl");
  const workload: EndingProgram = {
    options: { ...options, auditLog: audit },
    spans,
    metrics: METRICS,
    parameters,
    ending,
  };
  const program = startProgram([programs.ending ?? "", JSON.stringify(workload)]);
  const underWay = () => server.requests.filter(({ path }) => path.endsWith("/log-parameter"));
  await vi.waitFor(
    () => {
      expect(program.output() + program.errors()).toContain("ready");
      expect(underWay()).toHaveLength(parameters);
    },
    { timeout: 30_000, interval: 10 },
  );
  if (signal === undefined) program.child.stdin?.write("go\n");
  else program.child.kill(signal);
  const code = await program.ended;
  expect(verifyAuditFiles([audit]).broken).toBeUndefined();
  const { dailyUsage, known, uncertain } = found(options);
  expect(dailyUsage).toBe(known + uncertain);
  return {
    code,
    errors: program.errors(),
    spans: readSpans(spans).map(({ name }) => name),
    audited: decisions([audit]),
    updates: server.requests.filter(({ path }) => path.endsWith("/update")).length,
    known,
    uncertain,
  };
}

/** One run and its metrics. */
const ACKNOWLEDGED = 1 + METRICS;
const METRIC_SPANS = Array<string>(METRICS).fill("mlflow.log_metric");

describe("a program that ends with a run open", () => {
  it("by itself has ended its run, and everything is known", async () => {
    expect(await end("returns", 0)).toEqual({
      code: 7,
      errors: "",
      spans: [...METRIC_SPANS, "mlflow.run"],
      audited: ACKNOWLEDGED + 1,
      updates: 1,
      known: ACKNOWLEDGED,
      uncertain: 0,
    });
  });

  it.each([
    ["by process.exit()", "exits", 3, /^$/],
    ["by an exception that nobody catches", "throws", 1, /RangeError: diverged/],
    ["by a promise that nobody catches", "rejects", 1, /RangeError: diverged/],
  ] as const)(
    "%s: what was acknowledged is known, what was under way uncertain, and the code is its own",
    async (_, ending, code, errors) => {
      const ended = await end(ending);
      expect(ended).toEqual({
        code,
        errors: expect.stringMatching(errors),
        // The run has not ended, and no more has its span.
        spans: METRIC_SPANS,
        audited: ACKNOWLEDGED,
        updates: 0,
        known: ACKNOWLEDGED,
        uncertain: UNDER_WAY,
      });
      expect(ended.errors).not.toContain("genops:");
    },
  );

  it("by SIGTERM: nothing that was acknowledged is missing, and a slice uncertain at most", async () => {
    const { known, uncertain, ...ended } = await end("stays", UNDER_WAY, "SIGTERM");
    expect(ended).toEqual({
      code: "SIGTERM",
      errors: "",
      spans: METRIC_SPANS,
      audited: ACKNOWLEDGED,
      updates: 0,
    });
    expect(known).toBeLessThanOrEqual(ACKNOWLEDGED);
    expect(known + uncertain).toBeGreaterThanOrEqual(ACKNOWLEDGED + UNDER_WAY);
    expect(uncertain).toBeLessThanOrEqual(SLICE + UNDER_WAY);
  });

  it("by a handler of its own for SIGTERM: as by process.exit()", async () => {
    expect(await end("handles SIGTERM", UNDER_WAY, "SIGTERM")).toMatchObject({
      code: 0,
      errors: "",
      known: ACKNOWLEDGED,
      uncertain: UNDER_WAY,
    });
  });
});

describe("threads of one process", () => {
  const LIMIT = 200;

  async function play(threads: readonly ThreadEnding[]) {
    const place = await temporaryFolder();
    const server = await faultyServer(answerLikeMlflow);
    const options = {
      team: "ml-team",
      project: "threads",
      environment: "test",
      trackingUri: server.uri,
      journal: { path: join(place, "journal"), slice: "0.001" },
      budgets: [
        { name: "shared", limit: "0.02", period: "day" as const, action: "block" as const },
      ],
    };
    const workload: ThreadsProgram = {
      options: { ...options, auditLog: join(place, "audit.jsonl") },
      spans: join(place, "spans-"),
      threads,
    };
    const program = startProgram([programs.threads ?? "", JSON.stringify(workload)]);
    expect([await program.ended, program.errors()]).toEqual([0, ""]);
    const report = JSON.parse(program.output()) as ThreadsReport;
    const acknowledged = report.threads.reduce((sum, each) => sum + each.acknowledged, 0);
    for (const { index, total, costByCustomer, ...thread } of report.threads) {
      const cost = BigInt(thread.acknowledged) * PRICE;
      expect(usdToAtto(total, "total")).toBe(cost);
      expect(costByCustomer).toEqual({ [`customer-${index}`]: total });
      expect([thread.containedFailures, thread.warnings]).toEqual([0, expect.any(Array)]);
      const spent = readSpans(`${workload.spans}${index}`).reduce(
        (sum, { attributes }) =>
          sum + usdToAtto(String(attributes["genops.accounting.actual_exact"] ?? 0), "actual"),
        0n,
      );
      expect(spent).toBe(cost);
    }
    const files = trail(place);
    // One each; the main thread's adapter goes on in one that is free again.
    expect(files).toHaveLength(threads.length);
    expect(verifyAuditFiles(files).broken).toBeUndefined();
    return { report, acknowledged, audited: decisions(files), found: found(options) };
  }

  it("share a budget as processes do, and every sum is right", async () => {
    const { report, acknowledged, audited, found } = await play(Array(4).fill("spends"));
    expect(report.threads.map(({ refused }) => refused)).toEqual(Array(4).fill("shared"));
    expect(acknowledged).toBeLessThanOrEqual(LIMIT);
    expect(acknowledged).toBeGreaterThan(LIMIT / 2);
    expect(report.exitCodes).toEqual([0, 0, 0, 0]);
    expect(report.errors).toEqual([]);
    // Each thread's calls, its refusal and the end of its run.
    expect(audited).toBe(acknowledged + 8);
    expect(report.dailyUsage).toBeCloseTo(acknowledged / 10_000, 9);
    expect(Number(report.spent)).toBeCloseTo(acknowledged / 10_000, 9);
    expect(found).toEqual({ dailyUsage: acknowledged, known: acknowledged, uncertain: 0 });
  });

  it("end each in its own way, and only one that is terminated leaves something uncertain", async () => {
    const { report, acknowledged, found } = await play(["exits", "throws", "is terminated"]);
    expect(report.exitCodes).toEqual([5, 1, 1]);
    expect(report.errors).toEqual(["RangeError: diverged"]);
    expect(acknowledged).toBe(21);
    // What the terminated one had taken ahead counts while nobody can tell what became of it.
    expect(report.dailyUsage * 10_000).toBeGreaterThanOrEqual(14);
    expect(found.dailyUsage).toBeGreaterThanOrEqual(acknowledged);
    expect(found.known).toBeGreaterThanOrEqual(14);
    expect(found.uncertain).toBeLessThanOrEqual(10);
  });
});

describe.runIf(collectorProgram !== undefined)("threads of a program that was not touched", () => {
  it("are governed each, and send their telemetry before they end", async () => {
    const server = await faultyServer(answerLikeMlflow);
    const collector = await startCollector(collectorProgram as string);
    const place = await temporaryFolder();
    const program = startProgram(
      ["--import", programs.register ?? "", programs["plain-threads"] ?? ""],
      {
        MLFLOW_TRACKING_URI: server.uri,
        GENOPS_TEAM: "ml-team",
        GENOPS_PROJECT: "threads",
        GENOPS_ENVIRONMENT: "test",
        GENOPS_JOURNAL: join(place, "journal"),
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      },
    );
    const code = await program.ended;
    const received = await collector.stop();
    expect([code, program.errors()]).toEqual([0, ""]);
    const names = [...received.matchAll(/"name":"(mlflow\.\w+)"/g)].map(([, name]) => name);
    expect(names.filter((name) => name === "mlflow.log_metric")).toHaveLength(12);
    const { known, uncertain } = found({
      team: "ml-team",
      project: "threads",
      environment: "test",
      trackingUri: server.uri,
      journal: { path: join(place, "journal") },
    });
    expect({ known, uncertain }).toEqual({ known: 15, uncertain: 0 });
  });
});
