// One writer a file: a second process that is given the same path writes the next file beside it.
import {
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";

/** Milliseconds after which a lock that nobody has put a name to counts as left behind. */
const ABANDONED_AFTER_MS = 10_000;

function create(path: string, content: string): boolean {
  let file: number;
  try {
    file = openSync(path, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  try {
    writeSync(file, content);
  } finally {
    closeSync(file);
  }
  return true;
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function isOld(path: string): boolean {
  try {
    return Date.now() - statSync(path).mtimeMs > ABANDONED_AFTER_MS;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
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
    if (isOld(guard)) remove(guard);
    return false;
  }
  try {
    if (contentOf(path) !== abandoned) return false;
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, own);
    renameSync(fresh, path);
    return true;
  } finally {
    remove(guard);
  }
}

/** Locks a file for this process; undefined while another process, or another thread, has it. */
export function lock(file: string): { release(): void } | undefined {
  const path = `${file}.lock`;
  const own = `${process.pid} ${hostname()} ${crypto.randomUUID()}`;
  if (!create(path, own)) {
    const content = contentOf(path);
    if (content === undefined || !isAbandoned(path, content)) return undefined;
    if (!takeOver(path, content, own)) return undefined;
  }
  return {
    release() {
      if (contentOf(path) === own) remove(path);
    },
  };
}
