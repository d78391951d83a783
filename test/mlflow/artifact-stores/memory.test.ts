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
  preparePythonClouds,
  requiresClouds,
  startAzure,
  startGoogle,
  startS3,
} from "../../support/clouds.js";
import { INSTALL_TIMEOUT_MS } from "../../support/install-once.js";
import { startMlflowServer } from "../../support/mlflow-server.js";
import { neutralEnvironment } from "../../support/python.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";

const execute = promisify(execFile);
const MIB = 1024 ** 2;
/** MiB; `GENOPS_TEST_LARGE_FILE_MIB=2048` is what `npm run test:large` asks for. */
const SIZE_MIB = Number(process.env.GENOPS_TEST_LARGE_FILE_MIB ?? 256);
/** The server of Google's API keeps a file in memory, and copies all of it for each chunk that comes. */
const MOST_FOR_GOOGLE_MIB = 512;
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
async function largeFile(path: string, sizeMib: number): Promise<void> {
  const file = await open(path, "w");
  await file.truncate(sizeMib * MIB);
  for (let at = 0; at < sizeMib; at += 4) {
    await file.write(`part at ${at}`, at * MIB + (at % 97));
  }
  await file.close();
}

interface Carriage {
  /** A folder when left out. */
  readonly trackingUri?: string;
  /** Where a folder's runs keep their artifacts; beside them when left out. */
  readonly artifactLocation?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly sizeMib?: number;
}

async function carry({
  trackingUri,
  artifactLocation,
  environment,
  sizeMib = SIZE_MIB,
}: Carriage): Promise<void> {
  const work = await temporaryFolder();
  const file = join(work, "large.bin");
  await largeFile(file, sizeMib);
  const tracking = trackingUri ?? join(work, "mlruns");
  const { stdout } = await execute(
    process.execPath,
    [program, tracking, artifactLocation ?? "", file, join(work, "back")],
    { env: { ...neutralEnvironment(), ...environment } },
  );
  const { peakBytes, upMs, downMs, isSame } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  console.log(
    `${sizeMib} MiB: up ${(upMs / 1000).toFixed(1)} s, down ${(downMs / 1000).toFixed(1)} s, peak ${Math.round(peakBytes / MIB)} MiB`,
  );
  expect(isSame).toBe(true);
  expect(peakBytes / MIB).toBeLessThan(MOST_MIB);
}

const MINUTES = 10 * 60_000;

describe(`a file of ${SIZE_MIB} MiB`, () => {
  it("goes to a local folder in constant memory", () => carry({}), MINUTES);

  it.runIf(requiresMlflow())(
    "goes through a server in constant memory",
    async () => {
      await carry({ trackingUri: inject("mlflowServerUri") as string });
    },
    MINUTES,
  );

  it.runIf(requiresMlflow() && requiresClouds())(
    "goes past a server, in the parts that it offers, in constant memory",
    () => withCloud(startS3, carryInParts),
    INSTALL_TIMEOUT_MS,
  );
  it.runIf(requiresClouds())(
    "goes to S3 in constant memory",
    () => withCloud(startS3, carryDirectly),
    INSTALL_TIMEOUT_MS,
  );
  it.runIf(requiresClouds())(
    "goes to Azure in constant memory",
    () => withCloud(startAzure, carryDirectly),
    INSTALL_TIMEOUT_MS,
  );
  it.runIf(requiresClouds())(
    "goes to Google in constant memory",
    () =>
      withCloud(startGoogle, (cloud) =>
        carryDirectly(cloud, Math.min(SIZE_MIB, MOST_FOR_GOOGLE_MIB)),
      ),
    INSTALL_TIMEOUT_MS,
  );
});

function carryDirectly(cloud: Cloud, sizeMib = SIZE_MIB): Promise<void> {
  const { environment } = cloud;
  return carry({ artifactLocation: cloud.freshUri(), environment, sizeMib });
}

async function carryInParts(cloud: Cloud): Promise<void> {
  const python = await preparePythonClouds(inject("pythonPath") as string);
  const { environment } = cloud;
  const server = await startMlflowServer(python, { destination: cloud.freshUri(), environment });
  try {
    await carry({
      trackingUri: server.uri,
      // The file is below the size from which a server's parts are taken.
      environment: {
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: "true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE: String(16 * MIB),
      },
    });
  } finally {
    await server.stop();
  }
}

async function withCloud(
  start: () => Promise<Cloud>,
  work: (cloud: Cloud) => Promise<void>,
): Promise<void> {
  const cloud = await start();
  try {
    await work(cloud);
  } finally {
    await cloud.stop();
  }
}
