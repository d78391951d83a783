// Reads a policy file, YAML or JSON, and finds the line and column of what is wrong in it.
import { readFileSync } from "node:fs";
import { type Document, isMap, isNode, LineCounter, parseDocument, type Scalar, visit } from "yaml";
import { ConfigurationError } from "../errors.js";
import { isRecord, rejectUnknown } from "../option-names.js";
import type { PolicyFile } from "./policy-file.js";

const SECTIONS = ["policies", "budgets", "rateLimits", "budgetDailyLimit"];

/** `budgets[0].limit` → the way there. */
function wayTo(field: string): (string | number)[] {
  return [...field.matchAll(/[^.[\]]+/g)].map(([part]) =>
    /^\d+$/.test(part) ? Number(part) : part,
  );
}

/** Where in the text a key of this name stands first; its own place says more than that of its map. */
function offsetOfKey(document: Document, name: string): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Pair(_, { key }) {
      if (!isNode(key) || String(key) !== name) return undefined;
      offset = key.range?.[0];
      return visit.BREAK;
    },
  });
  return offset;
}

/** Where a field stands, or the nearest thing around it that is there. */
function offsetOf(document: Document, field: string): number {
  return offsetOfWay(document, wayTo(field));
}

function offsetOfWay(document: Document, whole: readonly (string | number)[]): number {
  for (let way = whole; way.length > 0; way = way.slice(0, -1)) {
    const node = document.getIn(way, true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

/** The digits of a number that tell its value, however it is written. */
function digitsOf(written: string): string {
  return written
    .replace(/e.*$/i, "")
    .replace(/\D/g, "")
    .replace(/^0+|0+$/g, "");
}

/** A number of which reading keeps less than is written: an amount that nobody has meant. */
function roundedNumber(document: Document): Scalar | undefined {
  let found: Scalar | undefined;
  visit(document, {
    Scalar(_, scalar) {
      const { value, source = "" } = scalar;
      if (typeof value !== "number" || !/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(source)) return undefined;
      if (digitsOf(source) === digitsOf(String(value))) return undefined;
      found = scalar;
      return visit.BREAK;
    },
  });
  return found;
}

function problem(
  field: string,
  value: unknown,
  text: string,
  cause?: ConfigurationError,
): ConfigurationError {
  const { code = "INVALID_OPTION", suggestion } = cause ?? {};
  return new ConfigurationError(code, field, value, text, suggestion);
}

/** A YAML or JSON file whose content is one mapping. */
export interface MappingFile extends PolicyFile {
  /** `path:line:column` of what stands there, or of the nearest thing around it. */
  placeOf(way: readonly (string | number)[]): string;
}

/**
 * Reads a file as the option `policyFile` names it.
 * @throws {ConfigurationError} when it cannot be read, or is neither YAML nor JSON.
 */
export function readYamlPolicyFile(option: string, path: string): PolicyFile {
  const file = readYamlMapping(option, path, "policy file", SECTIONS);
  if (Object.keys(file.content).length > 0) return file;
  // Whoever names a file means it to limit something.
  const advice = `give ${SECTIONS.join(", ")}, or leave ${option} out`;
  throw problem(option, path, `${option}: ${file.placeOf([])}: there is nothing in it; ${advice}`);
}

/**
 * Reads a file that an option names; `what` it is, and the `sections` that it may have; any when there are none.
 * @throws {ConfigurationError} when it cannot be read, is neither YAML nor JSON, or has another section.
 */
export function readYamlMapping(
  option: string,
  path: string,
  what: string,
  sections: readonly string[],
): MappingFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const reason = (error as Error).message;
    throw problem(option, path, `${option}: cannot read ${JSON.stringify(path)}: ${reason}`);
  }
  const lines = new LineCounter();
  // YAML 1.2 reads JSON as well.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    throw problem(option, path, `${option}: ${at(wrong.pos[0])}: ${wrong.message}`);
  }
  const rounded = roundedNumber(document);
  if (rounded !== undefined) {
    const { source = "", range } = rounded;
    const advice = `has more digits than a number keeps; write it as a text: "${source}"`;
    throw problem(option, path, `${option}: ${at(range?.[0] ?? 0)}: ${source} ${advice}`);
  }
  let content: unknown = {};
  try {
    if (document.contents !== null) content = document.toJS();
  } catch (error) {
    // References to what is not there, or to more than a file may become.
    throw problem(option, path, `${option}: ${at(0)}: ${(error as Error).message}`);
  }
  if (!isRecord(content) || (document.contents !== null && !isMap(document.contents))) {
    const expected = sections.length === 0 ? "names and values" : sections.join(", ");
    throw problem(option, path, `${option}: ${at(0)}: give ${expected}, as a mapping`);
  }
  const file: MappingFile = {
    path,
    content: content as Readonly<Record<string, unknown>>,
    checked(check) {
      try {
        return check();
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        const { code, field, value, message } = error;
        const offset =
          code === "UNKNOWN_OPTION" ? offsetOfKey(document, field) : offsetOf(document, field);
        throw problem(field, value, `${at(offset ?? 0)}: ${message}`, error);
      }
    },
    placeOf: (way) => at(offsetOfWay(document, way)),
  };
  if (sections.length > 0) file.checked(() => rejectUnknown(file.content, sections, what));
  return file;
}
