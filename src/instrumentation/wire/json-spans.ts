// Where the parts of a JSON text lie among its bytes, so that one can be changed and the rest stays as it is.

/** Bytes from `start` up to `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Member {
  /** As it reads, escapes replaced. */
  readonly name: string;
  readonly value: Span;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING: readonly number[] = [0x5b, 0x7b];
const CLOSING: readonly number[] = [0x5d, 0x7d];

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function behindBlanks(bytes: Uint8Array, at: number): number {
  let next = at;
  while (isBlank(bytes[next])) next++;
  return next;
}

function behindText(bytes: Uint8Array, at: number): number {
  let next = at + 1;
  while (next < bytes.length && bytes[next] !== QUOTE) next += bytes[next] === BACKSLASH ? 2 : 1;
  return next + 1;
}

function behindValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first === QUOTE) return behindText(bytes, at);
  let next = at;
  if (!OPENING.includes(first)) {
    while (next < bytes.length) {
      const byte = bytes[next] as number;
      if (byte === COMMA || CLOSING.includes(byte) || isBlank(byte)) break;
      next++;
    }
    return next;
  }
  let depth = 0;
  while (next < bytes.length) {
    const byte = bytes[next] as number;
    if (byte === QUOTE) {
      next = behindText(bytes, next);
      continue;
    }
    next++;
    if (byte === 0x5b || byte === 0x7b) depth++;
    else if ((byte === 0x5d || byte === 0x7d) && --depth === 0) break;
  }
  return next;
}

function valueAt(bytes: Uint8Array, at: number): Span {
  const start = behindBlanks(bytes, at);
  return { start, end: behindValue(bytes, start) };
}

/** Where the JSON text itself lies, without what is blank around it. */
export function wholeSpan(bytes: Uint8Array): Span {
  return valueAt(bytes, 0);
}

/** The text of a span, which must be UTF-8. */
export function textOf(bytes: Uint8Array, { start, end }: Span): string {
  return UTF8.decode(bytes.subarray(start, end));
}

/** Letters, digits and underscores of a name of MLflow's, as one byte each; undefined for any other name. */
function plainNameOf(bytes: Uint8Array, { start, end }: Span): string | undefined {
  let name = "";
  for (let at = start + 1; at < end - 1; at++) {
    const byte = bytes[at] as number;
    const isLetter = (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a);
    if (!isLetter && byte !== 0x5f && (byte < 0x30 || byte > 0x39)) return undefined;
    name += String.fromCharCode(byte);
  }
  return name;
}

function nameOf(bytes: Uint8Array, span: Span): string {
  return plainNameOf(bytes, span) ?? (JSON.parse(textOf(bytes, span)) as string);
}

/** Elements of an array in JSON that is known to be well formed. */
export function elementsOf(bytes: Uint8Array, { start, end }: Span): Span[] {
  const elements: Span[] = [];
  let at = behindBlanks(bytes, start + 1);
  while (at < end - 1) {
    const element = valueAt(bytes, at);
    elements.push(element);
    at = behindBlanks(bytes, behindBlanks(bytes, element.end) + 1);
  }
  return elements;
}

/** Members of an object in JSON that is known to be well formed, equal names included. */
export function membersOf(bytes: Uint8Array, { start, end }: Span): Member[] {
  const members: Member[] = [];
  let at = behindBlanks(bytes, start + 1);
  while (at < end - 1) {
    const name = valueAt(bytes, at);
    const colon = behindBlanks(bytes, name.end);
    if (bytes[colon] !== COLON) break;
    const value = valueAt(bytes, colon + 1);
    members.push({ name: nameOf(bytes, name), value });
    at = behindBlanks(bytes, behindBlanks(bytes, value.end) + 1);
  }
  return members;
}
