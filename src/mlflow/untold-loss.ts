// What a run has lost and nobody was told of: counts and names, so that it may wait long for somebody to ask.
import { BATCH_KINDS, type BatchContent, type BatchKind } from "./batches.js";
import type { LostWrites } from "./errors.js";

/** Names kept of what one run has lost; the counts are of all. */
const MAX_KEYS = 1000;

/** Sums up what is missing of one run. */
export function lostWrites(
  runId: string,
  storeUri: string,
  parts: readonly BatchContent[],
): LostWrites {
  const loss = new UntoldLoss();
  for (const part of parts) loss.add(part, undefined);
  return loss.writes(runId, storeUri);
}

export class UntoldLoss {
  /** Of the first that was lost. */
  cause: unknown;
  readonly #counts: Record<BatchKind, number> = { metrics: 0, params: 0, tags: 0 };
  readonly #keys = new Map<string, number>();

  get isEmpty(): boolean {
    return BATCH_KINDS.every((kind) => this.#counts[kind] === 0);
  }

  add(content: BatchContent, cause: unknown): void {
    if (this.isEmpty) this.cause = cause;
    for (const kind of BATCH_KINDS) {
      this.#counts[kind] += content[kind].length;
      for (const { key } of content[kind]) {
        const known = this.#keys.get(key);
        if (known !== undefined) this.#keys.set(key, known + 1);
        else if (this.#keys.size < MAX_KEYS) this.#keys.set(key, 1);
      }
    }
  }

  /** Somebody was told of one entry of it. */
  tell(kind: BatchKind, key: string): void {
    this.#counts[kind]--;
    const known = this.#keys.get(key);
    if (known === undefined) return;
    if (known > 1) this.#keys.set(key, known - 1);
    else this.#keys.delete(key);
  }

  writes(runId: string, storeUri: string): LostWrites {
    return { runId, storeUri, ...this.#counts, keys: [...this.#keys.keys()] };
  }
}
