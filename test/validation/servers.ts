// Servers that are wrong on purpose, each in one way that people meet.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import {
  type FaultyServer,
  faultyServer,
  type Reaction,
  type SeenRequest,
} from "../mlflow/faulty-server.js";

export const HTML = "<!doctype html><title>Welcome to nginx!</title>";

function json(status: number, body: object): Reaction {
  return { status, body: JSON.stringify(body) };
}

const ID = "0123456789abcdef0123456789abcdef";

/** Answers as MLflow does, whose artifacts are at `root`; `change` decides otherwise. */
export function mlflowLike(
  root: string,
  change: (request: SeenRequest) => Reaction | undefined = () => undefined,
): Promise<FaultyServer> {
  const experiment = { experiment_id: "7", name: "e", artifact_location: `${root}/7` };
  const run = {
    info: {
      run_id: ID,
      experiment_id: "7",
      artifact_uri: `${root}/7/${ID}/artifacts`,
      status: "RUNNING",
    },
    data: {},
  };
  return faultyServer((request) => {
    const changed = change(request);
    if (changed !== undefined) return changed;
    const { path } = request;
    if (path === "/version") return { status: 200, body: "3.17.2" };
    if (path.endsWith("/experiments/search")) return json(200, { experiments: [experiment] });
    if (path.endsWith("/experiments/create")) return json(200, { experiment_id: "7" });
    if (path.endsWith("/experiments/get")) return json(200, { experiment });
    if (path.endsWith("/runs/create") || path.endsWith("/runs/get")) return json(200, { run });
    if (path.endsWith("/runs/update")) return json(200, { run_info: run.info });
    return json(200, { registered_model: { name: "m" } });
  });
}

export interface Receiver {
  readonly uri: string;
  /** Bodies in bytes, in order. */
  readonly sizes: number[];
}

/** An OTLP endpoint that always answers with this status. */
export async function receiver(status: number, body = ""): Promise<Receiver> {
  const sizes: number[] = [];
  const server = createServer(async (request, response) => {
    let size = 0;
    for await (const chunk of request) size += (chunk as Buffer).length;
    sizes.push(size);
    response.writeHead(status).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sizes };
}
