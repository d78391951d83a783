// The engine's binding: names become ids, statuses become typed errors, words become bigint.
import {
  type BudgetAlert,
  BudgetBook,
  type BudgetOptions,
  type BudgetPosition,
  type RateLimitOptions,
  type Refusal,
} from "./budgets.js";
import { EngineError } from "./errors.js";
import {
  type Capacities,
  decoder,
  encoder,
  Instance,
  isWord,
  LONE_SURROGATE,
  numeric,
  refuse,
} from "./instance.js";
import {
  DIMENSION_ID,
  FORM,
  HEADER,
  METER_BYTES,
  OPERATION_STRIDE,
  TRAIT_COUNTED,
  TRAIT_PRICED,
  TRAIT_RUN,
} from "./layout.js";
import {
  type CompiledModule,
  compile,
  type EngineExports,
  type EngineSource,
  embeddedModule,
} from "./module.js";
import { attoToUsd, type Decimal } from "./money.js";
import { checkOptionNames } from "./option-names.js";
import {
  type CustomOperation,
  checkEngineOptions,
  type EngineOptions,
  option,
  readCapacities,
} from "./options.js";
import {
  DEFAULT_METERS,
  type EnginePrices,
  type MeterRate,
  meterRate,
  operationPrice,
} from "./prices.js";
import { LedgerReader } from "./reader.js";
import { Sampling, type SamplingDecision } from "./sampling.js";
import { SnapshotPort } from "./snapshots.js";
import type { AmountCursor, Dimension, EngineSummary, RolledUp, RunTotal } from "./summary.js";

/** One operation of the engine's table. */
export interface EngineOperation {
  readonly id: number;
  readonly name: string;
  readonly class: string;
  /** USD per call at creation as exact decimal text; null when unknown. */
  readonly price: string | null;
  /** Does it change something, so that it counts as an operation? */
  readonly counted: boolean;
  /** Does it start a run? */
  readonly startsRun: boolean;
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

/** Bytes in the {@link Engine.buffer}. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

/** What the body of a request says about where it belongs, and how much it carries. */
export interface ScannedBody {
  /** Handle of its run, when that is open. */
  readonly run: number | undefined;
  readonly runId: Span | undefined;
  readonly experimentId: Span | undefined;
  /** Everything that it logs; 1 when it has no lists. */
  readonly items: number;
  readonly metrics: number;
  readonly params: number;
  readonly tags: number;
}

type Names = Omit<ScopeOptions, "parent">;

/** All names of a node, each read once and each text. @throws {EngineError} `INVALID_NAME`. */
function attributionOf(options: Names): Names {
  const { experiment, model, team, project, customerId, environment, costCenter, context } =
    options;
  const names = { experiment, model, team, project, customerId, environment, costCenter, context };
  for (const [field, name] of Object.entries(names)) {
    if (name === undefined || typeof name === "string") continue;
    throw new EngineError("INVALID_NAME", field, name, `${String(name)} is not text`);
  }
  return names;
}

/** How a call ended. */
export type Outcome = "ok" | "error";
/** How a run ended. */
export type RunStatus = "FINISHED" | "FAILED" | "KILLED";

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
  /** A budget is above its limit, or a rate limit had no call left; neither blocks. */
  warned: 32,
  /** A budget came to one of its alerts; see {@link Engine.takeAlerts}. */
  alert: 64,
  /** The reservation had expired; it was booked all the same. */
  late: 128,
} as const;

/** Those flags that keep an operation's telemetry whatever its class's rate is. */
const ALWAYS_KEPT = FLAGS.error | FLAGS.overrun | FLAGS.warned | FLAGS.late;

const NO_ROOM: Refusal = Object.freeze({
  refused: true,
  decision: "BLOCKED",
  reasonCode: "x_reservations_full",
});

/** No meter has this id, so the engine says that it lacks one once all else is right. */
const NO_METER = 0x7fff_ffff;
const RUN_OPTIONS: readonly (keyof RunOptions)[] = [
  "runId",
  "parentRunId",
  "experiment",
  "team",
  "project",
  "customerId",
  "environment",
  "costCenter",
  "context",
];
const SCOPE_OPTIONS: readonly (keyof ScopeOptions)[] = [
  "parent",
  "experiment",
  "model",
  "team",
  "project",
  "customerId",
  "environment",
  "costCenter",
  "context",
];
const HOW_FINISHED: Readonly<Record<RunStatus, number>> = { FINISHED: 0, FAILED: 32, KILLED: 64 };
const OPERATION_NAME = /^[a-z][a-z0-9_]{0,255}$/;
/** Meters that count bytes, by name. */
const BYTE_METER = /^(storage\..+|egress(\..+)?)$/;
/** Runs that are handed out and folded together when room is needed. */
const FOLD_TOGETHER = 64;

/**
 * An exact, bounded ledger of operations. Made by {@link createEngine} or {@link loadEngine}.
 *
 * Amounts are bigint atto-USD (1e-18 USD). Handles and tickets are plain numbers below 2^53.
 */
export class Engine {
  /** The table inside the module, and the operations added at creation. */
  readonly operations: readonly EngineOperation[];

  readonly #module: WebAssembly.Module;
  readonly #options: EngineOptions;
  readonly #capacities: Capacities;
  #instance!: Instance;
  #bufferAddress = 0;
  #bufferBytes = 0;
  #exports!: EngineExports;
  #reader!: LedgerReader;
  #budgets!: BudgetBook;
  #sampling!: Sampling;
  #snapshots!: SnapshotPort;
  #poison: EngineError | undefined;
  #priceVersion = 0;
  readonly #operationIds = new Map<string, number>();
  #meterIds: Record<string, number> = Object.create(null);

  constructor(module: CompiledModule, options: EngineOptions) {
    checkEngineOptions(options);
    this.#module = module as WebAssembly.Module;
    this.#options = options;
    this.#capacities = readCapacities(options);
    const source =
      options.source === undefined
        ? 0
        : option("source", options.source, 0, 1, Number.MAX_SAFE_INTEGER);
    const epoch = option("epoch", options.epoch, 0, 0, 0xffffffff);
    this.#start();
    this.#exports.setSource(source, epoch);
    for (const [name, rate] of Object.entries(DEFAULT_METERS)) this.#setRate(name, rate);
    for (const custom of options.operations ?? []) this.#addOperation(custom);
    this.#indexOperations();
    this.setPrices(options.prices ?? {});
    this.operations = Object.freeze(this.#readOperations());
    this.#reader.use(this.operations);
    if (options.samplingRate !== undefined) this.setSamplingRate(options.samplingRate);
    for (const [name, rate] of Object.entries(options.samplingRates ?? {})) {
      this.#sampling.set(rate, name);
    }
    const ttl = option("reservationTtlMs", options.reservationTtlMs, 3_600_000, 1, 2 ** 52);
    this.#exports.setTimeToLive(ttl);
    this.#setPrefix(options.staticPrefix ?? "");
  }

  // ── set-up ─────────────────────────────────────────────────────────────────────────────────────

  #start(): void {
    this.#instance = new Instance(this.#module, this.#capacities);
    this.#exports = this.#instance.exports;
    this.#bufferAddress = this.#instance.bufferAddress;
    this.#bufferBytes = this.#instance.bufferBytes;
    this.#reader = new LedgerReader(this.#instance);
    this.#budgets = new BudgetBook(this.#instance);
    this.#sampling = new Sampling(this.#instance);
    this.#snapshots = new SnapshotPort(this.#instance);
  }

  #setPrefix(given: string): void {
    if (typeof given !== "string") {
      throw new EngineError(
        "INVALID_OPTION",
        "staticPrefix",
        given,
        `${String(given)} is not text`,
      );
    }
    const prefix = given.replace(/^\/+|\/+$/g, "");
    if (prefix === "") return;
    const length = this.#instance.write(`/${prefix}`, "staticPrefix");
    const status = this.#exports.setStaticPrefix(length);
    if (status < 0) refuse(status, "staticPrefix", given);
  }

  #addOperation(custom: CustomOperation): void {
    if (typeof custom.name !== "string" || !OPERATION_NAME.test(custom.name)) {
      throw new EngineError(
        "INVALID_OPTION",
        "operations.name",
        custom.name,
        `${JSON.stringify(custom.name)} is not 1 to 256 characters of snake case, for example "embed_text"`,
      );
    }
    const { classes } = this.#sampling;
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
    const price =
      custom.price === undefined
        ? undefined
        : operationPrice(custom.price, `operations.${custom.name}`);
    const length = this.#instance.write(custom.name, "operations.name");
    const traits =
      (custom.counted === false ? 0 : TRAIT_COUNTED) | (custom.startsRun === true ? TRAIT_RUN : 0);
    const id = this.#exports.addOperation(length, classId, traits);
    if (id < 0) refuse(id, "operations.name", custom.name);
    if (price === undefined) return;
    this.#instance.setAmount(price);
    this.#exports.setOperationPrice(id);
  }

  #setRate(name: string, rate: Decimal | MeterRate): void {
    const field = `prices.meters.${name}`;
    const { numerator, denominator } = meterRate(rate, field);
    const id = this.meter(name);
    this.#instance.setAmount(numerator, denominator);
    const status = this.#exports.setMeterRate(id);
    if (status < 0) refuse(status, field, rate);
  }

  #operationName(id: number): string {
    const { view } = this.#instance;
    const at = this.#instance.address("operations") + id * OPERATION_STRIDE;
    return this.#instance.text(view.getUint32(at + 24, true), view.getUint32(at + 28, true));
  }

  #indexOperations(): void {
    const count = this.#instance.word(HEADER.operations);
    for (let id = 0; id < count; id++) this.#operationIds.set(this.#operationName(id), id);
  }

  #readOperations(): EngineOperation[] {
    const { view } = this.#instance;
    const { classes } = this.#sampling;
    return Array.from({ length: this.#instance.word(HEADER.operations) }, (_, id) => {
      const at = this.#instance.address("operations") + id * OPERATION_STRIDE;
      const traits = view.getUint32(at + 20, true);
      return Object.freeze({
        id,
        name: this.#operationName(id),
        class: classes[view.getUint32(at + 16, true)] ?? "other",
        price: traits & TRAIT_PRICED ? attoToUsd(this.#instance.amount(at)) : null,
        counted: (traits & TRAIT_COUNTED) !== 0,
        startsRun: (traits & TRAIT_RUN) !== 0,
      });
    });
  }

  // ── operations, meters, prices ─────────────────────────────────────────────────────────────────

  /** Name → id of what is priced by quantity. A copy; new meters come with {@link meter}. */
  get meters(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(this.#meterIds));
  }

  /**
   * Id of a meter, made without a price when it is new: its quantities are then reported as unpriced.
   * Meters named `storage.…`, `egress` or `egress.…` count bytes.
   * @throws {EngineError} `CAPACITY_EXCEEDED` above 255 meters.
   */
  meter(name: string): number {
    const known = this.#meterIds[name];
    if (known !== undefined) return known;
    const interned = this.#instance.intern("meter", name);
    const id = this.#exports.addMeter(interned, BYTE_METER.test(name) ? METER_BYTES : 0);
    if (id < 0) refuse(id, "meter", name);
    this.#meterIds[name] = id;
    return id;
  }

  /** Id of the operation that a request is; -1 for what is no MLflow route. */
  classify(method: string, path: string): number {
    const { bytes, window } = this.#instance;
    let at = window;
    // What is longer is cut: its beginning says under which prefix it is, so it never goes unseen.
    const end = at + this.#instance.windowBytes;
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
    return this.#guard(() => this.#exports.classify(window, at - window));
  }

  /** Id of an operation by name. @throws {EngineError} `UNKNOWN_OPERATION`. */
  operation(name: string): number {
    const id = this.#operationIds.get(name);
    if (id === undefined) refuse(-2, "operation", name);
    return id as number;
  }

  /**
   * What an operation would cost, in atto-USD, booking nothing; undefined when a price is unknown.
   * @throws {EngineError} for unknown ids and impossible quantities.
   */
  price(operation: number | string, meter: number | string = 0, quantity = 0): bigint | undefined {
    const operationId = this.#operationId(operation);
    const meterId = this.#meterId(meter);
    const flags = this.#guard(() => this.#exports.price(operationId, meterId, numeric(quantity)));
    if (flags === -3 && meterId === NO_METER && typeof meter === "string") return undefined;
    if (flags < 0) refuse(flags, this.#fieldOf(flags), { operation, meter, quantity });
    if (flags & FLAGS.unpriced) return undefined;
    return this.#instance.amount(this.#instance.header + HEADER.lastCost);
  }

  /** How often prices have been set: what was worked out under the same number holds. */
  get priceVersion(): number {
    return this.#priceVersion;
  }

  /**
   * Sets prices from now on; what is left out keeps its own. Reservations keep the prices that they were
   * made under until they are settled. Everything is checked before anything changes.
   * @throws {EngineError} `INVALID_PRICE`, `UNKNOWN_OPERATION`; `CAPACITY_EXCEEDED` when more than 256
   *   old prices would have to be kept for reservations.
   */
  setPrices(prices: EnginePrices): void {
    checkOptionNames("prices", prices, ["operations", "meters"]);
    const operations = Object.entries(prices.operations ?? {}).map(([name, price]) => {
      const field = `prices.operations.${name}`;
      const id = this.#operationIds.get(name);
      if (id === undefined) refuse(-2, field, name);
      return [id as number, operationPrice(price, field)] as const;
    });
    const meters = Object.entries(prices.meters ?? {});
    for (const [name, rate] of meters) meterRate(rate, `prices.meters.${name}`);
    for (const [name] of meters) this.meter(name);
    const changes = operations.length + meters.length;
    if (changes === 0) return;
    const begun = this.#guard(() => this.#exports.beginPrices(changes));
    if (begun < 0) refuse(begun, "prices", changes);
    this.#priceVersion++;
    for (const [id, price] of operations) {
      this.#instance.setAmount(price);
      this.#exports.setOperationPrice(id);
    }
    for (const [name, rate] of meters) this.#setRate(name, rate);
  }

  #operationId(operation: number | string): number {
    if (typeof operation === "string") return this.operation(operation);
    if (!isWord(operation)) refuse(-2, "operation", operation);
    return operation;
  }

  /** Id of a meter; of a name that is none yet, an id that no meter has. */
  #meterId(meter: number | string): number {
    if (typeof meter === "string") return this.#meterIds[meter] ?? NO_METER;
    if (!isWord(meter)) refuse(-3, "meter", meter);
    return meter;
  }

  /** Makes the meter that a call lacked, when nothing else was wrong with it. Answers whether it did. */
  #madeMeter(status: number, meterId: number, meter: number | string): boolean {
    if (status !== -3 || meterId !== NO_METER || typeof meter !== "string") return false;
    this.meter(meter);
    return true;
  }

  // ── the clock and sampling ─────────────────────────────────────────────────────────────────────

  /** Moves the engine's only clock. @throws {EngineError} `CLOCK_JUMP`; the clock then stays. */
  tick(nowMs: number): void {
    let status: number;
    try {
      status = this.#exports.tick(numeric(nowMs));
    } catch (error) {
      this.#trapped(error);
    }
    if (status < 0) refuse(status, "nowMs", nowMs);
  }

  /** Keeps this share of operations, 0 to 1, of one class or of all. @throws {EngineError} `INVALID_OPTION`. */
  setSamplingRate(rate: number, operationClass?: string): void {
    this.#sampling.set(rate, operationClass);
  }

  /** Rate, threshold and weight that an operation's telemetry is kept with. */
  sampling(operation: number | string): SamplingDecision {
    const id = this.#operationId(operation);
    const found = this.operations[id];
    if (found === undefined) refuse(-2, "operation", operation);
    return this.#sampling.of((found as EngineOperation).class);
  }

  /** How many operations a kept one stands for: `flags` are what `record` or `settle` answered. */
  sampleWeight(operation: number | string, flags: number): number {
    return flags & ALWAYS_KEPT ? 1 : this.sampling(operation).weight;
  }

  // ── nodes ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * Opens a run, or answers the handle it has. Its attribution never changes. When there is no room the run
   * that was finished for longest is folded; see {@link drain}.
   * @throws {EngineError} `ATTRIBUTION_IMMUTABLE`, `PARENT_CYCLE`, `INVALID_NAME`.
   */
  openRun(options: RunOptions): number {
    checkOptionNames("openRun", options, RUN_OPTIONS);
    const { runId, parentRunId } = options;
    if (typeof runId !== "string" || runId === "") {
      const shown = runId === "" ? '""' : String(runId);
      throw new EngineError(
        "INVALID_NAME",
        "runId",
        runId,
        `${shown} names no run; open a scope instead`,
      );
    }
    if (parentRunId !== undefined && typeof parentRunId !== "string") {
      throw new EngineError(
        "INVALID_NAME",
        "parentRunId",
        parentRunId,
        `${String(parentRunId)} is not text`,
      );
    }
    const attribution = attributionOf(options);
    this.#makeRoom();
    this.#writeAttribution(attribution);
    this.#instance.writeRun(runId, parentRunId || undefined);
    const handle = this.#guard(() => this.#exports.openRun());
    if (handle < 0) {
      const long = handle === -11 && (parentRunId?.length ?? 0) > runId.length;
      refuse(handle, long ? "parentRunId" : "runId", long ? parentRunId : runId);
    }
    return handle;
  }

  /** Opens a node for what has no run. @throws {EngineError} `INVALID_HANDLE`, `INVALID_NAME`. */
  openScope(options: ScopeOptions = {}): number {
    checkOptionNames("openScope", options, SCOPE_OPTIONS);
    const attribution = attributionOf(options);
    const parent = options.parent === undefined ? 0 : numeric(options.parent);
    // Asked for first, as a name that was written down for a call that is refused would stay.
    const known = parent === 0 ? 0 : this.#guard(() => this.#exports.record(parent, -1, 0, 0, 0));
    if (known === -1) refuse(known, "parent", options.parent);
    this.#makeRoom();
    this.#writeAttribution(attribution);
    const handle = this.#guard(() => this.#exports.openScope(parent));
    if (handle < 0) refuse(handle, "parent", options.parent);
    return handle;
  }

  #writeAttribution(options: Names): void {
    const instance = this.#instance;
    const { form } = instance;
    form[DIMENSION_ID.experiment] = instance.intern("experiment", options.experiment);
    form[DIMENSION_ID.team] = instance.intern("team", options.team);
    form[DIMENSION_ID.project] = instance.intern("project", options.project);
    form[DIMENSION_ID.customer] = instance.intern("customer", options.customerId, "customerId");
    form[DIMENSION_ID.environment] = instance.intern("environment", options.environment);
    form[DIMENSION_ID.costCenter] = instance.intern("costCenter", options.costCenter);
    form[DIMENSION_ID.context] = instance.intern("context", options.context);
    form[DIMENSION_ID.model] = instance.intern("model", options.model);
    form[FORM.runLength] = 0;
  }

  /** Handle of the run with this id; undefined when it is not open. */
  findRun(runId: string): number | undefined {
    const length = this.#instance.write(runId, "runId");
    const handle = this.#guard(() => this.#exports.findRun(this.#instance.window, length));
    return handle > 0 ? handle : undefined;
  }

  // ── requests as bytes ──────────────────────────────────────────────────────────────────────────

  /** Where a host writes requests that are looked at as they came; `bufferBytes` long. */
  get buffer(): Uint8Array {
    return this.#instance.buffer;
  }

  /** {@link classify} for the bytes "METHOD /path" in the {@link buffer}; a query is passed over. */
  classifyBytes(start: number, length: number): number {
    // Spelled out, as a gateway asks this of every request: what is amiss is for `place` to tell.
    const isIn =
      start >>> 0 === start && length >>> 0 === length && start + length <= this.#bufferBytes;
    if (!isIn) this.#instance.place(start, length);
    try {
      return this.#exports.classify(this.#bufferAddress + start, length);
    } catch (error) {
      return this.#trapped(error);
    }
  }

  /** {@link findRun} for the bytes of a run id in the {@link buffer}. */
  findRunBytes(start: number, length: number): number | undefined {
    const address = this.#instance.place(start, length);
    const handle = this.#guard(() => this.#exports.findRun(address, length));
    return handle > 0 ? handle : undefined;
  }

  /**
   * Finds in a JSON body in the {@link buffer} whose run it logs to and how much; undefined for what is no
   * object. It does not validate. Escaped texts are replaced in the buffer, so send the host's own bytes on.
   */
  scanBody(start: number, length: number): ScannedBody | undefined {
    const address = this.#instance.place(start, length);
    const items = this.#guard(() => this.#exports.scan(address, length));
    if (items < 0) return undefined;
    const { form, bufferAddress } = this.#instance;
    const text = (word: number) => {
      const [at, size] = [form[word] as number, form[word + 1] as number];
      return size === 0 ? undefined : { start: at - bufferAddress, length: size };
    };
    const scanned = {
      items,
      metrics: form[6] as number,
      params: form[7] as number,
      tags: form[8] as number,
      runId: text(0),
      experimentId: text(4),
    };
    const run = scanned.runId && this.findRunBytes(scanned.runId.start, scanned.runId.length);
    return { ...scanned, run };
  }

  /**
   * Marks a run (or a scope) as finished: once nothing needs it any more it can be folded. It can still be
   * booked on until then. @throws {EngineError} `INVALID_HANDLE`.
   */
  finishRun(run: number, status: RunStatus = "FINISHED"): void {
    const how = HOW_FINISHED[status];
    if (!Object.hasOwn(HOW_FINISHED, status)) {
      throw new EngineError(
        "INVALID_OPTION",
        "status",
        status,
        `${String(status)} is none of FINISHED, FAILED, KILLED`,
      );
    }
    const answer = this.#guard(() => this.#exports.finishRun(numeric(run), how));
    if (answer < 0) refuse(answer, "run", run);
  }

  /**
   * Hands out up to `max` finished runs, those finished for longest first, and folds them: their cost stays
   * in every total and moves to the run above them, their handles and names are given up.
   */
  drain(max = Number.POSITIVE_INFINITY): RunTotal[] {
    if (!(max >= 0)) {
      throw new EngineError(
        "INVALID_OPTION",
        "max",
        max,
        `${String(max)} is not a number from 0 on`,
      );
    }
    const runs: RunTotal[] = [];
    while (runs.length < max) {
      const slot = this.#guard(() => this.#exports.oldestFinished());
      if (slot === 0) break;
      const run = this.#reader.runOfSlot(slot);
      if (run !== undefined) runs.push(run);
      this.#guard(() => this.#exports.fold());
    }
    return runs;
  }

  /** Folds some finished runs when there is little room, so that a listener is told of them first. */
  #makeRoom(): void {
    if (this.#options.onFolded === undefined || !this.#reader.isFull()) return;
    const runs = this.drain(FOLD_TOGETHER);
    if (runs.length > 0) this.#options.onFolded(runs);
  }

  // ── the ledger ─────────────────────────────────────────────────────────────────────────────────

  /**
   * Books one operation that succeeded, where nothing can block. `quantity` in the meter's unit;
   * `items` is what a batch carried: counted, not priced. Answers {@link FLAGS}.
   * @throws {EngineError} `INVALID_HANDLE`, `UNKNOWN_OPERATION`, `UNKNOWN_METER`, `INVALID_QUANTITY`,
   *   `AMOUNT_TOO_LARGE`, `TOTAL_OVERFLOW`; nothing is booked then. A quantity needs a meter; a name that is none yet
   *   becomes one.
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
    if (!isWord(items)) refuse(-4, "items", items);
    let flags: number;
    try {
      flags = this.#exports.record(numeric(node), operationId, meterId, numeric(quantity), items);
    } catch (error) {
      this.#trapped(error);
    }
    if (flags < 0) {
      if (this.#madeMeter(flags, meterId, meter)) {
        return this.record(node, operation, meter, quantity, items);
      }
      const field = flags === -4 && items < 0 ? "items" : this.#fieldOf(flags);
      refuse(flags, field, { node, operation, meter, quantity, items });
    }
    return flags;
  }

  /**
   * {@link record} of a call that took `latencyMs` (below zero when that is not known), on no meter.
   * @throws {EngineError} as {@link record}.
   */
  recordTimed(node: number, operation: number, latencyMs: number, items = 1): number {
    if (!isWord(operation)) refuse(-2, "operation", operation);
    if (!isWord(items)) refuse(-4, "items", items);
    let flags: number;
    try {
      flags = this.#exports.recordTimed(numeric(node), operation, 0, 0, items, numeric(latencyMs));
    } catch (error) {
      this.#trapped(error);
    }
    if (flags < 0)
      refuse(flags, flags === -4 ? "items" : this.#fieldOf(flags), { node, operation, items });
    return flags;
  }

  /**
   * Holds the estimated price of a call that is about to run, on every budget that applies or on none.
   * Answers a ticket, or why the call must not run. @throws {EngineError} as {@link record}.
   */
  reserve(
    node: number,
    operation: number | string,
    meter: number | string = 0,
    quantity = 0,
  ): number | Refusal {
    const operationId = this.#operationId(operation);
    const meterId = meter === 0 ? 0 : this.#meterId(meter);
    let ticket: number;
    try {
      ticket = this.#exports.reserve(numeric(node), operationId, meterId, numeric(quantity));
    } catch (error) {
      this.#trapped(error);
    }
    if (ticket >= 0) return ticket;
    if (this.#madeMeter(ticket, meterId, meter)) {
      return this.reserve(node, operation, meter, quantity);
    }
    if (ticket === -7) return NO_ROOM;
    if (ticket === -17 || ticket === -18) return this.#budgets.refusal(ticket);
    return refuse(ticket, this.#fieldOf(ticket), { node, operation, meter, quantity });
  }

  /** Handle of the budget or rate limit that let the last `reserve` pass with a warning; undefined when none did. */
  lastWarned(): number | undefined {
    const slot = this.#instance.word(HEADER.decided);
    return slot === 0 ? undefined : this.#exports.budgetHandle(slot);
  }

  /** Atto-USD that the last `reserve` held. */
  lastReserved(): bigint {
    return this.#instance.amount(this.#instance.header + HEADER.lastReserved);
  }

  /** Atto-USD that the last `record` or `settle` booked. */
  lastCost(): bigint {
    return this.#instance.amount(this.#instance.header + HEADER.lastCost);
  }

  /** Moves an open reservation to the node its call brought into being; the payer stays. */
  assign(ticket: number, node: number): void {
    const status = this.#guard(() => this.#exports.assign(numeric(ticket), numeric(node)));
    if (status < 0)
      refuse(status, status === -14 || status === -16 ? "node" : "ticket", { ticket, node });
  }

  /**
   * Raises the hold by a quantity while bytes of unknown length go by. Answers a refusal when the call
   * must be cut off; the hold then stays as it was.
   */
  extend(ticket: number, meter: number | string, quantity: number): Refusal | undefined {
    const meterId = this.#meterId(meter);
    const status = this.#guard(() =>
      this.#exports.extend(numeric(ticket), meterId, numeric(quantity)),
    );
    if (this.#madeMeter(status, meterId, meter)) return this.extend(ticket, meter, quantity);
    if (status === -17 || status === -18) return this.#budgets.refusal(status);
    if (status < 0) refuse(status, this.#fieldOf(status, "ticket"), { ticket, meter, quantity });
    return undefined;
  }

  /** Notes an actual quantity; several on one meter add up; six meters a ticket. */
  charge(ticket: number, meter: number | string, quantity: number): void {
    const meterId = this.#meterId(meter);
    const status = this.#guard(() =>
      this.#exports.charge(numeric(ticket), meterId, numeric(quantity)),
    );
    if (this.#madeMeter(status, meterId, meter)) this.charge(ticket, meter, quantity);
    else if (status < 0)
      refuse(status, this.#fieldOf(status, "ticket"), { ticket, meter, quantity });
  }

  /**
   * Books what the call took: the charges, or as reserved when there are none. A failed call counts as
   * an error and costs nothing. Answers {@link FLAGS}.
   * @throws {EngineError} `TICKET_SETTLED` for a second time; nothing changes then.
   */
  settle(ticket: number, outcome: Outcome = "ok", latencyMs = -1, items = 1): number {
    if (!isWord(items)) refuse(-4, "items", items);
    if (outcome !== "ok" && outcome !== "error") {
      throw new EngineError(
        "INVALID_OPTION",
        "outcome",
        outcome,
        `${String(outcome)} is neither "ok" nor "error"`,
      );
    }
    const failed = outcome === "error" ? 1 : 0;
    let flags: number;
    try {
      flags = this.#exports.settle(numeric(ticket), failed, items, numeric(latencyMs));
    } catch (error) {
      this.#trapped(error);
    }
    if (flags < 0) {
      // The quantities of a ticket were checked when they were charged; here only items can be wrong.
      const field = flags === -4 ? "items" : "ticket";
      refuse(flags, field, { ticket, items });
    }
    return flags;
  }

  /** Ends a reservation whose call did not run. @throws {EngineError} `TICKET_SETTLED`. */
  release(ticket: number): void {
    const status = this.#guard(() => this.#exports.release(numeric(ticket)));
    if (status < 0) refuse(status, "ticket", ticket);
  }

  // ── budgets ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Adds a limit on all that its scope names, for runs that are open already too. Answers its handle. Reservations that
   * were made before hold nothing on it; what they come to is counted when they are settled.
   * @throws {EngineError} `INVALID_OPTION`, `INVALID_PRICE`, `CAPACITY_EXCEEDED`.
   */
  addBudget(options: BudgetOptions): number {
    return this.#guard(() => this.#budgets.add(options));
  }

  /** Adds a limit on how many calls that change something may come in a time (a token bucket). Answers its handle. */
  addRateLimit(options: RateLimitOptions): number {
    return this.#guard(() => this.#budgets.addRate(options));
  }

  /** Removes a budget or a rate limit. @throws {EngineError} `INVALID_HANDLE`. */
  removeBudget(budget: number): void {
    this.#guard(() => this.#budgets.remove(budget));
  }

  /** Sets a limit; alerts follow it, and those that were fired stay fired. */
  setLimit(budget: number, limit: Decimal | bigint): void {
    this.#guard(() => this.#budgets.setLimit(budget, limit));
  }

  /** Handles of all budgets and rate limits. */
  budgets(): number[] {
    return this.#guard(() => this.#budgets.handles());
  }

  /** Where a budget stands; of one run, for a budget of runs. @throws {EngineError} `INVALID_HANDLE`. */
  budget(budget: number, run?: number): BudgetPosition {
    return this.#guard(() => this.#budgets.position(budget, run));
  }

  /**
   * Handles of the budgets and rate limits that an open node counts on; budgets of runs are among them only when they have
   * no room for another run. Undefined when there are so many that they are worked out at each call.
   */
  budgetsOf(node: number): number[] | undefined {
    return this.#guard(() => this.#budgets.ofNode(node));
  }

  /**
   * The alerts that were fired and not taken yet, each once. An alert is kept as long as what it speaks of:
   * for this period and the next, for a run until it is folded. What nobody took is counted as missed.
   */
  takeAlerts(): BudgetAlert[] {
    return this.#guard(() => this.#budgets.takeAlerts());
  }

  /**
   * Holds a slice of a budget for another thread or process: all of `amount`, or what a budget that blocks
   * has left. @throws {EngineError} `INVALID_HANDLE`, `INVALID_OPTION`, `CAPACITY_EXCEEDED`.
   */
  grant(
    budget: number,
    amount: Decimal | bigint,
  ): { readonly lease: number; readonly amount: bigint } | Refusal {
    return this.#guard(() => this.#budgets.grant(budget, amount));
  }

  /** Notes that the holder of a lease spent atto-USD, or whole units; more than granted is an overrun. */
  spend(lease: number, amount: bigint): number {
    return this.#guard(() => this.#budgets.spend(lease, amount));
  }

  /** Ends a lease; what was not spent is free again. */
  giveBack(lease: number): void {
    this.#guard(() => this.#budgets.giveBack(lease));
  }

  // ── snapshots ──────────────────────────────────────────────────────────────────────────────────

  /** Everything the engine knows, as bytes; the format is described in assembly/snapshot.ts. */
  snapshot(): Uint8Array {
    return this.#guard(() => this.#snapshots.take());
  }

  /**
   * Brings everything back, open reservations and budgets too. The engine must have the capacities and
   * operations of the one that was snapshot. It also revives an engine that was poisoned.
   * @throws {EngineError} `SNAPSHOT_CORRUPT`, `INCOMPATIBLE_SNAPSHOT`; nothing has changed then.
   */
  restore(bytes: Uint8Array): void {
    if (this.#poison !== undefined) {
      const fresh = new Engine(this.#module, this.#options);
      fresh.restore(bytes);
      this.#instance = fresh.#instance;
      this.#exports = fresh.#exports;
      this.#reader = fresh.#reader;
      this.#budgets = fresh.#budgets;
      this.#sampling = fresh.#sampling;
      this.#snapshots = fresh.#snapshots;
      this.#meterIds = fresh.#meterIds;
      this.#priceVersion++;
      this.#poison = undefined;
      return;
    }
    this.#guard(() => this.#snapshots.restore(bytes));
    this.#instance.forgetNames();
    this.#priceVersion++;
    this.#meterIds = Object.assign(Object.create(null), this.#reader.meterIds());
  }

  /**
   * Takes the ledgers of another engine's snapshot in (its budgets and reservations stay there). Of each
   * source and epoch the newest is kept, so the order does not matter and repeats change nothing.
   * @throws {EngineError} `SNAPSHOT_CORRUPT`, `INCOMPATIBLE_SNAPSHOT`, `UNNAMED_SOURCE`,
   *   `CAPACITY_EXCEEDED`; nothing has changed then.
   */
  merge(bytes: Uint8Array): void {
    this.#guard(() => this.#snapshots.merge(bytes));
  }

  /** Did a fault of the engine itself stop it? Then only {@link restore} works. */
  get poisoned(): boolean {
    return this.#poison !== undefined;
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Exact atto-USD: of everything, or of one name in a dimension. A run's total holds its children's.
   * What has no value in a dimension is under `(unattributed)`. A name never seen costs 0.
   */
  total(dimension?: Dimension, name?: string): bigint {
    if (dimension === undefined) return this.#guard(() => this.#reader.total());
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
    if (!Object.hasOwn(DIMENSION_ID, dimension)) refuse(-11, "dimension", dimension);
    const amounts = this.#guard(() => this.#reader.byDimension(dimension, dimension === "run"));
    // Names are kept as UTF-8, which has no lone surrogates.
    const kept = LONE_SURROGATE.test(name) ? decoder.decode(encoder.encode(name)) : name;
    return amounts.get(kept) ?? 0n;
  }

  /**
   * Rolls up a dimension and answers a cursor over it, runs with their children when `inclusive`. It is good
   * until the engine is used again. @throws {EngineError} `INVALID_NAME` for what is no dimension.
   */
  rollUp(dimension: RolledUp, inclusive = false): AmountCursor {
    const known =
      Object.hasOwn(DIMENSION_ID, dimension) && DIMENSION_ID[dimension] <= DIMENSION_ID.model;
    if (!known) refuse(-11, "dimension", dimension);
    return this.#guard(() => this.#reader.rollUp(dimension, inclusive));
  }

  /** What the clock shows, in ms since 1970: the last time that was told to `tick` and not refused. */
  get nowMs(): number {
    return this.#instance.view.getFloat64(this.#instance.header + HEADER.now, true);
  }

  /** The latest time that the clock has shown. Budgets are in the periods that it belongs to. */
  get latestMs(): number {
    return this.#instance.view.getFloat64(this.#instance.header + HEADER.latest, true);
  }

  /** Atto-USD booked to the UTC day that the clock shows. */
  dayTotal(): bigint {
    return this.#guard(() => this.#reader.dayTotal());
  }

  /** Calls that succeeded and changed something. */
  operationCount(): number {
    return this.#guard(() => this.#reader.operationCount());
  }

  /** Every breakdown, exact. */
  summary(): EngineSummary {
    return this.#guard(() => this.#reader.summary());
  }

  /** Bytes of memory: fixed at creation. */
  get memoryBytes(): number {
    return this.#instance.exports.memory.buffer.byteLength;
  }

  // ── refusals ───────────────────────────────────────────────────────────────────────────────────

  #fieldOf(status: number, handle = "node"): string {
    if (status === -2) return "operation";
    if (status === -3) return "meter";
    return status === -4 || status === -5 || status === -6 ? "quantity" : handle;
  }

  /** Runs a call into the module, and stops the engine for good when it traps. */
  #guard<T>(call: () => T): T {
    if (this.#poison !== undefined) throw this.#poison;
    try {
      return call();
    } catch (error) {
      return this.#trapped(error);
    }
  }

  #trapped(error: unknown): never {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    this.#poison = new EngineError(
      "ENGINE_POISONED",
      "engine",
      error.message,
      "a fault of the engine stopped it; restore it from its last snapshot, and please report this",
    );
    this.#poison.cause = error;
    // Whatever is called from now on says so.
    const poison = this.#poison;
    this.#exports = new Proxy(this.#exports, {
      get() {
        throw poison;
      },
    });
    throw poison;
  }
}

/**
 * Makes an engine synchronously from the module inside the package.
 * @throws {EngineError} `INVALID_OPTION`, `INVALID_PRICE`, `UNKNOWN_OPERATION`, naming the option;
 *   `INCOMPATIBLE_RUNTIME` where WebAssembly may not be compiled.
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
