// The three clouds as processes of this machine: an S3 gateway, Azurite, and a server of Google's API.
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { installOnce } from "./install-once.js";
import { freePort } from "./mlflow-server.js";
import { MLFLOW_VERSION, neutralEnvironment } from "./python.js";
import { preparePythonOverlay } from "./python-overlay.js";

const run = promisify(execFile);

const VERSITYGW = "v1.8.0";
const FAKE_GCS = "v1.56.1";
const AZURITE = "3.35.0";
const PYTHON_SDKS = [
  "boto3==1.44.8",
  "azure-storage-blob==12.31.1",
  "google-cloud-storage==3.17.1",
];

export type CloudName = "S3" | "Azure" | "Google";

export interface Cloud {
  /** What a client needs in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** A folder of the cloud that nobody else uses. */
  freshUri(): string;
  /** Where the emulator itself answers. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Are there the tools that build the emulators? With CI=true there must be. */
export function requiresClouds(): boolean {
  const found = spawnSync("go", ["version"]).status === 0;
  if (!found && process.env.CI === "true") throw new Error("With CI=true, Go must be installed.");
  return found;
}

async function goProgram(name: string, module: string, version: string): Promise<string> {
  const folder = await installOnce(`${name}-${version}`, async (GOBIN) => {
    const env = { ...process.env, GOBIN, CGO_ENABLED: "0" };
    const options = { env, cwd: GOBIN, maxBuffer: 2 ** 26, timeout: 18 * 60_000 };
    await run("go", ["install", `${module}@${version}`], options);
  });
  return join(folder, name);
}

async function azuriteProgram(): Promise<string> {
  const folder = await installOnce(`azurite-${AZURITE}`, async (prefix) => {
    const quiet = ["--no-audit", "--no-fund", "--ignore-scripts"];
    const args = ["install", "--prefix", prefix, ...quiet, `azurite@${AZURITE}`];
    await run("npm", args, { cwd: prefix, maxBuffer: 2 ** 26, timeout: 10 * 60_000 });
  });
  return join(folder, "node_modules/azurite/dist/src/blob/main.js");
}

/** The Python that has MLflow and the SDKs of the clouds. */
export function preparePythonClouds(python: string): Promise<string> {
  return preparePythonOverlay({
    name: `clouds-mlflow-${MLFLOW_VERSION}`,
    python,
    packages: PYTHON_SDKS,
    modules: ["mlflow", "boto3", "azure.storage.blob", "google.cloud.storage"],
  });
}

interface Started {
  readonly folder: string;
  readonly address: string;
  stop(): Promise<void>;
}

async function start(
  name: string,
  command: (folder: string, port: number) => readonly [string, readonly string[]],
): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), `genops-${name}-`));
  const port = await freePort();
  const [program, args] = command(folder, port);
  const child: ChildProcess = spawn(program, args, {
    cwd: folder,
    env: neutralEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const address = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 60_000;
  const answers = () =>
    fetch(address).then(
      () => true,
      () => false,
    );
  while (!(await answers())) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`${name} did not start:\n${output}`);
    }
    await delay(50);
  }
  return { folder, address, stop };
}

/** Several suites may share one cloud: each asks for a place of its own. */
function fresh(root: string): () => string {
  return () => `${root}/${crypto.randomUUID().slice(0, 8)}`;
}

export async function startS3(): Promise<Cloud> {
  const program = await goProgram(
    "versitygw",
    "github.com/versity/versitygw/cmd/versitygw",
    VERSITYGW,
  );
  const keys = { access: "artifacts", secret: "artifacts-secret" };
  const { folder, address, stop } = await start("s3", (root, port) => {
    // Not every file system of a test machine keeps attributes.
    spawnSync("mkdir", ["-p", join(root, "data/bucket"), join(root, "sidecar")]);
    const login = ["--access", keys.access, "--secret", keys.secret, "--quiet"];
    const backend = ["posix", "--sidecar", join(root, "sidecar"), join(root, "data")];
    return [program, ["--port", `127.0.0.1:${port}`, ...login, ...backend]];
  });
  const environment = {
    MLFLOW_S3_ENDPOINT_URL: address,
    AWS_ACCESS_KEY_ID: keys.access,
    AWS_SECRET_ACCESS_KEY: keys.secret,
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_CONFIG_FILE: join(folder, "none"),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, "none"),
  };
  return { environment, freshUri: fresh("s3://bucket/runs ü"), address, stop };
}

const AZURE_KEY =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export async function startAzure(): Promise<Cloud> {
  const program = await azuriteProgram();
  const { address, stop } = await start("azurite", (folder, port) => {
    const place = ["--location", folder, "--blobHost", "127.0.0.1", "--blobPort", String(port)];
    const flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"];
    return [process.execPath, [program, ...place, ...flags]];
  });
  const account = "devstoreaccount1";
  const text = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${AZURE_KEY};BlobEndpoint=${address}/${account};`;
  const { BlobServiceClient } = await import("@azure/storage-blob");
  await BlobServiceClient.fromConnectionString(text).createContainer("box");
  const root = `wasbs://box@${account}.blob.core.windows.net/runs ü`;
  return {
    environment: { AZURE_STORAGE_CONNECTION_STRING: text },
    freshUri: fresh(root),
    address,
    stop,
  };
}

export async function startGoogle(): Promise<Cloud> {
  const program = await goProgram("fake-gcs-server", "github.com/fsouza/fake-gcs-server", FAKE_GCS);
  const { address, stop } = await start("gcs", (folder, port) => {
    const at = ["-scheme", "http", "-host", "127.0.0.1", "-port", String(port)];
    const self = `127.0.0.1:${port}`;
    const names = ["-public-host", self, "-external-url", `http://${self}`];
    const data = ["-filesystem-root", join(folder, "data"), "-log-level", "error"];
    return [program, [...at, ...names, ...data]];
  });
  await fetch(`${address}/storage/v1/b?project=test`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "bucket" }),
  });
  const environment = { STORAGE_EMULATOR_HOST: address, GOOGLE_CLOUD_PROJECT: "test" };
  return { environment, freshUri: fresh("gs://bucket/runs ü"), address, stop };
}
