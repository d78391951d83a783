// JSON as Python writes and reads it: with NaN and the infinities, which JSON itself has not.

// A name is never such a number.
const NON_FINITE = /"[^"\\]*(?:\\.[^"\\]*)*"|(?:NaN|-?Infinity)(?!\s*:)/g;

/** A text that nobody has written; pages that are not secure have no `randomUUID`. */
function newMark(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(numbers, (number) => number.toString(36)).join("-");
}

function isNonFinite(value: unknown): value is number {
  return typeof value === "number" && !Number.isFinite(value);
}

/** An object as JSON; numbers that JSON has not are bare words. Throws for what cannot be written. */
export function writeJson(value: unknown, indent?: number): string {
  // A text that nobody has written stands for such a number until all is quoted.
  let mark: string | undefined;
  const text = JSON.stringify(
    value,
    (_key, inside: unknown) => {
      if (!isNonFinite(inside)) return inside;
      mark ??= newMark();
      return mark + inside;
    },
    indent,
  );
  return mark === undefined ? text : text.replace(new RegExp(`"${mark}([^"]*)"`, "g"), "$1");
}

/** What a text says in JSON, or in Python's. Throws SyntaxError for anything else. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const mark = newMark();
    const quoted = text.replace(NON_FINITE, (found) =>
      found.startsWith('"') ? found : `"${mark}${found}"`,
    );
    if (quoted === text) throw error;
    try {
      return JSON.parse(quoted, (_key, value: unknown) =>
        typeof value === "string" && value.startsWith(mark)
          ? Number(value.slice(mark.length))
          : value,
      );
    } catch {
      // Its words and places are those of the text as it is.
      throw error;
    }
  }
}
