// One instance of the module: its memory, what goes in and out of it, and what its statuses mean.
import { EngineError, type EngineErrorCode } from "./errors.js";
import {
  DIMENSION_ID,
  FORM,
  HEADER,
  type NamedDimension,
  STANDING_NAMES,
  TABLE,
} from "./layout.js";
import { type EngineExports, instantiate } from "./module.js";

/** What an engine is sized for; whole numbers. */
export interface Capacities {
  readonly runs: number;
  readonly tuples: number;
  readonly names: number;
  readonly nameBytes: number;
  readonly reservations: number;
  readonly budgets: number;
  readonly positions: number;
  readonly sourceBytes: number;
  readonly bufferBytes: number;
  readonly seed: number;
}

const NO_HANDLE: readonly [EngineErrorCode, string] = [
  "INVALID_HANDLE",
  "is no handle of this engine, or was given up; use what openRun, openScope, reserve, addBudget or grant answered",
];

const STATUS: Readonly<Record<number, readonly [EngineErrorCode, string]>> = {
  [-1]: NO_HANDLE,
  [-2]: ["UNKNOWN_OPERATION", "is not in the table; see engine.operations"],
  [-3]: [
    "UNKNOWN_METER",
    "is no meter, and a quantity needs one; see engine.meters, or add it with engine.meter(name)",
  ],
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
  [-12]: [
    "TICKET_SETTLED",
    "was settled or released before, or expired so long ago that its slot was needed; nothing changed",
  ],
  [-13]: ["INVALID_PRICE", "is out of range"],
  [-14]: ["PAYER_MISMATCH", "belongs to another payer than the reservation"],
  [-15]: ["INVALID_OPTION", "is out of range"],
  [-16]: NO_HANDLE,
  [-19]: NO_HANDLE,
  [-20]: ["SNAPSHOT_CORRUPT", "is no snapshot, not all of one, or contradicts itself"],
  [-21]: [
    "INCOMPATIBLE_SNAPSHOT",
    "is of an engine with other capacities, operations, source or epoch, or of another format",
  ],
  [-22]: [
    "UNNAMED_SOURCE",
    "is of an engine without a source of its own; give each engine another `source` at creation",
  ],
};

export const LONE_SURROGATE = /\p{Surrogate}/u;
export const encoder = new TextEncoder();
// A name may begin with a byte order mark; it belongs to the name.
export const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What is no number becomes one that the engine refuses, instead of what JavaScript would make of it. */
export function numeric(value: number): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** Is this a number that the engine's 32-bit arguments hold as it is? */
export function isWord(value: unknown): value is number {
  return typeof value === "number" && (value | 0) === value;
}

/** Throws what a status below zero means. */
export function refuse(status: number, field: string, value: unknown): never {
  const [code, text] = STATUS[status] ?? ["INVALID_OPTION", `was refused with status ${status}`];
  const given =
    typeof value === "object" && value !== null && field in value
      ? (value as Record<string, unknown>)[field]
      : value;
  const shown = typeof given === "string" ? JSON.stringify(given) : String(given);
  throw new EngineError(code, field, given, `${shown} ${text}`);
}

/** One instance, its memory sized. */
export class Instance {
  readonly exports: EngineExports;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly header: number;
  /** Ids and options of calls that take many. */
  readonly form: Uint32Array;
  readonly window: number;
  readonly windowBytes = 65_536;
  /** Where requests lie that are looked at as they came. */
  readonly buffer: Uint8Array;
  readonly bufferAddress: number;
  readonly bufferBytes: number;
  readonly capacities: Capacities;
  /** Name → id, one map a dimension; runs are not kept, as their ids are given to others. */
  readonly #names = Array.from({ length: STANDING_NAMES }, () => new Map<string, number>());

  constructor(module: WebAssembly.Module, capacities: Capacities) {
    this.exports = instantiate(module);
    this.capacities = capacities;
    const { runs, tuples, names, nameBytes, reservations, budgets, positions } = capacities;
    const { sourceBytes, bufferBytes, seed } = capacities;
    const formAt = this.exports.form();
    new Uint32Array(this.exports.memory.buffer, formAt, 32).set([
      runs,
      tuples,
      names,
      nameBytes,
      reservations,
      budgets,
      positions,
      sourceBytes,
      seed % 2 ** 32,
      Math.floor(seed / 2 ** 32),
      bufferBytes,
    ]);
    const started = this.exports.init();
    if (started < 0) refuse(started, "runs", runs);
    // Memory has its size now and for ever, so the views stay good.
    this.view = new DataView(this.exports.memory.buffer);
    this.bytes = new Uint8Array(this.exports.memory.buffer);
    this.form = new Uint32Array(this.exports.memory.buffer, formAt, 32);
    this.header = this.exports.header();
    this.window = this.address("window");
    this.bufferAddress = this.address("buffer");
    this.bufferBytes = bufferBytes;
    this.buffer = this.bytes.subarray(this.bufferAddress, this.bufferAddress + bufferBytes);
  }

  /** Address of bytes in the buffer. @throws {EngineError} `INVALID_OPTION` when they are not all in it. */
  place(start: number, length: number): number {
    const most = this.bufferBytes;
    if (
      (start | 0) === start &&
      (length | 0) === length &&
      start >= 0 &&
      length >= 0 &&
      start + length <= most
    ) {
      return this.bufferAddress + start;
    }
    const field = Number.isInteger(start) && start >= 0 && start <= most ? "length" : "start";
    const given = field === "start" ? start : length;
    throw new EngineError(
      "INVALID_OPTION",
      field,
      given,
      `${String(given)} leads out of the buffer of ${most} bytes; raise bufferBytes at creation`,
    );
  }

  /** Address of one of the tables. */
  address(table: keyof typeof TABLE): number {
    return this.view.getUint32(this.header + HEADER.addresses + TABLE[table] * 4, true);
  }

  /** A word of the header. */
  word(offset: number): number {
    return this.view.getUint32(this.header + offset, true);
  }

  /** A counter of the header. */
  counter(offset: number): number {
    return Number(this.view.getBigUint64(this.header + offset, true));
  }

  /** The amount at an address. */
  amount(at: number): bigint {
    const low = this.view.getBigUint64(at, true);
    // Below 18 USD, as nearly always, one word says it all.
    if ((this.view.getUint32(at + 8, true) | this.view.getUint32(at + 12, true)) === 0) return low;
    return (this.view.getBigInt64(at + 8, true) << 64n) | low;
  }

  /** Gives the next call an amount, and a second one. */
  setAmount(first: bigint, second = 0n): void {
    for (const [offset, amount] of [
      [HEADER.amount, first],
      [HEADER.secondAmount, second],
    ] as const) {
      this.view.setBigUint64(this.header + offset, amount & 0xffff_ffff_ffff_ffffn, true);
      this.view.setBigUint64(this.header + offset + 8, amount >> 64n, true);
    }
  }

  text(address: number, length: number): string {
    return decoder.decode(this.bytes.subarray(address, address + length));
  }

  /** Writes text into the window, behind what is there. Answers its length in bytes. */
  write(text: string, field: string, behind = 0): number {
    const start = this.window + behind;
    const target = this.bytes.subarray(start, this.window + this.windowBytes);
    const { read, written } = encoder.encodeInto(text, target);
    if (read < text.length) refuse(-11, field, text);
    return written;
  }

  /** Id of a name; 0 for none. @throws {EngineError} `INVALID_NAME`. */
  intern(dimension: NamedDimension, text: string | undefined, field: string = dimension): number {
    if (text === undefined || text === "") return 0;
    const id = DIMENSION_ID[dimension];
    const names = this.#names[id] as Map<string, number>;
    const known = names.get(text);
    if (known !== undefined) return known;
    if (typeof text !== "string") {
      throw new EngineError("INVALID_NAME", field, text, `${String(text)} is not text`);
    }
    const interned = this.exports.intern(this.write(text, field), id);
    if (interned < 0) refuse(interned, field, text);
    // What does not fit and the many spellings of one ill-formed name would let this map grow without bound.
    if (interned > STANDING_NAMES && !LONE_SURROGATE.test(text)) names.set(text, interned);
    return interned;
  }

  /** Id of a name that is kept for ever. @throws {EngineError} `INVALID_NAME`, `CAPACITY_EXCEEDED`. */
  pin(dimension: NamedDimension, text: string, field: string): number {
    if (typeof text !== "string" || text === "") {
      throw new EngineError("INVALID_NAME", field, text, `${JSON.stringify(text)} is no name`);
    }
    const id = this.exports.pin(this.write(text, field), DIMENSION_ID[dimension]);
    if (id <= 0) refuse(id, field, text);
    return id;
  }

  /** Forgets ids, for when memory came from elsewhere. */
  forgetNames(): void {
    for (const names of this.#names) names.clear();
  }

  /** Writes the names of a run into window and form, for `openRun`. */
  writeRun(runId: string, parentRunId: string | undefined): void {
    const length = this.write(runId, "runId");
    this.form[FORM.parentLength] =
      parentRunId === undefined ? 0 : this.write(parentRunId, "parentRunId", length);
    this.form[FORM.runLength] = length;
  }
}
