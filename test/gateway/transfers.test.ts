// Files in parts and to signed URLs: who may go on with one, with whose credentials the server is asked, and what is booked.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, inject, it, vi } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { onServerWithS3 } from "../mlflow/artifact-stores/places.js";
import { openUploads } from "../mlflow/artifact-stores/uploads.js";
import type { Cloud } from "../support/clouds.js";
import { neutralEnvironment } from "../support/python.js";
import { answer, type RawServer, rawServer } from "./raw.js";

const TOKENS = { "token-of-alpha": { team: "alpha" }, "token-of-beta": { team: "beta" } };
const UPLOAD_ID = "upload-1";
const LISTED = [{ path: "big.bin", is_dir: false, file_size: 1000 }];

/** A server with a run of alpha's whose files lie on an object store. */
async function withParts(
  options: Partial<GatewayOptions> = {},
): Promise<{ readonly gateway: Gateway; readonly server: RawServer }> {
  const server = await rawServer(({ head }, socket) => {
    if (head.startsWith("POST /api/2.0/mlflow/runs/create")) {
      const info = {
        run_id: "abc",
        experiment_id: "7",
        artifact_uri: "mlflow-artifacts:/7/abc/artifacts",
      };
      socket.write(answer(200, { run: { info, data: {} } }));
    } else if (head.includes("/artifacts?path=") || head.includes("/artifacts/list?")) {
      socket.write(answer(200, { files: LISTED }));
    } else if (head.startsWith("GET ")) socket.write(answer(404));
    else socket.write(answer(200, { upload_id: UPLOAD_ID, credentials: [] }));
  });
  const gateway = await createGateway({
    upstream: server.uri,
    port: 0,
    journal: false,
    tokens: TOKENS,
    storageBackends: { "mlflow-artifacts:": "s3" },
    ...options,
  });
  const made = await send(gateway, "alpha", "mlflow/runs/create", { experiment_id: "7" });
  expect(made.status).toBe(200);
  return { gateway, server };
}

async function send(
  gateway: Gateway,
  team: "alpha" | "beta",
  path: string,
  body: unknown,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const reply = await fetch(`${gateway.url}/api/2.0/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer token-of-${team}` },
    body: JSON.stringify(body),
  });
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

const step = (name: string) => `mlflow-artifacts/mpu/${name}/7/abc/artifacts`;
const begun = { path: "/home/ada/big.bin", num_parts: 1 };
const ended = { path: "big.bin", upload_id: UPLOAD_ID, parts: [] };

/** What was kept, by whom. */
function stored({ governor }: Gateway) {
  const { operations, meters, reservations } = governor.engine.summary();
  return {
    open: reservations.open,
    files: operations.log_artifact?.count ?? 0,
    bytes: meters["storage.s3"]?.quantity ?? 0n,
  };
}

describe("an upload in parts", () => {
  it("is gone on with by nobody else, and stays whose it is", async () => {
    const { gateway, server } = await withParts();
    await using _ = gateway;
    expect((await send(gateway, "beta", step("create"), begun)).status).toBe(403);
    expect((await send(gateway, "alpha", step("create"), begun)).status).toBe(200);
    const before = server.requests.length;
    for (const name of ["complete", "abort"]) {
      const refused = await send(gateway, "beta", step(name), ended);
      expect([name, refused.status]).toEqual([name, 403]);
      expect(refused.body.message).toContain("somebody else");
    }
    expect(server.requests).toHaveLength(before);
    expect((await send(gateway, "alpha", step("complete"), ended)).status).toBe(200);
    await vi.waitFor(() => expect(stored(gateway)).toEqual({ open: 0, files: 1, bytes: 1000n }));
    expect(gateway.governor.engine.total("team", "beta")).toBe(0n);
  });

  it("that is aborted books nothing", async () => {
    const { gateway } = await withParts();
    await using _ = gateway;
    expect((await send(gateway, "alpha", step("create"), begun)).status).toBe(200);
    expect(stored(gateway).open).toBe(1);
    expect((await send(gateway, "alpha", step("abort"), ended)).status).toBe(200);
    await vi.waitFor(() => expect(stored(gateway)).toEqual({ open: 0, files: 0, bytes: 0n }));
  });

  it("may be aborted whatever limits say, also when it began before the gateway did", async () => {
    const budgets = [
      { name: "files", limit: 1, unit: "operations", period: "day", action: "block" },
    ] as const;
    const { gateway, server } = await withParts({ budgets: [...budgets] });
    await using _ = gateway;
    // The run has taken all that there was.
    expect((await send(gateway, "alpha", step("create"), begun)).status).toBe(403);
    const aborted = await send(gateway, "alpha", step("abort"), ended);
    expect(aborted.status).toBe(200);
    expect(server.requests.at(-1)?.head).toContain("/mpu/abort/");
    expect((await send(gateway, "beta", step("abort"), ended)).status).toBe(403);
    expect(stored(gateway)).toEqual({ open: 0, files: 0, bytes: 0n });
  });
});

describe("the size of a file", () => {
  it("is asked for without the caller's token, which is the gateway's alone", async () => {
    const { gateway, server } = await withParts();
    await using _ = gateway;
    await send(gateway, "alpha", step("create"), begun);
    await send(gateway, "alpha", step("complete"), ended);
    const signed = { run_id: "abc", path: "big.bin" };
    await send(gateway, "alpha", "mlflow/artifacts/presigned-upload-url", signed);
    await gateway.close();
    const lists = server.requests.filter(({ head }) => /artifacts(\?path=|\/list\?)/.test(head));
    expect(lists.length).toBeGreaterThanOrEqual(2);
    for (const { head } of server.requests) expect(head).not.toMatch(/token-of-alpha/);
  });
});

onServerWithS3(({ cloud }, server) => {
  const MIB = 2 ** 20;
  const bytes = Buffer.alloc(5 * MIB + 7, "x");

  async function ofTeams(artifactLocation?: string) {
    const gateway = await createGateway({
      upstream: server().uri,
      port: 0,
      journal: false,
      tokens: TOKENS,
      storageBackends: { "mlflow-artifacts:": "s3" },
    });
    const made = await send(gateway, "alpha", "mlflow/experiments/create", {
      name: uniqueName("parts"),
      ...(artifactLocation !== undefined && { artifact_location: artifactLocation }),
    });
    const experiment = String(made.body.experiment_id);
    const { body } = await send(gateway, "alpha", "mlflow/runs/create", {
      experiment_id: experiment,
    });
    const run = (body.run as { info: { run_id: string } }).info.run_id;
    const mpu = (team: "alpha" | "beta", name: string, rest: object) =>
      send(gateway, team, `mlflow-artifacts/mpu/${name}/${experiment}/${run}/artifacts/dir`, {
        path: "large.bin",
        ...rest,
      });
    return { gateway, experiment, run, mpu };
  }

  /** Sends the parts past server and gateway, as the answer of the first call says. */
  async function sendParts(begun: Record<string, unknown>) {
    const parts = [bytes.subarray(0, 5 * MIB), bytes.subarray(5 * MIB)];
    const credentials = begun.credentials as { url: string; part_number: number }[];
    return Promise.all(
      credentials.map(async ({ url, part_number }, index) => {
        const reply = await fetch(url, {
          method: "PUT",
          body: new Uint8Array(parts[index] as Buffer),
        });
        expect(reply.status).toBe(200);
        return { part_number, etag: reply.headers.get("etag"), url };
      }),
    );
  }

  it("is a file in parts as large as the store has it, and only its owner's to complete", async () => {
    const { gateway, mpu, run } = await ofTeams();
    await using _ = gateway;
    expect((await mpu("beta", "create", { num_parts: 2 })).status).toBe(403);
    const begun = await mpu("alpha", "create", { num_parts: 2 });
    expect(begun.status).toBe(200);
    const parts = await sendParts(begun.body);
    const end = { upload_id: begun.body.upload_id, parts };
    expect((await mpu("beta", "complete", end)).status).toBe(403);
    expect((await mpu("beta", "abort", end)).status).toBe(403);
    expect(stored(gateway)).toEqual({ open: 1, files: 0, bytes: 0n });
    expect((await mpu("alpha", "complete", end)).status).toBe(200);
    const whole = { open: 0, files: 1, bytes: BigInt(bytes.length) };
    await vi.waitFor(() => expect(stored(gateway)).toEqual(whole));
    expect(gateway.governor.engine.total("run", run)).toBeGreaterThan(10n ** 14n);
    expect(await openUploads(cloud?.() as Cloud)).toBe(0);
  });

  it("is nothing where it was aborted, and the store has nothing of it", async () => {
    const { gateway, mpu } = await ofTeams();
    await using _ = gateway;
    const begun = await mpu("alpha", "create", { num_parts: 2 });
    await sendParts(begun.body);
    const aborted = await mpu("alpha", "abort", { upload_id: begun.body.upload_id });
    expect(aborted.status).toBe(200);
    expect(stored(gateway)).toEqual({ open: 0, files: 0, bytes: 0n });
    expect(await openUploads(cloud?.() as Cloud)).toBe(0);
  });

  it("is a file at a signed URL once the store has it, and nothing when it never comes", async () => {
    const { gateway, run } = await ofTeams(cloud?.().freshUri());
    await using _ = gateway;
    const ask = (team: "alpha" | "beta", path: string) =>
      send(gateway, team, "mlflow/artifacts/presigned-upload-url", { run_id: run, path });
    expect((await ask("beta", "dir/signed.bin")).status).toBe(403);
    const signed = await ask("alpha", "dir/signed.bin");
    expect(signed.status).toBe(200);
    expect((await ask("alpha", "dir/never.bin")).status).toBe(200);
    expect(stored(gateway)).toEqual({ open: 2, files: 0, bytes: 0n });
    const { presigned_url: url, headers } = signed.body as {
      presigned_url: string;
      headers?: Record<string, string>;
    };
    const sent = await fetch(url, { method: "PUT", headers: headers ?? {}, body: bytes });
    expect(sent.status).toBe(200);
    // The end of its run says that all is sent.
    const end = { run_id: run, status: "FINISHED", end_time: 1 };
    expect((await send(gateway, "alpha", "mlflow/runs/update", end)).status).toBe(200);
    await vi.waitFor(() => {
      expect(stored(gateway)).toMatchObject({ files: 1, bytes: BigInt(bytes.length) });
    });
    expect(stored(gateway).open).toBe(1);
    // What has not come by the end is given up, and nothing is held for it.
    await gateway.close();
    expect(stored(gateway)).toEqual({ open: 0, files: 1, bytes: BigInt(bytes.length) });
  });

  it("is a logged model's at a signed URL that was asked for by the model alone", async () => {
    const { gateway, experiment, run } = await ofTeams(cloud?.().freshUri());
    await using _ = gateway;
    const made = await send(gateway, "alpha", "mlflow/logged-models", {
      experiment_id: experiment,
      name: "scorer",
      source_run_id: run,
    });
    const { info } = made.body.model as { info: { model_id: string } };
    const asked = { model_id: info.model_id, path: "weights/large.bin" };
    const ask = (team: "alpha" | "beta") =>
      send(gateway, team, "mlflow/artifacts/presigned-upload-url", asked);
    expect((await ask("beta")).status).toBe(403);
    const signed = await ask("alpha");
    expect(signed.status).toBe(200);
    const { presigned_url: url, headers = {} } = signed.body as {
      presigned_url: string;
      headers?: Record<string, string>;
    };
    expect((await fetch(url, { method: "PUT", headers, body: bytes })).status).toBe(200);
    const end = { run_id: run, status: "FINISHED", end_time: 1 };
    expect((await send(gateway, "alpha", "mlflow/runs/update", end)).status).toBe(200);
    await vi.waitFor(() => {
      expect(stored(gateway)).toEqual({ open: 0, files: 1, bytes: BigInt(bytes.length) });
    });
  });

  it("is one file for Python's client, whose parts pass the gateway by", async () => {
    const { gateway, experiment } = await ofTeams();
    await using _ = gateway;
    const size = 11 * MIB + 1;
    const script = fileURLToPath(new URL("python/in_parts.py", import.meta.url));
    const { stdout } = await promisify(execFile)(
      inject("pythonPath") as string,
      [script, gateway.url, experiment, String(size)],
      {
        cwd: await temporaryFolder(),
        env: {
          ...neutralEnvironment(),
          PYTHONDONTWRITEBYTECODE: "1",
          MLFLOW_TRACKING_TOKEN: "token-of-alpha",
          MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: "true",
          MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE: String(10 * MIB),
          MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE: String(5 * MIB),
        },
      },
    );
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ same: true });
    await vi.waitFor(() => {
      expect(stored(gateway)).toEqual({ open: 0, files: 2, bytes: BigInt(size + 5) });
    });
    expect(gateway.governor.containedFailures).toBe(0);
  });
});
