// Every example, as a user runs it: against a real server and a real Collector. What it prints is compared
// with the price list to the last digit, and what it sends is judged by the conformance checker.
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import { checkConformance, parseTelemetry } from "../../src/conformance/index.js";
import { closedServer, temporaryFolder } from "../adapter/workplace.js";
import { type Collector, prepareCollector, startCollector } from "../support/collector.js";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const EXAMPLES = resolve(import.meta.dirname, "../../examples");

// ── the price list, in atto-USD ────────────────────────────────────────────────────────────────────

const TRACKING = 10n ** 14n;
const REGISTRY = 5n * 10n ** 14n;

/** A day of S3: rounded once, half to even. */
function bytesOnS3(bytes: number, milliUsdPerGibMonth: bigint): bigint {
  const amount = BigInt(bytes) * milliUsdPerGibMonth * 10n ** 15n;
  const by = 2n ** 30n * 30n;
  const rest = (amount % by) * 2n;
  const up = rest > by || (rest === by && (amount / by) % 2n === 1n);
  return amount / by + (up ? 1n : 0n);
}

/** As the examples print exact amounts. */
function usd(atto: bigint): string {
  const digits = atto.toString().padStart(19, "0");
  const fraction = digits.slice(-18).replace(/0+$/, "");
  return `$${digits.slice(0, -18)}${fraction === "" ? "" : `.${fraction}`}`;
}

function atto(text: string): bigint {
  const [whole = "0", fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(18, "0"));
}

// ── running them ───────────────────────────────────────────────────────────────────────────────────

interface Finished {
  readonly code: number;
  readonly lines: readonly string[];
  readonly stderr: string;
}

function node(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Finished> {
  return new Promise((done) => {
    const options = { cwd, env: { ...neutralEnvironment(), NO_COLOR: "1", ...env } };
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      done({ code, lines: stdout.trimEnd().split("\n"), stderr });
    });
  });
}

const collectorProgram = await prepareCollector();
const NAMES = (await readdir(EXAMPLES))
  .filter((name) => name.endsWith(".mjs") && name !== "telemetry.mjs")
  .map((name) => basename(name, ".mjs"));

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}
interface ResourceSpans {
  readonly resource: { readonly attributes: readonly Attribute[] };
  readonly scopeSpans: readonly {
    readonly spans: readonly {
      readonly name: string;
      readonly attributes?: readonly Attribute[];
    }[];
  }[];
}

function textOf(attributes: readonly Attribute[] | undefined, name: string): string | undefined {
  return attributes?.find(({ key }) => key === name)?.value.stringValue;
}

describe.runIf(requiresMlflow() && collectorProgram !== undefined)("the examples", () => {
  const finished = new Map<string, Finished>();
  let received: ResourceSpans[] = [];

  beforeAll(async () => {
    const collector: Collector = await startCollector(collectorProgram as string);
    try {
      for (const name of NAMES) {
        const preload = ["--import", join(EXAMPLES, "telemetry.mjs")];
        // Its own export is what the validation tries.
        const imports = name === "setup-validation" ? [] : preload;
        const outcome = await node([...imports, join(EXAMPLES, `${name}.mjs`)], EXAMPLES, {
          MLFLOW_TRACKING_URI: inject("mlflowServerUri") as string,
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
          OTEL_SERVICE_NAME: name,
        });
        finished.set(name, outcome);
      }
    } finally {
      const text = await collector.stop();
      received = (parseTelemetry(text) as { resourceSpans?: ResourceSpans[] }[]).flatMap(
        ({ resourceSpans = [] }) => resourceSpans,
      );
    }
  });
  afterAll(() => finished.clear());

  /** TensorFlow.js advertises its other package where nobody has asked. */
  const GREETING = /\s*=+\s+Hi, looks like you are running TensorFlow\.js.*?=+\s*/s;

  function linesOf(name: string): readonly string[] {
    const { code, lines, stderr } = finished.get(name) as Finished;
    expect({ code, stderr: stderr.replace(GREETING, "") }).toEqual({ code: 0, stderr: "" });
    return lines;
  }

  /** What was received of an example is conformant, and adds up to what it printed. */
  function telemetryCosts(name: string, total: bigint): void {
    const resourceSpans = received.filter(
      ({ resource }) => textOf(resource.attributes, "service.name") === name,
    );
    const report = checkConformance({ resourceSpans });
    const failed = report.items.filter(({ status }) => status === "fail");
    expect(failed, JSON.stringify(failed, null, 1)).toEqual([]);
    expect(report.level).toBe("full");
    expect(report.counts.units).toBeGreaterThan(0);
    const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((one) => one.spans));
    const sum = spans.reduce(
      (so, { attributes }) =>
        so + atto(textOf(attributes, "genops.accounting.actual_exact") ?? "0"),
      0n,
    );
    expect(sum).toBe(total);
  }

  it("basic tracking: an experiment, a run and four writes, the file for nothing", () => {
    const total = 6n * TRACKING;
    expect(linesOf("basic-tracking")).toEqual([
      expect.stringMatching(/^Run: [0-9a-f]{32}$/),
      "Total cost: $0.000600",
      "Operations tracked: 7 in 1 run",
    ]);
    expect(usd(total)).toBe("$0.0006");
    telemetryCosts("basic-tracking", total);
  });

  it("artifacts: an experiment, a run, and bytes on S3", () => {
    const sizes = [14, 54, 2 ** 20, 6, 6];
    const storage = sizes.reduce((sum, bytes) => sum + bytesOnS3(bytes, 23n), 0n);
    const total = 2n * TRACKING + storage;
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(linesOf("artifacts")).toEqual([
      "config.json (54 bytes)",
      "model/",
      "notes.txt (14 bytes)",
      "plots/",
      "Read back: dropout 0.1",
      `s3: 5 files, ${bytes} bytes, ${usd(storage)}`,
      `Total cost: ${usd(total)}`,
    ]);
    telemetryCosts("artifacts", total);
  });

  it("model registry: a version, an alias and a stage", () => {
    const total = 3n * TRACKING + 3n * REGISTRY;
    expect(linesOf("model-registry")).toEqual([
      "Registered: line-fit version 1, champion, in Production",
      "Prediction for 10: 21",
      `Registry: ${usd(3n * REGISTRY)}`,
      `Total cost: ${usd(total)}`,
    ]);
    telemetryCosts("model-registry", total);
  });

  it("hierarchical runs: the parent costs what it and its children do", () => {
    const child = usd(3n * TRACKING);
    const total = 12n * TRACKING;
    expect(linesOf("hierarchical-runs")).toEqual([
      "Best accuracy: 0.906",
      `lr-0.001: own ${child}, with children ${child}`,
      `lr-0.01: own ${child}, with children ${child}`,
      `lr-0.1: own ${child}, with children ${child}`,
      `search-parent: own ${usd(2n * TRACKING)}, with children ${usd(11n * TRACKING)}`,
      `Total cost: ${usd(total)}`,
    ]);
    telemetryCosts("hierarchical-runs", total);
  });

  it("multi-tenant: each customer pays a run and its batches; the first one the experiment", () => {
    const lines = linesOf("multi-tenant");
    const costs = lines.slice(0, 3).map((line) => line.split(": $")) as [string, string][];
    expect(costs.map(([customer]) => customer)).toEqual(["acme", "globex", "initech"]);
    const own = [4n, 2n, 6n].map((calls) => calls * TRACKING);
    const rest = costs.map(([, cost], at) => atto(cost) - (own[at] as bigint));
    // Whoever came first has made the experiment.
    expect([...rest].sort()).toEqual([0n, 0n, TRACKING]);
    const total = 13n * TRACKING;
    expect(lines[3]).toBe(`Total cost: ${usd(total)}`);
    telemetryCosts("multi-tenant", total);
  });

  it("auto-logging: a training is logged, each call at its price", () => {
    const lines = linesOf("auto-logging").filter((line) => /^[A-Za-z_ ]+: /.test(line));
    expect(lines.slice(0, 2)).toEqual(["Params logged: 8", "Loss logged: true"]);
    const counts = new Map(lines.slice(2, -1).map((line) => line.split(": ") as [string, string]));
    const priced = ["create_experiment", "create_run", "log_batch", "log_inputs", "set_tag"];
    const calls = priced.reduce((sum, name) => sum + BigInt(counts.get(name) ?? 0), 0n);
    expect(calls).toBeGreaterThan(6n);
    expect(lines.at(-1)).toBe(`Total cost: ${usd(calls * TRACKING)}`);
    expect(counts.get("create_logged_model")).toBe("1");
    telemetryCosts("auto-logging", calls * TRACKING);
  });

  it("production workflow: stopped by its budget, advised, and accounted for", () => {
    const file = bytesOnS3(10 * 1024, 21n);
    // An experiment, three candidates of three calls each, a run that kept nothing, and one that was stopped.
    const total = 12n * TRACKING + 3n * file;
    const atAlert = 11n * TRACKING + 2n * file;
    const limit = 13n * TRACKING;
    expect(atAlert * 10n).toBeGreaterThanOrEqual(limit * 8n);
    expect(linesOf("production-workflow")).toEqual([
      "logistic: accuracy 0.81",
      "dump: refused by the policy maxArtifactSizeMb (x_artifact_too_large)",
      "trees: accuracy 0.86",
      `Alert: churn-day is at 80 % (${usd(atAlert)} of ${usd(limit)})`,
      "forest: accuracy 0.88",
      "boosted: stopped by the budget churn-day (BUDGET_EXCEEDED)",
      `Tonight: ${usd(total)} for 5 runs`,
      `Advice: Keep one copy, and refer to it by its URI (${usd(2n * file)})`,
      `Budget: ${usd(total)} spent, ${usd(limit - total)} left, over: true`,
    ]);
    telemetryCosts("production-workflow", total);
  });

  it("set-up validation: passes, and exports its span", () => {
    const lines = linesOf("setup-validation");
    expect(lines[0]).toBe("✓ PASSED - You're ready to use MLflow with GenOps!");
    const names = received.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)),
    );
    expect(names).toContain("genops.validate");
  });

  it("set-up validation: exit code 1 when the server is down", async () => {
    const program = join(EXAMPLES, "setup-validation.mjs");
    const down = await closedServer();
    const { code, lines } = await node([program], EXAMPLES, { MLFLOW_TRACKING_URI: down });
    expect(code).toBe(1);
    expect(lines[0]).toBe("✗ FAILED - 1 error");
  });

  it("are all tried here", () => {
    expect([...NAMES].sort()).toEqual([
      "artifacts",
      "auto-logging",
      "basic-tracking",
      "hierarchical-runs",
      "model-registry",
      "multi-tenant",
      "production-workflow",
      "setup-validation",
    ]);
  });
});

describe("beside the examples", () => {
  it("each file is in their README", async () => {
    const readme = await readFile(join(EXAMPLES, "README.md"), "utf8");
    const files = (await readdir(EXAMPLES)).filter((name) => !/README|tsconfig/.test(name));
    for (const file of files) expect(readme).toContain(`[${file}](${file})`);
    for (const [, file] of readme.matchAll(/\]\(([^)]+)\)/g)) expect(files).toContain(file);
  });

  it("one needs no server: runs are kept in a temporary folder", async () => {
    const cwd = await temporaryFolder();
    const { code, lines } = await node([join(EXAMPLES, "basic-tracking.mjs")], cwd, {});
    expect({ code, cost: lines[1] }).toEqual({ code: 0, cost: "Total cost: $0.000600" });
    expect(await readdir(cwd)).toEqual([]);
  });

  it("the workflow validates with what CI goes by", async () => {
    const text = await readFile(join(EXAMPLES, "genops-validate.yml"), "utf8");
    const { jobs } = parse(text) as {
      jobs: { validate: { steps: { run?: string; shell?: string }[]; env: object } };
    };
    const step = jobs.validate.steps.find(({ run }) => run?.includes("genops validate"));
    // Only bash, asked for by name, fails when the first command of a pipe does.
    expect(step).toMatchObject({
      run: expect.stringContaining("npx genops validate --json"),
      shell: "bash",
    });
    expect(Object.keys(jobs.validate.env)).toContain("MLFLOW_TRACKING_URI");
  });
});
