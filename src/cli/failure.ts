// How a command fails: one clear line, and an exit code that a script can go by.
import { ConfigurationError } from "../governance/errors.js";
import { MlflowError } from "../mlflow/errors.js";

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_WRONG_USE = 2;
/** 128 and the number of SIGINT, as shells have it. */
export const EXIT_INTERRUPTED = 130;

/** Something the person can put right; the message names it, its value and the fix. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Wrong use that is seen only once the options are put together. */
export class UsageError extends CommandError {}

/** A check that found something: the report has said it all, so nothing is added. Exit code 1. */
export class CheckFailed extends Error {
  override readonly name = "CheckFailed";
}

/** The reason of work that Ctrl-C has ended. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor(message = "interrupted; the open runs were ended as KILLED") {
    super(message);
  }
}

/** One line. An error that nobody foresaw keeps its stack: it is a defect, to be reported. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const foreseen =
    error instanceof CommandError ||
    error instanceof Interrupted ||
    error instanceof MlflowError ||
    error instanceof ConfigurationError;
  if (foreseen) return error.message.replace(/\s+/g, " ").trim();
  return `internal error: ${error.stack ?? error.message}`;
}
