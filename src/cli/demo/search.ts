// The work that is paid for: a search over learning rates per customer, tracked in MLflow.
import * as mlflow from "../../mlflow/node.js";
import type { ActiveRun, GenOpsMlflowAdapter, TrackRunOptions } from "../../node.js";
import type { Customer } from "./customers.js";
import { type Dataset, irisDataset } from "./dataset.js";
import {
  confusionMatrix,
  type Epoch,
  type Evaluation,
  evaluate,
  train,
  type Weights,
} from "./softmax.js";

const BATCH_SIZE = 16;

export interface SearchOptions {
  readonly learningRates: readonly number[];
  /** Passes over the data at most. */
  readonly epochs: number;
  readonly seed: number;
  /** When it fires, the open runs end KILLED and the search rejects with its reason. */
  readonly signal: AbortSignal;
  onProgress(progress: SearchProgress): void;
}

export interface SearchProgress {
  readonly customer: Customer;
  readonly learningRate: number;
  readonly epoch: number;
  /** Share of the whole work that is done at most, 0 to 1. */
  readonly done: number;
}

/** One child run: a model trained with one learning rate. */
export interface Trial {
  readonly runId: string;
  readonly learningRate: number;
  /** Epochs until the validation loss stood still. */
  readonly epochs: number;
  readonly validation: Evaluation;
  readonly weights: Weights;
}

/** What became of one customer's search. */
export interface SearchResult {
  readonly customer: Customer;
  readonly experimentId: string;
  readonly parentRunId: string;
  readonly trials: readonly Trial[];
  readonly best: Trial;
  readonly model: { readonly name: string; readonly version: string; readonly stage: string };
  /** The chosen model on flowers that no run of the search has seen. */
  readonly test: Evaluation;
  readonly testFlowers: number;
}

/** A tracked run that ends KILLED, not FAILED, when it was interrupted. */
function trackInterruptibly<T>(
  adapter: GenOpsMlflowAdapter,
  options: TrackRunOptions,
  signal: AbortSignal,
  body: (run: ActiveRun) => Promise<T>,
): Promise<T> {
  return adapter.trackMlflowRun(options, async (run) => {
    try {
      return await body(run);
    } catch (error) {
      if (signal.aborted) await mlflow.endRun("KILLED");
      throw error;
    }
  });
}

/** What somebody needs to use the model elsewhere. */
function modelDocument(data: Dataset, weights: Weights) {
  return {
    kind: "softmax regression",
    features: data.featureNames,
    classes: data.classNames,
    standardisation: { means: data.means, deviations: data.deviations },
    weights: weights.map((row) => row.slice(0, -1)),
    biases: weights.map((row) => row.at(-1)),
  };
}

function historyTable(history: readonly Epoch[]): string {
  const rows = history.map(({ epoch, trainLoss, validationLoss, validationAccuracy }) =>
    [epoch, trainLoss, validationLoss, validationAccuracy].join(","),
  );
  return `${["epoch,train_loss,validation_loss,validation_accuracy", ...rows].join("\n")}\n`;
}

function leaderboard(trials: readonly Trial[]): string {
  const rows = trials.map(({ learningRate, epochs, validation }) =>
    [learningRate, epochs, validation.loss, validation.accuracy].join(","),
  );
  return `${["learning_rate,epochs,validation_loss,validation_accuracy", ...rows].join("\n")}\n`;
}

async function logEpoch(customer: Customer, epoch: Epoch): Promise<void> {
  const metrics = {
    train_loss: epoch.trainLoss,
    validation_loss: epoch.validationLoss,
    validation_accuracy: epoch.validationAccuracy,
  };
  if (customer.batchesMetrics) {
    await mlflow.logMetrics(metrics, epoch.epoch);
    return;
  }
  for (const [name, value] of Object.entries(metrics)) {
    await mlflow.logMetric(name, value, epoch.epoch);
  }
}

/** The body of a child run. */
async function runTrial(
  run: ActiveRun,
  customer: Customer,
  data: Dataset,
  learningRate: number,
  options: SearchOptions,
  onEpoch: (epoch: number) => void,
): Promise<Trial> {
  const { epochs, seed, signal } = options;
  await mlflow.logParams({
    learning_rate: learningRate,
    max_epochs: epochs,
    batch_size: BATCH_SIZE,
    seed,
    features: data.featureNames.join(", "),
  });
  const training = train(data, { learningRate, epochs, batchSize: BATCH_SIZE, seed });
  const history: Epoch[] = [];
  let next = training.next();
  while (!next.done) {
    signal.throwIfAborted();
    history.push(next.value);
    onEpoch(next.value.epoch);
    await logEpoch(customer, next.value);
    next = training.next();
  }
  const weights = next.value;
  await mlflow.logDict(modelDocument(data, weights), "model/model.json");
  await mlflow.logDict(
    { classes: data.classNames, rowsAreTrueClasses: confusionMatrix(weights, data.validation) },
    "confusion_matrix.json",
  );
  await mlflow.logText(historyTable(history), "history.csv");
  return {
    runId: run.info.runId,
    learningRate,
    epochs: history.length,
    validation: evaluate(weights, data.validation),
    weights,
  };
}

async function searchFor(
  adapter: GenOpsMlflowAdapter,
  customer: Customer,
  options: SearchOptions,
  onEpoch: (trial: number, learningRate: number, epoch: number) => void,
): Promise<SearchResult> {
  const { signal, learningRates, seed } = options;
  const { experiment, customerId, team, project, environment, measured } = customer;
  const payer = { customerId, team, project, environment };
  const data = irisDataset(measured, seed);
  return trackInterruptibly(
    adapter,
    { experimentName: experiment, runName: `${customerId} search`, ...payer },
    signal,
    async (parent) => {
      await mlflow.logParams({
        learning_rates: learningRates.join(", "),
        training_rows: data.training.length,
        validation_rows: data.validation.length,
        test_rows: data.test.length,
      });
      const trials: Trial[] = [];
      for (const [index, learningRate] of learningRates.entries()) {
        const trial = await trackInterruptibly(
          adapter,
          { runName: `learning rate ${learningRate}`, ...payer },
          signal,
          (run) =>
            runTrial(run, customer, data, learningRate, options, (epoch) =>
              onEpoch(index, learningRate, epoch),
            ),
        );
        trials.push(trial);
      }
      const best = trials.reduce((a, b) => (b.validation.loss < a.validation.loss ? b : a));
      const test = evaluate(best.weights, data.test);
      await mlflow.logMetrics({ test_loss: test.loss, test_accuracy: test.accuracy });
      await mlflow.setTags({ best_run_id: best.runId, best_learning_rate: best.learningRate });
      await mlflow.logText(leaderboard(trials), "leaderboard.csv");
      const name = `iris-${customerId}`;
      const { version } = await mlflow.registerModel(`runs:/${best.runId}/model`, name);
      const staged = await mlflow.transitionModelVersionStage(name, version, "Production", {
        archiveExistingVersions: true,
      });
      return {
        customer,
        experimentId: parent.info.experimentId,
        parentRunId: parent.info.runId,
        trials,
        best,
        model: { name, version, stage: staged.currentStage },
        test,
        testFlowers: data.test.length,
      };
    },
  );
}

/**
 * Searches for every customer, one after the other: who creates what they share, and so pays for it,
 * is then the same every time.
 */
export async function searchForAll(
  adapter: GenOpsMlflowAdapter,
  customers: readonly Customer[],
  options: SearchOptions,
): Promise<SearchResult[]> {
  const { learningRates, epochs } = options;
  const trials = customers.length * learningRates.length;
  const results: SearchResult[] = [];
  for (const [position, customer] of customers.entries()) {
    const result = await searchFor(adapter, customer, options, (trial, learningRate, epoch) => {
      const done = (position * learningRates.length + trial + epoch / epochs) / trials;
      options.onProgress({ customer, learningRate, epoch, done });
    });
    results.push(result);
  }
  return results;
}
