// A process of its own that carries one large file up and down, and tells what memory it took.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import * as mlflow from "../../../src/mlflow/node.js";

async function sumOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest("hex");
}

const [trackingUri = "", artifactLocation = "", file = "", folder = ""] = process.argv.slice(2);
const client = new mlflow.MlflowClient({ trackingUri });
const options = artifactLocation === "" ? {} : { artifactLocation };
const name = `memory-${crypto.randomUUID()}`;
const { info } = await client.createRun(await client.createExperiment(name, options));
const startedMs = performance.now();
await client.logArtifact(info.runId, file);
const upMs = performance.now() - startedMs;
const local = await client.downloadArtifacts(info.runId, "", folder);
const downMs = performance.now() - startedMs - upMs;
// In KiB; taken before the sums, which are no part of the transfer.
const peakBytes = process.resourceUsage().maxRSS * 1024;
const path = join(local, file.slice(file.lastIndexOf("/") + 1));
const isSame = (await sumOf(path)) === (await sumOf(file));
await mlflow.artifacts.deleteArtifacts({
  artifactUri: `${info.artifactUri}/${file.slice(file.lastIndexOf("/") + 1)}`,
  trackingUri,
});
console.log(JSON.stringify({ peakBytes, upMs, downMs, isSame }));
