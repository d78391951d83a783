// Files in parts and to signed URLs: who may go on with one, with whose credentials the server is asked, and what is booked.
import { describe, expect, it, vi } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/index.js";
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
const begun = { path: "big.bin", num_parts: 1 };
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
