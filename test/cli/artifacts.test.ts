// `genops artifacts`: up, listed and down again in a folder and on a real server, and wrong use by name.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { TransferLine } from "../../src/cli/artifacts/transfer-line.js";
import { MlflowClient } from "../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { useCommandLine } from "./command-line.js";

const genops = useCommandLine();

function onStore(uri: () => Promise<string>): void {
  let cwd: string;
  let tracking: string;
  let runId: string;
  beforeEach(async () => {
    cwd = await temporaryFolder();
    tracking = await uri();
    const client = new MlflowClient({ trackingUri: tracking });
    const { info } = await client.createRun(await client.createExperiment(uniqueName("cli")));
    runId = info.runId;
    await mkdir(join(cwd, "model/deep"), { recursive: true });
    await writeFile(join(cwd, "model/weights.bin"), "weights");
    await writeFile(join(cwd, "model/deep/ü.txt"), "größe");
  });

  const run = (...args: string[]) =>
    genops.run(["artifacts", ...args], cwd, { MLFLOW_TRACKING_URI: tracking });

  it("carries a folder up and down", async () => {
    expect(await run("upload", "model", "kept", "--run-id", runId)).toEqual({
      code: 0,
      stdout: `uploaded 2 files, 14 bytes to run ${runId}\n`,
      stderr: "",
    });
    expect(await run("list", "kept/model", "--run-id", runId)).toEqual({
      code: 0,
      stdout: "   kept/model/deep/\n7  kept/model/weights.bin\n",
      stderr: "",
    });
    const all = await run("list", "--run-id", runId, "--recursive", "--json");
    const { artifacts } = JSON.parse(all.stdout) as { artifacts: { path: string }[] };
    expect(artifacts.map(({ path }) => path)).toEqual([
      "kept",
      "kept/model",
      "kept/model/deep",
      "kept/model/deep/ü.txt",
      "kept/model/weights.bin",
    ]);
    const down = await run("download", "kept/model", "--run-id", runId, "-o", "back", "--json");
    const localPath = join(cwd, "back/kept/model");
    expect(down).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(down.stdout)).toEqual({ localPath, files: 2, bytes: 14 });
    expect(await readFile(join(localPath, "deep/ü.txt"), "utf8")).toBe("größe");

    const uri = ["--artifact-uri", `runs:/${runId}/kept/model/weights.bin`];
    expect(await run("download", ...uri, "--output", "one")).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect(await readdir(join(cwd, "one"), { recursive: true })).toContain(
      "kept/model/weights.bin",
    );
    const below = await run("list", "--artifact-uri", `runs:/${runId}/kept`, "-r");
    expect(below.stdout).toContain("7  kept/model/weights.bin\n");
  });

  it("tells an empty folder from a slip of the pen", async () => {
    await run("upload", "model/weights.bin", "kept", "--run-id", runId);
    const missing = await run("list", "kept/nothing", "--run-id", runId);
    expect(missing).toMatchObject({ code: 2, stdout: "" });
    expect(missing.stderr).toContain(
      "'kept/nothing' is not among the run's artifacts below 'kept'",
    );
    const file = await run("list", "kept/weights.bin", "--run-id", runId);
    expect(file).toMatchObject({ code: 2, stdout: "" });
    expect(file.stderr).toContain("'kept/weights.bin' is a file of 7 bytes");
  });

  it("says in one line what is not there", async () => {
    const { code, stdout, stderr } = await run("download", "none.txt", "--run-id", runId);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^genops: There is no artifact 'none\.txt' in [^\n]+\n$/);
    expect((await run("upload", "none.txt", "--run-id", runId)).stderr).toContain(
      "there is nothing at this path",
    );
  });
}

describe("artifacts in a folder", () => {
  onStore(async () => join(await temporaryFolder(), "mlruns"));
});

describe.runIf(requiresMlflow())("artifacts on a server", () => {
  onStore(async () => inject("mlflowServerUri") as string);
});

describe("wrong use of artifacts", () => {
  it.each([
    [["artifacts", "dwnload"], "Did you mean download?"],
    [["artifacts", "list", "--runid", "x"], "Did you mean --run-id?"],
    [["artifacts", "download", "--outptu", "x"], "Did you mean --output?"],
    [["artifacts", "upload", "--run-id", "x"], "missing required argument 'local-path'"],
    [["artifacts", "upload", "x"], "'--run-id <id>' not specified"],
    [["artifacts", "list"], "either --run-id <id> or --artifact-uri <uri>"],
    [["artifacts", "list", "x", "--artifact-uri", "s3://b"], "goes with --run-id"],
  ])("%j is refused", async (args, advice) => {
    const { code, stdout, stderr } = await genops.run(args, await temporaryFolder());
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^genops: [^\n]+\n$/);
    expect(stderr).toContain(advice);
  });

  it("names the package that a cloud needs, and the command that installs it", async () => {
    const cwd = await temporaryFolder();
    for (const [uri, name] of [
      ["s3://bucket/x", "@aws-sdk/client-s3"],
      ["gs://bucket/x", "@google-cloud/storage"],
      ["wasbs://c@a.blob.core.windows.net/x", "@azure/storage-blob"],
    ] as const) {
      const { code, stderr } = await genops.run(["artifacts", "list", "--artifact-uri", uri], cwd);
      expect([code, stderr]).toEqual([1, expect.stringContaining(`Run: npm install ${name}\n`)]);
    }
  });

  it("is helped in lines that fit a terminal", async () => {
    const cwd = await temporaryFolder();
    for (const command of [[], ["list"], ["upload"], ["download"]]) {
      const { code, stdout } = await genops.run(["artifacts", ...command, "--help"], cwd);
      expect(code).toBe(0);
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    }
  });
});

describe("the progress of a transfer", () => {
  function shownOn(isTTY: boolean) {
    let written = "";
    const write = (text: string) => {
      written += text;
    };
    const line = new TransferLine({ isTTY, columns: 80, write }, "down");
    line.onProgress({ path: "a.bin", transferredBytes: 512 * 1024, totalBytes: 1024 ** 2 });
    line.onProgress({ path: "b.bin", transferredBytes: 10, totalBytes: undefined });
    line.clear();
    return { written, files: line.files, bytes: line.bytes };
  }

  it("is a bar on a terminal", () => {
    const { written, ...counts } = shownOn(true);
    expect(counts).toEqual({ files: 2, bytes: 512 * 1024 + 10 });
    expect(written).toContain(`${"█".repeat(10)}${"░".repeat(10)} ↓ 512.0 KiB of 1.0 MiB  a.bin`);
    expect(written.endsWith("\r\u001b[K")).toBe(true);
  });

  it("is silent elsewhere", () => {
    expect(shownOn(false)).toEqual({ written: "", files: 2, bytes: 512 * 1024 + 10 });
  });
});
