// HTML in which every value is escaped, unless it is HTML of ours.

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Characters that turn the direction of text around: a name must not rearrange what stands beside it. */
const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/g;

export function escaped(text: string): string {
  return text.replace(DIRECTION, "\ufffd").replace(/[&<>"']/g, (each) => ENTITIES[each] as string);
}

type Value = Html | string | number | readonly Html[];

function valueText(value: Value): string {
  if (value instanceof Html) return value.text;
  if (typeof value === "object") return value.map(({ text }) => text).join("");
  return escaped(String(value));
}

/** A template whose values are escaped; attribute values stand in double quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(
    parts
      .map((part, index) => (index === 0 ? part : valueText(values[index - 1] ?? "") + part))
      .join(""),
  );
}
