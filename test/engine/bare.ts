// The compiled module without its binding: raw exports, and the memory they work on.
import base64 from "../../build/engine.wasm";
import type { EngineExports } from "../../src/engine/module.js";

export const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
export const module = new WebAssembly.Module(bytes);

// Byte offsets in the header, as in assembly/layout.ts.
export const LAST_COST = 184;
export const LAST_RESERVED = 200;

export interface Capacities {
  readonly runs?: number;
  readonly tuples?: number;
  readonly names?: number;
  readonly nameBytes?: number;
  readonly reservations?: number;
  readonly seed?: number;
}

export interface Bare {
  readonly exports: EngineExports;
  /** A copy of all memory. */
  image(): Uint8Array;
  memoryBytes(): number;
  /** Interns a name; dimension 1 is the run, 2 the experiment, 3 the team. */
  intern(text: string, dimension: number): number;
  /** An amount in the header. */
  amount(offset: number): bigint;
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
    seed = 0,
  } = capacities;
  const status = exports.init(runs, tuples, names, nameBytes, reservations, seed, 0);
  if (status !== 0) throw new Error(`init answered ${status}`);
  const encoder = new TextEncoder();
  return {
    exports,
    image: () => new Uint8Array(exports.memory.buffer.slice(0)),
    memoryBytes: () => exports.memory.buffer.byteLength,
    intern(text, dimension) {
      const name = encoder.encode(text);
      new Uint8Array(exports.memory.buffer).set(name, exports.windowAddress());
      return exports.intern(name.length, dimension);
    },
    amount(offset) {
      const view = new DataView(exports.memory.buffer);
      const at = exports.headerAddress() + offset;
      return (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true);
    },
  };
}
