// Cost contexts: an account of what one part of a program did, isolated from the rest, nested, and concurrent.
import { checkAttribute } from "../governance/attribution.js";
import type { Settlement } from "../governance/settlement.js";
import { asyncDispose, createAsyncContext } from "../runtime/capabilities.js";
import { type MlflowCostSummary, toCostSummary } from "./summary.js";
import { Tally } from "./tally.js";

const contexts = createAsyncContext<MlflowCostContext | undefined>();
let openContexts = 0;

/**
 * What was spent inside one part of a program, whichever adapters governed it. Made by
 * {@link createMlflowCostContext}. An operation belongs to the context that it began in, and to the
 * contexts around that one; it is booked when it has settled.
 */
export class MlflowCostContext {
  readonly name: string;
  /** The context around this one. */
  readonly outer: MlflowCostContext | undefined;
  readonly #tally = new Tally();
  readonly #onEnd: ((context: MlflowCostContext) => void) | undefined;
  /** On the monotonic clock, in ms; undefined while it is open. */
  #endMark: number | undefined;

  /** @throws {ConfigurationError} `INVALID_OPTION` for a name that is none. */
  constructor(name: string, onEnd?: (context: MlflowCostContext) => void) {
    this.name = checkAttribute("name", name);
    this.outer = currentCostContext();
    this.#onEnd = onEnd;
    openContexts++;
  }

  /** Has it ended? Its summary can be read all the same. */
  get ended(): boolean {
    return this.#endMark !== undefined;
  }

  /** What was booked so far; a snapshot that later operations do not change. */
  getSummary(): MlflowCostSummary {
    const tally = this.#tally;
    const names = {
      // Its totals name experiments already.
      experimentName: () => undefined,
      runName: (runId: string) => tally.runName(runId),
    };
    return toCostSummary(tally.totals(), names, tally.artifacts);
  }

  /** Ends it: what begins from now on belongs to the context around it. A second time changes nothing. */
  end(): void {
    if (this.#endMark !== undefined) return;
    this.#endMark = performance.now();
    openContexts--;
    this.#onEnd?.(this);
  }

  async [asyncDispose](): Promise<void> {
    this.end();
  }

  /** Was it open at this mark of the monotonic clock? */
  #wasOpenAt(mark: number): boolean {
    return this.#endMark === undefined || this.#endMark >= mark;
  }

  /** Books an operation that began at `mark` in this context, here and in the contexts around it. */
  book(settlement: Settlement, mark: number): void {
    for (let context: MlflowCostContext | undefined = this; context; context = context.outer) {
      if (context.#wasOpenAt(mark)) context.#tally.add(settlement);
    }
  }
}

/** Runs `callback`, and all that it starts, in no context: what we try for ourselves is nobody's cost. */
export function withoutCostContext<T>(callback: () => T): T {
  return contexts.run(undefined, callback);
}

/** The innermost context that is open where this is called. */
export function currentCostContext(): MlflowCostContext | undefined {
  if (openContexts === 0) return undefined;
  let context = contexts.get();
  while (context?.ended) context = context.outer;
  return context;
}

/** Runs `callback`, and all that it starts, in a context. */
export function inCostContext<T>(context: MlflowCostContext, callback: () => T): T {
  return contexts.run(context, callback);
}

/** Puts the rest of the current asynchronous chain in a context. Call it before any `await`. */
export function enterCostContext(context: MlflowCostContext): void {
  contexts.enter(context);
}
