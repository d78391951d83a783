// One request of asynchronous logging: filled while it waits, sent, and what became of it.
import { currentRuntime } from "../runtime/capabilities.js";
import { BATCH_KINDS, Batch, type BatchContent, batchRequest, NO_CONTENT } from "./batches.js";
import { MlflowError } from "./errors.js";
import * as spec from "./spec.js";
import { callStore, type Store } from "./stores.js";
import type { UntoldLoss } from "./untold-loss.js";

/** Why a request, or some params of it, did not reach the store. */
export interface Loss {
  readonly cause: unknown;
  /** Undefined: everything in it. */
  readonly params: ReadonlySet<object> | undefined;
}

/** One request: it is filled, waits, and is sent. */
export class Outgoing {
  readonly batch = new Batch();
  loss: Loss | undefined;
  /** What is lost of it and nobody was told of; empty while it waits. */
  readonly #untold = new Set<object>();
  #counted: UntoldLoss | undefined;
  readonly settled: Promise<void>;
  settle: () => void = () => {};
  /** Whoever opened the request is who makes it: its context goes along. */
  readonly inContext: <R>(callback: () => R) => R;

  constructor(readonly store: Store) {
    this.settled = new Promise((resolve) => {
      this.settle = resolve;
    });
    this.inContext = currentRuntime().captureContext?.() ?? ((callback) => callback());
  }

  /** What of `content`, which it carried, is lost. */
  lostOf(content: BatchContent): BatchContent {
    const { loss } = this;
    if (loss === undefined) return NO_CONTENT;
    if (loss.params === undefined) return content;
    return { ...NO_CONTENT, params: content.params.filter((param) => loss.params?.has(param)) };
  }

  /** Adds what is lost of it to what a run has lost. */
  count(loss: UntoldLoss): void {
    const lost = this.lostOf(this.batch);
    for (const kind of BATCH_KINDS) for (const entry of lost[kind]) this.#untold.add(entry);
    loss.add(lost, this.loss?.cause);
    this.#counted = loss;
  }

  /** Somebody is told of what is lost of it: it is told once. */
  tell(lost: BatchContent): void {
    for (const kind of BATCH_KINDS) {
      for (const entry of lost[kind]) {
        if (this.#untold.delete(entry)) this.#counted?.tell(kind, entry.key);
      }
    }
  }
}

export function isEmpty(content: BatchContent): boolean {
  return BATCH_KINDS.every((kind) => content[kind].length === 0);
}

/** Sends one request and answers what did not get through. */
export async function send(
  { store, batch, inContext }: Outgoing,
  runId: string,
): Promise<Loss | undefined> {
  const write = (content: BatchContent) =>
    inContext(() => callStore(store, spec.logBatch, batchRequest(runId, content)));
  try {
    await write(batch);
    return undefined;
  } catch (cause) {
    const refused = await inContext(() => changedParams(store, runId, batch, cause));
    if (refused.size === 0) return { cause, params: undefined };
    // A server refuses a param of another value together with all that came along.
    const rest = { ...batchOf(batch), params: batch.params.filter((param) => !refused.has(param)) };
    if (isEmpty(rest)) return { cause, params: refused };
    try {
      await write(rest);
      return { cause, params: refused };
    } catch (error) {
      return { cause: error, params: undefined };
    }
  }
}

function batchOf({ metrics, params, tags }: Batch): BatchContent {
  return { metrics, params, tags };
}

/** The params of a refused request that the run has with other values. */
async function changedParams(
  store: Store,
  runId: string,
  { params }: Batch,
  cause: unknown,
): Promise<ReadonlySet<object>> {
  const isRefusal = cause instanceof MlflowError && cause.code === "INVALID_PARAMETER_VALUE";
  if (!isRefusal || params.length === 0) return new Set();
  try {
    const { run } = await callStore(store, spec.getRun, { run_id: runId });
    const stored = new Map(run?.data?.params?.map(({ key, value = "" }) => [key, value]));
    return new Set(params.filter(({ key, value }) => (stored.get(key) ?? value) !== value));
  } catch {
    return new Set();
  }
}
