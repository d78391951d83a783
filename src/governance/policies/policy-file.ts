// The seam between the portable part and policy files, which only runtimes with files have.
import { ConfigurationError } from "../errors.js";

/** A policy file that was read, whose content is not checked yet. */
export interface PolicyFile {
  readonly path: string;
  /** `policies`, `budgets`, `rateLimits`, `budgetDailyLimit`. */
  readonly content: Readonly<Record<string, unknown>>;
  /** Runs a check of the content; what it refuses is told with its line and column. */
  checked<T>(check: () => T): T;
}

/** @throws {ConfigurationError} for a file that cannot be read, with line and column where it is no YAML. */
type Reader = (field: string, path: string) => PolicyFile;

let reader: Reader | undefined;

/** Tells how this platform reads policy files. Called once by the platform's entry point. */
export function setPolicyFileReader(read: Reader): void {
  reader = read;
}

/** @throws {ConfigurationError} where files are not read, or this one cannot be. */
export const readPolicyFile: Reader = (field, path) => {
  if (reader !== undefined) return reader(field, path);
  throw new ConfigurationError(
    "INVALID_OPTION",
    field,
    path,
    `${field}: needs Node, Deno or Bun; give the same as options`,
  );
};
