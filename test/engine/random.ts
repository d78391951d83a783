// Chance that can be repeated: the same seed gives the same numbers.

export interface Random {
  /** From 0 to 2^32 - 1 (mulberry32). */
  next(): number;
  /** From 0 up to, without, the limit. */
  below(limit: number): number;
  pick<T>(list: readonly T[]): T;
  /** A copy in another order. */
  shuffle<T>(list: readonly T[]): T[];
}

export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return (bits ^ (bits >>> 14)) >>> 0;
  };
  const below = (limit: number) => next() % limit;
  return {
    next,
    below,
    pick: (list) => list[below(list.length)] as (typeof list)[number],
    shuffle(list) {
      const copy = [...list];
      for (let i = copy.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [copy[i], copy[j]] = [copy[j] as never, copy[i] as never];
      }
      return copy;
    },
  };
}

/** The seed that the environment asks for, or a new one; tests say it when they fail. */
export function seedOfToday(): number {
  return Number(process.env.GENOPS_TEST_SEED ?? Date.now() % 2 ** 31);
}
