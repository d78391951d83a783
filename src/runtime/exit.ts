// What is to be done when the process ends: one listener for all of it, as a process warns of more than ten.

/** Of every copy of this module in the process: each copy's own listener would be one more. */
const KEY = Symbol.for("genops.exit");

type Waiting = Set<() => void>;

function waiting(): Waiting {
  const shared = process as unknown as { [KEY]?: Waiting };
  const known = shared[KEY];
  if (known !== undefined) return known;
  const made: Waiting = new Set();
  shared[KEY] = made;
  process.on("exit", () => {
    for (const callback of made) callback();
  });
  return made;
}

/** Calls back as the process ends for good; nothing can be awaited. Answers what forgets it again. */
export function atExit(callback: () => void): () => void {
  // A function of its own, so that one that is given twice is called twice.
  const entry = () => callback();
  waiting().add(entry);
  return () => waiting().delete(entry);
}
