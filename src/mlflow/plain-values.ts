// What JavaScript has and JSON has not: as texts for params and tags, as plain objects for artifacts.
import { invalidParameter } from "./errors.js";
import { writeJson } from "./json.js";

/** By its tag: a frame and a test runner have classes of their own. */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

function isTypedArray(value: unknown): value is ArrayLike<unknown> & ArrayBufferView {
  return ArrayBuffer.isView(value) && tagOf(value) !== "DataView";
}

/** A whole number as a number where one can tell it, else as a text. */
function plainBigint(value: bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

/** Objects met on the way, and what became of each: what contains itself still does. */
type Met = Map<object, unknown>;

function plainObject(entries: Iterable<readonly [string, unknown]>, into: object, met: Met) {
  for (const [key, value] of entries) {
    const plain = plainOf(value, met);
    // A key may be __proto__, which is no name for an assignment.
    Object.defineProperty(into, key, {
      value: plain,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return into;
}

function plainArray(values: Iterable<unknown>, into: unknown[], met: Met): unknown[] {
  for (const value of values) into.push(plainOf(value, met));
  return into;
}

function remembered<T extends object>(value: object, into: T, met: Met): T {
  met.set(value, into);
  return into;
}

/**
 * A value in which typed arrays, Maps, Sets, whole numbers of any size, patterns and errors are what
 * JSON and YAML can tell: arrays, objects (of a Map whose keys are texts, else arrays of its entries),
 * numbers and texts. Anything else is left as it is.
 */
export function plainOf(value: unknown, met: Met = new Map()): unknown {
  if (typeof value === "bigint") return plainBigint(value);
  if (typeof value !== "object" || value === null) return value;
  if (met.has(value)) return met.get(value);
  if (isTypedArray(value)) return plainArray(Array.from(value), [], met);
  if (Array.isArray(value)) return plainArray(value, remembered(value, [], met), met);
  switch (tagOf(value)) {
    case "Set":
      return plainArray(value as Set<unknown>, remembered(value, [], met), met);
    case "Map": {
      const entries = [...(value as Map<unknown, unknown>)];
      return entries.every(([key]) => typeof key === "string")
        ? plainObject(entries as [string, unknown][], remembered(value, {}, met), met)
        : plainArray(entries, remembered(value, [], met), met);
    }
    case "RegExp":
    case "Error":
      return String(value);
    case "Object":
      if (typeof (value as { toJSON?: unknown }).toJSON === "function") return value;
      return plainObject(Object.entries(value), remembered(value, {}, met), met);
    default:
      return value;
  }
}

/** What an object says of itself, when it has a `toString` of its own. */
function ownText(field: string, value: object): string | undefined {
  if (Array.isArray(value) || isTypedArray(value)) return undefined;
  if (typeof value.toString !== "function") return undefined;
  let text: string;
  try {
    text = String(value);
  } catch {
    throw invalidParameter(field, value, "its toString() fails; pass a text instead.");
  }
  return /^\[object [^\]]*\]$/.test(text) ? undefined : text;
}

/** An object that is its properties, and not one of a class that keeps what it has to itself. */
function isRecord(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function jsonOf(field: string, value: object): string {
  let text: string | undefined;
  try {
    text = writeJson(plainOf(value));
  } catch {
    throw invalidParameter(field, value, "it cannot be written as JSON; pass a text instead.");
  }
  const saysNothing = text === "{}" && !isRecord(value) && tagOf(value) !== "Map";
  if (typeof text === "string" && !saysNothing) return text;
  throw invalidParameter(field, value, "nothing of it can be written; pass a text instead.");
}

function dateText(field: string, value: Date): string {
  if (!Number.isNaN(value.getTime())) return value.toISOString();
  throw invalidParameter(field, "Invalid Date", "pass a date that there is.");
}

/** The text, all of whose characters a store can keep. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function checkCharacters(field: string, text: string): string {
  if (!/\p{Cs}/u.test(text)) return text;
  const fix = "it has half a character (a lone surrogate), which no store can keep; remove it.";
  throw invalidParameter(field, text, fix);
}

/**
 * A param's or tag's value as text: `null` as Python's `None`, a time as ISO 8601, what has a
 * `toString` of its own as that, and other objects as JSON.
 * Throws MlflowError `INVALID_PARAMETER_VALUE` for what would say nothing.
 */
export function textOf(field: string, value: unknown): string {
  switch (typeof value) {
    case "string":
      return checkCharacters(field, value);
    case "number":
    case "boolean":
    case "bigint":
      return String(value);
    case "object": {
      if (value === null) return "None";
      if (tagOf(value) === "Date") return dateText(field, value as Date);
      return checkCharacters(field, ownText(field, value) ?? jsonOf(field, value));
    }
  }
  throw invalidParameter(field, value, "pass a text, a number, a boolean, or an object for JSON.");
}
