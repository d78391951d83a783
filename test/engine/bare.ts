// The compiled module without its binding: raw exports, and the memory they work on.
import packaged from "../../build/engine-text.js";
import { type EngineExports, moduleBytes } from "../../src/engine/module.js";

export const bytes = moduleBytes(packaged as string);
export const module = new WebAssembly.Module(bytes);

// Byte offsets in the header, as in assembly/layout.ts.
export const LAST_COST = 592;
export const LAST_RESERVED = 608;
export const THRESHOLDS = 464;
export const RANDOM = 80;
const AMOUNT = 624;
const SECOND_AMOUNT = 640;
const WINDOW = 688 + 18 * 4;

export interface Capacities {
  readonly runs?: number;
  readonly tuples?: number;
  readonly names?: number;
  readonly nameBytes?: number;
  readonly reservations?: number;
  readonly budgets?: number;
  readonly positions?: number;
  readonly sourceBytes?: number;
  readonly seed?: number;
}

export interface Bare {
  readonly exports: EngineExports;
  readonly window: number;
  readonly header: number;
  /** A copy of all memory. */
  image(): Uint8Array;
  memoryBytes(): number;
  /** Writes text into the window; answers its length in bytes. */
  write(text: string, behind?: number): number;
  /** Interns a name; dimension 2 is the experiment, 3 the team. */
  intern(text: string, dimension: number): number;
  /** Opens a run of a parent, an experiment and a team. */
  openRun(run: string, parent?: string, experiment?: string, team?: string): number;
  /** Opens a scope of an experiment. */
  openScope(parent: number, experiment?: string): number;
  /** An amount in the header. */
  amount(offset: number): bigint;
  /** Gives the next call one amount or two. */
  give(first: bigint, second?: bigint): void;
}

/** A fresh instance, started with small capacities. */
export function bare(capacities: Capacities = {}): Bare {
  const { exports } = new WebAssembly.Instance(module, {}) as unknown as { exports: EngineExports };
  const {
    runs = 64,
    tuples = 16,
    names = 128,
    nameBytes = 4096,
    reservations = 16,
    budgets = 16,
    positions = 16,
    sourceBytes = 4096,
    seed = 0,
  } = capacities;
  const values = [
    runs,
    tuples,
    names,
    nameBytes,
    reservations,
    budgets,
    positions,
    sourceBytes,
    seed,
    0,
  ];
  new Uint32Array(exports.memory.buffer, exports.form(), 32).set(values);
  const status = exports.init();
  if (status !== 0) throw new Error(`init answered ${status}`);
  const header = exports.header();
  const view = new DataView(exports.memory.buffer);
  const form = new Uint32Array(exports.memory.buffer, exports.form(), 32);
  const window = view.getUint32(header + WINDOW, true);
  const encoder = new TextEncoder();
  const write = (text: string, behind = 0) => {
    const bytes = encoder.encode(text);
    new Uint8Array(exports.memory.buffer).set(bytes, window + behind);
    return bytes.length;
  };
  const intern = (text: string, dimension: number) =>
    text === "" ? 0 : exports.intern(write(text), dimension);
  return {
    exports,
    window,
    header,
    image: () => new Uint8Array(exports.memory.buffer.slice(0)),
    memoryBytes: () => exports.memory.buffer.byteLength,
    write,
    intern,
    openRun(run, parent = "", experiment = "", team = "") {
      const ids = [intern(experiment, 2), intern(team, 3)];
      form.fill(0);
      form.set(ids, 2);
      form[1] = write(run);
      form[12] = write(parent, form[1]);
      return exports.openRun();
    },
    openScope(parent, experiment = "") {
      const id = intern(experiment, 2);
      form.fill(0);
      form[2] = id;
      return exports.openScope(parent);
    },
    amount(offset) {
      const at = header + offset;
      return (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true);
    },
    give(first, second = 0n) {
      for (const [at, amount] of [
        [AMOUNT, first],
        [SECOND_AMOUNT, second],
      ] as const) {
        view.setBigUint64(header + at, BigInt.asUintN(64, amount), true);
        view.setBigUint64(header + at + 8, BigInt.asUintN(64, amount >> 64n), true);
      }
    },
  };
}
