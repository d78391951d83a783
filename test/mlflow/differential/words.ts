// The names and values that random workflows are made of: plain ones, odd ones, and wrong ones.
import type { Random } from "../../engine/random.js";
import type { Json } from "../run-python.js";

export const KEYS = ["loss", "rate", "größe/日 本", "x.y-_ z", "team:a", "deep/er/key"] as const;
const WRONG_KEYS = ["a//b", "../x", "/a", "a/", ".", "a#b", "k".repeat(251)];
const TEXTS = ["", "1", "0.5", "search", "Größe 💡", "two\nlines\r\n", "  a\tb \"c\" 'd' \\ "];
const NUMBERS = [0, 1, -2.5, 0.1 + 0.2, 1e308, 5e-324, 123456789, "NaN", "Infinity", "-Infinity"];
export const FILES = ["notes.txt", "data/one.bin", "data/two ü.json", "deep/er/most/x.yaml"];
const WRONG_FILES = ["../x.txt", "/x.txt", "a//b.txt", "a#b.txt", "x/../y.txt", "."];
export const ALIASES = ["champion", "challenger", "a-b_c"];
export const STAGES = ["None", "Staging", "Production", "Archived", "production"];
/** Parts of filters that MLflow does not understand, whatever they are about. */
export const WRONG_CLAUSES = [
  "nope = 'x'",
  "name > 'x'",
  "name = x",
  "params.rate > '1'",
  "version_number = 'x'",
];
const NO_STAGE = "Nowhere";
const NO_STATUS = "DONE";
const WRONG_ALIASES = ["v1", "latest", "a b"];
export const WRONG_MODELS = ["@/x", "@:x", " "];
export const WRONG_LOGGED = ["a/b", "a.b"];
export const FINAL = ["FINISHED", "FAILED", "KILLED"];
export const STATUSES = [...FINAL, "RUNNING", "SCHEDULED"];
/** Of everything whose time a workflow says: long before it is played. */
export const LONG_AGO = 1_700_000_000_000;

const WRONG = new Set([
  ...WRONG_KEYS,
  ...WRONG_FILES,
  ...WRONG_ALIASES,
  ...WRONG_MODELS,
  ...WRONG_LOGGED,
  NO_STAGE,
  NO_STATUS,
]);

/** Chance in the words of a workflow. */
export class Words {
  constructor(readonly random: Random) {}

  /** True this often in a hundred. */
  chance(percent: number): boolean {
    return this.random.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return this.random.pick(list);
  }

  /** Seldom a name that MLflow refuses. */
  key(): string {
    return this.chance(3) ? this.pick(WRONG_KEYS) : this.pick(KEYS);
  }

  text(): string {
    return this.chance(2) ? "v".repeat(this.pick([5000, 6000])) : this.pick(TEXTS);
  }

  number(): number | string {
    return this.pick(NUMBERS);
  }

  file(): string {
    return this.chance(4) ? this.pick(WRONG_FILES) : this.pick(FILES);
  }

  status(): string {
    return this.chance(4) ? NO_STATUS : this.pick(STATUSES);
  }

  stage(): string {
    return this.chance(5) ? NO_STAGE : this.pick(STAGES);
  }

  /** Of an alias that is to be given. */
  newAlias(): string {
    return this.chance(6) ? this.pick(WRONG_ALIASES) : this.pick(ALIASES);
  }

  /** Is any of these values, or a name in them, a word that MLflow refuses? */
  wrong(values: Json): boolean {
    if (typeof values === "string") {
      return WRONG.has(values) || WRONG_CLAUSES.some((clause) => values.includes(clause));
    }
    if (Array.isArray(values)) return values.some((value: Json) => this.wrong(value));
    if (typeof values !== "object" || values === null) return false;
    const { stage, archive, maxResults } = values as Readonly<Record<string, Json | undefined>>;
    if (maxResults === 0) return true;
    if (archive === true && /^(none|archived)$/i.test(String(stage))) return true;
    return Object.entries(values).some(([name, value]) => WRONG.has(name) || this.wrong(value));
  }

  step(): number {
    return this.random.below(7) - 2;
  }

  /** Milliseconds of long ago; never twice. */
  time(): number {
    return LONG_AGO + this.random.below(10_000);
  }

  record(most: number, value: () => Json): Record<string, Json> {
    const entries = Array.from({ length: this.random.below(most + 1) }, () => [
      this.key(),
      value(),
    ]);
    return Object.fromEntries(entries) as Record<string, Json>;
  }

  texts(most: number): Record<string, Json> {
    return this.record(most, () => this.text());
  }

  /** Fields that are there or not, as chance has it. */
  some<T extends object>(fields: T): Partial<T> {
    return Object.fromEntries(Object.entries(fields).filter(() => this.chance(60))) as Partial<T>;
  }

  base64(): string {
    const length = this.pick([0, 1, 7, 300]);
    const bytes = Uint8Array.from({ length }, () => this.random.below(256));
    return Buffer.from(bytes).toString("base64");
  }

  dataset(): Json {
    const digest = this.pick(["0a1b", "ffff"]);
    return {
      name: this.pick(["train", "größe"]),
      digest,
      sourceType: this.pick(["http", "local"]),
      source: JSON.stringify({ uri: this.pick(["https://example.org/a.csv", "/data/b.csv"]) }),
      ...this.some({ schema: '{"mlflow_colspec":[]}', profile: '{"num_rows":3}' }),
    };
  }
}
