// Broken connections, short answers, refused parts: never a short file, never an orphan, resumed where possible.
import { createHash, randomFillSync } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { beforeAll, beforeEach, describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { checkListedPath } from "../../../src/mlflow/artifact-stores/paths.js";
import * as mlflow from "../../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../../adapter/workplace.js";
import {
  type Cloud,
  requiresClouds,
  startAzure,
  startGoogle,
  startS3,
} from "../../support/clouds.js";
import { INSTALL_TIMEOUT_MS } from "../../support/install-once.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";
import { type Fault, type FaultyProxy, faultyProxy, type PassingRequest } from "./faulty-proxy.js";
import { openUploads } from "./uploads.js";

const MIB = 1024 ** 2;
const bytes = randomFillSync(new Uint8Array(3 * MIB));
const sumOf = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

beforeEach(() => {
  vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.01");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0");
  return () => vi.unstubAllEnvs();
});

interface Behind {
  readonly client: mlflow.MlflowClient;
  readonly runId: string;
}

type React = (request: PassingRequest) => Fault;

/** What stands behind the proxy, and how a request for the file's bytes looks there. */
interface Behindness {
  readonly name: string;
  prepare?(): Promise<void>;
  open(react: React): Promise<Behind & { proxy: FaultyProxy }>;
}

async function runIn(trackingUri: string, artifactLocation?: string): Promise<Behind> {
  mlflow.setTrackingUri(trackingUri);
  const client = new mlflow.MlflowClient({ trackingUri });
  const options = artifactLocation === undefined ? {} : { artifactLocation };
  const experimentId = await client.createExperiment(uniqueName("faults"), options);
  const { info } = await client.createRun(experimentId);
  return { client, runId: info.runId };
}

/** Reads of the file itself, not of lists or of what it is. */
const readsFile = (method: string, url: string): boolean =>
  method === "GET" &&
  /large\.bin/.test(url) &&
  (!/\/storage\/v1\/b\//.test(url) || /alt=media/.test(url));

const onServer: Behindness = {
  name: "a server",
  async open(react) {
    const proxy = await faultyProxy(inject("mlflowServerUri") as string, readsFile, react);
    return { ...(await runIn(proxy.address)), proxy };
  },
};

function onCloud(name: string, start: () => Promise<Cloud>, address: RegExp): Behindness {
  let cloud: Cloud | undefined;
  return {
    name,
    async prepare() {
      cloud = await start();
      clouds.push(cloud);
    },
    async open(react) {
      if (cloud === undefined) throw new Error("not prepared");
      const proxy = await faultyProxy(cloud.address, readsFile, react);
      if (name === "Azure") hurrySdk();
      for (const [variable, value] of Object.entries(cloud.environment)) {
        vi.stubEnv(variable, value.replace(address, proxy.address));
      }
      const behind = await runIn(`${await temporaryFolder()}/mlruns`, cloud.freshUri());
      return { ...behind, proxy };
    },
  };
}

/** Milliseconds that Microsoft's SDK waits between its own attempts, and reads no setting for. */
const WAITS_OF_SDK = [4_000, 12_000];

/** Makes those waits short, and those alone, until the test is over. */
function hurrySdk(): void {
  const original = globalThis.setTimeout;
  const hurried = (work: () => void, delayMs?: number, ...values: never[]) =>
    original(work, WAITS_OF_SDK.includes(delayMs ?? 0) ? 10 : delayMs, ...(values as []));
  const timers = vi.spyOn(globalThis, "setTimeout").mockImplementation(hurried as never);
  onTestFinished(() => timers.mockRestore());
}

const clouds: Cloud[] = [];
beforeAll(() => async () => {
  await Promise.all(clouds.map((cloud) => cloud.stop()));
});

const ADDRESS = /http:\/\/127\.0\.0\.1:\d+/;
const kinds: readonly (readonly [boolean, Behindness])[] = [
  [requiresMlflow(), onServer],
  [requiresClouds(), onCloud("S3", startS3, ADDRESS)],
  [requiresClouds(), onCloud("Azure", startAzure, ADDRESS)],
  [requiresClouds(), onCloud("Google", startGoogle, ADDRESS)],
];

for (const [isPossible, kind] of kinds) {
  describe.runIf(isPossible)(`a download from ${kind.name}`, () => {
    beforeAll(async () => kind.prepare?.(), INSTALL_TIMEOUT_MS);

    /** The file is written unhindered; `react` sees only its reads. */
    async function written(react: React) {
      const opened = await kind.open(react);
      await opened.client.logBytes(opened.runId, bytes, "large.bin");
      const folder = await temporaryFolder();
      const download = (options?: mlflow.TransferOptions) =>
        opened.client.downloadArtifacts(opened.runId, "large.bin", folder, options);
      return { ...opened, folder, download };
    }

    it("goes on where its connection broke", async () => {
      const { download, proxy } = await written(({ attempt }) =>
        attempt <= 3 ? { cutAfter: 700_000 } : "forward",
      );
      const told: number[] = [];
      const local = await download({
        onProgress: ({ transferredBytes }) => void told.push(transferredBytes),
      });
      expect(sumOf(await readFile(local))).toBe(sumOf(bytes));
      expect(proxy.passed.length).toBeGreaterThan(3);
      // Each byte was carried once: what had come was not asked for again.
      const ranges = proxy.passed.map(({ headers }) => headers.range ?? headers["x-ms-range"]);
      expect(ranges.slice(1).every((range) => /^bytes=[1-9]/.test(String(range)))).toBe(true);
      expect(told.at(-1)).toBe(bytes.byteLength);
      expect(told.every((count, at) => count >= (told[at - 1] ?? 0))).toBe(true);
    });

    it("that is reset at first is asked for again", async () => {
      const { download } = await written(({ attempt }) => (attempt === 1 ? "reset" : "forward"));
      expect(sumOf(await readFile(await download()))).toBe(sumOf(bytes));
    });

    it("that stalls is taken up again", async () => {
      const { download } = await written(({ attempt }) =>
        attempt === 1 ? { stallAfter: 200_000 } : "forward",
      );
      vi.stubEnv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1");
      expect(sumOf(await readFile(await download()))).toBe(sumOf(bytes));
    });

    it("that is short is no file", async () => {
      const { download, folder } = await written(() => ({ shortAt: 0 }));
      await expect(download()).rejects.toMatchObject({ name: "MlflowError" });
      expect(await readdir(folder)).toEqual([]);
    });

    // Microsoft's SDK takes no answer that does not tell its length.
    const tellsShort = kind.name !== "Azure";
    it(`that is well-formed and short is ${tellsShort ? "completed" : "no file"}`, async () => {
      const { download } = await written(({ attempt }) =>
        attempt === 1 ? { shortAt: 1_000_000 } : "forward",
      );
      if (!tellsShort) {
        await expect(download()).rejects.toMatchObject({ name: "MlflowError" });
        return;
      }
      expect(sumOf(await readFile(await download()))).toBe(sumOf(bytes));
    });

    it("that breaks again and again is an error, and no file", async () => {
      const { download, folder } = await written(() => "reset");
      await expect(download()).rejects.toMatchObject({
        name: "MlflowError",
        code: expect.toBeOneOf(["INCOMPLETE_ARTIFACT", "SERVER_UNREACHABLE"]),
      });
      expect(await readdir(folder)).toEqual([]);
    });

    it("that is refused for a moment is asked for again", async () => {
      const { download } = await written(({ attempt }) =>
        attempt === 1 ? { status: 503 } : "forward",
      );
      expect(sumOf(await readFile(await download()))).toBe(sumOf(bytes));
    });

    it("that is refused is an error at once, and no file", async () => {
      const { download, folder, proxy } = await written(() => ({ status: 403, body: "no" }));
      await expect(download()).rejects.toMatchObject({ status: 403 });
      expect(proxy.passed).toHaveLength(1);
      expect(await readdir(folder)).toEqual([]);
    });

    it("as a stream goes on where its connection broke", async () => {
      const { runId } = await written(({ attempt }) =>
        attempt === 1 ? { cutAfter: 900_000 } : "forward",
      );
      const at = { runId, artifactPath: "large.bin" };
      const stream = await mlflow.artifacts.openArtifact(at);
      const content = new Uint8Array(await new Response(stream).arrayBuffer());
      expect(sumOf(content)).toBe(sumOf(bytes));
    });
  });
}

describe.runIf(requiresClouds())("an upload to S3", () => {
  const large = randomFillSync(new Uint8Array(25 * MIB));
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await startS3();
    return () => cloud.stop();
  }, INSTALL_TIMEOUT_MS);

  async function behind(matches: RegExp, react: React): Promise<Behind> {
    const proxy = await faultyProxy(
      cloud.address,
      (method, url) => matches.test(`${method} ${url}`),
      react,
    );
    for (const [variable, value] of Object.entries(cloud.environment)) {
      vi.stubEnv(variable, value.replace(ADDRESS, proxy.address));
    }
    return runIn(`${await temporaryFolder()}/mlruns`, cloud.freshUri());
  }

  const PART = /^PUT .*partNumber=2/;

  it("sends a part again that failed for a moment", async () => {
    const { client, runId } = await behind(PART, ({ attempt }) =>
      attempt === 1 ? { status: 500 } : "forward",
    );
    await client.logBytes(runId, large, "large.bin");
    const back = await mlflow.artifacts.downloadBytes({ runId, artifactPath: "large.bin" });
    expect(sumOf(back)).toBe(sumOf(large));
  });

  it.each<[string, RegExp, Fault]>([
    ["a part is refused", PART, { status: 403 }],
    ["a part fails for good", PART, { status: 500 }],
    ["the connection breaks on a part", PART, "reset"],
    ["it cannot be completed", /^POST .*uploadId=/, { status: 400 }],
  ])("frees its parts when %s", async (_label, matches, fault) => {
    const { client, runId } = await behind(matches, () => fault);
    const upload = client.logBytes(runId, large, "large.bin");
    await expect(upload).rejects.toMatchObject({ name: "MlflowError" });
    expect(await openUploads(cloud)).toBe(0);
    expect(await mlflow.artifacts.listArtifacts({ runId })).toEqual([]);
  });

  it("frees its parts when it is given up", async () => {
    const { client, runId } = await behind(PART, () => "forward");
    const controller = new AbortController();
    const reason = new Error("given up");
    const upload = client.logBytes(runId, large, "large.bin", {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(upload).rejects.toBe(reason);
    expect(await openUploads(cloud)).toBe(0);
    expect(await mlflow.artifacts.listArtifacts({ runId })).toEqual([]);
  });
});

describe("a store that names files of its own choice", () => {
  const RUN = `{"run":{"info":{"run_id":"abc","experiment_id":"7","artifact_uri":"mlflow-artifacts:/7/abc","lifecycle_stage":"active","status":"RUNNING","start_time":1},"data":{}}}`;

  /** A server whose run has these artifacts, each of which says "text". */
  async function serverWith(...names: readonly string[]) {
    const { faultyServer } = await import("../faulty-server.js");
    const server = await faultyServer(({ path }) => {
      if (path.endsWith("/runs/get")) return { status: 200, body: RUN };
      if (path.endsWith("/server-info")) return { status: 404 };
      if (!path.endsWith("/artifacts")) return { status: 200, body: "text" };
      const files = names.map((name) => ({ path: name, file_size: 4 }));
      return { status: 200, body: JSON.stringify({ files }) };
    });
    return new mlflow.MlflowClient({ trackingUri: server.uri });
  }

  it.each([
    "../evil",
    "..",
    ".",
    "",
    "/etc/evil",
    "a/../../evil",
    "a/b",
    "%2e%2e%2fevil",
    "%252e%252e%252fevil",
    "%2Fetc%2Fevil",
    "a\0b",
  ])("writes nothing outside for %j", async (name) => {
    const client = await serverWith(name);
    const outer = await temporaryFolder();
    const download = client.downloadArtifacts("abc", "", `${outer}/inner`);
    await expect(download).rejects.toMatchObject({ code: "UNSAFE_PATH" });
    const made = await readdir(outer, { recursive: true });
    expect(made.filter((one) => one !== "inner")).toEqual([]);
  });

  // Names that lead somewhere on Windows alone, where they must stay what they are elsewhere.
  const onWindows = ["..\\evil", "C:evil", "C:\\evil", "..%5cevil", "C%3Aevil"];

  it.each(onWindows)("refuses %j on Windows", (name) => {
    expect(() => checkListedPath(name, true)).toThrow(
      expect.objectContaining({ code: "UNSAFE_PATH" }),
    );
  });

  it.runIf(process.platform !== "win32").each(onWindows)("keeps %j inside", async (name) => {
    const client = await serverWith(name);
    const folder = await temporaryFolder();
    await client.downloadArtifacts("abc", "", folder);
    expect(await readdir(folder, { recursive: true })).toEqual([name]);
  });

  it("lists and loads a file whatever its neighbours are called", async () => {
    const { trackingUri } = await serverWith("a:b.txt", "..\\odd", "%2e%2e%2fodd", "ok.txt");
    const of = { runId: "abc", trackingUri };
    const found = await mlflow.artifacts.listArtifacts(of);
    const paths = found.map(({ path }) => path);
    expect(paths).toEqual(["%2e%2e%2fodd", "..\\odd", "a:b.txt", "ok.txt"]);
    for (const artifactPath of ["ok.txt", "a:b.txt"]) {
      expect(await mlflow.artifacts.loadText({ ...of, artifactPath })).toBe("text");
    }
  });

  it("downloads a file whose neighbour cannot be one here", async () => {
    const client = await serverWith("%2e%2e%2fodd", "ok.txt");
    const local = await client.downloadArtifacts("abc", "ok.txt", await temporaryFolder());
    expect(await readFile(local, "utf8")).toBe("text");
  });

  it("ends for folders without end", async () => {
    const { faultyServer } = await import("../faulty-server.js");
    const server = await faultyServer(({ path }) => {
      if (path.endsWith("/runs/get")) return { status: 200, body: RUN };
      return { status: 200, body: '{"files":[{"path":"again","is_dir":true}]}' };
    });
    const client = new mlflow.MlflowClient({ trackingUri: server.uri });
    const download = client.downloadArtifacts("abc", "", await temporaryFolder());
    await expect(download).rejects.toMatchObject({ code: "UNSAFE_PATH" });
  });
});
