// How the gateway's options are told to be wrong: by field, value and fix, and never with a secret in it.
import { ConfigurationError } from "../../governance/errors.js";

export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return "(a list)";
  return typeof value === "object" && value !== null ? "(an object)" : String(value);
}

export function invalid(field: string, value: unknown, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

/** Where a value is a secret. */
export const HIDDEN = "(hidden)";
