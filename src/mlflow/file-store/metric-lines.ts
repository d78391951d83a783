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
export function pointOfMessage(message: MetricMessage): Point {
  return {
    value: valueOfMessage(message),
    timestamp: Number(message.timestamp ?? Number.NaN),
    step: Number(message.step ?? 0),
  };
}

export function messageOfPoint(key: string, { value, timestamp, step }: Point): MetricMessage {
  return { key, value: numberToMessage(value), timestamp, step };
}

export function formatLine({ value, timestamp, step }: Point): string {
  return `${timestamp} ${formatValue(value)} ${step}\n`;
}

/** Every point in a metric's file, in the order it was written. */
export function parseLines(text: string, path: string): Point[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [timestamp, value, step = "0", ...dataset] = line.trim().split(" ");
      const point = {
        value: parseValue(value ?? ""),
        timestamp: Number(timestamp),
        step: Number(step),
      };
      const isWhole = Number.isInteger(point.timestamp) && Number.isInteger(point.step);
      const isNumber =
        value !== undefined && (value.toLowerCase().endsWith("nan") || !Number.isNaN(point.value));
      if (isWhole && isNumber && (dataset.length === 0 || dataset.length === 2)) return point;
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

/** A metric's history: by timestamp, then step, then value, and each point once. */
export function historyOf(points: readonly Point[]): Point[] {
  return [...points].sort(comparePoints).filter((point, index, sorted) => {
    const before = sorted[index - 1];
    return before === undefined || formatLine(before) !== formatLine(point);
  });
}

function isLater(one: Point, other: Point): boolean {
  if (one.step !== other.step) return one.step > other.step;
  if (one.timestamp !== other.timestamp) return one.timestamp > other.timestamp;
  return rankOf(one) > rankOf(other);
}

/** The one with the greatest step, then timestamp, then value. */
export function latestPoint(points: readonly Point[]): Point | undefined {
  let latest = points[0];
  for (const point of points) {
    if (latest !== undefined && isLater(point, latest)) latest = point;
  }
  return latest;
}
