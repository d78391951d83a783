// Calculators of one's own: a subclass, a table, part of either; they drive what the ledger books.
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attoToUsd } from "../../src/engine/index.js";
import * as mlflow from "../../src/mlflow/node.js";
import {
  ConfigurationError,
  GenOpsMlflowAdapter,
  instrumentMlflow,
  MlflowCostCalculator,
} from "../../src/node.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { call, startRun, writeArtifact } from "./nothing-store.js";

class OursByField extends MlflowCostCalculator {
  override pricing = { trackingApiCall: 0.0002, storage: { s3: 0.03 } };
}

class OursByConstructor extends MlflowCostCalculator {
  constructor() {
    super();
    this.pricing = { trackingApiCall: 0.0002, storage: { s3: 0.03 } };
  }
}

const calculators = {
  "a subclass with a field": new OursByField(),
  "a subclass that sets it in its constructor": new OursByConstructor(),
  "an object with prices": { pricing: { trackingApiCall: 0.0002, storage: { s3: 0.03 } } },
  "a plain table": { trackingApiCall: 0.0002, storage: { s3: 0.03 } },
};

describe("a calculator", () => {
  it.each(Object.entries(calculators))(
    "%s drives the ledger, the rest keeping its default",
    async (_, costCalculator) => {
      const adapter = instrumentMlflow({
        team: "ml-team",
        project: "p",
        trackingUri: join(await temporaryFolder(), "mlruns"),
        storageBackends: { "file:": "s3", "/": "s3" },
        costCalculator: costCalculator as MlflowCostCalculator,
      });
      await adapter.trackMlflowRun({ experimentName: "e" }, async (run) => {
        await mlflow.logParam("param", "value");
        await mlflow.logText("x".repeat(1000), "model/notes.txt");
        await mlflow.registerModel(`runs:/${run.info.runId}/model`, "churn");
      });
      const { exact } = adapter.costAggregator.getSummary();
      expect(exact.costByOperationType).toMatchObject({
        create_experiment: "0.0002",
        create_run: "0.0002",
        log_param: "0.0002",
        create_model_version: "0.0005",
        // 1000 × 0.03 / 2^30 / 30
        log_artifact: "0.000000000931322575",
      });
      const question = { operationType: "log_artifact", artifactSizeMb: 10 };
      expect(adapter.calculateCost({ ...question, storageBackend: "s3" })).toBe(0.000009765625);
      expect(adapter.calculateCost({ ...question, storageBackend: "gcs" })).toBe(
        0.000006510416666667,
      );
    },
  );

  it("answers prices by itself, and follows its table", () => {
    const calculator = new OursByConstructor();
    expect(calculator.calculateCost({ operationType: "log_metric" })).toBe(0.0002);
    expect(calculator.calculateCostExact({ operationType: "register_model" })).toBe("0.0005");
    calculator.pricing = { trackingApiCall: "0.000000000000000001" };
    expect(calculator.calculateCostExact({ operationType: "logMetric" })).toBe(
      "0.000000000000000001",
    );
    calculator.pricing = { trackingApiCall: -1 };
    expect(() => calculator.calculateCost({ operationType: "log_metric" })).toThrow(
      ConfigurationError,
    );
  });

  it("any prices are booked to the last digit", async () => {
    const price = fc.bigInt({ min: 0n, max: 10n ** 21n });
    await fc.assert(
      fc.asyncProperty(price, price, fc.nat(20), async (tracking, registry, calls) => {
        const costCalculator = new MlflowCostCalculator();
        costCalculator.pricing = {
          trackingApiCall: attoToUsd(tracking),
          registryOperation: attoToUsd(registry),
        };
        const adapter = new GenOpsMlflowAdapter({
          team: "t",
          project: "p",
          runCapacity: 64,
          costCalculator,
        });
        adapter.instrumentFramework();
        try {
          const runId = await startRun("1");
          await writeArtifact(runId, "/local/a", 5);
          for (let made = 0; made < calls; made++) {
            await call("runs/log-metric", { run_id: runId });
            await call("model-versions/create", { name: "m", run_id: runId });
          }
        } finally {
          adapter.uninstrumentFramework();
        }
        expect(adapter.costAggregator.getSummary().totalCostExact).toBe(
          attoToUsd(tracking + BigInt(calls) * (tracking + registry)),
        );
      }),
      { numRuns: 30 },
    );
  });
});
