// What the file system refuses, as MlflowError: names the path, the reason and the fix.
import { dirname } from "node:path";
import { MlflowError, reasonOf } from "../errors.js";

/** Is this a file system error of one of these codes? By its code: a test runner has its own Error. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && codes.includes(code);
}

/** Answers `missing` where there is no such file or folder. */
export async function orMissing<T, M>(work: Promise<T>, missing: M): Promise<T | M> {
  try {
    return await work;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return missing;
    throw error;
  }
}

/** Any error as MlflowError; `root` is the store's folder. */
export function fileError(error: unknown, root: string): MlflowError {
  if (error instanceof MlflowError) return error;
  const { code, path = root } = error as NodeJS.ErrnoException;
  const details = { cause: error };
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new MlflowError(
        "PERMISSION_DENIED",
        `'${path}' cannot be written or read (${code}). Make the folder '${root}' writable for this user, or choose another with setTrackingUri() or MLFLOW_TRACKING_URI.`,
        details,
      );
    case "ENOSPC":
    case "EDQUOT":
      return new MlflowError(
        "RESOURCE_LIMIT_EXCEEDED",
        `There is no space left for '${path}' (${code}). Free some, or choose another folder with setTrackingUri() or MLFLOW_TRACKING_URI.`,
        details,
      );
    case "ENAMETOOLONG":
      return new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `A name is too long to be a file's in '${root}' (${code}: '${path}'); shorten it.`,
        details,
      );
    case "EISDIR":
    case "ENOTDIR":
    case "EEXIST":
      return new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `'${path}' cannot be written (${code}): of a file and a folder only one can have a name, so 'a' and 'a/b' exclude each other in '${dirname(path)}'. Choose another name.`,
        details,
      );
    default:
      return new MlflowError(
        "INTERNAL_ERROR",
        `The file store in '${root}' failed: ${reasonOf(error)}.`,
        details,
      );
  }
}
