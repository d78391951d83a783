// Opens the audit file that a user asks for: checks the option, finds a file that no other process writes.
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigurationError } from "../../governance/errors.js";
import { isRecord, rejectUnknown } from "../../governance/option-names.js";
import { atExit } from "../../runtime/exit.js";
import { lock } from "../../runtime/file-lock.js";
import { AuditWriteError } from "./failure.js";
import { AuditFile, beside } from "./file.js";
import type { AuditDecision, AuditLogOptions, AuditSink } from "./record.js";

/** A file holds more than a few records, or files would be all there is. */
const MIN_BYTES = 4096;
const DEFAULT_MAX_BYTES = 64 * 2 ** 20;
/** Processes that may write under one path at a time. */
const MAX_WRITERS = 1000;

/** What a user asked for, whose file is opened as soon as it can be: a full disk may have room later. */
class AuditPath {
  readonly #path: string;
  readonly #maxBytes: number;
  #file: AuditFile | undefined;
  /** Records that came while there was no file. */
  #lost = 0;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /** @throws {AuditWriteError} */
  open(): AuditFile {
    if (this.#file !== undefined) return this.#file;
    try {
      this.#file = openFirstFree(this.#path, this.#maxBytes);
    } catch (error) {
      throw new AuditWriteError(this.#path, error);
    }
    this.#file.noteLost(this.#lost);
    return this.#file;
  }

  /** @throws {AuditWriteError} for a record that is lost; the next one that is written says so. */
  write(record: AuditDecision): void {
    let file: AuditFile;
    try {
      file = this.open();
    } catch (error) {
      this.#lost++;
      throw error;
    }
    try {
      file.write(record);
    } catch (error) {
      throw new AuditWriteError(file.path, error);
    }
  }
}

/** What this thread was asked for: adapters that are given the same path share one file. */
const paths = new Map<string, AuditPath>();

function openFirstFree(path: string, maxBytes: number): AuditFile {
  mkdirSync(dirname(path), { recursive: true });
  for (let writer = 1; writer <= MAX_WRITERS; writer++) {
    const own = writer === 1 ? path : beside(path, String(writer));
    const held = lock(own);
    if (held === undefined) continue;
    let file: AuditFile | undefined;
    try {
      file = AuditFile.open(own, maxBytes);
    } finally {
      if (file === undefined) held.release();
    }
    if (file === undefined) continue;
    atExit(() => held.release());
    return file;
  }
  throw new Error(`${MAX_WRITERS} others write there already`);
}

function invalid(field: string, value: unknown, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** @throws {ConfigurationError} for what is neither a path nor options of a file. */
function check(given: unknown): AuditLogOptions {
  const log: unknown = typeof given === "string" ? { path: given } : given;
  if (!isRecord(log)) {
    throw invalid("auditLog", given, `${shown(given)} is neither a path nor a function`);
  }
  rejectUnknown(log as object, ["path", "maxBytes"], "auditLog");
  const { path, maxBytes } = log as { path?: unknown; maxBytes?: unknown };
  if (typeof path !== "string" || path.trim() === "") {
    throw invalid("auditLog", path, `${shown(path)} is no path of a file`);
  }
  if (maxBytes === undefined) return { path };
  if (Number.isSafeInteger(maxBytes) && (maxBytes as number) >= MIN_BYTES) {
    return { path, maxBytes: maxBytes as number };
  }
  throw invalid(
    "auditLog.maxBytes",
    maxBytes,
    `${shown(maxBytes)} is not a whole number of bytes from ${MIN_BYTES} up`,
  );
}

function failAtOnce(error: AuditWriteError): never {
  throw error;
}

/**
 * @param log a path or options, as the user gave them.
 * @param onFailure is told when the file cannot be opened yet; each record tries again. Without one that is thrown.
 * @throws {ConfigurationError} when that can be no file, whatever the state of the disk.
 */
export function openAuditFile(
  log: unknown,
  onFailure: (error: AuditWriteError) => void = failAtOnce,
): AuditSink {
  const { path, maxBytes = DEFAULT_MAX_BYTES } = check(log);
  const absolute = resolve(path);
  const asked = paths.get(absolute) ?? new AuditPath(absolute, maxBytes);
  try {
    asked.open();
  } catch (error) {
    if (!(error instanceof AuditWriteError)) throw error;
    if (error.isImpossible) {
      const { message } = error.cause as Error;
      throw invalid(
        "auditLog",
        path,
        `cannot write ${JSON.stringify(path)}: ${message}; choose a path that you may write to`,
      );
    }
    onFailure(error);
  }
  paths.set(absolute, asked);
  return (record) => asked.write(record);
}
