// What the demo computes before any of it is logged: data, training, and the projection of its costs.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Account, accountOf } from "../../src/cli/demo/account.js";
import { irisDataset, readIris } from "../../src/cli/demo/dataset.js";
import { projectMonth } from "../../src/cli/demo/month.js";
import { seededRandom, shuffled } from "../../src/cli/demo/random.js";
import { confusionMatrix, evaluate, train } from "../../src/cli/demo/softmax.js";
import type { MlflowCostSummary } from "../../src/costs/summary.js";

const MEASURED = ["sepal length", "sepal width", "petal length", "petal width"];

function trained(options: { learningRate: number; epochs: number; seed: number }) {
  const data = irisDataset(MEASURED, 1);
  const training = train(data, { batchSize: 16, ...options });
  let next = training.next();
  let epochs = 0;
  while (!next.done) {
    epochs++;
    next = training.next();
  }
  return { data, epochs, weights: next.value };
}

describe("the data", () => {
  it("is all of Iris, split within each species", () => {
    const { featureNames, rows } = readIris();
    expect(featureNames).toEqual(MEASURED);
    expect(rows).toHaveLength(150);
    const data = irisDataset(MEASURED, 5);
    for (const [part, each] of [
      [data.training, 30],
      [data.validation, 10],
      [data.test, 10],
    ] as const) {
      for (const label of [0, 1, 2]) {
        expect(part.filter((sample) => sample.label === label)).toHaveLength(each);
      }
    }
    const first = data.training.map(({ features }) => features[0] as number);
    const mean = first.reduce((sum, value) => sum + value, 0) / first.length;
    expect(mean).toBeCloseTo(0, 10);
    expect(() => irisDataset(["petal colour"], 1)).toThrow("petal colour");
  });

  it("shuffles without losing or inventing anything", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.nat(), (items, seed) => {
        const mixed = shuffled(items, seededRandom(seed));
        expect([...mixed].sort()).toEqual([...items].sort());
        expect(shuffled(items, seededRandom(seed))).toEqual(mixed);
      }),
    );
  });
});

describe("training", () => {
  it("learns, and the same way every time", () => {
    const { data, weights } = trained({ learningRate: 1, epochs: 40, seed: 3 });
    expect(evaluate(weights, data.test).accuracy).toBeGreaterThan(0.9);
    expect(trained({ learningRate: 1, epochs: 40, seed: 3 }).weights).toEqual(weights);
    const counted = confusionMatrix(weights, data.test);
    expect(counted.flat().reduce((sum, count) => sum + count, 0)).toBe(30);
    const right = counted.reduce((sum, row, label) => sum + (row[label] ?? 0), 0);
    expect(right / 30).toBe(evaluate(weights, data.test).accuracy);
  });

  it("stops once the validation loss stands still", () => {
    expect(trained({ learningRate: 3, epochs: 1000, seed: 3 }).epochs).toBeLessThan(200);
    expect(trained({ learningRate: 0.01, epochs: 2, seed: 3 }).epochs).toBe(2);
  });

  it("stays finite at the steepest rate there is", () => {
    const { data, weights } = trained({ learningRate: 100, epochs: 50, seed: 3 });
    expect(Number.isFinite(evaluate(weights, data.validation).loss)).toBe(true);
  });
});

const summary = {
  totalCostExact: "0.001200000000000024",
  totalStorageBytes: 1000,
  exact: {
    costByCustomer: { a: "0.001200000000000024" },
    costByTeam: { t: "0.001100000000000024", "(unattributed)": "0.0001" },
    costByProject: { p: "0.001200000000000024" },
    costByExperiment: { e: "0.001200000000000024" },
    costByOperationType: {
      log_metric: "0.001",
      create_experiment: "0.0002",
      log_artifact: "0.000000000000000024",
    },
    costByStorageBackend: { "(unattributed)": "0.0012", s3: "0.000000000000000024" },
  },
  runs: [
    run("parent", undefined, "0.0001", "0.001000000000000024"),
    run("child", "parent", "0.000900000000000024", "0.000900000000000024"),
  ],
  unpriced: [],
} as unknown as MlflowCostSummary;

function run(runId: string, parentRunId: string | undefined, own: string, inclusive: string) {
  return {
    runId,
    parentRunId,
    customer: "a",
    team: "t",
    project: "p",
    experiment: "e",
    ownCostExact: own,
    inclusiveCostExact: inclusive,
  };
}

describe("the account", () => {
  it("gives every breakdown to the last digit", () => {
    const account: Account = accountOf(summary);
    expect(account.total).toBe(1_200_000_000_000_024n);
    expect(account.outsideRuns).toBe(2n * 10n ** 14n);
    expect(account.parts.team).toEqual([
      { name: "t", cost: 1_100_000_000_000_024n },
      { name: "(unattributed)", cost: 10n ** 14n },
    ]);
    expect(account.parts.storageBackend.at(-1)).toEqual({ name: "s3", cost: 24n });
    expect(account.roots.map(({ children }) => children.length)).toEqual([1]);
  });

  it("refuses a summary that does not add up or has no price for something", () => {
    const exact = { ...summary.exact, costByProject: { p: "0.0011" } };
    expect(() => accountOf({ ...summary, exact })).toThrow("the sum by project");
    const [parent, child] = summary.runs;
    if (!parent || !child) throw new Error("a run is missing");
    const runs = [{ ...parent, inclusiveCostExact: "0.001" }, child];
    expect(() => accountOf({ ...summary, runs })).toThrow("run parent with its children");
    const unpriced = [{ operation: "log_artifact", meter: "storage.tape", count: 1, quantity: 1 }];
    expect(() => accountOf({ ...summary, unpriced })).toThrow("storage.tape");
  });
});

describe("the month", () => {
  it("is 720 searches whose files pile up, the experiments made once", () => {
    const month = projectMonth(summary);
    expect(month.calls).toBe(720n * 10n ** 15n + 2n * 10n ** 14n);
    // 24 atto-USD for a day of 24 hours: one for each hour that a file lies there.
    expect(month.storageKept).toBe(BigInt((720 * 721) / 2));
    expect(month.storageAfterwards).toBe(720n * 24n * 30n);
    expect(month.total).toBe(month.calls + month.storageKept);
    expect(month.bytesKept).toBe(720_000n);
  });
});
