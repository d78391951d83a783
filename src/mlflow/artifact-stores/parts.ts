// A file in several parts: how it is cut, several on their way at a time, and no part left behind.
import type { TransferOptions } from "./artifact-store.js";

/** Parts on their way at a time: with those of 8 MiB, some 24 MiB of memory. */
export const PARTS_AT_A_TIME = 3;

export interface Part {
  /** From 1. */
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** Parts of `partBytes` each, or of as much more as keeps their number within `mostParts`. */
export function partsOf(sizeBytes: number, partBytes: number, mostParts: number): Part[] {
  const length = Math.max(partBytes, Math.ceil(sizeBytes / mostParts));
  return Array.from({ length: Math.max(1, Math.ceil(sizeBytes / length)) }, (_, index) => ({
    number: index + 1,
    start: index * length,
    end: Math.min(sizeBytes, (index + 1) * length),
  }));
}

/**
 * Works on items in their order, several at a time. After the first failure nothing more is begun,
 * and what is under way is waited for: nobody works on behind the caller's back.
 */
export async function eachOf<T>(
  items: Iterable<T> | AsyncIterable<T>,
  atATime: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const underway = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      const done = work(item)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => underway.delete(done));
      underway.add(done);
      if (underway.size >= atATime) await Promise.race(underway);
      if (failure !== undefined) break;
    }
  } catch (error) {
    failure ??= { error };
  }
  await Promise.all(underway);
  if (failure !== undefined) throw failure.error;
}

/**
 * A part that is cancelled on its way may still arrive after the others were freed, and then stays
 * for ever. So those under way are waited for, this long at most.
 */
const GRACE_MS = 30_000;

/** How a part hears that another has failed, or that the caller has given up. */
export interface Ending {
  /** Begin nothing more, such as another attempt. */
  readonly stop: AbortSignal;
  /** End what is under way. */
  readonly cancel: AbortSignal;
}

export interface PartsUpload<Sent> {
  readonly path: string;
  readonly sizeBytes: number;
  readonly parts: readonly Part[];
  send(part: Part, ending: Ending): Promise<Sent>;
  /** Makes one file of the parts, in their order. */
  complete(sent: readonly Sent[]): Promise<void>;
  /** Frees the parts that were sent. */
  abort(): Promise<void>;
}

/** Sends all parts and completes them; on any failure frees what was sent, then rejects with it. */
export async function uploadParts<Sent>(
  { path, sizeBytes, parts, send, complete, abort }: PartsUpload<Sent>,
  { onProgress, signal }: TransferOptions,
): Promise<void> {
  const stop = new AbortController();
  const cancel = new AbortController();
  const ending: Ending = { stop: stop.signal, cancel: cancel.signal };
  let grace: ReturnType<typeof setTimeout> | undefined;
  stop.signal.addEventListener("abort", () => {
    grace = setTimeout(() => cancel.abort(stop.signal.reason), GRACE_MS);
  });
  const forward = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", forward, { once: true });
  let transferredBytes = 0;
  const sent: Sent[] = new Array(parts.length);
  try {
    signal?.throwIfAborted();
    await eachOf(parts, PARTS_AT_A_TIME, async (part) => {
      try {
        stop.signal.throwIfAborted();
        sent[part.number - 1] = await send(part, ending);
        transferredBytes += part.end - part.start;
        onProgress?.({ path, transferredBytes, totalBytes: sizeBytes });
      } catch (error) {
        stop.abort(error);
        throw error;
      }
    });
    signal?.throwIfAborted();
    await complete(sent);
  } catch (error) {
    // Its own failure says less than the one that led here.
    await abort().catch(() => undefined);
    signal?.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(grace);
    signal?.removeEventListener("abort", forward);
  }
}
