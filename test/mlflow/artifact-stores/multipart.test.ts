// A large file past the server in parts, where the server offers it, and what happens when a part fails.
import { createHash, randomFillSync } from "node:crypto";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, it, vi } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import type { Cloud } from "../../support/clouds.js";
import { onServerWithS3 } from "./places.js";
import { openUploads } from "./uploads.js";

const MIB = 1024 ** 2;

/** Every request that the client makes, as `PUT <path>`; some are answered by `fault` instead. */
function watchRequests(fault: (request: string) => Response | undefined = () => undefined) {
  const requests: string[] = [];
  const real = globalThis.fetch;
  vi.stubGlobal("fetch", (input: string, init?: RequestInit) => {
    const { pathname } = new URL(input);
    const request = `${init?.method ?? "GET"} ${decodeURIComponent(pathname)}`;
    requests.push(request);
    const answer = fault(request);
    return answer === undefined ? real(input, init) : Promise.resolve(answer);
  });
  return requests;
}

onServerWithS3(({ open, cloud }) => {
  beforeEach(() => {
    vi.stubEnv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", String(10 * MIB));
    vi.stubEnv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", String(5 * MIB));
    vi.stubEnv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.01");
    vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0");
    return () => {
      vi.unstubAllEnvs();
      vi.unstubAllGlobals();
    };
  });

  const bytes = randomFillSync(new Uint8Array(12 * MIB + 3));
  const sum = createHash("sha256").update(bytes).digest("hex");
  const steps = (requests: readonly string[]) =>
    requests.flatMap((request) => /\/mpu\/(create|complete|abort)\//.exec(request)?.[1] ?? []);
  const parts = (requests: readonly string[]) =>
    requests.filter((request) => request.startsWith("PUT /bucket/"));

  it("goes in parts, as one write, and comes back whole", async () => {
    const { client, runId } = await open();
    const requests = watchRequests();
    const calls: string[] = [];
    const remove = mlflow.addInterceptor((call, proceed) => {
      if (call.method !== "GET")
        calls.push(`${call.method} ${call.route} ${call.upload?.sizeBytes}`);
      return proceed(call);
    });
    await client.logBytes(runId, bytes, "dir ü/large.bin").finally(remove);
    expect(calls).toEqual([`PUT /api/2.0/mlflow-artifacts/artifacts/{path} ${bytes.byteLength}`]);
    expect(steps(requests)).toEqual(["create", "complete"]);
    expect(parts(requests)).toHaveLength(3);
    const at = { runId, artifactPath: "dir ü/large.bin" };
    expect(
      createHash("sha256")
        .update(await mlflow.artifacts.downloadBytes(at))
        .digest("hex"),
    ).toBe(sum);
    expect(await openUploads(cloud?.() as Cloud)).toBe(0);
  });

  it("goes in one piece below the size, and where it is not wanted", async () => {
    const { client, runId } = await open();
    const requests = watchRequests();
    await client.logBytes(runId, bytes.subarray(0, 10 * MIB - 1), "small.bin");
    vi.stubEnv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false");
    await client.logBytes(runId, bytes, "large.bin");
    expect(steps(requests)).toEqual([]);
  });

  it("sends a part again that failed for a moment", async () => {
    const { client, runId } = await open();
    let failures = 0;
    const requests = watchRequests((request) =>
      request.startsWith("PUT /bucket/") && failures++ < 2
        ? new Response("SlowDown", { status: 503 })
        : undefined,
    );
    await client.logBytes(runId, bytes, "large.bin");
    expect(parts(requests)).toHaveLength(5);
    const back = await mlflow.artifacts.downloadBytes({ runId, artifactPath: "large.bin" });
    expect(createHash("sha256").update(back).digest("hex")).toBe(sum);
  });

  it("comes from a file in parts of their own, also when one is sent again", async () => {
    const { client, runId } = await open();
    const file = join(await temporaryFolder(), "large.bin");
    await writeFile(file, bytes);
    let failures = 0;
    watchRequests((request) =>
      request.startsWith("PUT /bucket/") && failures++ < 1
        ? new Response("SlowDown", { status: 503 })
        : undefined,
    );
    await client.logArtifact(runId, file);
    const back = await mlflow.artifacts.downloadBytes({ runId, artifactPath: "large.bin" });
    expect(createHash("sha256").update(back).digest("hex")).toBe(sum);
  });

  it("is no file, and is not sent again, when what is read of it ends too soon", async () => {
    const { client, runId } = await open();
    const file = join(await temporaryFolder(), "large.bin");
    await writeFile(file, bytes);
    const requests = watchRequests();
    const remove = mlflow.addInterceptor(async (call, proceed) => {
      if (call.upload !== undefined) await truncate(file, 11 * MIB);
      return proceed(call);
    });
    const upload = client.logArtifact(runId, file).finally(remove);
    await expect(upload).rejects.toMatchObject({
      code: "INVALID_STATE",
      message: expect.stringContaining(`ends at ${11 * MIB} while it is uploaded`),
    });
    expect(steps(requests)).toEqual(["create", "abort"]);
    expect(parts(requests)).toHaveLength(3);
    vi.unstubAllGlobals();
    expect(await openUploads(cloud?.() as Cloud)).toBe(0);
  });

  it.each([500, 403])("frees its parts when one is refused with %i", async (status) => {
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1");
    const { client, runId } = await open();
    let sent = 0;
    const requests = watchRequests((request) =>
      request.startsWith("PUT /bucket/") && ++sent > 1
        ? new Response("Request has expired", { status })
        : undefined,
    );
    const upload = client.logBytes(runId, bytes, "large.bin");
    await expect(upload).rejects.toMatchObject({ name: "MlflowError", status });
    expect(steps(requests)).toEqual(["create", "abort"]);
    vi.unstubAllGlobals();
    expect(await openUploads(cloud?.() as Cloud)).toBe(0);
    expect(await client.listArtifacts(runId)).toEqual([]);
  });

  it("frees its parts when it is given up", async () => {
    const { client, runId } = await open();
    const requests = watchRequests();
    const controller = new AbortController();
    const reason = new Error("given up");
    const upload = client.logBytes(runId, bytes, "large.bin", {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(upload).rejects.toBe(reason);
    expect(steps(requests)).toEqual(["create", "abort"]);
    vi.unstubAllGlobals();
    expect(await openUploads(cloud?.() as Cloud)).toBe(0);
  });
});
