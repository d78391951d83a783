// JSON as Python writes and reads it: with NaN and the infinities, which JSON itself has not.

const NON_FINITE = /"[^"\\]*(?:\\.[^"\\]*)*"|NaN|-?Infinity/g;

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
      mark ??= crypto.randomUUID();
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
    const mark = crypto.randomUUID();
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
