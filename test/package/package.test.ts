// The published package: its contents, its entry points, and one program in each kind of runtime.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { createContext, Script } from "node:vm";
import { build } from "esbuild";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { type Consumer, installPackage } from "./consumer.js";

const run = promisify(execFile);
let consumer: Consumer;

beforeAll(async () => {
  consumer = await installPackage();
});
afterAll(() => consumer.remove());

/** Quick start 2 of the guide, as a user of the package writes it. */
const QUICK_START = `
import { instrumentMlflow } from "genops";
import * as mlflow from "genops/mlflow";

export async function quickStart(options, experimentName) {
  const adapter = instrumentMlflow({ team: "ml-team", project: "p", environment: "e", ...options });
  const runId = await adapter.trackMlflowRun({ experimentName, runName: "r" }, async (run) => {
    await mlflow.logParam("learning_rate", 0.01);
    await mlflow.logParam("batch_size", 32);
    await mlflow.logMetric("train_accuracy", 0.92);
    await mlflow.logMetric("val_accuracy", 0.89);
    await mlflow.logText("Training summary", "model_summary.txt");
    return run.info.runId;
  });
  const { totalCostExact } = adapter.costAggregator.getSummary();
  return { runId, totalCostExact, ...adapter.getMetrics() };
}
`;

const EXPECTED = { totalCostExact: "0.0006", dailyUsage: 0.0006, operationCount: 7, runCount: 1 };

describe("the package", () => {
  it("holds what its users need and nothing else", () => {
    const paths = consumer.files.map(({ path }) => path);
    const rooms = new Set(paths.map((path) => path.split("/").slice(0, 2).join("/")));
    expect([...rooms].sort()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist/THIRD-PARTY-NOTICES.txt",
      "dist/cli",
      "dist/conformance",
      "dist/engine",
      "dist/engine.wasm",
      "dist/node",
      "dist/portable",
      "dist/workerd",
      "package.json",
    ]);
    expect(paths.filter((path) => path.endsWith(".map"))).toEqual([]);
  });

  it("is well formed for every tool that reads its entry points", async () => {
    const { messages } = await publint({ pkgDir: join(consumer.folder, "package"), pack: false });
    expect(messages).toEqual([]);
    const attw = join(import.meta.dirname, "../../node_modules/.bin/attw");
    const checked = ["--profile", "esm-only", "--exclude-entrypoints", "engine.wasm"];
    const { stdout } = await run(attw, [consumer.tarball, ...checked, "--format", "json"]);
    expect(JSON.parse(stdout)).not.toHaveProperty("problems.0");
  });

  it("runs the quick start on Node with a folder as its store", async () => {
    const { stdout, stderr } = await consumer.execute(`${QUICK_START}
      console.log(JSON.stringify(await quickStart({ trackingUri: "./mlruns" }, "first")));`);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject(EXPECTED);
  });

  it("runs the README's quick start as it is printed, at the cost printed there", async () => {
    const readme = await readFile(join(consumer.folder, "package/README.md"), "utf8");
    const [, program] = /```ts\n(.*?)```/s.exec(readme) ?? [];
    const { stdout, stderr } = await consumer.execute(program ?? "");
    expect(stdout.trim()).toBe(/totalCostExact\); \/\/ "(.*?)"/.exec(program ?? "")?.[1]);
    expect(stderr).toBe("");
  });

  it("is typed for a browser's program with nothing but the web's types", async () => {
    const program = join(consumer.folder, "types.mts");
    await writeFile(
      program,
      QUICK_START.replace("(options, experimentName)", "(options: object, experimentName: string)"),
    );
    const settings = [
      "--strict",
      "--noEmit",
      "--skipLibCheck",
      "false",
      "--lib",
      "es2022,dom,dom.iterable",
    ];
    const modules = ["--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"];
    const tsc = resolve(import.meta.dirname, "../../node_modules/typescript/bin/tsc");
    const outcome = await run(process.execPath, [tsc, ...settings, ...modules, program], {
      cwd: consumer.folder,
    }).catch((error: { stdout: string }) => error);
    expect(outcome.stdout).toBe("");
  });

  it("gives the bare engine to those who want nothing else", async () => {
    const { stdout } = await consumer.execute(`
      import { readFile, writeFile } from "node:fs/promises";
      import { createEngine } from "genops/engine";
      const engine = createEngine();
      const run = engine.openRun({ runId: "r", team: "t" });
      engine.record(run, engine.operation("log_metric"), 0, 0, 1);
      const wasm = await readFile(new URL(import.meta.resolve("genops/engine.wasm")));
      const imports = WebAssembly.Module.imports(await WebAssembly.compile(wasm)).length;
      console.log(JSON.stringify({ total: engine.summary().total.toString(), imports }));`);
    expect(JSON.parse(stdout)).toEqual({ total: "100000000000000", imports: 0 });
  });

  it("gives the conformance checker to those who want nothing else", async () => {
    const { stdout } = await consumer.execute(`
      import { readFile } from "node:fs/promises";
      import { checkConformance } from "genops/conformance";
      const source = await readFile(new URL(import.meta.resolve("genops/conformance")), "utf8");
      const { level, items } = checkConformance([]);
      console.log(JSON.stringify({ level, items: items.length, alone: !/\\bfrom *"|\\bimport *[("]/.test(source) }));`);
    expect(JSON.parse(stdout)).toEqual({ level: "none", items: 44, alone: true });
  });
});

async function browserBundle(program: string): Promise<string> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: program, resolveDir: consumer.folder, loader: "js" },
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: "iife",
    globalName: "program",
    platform: "browser",
    logLevel: "silent",
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.some((path) => path.includes("dist/portable/"))).toBe(true);
  expect(inputs.filter((path) => path.includes("dist/node/"))).toEqual([]);
  return outputFiles[0]?.text ?? "";
}

describe("the browser build", () => {
  it("asks for nothing of Node", async () => {
    const bundle = await browserBundle(QUICK_START);
    expect(bundle).not.toMatch(/["']node:|\brequire\(/);
  });

  it.runIf(requiresMlflow())(
    "carries artifacts up from a Blob and a stream, and down again, with web interfaces alone",
    async () => {
      const bundle = await browserBundle(`
        import * as mlflow from "genops/mlflow";
        export async function carry(trackingUri, experimentName) {
          mlflow.setTrackingUri(trackingUri);
          await mlflow.setExperiment(experimentName);
          return mlflow.withRun({}, async ({ info: { runId } }) => {
            await mlflow.logBytes(new Blob(["from a ", "blob"]), "in/blob.txt");
            await mlflow.logBytes(new Blob(["from a stream"]).stream(), "in/stream.txt");
            const at = (artifactPath) => ({ runId, artifactPath });
            const told = [];
            const onProgress = ({ transferredBytes }) => told.push(transferredBytes);
            const stream = await mlflow.artifacts.openArtifact(at("in/stream.txt"));
            return JSON.stringify({
              listed: (await mlflow.artifacts.listArtifacts(at("in"))).map(({ path }) => path),
              text: await mlflow.artifacts.loadText({ ...at("in/blob.txt"), onProgress }),
              streamed: await new Response(stream).text(),
              told: told.at(-1),
              local: await mlflow.artifacts.downloadArtifacts(at("in")).catch(({ code }) => code),
            });
          });
        }`);
      expect(bundle).not.toMatch(/["']node:|\brequire\(/);
      const web = {
        ...{ AbortController, AbortSignal, Blob, DOMException, Headers, ReadableStream, Response },
        ...{ TextDecoder, TextEncoder, TransformStream, URL, URLSearchParams, atob, btoa, console },
        ...{ clearInterval, clearTimeout, crypto, fetch, performance, setInterval, setTimeout },
      };
      const realm = createContext(web);
      new Script(`${bundle};globalThis.program = program`).runInContext(realm);
      const { carry } = (realm as { program: { carry: (...of: unknown[]) => Promise<string> } })
        .program;
      const outcome = await carry(inject("mlflowServerUri"), uniqueName("browser"));
      expect(JSON.parse(outcome)).toEqual({
        listed: ["in/blob.txt", "in/stream.txt"],
        text: "from a blob",
        streamed: "from a stream",
        told: 11,
        local: "NOT_IMPLEMENTED",
      });
    },
  );

  it.runIf(requiresMlflow())(
    "runs the quick start against a server, with web interfaces alone",
    async () => {
      const bundle = await browserBundle(QUICK_START);
      const web = {
        ...{ AbortController, AbortSignal, Blob, DOMException, Headers, ReadableStream, Response },
        ...{ TextDecoder, TextEncoder, URL, URLSearchParams, atob, btoa, clearTimeout, console },
        ...{ crypto, fetch, performance, setTimeout },
      };
      const realm = createContext(web);
      new Script(`${bundle};globalThis.program = program`).runInContext(realm);
      const { quickStart } = (realm as { program: { quickStart: (...of: unknown[]) => unknown } })
        .program;
      const trackingUri = inject("mlflowServerUri");
      const storageBackends = { "mlflow-artifacts:": "local" };
      const metrics = await quickStart({ trackingUri, storageBackends }, uniqueName("browser"));
      expect(metrics).toMatchObject(EXPECTED);
    },
  );
});

describe.runIf(requiresMlflow())("zero code", () => {
  const program = `
    import { autoInstrumentMlflow } from "genops";
    import * as mlflow from "genops/mlflow";
    const adapter = autoInstrumentMlflow();
    await mlflow.setExperiment(process.env.EXPERIMENT);
    await mlflow.withRun({ runName: "parent" }, async () => {
      await mlflow.logMetric("accuracy", 0.9);
      await mlflow.withRun({ runName: "child", nested: true }, () => mlflow.logParam("p", 1));
    });
    console.log(adapter.costAggregator.getSummary().totalCostExact);`;

  it("sends the spans of a plain program to a real OTLP receiver before it exits", async () => {
    const server = inject("mlflowServerUri") as string;
    const python = inject("pythonPath") as string;
    const created = await fetch(`${server}/api/2.0/mlflow/experiments/create`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: uniqueName("spans") }),
    });
    const { experiment_id: traces } = (await created.json()) as { experiment_id: string };
    const { stdout, stderr } = await consumer.execute(program, {
      MLFLOW_TRACKING_URI: server,
      EXPERIMENT: uniqueName("zero-code"),
      GENOPS_TEAM: "ml-team",
      GENOPS_PROJECT: "zero",
      GENOPS_ENVIRONMENT: "test",
      OTEL_EXPORTER_OTLP_ENDPOINT: server,
      OTEL_EXPORTER_OTLP_HEADERS: `x-mlflow-experiment-id=${traces}`,
      OTEL_SERVICE_NAME: "trainer",
    });
    expect(stderr).toBe("");
    expect(stdout.trim()).toBe("0.0005");
    const read = await run(python, [join(import.meta.dirname, "read_spans.py"), server, traces]);
    const spans = JSON.parse(read.stdout) as {
      name: string;
      parent: string | null;
      id: string;
      attributes: Record<string, unknown>;
      events: string[];
    }[];
    const runs = spans.filter(({ name }) => name === "mlflow.run");
    const child = runs.find(({ attributes }) => attributes["mlflow.run_name"] === "child");
    const parent = runs.find(({ attributes }) => attributes["mlflow.run_name"] === "parent");
    expect(runs).toHaveLength(2);
    expect(child?.parent).toBe(parent?.id);
    expect(parent?.attributes).toMatchObject({
      "genops.team": "ml-team",
      "genops.project": "zero",
      "genops.spec.version": "0.1.0",
      "genops.mlflow.run_cost_inclusive": "0.0004",
    });
    expect(parent?.events).toEqual([
      "genops.policy.evaluated",
      "genops.budget.reservation",
      "genops.budget.reconciliation",
    ]);
    expect(spans.map(({ name }) => name).sort()).toEqual([
      "mlflow.create_experiment",
      "mlflow.get_experiment",
      "mlflow.get_experiment_by_name",
      "mlflow.log_metric",
      "mlflow.log_param",
      "mlflow.run",
      "mlflow.run",
    ]);
    const actual = spans.reduce(
      (sum, { attributes }) => sum + Number(attributes["genops.accounting.actual"] ?? 0) * 1e4,
      0,
    );
    expect(actual).toBe(5);
  });

  it("says how to get the exporter when it is not installed, and goes on", async () => {
    const { stdout, stderr } = await consumer.execute(
      `import { register } from "node:module";
       import Module from "node:module";
       const resolve = Module._resolveFilename;
       Module._resolveFilename = (name, ...rest) => {
         if (name.includes("exporter-trace-otlp")) throw new Error("Cannot find module");
         return resolve.call(Module, name, ...rest);
       };
       const { autoInstrumentMlflow } = await import("genops");
       autoInstrumentMlflow();
       console.log("went on");`,
      {
        GENOPS_TEAM: "t",
        GENOPS_PROJECT: "p",
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      },
    );
    expect(stdout).toContain("went on");
    expect(stderr).toContain("npm install @opentelemetry/sdk-trace-base");
  });

  it("warns of an endpoint that is no address, and sends nothing elsewhere", async () => {
    const { stdout, stderr } = await consumer.execute(
      `import { autoInstrumentMlflow } from "genops"; autoInstrumentMlflow(); console.log("went on");`,
      { GENOPS_TEAM: "t", GENOPS_PROJECT: "p", OTEL_EXPORTER_OTLP_ENDPOINT: "notaurl" },
    );
    expect(stdout).toContain("went on");
    expect(stderr).toContain("OTEL_EXPORTER_OTLP_ENDPOINT=notaurl is no http(s) address");
  });

  it("warns when the receiver cannot be reached, and the program ends well", async () => {
    const { stdout, stderr } = await consumer.execute(program, {
      MLFLOW_TRACKING_URI: "./offline",
      EXPERIMENT: "e",
      GENOPS_TEAM: "t",
      GENOPS_PROJECT: "p",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      OTEL_EXPORTER_OTLP_TIMEOUT: "2000",
    });
    expect(stdout.trim()).toBe("0.0005");
    expect(stderr).toContain("spans could not be sent");
  });
});
