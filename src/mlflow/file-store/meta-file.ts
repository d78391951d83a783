// meta.yaml: one flat map per experiment, run, model and version, read and written as Python does.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isMap, isScalar, isSeq, parseDocument } from "yaml";
import { MlflowError } from "../errors.js";
import { orMissing } from "./file-errors.js";
import { replaceFile } from "./value-files.js";

export type MetaValue = string | number | null | readonly never[];
/** Lists and maps mean nothing in these files: Python writes them empty. */
export type Meta = Readonly<Record<string, MetaValue>>;

const META_FILE = "meta.yaml";
const ATTEMPTS = 3;
/** Milliseconds; Python's writer leaves the file empty for a moment, and its reader waits like this. */
const WAIT_WHILE_EMPTY_MS = 100;

/** Writes a text so that YAML 1.1 can take it for nothing but a text. */
function quoted(text: string): string {
  return JSON.stringify(text.replace(/\p{Cs}/gu, "\ufffd")).replace(
    // A YAML reader refuses these as raw characters.
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The text of a meta.yaml, keys sorted. */
export function formatMeta(meta: Meta): string {
  const lines = Object.keys(meta)
    .sort()
    .map((key) => {
      const value = meta[key] ?? null;
      if (typeof value === "string") return `${key}: ${quoted(value)}\n`;
      return `${key}: ${typeof value === "object" && value !== null ? "[]" : String(value)}\n`;
    });
  return lines.join("");
}

const SIMPLE_LINE = /^([a-z_]+):(?: (.*))?$/;
/** Plain scalars that could mean more than their characters. */
const NOT_PLAIN = /^[\s"'&*!|>%@`{}[\],#?=<-]|: | #|\s$/;

/** A scalar without quotes: null, a whole number, or the text that it is. */
function plainValue(text: string): MetaValue {
  if (text === "null" || text === "" || text === "~") return null;
  if (!/^-?(0|[1-9][0-9]*)$/.test(text)) return text;
  return Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

/** One scalar of the form that nearly every line has; undefined asks for the whole parser. */
function simpleValue(text: string): MetaValue | undefined {
  if (text === "[]") return [];
  if (text.startsWith('"')) {
    try {
      const value: unknown = JSON.parse(text);
      return typeof value === "string" ? value : undefined;
    } catch {
      return undefined;
    }
  }
  const [, single] = /^'((?:[^']|'')*)'$/.exec(text) ?? [];
  if (single !== undefined) return single.replaceAll("''", "'");
  return NOT_PLAIN.test(text) ? undefined : plainValue(text);
}

function parseSimple(text: string): Meta | undefined {
  const meta: Record<string, MetaValue> = {};
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, key, rest = ""] = SIMPLE_LINE.exec(line) ?? [];
    const value = key === undefined ? undefined : simpleValue(rest);
    if (key === undefined || value === undefined) return undefined;
    meta[key] = value;
  }
  return meta;
}

function valueOfNode(node: unknown): MetaValue {
  if (!isScalar(node)) return isSeq(node) ? [] : null;
  const text = String(node.value ?? "");
  return node.type === "PLAIN" ? plainValue(text) : text;
}

function parseWhole(text: string, path: string): Meta {
  // By the failsafe schema everything is text: what looks like a date or a truth value to YAML was
  // never meant as one.
  const document = parseDocument(text, { version: "1.1", schema: "failsafe" });
  if (document.errors.length > 0) {
    throw new MlflowError("INVALID_STATE", `'${path}' is not valid YAML; repair or remove it.`, {
      cause: document.errors[0],
    });
  }
  if (!isMap(document.contents)) {
    throw new MlflowError("INVALID_STATE", `'${path}' holds no fields; repair or remove it.`);
  }
  const fields = document.contents.items.map(({ key, value }) => [
    String(isScalar(key) ? key.value : key),
    valueOfNode(value),
  ]);
  return Object.fromEntries(fields) as Meta;
}

/** The fields of a meta.yaml. Throws MlflowError `INVALID_STATE` when they cannot be read. */
export function parseMeta(text: string, path: string): Meta {
  return parseSimple(text) ?? parseWhole(text, path);
}

/** The fields of the meta.yaml in a folder, or undefined when there is none. */
export async function readMeta(folder: string): Promise<Meta | undefined> {
  const path = join(folder, META_FILE);
  for (let attempt = 1; ; attempt++) {
    const text = await orMissing(readFile(path, "utf8"), undefined);
    if (text === undefined) return undefined;
    if (text.trim() !== "") return parseMeta(text, path);
    if (attempt === ATTEMPTS) {
      throw new MlflowError("INVALID_STATE", `'${path}' is empty; repair or remove it.`);
    }
    await delay(WAIT_WHILE_EMPTY_MS * attempt);
  }
}

export function writeMeta(folder: string, meta: Meta): Promise<void> {
  return replaceFile(join(folder, META_FILE), formatMeta(meta), folder);
}

/** A text field; numbers are what YAML made of a text without quotes. */
export function textField(meta: Meta, key: string): string | undefined {
  const value = meta[key];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

export function numberField(meta: Meta, key: string): number | undefined {
  const value = meta[key];
  if (value === undefined || value === null || value === "") return undefined;
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}

const MAX_CACHED = 4096;

/** Remembers what meta.yaml said for as long as the file stays the same. */
export class MetaCache {
  readonly #known = new Map<string, { readonly stamp: string; readonly meta: Meta }>();

  /** As `readMeta`. */
  async read(folder: string): Promise<Meta | undefined> {
    const before = await this.#stamp(folder);
    if (before === undefined) {
      this.#known.delete(folder);
      return undefined;
    }
    const known = this.#known.get(folder);
    if (known?.stamp === before) return known.meta;
    const meta = await readMeta(folder);
    if (meta === undefined) return undefined;
    if (this.#known.size >= MAX_CACHED) this.#known.clear();
    this.#known.set(folder, { stamp: before, meta });
    return meta;
  }

  async #stamp(folder: string): Promise<string | undefined> {
    const found = await orMissing(stat(join(folder, META_FILE), { bigint: true }), undefined);
    return found && `${found.ino}-${found.mtimeNs}-${found.size}`;
  }
}
