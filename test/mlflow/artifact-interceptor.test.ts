// What an interceptor may do with a call about artifacts: ask something else first, and send it elsewhere.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { addInterceptor, type Interceptor } from "../../src/mlflow/interceptor.js";
import * as mlflow from "../../src/mlflow/node.js";
import { getRun } from "../../src/mlflow/spec.js";
import { temporaryFolder } from "../adapter/workplace.js";

const removals: (() => void)[] = [];
afterEach(() => {
  for (const remove of removals.splice(0)) remove();
});

function intercept(interceptor: Interceptor): void {
  removals.push(addInterceptor(interceptor));
}

async function aRun() {
  const client = new mlflow.MlflowClient({ trackingUri: join(await temporaryFolder(), "mlruns") });
  const { runId, artifactUri } = (await client.createRun("0")).info;
  await client.logText(runId, "one", "a/one.txt");
  await client.logText(runId, "seventeen", "b/17.txt");
  return { client, runId, artifactUri };
}

describe("an interceptor of artifacts", () => {
  it("may ask the store something else before the call is made", async () => {
    const { client, runId, artifactUri } = await aRun();
    const names: unknown[] = [];
    intercept(async (call, proceed) => {
      if (!call.route.includes("/mlflow-artifacts/")) return proceed(call);
      const { method, route } = getRun;
      const asked = {
        method,
        route,
        path: route,
        body: { run_id: runId },
        storeUri: call.storeUri,
      };
      const reply = (await proceed(asked, getRun)) as { run: { info: { run_id: string } } };
      names.push([call.method, reply.run?.info.run_id]);
      return proceed(call);
    });
    const trackingUri = client.trackingUri;
    const text = await mlflow.artifacts.loadText({
      artifactUri: `${artifactUri}/a/one.txt`,
      trackingUri,
    });
    expect(text).toBe("one");
    const listed = await mlflow.artifacts.listArtifacts({ artifactUri, trackingUri });
    expect(listed.map(({ path }) => path)).toEqual(["artifacts/a", "artifacts/b"]);
    await mlflow.artifacts.deleteArtifacts({ artifactUri: `${artifactUri}/a`, trackingUri });
    expect(names).toEqual([
      ["GET", runId],
      ["GET", runId],
      ["DELETE", runId],
    ]);
    expect(await client.listArtifacts(runId)).toHaveLength(1);
  });

  it("may send it elsewhere below the same root, and nowhere else", async () => {
    const { client, runId } = await aRun();
    intercept((call, proceed) =>
      proceed({
        ...call,
        path: call.path.replace("a/one.txt", "b/17.txt").replace(/\/a$/, "/b"),
        body: JSON.parse(JSON.stringify(call.body).replace('/a"', '/b"')),
      }),
    );
    const folder = await client.downloadArtifacts(runId, "a/one.txt", await temporaryFolder());
    expect(await readFile(folder, "utf8")).toBe("seventeen");
    intercept((call, proceed) =>
      proceed({ ...call, path: call.path.replace("a/one.txt", "../x") }),
    );
    await expect(
      client.downloadArtifacts(runId, "a/one.txt", await temporaryFolder()),
    ).rejects.toBeInstanceOf(mlflow.MlflowError);
  });
});
