// The hash chain: each line holds the hash of the one before it, so that nothing in it can change unseen.
import { createHash } from "node:crypto";
import type { AuditRecord } from "./record.js";

/** What the first record of a chain has for the hash before it. */
export const GENESIS = "0".repeat(64);

/** One line of an audit file. */
export interface AuditLine {
  /** From 1; goes on through every file of a chain. */
  readonly sequence: number;
  /** SHA-256 in hex of the record before, {@link GENESIS} for the first. */
  readonly previous: string;
  readonly record: AuditRecord;
  /** SHA-256 in hex over `previous`, a line feed, the sequence, a line feed, and the record's canonical JSON. */
  readonly hash: string;
}

/** JSON with sorted names and no spaces, as RFC 8785 has it for what our records hold (no fractions). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  entries.sort(([left], [right]) => (left < right ? -1 : 1));
  const members = entries.map(([name, each]) => `${JSON.stringify(name)}:${canonicalJson(each)}`);
  return `{${members.join(",")}}`;
}

function hashOf(previous: string, sequence: number, canonical: string): string {
  return createHash("sha256").update(`${previous}\n${sequence}\n${canonical}`).digest("hex");
}

/** The line of a record, with its line feed, and its hash. */
export function lineOf(
  sequence: number,
  previous: string,
  record: AuditRecord,
): { readonly text: string; readonly hash: string } {
  const canonical = canonicalJson(record);
  const hash = hashOf(previous, sequence, canonical);
  const text = `{"sequence":${sequence},"previous":"${previous}","record":${canonical},"hash":"${hash}"}\n`;
  return { text, hash };
}

/** Reads a line, without its line feed. Answers what is wrong with it, in words, when it is no such line. */
export function readLine(text: string): AuditLine | string {
  let line: AuditLine;
  try {
    line = JSON.parse(text);
  } catch {
    return "it is no JSON";
  }
  const { sequence, previous, record, hash } = line ?? {};
  if (!Number.isSafeInteger(sequence) || typeof record !== "object" || record === null) {
    return "it is no audit record";
  }
  const expected = lineOf(sequence, String(previous), record);
  if (expected.hash !== hash) return "its hash does not match what it says";
  // The hash covers what it means; this covers every byte of how it is written.
  if (expected.text !== `${text}\n`) return "it is not written as it was";
  return line;
}
