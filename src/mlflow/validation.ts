// MLflow's rules for names and values, checked before anything is sent.
// Source: mlflow/utils/validation.py (3.17).
import { nearestName } from "../nearest-name.js";
import { environmentVariable } from "../runtime/capabilities.js";
import type { RunStatus } from "./entities.js";
import { invalidParameter, MlflowError } from "./errors.js";
import { checkCharacters, textOf } from "./plain-values.js";

/** Longest key of a metric, param or tag, in characters. */
export const MAX_KEY_LENGTH = 250;
/** Longest param value, in characters. */
export const MAX_PARAM_VALUE_LENGTH = 6000;
/** Longest run tag value, in characters. */
export const MAX_TAG_VALUE_LENGTH = 8000;
const MAX_EXPERIMENT_TAG_VALUE_LENGTH = 20_000;
const MAX_REGISTRY_TAG_VALUE_LENGTH = 100_000;
const MAX_EXPERIMENT_NAME_LENGTH = 500;
const MAX_ALIAS_LENGTH = 255;

/**
 * What can be logged as a param or tag. An object with a `toString` of its own, such as a URL, is
 * written as that says, other objects and arrays as JSON, and `null` as `None`, as Python does.
 */
export type LoggableValue = string | number | boolean | bigint | object | null;

/** An object with such values: also one whose type is an interface, which has no index signature. */
export type ObjectOf<Fields, Value> = { readonly [Name in keyof Fields]: Value };

const RUN_ID = /^[a-zA-Z0-9][\p{L}\p{N}_-]{0,255}$/u;
const MODEL_ID = /^[a-zA-Z0-9][\w-]*$/;
const EXPERIMENT_ID = /^[a-zA-Z0-9][\p{L}\p{N}_-]{0,63}$/u;
const KEY = /^[/\p{L}\p{N}_.\- :]*$/u;
const ALIAS = /^[\p{L}\p{N}_-]+$/u;
const RUN_STATUSES: readonly string[] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
const TERMINAL_STATUSES: readonly string[] = ["FINISHED", "FAILED", "KILLED"];
export const STAGES = ["None", "Staging", "Production", "Archived"] as const;

/** Python's posixpath.normpath; MLflow compares names with what they would be as paths. */
function normalizedPath(path: string): string {
  const absolute = path.startsWith("/");
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === ".." && segments.length > 0 && segments.at(-1) !== "..") segments.pop();
    else if (segment !== ".." || !absolute) segments.push(segment);
  }
  const joined = (absolute ? "/" : "") + segments.join("/");
  return joined === "" ? "." : joined;
}

/** Names without a slash and a dot, as most are, are what they say. */
const PLAIN_NAME = /^[^./]+$/;

function isAmbiguousPath(name: string): boolean {
  if (PLAIN_NAME.test(name)) return false;
  const normalized = normalizedPath(name);
  return normalized !== name || name === "." || name.startsWith("..") || name.startsWith("/");
}

function characters(text: string): number {
  // MLflow counts characters as Python does, by code point; most texts are short enough not to count.
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function isTooLong(text: string, limit: number): boolean {
  return text.length > limit && characters(text) > limit;
}

function checkKey(field: string, key: unknown): asserts key is string {
  if (typeof key !== "string" || key === "") {
    throw invalidParameter(field, key, "pass a name, a non-empty text.");
  }
  if (!KEY.test(key)) {
    throw invalidParameter(
      field,
      key,
      "use only letters, digits, underscores (_), dashes (-), periods (.), spaces, colons (:) and slashes (/).",
    );
  }
  if (isAmbiguousPath(key)) {
    throw invalidParameter(
      field,
      key,
      `as a path this name would resolve to "${normalizedPath(key)}"; leave out leading, trailing and double slashes and "..".`,
    );
  }
  if (isTooLong(key, MAX_KEY_LENGTH)) {
    throw invalidParameter(field, key, `use at most ${MAX_KEY_LENGTH} characters.`);
  }
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE`, as everything in this file does. */
export function checkMetric(
  key: unknown,
  value: unknown,
  timestamp: unknown,
  step: unknown,
): asserts value is number {
  checkKey("metric key", key);
  if (typeof value !== "number") {
    throw invalidParameter(
      `value of metric '${key}'`,
      value,
      "pass a number (NaN and the infinities are allowed).",
    );
  }
  if (!Number.isSafeInteger(timestamp) || (timestamp as number) < 0) {
    throw invalidParameter(
      `timestamp of metric '${key}'`,
      timestamp,
      "pass whole milliseconds since 1970, as Date.now() gives them.",
    );
  }
  if (!Number.isSafeInteger(step)) {
    throw invalidParameter(`step of metric '${key}'`, step, "pass a whole number.");
  }
}

export function checkMetricKey(key: unknown): void {
  checkKey("metric key", key);
}

export function checkParamKey(key: unknown): void {
  checkKey("param key", key);
}

export function checkTagKey(key: unknown): void {
  checkKey("tag key", key);
}

/** By its tag: a frame and a test runner have classes of their own. */
function isTagged(value: unknown, tag: string): boolean {
  return Object.prototype.toString.call(value) === `[object ${tag}]`;
}

/**
 * Text of at most `limit` characters. A longer one is cut, with a warning, as Python's client does;
 * `MLFLOW_TRUNCATE_LONG_VALUES=false` makes it an error.
 */
function limitedText(field: string, value: unknown, limit: number): string {
  const text = textOf(field, value);
  if (!isTooLong(text, limit)) return text;
  const setting = environmentVariable("MLFLOW_TRUNCATE_LONG_VALUES")?.toLowerCase();
  if (setting === "false" || setting === "0") {
    throw invalidParameter(field, text, `it exceeds the limit of ${limit} characters; shorten it.`);
  }
  console.warn(`mlflow: ${field} has ${characters(text)} characters and is cut to ${limit}.`);
  return Array.from(text).slice(0, limit).join("");
}

export function paramValue(key: string, value: unknown): string {
  return limitedText(`value of param '${key}'`, value, MAX_PARAM_VALUE_LENGTH);
}

export function tagValue(key: string, value: unknown): string {
  return limitedText(`value of tag '${key}'`, value, MAX_TAG_VALUE_LENGTH);
}

function strictTagValue(key: string, value: unknown, limit: number): string {
  const text = textOf(`value of tag '${key}'`, value);
  if (isTooLong(text, limit)) {
    throw invalidParameter(`value of tag '${key}'`, text, `use at most ${limit} characters.`);
  }
  return text;
}

export function experimentTagValue(key: string, value: unknown): string {
  return strictTagValue(key, value, MAX_EXPERIMENT_TAG_VALUE_LENGTH);
}

export function registryTagValue(key: string, value: unknown): string {
  return strictTagValue(key, value, MAX_REGISTRY_TAG_VALUE_LENGTH);
}

export function checkRunId(runId: unknown, field = "runId"): asserts runId is string {
  if (typeof runId !== "string" || !RUN_ID.test(runId)) {
    throw invalidParameter(
      field,
      runId,
      "a run id has 1 to 256 letters, digits, dashes or underscores.",
    );
  }
}

export function checkExperimentId(id: unknown): asserts id is string {
  if (typeof id !== "string" || !EXPERIMENT_ID.test(id)) {
    throw invalidParameter(
      "experimentId",
      id,
      "an experiment id is a text of 1 to 64 letters, digits, dashes or underscores.",
    );
  }
}

export function checkExperimentName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name === "") {
    throw invalidParameter("experiment name", name, "pass a non-empty text.");
  }
  checkCharacters("experiment name", name);
  if (isTooLong(name, MAX_EXPERIMENT_NAME_LENGTH)) {
    throw invalidParameter(
      "experiment name",
      name,
      `use at most ${MAX_EXPERIMENT_NAME_LENGTH} characters.`,
    );
  }
}

/** The name of a registered model that is there: MLflow before 3.0 let it be any text. */
export function checkKnownModelName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name.trim() === "") {
    throw invalidParameter("model name", name, "pass a non-empty text.");
  }
  checkCharacters("model name", name);
}

/** The name of a registered model that is to be. */
export function checkModelName(name: unknown): asserts name is string {
  checkKnownModelName(name);
  if (/[/:]/.test(name)) {
    throw invalidParameter("model name", name, "a model's name cannot contain '/' or ':'.");
  }
  if (isAmbiguousPath(name)) {
    throw invalidParameter("model name", name, "a model's name cannot be '.' or begin with '..'.");
  }
}

/** The name of a logged model. */
export function checkLoggedModelName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name === "" || /[/:.%"']/.test(name)) {
    throw invalidParameter(
      "model name",
      name,
      "pass a non-empty text without '/', ':', '.', '%' and quotes.",
    );
  }
}

export function checkModelId(modelId: unknown): asserts modelId is string {
  if (typeof modelId !== "string" || !MODEL_ID.test(modelId)) {
    throw invalidParameter(
      "modelId",
      modelId,
      "pass the id of a logged model, such as m-0123abcd.",
    );
  }
}

/** The version as text. Whole numbers and texts of digits are accepted. */
export function modelVersionNumber(version: unknown): string {
  const text = String(version);
  if (!/^[0-9]+$/.test(text)) {
    throw invalidParameter("version", version, 'pass a whole number such as 1 or "1".');
  }
  return text;
}

export function checkAlias(alias: unknown): asserts alias is string {
  if (typeof alias !== "string" || !ALIAS.test(alias)) {
    throw invalidParameter("alias", alias, "use only letters, digits, underscores and dashes.");
  }
  if (isTooLong(alias, MAX_ALIAS_LENGTH)) {
    throw invalidParameter("alias", alias, `use at most ${MAX_ALIAS_LENGTH} characters.`);
  }
}

/** An alias to be given: not one that MLflow understands by itself. */
export function checkNewAlias(alias: unknown): asserts alias is string {
  checkAlias(alias);
  if (/^(latest|v\d+)$/i.test(alias)) {
    throw invalidParameter("alias", alias, "MLflow reserves 'latest' and 'v1', 'v2' and so on.");
  }
}

/** The stage in its canonical spelling; any letter case is accepted, as MLflow does. */
export function canonicalStage(stage: unknown): (typeof STAGES)[number] {
  const found = STAGES.find((name) => name.toLowerCase() === String(stage).toLowerCase());
  if (found === undefined) {
    throw invalidParameter("stage", stage, `use one of ${STAGES.join(", ")}.`);
  }
  return found;
}

export function checkRunStatus(status: unknown): asserts status is RunStatus {
  if (typeof status !== "string" || !RUN_STATUSES.includes(status)) {
    throw invalidParameter("status", status, `use one of ${RUN_STATUSES.join(", ")}.`);
  }
}

export function checkTerminalStatus(status: unknown): asserts status is RunStatus {
  if (typeof status !== "string" || !TERMINAL_STATUSES.includes(status)) {
    throw invalidParameter("status", status, `use one of ${TERMINAL_STATUSES.join(", ")}.`);
  }
}

export function checkRunName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name.trim() === "") {
    throw invalidParameter("runName", name, "pass a non-empty text, or leave it out.");
  }
  checkCharacters("runName", name);
  // MLflow keeps it as a tag too.
  if (isTooLong(name, MAX_TAG_VALUE_LENGTH)) {
    throw invalidParameter("runName", name, `use at most ${MAX_TAG_VALUE_LENGTH} characters.`);
  }
}

export function checkTime(field: string, time: unknown): void {
  if (!Number.isSafeInteger(time) || (time as number) < 0) {
    throw invalidParameter(field, time, "pass whole milliseconds since 1970, as Date.now() does.");
  }
}

/** The name of a file may begin with two dots; a server refuses a folder of such a name. */
function leadsElsewhere(path: string): boolean {
  const isDottedFile = path !== ".." && path.startsWith("..") && !path.includes("/");
  return isAmbiguousPath(path) && !isDottedFile;
}

/** A path below a run's artifact root: relative, normalised, with forward slashes. */
export function checkArtifactPath(path: unknown): asserts path is string {
  if (typeof path !== "string" || path === "" || leadsElsewhere(path) || /[\\\0]/.test(path)) {
    throw invalidParameter(
      "artifact path",
      path,
      "pass a relative path with forward slashes and without '.', '..', double slashes or NUL.",
    );
  }
  // The server refuses the first, and stores what contains the second under the decoded name.
  if (/#|%[0-9a-f]{2}|\p{Cc}|\p{Cs}/iu.test(path)) {
    throw invalidParameter(
      "artifact path",
      path,
      "leave out '#', percent-encoded characters such as '%20', control characters and lone surrogates.",
    );
  }
}

export function checkMaxResults(maxResults: unknown, limit = 50_000): asserts maxResults is number {
  const number = maxResults as number;
  if (!Number.isSafeInteger(maxResults) || number < 1 || number > limit) {
    throw invalidParameter("maxResults", maxResults, `pass a whole number from 1 to ${limit}.`);
  }
}

/** An options object with none but known names; an unknown one is never swallowed. */
export function checkOptions(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalidParameter(where, options, `pass an object with any of ${known.join(", ")}.`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = nearestName(name, known);
    const advice =
      meant === undefined ? `the options are ${known.join(", ")}.` : `did you mean '${meant}'?`;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Unknown option '${name}' of ${where}; ${advice}`,
    );
  }
}

/** Names and values as an object. */
export function checkRecord(field: string, value: unknown): void {
  const isObject = typeof value === "object" && value !== null;
  if (!isObject || Array.isArray(value) || isTagged(value, "Map")) {
    throw invalidParameter(field, value, "pass an object of names and values.");
  }
}
