// Text → payloads: one JSON document, or one in every line as the Collector's file exporter writes them.

import { firstWrongIndex } from "./json-position.js";

/** Text that is no JSON, and where. */
export class TelemetryTextError extends Error {
  override readonly name = "TelemetryTextError";
  readonly code = "INVALID_JSON";
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** From 0, in bytes of UTF-8 from the beginning of the text. */
  readonly byte: number;

  constructor(text: string, index: number, cause: string) {
    const before = text.slice(0, index);
    const line = before.split("\n").length;
    const column = index - before.lastIndexOf("\n");
    const byte = new TextEncoder().encode(before).length;
    super(`line ${line}, column ${column} (byte ${byte}): ${cause}`);
    this.line = line;
    this.column = column;
    this.byte = byte;
  }
}

function parse(whole: string, from: number, to: number): unknown {
  const part = whole.slice(from, to);
  try {
    return JSON.parse(part);
  } catch {
    const index = firstWrongIndex(part);
    const found = part[index];
    throw new TelemetryTextError(
      whole,
      from + index,
      found === undefined ? "the JSON ends too early" : `${JSON.stringify(found)} is no JSON here`,
    );
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** First line with something in it, and whether anything follows it. */
function firstLine(text: string): { readonly line: string; readonly isAlone: boolean } {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return { line: lines[0] ?? "", isAlone: lines.length < 2 };
}

/**
 * The payloads of a text: of a single JSON document one, of JSON lines one a line. An empty text has none.
 * @throws {TelemetryTextError} naming line, column and byte of what is no JSON.
 */
export function parseTelemetry(given: string): unknown[] {
  // A byte order mark counts nothing; spaces instead keep every position.
  const text = given.replace(/^\uFEFF/, " ");
  if (text.trim() === "") return [];
  const first = firstLine(text);
  if (first.isAlone || !isJson(first.line)) return [parse(text, 0, text.length)];
  const payloads: unknown[] = [];
  let from = 0;
  while (from < text.length) {
    const newline = text.indexOf("\n", from);
    const to = newline === -1 ? text.length : newline;
    if (text.slice(from, to).trim() !== "") payloads.push(parse(text, from, to));
    from = to + 1;
  }
  return payloads;
}
