// One folder that two processes hammer at the same time: nothing is lost, torn, or given away twice.
import { execFile } from "node:child_process";
import { mkdtemp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { MlflowClient } from "../../src/mlflow/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { python } from "./run-python.js";

const ROUNDS = 25;
const PROCESSES = 2;

/** Every round writes to the shared run, makes a run, a version and a logged model of its own. */
const PROGRAM = `
  const [folder, who, experimentId, runId] = process.argv.slice(2);
  const client = new MlflowClient({ trackingUri: folder });
  const made = { runs: [], versions: [], models: [], torn: [] };
  for (let round = 0; round < ${ROUNDS}; round++) {
    const work = await Promise.all([
      client.logMetric(runId, "shared", round, { step: round, timestamp: 1000 + round }),
      client.logParam(runId, who + "-" + round, "x".repeat(5000)),
      client.setTag(runId, "last", (who + "-").repeat(500)),
      client.createRun(experimentId, { runName: who + "-" + round }),
      client.createModelVersion("m", "s3://bucket/m"),
      client.createLoggedModel(experimentId, { name: "net", sourceRunId: runId }),
      client.setRegisteredModelAlias("m", "champion", 1),
      client.logInput(runId, { name: "d", digest: "1", sourceType: "code", source: "{}" }),
      client.getRun(runId),
      client.searchRuns([experimentId]),
      client.getRegisteredModel("m"),
    ]);
    const [,,, run, version, model,,, read] = work;
    made.runs.push(run.info.runId);
    made.versions.push(version.version);
    made.models.push(model.modelId);
    const last = read.data.tags.last ?? "";
    if (!/^(?:(?:a-){500}|(?:b-){500}|)$/.test(last)) made.torn.push(last);
  }
  console.log(JSON.stringify(made));
`;

interface Made {
  readonly runs: string[];
  readonly versions: string[];
  readonly models: string[];
  readonly torn: string[];
}

async function program(): Promise<string> {
  const work = await mkdtemp(join(await temporaryFolder(), "work-"));
  const script = join(work, "hammer.mjs");
  const client = new URL("../../src/mlflow/node.ts", import.meta.url).pathname;
  const require_ =
    'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';
  await build({
    stdin: {
      contents: `import { MlflowClient } from ${JSON.stringify(client)};${PROGRAM}`,
      resolveDir: work,
    },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: script,
    banner: { js: require_ },
  });
  return script;
}

describe("a folder that two processes write to", () => {
  it("holds everything of both, whole", async () => {
    const folder = join(await temporaryFolder(), "mlruns");
    const client = new MlflowClient({ trackingUri: folder });
    const experimentId = await client.createExperiment("shared");
    const { runId } = (await client.createRun(experimentId)).info;
    await client.createRegisteredModel("m");
    await client.createModelVersion("m", "s3://bucket/m");
    const script = await program();
    const run = promisify(execFile);
    const outputs = await Promise.all(
      ["a", "b"].map((who) => run(process.execPath, [script, folder, who, experimentId, runId])),
    );
    const made = outputs.map(({ stdout }) => JSON.parse(stdout) as Made);
    const all = (what: keyof Made) => made.flatMap((one) => one[what]);
    const rounds = PROCESSES * ROUNDS;
    expect(all("torn")).toEqual([]);
    expect(new Set(all("runs")).size).toBe(rounds);
    expect(new Set(all("models")).size).toBe(rounds);
    const versions = all("versions")
      .map(Number)
      .sort((one, other) => one - other);
    expect(versions).toEqual(Array.from({ length: rounds }, (_, index) => index + 2));

    const reader = new MlflowClient({ trackingUri: folder });
    const { data, inputs } = await reader.getRun(runId);
    expect(Object.keys(data.params)).toHaveLength(rounds);
    expect(new Set(Object.values(data.params))).toEqual(new Set(["x".repeat(5000)]));
    expect(inputs.datasetInputs).toHaveLength(1);
    // Each point was logged by both, and is there as often, as Python counts it below.
    expect(await reader.getMetricHistory(runId, "shared")).toHaveLength(rounds);
    expect(await reader.searchRuns([experimentId])).toHaveLength(rounds + 1);
    expect(await reader.searchModelVersions({ filterString: "name = 'm'" })).toHaveLength(
      rounds + 1,
    );
    expect((await reader.getModelVersionByAlias("m", "champion")).version).toBe("1");
    const entries = await readdir(folder, { recursive: true });
    expect(entries.filter((entry) => /\.(tmp|part|lock)$/.test(entry))).toEqual([]);
    if (requiresMlflow()) {
      const counts = await python("count.py", folder, experimentId, runId);
      expect(counts).toEqual({
        runs: rounds + 1,
        params: rounds,
        points: rounds,
        versions: rounds + 1,
        models: rounds,
        inputs: 1,
      });
    }
  });
});
