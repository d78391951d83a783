// @ts-check
// Artifacts: text, objects, tables and whole folders; listed, read back, and priced by what keeps them.
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instrumentMlflow } from "genops";
import * as mlflow from "genops/mlflow";

const folder = await mkdtemp(join(tmpdir(), "artifacts-"));

const adapter = instrumentMlflow({
  trackingUri: process.env.MLFLOW_TRACKING_URI ?? join(folder, "mlruns"),
  team: "ml-team",
  project: "artifacts",
  environment: "development",
  // The server of this team keeps its artifacts on S3; so does, for the sake of the example, the folder.
  storageBackends: { "mlflow-artifacts:": "s3", "file:": "s3" },
});

const plots = join(folder, "plots");
await mkdir(plots);
await writeFile(join(plots, "loss.svg"), "<svg/>");
await writeFile(join(plots, "roc.svg"), "<svg/>");

await adapter.trackMlflowRun(
  { experimentName: "artifact-experiment", runName: "run-001" },
  async (run) => {
    const { runId } = run.info;
    await mlflow.logText("all went well\n", "notes.txt");
    await mlflow.logDict({ layers: [64, 32], dropout: 0.1 }, "config.json");
    await mlflow.logBytes(new Uint8Array(1024 * 1024), "model/weights.bin");
    await mlflow.logArtifacts(plots, "plots");

    for (const { path, isDirectory, sizeBytes } of await mlflow.artifacts.listArtifacts({
      runId,
    })) {
      console.log(isDirectory ? `${path}/` : `${path} (${sizeBytes} bytes)`);
    }
    const config = await mlflow.artifacts.loadDict({ runId, artifactPath: "config.json" });
    console.log(`Read back: dropout ${config.dropout}`);
  },
);

const { storage, exact, totalCostExact } = adapter.costAggregator.getSummary();
for (const [backend, { bytes, files }] of Object.entries(storage)) {
  console.log(
    `${backend}: ${files} files, ${bytes} bytes, $${exact.costByStorageBackend[backend]}`,
  );
}
console.log(`Total cost: $${totalCostExact}`);
