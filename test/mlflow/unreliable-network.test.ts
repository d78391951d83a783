// Whatever the network does, what the client says agrees with what the server has.
import fc from "fast-check";
import { afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { uniqueName } from "../adapter/workplace.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import {
  FAULTS_AFTER,
  FAULTS_BEFORE,
  type Fault,
  NUISANCES,
  unreliableProxy,
} from "./unreliable-proxy.js";

let upstream: string;
let direct: mlflow.MlflowClient;

beforeAll(() => {
  upstream = inject("mlflowServerUri") ?? "";
});
beforeEach(() => {
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
  vi.stubEnv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0.01");
  direct = new mlflow.MlflowClient({ trackingUri: upstream });
});
afterEach(() => vi.unstubAllEnvs());

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

async function outcomeOf<T>(action: Promise<T>): Promise<Outcome<T>> {
  return action.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

const isUnknown = (outcome: Outcome<unknown>) =>
  "error" in outcome && outcome.error instanceof mlflow.UnknownOutcomeError;

/** A client whose attempts meet these faults in turn, and none afterwards. */
async function behind(faults: readonly Fault[], options: mlflow.ConnectionOptions = {}) {
  const left = [...faults];
  const proxy = await unreliableProxy(upstream, () => left.shift() ?? "none");
  return { proxy, client: new mlflow.MlflowClient({ trackingUri: proxy.uri, ...options }) };
}

async function aRun(): Promise<{ experimentId: string; runId: string }> {
  const experimentId = await direct.createExperiment(uniqueName("network"));
  const run = await direct.createRun(experimentId);
  return { experimentId, runId: run.info.runId };
}

describe.runIf(requiresMlflow())("one call through a network that fails", () => {
  it.each([...FAULTS_BEFORE, ...FAULTS_AFTER, ...NUISANCES])(
    "a run is created once, or an error says that it may have been: %s",
    async (fault) => {
      const { experimentId } = await aRun();
      const { client, proxy } = await behind([fault]);
      const outcome = await outcomeOf(client.createRun(experimentId));
      const created = (await direct.searchRuns([experimentId])).length - 1;
      const requests = proxy.log.length;
      if (fault === "429" || fault === "503") {
        expect([created, requests, "value" in outcome]).toEqual([1, 2, true]);
      } else if (fault === "slow" || fault === "none") {
        expect([created, requests, "value" in outcome]).toEqual([1, 1, true]);
      } else if (fault === "twice") {
        // Whoever repeats what is no client's to repeat makes two; no client can know.
        expect([created, requests, "value" in outcome]).toEqual([2, 1, true]);
      } else {
        const carriedOut = (FAULTS_AFTER as readonly string[]).includes(fault) ? 1 : 0;
        expect([created, requests, isUnknown(outcome)]).toEqual([carriedOut, 1, true]);
      }
    },
  );

  it.each(["reset before", "reset after", "truncated", "html 502 after", "429", "503"] as const)(
    "what may be repeated is there once: %s",
    async (fault) => {
      const { runId } = await aRun();
      const { client, proxy } = await behind([fault, fault]);
      await client.logMetric(runId, "m", 0.5, { step: 1, timestamp: 1 });
      await client.logBatch(runId, { metrics: [{ key: "n", value: 1 }], params: { p: 1 } });
      await client.setTag(runId, "t", "x");
      expect(proxy.log).toHaveLength(5);
      const { data } = await direct.getRun(runId);
      expect(data).toMatchObject({ params: { p: "1" }, tags: { t: "x" } });
      expect(await direct.getMetricHistory(runId, "m")).toHaveLength(1);
      expect(await direct.getMetricHistory(runId, "n")).toHaveLength(1);
    },
  );

  it.each(["reset after", "html 502 after", "truncated"] as const)(
    "an experiment whose creation was lost is found: %s",
    async (fault) => {
      const name = uniqueName("found");
      const { proxy } = await behind(["none", fault]);
      mlflow.setTrackingUri(proxy.uri);
      const { experimentId } = await mlflow.setExperiment(name);
      expect((await direct.getExperimentByName(name))?.experimentId).toBe(experimentId);
      const { client } = await behind([fault]);
      const again = uniqueName("found");
      const outcome = await outcomeOf(client.createExperiment(again));
      expect(isUnknown(outcome)).toBe(true);
      expect(outcome).toMatchObject({ error: { code: "RESOURCE_ALREADY_EXISTS" } });
      expect(await direct.getExperimentByName(again)).toBeDefined();
    },
  );

  it("an answer that never comes ends in an error, and the call has happened", async () => {
    const { experimentId, runId } = await aRun();
    const { client } = await behind(["hang after", "hang after"], { timeoutSeconds: 2 });
    const outcomes = [
      await outcomeOf(client.createRun(experimentId)),
      await outcomeOf(client.setTag(runId, "t", "x")),
    ];
    for (const outcome of outcomes) {
      expect(isUnknown(outcome)).toBe(true);
      expect(outcome).toMatchObject({ error: { code: "TIMEOUT" } });
    }
    expect(await direct.searchRuns([experimentId])).toHaveLength(2);
    expect((await direct.getRun(runId)).data.tags.t).toBe("x");
  });

  it("a storm that passes is survived, and one that does not ends in an error", async () => {
    const { runId } = await aRun();
    const storm = (length: number): Fault[] => Array.from({ length }, () => "503");
    const { client } = await behind(storm(7));
    await client.setTag(runId, "t", "survived");
    expect((await direct.getRun(runId)).data.tags.t).toBe("survived");
    const { client: other, proxy } = await behind(storm(8));
    const outcome = await outcomeOf(other.setTag(runId, "t", "lost"));
    expect(outcome).toMatchObject({ error: { code: "TEMPORARILY_UNAVAILABLE", status: 503 } });
    // A server that says so has not begun.
    expect(isUnknown(outcome)).toBe(false);
    expect(proxy.log).toHaveLength(8);
    expect((await direct.getRun(runId)).data.tags.t).toBe("survived");
  });
});

const FAULT = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<Fault>(...NUISANCES) },
  { weight: 2, arbitrary: fc.constantFrom<Fault>(...FAULTS_BEFORE) },
  { weight: 2, arbitrary: fc.constantFrom<Fault>(...FAULTS_AFTER) },
);
const PLAN = fc.array(FAULT, { minLength: 60, maxLength: 60 });
/** Each run of the law makes about thirty calls to a real server; a failing plan is not shrunk. */
const LAW = { numRuns: 6, endOnFailure: true };

describe.runIf(requiresMlflow())("any sequence of faults", () => {
  it("leaves what was acknowledged, and nothing twice without a notice", async () => {
    await fc.assert(
      fc.asyncProperty(PLAN, async (plan) => {
        const experimentId = await direct.createExperiment(uniqueName("law"));
        const { client, proxy } = await behind(plan, { maxRetries: 2 });
        const runs = new Set<string>();
        let notices = 0;
        const writes: { runId: string; key: string; outcome: Outcome<unknown> }[] = [];
        for (let index = 0; index < 4; index++) {
          const created = await outcomeOf(client.createRun(experimentId));
          if (isUnknown(created)) notices++;
          if ("error" in created) continue;
          const { runId } = created.value.info;
          runs.add(runId);
          for (let step = 0; step < 3; step++) {
            const key = `m${step}`;
            writes.push({ runId, key, outcome: await outcomeOf(client.logMetric(runId, key, 1)) });
          }
          const batch = { params: { p: 1 }, tags: { t: 1 } };
          writes.push({ runId, key: "p", outcome: await outcomeOf(client.logBatch(runId, batch)) });
        }
        const doubled = proxy.log.filter((line) => line === "twice POST create").length;
        const there = new Map(
          (await direct.searchRuns([experimentId])).map((r) => [r.info.runId, r]),
        );
        for (const runId of runs) expect([...there.keys()]).toContain(runId);
        expect(there.size).toBeLessThanOrEqual(runs.size + notices + doubled);
        for (const { runId, key, outcome } of writes) {
          const { metrics = {}, params = {} } = there.get(runId)?.data ?? {};
          const isThere = key in metrics || key in params;
          if ("value" in outcome) expect([key, isThere]).toEqual([key, true]);
          else if (!isUnknown(outcome)) expect([key, isThere]).toEqual([key, false]);
          if (key in metrics) expect(await direct.getMetricHistory(runId, key)).toHaveLength(1);
        }
      }),
      LAW,
    );
  });

  it("loses nothing of the asynchronous log that is not named", async () => {
    await fc.assert(
      fc.asyncProperty(PLAN, async (plan) => {
        const { runId } = await aRun();
        const { client } = await behind(plan, { maxRetries: 2 });
        mlflow.enableAsyncLogging({ bufferSeconds: 0 });
        const logged: string[] = [];
        for (let index = 0; index < 60; index++) {
          const key = `k${index}`;
          logged.push(key);
          if (index % 3 === 0) await client.logParam(runId, key, index);
          else await client.logMetric(runId, key, index);
          // Some requests carry several, some one.
          if (index % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        }
        const outcome = await outcomeOf(client.flushAsyncLogging(runId));
        mlflow.enableAsyncLogging(false);
        const error = "error" in outcome ? outcome.error : undefined;
        if (error !== undefined) expect(error).toBeInstanceOf(mlflow.AsyncLoggingError);
        const lost = error as mlflow.AsyncLoggingError | undefined;
        const named = new Set(lost?.lost.flatMap(({ keys }) => keys));
        const { metrics, params } = (await direct.getRun(runId)).data;
        const unnamed = logged.filter((key) => !named.has(key));
        expect(unnamed.filter((key) => !(key in metrics) && !(key in params))).toEqual([]);
      }),
      LAW,
    );
  });
});
