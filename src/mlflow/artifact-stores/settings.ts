// What the environment says of artifact transfers, by the names that Python's client reads.
// Source: mlflow/environment_variables.py (3.17).
import { environmentVariable } from "../../runtime/capabilities.js";
import { MlflowError } from "../errors.js";

function invalidVariable(name: string, text: string, fix: string): MlflowError {
  return new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `Invalid value '${text}' for the environment variable ${name}: ${fix}`,
  );
}

/** A number of bytes from 1; undefined when unset. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function byteVariable(name: string): number | undefined {
  const text = environmentVariable(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw invalidVariable(name, text, "pass a whole number of bytes from 1.");
}

/** `true`, `false`, `1` or `0`; undefined when unset. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function switchVariable(name: string): boolean | undefined {
  const text = environmentVariable(name);
  if (text === undefined) return undefined;
  const value = text.toLowerCase();
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw invalidVariable(name, text, "pass true, false, 1 or 0.");
}

/** A JSON object; empty when unset. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function objectVariable(name: string): Readonly<Record<string, unknown>> {
  const text = environmentVariable(name);
  if (text === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below, with what is valid JSON and no object.
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw invalidVariable(name, text, 'pass a JSON object, such as {"StorageClass": "STANDARD_IA"}.');
}
