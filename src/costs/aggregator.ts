// The detailed way to read costs: an adapter's ledger as a summary.
import type { Engine } from "../engine/index.js";
import type { ArtifactUsage } from "./artifact-usage.js";
import type { CallSpans } from "./call-spans.js";
import { type MlflowCostSummary, toCostSummary } from "./summary.js";
import type { SummaryNames } from "./totals.js";

/** What is seen of operations beside the ledger. */
export interface ObservedUsage {
  readonly callSpans: CallSpans;
  readonly artifacts: ArtifactUsage;
}

/** Reads one ledger. Made by the adapter as `adapter.costAggregator`. */
export class MlflowCostAggregator {
  readonly #engine: Engine;
  readonly #names: SummaryNames;
  readonly #usage: ObservedUsage;

  constructor(engine: Engine, names: SummaryNames, usage: ObservedUsage) {
    this.#engine = engine;
    this.#names = names;
    this.#usage = usage;
  }

  /** Everything booked so far; a snapshot that later operations do not change. */
  getSummary(): MlflowCostSummary {
    const engine = this.#engine;
    const { callSpans, artifacts } = this.#usage;
    const totals = engine.summary();
    const spans = new Map(engine.operations.map(({ name, id }) => [name, callSpans.spanMs(id)]));
    const operations = Object.fromEntries(
      Object.entries(totals.operations).map(([name, sums]) => [
        name,
        { ...sums, spanMs: spans.get(name) },
      ]),
    );
    return toCostSummary({ ...totals, operations }, this.#names, artifacts);
  }
}
