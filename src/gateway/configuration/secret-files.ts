// Secrets that lie in files of their own, as containers have them mounted.
import { readFileSync } from "node:fs";
import { readYamlMapping } from "../../governance/policies/yaml-file.js";
import { invalid, shown } from "./problem.js";

function pathOf(field: string, path: unknown): string {
  if (typeof path === "string" && path.trim() !== "") return path;
  throw invalid(field, path, `${shown(path)} is no path of a file`);
}

/** The bytes of a file that an option names. @throws {ConfigurationError} when it cannot be read. */
export function readNamedFile(field: string, given: unknown): Buffer {
  const path = pathOf(field, given);
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalid(field, path, `cannot read ${JSON.stringify(path)}: ${(error as Error).message}`);
  }
}

/** The one line of a file, without the line feed that editors put behind it. @throws {ConfigurationError} */
export function readSecretFile(field: string, given: unknown): string {
  const secret = readNamedFile(field, given)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (secret !== "" && !/[\r\n]/.test(secret)) return secret;
  throw invalid(field, given, `${shown(given)} must hold the secret as its only line`);
}

/** A file of names and values, each of which is checked by whoever asked. @throws {ConfigurationError} */
export function readSecretMapping(field: string, given: unknown) {
  return readYamlMapping(field, pathOf(field, given), "file", []);
}
