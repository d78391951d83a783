// A program that knows nothing of genops, and a gateway of its own: prints how each of its calls was answered.
import { once } from "node:events";
import http from "node:http";

const run = { info: { run_id: "abc", experiment_id: "0" }, data: {} };
const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.end(JSON.stringify(request.url.includes("/runs/log-metric") ? {} : { run }));
  });
});
const upstream = process.env.MLFLOW_TRACKING_URI;
server.listen(Number(new URL(upstream).port), "127.0.0.1");
await once(server, "listening");

const headers = { "content-type": "application/json" };
const log = "/api/2.0/mlflow/runs/log-metric";
const metric = JSON.stringify({ run_id: "abc", key: "m", value: 1, timestamp: 1 });

async function byFetch(uri, path, body) {
  const response = await fetch(uri + path, { method: "POST", headers, body });
  await response.text();
  return response.status;
}

async function byHttp(uri, path, body) {
  const request = http.request(uri + path, { method: "POST", headers });
  request.end(body);
  const [response] = await once(request, "response");
  response.resume();
  await once(response, "end");
  return response.statusCode;
}

/** Two calls that a budget has room for, and one by each way that it has not. */
async function statuses(uri) {
  return [
    await byFetch(uri, "/api/2.0/mlflow/runs/create", JSON.stringify({ experiment_id: "0" })),
    await byHttp(uri, log, metric),
    await byFetch(uri, log, metric),
    await byHttp(uri, log, metric),
  ];
}

const inProcess = process.env.GENOPS_BUDGETS === undefined ? undefined : await statuses(upstream);
let byGateway;
if (inProcess === undefined) {
  const { createGateway } = await import("genops/gateway");
  const budgets = [{ name: "b", limit: "0.0002", period: "day", action: "block" }];
  const gateway = await createGateway({ upstream, port: 0, journal: false, budgets });
  byGateway = await statuses(gateway.url);
  const file = { method: "PUT", body: new Uint8Array(3_000_000) };
  const path = "/api/2.0/mlflow-artifacts/artifacts/0/abc/artifacts/a.bin";
  // Bytes cost nothing that the budget lacks, as this store has no price.
  byGateway.push((await fetch(gateway.url + path, file)).status);
  await gateway.close();
}
console.log(JSON.stringify({ inProcess, byGateway }));
process.exit();
