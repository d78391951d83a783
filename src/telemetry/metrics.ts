// OpenTelemetry metrics of what settles: cost, operations, durations, bytes, and what budgets have left.
import {
  type Attributes,
  type BatchObservableResult,
  createNoopMeter,
  type Histogram,
  type Meter,
  type MeterProvider,
} from "@opentelemetry/api";
import { attoToUsd, OVERFLOW } from "../engine/index.js";
import type { GovernanceAttributes } from "../governance/attribution.js";
import type { Settlement, SettlementObserver } from "../governance/settlement.js";
import { GENOPS, METRICS } from "./semantics.js";

/** Name of the meter, as OpenTelemetry's instrumentation scope. */
const SCOPE = "genops";

/**
 * Attribute sets that one instrument keeps apart, well below the 2,000 from which on OpenTelemetry's own SDK
 * adds up what comes. A set is of a team, project, environment, operation and status, or storage backend:
 * never of a run or customer, of which there is no end.
 */
export const SERIES_MAX = 1000;

/** In seconds: from an answer out of memory to an upload of minutes. */
const DURATION_BOUNDARIES = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/** Where a budget stands. */
export interface BudgetReading {
  readonly name: string;
  readonly period: string;
  readonly unit: string;
  /** In its unit, as decimal text; below 0 when it was passed. */
  readonly remaining: string;
}

/** Budgets whose positions are told. */
export type BudgetReadings = () => Iterable<BudgetReading>;

/** One attribute set and what came to it. */
interface Series {
  readonly attributes: Attributes;
  /** Atto-USD. */
  cost: bigint;
  operations: number;
  bytes: number;
}

function payerOf({ team, project, environment }: GovernanceAttributes): Attributes {
  return {
    ...(team !== undefined && { [METRICS.team]: team }),
    ...(project !== undefined && { [METRICS.project]: project }),
    ...(environment !== undefined && { [METRICS.environment]: environment }),
  };
}

/** Attribute sets, up to a number; what comes after shares one. */
class BoundedSeries {
  readonly all = new Map<string, Series>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  at(key: string, attributes: () => Attributes): Series {
    const known = this.all.get(key);
    if (known !== undefined) return known;
    if (this.all.size < this.#capacity - 1) return this.#open(key, attributes());
    return this.all.get(OVERFLOW) ?? this.#open(OVERFLOW, { [METRICS.team]: OVERFLOW });
  }

  #open(key: string, attributes: Attributes): Series {
    const series = { attributes, cost: 0n, operations: 0, bytes: 0 };
    this.all.set(key, series);
    return series;
  }
}

/**
 * The metrics of one meter provider. Amounts are kept exact and told when they are collected, so that no
 * sum of doubles drifts from the ledger.
 */
export class OperationMetrics implements SettlementObserver {
  readonly #calls: BoundedSeries;
  readonly #stored: BoundedSeries;
  readonly #duration: Histogram;
  readonly #budgets = new Set<BudgetReadings>();

  constructor(meter: Meter, capacity = SERIES_MAX) {
    this.#calls = new BoundedSeries(capacity);
    this.#stored = new BoundedSeries(capacity);
    this.#duration = meter.createHistogram(METRICS.duration, {
      unit: "s",
      description: "How long calls to MLflow took, with what governance adds",
      advice: { explicitBucketBoundaries: DURATION_BOUNDARIES },
    });
    const cost = meter.createObservableCounter(METRICS.cost, {
      unit: "USD",
      description: "What operations cost, storage included",
    });
    const operations = meter.createObservableCounter(METRICS.operations, {
      unit: "{operation}",
      description: "Calls to MLflow; a batch is one",
    });
    const bytes = meter.createObservableCounter(METRICS.bytes, {
      unit: "By",
      description: "Bytes of artifacts and models that were written",
    });
    const remaining = meter.createObservableGauge(METRICS.budgetRemaining, {
      description: "Limit of a budget less what is spent and held; its unit is an attribute",
    });
    meter.addBatchObservableCallback(
      (result: BatchObservableResult) => {
        for (const { attributes, ...series } of this.#calls.all.values()) {
          result.observe(cost, Number(attoToUsd(series.cost)), attributes);
          result.observe(operations, series.operations, attributes);
        }
        for (const { attributes, ...series } of this.#stored.all.values()) {
          result.observe(bytes, series.bytes, attributes);
        }
        for (const budgets of this.#budgets) {
          for (const { name, period, unit, ...budget } of budgets()) {
            result.observe(remaining, Number(budget.remaining), {
              [METRICS.budgetName]: name,
              [METRICS.budgetPeriod]: period,
              [METRICS.budgetUnit]: unit,
            });
          }
        }
      },
      [cost, operations, bytes, remaining],
    );
  }

  /** Tells these budgets, too, from now on. */
  watch(budgets: BudgetReadings): void {
    this.#budgets.add(budgets);
  }

  settled({ entry, attributes, cost, storage, failed, elapsedMs }: Settlement): void {
    const { team, project, environment } = attributes;
    const status = failed ? "error" : "ok";
    // A line break is in no name.
    const payer = `${team}\n${project}\n${environment}`;
    const series = this.#calls.at(`${payer}\n${entry.name}\n${status}`, () => ({
      ...payerOf(attributes),
      [GENOPS.operationName]: entry.name,
      [GENOPS.operationType]: entry.class,
      [METRICS.status]: status,
    }));
    series.cost += cost;
    series.operations++;
    this.#duration.record(elapsedMs / 1000, series.attributes);
    if (storage === undefined || failed) return;
    const stored = this.#stored.at(`${payer}\n${storage.meter}`, () => ({
      ...payerOf(attributes),
      [METRICS.storageBackend]: storage.meter.replace(/^storage\./, ""),
    }));
    stored.bytes += storage.sizeBytes;
  }
}

const known = new WeakMap<object, OperationMetrics>();

/**
 * The metrics of a provider, which all adapters that use it share: what two of them observe under equal
 * attributes has to be added up. Undefined for a provider that does nothing.
 */
export function metricsOf(
  provider: Pick<MeterProvider, "getMeter">,
  version: string,
): OperationMetrics | undefined {
  const found = known.get(provider);
  if (found !== undefined) return found;
  const meter = provider.getMeter(SCOPE, version);
  if (meter === createNoopMeter()) return undefined;
  const made = new OperationMetrics(meter);
  known.set(provider, made);
  return made;
}
