// Paths of artifacts: joined, split, and refused when they could lead out of a folder.
import { MlflowError } from "../errors.js";

/** Appends a relative path; either may be empty. */
export function joinPath(folder: string, path: string): string {
  const base = folder.replace(/\/+$/, "");
  if (base === "") return path;
  return path === "" ? base : `${base}/${path}`;
}

/** The folder of a path; empty at the top. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The last segment of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** A text as it is after each decoding of its percent signs, itself first. */
function* decodings(text: string): Generator<string> {
  let current = text;
  // Somebody who encodes more often than this is found by the last layer that is left.
  for (let layer = 0; layer < 8; layer++) {
    yield current;
    let decoded: string;
    try {
      decoded = decodeURIComponent(current);
    } catch {
      return;
    }
    if (decoded === current) return;
    current = decoded;
  }
  yield "..";
}

/** A single name: what is none cannot be what lies in a folder, on any machine. */
function isName(segment: string): boolean {
  return segment !== "" && segment !== "." && segment !== ".." && !segment.includes("\0");
}

function leadsOut(path: string, onWindows: boolean): boolean {
  // Backslashes separate there, and a colon ends a drive's name or begins that of a hidden stream.
  if (onWindows && /[\\:]/.test(path)) return true;
  return !path.split("/").every(isName);
}

function unsafe(path: unknown): MlflowError {
  return new MlflowError(
    "UNSAFE_PATH",
    `The artifact store names a file ${JSON.stringify(path)}, which could be written outside of the destination. Nothing was written for it; rename it in the store.`,
  );
}

/**
 * Checks a path that a store has named, before it becomes a path of this machine: relative, without
 * `.`, `..` and NUL, on Windows without backslashes and colons too, and still so however often it is
 * decoded. Throws MlflowError `UNSAFE_PATH`.
 */
export function checkListedPath(path: unknown, onWindows: boolean): asserts path is string {
  const isSafe =
    typeof path === "string" && ![...decodings(path)].some((one) => leadsOut(one, onWindows));
  if (!isSafe) throw unsafe(path);
}

/**
 * Checks a name in a store's list of a folder: any that a file of that folder can have somewhere,
 * whether or not it can have it on this machine. Throws MlflowError `UNSAFE_PATH`.
 */
export function checkListedName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name.includes("/") || !isName(name)) throw unsafe(name);
}

/** Checks that a listed entry is directly below the folder whose list names it. Throws as above. */
export function checkListedBelow(folder: string, path: string): void {
  checkListedName(nameOf(path));
  if (parentOf(path) === folder) return;
  throw new MlflowError(
    "UNSAFE_PATH",
    `The artifact store names '${path}' in the list of '${folder}', where it is not. Nothing was written for it.`,
  );
}
