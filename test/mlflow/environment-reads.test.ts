// What a call asks the environment for: as little as Python's client does, since each question is slow on Node.
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { currentRuntime, installRuntime } from "../../src/runtime/capabilities.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { answerLikeMlflow, faultyServer } from "./faulty-server.js";

const original = process.env;
let asked: string[] = [];

beforeEach(() => {
  asked = [];
  process.env = new Proxy(original, {
    get(target, name) {
      if (typeof name === "string" && name.includes("MLFLOW")) asked.push(name);
      return Reflect.get(target, name);
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  });
});
afterEach(() => {
  process.env = original;
  vi.unstubAllEnvs();
});

describe("a metric that is logged", () => {
  it("asks whether to wait, and nothing that Python asks once", async () => {
    const trackingUri = join(await temporaryFolder(), "mlruns");
    await mlflow.withRun({ trackingUri }, async () => {
      await mlflow.logMetric("m", 1);
      asked = [];
      await mlflow.logMetric("m", 2);
      expect(asked).toEqual(["MLFLOW_ENABLE_ASYNC_LOGGING"]);
      // A change is heard of, as in Python.
      vi.stubEnv("MLFLOW_ENABLE_ASYNC_LOGGING", "true");
      const handle = (await mlflow.logMetric("m", 3)) as unknown as mlflow.RunOperations;
      await handle.wait();
      vi.stubEnv("MLFLOW_ENABLE_ASYNC_LOGGING", "");
      // As in Python, which asks for this one once.
      vi.stubEnv("MLFLOW_ACTIVE_MODEL_ID", "m-late");
      expect(mlflow.getActiveModelId()).toBeUndefined();
    });
  });

  it("asks a variable once, and the file of credentials once, for each request", async () => {
    const { uri } = await faultyServer(answerLikeMlflow);
    const client = new mlflow.MlflowClient({ trackingUri: uri });
    await client.logMetric("abc", "m", 1);
    const runtime = currentRuntime();
    const read: string[] = [];
    const { files } = runtime;
    if (files === undefined) throw new Error("no files");
    installRuntime({
      ...runtime,
      files: {
        ...files,
        readSections: (path) => {
          read.push(path);
          return files.readSections?.(path);
        },
      },
    });
    try {
      asked = [];
      await client.logMetric("abc", "m", 2);
    } finally {
      installRuntime(runtime);
    }
    expect(asked.length).toBe(new Set(asked).size);
    expect(read).toEqual(["~/.mlflow/credentials"]);
  });
});
