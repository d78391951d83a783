// An exact account of a part of a program, kept operation by operation from amounts that are settled already.

import { bucketOf, LATENCY_BITS, LATENCY_UNITS, percentiles } from "../engine/histogram.js";
import {
  FLAGS,
  type Dimension as LedgerDimension,
  type MeterTotal,
  OVERFLOW,
  type RunTotal,
  UNATTRIBUTED,
} from "../engine/index.js";
import type { Settlement } from "../governance/settlement.js";
import { ArtifactUsage } from "./artifact-usage.js";
import type { LedgerTotals, OperationSums, SummaryNames } from "./totals.js";

/** Names that one dimension, and runs that one tally, keeps apart; what comes after is under `(overflow)`. */
const TALLY_CAPACITY = 65_536;

type Amounts = Map<string, bigint>;

function add(amounts: Amounts, name: string | undefined, amount: bigint, capacity: number): void {
  const wanted = name ?? UNATTRIBUTED;
  const known = amounts.get(wanted);
  if (known !== undefined) amounts.set(wanted, known + amount);
  else if (amounts.size < capacity) amounts.set(wanted, amount);
  else amounts.set(OVERFLOW, (amounts.get(OVERFLOW) ?? 0n) + amount);
}

/** Operations and runs are kept with more than an amount, and a context is what the tally is of. */
type Dimension = Exclude<LedgerDimension, "run" | "operationType" | "context">;

interface TalliedRun {
  readonly names: SummaryNames;
  readonly settlement: Pick<Settlement, "run" | "attributes">;
  own: bigint;
  operations: number;
  errors: number;
  status: RunTotal["status"];
}

interface TalliedOperation {
  readonly class: string;
  count: number;
  errors: number;
  items: number;
  cost: bigint;
  unpriced: number;
  /** First start and last end, in ms since 1970. */
  firstMs: number;
  lastMs: number;
  /** Calls by latency; made when the first one is counted. */
  readonly latencies: number[];
}

interface Unpriced {
  readonly operation: string;
  readonly meter: string;
  count: number;
  quantity: bigint;
}

const ENDED = ["FINISHED", "FAILED", "KILLED"] as const;

/** Longest latency that is told apart, in units of a bucket. */
const LATENCY_MAX = 0xffff_ffff;

/** Adds up settled operations; several ledgers may book into one tally. Bounded, and never lossy. */
export class Tally {
  readonly #capacity: number;
  readonly #amounts: Readonly<Record<Dimension, Amounts>> = {
    experiment: new Map(),
    team: new Map(),
    project: new Map(),
    customer: new Map(),
    environment: new Map(),
    costCenter: new Map(),
    model: new Map(),
    meter: new Map(),
  };
  readonly #experiments = new Map<SummaryNames, Map<string, bigint>>();
  readonly #runs = new Map<string, TalliedRun>();
  readonly #operations = new Map<string, TalliedOperation>();
  readonly #meters = new Map<string, MeterTotal>();
  readonly #unpriced = new Map<string, Unpriced>();
  readonly artifacts = new ArtifactUsage();
  #total = 0n;
  #outsideRuns = 0n;
  #beyondCapacity = 0n;
  #operationCount = 0;
  #errorCount = 0;
  #overflowed = 0;

  constructor(capacity = TALLY_CAPACITY) {
    this.#capacity = capacity;
  }

  /** Books one operation. */
  add(settlement: Settlement): void {
    const { entry, attributes, operation, cost, storage, failed } = settlement;
    this.#addOperation(settlement);
    this.#addRun(settlement);
    if (ArtifactUsage.concerns(operation, settlement.outcome)) this.artifacts.settled(settlement);
    if (failed) this.#errorCount++;
    else if (entry.counted) this.#operationCount++;
    if (storage !== undefined && !failed) this.#addStorage(settlement, storage);
    if (cost === 0n) return;
    this.#total += cost;
    const capacity = this.#capacity;
    const amounts = this.#amounts;
    add(amounts.team, attributes.team, cost, capacity);
    add(amounts.project, attributes.project, cost, capacity);
    add(amounts.customer, attributes.customerId, cost, capacity);
    add(amounts.environment, attributes.environment, cost, capacity);
    add(amounts.costCenter, attributes.costCenter, cost, capacity);
    add(amounts.model, operation.modelName, cost, capacity);
    this.#addExperiment(settlement);
    const stored = storage?.cost ?? 0n;
    if (cost !== stored) add(amounts.meter, undefined, cost - stored, capacity);
    if (stored !== 0n) add(amounts.meter, storage?.meter, stored, capacity);
  }

  /** Kept by id, as its name may be learned later; two servers may give one id twice. */
  #addExperiment({ names, experimentId, cost }: Settlement): void {
    let ofServer = this.#experiments.get(names);
    if (ofServer === undefined) {
      ofServer = new Map();
      this.#experiments.set(names, ofServer);
    }
    add(ofServer, experimentId, cost, this.#capacity);
  }

  #addOperation({ entry, operation, cost, flags, failed, startMs, elapsedMs }: Settlement): void {
    let tallied = this.#operations.get(entry.name);
    if (tallied === undefined) {
      tallied = {
        class: entry.class,
        count: 0,
        errors: 0,
        items: 0,
        cost: 0n,
        unpriced: 0,
        firstMs: startMs,
        lastMs: startMs,
        latencies: [],
      };
      this.#operations.set(entry.name, tallied);
    }
    if (failed) tallied.errors++;
    else {
      tallied.count++;
      tallied.items += operation.items;
    }
    tallied.cost += cost;
    if ((flags & FLAGS.unpriced) !== 0 && entry.price === null) tallied.unpriced++;
    tallied.firstMs = Math.min(tallied.firstMs, startMs);
    tallied.lastMs = Math.max(tallied.lastMs, startMs + elapsedMs);
    const units = Math.min(Math.floor(Math.max(elapsedMs, 0) * LATENCY_UNITS), LATENCY_MAX);
    const bucket = bucketOf(units, LATENCY_BITS);
    while (tallied.latencies.length <= bucket) tallied.latencies.push(0);
    tallied.latencies[bucket] = (tallied.latencies[bucket] as number) + 1;
  }

  #addRun({ run, attributes, names, entry, cost, failed, outcome }: Settlement): void {
    const ended = outcome.endedRun;
    if (run === undefined) {
      this.#outsideRuns += cost;
      return;
    }
    let tallied = this.#runs.get(run.runId);
    if (tallied === undefined) {
      if (this.#runs.size >= this.#capacity) {
        this.#overflowed++;
        this.#beyondCapacity += cost;
        return;
      }
      tallied = {
        names,
        settlement: { run, attributes },
        own: 0n,
        operations: 0,
        errors: 0,
        status: undefined,
      };
      this.#runs.set(run.runId, tallied);
    }
    tallied.own += cost;
    if (failed) tallied.errors++;
    else if (entry.counted) tallied.operations++;
    const status = ENDED.find((name) => name === ended?.status);
    if (status !== undefined && ended?.runId === run.runId) tallied.status = status;
  }

  #addStorage(
    { entry, flags }: Settlement,
    storage: { readonly meter: string; readonly sizeBytes: number; readonly cost: bigint },
  ): void {
    const { meter, sizeBytes, cost } = storage;
    const before = this.#meters.get(meter) ?? { quantity: 0n, count: 0, cost: 0n };
    this.#meters.set(meter, {
      quantity: before.quantity + BigInt(sizeBytes),
      count: before.count + 1,
      cost: before.cost + cost,
    });
    // A call without a price has no part in whether its bytes have one.
    if ((flags & FLAGS.unpriced) === 0 || entry.price === null) return;
    const key = `${entry.name} ${meter}`;
    let unpriced = this.#unpriced.get(key);
    if (unpriced === undefined) {
      unpriced = { operation: entry.name, meter, count: 0, quantity: 0n };
      this.#unpriced.set(key, unpriced);
    }
    unpriced.count++;
    unpriced.quantity += BigInt(sizeBytes);
  }

  /** Everything booked so far, in the form that a summary is made of. */
  totals(): LedgerTotals {
    const amounts = this.#amounts;
    return {
      total: this.#total,
      operationCount: this.#operationCount,
      errorCount: this.#errorCount,
      byRun: Object.fromEntries(this.#byRun()),
      byExperiment: Object.fromEntries(this.#byExperiment()),
      byTeam: Object.fromEntries(amounts.team),
      byProject: Object.fromEntries(amounts.project),
      byCustomer: Object.fromEntries(amounts.customer),
      byEnvironment: Object.fromEntries(amounts.environment),
      byCostCenter: Object.fromEntries(amounts.costCenter),
      byModel: Object.fromEntries(amounts.model),
      byOperationType: Object.fromEntries(
        [...this.#operations].map(([name, { cost }]) => [name, cost]),
      ),
      byMeter: Object.fromEntries(amounts.meter),
      runs: this.#runTotals(),
      operations: Object.fromEntries(
        [...this.#operations].map(([name, tallied]) => [name, operationSums(tallied)]),
      ),
      meters: Object.fromEntries(this.#meters),
      unpriced: [
        ...[...this.#operations]
          .filter(([, { unpriced }]) => unpriced > 0)
          .map(([operation, { unpriced }]) => ({ operation, count: unpriced, quantity: 0n })),
        ...[...this.#unpriced.values()].map((unpriced) => ({ ...unpriced })),
      ],
      overflowed: this.#overflowed,
    };
  }

  #byRun(): Amounts {
    const byRun: Amounts = new Map([...this.#runs].map(([runId, { own }]) => [runId, own]));
    if (this.#outsideRuns !== 0n) byRun.set(UNATTRIBUTED, this.#outsideRuns);
    if (this.#beyondCapacity !== 0n) byRun.set(OVERFLOW, this.#beyondCapacity);
    return byRun;
  }

  #byExperiment(): Amounts {
    const byName: Amounts = new Map();
    for (const [names, ofServer] of this.#experiments) {
      for (const [id, amount] of ofServer) {
        const name = names.experimentName(id) ?? id;
        byName.set(name, (byName.get(name) ?? 0n) + amount);
      }
    }
    return byName;
  }

  #runTotals(): RunTotal[] {
    const inclusive = new Map<string, bigint>();
    for (const [runId, { own }] of this.#runs) {
      // A server may answer parents in a circle: each run above is added to once.
      const above = new Set<string>();
      let next: string | undefined = runId;
      while (next !== undefined && !above.has(next)) {
        above.add(next);
        inclusive.set(next, (inclusive.get(next) ?? 0n) + own);
        next = this.#runs.get(next)?.settlement.run?.parentRunId;
      }
    }
    return [...this.#runs].map(([runId, tallied]) => runTotal(runId, tallied, inclusive));
  }

  /** Names of runs, for those who show this tally. */
  runName(runId: string): string | undefined {
    const tallied = this.#runs.get(runId);
    return tallied?.names.runName(runId) ?? tallied?.settlement.run?.runName;
  }
}

function operationSums(tallied: TalliedOperation): OperationSums {
  const { class: operationClass, count, errors, items, cost, firstMs, lastMs } = tallied;
  const latency = percentiles(tallied.latencies, LATENCY_BITS, LATENCY_UNITS);
  return {
    class: operationClass,
    count,
    errors,
    items,
    cost,
    ...(latency && { latency }),
    spanMs: lastMs - firstMs,
  };
}

function runTotal(
  runId: string,
  tallied: TalliedRun,
  inclusive: ReadonlyMap<string, bigint>,
): RunTotal {
  const { run, attributes } = tallied.settlement;
  const experimentId = run?.experimentId;
  const experiment =
    experimentId === undefined
      ? undefined
      : (tallied.names.experimentName(experimentId) ?? experimentId);
  return {
    runId,
    ...(run?.parentRunId !== undefined && { parentRunId: run.parentRunId }),
    ...(experiment !== undefined && { experiment }),
    ...(attributes.team !== undefined && { team: attributes.team }),
    ...(attributes.project !== undefined && { project: attributes.project }),
    ...(attributes.customerId !== undefined && { customer: attributes.customerId }),
    ...(attributes.environment !== undefined && { environment: attributes.environment }),
    ...(attributes.costCenter !== undefined && { costCenter: attributes.costCenter }),
    own: tallied.own,
    folded: 0n,
    inclusive: inclusive.get(runId) ?? tallied.own,
    operations: tallied.operations,
    errors: tallied.errors,
    finished: tallied.status !== undefined,
    ...(tallied.status !== undefined && { status: tallied.status }),
  };
}
