// Asking a store by its endpoints, and comparing its answers with those of MLflow's server.
import { beforeEach, vi } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import * as spec from "../../../src/mlflow/spec.js";
import { callStore, openStore, type Store } from "../../../src/mlflow/stores.js";
import { uniqueName } from "../../adapter/workplace.js";
import { onEachStore } from "../each-store.js";

export const NO_RUN = "f".repeat(32);
export const NO_EXPERIMENT = "987654321";
export const MISSING = "RESOURCE_DOES_NOT_EXIST";
export const EXISTS = "RESOURCE_ALREADY_EXISTS";
export const INVALID = "INVALID_PARAMETER_VALUE";
export const TOO_LONG_KEY = "k".repeat(251);
/** Names that MLflow refuses for metrics, params and tags. */
export const BAD_KEYS = ["a//b", "../x", "..a", "a/../b", "/a", "a/", ".", "a#b", TOO_LONG_KEY, ""];
export const ODD_KEY = "ü/日 本.x:y-_";

let store: Store;

export function ask<Request extends object, Response>(
  endpoint: spec.Endpoint<Request, Response>,
  request: Request,
): Promise<Response> {
  return callStore(store, endpoint, request);
}

/** A request that lacks fields, or has values, that the types forbid. */
export function askLoosely(endpoint: unknown, request: object): Promise<unknown> {
  return callStore(store, endpoint as spec.Endpoint<object, unknown>, request);
}

/** The error code of a call that must fail. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  const outcome = await call.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  );
  if ("answer" in outcome) return `no error, but ${JSON.stringify(outcome.answer)}`;
  return outcome.error instanceof mlflow.MlflowError ? outcome.error.code : String(outcome.error);
}

export async function codesOf<K extends string>(
  calls: Readonly<Record<K, () => Promise<unknown>>>,
): Promise<Record<string, string>> {
  const codes: Record<string, string> = {};
  for (const [label, call] of Object.entries<() => Promise<unknown>>(calls)) {
    codes[label] = await codeOf(call());
  }
  return codes;
}

export const WHOLE_NUMBERS: readonly string[] = [
  "timestamp",
  "step",
  "start_time",
  "end_time",
  "creation_time",
  "last_update_time",
  "creation_timestamp",
  "last_updated_timestamp",
  "file_size",
];
/** Lists whose order says nothing. */
export const SETS: readonly string[] = ["metrics", "params", "tags", "aliases", "files"];
/** Parts of the server's answers that this client does not read. */
export const UNREAD: readonly string[] = ["workspace", "inputs", "outputs"];

export function sortKey(item: unknown): string {
  const { key, alias, path } = item as Record<string, unknown>;
  return String(key ?? alias ?? path ?? item);
}

/** A message in one form: 64-bit integers as numbers, sets sorted, parts nobody reads left out. */
export function plain(message: unknown): unknown {
  if (Array.isArray(message)) return message.map(plain);
  if (typeof message !== "object" || message === null) return message;
  const fields = Object.entries(message)
    .filter(([name]) => !UNREAD.includes(name))
    .map(([name, value]) => {
      if (WHOLE_NUMBERS.includes(name)) return [name, Number(value)];
      const inside = plain(value);
      if (!SETS.includes(name) || !Array.isArray(inside)) return [name, inside];
      return [name, inside.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))];
    });
  return Object.fromEntries(fields);
}

export const isServer = (): boolean => store.uri.startsWith("http");
/** The server's database has no infinity. */
export const infinity = (sign: 1 | -1) =>
  isServer() ? sign * Number.MAX_VALUE : sign > 0 ? "Infinity" : "-Infinity";

export async function newExperiment(stem = "contract"): Promise<string> {
  const { experiment_id } = await ask(spec.createExperiment, { name: uniqueName(stem) });
  return experiment_id as string;
}

export async function newRun(
  more: { experiment_id?: string; run_name?: string; start_time?: number; user_id?: string } = {},
): Promise<string> {
  const experiment_id = more.experiment_id ?? (await newExperiment());
  const request = { start_time: 1000, ...more, experiment_id };
  const { run } = await ask(spec.createRun, request);
  return run?.info?.run_id as string;
}

export async function dataOf(run_id: string) {
  const { run } = await ask(spec.getRun, { run_id });
  const pairs = (items: readonly { key: string; value?: unknown }[] = []) =>
    Object.fromEntries(items.map(({ key, value }) => [key, value]));
  const { metrics, params, tags } = run?.data ?? {};
  return { metrics: pairs(metrics), params: pairs(params), tags: pairs(tags) };
}

/** A part of the contract: the suite runs on every kind of store, and an error is an answer to it. */
export function contract(suite: () => void): void {
  beforeEach(() => {
    // Not a reason to ask again.
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    return () => vi.unstubAllEnvs();
  });
  onEachStore(() => {
    beforeEach(() => {
      store = openStore(mlflow.getTrackingUri());
    });
    suite();
  });
}
