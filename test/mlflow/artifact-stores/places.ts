// The kinds of places that artifacts are kept in, each behind a run of its own.
import { join } from "node:path";
import { beforeAll, beforeEach, describe, inject, vi } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import { temporaryFolder, uniqueName } from "../../adapter/workplace.js";
import {
  type Cloud,
  preparePythonClouds,
  requiresClouds,
  startAzure,
  startGoogle,
  startS3,
} from "../../support/clouds.js";
import { INSTALL_TIMEOUT_MS } from "../../support/install-once.js";
import { type MlflowServer, startMlflowServer } from "../../support/mlflow-server.js";
import { requiresMlflow } from "../../support/requires-mlflow.js";

export interface Place {
  readonly client: mlflow.MlflowClient;
  readonly runId: string;
  readonly artifactUri: string;
}

/** What differs from place to place. */
export interface PlaceKind {
  readonly name: string;
  readonly cloud?: (() => Cloud) | undefined;
  /** A fresh run; the environment is set, and the tracking URI. */
  open(): Promise<Place>;
}

async function runOn(trackingUri: string, artifactLocation?: string): Promise<Place> {
  mlflow.setTrackingUri(trackingUri);
  const client = new mlflow.MlflowClient({ trackingUri });
  const options = artifactLocation === undefined ? {} : { artifactLocation };
  const experimentId = await client.createExperiment(uniqueName("artifacts"), options);
  const { info } = await client.createRun(experimentId);
  return { client, runId: info.runId, artifactUri: info.artifactUri };
}

async function inFolder(artifactLocation?: string): Promise<Place> {
  return runOn(join(await temporaryFolder(), "mlruns"), artifactLocation);
}

function direct(name: string, start: () => Promise<Cloud>, suite: (kind: PlaceKind) => void): void {
  describe.runIf(requiresClouds())(name, () => {
    let cloud: Cloud;
    beforeAll(async () => {
      cloud = await start();
      return () => cloud.stop();
    }, INSTALL_TIMEOUT_MS);
    beforeEach(() => {
      for (const [variable, value] of Object.entries(cloud.environment)) {
        vi.stubEnv(variable, value);
      }
      return () => vi.unstubAllEnvs();
    });
    suite({ name, cloud: () => cloud, open: () => inFolder(cloud.freshUri()) });
  });
}

/** A suite for a real MLflow server that keeps its artifacts on an S3 gateway. */
export function onServerWithS3(suite: (kind: PlaceKind, server: () => MlflowServer) => void): void {
  const isPossible = requiresMlflow() && requiresClouds();
  describe.runIf(isPossible)("on a server that keeps them on S3", () => {
    let cloud: Cloud;
    let server: MlflowServer;
    beforeAll(async () => {
      cloud = await startS3();
      const python = await preparePythonClouds(inject("pythonPath") as string);
      const { environment } = cloud;
      server = await startMlflowServer(python, { destination: cloud.freshUri(), environment });
      return async () => {
        await server.stop();
        await cloud.stop();
      };
    }, INSTALL_TIMEOUT_MS);
    const name = "on a server that keeps them on S3";
    suite({ name, cloud: () => cloud, open: () => runOn(server.uri) }, () => server);
  });
}

/** The same suite in every kind of place. */
export function inEachPlace(suite: (kind: PlaceKind) => void): void {
  describe("in a folder", () => suite({ name: "in a folder", open: () => inFolder() }));
  describe.runIf(requiresMlflow())("on a real server", () => {
    suite({
      name: "on a real server",
      open: () => runOn(inject("mlflowServerUri") as string),
    });
  });
  onServerWithS3((kind) => suite(kind));
  direct("on S3", startS3, suite);
  direct("on Azure", startAzure, suite);
  direct("on Google", startGoogle, suite);
}
