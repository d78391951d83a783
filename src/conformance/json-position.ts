// Where a text stops being JSON. Engines tell it in words that differ, and of short texts not at all.

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these in a string.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** What may come next. */
type Expected = "value" | "value or ]" | "name" | "name or }" | "separator";

class Scanner {
  readonly #text: string;
  /** The bracket that closes each open list or object, innermost last. */
  readonly #open: string[] = [];
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const taken = pattern.exec(this.#text);
    if (taken === null) return false;
    this.at = pattern.lastIndex;
    return true;
  }

  #takeSign(sign: string): boolean {
    if (!this.#text.startsWith(sign, this.at)) return false;
    this.at += sign.length;
    return true;
  }

  #value(): Expected | undefined {
    if (this.#takeSign("{")) {
      this.#open.push("}");
      return "name or }";
    }
    if (this.#takeSign("[")) {
      this.#open.push("]");
      return "value or ]";
    }
    return this.#take(STRING) || this.#take(SCALAR) ? "separator" : undefined;
  }

  #close(): Expected | undefined {
    const bracket = this.#open.at(-1);
    if (bracket === undefined || !this.#takeSign(bracket)) return undefined;
    this.#open.pop();
    return "separator";
  }

  #name(): Expected | undefined {
    if (!this.#take(STRING)) return undefined;
    this.#take(SPACE);
    return this.#takeSign(":") ? "value" : undefined;
  }

  #separator(): Expected | undefined {
    const closed = this.#close();
    if (closed !== undefined) return closed;
    if (this.#open.length === 0 || !this.#takeSign(",")) return undefined;
    return this.#open.at(-1) === "}" ? "name" : "value";
  }

  /** Takes one step of the grammar; undefined where it goes no further. */
  step(expected: Expected): Expected | undefined {
    this.#take(SPACE);
    if (expected === "value") return this.#value();
    if (expected === "value or ]") return this.#close() ?? this.#value();
    if (expected === "name") return this.#name();
    if (expected === "name or }") return this.#close() ?? this.#name();
    return this.#separator();
  }
}

/** Index of the first character that cannot be there; the text's length when it ends too early. */
export function firstWrongIndex(text: string): number {
  const scanner = new Scanner(text);
  let expected: Expected | undefined = "value";
  while (expected !== undefined) expected = scanner.step(expected);
  return scanner.at;
}
