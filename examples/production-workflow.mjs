// @ts-check
// Production workflow: own prices, policies, a budget that blocks, alerts, an account of the night, and advice.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  BudgetExceededError,
  createMlflowCostContext,
  instrumentMlflow,
  MlflowCostCalculator,
  PolicyViolationError,
} from "genops";
import * as mlflow from "genops/mlflow";

/** What this company has agreed with its cloud; what is left out keeps its default. */
class CompanyPrices extends MlflowCostCalculator {
  /** @override */
  pricing = { storage: { s3: "0.021" } };
}

const adapter = instrumentMlflow({
  trackingUri:
    process.env.MLFLOW_TRACKING_URI ?? (await mkdtemp(join(tmpdir(), "production-workflow-"))),
  team: "ml-platform",
  project: "churn",
  customerId: "acme",
  environment: "production",
  costCenter: "ml-research",
  costCalculator: new CompanyPrices(),
  storageBackends: { "mlflow-artifacts:": "s3", "file:": "s3" },
  budgets: [
    {
      name: "churn-day",
      limit: "0.0013",
      period: "day",
      scope: { project: "churn" },
      action: "block",
      alertAt: [0.8, 1],
    },
  ],
  policies: {
    requireTags: ["owner"],
    allowedEnvironments: ["staging", "production"],
    maxArtifactSizeMb: 1,
  },
  onBudgetAlert: ({ budget, share, spent, limit }) =>
    console.log(`Alert: ${budget} is at ${share * 100} % ($${spent} of $${limit})`),
});

/** One candidate: trained, measured, kept. */
function train(/** @type {string} */ name, /** @type {number} */ accuracy) {
  const run = { experimentName: "churn", runName: name, tags: { owner: "ada@example.com" } };
  return adapter.trackMlflowRun(run, async () => {
    await mlflow.logParam("candidate", name);
    await mlflow.logMetrics({ accuracy, loss: 1 - accuracy });
    await mlflow.logBytes(new Uint8Array(10 * 1024), "model/weights.bin");
    return accuracy;
  });
}

/** What should not be kept: a policy refuses it before anything is sent. */
async function tryToKeepTooMuch() {
  try {
    const run = { experimentName: "churn", runName: "dump", tags: { owner: "ada@example.com" } };
    await adapter.trackMlflowRun(run, () => mlflow.logBytes(new Uint8Array(2 ** 21), "dump.bin"));
  } catch (error) {
    if (!(error instanceof PolicyViolationError)) throw error;
    console.log(`dump: refused by the policy ${error.policy} (${error.reasonCode})`);
  }
}

const context = await createMlflowCostContext("nightly", async (context) => {
  for (const [name, accuracy] of /** @type {const} */ ([
    ["logistic", 0.81],
    ["trees", 0.86],
    ["forest", 0.88],
    ["boosted", 0.9],
    ["ensemble", 0.91],
  ])) {
    try {
      console.log(`${name}: accuracy ${await train(name, accuracy)}`);
    } catch (error) {
      if (!(error instanceof BudgetExceededError)) throw error;
      // The call that was too much was not sent; nothing of it costs anything.
      console.log(`${name}: stopped by the budget ${error.budget} (${error.reasonCode})`);
      break;
    }
    if (name === "logistic") await tryToKeepTooMuch();
  }
  return context;
});

const night = context.getSummary();
console.log(`Tonight: $${night.totalCostExact} for ${night.runCount} runs`);
for (const { title, savingExact } of night.recommendations) {
  console.log(`Advice: ${title} ($${savingExact})`);
}
const { spent, remaining } = adapter.budget("churn-day");
console.log(`Budget: $${spent} spent, $${remaining} left, over: ${adapter.isOverBudget()}`);
