// `${NAME}` in a configuration file: the variable NAME of the environment, so that no secret stands in the file.
import { nearestName } from "../../nearest-name.js";
import { HIDDEN, invalid } from "./problem.js";

/** `$${` stands for `${` itself. */
const REFERENCE = /\$\$\{|\$\{([^}]*)\}?/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

type Step = string | number;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where something stands in the file, for an error. */
type PlaceOf = (way: readonly Step[]) => string;

class References {
  readonly #environment: Environment;
  readonly #placeOf: PlaceOf;

  constructor(environment: Environment, placeOf: PlaceOf) {
    this.#environment = environment;
    this.#placeOf = placeOf;
  }

  text(text: string, way: readonly Step[]): string {
    return text.replace(REFERENCE, (reference: string, name: string | undefined) => {
      if (name === undefined) return "${";
      if (!reference.endsWith("}") || !NAME.test(name)) {
        throw this.#problem(
          way,
          `${JSON.stringify(reference)} is no reference; write \${NAME}, and $\${ for the characters themselves`,
        );
      }
      const value = this.#environment[name];
      if (value !== undefined && value !== "") return value;
      const near = nearestName(name, Object.keys(this.#environment));
      const hint = near === undefined ? "" : `, or did you mean \${${near}}?`;
      throw this.#problem(way, `the variable ${name} is not set; export ${name}=…${hint}`);
    });
  }

  #problem(way: readonly Step[], text: string) {
    const [root = "", ...rest] = way;
    const field = `${root}${rest.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("")}`;
    return invalid(`${this.#placeOf(way)}: ${field}`, HIDDEN, text);
  }

  value(value: unknown, way: readonly Step[]): unknown {
    if (typeof value === "string") return this.text(value, way);
    if (Array.isArray(value)) return value.map((each, index) => this.value(each, [...way, index]));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, each]) => {
      const at = [...way, key];
      return [this.text(key, at), this.value(each, at)] as const;
    });
    const names = entries.map(([name]) => name);
    const twice = entries.findIndex(([name], index) => names.indexOf(name) !== index);
    if (twice >= 0) {
      const key = Object.keys(value)[twice] as string;
      throw this.#problem([...way, key], "it is there twice, once its variables are put in");
    }
    return Object.fromEntries(entries);
  }
}

/**
 * A file's content with the variables that it refers to.
 * @throws {ConfigurationError} with the place of a reference to what is not set.
 */
export function resolveReferences(
  content: Readonly<Record<string, unknown>>,
  environment: Environment,
  placeOf: PlaceOf,
): Readonly<Record<string, unknown>> {
  return new References(environment, placeOf).value(content, []) as Record<string, unknown>;
}
