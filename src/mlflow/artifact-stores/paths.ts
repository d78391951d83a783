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

function leadsOut(path: string): boolean {
  if (path.startsWith("/") || /[\\\0]/.test(path) || /^[a-zA-Z]:/.test(path)) return true;
  return path.split("/").some((segment) => segment === ".." || segment === ".");
}

/**
 * Checks a path that a store has named, before it becomes a path of this machine: relative, without
 * `.` and `..`, backslashes, drive letters and NUL, and still so however often it is decoded.
 * Throws MlflowError `UNSAFE_PATH`.
 */
export function checkListedPath(path: unknown): asserts path is string {
  const isSafe =
    typeof path === "string" &&
    path !== "" &&
    !path.split("/").includes("") &&
    ![...decodings(path)].some(leadsOut);
  if (isSafe) return;
  throw new MlflowError(
    "UNSAFE_PATH",
    `The artifact store names a file ${JSON.stringify(path)}, which could be written outside of the destination. Nothing was written for it; rename it in the store.`,
  );
}

/** Checks that a listed entry is directly below the folder whose list names it. Throws as above. */
export function checkListedBelow(folder: string, path: string): void {
  checkListedPath(path);
  if (parentOf(path) === folder) return;
  throw new MlflowError(
    "UNSAFE_PATH",
    `The artifact store names '${path}' in the list of '${folder}', where it is not. Nothing was written for it.`,
  );
}
