// The queue of asynchronous logging: single writes wait a moment and leave as few requests, in order.
import { currentRuntime } from "../runtime/capabilities.js";
import { BATCH_KINDS, type BatchContent, type BatchKind, type BatchMessage } from "./batches.js";
import { AsyncLoggingError, type LostWrites, MlflowError } from "./errors.js";
import { isEmpty, type Loss, Outgoing, send } from "./outgoing-request.js";
import type { KeyValueMessage, MetricMessage } from "./spec.js";
import type { Store } from "./stores.js";
import { lostWrites, UntoldLoss } from "./untold-loss.js";

/** Runs whose requests are underway together; as many as Python has threads for it. */
const MAX_RUNS_AT_ONCE = 10;
/** Errors after which the next request would only wait as long again. */
const HOPELESS_CODES: readonly string[] = ["SERVER_UNREACHABLE", "TEMPORARILY_UNAVAILABLE"];

/** What became of something that was logged. */
export interface RunOperations {
  /**
   * Sends it now and resolves when the store has all of it. Rejects with AsyncLoggingError, which names what the store
   * has not.
   */
  wait(): Promise<void>;
}

/** Of what the store has already. */
export const DONE: RunOperations = { wait: () => Promise.resolve() };

export interface QueueSettings {
  /** Milliseconds that a write waits for others to share its request. */
  readonly bufferMs: number;
  /** Entries that may wait before callers have to. */
  readonly capacity: number;
}

/** What waits for one run. */
class RunQueue {
  /** In order; the last one may still be filled. */
  readonly waiting: Outgoing[] = [];
  lost = new UntoldLoss();
  underway: Outgoing | undefined;
  /** It has a place in the line, or is being sent. */
  isActive = false;
  /** Everything up to here leaves without waiting for more. */
  flushUpTo: Outgoing | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Milliseconds that its writes wait for others. */
  bufferMs = 0;

  constructor(
    readonly storeUri: string,
    readonly runId: string,
  ) {}

  /** As they are at this moment. */
  get requests(): readonly Outgoing[] {
    return this.underway === undefined ? [...this.waiting] : [this.underway, ...this.waiting];
  }

  /** What nobody was told of, which is told now. */
  takeLost(): UntoldLoss {
    const taken = this.lost;
    this.lost = new UntoldLoss();
    return taken;
  }
}

/** One part of what was logged together, and the request that carries it. */
interface Part extends BatchContent {
  readonly outgoing: Outgoing;
  readonly metrics: MetricMessage[];
  readonly params: KeyValueMessage[];
  readonly tags: KeyValueMessage[];
}

class Operations implements RunOperations {
  constructor(
    readonly run: RunQueue,
    readonly parts: readonly Part[],
    /** Sends the run's requests without waiting for more to share them. */
    readonly hurry: () => void,
  ) {}

  async wait(): Promise<void> {
    this.hurry();
    const lost: BatchContent[] = [];
    let cause: unknown;
    for (const part of this.parts) {
      const { outgoing } = part;
      await outgoing.settled;
      const content = outgoing.lostOf(part);
      if (isEmpty(content)) continue;
      outgoing.tell(content);
      cause ??= outgoing.loss?.cause;
      lost.push(content);
    }
    if (lost.length === 0) return;
    const { runId, storeUri } = this.run;
    throw new AsyncLoggingError([lostWrites(runId, storeUri, lost)], cause);
  }
}

export class LoggingQueue {
  readonly #settings: () => QueueSettings;
  readonly #runs = new Map<string, RunQueue>();
  /** Runs with something to send now. */
  readonly #line: RunQueue[] = [];
  #runsUnderway = 0;
  /** Entries that wait or are being sent. */
  #entries = 0;
  readonly #callers: (() => void)[] = [];

  /** `settings` are asked for with every write. */
  constructor(settings: () => QueueSettings) {
    this.#settings = settings;
  }

  /**
   * Takes checked entries. Resolves as soon as there is room for more: whoever awaits it cannot log
   * faster than the store takes.
   */
  async add(store: Store, runId: string, content: BatchContent): Promise<RunOperations> {
    const { bufferMs, capacity } = this.#settings();
    const run = this.#runOf(store, runId);
    run.bufferMs = bufferMs;
    const parts: Part[] = [];
    for (const kind of BATCH_KINDS) {
      for (const message of content[kind]) {
        const { outgoing, carrier } = this.#put(run, store, kind, message);
        let part = parts.at(-1);
        if (part?.outgoing !== outgoing) {
          part = { outgoing, metrics: [], params: [], tags: [] };
          parts.push(part);
        }
        (part[kind] as BatchMessage[]).push(carrier);
      }
    }
    if (parts.length === 0) return DONE;
    if (run.waiting.length > 1 || run.waiting[0]?.batch.isFull) this.#start(run);
    else this.#startLater(run);
    if (this.#entries > capacity) {
      for (const other of this.#runs.values()) this.#flush(other);
      await this.#room(capacity);
    }
    return new Operations(run, parts, () => this.#flush(run));
  }

  /** Waits until what was logged to a run so far is in the store, or lost; tells nobody. */
  async drain(store: Store, runId: string): Promise<void> {
    const run = this.#runs.get(keyOf(store.uri, runId));
    if (run === undefined) return;
    const requests = run.requests;
    this.#flush(run);
    await Promise.all(requests.map(({ settled }) => settled));
  }

  /**
   * Sends what waits, of one run or of all, and resolves when the store has it. Rejects with
   * AsyncLoggingError that names what was lost and nobody was told of.
   */
  async flush(belongs: (runId: string, storeUri: string) => boolean = () => true): Promise<void> {
    const runs = [...this.#runs.values()].filter((run) => belongs(run.runId, run.storeUri));
    const requests = runs.flatMap((run) => run.requests);
    for (const run of runs) this.#flush(run);
    await Promise.all(requests.map(({ settled }) => settled));
    const error = this.takeLost(runs);
    if (error !== undefined) throw error;
  }

  /** What was lost and nobody was told of, which is told now; undefined when there is none. */
  takeLost(runs: readonly RunQueue[] = [...this.#runs.values()]): AsyncLoggingError | undefined {
    const lost: LostWrites[] = [];
    let cause: unknown;
    for (const run of runs) {
      const taken = run.takeLost();
      this.#forgetIfIdle(run);
      if (taken.isEmpty) continue;
      cause ??= taken.cause;
      lost.push(taken.writes(run.runId, run.storeUri));
    }
    return lost.length === 0 ? undefined : new AsyncLoggingError(lost, cause);
  }

  /** What no store was sent yet, run by run. */
  get waiting(): LostWrites[] {
    return this.#sum((run) => run.waiting);
  }

  /** What is on its way, run by run: its store may have it already. */
  get underway(): LostWrites[] {
    return this.#sum(({ underway }) => (underway === undefined ? [] : [underway]));
  }

  #sum(requestsOf: (run: RunQueue) => readonly Outgoing[]): LostWrites[] {
    return [...this.#runs.values()].flatMap((run) => {
      const contents = requestsOf(run).map(({ batch }) => batch);
      return contents.length === 0 ? [] : [lostWrites(run.runId, run.storeUri, contents)];
    });
  }

  #runOf(store: Store, runId: string): RunQueue {
    const key = keyOf(store.uri, runId);
    let run = this.#runs.get(key);
    if (run === undefined) {
      run = new RunQueue(store.uri, runId);
      this.#runs.set(key, run);
    }
    return run;
  }

  #forgetIfIdle(run: RunQueue): void {
    if (run.isActive || run.waiting.length > 0 || !run.lost.isEmpty) return;
    this.#runs.delete(keyOf(run.storeUri, run.runId));
  }

  #put(run: RunQueue, store: Store, kind: BatchKind, message: BatchMessage) {
    let outgoing = run.waiting.at(-1);
    const before = outgoing?.batch.size ?? 0;
    if (outgoing !== undefined && outgoing.store === store) {
      const carrier = outgoing.batch.add(kind, message);
      if (carrier !== undefined) {
        this.#entries += outgoing.batch.size - before;
        return { outgoing, carrier };
      }
    }
    outgoing = new Outgoing(store);
    run.waiting.push(outgoing);
    outgoing.batch.add(kind, message);
    this.#entries++;
    return { outgoing, carrier: message };
  }

  #startLater(run: RunQueue): void {
    if (run.isActive || run.timer !== undefined) return;
    const timer = setTimeout(() => {
      run.timer = undefined;
      this.#flush(run);
    }, run.bufferMs);
    run.timer = timer;
    // Where the process says when it ends, it need not be kept waiting.
    if (currentRuntime().beforeExit !== undefined) (timer as { unref?(): void }).unref?.();
  }

  #flush(run: RunQueue): void {
    run.flushUpTo = run.waiting.at(-1) ?? run.flushUpTo;
    this.#start(run);
  }

  #start(run: RunQueue): void {
    if (run.isActive || run.waiting.length === 0) return;
    clearTimeout(run.timer);
    run.timer = undefined;
    run.isActive = true;
    this.#line.push(run);
    this.#advance();
  }

  #advance(): void {
    while (this.#runsUnderway < MAX_RUNS_AT_ONCE) {
      const run = this.#line.shift();
      if (run === undefined) return;
      this.#runsUnderway++;
      void this.#sendAll(run).then(() => {
        this.#runsUnderway--;
        this.#advance();
      });
    }
  }

  /** One request after the other, so that the order per run is that of the calls. */
  async #sendAll(run: RunQueue): Promise<void> {
    for (;;) {
      const [outgoing] = run.waiting;
      if (outgoing === undefined) break;
      const isComplete = run.waiting.length > 1 || outgoing.batch.isFull;
      if (!isComplete && run.flushUpTo === undefined) break;
      if (outgoing === run.flushUpTo) run.flushUpTo = undefined;
      run.waiting.shift();
      run.underway = outgoing;
      // Whatever happens, whoever waits for it hears of it.
      outgoing.loss = await send(outgoing, run.runId).catch(everything);
      run.underway = undefined;
      this.#settle(run, outgoing);
      if (outgoing.loss !== undefined && isHopeless(outgoing.loss.cause)) {
        for (const other of run.waiting.splice(0)) {
          other.loss = outgoing.loss;
          this.#settle(run, other);
        }
        run.flushUpTo = undefined;
      }
    }
    run.isActive = false;
    if (run.waiting.length > 0) this.#startLater(run);
    else this.#forgetIfIdle(run);
  }

  #settle(run: RunQueue, outgoing: Outgoing): void {
    if (outgoing.loss !== undefined) outgoing.count(run.lost);
    this.#entries -= outgoing.batch.size;
    outgoing.settle();
    for (const look of this.#callers.splice(0)) look();
  }

  async #room(capacity: number): Promise<void> {
    while (this.#entries > capacity) {
      await new Promise<void>((resolve) => this.#callers.push(resolve));
    }
  }
}

function keyOf(storeUri: string, runId: string): string {
  return `${storeUri} ${runId}`;
}

function everything(cause: unknown): Loss {
  return { cause, params: undefined };
}

function isHopeless(cause: unknown): boolean {
  return cause instanceof MlflowError && HOPELESS_CODES.includes(cause.code);
}
