// One at a time across processes: creation by name.
import { setTimeout as delay } from "node:timers/promises";
import { type FileLock, lock } from "../../runtime/file-lock.js";

/** Milliseconds after which whoever has not finished is passed over: stopped, or on a machine that is gone. */
const LONGEST_MS = 60_000;
const POLL_MS = 10;

/** Runs `work` while no other process does for the same file; the lock is `<file>.lock` beside it. */
export async function withLockFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  let held: FileLock | undefined = lock(file, LONGEST_MS);
  while (held === undefined) {
    await delay(POLL_MS);
    held = lock(file, LONGEST_MS);
  }
  try {
    return await work();
  } finally {
    held.release();
  }
}
