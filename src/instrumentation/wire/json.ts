// JSON as Python's reader takes it: UTF-8, and the numbers that JSON lacks.
import { textOf } from "./json-spans.js";

/** Texts, which are left alone, and the words that only Python knows. */
const PYTHON_WORDS = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/gs;

/**
 * Parses JSON; `NaN`, `Infinity` and `-Infinity` become texts of that name, as MLflow's own JSON has them.
 * Of equal names in one object the last counts. @throws {SyntaxError} for what is no JSON.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const replaced = text.replace(PYTHON_WORDS, (found) =>
      found.startsWith('"') ? found : `"${found}"`,
    );
    if (replaced === text) throw error;
    return JSON.parse(replaced);
  }
}

/** The text of a JSON body. Undefined when it is no UTF-8; a byte order mark makes it none. */
export function utf8Of(bytes: Uint8Array): string | undefined {
  try {
    const text = textOf(bytes, { start: 0, end: bytes.length });
    return text.startsWith("\ufeff") ? undefined : text;
  } catch {
    return undefined;
  }
}
