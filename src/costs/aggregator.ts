// The detailed way to read costs: an adapter's ledger as a summary.
import type { Engine } from "../engine/index.js";
import { type MlflowCostSummary, type SummaryNames, toCostSummary } from "./summary.js";

/** Reads one ledger. Made by the adapter as `adapter.costAggregator`. */
export class MlflowCostAggregator {
  readonly #engine: Engine;
  readonly #names: SummaryNames;

  constructor(engine: Engine, names: SummaryNames) {
    this.#engine = engine;
    this.#names = names;
  }

  /** Everything booked so far; a snapshot that later operations do not change. */
  getSummary(): MlflowCostSummary {
    return toCostSummary(this.#engine.summary(), this.#names);
  }
}
