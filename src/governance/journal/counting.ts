// Which accumulators count what a node of the engine spends: asked of the engine once a node, and remembered.
import type { Engine } from "../../engine/index.js";
import type { Accumulator } from "./position.js";

/** Nodes that are remembered. */
const NODES_MAX = 4096;

export class CountingAccumulators {
  readonly #engine: Engine;
  readonly #all: Accumulator[] = [];
  readonly #ofNode = new Map<number, readonly Accumulator[]>();
  /** Can a node come under another budget while it is open? Only where one is of a run. */
  #mayRelink = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get all(): readonly Accumulator[] {
    return this.#all;
  }

  add(accumulator: Accumulator): void {
    this.#all.push(accumulator);
    this.#mayRelink ||= accumulator.name.scope.runId !== undefined;
    this.#ofNode.clear();
  }

  /** All of them for a node that was folded meanwhile, which is certainly enough. */
  of(node: number): readonly Accumulator[] {
    const known = this.#ofNode.get(node);
    if (known !== undefined) return known;
    const handles = this.#handlesOf(node);
    if (handles === undefined) return this.#all;
    const found = this.#all.filter(({ handle }) => handles.includes(handle));
    if (this.#mayRelink) return found;
    if (this.#ofNode.size >= NODES_MAX) this.#ofNode.clear();
    this.#ofNode.set(node, found);
    return found;
  }

  #handlesOf(node: number): readonly number[] | undefined {
    try {
      return this.#engine.budgetsOf(node);
    } catch {
      return undefined;
    }
  }
}
