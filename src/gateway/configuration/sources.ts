// Where the gateway's options come from: flags before variables before the file; what is wrong is told where it stands.
import { dirname, resolve } from "node:path";
import { ConfigurationError } from "../../governance/errors.js";
import { rejectUnknown } from "../../governance/option-names.js";
import { type MappingFile, readYamlMapping } from "../../governance/policies/yaml-file.js";
import { nearestName } from "../../nearest-name.js";
import { attributesOfPairs } from "../attribute-pairs.js";
import type { GatewayOptions } from "../configuration.js";
import {
  flagOf,
  GATEWAY_OPTIONS,
  type OptionEntry,
  type OptionKind,
  variableOf,
} from "./option-table.js";
import { invalid, shown } from "./problem.js";
import { type Environment, resolveReferences } from "./references.js";

/** What a person has given, text by text. */
export interface GatewaySources {
  /** Option name → text; `true` for a flag without a value. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly environment: Environment;
  /** The configuration file; the variable `GENOPS_GATEWAY_CONFIG` unless given. */
  readonly configPath?: string | undefined;
}

/** Options that were put together and are not checked yet. */
export interface ReadOptions {
  readonly options: GatewayOptions;
  /** Path of the configuration file, when there is one. */
  readonly configPath: string | undefined;
  /** Runs a check of the options; what it refuses is told with flag, variable, or line of the file. */
  checked<T>(check: () => T): T;
}

const CONFIG = "config";
const NAMES = GATEWAY_OPTIONS.map(({ name }) => name);

const SWITCHES: Readonly<Record<string, boolean>> = {
  on: true,
  true: true,
  yes: true,
  1: true,
  off: false,
  false: false,
  no: false,
  0: false,
};

/** Kinds whose value is not always written as one in a file. */
const PLAIN: readonly OptionKind[] = ["number", "boolean", "switch"];

function jsonOf(origin: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words show a piece of the text, which may be a secret.
    throw invalid(origin, "(hidden)", "is not JSON");
  }
}

/** The value that a text stands for. @throws {ConfigurationError} for text that can be none. */
function textValue({ kind }: OptionEntry, origin: string, text: string): unknown {
  switch (kind) {
    case "number": {
      const value = text.trim() === "" ? Number.NaN : Number(text);
      if (Number.isFinite(value)) return value;
      throw invalid(origin, text, `${shown(text)} is no number`);
    }
    case "boolean": {
      const value = SWITCHES[text.trim().toLowerCase()];
      if (value !== undefined) return value;
      throw invalid(origin, text, `${shown(text)} is neither true nor false`);
    }
    case "list":
      return text.split(",").map((part) => part.trim());
    case "attributes":
      return text.trimStart().startsWith("{")
        ? jsonOf(origin, text)
        : attributesOfPairs(origin, text);
    case "json":
      return jsonOf(origin, text);
    case "switch":
      return SWITCHES[text.trim().toLowerCase()] ?? text;
    default:
      return text;
  }
}

/** Paths in a file are meant from where the file lies. */
function fromFolder(entry: OptionEntry, value: unknown, folder: string): unknown {
  if (entry.isPath === undefined) return value;
  if (typeof value === "string") {
    return value === "-" ? value : resolve(folder, value);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const inside = Object.entries(value).map(([name, each]) => [
    name,
    /^(path|.*File)$/.test(name) && typeof each === "string" ? resolve(folder, each) : each,
  ]);
  return Object.fromEntries(inside);
}

/** A path is what the journal's option calls `path`. */
function shaped(name: string, value: unknown): unknown {
  return name === "journal" && typeof value === "string" ? { path: value } : value;
}

/** The steps of a field: `tokens[0].team`. */
function stepsOf(field: string): (string | number)[] {
  return [...field.matchAll(/[^.[\]]+/g)].map(([part]) =>
    /^\d+$/.test(part) ? Number(part) : part,
  );
}

/** A number in a mapping is that of one of its keys, for keys that must not be shown. */
function wayIn(content: unknown, field: string): (string | number)[] {
  let inside = content;
  return stepsOf(field).map((step) => {
    const isMapping = typeof inside === "object" && inside !== null && !Array.isArray(inside);
    const key =
      isMapping && typeof step === "number" && !(step in (inside as object))
        ? (Object.keys(inside as object)[step] ?? step)
        : step;
    inside = (inside as Readonly<Record<string, unknown>> | undefined)?.[key];
    return key;
  });
}

class Sources {
  readonly #origins = new Map<string, string>();
  readonly #values: Record<string, unknown> = {};
  #file: MappingFile | undefined;

  take(entry: OptionEntry, origin: string, text: string): void {
    this.#origins.set(entry.name, origin);
    this.#values[entry.name] = shaped(entry.name, textValue(entry, origin, text));
  }

  takeFile(option: string, path: string, environment: Environment): void {
    const file = readYamlMapping(option, path, "gateway configuration", NAMES);
    this.#file = file;
    const content = resolveReferences(file.content, environment, file.placeOf);
    for (const entry of GATEWAY_OPTIONS) {
      const value = content[entry.name];
      if (value === undefined || value === null || this.#origins.has(entry.name)) continue;
      // Numbers and switches may come by reference, and are text then.
      const isText = typeof value === "string" && PLAIN.includes(entry.kind);
      const plain = isText ? file.checked(() => textValue(entry, entry.name, value)) : value;
      const placed = fromFolder(entry, plain, dirname(resolve(path)));
      this.#values[entry.name] = shaped(entry.name, placed);
    }
  }

  get options(): GatewayOptions {
    return this.#values as unknown as GatewayOptions;
  }

  checked<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      throw error instanceof ConfigurationError ? this.#placed(error) : error;
    }
  }

  #placed(error: ConfigurationError): ConfigurationError {
    const { code, field, value, message, suggestion } = error;
    // An unknown name is told under what holds it.
    const [around = field] = message.split(": ", 1);
    const whole = code === "UNKNOWN_OPTION" ? `${around}.${field}` : field;
    const [root = ""] = stepsOf(whole);
    const origin = this.#origins.get(String(root));
    if (origin !== undefined) {
      const text = message.startsWith(String(root))
        ? message.slice(String(root).length)
        : `: ${message}`;
      return new ConfigurationError(code, field, value, `${origin}${text}`, suggestion);
    }
    const file = this.#file;
    if (file === undefined || !(String(root) in file.content)) {
      return this.#missing(error, String(root));
    }
    const place = file.placeOf(wayIn(file.content, whole));
    return new ConfigurationError(code, field, value, `${place}: ${message}`, suggestion);
  }

  /** What is nowhere is told with every place where it can be said. */
  #missing(error: ConfigurationError, root: string): ConfigurationError {
    const { code, field, value, message, suggestion } = error;
    const isOption = NAMES.includes(root) && this.#values[root] === undefined;
    const where = isOption
      ? ` (${flagOf(root)}, ${variableOf(root)}${this.#file === undefined ? "" : `, or ${root} in ${this.#file.path}`})`
      : "";
    return new ConfigurationError(code, field, value, `${message}${where}`, suggestion);
  }
}

function rejectUnknownVariables(environment: Environment): void {
  const known = [...NAMES, CONFIG].map(variableOf);
  for (const variable of Object.keys(environment)) {
    if (!variable.startsWith("GENOPS_GATEWAY_") || known.includes(variable)) continue;
    // Empty means unset.
    if (!environment[variable]) continue;
    const suggestion = nearestName(variable, known);
    throw new ConfigurationError(
      "UNKNOWN_OPTION",
      variable,
      "(hidden)",
      `environment: unknown variable ${variable}; ${
        suggestion === undefined ? `valid are ${known.join(", ")}` : `did you mean ${suggestion}?`
      }`,
      suggestion,
    );
  }
}

/**
 * Puts the options together; to be checked by `checkGatewayOptions` within `checked`.
 * @throws {ConfigurationError} for an unknown name, a file that cannot be read, and text that is no value.
 */
export function readGatewayOptions(given: GatewaySources): ReadOptions {
  const { flags, environment } = given;
  rejectUnknown(flags, NAMES, "flags");
  rejectUnknownVariables(environment);
  const sources = new Sources();
  for (const entry of GATEWAY_OPTIONS) {
    const variable = variableOf(entry.name);
    const flag = flags[entry.name];
    const text = environment[variable];
    if (flag !== undefined) sources.take(entry, flagOf(entry.name), String(flag));
    else if (text !== undefined && text !== "") sources.take(entry, variable, text);
  }
  const ofEnvironment = environment[variableOf(CONFIG)];
  const configPath = given.configPath ?? (ofEnvironment === "" ? undefined : ofEnvironment);
  if (configPath !== undefined) {
    const option = given.configPath === undefined ? variableOf(CONFIG) : flagOf(CONFIG);
    sources.takeFile(option, configPath, environment);
  }
  return {
    options: sources.options,
    configPath,
    checked: (check) => sources.checked(check),
  };
}
