// Says the last word of every journal that is at work when the process ends.
import { atExit } from "../../runtime/exit.js";

interface Closeable {
  close(): void;
}

const working = new Map<Closeable, () => void>();

/** Closes it when the process ends, and keeps it in memory until then. */
export function closeAtExit(journal: Closeable): void {
  if (!working.has(journal))
    working.set(
      journal,
      atExit(() => journal.close()),
    );
}

/** It has said all there is to say, for the time being. */
export function needsNoClosing(journal: Closeable): void {
  working.get(journal)?.();
  working.delete(journal);
}
