// A metric's file: one line per point, `<timestamp> <value> <step>`.
import { numberToMessage } from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import type { MetricMessage } from "../spec.js";

/** One point with its numbers as numbers. */
export interface Point {
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly step: number;
}

/** A point that measures a logged model. */
export interface ModelPoint extends Point {
  readonly runId: string;
  readonly dataset: { readonly name: string; readonly digest: string } | undefined;
}

/** Python's spelling, which its reader understands. */
function formatValue(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0.0" : String(value);
}

function parseValue(text: string): number {
  const [, sign, word] = /^([+-]?)(nan|inf|infinity)$/i.exec(text) ?? [];
  if (word === undefined) return Number(text);
  if (word.toLowerCase() === "nan") return Number.NaN;
  return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function valueOfMessage({ key, value }: MetricMessage): number {
  const number = typeof value === "string" ? parseValue(value) : value;
  if (typeof number === "number" && (!Number.isNaN(number) || isNaNText(value))) return number;
  throw invalidParameter(`value of metric '${key}'`, value, "pass a number.");
}

function isNaNText(value: unknown): boolean {
  return typeof value === "number" || /^[+-]?nan$/i.test(String(value));
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for what is no number. */
export function pointOfMessage(
  message: MetricMessage,
): Point & { readonly dataset?: ModelPoint["dataset"] } {
  const { dataset_name, dataset_digest } = message;
  return {
    value: valueOfMessage(message),
    timestamp: Number(message.timestamp ?? Number.NaN),
    step: Number(message.step ?? 0),
    ...(dataset_name !== undefined &&
      dataset_digest !== undefined && { dataset: { name: dataset_name, digest: dataset_digest } }),
  };
}

export function messageOfPoint(key: string, { value, timestamp, step }: Point): MetricMessage {
  return { key, value: numberToMessage(value), timestamp, step };
}

export function formatLine({
  value,
  timestamp,
  step,
  runId,
  dataset,
}: Point & Partial<ModelPoint>): string {
  const owner = runId === undefined ? "" : ` ${runId}`;
  const measured = dataset === undefined ? "" : ` ${dataset.name} ${dataset.digest}`;
  return `${timestamp} ${formatValue(value)} ${step}${owner}${measured}\n`;
}

/** Every point in a metric's file, in the order it was written. */
export function parseLines(text: string, path: string): Point[] {
  return parse(text, path, [0, 2]);
}

/** Every point in the file of a logged model's metric: each names its run, and a dataset at times. */
export function parseModelLines(text: string, path: string): ModelPoint[] {
  return parse(text, path, [1, 3]).map(({ value, timestamp, step, rest }) => {
    const [runId = "", name, digest] = rest;
    const dataset = name === undefined || digest === undefined ? undefined : { name, digest };
    return { value, timestamp, step, runId, dataset };
  });
}

function parse(
  text: string,
  path: string,
  counts: readonly number[],
): (Point & { readonly rest: readonly string[] })[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [timestamp, value, step = "0", ...rest] = line.trim().split(" ");
      const point = {
        value: parseValue(value ?? ""),
        timestamp: Number(timestamp),
        step: Number(step),
        rest,
      };
      const isWhole = Number.isInteger(point.timestamp) && Number.isInteger(point.step);
      const isNumber =
        value !== undefined && (value.toLowerCase().endsWith("nan") || !Number.isNaN(point.value));
      if (isWhole && isNumber && counts.includes(rest.length)) return point;
      throw new MlflowError(
        "INTERNAL_ERROR",
        `'${path}' has a line that is no point of a metric: ${JSON.stringify(line)}. Repair or remove it.`,
      );
    });
}

/** A server keeps NaN as 0 with a mark. */
function rankOf({ value }: Point): number {
  return Number.isNaN(value) ? 0 : value;
}

function sign(one: number, other: number): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function comparePoints(one: Point, other: Point): number {
  return (
    one.timestamp - other.timestamp || one.step - other.step || sign(rankOf(one), rankOf(other))
  );
}

/**
 * A metric's history: by timestamp, then step, then value. A point that was logged twice is there
 * twice, as in Python's store of files; a server's database keeps it once.
 */
export function historyOf(points: readonly Point[]): Point[] {
  return [...points].sort(comparePoints);
}

function isLater(one: Point, other: Point): boolean {
  if (one.step !== other.step) return one.step > other.step;
  if (one.timestamp !== other.timestamp) return one.timestamp > other.timestamp;
  return rankOf(one) > rankOf(other);
}

/** The one with the greatest step, then timestamp, then value. */
export function latestPoint<P extends Point>(points: readonly P[]): P | undefined {
  let latest = points[0];
  for (const point of points) {
    if (latest !== undefined && isLater(point, latest)) latest = point;
  }
  return latest;
}
