// What our reader takes a request for is what a real MLflow server has recorded for it, however it is written.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { configure } from "../../../src/governance/configuration.js";
import { Governor } from "../../../src/governance/governor.js";
import { readRequest, type WireReading } from "../../../src/instrumentation/wire/request.js";
import { VERSION } from "../../../src/version.js";
import { uniqueName } from "../../adapter/workplace.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";

const serverUri = inject("mlflowServerUri") ?? "";
const governor = new Governor({ ...configure({ journal: false }), runCapacity: 64 }, VERSION);
const API = "/api/2.0/mlflow";

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Sends exactly these bytes to exactly this path: a URL would be made tidy. */
async function send(
  method: string,
  path: string,
  body?: Uint8Array | string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { hostname, port } = new URL(serverUri);
  const request = http.request({
    hostname,
    port,
    method,
    path,
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      "content-length": String(body === undefined ? 0 : Buffer.byteLength(body)),
      ...headers,
    },
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
}

function read(method: string, target: string, body?: Uint8Array | string): WireReading {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return readRequest({ method, target, body: bytes }, governor, { storeUri: serverUri });
}

/** Experiment and two runs to tell apart. */
let experiment: string;
let runA: string;
let runB: string;

type Created = { experiment_id: string; run: { info: { run_id: string } } };

async function post(route: string, body: object): Promise<Created> {
  const { status, text } = await send("POST", `${API}/${route}`, JSON.stringify(body));
  if (status !== 200) throw new Error(text);
  return JSON.parse(text);
}

beforeAll(async () => {
  if (!requiresMlflow()) return;
  const created = await post("experiments/create", { name: uniqueName("wire") });
  experiment = created.experiment_id;
  const start = async () => {
    const { run } = await post("runs/create", { experiment_id: experiment });
    return run.info.run_id;
  };
  runA = await start();
  runB = await start();
});

/** Which of the two runs has this tag. */
async function tagged(key: string): Promise<string[]> {
  const found: string[] = [];
  for (const run of [runA, runB]) {
    const { text } = await send("GET", `${API}/runs/get?run_id=${run}`);
    const tags: { key: string }[] = JSON.parse(text).run.data.tags ?? [];
    if (tags.some((tag) => tag.key === key)) found.push(run);
  }
  return found;
}

/** Bodies of a call that sets the tag KEY on a run, with A and B for the runs. */
const BODIES = [
  '{"run_id":"A","key":"KEY","value":"v"}',
  '{"run_uuid":"A","key":"KEY","value":"v"}',
  '{"runId":"A","key":"KEY","value":"v"}',
  '{"runUuid":"A","key":"KEY","value":"v"}',
  '{"run_id":"","run_uuid":"A","key":"KEY","value":"v"}',
  '{"run_id":null,"run_uuid":"A","key":"KEY","value":"v"}',
  '{"run_id":"A","run_uuid":"A","key":"KEY","value":"v"}',
  '{"run_id":"A","run_uuid":"B","key":"KEY","value":"v"}',
  '{"run_uuid":"B","run_id":"A","key":"KEY","value":"v"}',
  '{"run_id":"A","run_id":"B","key":"KEY","value":"v"}',
  '{"run_id":"A","runId":"B","key":"KEY","value":"v"}',
  '{"r\\u0075n_id":"A","key":"KEY","value":"v"}',
  '{"Run_Id":"B","run_id":"A","key":"KEY","value":"v"}',
  '{"RUN_ID":"B","run_uuid":"A","key":"KEY","value":"v"}',
  '{"extra":{"run_id":"B"},"run_id":"A","key":"KEY","value":"v"}',
  '{"x":NaN,"y":-Infinity,"run_id":"A","key":"KEY","value":"v"}',
  '{"run_uuid":"B","[x]":1,"run_id":"A","key":"KEY","value":"v"}',
  '{"__proto__":{"run_id":"B"},"run_id":"A","key":"KEY","value":"v"}',
  '{"run_id":["A"],"key":"KEY","value":"v"}',
  '[{"run_id":"A","key":"KEY","value":"v"}]',
  '{"run_id":"A","key":"KEY","value":"v"',
  '\ufeff{"run_id":"A","key":"KEY","value":"v"}',
  JSON.stringify('{"run_id":"A","key":"KEY","value":"v"}'),
  JSON.stringify(JSON.stringify('{"run_id":"A","key":"KEY","value":"v"}')),
];

/** Paths of that call, in ways that servers may or may not understand. */
const PATHS = [
  `${API}/runs/set-tag`,
  "/ajax-api/2.0/mlflow/runs/set-tag",
  "/api/2.0/mlflow%2Fruns/set-tag",
  "/api/2.0/mlflow/runs/%73et-tag",
  "/api/2.0/mlflow/runs/%2573et-tag",
  "//api/2.0/mlflow/runs/set-tag",
  "/api/2.0/mlflow//runs/set-tag",
  "/api/2.0/mlflow/runs/set-tag/",
  "/api/2.0/mlflow/runs/x/../set-tag",
  "/api/2.0/mlflow/runs/./set-tag",
  "/API/2.0/mlflow/runs/set-tag",
  "/api/2.0/mlflow/runs/set-tag;x",
  "/api/2.0/mlflow/runs\\set-tag",
  "/api/2.0/mlflow/runs/set-tag?run_id=B",
];

describe.runIf(requiresMlflow())("a request to a real server", () => {
  async function compare(path: string, pattern: string): Promise<void> {
    const key = `k-${randomUUID()}`;
    const fill = (text: string) =>
      text.replaceAll('"A', `"${runA}`).replaceAll('"B', `"${runB}`).replaceAll("KEY", key);
    const body = pattern.startsWith('"')
      ? pattern.replaceAll('\\"A', `\\"${runA}`).replaceAll("KEY", key)
      : fill(pattern);
    const target = path.replace("=B", `=${runB}`);
    const reading = read("POST", target, body);
    const answer = await send("POST", target, body);
    const written = answer.status === 200 ? await tagged(key) : [];
    // What is refused need not be compared; what passes is what the server did.
    if (reading.kind === "refused") return;
    const believed =
      reading.kind === "operation" && reading.operation.name === "set_tag"
        ? reading.operation.runId
        : undefined;
    expect(written, `${path} ${pattern}`).toEqual(written.length === 0 ? [] : [believed]);
  }

  it("is that of the run that it names, however the body names it", async () => {
    for (const body of BODIES) await compare(`${API}/runs/set-tag`, body);
  });

  it("is that of the call that it makes, however the path is written", async () => {
    for (const path of PATHS) await compare(path, BODIES[0] as string);
  });

  it("is not refused in the ways in which clients write it", () => {
    for (const body of BODIES.slice(0, 7)) {
      expect(read("POST", `${API}/runs/set-tag`, body).kind).toBe("operation");
    }
    expect(read("POST", `${API}/runs/set-tag`, BODIES.at(-2)).kind).toBe("operation");
  });

  it("creates its run in the experiment that it names", async () => {
    const ways = [
      `{"experiment_id":"${experiment}"}`,
      `{"experimentId":"${experiment}","tags":[{"key":"a"}]}`,
      JSON.stringify(`{"experiment_id":"${experiment}"}`),
    ];
    for (const body of ways) {
      const reading = read("POST", `${API}/runs/create`, body);
      if (reading.kind !== "operation") throw new Error(`${body} is ${reading.kind}`);
      const { status, text } = await send("POST", `${API}/runs/create`, body);
      expect(status, body).toBe(200);
      const { experiment_id } = JSON.parse(text).run.info;
      expect(experiment_id, body).toBe(reading.operation.experimentId);
    }
  });

  it("keeps a file with the run that its path names", async () => {
    const names = ["a.txt", "d/b%20c.txt", "d//e.txt", "100%25.txt"];
    for (const name of names) {
      for (const place of [
        `${experiment}/${runA}/artifacts`,
        `${experiment}%2F${runA}/artifacts`,
      ]) {
        const target = `/api/2.0/mlflow-artifacts/artifacts/${place}/${name}`;
        const reading = read("PUT", target);
        const { status } = await send("PUT", target, "text", { "content-type": "text/plain" });
        expect(status, target).toBe(200);
        if (reading.kind !== "operation") throw new Error(`${target} is ${reading.kind}`);
        const { runId, upload } = reading.operation;
        expect(runId).toBe(runA);
        const path = upload?.artifactPath ?? "";
        const folder = path.split("/").slice(0, -1).join("/");
        const query = new URLSearchParams({ run_id: runA, ...(folder !== "" && { path: folder }) });
        const listed = await send("GET", `${API}/artifacts/list?${query}`);
        const files: { path: string }[] = JSON.parse(listed.text).files ?? [];
        expect(
          files.map((file) => file.path),
          target,
        ).toContain(path);
      }
    }
  });
});
