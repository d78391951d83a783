// How long each type of operation has been going on, so that its calls can be told per second.

/** First start and last end by operation, in ms since 1970; two stores a call. */
export class CallSpans {
  readonly #first: Float64Array;
  readonly #last: Float64Array;

  /** @param operations Rows of the engine's table. */
  constructor(operations: number) {
    this.#first = new Float64Array(operations).fill(Number.POSITIVE_INFINITY);
    this.#last = new Float64Array(operations).fill(Number.NEGATIVE_INFINITY);
  }

  note(operationId: number, startMs: number, endMs: number): void {
    if (startMs < (this.#first[operationId] as number)) this.#first[operationId] = startMs;
    if (endMs > (this.#last[operationId] as number)) this.#last[operationId] = endMs;
  }

  /** Milliseconds from the first start to the last end; undefined when there was no call. */
  spanMs(operationId: number): number | undefined {
    const span = (this.#last[operationId] as number) - (this.#first[operationId] as number);
    return span >= 0 ? span : undefined;
  }
}
