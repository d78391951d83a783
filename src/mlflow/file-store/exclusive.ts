// One at a time across processes: creation by name.
import { open, rm, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isErrno, orMissing } from "./file-errors.js";

/** Milliseconds after which a lock counts as left behind by a process that died. */
const ABANDONED_AFTER_MS = 10_000;
const POLL_MS = 10;

async function tryToLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    await file.close();
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** Runs `work` while no other process does under the same lock file. */
export async function withLockFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  while (!(await tryToLock(path))) {
    const found = await orMissing(stat(path), undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_AFTER_MS) {
      await rm(path, { force: true });
    } else {
      await delay(POLL_MS);
    }
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}
