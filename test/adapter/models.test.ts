// What a logged model costs, and whom: its bytes, and its registration, but no call about it.
import { describe, expect, it } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import { GenOpsMlflowAdapter } from "../../src/node.js";
import { onEachStore } from "../mlflow/each-store.js";
import { uniqueName } from "./workplace.js";

onEachStore(() => {
  describe("a logged model", () => {
    it("is billed to its run by its bytes, and by its registration", async () => {
      const adapter = new GenOpsMlflowAdapter({
        team: "search",
        storageBackends: { "file:": "s3", "/": "s3", "mlflow-artifacts:": "s3" },
      });
      adapter.instrumentFramework();
      try {
        const info = await adapter.trackMlflowRun(
          { experimentName: uniqueName("billed"), runName: "r" },
          () =>
            mlflow.logModel(
              { "w.bin": new Uint8Array(1000) },
              { registeredModelName: uniqueName("billed") },
            ),
        );
        const summary = adapter.costAggregator.getSummary();
        const bytes = summary.storage.s3?.bytes ?? 0;
        // The MLmodel file comes on top of the model's own bytes.
        expect(info.sizeBytes).toBe(1000);
        expect(bytes).toBeGreaterThan(1000);
        expect(summary.storage.s3?.files).toBe(2);
        const run = summary.runs.find(({ runId }) => runId === info.runId);
        expect(summary.costByOperationType.create_model_version).toBe(0.0005);
        for (const free of ["create_logged_model", "log_outputs", "finalize_logged_model"]) {
          expect(summary.operations[free]?.count, free).toBe(1);
          expect(summary.costByOperationType[free] ?? 0, free).toBe(0);
        }
        expect(run?.ownCost).toBeGreaterThan(0.0001);
        expect(summary.costByTeam.search).toBe(summary.totalCost);
      } finally {
        adapter.uninstrumentFramework();
      }
    });
  });
});
