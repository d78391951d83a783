// Locks between processes and threads: a file beside the locked one says who has it; who died has it no more.
import {
  lstatSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";

/** Milliseconds after which a lock that nobody has put a name to counts as left behind. */
const ABANDONED_AFTER_MS = 10_000;

/**
 * As a link that leads nowhere but says who has it: it is there with all its content or not at all, whenever a holder
 * is killed. As a file where links cannot be made.
 */
function create(path: string, content: string): boolean {
  try {
    symlinkSync(content, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (code === "ENOENT" || code === "EACCES" || code === "EROFS" || code === "ENOSPC")
      throw error;
  }
  try {
    writeFileSync(path, content, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function contentOf(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function isOld(path: string, afterMs = ABANDONED_AFTER_MS): boolean {
  try {
    return Date.now() - lstatSync(path).mtimeMs > afterMs;
  } catch {
    return false;
  }
}

/** Is there such a process on this machine? */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Is the holder gone for certain? On another machine that cannot be told, so its lock holds. */
function isAbandoned(path: string, content: string): boolean {
  const [pid, host] = content.split(" ");
  if (host === undefined) return isOld(path);
  return host === hostname() && !isAlive(Number(pid));
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody was faster.
  }
}

/** Takes the place of a holder that died. Only one at a time may try, or two could each think it was theirs. */
function takeOver(path: string, abandoned: string, own: string): boolean {
  const guard = `${path}.takeover`;
  if (!create(guard, own)) {
    const content = contentOf(guard);
    if (isOld(guard) || (content !== undefined && isAbandoned(guard, content))) remove(guard);
    return false;
  }
  try {
    if (contentOf(path) !== abandoned) return false;
    const fresh = `${path}.${process.pid}`;
    remove(fresh);
    if (!create(fresh, own)) return false;
    renameSync(fresh, path);
    return true;
  } finally {
    remove(guard);
  }
}

/** A lock that is held. */
export interface FileLock {
  /** Is it still this holder's? Not when it was held longer than it may be. */
  isHeld(): boolean;
  release(): void;
}

/**
 * Locks a file for this process; undefined while another process, or another thread, has it. Whoever has it longer
 * than `longestMs` loses it to the next; without one a holder that lives, or is on another machine, keeps it.
 */
export function lock(file: string, longestMs = Number.POSITIVE_INFINITY): FileLock | undefined {
  const path = `${file}.lock`;
  const own = `${process.pid} ${hostname()} ${crypto.randomUUID()}`;
  if (!create(path, own)) {
    const content = contentOf(path);
    if (content === undefined) return undefined;
    if (!isAbandoned(path, content) && !isOld(path, longestMs)) return undefined;
    if (!takeOver(path, content, own)) return undefined;
  }
  return {
    isHeld: () => contentOf(path) === own,
    release() {
      if (contentOf(path) === own) remove(path);
    },
  };
}
