// Requests as bytes: what they are, whose they are, and which of them must not pass.
import { afterEach, describe, expect, it } from "vitest";
import { configure } from "../../../src/governance/configuration.js";
import { Governor } from "../../../src/governance/governor.js";
import { readReply, wantsReply } from "../../../src/instrumentation/wire/reply.js";
import {
  readRequest,
  type WireRequest,
  wantsBody,
} from "../../../src/instrumentation/wire/request.js";
import { VERSION } from "../../../src/version.js";

const governor = new Governor({ ...configure({ journal: false }), runCapacity: 64 }, VERSION);
const RUN = "0123456789abcdef0123456789abcdef";
const OPTIONS = { storeUri: "http://mlflow:5000" };
const MLFLOW = "/api/2.0/mlflow";
const FILES = "/api/2.0/mlflow-artifacts";

const encode = (text: string) => new TextEncoder().encode(text);

function read(method: string, target: string, body?: unknown, more: Partial<WireRequest> = {}) {
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const bytes = text === undefined ? undefined : encode(text);
  return readRequest({ method, target, body: bytes, ...more }, governor, OPTIONS);
}

/** A log call in this body: the run that it names, or the field that is refused. */
function runIn(body: string, route = "runs/log-metric"): unknown {
  const reading = read("POST", `${MLFLOW}/${route}`, body);
  if (reading.kind === "refused") return { refused: reading.field };
  return reading.kind === "operation" ? reading.operation.runId : reading.kind;
}

afterEach(() => {
  expect(governor.containedFailures).toBe(0);
});

describe("a request", () => {
  it.each([
    [
      "POST",
      `${MLFLOW}/runs/create`,
      { experiment_id: "7" },
      { name: "create_run", experimentId: "7" },
    ],
    ["POST", "/ajax-api/2.0/mlflow/runs/create", { experimentId: "7" }, { experimentId: "7" }],
    ["POST", "//api/2.0/mlflow%2fruns/creat%65", "", { name: "create_run" }],
    [
      "POST",
      `${MLFLOW}/runs/log-batch`,
      { run_id: RUN, metrics: [1, 2], tags: [3] },
      { runId: RUN, items: 3 },
    ],
    ["POST", `${MLFLOW}/runs/log-metric`, { run_uuid: RUN }, { name: "log_metric", runId: RUN }],
    [
      "GET",
      `${MLFLOW}/runs/get?run_id=${RUN}&run_id=other`,
      undefined,
      { name: "get_run", runId: RUN },
    ],
    [
      "POST",
      `${MLFLOW}/model-versions/create`,
      { name: "m", source: "s", run_id: RUN },
      {
        name: "create_model_version",
        modelName: "m",
        parentRunId: RUN,
        modelSource: "s",
      },
    ],
    [
      "POST",
      "/api/3.0/mlflow/traces",
      {
        trace: { traceInfo: { trace_location: { mlflowExperiment: { experiment_id: "9" } } } },
      },
      { name: "start_trace", experimentId: "9" },
    ],
    ["DELETE", `${MLFLOW}/logged-models/m-1`, undefined, { name: "delete_logged_model" }],
    [
      "GET",
      "/get-artifact?run_uuid=r&path=a",
      undefined,
      { name: "download_artifact", runId: "r" },
    ],
    ["POST", `${MLFLOW}/anything/else`, "no JSON", { name: "unknown_write" }],
    ["GET", "/health", undefined, { name: "probe" }],
  ])("%s %s with %j is %j", (method, target, body, operation) => {
    expect(read(method, target, body)).toMatchObject({ kind: "operation", operation });
  });

  it.each([
    ["POST", "/login"],
    ["GET", "/api/2.0/jobs"],
    ["PUT", "/favicon.ico"],
  ])("%s %s is none of MLflow's", (method, target) => {
    expect(read(method, target, "{")).toEqual({ kind: "foreign" });
  });

  it("has its route and parameters whatever family it is of", () => {
    expect(
      read("PATCH", "/ajax-api/2.0/mlflow/logged-models/m-1/tags", { tags: [] }),
    ).toMatchObject({
      call: {
        route: `${MLFLOW}/logged-models/{model_id}/tags`,
        body: { model_id: "m-1", tags: [] },
        storeUri: OPTIONS.storeUri,
      },
    });
  });

  it("says by a number how a run ended, too", () => {
    for (const status of [3, "3", "FINISHED"]) {
      const reading = read("POST", `${MLFLOW}/runs/update`, { run_id: RUN, status });
      expect(reading).toMatchObject({ call: { body: { status: "FINISHED" } } });
    }
  });

  it("of spans is its header's experiment's", () => {
    const reading = read("POST", "/v1/traces", "\u0001", { experimentId: "5" });
    expect(reading).toMatchObject({ operation: { name: "export_spans", experimentId: "5" } });
  });

  it("needs its body read only where that is a message", () => {
    const wanted = (method: string, target: string) => wantsBody(method, target, governor);
    expect(wanted("POST", `${MLFLOW}/runs/log-batch`)).toBe(true);
    expect(wanted("POST", `${FILES}/mpu/create/0/r/artifacts`)).toBe(true);
    expect(wanted("PUT", `${FILES}/artifacts/0/r/artifacts/a`)).toBe(false);
    expect(wanted("POST", "/ajax-api/2.0/mlflow/upload-artifact?path=a")).toBe(false);
    expect(wanted("GET", `${MLFLOW}/runs/get`)).toBe(false);
    expect(wanted("POST", "/login")).toBe(false);
    expect(wanted("POST", "/v1/traces")).toBe(false);
  });
});

describe("the body of a governed write", () => {
  it.each([
    ['{"run_id":"A","run_uuid":"A"}', "A"],
    ['{"run_id":"","run_uuid":"A"}', "A"],
    ['{"runId":"A"}', "A"],
    ['{"runUuid":"A"}', "A"],
    ['{"run_id":"A","run_id":"A"}', "A"],
    ['{"r\\u0075n_id":"A"}', "A"],
    ['{"run_id":"A","value":NaN,"x":-Infinity}', "A"],
    ['{"key":"\\"run_id\\":","o":{"run_id":"B"},"run_id":"A"}', "A"],
    [JSON.stringify('{"run_id":"A"}'), "A"],
    [' {"run_id" : "A"} \n', "A"],
    ['{"RunId":"A"}', undefined],
    ["null", undefined],
    ["", undefined],
  ])("%s names %s", (body, runId) => {
    expect(runIn(body)).toBe(runId);
  });

  it.each([
    ['{"run_id":"A","run_uuid":"B"}', "run_id"],
    ['{"run_id":"A","runId":"B"}', "run_id"],
    ['{"run_id":"A","run_id":"B"}', "run_id"],
    ['{"run_id":null,"runId":"A"}', "run_id"],
    ['{"run_id":"A","runUuid":"B"}', "run_id"],
    ['{"run_uuid":"A","runUuid":"B"}', "run_uuid"],
    ['{"run_id":7}', "run_id"],
    ['{"run_id":["A"]}', "run_id"],
    ['{"run_id":"\\ud800"}', "run_id"],
    ['{"run_uuid":"B","[x]":1,"run_id":"B"}', "[x]"],
    ['{"run_id":"A","metrics":{}}', "metrics"],
    ['{"run_id":"A"', "body"],
    ['{"run_id":"A"}}', "body"],
    ["[]", "body"],
    [JSON.stringify(JSON.stringify('{"run_id":"A"}')), "body"],
    ['\ufeff{"run_id":"A"}', "body"],
    ["run_id=A", "body"],
  ])("%s is refused for %s", (body, field) => {
    expect(runIn(body)).toEqual({ refused: field });
  });

  it("is refused in UTF-16, which Python reads, and compressed, which MLflow does not", () => {
    const json = '{"run_id":"A"}';
    const utf16 = new Uint8Array(Uint16Array.from(json, (char) => char.charCodeAt(0)).buffer);
    const target = `${MLFLOW}/runs/log-metric`;
    expect(read("POST", target, undefined, { body: utf16 })).toMatchObject({
      kind: "refused",
      status: 400,
      field: "body",
    });
    expect(read("POST", target, json, { contentEncoding: "gzip" })).toMatchObject({
      field: "content-encoding",
    });
  });

  it.each([
    ['{"tags":[{"key":5}]}', "tags"],
    ['{"tags":{}}', "tags"],
    ['{"tags":[null]}', "tags"],
    ['{"user_id":5,"tags":[]}', "user_id"],
    ['{"tags":[],"tags":[{"key":"genops.team","value":"x"}]}', "tags"],
  ])("%s makes no run", (body, field) => {
    expect(runIn(body, "runs/create")).toEqual({ refused: field });
  });

  it("is no reason to refuse a read", () => {
    expect(read("POST", `${MLFLOW}/runs/search`, "{")).toMatchObject({ kind: "operation" });
  });
});

describe("a file", () => {
  const uri = `mlflow-artifacts:/0/${RUN}/artifacts/d/a b.txt`;

  it("is its run's, by where it lies", () => {
    const target = `${FILES}/artifacts/0/${RUN}/artifacts/d/a%20b.txt`;
    expect(read("PUT", target, undefined, { contentLength: 12 })).toMatchObject({
      operation: {
        name: "log_artifact",
        runId: RUN,
        experimentId: "0",
        upload: { artifactPath: "d/a b.txt", artifactUri: uri, sizeBytes: 12 },
        items: 1,
      },
      call: { route: `${FILES}/artifacts/{path}` },
    });
    expect(read("PUT", target)).toMatchObject({ operation: { upload: { sizeBytes: undefined } } });
  });

  it.each([
    [`0/${RUN}/artifacts/a`, { runId: RUN, experimentId: "0" }],
    [`0%2F${RUN}/artifacts/a`, { runId: RUN, experimentId: "0" }],
    [`0%252F${RUN}/artifacts/a`, { runId: RUN, experimentId: "0" }],
    [`0//${RUN}/artifacts/a`, { runId: RUN, experimentId: "0" }],
    [`own/root/${RUN}/artifacts/a`, { runId: RUN, experimentId: undefined }],
    ["own/root/thing/artifacts/a", { runId: undefined, experimentId: undefined }],
    ["0/traces/tr-1/artifacts/traces.json", { runId: undefined, experimentId: "0" }],
    ["0/models/m-9/artifacts/MLmodel", { runId: undefined, experimentId: "0" }],
  ])("at %s is of %j", (path, operation) => {
    expect(read("PUT", `${FILES}/artifacts/${path}`)).toMatchObject({ operation });
  });

  it.each([["0/%252e%252e/x"], ["a%23b"], ["a%25%35%43b"]])("at %s is refused", (path) => {
    expect(read("PUT", `${FILES}/artifacts/${path}`)).toMatchObject({
      kind: "refused",
      field: "path",
    });
  });

  it("of a logged model is the run's that made it", () => {
    const created = read("POST", `${MLFLOW}/logged-models`, { experiment_id: "0" });
    if (created.kind !== "operation") throw new Error(created.kind);
    const model = { info: { model_id: "m-1", source_run_id: RUN } };
    const body = encode(JSON.stringify({ model }));
    expect(wantsReply(created.operation)).toBe(true);
    readReply(governor, created.operation, created.call, { status: 200, body });
    expect(read("PUT", `${FILES}/artifacts/0/models/m-1/artifacts/MLmodel`)).toMatchObject({
      operation: { runId: RUN, experimentId: "0" },
    });
  });

  it("is one operation, however many parts it has", () => {
    const begun = read("POST", `${FILES}/mpu/create/0/${RUN}/artifacts/d`, {
      path: "a b.txt",
      num_parts: 3,
    });
    expect(begun).toMatchObject({
      operation: {
        name: "log_artifact",
        runId: RUN,
        upload: { artifactUri: uri, sizeBytes: undefined },
      },
      transfer: { step: "create", key: undefined },
    });
    if (begun.kind !== "operation") throw new Error(begun.kind);
    const reply = readReply(
      governor,
      begun.operation,
      begun.call,
      { status: 200, body: encode('{"upload_id":"u"}') },
      begun.transfer,
    );
    const ended = read("POST", `${FILES}/mpu/complete/0/${RUN}/artifacts/d`, {
      path: "a b.txt",
      upload_id: "u",
    });
    if (ended.kind !== "operation" || reply.kind !== "succeeded") throw new Error("refused");
    expect(ended.transfer).toMatchObject({ step: "complete", key: reply.transferKey });
    expect(reply.transferKey).toContain("u");
  });

  it("in parts is called as MLflow calls it, wherever it lies on the client's disk", () => {
    const begin = (path: string) =>
      read("POST", `${FILES}/mpu/create/0/${RUN}/artifacts/d`, { path, num_parts: 3 });
    for (const path of ["a b.txt", "/home/ada/a b.txt", "../a b.txt"]) {
      expect(begin(path)).toMatchObject({ operation: { upload: { artifactUri: uri } } });
    }
    // Of this one MLflow decodes nothing.
    expect(begin("a%20b.txt")).toMatchObject({
      operation: { upload: { artifactUri: uri.replace("a b", "a%20b") } },
    });
    for (const path of ["", "/", "x/", "x/..", "."]) {
      expect(begin(path)).toMatchObject({ kind: "refused", field: "path" });
    }
  });

  it("that the web page sends is its run's", () => {
    const target = `/ajax-api/2.0/mlflow/upload-artifact?run_uuid=${RUN}&path=a.txt`;
    expect(read("POST", target, undefined, { contentLength: 3 })).toMatchObject({
      operation: {
        name: "log_artifact",
        runId: RUN,
        upload: { artifactPath: "a.txt", sizeBytes: 3 },
      },
    });
  });

  it("that goes past the server is announced by its run", () => {
    const reading = read("POST", `${MLFLOW}/artifacts/presigned-upload-url`, {
      run_id: RUN,
      path: "a",
    });
    expect(reading).toMatchObject({
      operation: { name: "log_artifact", runId: RUN },
      transfer: { step: "presign" },
    });
  });
});

describe("an answer", () => {
  const created = read("POST", `${MLFLOW}/runs/create`, { experiment_id: "0" });
  const answer = (status: number, body: string) => {
    if (created.kind !== "operation") throw new Error(created.kind);
    return readReply(governor, created.operation, created.call, { status, body: encode(body) });
  };
  const run = '{"run":{"info":{"run_id":"r","experiment_id":"0"}}}';

  it("is success with 200 alone", () => {
    expect(answer(200, run)).toMatchObject({
      kind: "succeeded",
      outcome: { startedRun: { runId: "r", experimentId: "0" } },
    });
    for (const status of [201, 204, 302, 404, 500]) {
      expect(answer(status, run)).toMatchObject({ kind: "failed", error: { status } });
    }
  });

  it("tells where a run's files lie without what lets one in", () => {
    const place = "ftp://user:password@host/0/r/artifacts";
    expect(answer(200, run.replace("}}", `,"artifact_uri":"${place}"}}`))).toMatchObject({
      outcome: { startedRun: { artifactUri: "ftp://host/0/r/artifacts" } },
    });
  });

  it("without what was to be created is none of MLflow's", () => {
    for (const body of ["{}", "<html>", ""]) {
      expect(answer(200, body)).toMatchObject({
        kind: "failed",
        error: { code: "INVALID_RESPONSE" },
      });
    }
  });

  it("says with MLflow's code why not", () => {
    const body = '{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No such experiment"}';
    expect(answer(404, body)).toMatchObject({
      error: { code: "RESOURCE_DOES_NOT_EXIST", message: "No such experiment", status: 404 },
    });
  });
});
