// Says the last word of every journal that is at work when the process ends.

interface Closeable {
  close(): void;
}

/** One listener for all: a program may have more adapters than a process likes listeners. */
const working = new Set<Closeable>();
let isWatched = false;

/** Closes it when the process ends, and keeps it in memory until then. */
export function closeAtExit(journal: Closeable): void {
  working.add(journal);
  if (isWatched) return;
  isWatched = true;
  process.on("exit", () => {
    for (const each of working) each.close();
  });
}

/** It has said all there is to say, for the time being. */
export function needsNoClosing(journal: Closeable): void {
  working.delete(journal);
}
