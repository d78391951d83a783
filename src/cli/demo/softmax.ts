// Softmax regression by mini-batch gradient descent: small enough to read, real enough to learn.
import type { Dataset, Sample } from "./dataset.js";
import { seededRandom, shuffled } from "./random.js";

/** One row per class: a weight per feature, then the bias. */
export type Weights = readonly (readonly number[])[];

/** How well a model does on some rows. */
export interface Evaluation {
  /** Mean cross-entropy, in nats. */
  readonly loss: number;
  readonly accuracy: number;
}

/** What one pass over the training rows led to. */
export interface Epoch {
  /** Counts from 1. */
  readonly epoch: number;
  readonly trainLoss: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
}

export interface TrainingOptions {
  readonly learningRate: number;
  /** At most; training stops earlier once the validation loss stands still. */
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
}

/** Epochs without gain after which training stops, and what counts as a gain. */
export const PATIENCE = 5;
export const MINIMUM_GAIN = 0.005;

function probabilities(weights: Weights, features: readonly number[]): number[] {
  const scores = weights.map((row) =>
    features.reduce((sum, value, at) => sum + value * (row[at] as number), row.at(-1) as number),
  );
  // Less the largest, so that no exponential overflows.
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Index of the likeliest class. */
export function predict(weights: Weights, features: readonly number[]): number {
  const likely = probabilities(weights, features);
  return likely.indexOf(Math.max(...likely));
}

export function evaluate(weights: Weights, samples: readonly Sample[]): Evaluation {
  let loss = 0;
  let correct = 0;
  for (const { features, label } of samples) {
    const likely = probabilities(weights, features);
    // A probability that underflows to 0 would make the loss infinite, which MLflow cannot plot.
    loss -= Math.log(Math.max(likely[label] as number, Number.MIN_VALUE));
    if (likely.indexOf(Math.max(...likely)) === label) correct++;
  }
  return { loss: loss / samples.length, accuracy: correct / samples.length };
}

/** Counts by true class (rows) and predicted class (columns). */
export function confusionMatrix(weights: Weights, samples: readonly Sample[]): number[][] {
  const counts = weights.map(() => weights.map(() => 0));
  for (const { features, label } of samples) {
    const row = counts[label] as number[];
    const predicted = predict(weights, features);
    row[predicted] = (row[predicted] as number) + 1;
  }
  return counts;
}

function step(weights: number[][], batch: readonly Sample[], learningRate: number): void {
  const gradient = weights.map((row) => row.map(() => 0));
  for (const { features, label } of batch) {
    const likely = probabilities(weights, features);
    for (const [index, row] of gradient.entries()) {
      const error = (likely[index] as number) - (index === label ? 1 : 0);
      for (const [at, value] of features.entries()) row[at] = (row[at] as number) + error * value;
      row[features.length] = (row[features.length] as number) + error;
    }
  }
  for (const [index, row] of weights.entries()) {
    const slope = gradient[index] as number[];
    for (const at of row.keys()) {
      row[at] = (row[at] as number) - (learningRate / batch.length) * (slope[at] as number);
    }
  }
}

/**
 * Trains from zero weights and yields after every epoch, so that the caller can log it, show it or stop.
 * The same options and data give the same weights.
 */
export function* train(
  data: Dataset,
  { learningRate, epochs, batchSize, seed }: TrainingOptions,
): Generator<Epoch, Weights, void> {
  const weights = data.classNames.map(() => Array<number>(data.featureNames.length + 1).fill(0));
  const random = seededRandom(seed);
  let best = Number.POSITIVE_INFINITY;
  let sinceBest = 0;
  for (let epoch = 1; epoch <= epochs && sinceBest < PATIENCE; epoch++) {
    const order = shuffled(data.training, random);
    for (let start = 0; start < order.length; start += batchSize) {
      step(weights, order.slice(start, start + batchSize), learningRate);
    }
    const validation = evaluate(weights, data.validation);
    if (validation.loss < best - MINIMUM_GAIN) {
      best = validation.loss;
      sinceBest = 0;
    } else sinceBest++;
    yield {
      epoch,
      trainLoss: evaluate(weights, data.training).loss,
      validationLoss: validation.loss,
      validationAccuracy: validation.accuracy,
    };
  }
  return weights;
}
