// Who writes a journal file, and whether that one is still there.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { isAlive } from "../../runtime/file-lock.js";
import type { JournalOwner } from "./format.js";

/** Milliseconds without a word after which an owner that cannot be asked (on another machine) counts as gone. */
const SILENT_MS = 24 * 3_600_000;

/** When a process began, in ticks since its system did; undefined where the system does not tell. */
function startedOf(pid: number): string | undefined {
  try {
    // The second field is a name in parentheses, which may hold anything.
    const [, rest = ""] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return rest.split(" ")[19];
  } catch {
    return undefined;
  }
}

/** Names this process, or thread, among all that ever write journals. */
export const PROCESS_NAME = `${process.pid}-${crypto.randomUUID().slice(0, 8)}`;

let own: JournalOwner | undefined;

/** This process. */
export function thisOwner(): JournalOwner {
  if (own === undefined) {
    const started = startedOf(process.pid);
    own = { pid: process.pid, host: hostname(), ...(started !== undefined && { started }) };
  }
  return own;
}

/**
 * Is an owner gone for certain, or has it been silent for a day where nobody can tell? One that is taken for gone and
 * is not finds that its file was folded, and begins another.
 */
export function isGone(owner: JournalOwner | undefined, silentMs: number): boolean {
  if (owner === undefined || owner.host !== hostname()) return silentMs > SILENT_MS;
  if (!isAlive(owner.pid)) return true;
  // The number may be another process's by now.
  const started = owner.started === undefined ? undefined : startedOf(owner.pid);
  return started !== undefined && started !== owner.started;
}
