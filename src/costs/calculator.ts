// A price list as a class, for those who derive theirs: what it overrides drives the ledger.
import type { Engine } from "../engine/index.js";
import { attoToUsd } from "../engine/index.js";
import {
  type CostQuestion,
  checkPricing,
  type Pricing,
  pricedEngine,
  priceOf,
} from "../governance/pricing.js";
import { usdNumber } from "./summary.js";

/** A ledger that is asked for prices and books nothing. */
const SMALLEST = {
  runs: 1,
  tuples: 16,
  names: 512,
  reservations: 1,
  positions: 1,
  sourceBytes: 0,
  bufferBytes: 0,
} as const;

/**
 * Prices of MLflow's operations, for the adapter option `costCalculator`. A subclass overrides `pricing`;
 * what that leaves out keeps its default:
 *
 * `class Ours extends MlflowCostCalculator { override pricing = { storage: { s3: "0.030" } }; }`
 *
 * The adapter reads the prices once, when it is made, and books every amount exactly. Methods that are
 * overridden change what they answer, not the ledger.
 */
export class MlflowCostCalculator {
  /** USD as numbers or decimal text. */
  pricing: Pricing = {};
  #asked: { readonly pricing: Pricing; readonly engine: Engine } | undefined;

  /**
   * USD that an operation would cost at these prices, for display.
   * @throws {ConfigurationError} for an impossible price, an unknown operation, an unpriced backend or an
   *   impossible size.
   */
  calculateCost(question: CostQuestion): number {
    return usdNumber(priceOf(this.#engine(), question));
  }

  /** The same as exact decimal text. */
  calculateCostExact(question: CostQuestion): string {
    return attoToUsd(priceOf(this.#engine(), question));
  }

  #engine(): Engine {
    if (this.#asked?.pricing !== this.pricing) {
      const { pricing } = this;
      checkPricing(pricing, "pricing");
      this.#asked = { pricing, engine: pricedEngine(pricing, SMALLEST) };
    }
    return this.#asked.engine;
  }
}
