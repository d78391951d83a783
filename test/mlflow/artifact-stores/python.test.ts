// Python's client reads what was written here, and the other way round, in each place of artifacts.
import { execFile } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, inject, it } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import { preparePythonClouds, requiresClouds } from "../../support/clouds.js";
import { INSTALL_TIMEOUT_MS } from "../../support/install-once.js";
import { neutralEnvironment } from "../../support/python.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";
import { inEachPlace } from "./places.js";

const execute = promisify(execFile);
const SCRIPT = fileURLToPath(new URL("../python/artifacts.py", import.meta.url));

type Sums = Record<string, [number, string]>;

/** Sizes and sums of every file below a folder. */
async function sumsOf(folder: string): Promise<Sums> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const sums: Sums = {};
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const sum = createHash("sha256").update(bytes).digest("hex");
    sums[path.slice(folder.length + 1)] = [bytes.byteLength, sum];
  }
  return sums;
}

describe.runIf(requiresMlflow() && requiresClouds())("Python and TypeScript", () => {
  let python: string;
  beforeAll(async () => {
    python = await preparePythonClouds(inject("pythonPath") as string);
  }, INSTALL_TIMEOUT_MS);

  inEachPlace(({ open, cloud }) => {
    it("read the same bytes", async () => {
      const { client, runId } = await open();
      const work = await temporaryFolder();
      const ask = async (action: string, folder: string) => {
        const { stdout } = await execute(
          python,
          [SCRIPT, action, client.trackingUri, runId, folder],
          {
            cwd: work,
            env: {
              ...neutralEnvironment(),
              ...cloud?.().environment,
              MLFLOW_ALLOW_FILE_STORE: "true",
              MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR: "false",
              PYTHONDONTWRITEBYTECODE: "1",
            },
            maxBuffer: 2 ** 26,
          },
        );
        return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as unknown;
      };
      const own = join(work, "own");
      await mkdir(join(own, "deep", "er ü"), { recursive: true });
      await writeFile(join(own, "note.txt"), "größe\r\n");
      await writeFile(join(own, "empty"), "");
      await writeFile(join(own, "deep/er ü/large.bin"), randomFillSync(new Uint8Array(20_000_001)));
      await client.logArtifacts(runId, own, "from typescript");
      await ask("write", own);

      const here = join(work, "here");
      await client.downloadArtifacts(runId, "", here);
      const there = join(work, "there");
      await mkdir(there);
      const read = (await ask("read", there)) as { sums: Sums; listed: unknown[]; one: string };

      const written = await sumsOf(own);
      const expected: Sums = {};
      for (const [path, sum] of Object.entries(written)) {
        expected[`from typescript/${path}`] = sum;
        expected[`from python/${path}`] = sum;
      }
      const text = Buffer.from("größe\n");
      expected["text ü.txt"] = [8, createHash("sha256").update(text).digest("hex")];
      expect(await sumsOf(here)).toEqual(expected);
      expect(read.sums).toEqual(expected);
      // Python's text mode makes one character of a line's end.
      expect(read.one).toBe("größe\n");
      const path = "from typescript";
      const listed = await mlflow.artifacts.listArtifacts({ runId, artifactPath: path });
      expect(read.listed).toEqual(
        listed.map((entry) => [
          entry.path,
          entry.isDirectory,
          // Where a size is left out, it is 0.
          entry.isDirectory
            ? null
            : entry.sizeBytes === 0
              ? expect.toBeOneOf([0, null])
              : entry.sizeBytes,
        ]),
      );
    });
  });
});
