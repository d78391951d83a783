// The filter language of MLflow's searches: comparisons joined by AND.
// Source: mlflow/utils/search_utils.py (3.17).
import { refused } from "./messages.js";

type Value = string | number | null | undefined;

/** What a search looks at, of a run, an experiment or a model. */
export interface Searchable {
  readonly metrics: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, Value>>;
  /** Of a run: name, digest and context of each dataset that it used. */
  readonly datasets?: readonly Readonly<Record<string, Value>>[];
}

export type Entity = "metric" | "parameter" | "tag" | "attribute" | "dataset";

export interface Identifier {
  readonly entity: Entity;
  readonly key: string;
}

/** What can be searched for: runs, experiments, models. */
export interface SearchSchema {
  readonly entities: Readonly<Record<string, Entity>>;
  readonly textAttributes: readonly string[];
  /** Integers: times in milliseconds. */
  readonly numericAttributes: readonly string[];
  /** The attributes that `IN` takes. */
  readonly listAttributes: readonly string[];
  readonly aliases: Readonly<Record<string, string>>;
}

const DATASET_KEYS: readonly string[] = ["name", "digest", "context"];

export const RUN_SCHEMA: SearchSchema = {
  entities: {
    metric: "metric",
    metrics: "metric",
    parameter: "parameter",
    parameters: "parameter",
    param: "parameter",
    params: "parameter",
    tag: "tag",
    tags: "tag",
    attribute: "attribute",
    attributes: "attribute",
    attr: "attribute",
    run: "attribute",
    dataset: "dataset",
    datasets: "dataset",
  },
  textAttributes: ["artifact_uri", "run_id", "run_name", "status", "user_id"],
  numericAttributes: ["start_time", "end_time"],
  listAttributes: ["run_id"],
  aliases: {
    created: "start_time",
    Created: "start_time",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
  },
};

export const EXPERIMENT_SCHEMA: SearchSchema = {
  entities: { attribute: "attribute", tag: "tag", tags: "tag" },
  textAttributes: ["name", "experiment_id"],
  numericAttributes: ["creation_time", "last_update_time"],
  listAttributes: ["experiment_id"],
  aliases: {},
};

type TokenKind = "word" | "operator" | "number" | "text" | "punctuation";
interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

// Numbers are those that MLflow's reader takes: `1e-3` and `.5`, but neither `+1`, `1e+3` nor `.5e3`.
// A key may be quoted by `` ` `` or `"`, with its entity before it: metrics."my key".
const TOKEN =
  /\s*(?:(?<number>-?(?:\d+(?:\.\d+)?[eE]-?\d+|\d+\.?\d*|\.\d+)(?![\w.]))|(?<word>(?:[\p{L}_][\p{L}\p{N}_]*|`[^`]*`)(?:\.(?:[\p{L}\p{N}_]+|`[^`]*`|"[^"]*"|'[^']*'))*)|(?<text>'(?:[^']|'')*'|"[^"]*")|(?<operator>!=|<>|<=|>=|=|<|>)|(?<punctuation>[(),]))/uy;

function tokensOf(filter: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = filter.trimEnd().length;
  let at = 0;
  while (at < end) {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(filter)?.groups;
    const [kind, text] =
      Object.entries(groups ?? {}).find(([, found]) => found !== undefined) ?? [];
    if (kind === undefined || text === undefined) {
      throw refused(`Invalid clause(s) in filter string: '${filter.slice(at).trim()}'`);
    }
    tokens.push({ kind: kind as TokenKind, text });
    at = TOKEN.lastIndex;
  }
  return tokens;
}

function withoutQuotes(text: string): string {
  return /^(["'`]).*\1$/s.test(text) && text.length >= 2 ? text.slice(1, -1) : text;
}

/** Understands `metrics.accuracy`, `` params.`a b` ``, `status`. */
export function identifierOf(text: string, schema: SearchSchema): Identifier {
  const [, first = "", rest] = /^(`[^`]*`|[^.]*)(?:\.(.*))?$/s.exec(text) ?? [];
  const entity = rest === undefined ? "attribute" : schema.entities[withoutQuotes(first)];
  if (entity === undefined) {
    const valid = [...new Set(Object.values(schema.entities))].join(", ");
    throw refused(`Invalid entity type '${first}'. Valid values are ${valid}`);
  }
  const written = withoutQuotes(rest ?? first);
  if (entity === "dataset" && !DATASET_KEYS.includes(written)) {
    throw refused(
      `Invalid dataset key '${written}' specified. Valid keys are ${DATASET_KEYS.join(", ")}`,
    );
  }
  if (entity !== "attribute") return { entity, key: written };
  const key = schema.aliases[written] ?? written;
  const valid = [...schema.textAttributes, ...schema.numericAttributes];
  if (!valid.includes(key)) {
    throw refused(`Invalid attribute key '${key}' specified. Valid keys are ${valid.join(", ")}`);
  }
  return { entity, key };
}

const NUMERIC_COMPARATORS = [">", ">=", "!=", "=", "<", "<="];
const TEXT_COMPARATORS = ["!=", "=", "LIKE", "ILIKE"];

interface Comparison extends Identifier {
  readonly comparator: string;
  readonly value: string | number | readonly string[];
}

class FilterParser {
  readonly #tokens: readonly Token[];
  readonly #schema: SearchSchema;
  readonly #filter: string;
  #at = 0;

  constructor(filter: string, schema: SearchSchema) {
    this.#filter = filter;
    this.#schema = schema;
    this.#tokens = tokensOf(filter);
  }

  parse(): Comparison[] {
    const comparisons = [this.#comparison()];
    while (this.#at < this.#tokens.length) {
      if (!this.#takeWord("AND")) throw this.#invalid();
      comparisons.push(this.#comparison());
    }
    return comparisons;
  }

  #invalid(): Error {
    const token = this.#tokens[this.#at]?.text;
    return refused(
      token === undefined
        ? `Invalid filter '${this.#filter}': it ends in the middle of a comparison`
        : `Invalid clause(s) in filter string: '${token}'`,
    );
  }

  #take(kind: TokenKind): string | undefined {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind) return undefined;
    this.#at++;
    return token.text;
  }

  #takeWord(word: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "word" || token.text.toUpperCase() !== word) return false;
    this.#at++;
    return true;
  }

  #comparison(): Comparison {
    const name = this.#take("word");
    if (name === undefined) throw this.#invalid();
    const identifier = identifierOf(name, this.#schema);
    const comparator = this.#comparator();
    this.#check(identifier, comparator);
    return { ...identifier, comparator, value: this.#value(identifier, comparator) };
  }

  #comparator(): string {
    const operator = this.#take("operator");
    if (operator !== undefined) return operator;
    if (this.#takeWord("IS")) {
      const not = this.#takeWord("NOT");
      if (this.#takeWord("NULL")) return not ? "IS NOT NULL" : "IS NULL";
      throw this.#invalid();
    }
    const not = this.#takeWord("NOT") ? "NOT " : "";
    for (const word of ["LIKE", "ILIKE", "IN"]) if (this.#takeWord(word)) return not + word;
    throw this.#invalid();
  }

  #check({ entity, key }: Identifier, comparator: string): void {
    const isNumeric = entity === "metric" || this.#schema.numericAttributes.includes(key);
    const valid = isNumeric
      ? NUMERIC_COMPARATORS
      : entity === "attribute" || entity === "dataset"
        ? [...TEXT_COMPARATORS, "IN", "NOT IN"]
        : [...TEXT_COMPARATORS, "IS NULL", "IS NOT NULL"];
    if (!valid.includes(comparator)) {
      throw refused(`Invalid comparator '${comparator}' not one of ${valid.join(", ")}`);
    }
  }

  #value({ entity, key }: Identifier, comparator: string): Comparison["value"] {
    if (comparator.startsWith("IS ")) return "";
    if (comparator.endsWith("IN")) return this.#list({ entity, key });
    const token = this.#tokens[this.#at];
    if (entity === "metric" || this.#schema.numericAttributes.includes(key)) {
      const number = this.#take("number");
      if (number !== undefined) return Number(number);
      throw refused(`Expected numeric value type for ${entity}: ${key}. Found ${token?.text}`);
    }
    const text = this.#take("text");
    if (text !== undefined) return textValue(text);
    throw refused(
      `Expected a quoted string value for ${entity} (e.g. 'my-value'). Got value ${token?.text}`,
    );
  }

  #list({ entity, key }: Identifier): string[] {
    const { listAttributes } = this.#schema;
    if (entity !== "dataset" && !listAttributes.includes(key)) {
      throw refused(
        `Only ['${listAttributes.join("', '")}'] attributes support comparison with a list of quoted string values.`,
      );
    }
    const values: string[] = [];
    const next = (text: string) => this.#take("punctuation") === text;
    if (!next("(")) throw this.#invalid();
    for (;;) {
      const value = this.#take("text");
      if (value === undefined) {
        throw refused(
          "While parsing a list in the query, expected a non-empty list of string values.",
        );
      }
      values.push(textValue(value));
      const token = this.#take("punctuation");
      if (token === ")") return values;
      if (token !== ",") throw this.#invalid();
    }
  }
}

function textValue(token: string): string {
  const text = token.slice(1, -1);
  return token.startsWith("'") ? text.replaceAll("''", "'") : text;
}

function likePattern(pattern: string, flags: string): RegExp {
  const escaped = pattern.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("%", ".*").replaceAll("_", ".")}$`, `su${flags}`);
}

export function valueAt(item: Searchable, { entity, key }: Identifier): Value {
  // Of those a run may have many: see below.
  if (entity === "dataset") return undefined;
  const record = {
    metric: item.metrics,
    parameter: item.params,
    tag: item.tags,
    attribute: item.attributes,
  }[entity];
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Every value that a comparison may hold for. */
function valuesAt(item: Searchable, identifier: Identifier): readonly Value[] {
  if (identifier.entity !== "dataset") return [valueAt(item, identifier)];
  return (item.datasets ?? []).map((dataset) => dataset[identifier.key]);
}

function predicateOf(comparison: Comparison): (found: Value) => boolean {
  const { comparator, value } = comparison;
  if (comparator === "IS NULL") return (found) => found == null;
  if (comparator === "IS NOT NULL") return (found) => found != null;
  const present = (test: (found: string | number) => boolean) => (found: Value) =>
    found != null && test(found);
  switch (comparator) {
    case "=":
      return present((found) => found === value);
    case "!=":
      return present((found) => found !== value);
    case "<":
      return present((found) => found < value);
    case "<=":
      return present((found) => found <= value);
    case ">":
      return present((found) => found > value);
    case ">=":
      return present((found) => found >= value);
    case "IN":
      return present((found) => (value as readonly string[]).includes(String(found)));
    case "NOT IN":
      return present((found) => !(value as readonly string[]).includes(String(found)));
    default: {
      const pattern = likePattern(String(value), comparator === "ILIKE" ? "i" : "");
      return present((found) => pattern.test(String(found)));
    }
  }
}

/** A test for what a filter describes. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function filterOf(
  filter: string | undefined,
  schema: SearchSchema,
): (item: Searchable) => boolean {
  if (filter === undefined || filter.trim() === "") return () => true;
  const tests = new FilterParser(filter, schema).parse().map((comparison) => {
    const test = predicateOf(comparison);
    return (item: Searchable) => valuesAt(item, comparison).some(test);
  });
  return (item) => tests.every((test) => test(item));
}
