// What no client would send: requests that are none, and callers that go away before they are answered.
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const PATIENCE_MS = 20_000;
const ROOT = "/api/2.0/mlflow";

/** Answers the status of the first reply; undefined when the connection ends without one. */
function exchange(uri, bytes) {
  const { hostname, port } = new URL(uri);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (/^HTTP\/1\.1 (?!100)\d{3}/.test(text)) socket.destroy();
    });
    socket.once("close", () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]) || undefined));
    socket.write(bytes);
  });
}

/** A request as bytes; `path` below the prefix of whoever sends it. */
function request(uri, method, path, headers, body) {
  const { pathname, host } = new URL(uri);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${method} ${pathname.replace(/\/$/, "")}${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join("")}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body)]);
}

function json(uri, path, body, headers = {}) {
  const bytes = Buffer.from(body);
  const all = { "content-type": "application/json", "content-length": bytes.length, ...headers };
  return request(uri, "POST", `${ROOT}/${path}`, all, bytes);
}

/** Requests that the gateway must not pass as a success, whoever's run they name. */
const MALFORMED = [
  (uri, runId) => json(uri, "runs/log-metric", `{"run_id":"${runId}","key":"m","value":`),
  (uri, runId) => json(uri, "runs/log-metric", `["${runId}"]`),
  (uri, runId) => json(uri, "runs/set-tag", `{"run_id":"${runId}","run_uuid":"x","key":"k"}`),
  (uri, runId) => json(uri, "runs/log-metric", `{"run_id":"a","run_id":"${runId}","key":"m"}`),
  (uri) => json(uri, "runs/log-metric", Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
  (uri) => json(uri, "runs/create", "{}", { "content-encoding": "gzip" }),
  (uri) => json(uri, "runs/no-such-call", "{}"),
  (uri) => json(uri, "runs/create", "{}", { "content-length": "2\r\nContent-Length: 3" }),
  (uri) => request(uri, "GET", "/api/2.0/%2e%2e/%00", {}, ""),
  (uri) => request(uri, "GET", `${ROOT}/runs/get`, { "x-large": "x".repeat(200_000) }, ""),
  (uri) => Buffer.from(`NO ${new URL(uri).pathname} WAY\r\n\r\n`),
];

/** Answers the status. */
export function sendMalformed(uri, runId, index) {
  return exchange(uri, MALFORMED[index % MALFORMED.length](uri, runId));
}

async function sendAndLeave(uri, bytes, waitMs) {
  const { hostname, port } = new URL(uri);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  await new Promise((resolve) => {
    socket.once("close", resolve);
    socket.write(bytes, () => delay(waitMs).then(() => socket.destroy()));
  });
}

/** Begins to send a file, and goes away in its middle. */
export function leaveUpload(uri, { experimentId, runId, path, bytes, chunked }, waitMs) {
  const target = `/api/2.0/mlflow-artifacts/artifacts/${experimentId}/${runId}/artifacts/${path}`;
  const half = bytes.subarray(0, bytes.length >> 1);
  if (!chunked) {
    const headers = { "content-length": bytes.length };
    return sendAndLeave(uri, request(uri, "PUT", target, headers, half), waitMs);
  }
  const body = Buffer.concat([Buffer.from(`${half.length.toString(16)}\r\n`), half]);
  const headers = { "transfer-encoding": "chunked" };
  return sendAndLeave(uri, request(uri, "PUT", target, headers, body), waitMs);
}

/** Sends a metric, whole or in part, and does not wait for the answer. */
export function leaveMetric(uri, { runId, key, step }, isWhole, waitMs) {
  const message = { run_id: runId, key, value: 1, step, timestamp: Date.now() };
  const bytes = json(uri, "runs/log-metric", JSON.stringify(message));
  return sendAndLeave(uri, isWhole ? bytes : bytes.subarray(0, bytes.length - 10), waitMs);
}
