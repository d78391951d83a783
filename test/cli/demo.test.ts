// `genops demo` end to end: what it reports is what the store holds, and it adds up to the last digit.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, inject, it } from "vitest";
import { MlflowClient } from "../../src/mlflow/node.js";
import { stripAnsi } from "../../src/terminal/terminal.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { useCommandLine } from "./command-line.js";

interface RunDocument {
  readonly runId: string;
  readonly runName: string;
  readonly customer: string;
  readonly ownCost: string;
  readonly inclusiveCost: string;
  readonly learningRate?: number;
  readonly epochs?: number;
  readonly validationAccuracy?: number;
  readonly children: readonly RunDocument[];
}

interface DemoDocument {
  readonly trackingUri: string;
  readonly view: string;
  readonly totalCost: string;
  readonly operationCount: number;
  readonly runCount: number;
  readonly costByCustomer: Record<string, string>;
  readonly costByTeam: Record<string, string>;
  readonly costByProject: Record<string, string>;
  readonly costByExperiment: Record<string, string>;
  readonly costByOperationType: Record<string, string>;
  readonly costByStorageBackend: Record<string, string>;
  readonly costOutsideRuns: string;
  readonly runs: readonly RunDocument[];
  readonly storage: Record<string, { bytes: number; files: number }>;
  readonly models: readonly {
    readonly name: string;
    readonly version: string;
    readonly stage: string;
    readonly runId: string;
    readonly testAccuracy: number;
  }[];
  readonly month: { totalCost: string; callsCost: string; storageCost: string };
}

const QUICK = ["--epochs", "3", "--learning-rates", "0.3,1"];
const BREAKDOWNS = [
  "costByCustomer",
  "costByTeam",
  "costByProject",
  "costByExperiment",
  "costByOperationType",
  "costByStorageBackend",
] as const;

const genops = useCommandLine();

/** Atto-USD of decimal text. */
function atto(text: string): bigint {
  const match = /^(\d+)(?:\.(\d{1,18}))?$/.exec(text);
  if (match === null) throw new Error(`${text} is no decimal text`);
  return BigInt(`${match[1]}${(match[2] ?? "").padEnd(18, "0")}`);
}

function sum(amounts: Iterable<string>): bigint {
  let total = 0n;
  for (const amount of amounts) total += atto(amount);
  return total;
}

async function demo(cwd: string, ...args: string[]): Promise<DemoDocument> {
  const { code, stdout, stderr } = await genops.run(["demo", "--json", ...args], cwd);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as DemoDocument;
}

function expectToAddUp(document: DemoDocument): void {
  const total = atto(document.totalCost);
  for (const breakdown of BREAKDOWNS) {
    expect(sum(Object.values(document[breakdown])), breakdown).toBe(total);
  }
  const everyRun = document.runs.flatMap((run) => [run, ...run.children]);
  const outside = atto(document.costOutsideRuns);
  expect(sum(everyRun.map((run) => run.ownCost)) + outside).toBe(total);
  expect(sum(document.runs.map((run) => run.inclusiveCost)) + outside).toBe(total);
  for (const run of everyRun) {
    const below = sum(run.children.map((child) => child.inclusiveCost));
    expect(atto(run.ownCost) + below, run.runName).toBe(atto(run.inclusiveCost));
  }
  const { totalCost, callsCost, storageCost } = document.month;
  expect(atto(callsCost) + atto(storageCost)).toBe(atto(totalCost));
}

/** What the bytes of these files cost for a day, file by file, rounded half to even. */
function storageCost(sizes: readonly number[], rate: bigint): bigint {
  // Atto-USD per GiB-month over bytes in a GiB and days in a month.
  const unit = 30n * 2n ** 30n;
  return sizes.reduce((total, size) => {
    const amount = BigInt(size) * rate;
    const [whole, rest] = [amount / unit, (amount % unit) * 2n];
    return total + whole + (rest > unit || (rest === unit && whole % 2n === 1n) ? 1n : 0n);
  }, 0n);
}

async function artifactSizes(store: string): Promise<number[]> {
  const paths = await readdir(store, { recursive: true });
  const files = paths.filter((path) => path.includes("/artifacts/"));
  const status = await Promise.all(files.map((path) => stat(join(store, path))));
  return status.filter((entry) => entry.isFile()).map((entry) => entry.size);
}

async function expectReadBack(document: DemoDocument, trackingUri: string): Promise<void> {
  const client = new MlflowClient({ trackingUri });
  for (const parent of document.runs) {
    const parentRun = await client.getRun(parent.runId);
    expect(parentRun.info).toMatchObject({ status: "FINISHED", runName: parent.runName });
    expect(parentRun.data.tags["genops.customer_id"]).toBe(parent.customer);
    expect(parentRun.data.metrics.test_accuracy).toBeGreaterThan(0.5);
    for (const child of parent.children) {
      const run = await client.getRun(child.runId);
      expect(run.data.tags["mlflow.parentRunId"]).toBe(parent.runId);
      expect(run.data.params.learning_rate).toBe(String(child.learningRate));
      for (const metric of ["train_loss", "validation_loss", "validation_accuracy"]) {
        const history = await client.getMetricHistory(child.runId, metric);
        const steps = history.map(({ step }) => step).sort((a, b) => a - b);
        expect(steps, metric).toEqual([1, 2, 3]);
      }
      expect(run.data.metrics.validation_accuracy).toBe(child.validationAccuracy);
      const artifacts = await client.listArtifacts(child.runId);
      expect(artifacts.map(({ path }) => path).sort()).toEqual([
        "confusion_matrix.json",
        "history.csv",
        "model",
      ]);
    }
  }
  expect(document.models).toHaveLength(3);
  for (const { name, version, stage, runId } of document.models) {
    const found = await client.getModelVersion(name, version);
    expect(found).toMatchObject({ currentStage: "Production", runId });
    expect(stage).toBe("Production");
    expect(found.source).toMatch(/\/artifacts\/model$|^runs:\/\w+\/model$/);
  }
}

/** Each search makes its own four writes, each trial three and its epochs', each model two in the registry. */
const QUICK_CALLS = 3 * 4 + 6 * 2 + 2 * 2 * 3 * 3 + 2 * 3;
const REGISTRY_WRITES = 6;

describe("on a folder", () => {
  it("costs what its calls and bytes cost, to the last digit", async () => {
    const cwd = await temporaryFolder();
    const first = await demo(cwd, ...QUICK);
    expectToAddUp(first);
    const store = join(cwd, "genops-demo", "mlruns");
    const sizes = await artifactSizes(store);
    expect(first.storage.s3).toEqual({
      files: sizes.length,
      bytes: sizes.reduce((total, size) => total + size, 0),
    });
    const calls = BigInt(QUICK_CALLS) * atto("0.0001") + BigInt(REGISTRY_WRITES) * atto("0.0005");
    const storage = storageCost(sizes, atto("0.023"));
    expect(storage).toBeGreaterThan(0n);
    // The first search also makes two experiments, and three models, which cost nothing themselves.
    expect(atto(first.totalCost)).toBe(calls + storage + 2n * atto("0.0001"));
    expect(first.operationCount).toBe(QUICK_CALLS + REGISTRY_WRITES + sizes.length + 2 + 3);
    expect(first.runCount).toBe(9);
    await expectReadBack(first, store);

    const second = await demo(cwd, ...QUICK);
    expectToAddUp(second);
    expect(atto(second.totalCost)).toBe(calls + storage);
    expect(second.models.map(({ version }) => version)).toEqual(["2", "2", "2"]);
    await expectReadBack(second, store);
    const replaced = await new MlflowClient({ trackingUri: store }).getModelVersion(
      first.models[0]?.name ?? "",
      "1",
    );
    expect(replaced.currentStage).toBe("Archived");
  });

  it("tells where the runs are and how to look at them", async () => {
    const cwd = await temporaryFolder();
    expect(await demo(cwd, ...QUICK)).toMatchObject({
      trackingUri: "./genops-demo/mlruns",
      view: "MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri ./genops-demo/mlruns",
    });
    const spaced = await demo(cwd, ...QUICK, "--tracking-uri", "my runs");
    expect(spaced.view).toContain("--backend-store-uri './my runs'");
  });

  it("gives the same costs and models for the same seed, others for another", async () => {
    const repeatable = ({ runs, models, trackingUri: _, view: __, ...rest }: DemoDocument) => ({
      ...rest,
      models: models.map(({ runId: _, ...model }) => model),
      runs: runs.map(({ runId: _, children, ...run }) => ({
        ...run,
        children: children.map(({ runId: _, ...child }) => child),
      })),
    });
    const [first, second, other] = await Promise.all(
      ["7", "7", "8"].map(async (seed) => demo(await temporaryFolder(), ...QUICK, "--seed", seed)),
    );
    if (!first || !second || !other) throw new Error("a run is missing");
    expect(repeatable(second)).toEqual(repeatable(first));
    expect(repeatable(other).runs).not.toEqual(repeatable(first).runs);
  });

  it("prices the stored bytes as on the backend that is asked for", async () => {
    const [local, azure] = await Promise.all(
      ["local", "azure"].map(async (backend) => {
        const cwd = await temporaryFolder();
        const document = await demo(cwd, ...QUICK, "--price-artifacts-as", backend);
        expectToAddUp(document);
        return { document, sizes: await artifactSizes(join(cwd, "genops-demo", "mlruns")) };
      }),
    );
    expect(Object.keys(local?.document.storage ?? {})).toEqual(["local"]);
    const calls = atto(local?.document.totalCost ?? "");
    expect(calls % atto("0.0001")).toBe(0n);
    expect(atto(azure?.document.costByStorageBackend.azure ?? "")).toBe(
      storageCost(azure?.sizes ?? [], atto("0.02")),
    );
  });

  it("learns: the defaults tell most unseen flowers apart", async () => {
    const { models, runs } = await demo(await temporaryFolder());
    const accuracy = models.map(({ testAccuracy }) => testAccuracy);
    expect(Math.min(...accuracy)).toBeGreaterThanOrEqual(0.8);
    expect(Math.max(...accuracy)).toBeGreaterThanOrEqual(0.95);
    const epochs = runs.flatMap(({ children }) => children.map((child) => child.epochs ?? 0));
    expect(Math.min(...epochs)).toBeLessThan(Math.max(...epochs));
  });
});

describe.runIf(requiresMlflow())("on a real server", () => {
  it("does and costs the same", async () => {
    const uri = inject("mlflowServerUri") as string;
    const cwd = await temporaryFolder();
    const document = await demo(cwd, ...QUICK, "--tracking-uri", `${uri}/`);
    expectToAddUp(document);
    await expectReadBack(document, uri);
    expect(document.view).toContain(`${uri}/#/experiments/`);
    expect(await readdir(cwd)).toEqual([]);
    const here = await demo(cwd, ...QUICK);
    const paidEachTime = (costs: Record<string, string>) => {
      const { create_experiment: _, ...rest } = costs;
      return rest;
    };
    expect(paidEachTime(document.costByOperationType)).toEqual(
      paidEachTime(here.costByOperationType),
    );
  });
});

describe("the report", () => {
  const longest = (text: string) =>
    Math.max(...text.split("\n").map((line) => [...stripAnsi(line)].length));
  const report = async (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const finished = await genops.run(["demo", ...args], await temporaryFolder(), env);
    expect(finished).toMatchObject({ code: 0, stderr: "" });
    return finished.stdout;
  };

  it("is plain text of at most 80 columns where no terminal is", async () => {
    const text = await report(QUICK);
    expect(text).not.toContain("\u001b");
    expect(longest(text)).toBeLessThanOrEqual(80);
    for (const section of ["customer", "team", "project", "experiment", "operation", "storage"]) {
      expect(text).toContain(`By ${section}`);
    }
  });

  it("looks the same in colour, letter by letter", async () => {
    const plain = await report(QUICK, { NO_COLOR: "1" });
    const coloured = await report(QUICK, { FORCE_COLOR: "1" });
    expect(coloured).toContain("\u001b[1m");
    expect(stripAnsi(coloured)).toBe(plain);
    expect(await report([...QUICK, "--color"], { NO_COLOR: "1" })).toBe(coloured);
    expect(await report([...QUICK, "--no-color"], { FORCE_COLOR: "1" })).toBe(plain);
  });

  it("prints columns that add up as printed", async () => {
    const lines = (await report(QUICK)).split("\n");
    const units = (line: string) => BigInt((/\$([\d.]+)/.exec(line)?.[1] ?? "").replace(".", ""));
    const sections = ["customer", "team", "project", "experiment", "storage backend"];
    for (const section of sections) {
      const start = lines.findIndex((line) => line.startsWith(`  By ${section} `));
      const end = lines.findIndex((line, at) => at > start && /^ +total /.test(line));
      const parts = lines.slice(start + 1, end).filter((line) => line.includes("$"));
      const printed = parts.reduce((sum, line) => sum + units(line), 0n);
      expect(parts.length, section).toBeGreaterThan(1);
      expect(printed, section).toBe(units(lines[end] ?? ""));
      expect(lines[end]).toContain("✓ exact");
    }
  });

  it("stays within 80 columns whatever is asked for", async () => {
    const rates = Array.from({ length: 16 }, (_, index) => `0.0012345678901${index + 10}`);
    const text = await report(["--epochs", "1", "--learning-rates", rates.join(",")]);
    expect(longest(text)).toBeLessThanOrEqual(80);
    const local = await report([...QUICK, "--price-artifacts-as", "local"]);
    expect(longest(local)).toBeLessThanOrEqual(80);
  });
});

describe("being stopped", () => {
  it("ends its runs KILLED on Ctrl-C and exits 130", async () => {
    const cwd = await temporaryFolder();
    // Slow rates, so that there is plenty left to do when the signal comes.
    const rates = Array.from({ length: 16 }, (_, index) => `0.0${index + 20}`).join(",");
    const args = ["demo", "--epochs", "1000", "--learning-rates", rates];
    const { process, finished } = genops.start(args, cwd);
    const trackingUri = join(cwd, "genops-demo", "mlruns");
    const logged = async () =>
      (await readdir(trackingUri, { recursive: true }).catch(() => [])).some((path) =>
        path.endsWith("metrics/validation_accuracy"),
      );
    while (!(await logged())) await delay(20);
    process.kill("SIGINT");
    const { code, stdout, stderr } = await finished;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(stderr).toMatch(/^genops: interrupted.*\n$/);
    const client = new MlflowClient({ trackingUri });
    const experiments = await client.searchExperiments();
    const runs = await client.searchRuns(experiments.map(({ experimentId }) => experimentId));
    expect(runs.length).toBeGreaterThanOrEqual(2);
    const statuses = new Set(runs.map(({ info }) => info.status));
    statuses.delete("FINISHED");
    expect([...statuses]).toEqual(["KILLED"]);
  });

  it("does not mind a reader that has gone", async () => {
    const { process, finished } = genops.start(["demo", ...QUICK], await temporaryFolder());
    process.stdout?.destroy();
    expect(await finished).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});
