// @ts-check
// Multi-tenant tracking: one service, many customers, and what each of them cost.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instrumentMlflow } from "genops";
import * as mlflow from "genops/mlflow";

const adapter = instrumentMlflow({
  trackingUri: process.env.MLFLOW_TRACKING_URI ?? (await mkdtemp(join(tmpdir(), "multi-tenant-"))),
  team: "ml-platform",
  project: "inference-service",
  environment: "production",
});

const customers = [
  { id: "acme", requests: 3 },
  { id: "globex", requests: 1 },
  { id: "initech", requests: 5 },
];

// Customers come at the same time; nobody pays for anybody else.
await Promise.all(
  customers.map(({ id, requests }) =>
    adapter.trackMlflowRun(
      { experimentName: "inference", runName: `customer-${id}`, customerId: id },
      async () => {
        for (let request = 0; request < requests; request++) {
          await mlflow.logMetrics(
            { latency_ms: 12 + request, tokens_used: 180 },
            { step: request },
          );
        }
      },
    ),
  ),
);

const { exact, totalCostExact } = adapter.costAggregator.getSummary();
for (const [customer, cost] of Object.entries(exact.costByCustomer).sort()) {
  console.log(`${customer}: $${cost}`);
}
console.log(`Total cost: $${totalCostExact}`);
