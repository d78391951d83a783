// Whether log calls wait for the store, and the end of what does not.
import { currentRuntime, environmentVariable } from "../runtime/capabilities.js";
import { booleanVariable } from "./connection.js";
import { AsyncLoggingError, invalidParameter, reasonOf, UnknownOutcomeError } from "./errors.js";
import { LoggingQueue, type QueueSettings } from "./logging-queue.js";
import { checkOptions, checkRunId } from "./validation.js";

const DEFAULT_BUFFER_SECONDS = 1;
const MAX_BUFFER_SECONDS = 3600;
const DEFAULT_CAPACITY = 10_000;

export interface AsyncLoggingOptions {
  /**
   * Seconds that a write waits for others to share its request, 0 to 3600.
   * `MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS`, else 1.
   */
  readonly bufferSeconds?: number | undefined;
  /** Metric points, params and tags that may wait before log calls do; from 1, else 10,000. */
  readonly capacity?: number | undefined;
}

let enabled: boolean | undefined;
let options: AsyncLoggingOptions = {};
let endsWithProcess = false;

function settings(): QueueSettings {
  endWithProcess();
  const { bufferSeconds = bufferVariable(), capacity = DEFAULT_CAPACITY } = options;
  return { bufferMs: 1000 * bufferSeconds, capacity };
}

/** Of the whole process, so that a run's end finds what any client of it logged. */
export const loggingQueue = new LoggingQueue(settings);

function bufferVariable(): number {
  const text = environmentVariable("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS");
  if (text === undefined) return DEFAULT_BUFFER_SECONDS;
  return checkedBuffer("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS", Number(text));
}

function checkedBuffer(field: string, seconds: number): number {
  if (seconds >= 0 && seconds <= MAX_BUFFER_SECONDS) return seconds;
  throw invalidParameter(field, seconds, `pass seconds from 0 to ${MAX_BUFFER_SECONDS}.`);
}

/**
 * Metrics, params and tags logged from now on do not wait for the store: they share few requests, in
 * the order of the calls per run. A log call waits only while too much is queued. What could not be
 * sent is an AsyncLoggingError of `wait()` on what the call resolves to, of `flushAsyncLogging()`,
 * or of the run's end, which waits for all of it. Nothing is lost when the process ends by itself;
 * what `process.exit()` leaves behind is said on stderr, and a signal that nobody handles leaves it
 * behind without a word: a handler of ours would keep such a signal from ending the process.
 *
 * `false` turns it off; left alone, `MLFLOW_ENABLE_ASYNC_LOGGING` decides.
 * Throws MlflowError `INVALID_PARAMETER_VALUE`.
 */
export function enableAsyncLogging(enable: boolean | AsyncLoggingOptions = true): void {
  if (typeof enable === "boolean") {
    enabled = enable;
    return;
  }
  checkOptions("enableAsyncLogging", enable, ["bufferSeconds", "capacity"]);
  const { bufferSeconds, capacity } = enable;
  if (bufferSeconds !== undefined) checkedBuffer("bufferSeconds", bufferSeconds);
  if (capacity !== undefined && !(Number.isSafeInteger(capacity) && capacity >= 1)) {
    throw invalidParameter("capacity", capacity, "pass a whole number from 1.");
  }
  enabled = true;
  options = enable;
}

/** Does a log call wait for the store? What the call itself says comes first. */
export function isSynchronous(ofCall: boolean | undefined): boolean {
  return ofCall ?? !(enabled ?? booleanVariable("MLFLOW_ENABLE_ASYNC_LOGGING", false));
}

/**
 * Sends what waits, of one run or of all, and resolves when the stores have it. Rejects with
 * AsyncLoggingError, which names what was lost and nobody was told of yet.
 */
export async function flushAsyncLogging(
  of: { readonly runId?: string | undefined } = {},
): Promise<void> {
  checkOptions("flushAsyncLogging", of, ["runId"]);
  const { runId } = of;
  if (runId === undefined) return loggingQueue.flush();
  checkRunId(runId);
  return loggingQueue.flush((id) => id === runId);
}

/** Says what was lost where no caller is left to hear it. */
export function reportLoss(error: unknown): void {
  console.error(`mlflow: ${reasonOf(error)}`);
}

/** What still waits when the process has nothing left to do is sent then. */
function endWithProcess(): void {
  if (endsWithProcess) return;
  endsWithProcess = true;
  const { beforeExit, onExit } = currentRuntime();
  beforeExit?.(() => loggingQueue.flush().catch(reportLoss));
  onExit?.(() => {
    const fix = "await flushAsyncLogging() before process.exit().";
    const { underway, waiting } = loggingQueue;
    const lost = loggingQueue.takeLost();
    if (lost !== undefined) reportLoss(lost);
    if (underway.length > 0) {
      const message = `The process ended while it was on its way: ${fix}`;
      const doubt = new UnknownOutcomeError("ASYNC_LOGGING_FAILED", message);
      reportLoss(new AsyncLoggingError(underway, doubt));
    }
    if (waiting.length > 0) {
      const reason = new Error(`The process ended before it was sent: ${fix}`);
      reportLoss(new AsyncLoggingError(waiting, reason));
    }
  });
}
