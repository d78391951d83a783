// What a workflow is: steps in words that both clients understand, with names for what they will make.
import type { Json } from "../run-python.js";

export type Values = { readonly [name: string]: Json };

/**
 * One call. In its values `@` stands for the play that it belongs to, and `$run3` for the id of the
 * run that `makes` calls so.
 */
export interface Step {
  readonly call: string;
  readonly values: Values;
  /** Names of the things that the call makes, in their order. */
  readonly makes: readonly string[];
  /** Does it have a word that MLflow refuses, whatever the store holds? */
  readonly isWrong: boolean;
}

export interface Workflow {
  readonly seed: number;
  readonly steps: readonly Step[];
}

/** What came of a call: an answer, or MLflow's code of the refusal; and the ids of what was made. */
export interface Outcome {
  readonly answer?: Json;
  readonly error?: string;
  readonly message?: string;
  readonly made: readonly string[];
}

/** A client of MLflow, in whatever language: performs one call after the other. */
export interface Player {
  perform(call: string, values: Values): Promise<Outcome>;
}

/** The id of nothing: what a refused call would have made. */
function missingId(kind: string, index: string): string {
  const number = index.padStart(4, "0");
  if (kind === "experiment") return `98765${number}`;
  return `${kind === "run" ? "" : "m-"}${"f".repeat(28)}${number}`;
}

const REFERENCE = /\$(experiment|run|logged)(\d+)/g;

/** The ids behind the names of one play, and the name of the play itself. */
export class Bindings {
  readonly ids = new Map<string, string>();

  constructor(readonly place: string) {}

  bind({ makes }: Step, { made }: Outcome): void {
    for (const [index, name] of makes.entries()) {
      const id = made[index];
      if (id !== undefined) this.ids.set(name, id);
    }
  }

  resolve(values: Values): Values {
    const inside = (value: Json): Json => {
      if (typeof value === "string") return this.#text(value);
      if (Array.isArray(value)) return value.map(inside);
      if (typeof value !== "object" || value === null) return value;
      const fields = Object.entries(value).map(([key, field]) => [this.#text(key), inside(field)]);
      return Object.fromEntries(fields) as Json;
    };
    return inside(values) as Values;
  }

  #text(text: string): string {
    return text
      .replaceAll("@", this.place)
      .replace(REFERENCE, (name, kind: string, index: string) => {
        return this.ids.get(name) ?? missingId(kind, index);
      });
  }
}
