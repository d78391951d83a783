// Why an audit file cannot be written, in words: which one, the cause, and what mends it.

/** By the system's code: what is wrong, and what to do about it. */
const CAUSES: Readonly<Record<string, readonly [cause: string, fix: string]>> = {
  ENOSPC: ["the disk is full", "Make room there"],
  EDQUOT: ["the user's share of the disk is used up", "Make room there"],
  EROFS: ["the file system is read-only", "Have it mounted for writing"],
  EACCES: ["permission denied", "Let this user write there"],
  EPERM: ["permission denied", "Let this user write there"],
  ENOENT: ["there is no such folder, and it cannot be made", "Make it"],
  EIO: ["the disk does not answer", "Have it looked at"],
  EMFILE: ["this process has too many files open", "Raise its limit (ulimit -n)"],
};

/** What no disk will ever write, whatever its state: the path itself is wrong. */
const IMPOSSIBLE: readonly string[] = [
  "ENOTDIR",
  "EEXIST",
  "EISDIR",
  "ENAMETOOLONG",
  "EINVAL",
  "ELOOP",
];

function codeOf(cause: unknown): string {
  const { code } = (cause ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "";
}

/** An audit file that cannot be written at the moment. */
export class AuditWriteError extends Error {
  override readonly name = "AuditWriteError";
  readonly code = "AUDIT_NOT_WRITTEN";
  readonly path: string;

  /** @param cause what the file system threw. */
  constructor(path: string, cause: unknown) {
    const code = codeOf(cause);
    const [what, fix] = CAUSES[code] ?? [(cause as Error).message, "Mend that"];
    const told = code in CAUSES ? `${what} (${code})` : what;
    super(
      `${JSON.stringify(path)}: ${told}. ${fix}, or choose another file with auditLog (GENOPS_AUDIT_LOG, --audit-log).`,
      { cause },
    );
    this.path = path;
  }

  /** Can nothing ever be written there? */
  get isImpossible(): boolean {
    return IMPOSSIBLE.includes(codeOf(this.cause));
  }
}
