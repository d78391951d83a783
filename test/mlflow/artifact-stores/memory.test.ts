// A file of any size in constant memory, up and down, through a server and to each cloud.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { temporaryFolder } from "../../adapter/workplace.js";
import {
  type Cloud,
  requiresClouds,
  startAzure,
  startGoogle,
  startS3,
} from "../../support/clouds.js";
import { INSTALL_TIMEOUT_MS } from "../../support/install-once.js";
import { neutralEnvironment } from "../../support/python.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";

const execute = promisify(execFile);
const MIB = 1024 ** 2;
/** MiB; `GENOPS_TEST_LARGE_FILE_MIB=2048` is what `npm run test:large` asks for. */
const SIZE_MIB = Number(process.env.GENOPS_TEST_LARGE_FILE_MIB ?? 256);
/** Node alone takes some 70 MiB, an SDK another 30. */
const MOST_MIB = 200;

let folder = "";
let program = "";
beforeAll(async () => {
  // Beside the package, where its optional packages are found.
  await mkdir("build", { recursive: true });
  folder = await mkdtemp(join("build", "memory-"));
  program = join(folder, "program.mjs");
  await build({
    entryPoints: ["test/mlflow/artifact-stores/memory-program.ts"],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2022",
    packages: "external",
    logLevel: "error",
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Sparse, with bytes of its own in every part of it. */
async function largeFile(path: string): Promise<void> {
  const file = await open(path, "w");
  await file.truncate(SIZE_MIB * MIB);
  for (let at = 0; at < SIZE_MIB; at += 4) {
    await file.write(`part at ${at}`, at * MIB + (at % 97));
  }
  await file.close();
}

async function carry(trackingUri: string | undefined, cloud?: Cloud): Promise<void> {
  const work = await temporaryFolder();
  const file = join(work, "large.bin");
  await largeFile(file);
  const tracking = trackingUri ?? join(work, "mlruns");
  const { stdout } = await execute(
    process.execPath,
    [program, tracking, cloud?.freshUri() ?? "", file, join(work, "back")],
    { env: { ...neutralEnvironment(), ...cloud?.environment } },
  );
  const { peakBytes, upMs, downMs, isSame } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  console.log(
    `${SIZE_MIB} MiB: up ${(upMs / 1000).toFixed(1)} s, down ${(downMs / 1000).toFixed(1)} s, peak ${Math.round(peakBytes / MIB)} MiB`,
  );
  expect(isSame).toBe(true);
  expect(peakBytes / MIB).toBeLessThan(MOST_MIB);
}

const MINUTES = 10 * 60_000;

describe(`a file of ${SIZE_MIB} MiB`, () => {
  it.runIf(requiresMlflow())(
    "goes through a server in constant memory",
    async () => {
      await carry(inject("mlflowServerUri") as string);
    },
    MINUTES,
  );

  it.runIf(requiresClouds())(
    "goes to S3 in constant memory",
    () => withCloud(startS3),
    INSTALL_TIMEOUT_MS,
  );
  it.runIf(requiresClouds())(
    "goes to Azure in constant memory",
    () => withCloud(startAzure),
    INSTALL_TIMEOUT_MS,
  );
  it.runIf(requiresClouds())(
    "goes to Google in constant memory",
    () => withCloud(startGoogle),
    INSTALL_TIMEOUT_MS,
  );
});

async function withCloud(start: () => Promise<Cloud>): Promise<void> {
  const cloud = await start();
  try {
    await carry(undefined, cloud);
  } finally {
    await cloud.stop();
  }
}
