// Requests to one server take turns, so that a thousand calls at once do not exhaust its database's connections.

/** A number of places; whoever finds none waits for one, in the order of coming. */
export class Turns {
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  /** Does `work` when fewer than `places` (at least 1) others are underway. */
  async take<T>(places: number, work: () => Promise<T>): Promise<T> {
    if (this.#taken >= places) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#taken++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // A place is handed on, so that nobody who comes between takes it.
      if (next === undefined) this.#taken--;
      else next();
    }
  }
}
