// A million changed snapshots each way: never a trap, and what is refused has changed nothing.
import { describe, expect, it } from "vitest";
import { type Bare, bare } from "./bare.js";
import { type Random, random, seedOfToday } from "./random.js";
import { makeRich, mutated, rowsOf, SMALL, sealed } from "./rich.js";

const COUNT = Number(process.env.GENOPS_TEST_FUZZ_INPUTS ?? 1_000_000);
/** One in so many has a checksum that fits, so that what lies behind it is asked too. */
const SEALED = 100;
/** The state is looked at after so many. */
const LOOK = 20_000;
const CORRUPT = -20;

type Way = "verify" | "merge";

/** Gives bytes to the module as a host would, in chunks of the window. Answers its status. */
function give({ exports, window }: Bare, memory: Uint8Array, bytes: Uint8Array, way: Way): number {
  if (way === "merge") exports.mergeBegin();
  else exports.restoreBegin();
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, at + 65_536);
    memory.set(piece, window);
    const taken =
      way === "merge" ? exports.mergeChunk(piece.length) : exports.restoreChunk(piece.length, 0);
    if (taken < 0) return taken;
    if (taken === 0) return CORRUPT;
    at += taken;
  }
  return way === "merge" ? exports.mergeEnd() : exports.restoreEnd(0);
}

/** The state of an instance, as its own snapshot says. */
function stateOf({ exports, window }: Bare, memory: Uint8Array): Buffer {
  const pieces: Uint8Array[] = [];
  exports.snapshotBegin();
  for (let size = exports.snapshotChunk(); size > 0; size = exports.snapshotChunk()) {
    pieces.push(memory.slice(window, window + size));
  }
  return Buffer.concat(pieces);
}

/** Changes a few bytes of `copy`, or how much of it is given; `undo` takes it back. */
function change(copy: Uint8Array, chance: Random): { bytes: Uint8Array; undo(): void } {
  const before: [number, number][] = [];
  const set = (at: number, value: number) => {
    before.push([at, copy[at] as number]);
    copy[at] = value;
  };
  const times = 1 + chance.below(4);
  for (let i = 0; i < times; i++) {
    const at = chance.below(copy.length);
    const how = chance.below(5);
    if (how === 0) set(at, (copy[at] as number) ^ (1 << chance.below(8)));
    else if (how === 1) set(at, chance.below(256));
    else if (how === 2) set(at, [0, 1, 0x7f, 0x80, 0xff][chance.below(5)] as number);
    else {
      // A word from elsewhere: lengths, indexes and handles that are right, but not here.
      const from = chance.below(copy.length >> 2) << 2;
      const to = chance.below(copy.length >> 2) << 2;
      for (let byte = 0; byte < 4; byte++) set(to + byte, copy[from + byte] as number);
    }
  }
  const length = chance.below(20) === 0 ? chance.below(copy.length) : copy.length;
  return {
    bytes: length === copy.length ? copy : copy.subarray(0, length),
    undo: () => {
      for (const [at, value] of before.reverse()) copy[at] = value;
    },
  };
}

function instance(): Bare {
  return bare({ ...(SMALL as Required<typeof SMALL>) });
}

describe.each(["verify", "merge"] as const)("a million changed snapshots: %s", (way) => {
  it("neither trap nor change anything when they are refused", () => {
    const seed = seedOfToday();
    const hint = `GENOPS_TEST_SEED=${seed}`;
    const chance = random(seed + (way === "merge" ? 1 : 0));
    const original = makeRich(2).snapshot();
    const rows = rowsOf(original);
    const copy = original.slice();
    const target = instance();
    const memory = new Uint8Array(target.exports.memory.buffer);
    let state = stateOf(target, memory);
    const looked = (what: string) => {
      if (!stateOf(target, memory).equals(state)) throw new Error(`${hint}: ${what} changed it`);
    };
    let refused = 0;
    for (let i = 0; i < COUNT; i++) {
      let status: number;
      if (i % SEALED === 0) {
        status = give(target, memory, sealed(mutated(rows, chance)), way);
        if (status < 0) looked(`input ${i}`);
      } else {
        const { bytes, undo } = change(copy, chance);
        status = give(target, memory, bytes, way);
        undo();
      }
      // What contradicts nothing is taken in by a merge.
      if (status >= 0 && way === "merge") state = stateOf(target, memory);
      if (status < 0) refused++;
      if (i % LOOK === 0) looked(`an input before ${i}`);
    }
    looked("an input");
    expect(refused, hint).toBeGreaterThan(COUNT * 0.9);
  });
});
