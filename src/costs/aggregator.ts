// The detailed way to read costs: an adapter's ledger as a summary.
import type { Engine } from "../engine/index.js";
import type { ArtifactUsage } from "./artifact-usage.js";
import type { CallSpans } from "./call-spans.js";
import { type MlflowCostSummary, type SummaryNames, toCostSummary } from "./summary.js";

/** What a ledger is kept with. */
export interface AggregatedLedger extends SummaryNames {
  readonly engine: Engine;
  readonly callSpans: CallSpans;
  readonly artifacts: ArtifactUsage;
}

/** Reads one ledger. Made by the adapter as `adapter.costAggregator`. */
export class MlflowCostAggregator {
  readonly #ledger: AggregatedLedger;

  constructor(ledger: AggregatedLedger) {
    this.#ledger = ledger;
  }

  /** Everything booked so far; a snapshot that later operations do not change. */
  getSummary(): MlflowCostSummary {
    const { engine, callSpans, artifacts } = this.#ledger;
    const totals = engine.summary();
    const spans = new Map(engine.operations.map(({ name, id }) => [name, callSpans.spanMs(id)]));
    const operations = Object.fromEntries(
      Object.entries(totals.operations).map(([name, sums]) => [
        name,
        { ...sums, spanMs: spans.get(name) },
      ]),
    );
    return toCostSummary({ ...totals, operations }, this.#ledger, artifacts);
  }
}
