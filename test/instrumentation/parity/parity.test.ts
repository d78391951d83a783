// The law of parity: one workflow costs the same to the last unit, whichever way it goes to a real MLflow.
import { once } from "node:events";
import http, { request as requestByName } from "node:http";
import nodeFetch from "node-fetch";
import { afterEach, describe, expect, inject, it } from "vitest";
import { MlflowCostAggregator } from "../../../src/costs/aggregator.js";
import { createGateway } from "../../../src/gateway/index.js";
import * as mlflow from "../../../src/mlflow/node.js";
import { GenOpsMlflowAdapter, type MlflowCostSummary } from "../../../src/node.js";
import { uniqueName } from "../../adapter/workplace.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";
import {
  batchOf,
  FILES,
  ledgerOf,
  playOverHttp,
  type Send,
  type WorkflowNames,
} from "./workflow.js";

const serverUri = inject("mlflowServerUri") ?? "";
const PAYER = { team: "ml-team", project: "search", customerId: "acme" };
/** Bytes cost something, so that a byte that is missed is seen. */
const storageBackends = { "mlflow-artifacts:": "s3" };

let governing: GenOpsMlflowAdapter | undefined;
afterEach(() => {
  governing?.uninstrumentFramework();
});

function adapterFor(): GenOpsMlflowAdapter {
  governing = new GenOpsMlflowAdapter({ ...PAYER, trackingUri: serverUri, storageBackends });
  governing.instrumentFramework();
  return governing;
}

function namesFor(): WorkflowNames {
  return { experiment: uniqueName("parity"), model: uniqueName("model") };
}

async function playWithClient(names: WorkflowNames, trackingUri = serverUri): Promise<void> {
  mlflow.setTrackingUri(trackingUri);
  const client = new mlflow.MlflowClient({ trackingUri });
  const experimentId = await client.createExperiment(names.experiment);
  await mlflow.setExperiment({ experimentId });
  const parent = await mlflow.startRun({ runName: "parent" });
  const child = await mlflow.startRun({ runName: "child", nested: true });
  const { runId } = child.info;
  await mlflow.logMetric("m", 1, { timestamp: 1, step: 0 });
  await mlflow.logParam("lr", "0.1");
  await mlflow.setTag("t", "v");
  const { metrics, params, tags } = batchOf();
  const record = (entries: typeof tags) =>
    Object.fromEntries(entries.map(({ key, value }) => [key, value]));
  await client.logBatch(runId, { metrics, params: record(params), tags: record(tags) });
  for (const [name, bytes] of Object.entries(FILES)) await mlflow.logBytes(bytes, name);
  await client.createRegisteredModel(names.model);
  await client.createModelVersion(names.model, `runs:/${runId}/model`, { runId });
  await client.setRegisteredModelAlias(names.model, "best", "1");
  await client.getRun(runId);
  await mlflow.endRun();
  await mlflow.endRun("FAILED");
  expect(parent.info.runId).not.toBe(runId);
}

function bodyOf(body: Parameters<Send>[2]): {
  readonly headers: Record<string, string>;
  readonly bytes: Uint8Array | string | undefined;
} {
  if (body === undefined || body instanceof Uint8Array) return { headers: {}, bytes: body };
  return { headers: { "content-type": "application/json" }, bytes: JSON.stringify(body) };
}

function parsed(status: number, text: string): unknown {
  if (status !== 200) throw new Error(`${status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

const fetchFrom =
  (uri: string): Send =>
  async (method, target, body) => {
    const { headers, bytes } = bodyOf(body);
    const response = await fetch(uri + target, { method, headers, body: bytes as BodyInit });
    return parsed(response.status, await response.text());
  };

const byRequestObject: Send = async (method, target, body) => {
  const { headers, bytes } = bodyOf(body);
  const init = { method, headers, body: bytes as BodyInit };
  const response = await fetch(new Request(serverUri + target, init));
  return parsed(response.status, await response.text());
};

type RequestOf = (url: string, options: http.RequestOptions) => http.ClientRequest;

function byNode(request: RequestOf): Send {
  return async (method, target, body) => {
    const { headers, bytes } = bodyOf(body);
    const sent = request(serverUri + target, { method, headers });
    const answered = once(sent, "response");
    // In two writes, as streams come.
    if (bytes !== undefined && bytes.length > 3) sent.write(bytes.slice(0, 3));
    sent.end(bytes !== undefined && bytes.length > 3 ? bytes.slice(3) : bytes);
    const [response] = (await answered) as [http.IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return parsed(response.statusCode ?? 0, Buffer.concat(chunks).toString());
  };
}

const byNodeFetch: Send = async (method, target, body) => {
  const { headers, bytes } = bodyOf(body);
  const buffer = bytes instanceof Uint8Array ? Buffer.from(bytes) : bytes;
  const init = { method, headers, ...(buffer !== undefined && { body: buffer }) };
  const response = await nodeFetch(serverUri + target, init);
  return parsed(response.status, await response.text());
};

async function ledgerBy(play: (names: WorkflowNames) => Promise<void>): Promise<unknown> {
  const names = namesFor();
  const adapter = adapterFor();
  await play(names);
  const summary: MlflowCostSummary = adapter.costAggregator.getSummary();
  expect(adapter.containedFailures).toBe(0);
  adapter.uninstrumentFramework();
  return ledgerOf(summary, names);
}

async function ledgerOfGateway(play: (uri: string, names: WorkflowNames) => Promise<void>) {
  const names = namesFor();
  await using gateway = await createGateway({
    upstream: serverUri,
    port: 0,
    journal: false,
    defaults: PAYER,
    storageBackends,
  });
  await play(gateway.url, names);
  const { engine, runs, observation, containedFailures } = gateway.governor;
  expect(containedFailures).toBe(0);
  return ledgerOf(new MlflowCostAggregator(engine, runs, observation).getSummary(), names);
}

describe.runIf(requiresMlflow())("one workflow", () => {
  it("costs the same through our client, fetch, node:http and the gateway", async () => {
    const ledger = await ledgerBy(playWithClient);
    expect(ledger).toMatchObject({
      sums: { runCount: 2, operationCount: 13, totalStorageBytes: 70_004, errorCount: 0 },
      runs: [
        {
          runName: "child",
          parentRunId: "the parent run",
          experiment: "the experiment",
          ...payer(),
        },
        { runName: "parent", experiment: "the experiment", ...payer() },
      ],
    });
    const ways: Record<string, Send> = {
      fetch: fetchFrom(serverUri),
      "a Request object": byRequestObject,
      "node:http": byNode((url, options) => http.request(url, options)),
      "node:http by name": byNode((url, options) => requestByName(url, options)),
      "node-fetch": byNodeFetch,
    };
    for (const [name, send] of Object.entries(ways)) {
      expect(await ledgerBy((names) => playOverHttp(send, names)), name).toEqual(ledger);
    }
    const ofGateway = {
      "any client": (uri: string, names: WorkflowNames) => playOverHttp(fetchFrom(uri), names),
      "our client": (uri: string, names: WorkflowNames) => playWithClient(names, uri),
    };
    for (const [name, play] of Object.entries(ofGateway)) {
      expect(await ledgerOfGateway(play), `the gateway, ${name}`).toEqual(ledger);
    }
  });
});

function payer() {
  return { team: "ml-team", project: "search", customer: "acme" };
}
