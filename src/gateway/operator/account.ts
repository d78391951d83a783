// What the gateway has seen settle: today by who and what, and since its start for monitoring. Exact and bounded.
import { OVERFLOW, UNATTRIBUTED } from "../../engine/index.js";
import type { GovernanceAttributes } from "../../governance/attribution.js";
import type { Settlement, SettlementObserver } from "../../governance/settlement.js";

/** Names that one breakdown keeps apart; what comes after is under `(overflow)`. */
const NAMES_MAX = 1000;
/** Payers that monitoring keeps apart: each is a time series. */
const PAYERS_MAX = 500;
const DAY_MS = 86_400_000;
/** Upper edges in seconds, as monitoring systems usually have them. */
export const DURATION_EDGES: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
const STORAGE = "storage.";

/** Calls and what they cost, in atto-USD. */
export interface Usage {
  cost: bigint;
  /** Calls that succeeded and changed something. */
  operations: number;
  errors: number;
}

/** One operation of MLflow since the start. */
export interface OperationCounts {
  succeeded: number;
  failed: number;
}

/** How long the calls of one class took. */
export interface Durations {
  /** Calls up to each edge, and those above the last. */
  readonly buckets: number[];
  seconds: number;
}

/** Who pays, as monitoring may tell it: neither runs nor customers, of which there is no end. */
export type Payer = Pick<GovernanceAttributes, "team" | "project" | "environment">;

export interface PayerUsage {
  readonly payer: Payer;
  cost: bigint;
}

/** One UTC day, as far as this gateway has seen it. */
export interface DayAccount {
  /** Days since 1970. */
  readonly day: number;
  readonly total: Usage;
  readonly byTeam: ReadonlyMap<string, Usage>;
  readonly byProject: ReadonlyMap<string, Usage>;
  readonly byCustomer: ReadonlyMap<string, Usage>;
  readonly byOperation: ReadonlyMap<string, Usage>;
}

function nothing(): Usage {
  return { cost: 0n, operations: 0, errors: 0 };
}

function add(usage: Usage, cost: bigint, failed: boolean, counts: boolean): void {
  usage.cost += cost;
  if (failed) usage.errors++;
  else if (counts) usage.operations++;
}

class Breakdown {
  readonly usage = new Map<string, Usage>();

  of(name = UNATTRIBUTED): Usage {
    const known = this.usage.get(name);
    if (known !== undefined) return known;
    const kept = this.usage.size < NAMES_MAX ? name : OVERFLOW;
    const usage = this.usage.get(kept) ?? nothing();
    this.usage.set(kept, usage);
    return usage;
  }
}

class Day {
  readonly day: number;
  readonly total = nothing();
  readonly teams = new Breakdown();
  readonly projects = new Breakdown();
  readonly customers = new Breakdown();
  readonly operations = new Breakdown();

  constructor(day: number) {
    this.day = day;
  }

  book({ attributes, entry, cost, failed }: Settlement): void {
    const { team, project, customerId } = attributes;
    const counts = !failed && entry.counted;
    add(this.total, cost, failed, counts);
    add(this.teams.of(team), cost, failed, counts);
    add(this.projects.of(project), cost, failed, counts);
    add(this.customers.of(customerId), cost, failed, counts);
    add(this.operations.of(entry.name), cost, failed, counts);
  }
}

function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

export class Account implements SettlementObserver {
  readonly startedMs: number;
  readonly operations = new Map<string, OperationCounts>();
  readonly durations = new Map<string, Durations>();
  /** Requests that have ended, by the hundreds of their status; `none` without an answer. */
  readonly requests = new Map<string, number>();
  /** Bytes kept, by backend. */
  readonly storedBytes = new Map<string, bigint>();

  /** Is called after each change. */
  onChange: () => void = () => {};

  readonly #now: () => number;
  readonly #payers = new Map<string, PayerUsage>();
  #lastAttributes: GovernanceAttributes | undefined;
  #lastUsage: PayerUsage | undefined;
  #day: Day;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.startedMs = now();
    this.#day = new Day(dayOf(this.startedMs));
  }

  settled(settlement: Settlement): void {
    this.#turn();
    this.#day.book(settlement);
    this.#count(settlement);
    this.#pay(settlement.attributes, settlement.cost);
    this.onChange();
  }

  answered(status: number): void {
    const hundreds = status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : "none";
    this.requests.set(hundreds, (this.requests.get(hundreds) ?? 0) + 1);
  }

  /** The current UTC day. */
  get today(): DayAccount {
    this.#turn();
    const { day, total, teams, projects, customers, operations } = this.#day;
    return {
      day,
      total,
      byTeam: teams.usage,
      byProject: projects.usage,
      byCustomer: customers.usage,
      byOperation: operations.usage,
    };
  }

  get payers(): Iterable<PayerUsage> {
    return this.#payers.values();
  }

  /** A day that has ended is over; a clock that steps back goes on with the day that was reached. */
  #turn(): void {
    const day = dayOf(this.#now());
    if (day > this.#day.day) this.#day = new Day(day);
  }

  #count({ entry, failed, elapsedMs, storage }: Settlement): void {
    const counts = this.operations.get(entry.name) ?? { succeeded: 0, failed: 0 };
    this.operations.set(entry.name, counts);
    if (failed) counts.failed++;
    else counts.succeeded++;
    const seconds = elapsedMs / 1000;
    const durations = this.durations.get(entry.class) ?? {
      buckets: new Array<number>(DURATION_EDGES.length + 1).fill(0),
      seconds: 0,
    };
    this.durations.set(entry.class, durations);
    const at = DURATION_EDGES.findIndex((edge) => seconds <= edge);
    const bucket = at < 0 ? DURATION_EDGES.length : at;
    durations.buckets[bucket] = (durations.buckets[bucket] ?? 0) + 1;
    durations.seconds += seconds;
    if (storage === undefined || failed) return;
    const backend = storage.meter.startsWith(STORAGE)
      ? storage.meter.slice(STORAGE.length)
      : storage.meter;
    const before = this.storedBytes.get(backend) ?? 0n;
    this.storedBytes.set(backend, before + BigInt(storage.sizeBytes));
  }

  #pay(attributes: GovernanceAttributes, cost: bigint): void {
    // A run's attributes are one object for all of its calls.
    if (attributes !== this.#lastAttributes || this.#lastUsage === undefined) {
      this.#lastAttributes = attributes;
      this.#lastUsage = this.#usageOf(attributes);
    }
    this.#lastUsage.cost += cost;
  }

  #usageOf({ team, project, environment }: GovernanceAttributes): PayerUsage {
    const key = JSON.stringify([team, project, environment]);
    let usage = this.#payers.get(key);
    if (usage === undefined) {
      const isFull = this.#payers.size >= PAYERS_MAX;
      const payer = isFull
        ? { team: OVERFLOW, project: OVERFLOW, environment: OVERFLOW }
        : { team, project, environment };
      const kept = isFull ? OVERFLOW : key;
      usage = this.#payers.get(kept) ?? { payer, cost: 0n };
      this.#payers.set(kept, usage);
    }
    return usage;
  }
}
