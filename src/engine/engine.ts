// The engine's binding: names become ids, statuses become typed errors, words become bigint.
import { EngineError, type EngineErrorCode } from "./errors.js";
import {
  DIMENSION_ID,
  HEADER,
  type NamedDimension,
  OPERATION_STRIDE,
  TRAIT_COUNTED,
  TRAIT_PRICED,
} from "./layout.js";
import {
  compile,
  type EngineExports,
  type EngineSource,
  embeddedModule,
  instantiate,
} from "./module.js";
import { attoToUsd, type Decimal } from "./money.js";
import {
  DEFAULT_METERS,
  type EnginePrices,
  type MeterRate,
  meterRate,
  operationPrice,
} from "./prices.js";
import { LedgerReader } from "./reader.js";
import type { Dimension, EngineSummary } from "./summary.js";

/** An operation of a host's own, beside MLflow's. */
export interface CustomOperation {
  /** Snake case, at most 256 characters, not in the table yet. */
  readonly name: string;
  /** One of the classes of the table, for example `tracking-write`. */
  readonly class: string;
  /** USD per call; unknown when left out. */
  readonly price?: Decimal;
  /** Does it change something, so that it counts as an operation? True unless given. */
  readonly counted?: boolean;
}

/** Capacities are maxima: memory is sized once, for all of them. */
export interface EngineOptions {
  /** Runs and scopes, 1 to 8,388,608; 65,536 unless given. 64 bytes each. */
  readonly runs?: number;
  /** Payer tuples, 16 to 1,048,576; 4,096 unless given. */
  readonly tuples?: number;
  /** Names over all dimensions, 64 to 8,388,608; twice the runs and 8,192 unless given. */
  readonly names?: number;
  /** Bytes of UTF-8 for all names, 1,024 to 2^30; 48 for each name unless given. */
  readonly nameBytes?: number;
  /** Reservations open at once, 1 to 1,048,575; 4,096 unless given. */
  readonly reservations?: number;
  readonly prices?: EnginePrices;
  readonly operations?: readonly CustomOperation[];
  /** Seed of the sampling decisions, a safe integer; 0 unless given. */
  readonly seed?: number;
  /** Share of operations whose telemetry is kept, 0 to 1; 1 unless given. */
  readonly samplingRate?: number;
  /** Path that the MLflow server adds before its own, for example `/mlflow`. */
  readonly staticPrefix?: string;
}

/** One operation of the engine's table. */
export interface EngineOperation {
  readonly id: number;
  readonly name: string;
  readonly class: string;
  /** USD per call as exact decimal text; null when unknown. */
  readonly price: string | null;
  /** Does it change something, so that it counts as an operation? */
  readonly counted: boolean;
}

/** Who pays. */
export interface Attribution {
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly customerId?: string | undefined;
  readonly environment?: string | undefined;
  readonly costCenter?: string | undefined;
  /** Name of a cost context. */
  readonly context?: string | undefined;
}

export interface RunOptions extends Attribution {
  readonly runId: string;
  /** May be a run that is not open yet. */
  readonly parentRunId?: string | undefined;
  readonly experiment?: string | undefined;
}

export interface ScopeOptions extends Attribution {
  /** Node above, by handle. */
  readonly parent?: number | undefined;
  readonly experiment?: string | undefined;
  readonly model?: string | undefined;
}

/** A call that must not run. */
export interface Refusal {
  readonly refused: true;
  readonly decision: "BLOCKED" | "RATE_LIMITED";
  /** GenOps reason code; ours begin with `x_`. */
  readonly reasonCode: string;
}

/** How a call ended. */
export type Outcome = "ok" | "error";

/** Bits that `record` and `settle` answer. */
export const FLAGS = {
  /** Keep the telemetry of this operation. */
  sampled: 1,
  /** A price is unknown; nothing was guessed. */
  unpriced: 2,
  /** Booked to an overflow bucket. */
  overflowed: 4,
  /** Counted as an error, which costs nothing. */
  error: 8,
  /** More was charged than reserved. */
  overrun: 16,
} as const;

const NO_ROOM: Refusal = Object.freeze({
  refused: true,
  decision: "BLOCKED",
  reasonCode: "x_reservations_full",
});

const NO_HANDLE: readonly [EngineErrorCode, string] = [
  "INVALID_HANDLE",
  "is no handle of this engine, or was given up; use what openRun, openScope or reserve answered",
];

const STATUS: Readonly<Record<number, readonly [EngineErrorCode, string]>> = {
  [-1]: NO_HANDLE,
  [-2]: ["UNKNOWN_OPERATION", "is not in the table; see engine.operations"],
  [-3]: ["UNKNOWN_METER", "is no meter; see engine.meters, or add it with engine.meter(name)"],
  [-4]: ["INVALID_QUANTITY", "is not a whole number from 0 to 2^53 - 1"],
  [-5]: ["AMOUNT_TOO_LARGE", "costs 2^96 atto-USD or more in one operation"],
  [-6]: ["TOTAL_OVERFLOW", "would push the total out of 128 bits"],
  [-7]: ["CAPACITY_EXCEEDED", "does not fit; raise the capacity at creation"],
  [-8]: ["ATTRIBUTION_IMMUTABLE", "is open with another attribution, which never changes"],
  [-9]: ["PARENT_CYCLE", "would be its own ancestor"],
  [-10]: [
    "CLOCK_JUMP",
    "is not a time: finite, after 1970, and at most 400 days ahead of the latest",
  ],
  [-11]: ["INVALID_NAME", "is longer than 4,096 bytes, or names something else"],
  [-12]: ["TICKET_SETTLED", "was settled or released before; nothing changed"],
  [-13]: ["INVALID_PRICE", "is out of range"],
  [-14]: ["PAYER_MISMATCH", "belongs to another payer than the reservation"],
  [-15]: ["INVALID_OPTION", "is out of range"],
  [-16]: NO_HANDLE,
};

const OPERATION_NAME = /^[a-z][a-z0-9_]{0,255}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

const encoder = new TextEncoder();
// A name may begin with a byte order mark; it belongs to the name.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function option(
  field: string,
  value: number | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new EngineError(
      "INVALID_OPTION",
      field,
      value,
      `${value} is not a whole number from ${least} to ${most}`,
    );
  }
  return value;
}

/** What is no number becomes one that the engine refuses, instead of what JavaScript would make of it. */
function numeric(value: number): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** Is this a number that the engine's 32-bit arguments hold as it is? */
function isWord(value: unknown): value is number {
  return typeof value === "number" && (value | 0) === value;
}

/**
 * An exact, bounded ledger of operations. Made by {@link createEngine} or {@link loadEngine}.
 *
 * Amounts are bigint atto-USD (1e-18 USD). Handles and tickets are plain numbers below 2^53.
 */
export class Engine {
  /** The table inside the module, and the operations added at creation. */
  readonly operations: readonly EngineOperation[];

  readonly #exports: EngineExports;
  readonly #reader: LedgerReader;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #header: number;
  readonly #window: number;
  readonly #windowBytes: number;
  /** Name → id, one map a dimension. */
  readonly #names = Array.from({ length: 11 }, () => new Map<string, number>());
  readonly #operationIds = new Map<string, number>();
  readonly #meterIds: Record<string, number> = Object.create(null);

  constructor(module: WebAssembly.Module, options: EngineOptions) {
    const runs = option("runs", options.runs, 65_536, 1, 0x800000);
    const tuples = option("tuples", options.tuples, 4096, 16, 0x100000);
    const names = option("names", options.names, Math.min(runs * 2 + 8192, 0x800000), 64, 0x800000);
    const nameBytes = option(
      "nameBytes",
      options.nameBytes,
      Math.min(names * 48, 2 ** 30),
      1024,
      2 ** 30,
    );
    const reservations = option("reservations", options.reservations, 4096, 1, 0xfffff);
    const seed = option("seed", options.seed, 0, 0, Number.MAX_SAFE_INTEGER);

    const exports = instantiate(module);
    const started = exports.init(
      runs,
      tuples,
      names,
      nameBytes,
      reservations + 1,
      seed | 0,
      Math.floor(seed / 2 ** 32),
    );
    if (started < 0) this.#refuse(started, "runs", runs);
    this.#exports = exports;
    this.#view = new DataView(exports.memory.buffer);
    this.#bytes = new Uint8Array(exports.memory.buffer);
    this.#header = exports.headerAddress();
    this.#window = exports.windowAddress();
    this.#windowBytes = exports.windowBytes();

    for (const [name, rate] of Object.entries(DEFAULT_METERS)) this.#setRate(name, rate);
    for (const custom of options.operations ?? []) this.#addOperation(custom);
    this.#indexOperations();
    this.#setPrices(options.prices ?? {});
    this.operations = Object.freeze(this.#readOperations());
    this.#reader = new LedgerReader(exports, this.operations);
    if (options.samplingRate !== undefined) this.setSamplingRate(options.samplingRate);
    const given = options.staticPrefix ?? "";
    if (typeof given !== "string") {
      throw new EngineError(
        "INVALID_OPTION",
        "staticPrefix",
        given,
        `${String(given)} is not text`,
      );
    }
    const prefix = given.replace(/^\/+|\/+$/g, "");
    if (prefix !== "") {
      const length = this.#write(`/${prefix}`, "staticPrefix");
      this.#check(exports.setStaticPrefix(length), "staticPrefix", given);
    }
  }

  // ── set-up ─────────────────────────────────────────────────────────────────────────────────────

  #addOperation(custom: CustomOperation): void {
    if (typeof custom.name !== "string" || !OPERATION_NAME.test(custom.name)) {
      throw new EngineError(
        "INVALID_OPTION",
        "operations.name",
        custom.name,
        `${JSON.stringify(custom.name)} is not 1 to 256 characters of snake case, for example "embed_text"`,
      );
    }
    const classes = this.#classes();
    const classId = classes.indexOf(custom.class);
    if (classId < 0) {
      throw new EngineError(
        "INVALID_OPTION",
        "operations.class",
        custom.class,
        `${JSON.stringify(custom.class)} is none of ${classes.join(", ")}`,
      );
    }
    this.#indexOperations();
    if (this.#operationIds.has(custom.name)) {
      throw new EngineError(
        "INVALID_OPTION",
        "operations.name",
        custom.name,
        `${JSON.stringify(custom.name)} is in the table already; set its price in prices.operations`,
      );
    }
    const counted = custom.counted === false ? 0 : 1;
    const length = this.#write(custom.name, "operations.name");
    const id = this.#exports.addOperation(length, classId, counted);
    this.#check(id, "operations.name", custom.name);
    if (custom.price !== undefined)
      this.#setOperationPrice(id, custom.price, `operations.${custom.name}`);
  }

  #setOperationPrice(id: number, price: Decimal, field: string): void {
    const atto = operationPrice(price, field);
    const word = (index: number) => Number((atto >> BigInt(32 * index)) & 0xffffffffn) | 0;
    this.#check(this.#exports.setOperationPrice(id, word(0), word(1), word(2)), field, price);
  }

  #setPrices(prices: EnginePrices): void {
    for (const [name, price] of Object.entries(prices.operations ?? {})) {
      const id = this.#operationIds.get(name);
      if (id === undefined) this.#refuse(-2, `prices.operations.${name}`, name);
      else this.#setOperationPrice(id, price, `prices.operations.${name}`);
    }
    for (const [name, rate] of Object.entries(prices.meters ?? {})) this.#setRate(name, rate);
  }

  #setRate(name: string, rate: Decimal | MeterRate): void {
    const field = `prices.meters.${name}`;
    const { numerator, denominator } = meterRate(rate, field);
    const word = (value: bigint, index: number) =>
      Number((value >> BigInt(32 * index)) & 0xffffffffn) | 0;
    const status = this.#exports.setMeterRate(
      this.meter(name),
      word(numerator, 0),
      word(numerator, 1),
      word(numerator, 2),
      word(denominator, 0),
      word(denominator, 1),
    );
    this.#check(status, field, rate);
  }

  #classes(): string[] {
    const start = this.#exports.classNames();
    return this.#text(start, this.#bytes.indexOf(0, start) - start).split(" ");
  }

  #text(address: number, length: number): string {
    return decoder.decode(this.#bytes.subarray(address, address + length));
  }

  #operationName(id: number): string {
    const at = this.#exports.operationAddress() + id * OPERATION_STRIDE;
    return this.#text(this.#view.getUint32(at + 24, true), this.#view.getUint32(at + 28, true));
  }

  #indexOperations(): void {
    const count = this.#view.getUint32(this.#header + HEADER.operations, true);
    for (let id = 0; id < count; id++) this.#operationIds.set(this.#operationName(id), id);
  }

  #readOperations(): EngineOperation[] {
    const classes = this.#classes();
    const count = this.#view.getUint32(this.#header + HEADER.operations, true);
    return Array.from({ length: count }, (_, id) => {
      const at = this.#exports.operationAddress() + id * OPERATION_STRIDE;
      const traits = this.#view.getUint32(at + 20, true);
      return Object.freeze({
        id,
        name: this.#operationName(id),
        class: classes[this.#view.getUint32(at + 16, true)] ?? "other",
        price: traits & TRAIT_PRICED ? attoToUsd(this.#amount(at)) : null,
        counted: (traits & TRAIT_COUNTED) !== 0,
      });
    });
  }

  // ── names ──────────────────────────────────────────────────────────────────────────────────────

  #write(text: string, field: string): number {
    const target = this.#bytes.subarray(this.#window, this.#window + this.#windowBytes);
    const { read, written } = encoder.encodeInto(text, target);
    if (read < text.length) this.#refuse(-11, field, text);
    return written;
  }

  #intern(dimension: NamedDimension, text: string | undefined, field: string = dimension): number {
    if (text === undefined || text === "") return 0;
    const id = DIMENSION_ID[dimension];
    const names = this.#names[id] as Map<string, number>;
    const known = names.get(text);
    if (known !== undefined) return known;
    if (typeof text !== "string") {
      throw new EngineError("INVALID_NAME", field, text, `${String(text)} is not text`);
    }
    const interned = this.#exports.intern(this.#write(text, field), id);
    if (interned < 0) this.#refuse(interned, field, text);
    // What does not fit (its id is its dimension's number) and the many spellings of one ill-formed
    // name would let this map grow without bound.
    if (interned > 10 && !LONE_SURROGATE.test(text)) names.set(text, interned);
    return interned;
  }

  // ── operations, meters, prices ─────────────────────────────────────────────────────────────────

  /** Name → id of what is priced by quantity. A copy; new meters come with {@link meter}. */
  get meters(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(this.#meterIds));
  }

  /**
   * Id of a meter, made without a price when it is new: its quantities are then reported as unpriced.
   * @throws {EngineError} `CAPACITY_EXCEEDED` above 255 meters.
   */
  meter(name: string): number {
    const known = this.#meterIds[name];
    if (known !== undefined) return known;
    const id = this.#exports.addMeter(this.#intern("meter", name));
    this.#check(id, "meter", name);
    this.#meterIds[name] = id;
    return id;
  }

  /** Id of the operation that a request is; -1 for what is no MLflow route. */
  classify(method: string, path: string): number {
    const bytes = this.#bytes;
    let at = this.#window;
    // What is longer is cut: its beginning says under which prefix it is, so it never goes unseen.
    const end = at + this.#windowBytes;
    // Shorter than an encodeInto call for the lengths that routes have. No method is as long as 16.
    for (let i = 0; i < method.length && i < 16; i++) {
      const code = method.charCodeAt(i);
      bytes[at++] = code < 128 ? code : 0x80;
    }
    bytes[at++] = 32;
    for (let i = 0; i < path.length && at < end; i++) {
      const code = path.charCodeAt(i);
      if (code === 0x3f || code === 0x23) break; // the query is no part of the route
      bytes[at++] = code < 128 ? code : 0x80;
    }
    return this.#exports.classify(this.#window, at - this.#window);
  }

  /** Id of an operation by name. @throws {EngineError} `UNKNOWN_OPERATION`. */
  operation(name: string): number {
    const id = this.#operationIds.get(name);
    if (id === undefined) this.#refuse(-2, "operation", name);
    return id as number;
  }

  /**
   * What an operation would cost, in atto-USD, booking nothing; undefined when a price is unknown.
   * @throws {EngineError} for unknown ids and impossible quantities.
   */
  price(operation: number | string, meter: number | string = 0, quantity = 0): bigint | undefined {
    const flags = this.#exports.price(
      this.#operationId(operation),
      this.#meterId(meter),
      numeric(quantity),
    );
    if (flags < 0) this.#refuse(flags, this.#fieldOf(flags), { operation, meter, quantity });
    return flags & FLAGS.unpriced ? undefined : this.#amount(this.#header + HEADER.lastCost);
  }

  #operationId(operation: number | string): number {
    if (typeof operation === "string") return this.operation(operation);
    if (!isWord(operation)) this.#refuse(-2, "operation", operation);
    return operation;
  }

  #meterId(meter: number | string): number {
    if (typeof meter === "string") return this.meter(meter);
    if (!isWord(meter)) this.#refuse(-3, "meter", meter);
    return meter;
  }

  // ── the clock and sampling ─────────────────────────────────────────────────────────────────────

  /** Moves the engine's only clock. @throws {EngineError} `CLOCK_JUMP`; the clock then stays. */
  tick(nowMs: number): void {
    const status = this.#exports.tick(numeric(nowMs));
    if (status < 0) this.#refuse(status, "nowMs", nowMs);
  }

  /** Keeps this share of operations, 0 to 1. @throws {EngineError} `INVALID_OPTION`. */
  setSamplingRate(rate: number): void {
    if (this.#exports.setSamplingRate(numeric(rate)) < 0) {
      throw new EngineError(
        "INVALID_OPTION",
        "samplingRate",
        rate,
        `${rate} is not a share from 0 to 1`,
      );
    }
  }

  // ── nodes ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * Opens a run, or answers the handle it has. Its attribution never changes.
   * @throws {EngineError} `ATTRIBUTION_IMMUTABLE`, `PARENT_CYCLE`, `INVALID_NAME`.
   */
  openRun(options: RunOptions): number {
    if (options.runId === "" || options.runId === undefined) {
      const shown = options.runId === "" ? '""' : "undefined";
      throw new EngineError(
        "INVALID_NAME",
        "runId",
        options.runId,
        `${shown} names no run; open a scope instead`,
      );
    }
    const handle = this.#exports.openRun(
      this.#intern("run", options.runId, "runId"),
      this.#intern("run", options.parentRunId, "parentRunId"),
      this.#intern("experiment", options.experiment),
      this.#intern("team", options.team),
      this.#intern("project", options.project),
      this.#intern("customer", options.customerId, "customerId"),
      this.#intern("environment", options.environment),
      this.#intern("costCenter", options.costCenter),
      this.#intern("context", options.context),
    );
    if (handle < 0) this.#refuse(handle, "runId", options.runId);
    return handle;
  }

  /** Opens a node for what has no run. @throws {EngineError} `INVALID_HANDLE`, `INVALID_NAME`. */
  openScope(options: ScopeOptions = {}): number {
    const handle = this.#exports.openScope(
      options.parent === undefined ? 0 : numeric(options.parent),
      this.#intern("experiment", options.experiment),
      this.#intern("model", options.model),
      this.#intern("team", options.team),
      this.#intern("project", options.project),
      this.#intern("customer", options.customerId, "customerId"),
      this.#intern("environment", options.environment),
      this.#intern("costCenter", options.costCenter),
      this.#intern("context", options.context),
    );
    if (handle < 0) this.#refuse(handle, "parent", options.parent);
    return handle;
  }

  /** Marks a run as finished. @throws {EngineError} `INVALID_HANDLE`. */
  finishRun(run: number): void {
    this.#check(this.#exports.finishRun(numeric(run)), "run", run);
  }

  // ── the ledger ─────────────────────────────────────────────────────────────────────────────────

  /**
   * Books one operation that succeeded, where nothing can block. `quantity` in the meter's unit;
   * `items` is what a batch carried: counted, not priced. Answers {@link FLAGS}.
   * @throws {EngineError} `INVALID_HANDLE`, `UNKNOWN_OPERATION`, `UNKNOWN_METER`, `INVALID_QUANTITY`,
   *   `AMOUNT_TOO_LARGE`, `TOTAL_OVERFLOW`; nothing is booked then.
   */
  record(
    node: number,
    operation: number | string,
    meter: number | string = 0,
    quantity = 0,
    items = 1,
  ): number {
    const operationId = isWord(operation) ? operation : this.#operationId(operation);
    const meterId = meter === 0 ? 0 : this.#meterId(meter);
    if (!isWord(items)) this.#refuse(-4, "items", items);
    const flags = this.#exports.record(
      numeric(node),
      operationId,
      meterId,
      numeric(quantity),
      items,
    );
    if (flags < 0) {
      const field = flags === -4 && items < 0 ? "items" : this.#fieldOf(flags);
      this.#refuse(flags, field, { node, operation, meter, quantity, items });
    }
    return flags;
  }

  /**
   * Holds the estimated price of a call that is about to run. Answers a ticket, or why it must not run.
   * @throws {EngineError} as {@link record}.
   */
  reserve(
    node: number,
    operation: number | string,
    meter: number | string = 0,
    quantity = 0,
  ): number | Refusal {
    const ticket = this.#exports.reserve(
      numeric(node),
      this.#operationId(operation),
      meter === 0 ? 0 : this.#meterId(meter),
      numeric(quantity),
    );
    if (ticket >= 0) return ticket;
    if (ticket === -7) return NO_ROOM;
    return this.#refuse(ticket, this.#fieldOf(ticket), { node, operation, meter, quantity });
  }

  /** Atto-USD that the last `reserve` held. */
  lastReserved(): bigint {
    return this.#amount(this.#header + HEADER.lastReserved);
  }

  /** Atto-USD that the last `record` or `settle` booked. */
  lastCost(): bigint {
    return this.#amount(this.#header + HEADER.lastCost);
  }

  /** Moves an open reservation to the node its call brought into being; the payer stays. */
  assign(ticket: number, node: number): void {
    const status = this.#exports.assign(numeric(ticket), numeric(node));
    if (status < 0)
      this.#refuse(status, status === -14 || status === -16 ? "node" : "ticket", { ticket, node });
  }

  /** Raises the hold while bytes of unknown length go by. Answers a refusal when it must be cut off. */
  extend(ticket: number, meter: number | string, quantity: number): Refusal | undefined {
    const status = this.#exports.extend(numeric(ticket), this.#meterId(meter), numeric(quantity));
    if (status < 0)
      this.#refuse(status, this.#fieldOf(status, "ticket"), { ticket, meter, quantity });
    return undefined;
  }

  /** Notes an actual quantity; several on one meter add up; six meters a ticket. */
  charge(ticket: number, meter: number | string, quantity: number): void {
    const status = this.#exports.charge(numeric(ticket), this.#meterId(meter), numeric(quantity));
    if (status < 0)
      this.#refuse(status, this.#fieldOf(status, "ticket"), { ticket, meter, quantity });
  }

  /**
   * Books what the call took: the charges, or as reserved when there are none. A failed call counts as
   * an error and costs nothing. Answers {@link FLAGS}.
   * @throws {EngineError} `TICKET_SETTLED` for a second time; nothing changes then.
   */
  settle(ticket: number, outcome: Outcome = "ok", latencyMs = -1, items = 1): number {
    if (!isWord(items)) this.#refuse(-4, "items", items);
    if (outcome !== "ok" && outcome !== "error") {
      throw new EngineError(
        "INVALID_OPTION",
        "outcome",
        outcome,
        `${String(outcome)} is neither "ok" nor "error"`,
      );
    }
    const failed = outcome === "error" ? 1 : 0;
    const flags = this.#exports.settle(numeric(ticket), failed, items, numeric(latencyMs));
    if (flags < 0) {
      // The quantities of a ticket were checked when they were charged; here only items can be wrong.
      const field = flags === -4 ? "items" : "ticket";
      this.#refuse(flags, field, { ticket, items });
    }
    return flags;
  }

  /** Ends a reservation whose call did not run. @throws {EngineError} `TICKET_SETTLED`. */
  release(ticket: number): void {
    this.#check(this.#exports.release(numeric(ticket)), "ticket", ticket);
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Exact atto-USD: of everything, or of one name in a dimension. A run's total holds its children's.
   * What has no value in a dimension is under `(unattributed)`. A name never seen costs 0.
   */
  total(dimension?: Dimension, name?: string): bigint {
    if (dimension === undefined) return this.#amount(this.#header);
    if (name === undefined) {
      throw new EngineError(
        "INVALID_NAME",
        "name",
        name,
        `give the ${dimension} whose total is wanted`,
      );
    }
    if (dimension === "operationType") return this.#reader.byOperation().get(name) ?? 0n;
    if (dimension === "meter") return this.#reader.byMeter().get(name) ?? 0n;
    if (!Object.hasOwn(DIMENSION_ID, dimension)) this.#refuse(-11, "dimension", dimension);
    const amounts =
      dimension === "run"
        ? this.#reader.inclusiveByRun()
        : this.#reader.byDimension(dimension, false);
    // Names are kept as UTF-8, which has no lone surrogates.
    const kept = LONE_SURROGATE.test(name) ? decoder.decode(encoder.encode(name)) : name;
    return amounts.get(kept) ?? 0n;
  }

  /** Atto-USD booked to the UTC day that the clock shows. */
  dayTotal(): bigint {
    return this.#reader.dayTotal();
  }

  /** Calls that succeeded and changed something. */
  operationCount(): number {
    return this.#reader.operationCount();
  }

  /** Every breakdown, exact. */
  summary(): EngineSummary {
    return this.#reader.summary();
  }

  #amount(at: number): bigint {
    return (this.#view.getBigInt64(at + 8, true) << 64n) | this.#view.getBigUint64(at, true);
  }

  // ── refusals ───────────────────────────────────────────────────────────────────────────────────

  #fieldOf(status: number, handle = "node"): string {
    if (status === -2) return "operation";
    if (status === -3) return "meter";
    return status === -4 || status === -5 || status === -6 ? "quantity" : handle;
  }

  #check(status: number, field: string, value: unknown): void {
    if (status < 0) this.#refuse(status, field, value);
  }

  #refuse(status: number, field: string, value: unknown): never {
    const [code, text] = STATUS[status] ?? ["INVALID_OPTION", `was refused with status ${status}`];
    const given =
      typeof value === "object" && value !== null && field in value
        ? (value as Record<string, unknown>)[field]
        : value;
    const shown = typeof given === "string" ? JSON.stringify(given) : String(given);
    throw new EngineError(code, field, given, `${shown} ${text}`);
  }
}

/**
 * Makes an engine synchronously from the module inside the package.
 * @throws {EngineError} `INVALID_OPTION`, `INVALID_PRICE`, `UNKNOWN_OPERATION`, naming the option.
 */
export function createEngine(options: EngineOptions = {}): Engine {
  return new Engine(embeddedModule(), options);
}

/**
 * Makes an engine where a runtime cannot compile synchronously, or from a module of the host's own.
 * `source` is a compiled module, a response, a URL or bytes; the package's own unless given.
 */
export async function loadEngine(
  options: EngineOptions = {},
  source?: EngineSource,
): Promise<Engine> {
  return new Engine(source === undefined ? embeddedModule() : await compile(source), options);
}
