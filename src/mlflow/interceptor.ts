// The one seam: every call to a store passes through the interceptors installed here.
import type { Endpoint, HttpMethod } from "./spec.js";

/** One call to a store, as it will be made: after batching and chunking, before retries. */
export interface StoreCall {
  readonly method: HttpMethod;
  /**
   * MLflow's REST route template, such as `/api/2.0/mlflow/runs/log-batch` or
   * `/api/2.0/mlflow-artifacts/artifacts/{path}`. A constant per endpoint: it may be a cache key.
   */
  readonly route: string;
  /** The route with its parameters filled in, percent-encoded. */
  readonly path: string;
  /** Request message as MLflow's JSON names it (snake_case); the query parameters of a GET. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Tracking (or registry) URI of the store, without credentials. */
  readonly storeUri: string;
  /** Present on an artifact write, which is always one file. */
  readonly upload?: ArtifactUpload;
}

/** The file an artifact write carries. */
export interface ArtifactUpload {
  readonly runId?: string;
  /** `/`-separated path below the run's artifact root, file name included. */
  readonly artifactPath: string;
  /**
   * Full destination, such as `mlflow-artifacts:/0/<run>/artifacts/a.txt` or a `file:` URI, without credentials.
   */
  readonly artifactUri: string;
  readonly sizeBytes: number;
  /** By which equal content is known; see `contentDigest`. Reads when it is called, at most 1 MiB. */
  readonly digest?: () => Promise<string | undefined>;
}

/**
 * Makes a call on the store. With an `endpoint` it may be another one than the call that was seen, on the
 * same store and with the same credentials.
 */
export type Proceed = (call: StoreCall, endpoint?: Endpoint<never, unknown>) => Promise<unknown>;

/** A call that an interceptor lets be made; it is told what became of it, and the call takes no longer for that. */
export interface CallWatch {
  /** As it is to be sent. */
  readonly call: StoreCall;
  /** Is told MLflow's response message. What it throws, the caller gets. */
  answered(reply: unknown): void;
  /** Is told why there is none; the caller gets the same. */
  failed(error: unknown): void;
}

/**
 * Sees a call. It may make it itself, by `proceed`, and return MLflow's response message (the same JSON from
 * every store), or have it made and watch it, which spares each call a promise. Throwing instead means the
 * store never hears of it.
 */
export type Interceptor = (call: StoreCall, proceed: Proceed) => Promise<unknown> | CallWatch;

type Entry = { readonly interceptor: Interceptor };

let entries: readonly Entry[] = [];

/**
 * Installs an interceptor around every store call of this process; the newest is outermost.
 * Returns the removal of exactly this installation; calling it again changes nothing.
 */
export function addInterceptor(interceptor: Interceptor): () => void {
  const entry: Entry = { interceptor };
  entries = [...entries, entry];
  return () => {
    entries = entries.filter((other) => other !== entry);
  };
}

/** How many interceptors are installed now. */
export function interceptorCount(): number {
  return entries.length;
}

function isWatch(taken: Promise<unknown> | CallWatch): taken is CallWatch {
  return (taken as Partial<CallWatch>).answered !== undefined;
}

async function watched(watch: CallWatch, proceed: Proceed): Promise<unknown> {
  let reply: unknown;
  try {
    reply = await proceed(watch.call);
  } catch (error) {
    watch.failed(error);
    throw error;
  }
  watch.answered(reply);
  return reply;
}

/** Makes the call that an interceptor wants to watch; answers what it gave itself otherwise. */
export function carryOut(taken: Promise<unknown> | CallWatch, proceed: Proceed): Promise<unknown> {
  return isWatch(taken) ? watched(taken, proceed) : Promise.resolve(taken);
}

/** Not an async function: it would cost every call one promise more. */
function invoke(interceptor: Interceptor, call: StoreCall, proceed: Proceed): Promise<unknown> {
  try {
    return carryOut(interceptor(call, proceed), proceed);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** All but the outermost of the interceptors installed now, around what makes the call. */
function insideOf(installed: readonly Entry[], perform: Proceed): Proceed {
  let proceed = perform;
  for (let index = 0; index < installed.length - 1; index++) {
    const { interceptor } = installed[index] as Entry;
    const inner = proceed;
    proceed = (inside, endpoint) =>
      invoke(
        interceptor,
        inside,
        endpoint === undefined ? inner : (again) => inner(again, endpoint),
      );
  }
  return proceed;
}

/**
 * Makes a call through the interceptors installed now; without any it is made directly. One promise serves
 * the call and the outermost interceptor that watches it.
 */
export async function throughInterceptors(call: StoreCall, perform: Proceed): Promise<unknown> {
  const outermost = entries.at(-1);
  if (outermost === undefined) return await perform(call);
  const proceed = insideOf(entries, perform);
  const taken = outermost.interceptor(call, proceed);
  if (!isWatch(taken)) return await taken;
  let reply: unknown;
  try {
    reply = await proceed(taken.call);
  } catch (error) {
    taken.failed(error);
    throw error;
  }
  taken.answered(reply);
  return reply;
}
