// Packs what is logged into requests a server accepts.
// Source: limits in mlflow/utils/validation.py, order in mlflow/tracking/_tracking_service/client.py.
import type { KeyValueMessage, LogBatchRequest, MetricMessage } from "./spec.js";

/** Most params, and most tags, in one request. */
export const MAX_PARAMS_OR_TAGS_PER_BATCH = 100;
/** Most metrics in one request, and most metrics, params and tags together. */
export const MAX_ENTITIES_PER_BATCH = 1000;
/** Most bytes of one request. */
export const MAX_BYTES_PER_BATCH = 1_000_000;

export interface BatchContent {
  readonly metrics: readonly MetricMessage[];
  readonly params: readonly KeyValueMessage[];
  readonly tags: readonly KeyValueMessage[];
}

export const NO_CONTENT: BatchContent = { metrics: [], params: [], tags: [] };

export const BATCH_KINDS = ["params", "tags", "metrics"] as const;
export type BatchKind = (typeof BATCH_KINDS)[number];
export type BatchMessage = MetricMessage | KeyValueMessage;

/** Bytes of a request without entries: its brackets, names and the run's id. */
const EMPTY_BYTES = 2000;
/** Bytes that JSON adds to one field at most: the longest name, quotes, colon and comma. */
const FIELD_BYTES = 24;
/** Bytes of the longest number. */
const NUMBER_BYTES = 24;
/** A character takes at most this many bytes in JSON. */
const ESCAPED_BYTES = 6;
/** Longer texts are worth being measured. */
const SHORT_TEXT = 64;

const encoder = new TextEncoder();

/** At least the bytes that a message takes as JSON. */
function bytesOf(message: BatchMessage): number {
  let bytes = 0;
  for (const value of Object.values(message)) {
    bytes += FIELD_BYTES;
    if (typeof value !== "string") bytes += NUMBER_BYTES;
    else if (value.length <= SHORT_TEXT) bytes += ESCAPED_BYTES * value.length;
    else bytes += encoder.encode(JSON.stringify(value)).length;
  }
  return bytes;
}

/** One request that is being filled. */
export class Batch implements BatchContent {
  readonly metrics: MetricMessage[] = [];
  readonly params: KeyValueMessage[] = [];
  readonly tags: KeyValueMessage[] = [];
  #bytes = EMPTY_BYTES;
  readonly #paramOf = new Map<string, KeyValueMessage>();
  readonly #tagIndexOf = new Map<string, number>();

  /** Entries in it. */
  get size(): number {
    return this.metrics.length + this.params.length + this.tags.length;
  }

  get isFull(): boolean {
    return this.size >= MAX_ENTITIES_PER_BATCH;
  }

  /**
   * Adds a message, and answers the one that carries it: that of a param which is there with the same
   * value already, else itself. Undefined when it belongs in a later request: there is no room, or
   * this one has the param with another value, which the server shall judge by itself.
   */
  add(kind: BatchKind, message: BatchMessage): BatchMessage | undefined {
    const { key } = message;
    const bytes = bytesOf(message);
    if (kind === "params") {
      const known = this.#paramOf.get(key);
      if (known !== undefined) return known.value === message.value ? known : undefined;
    }
    const index = kind === "tags" ? this.#tagIndexOf.get(key) : undefined;
    if (index === undefined && !this.#hasRoom(kind)) return undefined;
    if (this.size > 0 && this.#bytes + bytes > MAX_BYTES_PER_BATCH) return undefined;
    this.#bytes += bytes;
    if (kind === "metrics") {
      this.metrics.push(message as MetricMessage);
      return message;
    }
    const entry = message as KeyValueMessage;
    if (kind === "params") {
      this.#paramOf.set(key, entry);
      this.params.push(entry);
    } else if (index === undefined) {
      this.#tagIndexOf.set(key, this.tags.length);
      this.tags.push(entry);
    } else {
      // The value that a tag is given last is the one it has.
      this.tags[index] = entry;
    }
    return message;
  }

  #hasRoom(kind: BatchKind): boolean {
    if (this.isFull) return false;
    return kind === "metrics" || this[kind].length < MAX_PARAMS_OR_TAGS_PER_BATCH;
  }
}

/** The request that carries `content`. */
export function batchRequest(runId: string, content: BatchContent): LogBatchRequest {
  const { metrics, params, tags } = content;
  return {
    run_id: runId,
    ...(metrics.length > 0 && { metrics }),
    ...(params.length > 0 && { params }),
    ...(tags.length > 0 && { tags }),
  };
}

/** The requests that carry `content`, in order; none when there is nothing to log. */
export function splitIntoBatches(runId: string, content: BatchContent): LogBatchRequest[] {
  const requests: LogBatchRequest[] = [];
  const next = { params: 0, tags: 0, metrics: 0 };
  while (BATCH_KINDS.some((kind) => next[kind] < content[kind].length)) {
    const batch = new Batch();
    for (const kind of BATCH_KINDS) {
      for (let message = content[kind][next[kind]]; message !== undefined; ) {
        if (batch.add(kind, message) === undefined) break;
        message = content[kind][++next[kind]];
      }
    }
    requests.push(batchRequest(runId, batch));
  }
  return requests;
}
